/*
 * Copies of other instances' shards. State is a log of pages that hold absolute values, so whoever has read it up to one
 * commit comes to the next by that one's meta and new pages alone: a cell, key or group that stands in them replaces the
 * one that was there. What an owner does besides is said by the meta: marks below which panes are gone, and the instant
 * up to which time has brought about what it does. Cells are never counted here, so a copy can't differ from its owner.
 */
#include "core.h"
#include "state_format.h"

#include <stdlib.h>

struct kpid_shard *kpid_shard_copy_new(const struct kpid_model *model, uint32_t source, int32_t partition)
{
    struct kpid_shard *shard = kpid_shard_new(model, source, partition);

    shard->copy = true;
    return shard;
}

/* What is open moves on with the owner's clock; what that counts comes in pages. */
static void elapse(struct kpid_shard *shard, int64_t from_ms, int64_t until_ms)
{
    if (until_ms <= from_ms)
        return;
    shard->elapsed_ms = from_ms;
    for (uint32_t i = 0; i < shard->plan->n_measures; i++)
        if (shard->measures[i].keys) {
            kpid_keys_elapse(shard, i, until_ms);
            shard->measures[i].version++;
        }
    shard->elapsed_ms = until_ms;
}

bool kpid_shard_follow(struct kpid_shard *shard, const void *meta, size_t meta_len, const struct kpid_page *pages,
                       size_t n_pages, const char **why)
{
    bool *known = kpid_zalloc(shard->n_measures, sizeof(*known));
    int64_t from_ms = shard->elapsed_ms;

    free(shard->letters);
    free(shard->log);
    shard->letters = NULL;
    shard->log = NULL;
    shard->n_letters = shard->cap_letters = shard->n_log = shard->cap_log = 0;
    shard->log_bytes = 0;
    *why = kpid_state_read_meta(shard, meta, meta_len, known);
    if (!*why) {
        uint64_t negatives = shard->n.negatives, forgotten = shard->n.keys_forgotten, undated = shard->n.undated;
        elapse(shard, from_ms, shard->elapsed_ms);
        shard->n.negatives = negatives;
        shard->n.keys_forgotten = forgotten;
        shard->n.undated = undated;
    }
    for (uint32_t i = 0; !*why && i < shard->n_measures; i++) {
        shard->measures[i].elsewhere = !known[i];
        kpid_ladder_drop(shard, i);
    }
    for (size_t i = 0; i < shard->n_log; i++)
        shard->marked |= shard->log[i].slice_ms != KPID_NEVER;
    for (size_t i = 0; !*why && i < n_pages; i++)
        if (!kpid_state_read_page(shard, &pages[i], known))
            *why = "a page is damaged";
    for (uint32_t i = 0; !*why && i < shard->plan->n_measures; i++)
        if (shard->measures[i].keys && !kpid_keys_are_loaded(shard->measures[i].keys))
            kpid_keys_loaded(shard, i);
    free(known);
    return !*why;
}

void kpid_shard_copy_replaces(struct kpid_shard *shard, const struct kpid_shard *old)
{
    for (size_t i = 0; i < shard->n_measures; i++) {
        shard->measures[i].told_below = old->measures[i].told_below;
        shard->measures[i].version += old->measures[i].version;
    }
}

static void skip_ledger(struct kpid_unpack *in)
{
    kpid_unpack_u64(in);
    for (int part = 0; part < 2; part++) /* classes, reasons */
        for (uint64_t n = kpid_unpack_u64(in), i = 0; i < n && !in->bad; i++)
            kpid_unpack_u64(in);
    for (int i = 0; i < 6; i++)
        kpid_unpack_u64(in);
}

static void skip_measure(struct kpid_unpack *in)
{
    static const unsigned ints[] = { 1, 3, 2 }; /* behind the hash of a grouping, a rung, a touch */

    kpid_unpack_fixed64(in);
    kpid_unpack_u64(in);
    for (size_t part = 0; part < KPID_COUNT_OF(ints); part++) {
        uint64_t n = kpid_unpack_u64(in);
        for (uint64_t i = 0; i < n && !in->bad; i++) {
            kpid_unpack_fixed64(in);
            for (unsigned k = 0; k < ints[part]; k++)
                kpid_unpack_i64(in);
        }
    }
}

/* From behind the format of a meta of format 4 to its log. */
static void skip_to_log(struct kpid_unpack *in)
{
    struct kpid_trail trail = { 0 };
    size_t len;

    for (int i = 0; i < 14; i++) /* from next_page to undated */
        kpid_unpack_u64(in);
    for (uint64_t n = kpid_unpack_u64(in), i = 0; i < n && !in->bad; i++) { /* topics */
        kpid_unpack_bytes(in, &len);
        kpid_unpack_i64(in);
        kpid_unpack_i64(in);
        skip_ledger(in);
        kpid_trail_read(&trail, in);
    }
    for (uint64_t n = kpid_unpack_u64(in), i = 0; i < n && !in->bad; i++) { /* groupings */
        kpid_unpack_fixed64(in);
        kpid_unpack_u64(in);
        kpid_unpack_i64(in);
    }
    for (uint64_t n = kpid_unpack_u64(in), i = 0; i < n && !in->bad; i++)
        skip_measure(in);
    for (uint64_t n = kpid_unpack_u64(in), i = 0; i < n && !in->bad; i++) { /* letters */
        kpid_unpack_bytes(in, &len);
        kpid_unpack_i64(in);
        kpid_unpack_u64(in);
    }
}

bool kpid_meta_pages(const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n)
{
    struct kpid_unpack in;

    kpid_unpack_init(&in, meta, meta_len);
    uint64_t format = kpid_unpack_u64(&in);
    if (in.bad || !kpid_state_readable(format))
        return false;
    if (format <= 4)
        skip_to_log(&in);
    uint64_t n = kpid_unpack_u64(&in);
    if (in.bad || n > meta_len)
        return false;
    uint64_t *ids = kpid_alloc((n + 1) * sizeof(*ids)), id = 0;
    size_t n_ids = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t before = id;
        id = kpid_unpack_u64(&in);
        kpid_unpack_u64(&in);
        if (kpid_unpack_i64(&in) == KPID_NEVER)
            ids[n_ids++] = id;
        in.bad |= i > 0 && id <= before;
    }
    if (in.bad) {
        free(ids);
        return false;
    }
    *ret = ids;
    *ret_n = n_ids;
    return true;
}

unsigned kpid_state_format(void)
{
    return STATE_FORMAT;
}

uint64_t kpid_meta_format(const void *meta, size_t meta_len)
{
    struct kpid_unpack in;

    kpid_unpack_init(&in, meta, meta_len);
    uint64_t format = kpid_unpack_u64(&in);
    return in.bad ? 0 : format;
}

int64_t kpid_shard_elapsed(const struct kpid_shard *shard)
{
    return shard->elapsed_ms;
}

void kpid_shard_watch_all(struct kpid_shard *shard, int64_t below_ms)
{
    for (size_t i = 0; i < shard->plan->n_measures; i++)
        if (shard->measures[i].touch_below_ms < below_ms) {
            shard->measures[i].touch_below_ms = below_ms;
            shard->measures[i].touched_ms = KPID_NEVER;
        }
}

bool kpid_shard_has_touches(const struct kpid_shard *shard)
{
    for (size_t i = 0; i < shard->plan->n_measures; i++)
        if (shard->measures[i].n_touches)
            return true;
    return false;
}

bool kpid_shard_is_copy(const struct kpid_shard *shard)
{
    return shard->copy;
}
