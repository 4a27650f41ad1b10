/* Back-pressure: which topic-partitions are not read for the moment, and why. */
#include "daemon.h"

void kpid_hold_apply(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;

    for (uint32_t t = 0; t < d->model->sources[slot->source].n_topics; t++) {
        bool hold = slot->ahead[t] || slot->waiting.full;
        if (slot->held[t] == hold)
            continue;
        slot->held[t] = hold;
        kpid_consumer_hold(d->consumer, slot->source, t, slot->partition, hold);
    }
}

int64_t kpid_hold_slowest(struct daemon *d, uint32_t s)
{
    struct source_state *source = &d->sources[s];
    int64_t slowest = KPID_FOREVER, now = kpid_now_mono();
    struct kpid_consumer_status status;

    for (int32_t p = 0; p < source->n_partitions; p++) {
        struct slot_owner *slot = source->slots[p];
        for (uint32_t t = 0; slot && slot->state == SLOT_ACTIVE && t < d->model->sources[s].n_topics; t++) {
            int64_t highest = kpid_shard_highest(slot->shard, t);
            if (highest == KPID_NEVER || highest >= slowest)
                continue;
            if (!slot->waiting.n && kpid_consumer_status(d->consumer, s, t, p, now, &status) &&
                (status.at_end || status.lag == 0))
                continue;
            slowest = highest;
        }
    }
    int64_t others = d->publisher_ready                         ? kpid_foreign_slowest(d, s)
                     : d->company.elsewhere && d->company.any ? source->told_slowest_ms
                                                                : KPID_FOREVER;
    return others < slowest ? others : slowest;
}

void kpid_hold_skew(struct daemon *d, uint32_t s)
{
    struct source_state *source = &d->sources[s];
    int64_t max_skew = d->model->sources[s].max_skew_ms;
    int64_t slowest = max_skew == KPID_FOREVER ? KPID_FOREVER : kpid_hold_slowest(d, s);

    for (int32_t p = 0; p < source->n_partitions; p++) {
        struct slot_owner *slot = source->slots[p];
        if (!slot || slot->state != SLOT_ACTIVE)
            continue;
        bool full = kpid_shard_outbox_full(slot->shard) || source->past_pending;
        for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
            int64_t highest = kpid_shard_highest(slot->shard, t);
            bool ahead = slowest != KPID_FOREVER && highest != KPID_NEVER && highest > slowest + max_skew;
            slot->ahead[t] = full || ahead;
        }
        kpid_hold_apply(slot);
    }
}

/* Boundaries by which reading is ahead of what is final: here, or where another instance publishes. */
static uint64_t pending_of(struct daemon *d, uint32_t s)
{
    const struct source_state *source = &d->sources[s];
    int64_t lowest = KPID_FOREVER;

    if (d->evaluator)
        return kpid_evaluator_pending(d->evaluator, s, source->watermark.released_ms);
    for (int32_t p = 0; d->company.watcher && p < source->n_partitions; p++) {
        const struct slot_owner *slot = source->slots[p];
        bool idle;
        int64_t clock = slot && slot->state == SLOT_ACTIVE ? kpid_shard_watermark(slot->shard, slot->idle, &idle) : lowest;
        if (clock < lowest)
            lowest = clock;
    }
    return lowest == KPID_FOREVER ? 0 : kpid_evaluator_pending(d->company.watcher, s, lowest);
}

void kpid_hold_update(struct daemon *d)
{
    bool all = d->uncommitted >= d->model->settings.redis.max_uncommitted || d->stopping;

    if (all != d->held_all) {
        d->held_all = all;
        kpid_consumer_hold_all(d->consumer, all);
    }
    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        d->sources[s].past_pending = pending_of(d, s) > d->model->sources[s].max_pending;
        kpid_hold_skew(d, s);
    }
}
