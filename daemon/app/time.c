/* Watermarks of sources and idleness of topic-partitions: from the clocks of this machine (watermark.c has the rules). */
#include "daemon.h"

static bool tp_idle(struct daemon *d, struct slot_owner *slot, uint32_t topic, int64_t now_ms)
{
    struct kpid_consumer_status status;

    return kpid_consumer_status(d->consumer, slot->source, topic, slot->partition, now_ms, &status) && status.at_end &&
           now_ms - status.at_end_since_ms >= d->model->sources[slot->source].idle_timeout_ms;
}

/* After records of the source were taken. */
void kpid_time_of_source(struct daemon *d, uint32_t s)
{
    struct source_state *source = &d->sources[s];
    int64_t highest = KPID_NEVER;

    for (int32_t p = 0; p < source->n_partitions; p++) {
        struct slot_owner *slot = source->slots[p];
        if (!slot || slot->state != SLOT_ACTIVE)
            continue;
        int64_t of_shard = kpid_watermark_highest(&slot->shard, 1, d->model->sources[s].n_topics);
        if (of_shard > highest)
            highest = of_shard;
    }
    kpid_watermark_read(&source->watermark, highest, kpid_now_mono());
}

/* Fills active shards and idle flags. *ret_end: every partition stands at its end. */
static void survey(struct daemon *d, uint32_t s, int64_t now_ms, bool *ret_end)
{
    struct source_state *source = &d->sources[s];
    const struct kpid_source *def = &d->model->sources[s];

    source->n_active = 0;
    *ret_end = true;
    for (int32_t p = 0; p < source->n_partitions; p++) {
        struct slot_owner *slot = source->slots[p];
        if (!slot || slot->state != SLOT_ACTIVE)
            continue;
        source->active[source->n_active] = slot->shard;
        source->idle[source->n_active++] = slot->idle;
        for (uint32_t t = 0; t < def->n_topics; t++) {
            slot->idle[t] = kpid_redis_up(d->redis) && !slot->held_commit && !slot->waiting.n &&
                            tp_idle(d, slot, t, now_ms);
            *ret_end = *ret_end && slot->idle[t];
            /* What was to be counted again may end with records that the log does not have any more. */
            if (slot->idle[t] && kpid_shard_rebuilding(slot->shard))
                kpid_shard_rebuild_end(slot->shard, t);
        }
    }
    if (!source->n_partitions || source->n_active < (size_t)source->n_partitions)
        *ret_end = false;
}

void kpid_time_update(struct daemon *d)
{
    int64_t now = kpid_now_mono();
    bool everywhere = d->model->n_sources > 0, events = d->model->settings.clock == KPID_CLOCK_EVENTS;

    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        struct source_state *source = &d->sources[s];
        bool end;
        survey(d, s, now, &end);
        struct kpid_watermark_view view = { .shards = source->active, .idle = source->idle,
                                            .n_shards = source->n_active,
                                            .n_partitions = (size_t)source->n_partitions, .mono_ms = now,
                                            .wall_ms = events ? KPID_NEVER : kpid_now_wall() };
        kpid_watermark_move(&source->watermark, &d->model->sources[s], &view, events);
        everywhere = everywhere && end;
        d->views[s] = (struct kpid_evaluator_source){ .shards = source->active, .n_shards = source->n_active,
                                                      .n_partitions = (size_t)source->n_partitions,
                                                      .publish_ms = source->watermark.publish_ms,
                                                      .released_ms = source->watermark.released_ms };
    }
    d->end_of_input = events && everywhere;
}
