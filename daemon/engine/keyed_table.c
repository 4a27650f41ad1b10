#include "keyed_table.h"

#include "kpid/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE_BYTES 64
#define KEYED_N_MAX      ((1u << 11) - 1)

struct kpid_keys *kpid_keys_new(const struct kpid_measure *def)
{
    struct kpid_keys *keys = kpid_zalloc(1, sizeof(*keys));

    keys->kind = def->agg->keyed;
    keys->spec = &def->keyed;
    keys->width = keys->kind->width;
    keys->n_gids = def->n_groupings - 1;
    keys->swept_ms = KPID_NEVER;
    keyed_pool_init(&keys->pool);
    keys->memo = (struct kpid_keyed_memo){ KPID_NEVER, KPID_NEVER };
    if (keys->spec->aged)
        keys->spans = kpid_spans_new(def->n_groupings, KPID_TRACKS_MAX);
    return keys;
}

void kpid_keys_free(struct kpid_keys *keys)
{
    if (!keys)
        return;
    keyed_pool_release(&keys->pool);
    free(keys->entries);
    free(keys->free_entries);
    free(keys->tags);
    free(keys->slots);
    free(keys->heap);
    free(keys->dirty);
    kpid_spans_free(keys->spans);
    keyed_side_release(&keys->before);
    keyed_side_release(&keys->after);
    free(keys);
}

uint64_t kpid_keys_count(const struct kpid_keys *keys)
{
    return keys->used;
}

size_t kpid_keys_bytes(const struct kpid_keys *keys)
{
    return keys->pool.bytes + keys->cap_entries * sizeof(*keys->entries) +
           keys->index_cap * (sizeof(*keys->tags) + sizeof(*keys->slots)) + keys->cap_heap * sizeof(*keys->heap) +
           (keys->spans ? kpid_spans_bytes(keys->spans) : 0);
}

/* ---- the table ---- */

static size_t block_size(const struct kpid_keys *keys, size_t n, size_t key_len)
{
    return sizeof(struct keyed_block) + n * (keys->width * sizeof(int64_t) + keys->n_gids * sizeof(uint32_t)) + key_len;
}

/* Where a hash belongs. Its high half: the low bits may be what keys were spread over partitions by. */
static uint32_t home_of(uint64_t hash, uint32_t mask)
{
    return (uint32_t)(hash >> 32) & mask;
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash & 0x7f) | 0x80;
}

static uint64_t hash_of(const struct kpid_keys *keys, struct keyed_block *block)
{
    return kpid_hash(keyed_key(keys, block), block->key_len, 0);
}

struct keyed_block *keyed_find(const struct kpid_keys *keys, uint64_t hash, const char *key, size_t len)
{
    uint32_t mask = keys->index_cap - 1;
    uint8_t tag = tag_of(hash), found;

    if (!keys->index_cap)
        return NULL;
    for (uint32_t at = home_of(hash, mask); (found = keys->tags[at]); at = (at + 1) & mask) {
        if (found != tag)
            continue;
        struct keyed_block *block = keyed_pool_at(&keys->pool, keys->slots[at]);
        if (block->key_len == len && !memcmp(keyed_key(keys, block), key, len))
            return block;
    }
    return NULL;
}

void kpid_keys_prefetch(const struct kpid_keys *keys, uint64_t hash)
{
    if (!keys->index_cap)
        return;
    uint32_t at = home_of(hash, keys->index_cap - 1);
    __builtin_prefetch(&keys->tags[at]);
    __builtin_prefetch(&keys->slots[at]);
}

void kpid_keys_prefetch_block(const struct kpid_keys *keys, uint64_t hash)
{
    uint32_t mask = keys->index_cap - 1;
    uint8_t tag = tag_of(hash), found;

    if (!keys->index_cap)
        return;
    for (uint32_t at = home_of(hash, mask); (found = keys->tags[at]); at = (at + 1) & mask)
        if (found == tag) {
            const char *block = keyed_pool_at(&keys->pool, keys->slots[at]);
            __builtin_prefetch(block, 1);
            __builtin_prefetch(block + CACHE_LINE_BYTES, 1);
            return;
        }
}

static void index_put(struct kpid_keys *keys, uint64_t hash, uint32_t ref)
{
    uint32_t mask = keys->index_cap - 1, at = home_of(hash, mask);

    while (keys->tags[at])
        at = (at + 1) & mask;
    keys->tags[at] = tag_of(hash);
    keys->slots[at] = ref;
}

static void index_grow(struct kpid_keys *keys)
{
    free(keys->tags);
    free(keys->slots);
    keys->index_cap = keys->index_cap ? keys->index_cap * 2 : 64;
    keys->tags = kpid_zalloc(keys->index_cap, sizeof(*keys->tags));
    keys->slots = kpid_alloc(keys->index_cap * sizeof(*keys->slots));
    for (uint32_t i = 0; i < keys->n_entries; i++)
        if (keys->entries[i] != KEYED_NOWHERE)
            index_put(keys, hash_of(keys, keyed_entry(keys, i)), keys->entries[i]);
}

static uint32_t index_slot(const struct kpid_keys *keys, struct keyed_block *block)
{
    uint32_t mask = keys->index_cap - 1, at = home_of(hash_of(keys, block), mask), ref = keys->entries[block->entry];

    while (keys->slots[at] != ref || !keys->tags[at])
        at = (at + 1) & mask;
    return at;
}

/* Takes a key out of the index and closes the gap that open addressing would leave (Knuth, 6.4, algorithm R). */
static void index_remove(struct kpid_keys *keys, struct keyed_block *block)
{
    uint32_t mask = keys->index_cap - 1, at = index_slot(keys, block);

    for (uint32_t next = (at + 1) & mask; keys->tags[next]; next = (next + 1) & mask) {
        uint32_t home = home_of(hash_of(keys, keyed_pool_at(&keys->pool, keys->slots[next])), mask);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            keys->tags[at] = keys->tags[next];
            keys->slots[at] = keys->slots[next];
            at = next;
        }
    }
    keys->tags[at] = 0;
}

static uint32_t entry_take(struct kpid_keys *keys)
{
    if (keys->n_free)
        return keys->free_entries[--keys->n_free];
    if (keys->n_entries == keys->cap_entries) {
        keys->cap_entries = keys->cap_entries ? keys->cap_entries + keys->cap_entries / 2 : 64;
        keys->entries = kpid_realloc(keys->entries, keys->cap_entries * sizeof(*keys->entries));
    }
    return keys->n_entries++;
}

static void copy_items(const struct kpid_keys *keys, struct keyed_block *block, const struct kpid_items *items)
{
    memcpy(block->words, items->words, items->n * keys->width * sizeof(*items->words));
    if (keys->n_gids)
        memcpy(keyed_gids(keys, block), items->gids, items->n * keys->n_gids * sizeof(*items->gids));
}

struct keyed_block *keyed_make(struct kpid_keys *keys, uint64_t hash, const char *key, size_t len,
                               const struct kpid_items *items)
{
    uint32_t entry = entry_take(keys), ref = keyed_pool_take(&keys->pool, block_size(keys, items->n, len));
    struct keyed_block *block = keyed_pool_at(&keys->pool, ref);

    assert(len <= KEYED_KEY_MAX);
    block->timer_ms = KPID_FOREVER;
    block->entry = entry;
    block->key_len = (uint32_t)len & KEYED_KEY_MAX;
    block->n = (uint32_t)items->n & KEYED_N_MAX;
    block->dirty = 0;
    copy_items(keys, block, items);
    memcpy(keyed_key(keys, block), key, len);
    keys->entries[entry] = ref;
    keys->used++;
    if (keys->used * 4 > keys->index_cap * 3)
        index_grow(keys);
    else
        index_put(keys, hash, ref);
    return block;
}

void keyed_drop(struct kpid_keys *keys, struct keyed_block *block)
{
    uint32_t ref = keys->entries[block->entry];

    index_remove(keys, block);
    keys->entries[block->entry] = KEYED_NOWHERE;
    keys->used--;
    if (keys->n_free == keys->cap_free) {
        keys->cap_free = keys->cap_free ? keys->cap_free * 2 : 64;
        keys->free_entries = kpid_realloc(keys->free_entries, keys->cap_free * sizeof(*keys->free_entries));
    }
    keys->free_entries[keys->n_free++] = block->entry;
    keyed_pool_give(&keys->pool, ref, block_size(keys, block->n, block->key_len));
}

struct keyed_block *keyed_set(struct kpid_keys *keys, struct keyed_block *block, const struct kpid_items *items)
{
    if (items->n != block->n) {
        struct keyed_block *old = block;
        uint32_t from = keys->entries[old->entry], to = keyed_pool_take(&keys->pool, block_size(keys, items->n, old->key_len));
        block = keyed_pool_at(&keys->pool, to);
        *block = *old;
        block->n = (uint32_t)items->n & KEYED_N_MAX;
        memcpy(keyed_key(keys, block), keyed_key(keys, old), old->key_len);
        keys->slots[index_slot(keys, old)] = to;
        keys->entries[block->entry] = to;
        keyed_pool_give(&keys->pool, from, block_size(keys, old->n, old->key_len));
    }
    copy_items(keys, block, items);
    return block;
}

void keyed_mark(struct kpid_keys *keys, struct keyed_block *block)
{
    if (block->dirty)
        return;
    block->dirty = 1;
    if (keys->n_dirty == keys->cap_dirty) {
        keys->cap_dirty = keys->cap_dirty ? keys->cap_dirty * 2 : 64;
        keys->dirty = kpid_realloc(keys->dirty, keys->cap_dirty * sizeof(*keys->dirty));
    }
    keys->dirty[keys->n_dirty++] = block->entry;
}

/* ---- timers: a binary heap; a key that went or was put off leaves its old timer behind, which is then passed over ---- */

void keyed_schedule(struct kpid_keys *keys, struct keyed_block *block, int64_t at_ms)
{
    if (block->timer_ms <= at_ms)
        return;
    block->timer_ms = at_ms;
    if (keys->n_heap == keys->cap_heap) {
        keys->cap_heap = keys->cap_heap ? keys->cap_heap + keys->cap_heap / 2 : 64;
        keys->heap = kpid_realloc(keys->heap, keys->cap_heap * sizeof(*keys->heap));
    }
    size_t at = keys->n_heap++;
    while (at > 0 && keys->heap[(at - 1) / 2].at_ms > at_ms) {
        keys->heap[at] = keys->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    keys->heap[at] = (struct keyed_timer){ at_ms, block->entry };
}

struct keyed_timer keyed_pop_timer(struct kpid_keys *keys)
{
    struct keyed_timer top = keys->heap[0], last = keys->heap[--keys->n_heap];
    size_t at = 0;

    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= keys->n_heap)
            break;
        if (child + 1 < keys->n_heap && keys->heap[child + 1].at_ms < keys->heap[child].at_ms)
            child++;
        if (keys->heap[child].at_ms >= last.at_ms)
            break;
        keys->heap[at] = keys->heap[child];
        at = child;
    }
    if (keys->n_heap)
        keys->heap[at] = last;
    return top;
}

int64_t kpid_keys_next_timer(const struct kpid_keys *keys)
{
    return keys->n_heap ? keys->heap[0].at_ms : KPID_FOREVER;
}

/* ---- items at work ---- */

void keyed_side_release(struct keyed_side *side)
{
    free(side->items.words);
    free(side->items.gids);
    free(side->outcomes);
}

void keyed_reserve(const struct kpid_keys *keys, struct keyed_side *side, size_t n)
{
    side->items.width = keys->width;
    side->items.n_gids = keys->n_gids;
    if (n + KPID_WORDS_MAX <= side->cap)
        return;
    side->cap = (n + KPID_WORDS_MAX) * 2;
    side->items.words = kpid_realloc(side->items.words, side->cap * keys->width * sizeof(*side->items.words));
    side->items.gids = kpid_realloc(side->items.gids, (side->cap * keys->n_gids + 1) * sizeof(*side->items.gids));
}

void keyed_open(const struct kpid_keys *keys, struct keyed_block *block, struct keyed_side *side)
{
    keyed_reserve(keys, side, block->n);
    side->items.n = block->n;
    memcpy(side->items.words, block->words, block->n * keys->width * sizeof(*block->words));
    memcpy(side->items.gids, keyed_gids(keys, block), block->n * keys->n_gids * sizeof(*side->items.gids));
}

void keyed_work_out(const struct kpid_keys *keys, struct keyed_side *side, int64_t horizon_ms)
{
    size_t want = keys->kind->outcomes_max(keys->spec, side->items.n);

    if (want > side->cap_outcomes) {
        side->cap_outcomes = want * 2;
        side->outcomes = kpid_realloc(side->outcomes, side->cap_outcomes * sizeof(*side->outcomes));
    }
    keys->kind->work_out(keys->spec, &side->items, horizon_ms, side->outcomes, &side->result);
}
