/* Wide sums: storage, and the variance of what was summed, see wide.h. */
#include "wide.h"

void kpid_wide_pack(const struct kpid_wide *sum, struct kpid_buf *out)
{
    kpid_i128 low = (kpid_i128)((kpid_u128)sum->part[1] << 64 | sum->part[0]);
    kpid_pack_i128(out, low);
    kpid_pack_i64(out, (int64_t)(sum->part[2] - (low < 0 ? UINT64_MAX : 0))); /* 0 but for giants */
}

void kpid_wide_unpack(struct kpid_wide *sum, struct kpid_unpack *in)
{
    kpid_i128 low = kpid_unpack_i128(in);
    *sum = (struct kpid_wide){{(uint64_t)low, (uint64_t)((kpid_u128)low >> 64), low < 0 ? UINT64_MAX : 0}};
    sum->part[2] += (uint64_t)kpid_unpack_i64(in);
}

/*
 * With sum = q n + r, the squares of the distances from q add up to squares - q (sum + r). That is an integer
 * between 0 and `squares`, so it may be computed modulo 2^128 although its terms leave 128 bits. What is left
 * to floating point is the distance of the mean from q, r / n < 1: nothing cancels there.
 */
double kpid_wide_variance(const struct kpid_wide *sum, const struct kpid_wide *squares, uint64_t n)
{
    kpid_i128 total, total_squares;
    if (n < 2 || !kpid_wide_get(sum, &total) || !kpid_wide_get(squares, &total_squares))
        return -1;
    kpid_i128 q = total / (kpid_i128)n, r = total - q * (kpid_i128)n;
    kpid_u128 distances = (kpid_u128)total_squares - (kpid_u128)q * ((kpid_u128)total + (kpid_u128)r);
    double rest = (double)r, variance = ((double)distances - rest * (rest / (double)n)) / (double)(n - 1);
    return variance > 0 ? variance : 0;
}
