#include "cache.h"

#include "kpid/buf.h"

#include <stdlib.h>
#include <string.h>

#define PLACES_MIN   64
/* How often the hand passes before an entry goes: what was just asked for is not gone before somebody reads it. */
#define USED_NEW     1
#define USED_READ    2
#define LAPS_MAX     4 /* of the hand, until nothing can go */

void kpid_cache_init(struct kpid_cache *cache, size_t max_keys, size_t max_bytes)
{
    *cache = (struct kpid_cache){.mask = PLACES_MIN - 1, .max_keys = max_keys, .max_bytes = max_bytes};
    cache->places = kpid_zalloc(PLACES_MIN, sizeof(*cache->places));
}

static void entry_free(struct kpid_cache_entry *entry)
{
    free(entry->values);
    free(entry);
}

void kpid_cache_release(struct kpid_cache *cache)
{
    for (size_t i = 0; cache->places && i <= cache->mask; i++)
        if (cache->places[i])
            entry_free(cache->places[i]);
    free(cache->places);
    *cache = (struct kpid_cache){0};
}

struct kpid_cache_entry *kpid_cache_find(struct kpid_cache *cache, uint64_t hash, const char *key, size_t len)
{
    for (size_t at = hash & cache->mask; cache->places[at]; at = (at + 1) & cache->mask) {
        struct kpid_cache_entry *entry = cache->places[at];
        if (entry->hash != hash || entry->len != len || memcmp(entry->key, key, len) != 0)
            continue;
        entry->used = USED_READ;
        return entry;
    }
    return NULL;
}

static void put(struct kpid_cache *cache, struct kpid_cache_entry *entry)
{
    size_t at = entry->hash & cache->mask;
    while (cache->places[at])
        at = (at + 1) & cache->mask;
    cache->places[at] = entry;
}

static void grow(struct kpid_cache *cache)
{
    struct kpid_cache_entry **old = cache->places;
    size_t size = cache->mask + 1;
    if (2 * (cache->n + 1) <= size)
        return;
    cache->mask = 2 * size - 1;
    cache->places = kpid_zalloc(2 * size, sizeof(*cache->places));
    for (size_t i = 0; i < size; i++)
        if (old[i])
            put(cache, old[i]);
    free(old);
}

static size_t entry_bytes(const struct kpid_cache_entry *entry)
{
    return sizeof(*entry) + entry->len + entry->bytes + 2 * sizeof(entry);
}

/* Takes out what stands at a place; what stands behind it moves up, so that probing needs no graves. */
static void take_out(struct kpid_cache *cache, size_t at)
{
    cache->bytes -= entry_bytes(cache->places[at]);
    entry_free(cache->places[at]);
    cache->n--;
    cache->evicted++;
    for (size_t next = (at + 1) & cache->mask; cache->places[next]; next = (next + 1) & cache->mask) {
        size_t home = cache->places[next]->hash & cache->mask;
        if (((next - home) & cache->mask) < ((next - at) & cache->mask))
            continue;
        cache->places[at] = cache->places[next];
        at = next;
    }
    cache->places[at] = NULL;
}

/* False: nothing can go. */
static bool evict(struct kpid_cache *cache, const struct kpid_cache_entry *spare)
{
    for (size_t steps = LAPS_MAX * (cache->mask + 1); steps > 0; steps--) {
        struct kpid_cache_entry *entry = cache->places[cache->hand];
        if (entry && !entry->asking && entry != spare) {
            if (!entry->used) {
                take_out(cache, cache->hand);
                return true;
            }
            entry->used--;
        }
        cache->hand = (cache->hand + 1) & cache->mask;
    }
    return false;
}

struct kpid_cache_entry *kpid_cache_add(struct kpid_cache *cache, uint64_t hash, const char *key, size_t len)
{
    if (cache->n >= cache->max_keys && !evict(cache, NULL))
        return NULL;
    grow(cache);
    struct kpid_cache_entry *entry = kpid_zalloc(1, sizeof(*entry) + len);
    entry->hash = hash;
    entry->len = (uint32_t)len;
    entry->used = USED_NEW;
    memcpy(entry->key, key, len);
    put(cache, entry);
    cache->n++;
    cache->bytes += entry_bytes(entry);
    return entry;
}

void kpid_cache_fill(struct kpid_cache *cache, struct kpid_cache_entry *entry, struct kpid_value *values, size_t bytes)
{
    cache->bytes -= entry_bytes(entry);
    free(entry->values);
    entry->values = values;
    entry->bytes = (uint32_t)bytes;
    entry->used = USED_NEW;
    cache->bytes += entry_bytes(entry);
    while (cache->bytes > cache->max_bytes && evict(cache, entry))
        ;
}
