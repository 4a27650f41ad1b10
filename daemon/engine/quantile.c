/*
 * Quantiles with relative error, see kpid/quantile.h.
 *
 * Bucket i of a side holds magnitudes in (gamma^(i-1), gamma^i], with gamma = (1 + error) / (1 - error); its
 * value is 2 gamma^i / (gamma + 1), which is within `error` of both ends. Counters of a side are one run of
 * buckets, 2, 4 or 8 bytes each, as wide as the greatest needs; the run grows by 16 buckets at either end.
 *
 * A side spans at most BUCKETS_MAX buckets below its greatest one; what lies lower is counted in the lowest.
 * With only additions and merges the lowest bucket's number, its count and `collapsed` are functions of what
 * was added, so order makes no difference.
 */
#include "kpid/quantile.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MAX   2048
#define BUCKETS_GRAIN 16
_Static_assert(2 * BUCKETS_MAX * sizeof(uint64_t) == KPID_QUANTILE_BYTES_MAX, "what explain says of it");
#define ERROR_MIN     1e-6 /* below, bucket numbers would not fit in 32 bits */
#define INDEX_BOUND   1000000000

void kpid_quantile_scale_init(struct kpid_quantile_scale *scale, double error)
{
    assert(error >= ERROR_MIN && error < 0.5);
    scale->error = error;
    scale->gamma = (1 + error) / (1 - error);
    scale->log_gamma_inverse = 1 / log(scale->gamma);
}

void kpid_quantile_release(struct kpid_quantile *q)
{
    free(q->positive.counts);
    free(q->negative.counts);
    *q = (struct kpid_quantile){0};
}

static uint64_t count_get(const struct kpid_quantile_side *side, uint32_t i)
{
    switch (side->width) {
    case 2: return ((const uint16_t *)side->counts)[i];
    case 4: return ((const uint32_t *)side->counts)[i];
    default: return ((const uint64_t *)side->counts)[i];
    }
}

static void count_set(struct kpid_quantile_side *side, uint32_t i, uint64_t count)
{
    switch (side->width) {
    case 2: ((uint16_t *)side->counts)[i] = (uint16_t)count; break;
    case 4: ((uint32_t *)side->counts)[i] = (uint32_t)count; break;
    default: ((uint64_t *)side->counts)[i] = count; break;
    }
}

static uint8_t width_of(uint64_t count)
{
    return count <= UINT16_MAX ? 2 : count <= UINT32_MAX ? 4 : 8;
}

/* Lays the counters out anew: buckets [first, first + len), at least as wide as now. What falls out must be
 * 0. */
static void side_reshape(struct kpid_quantile_side *side, int32_t first, uint32_t len, uint8_t width)
{
    struct kpid_quantile_side next = {.first = first, .len = len, .collapsed = side->collapsed};
    next.width = width > side->width ? width : side->width;
    next.counts = kpid_zalloc(len, next.width);
    for (uint32_t i = 0; i < side->len; i++) {
        uint64_t count = count_get(side, i);
        if (count != 0)
            count_set(&next, (uint32_t)(side->first + (int32_t)i - first), count);
    }
    free(side->counts);
    *side = next;
}

/* Makes room for the bucket: the run grows in whole grains. */
static void side_cover(struct kpid_quantile_side *side, int32_t index)
{
    int32_t low = index, high = index + 1;
    if (side->len > 0) {
        if (index >= side->first && index - side->first < (int32_t)side->len)
            return;
        low = index < side->first ? index : side->first;
        high = index < side->first ? side->first + (int32_t)side->len : index + 1;
    }
    low -= ((low % BUCKETS_GRAIN) + BUCKETS_GRAIN) % BUCKETS_GRAIN;
    high += (BUCKETS_GRAIN - ((high % BUCKETS_GRAIN) + BUCKETS_GRAIN) % BUCKETS_GRAIN) % BUCKETS_GRAIN;
    side_reshape(side, low, (uint32_t)(high - low), 2);
}

static void side_count_add(struct kpid_quantile_side *side, int32_t index, uint64_t n)
{
    uint32_t i = (uint32_t)(index - side->first);
    uint64_t count = count_get(side, i) + n;
    if (width_of(count) > side->width)
        side_reshape(side, side->first, side->len, width_of(count));
    count_set(side, i, count);
}

/* Number of the greatest bucket with anything in it; false when there is none. */
static bool side_top(const struct kpid_quantile_side *side, int32_t *ret)
{
    for (uint32_t i = side->len; i > 0; i--) {
        if (count_get(side, i - 1) != 0) {
            *ret = side->first + (int32_t)(i - 1);
            return true;
        }
    }
    return false;
}

/* Counts everything below bucket `low` in `low`. All that was collapsed before lay in the lowest bucket, so
 * when anything moves, what moves is all that is collapsed now. */
static void side_collapse(struct kpid_quantile_side *side, int32_t low)
{
    uint64_t moved = 0;
    if (side->len == 0 || side->first >= low)
        return;
    for (uint32_t i = 0; i < side->len && side->first + (int32_t)i < low; i++) {
        moved += count_get(side, i);
        count_set(side, i, 0);
    }
    int32_t first = low - ((low % BUCKETS_GRAIN) + BUCKETS_GRAIN) % BUCKETS_GRAIN;
    int32_t end = side->first + (int32_t)side->len;
    side_reshape(side, first, end > first ? (uint32_t)(end - first) : BUCKETS_GRAIN, 2);
    if (moved > 0) {
        side_count_add(side, low, moved);
        side->collapsed = moved;
    }
}

/* Adds n at a bucket when the side may have to collapse. */
static void side_add(struct kpid_quantile_side *side, int32_t index, uint64_t n)
{
    int32_t top;
    if (side_top(side, &top)) {
        if (index <= top - BUCKETS_MAX) {
            index = top - (BUCKETS_MAX - 1);
            side->collapsed += n;
        } else if (index > top) {
            side_collapse(side, index - (BUCKETS_MAX - 1));
        }
    }
    side_cover(side, index);
    side_count_add(side, index, n);
}

static void side_take(struct kpid_quantile_side *side, int32_t index, uint64_t n)
{
    int32_t top;
    if (!side_top(side, &top))
        return;
    if (index <= top - BUCKETS_MAX) {
        index = top - (BUCKETS_MAX - 1);
        side->collapsed -= side->collapsed < n ? side->collapsed : n;
    }
    if (index < side->first || index - side->first >= (int32_t)side->len)
        return;
    uint64_t count = count_get(side, (uint32_t)(index - side->first));
    count_set(side, (uint32_t)(index - side->first), count < n ? 0 : count - n);
}

void kpid_quantile_add(struct kpid_quantile *q, const struct kpid_quantile_scale *scale, double value,
                       int weight)
{
    if (value == 0) {
        q->zero = weight > 0 ? q->zero + 1 : q->zero > 0 ? q->zero - 1 : 0;
        return;
    }
    struct kpid_quantile_side *side = value > 0 ? &q->positive : &q->negative;
    int32_t index = (int32_t)ceil(log(fabs(value)) * scale->log_gamma_inverse);
    if (weight < 0) {
        side_take(side, index, 1);
        return;
    }
    /* Inside the run, and the run too short for anything to collapse: the common case. */
    if (side->len <= BUCKETS_MAX && index >= side->first && index - side->first < (int32_t)side->len)
        side_count_add(side, index, 1);
    else
        side_add(side, index, 1);
}

/* Adds `from`'s counters to `into`'s, which cover them. */
static void counts_merge(struct kpid_quantile_side *into, const struct kpid_quantile_side *from)
{
    uint32_t shift = (uint32_t)(from->first - into->first), carry = 0;
    if (into->width == 2 && from->width == 2) { /* the common case, in two loops that a compiler vectorises */
        uint16_t *a = (uint16_t *)into->counts + shift;
        const uint16_t *b = from->counts;
        for (uint32_t i = 0; i < from->len; i++)
            carry |= (uint32_t)a[i] + b[i];
        if (carry <= UINT16_MAX) {
            for (uint32_t i = 0; i < from->len; i++)
                a[i] = (uint16_t)(a[i] + b[i]);
            return;
        }
    }
    for (uint32_t i = 0; i < from->len; i++) {
        uint64_t count = count_get(from, i);
        if (count != 0)
            side_count_add(into, from->first + (int32_t)i, count);
    }
}

/* Adds `from` to `into` where its buckets below `low` collapse. Returns how many values that were. */
static uint64_t counts_merge_collapsed(struct kpid_quantile_side *into, const struct kpid_quantile_side *from,
                                       int32_t low)
{
    uint64_t moved = 0;
    for (uint32_t i = from->len; i > 0;
         i--) { /* from the top, so that the run is as long as needed at once */
        uint64_t count = count_get(from, i - 1);
        int32_t index = from->first + (int32_t)(i - 1);
        if (count == 0)
            continue;
        if (index < low) {
            moved += count;
            index = low;
        }
        side_cover(into, index);
        side_count_add(into, index, count);
    }
    return moved;
}

static void side_merge(struct kpid_quantile_side *into, const struct kpid_quantile_side *from)
{
    int32_t top, top_into;
    uint64_t moved = 0;
    if (!side_top(from, &top))
        return;
    if (side_top(into, &top_into) && top_into > top)
        top = top_into;
    int32_t low = top - (BUCKETS_MAX - 1);
    side_collapse(into, low);
    if (from->first >= low) {
        side_cover(into, from->first);
        side_cover(into, from->first + (int32_t)from->len - 1);
        counts_merge(into, from);
    } else {
        moved = counts_merge_collapsed(into, from, low);
    }
    /* What was collapsed before lies in the lowest bucket: it is among what moved, or still there. */
    into->collapsed += moved > 0 ? moved : from->collapsed;
}

void kpid_quantile_merge(struct kpid_quantile *into, const struct kpid_quantile *from)
{
    side_merge(&into->positive, &from->positive);
    side_merge(&into->negative, &from->negative);
    into->zero += from->zero;
}

static uint64_t side_total(const struct kpid_quantile_side *side)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < side->len; i++)
        total += count_get(side, i);
    return total;
}

/* The magnitude of a bucket, as a factor that both its ends are within `error` of. */
static double bucket_value(const struct kpid_quantile_scale *scale, int32_t index)
{
    return 2 * pow(scale->gamma, index) / (scale->gamma + 1);
}

/* Nearest rank ceil(percent / 100 * n) in integers; percent counts to a thousandth. */
static uint64_t rank_of(double percent, uint64_t n)
{
    kpid_u128 product = (kpid_u128)(uint64_t)llround(percent * 1000) * n;
    uint64_t rank = (uint64_t)((product + 99999) / 100000);
    return rank < 1 ? 1 : rank > n ? n : rank;
}

bool kpid_quantile_at(const struct kpid_quantile *q, const struct kpid_quantile_scale *scale, double percent,
                      double *ret)
{
    uint64_t below = side_total(&q->negative), n = below + q->zero + side_total(&q->positive), seen = 0;
    if (n == 0)
        return false;
    uint64_t rank = rank_of(percent, n);
    if (rank <= below) { /* the most negative come first */
        for (uint32_t i = q->negative.len; i > 0; i--) {
            seen += count_get(&q->negative, i - 1);
            if (seen >= rank) {
                *ret = -bucket_value(scale, q->negative.first + (int32_t)(i - 1));
                return true;
            }
        }
    }
    if (rank <= below + q->zero) {
        *ret = 0;
        return true;
    }
    seen = below + q->zero;
    for (uint32_t i = 0; i < q->positive.len; i++) {
        seen += count_get(&q->positive, i);
        if (seen >= rank) {
            *ret = bucket_value(scale, q->positive.first + (int32_t)i);
            return true;
        }
    }
    return false;
}

uint64_t kpid_quantile_collapsed(const struct kpid_quantile *q)
{
    return q->positive.collapsed + q->negative.collapsed;
}

size_t kpid_quantile_bytes(const struct kpid_quantile *q)
{
    return (size_t)q->positive.len * q->positive.width + (size_t)q->negative.len * q->negative.width;
}

/* Number of buckets in use, then (step, count) of each; the first step is from 0 and signed. */
static void side_pack(const struct kpid_quantile_side *side, struct kpid_buf *out)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < side->len; i++)
        used += count_get(side, i) != 0;
    kpid_pack_u64(out, used);
    kpid_pack_u64(out, used > 0 ? side->collapsed : 0);
    int32_t before = 0;
    for (uint32_t i = 0; i < side->len; i++) {
        uint64_t count = count_get(side, i);
        if (count == 0)
            continue;
        int32_t index = side->first + (int32_t)i;
        kpid_pack_i64(out, index - before);
        kpid_pack_u64(out, count);
        before = index;
    }
}

void kpid_quantile_pack(const struct kpid_quantile *q, struct kpid_buf *out)
{
    kpid_pack_u64(out, q->zero);
    side_pack(&q->negative, out);
    side_pack(&q->positive, out);
}

static bool side_unpack(struct kpid_quantile_side *side, struct kpid_unpack *in)
{
    uint64_t used = kpid_unpack_u64(in), collapsed = kpid_unpack_u64(in), total = 0;
    int64_t index = 0, first = 0;
    if (in->bad || used > BUCKETS_MAX || (used == 0 && collapsed > 0))
        return false;
    for (uint64_t i = 0; i < used; i++) {
        int64_t step = kpid_unpack_i64(in);
        uint64_t count = kpid_unpack_u64(in);
        if (in->bad || count == 0 || step > INDEX_BOUND || step < -INDEX_BOUND || (i > 0 && step <= 0) ||
            __builtin_add_overflow(total, count, &total))
            return false;
        index += step;
        first = i == 0 ? index : first;
        if (index > INDEX_BOUND || index < -INDEX_BOUND || index - first >= BUCKETS_MAX)
            return false;
        side_cover(side, (int32_t)index);
        side_count_add(side, (int32_t)index, count);
    }
    side->collapsed = collapsed;
    return collapsed <= total;
}

bool kpid_quantile_unpack(struct kpid_quantile *ret, struct kpid_unpack *in)
{
    struct kpid_quantile q = {.zero = kpid_unpack_u64(in)};
    if (!side_unpack(&q.negative, in) || !side_unpack(&q.positive, in)) {
        in->bad = true;
        kpid_quantile_release(&q);
        return false;
    }
    *ret = q;
    return true;
}
