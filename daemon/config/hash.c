/* Definition hashes: what they are made of decides which state is kept over a change of the configuration.
 * Made of normalised texts, so that spaces and the order of definitions do not count. */
#include "kpid/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kpid/config.h"
#include "keyed.h"

static uint64_t text_hash(struct kpid_buf *text)
{
    uint64_t hash = kpid_hash(text->data ? text->data : "", text->len, 0);
    kpid_buf_clear(text);
    return hash;
}

/* How a field is read decides what it holds. */
static void field_print(const struct kpid_field *field, struct kpid_buf *out)
{
    kpid_buf_printf(out, "field %s %d %d %d %d", field->name, field->kind, field->time_format, field->scale,
                    field->round);
    for (size_t i = 0; i < field->n_path; i++)
        kpid_buf_printf(out, " %s", field->path[i]);
    if (field->origin)
        kpid_buf_printf(out, " %s", field->origin);
    kpid_buf_add_char(out, '\n');
}

/* The words of the topic that stand for a type that the expression names. */
static void types_print(const struct kpid_source *source, uint32_t type_id, struct kpid_buf *out)
{
    for (size_t i = 0; i < source->n_type_map; i++)
        if (strcmp(source->type_map[i].value, source->types[type_id]) == 0)
            kpid_buf_printf(out, "type %s %s\n", source->type_map[i].key, source->type_map[i].value);
}

static void expr_print(const struct kpid_source *source, const struct kpid_expr *expr, const char *what,
                       struct kpid_buf *out)
{
    if (expr->n == 0)
        return;
    kpid_buf_printf(out, "%s %s\n", what, expr->text);
    for (size_t i = 0; i < expr->n; i++) {
        const struct kpid_node *node = &expr->nodes[i];
        if (node->op == KPID_OP_FIELD)
            field_print(&source->fields[node->slot], out);
        if (node->type_id != KPID_TYPE_OTHER)
            types_print(source, node->type_id, out);
    }
}

static void keyed_print(const struct kpid_source *source, const struct kpid_measure *measure,
                        struct kpid_buf *out)
{
    char name[32];
    expr_print(source, &measure->keyed.key, "key", out);
    for (size_t i = 0; i < measure->keyed.n_words; i++) {
        snprintf(name, sizeof name, "word%zu", i);
        expr_print(source, &measure->keyed.when[i], name, out);
    }
    kpid_keyed_row_of(measure)->print(&measure->keyed, out);
    for (size_t i = 0; i < measure->n_start_fields; i++)
        kpid_buf_printf(out, "start %s\n", measure->start_fields[i]);
}

static void measure_hash(const struct kpid_model *model, struct kpid_measure *measure, struct kpid_buf *out)
{
    const struct kpid_source *source = &model->sources[measure->source];
    kpid_buf_printf(out, "source %s\n%s %d %d %.17g\n", source->name, measure->agg->name,
                    measure->param.scale, measure->param.duration, measure->param.quantile.error);
    field_print(&source->fields[KPID_SLOT_TS], out);
    expr_print(source, &measure->where, "where", out);
    expr_print(source, &measure->value, "value", out);
    expr_print(source, &measure->weight, "weight", out);
    if (measure->param.top_k)
        kpid_buf_printf(out, "top %" PRIu32 "\n", measure->param.top_keys);
    if (measure->agg->keyed)
        keyed_print(source, measure, out);
    measure->hash = text_hash(out);
}

static void window_print(const struct kpid_window *window, struct kpid_buf *out)
{
    kpid_buf_printf(out, "window %s %d %" PRId64 " %" PRId64 " %d %d %d %s %" PRId64 "\n", window->name,
                    window->kind, window->length_ms, window->slide_ms, (int)window->period.unit,
                    window->period.week_start, window->period.fiscal_month, window->zone->name,
                    window->from_ms);
}

static void ref_print(const struct kpid_model *model, const struct kpid_ref *ref, struct kpid_buf *out)
{
    kpid_buf_printf(out, " %" PRIx64 " %d", model->measures[ref->measure].hash, ref->part);
    if (kpid_shift_is(ref->shift))
        kpid_buf_printf(out, " @ %" PRId64 " %d", ref->shift.ms, ref->shift.months);
}

static void kpi_hash(const struct kpid_model *model, struct kpid_kpi *kpi, struct kpid_buf *out)
{
    char number[KPID_DECIMAL_TEXT];
    for (size_t i = 0; i < kpi->n_formula; i++) {
        const struct kpid_formula_node *node = &kpi->formula[i];
        kpid_buf_printf(out, "%d %d %d", node->op, node->a, node->b);
        if (node->op == KPID_F_REF)
            ref_print(model, &kpi->refs[node->ref], out);
        kpid_decimal_print(node->number, number);
        kpid_buf_printf(out, " %s\n", node->op == KPID_F_NUMBER ? number : "");
    }
    for (size_t i = 0; i < kpi->n_windows; i++)
        window_print(&kpi->windows[i], out);
    for (size_t i = 0; i < kpi->n_by; i++)
        kpid_buf_printf(out, "by %s\n", kpi->by[i]);
    kpi->hash = text_hash(out);
}

static void rule_hash(const struct kpid_model *model, const struct kpid_kpi *kpi, struct kpid_rule *rule,
                      struct kpid_buf *out)
{
    kpid_buf_printf(out, "%s %" PRIx64 " %s %s %.17g %.17g %" PRId64 " %" PRId64 " %" PRIu64 " %.17g\n",
                    kpi->name, kpi->hash, kpi->windows[rule->window].name, rule->name, rule->fire,
                    rule->clear, rule->for_ms, rule->no_data_ms, rule->min_samples, rule->confidence);
    for (size_t i = 0; i < rule->n_while_firing; i++)
        kpid_buf_printf(out, "while %s\n", model->kpis[rule->while_firing[i]].name);
    for (size_t i = 0; i < rule->n_quiet; i++)
        kpid_buf_printf(out, "quiet %" PRId64 " %" PRId64 "\n", rule->quiet[i].from_ms, rule->quiet[i].to_ms);
    rule->hash = text_hash(out);
}

/* Targets, names and units are no part of a KPI's state, but of the model. */
static void kpi_print(const struct kpid_kpi *kpi, struct kpid_buf *out)
{
    kpid_buf_printf(out, "kpi %s %" PRIx64 " %s %s %s %s %d\n", kpi->name, kpi->hash, kpi->title_en,
                    kpi->title_zh, kpi->unit_text, kpi->zone->name, kpi->direction);
    for (size_t i = 0; i < kpi->n_targets; i++) {
        const struct kpid_target_row *row = &kpi->targets[i];
        kpid_buf_printf(out, "target %d %" PRId64 " %" PRId64 " %d %d %d %.17g %.17g", row->window,
                        row->from_ms, row->to_ms, row->weekdays, row->minute_from, row->minute_to,
                        row->span.low, row->span.high);
        for (size_t j = 0; row->group && j < kpi->n_by; j++)
            kpid_buf_printf(out, " %s", row->group[j] ? row->group[j] : "*");
        kpid_buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < kpi->n_rules; i++)
        kpid_buf_printf(out, "rule %" PRIx64 "\n", kpi->rules[i].hash);
}

static void lookup_print(const struct kpid_lookup *lookup, struct kpid_buf *out)
{
    kpid_buf_printf(out, "lookup %s %s %s %s %s\n", lookup->name, lookup->file ? lookup->file : "",
                    lookup->key ? lookup->key : "", lookup->pattern ? lookup->pattern : "",
                    lookup->missing ? lookup->missing : "");
}

void kpid_model_hash(struct kpid_model *model)
{
    struct kpid_buf text = KPID_BUF_INIT;
    for (size_t i = 0; i < model->n_measures; i++)
        measure_hash(model, &model->measures[i], &text);
    for (size_t i = 0; i < model->n_kpis; i++) {
        kpi_hash(model, &model->kpis[i], &text);
        for (size_t j = 0; j < model->kpis[i].n_rules; j++)
            rule_hash(model, &model->kpis[i], &model->kpis[i].rules[j], &text);
    }
    for (size_t i = 0; i < model->n_sources; i++) {
        const struct kpid_source *source = &model->sources[i];
        kpid_buf_printf(&text, "source %s %" PRId64 " %" PRId64 " %" PRId64 "\n", source->name,
                        source->out_of_order_ms, source->allowed_lateness_ms, source->dedup_horizon_ms);
        for (size_t j = 0; j < source->n_topics; j++)
            kpid_buf_printf(&text, "topic %s\n", source->topics[j]);
    }
    for (size_t i = 0; i < model->n_measures; i++)
        kpid_buf_printf(&text, "measure %s %" PRIx64 "\n", model->measures[i].name, model->measures[i].hash);
    for (size_t i = 0; i < model->n_kpis; i++)
        kpi_print(&model->kpis[i], &text);
    for (size_t i = 0; i < model->n_lookups; i++)
        lookup_print(&model->lookups[i], &text);
    model->hash = text_hash(&text);
    kpid_buf_release(&text);
}
