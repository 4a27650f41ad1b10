/*
 * Sums that can't overflow: 192 bits, two's complement, in three 8-byte parts, least significant first. 2^64
 * values of 127 bits fit, so whether a sum can be told (it has 127 bits) depends on its value only, never on
 * the order in which it was added up. A zeroed struct is 0.
 */
#ifndef KPID_WIDE_H
#define KPID_WIDE_H

#include "kpid/pack.h"

struct kpid_wide {
    uint64_t part[3];
};

static inline void kpid_wide_add_parts(struct kpid_wide *sum, uint64_t low, uint64_t middle, uint64_t high)
{
    kpid_u128 step = (kpid_u128)sum->part[0] + low;
    sum->part[0] = (uint64_t)step;
    step = (kpid_u128)sum->part[1] + middle + (uint64_t)(step >> 64);
    sum->part[1] = (uint64_t)step;
    sum->part[2] += high + (uint64_t)(step >> 64);
}

static inline void kpid_wide_add(struct kpid_wide *sum, kpid_i128 value)
{
    kpid_wide_add_parts(sum, (uint64_t)value, (uint64_t)((kpid_u128)value >> 64), value < 0 ? UINT64_MAX : 0);
}

/* The value must not be the lowest of all (-2^127): it has no opposite. */
static inline void kpid_wide_subtract(struct kpid_wide *sum, kpid_i128 value)
{
    kpid_wide_add(sum, -value);
}

static inline void kpid_wide_merge(struct kpid_wide *into, const struct kpid_wide *from)
{
    kpid_wide_add_parts(into, from->part[0], from->part[1], from->part[2]);
}

/* False when the sum has more than 127 bits; *ret is untouched then. */
static inline bool kpid_wide_get(const struct kpid_wide *sum, kpid_i128 *ret)
{
    kpid_i128 value = (kpid_i128)((kpid_u128)sum->part[1] << 64 | sum->part[0]);
    bool lowest = sum->part[1] == 1ULL << 63 && sum->part[0] == 0; /* -2^127: 128 bits */
    if (sum->part[2] != (value < 0 ? UINT64_MAX : 0) || lowest)
        return false;
    *ret = value;
    return true;
}

void kpid_wide_pack(const struct kpid_wide *sum, struct kpid_buf *out);
void kpid_wide_unpack(struct kpid_wide *sum, struct kpid_unpack *in);

/* Variance of one observation (n - 1 below) from exact sums, as a double, in the unit of the values squared;
 * negative when n < 2 or a sum has more than 127 bits. Cost: one 128-bit division. */
double kpid_wide_variance(const struct kpid_wide *sum, const struct kpid_wide *squares, uint64_t n);

#endif
