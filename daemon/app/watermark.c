#include "kpid/watermark.h"

void kpid_watermark_init(struct kpid_watermark *watermark)
{
    *watermark = (struct kpid_watermark){ .released_ms = KPID_NEVER, .publish_ms = KPID_NEVER,
                                          .highest_ms = KPID_NEVER };
}

void kpid_watermark_restored(struct kpid_watermark *watermark, const struct kpid_shard *shard)
{
    bool idle;

    if (kpid_shard_watermark(shard, NULL, &idle) < watermark->released_ms)
        kpid_watermark_init(watermark);
}

void kpid_watermark_read(struct kpid_watermark *watermark, int64_t highest_ms, int64_t mono_ms)
{
    if (highest_ms <= watermark->highest_ms)
        return;
    watermark->highest_ms = highest_ms;
    watermark->read_at_ms = mono_ms;
}

int64_t kpid_watermark_highest(struct kpid_shard *const *shards, size_t n_shards, size_t n_topics)
{
    int64_t highest = KPID_NEVER;

    for (size_t s = 0; s < n_shards; s++)
        for (uint32_t t = 0; t < n_topics; t++)
            if (kpid_shard_highest(shards[s], t) > highest)
                highest = kpid_shard_highest(shards[s], t);
    return highest;
}

/* The lowest clock over shards that are not idle. */
static int64_t lowest_clock(const struct kpid_watermark_view *view, bool events, bool *ret_all_idle)
{
    int64_t lowest = KPID_FOREVER;

    *ret_all_idle = true;
    for (size_t s = 0; s < view->n_shards; s++) {
        bool idle;
        int64_t clock = kpid_shard_watermark(view->shards[s], events ? NULL : view->idle[s], &idle);
        if (idle && !events)
            continue;
        *ret_all_idle = false;
        if (clock < lowest)
            lowest = clock;
    }
    return lowest;
}

/* Everybody is idle: for publishing, time goes on with the wall clock; panes stay where events put them. */
static void move_idle(struct kpid_watermark *watermark, const struct kpid_source *source,
                      const struct kpid_watermark_view *view)
{
    if (watermark->highest_ms == KPID_NEVER)
        return;
    int64_t pace = watermark->highest_ms + (view->mono_ms - watermark->read_at_ms);
    if (pace > view->wall_ms)
        pace = view->wall_ms;
    if (pace - source->out_of_order_ms > watermark->publish_ms)
        watermark->publish_ms = pace - source->out_of_order_ms;
}

void kpid_watermark_move(struct kpid_watermark *watermark, const struct kpid_source *source,
                         const struct kpid_watermark_view *view, bool events)
{
    kpid_watermark_read(watermark, kpid_watermark_highest(view->shards, view->n_shards, source->n_topics),
                        view->mono_ms);
    if (!view->n_partitions || view->n_shards < view->n_partitions) {
        watermark->publish_ms = KPID_NEVER;
        return;
    }
    int64_t lowest = lowest_clock(view, events, &watermark->all_idle);
    if (watermark->all_idle) {
        move_idle(watermark, source, view);
        return;
    }
    if (lowest > watermark->released_ms)
        watermark->released_ms = lowest;
    if (lowest > watermark->publish_ms)
        watermark->publish_ms = lowest;
}
