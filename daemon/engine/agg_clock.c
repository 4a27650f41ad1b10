/*
 * clock: durations, met and missed deadlines, and levels of what is open and breached. The matching of events
 * is the clock engine's; here its outcomes are counted, and taken back when a later event corrects one.
 *
 * All but minimum and maximum can be taken back exactly. Those two are kept twice: the current ones, and the
 * settled ones, of durations that can't be taken back any more. When a current one is taken back the cell is
 * stale: its owner narrows it to the settled ones and hands in the durations that still stand
 * (KPID_SAMPLE_WIDEN). Levels are steps, summed from the beginning of time; they are merged by merge_level
 * only.
 */
#include <assert.h>

#include "agg_part.h"
#include "clock_parts.h"

struct range {
    int64_t min, max; /* hold when `any` */
    bool any;
};

struct clock_cell {
    struct kpid_quantile sketch;
    struct kpid_wide sum, squares;
    int64_t n, met, missed;
    int64_t open, breached; /* steps of levels */
    struct range current, settled;
    bool stale;
};

enum {
    PART_MEAN,
    PART_N,
    PART_MET,
    PART_MISSED,
    PART_OPEN,
    PART_BREACHED,
    PART_MIN,
    PART_MAX,
    PART_SUM,
    PART_MET_RATE,
    PART_VARIANCE
};

static const struct kpid_part_name parts[] = {{"", PART_MEAN},
                                              {"mean", PART_MEAN},
                                              {"n", PART_N},
                                              {"met", PART_MET},
                                              {"missed", PART_MISSED},
                                              {"open", PART_OPEN},
                                              {"breached", PART_BREACHED},
                                              {"min", PART_MIN},
                                              {"max", PART_MAX},
                                              {"sum", PART_SUM},
                                              {"met_rate", PART_MET_RATE},
                                              {"variance", PART_VARIANCE},
                                              {NULL, -1}};

static const char *const published[] = {"n",    "met", "missed", "met_rate", "open", "breached", "min",
                                        "mean", "p50", "p90",    "p95",      "p99",  "max",      NULL};

static void range_widen(struct range *range, int64_t min, int64_t max)
{
    if (!range->any || min < range->min)
        range->min = min;
    if (!range->any || max > range->max)
        range->max = max;
    range->any = true;
}

static void duration_add(struct clock_cell *c, int64_t value, int32_t weight,
                         const struct kpid_agg_param *param)
{
    kpid_quantile_add(&c->sketch, &param->quantile, (double)value, weight);
    kpid_square_add(&c->squares, value, weight);
    c->n += weight;
    if (weight > 0) {
        kpid_wide_add(&c->sum, value);
        range_widen(&c->current, value, value);
        return;
    }
    kpid_wide_subtract(&c->sum, value);
    if (c->n == 0) { /* nothing stands: as if there never had been anything */
        kpid_quantile_release(&c->sketch);
        c->current = c->settled = (struct range){0};
        c->stale = false;
    } else if (c->current.any && (value == c->current.min || value == c->current.max)) {
        c->stale = true;
    }
}

static void clock_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct clock_cell *c = cell;
    assert(sample->value < INT64_MAX && sample->value > -INT64_MAX); /* a duration in ms */
    int64_t value = (int64_t)sample->value;
    switch (sample->kind) {
    case KPID_SAMPLE_DURATION: duration_add(c, value, sample->weight, param); break;
    case KPID_SAMPLE_COUNT: *(sample->part == CLOCK_MET ? &c->met : &c->missed) += sample->weight; break;
    case KPID_SAMPLE_LEVEL: *(sample->part == CLOCK_OPEN ? &c->open : &c->breached) += sample->weight; break;
    case KPID_SAMPLE_WIDEN: range_widen(&c->current, value, value); break;
    case KPID_SAMPLE_SETTLE: range_widen(&c->settled, value, value); break;
    case KPID_SAMPLE_EVENT: assert(!"a clock takes no plain events");
    }
}

static void clock_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct clock_cell *a = into;
    const struct clock_cell *b = from;
    (void)param;
    kpid_quantile_merge(&a->sketch, &b->sketch);
    kpid_wide_merge(&a->sum, &b->sum);
    kpid_wide_merge(&a->squares, &b->squares);
    a->n += b->n;
    a->met += b->met;
    a->missed += b->missed;
    if (b->current.any)
        range_widen(&a->current, b->current.min, b->current.max);
    if (b->settled.any)
        range_widen(&a->settled, b->settled.min, b->settled.max);
    a->stale |= b->stale;
}

static void clock_merge_level(void *into, const void *from)
{
    struct clock_cell *a = into;
    const struct clock_cell *b = from;
    a->open += b->open;
    a->breached += b->breached;
}

static bool clock_stale(const void *cell)
{
    return ((const struct clock_cell *)cell)->stale;
}

static void clock_narrow(void *cell)
{
    struct clock_cell *c = cell;
    c->current = c->settled;
    c->stale = false;
}

static void clock_release(void *cell)
{
    struct clock_cell *c = cell;
    kpid_quantile_release(&c->sketch);
    *c = (struct clock_cell){0};
}

static size_t clock_heap_bytes(const void *cell)
{
    return kpid_quantile_bytes(&((const struct clock_cell *)cell)->sketch);
}

static void range_pack(const struct range *range, struct kpid_buf *out)
{
    kpid_pack_u64(out, range->any);
    if (range->any) {
        kpid_pack_i64(out, range->min);
        kpid_pack_i64(out, range->max);
    }
}

static void range_unpack(struct range *range, struct kpid_unpack *in)
{
    uint64_t any = kpid_unpack_u64(in);
    in->bad |= any > 1;
    range->any = any == 1;
    if (range->any) {
        range->min = kpid_unpack_i64(in);
        range->max = kpid_unpack_i64(in);
    }
}

static void clock_pack(const void *cell, struct kpid_buf *out)
{
    const struct clock_cell *c = cell;
    const int64_t numbers[] = {c->n, c->met, c->missed, c->open, c->breached, c->stale};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        kpid_pack_i64(out, numbers[i]);
    if (c->n == 0) /* counters alone: the common case of a cell that only keeps levels or deadlines */
        return;
    range_pack(&c->current, out);
    range_pack(&c->settled, out);
    kpid_wide_pack(&c->sum, out);
    kpid_wide_pack(&c->squares, out);
    kpid_quantile_pack(&c->sketch, out);
}

static bool clock_unpack(void *cell, struct kpid_unpack *in)
{
    struct clock_cell *c = cell;
    int64_t *const numbers[] = {&c->n, &c->met, &c->missed, &c->open, &c->breached};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        *numbers[i] = kpid_unpack_i64(in);
    int64_t stale = kpid_unpack_i64(in);
    c->stale = stale == 1;
    if (in->bad || stale < 0 || stale > 1)
        return false;
    if (c->n == 0)
        return true;
    range_unpack(&c->current, in);
    range_unpack(&c->settled, in);
    kpid_wide_unpack(&c->sum, in);
    kpid_wide_unpack(&c->squares, in);
    return kpid_quantile_unpack(&c->sketch, in);
}

static int clock_part(const char *name, size_t len)
{
    return kpid_part_find(parts, true, name, len);
}

static enum kpid_figure clock_figure(int part)
{
    switch (part) {
    case PART_MEAN: return KPID_FIGURE_MEAN;
    case PART_N:
    case PART_MET:
    case PART_MISSED: return KPID_FIGURE_COUNT;
    case PART_SUM: return KPID_FIGURE_SUM;
    case PART_OPEN:
    case PART_BREACHED: return KPID_FIGURE_INSTANT;
    default: return KPID_FIGURE_OTHER;
    }
}

static uint64_t clock_samples(const void *cell)
{
    const struct clock_cell *c = cell;
    return c->n > 0 ? (uint64_t)c->n : 0;
}

static double clock_variance(const void *cell, const struct kpid_agg_param *param)
{
    const struct clock_cell *c = cell;
    return kpid_part_variance_scale(kpid_wide_variance(&c->sum, &c->squares, clock_samples(cell)), param);
}

static struct kpid_number level_number(int64_t level)
{
    struct kpid_number number = {.kind = KPID_NUMBER_EXACT, .exact = {.m = level}, .approx = (double)level};
    return number;
}

static struct kpid_number rate_number(int64_t met, int64_t missed)
{
    return met + missed > 0 ? kpid_part_double((double)met / (double)(met + missed)) : kpid_part_none();
}

static struct kpid_number clock_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct clock_cell *c = cell;
    bool any = c->n > 0 && c->current.any;
    switch (part) {
    case PART_MEAN: return kpid_part_mean(&c->sum, clock_samples(cell), param);
    case PART_N: return level_number(c->n);
    case PART_MET: return level_number(c->met);
    case PART_MISSED: return level_number(c->missed);
    case PART_OPEN: return level_number(c->open);
    case PART_BREACHED: return level_number(c->breached);
    case PART_MIN: return any ? kpid_part_value(c->current.min, param) : kpid_part_none();
    case PART_MAX: return any ? kpid_part_value(c->current.max, param) : kpid_part_none();
    case PART_SUM: return kpid_part_sum(&c->sum, param);
    case PART_MET_RATE: return rate_number(c->met, c->missed);
    case PART_VARIANCE: return kpid_part_variance(clock_variance(cell, param));
    default:
        return any ? kpid_part_percentile(&c->sketch, part, clock_samples(cell), c->current.min,
                                          c->current.max, param)
                   : kpid_part_none();
    }
}

const struct kpid_agg kpid_agg_clock = {
    .name = "clock",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct clock_cell),
    .levels = true,
    .keyed = &kpid_keyed_clock,
    .add = clock_add,
    .merge = clock_merge,
    .merge_level = clock_merge_level,
    .stale = clock_stale,
    .narrow = clock_narrow,
    .release = clock_release,
    .heap_bytes = clock_heap_bytes,
    .pack = clock_pack,
    .unpack = clock_unpack,
    .part = clock_part,
    .part_names = "n, met, missed, met_rate, open, breached, mean, min, max, sum, variance, pNN",
    .figure = clock_figure,
    .read = clock_read,
    .samples = clock_samples,
    .variance = clock_variance,
    .published = published,
};
