/* What the engine needs beside the definitions: groupings, the measures of a source by type of event, limits.
 * The ladders are made in plan_rungs.c. */
#include "formula.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS  INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)

bool kpid_kpi_uses(const struct kpid_kpi *kpi, size_t measure)
{
    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++)
        if (kpi->refs[i].measure == measure)
            return true;
    return false;
}

/* ---- groupings
 * ----------------------------------------------------------------------------------------------- */

static int slot_find(const struct kpid_source *source, const char *name)
{
    for (size_t i = 0; i < source->n_fields; i++)
        if (strcmp(source->fields[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The index of the fields' grouping in the source, made when it is new. Takes `slots`. */
static uint16_t grouping_add(struct kpid_source_plan *plan, uint16_t *slots, size_t n)
{
    for (size_t i = 0; i < plan->n_groupings; i++)
        if (plan->groupings[i].n == n &&
            (n == 0 || memcmp(plan->groupings[i].slots, slots, n * sizeof *slots) == 0)) {
            free(slots);
            return (uint16_t)i;
        }
    plan->groupings = kpid_realloc(plan->groupings, (plan->n_groupings + 1) * sizeof *plan->groupings);
    plan->groupings[plan->n_groupings] = (struct kpid_grouping){slots, n};
    return (uint16_t)plan->n_groupings++;
}

/* Whether a KPI's groups come from the event that starts the measure: all do or none does (kpi.c). */
static bool from_start(const struct kpid_measure *measure, const struct kpid_kpi *kpi)
{
    for (size_t i = 0; i < measure->n_start_fields; i++)
        if (strcmp(measure->start_fields[i], kpi->by[0]) == 0)
            return true;
    return false;
}

static void measure_group(struct kpid_measure *measure, uint16_t grouping, bool start)
{
    for (size_t i = 0; i < measure->n_groupings; i++)
        if (measure->groupings[i] == grouping)
            return;
    measure->groupings =
        kpid_realloc(measure->groupings, (measure->n_groupings + 1) * sizeof *measure->groupings);
    measure->from_start |= (uint64_t)start << measure->n_groupings;
    measure->groupings[measure->n_groupings++] = grouping;
}

static void groupings_plan(struct kpid_model *model, size_t index)
{
    struct kpid_measure *measure = &model->measures[index];
    struct kpid_source_plan *plan = &model->plans[measure->source];
    const struct kpid_source *source = &model->sources[measure->source];
    measure_group(measure, 0, false);
    for (size_t i = 0; i < model->n_kpis; i++) {
        const struct kpid_kpi *kpi = &model->kpis[i];
        if (kpi->n_by == 0 || !kpid_kpi_uses(kpi, index))
            continue;
        uint16_t *slots = kpid_zalloc(kpi->n_by, sizeof *slots);
        for (size_t j = 0; j < kpi->n_by; j++)
            slots[j] = (uint16_t)slot_find(source, kpi->by[j]);
        measure_group(measure, grouping_add(plan, slots, kpi->n_by), from_start(measure, kpi));
    }
}

/* ---- dispatch by type
 * ---------------------------------------------------------------------------------------- */

/* Marks in `can` the types for which the condition may hold; what is not known may. True: the type alone decides, so it
 * holds for those marked and fails for the others, whatever else the event says. */
static bool types_find(const struct kpid_expr *expr, int index, size_t n_types, bool *can)
{
    const struct kpid_node *node = &expr->nodes[index];
    bool *right, decided;
    memset(can, true, n_types * sizeof *can);
    switch (node->op) {
    case KPID_OP_AND:
    case KPID_OP_OR:
        right = kpid_zalloc(n_types, sizeof *right);
        decided = types_find(expr, node->a, n_types, can);
        decided = types_find(expr, node->b, n_types, right) && decided;
        for (size_t i = 0; i < n_types; i++)
            can[i] = node->op == KPID_OP_AND ? can[i] && right[i] : can[i] || right[i];
        free(right);
        return decided;
    case KPID_OP_NOT:
        decided = types_find(expr, node->a, n_types, can);
        for (size_t i = 0; i < n_types; i++)
            can[i] = !decided || !can[i];
        return decided;
    case KPID_OP_EQ:
    case KPID_OP_NE:
        if (!node->by_type)
            return false;
        memset(can, node->op == KPID_OP_NE, n_types * sizeof *can);
        can[node->type_id] = node->op == KPID_OP_EQ;
        return true;
    case KPID_OP_IN:
        if (!node->by_type)
            return false;
        memset(can, false, n_types * sizeof *can);
        for (int i = node->list_first; i < node->list_first + node->list_n; i++)
            can[expr->nodes[i].type_id] = true;
        return true;
    case KPID_OP_BOOL: memset(can, node->boolean, n_types * sizeof *can); return true;
    default: return false;
    }
}

static bool expr_types(const struct kpid_expr *expr, size_t n_types, bool *can)
{
    if (expr->n > 0)
        return types_find(expr, (int)expr->n - 1, n_types, can);
    memset(can, true, n_types * sizeof *can);
    return true;
}

/* What each type means to one measure: [type_id]. A condition of a keyed one that no type decides is tested even where
 * it can't hold: what is wrong in it is counted. */
static void measure_dispatch(const struct kpid_measure *measure, size_t n_types, struct kpid_candidate *ret, bool *can)
{
    bool decided = expr_types(&measure->where, n_types, can);
    for (size_t type = 0; type < n_types; type++)
        ret[type].outcome = !can[type] ? KPID_CANDIDATE_NEVER : decided ? KPID_CANDIDATE_HOLDS : KPID_CANDIDATE_OPEN;
    if (!measure->agg || !measure->agg->keyed || measure->keyed.n_words == 0)
        return;
    bool *any = kpid_zalloc(n_types, sizeof *any);
    for (size_t word = 0; word < measure->keyed.n_words; word++) {
        if (measure->keyed.when[word].n == 0)
            continue;
        decided = expr_types(&measure->keyed.when[word], n_types, can);
        for (size_t type = 0; type < n_types; type++) {
            any[type] |= can[type];
            ret[type].words |= (uint32_t)(decided && can[type]) << word;
            ret[type].open |= (uint32_t)!decided << word;
        }
    }
    for (size_t type = 0; type < n_types; type++)
        if (!any[type])
            ret[type].outcome = KPID_CANDIDATE_NEVER;
    free(any);
}

static void dispatch_plan(struct kpid_model *model, size_t index)
{
    const struct kpid_source *source = &model->sources[index];
    struct kpid_source_plan *plan = &model->plans[index];
    plan->by_type = kpid_zalloc(source->n_types, sizeof *plan->by_type);
    plan->n_by_type = kpid_zalloc(source->n_types, sizeof *plan->n_by_type);
    plan->measures = kpid_zalloc(model->n_measures + 1, sizeof *plan->measures);
    for (size_t i = 0; i < source->n_types; i++)
        plan->by_type[i] = kpid_zalloc(model->n_measures + 1, sizeof **plan->by_type);
    bool *can = kpid_zalloc(source->n_types, sizeof *can);
    struct kpid_candidate *candidates = kpid_alloc(source->n_types * sizeof *candidates);
    for (uint32_t i = 0; i < model->n_measures; i++) {
        if (model->measures[i].source != index)
            continue;
        for (size_t j = 0; j < source->n_types; j++)
            candidates[j] = (struct kpid_candidate){.place = (uint32_t)plan->n_measures};
        plan->measures[plan->n_measures++] = i;
        measure_dispatch(&model->measures[i], source->n_types, candidates, can);
        for (size_t j = 0; j < source->n_types; j++)
            if (candidates[j].outcome != KPID_CANDIDATE_NEVER)
                plan->by_type[j][plan->n_by_type[j]++] = candidates[j];
    }
    free(candidates);
    free(can);
}

/* ---- limits
 * -------------------------------------------------------------------------------------------------- */

int64_t kpid_window_longest(const struct kpid_window *window)
{
    static const int64_t calendar[] = {[KPID_CALENDAR_DAY] = DAY_MS + HOUR_MS,
                                       [KPID_CALENDAR_WEEK] = 7 * DAY_MS + HOUR_MS,
                                       [KPID_CALENDAR_MONTH] = 31 * DAY_MS + HOUR_MS,
                                       [KPID_CALENDAR_QUARTER] = 92 * DAY_MS + HOUR_MS,
                                       [KPID_CALENDAR_YEAR] = 366 * DAY_MS + HOUR_MS};
    return window->kind == KPID_WINDOW_ROLLING    ? window->length_ms
           : window->kind == KPID_WINDOW_CALENDAR ? calendar[window->period.unit]
                                                  : 0;
}

static int64_t earlier_longest(const struct kpid_model *model, const struct kpid_kpi *kpi, uint32_t source)
{
    int64_t furthest = 0;
    for (size_t i = 0; i < kpi->n_refs; i++) {
        int64_t span = model->measures[kpi->refs[i].measure].source == source
                           ? kpid_earlier_span(kpi, kpi->refs[i].measure)
                           : 0;
        furthest = span > furthest ? span : furthest;
    }
    return furthest;
}

static void limits_plan(struct kpid_model *model, uint32_t index)
{
    struct kpid_source_plan *plan = &model->plans[index];
    int64_t tightest = KPID_FOREVER;
    for (size_t i = 0; i < model->n_kpis; i++) {
        const struct kpid_kpi *kpi = &model->kpis[i];
        for (size_t j = 0; j < kpi->n_sources; j++) {
            if (kpi->sources[j] != index)
                continue;
            for (size_t k = 0; k < kpi->n_windows; k++) {
                const struct kpid_window *window = &kpi->windows[k];
                int64_t step = window->kind == KPID_WINDOW_ROLLING ? window->slide_ms : kpi->judge_every_ms;
                tightest = step < tightest ? step : tightest;
                int64_t length = kpid_window_longest(window) + earlier_longest(model, kpi, index);
                plan->longest_window_ms = length > plan->longest_window_ms ? length : plan->longest_window_ms;
            }
        }
    }
    plan->tightest_slide_ms = tightest == KPID_FOREVER ? KPID_JUDGE_MS : tightest;
}

void kpid_model_plan(struct kpid_loader *loader)
{
    struct kpid_model *model = loader->model;
    model->plans = kpid_zalloc(model->n_sources + 1, sizeof *model->plans);
    for (size_t i = 0; i < model->n_sources; i++)
        grouping_add(&model->plans[i], NULL, 0);
    for (size_t i = 0; i < model->n_measures; i++) {
        groupings_plan(model, i);
        kpid_rungs_plan(model, i);
    }
    for (uint32_t i = 0; i < model->n_sources; i++) {
        dispatch_plan(model, i);
        limits_plan(model, i);
    }
}
