/* `measures:` source, condition, one aggregation and its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyed.h"

#define ERROR_DEFAULT 0.01

static bool has_quantiles(const struct kpid_agg *agg)
{
    return agg->part("p50", 3) >= KPID_PART_P;
}

/* The one key of the map that names an aggregation; NULL: a fault, unless an unknown key may have been meant.
 */
static const struct kpid_agg *agg_find(struct kpid_loader *loader, const struct kpid_measure *measure,
                                       const struct kpid_yaml *map, bool misspelt, size_t *ret_index)
{
    const struct kpid_agg *ret = NULL;
    for (size_t i = 0; i < map->n; i++) {
        const struct kpid_agg *agg = kpid_agg_find(map->keys[i]->text, map->keys[i]->len);
        if (agg && ret) {
            kpid_fault_add(&loader->faults, map->keys[i]->place,
                           "measure `%s` has two aggregations, `%s` and `%s`", measure->name, ret->name,
                           agg->name);
            kpid_fault_advise(&loader->faults, "a measure has one; make a second measure");
            return NULL;
        }
        if (agg) {
            ret = agg;
            *ret_index = i;
        }
    }
    if (!ret && !misspelt) {
        struct kpid_buf names = KPID_BUF_INIT;
        const struct kpid_agg *agg;
        for (size_t i = 0; (agg = kpid_agg_at(i)); i++)
            kpid_buf_printf(&names, "%s%s:", i ? ", " : "", agg->name);
        kpid_fault_add(&loader->faults, map->place, "measure `%s` has no aggregation", measure->name);
        kpid_fault_advise(&loader->faults, "add one of %s", names.data);
        kpid_buf_release(&names);
    }
    return ret;
}

/* True if all keys are known. */
static bool keys_check(struct kpid_loader *loader, const struct kpid_yaml *map)
{
    struct kpid_names names = {0};
    const struct kpid_agg *agg;
    size_t before = loader->faults.n_errors;
    for (size_t i = 0; (agg = kpid_agg_at(i)); i++)
        kpid_names_add(&names, agg->name);
    kpid_settings_check_keys(loader, "measures.*", map, &names);
    kpid_names_release(&names);
    return loader->faults.n_errors == before;
}

static void error_load(struct kpid_loader *loader, struct kpid_measure *measure, const struct kpid_yaml *map)
{
    double error = ERROR_DEFAULT, read;
    const struct kpid_yaml *node = kpid_yaml_get(map, "error");
    if (node && !has_quantiles(measure->agg)) {
        kpid_fault_add(&loader->faults, kpid_yaml_key(map, "error")->place,
                       "`%s` has no quantiles, so no `error`", measure->agg->name);
        kpid_fault_advise(&loader->faults, "remove the key; this aggregation is exact or has a fixed error");
    } else if (node && kpid_want_percent(loader, node, "error", &read)) {
        if (read >= 0.0001 && read <= 0.2) {
            error = read;
        } else {
            kpid_fault_add(&loader->faults, node->place, "error: %s is out of range", node->text);
            kpid_fault_advise(&loader->faults, "write a value from 0.01 %% to 20 %% (default 1 %%)");
        }
    }
    kpid_quantile_scale_init(&measure->param.quantile, error);
}

static void input_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *key,
                       struct kpid_yaml *node)
{
    if (measure->agg->keyed) {
        if (kpid_want_map(loader, node, measure->agg->name))
            kpid_keyed_load(loader, measure, node);
    } else if (measure->agg->input == KPID_INPUT_KEY) {
        kpid_top_load(loader, measure, node);
    } else if (measure->agg->input == KPID_INPUT_NONE) {
        if (kpid_yaml_is_null(node))
            return;
        kpid_fault_add(&loader->faults, node->place, "%s: takes no value", key->text);
        kpid_fault_advise(&loader->faults, "write `%s:` with nothing behind it; a condition goes to `where:`",
                          key->text);
    } else {
        kpid_expr_parse(loader, measure->source, node,
                        measure->agg->input == KPID_INPUT_NUMBER ? KPID_WANT_NUMBER : KPID_WANT_FIELD,
                        key->text, &measure->value);
    }
}

/* False: without a source nothing else of the measure can be read. */
static bool source_want(struct kpid_loader *loader, struct kpid_measure *measure, const struct kpid_yaml *map)
{
    const struct kpid_model *model = loader->model;
    const struct kpid_yaml *from = kpid_yaml_get(map, "from");
    if (!from) {
        kpid_fault_add(&loader->faults, map->place, "measure `%s` does not say `from` which source",
                       measure->name);
        kpid_fault_advise(&loader->faults, "add from: %s",
                          model->n_sources ? model->sources[0].name : "SOURCE");
        return false;
    }
    if (!kpid_want_text(loader, from, "from"))
        return false;
    int source = kpid_model_source_find(model, from->text);
    if (source < 0) {
        struct kpid_names names = {0};
        for (size_t i = 0; i < model->n_sources; i++)
            kpid_names_add(&names, model->sources[i].name);
        kpid_fault_add(&loader->faults, from->place, "there is no source `%s`", from->text);
        kpid_fault_advise_names(&loader->faults, from->text, "sources", &names);
        kpid_names_release(&names);
        return false;
    }
    measure->source = (uint32_t)source;
    return true;
}

static void by_load(struct kpid_loader *loader, size_t index, struct kpid_yaml *map)
{
    struct kpid_yaml *by = kpid_yaml_get(map, "by");
    if (!by)
        return;
    if (by->kind != KPID_YAML_LIST) {
        kpid_fault_add(&loader->faults, by->place, "by must be a list of fields, not %s",
                       kpid_yaml_kind_name(by));
        kpid_fault_advise(&loader->faults, "write by: [channel, region]");
        return;
    }
    for (size_t i = 0; i < by->n; i++)
        if (!kpid_want_text(loader, by->items[i], "by"))
            return;
    loader->measure_by[index] = by;
}

static void measure_load(struct kpid_loader *loader, size_t index, struct kpid_yaml *key,
                         struct kpid_yaml *map)
{
    struct kpid_measure *measure = &loader->model->measures[index];
    size_t at = 0;
    measure->name = kpid_strdup(key->text);
    kpid_want_name(loader, key, false, "measure");
    if (!kpid_want_map(loader, map, key->text))
        return;
    bool known = keys_check(loader, map);
    bool has_source = source_want(loader, measure, map);
    measure->agg = agg_find(loader, measure, map, !known, &at);
    by_load(loader, index, map);
    struct kpid_yaml *where = kpid_yaml_get(map, "where");
    if (has_source && where)
        kpid_expr_parse(loader, measure->source, where, KPID_WANT_CONDITION, "where", &measure->where);
    if (!has_source)
        measure->agg = NULL; /* formulas pass over it without a fault of their own */
    if (!measure->agg)
        return;
    if (measure->agg->keyed && loader->measure_by[index])
        kpid_keyed_groups_load(loader, measure, loader->measure_by[index]);
    error_load(loader, measure, map);
    input_load(loader, measure, map->keys[at], map->items[at]);
}

void kpid_measures_load(struct kpid_loader *loader, struct kpid_yaml *map)
{
    struct kpid_model *model = loader->model;
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "measures"))
        return;
    model->measures = kpid_zalloc(map->n + 1, sizeof *model->measures);
    loader->measure_by = kpid_zalloc(map->n + 1, sizeof *loader->measure_by);
    for (size_t i = 0; i < map->n; i++) {
        model->n_measures++;
        measure_load(loader, i, map->keys[i], map->items[i]);
    }
    kpid_exprs_type(loader);
    for (size_t i = 0; i < model->n_measures; i++) {
        struct kpid_measure *measure = &model->measures[i];
        if (measure->agg && measure->agg->keyed) {
            measure->param.duration = true;
        } else if (measure->agg && measure->agg->input == KPID_INPUT_KEY && measure->weight.n == 0) {
            measure->param.scale = 0;
        } else if (measure->value.n > 0) {
            const struct kpid_expr *input = measure->weight.n > 0 ? &measure->weight : &measure->value;
            const struct kpid_node *root = &input->nodes[input->n - 1];
            measure->param.scale = root->scale;
            measure->param.duration = root->dimension == KPID_DURATION_MS;
        }
    }
}
