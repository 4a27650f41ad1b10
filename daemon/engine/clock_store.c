/* Clock keys as records of stored pages: key, events as (ts, word), group numbers. */
#include "clock_table.h"

#include "kpid/hash.h"

#include <stdlib.h>

static void pack_entry(struct kpid_clocks *clocks, uint32_t entry, struct kpid_buf *out)
{
    struct clock_block *block = clocks->entries[entry].block;

    kpid_pack_bytes(out, clock_block_key(block, clocks->n_gids), block->key_len);
    kpid_pack_u64(out, block->n_events);
    for (uint16_t i = 0; i < block->n_events; i++)
        kpid_pack_i64(out, block->words[i]);
    for (size_t i = 0; i < (size_t)block->n_events * clocks->n_gids; i++)
        kpid_pack_u64(out, clock_block_gids(block)[i]);
}

void kpid_clocks_pack_dirty(struct kpid_clocks *clocks, kpid_clock_emit *emit, void *ctx)
{
    struct kpid_buf one = KPID_BUF_INIT;

    for (size_t i = 0; i < clocks->n_dirty; i++) {
        uint32_t entry = clocks->dirty[i];
        if (!clocks->entries[entry].block || !clocks->entries[entry].block->dirty)
            continue;
        clocks->entries[entry].block->dirty = false;
        kpid_buf_clear(&one);
        pack_entry(clocks, entry, &one);
        emit(ctx, one.data, one.len);
    }
    clocks->n_dirty = 0;
    kpid_buf_release(&one);
}

bool kpid_clocks_pack_range(struct kpid_clocks *clocks, uint32_t *entry, size_t max_bytes, kpid_clock_emit *emit,
                            void *ctx)
{
    struct kpid_buf one = KPID_BUF_INIT;
    size_t written = 0;

    for (; *entry < clocks->n_entries && written < max_bytes; ++*entry) {
        if (!clocks->entries[*entry].block)
            continue;
        kpid_buf_clear(&one);
        pack_entry(clocks, *entry, &one);
        emit(ctx, one.data, one.len);
        written += one.len;
    }
    kpid_buf_release(&one);
    return *entry >= clocks->n_entries;
}

bool kpid_clocks_load(struct kpid_shard *shard, uint32_t measure, struct kpid_unpack *in, const size_t *places,
                      size_t n_places)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct kpid_clocks *clocks = m->clocks;
    size_t len;
    const char *key = kpid_unpack_bytes(in, &len);
    uint64_t n = kpid_unpack_u64(in);
    int64_t words[KPID_CLOCK_EVENTS_MAX];

    if (in->bad || n == 0 || n > KPID_CLOCK_EVENTS_MAX)
        return false;
    for (uint64_t i = 0; i < n; i++)
        words[i] = kpid_unpack_i64(in);
    uint64_t hash = kpid_hash(key, len, 0);
    uint32_t entry = clock_find(clocks, hash, key, len);
    if (entry != UINT32_MAX) {
        struct clock_block *old = clocks->entries[entry].block;
        for (size_t e = 0; e < (size_t)old->n_events * clocks->n_gids; e++)
            shard->groups[m->def->groupings[e % clocks->n_gids + 1]].at[clock_block_gids(old)[e]].cells--;
        clock_drop(clocks, entry);
    }
    entry = clock_make(clocks, hash, key, len);
    uint32_t *gids = kpid_alloc((clocks->n_gids + 1) * sizeof(*gids));
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        for (size_t g = 0; g < clocks->n_gids; g++)
            gids[g] = KPID_GID_OTHER;
        for (size_t p = 0; p < n_places; p++) {
            uint64_t gid = kpid_unpack_u64(in);
            if (places[p] == SIZE_MAX)
                continue;
            if (gid >= shard->groups[m->def->groupings[places[p] + 1]].n)
                in->bad = true;
            else
                gids[places[p]] = (uint32_t)gid;
        }
        for (size_t g = 0; !in->bad && g < clocks->n_gids; g++)
            shard->groups[m->def->groupings[g + 1]].at[gids[g]].cells++;
        if (!in->bad)
            clock_insert(clocks, entry, words[i], gids);
    }
    free(gids);
    return !in->bad && clocks->entries[entry].block->n_events == n;
}

void kpid_clocks_loaded(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_clocks *clocks = shard->measures[measure].clocks;
    struct kpid_clock_result result;

    for (uint32_t i = 0; i < clocks->n_entries; i++) {
        struct clock_block *block = clocks->entries[i].block;
        if (!block)
            continue;
        clock_reserve(clocks, block->n_events);
        clock_work_out(clocks, block, shard->elapsed_ms, clocks->after, &result);
        clock_schedule(clocks, i, result.next_timer_ms);
    }
}
