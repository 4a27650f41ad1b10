/*
 * Aggregations: what a cell keeps and how it is added to, merged, read and stored. A new aggregation is one file in
 * daemon/engine (agg_<name>.c), one row in kpid_aggs (agg.c) and one test; nothing else names a kind of aggregation.
 *
 * A cell is `cell_bytes` of zeroed memory, 8-byte aligned, owned by its pane; heap it holds goes with _release.
 * Merging is commutative and associative, bit for bit, so panes, shards and orders of arrival make no difference.
 */
#ifndef KPID_AGG_H
#define KPID_AGG_H

#include "kpid/buf.h"
#include "kpid/flow/number.h"
#include "kpid/keyed.h"
#include "kpid/pack.h"
#include "kpid/quantile.h"

/* What the event (or a keyed measure) gives one measure. */
enum kpid_sample_kind {
    KPID_SAMPLE_EVENT,      /* of plain measures */
    /* Of keyed measures (kpid/keyed.h); weight -1 takes back what was given before: */
    KPID_SAMPLE_DURATION,   /* a duration of `value` ms */
    KPID_SAMPLE_COUNT,      /* something happened; what it is, and `value`, is the rules' and the cell's affair */
    KPID_SAMPLE_LEVEL,      /* a step of a level */
    KPID_SAMPLE_SPAN,       /* open from its instant to `value` (KPID_FOREVER: still); part: the track. For spans.h, no
                               cell gets it */
    KPID_SAMPLE_AGE,        /* the age of the oldest open one on the track `part`, negative: not known; for cells of
                               windows only */
    KPID_SAMPLE_WIDEN,      /* widen min and max by `value` again, after some durations were taken back */
    KPID_SAMPLE_SETTLE      /* this duration can't be taken back any more */
};

struct kpid_sample {
    kpid_i128 value;    /* at the measure's scale */
    uint64_t hash;      /* distinct: murmur64A of the value's bytes */
    int64_t ts_ms;      /* with the next three: the order of `last` */
    uint32_t topic, partition;
    int64_t offset;
    int32_t weight;     /* 1, or -1 for a correction */
    uint8_t part;       /* of keyed measures: which duration, count or level */
    enum kpid_sample_kind kind;
    const char *key;    /* KPID_INPUT_KEY: borrowed, at most KPID_TOP_KEY_BYTES */
    uint32_t key_len;
};

#define KPID_TOP_MAX       100   /* keys that are listed */
#define KPID_TOP_KEYS_MAX  10000 /* that a cell keeps */
#define KPID_TOP_KEY_BYTES 128   /* longer keys are cut */

/* What does not change from cell to cell of one measure. */
struct kpid_agg_param {
    uint8_t scale;       /* of values */
    bool duration;       /* values are ms: figures are given in seconds, exactly (scale + 3) */
    struct kpid_quantile_scale quantile;
    uint8_t n_steps;     /* of a funnel; of retention its days: */
    uint16_t days[KPID_WORDS_MAX];
    bool top_sum;        /* of a list of keys: they are weighed by `value`, not counted */
    uint16_t top_k;      /* how many are listed, at most KPID_TOP_MAX */
    uint32_t top_keys;   /* how many a cell keeps */
};

/* Parts are numbered per aggregation; 0 is what the measure's bare name means. pNN is KPID_PART_P + NN * 10
 * (p99.9 = KPID_PART_P + 999). */
#define KPID_PART_P 1000
/* Parts of the k-th track of a keyed measure (kpid/keyed.h) are those of the first + k times this. */
#define KPID_PART_TRACK 10000

enum kpid_agg_input { KPID_INPUT_NONE, KPID_INPUT_NUMBER, KPID_INPUT_ANY,
                      KPID_INPUT_KEY /* the key itself, and a number where the measure has a weight */ };

/* What confidence intervals and "nothing" rules need to know of a measure's part. */
enum kpid_figure {
    KPID_FIGURE_COUNT,    /* 0 of nothing; Poisson */
    KPID_FIGURE_DISTINCT, /* 0 of nothing; Poisson */
    KPID_FIGURE_SUM,      /* 0 of nothing */
    KPID_FIGURE_MEAN,     /* no data of nothing; normal interval from the variance */
    KPID_FIGURE_INSTANT,  /* as of the window's end: open, breached, due */
    KPID_FIGURE_AGE,      /* the same, a duration: oldest */
    KPID_FIGURE_OTHER     /* no data of nothing: min, max, last, quantiles */
};

struct kpid_agg {
    const char *name;
    enum kpid_agg_input input;
    size_t cell_bytes;
    uint16_t event_ns; /* about so much CPU an event that it counts, as seen by bench/measures.c; for explain only */
    bool levels; /* keeps levels (steps summed from the beginning of time): has merge_level */
    const struct kpid_keyed *keyed; /* rules, if it follows from several events with one key; else NULL */

    void (*add)(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param);
    void (*merge)(void *into, const void *from, const struct kpid_agg_param *param);
    void (*merge_level)(void *into, const void *from); /* only the steps of levels; NULL without levels */
    bool (*stale)(const void *cell);  /* min or max was taken back; NULL: never happens */
    void (*narrow)(void *cell);       /* min and max back to the settled ones; WIDEN samples follow */
    void (*release)(void *cell);                       /* heap only; leaves a zeroed cell */
    size_t (*heap_bytes)(const void *cell);
    /* What heap_bytes can come to at the most, with so many tracks (1 but for clocks); NULL: 0. */
    size_t (*heap_max)(const struct kpid_agg_param *param, size_t tracks);
    void (*pack)(const void *cell, struct kpid_buf *out); /* canonical */
    bool (*unpack)(void *cell, struct kpid_unpack *in);   /* into a zeroed cell */

    int (*part)(const char *name, size_t len); /* number of a part, -1: there is none of that name */
    bool (*has_part)(int part, const struct kpid_agg_param *param); /* of this measure; NULL: it has all of them */
    const char *part_names;                    /* for messages: "n, mean, min, max, pNN" */
    /* Whether a part is a / b of two others: a formula divides these, so that both travel with the figure. NULL: none
     * is. */
    bool (*ratio)(int part, const struct kpid_agg_param *param, int *ret_a, int *ret_b);
    enum kpid_figure (*figure)(int part);
    struct kpid_number (*read)(const void *cell, int part, const struct kpid_agg_param *param);
    uint64_t (*samples)(const void *cell);
    uint64_t (*part_samples)(const void *cell, int part); /* where parts differ in it; NULL: samples() for all */
    int (*aged)(int part); /* the track of whose spans a part reads the oldest, -1: none; NULL: no part does */
    /* Variance of one observation (n - 1 below), in the published unit squared; negative: not known. */
    double (*variance)(const void *cell, const struct kpid_agg_param *param);
    /* The same where parts differ in it; NULL: variance() for all. */
    double (*part_variance)(const void *cell, int part, const struct kpid_agg_param *param);
    /* Parts published in a snapshot of a KPI that is this measure alone; NULL-terminated, NULL = none. */
    const char *const *published;
    /* Appends the cell as a value that Redis' own commands take; NULL: there are none for it. */
    void (*redis)(const void *cell, struct kpid_buf *out);
    /* A list beside the parts, heaviest first: writes up to param->top_k lines; returns their number. NULL: none. */
    size_t (*ranks)(const void *cell, const struct kpid_agg_param *param, struct kpid_rank *ret);
};

/* A part's number within its track. */
static inline int kpid_part_plain(const struct kpid_agg *agg, int part)
{
    return agg->keyed && agg->keyed->track ? part % KPID_PART_TRACK : part;
}

/* By the word used in the configuration (count, sum, min, max, mean, last, distinct, quantiles, clock, session,
 * funnel, retention, top);
 * NULL: there is none. _at walks the table (NULL past its end). */
const struct kpid_agg *kpid_agg_find(const char *name, size_t len);
const struct kpid_agg *kpid_agg_at(size_t index);

#endif
