/* mean: the average, with its variance. Sum and sum of squares are exact; the variance is unknown once a
 * value has more than 63 bits or the squares add up to more than 127, the mean is not touched by that. */
#include "agg_part.h"

struct mean_cell {
    struct kpid_wide sum, squares;
    uint64_t n;
    uint64_t squares_lost; /* values whose square wasn't added */
};

enum { PART_MEAN, PART_N, PART_SUM, PART_VARIANCE };

static const struct kpid_part_name parts[] = {
    {"", PART_MEAN},        {"mean", PART_MEAN},         {"n", PART_N}, {"sum", PART_SUM},
    {"var", PART_VARIANCE}, {"variance", PART_VARIANCE}, {NULL, -1}};

static void mean_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct mean_cell *c = cell;
    (void)param;
    kpid_wide_add(&c->sum, sample->value);
    c->squares_lost += kpid_square_add(&c->squares, sample->value, 1);
    c->n++;
}

static void mean_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct mean_cell *a = into;
    const struct mean_cell *b = from;
    (void)param;
    kpid_wide_merge(&a->sum, &b->sum);
    kpid_wide_merge(&a->squares, &b->squares);
    a->n += b->n;
    a->squares_lost += b->squares_lost;
}

static void mean_pack(const void *cell, struct kpid_buf *out)
{
    const struct mean_cell *c = cell;
    kpid_pack_u64(out, c->n);
    kpid_wide_pack(&c->sum, out);
    kpid_wide_pack(&c->squares, out);
    kpid_pack_u64(out, c->squares_lost);
}

static bool mean_unpack(void *cell, struct kpid_unpack *in)
{
    struct mean_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    kpid_wide_unpack(&c->sum, in);
    kpid_wide_unpack(&c->squares, in);
    c->squares_lost = kpid_unpack_u64(in);
    return !in->bad;
}

static int mean_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure mean_figure(int part)
{
    switch (part) {
    case PART_MEAN: return KPID_FIGURE_MEAN;
    case PART_N: return KPID_FIGURE_COUNT;
    case PART_SUM: return KPID_FIGURE_SUM;
    default: return KPID_FIGURE_OTHER;
    }
}

static double mean_variance(const void *cell, const struct kpid_agg_param *param)
{
    const struct mean_cell *c = cell;
    if (c->squares_lost > 0)
        return -1;
    return kpid_part_variance_scale(kpid_wide_variance(&c->sum, &c->squares, c->n), param);
}

static struct kpid_number mean_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct mean_cell *c = cell;
    switch (part) {
    case PART_N: return kpid_part_integer(c->n);
    case PART_SUM: return kpid_part_sum(&c->sum, param);
    case PART_VARIANCE: return kpid_part_variance(mean_variance(cell, param));
    default: return kpid_part_mean(&c->sum, c->n, param);
    }
}

static uint64_t mean_samples(const void *cell)
{
    return ((const struct mean_cell *)cell)->n;
}

const struct kpid_agg kpid_agg_mean = {
    .name = "mean",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct mean_cell),
    .event_ns = 40,
    .add = mean_add,
    .merge = mean_merge,
    .pack = mean_pack,
    .unpack = mean_unpack,
    .part = mean_part,
    .part_names = "n, sum, mean, variance",
    .figure = mean_figure,
    .read = mean_read,
    .samples = mean_samples,
    .variance = mean_variance,
};
