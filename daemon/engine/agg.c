/* The table of aggregations and what they share, see kpid/agg.h and agg_part.h. */
#include "kpid/agg.h"

#include <string.h>

#include "agg_part.h"

#define DURATION_DIGITS 3 /* ms to seconds */
#define PERCENT_MAX     100

static const struct kpid_agg *const kpid_aggs[] = {
    &kpid_agg_count, &kpid_agg_sum,      &kpid_agg_min,       &kpid_agg_max,   &kpid_agg_mean,
    &kpid_agg_last,  &kpid_agg_distinct, &kpid_agg_quantiles, &kpid_agg_clock,
    &kpid_agg_session, &kpid_agg_funnel,  &kpid_agg_retention, &kpid_agg_top,
};

const struct kpid_agg *kpid_agg_at(size_t index)
{
    return index < KPID_COUNT_OF(kpid_aggs) ? kpid_aggs[index] : NULL;
}

const struct kpid_agg *kpid_agg_find(const char *name, size_t len)
{
    for (size_t i = 0; i < KPID_COUNT_OF(kpid_aggs); i++) {
        if (strlen(kpid_aggs[i]->name) == len && memcmp(kpid_aggs[i]->name, name, len) == 0)
            return kpid_aggs[i];
    }
    return NULL;
}

/* p50, p99.9: tenths of a percent, 1 .. 1000; -1 if it is none. */
static int percentile_parse(const char *name, size_t len)
{
    int whole = 0, tenth = 0;
    size_t i = 1;
    if (len < 2 || len > 6 || name[0] != 'p' || (name[1] == '0' && len > 2 && name[2] != '.'))
        return -1;
    for (; i < len && name[i] >= '0' && name[i] <= '9'; i++)
        whole = whole * 10 + (name[i] - '0');
    if (i == 1 || i > 4)
        return -1;
    if (i < len) {
        if (name[i] != '.' || i + 2 != len || name[i + 1] < '0' || name[i + 1] > '9')
            return -1;
        tenth = name[i + 1] - '0';
    }
    int tenths = whole * 10 + tenth;
    return tenths >= 1 && tenths <= PERCENT_MAX * 10 ? tenths : -1;
}

int kpid_part_find(const struct kpid_part_name *names, bool percentiles, const char *name, size_t len)
{
    for (; names->name != NULL; names++) {
        if (strlen(names->name) == len && memcmp(names->name, name, len) == 0)
            return names->part;
    }
    int tenths = percentiles ? percentile_parse(name, len) : -1;
    return tenths < 0 ? -1 : KPID_PART_P + tenths;
}

static uint8_t published_scale(const struct kpid_agg_param *param)
{
    return (uint8_t)(param->scale + (param->duration ? DURATION_DIGITS : 0));
}

/* So many steps of the scale are one published unit: a power of ten that a double holds exactly. */
static double unit_of(const struct kpid_agg_param *param)
{
    double unit = 1;
    for (unsigned i = published_scale(param); i > 0; i--)
        unit *= 10;
    return unit;
}

struct kpid_number kpid_part_none(void)
{
    return (struct kpid_number){.kind = KPID_NUMBER_NONE};
}

static struct kpid_number exact_number(kpid_i128 m, uint8_t scale)
{
    struct kpid_number number = {.kind = KPID_NUMBER_EXACT, .exact = {.m = m, .scale = scale}};
    number.approx = kpid_decimal_to_double(number.exact);
    return number;
}

struct kpid_number kpid_part_value(kpid_i128 m, const struct kpid_agg_param *param)
{
    return exact_number(m, published_scale(param));
}

struct kpid_number kpid_part_integer(uint64_t n)
{
    return exact_number((kpid_i128)n, 0);
}

struct kpid_number kpid_part_level(int64_t level)
{
    return exact_number(level, 0);
}

struct kpid_number kpid_part_share(int64_t a, int64_t b)
{
    return b > 0 ? kpid_part_double((double)a / (double)b) : kpid_part_none();
}

struct kpid_number kpid_part_double(double value)
{
    return (struct kpid_number){.kind = KPID_NUMBER_DOUBLE, .approx = value};
}

struct kpid_number kpid_part_sum(const struct kpid_wide *sum, const struct kpid_agg_param *param)
{
    kpid_i128 m;
    if (!kpid_wide_get(sum, &m))
        return (struct kpid_number){.kind = KPID_NUMBER_OVERFLOW};
    return kpid_part_value(m, param);
}

struct kpid_number kpid_part_mean(const struct kpid_wide *sum, uint64_t n, const struct kpid_agg_param *param)
{
    kpid_i128 m;
    if (n == 0)
        return kpid_part_none();
    if (!kpid_wide_get(sum, &m))
        return (struct kpid_number){.kind = KPID_NUMBER_OVERFLOW};
    return kpid_part_double((double)m / (unit_of(param) * (double)n));
}

struct kpid_number kpid_part_variance(double variance)
{
    return variance < 0 ? kpid_part_none() : kpid_part_double(variance);
}

double kpid_part_variance_scale(double raw, const struct kpid_agg_param *param)
{
    return raw < 0 ? raw : raw / unit_of(param) / unit_of(param);
}

/* The sketch holds mantissas; an error relative to the value is the same in any unit. */
struct kpid_number kpid_part_percentile(const struct kpid_quantile *q, int part, uint64_t n, kpid_i128 min,
                                        kpid_i128 max, const struct kpid_agg_param *param)
{
    double value;
    unsigned tenths = (unsigned)(part - KPID_PART_P);
    kpid_u128 rank = ((kpid_u128)tenths * n + PERCENT_MAX * 10 - 1) / (PERCENT_MAX * 10);
    if (n == 0 || !kpid_quantile_at(q, &param->quantile, tenths / 10.0, &value))
        return kpid_part_none();
    if (rank <= 1 || value <= (double)min)
        return kpid_part_double(kpid_part_value(min, param).approx);
    if (rank >= n || value >= (double)max)
        return kpid_part_double(kpid_part_value(max, param).approx);
    return kpid_part_double(value / unit_of(param));
}
