/*
 * A table of segments found by the leading bits of the hash (extendible hashing: Fagin, Nievergelt, Pippenger, Strong
 * 1979), so that growth splits one segment of 1,024 slots at a time and nothing is ever laid out anew as a whole.
 *
 *   directory[hash >> (64 - depth)] --> segment: 1,024 hashes | 1,024 slice numbers (16 bits)
 *
 * A slot whose slice is expired counts as absent; it is taken over by the next mark that probes over it, or goes when
 * its segment is full and laid out again. A slot takes 10 bytes; segments are between 45 and 90 % full.
 */
#include "kpid/dedup.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS     1024u
#define FULL      920u /* slots in use, expired ones included, before a segment is laid out again or split */
#define CROWDED   800u /* live slots above which it is split */
#define SLICES    64

struct segment {
    unsigned depth;     /* leading bits that all its hashes share */
    uint32_t used;
    uint64_t hashes[SLOTS]; /* 0: empty */
    uint16_t slices[SLOTS];
};

struct slice_count {
    int64_t slice;
    uint64_t marks;
};

struct pending {
    uint64_t hash;
    int64_t slice;
};

struct kpid_dedup {
    int64_t horizon_ms, width_ms;
    size_t max_bytes;
    struct segment **directory;
    unsigned depth;
    size_t n_segments;
    int64_t oldest;              /* slices below are expired */
    struct slice_count *counts;  /* live slices, ascending */
    size_t n_counts, cap_counts;
    struct pending *pending;     /* not packed yet */
    size_t n_pending, cap_pending;
    uint64_t cut;
    int64_t effective_ms;
};

static int64_t slice_of(const struct kpid_dedup *dedup, int64_t ts_ms)
{
    int64_t rest = ts_ms % dedup->width_ms;
    return (ts_ms - rest) / dedup->width_ms - (rest < 0);
}

static uint64_t stored(uint64_t hash)
{
    return hash ? hash : 1;
}

static size_t place_of(const struct kpid_dedup *dedup, uint64_t hash)
{
    return dedup->depth ? (size_t)(hash >> (64 - dedup->depth)) : 0;
}

static bool live(const struct kpid_dedup *dedup, const struct segment *segment, uint32_t slot)
{
    return (int16_t)(uint16_t)(segment->slices[slot] - (uint16_t)dedup->oldest) >= 0;
}

struct kpid_dedup *kpid_dedup_new(int64_t horizon_ms, size_t max_bytes)
{
    struct kpid_dedup *dedup = kpid_zalloc(1, sizeof(*dedup));

    dedup->horizon_ms = dedup->effective_ms = horizon_ms;
    dedup->width_ms = horizon_ms / SLICES > 0 ? (horizon_ms + SLICES - 1) / SLICES : 1;
    dedup->max_bytes = max_bytes;
    dedup->oldest = INT64_MIN / 2;
    dedup->directory = kpid_zalloc(1, sizeof(struct segment *));
    dedup->directory[0] = kpid_zalloc(1, sizeof(struct segment));
    dedup->n_segments = 1;
    return dedup;
}

void kpid_dedup_free(struct kpid_dedup *dedup)
{
    if (!dedup)
        return;
    for (size_t i = 0; i < (size_t)1 << dedup->depth;) {
        struct segment *segment = dedup->directory[i];
        i += (size_t)1 << (dedup->depth - segment->depth);
        free(segment);
    }
    free(dedup->directory);
    free(dedup->counts);
    free(dedup->pending);
    free(dedup);
}

bool kpid_dedup_seen(const struct kpid_dedup *dedup, uint64_t hash)
{
    hash = stored(hash);
    const struct segment *segment = dedup->directory[place_of(dedup, hash)];

    for (uint32_t at = (uint32_t)hash % SLOTS; segment->hashes[at]; at = (at + 1) % SLOTS)
        if (segment->hashes[at] == hash)
            return live(dedup, segment, at);
    return false;
}

/* ---- counts a slice ---- */

static struct slice_count *count_of(struct kpid_dedup *dedup, int64_t slice)
{
    size_t at = dedup->n_counts;

    while (at > 0 && dedup->counts[at - 1].slice > slice)
        at--;
    if (at > 0 && dedup->counts[at - 1].slice == slice)
        return &dedup->counts[at - 1];
    if (dedup->n_counts == dedup->cap_counts) {
        dedup->cap_counts = dedup->cap_counts ? dedup->cap_counts * 2 : SLICES * 2;
        dedup->counts = kpid_realloc(dedup->counts, dedup->cap_counts * sizeof(*dedup->counts));
    }
    memmove(dedup->counts + at + 1, dedup->counts + at, (dedup->n_counts - at) * sizeof(*dedup->counts));
    dedup->n_counts++;
    dedup->counts[at] = (struct slice_count){ slice, 0 };
    return &dedup->counts[at];
}

static void expire_below(struct kpid_dedup *dedup, int64_t slice, bool early)
{
    size_t gone = 0;

    while (gone < dedup->n_counts && dedup->counts[gone].slice < slice) {
        if (early)
            dedup->cut += dedup->counts[gone].marks;
        gone++;
    }
    memmove(dedup->counts, dedup->counts + gone, (dedup->n_counts - gone) * sizeof(*dedup->counts));
    dedup->n_counts -= gone;
    if (slice > dedup->oldest)
        dedup->oldest = slice;
}

/* Slices are told apart by 16 bits, so expired slots may stand no longer than 32,768 slices: laid out again by then. */
static void relayout(struct kpid_dedup *dedup, struct segment *segment)
{
    struct segment *fresh = kpid_zalloc(1, sizeof(*fresh));

    fresh->depth = segment->depth;
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!segment->hashes[i] || !live(dedup, segment, i))
            continue;
        uint32_t at = (uint32_t)segment->hashes[i] % SLOTS;
        while (fresh->hashes[at])
            at = (at + 1) % SLOTS;
        fresh->hashes[at] = segment->hashes[i];
        fresh->slices[at] = segment->slices[i];
        fresh->used++;
    }
    *segment = *fresh;
    free(fresh);
}

void kpid_dedup_expire(struct kpid_dedup *dedup, int64_t before_ms)
{
    int64_t slice = slice_of(dedup, before_ms), from = dedup->oldest;

    if (slice <= from)
        return;
    expire_below(dedup, slice, false);
    /* What stays behind would come alive again as the numbers wrap. */
    if ((slice >> 13) != (from >> 13))
        for (size_t i = 0; i < (size_t)1 << dedup->depth;) {
            struct segment *segment = dedup->directory[i];
            i += (size_t)1 << (dedup->depth - segment->depth);
            relayout(dedup, segment);
        }
}

/* ---- growth ---- */

static size_t bytes_of(const struct kpid_dedup *dedup)
{
    return dedup->n_segments * sizeof(struct segment) + ((size_t)1 << dedup->depth) * sizeof(struct segment *);
}

static void insert(struct segment *segment, uint64_t hash, uint16_t slice)
{
    uint32_t at = (uint32_t)hash % SLOTS;

    while (segment->hashes[at])
        at = (at + 1) % SLOTS;
    segment->hashes[at] = hash;
    segment->slices[at] = slice;
    segment->used++;
}

static void split(struct kpid_dedup *dedup, uint64_t hash)
{
    struct segment *old = dedup->directory[place_of(dedup, hash)], *low, *high;

    if (old->depth == dedup->depth) {
        size_t n = (size_t)1 << dedup->depth;
        struct segment **wider = kpid_alloc(n * 2 * sizeof(struct segment *));
        for (size_t i = 0; i < n; i++)
            wider[2 * i] = wider[2 * i + 1] = dedup->directory[i];
        free(dedup->directory);
        dedup->directory = wider;
        dedup->depth++;
    }
    low = kpid_zalloc(1, sizeof(*low));
    high = kpid_zalloc(1, sizeof(*high));
    low->depth = high->depth = old->depth + 1;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (old->hashes[i] && live(dedup, old, i))
            insert(old->hashes[i] >> (63 - old->depth) & 1 ? high : low, old->hashes[i], old->slices[i]);
    size_t span = (size_t)1 << (dedup->depth - old->depth);
    size_t first = place_of(dedup, hash) / span * span;
    for (size_t i = 0; i < span; i++)
        dedup->directory[first + i] = i < span / 2 ? low : high;
    dedup->n_segments++;
    free(old);
}

/* Makes room in the segment of this hash; at the cap the oldest slices go early. */
static void make_room(struct kpid_dedup *dedup, uint64_t hash)
{
    for (;;) {
        struct segment *segment = dedup->directory[place_of(dedup, hash)];
        relayout(dedup, segment);
        if (segment->used <= CROWDED)
            return;
        if (bytes_of(dedup) + sizeof(struct segment) <= dedup->max_bytes && dedup->depth < 40) {
            split(dedup, hash);
            return;
        }
        if (dedup->n_counts < 2 && segment->used < SLOTS - 1)
            return;
        int64_t newest = dedup->counts[dedup->n_counts - 1].slice;
        int64_t cut_to = dedup->n_counts < 2 ? newest + 1 : dedup->counts[1].slice;
        expire_below(dedup, cut_to, true);
        int64_t covered = (newest - cut_to + 1) * dedup->width_ms;
        if (covered < dedup->effective_ms)
            dedup->effective_ms = covered < 0 ? 0 : covered;
    }
}

static void put(struct kpid_dedup *dedup, uint64_t hash, int64_t slice)
{
    struct segment *segment = dedup->directory[place_of(dedup, hash)];

    if (dedup->oldest == INT64_MIN / 2)
        dedup->oldest = slice - 16384;
    if (segment->used >= FULL) {
        make_room(dedup, hash);
        segment = dedup->directory[place_of(dedup, hash)];
    }
    uint32_t at = (uint32_t)hash % SLOTS;
    for (; segment->hashes[at]; at = (at + 1) % SLOTS)
        if (segment->hashes[at] == hash)
            break;
    if (!segment->hashes[at])
        segment->used++;
    segment->hashes[at] = hash;
    segment->slices[at] = (uint16_t)slice;
    count_of(dedup, slice)->marks++;
}

void kpid_dedup_mark(struct kpid_dedup *dedup, uint64_t hash, int64_t ts_ms)
{
    int64_t slice = slice_of(dedup, ts_ms);

    hash = stored(hash);
    if (dedup->oldest != INT64_MIN / 2 && slice < dedup->oldest)
        slice = dedup->oldest; /* kept a little longer than needed rather than not at all */
    put(dedup, hash, slice);
    if (dedup->n_pending == dedup->cap_pending) {
        dedup->cap_pending = dedup->cap_pending ? dedup->cap_pending * 2 : 256;
        dedup->pending = kpid_realloc(dedup->pending, dedup->cap_pending * sizeof(*dedup->pending));
    }
    dedup->pending[dedup->n_pending++] = (struct pending){ hash, slice };
}

void kpid_dedup_stats(const struct kpid_dedup *dedup, struct kpid_dedup_stats *ret)
{
    ret->marks = 0;
    for (size_t i = 0; i < dedup->n_counts; i++)
        ret->marks += dedup->counts[i].marks;
    ret->bytes = bytes_of(dedup);
    ret->cut = dedup->cut;
    ret->effective_horizon_ms = dedup->effective_ms;
}

/* ---- storage ---- */

static int compare_pending(const void *a, const void *b)
{
    const struct pending *x = a, *y = b;
    return x->slice < y->slice ? -1 : x->slice > y->slice;
}

static void collect_all(struct kpid_dedup *dedup)
{
    struct kpid_dedup_stats stats;

    kpid_dedup_stats(dedup, &stats);
    dedup->n_pending = 0;
    for (size_t i = 0; i < (size_t)1 << dedup->depth;) {
        const struct segment *segment = dedup->directory[i];
        i += (size_t)1 << (dedup->depth - segment->depth);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            if (!segment->hashes[slot] || !live(dedup, segment, slot))
                continue;
            if (dedup->n_pending == dedup->cap_pending) {
                dedup->cap_pending = dedup->cap_pending ? dedup->cap_pending * 2 : 256;
                dedup->pending = kpid_realloc(dedup->pending, dedup->cap_pending * sizeof(*dedup->pending));
            }
            int64_t slice = dedup->oldest + (uint16_t)(segment->slices[slot] - (uint16_t)dedup->oldest);
            dedup->pending[dedup->n_pending++] = (struct pending){ segment->hashes[slot], slice };
        }
    }
}

void kpid_dedup_pack_new(struct kpid_dedup *dedup, bool all, kpid_dedup_emit *emit, void *ctx)
{
    struct kpid_buf bytes = KPID_BUF_INIT;

    if (all)
        collect_all(dedup);
    if (dedup->n_pending > 1)
        qsort(dedup->pending, dedup->n_pending, sizeof(*dedup->pending), compare_pending);
    for (size_t i = 0; i < dedup->n_pending;) {
        int64_t slice = dedup->pending[i].slice;
        kpid_buf_clear(&bytes);
        for (; i < dedup->n_pending && dedup->pending[i].slice == slice; i++)
            kpid_pack_fixed64(&bytes, dedup->pending[i].hash);
        if (slice >= dedup->oldest)
            emit(ctx, slice * dedup->width_ms, bytes.data, bytes.len);
    }
    dedup->n_pending = 0;
    kpid_buf_release(&bytes);
}

bool kpid_dedup_load(struct kpid_dedup *dedup, int64_t slice_start_ms, const void *bytes, size_t len)
{
    struct kpid_unpack in;
    int64_t slice = slice_of(dedup, slice_start_ms);

    if (len % 8)
        return false;
    if (dedup->oldest != INT64_MIN / 2 && slice < dedup->oldest)
        return true;
    kpid_unpack_init(&in, bytes, len);
    while (in.at < in.end)
        put(dedup, stored(kpid_unpack_fixed64(&in)), slice);
    return !in.bad;
}

int64_t kpid_dedup_oldest(const struct kpid_dedup *dedup)
{
    return dedup->oldest == INT64_MIN / 2 ? KPID_NEVER : dedup->oldest * dedup->width_ms;
}
