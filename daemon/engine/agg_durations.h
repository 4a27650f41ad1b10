/*
 * Durations in a cell of a keyed measure (clock, session, funnel): what can be taken back is kept so that it can.
 *
 * All but minimum and maximum can be taken back exactly. Those two are kept twice: the current ones, and the settled
 * ones, of durations that can't be taken back any more. When a current one is taken back the durations are stale: their
 * owner narrows them to the settled ones and hands in those that still stand (KPID_SAMPLE_WIDEN). A zeroed struct is
 * empty and owns nothing.
 */
#ifndef KPID_ENGINE_AGG_DURATIONS_H
#define KPID_ENGINE_AGG_DURATIONS_H

#include "agg_part.h"

struct kpid_durations_range {
    int64_t min, max; /* hold when `any` */
    bool any;
};

struct kpid_durations {
    struct kpid_quantile sketch;
    struct kpid_wide sum, squares;
    int64_t n;
    struct kpid_durations_range current, settled;
    bool stale;
};

/* A sample of kind DURATION, WIDEN or SETTLE. */
void kpid_durations_add(struct kpid_durations *d, const struct kpid_sample *sample, const struct kpid_agg_param *param);
void kpid_durations_merge(struct kpid_durations *into, const struct kpid_durations *from);
void kpid_durations_narrow(struct kpid_durations *d); /* minima and maxima back to the settled ones */
void kpid_durations_release(struct kpid_durations *d);
void kpid_durations_pack(const struct kpid_durations *d, struct kpid_buf *out); /* canonical */
bool kpid_durations_unpack(struct kpid_durations *d, struct kpid_unpack *in) KPID_MUST_CHECK; /* into a zeroed one */

static inline uint64_t kpid_durations_n(const struct kpid_durations *d)
{
    return d->n > 0 ? (uint64_t)d->n : 0;
}

/* Figures of durations, numbered alike in all cells that have them. */
enum {
    KPID_DURATION_MEAN = 0x40, KPID_DURATION_MIN, KPID_DURATION_MAX, KPID_DURATION_SUM, KPID_DURATION_VARIANCE
};
/* The figure of one of these numbers or of a percentile (KPID_PART_P ..). */
struct kpid_number kpid_durations_read(const struct kpid_durations *d, int part, const struct kpid_agg_param *param);
/* Variance of one duration in the published unit squared; negative: not known. */
double kpid_durations_variance(const struct kpid_durations *d, const struct kpid_agg_param *param);

#endif
