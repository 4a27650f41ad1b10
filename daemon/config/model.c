/* The model's memory and its names. */
#include "kpid/model.h"

#include "keyed.h"

#include <stdlib.h>
#include <string.h>

static void strings_free(char **strings, size_t n)
{
    for (size_t i = 0; strings && i < n; i++)
        free(strings[i]);
    free(strings);
}

static void pairs_free(struct kpid_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(pairs[i].key);
        free(pairs[i].value);
    }
    free(pairs);
}

static void source_release(struct kpid_source *source)
{
    free(source->name);
    free(source->key);
    strings_free(source->topics, source->n_topics);
    strings_free(source->types, source->n_types);
    pairs_free(source->type_map, source->n_type_map);
    for (size_t i = 0; i < source->n_fields; i++) {
        free(source->fields[i].name);
        free(source->fields[i].origin);
        strings_free(source->fields[i].path, source->fields[i].n_path);
    }
    free(source->fields);
    for (size_t i = 0; i < source->n_joins; i++) {
        free(source->joins[i].name);
        free(source->joins[i].fields);
    }
    free(source->joins);
}

static void lookup_release(struct kpid_lookup *lookup)
{
    free(lookup->name);
    free(lookup->file);
    free(lookup->key);
    free(lookup->pattern);
    free(lookup->url);
    free(lookup->missing);
    for (size_t i = 0; i < lookup->n_columns; i++) {
        free(lookup->columns[i].name);
        free(lookup->columns[i].title);
    }
    free(lookup->columns);
}

static void plan_release(struct kpid_source_plan *plan, size_t n_types)
{
    for (size_t i = 0; i < plan->n_groupings; i++)
        free(plan->groupings[i].slots);
    free(plan->groupings);
    free(plan->measures);
    for (size_t i = 0; plan->by_type && i < n_types; i++)
        free(plan->by_type[i]);
    free(plan->by_type);
    free(plan->n_by_type);
}

static void measure_release(struct kpid_measure *measure)
{
    free(measure->name);
    kpid_expr_release(&measure->where);
    kpid_expr_release(&measure->value);
    kpid_expr_release(&measure->weight);
    kpid_expr_release(&measure->keyed.key);
    for (size_t i = 0; i < measure->keyed.n_words; i++)
        kpid_expr_release(&measure->keyed.when[i]);
    free(measure->keyed.when);
    if (measure->agg && measure->agg->keyed && kpid_keyed_row_of(measure)->release)
        kpid_keyed_row_of(measure)->release(&measure->keyed);
    strings_free(measure->start_fields, measure->n_start_fields);
    free(measure->groupings);
    free(measure->rungs);
}

static void kpi_release(struct kpid_kpi *kpi)
{
    free(kpi->name);
    free(kpi->title_en);
    free(kpi->title_zh);
    free(kpi->owner);
    free(kpi->dimension);
    free(kpi->unit_text);
    free(kpi->formula_text);
    free(kpi->formula);
    for (size_t i = 0; kpi->refs && i < kpi->n_refs + kpi->n_parts; i++)
        free(kpi->refs[i].name);
    free(kpi->refs);
    free(kpi->sources);
    for (size_t i = 0; i < kpi->n_targets; i++) {
        strings_free(kpi->targets[i].group, kpi->n_by);
        free(kpi->targets[i].text);
    }
    free(kpi->targets);
    strings_free(kpi->by, kpi->n_by);
    for (size_t i = 0; i < kpi->n_windows; i++)
        free(kpi->windows[i].name);
    free(kpi->windows);
    free(kpi->sketches);
    for (size_t i = 0; i < kpi->n_rules; i++) {
        free(kpi->rules[i].name);
        free(kpi->rules[i].while_firing);
        free(kpi->rules[i].quiet);
    }
    free(kpi->rules);
}

static void settings_release(struct kpid_settings *settings)
{
    free(settings->instance);
    free(settings->kafka.brokers);
    free(settings->kafka.group);
    free(settings->kafka.instance_id);
    free(settings->kafka.cluster);
    pairs_free(settings->kafka.properties, settings->kafka.n_properties);
    free(settings->redis.url);
    free(settings->redis.prefix);
    free(settings->publish.snapshots);
    free(settings->publish.alerts);
    free(settings->publish.dead_letters);
    free(settings->http.listen);
    free(settings->log_level);
}

void kpid_model_free(struct kpid_model *model)
{
    if (!model)
        return;
    for (size_t i = 0; model->plans && i < model->n_sources; i++)
        plan_release(&model->plans[i], model->sources[i].n_types);
    free(model->plans);
    for (size_t i = 0; i < model->n_sources; i++)
        source_release(&model->sources[i]);
    free(model->sources);
    for (size_t i = 0; i < model->n_lookups; i++)
        lookup_release(&model->lookups[i]);
    free(model->lookups);
    for (size_t i = 0; i < model->n_measures; i++)
        measure_release(&model->measures[i]);
    free(model->measures);
    for (size_t i = 0; i < model->n_kpis; i++)
        kpi_release(&model->kpis[i]);
    free(model->kpis);
    for (size_t i = 0; i < model->n_zones; i++) {
        kpid_zone_release(model->zones[i]);
        free(model->zones[i]);
    }
    free(model->zones);
    for (size_t i = 0; i < model->n_calendars; i++) {
        kpid_worktime_release(model->calendars[i]);
        free(model->calendars[i]);
    }
    free(model->calendars);
    settings_release(&model->settings);
    free(model->path);
    free(model);
}

int kpid_model_source_find(const struct kpid_model *model, const char *name)
{
    for (size_t i = 0; i < model->n_sources; i++)
        if (strcmp(model->sources[i].name, name) == 0)
            return (int)i;
    return -1;
}

int kpid_model_measure_find(const struct kpid_model *model, const char *name)
{
    for (size_t i = 0; i < model->n_measures; i++)
        if (strcmp(model->measures[i].name, name) == 0)
            return (int)i;
    return -1;
}

int kpid_model_kpi_find(const struct kpid_model *model, const char *name)
{
    for (size_t i = 0; i < model->n_kpis; i++)
        if (strcmp(model->kpis[i].name, name) == 0)
            return (int)i;
    return -1;
}
