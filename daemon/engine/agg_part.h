/* What the aggregations share, for the agg_*.c files only: their rows, parts by name, and numbers that they
 * read. */
#ifndef KPID_AGG_PART_H
#define KPID_AGG_PART_H

#include "kpid/agg.h"
#include "wide.h"

extern const struct kpid_agg kpid_agg_count, kpid_agg_sum, kpid_agg_min, kpid_agg_max, kpid_agg_mean,
    kpid_agg_last, kpid_agg_distinct, kpid_agg_quantiles, kpid_agg_clock, kpid_agg_session, kpid_agg_funnel,
    kpid_agg_retention, kpid_agg_top;

struct kpid_part_name {
    const char *name;
    int part;
};

/* The part of that name in a table that ends with a NULL name; with `percentiles` also p1 .. p100, p99.9 and
 * the like (one digit after the point). -1: there is none. */
int kpid_part_find(const struct kpid_part_name *names, bool percentiles, const char *name, size_t len);

/* A value at the measure's scale, in the published unit (durations: seconds). */
struct kpid_number kpid_part_value(kpid_i128 m, const struct kpid_agg_param *param);
struct kpid_number kpid_part_integer(uint64_t n);
struct kpid_number kpid_part_level(int64_t level);
/* a / b as a double, NONE when b is 0. */
struct kpid_number kpid_part_share(int64_t a, int64_t b);
struct kpid_number kpid_part_double(double value);
struct kpid_number kpid_part_none(void);
/* A sum in the published unit, OVERFLOW beyond 127 bits. */
struct kpid_number kpid_part_sum(const struct kpid_wide *sum, const struct kpid_agg_param *param);
/* sum / n in the published unit; NONE when n is 0. */
struct kpid_number kpid_part_mean(const struct kpid_wide *sum, uint64_t n,
                                  const struct kpid_agg_param *param);
/* Variance in the published unit squared, NONE when it isn't known. */
struct kpid_number kpid_part_variance(double variance);
/* A raw variance (at the measure's scale, squared) in the published unit squared; negative stays so. */
double kpid_part_variance_scale(double raw, const struct kpid_agg_param *param);
/* Percentile of a part number >= KPID_PART_P among n values: the least and the greatest of them exactly,
 * others from the sketch and clamped to [min, max]. NONE when n is 0. */
struct kpid_number kpid_part_percentile(const struct kpid_quantile *q, int part, uint64_t n, kpid_i128 min,
                                        kpid_i128 max, const struct kpid_agg_param *param);

/* 128-bit values in cells that are 8-byte aligned only. */
struct kpid_cell_i128 {
    uint64_t low, high;
};

static inline kpid_i128 kpid_cell_get(struct kpid_cell_i128 cell)
{
    return (kpid_i128)((kpid_u128)cell.high << 64 | cell.low);
}

static inline struct kpid_cell_i128 kpid_cell_of(kpid_i128 value)
{
    return (struct kpid_cell_i128){(uint64_t)value, (uint64_t)((kpid_u128)value >> 64)};
}

/* Adds the square of a value; a value of more than 63 bits makes the sum of squares unknown: true then. The
 * flag is a function of the values alone, so it may stick. `weight` is 1 or -1. */
static inline bool kpid_square_add(struct kpid_wide *squares, kpid_i128 value, int weight)
{
    if (value > INT64_MAX || value < -INT64_MAX)
        return true;
    kpid_wide_add(squares, weight < 0 ? -(value * value) : value * value);
    return false;
}

#endif
