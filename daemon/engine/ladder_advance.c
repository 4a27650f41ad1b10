/* The ladder as time goes on: panes are merged upward when no boundary needs them apart, and released when none needs
 * them at all. */
#include "core.h"

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

    until = kpid_floor_to(until, def->kind == KPID_RUNG_FIXED ? def->width_ms : m->def->rungs[parent].width_ms);
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
