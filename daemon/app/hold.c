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

/* The lowest highest-event-time of topic-partitions that are behind and not at their end; KPID_FOREVER: none. */
static int64_t slowest_of(struct daemon *d, uint32_t s)
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
    return slowest;
}

void kpid_hold_skew(struct daemon *d, uint32_t s)
{
    struct source_state *source = &d->sources[s];
    int64_t max_skew = d->model->sources[s].max_skew_ms;
    int64_t slowest = max_skew == KPID_FOREVER ? KPID_FOREVER : slowest_of(d, s);

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

void kpid_hold_update(struct daemon *d)
{
    bool all = d->uncommitted >= d->model->settings.redis.max_uncommitted || d->stopping;

    if (all != d->held_all) {
        d->held_all = all;
        kpid_consumer_hold_all(d->consumer, all);
    }
    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        uint64_t pending = d->evaluator ? kpid_evaluator_pending(d->evaluator, s, d->sources[s].watermark.released_ms) : 0;
        d->sources[s].past_pending = pending > d->model->sources[s].max_pending;
        kpid_hold_skew(d, s);
    }
}
