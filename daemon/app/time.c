/* Watermarks of sources and idleness of topic-partitions: from the clocks of this machine (watermark.c has the rules). */
#include "daemon.h"

#include <stdlib.h>

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

void kpid_time_again(struct daemon *d, uint32_t s)
{
    kpid_watermark_init(&d->sources[s].watermark);
    kpid_watermark_init(&d->sources[s].newest);
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
    kpid_foreign_survey(d, s, ret_end);
    if (!source->n_partitions || source->n_all < (size_t)source->n_partitions)
        *ret_end = false;
}

/* Records that the source has not read; 0 also while nobody knows. */
static int64_t lag_of(const struct daemon *d, uint32_t s, int64_t now_ms)
{
    int64_t lag = 0;
    struct kpid_consumer_status status;

    for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
        for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++)
            if (kpid_consumer_status(d->consumer, s, t, p, now_ms, &status) && status.lag > 0)
                lag += status.lag;
    return lag;
}

/* Nothing moves although there is something to read, or what is read is old. */
static void judge_stale(struct daemon *d, uint32_t s, int64_t now_ms, int64_t wall_ms)
{
    struct source_state *source = &d->sources[s];
    const struct kpid_source *def = &d->model->sources[s];
    bool was = source->stale;

    if (!lag_of(d, s, now_ms))
        source->moved_ms = now_ms;
    bool stands = now_ms - source->moved_ms >= def->stale_after_ms;
    bool old = source->watermark.publish_ms != KPID_NEVER && source->watermark.publish_ms < wall_ms - def->max_age_ms;
    source->stale = stands || old;
    if (source->stale && !was)
        kpid_log(d, KPID_LOG_WARNING, "source %s is stale: %s", def->name,
                 stands ? "it has lag and nothing is read" : "its watermark is older than max_age");
    else if (!source->stale && was)
        kpid_log(d, KPID_LOG_NOTICE, "source %s is up to date again", def->name);
}

/* Where some owners are away, the newest figures go on with the others; of this instance's own shards that are not
 * active there are none when it is alone. */
static void move_newest(struct daemon *d, uint32_t s, const struct kpid_watermark_view *all, bool events)
{
    struct source_state *source = &d->sources[s];
    size_t n = source->n_active;

    source->lagging = false;
    if (!d->company.any || !d->publisher_ready)
        return;
    struct kpid_shard **living = kpid_alloc((source->n_all + 1) * sizeof(*living));
    const bool **idle = kpid_alloc((source->n_all + 1) * sizeof(*idle));
    for (size_t i = 0; i < n; i++) {
        living[i] = source->active[i];
        idle[i] = source->idle[i];
    }
    for (int32_t p = 0; p < source->n_partitions; p++)
        if (source->foreign[p] && !kpid_owner_has(d, s, p) && kpid_foreign_lives(source->foreign[p])) {
            living[n] = source->foreign[p]->copy;
            idle[n++] = source->foreign[p]->idle;
        }
    struct kpid_watermark_view view = *all;
    view.shards = living;
    view.idle = idle;
    view.n_shards = view.n_partitions = n;
    /* What has just changed hands will be there in a moment: no figures from a part of it before that. */
    bool missing = source->n_all < (size_t)source->n_partitions;
    if (!missing || !source->missing_since_ms)
        source->missing_since_ms = missing ? view.mono_ms : 0;
    source->lagging = n < (size_t)source->n_partitions &&
                      (!missing || view.mono_ms - source->missing_since_ms >= d->model->settings.live_timeout_ms);
    kpid_watermark_move(&source->newest, &d->model->sources[s], &view, events);
    free(living);
    free(idle);
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
                                            .n_shards = source->n_all,
                                            .n_partitions = (size_t)source->n_partitions, .mono_ms = now,
                                            .wall_ms = events ? KPID_NEVER : kpid_now_wall() };
        kpid_watermark_move(&source->watermark, &d->model->sources[s], &view, events);
        move_newest(d, s, &view, events);
        everywhere = everywhere && end;
        if (!events)
            judge_stale(d, s, now, view.wall_ms);
        d->views[s] = (struct kpid_evaluator_source){ .shards = source->active, .n_shards = source->n_all,
                                                      .n_partitions = (size_t)source->n_partitions,
                                                      .publish_ms = source->watermark.publish_ms,
                                                      .released_ms = source->watermark.released_ms,
                                                      .stale = source->stale, .lagging = source->lagging,
                                                      .newest_ms = source->newest.publish_ms };
    }
    d->end_of_input = events && everywhere;
}
