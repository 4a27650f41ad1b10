/*
 * Storage of a keyed table's blocks: pieces of any size, named by 32 bits instead of a pointer, without a
 * header each. Pieces of one size (in words of 8 bytes) lie side by side in slabs of 4 KiB; a larger piece
 * has a slab of its own.
 *
 *   a reference: | 23 bits: number of the slab | 9 bits: the word in it at which the piece begins |
 *
 * A slab without pieces is given back, but for one that is kept for the next of any size. Taking and giving
 * are O(1). There are 8,388,607 slabs, so at most 32 GiB: well before that the pool says that it is crowded,
 * and no new keys must be made; what is left is for those that grow.
 */
#ifndef KPID_ENGINE_KEYED_POOL_H
#define KPID_ENGINE_KEYED_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYED_NOWHERE    UINT32_MAX /* no reference */
#define KEYED_SLAB_BYTES 4096
#define KEYED_SLAB_BITS  9
#define KEYED_SLABS      ((1u << (32 - KEYED_SLAB_BITS)) - 1)
#define KEYED_SIZES      129 /* up to 128 words: four to a slab */

struct keyed_slab {
    uint32_t next, prev; /* of those of one size with room, or of the numbers that are free */
    uint16_t words;      /* a piece; 0: one piece alone */
    uint16_t used;       /* pieces */
    uint16_t free;       /* word of the first free piece, UINT16_MAX: none; each names the next */
    uint16_t fresh;      /* words from here on were never used */
};

struct keyed_pool {
    char **bases; /* by slab; NULL: its number is free */
    struct keyed_slab *slabs;
    uint32_t n, cap, used; /* slabs: numbers given, room for, there */
    uint32_t numbers;      /* free ones */
    uint32_t room[KEYED_SIZES];
    char *spare;  /* the memory of a slab, NULL: none */
    size_t bytes; /* of all slabs and the spare one */
};

void keyed_pool_init(struct keyed_pool *pool);
void keyed_pool_release(struct keyed_pool *pool);
/* Returns a piece of so many bytes, which are not set. */
uint32_t keyed_pool_take(struct keyed_pool *pool, size_t bytes);
/* Takes back what was taken with that size. */
void keyed_pool_give(struct keyed_pool *pool, uint32_t ref, size_t bytes);

static inline bool keyed_pool_is_crowded(const struct keyed_pool *pool)
{
    return pool->used > KEYED_SLABS / 8 * 7;
}

/* The piece, 8-aligned; it stays where it is until it is given back. */
static inline void *keyed_pool_at(const struct keyed_pool *pool, uint32_t ref)
{
    return pool->bases[ref >> KEYED_SLAB_BITS] +
           (size_t)(ref & ((1u << KEYED_SLAB_BITS) - 1)) * sizeof(uint64_t);
}

#endif
