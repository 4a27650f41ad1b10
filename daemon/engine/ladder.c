/*
 * The ladder: how panes of one measure are filled, merged upward and released.
 *
 *   rung 0   |.|.|.|.|.|.|.|.|.|.|.|.|      every event, narrow panes
 *   rung 1   |.....|.....|.....|            filled from rung 0 up to its mark `merged`
 *   day      |...................|          likewise; holds what lies before `merged`, so an open period grows
 *                              ^ merged
 *
 * An event behind a rung's mark is added to that rung too, so below its mark each rung is complete whatever came
 * late, and when panes are merged makes no difference to any figure.
 */
#include "core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int64_t floor_to(int64_t value, int64_t width)
{
    int64_t rest = value % width;
    return value - rest - (rest < 0 ? width : 0);
}

int64_t kpid_rung_start(const struct kpid_rung *rung, int64_t ts_ms)
{
    switch (rung->kind) {
    case KPID_RUNG_FIXED: return floor_to(ts_ms, rung->width_ms);
    case KPID_RUNG_CALENDAR: return kpid_zone_period_start(rung->zone, rung->period, ts_ms);
    default: return rung->from_ms;
    }
}

int64_t kpid_rung_end(const struct kpid_rung *rung, int64_t start_ms)
{
    switch (rung->kind) {
    case KPID_RUNG_FIXED: return start_ms + rung->width_ms;
    case KPID_RUNG_CALENDAR: return kpid_zone_period_next(rung->zone, rung->period, start_ms);
    default: return KPID_FOREVER;
    }
}

/* ---- lists ---- */

size_t kpid_list_lower(const struct kpid_pane_list *list, int64_t start_ms)
{
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[list->head + middle]->start_ms < start_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct kpid_pane *kpid_list_find(const struct kpid_pane_list *list, int64_t start_ms)
{
    size_t at = kpid_list_lower(list, start_ms);

    if (at < list->n && list->at[list->head + at]->start_ms == start_ms)
        return list->at[list->head + at];
    return NULL;
}

struct kpid_pane *kpid_list_make(struct kpid_shard *shard, struct kpid_pane_list *list, int64_t start_ms)
{
    size_t at = list->n && list->at[list->head + list->n - 1]->start_ms < start_ms ? list->n
                                                                                   : kpid_list_lower(list, start_ms);
    if (at < list->n && list->at[list->head + at]->start_ms == start_ms) {
        list->last = at;
        return list->at[list->head + at];
    }
    if (list->head + list->n == list->cap) {
        if (list->head > list->n) {
            memmove(list->at, list->at + list->head, list->n * sizeof(struct kpid_pane *));
        } else {
            list->cap = list->cap ? list->cap * 2 : 4;
            struct kpid_pane **grown = kpid_alloc(list->cap * sizeof(struct kpid_pane *));
            if (list->n)
                memcpy(grown, list->at + list->head, list->n * sizeof(struct kpid_pane *));
            free(list->at);
            list->at = grown;
        }
        list->head = 0;
    }
    struct kpid_pane **place = list->at + list->head + at;
    memmove(place + 1, place, (list->n - at) * sizeof(struct kpid_pane *));
    *place = kpid_pane_new(start_ms);
    list->n++;
    list->last = at;
    shard->n.panes++;
    return *place;
}

void kpid_pane_mark(struct kpid_shard *shard, uint32_t measure, uint32_t list, struct kpid_pane *pane,
                    uint32_t position)
{
    pane->dirty[position / 8] = (uint8_t)(pane->dirty[position / 8] | 1u << position % 8);
    if (pane->listed)
        return;
    if (shard->n_dirty == shard->cap_dirty) {
        shard->cap_dirty = shard->cap_dirty ? shard->cap_dirty * 2 : 64;
        shard->dirty = kpid_realloc(shard->dirty, shard->cap_dirty * sizeof(*shard->dirty));
    }
    shard->dirty[shard->n_dirty++] = (struct kpid_dirty_pane){ pane, measure, list };
    pane->listed = (uint32_t)shard->n_dirty;
}

static size_t cell_heap(const struct kpid_measure_state *m, const void *cell)
{
    return m->def->agg->heap_bytes ? m->def->agg->heap_bytes(cell) : 0;
}

static size_t pane_heap(const struct kpid_measure_state *m, const struct kpid_pane *pane)
{
    size_t bytes = 0;

    for (uint32_t i = 0; m->def->agg->heap_bytes && i < pane->n; i++)
        bytes += m->def->agg->heap_bytes(pane->cells + (size_t)i * m->def->agg->cell_bytes);
    return bytes;
}

/* Frees a pane that may still stand in the list of dirty ones. */
static void ladder_free_pane(struct kpid_shard *shard, struct kpid_measure_state *m, size_t grouping,
                             struct kpid_pane *pane)
{
    if (pane->listed)
        shard->dirty[pane->listed - 1].pane = NULL;
    m->cells -= pane->n;
    m->heap_bytes -= pane_heap(m, pane);
    shard->n.panes--;
    kpid_pane_free(pane, m->def->agg, &shard->groups[m->def->groupings[grouping]]);
}

void kpid_lists_release(struct kpid_shard *shard, struct kpid_measure_state *m)
{
    for (size_t g = 0; g < m->def->n_groupings; g++)
        for (size_t r = 0; r < m->def->n_rungs; r++) {
            struct kpid_pane_list *list = kpid_list(m, g, r);
            for (size_t i = 0; i < list->n; i++)
                kpid_pane_free(list->at[list->head + i], m->def->agg, NULL);
            kpid_pane_free(list->base, m->def->agg, NULL);
            free(list->at);
        }
    (void)shard;
}

/* ---- adding ---- */

/* Most samples find their cell there, and marked since the last commit. Inlined: an event comes here for each measure
 * and grouping. */
__attribute__((always_inline)) static inline void ladder_add_to(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t rung,
                                 struct kpid_pane *pane, uint32_t gid, const struct kpid_sample *sample)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_measure *def = m->def;
    const struct kpid_agg *agg = def->agg;
    uint32_t position = kpid_pane_position(pane, gid);

    if (position == UINT32_MAX) {
        kpid_pane_cell(pane, agg, &shard->groups[def->groupings[grouping]], gid, &position);
        m->cells++;
    }
    void *cell = pane->cells + (size_t)position * agg->cell_bytes;
    if (agg->heap_bytes) {
        m->heap_bytes -= agg->heap_bytes(cell);
        agg->add(cell, sample, &def->param);
        m->heap_bytes += agg->heap_bytes(cell);
    } else {
        agg->add(cell, sample, &def->param);
    }
    if (!pane->listed || !(pane->dirty[position / 8] >> position % 8 & 1))
        kpid_pane_mark(shard, measure, grouping * (uint32_t)def->n_rungs + rung, pane, position);
}

/* Steps of levels that lie before everything a rung keeps go to its base. */
static void ladder_add_to_base(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t rung,
                               uint32_t gid, const struct kpid_sample *sample)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct kpid_pane_list *list = kpid_list(m, grouping, rung);

    if (!m->def->agg->levels || sample->kind != KPID_SAMPLE_LEVEL)
        return;
    if (!list->base) {
        list->base = kpid_pane_new(KPID_NEVER);
        shard->n.panes++;
    }
    ladder_add_to(shard, measure, grouping, rung, list->base, gid, sample);
}

/* A sample behind what was merged upward already belongs there, too. True: some pane took it. */
static bool ladder_add_above(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t gid,
                             const struct kpid_sample *sample, int64_t ts_ms)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_measure *def = m->def;
    bool taken = false;

    for (uint32_t r = 1; r < def->n_rungs; r++) {
        if (ts_ms >= m->marks[r].merged_ms)
            continue;
        int64_t start = kpid_rung_start(&def->rungs[r], ts_ms);
        if (start < m->marks[r].floor_ms || ts_ms < start) { /* ts < start: before the `from` of `all` */
            ladder_add_to_base(shard, measure, grouping, r, gid, sample);
            continue;
        }
        ladder_add_to(shard, measure, grouping, r, kpid_list_make(shard, kpid_list(m, grouping, r), start), gid,
                      sample);
        taken = true;
    }
    return taken;
}

bool kpid_ladder_add(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t gid, int64_t ts_ms,
                     const struct kpid_sample *sample)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    int64_t width_ms = m->def->rungs[0].width_ms;
    bool taken = ts_ms >= m->marks[0].floor_ms;

    m->version++;
    m->epoch += ts_ms < m->gathered_ms;
    if (taken) {
        struct kpid_pane_list *list = kpid_list(m, grouping, 0);
        struct kpid_pane *pane = list->last < list->n ? list->at[list->head + list->last] : NULL;
        if (!pane || (uint64_t)(ts_ms - pane->start_ms) >= (uint64_t)width_ms)
            pane = kpid_list_make(shard, list, floor_to(ts_ms, width_ms));
        ladder_add_to(shard, measure, grouping, 0, pane, gid, sample);
    } else {
        ladder_add_to_base(shard, measure, grouping, 0, gid, sample);
    }
    if (ts_ms < m->max_merged_ms)
        taken |= ladder_add_above(shard, measure, grouping, gid, sample, ts_ms);
    return taken;
}

/* ---- touched windows ---- */

static int touch_compare(const void *a, const void *b)
{
    const struct kpid_touch *x = a, *y = b;

    if (x->rung != y->rung)
        return x->rung < y->rung ? -1 : 1;
    return x->start_ms < y->start_ms ? -1 : x->start_ms > y->start_ms;
}

static void touches_grow(struct kpid_measure_state *m)
{
    m->cap_touches = m->cap_touches ? m->cap_touches * 2 : 16;
    m->touches = kpid_realloc(m->touches, m->cap_touches * sizeof(*m->touches));
}

/* Those before it were told, or stand in a cut that some publisher may have read. */
static size_t first_open_touch(const struct kpid_measure_state *m)
{
    return m->n_cut > m->n_told ? m->n_cut : m->n_told;
}

void kpid_touch_push(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    for (size_t i = m->n_touches; i > first_open_touch(m) && i + 4 > m->n_touches; i--)
        if (m->touches[i - 1].rung == rung && m->touches[i - 1].start_ms == start_ms)
            return;
    if (m->n_touches == m->cap_touches) {
        size_t kept = m->n_told;
        if (m->n_touches > kept)
            qsort(m->touches + kept, m->n_touches - kept, sizeof(*m->touches), touch_compare);
        for (size_t i = m->n_told; i < m->n_touches; i++)
            if (kept == m->n_told || touch_compare(&m->touches[kept - 1], &m->touches[i]))
                m->touches[kept++] = m->touches[i];
        m->touch_base += m->n_touches; /* all are numbered anew: they stand in another order */
        m->n_touches = kept;
        m->n_cut = m->n_told;
        if (kept * 2 >= m->cap_touches)
            touches_grow(m);
    }
    kpid_touch_put(m, rung, start_ms, end_ms);
}

void kpid_touch_put(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    if (m->n_touches == m->cap_touches)
        touches_grow(m);
    m->touches[m->n_touches++] = (struct kpid_touch){ rung, start_ms, end_ms };
}

void kpid_ladder_touch(struct kpid_measure_state *m, int64_t ts_ms)
{
    if (ts_ms >= m->touch_below_ms)
        return;
    if (m->def->agg->levels) {
        /* Everything from here on: one entry, the earliest. */
        bool found = false;
        for (size_t i = first_open_touch(m); i < m->n_touches && !found; i++)
            if (m->touches[i].rung == UINT16_MAX) {
                if (ts_ms < m->touches[i].start_ms)
                    m->touches[i].start_ms = ts_ms;
                found = true;
            }
        if (!found)
            kpid_touch_push(m, UINT16_MAX, ts_ms, KPID_FOREVER);
        return;
    }
    /* Every window is made of whole panes: another change within one touches nothing new. */
    int64_t pane_ms = floor_to(ts_ms, m->def->rungs[0].width_ms);
    if (pane_ms == m->touched_ms)
        return;
    m->touched_ms = pane_ms;
    for (uint16_t r = 0; r < m->def->n_rungs; r++) {
        const struct kpid_rung *rung = &m->def->rungs[r];
        if (rung->kind == KPID_RUNG_ALL)
            continue;
        int64_t start = kpid_rung_start(rung, ts_ms), end = kpid_rung_end(rung, start);
        if (end <= m->touch_below_ms && start >= m->marks[r].floor_ms)
            kpid_touch_push(m, r, start, end);
    }
}

/* ---- merging and releasing ---- */

static void ladder_to_base(struct kpid_shard *shard, uint32_t measure, size_t grouping, uint32_t rung,
                           const struct kpid_pane *pane)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    uint32_t list_index = (uint32_t)(grouping * m->def->n_rungs) + rung;
    struct kpid_pane_list *list = &m->lists[list_index];

    if (!list->base) {
        list->base = kpid_pane_new(KPID_NEVER);
        shard->n.panes++;
    }
    for (uint32_t i = 0; i < pane->n; i++) {
        uint32_t position, n = list->base->n;
        void *cell = kpid_pane_cell(list->base, m->def->agg, &shard->groups[m->def->groupings[grouping]],
                                    pane->gids[i], &position);
        m->cells += list->base->n - n;
        m->def->agg->merge_level(cell, pane->cells + (size_t)i * m->def->agg->cell_bytes);
        kpid_pane_mark(shard, measure, list_index, list->base, position);
    }
}

static void ladder_merge_pane(struct kpid_shard *shard, uint32_t measure, size_t grouping, uint32_t rung,
                              const struct kpid_pane *from)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_measure *def = m->def;
    uint32_t list_index = (uint32_t)(grouping * def->n_rungs) + rung;
    int64_t start = kpid_rung_start(&def->rungs[rung], from->start_ms);

    if (start < m->marks[rung].floor_ms || from->start_ms < start) {
        if (def->agg->levels)
            ladder_to_base(shard, measure, grouping, rung, from);
        return;
    }
    struct kpid_pane *into = kpid_list_make(shard, &m->lists[list_index], start);
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t position, n = into->n;
        void *cell = kpid_pane_cell(into, def->agg, &shard->groups[def->groupings[grouping]], from->gids[i], &position);
        const void *source = from->cells + (size_t)i * def->agg->cell_bytes;
        m->cells += into->n - n;
        m->heap_bytes -= cell_heap(m, cell);
        def->agg->merge(cell, source, &def->param);
        if (def->agg->levels)
            def->agg->merge_level(cell, source);
        m->heap_bytes += cell_heap(m, cell);
        kpid_pane_mark(shard, measure, list_index, into, position);
    }
}

static void ladder_merge_rung(struct kpid_shard *shard, uint32_t measure, uint32_t rung, int64_t progress_ms)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_rung *def = &m->def->rungs[rung];
    uint32_t parent = def->parent;
    int64_t until = progress_ms - def->lag_ms;

    if (until > m->marks[parent].merged_ms)
        until = m->marks[parent].merged_ms;

    until = floor_to(until, def->kind == KPID_RUNG_FIXED ? def->width_ms : m->def->rungs[parent].width_ms);
    if (until <= m->marks[rung].merged_ms)
        return;
    for (size_t g = 0; g < m->def->n_groupings; g++) {
        struct kpid_pane_list *list = kpid_list(m, g, parent);
        for (size_t i = kpid_list_lower(list, m->marks[rung].merged_ms); i < list->n; i++) {
            const struct kpid_pane *pane = list->at[list->head + i];
            if (pane->start_ms >= until)
                break;
            ladder_merge_pane(shard, measure, g, rung, pane);
        }
    }
    m->marks[rung].merged_ms = until;
    if (until > m->max_merged_ms)
        m->max_merged_ms = until;
    shard->changed = true;
}

static void ladder_release_rung(struct kpid_shard *shard, uint32_t measure, uint32_t rung, int64_t released_ms)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_rung *def = &m->def->rungs[rung];
    int64_t limit;

    if (def->keep_ms == KPID_FOREVER || def->kind == KPID_RUNG_ALL || released_ms < KPID_NEVER + def->keep_ms)
        return;
    limit = released_ms - def->keep_ms;
    if (rung > 0 && limit > m->marks[rung].merged_ms)
        limit = m->marks[rung].merged_ms;
    for (uint32_t r = rung + 1; r < m->def->n_rungs; r++)
        if (m->def->rungs[r].parent == rung && m->marks[r].merged_ms < limit)
            limit = m->marks[r].merged_ms;
    if (limit <= KPID_NEVER + INT64_C(86400000) * 1000)
        return;
    int64_t floor = kpid_rung_start(def, limit);
    if (floor <= m->marks[rung].floor_ms)
        return;
    for (size_t g = 0; g < m->def->n_groupings; g++) {
        struct kpid_pane_list *list = kpid_list(m, g, rung);
        while (list->n && list->at[list->head]->start_ms < floor) {
            struct kpid_pane *pane = list->at[list->head];
            if (m->def->agg->levels)
                ladder_to_base(shard, measure, g, rung, pane);
            ladder_free_pane(shard, m, g, pane);
            list->head++;
            list->n--;
            list->last = 0;
        }
    }
    m->marks[rung].floor_ms = floor;
    shard->changed = true;
}

void kpid_ladder_drop(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_measure_state *m = &shard->measures[measure];

    for (size_t l = 0; l < m->def->n_groupings * m->def->n_rungs; l++) {
        struct kpid_pane_list *list = &m->lists[l];
        for (; list->n && list->at[list->head]->start_ms < m->marks[l % m->def->n_rungs].floor_ms; list->n--)
            ladder_free_pane(shard, m, l / m->def->n_rungs, list->at[list->head++]);
        list->last = 0;
    }
}

void kpid_ladder_advance(struct kpid_shard *shard, uint32_t measure, int64_t progress_ms, int64_t released_ms)
{
    struct kpid_measure_state *m = &shard->measures[measure];

    if (progress_ms == KPID_NEVER || released_ms == KPID_NEVER)
        return;
    if (released_ms > progress_ms)
        released_ms = progress_ms;
    for (uint32_t r = 1; r < m->def->n_rungs; r++)
        ladder_merge_rung(shard, measure, r, progress_ms);
    for (uint32_t r = 0; r < m->def->n_rungs; r++)
        ladder_release_rung(shard, measure, r, released_ms);
}

/* ---- collecting ---- */

void kpid_ladder_collect(const struct kpid_measure_state *m, size_t grouping, size_t rung, int64_t from_ms,
                         int64_t to_ms, kpid_pane_visit *visit, void *ctx)
{
    const struct kpid_pane_list *list = kpid_list(m, grouping, rung);
    const struct kpid_rung *def = &m->def->rungs[rung];
    int64_t merged = m->marks[rung].merged_ms, own_end = to_ms < merged ? to_ms : merged;

    if (from_ms < own_end) {
        if (def->kind == KPID_RUNG_FIXED) {
            for (size_t i = kpid_list_lower(list, from_ms); i < list->n; i++) {
                if (list->at[list->head + i]->start_ms >= own_end)
                    break;
                visit(ctx, list->at[list->head + i]);
            }
        } else {
            const struct kpid_pane *pane = kpid_list_find(list, from_ms);
            if (pane)
                visit(ctx, pane);
        }
    }
    if (rung > 0 && to_ms > merged)
        kpid_ladder_collect(m, grouping, def->parent, from_ms > merged ? from_ms : merged, to_ms, visit, ctx);
}

void kpid_ladder_collect_before(const struct kpid_measure_state *m, size_t grouping, size_t rung, int64_t to_ms,
                                kpid_pane_visit *visit, void *ctx)
{
    const struct kpid_pane_list *list = kpid_list(m, grouping, rung);
    int64_t merged = m->marks[rung].merged_ms, own_end = to_ms < merged ? to_ms : merged;

    if (list->base)
        visit(ctx, list->base);
    for (size_t i = 0; i < list->n && list->at[list->head + i]->start_ms < own_end; i++)
        visit(ctx, list->at[list->head + i]);
    if (rung == 0 || to_ms <= merged)
        return;
    const struct kpid_rung *def = &m->def->rungs[rung];
    kpid_ladder_collect(m, grouping, def->parent, merged, to_ms, visit, ctx);
}
