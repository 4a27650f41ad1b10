/* Distinct count: the law of its error, order's irrelevance, and Redis' own answers to the same elements. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/hash.h"
#include "kpid/hll.h"

#define STANDARD_ERROR 0.008125 /* 1.04 / sqrt(16384) */

static uint64_t user_hash(unsigned i)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "user:%u", i);
    return kpid_hash_murmur64a(text, (size_t)len, KPID_HLL_SEED);
}

static uint64_t fnv(const uint8_t *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
    return hash;
}

/* PFADD k user:0 user:1 ... on Redis 7: PFCOUNT, and FNV-1a of the value behind its header. */
static const struct {
    unsigned n;
    uint64_t count, registers;
} redis[] = {
    {2000, 2008, 0x5d441d045296b92dULL},
    {5000, 5025, 0x29fb6ce4f70746c6ULL},
    {10000, 10089, 0x679b95fcb8711947ULL},
    {50000, 49499, 0x75f98d8d6d02ddc2ULL},
    {200000, 201934, 0x1a335a125791decaULL},
    {1000000, 999674, 0x1acc81329e2687f0ULL},
};

Test(hll, equals_redis_bit_for_bit)
{
    struct kpid_hll hll = {0};
    unsigned i = 0;
    for (size_t row = 0; row < KPID_COUNT_OF(redis); row++) {
        for (; i < redis[row].n; i++)
            kpid_hll_add(&hll, user_hash(i));
        cr_assert_not(kpid_hll_exact(&hll));
        cr_assert_eq(kpid_hll_estimate(&hll), redis[row].count, "at %u", i);
        cr_assert_eq(fnv(hll.registers, 12288), redis[row].registers, "at %u", i);
    }
    kpid_hll_release(&hll);
    cr_assert(hll.registers == NULL && kpid_hll_estimate(&hll) == 0);
}

Test(hll, is_exact_up_to_its_limit)
{
    struct kpid_hll hll = {0};
    cr_assert(kpid_hll_add(&hll, 0));
    cr_assert_not(kpid_hll_add(&hll, 0));
    for (unsigned i = 1; i < KPID_HLL_EXACT_MAX; i++) {
        cr_assert(kpid_hll_add(&hll, user_hash(i)));
        cr_assert_not(kpid_hll_add(&hll, user_hash(i)));
        cr_assert_eq(kpid_hll_estimate(&hll), i + 1);
        cr_assert(kpid_hll_exact(&hll));
        cr_assert_leq(kpid_hll_bytes(&hll), 32 + (size_t)i * 19);
    }
    cr_assert_leq(kpid_hll_bytes(&hll), 14080);
    for (unsigned i = 1; i < KPID_HLL_EXACT_MAX; i++)
        cr_assert_not(kpid_hll_add(&hll, user_hash(i)));
    cr_assert(kpid_hll_exact(&hll));
    cr_assert(kpid_hll_add(&hll, user_hash(KPID_HLL_EXACT_MAX)));
    cr_assert(!kpid_hll_exact(&hll) && kpid_hll_bytes(&hll) == 12288);
    kpid_hll_release(&hll);
}

/* Root mean square of the relative error over 40 sets at each size, and the worst single one. */
Test(hll, error_obeys_the_law)
{
    static const unsigned sizes[] = {2000, 5000, 20000, 60000, 150000};
    double squares[KPID_COUNT_OF(sizes)] = {0}, worst = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct kpid_hll hll = {0};
        uint64_t n = 0;
        for (size_t s = 0; s < KPID_COUNT_OF(sizes); s++) {
            for (; n < sizes[s]; n++)
                kpid_hll_add(&hll, kpid_hash_murmur64a(&n, sizeof(n), seed));
            double error = (double)kpid_hll_estimate(&hll) / sizes[s] - 1;
            squares[s] += error * error / 40;
            worst = fmax(worst, fabs(error));
        }
        kpid_hll_release(&hll);
    }
    for (size_t s = 0; s < KPID_COUNT_OF(sizes); s++)
        cr_assert(sqrt(squares[s]) < 1.35 * STANDARD_ERROR, "%u: %g", sizes[s], sqrt(squares[s]));
    cr_assert(sqrt(squares[4]) > 0.6 * STANDARD_ERROR, "%g", sqrt(squares[4]));
    cr_assert(worst < 4 * STANDARD_ERROR, "%g", worst);
}

static bool same_bytes(const struct kpid_hll *a, const struct kpid_hll *b)
{
    struct kpid_buf x = KPID_BUF_INIT, y = KPID_BUF_INIT;
    kpid_hll_pack(a, &x);
    kpid_hll_pack(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    kpid_buf_release(&x);
    kpid_buf_release(&y);
    return same;
}

static void fill(struct kpid_hll *hll, unsigned from, unsigned to)
{
    if (from == 0)
        kpid_hll_add(hll, 0);
    for (unsigned i = from; i < to; i++)
        kpid_hll_add(hll, user_hash(i));
}

/* Three overlapping sets of all sizes around the limit, merged in every grouping and order. */
Test(hll, merge_is_commutative_and_associative)
{
    static const unsigned sizes[] = {0, 1, 700, 1535, 1536, 1537, 4000};
    for (size_t i = 0; i < KPID_COUNT_OF(sizes) * KPID_COUNT_OF(sizes); i++) {
        unsigned na = sizes[i / KPID_COUNT_OF(sizes)], nb = sizes[i % KPID_COUNT_OF(sizes)], nc = 900;
        struct kpid_hll whole = {0}, left = {0}, right = {0}, tail = {0}, b = {0}, c = {0};
        fill(&whole, 300, 300 + nb);
        fill(&whole, 0, na);
        fill(&whole, 100, 100 + nc);
        fill(&left, 0, na);
        fill(&b, 300, 300 + nb);
        fill(&c, 100, 100 + nc);
        kpid_hll_merge(&left, &b); /* (a + b) + c */
        kpid_hll_merge(&left, &c);
        kpid_hll_merge(&tail, &c); /* (c + b) + a */
        kpid_hll_merge(&tail, &b);
        fill(&right, 0, na);
        kpid_hll_merge(&tail, &right);
        cr_assert(same_bytes(&whole, &left), "%u %u", na, nb);
        cr_assert(same_bytes(&whole, &tail), "%u %u", na, nb);
        struct kpid_hll *all[] = {&whole, &left, &right, &tail, &b, &c};
        for (size_t k = 0; k < KPID_COUNT_OF(all); k++)
            kpid_hll_release(all[k]);
    }
}

/* A hash that leaves this rank in this register; 0: none does. */
static void add_rank(struct kpid_hll *hll, unsigned index, unsigned rank)
{
    if (rank > 0)
        kpid_hll_add(hll, index | (rank <= 50 ? 1ULL << (13 + rank) : 0));
}

/* Every rank beside every other, at every place that a register has in the bytes. */
Test(hll, merge_takes_the_greater_of_each_register)
{
    struct kpid_hll a = {0}, b = {0}, both = {0};
    for (unsigned i = 0; i < 16384; i++) {
        unsigned x = i % 52, y = i / 52 % 52;
        add_rank(&a, i, x);
        add_rank(&b, i, y);
        add_rank(&both, i, x);
        add_rank(&both, i, y);
    }
    cr_assert_not(kpid_hll_exact(&a));
    cr_assert_not(kpid_hll_exact(&b));
    kpid_hll_merge(&a, &b);
    cr_assert(same_bytes(&a, &both));
    kpid_hll_release(&a);
    kpid_hll_release(&b);
    kpid_hll_release(&both);
}

Test(hll, packs_and_notices_damage)
{
    static const unsigned sizes[] = {0, 1, 5, 1536, 3000};
    for (size_t i = 0; i < KPID_COUNT_OF(sizes); i++) {
        struct kpid_hll hll = {0}, back = {0};
        struct kpid_buf buf = KPID_BUF_INIT;
        struct kpid_unpack in;
        for (unsigned k = 0; k < sizes[i]; k++)
            kpid_hll_add(&hll, user_hash(k));
        kpid_hll_pack(&hll, &buf);
        kpid_unpack_init(&in, buf.data, buf.len);
        cr_assert(kpid_hll_unpack(&back, &in));
        cr_assert(kpid_unpack_done(&in));
        cr_assert(same_bytes(&hll, &back));
        cr_assert_eq(kpid_hll_estimate(&hll), kpid_hll_estimate(&back));
        kpid_hll_release(&back);
        for (size_t cut = 0; cut < buf.len; cut += 1 + cut / 7) {
            kpid_unpack_init(&in, buf.data, cut);
            cr_assert_not(kpid_hll_unpack(&back, &in), "%u cut at %zu", sizes[i], cut);
            cr_assert(back.hashes == NULL && back.registers == NULL);
        }
        kpid_buf_release(&buf);
        kpid_hll_release(&hll);
    }
    struct kpid_hll back = {0};
    struct kpid_unpack in;
    char dense[12289] = {1};
    dense[1] = 52; /* a register beyond 51 */
    kpid_unpack_init(&in, dense, sizeof(dense));
    cr_assert_not(kpid_hll_unpack(&back, &in));
    static const char unsorted[] = "\0\2" "\2\0\0\0\0\0\0\0" "\1\0\0\0\0\0\0\0";
    kpid_unpack_init(&in, unsorted, sizeof(unsorted) - 1);
    cr_assert_not(kpid_hll_unpack(&back, &in));
    cr_assert(in.bad);
}
