#include "clock_table.h"

#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

struct kpid_clocks *kpid_clocks_new(const struct kpid_measure *def)
{
    struct kpid_clocks *clocks = kpid_zalloc(1, sizeof(*clocks));

    clocks->spec = &def->clock;
    clocks->n_gids = def->n_groupings - 1;
    clocks->swept_ms = KPID_NEVER;
    return clocks;
}

void kpid_clocks_free(struct kpid_clocks *clocks)
{
    if (!clocks)
        return;
    for (uint32_t i = 0; i < clocks->n_entries; i++)
        free(clocks->entries[i].block);
    free(clocks->entries);
    free(clocks->free_entries);
    free(clocks->index);
    free(clocks->heap);
    free(clocks->dirty);
    free(clocks->events);
    free(clocks->before);
    free(clocks->after);
    free(clocks->gids_before);
    free(clocks);
}

uint64_t kpid_clocks_count(const struct kpid_clocks *clocks)
{
    return clocks->used;
}

size_t kpid_clocks_bytes(const struct kpid_clocks *clocks)
{
    return clocks->bytes + clocks->cap_entries * sizeof(*clocks->entries) +
           clocks->index_cap * sizeof(*clocks->index) + clocks->cap_heap * sizeof(*clocks->heap);
}

/* ---- the table ---- */

uint32_t clock_find(const struct kpid_clocks *clocks, uint64_t hash, const char *key, size_t len)
{
    uint32_t mask = clocks->index_cap - 1, found;

    if (!clocks->index_cap)
        return UINT32_MAX;
    for (uint32_t at = (uint32_t)hash & mask; (found = clocks->index[at]); at = (at + 1) & mask) {
        const struct clock_entry *entry = &clocks->entries[found - 1];
        if (entry->hash == hash && entry->block->key_len == len &&
            !memcmp(clock_block_key(entry->block, clocks->n_gids), key, len))
            return found - 1;
    }
    return UINT32_MAX;
}

static void index_put(struct kpid_clocks *clocks, uint32_t entry)
{
    uint32_t mask = clocks->index_cap - 1, at = (uint32_t)clocks->entries[entry].hash & mask;

    while (clocks->index[at])
        at = (at + 1) & mask;
    clocks->index[at] = entry + 1;
}

static void index_grow(struct kpid_clocks *clocks)
{
    free(clocks->index);
    clocks->index_cap = clocks->index_cap ? clocks->index_cap * 2 : 64;
    clocks->index = kpid_zalloc(clocks->index_cap, sizeof(*clocks->index));
    for (uint32_t i = 0; i < clocks->n_entries; i++)
        if (clocks->entries[i].block)
            index_put(clocks, i);
}

/* Takes an entry out of the index and closes the gap that open addressing would leave (Knuth, 6.4, algorithm R). */
static void index_remove(struct kpid_clocks *clocks, uint32_t entry)
{
    uint32_t mask = clocks->index_cap - 1, at = (uint32_t)clocks->entries[entry].hash & mask;

    while (clocks->index[at] != entry + 1)
        at = (at + 1) & mask;
    for (uint32_t next = (at + 1) & mask; clocks->index[next]; next = (next + 1) & mask) {
        uint32_t home = (uint32_t)clocks->entries[clocks->index[next] - 1].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            clocks->index[at] = clocks->index[next];
            at = next;
        }
    }
    clocks->index[at] = 0;
}

uint32_t clock_make(struct kpid_clocks *clocks, uint64_t hash, const char *key, size_t len)
{
    uint32_t at;

    if (clocks->n_free) {
        at = clocks->free_entries[--clocks->n_free];
    } else {
        if (clocks->n_entries == clocks->cap_entries) {
            clocks->cap_entries = clocks->cap_entries ? clocks->cap_entries + clocks->cap_entries / 2 : 64;
            clocks->entries = kpid_realloc(clocks->entries, clocks->cap_entries * sizeof(*clocks->entries));
        }
        at = clocks->n_entries++;
    }
    struct clock_block *block = kpid_zalloc(1, clock_block_size(0, clocks->n_gids, len));
    block->key_len = (uint32_t)len;
    memcpy(clock_block_key(block, clocks->n_gids), key, len);
    clocks->entries[at] = (struct clock_entry){ hash, KPID_FOREVER, block };
    clocks->used++;
    clocks->bytes += clock_block_size(0, clocks->n_gids, len);
    if (clocks->used * 4 > clocks->index_cap * 3)
        index_grow(clocks);
    else
        index_put(clocks, at);
    return at;
}

void clock_drop(struct kpid_clocks *clocks, uint32_t entry)
{
    struct clock_block *block = clocks->entries[entry].block;

    index_remove(clocks, entry);
    clocks->bytes -= clock_block_size(block->n_events, clocks->n_gids, block->key_len);
    free(block);
    clocks->entries[entry].block = NULL;
    clocks->entries[entry].timer_ms = KPID_FOREVER;
    clocks->used--;
    if (clocks->n_free == clocks->cap_free) {
        clocks->cap_free = clocks->cap_free ? clocks->cap_free * 2 : 64;
        clocks->free_entries = kpid_realloc(clocks->free_entries, clocks->cap_free * sizeof(*clocks->free_entries));
    }
    clocks->free_entries[clocks->n_free++] = entry;
}

bool clock_has(const struct clock_block *block, int64_t word)
{
    for (uint16_t i = 0; i < block->n_events; i++)
        if (block->words[i] == word)
            return true;
    return false;
}

void clock_insert(struct kpid_clocks *clocks, uint32_t entry, int64_t word, const uint32_t *gids)
{
    struct clock_block *old = clocks->entries[entry].block;
    size_t n = old->n_events, g = clocks->n_gids, at = n;
    struct clock_block *block = kpid_alloc(clock_block_size(n + 1, g, old->key_len));

    while (at > 0 && old->words[at - 1] > word)
        at--;
    *block = *old;
    block->n_events = (uint16_t)(n + 1);
    memcpy(block->words, old->words, at * sizeof(int64_t));
    block->words[at] = word;
    memcpy(block->words + at + 1, old->words + at, (n - at) * sizeof(int64_t));
    if (g) {
        uint32_t *to = clock_block_gids(block);
        const uint32_t *from = clock_block_gids(old);
        memcpy(to, from, at * g * sizeof(uint32_t));
        memcpy(to + at * g, gids, g * sizeof(uint32_t));
        memcpy(to + (at + 1) * g, from + at * g, (n - at) * g * sizeof(uint32_t));
    }
    memcpy(clock_block_key(block, g), clock_block_key(old, g), old->key_len);
    clocks->bytes += clock_block_size(n + 1, g, old->key_len) - clock_block_size(n, g, old->key_len);
    clocks->entries[entry].block = block;
    free(old);
}

bool kpid_clocks_room(const struct kpid_clocks *clocks, const char *key, size_t len)
{
    uint32_t entry = clock_find(clocks, kpid_hash(key, len, 0), key, len);

    if (entry == UINT32_MAX)
        return clocks->used < clocks->spec->max_keys;
    return clocks->entries[entry].block->n_events < KPID_CLOCK_EVENTS_MAX;
}

void clock_mark(struct kpid_clocks *clocks, uint32_t entry)
{
    if (clocks->entries[entry].block->dirty)
        return;
    clocks->entries[entry].block->dirty = true;
    if (clocks->n_dirty == clocks->cap_dirty) {
        clocks->cap_dirty = clocks->cap_dirty ? clocks->cap_dirty * 2 : 64;
        clocks->dirty = kpid_realloc(clocks->dirty, clocks->cap_dirty * sizeof(*clocks->dirty));
    }
    clocks->dirty[clocks->n_dirty++] = entry;
}

/* ---- timers: a binary heap; an entry that moved or went leaves its old timer behind, which is then passed over ---- */

void clock_schedule(struct kpid_clocks *clocks, uint32_t entry, int64_t at_ms)
{
    if (clocks->entries[entry].timer_ms == at_ms)
        return;
    clocks->entries[entry].timer_ms = at_ms;
    if (at_ms == KPID_FOREVER)
        return;
    if (clocks->n_heap == clocks->cap_heap) {
        clocks->cap_heap = clocks->cap_heap ? clocks->cap_heap * 2 : 64;
        clocks->heap = kpid_realloc(clocks->heap, clocks->cap_heap * sizeof(*clocks->heap));
    }
    size_t at = clocks->n_heap++;
    while (at > 0 && clocks->heap[(at - 1) / 2].at_ms > at_ms) {
        clocks->heap[at] = clocks->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    clocks->heap[at] = (struct clock_timer){ at_ms, entry };
}

/* ---- outcomes ---- */

void clock_reserve(struct kpid_clocks *clocks, size_t n_events)
{
    if (n_events <= clocks->cap_events)
        return;
    clocks->cap_events = n_events * 2 + 4;
    clocks->events = kpid_realloc(clocks->events, clocks->cap_events * sizeof(*clocks->events));
    clocks->before = kpid_realloc(clocks->before, KPID_OUTCOMES_MAX(clocks->cap_events) * sizeof(*clocks->before));
    clocks->after = kpid_realloc(clocks->after, KPID_OUTCOMES_MAX(clocks->cap_events) * sizeof(*clocks->after));
    clocks->gids_before =
        kpid_realloc(clocks->gids_before, (clocks->cap_events * clocks->n_gids + 1) * sizeof(*clocks->gids_before));
}

void clock_work_out(struct kpid_clocks *clocks, const struct clock_block *block, int64_t horizon_ms,
                    struct kpid_outcome *ret, struct kpid_clock_result *result)
{
    for (uint16_t i = 0; i < block->n_events; i++)
        clocks->events[i] = (struct kpid_clock_event){ block->words[i] >> 3, (uint8_t)(block->words[i] & 7) };
    kpid_clock_outcomes(clocks->spec, clocks->events, block->n_events, horizon_ms, ret, result);
}
