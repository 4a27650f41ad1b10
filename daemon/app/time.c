/* Watermarks of sources and idleness of topic-partitions: the only place where the wall clock meets event time. */
#include "daemon.h"

static bool tp_idle(struct daemon *d, struct slot_owner *slot, uint32_t topic, int64_t now_ms)
{
    struct kpid_consumer_status status;

    return kpid_consumer_status(d->consumer, slot->source, topic, slot->partition, now_ms, &status) && status.at_end &&
           now_ms - status.at_end_since_ms >= d->model->sources[slot->source].idle_timeout_ms;
}

static int64_t highest_of(const struct daemon *d, const struct source_state *source, size_t n_topics)
{
    int64_t highest = KPID_NEVER;

    (void)d;
    for (size_t i = 0; i < source->n_active; i++)
        for (uint32_t t = 0; t < n_topics; t++)
            if (kpid_shard_highest(source->active[i], t) > highest)
                highest = kpid_shard_highest(source->active[i], t);
    return highest;
}

/* Fills active shards and idle flags; false: a partition is missing. *ret_end: every partition stands at its end. */
static bool survey(struct daemon *d, uint32_t s, int64_t now_ms, bool *ret_end)
{
    struct source_state *source = &d->sources[s];
    const struct kpid_source *def = &d->model->sources[s];

    source->n_active = 0;
    *ret_end = true;
    for (int32_t p = 0; p < source->n_partitions; p++) {
        struct slot_owner *slot = source->slots[p];
        if (!slot || slot->state != SLOT_ACTIVE)
            continue;
        source->active[source->n_active++] = slot->shard;
        for (uint32_t t = 0; t < def->n_topics; t++) {
            slot->idle[t] = kpid_redis_up(d->redis) && !slot->held_commit && tp_idle(d, slot, t, now_ms);
            *ret_end = *ret_end && slot->idle[t];
        }
    }
    if (!source->n_partitions || source->n_active < (size_t)source->n_partitions)
        *ret_end = false;
    return source->n_partitions && source->n_active == (size_t)source->n_partitions;
}

/* The lowest clock over shards that are not idle. Under `clock: events` nothing is ever idle. */
static int64_t lowest_clock(struct daemon *d, uint32_t s, bool events, bool *ret_all_idle)
{
    struct source_state *source = &d->sources[s];
    int64_t lowest = KPID_FOREVER;

    *ret_all_idle = true;
    for (int32_t p = 0; p < source->n_partitions; p++) {
        bool idle;
        int64_t clock = kpid_shard_watermark(source->slots[p]->shard, events ? NULL : source->slots[p]->idle, &idle);
        if (idle && !events)
            continue;
        *ret_all_idle = false;
        if (clock < lowest)
            lowest = clock;
    }
    return lowest;
}

static void update_source(struct daemon *d, uint32_t s, bool complete, int64_t now_ms)
{
    struct source_state *source = &d->sources[s];
    const struct kpid_source *def = &d->model->sources[s];
    bool events = d->model->settings.clock == KPID_CLOCK_EVENTS, all_idle;

    if (!complete) {
        source->publish_ms = KPID_NEVER;
        return;
    }
    int64_t lowest = lowest_clock(d, s, events, &all_idle);
    source->all_idle = all_idle;
    if (!all_idle) {
        if (lowest > source->released_ms)
            source->released_ms = lowest;
        if (lowest != KPID_NEVER)
            source->publish_ms = lowest > source->publish_ms ? lowest : source->publish_ms;
        return;
    }
    /* Everybody is idle: the watermark for publishing goes on with the wall clock; panes stay where events put them. */
    int64_t highest = highest_of(d, source, def->n_topics), wall = kpid_now_wall();
    if (highest == KPID_NEVER)
        return;
    int64_t pace = highest + (now_ms - source->read_at_ms);
    if (pace > wall)
        pace = wall;
    if (pace - def->out_of_order_ms > source->publish_ms)
        source->publish_ms = pace - def->out_of_order_ms;
}

void kpid_time_update(struct daemon *d)
{
    int64_t now = kpid_now_mono();
    bool everywhere = d->model->n_sources > 0;

    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        bool end, complete = survey(d, s, now, &end);
        update_source(d, s, complete, now);
        everywhere = everywhere && end;
        d->views[s] = (struct kpid_evaluator_source){ .shards = d->sources[s].active, .n_shards = d->sources[s].n_active,
                                                      .n_partitions = (size_t)d->sources[s].n_partitions,
                                                      .publish_ms = d->sources[s].publish_ms,
                                                      .released_ms = d->sources[s].released_ms };
    }
    d->end_of_input = d->model->settings.clock == KPID_CLOCK_EVENTS && everywhere;
}
