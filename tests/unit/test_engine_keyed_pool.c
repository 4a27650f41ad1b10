/* Pieces of many sizes, taken and given back at random: none overlaps another, and memory comes back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keyed_pool.h"
#include "kpid/hash.h"

#define PIECES 4000

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return kpid_hash_mix(state, 9) % below;
}

struct piece {
    uint32_t ref;
    size_t bytes; /* 0: none */
    uint8_t fill;
};

static void check(const struct keyed_pool *pool, const struct piece *piece)
{
    const uint8_t *at = keyed_pool_at(pool, piece->ref);

    cr_assert_eq((uintptr_t)at % 8, 0);
    for (size_t i = 0; i < piece->bytes; i++)
        cr_assert_eq(at[i], piece->fill);
}

static void put(struct keyed_pool *pool, struct piece *piece, size_t bytes)
{
    *piece = (struct piece){keyed_pool_take(pool, bytes), bytes, (uint8_t)draw(256)};
    cr_assert_neq(piece->ref, KEYED_NOWHERE);
    memset(keyed_pool_at(pool, piece->ref), piece->fill, bytes);
}

static void drop(struct keyed_pool *pool, struct piece *piece)
{
    check(pool, piece);
    keyed_pool_give(pool, piece->ref, piece->bytes);
    piece->bytes = 0;
}

static size_t any_size(void)
{
    return draw(20) ? 1 + draw(120) : 1 + draw(3000); /* up to 1,024 bytes share a slab */
}

Test(keyed_pool, pieces_keep_their_bytes)
{
    static struct piece pieces[PIECES];
    struct keyed_pool pool;

    state = 1;
    keyed_pool_init(&pool);
    for (int step = 0; step < 400000; step++) {
        struct piece *piece = &pieces[draw(step % 100000 < 50000 ? PIECES : PIECES / 10)];
        if (piece->bytes)
            drop(&pool, piece);
        else
            put(&pool, piece, any_size());
    }
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].bytes)
            drop(&pool, &pieces[i]);
    cr_assert_leq(pool.bytes, KEYED_SLAB_BYTES);
    cr_assert_eq(pool.used, 0);
    keyed_pool_release(&pool);
    cr_assert_eq(pool.bytes, 0);
}

Test(keyed_pool, what_one_size_gave_back_serves_another)
{
    static struct piece pieces[PIECES];
    struct keyed_pool pool;

    keyed_pool_init(&pool);
    for (size_t round = 0; round < 20; round++) {
        size_t bytes = 8 + 8 * round;
        for (size_t i = 0; i < PIECES; i++)
            put(&pool, &pieces[i], bytes);
        cr_assert_leq(pool.bytes, PIECES * bytes * 21 / 20 + KEYED_SLAB_BYTES, "%zu", pool.bytes);
        cr_assert_leq(pool.n, PIECES * bytes / KEYED_SLAB_BYTES * 21 / 20 + 2); /* numbers are used again */
        for (size_t i = 0; i < PIECES; i++)
            drop(&pool, &pieces[i]);
    }
    keyed_pool_release(&pool);
}

Test(keyed_pool, has_no_overhead_a_piece)
{
    struct keyed_pool pool;

    keyed_pool_init(&pool);
    for (size_t i = 0; i < 100000; i++)
        keyed_pool_take(&pool, 40);
    cr_assert_leq(pool.bytes, 4050000, "%zu", pool.bytes);
    cr_assert(!keyed_pool_is_crowded(&pool));
    keyed_pool_release(&pool);
}
