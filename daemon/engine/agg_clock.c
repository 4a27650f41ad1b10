/*
 * clock: durations, met and missed deadlines, and levels of what is open and breached. The matching of events
 * is the rules' (clock_rules.c); here its outcomes are counted, and taken back when a later event corrects one.
 * Levels are steps, summed from the beginning of time; they are merged by merge_level only.
 */
#include <assert.h>

#include "agg_durations.h"
#include "clock_parts.h"

struct clock_cell {
    struct kpid_durations durations;
    int64_t met, missed;
    int64_t open, breached; /* steps of levels */
};

enum { PART_MEAN, PART_N, PART_MET, PART_MISSED, PART_OPEN, PART_BREACHED, PART_MET_RATE };

static const struct kpid_part_name parts[] = {{"", PART_MEAN},
                                              {"mean", PART_MEAN},
                                              {"n", PART_N},
                                              {"met", PART_MET},
                                              {"missed", PART_MISSED},
                                              {"open", PART_OPEN},
                                              {"breached", PART_BREACHED},
                                              {"min", KPID_DURATION_MIN},
                                              {"max", KPID_DURATION_MAX},
                                              {"sum", KPID_DURATION_SUM},
                                              {"met_rate", PART_MET_RATE},
                                              {"variance", KPID_DURATION_VARIANCE},
                                              {NULL, -1}};

static const char *const published[] = {"n",    "met", "missed", "met_rate", "open", "breached", "min",
                                        "mean", "p50", "p90",    "p95",      "p99",  "max",      NULL};

static void clock_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct clock_cell *c = cell;

    switch (sample->kind) {
    case KPID_SAMPLE_COUNT: *(sample->part == CLOCK_MET ? &c->met : &c->missed) += sample->weight; break;
    case KPID_SAMPLE_LEVEL: *(sample->part == CLOCK_OPEN ? &c->open : &c->breached) += sample->weight; break;
    case KPID_SAMPLE_EVENT: assert(!"a clock takes no plain events");
    default: kpid_durations_add(&c->durations, sample, param);
    }
}

static void clock_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct clock_cell *a = into;
    const struct clock_cell *b = from;
    (void)param;
    kpid_durations_merge(&a->durations, &b->durations);
    a->met += b->met;
    a->missed += b->missed;
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
    return ((const struct clock_cell *)cell)->durations.stale;
}

static void clock_narrow(void *cell)
{
    kpid_durations_narrow(&((struct clock_cell *)cell)->durations);
}

static void clock_release(void *cell)
{
    struct clock_cell *c = cell;
    kpid_durations_release(&c->durations);
    *c = (struct clock_cell){0};
}

static size_t clock_heap_bytes(const void *cell)
{
    return kpid_quantile_bytes(&((const struct clock_cell *)cell)->durations.sketch);
}

static void clock_pack(const void *cell, struct kpid_buf *out)
{
    const struct clock_cell *c = cell;
    const int64_t numbers[] = {c->met, c->missed, c->open, c->breached};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        kpid_pack_i64(out, numbers[i]);
    kpid_durations_pack(&c->durations, out);
}

static bool clock_unpack(void *cell, struct kpid_unpack *in)
{
    struct clock_cell *c = cell;
    int64_t *const numbers[] = {&c->met, &c->missed, &c->open, &c->breached};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        *numbers[i] = kpid_unpack_i64(in);
    return kpid_durations_unpack(&c->durations, in);
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
    case KPID_DURATION_SUM: return KPID_FIGURE_SUM;
    case PART_OPEN:
    case PART_BREACHED: return KPID_FIGURE_INSTANT;
    default: return KPID_FIGURE_OTHER;
    }
}

static uint64_t clock_samples(const void *cell)
{
    return kpid_durations_n(&((const struct clock_cell *)cell)->durations);
}

static double clock_variance(const void *cell, const struct kpid_agg_param *param)
{
    return kpid_durations_variance(&((const struct clock_cell *)cell)->durations, param);
}

static struct kpid_number clock_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct clock_cell *c = cell;
    switch (part) {
    case PART_MEAN: return kpid_durations_read(&c->durations, KPID_DURATION_MEAN, param);
    case PART_N: return kpid_part_level(c->durations.n);
    case PART_MET: return kpid_part_level(c->met);
    case PART_MISSED: return kpid_part_level(c->missed);
    case PART_OPEN: return kpid_part_level(c->open);
    case PART_BREACHED: return kpid_part_level(c->breached);
    case PART_MET_RATE: return kpid_part_share(c->met, c->met + c->missed);
    default: return kpid_durations_read(&c->durations, part, param);
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
