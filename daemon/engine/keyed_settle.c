/* What can't change any more: minima and maxima are settled, keys forgotten. */
#include "keyed_table.h"

#define SWEEP_MIN 4096 /* keys that one call goes through */

/* ---- minima and maxima that were taken back ---- */

static void visit_cells(struct kpid_shard *shard, uint32_t measure, const struct kpid_outcome *outcome,
                        const struct keyed_side *side, enum kpid_sample_kind kind)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_measure *def = m->def;
    struct kpid_sample sample = { .value = outcome->value, .ts_ms = outcome->ts_ms, .kind = kind,
                                  .part = outcome->part, .weight = 1 };

    for (uint32_t g = 0; g < def->n_groupings; g++)
        for (uint32_t r = 0; r < def->n_rungs; r++) {
            if (r > 0 && outcome->ts_ms >= m->marks[r].merged_ms)
                continue; /* an open period's pane stands there, but this outcome has not come up to it yet */
            struct kpid_pane *pane = kpid_list_find(kpid_list(m, g, r), kpid_rung_start(&def->rungs[r], outcome->ts_ms));
            uint32_t gid = keyed_gid(def, side, outcome, g), position;
            if (!pane || !kpid_pane_find(pane, def->agg, gid))
                continue;
            void *cell = kpid_pane_cell(pane, def->agg, &shard->groups[def->groupings[g]], gid, &position);
            def->agg->add(cell, &sample, &def->param);
            kpid_pane_mark(shard, measure, g * (uint32_t)def->n_rungs + r, pane, position);
        }
}

/* Hands the durations of a side's outcomes to the cells that stand where they were counted, without making any. */
static void visit_durations(struct kpid_shard *shard, uint32_t measure, const struct keyed_side *side,
                            enum kpid_sample_kind kind)
{
    for (size_t i = 0; i < side->result.n; i++)
        if (side->outcomes[i].kind == KPID_SAMPLE_DURATION)
            visit_cells(shard, measure, &side->outcomes[i], side, kind);
}

/* Narrows the cells of which the least or the greatest duration was taken back to what is settled; false: there are
 * none. */
static bool narrow_cells(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    const struct kpid_agg *agg = m->def->agg;
    bool any = false;

    if (!agg->stale)
        return false;
    for (size_t l = 0; l < m->def->n_groupings * m->def->n_rungs; l++)
        for (size_t i = 0; i < m->lists[l].n; i++) {
            struct kpid_pane *pane = m->lists[l].at[m->lists[l].head + i];
            for (uint32_t p = 0; p < pane->n; p++) {
                void *cell = pane->cells + (size_t)p * agg->cell_bytes;
                if (!agg->stale(cell))
                    continue;
                agg->narrow(cell);
                any = true;
                kpid_pane_mark(shard, measure, (uint32_t)l, pane, p);
            }
        }
    return any;
}

void kpid_keys_settle(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_keys *keys = shard->measures[measure].keys;

    if (!keys->stale)
        return;
    keys->stale = false;
    shard->measures[measure].epoch++;
    if (!narrow_cells(shard, measure))
        return;
    for (uint32_t i = 0; i < keys->n_entries; i++) {
        struct keyed_block *block = keyed_entry(keys, i);
        if (!block)
            continue;
        keyed_open(keys, block, &keys->after);
        keyed_work_out(keys, &keys->after, shard->elapsed_ms);
        visit_durations(shard, measure, &keys->after, KPID_SAMPLE_WIDEN);
    }
}

/* ---- forgetting ---- */

/* Drops the first `n` items of a key, whose durations can't be taken back any more. */
static void forget_items(struct kpid_shard *shard, uint32_t measure, struct keyed_block *block, size_t n)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct keyed_side *side = &keys->after;

    keyed_open(keys, block, side);
    size_t rest = side->items.n - n;
    side->items.n = n;
    keyed_work_out(keys, side, shard->elapsed_ms);
    visit_durations(shard, measure, side, KPID_SAMPLE_SETTLE);
    keyed_add_spans(shard->measures[measure].def, keys, side, -1);
    keyed_use_groups(shard, shard->measures[measure].def, side->items.gids, n, -1);
    if (!rest) {
        keyed_drop(keys, block);
        return;
    }
    struct kpid_items kept = side->items;
    kept.words += n * kept.width;
    kept.gids += n * kept.n_gids;
    kept.n = rest;
    keyed_set(keys, block, &kept);
}

/* Takes out what no outcome hangs on. */
static void prune_items(struct kpid_shard *shard, uint32_t measure, struct keyed_block *block, int64_t before_ms)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct kpid_items *items = &keys->after.items;
    const struct kpid_measure *def = shard->measures[measure].def;

    keyed_open(keys, block, &keys->after);
    size_t n = items->n;
    keyed_use_groups(shard, def, items->gids, n, -1);
    keys->kind->prune(keys->spec, items, before_ms);
    keyed_use_groups(shard, def, items->gids, items->n, 1);
    if (items->n == 0)
        keyed_drop(keys, block);
    else if (items->n < n)
        keyed_set(keys, block, items);
}

/* A pass over all keys costs as much as they are many: not more often than 16 times in the time they are kept, or, where
 * keys may lose items before that, twice in the time that a late event may come. */
static int64_t sweep_interval(const struct kpid_keys *keys, int64_t lifetime_ms, int64_t lateness_ms)
{
    int64_t interval = (lifetime_ms + lateness_ms) / 16, half = lateness_ms / 2 + 60000;

    return keys->kind->prune && half < interval ? half : interval;
}

static void sweep(struct kpid_shard *shard, uint32_t measure, uint32_t entry, int64_t before_ms)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct keyed_block *block = keyed_entry(keys, entry);

    if (!block)
        return;
    struct kpid_items items = { .words = block->words, .gids = keyed_gids(keys, block), .n = block->n,
                                .width = keys->width, .n_gids = keys->n_gids };
    size_t n = keys->kind->settled(keys->spec, &items, before_ms);
    if (n)
        forget_items(shard, measure, block, n);
    block = keyed_entry(keys, entry); /* it may have moved, or gone */
    if (keys->kind->prune && block)
        prune_items(shard, measure, block, before_ms);
}

void kpid_keys_forget(struct kpid_shard *shard, uint32_t measure, int64_t before_ms)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    int64_t lifetime = keys->kind->lifetime_ms(keys->spec);

    if (lifetime == KPID_FOREVER || before_ms == KPID_NEVER)
        return;
    if (before_ms > shard->elapsed_ms)
        before_ms = shard->elapsed_ms;
    if (keys->swept == 0 && keys->swept_ms != KPID_NEVER &&
        before_ms < keys->swept_ms + sweep_interval(keys, lifetime, shard->source->allowed_lateness_ms))
        return;
    kpid_keys_settle(shard, measure);
    if (keys->swept == 0)
        keys->swept_ms = before_ms;
    /* A pass is cut into parts, so that a million keys hold nobody up. */
    uint32_t part = keys->n_entries / 64 > SWEEP_MIN ? keys->n_entries / 64 : SWEEP_MIN;
    for (; part > 0 && keys->swept < keys->n_entries; part--)
        sweep(shard, measure, keys->swept++, before_ms);
    if (keys->swept >= keys->n_entries)
        keys->swept = 0;
}
