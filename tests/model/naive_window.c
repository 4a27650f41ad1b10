/* A window, worked out by scanning what lies in it. */
#include "naive.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct naive *naive, int64_t ts_ms, int64_t width_ms, size_t n)
{
    if (ts_ms <= naive->world->begin_ms)
        return 0;
    size_t slot = (size_t)((ts_ms - naive->world->begin_ms) / width_ms);
    return slot < n ? slot : n - 1;
}

static void keep_value(struct naive_window *window, uint32_t row, int64_t value, wide weight)
{
    if (!window->wants_values)
        return;
    if (window->n_values == window->cap_values) {
        window->cap_values = window->cap_values ? window->cap_values * 2 : 256;
        window->values = kpid_realloc(window->values, window->cap_values * sizeof(*window->values));
    }
    window->values[window->n_values++] = (struct naive_value){ value, weight, row };
}

static void add_value(struct naive_cell *cell, int64_t value)
{
    if (!cell->n || value < cell->min)
        cell->min = value;
    if (!cell->n || value > cell->max)
        cell->max = value;
    cell->n++;
    cell->sum += value;
    cell->squares += (wide)value * value;
}

/* `last`: the greatest (time, topic, partition, offset). Logs lie by topic and partition, and offsets ascend in one. */
static uint64_t place_of(const struct naive *naive, const struct event *e)
{
    for (uint64_t i = 0; i < LOGS; i++) {
        const struct log *log = &naive->world->logs[i];
        if (e >= log->events && e < log->events + log->n)
            return i << 40 | (uint64_t)(e - log->events);
    }
    return 0;
}

/* A key of a list: what weighs nothing is counted, and on no list. */
static void count_key(const struct event *e, uint32_t row, int64_t key, struct naive_window *window)
{
    struct naive_cell *cell = &window->cells[row];
    int64_t weight = window->measure == REFUNDS ? e->amount : 1;

    cell->negative += weight < 0;
    cell->n += weight >= 0;
    cell->sum += weight > 0 ? weight : 0;
    if (weight > 0)
        keep_value(window, row, key, weight);
}

static void count_event(struct naive *naive, unsigned by, const struct event *e, struct naive_window *window)
{
    int64_t value;

    if (naive_reads(window->measure, e, &value) != COUNTS)
        return;
    unsigned row = naive_row(by, e);
    struct naive_cell *cell = &window->cells[row];
    if (naive_measures[window->measure].shape == SHAPE_TOP) {
        count_key(e, row, value, window);
        return;
    }
    add_value(cell, value);
    keep_value(window, row, value, 0);
    if (naive_measures[window->measure].shape != SHAPE_LAST)
        return;
    uint64_t place = place_of(naive, e);
    if (cell->n == 1 || e->ts_ms > cell->last_ts_ms || (e->ts_ms == cell->last_ts_ms && place > cell->last_place)) {
        cell->last = value;
        cell->last_ts_ms = e->ts_ms;
        cell->last_place = place;
    }
}

static void count_events(struct naive *naive, unsigned by, int64_t start_ms, int64_t boundary_ms,
                         struct naive_window *window)
{
    enum source source = naive_measures[window->measure].source;

    for (size_t s = slot_of(naive, start_ms, NAIVE_SLOT, naive->n_slots),
                end = slot_of(naive, boundary_ms, NAIVE_SLOT, naive->n_slots);
         s <= end; s++)
        for (uint32_t i = 0; i < naive->slots[source][s].n; i++) {
            const struct event *e = naive->slots[source][s].events[i];
            if (e->counted == KPID_CLASS_COUNTED && e->ts_ms >= start_ms && e->ts_ms < boundary_ms)
                count_event(naive, by, e, window);
        }
}

/* ---- clocks ---- */

static void count_outcomes(struct naive *naive, unsigned by, int64_t start_ms, int64_t boundary_ms,
                           struct naive_window *window)
{
    const struct naive_clock *clock = &naive->clocks[window->measure];

    for (size_t s = slot_of(naive, start_ms, NAIVE_MINUTE, naive->n_minutes),
                end = slot_of(naive, boundary_ms, NAIVE_MINUTE, naive->n_minutes);
         s <= end; s++)
        for (uint32_t i = 0; i < clock->slots[s].n; i++) {
            const struct naive_outcome *o = &clock->slots[s].at[i];
            struct naive_cell *cell = &window->cells[o->rows[by]];
            if (o->ts_ms < start_ms || o->ts_ms >= boundary_ms)
                continue;
            if (o->kind == TOOK) {
                add_value(cell, o->value);
                keep_value(window, o->rows[by], o->value, 0);
            }
            cell->met += o->kind == MET;
            cell->missed += o->kind == MISSED;
            cell->begun += o->kind == BEGUN;
            cell->said += o->kind == SAID ? o->value : 0;
            cell->bounces += o->kind == SAID && o->value == 1;
        }
}

/* Of what is open at the boundary, when the oldest was opened. Nothing was open for longer than the longest one. */
static void find_oldest(struct naive *naive, unsigned by, int64_t boundary_ms, struct naive_window *window)
{
    const struct naive_clock *clock = &naive->clocks[window->measure];

    for (unsigned row = 0; row < naive_rows(by); row++)
        window->cells[row].oldest_ms = KPID_FOREVER;
    if (!clock->asks_oldest)
        return;
    for (size_t s = slot_of(naive, boundary_ms - clock->longest_ms, NAIVE_MINUTE, naive->n_minutes),
                end = slot_of(naive, boundary_ms, NAIVE_MINUTE, naive->n_minutes);
         s <= end; s++)
        for (uint32_t i = 0; i < clock->slots[s].n; i++) {
            const struct naive_outcome *o = &clock->slots[s].at[i];
            int64_t *oldest = &window->cells[o->rows[by]].oldest_ms;
            if (o->kind == SPAN && o->ts_ms < boundary_ms && o->value >= boundary_ms && o->ts_ms < *oldest)
                *oldest = o->ts_ms;
        }
}

/* Steps before the boundary, which is a full minute. */
static int64_t level_at(const struct naive *naive, const int32_t *tree, int64_t boundary_ms)
{
    int64_t level = 0, minute = (boundary_ms - naive->world->begin_ms) / NAIVE_MINUTE;

    if (!tree || boundary_ms <= naive->world->begin_ms)
        return 0;
    for (size_t i = (size_t)minute < naive->n_minutes ? (size_t)minute : naive->n_minutes; i > 0; i &= i - 1)
        level += tree[i];
    return level;
}

/* ---- the window ---- */

static int compare_values(const void *a, const void *b)
{
    const struct naive_value *x = a, *y = b;

    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* The values of one key become one, with all its weight. */
static void join_keys(struct naive_window *window)
{
    size_t n = 0;

    for (size_t i = 0; i < window->n_values; i++) {
        struct naive_value *last = n ? &window->values[n - 1] : NULL;
        const struct naive_value *v = &window->values[i];
        if (last && last->row == v->row && last->value == v->value)
            last->weight += v->weight;
        else
            window->values[n++] = *v;
    }
    window->n_values = n;
}

void naive_window_count(struct naive *naive, enum measure measure, unsigned by, int64_t start_ms, int64_t boundary_ms,
                        struct naive_window *window)
{
    const struct naive_measure *def = &naive_measures[measure];

    memset(window->cells, 0, naive_rows(by) * sizeof(*window->cells));
    window->n_values = 0;
    window->measure = measure;
    window->naive = naive;
    window->boundary_ms = boundary_ms;
    window->wants_values = def->shape == SHAPE_QUANTILES || def->shape == SHAPE_DISTINCT || def->shape == SHAPE_TOP ||
                           naive_is_keyed(measure);
    if (naive_is_keyed(measure)) {
        count_outcomes(naive, by, start_ms, boundary_ms, window);
        find_oldest(naive, by, boundary_ms, window);
        for (unsigned row = 0; row < naive_rows(by); row++) {
            window->cells[row].open = level_at(naive, naive->clocks[measure].levels[0][by][row], boundary_ms);
            window->cells[row].due = level_at(naive, naive->clocks[measure].levels[2][by][row], boundary_ms);
            window->cells[row].breached = level_at(naive, naive->clocks[measure].levels[1][by][row], boundary_ms);
        }
    } else {
        count_events(naive, by, start_ms, boundary_ms, window);
    }
    if (window->n_values)
        qsort(window->values, window->n_values, sizeof(*window->values), compare_values);
    if (def->shape == SHAPE_TOP)
        join_keys(window);
    for (size_t i = 0, from = 0; i < window->n_values; i++) {
        uint32_t row = window->values[i].row;
        if (i == 0 || window->values[i - 1].row != row)
            from = i;
        window->cells[row].first = from;
        window->cells[row].end = i + 1;
    }
}

void naive_window_release(struct naive_window *window)
{
    free(window->values);
    memset(window, 0, sizeof(*window));
}

size_t naive_events_between(const struct naive *naive, enum source source, int64_t start_ms, int64_t end_ms)
{
    size_t n = 0;

    for (size_t s = slot_of(naive, start_ms, NAIVE_SLOT, naive->n_slots),
                end = slot_of(naive, end_ms, NAIVE_SLOT, naive->n_slots);
         s <= end; s++)
        n += naive->slots[source][s].n;
    return n;
}

bool naive_alive(const struct naive *naive, enum source source, int64_t after_ms, int64_t until_ms)
{
    for (size_t end = slot_of(naive, until_ms, NAIVE_SLOT, naive->n_slots) + 1,
                low = slot_of(naive, after_ms, NAIVE_SLOT, naive->n_slots);
         end-- > low;)
        for (uint32_t i = 0; i < naive->slots[source][end].n; i++) {
            const struct event *e = naive->slots[source][end].events[i];
            if (e->ts_ms > after_ms && e->ts_ms <= until_ms)
                return true;
        }
    return false;
}
