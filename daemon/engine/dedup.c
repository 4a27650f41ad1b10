/*
 * Marks of event ids: slices of event time over the index of dedup_table.h, see kpid/dedup.h.
 *
 * Slices live in an array by their tag; `order` lists the living ones by time. Should no tag be free (time
 * jumps while the table is large and little comes in, so the sweep lags), a mark joins the next later slice,
 * or the newest slice is stretched: marks are then kept longer than needed, never shorter.
 *
 * Stored form, in pieces of at most PIECE_MARKS: width of the slice in ms (varint), then 8 bytes a mark.
 */
#include "kpid/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "dedup_table.h"

#define SLICES          64   /* a horizon */
#define SWEEP_STEPS     16   /* a call: a pass over the table takes 1/15 of the marks that fill it */
#define SWEEP_STEPS_MAX 1024 /* when tags run short */
#define LOAD_AHEAD      12 /* marks whose slots are fetched while others are put: halves the time of a load */
#define TAGS_SHORT      256
#define PIECE_MARKS     7680 /* 60 KiB: less than a page of state */

enum tag_state { TAG_FREE, TAG_LIVE, TAG_DEAD };

struct slice {
    int64_t first, last; /* numbers of the slice widths that it covers */
    int64_t stored_ms; /* start under which its marks are stored: the least, if some came from other widths */
    uint64_t marks;
    uint64_t *fresh; /* marks that were not packed yet */
    size_t n_fresh, cap_fresh;
    uint64_t dead_pass; /* of the sweep, when it died */
    enum tag_state state;
};

struct kpid_dedup {
    struct kpid_dedup_table table;
    struct slice slices[KPID_TAG_MAX + 1]; /* by tag; 0 is none */
    uint16_t order[KPID_TAG_MAX];          /* living tags by time */
    unsigned n_order;
    uint64_t passes; /* of the sweep, when tags were last set free */
    int64_t horizon_ms, width_ms;
    size_t max_bytes, fresh_bytes;
    int64_t floor_ms;   /* marks before are expired */
    int64_t highest_ms; /* of all marks */
    int64_t cut_end_ms; /* end of the latest slice that went early */
    uint64_t marks, cut;
};

struct kpid_dedup *kpid_dedup_new(int64_t horizon_ms, size_t max_bytes)
{
    struct kpid_dedup *dedup = kpid_zalloc(1, sizeof(*dedup));
    dedup->horizon_ms = horizon_ms;
    dedup->width_ms = horizon_ms >= SLICES ? (horizon_ms + SLICES - 1) / SLICES : 1;
    dedup->max_bytes = max_bytes;
    dedup->floor_ms = dedup->highest_ms = dedup->cut_end_ms = KPID_NEVER;
    return dedup;
}

static void fresh_release(struct kpid_dedup *dedup, struct slice *slice)
{
    dedup->fresh_bytes -= slice->cap_fresh * sizeof(*slice->fresh);
    free(slice->fresh);
    slice->fresh = NULL;
    slice->n_fresh = slice->cap_fresh = 0;
}

static void fresh_add(struct kpid_dedup *dedup, struct slice *slice, uint64_t hash)
{
    if (slice->n_fresh == slice->cap_fresh) {
        size_t cap = slice->cap_fresh > 0 ? slice->cap_fresh + slice->cap_fresh / 2 : 8;
        dedup->fresh_bytes += (cap - slice->cap_fresh) * sizeof(*slice->fresh);
        slice->fresh = kpid_realloc(slice->fresh, cap * sizeof(*slice->fresh));
        slice->cap_fresh = cap;
    }
    slice->fresh[slice->n_fresh++] = hash;
}

void kpid_dedup_free(struct kpid_dedup *dedup)
{
    if (dedup == NULL)
        return;
    for (unsigned tag = 1; tag <= KPID_TAG_MAX; tag++)
        free(dedup->slices[tag].fresh);
    kpid_dedup_table_release(&dedup->table);
    free(dedup);
}

static int64_t slice_end(const struct kpid_dedup *dedup, const struct slice *slice)
{
    return (slice->last + 1) * dedup->width_ms;
}

/* The oldest slice dies: its marks are absent from now on. */
static void oldest_drop(struct kpid_dedup *dedup)
{
    unsigned tag = dedup->order[0];
    struct slice *slice = &dedup->slices[tag];
    fresh_release(dedup, slice);
    dedup->marks -= slice->marks;
    slice->state = TAG_DEAD;
    slice->dead_pass = dedup->table.passes;
    dedup->table.live[tag] = false;
    dedup->table.n_dead++;
    dedup->n_order--;
    memmove(dedup->order, dedup->order + 1, dedup->n_order * sizeof(dedup->order[0]));
}

static void oldest_cut(struct kpid_dedup *dedup)
{
    const struct slice *slice = &dedup->slices[dedup->order[0]];
    dedup->cut += slice->marks;
    if (slice_end(dedup, slice) > dedup->cut_end_ms)
        dedup->cut_end_ms = slice_end(dedup, slice);
    oldest_drop(dedup);
}

static void sweep(struct kpid_dedup *dedup)
{
    bool tags_short = KPID_TAG_MAX - dedup->n_order - dedup->table.n_dead < TAGS_SHORT;
    if (dedup->table.n_dead == 0)
        return;
    kpid_dedup_table_sweep(&dedup->table, tags_short ? SWEEP_STEPS_MAX : SWEEP_STEPS);
    if (dedup->table.passes == dedup->passes)
        return;
    dedup->passes = dedup->table.passes;
    for (unsigned tag = 1; tag <= KPID_TAG_MAX; tag++) {
        struct slice *slice = &dedup->slices[tag];
        if (slice->state == TAG_DEAD &&
            slice->dead_pass + 2 <= dedup->passes) { /* one whole pass lies between */
            slice->state = TAG_FREE;
            dedup->table.n_dead--;
        }
    }
}

/* Number of living slices that begin at or before `index`. */
static unsigned order_find(const struct kpid_dedup *dedup, int64_t index)
{
    unsigned low = 0, high = dedup->n_order;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (dedup->slices[dedup->order[mid]].first <= index)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static unsigned tag_take(struct kpid_dedup *dedup)
{
    if (dedup->n_order + dedup->table.n_dead == KPID_TAG_MAX && dedup->n_order > 0)
        return 0;
    while (dedup->n_order + dedup->table.n_dead ==
           KPID_TAG_MAX) /* nothing lives at all: wait for the sweep */
        sweep(dedup);
    unsigned tag = 1;
    while (dedup->slices[tag].state != TAG_FREE)
        tag++;
    return tag;
}

/* Tag of the slice that marks of that number go to. */
static unsigned slice_for(struct kpid_dedup *dedup, int64_t index)
{
    const struct slice *latest = dedup->n_order ? &dedup->slices[dedup->order[dedup->n_order - 1]] : NULL;
    if (latest && latest->first <= index && latest->last >= index) /* where most marks go */
        return dedup->order[dedup->n_order - 1];
    unsigned at = order_find(dedup, index);
    if (at > 0 && dedup->slices[dedup->order[at - 1]].last >= index)
        return dedup->order[at - 1];
    unsigned tag = tag_take(dedup);
    if (tag == 0) {
        if (at < dedup->n_order)
            return dedup->order[at];
        dedup->slices[dedup->order[at - 1]].last = index;
        return dedup->order[at - 1];
    }
    memmove(dedup->order + at + 1, dedup->order + at, (dedup->n_order - at) * sizeof(dedup->order[0]));
    dedup->order[at] = (uint16_t)tag;
    dedup->n_order++;
    dedup->slices[tag] = (struct slice){
        .first = index, .last = index, .stored_ms = index * dedup->width_ms, .state = TAG_LIVE};
    dedup->table.live[tag] = true;
    return tag;
}

static size_t bytes_held(const struct kpid_dedup *dedup)
{
    return sizeof(*dedup) + dedup->fresh_bytes + dedup->table.bytes;
}

/* Puts a mark into the slice of that number. Returns the slice where it is new, NULL where it was there, as
 * late or later, before. Cuts slices while there is no room. */
static struct slice *mark_put(struct kpid_dedup *dedup, uint64_t hash, int64_t index)
{
    for (;;) {
        unsigned tag = slice_for(dedup, index), held = 0;
        size_t other = bytes_held(dedup) - dedup->table.bytes;
        size_t max_bytes = dedup->max_bytes > other ? dedup->max_bytes - other : 0;
        switch (kpid_dedup_table_put(&dedup->table, hash, tag, max_bytes, &held)) {
        case KPID_PUT_NEW: break;
        case KPID_PUT_PRESENT:
            if (dedup->slices[held].last >= dedup->slices[tag].last)
                return NULL;
            kpid_dedup_table_retag(&dedup->table, hash, tag);
            dedup->slices[held].marks--;
            dedup->marks--;
            break;
        case KPID_PUT_FULL: oldest_cut(dedup); continue;
        }
        dedup->slices[tag].marks++;
        dedup->marks++;
        return &dedup->slices[tag];
    }
}

static int64_t index_of(const struct kpid_dedup *dedup, int64_t ts_ms)
{
    return ts_ms / dedup->width_ms - (ts_ms % dedup->width_ms < 0);
}

void kpid_dedup_prefetch(const struct kpid_dedup *dedup, uint64_t hash)
{
    kpid_dedup_table_prefetch(&dedup->table, hash);
}

bool kpid_dedup_seen(const struct kpid_dedup *dedup, uint64_t hash, int64_t before_ms)
{
    unsigned tag = kpid_dedup_table_find(&dedup->table, hash);
    return tag != 0 && slice_end(dedup, &dedup->slices[tag]) > before_ms;
}

void kpid_dedup_mark(struct kpid_dedup *dedup, uint64_t hash, int64_t ts_ms)
{
    int64_t index = index_of(dedup, ts_ms);
    if (ts_ms > dedup->highest_ms)
        dedup->highest_ms = ts_ms;
    if ((index + 1) * dedup->width_ms <= dedup->floor_ms)
        return;
    struct slice *slice = mark_put(dedup, hash, index);
    if (slice != NULL)
        fresh_add(dedup, slice, hash);
    sweep(dedup);
}

void kpid_dedup_expire(struct kpid_dedup *dedup, int64_t before_ms)
{
    if (before_ms > dedup->floor_ms)
        dedup->floor_ms = before_ms;
    while (dedup->n_order > 0 && slice_end(dedup, &dedup->slices[dedup->order[0]]) <= dedup->floor_ms)
        oldest_drop(dedup);
    sweep(dedup);
}

void kpid_dedup_stats(const struct kpid_dedup *dedup, struct kpid_dedup_stats *ret)
{
    int64_t horizon = dedup->horizon_ms;
    if (dedup->cut > 0 && dedup->highest_ms < dedup->cut_end_ms + horizon)
        horizon = dedup->highest_ms > dedup->cut_end_ms ? dedup->highest_ms - dedup->cut_end_ms : 0;
    *ret = (struct kpid_dedup_stats){.marks = dedup->marks,
                                     .bytes = bytes_held(dedup),
                                     .cut = dedup->cut,
                                     .effective_horizon_ms = horizon};
}

/* ---- storage ---- */

struct packing {
    struct kpid_dedup *dedup;
    kpid_dedup_emit *emit;
    void *ctx;
    struct kpid_buf buf;
};

static void piece_emit(struct packing *packing, const struct slice *slice, const uint64_t *hashes, size_t n)
{
    int64_t end_ms = slice_end(packing->dedup, slice);
    kpid_buf_clear(&packing->buf);
    kpid_pack_u64(&packing->buf, (uint64_t)(end_ms - slice->stored_ms));
    for (size_t i = 0; i < n; i++)
        kpid_pack_fixed64(&packing->buf, hashes[i]);
    packing->emit(packing->ctx, slice->stored_ms, packing->buf.data, packing->buf.len);
}

static void fresh_pack(struct packing *packing, struct slice *slice)
{
    for (size_t at = 0; at < slice->n_fresh; at += PIECE_MARKS) {
        size_t left = slice->n_fresh - at;
        piece_emit(packing, slice, slice->fresh + at, left < PIECE_MARKS ? left : PIECE_MARKS);
    }
    fresh_release(packing->dedup, slice);
}

/* Collects the slice's marks where fresh ones lie, a piece at a time. */
static void mark_pack(void *ctx, uint64_t hash, unsigned tag)
{
    struct packing *packing = ctx;
    struct slice *slice = &packing->dedup->slices[tag];
    fresh_add(packing->dedup, slice, hash);
    if (slice->n_fresh == PIECE_MARKS) {
        piece_emit(packing, slice, slice->fresh, slice->n_fresh);
        slice->n_fresh = 0;
    }
}

void kpid_dedup_pack_new(struct kpid_dedup *dedup, bool all, kpid_dedup_emit *emit, void *ctx)
{
    struct packing packing = {dedup, emit, ctx, KPID_BUF_INIT};
    if (all) {
        for (unsigned i = 0; i < dedup->n_order; i++)
            dedup->slices[dedup->order[i]].n_fresh = 0;
        kpid_dedup_table_each(&dedup->table, mark_pack, &packing);
    }
    for (unsigned i = 0; i < dedup->n_order; i++)
        fresh_pack(&packing, &dedup->slices[dedup->order[i]]);
    kpid_buf_release(&packing.buf);
}

void kpid_dedup_reserve(struct kpid_dedup *dedup, uint64_t n)
{
    size_t other = bytes_held(dedup) - dedup->table.bytes;
    if (dedup->max_bytes > other)
        kpid_dedup_table_reserve(&dedup->table, n, dedup->max_bytes - other);
}

bool kpid_dedup_load(struct kpid_dedup *dedup, int64_t slice_start_ms, const void *bytes, size_t len)
{
    struct kpid_unpack in;
    kpid_unpack_init(&in, bytes, len);
    uint64_t width_ms = kpid_unpack_u64(&in);
    int64_t end_ms;
    if (in.bad || width_ms == 0 || width_ms > INT64_MAX || (in.end - in.at) % 8 != 0 ||
        __builtin_add_overflow(slice_start_ms, (int64_t)width_ms, &end_ms))
        return false;
    if (end_ms <= dedup->floor_ms)
        return true;
    if (end_ms - 1 > dedup->highest_ms)
        dedup->highest_ms = end_ms - 1;
    int64_t index = index_of(dedup, end_ms - 1);
    while (in.at < in.end) {
        if (in.end - in.at > 8 * LOAD_AHEAD) {
            struct kpid_unpack ahead = {in.at + 8 * LOAD_AHEAD, in.end, false};
            kpid_dedup_table_prefetch(&dedup->table, kpid_unpack_fixed64(&ahead));
        }
        struct slice *slice = mark_put(dedup, kpid_unpack_fixed64(&in), index);
        if (slice != NULL && slice->stored_ms > slice_start_ms)
            slice->stored_ms = slice_start_ms;
    }
    sweep(dedup);
    return true;
}

int64_t kpid_dedup_oldest(const struct kpid_dedup *dedup)
{
    int64_t oldest = dedup->n_order > 0 ? KPID_FOREVER : dedup->floor_ms;
    for (unsigned i = 0; i < dedup->n_order; i++) {
        if (dedup->slices[dedup->order[i]].stored_ms < oldest)
            oldest = dedup->slices[dedup->order[i]].stored_ms;
    }
    return oldest;
}
