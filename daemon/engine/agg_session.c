/* session: how many began; of those that ended how long they were, how many events they had, how many had only one;
 * and a level of those that go on. The rules are in session_rules.c. */
#include <assert.h>

#include "agg_durations.h"
#include "session_parts.h"

struct session_cell {
    struct kpid_durations durations; /* of those that ended */
    int64_t started, events, bounces;
    int64_t open; /* steps of a level */
};

enum { PART_STARTED, PART_ENDED, PART_EVENTS, PART_EVENTS_MEAN, PART_BOUNCES, PART_BOUNCE_RATE, PART_OPEN };

static const struct kpid_part_name parts[] = {{"", PART_STARTED},
                                              {"n", PART_STARTED},
                                              {"ended", PART_ENDED},
                                              {"events", PART_EVENTS},
                                              {"events_mean", PART_EVENTS_MEAN},
                                              {"bounces", PART_BOUNCES},
                                              {"bounce_rate", PART_BOUNCE_RATE},
                                              {"open", PART_OPEN},
                                              {"mean", KPID_DURATION_MEAN},
                                              {"min", KPID_DURATION_MIN},
                                              {"max", KPID_DURATION_MAX},
                                              {"sum", KPID_DURATION_SUM},
                                              {"variance", KPID_DURATION_VARIANCE},
                                              {NULL, -1}};

static const char *const published[] = {"n",   "open", "ended", "events", "events_mean", "bounces", "bounce_rate",
                                        "min", "mean", "p50",   "p90",    "p95",         "p99",     "max",
                                        NULL};

static void session_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct session_cell *c = cell;

    switch (sample->kind) {
    case KPID_SAMPLE_COUNT:
        if (sample->part == SESSION_STARTED) {
            c->started += sample->weight;
        } else {
            c->events += sample->weight * (int64_t)sample->value;
            c->bounces += sample->value == 1 ? sample->weight : 0;
        }
        break;
    case KPID_SAMPLE_LEVEL: c->open += sample->weight; break;
    case KPID_SAMPLE_EVENT: assert(false && "a session takes no plain events"); break;
    default: kpid_durations_add(&c->durations, sample, param);
    }
}

static void session_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct session_cell *a = into;
    const struct session_cell *b = from;
    (void)param;
    kpid_durations_merge(&a->durations, &b->durations);
    a->started += b->started;
    a->events += b->events;
    a->bounces += b->bounces;
}

static void session_merge_level(void *into, const void *from)
{
    ((struct session_cell *)into)->open += ((const struct session_cell *)from)->open;
}

static bool session_stale(const void *cell)
{
    return ((const struct session_cell *)cell)->durations.stale;
}

static void session_narrow(void *cell)
{
    kpid_durations_narrow(&((struct session_cell *)cell)->durations);
}

static void session_release(void *cell)
{
    struct session_cell *c = cell;
    kpid_durations_release(&c->durations);
    *c = (struct session_cell){0};
}

static size_t session_heap_bytes(const void *cell)
{
    return kpid_quantile_bytes(&((const struct session_cell *)cell)->durations.sketch);
}

static size_t session_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)param, (void)tracks;
    return KPID_QUANTILE_BYTES_MAX;
}

static void session_pack(const void *cell, struct kpid_buf *out)
{
    const struct session_cell *c = cell;
    const int64_t numbers[] = {c->started, c->events, c->bounces, c->open};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        kpid_pack_i64(out, numbers[i]);
    kpid_durations_pack(&c->durations, out);
}

static bool session_unpack(void *cell, struct kpid_unpack *in)
{
    struct session_cell *c = cell;
    int64_t *const numbers[] = {&c->started, &c->events, &c->bounces, &c->open};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        *numbers[i] = kpid_unpack_i64(in);
    return kpid_durations_unpack(&c->durations, in);
}

static int session_part(const char *name, size_t len)
{
    return kpid_part_find(parts, true, name, len);
}

static bool session_ratio(int part, const struct kpid_agg_param *param, int *ret_numerator, int *ret_denominator)
{
    (void)param;
    *ret_numerator = part == PART_BOUNCE_RATE ? PART_BOUNCES : PART_EVENTS;
    *ret_denominator = PART_ENDED;
    return part == PART_BOUNCE_RATE || part == PART_EVENTS_MEAN;
}

static enum kpid_figure session_figure(int part)
{
    switch (part) {
    case PART_STARTED:
    case PART_ENDED:
    case PART_BOUNCES: return KPID_FIGURE_COUNT;
    case PART_EVENTS: /* they come in bunches: no Poisson */
    case KPID_DURATION_SUM: return KPID_FIGURE_SUM;
    case PART_OPEN: return KPID_FIGURE_INSTANT;
    case KPID_DURATION_MEAN: return KPID_FIGURE_MEAN;
    default: return KPID_FIGURE_OTHER;
    }
}

static uint64_t session_samples(const void *cell)
{
    return kpid_durations_n(&((const struct session_cell *)cell)->durations);
}

static uint64_t session_part_samples(const void *cell, int part)
{
    int64_t started = ((const struct session_cell *)cell)->started;
    if (part != PART_STARTED)
        return session_samples(cell);
    return started > 0 ? (uint64_t)started : 0;
}

static double session_variance(const void *cell, const struct kpid_agg_param *param)
{
    return kpid_durations_variance(&((const struct session_cell *)cell)->durations, param);
}

static struct kpid_number session_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct session_cell *c = cell;
    switch (part) {
    case PART_STARTED: return kpid_part_level(c->started);
    case PART_ENDED: return kpid_part_level(c->durations.n);
    case PART_EVENTS: return kpid_part_level(c->events);
    case PART_EVENTS_MEAN: return kpid_part_share(c->events, c->durations.n);
    case PART_BOUNCES: return kpid_part_level(c->bounces);
    case PART_BOUNCE_RATE: return kpid_part_share(c->bounces, c->durations.n);
    case PART_OPEN: return kpid_part_level(c->open);
    default: return kpid_durations_read(&c->durations, part, param);
    }
}

const struct kpid_agg kpid_agg_session = {
    .name = "session",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct session_cell),
    .event_ns = 190,
    .levels = true,
    .keyed = &kpid_keyed_session,
    .add = session_add,
    .merge = session_merge,
    .merge_level = session_merge_level,
    .stale = session_stale,
    .narrow = session_narrow,
    .release = session_release,
    .heap_bytes = session_heap_bytes,
    .heap_max = session_heap_max,
    .pack = session_pack,
    .unpack = session_unpack,
    .part = session_part,
    .part_names = "n, open, ended, events, events_mean, bounces, bounce_rate, mean, min, max, sum, variance, pNN",
    .ratio = session_ratio,
    .figure = session_figure,
    .read = session_read,
    .samples = session_samples,
    .part_samples = session_part_samples,
    .variance = session_variance,
    .published = published,
};
