/*
 * The watermarks of one source, from the clocks of its shards, from who is idle and from the wall clock (SEMANTICS 1).
 * Pure: times are arguments. The daemon and the scenario tests run this same code.
 */
#ifndef KPID_WATERMARK_H
#define KPID_WATERMARK_H

#include "kpid/shard.h"

struct kpid_watermark {
    int64_t released_ms; /* by which panes are merged and released; goes back only when a shard comes back behind it */
    int64_t publish_ms;  /* by which boundaries become final; KPID_NEVER: none */
    int64_t highest_ms;  /* highest event time of the source */
    int64_t read_at_ms;  /* monotonic: when it was read */
    bool all_idle;
};

/* One source at one moment. */
struct kpid_watermark_view {
    struct kpid_shard *const *shards; /* owned and restored */
    const bool *const *idle;          /* for each of them: is the topic-partition idle, by topic */
    size_t n_shards, n_partitions;    /* fewer shards than partitions: no boundary becomes final */
    int64_t mono_ms, wall_ms;         /* wall_ms: not read under `clock: events` */
};

/* No watermark yet. */
void kpid_watermark_init(struct kpid_watermark *watermark);
/* Events were read up to highest_ms: remembers when it rose. */
void kpid_watermark_read(struct kpid_watermark *watermark, int64_t highest_ms, int64_t mono_ms);
/* Brings the watermarks forward. `events`: nothing is ever idle and the wall clock is not read. */
void kpid_watermark_move(struct kpid_watermark *watermark, const struct kpid_source *source,
                         const struct kpid_watermark_view *view, bool events);
/* A shard was restored. If it stands behind what was released meanwhile (Redis lost a suffix, and another owner was in
 * between; or it is counted again), there is no watermark until the next move: panes that it is still to fill must not
 * go by what others, or its own former self, had reached. */
void kpid_watermark_restored(struct kpid_watermark *watermark, const struct kpid_shard *shard);
/* Highest event time of these shards, KPID_NEVER: none. */
int64_t kpid_watermark_highest(struct kpid_shard *const *shards, size_t n_shards, size_t n_topics);

#endif
