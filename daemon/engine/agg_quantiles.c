/* quantiles: percentiles from a sketch (kpid/quantile.h), with n, min, max and sum exact beside it. The bare
 * name is the median. */
#include "agg_part.h"

struct quantiles_cell {
    struct kpid_quantile sketch;
    struct kpid_wide sum;
    struct kpid_cell_i128 min, max; /* hold when n > 0 */
    uint64_t n;
};

enum { PART_MEDIAN, PART_N, PART_MIN, PART_MAX, PART_SUM, PART_MEAN };

static const struct kpid_part_name parts[] = {{"", PART_MEDIAN}, {"n", PART_N},     {"min", PART_MIN},
                                              {"max", PART_MAX}, {"sum", PART_SUM}, {"mean", PART_MEAN},
                                              {NULL, -1}};

static const char *const published[] = {"n", "min", "mean", "p50", "p90", "p95", "p99", "max", NULL};

static void bounds_widen(struct quantiles_cell *c, kpid_i128 min, kpid_i128 max)
{
    if (c->n == 0 || min < kpid_cell_get(c->min))
        c->min = kpid_cell_of(min);
    if (c->n == 0 || max > kpid_cell_get(c->max))
        c->max = kpid_cell_of(max);
}

static void quantiles_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct quantiles_cell *c = cell;
    bounds_widen(c, sample->value, sample->value);
    kpid_quantile_add(&c->sketch, &param->quantile, (double)sample->value, 1);
    kpid_wide_add(&c->sum, sample->value);
    c->n++;
}

static void quantiles_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct quantiles_cell *a = into;
    const struct quantiles_cell *b = from;
    (void)param;
    if (b->n == 0)
        return;
    bounds_widen(a, kpid_cell_get(b->min), kpid_cell_get(b->max));
    kpid_quantile_merge(&a->sketch, &b->sketch);
    kpid_wide_merge(&a->sum, &b->sum);
    a->n += b->n;
}

static void quantiles_release(void *cell)
{
    struct quantiles_cell *c = cell;
    kpid_quantile_release(&c->sketch);
    *c = (struct quantiles_cell){0};
}

static size_t quantiles_heap_bytes(const void *cell)
{
    return kpid_quantile_bytes(&((const struct quantiles_cell *)cell)->sketch);
}

static size_t quantiles_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)param, (void)tracks;
    return KPID_QUANTILE_BYTES_MAX;
}

static void quantiles_pack(const void *cell, struct kpid_buf *out)
{
    const struct quantiles_cell *c = cell;
    kpid_pack_u64(out, c->n);
    if (c->n == 0)
        return;
    kpid_pack_i128(out, kpid_cell_get(c->min));
    kpid_pack_i128(out, kpid_cell_get(c->max));
    kpid_wide_pack(&c->sum, out);
    kpid_quantile_pack(&c->sketch, out);
}

static bool quantiles_unpack(void *cell, struct kpid_unpack *in)
{
    struct quantiles_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    if (c->n == 0)
        return !in->bad;
    c->min = kpid_cell_of(kpid_unpack_i128(in));
    c->max = kpid_cell_of(kpid_unpack_i128(in));
    kpid_wide_unpack(&c->sum, in);
    return kpid_quantile_unpack(&c->sketch, in);
}

static int quantiles_part(const char *name, size_t len)
{
    return kpid_part_find(parts, true, name, len);
}

static enum kpid_figure quantiles_figure(int part)
{
    switch (part) {
    case PART_N: return KPID_FIGURE_COUNT;
    case PART_SUM: return KPID_FIGURE_SUM;
    default: return KPID_FIGURE_OTHER; /* the mean too: there is no variance here */
    }
}

static struct kpid_number quantiles_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct quantiles_cell *c = cell;
    kpid_i128 min = kpid_cell_get(c->min), max = kpid_cell_get(c->max);
    switch (part) {
    case PART_N: return kpid_part_integer(c->n);
    case PART_MIN: return c->n == 0 ? kpid_part_none() : kpid_part_value(min, param);
    case PART_MAX: return c->n == 0 ? kpid_part_none() : kpid_part_value(max, param);
    case PART_SUM: return kpid_part_sum(&c->sum, param);
    case PART_MEAN: return kpid_part_mean(&c->sum, c->n, param);
    default:
        return kpid_part_percentile(&c->sketch, part == PART_MEDIAN ? KPID_PART_P + 500 : part, c->n, min,
                                    max, param);
    }
}

static uint64_t quantiles_samples(const void *cell)
{
    return ((const struct quantiles_cell *)cell)->n;
}

const struct kpid_agg kpid_agg_quantiles = {
    .name = "quantiles",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct quantiles_cell),
    .event_ns = 100,
    .add = quantiles_add,
    .merge = quantiles_merge,
    .release = quantiles_release,
    .heap_bytes = quantiles_heap_bytes,
    .heap_max = quantiles_heap_max,
    .pack = quantiles_pack,
    .unpack = quantiles_unpack,
    .part = quantiles_part,
    .part_names = "n, min, max, sum, mean, pNN",
    .figure = quantiles_figure,
    .read = quantiles_read,
    .samples = quantiles_samples,
    .published = published,
};
