#include "agg_durations.h"

#include <assert.h>

static void range_widen(struct kpid_durations_range *range, int64_t min, int64_t max)
{
    if (!range->any || min < range->min)
        range->min = min;
    if (!range->any || max > range->max)
        range->max = max;
    range->any = true;
}

static void weigh(struct kpid_durations *d, int64_t value, int32_t weight, const struct kpid_agg_param *param)
{
    kpid_quantile_add(&d->sketch, &param->quantile, (double)value, weight);
    kpid_square_add(&d->squares, value, weight);
    d->n += weight;
    if (weight > 0) {
        kpid_wide_add(&d->sum, value);
        range_widen(&d->current, value, value);
        return;
    }
    kpid_wide_subtract(&d->sum, value);
    if (d->n == 0) { /* nothing stands: as if there never had been anything */
        kpid_quantile_release(&d->sketch);
        d->current = d->settled = (struct kpid_durations_range){ 0 };
        d->stale = false;
    } else if (d->current.any && d->current.min != d->current.max &&
               (value == d->current.min || value == d->current.max)) {
        d->stale = true; /* where all were the same, those that stand still are */
    }
}

void kpid_durations_add(struct kpid_durations *d, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    assert(sample->value < INT64_MAX && sample->value > -INT64_MAX); /* a duration in ms */
    int64_t value = (int64_t)sample->value;

    if (sample->kind == KPID_SAMPLE_DURATION)
        weigh(d, value, sample->weight, param);
    else
        range_widen(sample->kind == KPID_SAMPLE_WIDEN ? &d->current : &d->settled, value, value);
}

void kpid_durations_merge(struct kpid_durations *into, const struct kpid_durations *from)
{
    kpid_quantile_merge(&into->sketch, &from->sketch);
    kpid_wide_merge(&into->sum, &from->sum);
    kpid_wide_merge(&into->squares, &from->squares);
    into->n += from->n;
    if (from->current.any)
        range_widen(&into->current, from->current.min, from->current.max);
    if (from->settled.any)
        range_widen(&into->settled, from->settled.min, from->settled.max);
    into->stale |= from->stale;
}

void kpid_durations_narrow(struct kpid_durations *d)
{
    d->current = d->settled;
    d->stale = false;
}

void kpid_durations_release(struct kpid_durations *d)
{
    kpid_quantile_release(&d->sketch);
    *d = (struct kpid_durations){ 0 };
}

static void range_pack(const struct kpid_durations_range *range, struct kpid_buf *out)
{
    kpid_pack_u64(out, range->any);
    if (range->any) {
        kpid_pack_i64(out, range->min);
        kpid_pack_i64(out, range->max);
    }
}

static void range_unpack(struct kpid_durations_range *range, struct kpid_unpack *in)
{
    uint64_t any = kpid_unpack_u64(in);

    in->bad |= any > 1;
    range->any = any == 1;
    if (range->any) {
        range->min = kpid_unpack_i64(in);
        range->max = kpid_unpack_i64(in);
    }
}

void kpid_durations_pack(const struct kpid_durations *d, struct kpid_buf *out)
{
    kpid_pack_i64(out, d->n);
    if (d->n == 0) /* counters alone: the common case of a cell that keeps levels or deadlines only */
        return;
    kpid_pack_u64(out, d->stale);
    range_pack(&d->current, out);
    range_pack(&d->settled, out);
    kpid_wide_pack(&d->sum, out);
    kpid_wide_pack(&d->squares, out);
    kpid_quantile_pack(&d->sketch, out);
}

bool kpid_durations_unpack(struct kpid_durations *d, struct kpid_unpack *in)
{
    d->n = kpid_unpack_i64(in);
    if (in->bad || d->n == 0)
        return !in->bad;
    uint64_t stale = kpid_unpack_u64(in);
    d->stale = stale == 1;
    range_unpack(&d->current, in);
    range_unpack(&d->settled, in);
    kpid_wide_unpack(&d->sum, in);
    kpid_wide_unpack(&d->squares, in);
    return stale <= 1 && kpid_quantile_unpack(&d->sketch, in);
}

double kpid_durations_variance(const struct kpid_durations *d, const struct kpid_agg_param *param)
{
    return kpid_part_variance_scale(kpid_wide_variance(&d->sum, &d->squares, kpid_durations_n(d)), param);
}

struct kpid_number kpid_durations_read(const struct kpid_durations *d, int part, const struct kpid_agg_param *param)
{
    bool any = d->n > 0 && d->current.any;

    switch (part) {
    case KPID_DURATION_MEAN: return kpid_part_mean(&d->sum, kpid_durations_n(d), param);
    case KPID_DURATION_MIN: return any ? kpid_part_value(d->current.min, param) : kpid_part_none();
    case KPID_DURATION_MAX: return any ? kpid_part_value(d->current.max, param) : kpid_part_none();
    case KPID_DURATION_SUM: return kpid_part_sum(&d->sum, param);
    case KPID_DURATION_VARIANCE: return kpid_part_variance(kpid_durations_variance(d, param));
    default:
        return any ? kpid_part_percentile(&d->sketch, part, kpid_durations_n(d), d->current.min, d->current.max, param)
                   : kpid_part_none();
    }
}
