/*
 * clock: durations, met and missed deadlines, and levels of what is open, breached and due; the same again for each stop
 * with a name. The matching of events is the rules' (clock_rules.c); here its outcomes are counted, and taken back when
 * a later event corrects one. Levels are steps, summed from the beginning of time; they are merged by merge_level only.
 */
#include <assert.h>
#include <stdlib.h>

#include "agg_durations.h"
#include "clock_parts.h"

struct clock_track {
    struct kpid_durations durations;
    int64_t met, missed;
    int64_t open, breached, due; /* steps of levels */
    int64_t age_ms;              /* of the oldest open one, negative: not known; windows only */
};

struct clock_cell {
    struct clock_track main;
    struct clock_track *named; /* by track - 1; NULL: nothing happened on any */
    size_t n_named;
};

enum { PART_MEAN, PART_N, PART_MET, PART_MISSED, PART_OPEN, PART_BREACHED, PART_MET_RATE, PART_DUE, PART_OLDEST };

static const struct kpid_part_name parts[] = {{"", PART_MEAN},
                                              {"mean", PART_MEAN},
                                              {"n", PART_N},
                                              {"met", PART_MET},
                                              {"missed", PART_MISSED},
                                              {"open", PART_OPEN},
                                              {"oldest", PART_OLDEST},
                                              {"breached", PART_BREACHED},
                                              {"due", PART_DUE},
                                              {"min", KPID_DURATION_MIN},
                                              {"max", KPID_DURATION_MAX},
                                              {"sum", KPID_DURATION_SUM},
                                              {"met_rate", PART_MET_RATE},
                                              {"variance", KPID_DURATION_VARIANCE},
                                              {NULL, -1}};

static const char *const published[] = {"n",   "met",  "missed", "met_rate", "open", "oldest", "breached", "due",
                                        "min", "mean", "p50",    "p90",      "p95",  "p99",    "max",      NULL};

/* ---- tracks ---- */

static struct clock_track *track_make(struct clock_cell *c, size_t track)
{
    if (track == 0)
        return &c->main;
    if (track > c->n_named) {
        c->named = kpid_realloc(c->named, track * sizeof(*c->named));
        for (size_t i = c->n_named; i < track; i++)
            c->named[i] = (struct clock_track){ 0 };
        c->n_named = track;
    }
    return &c->named[track - 1];
}

static const struct clock_track *track_find(const struct clock_cell *c, size_t track)
{
    static const struct clock_track nothing;

    return track == 0 ? &c->main : track <= c->n_named ? &c->named[track - 1] : &nothing;
}

static const struct clock_track *track_of_part(const void *cell, int *part)
{
    size_t track = (size_t)*part / KPID_PART_TRACK;

    *part %= KPID_PART_TRACK;
    return track_find(cell, track);
}

static int64_t *level_of(struct clock_track *t, int what)
{
    return what == CLOCK_OPEN ? &t->open : what == CLOCK_BREACHED ? &t->breached : &t->due;
}

/* ---- the cell ---- */

static void clock_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct clock_track *t = track_make(cell, sample->kind == KPID_SAMPLE_AGE ? sample->part : CLOCK_TRACK(sample->part));
    switch (sample->kind) {
    case KPID_SAMPLE_COUNT: *(CLOCK_WHAT(sample->part) == CLOCK_MET ? &t->met : &t->missed) += sample->weight; break;
    case KPID_SAMPLE_LEVEL: *level_of(t, CLOCK_WHAT(sample->part)) += sample->weight; break;
    case KPID_SAMPLE_AGE: /* of several shards the greatest, and unknown if one of them is */
        if (sample->value < 0 || (t->age_ms >= 0 && sample->value > t->age_ms))
            t->age_ms = (int64_t)sample->value;
        break;
    case KPID_SAMPLE_EVENT:
    case KPID_SAMPLE_SPAN: assert(false && "a clock's cell takes neither plain events nor spans"); break;
    default: kpid_durations_add(&t->durations, sample, param);
    }
}

static void clock_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    const struct clock_cell *b = from;
    (void)param;
    for (size_t k = 0; k <= b->n_named; k++) {
        struct clock_track *x = track_make(into, k);
        const struct clock_track *y = track_find(b, k);
        kpid_durations_merge(&x->durations, &y->durations);
        x->met += y->met;
        x->missed += y->missed;
    }
}

static void clock_merge_level(void *into, const void *from)
{
    const struct clock_cell *b = from;
    for (size_t k = 0; k <= b->n_named; k++) {
        struct clock_track *x = track_make(into, k);
        const struct clock_track *y = track_find(b, k);
        x->open += y->open;
        x->breached += y->breached;
        x->due += y->due;
    }
}

static bool clock_stale(const void *cell)
{
    const struct clock_cell *c = cell;
    bool stale = c->main.durations.stale;
    for (size_t i = 0; i < c->n_named; i++)
        stale |= c->named[i].durations.stale;
    return stale;
}

static void clock_narrow(void *cell)
{
    struct clock_cell *c = cell;
    for (size_t k = 0; k <= c->n_named; k++)
        if (track_find(c, k)->durations.stale)
            kpid_durations_narrow(&track_make(c, k)->durations);
}

static void clock_release(void *cell)
{
    struct clock_cell *c = cell;
    kpid_durations_release(&c->main.durations);
    for (size_t i = 0; i < c->n_named; i++)
        kpid_durations_release(&c->named[i].durations);
    free(c->named);
    *c = (struct clock_cell){0};
}

static size_t clock_heap_bytes(const void *cell)
{
    const struct clock_cell *c = cell;
    size_t bytes = kpid_quantile_bytes(&c->main.durations.sketch) + c->n_named * sizeof(*c->named);
    for (size_t i = 0; i < c->n_named; i++)
        bytes += kpid_quantile_bytes(&c->named[i].durations.sketch);
    return bytes;
}

static size_t clock_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)param;
    return tracks * KPID_QUANTILE_BYTES_MAX + (tracks - 1) * sizeof(struct clock_track);
}

static bool is_empty(const struct clock_track *t)
{
    return !t->durations.n && !t->met && !t->missed && !t->open && !t->breached && !t->due;
}

static void track_pack(const struct clock_track *t, struct kpid_buf *out)
{
    const int64_t numbers[] = {t->met, t->missed, t->open, t->breached, t->due};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        kpid_pack_i64(out, numbers[i]);
    kpid_durations_pack(&t->durations, out);
}

static bool track_unpack(struct clock_track *t, struct kpid_unpack *in)
{
    int64_t *const numbers[] = {&t->met, &t->missed, &t->open, &t->breached, &t->due};
    for (size_t i = 0; i < KPID_COUNT_OF(numbers); i++)
        *numbers[i] = kpid_unpack_i64(in);
    return kpid_durations_unpack(&t->durations, in);
}

/* Tracks at the end on which nothing stands are as if they had never been. */
static void clock_pack(const void *cell, struct kpid_buf *out)
{
    const struct clock_cell *c = cell;
    size_t n = c->n_named;
    while (n > 0 && is_empty(&c->named[n - 1]))
        n--;
    track_pack(&c->main, out);
    kpid_pack_u64(out, n);
    for (size_t i = 0; i < n; i++)
        track_pack(&c->named[i], out);
}

static bool clock_unpack(void *cell, struct kpid_unpack *in)
{
    struct clock_cell *c = cell;
    bool good = track_unpack(&c->main, in);
    uint64_t n = kpid_unpack_u64(in);
    if (n >= KPID_TRACKS_MAX)
        return false;
    for (size_t i = 0; good && i < n; i++)
        good = track_unpack(track_make(c, i + 1), in);
    return good && !in->bad;
}

/* ---- figures ---- */

static int clock_part(const char *name, size_t len)
{
    return kpid_part_find(parts, true, name, len);
}

static enum kpid_figure clock_figure(int part)
{
    switch (part % KPID_PART_TRACK) {
    case PART_MEAN: return KPID_FIGURE_MEAN;
    case PART_N:
    case PART_MET:
    case PART_MISSED: return KPID_FIGURE_COUNT;
    case KPID_DURATION_SUM: return KPID_FIGURE_SUM;
    case PART_OPEN:
    case PART_BREACHED:
    case PART_DUE: return KPID_FIGURE_INSTANT;
    case PART_OLDEST: return KPID_FIGURE_AGE;
    default: return KPID_FIGURE_OTHER;
    }
}

static uint64_t clock_part_samples(const void *cell, int part)
{
    return kpid_durations_n(&track_of_part(cell, &part)->durations);
}

static uint64_t clock_samples(const void *cell)
{
    return clock_part_samples(cell, 0);
}

static double clock_part_variance(const void *cell, int part, const struct kpid_agg_param *param)
{
    return kpid_durations_variance(&track_of_part(cell, &part)->durations, param);
}

static double clock_variance(const void *cell, const struct kpid_agg_param *param)
{
    return clock_part_variance(cell, 0, param);
}

static struct kpid_number clock_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct clock_track *t = track_of_part(cell, &part);
    switch (part) {
    case PART_MEAN: return kpid_durations_read(&t->durations, KPID_DURATION_MEAN, param);
    case PART_N: return kpid_part_level(t->durations.n);
    case PART_MET: return kpid_part_level(t->met);
    case PART_MISSED: return kpid_part_level(t->missed);
    case PART_OPEN: return kpid_part_level(t->open);
    case PART_BREACHED: return kpid_part_level(t->breached);
    case PART_DUE: return kpid_part_level(t->due);
    case PART_OLDEST: return t->age_ms < 0 ? kpid_part_none() : kpid_part_value(t->age_ms, param);
    case PART_MET_RATE: return kpid_part_share(t->met, t->met + t->missed);
    default: return kpid_durations_read(&t->durations, part, param);
    }
}

/* The track whose spans a part reads. */
static int clock_aged(int part)
{
    return part % KPID_PART_TRACK == PART_OLDEST ? part / KPID_PART_TRACK : -1;
}

const struct kpid_agg kpid_agg_clock = {
    .name = "clock",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct clock_cell),
    .event_ns = 360,
    .levels = true,
    .keyed = &kpid_keyed_clock,
    .add = clock_add,
    .merge = clock_merge,
    .merge_level = clock_merge_level,
    .stale = clock_stale,
    .narrow = clock_narrow,
    .release = clock_release,
    .heap_bytes = clock_heap_bytes,
    .heap_max = clock_heap_max,
    .pack = clock_pack,
    .unpack = clock_unpack,
    .part = clock_part,
    .part_names = "n, met, missed, met_rate, open, oldest, breached, due, mean, min, max, sum, variance, pNN",
    .figure = clock_figure,
    .read = clock_read,
    .samples = clock_samples,
    .part_samples = clock_part_samples,
    .aged = clock_aged,
    .variance = clock_variance,
    .part_variance = clock_part_variance,
    .published = published,
};
