/*
 * Marks of event ids: has this id been seen, within the horizon, on this topic-partition?
 *
 * One open-addressing table over 64-bit hashes (xxh64 of id, mixed with the topic's index by the caller), one probe
 * an event. Each mark belongs to a slice of event time (horizon / 64); slices order only expiry and storage. An
 * expired slice's marks are treated as absent at once and swept a few slots at each call, so nothing ever stops for
 * a sweep. At most `max_bytes`; when full the oldest slice goes early and `cut` counts its marks.
 * Target: <= 12 bytes a mark at high load; growth is by small steps (segments), never one giant rehash.
 */
#ifndef KPID_DEDUP_H
#define KPID_DEDUP_H

#include "kpid/buf.h"
#include "kpid/pack.h"

struct kpid_dedup;

struct kpid_dedup *kpid_dedup_new(int64_t horizon_ms, size_t max_bytes); /* returns, free with _free */
void kpid_dedup_free(struct kpid_dedup *dedup);

/* Has the memory brought near that a look-up of `hash` needs soon. */
void kpid_dedup_prefetch(const struct kpid_dedup *dedup, uint64_t hash);
/* Whether `hash` is marked. Does not mark: an event is checked first and marked when it is counted or filtered. Slices
 * that end at or before before_ms count as absent, whether they have been expired yet or not: so the answer hangs on the
 * events alone. KPID_NEVER: none do. */
bool kpid_dedup_seen(const struct kpid_dedup *dedup, uint64_t hash, int64_t before_ms);
/* A hash that is marked already keeps the later of both slices. */
void kpid_dedup_mark(struct kpid_dedup *dedup, uint64_t hash, int64_t ts_ms);
/* Marks with ts < `before_ms` are no longer needed (whole slices go). */
void kpid_dedup_expire(struct kpid_dedup *dedup, int64_t before_ms);

struct kpid_dedup_stats {
    uint64_t marks, bytes, cut;
    int64_t effective_horizon_ms; /* horizon, or less once something was cut */
};
void kpid_dedup_stats(const struct kpid_dedup *dedup, struct kpid_dedup_stats *ret);

/*
 * Storage, append-only by slice. kpid_dedup_pack_new appends the marks made since the last call, grouped by slice:
 * it calls emit with the slice's start and packed marks (borrowed for the call), once a slice or in several pieces, each
 * smaller than a page and a whole of its own: it must be loaded as it was emitted. A mark that was
 * packed once is not packed again, unless `all` asks for every live mark (a shard's state is then written as a whole: one
 * pass over the table; it is rare). kpid_dedup_load adds marks from such bytes (those of expired slices are
 * skipped); false: the bytes are damaged. kpid_dedup_oldest: start of the oldest live slice; stored slices before
 * it may be dropped.
 */
typedef void kpid_dedup_emit(void *ctx, int64_t slice_start_ms, const void *bytes, size_t len);
void kpid_dedup_pack_new(struct kpid_dedup *dedup, bool all, kpid_dedup_emit *emit, void *ctx);
/* About n marks are about to be loaded: room for them at once, within max_bytes. Does nothing where there are some. */
void kpid_dedup_reserve(struct kpid_dedup *dedup, uint64_t n);
bool kpid_dedup_load(struct kpid_dedup *dedup, int64_t slice_start_ms, const void *bytes, size_t len) KPID_MUST_CHECK;
int64_t kpid_dedup_oldest(const struct kpid_dedup *dedup);

#endif
