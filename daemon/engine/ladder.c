/*
 * The ladder: how panes of one measure are filled, and read; ladder_advance.c merges them upward and releases them.
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

/* ---- adding ---- */

/* Most samples find their cell there, and marked since the last commit. Inlined: an event comes here for each measure
 * and grouping. */
__attribute__((always_inline)) static inline void
ladder_add_to(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t rung, struct kpid_pane *pane,
              uint32_t gid, const struct kpid_sample *sample)
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
            pane = kpid_list_make(shard, list, kpid_floor_to(ts_ms, width_ms));
        ladder_add_to(shard, measure, grouping, 0, pane, gid, sample);
    } else {
        ladder_add_to_base(shard, measure, grouping, 0, gid, sample);
    }
    if (ts_ms < m->max_merged_ms)
        taken |= ladder_add_above(shard, measure, grouping, gid, sample, ts_ms);
    return taken;
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
