#include "keyed_table.h"

#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

struct kpid_keys *kpid_keys_new(const struct kpid_measure *def)
{
    struct kpid_keys *keys = kpid_zalloc(1, sizeof(*keys));

    keys->kind = def->agg->keyed;
    keys->spec = &def->keyed;
    keys->width = keys->kind->width;
    keys->n_gids = def->n_groupings - 1;
    keys->swept_ms = KPID_NEVER;
    if (keys->spec->aged)
        keys->spans = kpid_spans_new(def->n_groupings, KPID_TRACKS_MAX);
    return keys;
}

void kpid_keys_free(struct kpid_keys *keys)
{
    if (!keys)
        return;
    for (uint32_t i = 0; i < keys->n_entries; i++)
        free(keys->entries[i].block);
    free(keys->entries);
    free(keys->free_entries);
    free(keys->index);
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
    return keys->bytes + keys->cap_entries * sizeof(*keys->entries) +
           keys->index_cap * sizeof(*keys->index) + keys->cap_heap * sizeof(*keys->heap) +
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

uint32_t keyed_find(const struct kpid_keys *keys, uint64_t hash, const char *key, size_t len)
{
    uint32_t mask = keys->index_cap - 1, found;

    if (!keys->index_cap)
        return UINT32_MAX;
    for (uint32_t at = home_of(hash, mask); (found = keys->index[at]); at = (at + 1) & mask) {
        const struct keyed_entry *entry = &keys->entries[found - 1];
        if (entry->hash == hash && entry->block->key_len == len &&
            !memcmp(keyed_key(keys, entry->block), key, len))
            return found - 1;
    }
    return UINT32_MAX;
}

static void index_put(struct kpid_keys *keys, uint32_t entry)
{
    uint32_t mask = keys->index_cap - 1, at = home_of(keys->entries[entry].hash, mask);

    while (keys->index[at])
        at = (at + 1) & mask;
    keys->index[at] = entry + 1;
}

static void index_grow(struct kpid_keys *keys)
{
    free(keys->index);
    keys->index_cap = keys->index_cap ? keys->index_cap * 2 : 64;
    keys->index = kpid_zalloc(keys->index_cap, sizeof(*keys->index));
    for (uint32_t i = 0; i < keys->n_entries; i++)
        if (keys->entries[i].block)
            index_put(keys, i);
}

/* Takes an entry out of the index and closes the gap that open addressing would leave (Knuth, 6.4, algorithm R). */
static void index_remove(struct kpid_keys *keys, uint32_t entry)
{
    uint32_t mask = keys->index_cap - 1, at = home_of(keys->entries[entry].hash, mask);

    while (keys->index[at] != entry + 1)
        at = (at + 1) & mask;
    for (uint32_t next = (at + 1) & mask; keys->index[next]; next = (next + 1) & mask) {
        uint32_t home = home_of(keys->entries[keys->index[next] - 1].hash, mask);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            keys->index[at] = keys->index[next];
            at = next;
        }
    }
    keys->index[at] = 0;
}

uint32_t keyed_make(struct kpid_keys *keys, uint64_t hash, const char *key, size_t len)
{
    uint32_t at;

    if (keys->n_free) {
        at = keys->free_entries[--keys->n_free];
    } else {
        if (keys->n_entries == keys->cap_entries) {
            keys->cap_entries = keys->cap_entries ? keys->cap_entries + keys->cap_entries / 2 : 64;
            keys->entries = kpid_realloc(keys->entries, keys->cap_entries * sizeof(*keys->entries));
        }
        at = keys->n_entries++;
    }
    struct keyed_block *block = kpid_zalloc(1, block_size(keys, 0, len));
    block->key_len = (uint32_t)len;
    memcpy(keyed_key(keys, block), key, len);
    keys->entries[at] = (struct keyed_entry){ hash, KPID_FOREVER, block };
    keys->used++;
    keys->bytes += block_size(keys, 0, len);
    if (keys->used * 4 > keys->index_cap * 3)
        index_grow(keys);
    else
        index_put(keys, at);
    return at;
}

void keyed_drop(struct kpid_keys *keys, uint32_t entry)
{
    struct keyed_block *block = keys->entries[entry].block;

    index_remove(keys, entry);
    keys->bytes -= block_size(keys, block->n, block->key_len);
    free(block);
    keys->entries[entry].block = NULL;
    keys->entries[entry].timer_ms = KPID_FOREVER;
    keys->used--;
    if (keys->n_free == keys->cap_free) {
        keys->cap_free = keys->cap_free ? keys->cap_free * 2 : 64;
        keys->free_entries = kpid_realloc(keys->free_entries, keys->cap_free * sizeof(*keys->free_entries));
    }
    keys->free_entries[keys->n_free++] = entry;
}

void keyed_set(struct kpid_keys *keys, uint32_t entry, const struct kpid_items *items)
{
    struct keyed_block *block = keys->entries[entry].block, *old = block;

    if (items->n != old->n) {
        block = kpid_alloc(block_size(keys, items->n, old->key_len));
        *block = *old;
        block->n = (uint16_t)items->n;
        memcpy(keyed_key(keys, block), keyed_key(keys, old), old->key_len);
        keys->bytes += block_size(keys, items->n, old->key_len);
        keys->bytes -= block_size(keys, old->n, old->key_len);
        keys->entries[entry].block = block;
        free(old);
    }
    memcpy(block->words, items->words, items->n * keys->width * sizeof(*items->words));
    if (keys->n_gids)
        memcpy(keyed_gids(keys, block), items->gids, items->n * keys->n_gids * sizeof(*items->gids));
}

void keyed_mark(struct kpid_keys *keys, uint32_t entry)
{
    if (keys->entries[entry].block->dirty)
        return;
    keys->entries[entry].block->dirty = true;
    if (keys->n_dirty == keys->cap_dirty) {
        keys->cap_dirty = keys->cap_dirty ? keys->cap_dirty * 2 : 64;
        keys->dirty = kpid_realloc(keys->dirty, keys->cap_dirty * sizeof(*keys->dirty));
    }
    keys->dirty[keys->n_dirty++] = entry;
}

/* ---- timers: a binary heap; an entry that moved or went leaves its old timer behind, which is then passed over ---- */

void keyed_schedule(struct kpid_keys *keys, uint32_t entry, int64_t at_ms)
{
    if (keys->entries[entry].timer_ms <= at_ms)
        return;
    keys->entries[entry].timer_ms = at_ms;
    if (keys->n_heap == keys->cap_heap) {
        keys->cap_heap = keys->cap_heap ? keys->cap_heap + keys->cap_heap / 2 : 64;
        keys->heap = kpid_realloc(keys->heap, keys->cap_heap * sizeof(*keys->heap));
    }
    size_t at = keys->n_heap++;
    while (at > 0 && keys->heap[(at - 1) / 2].at_ms > at_ms) {
        keys->heap[at] = keys->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    keys->heap[at] = (struct keyed_timer){ at_ms, entry };
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
