/* Keys as records of stored pages: key, items, group numbers. */
#include "keyed_table.h"

#include "kpid/hash.h"

#include <stdlib.h>

#define AHEAD 8 /* keys that are brought near while others are packed */

static void pack_block(const struct kpid_keys *keys, struct keyed_block *block, struct kpid_buf *out)
{
    kpid_pack_bytes(out, keyed_key(keys, block), block->key_len);
    kpid_pack_u64(out, block->n);
    for (size_t i = 0; i < (size_t)block->n * keys->width; i++)
        kpid_pack_i64(out, block->words[i]);
    for (size_t i = 0; i < (size_t)block->n * keys->n_gids; i++)
        kpid_pack_u64(out, keyed_gids(keys, block)[i]);
}

void kpid_keys_pack_dirty(struct kpid_keys *keys, kpid_keys_emit *emit, void *ctx)
{
    struct kpid_buf one = KPID_BUF_INIT;

    for (size_t i = 0; i < keys->n_dirty; i++) {
        struct keyed_block *block = keyed_entry(keys, keys->dirty[i]);
        if (i + AHEAD < keys->n_dirty) /* they lie anywhere */
            __builtin_prefetch(keyed_entry(keys, keys->dirty[i + AHEAD]));
        if (i + 2 * AHEAD < keys->n_dirty)
            __builtin_prefetch(&keys->entries[keys->dirty[i + 2 * AHEAD]]);
        if (!block || !block->dirty)
            continue;
        block->dirty = 0;
        kpid_buf_clear(&one);
        pack_block(keys, block, &one);
        emit(ctx, one.data, one.len);
    }
    keys->n_dirty = 0;
    kpid_buf_release(&one);
}

bool kpid_keys_pack_range(struct kpid_keys *keys, uint32_t *entry, size_t max_bytes, kpid_keys_emit *emit,
                            void *ctx)
{
    struct kpid_buf one = KPID_BUF_INIT;
    size_t written = 0;

    for (; *entry < keys->n_entries && written < max_bytes; ++*entry) {
        struct keyed_block *block = keyed_entry(keys, *entry);
        if (!block)
            continue;
        kpid_buf_clear(&one);
        pack_block(keys, block, &one);
        emit(ctx, one.data, one.len);
        written += one.len;
    }
    kpid_buf_release(&one);
    return *entry >= keys->n_entries;
}

/* Reads the group numbers of one item. */
static void load_gids(struct kpid_shard *shard, uint32_t measure, struct kpid_unpack *in, const size_t *places,
                      size_t n_places, uint32_t *ret)
{
    const struct kpid_measure *def = shard->measures[measure].def;

    for (size_t g = 0; g + 1 < def->n_groupings; g++)
        ret[g] = KPID_GID_OTHER;
    for (size_t p = 0; p < n_places; p++) {
        uint64_t gid = kpid_unpack_u64(in);
        if (places[p] == SIZE_MAX)
            continue;
        if (gid >= shard->groups[def->groupings[places[p] + 1]].n)
            in->bad = true;
        else
            ret[places[p]] = (uint32_t)gid;
    }
}

/* Its timer, and what it has open. */
static void key_loaded(struct kpid_shard *shard, uint32_t measure, struct keyed_block *block)
{
    struct kpid_keys *keys = shard->measures[measure].keys;

    keyed_open(keys, block, &keys->after);
    keyed_work_out(keys, &keys->after, shard->elapsed_ms);
    keyed_schedule(keys, block, keys->after.result.next_timer_ms);
    keyed_add_spans(shard->measures[measure].def, keys, &keys->after, 1);
}

bool kpid_keys_load(struct kpid_shard *shard, uint32_t measure, struct kpid_unpack *in, const size_t *places,
                    size_t n_places)
{
    struct kpid_measure_state *m = &shard->measures[measure];
    struct kpid_keys *keys = m->keys;
    struct kpid_items *items = &keys->after.items;
    size_t len;
    const char *key = kpid_unpack_bytes(in, &len);
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n == 0 || n > KPID_ITEMS_MAX || len > KEYED_KEY_MAX)
        return false;
    uint64_t hash = kpid_hash(key, len, 0);
    struct keyed_block *old = keyed_find(keys, hash, key, len);
    if (old) {
        if (keys->loaded) { /* what it opened goes with it */
            keyed_open(keys, old, &keys->before);
            keyed_work_out(keys, &keys->before, shard->elapsed_ms);
            keyed_add_spans(m->def, keys, &keys->before, -1);
        }
        keyed_use_groups(shard, m->def, keyed_gids(keys, old), old->n, -1);
        keyed_drop(keys, old);
    }
    keyed_reserve(keys, &keys->after, n);
    items->n = n;
    for (size_t i = 0; i < n * keys->width; i++)
        items->words[i] = kpid_unpack_i64(in);
    for (size_t i = 0; i < n && !in->bad; i++)
        load_gids(shard, measure, in, places, n_places, items->gids + i * keys->n_gids);
    for (size_t i = 1; i < n; i++)
        in->bad |= items->words[i * keys->width] < items->words[(i - 1) * keys->width];
    if (in->bad)
        return false;
    keyed_use_groups(shard, m->def, items->gids, n, 1);
    struct keyed_block *block = keyed_make(keys, hash, key, len, items);
    if (keys->loaded)
        key_loaded(shard, measure, block);
    return true;
}

void kpid_keys_loaded(struct kpid_shard *shard, uint32_t measure)
{
    struct kpid_keys *keys = shard->measures[measure].keys;

    for (uint32_t i = 0; i < keys->n_entries; i++)
        if (keys->entries[i] != KEYED_NOWHERE)
            key_loaded(shard, measure, keyed_entry(keys, i));
    keys->loaded = true;
}

bool kpid_keys_are_loaded(const struct kpid_keys *keys)
{
    return keys->loaded;
}
