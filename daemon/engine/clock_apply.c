/* Clocks against panes: a change of a key's events is worked out before and after, and the difference is counted. */
#include "clock_table.h"

#include "kpid/hash.h"

#include <string.h>

struct change {
    struct kpid_shard *shard;
    struct kpid_clocks *clocks;
    uint32_t measure;
};

static void count_outcome(const struct change *c, const struct kpid_outcome *outcome, const uint32_t *gids, int sign)
{
    struct kpid_measure_state *m = &c->shard->measures[c->measure];
    struct kpid_sample sample = { .value = outcome->value, .ts_ms = outcome->ts_ms, .kind = outcome->kind,
                                  .weight = outcome->weight * sign };

    if (outcome->kind == KPID_SAMPLE_DURATION && sample.weight < 0)
        c->clocks->stale = true;
    for (uint32_t g = 0; g < m->def->n_groupings; g++)
        kpid_ladder_add(c->shard, c->measure, g, g ? gids[outcome->event * c->clocks->n_gids + g - 1] : 0,
                        outcome->ts_ms, &sample);
    kpid_ladder_touch(m, outcome->ts_ms);
}

static bool same_outcome(const struct change *c, const struct kpid_outcome *a, const uint32_t *gids_a,
                         const struct kpid_outcome *b, const uint32_t *gids_b)
{
    size_t g = c->clocks->n_gids;

    return a->ts_ms == b->ts_ms && a->kind == b->kind && a->weight == b->weight && a->value == b->value &&
           !memcmp(gids_a + a->event * g, gids_b + b->event * g, g * sizeof(uint32_t));
}

/* Counts what is in `after` and not in `before`, and takes back what is in `before` only. */
static void count_difference(const struct change *c, struct kpid_clock_result *before, const uint32_t *gids_before,
                             struct kpid_clock_result *after, const uint32_t *gids_after)
{
    struct kpid_outcome *old = c->clocks->before, *new = c->clocks->after;
    size_t n_old = before->n;

    for (size_t i = 0; i < after->n; i++) {
        bool found = false;
        for (size_t k = 0; k < n_old && !found; k++)
            if (same_outcome(c, &new[i], gids_after, &old[k], gids_before)) {
                old[k] = old[--n_old];
                found = true;
            }
        if (!found)
            count_outcome(c, &new[i], gids_after, 1);
    }
    for (size_t k = 0; k < n_old; k++)
        count_outcome(c, &old[k], gids_before, -1);
    c->shard->n.negatives += after->negatives - before->negatives;
    c->shard->n.clocks_forgotten += after->forgotten - before->forgotten;
}

void kpid_clocks_take(struct kpid_shard *shard, uint32_t measure, const char *key, size_t len, int64_t ts_ms,
                      uint8_t words, const uint32_t *gids)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct kpid_clocks *clocks = m->clocks;
    struct change c = { shard, clocks, measure };
    uint64_t hash = kpid_hash(key, len, 0);
    uint32_t entry = clock_find(clocks, hash, key, len);
    struct kpid_clock_result before, after;
    bool changed = false;

    if (entry == UINT32_MAX)
        entry = clock_make(clocks, hash, key, len);
    struct clock_block *block = clocks->entries[entry].block;
    clock_reserve(clocks, block->n_events + KPID_CLOCK_WORDS);
    clock_work_out(clocks, block, shard->elapsed_ms, clocks->before, &before);
    memcpy(clocks->gids_before, clock_block_gids(block), block->n_events * clocks->n_gids * sizeof(uint32_t));
    for (int word = 0; word < KPID_CLOCK_WORDS; word++) {
        int64_t packed = ts_ms * 8 + word;
        if (!(words & 1u << word) || clock_has(clocks->entries[entry].block, packed))
            continue;
        clock_insert(clocks, entry, packed, gids);
        for (size_t g = 0; g < clocks->n_gids; g++)
            shard->groups[m->def->groupings[g + 1]].at[gids[g]].cells++;
        changed = true;
    }
    if (!changed)
        return;
    block = clocks->entries[entry].block;
    clock_work_out(clocks, block, shard->elapsed_ms, clocks->after, &after);
    count_difference(&c, &before, clocks->gids_before, &after, clock_block_gids(block));
    clock_schedule(clocks, entry, after.next_timer_ms);
    clock_mark(clocks, entry);
}

static struct clock_timer pop_timer(struct kpid_clocks *clocks)
{
    struct clock_timer top = clocks->heap[0], last = clocks->heap[--clocks->n_heap];
    size_t at = 0;

    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= clocks->n_heap)
            break;
        if (child + 1 < clocks->n_heap && clocks->heap[child + 1].at_ms < clocks->heap[child].at_ms)
            child++;
        if (clocks->heap[child].at_ms >= last.at_ms)
            break;
        clocks->heap[at] = clocks->heap[child];
        at = child;
    }
    if (clocks->n_heap)
        clocks->heap[at] = last;
    return top;
}

void kpid_clocks_elapse(struct kpid_shard *shard, uint32_t measure, int64_t until_ms)
{
    struct kpid_clocks *clocks = shard->measures[measure].clocks;
    struct change c = { shard, clocks, measure };
    struct kpid_clock_result before, after;

    while (clocks->n_heap && clocks->heap[0].at_ms < until_ms) {
        struct clock_timer timer = pop_timer(clocks);
        struct clock_entry *entry = &clocks->entries[timer.entry];
        if (!entry->block || entry->timer_ms != timer.at_ms)
            continue;
        clock_reserve(clocks, entry->block->n_events);
        clock_work_out(clocks, entry->block, shard->elapsed_ms, clocks->before, &before);
        clock_work_out(clocks, entry->block, until_ms, clocks->after, &after);
        count_difference(&c, &before, clock_block_gids(entry->block), &after, clock_block_gids(entry->block));
        entry->timer_ms = KPID_FOREVER;
        clock_schedule(clocks, timer.entry, after.next_timer_ms);
    }
}

int64_t kpid_clocks_next_timer(const struct kpid_clocks *clocks)
{
    return clocks->n_heap ? clocks->heap[0].at_ms : KPID_FOREVER;
}

/* ---- minima and maxima that were taken back ---- */

/* Hands a sample to the cells that stand where this outcome was counted, without making any. */
static void visit_cells(const struct change *c, const struct kpid_outcome *outcome, const uint32_t *gids,
                        enum kpid_sample_kind kind)
{
    struct kpid_measure_state *m = &c->shard->measures[c->measure];
    const struct kpid_measure *def = m->def;
    struct kpid_sample sample = { .value = outcome->value, .ts_ms = outcome->ts_ms, .kind = kind, .weight = 1 };

    for (uint32_t g = 0; g < def->n_groupings; g++)
        for (uint32_t r = 0; r < def->n_rungs; r++) {
            struct kpid_pane *pane = kpid_list_find(kpid_list(m, g, r), kpid_rung_start(&def->rungs[r], outcome->ts_ms));
            uint32_t gid = g ? gids[outcome->event * c->clocks->n_gids + g - 1] : 0, position;
            if (!pane || !kpid_pane_find(pane, def->agg, gid))
                continue;
            void *cell = kpid_pane_cell(pane, def->agg, &c->shard->groups[def->groupings[g]], gid, &position);
            def->agg->add(cell, &sample, &def->param);
            kpid_pane_mark(c->shard, c->measure, g * (uint32_t)def->n_rungs + r, pane, position);
        }
}

static void visit_durations(const struct change *c, struct clock_block *block, enum kpid_sample_kind kind)
{
    struct kpid_clock_result result;

    clock_reserve(c->clocks, block->n_events);
    clock_work_out(c->clocks, block, c->shard->elapsed_ms, c->clocks->after, &result);
    for (size_t i = 0; i < result.n; i++)
        if (c->clocks->after[i].kind == KPID_SAMPLE_DURATION)
            visit_cells(c, &c->clocks->after[i], clock_block_gids(block), kind);
}

void kpid_clocks_settle(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct change c = { shard, m->clocks, measure };

    if (!m->clocks->stale)
        return;
    m->clocks->stale = false;
    for (size_t l = 0; l < m->def->n_groupings * m->def->n_rungs; l++)
        for (size_t i = 0; i < m->lists[l].n; i++) {
            struct kpid_pane *pane = m->lists[l].at[m->lists[l].head + i];
            for (uint32_t p = 0; p < pane->n; p++) {
                void *cell = pane->cells + (size_t)p * m->def->agg->cell_bytes;
                if (!m->def->agg->stale(cell))
                    continue;
                m->def->agg->narrow(cell);
                kpid_pane_mark(shard, measure, (uint32_t)l, pane, p);
            }
        }
    for (uint32_t i = 0; i < m->clocks->n_entries; i++)
        if (m->clocks->entries[i].block)
            visit_durations(&c, m->clocks->entries[i].block, KPID_SAMPLE_WIDEN);
}

void kpid_clocks_forget(struct kpid_shard *shard, uint32_t measure, int64_t before_ms)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct kpid_clocks *clocks = m->clocks;
    struct change c = { shard, clocks, measure };
    int64_t forget_after = clocks->spec->forget_after_ms;

    if (forget_after == KPID_FOREVER || before_ms == KPID_NEVER)
        return;
    if (before_ms > shard->elapsed_ms)
        before_ms = shard->elapsed_ms;
    /* A pass over all keys costs as much as they are many: not more often than 32 times in the time they are kept. */
    if (clocks->swept_ms != KPID_NEVER && before_ms < clocks->swept_ms + forget_after / 32)
        return;
    kpid_clocks_settle(shard, measure);
    clocks->swept_ms = before_ms;
    for (uint32_t i = 0; i < clocks->n_entries; i++) {
        struct clock_block *block = clocks->entries[i].block;
        if (!block || (block->words[block->n_events - 1] >> 3) + forget_after >= before_ms)
            continue;
        visit_durations(&c, block, KPID_SAMPLE_SETTLE);
        for (size_t e = 0; e < (size_t)block->n_events * clocks->n_gids; e++)
            shard->groups[m->def->groupings[e % clocks->n_gids + 1]].at[clock_block_gids(block)[e]].cells--;
        clock_drop(clocks, i);
    }
}
