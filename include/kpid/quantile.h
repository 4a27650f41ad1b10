/*
 * Quantiles with relative error: logarithmic buckets after DDSketch (Masson, Rim, Lee, VLDB 2019), mirrored for
 * negative values, one bucket for zero. Value at nearest rank ceil(p/100 * n), within `error` of the true element.
 * A bucket's count may be taken back (kpid_quantile_add with a negative weight), which clocks need for corrections.
 * At least 2,048 buckets a sign before the ones nearest to zero are collapsed; collapsed() counts that.
 * n, min, max and sum are not kept here (see agg.h); the caller clamps an answer to [min, max].
 * A zeroed struct is an empty sketch and owns nothing. Merging is commutative and associative, bit for bit.
 */
#ifndef KPID_QUANTILE_H
#define KPID_QUANTILE_H

#include "kpid/buf.h"
#include "kpid/pack.h"

struct kpid_quantile_side {
    void *counts;       /* counts[i] belongs to bucket first + i */
    uint64_t collapsed; /* values that are counted in a bucket higher than their own */
    int32_t first;
    uint32_t len;
    uint8_t width;      /* bytes of a counter: 2, 4 or 8, as the greatest needs */
};

struct kpid_quantile {
    struct kpid_quantile_side positive, negative;
    uint64_t zero;
};

/* What the configured error gives, once for a measure. error in [0.000001, 0.5), e.g. 0.01. */
struct kpid_quantile_scale {
    double error, gamma, log_gamma_inverse;
};
void kpid_quantile_scale_init(struct kpid_quantile_scale *scale, double error);

void kpid_quantile_release(struct kpid_quantile *q);
/* weight 1 adds, -1 takes back what was added before. value is finite. */
void kpid_quantile_add(struct kpid_quantile *q, const struct kpid_quantile_scale *scale, double value, int weight);
void kpid_quantile_merge(struct kpid_quantile *into, const struct kpid_quantile *from);
/* percent in (0, 100], to a thousandth. False when empty. */
bool kpid_quantile_at(const struct kpid_quantile *q, const struct kpid_quantile_scale *scale, double percent,
                      double *ret) KPID_MUST_CHECK;
/* Values whose error is no longer bounded, because their bucket was collapsed. */
uint64_t kpid_quantile_collapsed(const struct kpid_quantile *q);
size_t kpid_quantile_bytes(const struct kpid_quantile *q); /* heap bytes held */
#define KPID_QUANTILE_BYTES_MAX 32768 /* of heap: 2,048 counters of 8 bytes a sign; of 2 bytes as long as they are small */
void kpid_quantile_pack(const struct kpid_quantile *q, struct kpid_buf *out); /* canonical */
bool kpid_quantile_unpack(struct kpid_quantile *ret, struct kpid_unpack *in) KPID_MUST_CHECK;

#endif
