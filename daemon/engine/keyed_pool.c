#include "keyed_pool.h"

#include "kpid/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NONE       UINT32_MAX
#define FULL       UINT16_MAX
#define SLAB_WORDS (KEYED_SLAB_BYTES / sizeof(uint64_t))

void keyed_pool_init(struct keyed_pool *pool)
{
    *pool = (struct keyed_pool){.numbers = NONE};
    for (size_t i = 0; i < KEYED_SIZES; i++)
        pool->room[i] = NONE;
}

void keyed_pool_release(struct keyed_pool *pool)
{
    for (uint32_t s = 0; s < pool->n; s++)
        free(pool->bases[s]);
    free(pool->spare);
    free(pool->bases);
    free(pool->slabs);
    keyed_pool_init(pool);
}

static size_t words_of(size_t bytes)
{
    return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

/* ---- slabs ---- */

static char *memory_take(struct keyed_pool *pool, size_t bytes)
{
    char *memory = bytes == KEYED_SLAB_BYTES ? pool->spare : NULL;

    if (memory) {
        pool->spare = NULL;
        return memory;
    }
    pool->bytes += bytes;
    return kpid_alloc(bytes);
}

static void memory_give(struct keyed_pool *pool, char *memory, size_t bytes)
{
    if (bytes == KEYED_SLAB_BYTES && !pool->spare) {
        pool->spare = memory;
        return;
    }
    pool->bytes -= bytes;
    free(memory);
}

static uint32_t slab_make(struct keyed_pool *pool, size_t bytes)
{
    uint32_t s = pool->numbers;

    if (s != NONE) {
        pool->numbers = pool->slabs[s].next;
    } else {
        if (pool->n == pool->cap) {
            pool->cap = pool->cap ? pool->cap + pool->cap / 2 : 4;
            pool->bases = kpid_realloc(pool->bases, pool->cap * sizeof(*pool->bases));
            pool->slabs = kpid_realloc(pool->slabs, pool->cap * sizeof(*pool->slabs));
        }
        s = pool->n++;
        assert(s < KEYED_SLABS);
    }
    pool->bases[s] = memory_take(pool, bytes);
    pool->slabs[s] = (struct keyed_slab){.next = NONE, .prev = NONE, .free = FULL};
    pool->used++;
    return s;
}

static void slab_drop(struct keyed_pool *pool, uint32_t s, size_t bytes)
{
    memory_give(pool, pool->bases[s], bytes);
    pool->bases[s] = NULL;
    pool->slabs[s].next = pool->numbers;
    pool->numbers = s;
    pool->used--;
}

static bool slab_is_full(const struct keyed_slab *slab)
{
    return slab->free == FULL && slab->fresh + slab->words > SLAB_WORDS;
}

static void room_add(struct keyed_pool *pool, uint32_t s)
{
    uint32_t *head = &pool->room[pool->slabs[s].words];

    pool->slabs[s].next = *head;
    pool->slabs[s].prev = NONE;
    if (*head != NONE)
        pool->slabs[*head].prev = s;
    *head = s;
}

static void room_remove(struct keyed_pool *pool, uint32_t s)
{
    struct keyed_slab *slab = &pool->slabs[s];

    if (slab->next != NONE)
        pool->slabs[slab->next].prev = slab->prev;
    if (slab->prev != NONE)
        pool->slabs[slab->prev].next = slab->next;
    else
        pool->room[slab->words] = slab->next;
}

/* ---- pieces ---- */

uint32_t keyed_pool_take(struct keyed_pool *pool, size_t bytes)
{
    size_t words = words_of(bytes);

    if (words >= KEYED_SIZES)
        return slab_make(pool, bytes) << KEYED_SLAB_BITS;
    if (words == 0)
        words = 1;
    uint32_t s = pool->room[words];
    if (s == NONE) {
        s = slab_make(pool, KEYED_SLAB_BYTES);
        pool->slabs[s].words = (uint16_t)words;
        room_add(pool, s);
    }
    struct keyed_slab *slab = &pool->slabs[s];
    uint16_t at = slab->free;
    if (at != FULL) {
        memcpy(&slab->free, pool->bases[s] + at * sizeof(uint64_t), sizeof(slab->free));
    } else {
        at = slab->fresh;
        slab->fresh = (uint16_t)(slab->fresh + words);
    }
    slab->used++;
    if (slab_is_full(slab))
        room_remove(pool, s);
    return s << KEYED_SLAB_BITS | at;
}

void keyed_pool_give(struct keyed_pool *pool, uint32_t ref, size_t bytes)
{
    uint32_t s = ref >> KEYED_SLAB_BITS;
    struct keyed_slab *slab = &pool->slabs[s];

    if (slab->words == 0) {
        slab_drop(pool, s, bytes);
        return;
    }
    bool was_full = slab_is_full(slab);
    memcpy(keyed_pool_at(pool, ref), &slab->free, sizeof(slab->free));
    slab->free = (uint16_t)(ref & (SLAB_WORDS - 1));
    slab->used--;
    if (was_full)
        room_add(pool, s);
    if (slab->used == 0) {
        room_remove(pool, s);
        slab_drop(pool, s, KEYED_SLAB_BYTES);
    }
}
