/* Quantiles against sorted values: the error's law, order's irrelevance, taking back, collapse, storage. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/quantile.h"

#define N 20000

static uint64_t state;

static double uniform(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double draw(int kind)
{
    double u = uniform(), v = uniform();
    switch (kind) {
    case 0: return u * 1000;
    case 1: return -log(u) * 250;                                       /* exponential */
    case 2: return exp(6 + 1.5 * sqrt(-2 * log(u)) * cos(6.2831853 * v)); /* lognormal */
    case 3: return 100 * sqrt(-2 * log(u)) * cos(6.2831853 * v);          /* normal: both signs */
    case 4: return u < 0.3 ? 0 : u < 0.6 ? -5 - 95 * v : 5 + 95 * v;     /* zeros and negatives */
    case 5: return 1 / pow(u, 1.2);                                      /* heavy tail */
    case 6: return floor(u * 20) - 10;                                   /* few values, many ties */
    case 7: return -floor(exp(12 * u));
    default: return (u < 0.5 ? 1e-9 : 1e9) * v;
    }
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

Test(quantile, error_obeys_the_law)
{
    static const double errors[] = {0.01, 0.002, 0.1};
    static const double percents[] = {0.001, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100};
    static const size_t checkpoints[] = {1, 2, 3, 10, 99, 1000, N};
    static double values[N], sorted[N];
    for (int kind = 0; kind < 9; kind++) {
        for (size_t e = 0; e < KPID_COUNT_OF(errors); e++) {
            struct kpid_quantile q = {0};
            struct kpid_quantile_scale scale;
            kpid_quantile_scale_init(&scale, errors[e]);
            state = 42 + (uint64_t)kind;
            size_t n = 0;
            int held = 0;
            for (size_t c = 0; c < KPID_COUNT_OF(checkpoints); c++) {
                for (; n < checkpoints[c]; n++) {
                    values[n] = draw(kind);
                    kpid_quantile_add(&q, &scale, values[n], 1);
                }
                memcpy(sorted, values, n * sizeof(double));
                qsort(sorted, n, sizeof(double), order);
                for (size_t p = 0; p < KPID_COUNT_OF(percents); p++) {
                    double got = 0, want = sorted[(size_t)fmax(1, ceil(round(percents[p] * 1000) * (double)n / 1e5)) - 1];
                    cr_assert(kpid_quantile_at(&q, &scale, percents[p], &got));
                    double top = want < 0 ? -sorted[0] : sorted[n - 1];
                    if (want != 0 && fabs(want) < top / pow(scale.gamma, 2046))
                        continue; /* 2,048 buckets may not reach there: it may be collapsed */
                    held++;
                    cr_assert(fabs(got - want) <= fabs(want) * errors[e] * (1 + 1e-9), "kind %d n %zu p%g: %g for %g",
                              kind, n, percents[p], got, want);
                }
            }
            cr_assert(kind == 8 || kpid_quantile_collapsed(&q) == 0 || errors[e] < 0.01);
            cr_assert_geq(held, errors[e] < 0.01 ? 40 : kind == 8 ? 40 : 84, "kind %d: %d", kind, held);
            kpid_quantile_release(&q);
        }
    }
    struct kpid_quantile q = {0};
    struct kpid_quantile_scale scale;
    double value;
    kpid_quantile_scale_init(&scale, 0.01);
    cr_assert_not(kpid_quantile_at(&q, &scale, 50, &value));
}

Test(quantile, takes_the_nearest_rank)
{
    static const struct {
        double percent;
        int n, rank;
    } cases[] = {{50, 1, 1}, {50, 2, 1}, {50, 3, 2}, {50, 4, 2}, {99.9, 1000, 999}, {99.9, 1001, 1000},
                 {99, 100, 99}, {90, 10, 9}, {95, 10, 10}, {0.1, 10, 1}, {100, 7, 7}, {7, 100, 7}, {55, 100, 55}};
    struct kpid_quantile_scale scale;
    kpid_quantile_scale_init(&scale, 0.0001);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_quantile q = {0};
        double got = 0;
        for (int k = 1; k <= cases[i].n; k++)
            kpid_quantile_add(&q, &scale, 500 + k, 1);
        cr_assert(kpid_quantile_at(&q, &scale, cases[i].percent, &got));
        cr_assert_eq((int)lround(got) - 500, cases[i].rank, "p%g of %d: %g", cases[i].percent, cases[i].n, got);
        kpid_quantile_release(&q);
    }
}

static bool same_bytes(const struct kpid_quantile *a, const struct kpid_quantile *b)
{
    struct kpid_buf x = KPID_BUF_INIT, y = KPID_BUF_INIT;
    kpid_quantile_pack(a, &x);
    kpid_quantile_pack(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    kpid_buf_release(&x);
    kpid_buf_release(&y);
    return same;
}

/* Values over 60 decades, so that buckets collapse; split at random over four sketches, merged in two orders. */
Test(quantile, merge_is_commutative_and_associative_even_when_it_collapses)
{
    struct kpid_quantile_scale scale;
    kpid_quantile_scale_init(&scale, 0.01);
    for (int round = 0; round < 60; round++) {
        struct kpid_quantile whole = {0}, back = {0}, part[4] = {0}, again[4] = {0};
        double values[3000];
        double decades = round % 3 == 0 ? 3 : round % 3 == 1 ? 15 : 60;
        state = 7 + (uint64_t)round;
        for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
            double u = uniform();
            values[i] = u < 0.05 ? 0 : (u < 0.4 ? -1 : 1) * pow(10, decades * (uniform() - 0.5));
            kpid_quantile_add(&whole, &scale, values[i], 1);
            size_t k = (size_t)(uniform() * 4);
            kpid_quantile_add(&part[k], &scale, values[i], 1);
            kpid_quantile_add(&again[k], &scale, values[i], 1);
        }
        for (size_t i = KPID_COUNT_OF(values); i > 0; i--)
            kpid_quantile_add(&back, &scale, values[i - 1], 1);
        cr_assert(same_bytes(&whole, &back), "round %d", round);
        for (int k = 1; k < 4; k++)
            kpid_quantile_merge(&part[0], &part[k]);
        kpid_quantile_merge(&again[3], &again[1]);
        kpid_quantile_merge(&again[2], &again[0]);
        kpid_quantile_merge(&again[2], &again[3]);
        cr_assert(same_bytes(&whole, &part[0]), "round %d", round);
        cr_assert(same_bytes(&whole, &again[2]), "round %d", round);
        cr_assert_eq(kpid_quantile_collapsed(&whole) > 0, decades > 40);
        kpid_quantile_release(&whole);
        kpid_quantile_release(&back);
        for (int k = 0; k < 4; k++) {
            kpid_quantile_release(&part[k]);
            kpid_quantile_release(&again[k]);
        }
    }
}

/* What collapse spares: the greatest 2,048 buckets of a side keep their error. */
Test(quantile, collapse_counts_and_spares_the_top)
{
    struct kpid_quantile_scale scale;
    struct kpid_quantile q = {0};
    double value;
    kpid_quantile_scale_init(&scale, 0.01);
    for (int i = 0; i < 100; i++) {
        kpid_quantile_add(&q, &scale, 1e-30, 1);
        kpid_quantile_add(&q, &scale, 1e6 + i, 1);
    }
    cr_assert_eq(kpid_quantile_collapsed(&q), 100);
    cr_assert(kpid_quantile_at(&q, &scale, 51, &value));
    cr_assert(fabs(value - 1e6) <= 0.01 * 1e6);
    cr_assert(kpid_quantile_at(&q, &scale, 50, &value));
    cr_assert(value > 1e-30 && value < 1e-9);
    cr_assert_leq(kpid_quantile_bytes(&q), (2048 + 32) * 2);
    kpid_quantile_release(&q);
}

Test(quantile, takes_back_without_a_trace)
{
    struct kpid_quantile_scale scale;
    struct kpid_quantile q = {0}, kept = {0}, empty = {0};
    double values[2000];
    kpid_quantile_scale_init(&scale, 0.01);
    state = 99;
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        values[i] = draw(4);
        kpid_quantile_add(&q, &scale, values[i], 1);
        if (i % 3 == 0)
            kpid_quantile_add(&kept, &scale, values[i], 1);
    }
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        if (i % 3 != 0)
            kpid_quantile_add(&q, &scale, values[i], -1);
    }
    cr_assert(same_bytes(&q, &kept));
    for (size_t i = 0; i < KPID_COUNT_OF(values); i += 3)
        kpid_quantile_add(&q, &scale, values[i], -1);
    cr_assert(same_bytes(&q, &empty));
    kpid_quantile_add(&q, &scale, 5, -1); /* of nothing */
    cr_assert(same_bytes(&q, &empty));
    kpid_quantile_release(&q);
    kpid_quantile_release(&kept);
}

/* Counters widen from 2 to 4 to 8 bytes: merging a sketch with itself doubles it. */
Test(quantile, counters_never_wrap)
{
    struct kpid_quantile_scale scale;
    struct kpid_quantile q = {0};
    double value;
    kpid_quantile_scale_init(&scale, 0.01);
    kpid_quantile_add(&q, &scale, 3, 1);
    kpid_quantile_add(&q, &scale, 300, 1);
    kpid_quantile_add(&q, &scale, 300, 1);
    for (int i = 0; i < 40; i++) {
        struct kpid_quantile copy = {0};
        kpid_quantile_merge(&copy, &q);
        kpid_quantile_merge(&q, &copy);
        kpid_quantile_release(&copy);
        cr_assert(kpid_quantile_at(&q, &scale, 33.333, &value));
        cr_assert(fabs(value - 3) <= 0.03);
        cr_assert(kpid_quantile_at(&q, &scale, 33.334, &value));
        cr_assert(i < 13 || fabs(value - 300) <= 3);
    }
    kpid_quantile_release(&q);
}

Test(quantile, packs_and_notices_damage)
{
    struct kpid_quantile_scale scale;
    kpid_quantile_scale_init(&scale, 0.01);
    for (int kind = 0; kind < 9; kind++) {
        struct kpid_quantile q = {0}, back = {0};
        struct kpid_buf buf = KPID_BUF_INIT;
        struct kpid_unpack in;
        state = 5;
        for (int i = 0; i < 50 * kind; i++)
            kpid_quantile_add(&q, &scale, draw(kind), 1);
        kpid_quantile_pack(&q, &buf);
        kpid_unpack_init(&in, buf.data, buf.len);
        cr_assert(kpid_quantile_unpack(&back, &in));
        cr_assert(kpid_unpack_done(&in) && same_bytes(&q, &back));
        kpid_quantile_release(&back);
        for (size_t cut = 0; cut < buf.len; cut++) {
            kpid_unpack_init(&in, buf.data, cut);
            cr_assert_not(kpid_quantile_unpack(&back, &in));
            cr_assert(in.bad && back.positive.counts == NULL && back.negative.counts == NULL);
        }
        kpid_buf_release(&buf);
        kpid_quantile_release(&q);
    }
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\0\1\0\2\0\0\0", 7},         /* a count of 0 */
               {"\0\2\0\2\1\0\1\0\0", 9},     /* a step of 0 */
               {"\0\1\5\2\1\0\0", 7},         /* more collapsed than counted */
               {"\0\0\1\0\0", 5},             /* collapsed of nothing */
               {"\0\2\0\2\1\xfe\x7f\1\0\0", 10}}; /* too wide a span */
    for (size_t i = 0; i < KPID_COUNT_OF(bad); i++) {
        struct kpid_quantile back = {0};
        struct kpid_unpack in;
        kpid_unpack_init(&in, bad[i].bytes, bad[i].len);
        cr_assert_not(kpid_quantile_unpack(&back, &in), "row %zu", i);
    }
}
