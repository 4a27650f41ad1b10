/*
 * Windows one step apart share most of their panes. Aggregates can be merged and never taken apart, so what they share
 * is kept in two parts (two stacks make a queue, each holding sums of its own):
 *
 *      back[0] |------------------|                 front
 *        back[1] |----------------|.................>
 *          back[2] |--------------|
 *                                 middle            boundary
 *
 * back[i] is everything from the i-th start to the middle; front grows with the boundary. A window is its back and the
 * front: two merges a row. When starts have reached the middle, the boundary becomes the middle, and a new back is built
 * from the right, one pane more for each start. Windows that all begin at the same instant have the front alone.
 *
 * Merging is commutative and associative bit for bit (kpid/agg.h), so figures are those of a window gathered alone.
 */
#include "gather.h"

#include <stdlib.h>
#include <string.h>

#define STARTS_MAX 128         /* of one back */
#define WINDOWS_MIN 3          /* fewer are not worth it */
#define ROWS_MAX   256         /* groups; and: */
#define BYTES_MAX  (4u << 20)  /* of a series, with the heap of its cells */

/* A cell for each of the series' first n rows; zeroed where nothing was merged. */
struct sum {
    uint8_t *cells;
    bool *present;
    uint32_t n;
};

struct kpid_series {
    const struct kpid_measure *def; /* NULL: nothing is kept */
    bool too_large;                 /* nothing is kept, and this series shall not be tried again */
    uint16_t grouping;
    int64_t step_ms, length_ms, start_ms /* of back[0]; or of all */, middle_ms, boundary_ms;
    uint64_t epoch;
    struct row *rows;
    uint32_t n_rows, cap_rows;
    struct sum back[STARTS_MAX], front;
    size_t n_back, bytes;
};

/* ---- sums ---- */

static void *sum_cell(struct kpid_series *series, struct sum *sum, uint32_t row)
{
    size_t cell_bytes = series->def->agg->cell_bytes;

    if (row >= sum->n) {
        uint32_t n = series->n_rows > row ? series->n_rows : row + 1;
        sum->cells = kpid_realloc(sum->cells, n * cell_bytes);
        sum->present = kpid_realloc(sum->present, n * sizeof(*sum->present));
        memset(sum->cells + sum->n * cell_bytes, 0, (n - sum->n) * cell_bytes);
        memset(sum->present + sum->n, 0, (n - sum->n) * sizeof(*sum->present));
        series->bytes += (n - sum->n) * (cell_bytes + sizeof(*sum->present));
        sum->n = n;
    }
    sum->present[row] = true;
    return sum->cells + row * cell_bytes;
}

static void sum_merge(struct kpid_series *series, struct sum *into, uint32_t row, const void *from)
{
    const struct kpid_agg *agg = series->def->agg;
    void *cell = sum_cell(series, into, row);

    if (agg->heap_bytes)
        series->bytes -= agg->heap_bytes(cell);
    agg->merge(cell, from, &series->def->param);
    if (agg->heap_bytes)
        series->bytes += agg->heap_bytes(cell);
}

static void sum_release(struct kpid_series *series, struct sum *sum)
{
    const struct kpid_agg *agg = series->def->agg;

    for (uint32_t i = 0; agg->release && i < sum->n; i++)
        agg->release(sum->cells + i * agg->cell_bytes);
    free(sum->cells);
    free(sum->present);
    *sum = (struct sum){ 0 };
}

static void series_clear(struct kpid_series *series)
{
    if (!series->def)
        return;
    for (size_t i = 0; i < series->n_back; i++)
        sum_release(series, &series->back[i]);
    sum_release(series, &series->front);
    series->n_back = series->n_rows = 0;
    series->bytes = 0;
    series->def = NULL;
    series->too_large = false;
}

void kpid_gather_forget(struct kpid_gather *g)
{
    if (!g->series)
        return;
    series_clear(g->series);
    free(g->series->rows);
    free(g->series);
    g->series = NULL;
}

void kpid_gather_series(struct kpid_gather *g, int64_t step_ms, int64_t length_ms, int64_t until_ms)
{
    g->next.step_ms = step_ms;
    g->next.length_ms = length_ms;
    g->next.until_ms = until_ms;
}

/* ---- rows ---- */

/* The series' row of a row of the gather; the i-th is most often the i-th. */
static uint32_t series_row(struct kpid_series *series, const struct row *row, uint32_t hint)
{
    for (uint32_t i = 0; i < series->n_rows; i++) {
        uint32_t at = (hint + i) % series->n_rows;
        const struct row *known = &series->rows[at];
        if (!known->name || !row->name) {
            if (!known->name && !row->name)
                return at;
            continue;
        }
        if (known->hash == row->hash && known->len == row->len && !memcmp(known->name, row->name, row->len))
            return at;
    }
    if (series->n_rows == series->cap_rows) {
        series->cap_rows = series->cap_rows ? series->cap_rows * 2 : 16;
        series->rows = kpid_realloc(series->rows, series->cap_rows * sizeof(*series->rows));
    }
    series->rows[series->n_rows] = *row;
    return series->n_rows++;
}

/* Merges all panes in [from, to) of all shards into a sum; false: some are not kept any more. */
static bool merge_panes(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards, size_t measure_index,
                        int64_t from_ms, int64_t to_ms, struct sum *into)
{
    struct kpid_series *series = g->series;

    gather_restart(g, series->def, series->grouping);
    for (size_t s = 0; s < n_shards; s++) {
        size_t place = gather_place(series->def, series->grouping), rung;
        if (place < series->def->n_groupings &&
            !gather_panes(g, shards[s], measure_index, place, from_ms, to_ms, &rung))
            return false;
    }
    for (uint32_t i = 0; i < g->n && i <= ROWS_MAX; i++)
        sum_merge(series, into, series_row(series, &g->rows[i], i), g->cells + i * g->cell_bytes);
    series->too_large = series->bytes > BYTES_MAX || series->n_rows > ROWS_MAX;
    return !series->too_large;
}

static void fill_from(struct kpid_gather *g, const struct sum *sum)
{
    struct kpid_series *series = g->series;

    for (uint32_t i = 0; i < sum->n; i++) {
        if (!sum->present[i])
            continue;
        const struct row *row = &series->rows[i];
        uint32_t into = gather_row(g, row->name, row->len, row->hash);
        g->agg->merge(g->cells + into * g->cell_bytes, sum->cells + i * g->cell_bytes, g->param);
    }
}

/* ---- the series ---- */

/* Backs for the next `n` starts, from the last one to the first. */
static bool build_back(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards, size_t measure_index,
                       size_t n)
{
    struct kpid_series *series = g->series;
    int64_t to_ms = series->middle_ms;

    series->n_back = n;
    for (size_t i = n; i-- > 0;) {
        int64_t from_ms = series->start_ms + (int64_t)i * series->step_ms;
        if (!merge_panes(g, shards, n_shards, measure_index, from_ms, to_ms, &series->back[i]))
            return false;
        for (uint32_t row = 0; i + 1 < n && row < series->back[i + 1].n; row++)
            if (series->back[i + 1].present[row])
                sum_merge(series, &series->back[i], row,
                          series->back[i + 1].cells + row * series->def->agg->cell_bytes);
        to_ms = from_ms;
    }
    return true;
}

static bool series_begin(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards,
                         size_t measure_index, int64_t start_ms, int64_t boundary_ms)
{
    struct kpid_series *series = g->series;
    const struct kpid_measure *def = shards[0]->measures[measure_index].def;
    int64_t windows = (g->next.until_ms - boundary_ms) / g->next.step_ms + 1, n = g->next.length_ms / g->next.step_ms;
    bool rolling = g->next.length_ms != KPID_FOREVER;

    series_clear(series);
    if (windows < WINDOWS_MIN || (rolling && (g->next.length_ms % g->next.step_ms || n > STARTS_MAX)))
        return false;
    series->def = def;
    series->grouping = g->grouping;
    series->step_ms = g->next.step_ms;
    series->length_ms = g->next.length_ms;
    series->start_ms = start_ms;
    series->middle_ms = rolling ? boundary_ms : start_ms;
    if (rolling)
        return build_back(g, shards, n_shards, measure_index, (size_t)(windows < n ? windows : n));
    return merge_panes(g, shards, n_shards, measure_index, start_ms, boundary_ms, &series->front);
}

static uint64_t epochs(struct kpid_shard *const *shards, size_t n_shards, size_t measure_index)
{
    uint64_t sum = 0;

    for (size_t s = 0; s < n_shards; s++)
        sum += shards[s]->measures[measure_index].epoch;
    return sum;
}

static bool series_same(const struct kpid_gather *g, const struct kpid_measure *def)
{
    const struct kpid_series *series = g->series;

    return series->def == def && series->grouping == g->grouping && series->step_ms == g->next.step_ms &&
           series->length_ms == g->next.length_ms;
}

/* Whether this window follows from what is kept. */
static bool series_goes_on(const struct kpid_series *series, uint64_t epoch, int64_t start_ms, int64_t boundary_ms)
{
    if (series->epoch != epoch || boundary_ms <= series->boundary_ms ||
        (boundary_ms - series->boundary_ms) % series->step_ms)
        return false;
    if (series->length_ms == KPID_FOREVER)
        return start_ms == series->start_ms;
    return start_ms < series->start_ms + (int64_t)series->n_back * series->step_ms;
}

bool gather_series_fill(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards,
                        size_t measure_index, int64_t start_ms, int64_t boundary_ms)
{
    const struct kpid_measure *def = shards[0]->measures[measure_index].def;
    uint64_t epoch = epochs(shards, n_shards, measure_index);
    bool good;

    if (!g->next.step_ms)
        return false;
    if (!g->series)
        g->series = kpid_zalloc(1, sizeof(*g->series));
    struct kpid_series *series = g->series;
    bool same = series_same(g, def);
    if (same && series->too_large)
        good = false;
    else if (same && series_goes_on(series, epoch, start_ms, boundary_ms))
        good = merge_panes(g, shards, n_shards, measure_index, series->boundary_ms, boundary_ms, &series->front);
    else
        good = series_begin(g, shards, n_shards, measure_index, start_ms, boundary_ms);
    g->next.step_ms = 0;
    if (!good) {
        bool too_large = series->too_large;
        series_clear(series);
        series->def = too_large ? def : NULL;
        series->too_large = too_large;
        return false;
    }
    series->boundary_ms = boundary_ms;
    series->epoch = epoch;
    for (size_t s = 0; s < n_shards; s++)
        if (shards[s]->measures[measure_index].gathered_ms < boundary_ms)
            shards[s]->measures[measure_index].gathered_ms = boundary_ms;
    gather_restart(g, def, series->grouping);
    if (series->n_back)
        fill_from(g, &series->back[(start_ms - series->start_ms) / series->step_ms]);
    fill_from(g, &series->front);
    return true;
}
