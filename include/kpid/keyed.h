/*
 * Keyed measures: figures that follow from several events with the same key (clocks, sessions, funnels, retention).
 * Per key a set of items is kept; a pure function of that set, ordered by event time and never by arrival, says which
 * outcomes count at which instants; when the set changes, the difference of two results is counted. So a kind of keyed
 * measure is: one file of rules with a `struct kpid_keyed`, one aggregation that names it (agg_<name>.c), and one row
 * in daemon/config/keyed.c that reads its keys. Tables, storage, timers and corrections are shared
 * (daemon/engine/keyed_*.c).
 *
 * Rules: an outcome's instant is never before the events that decide it, and what passes the horizon counts at its
 * own instant, so a window that ended before the horizon is changed by late events only.
 */
#ifndef KPID_KEYED_H
#define KPID_KEYED_H

#include "kpid/expr.h"
#include "kpid/worktime.h"

#define KPID_WORDS_MAX      12 /* conditions of one measure: words of a clock, steps of a funnel */
#define KPID_KEYED_SHIFT    12 /* items of one number: ts << this | word, or a set of words */
#define KPID_KEYED_WIDTH_MAX 3

#define KPID_CLOCK_MARKS 6 /* stops with a name of a clock */

enum kpid_clock_word { /* also the order of events with one ts */
    KPID_CLOCK_START, KPID_CLOCK_PAUSE, KPID_CLOCK_RESUME, KPID_CLOCK_REOPEN,
    KPID_CLOCK_MARK, /* and the next ones: the first stop with a name ... */
    KPID_CLOCK_STOP = KPID_CLOCK_MARK + KPID_CLOCK_MARKS, KPID_CLOCK_CANCEL,
    KPID_CLOCK_WORDS
};

/* Tracks of a clock: what it is measured to. 0 is the closing stop, k > 0 the k-th stop with a name. Parts of figures
 * are numbered alike in each. */
#define KPID_TRACKS_MAX (1 + KPID_CLOCK_MARKS)

/* What a measure says of its kind. */
struct kpid_keyed_spec {
    struct kpid_expr key;        /* a field */
    struct kpid_expr *when;      /* a condition a word; n = 0: never */
    size_t n_words;              /* 0: every event has its say, as word 0 */
    uint32_t max_keys;           /* a shard */
    uint32_t aged;               /* bits: tracks of which some KPI reads the oldest open one */
    union {
        struct {
            int64_t deadline_ms;     /* KPID_FOREVER: none */
            int64_t due_ms;          /* how long before its deadline a clock is due; KPID_FOREVER: not kept */
            int64_t forget_after_ms; /* KPID_FOREVER: never */
            bool keep_negative;
            struct {
                char *name;
                int64_t deadline_ms;
            } marks[KPID_CLOCK_MARKS];
            size_t n_marks;
            const struct kpid_worktime *calendar; /* NULL: every hour counts */
        } clock;
        struct {
            int64_t gap_ms;
        } session;
        struct {
            int64_t within_ms;
            bool free;  /* steps behind the first in any order */
            bool again; /* a completed attempt makes room for the next one */
        } funnel;
        struct {
            const struct kpid_zone *zone;  /* of civil days */
            uint16_t days[KPID_WORDS_MAX]; /* ascending */
            uint8_t n_days;
        } retention;
    };
};

/* Items of one key: rows of `width` numbers, ascending, each with the group numbers of one event. */
struct kpid_items {
    int64_t *words;  /* n rows of `width` */
    uint32_t *gids;  /* n rows of n_gids */
    size_t n, width, n_gids;
    /* Whether group numbers a go before b: by what the groups are called, so that of two events that are otherwise
     * equal the same one is kept, whichever came first. */
    bool (*before)(const void *ctx, const uint32_t *a, const uint32_t *b);
    const void *ctx;
};

struct kpid_keyed_event {
    int64_t ts_ms;
    uint32_t words;        /* bits: which conditions hold */
    const uint32_t *gids;  /* n_gids */
};

#define KPID_ITEMS_MAX 1024 /* a key; beyond it an event is refused */

enum kpid_put {
    KPID_PUT_NONE,    /* nothing changed */
    KPID_PUT_QUIET,   /* numbers changed, but no item came, went or changed groups; outcomes before the horizon are the
                         same and the next timer is no earlier */
    KPID_PUT_CHANGED,
    KPID_PUT_FULL     /* KPID_ITEMS_MAX is reached; nothing changed */
};

struct kpid_outcome {
    int64_t ts_ms;     /* the instant it counts at */
    int64_t value;
    uint32_t item;     /* whose groups it counts for */
    uint32_t origin;   /* and in groupings by fields of the start: the item it began with */
    uint8_t kind;      /* enum kpid_sample_kind */
    uint8_t part;      /* for the aggregation */
    int8_t weight;
};

struct kpid_keyed_result {
    size_t n;                /* outcomes */
    int64_t next_timer_ms;   /* the next instant at which time alone adds outcomes; KPID_FOREVER */
    uint32_t negatives;      /* durations that would be negative and are dropped */
    uint32_t forgotten;      /* clocks that were still open when they were forgotten */
    uint32_t undated;        /* deadlines that lie behind the years that the calendar covers */
};

/* What a kind may keep in mind from one event to the next of a table; both KPID_NEVER at first. */
struct kpid_keyed_memo {
    int64_t from_ms, to_ms;
};

struct kpid_keyed {
    size_t width;            /* numbers an item */
    const char *item;        /* what one is, for messages: "an event" */
    const char *grouped_by;  /* for messages: "the event that stops it" */
    bool has_start;          /* groups may come from the event that starts it */
    /* Whether an event with these words carries groups. */
    bool (*has_groups)(const struct kpid_keyed_spec *spec, uint32_t words);
    /* Puts an event into the items, for which there is room for KPID_WORDS_MAX more. */
    enum kpid_put (*put)(const struct kpid_keyed_spec *spec, struct kpid_items *items,
                         const struct kpid_keyed_event *event, int64_t horizon_ms);
    /* The same, quicker, for most events of most keys: changes numbers of n items in place (QUIET) or finds that nothing
     * changes (NONE); CHANGED: nothing was done, `put` has to look. NULL: it always has. */
    enum kpid_put (*touch)(const struct kpid_keyed_spec *spec, int64_t *words, size_t n,
                           const struct kpid_keyed_event *event, int64_t horizon_ms, struct kpid_keyed_memo *memo);
    /* Whether what an event says of a key without items can't ever count: no event before closed_ms comes any more.
     * NULL: it can. */
    bool (*idle)(const struct kpid_keyed_spec *spec, const struct kpid_keyed_event *event, int64_t closed_ms,
                 struct kpid_keyed_memo *memo);
    /* Outcomes of n items never exceed this. */
    size_t (*outcomes_max)(const struct kpid_keyed_spec *spec, size_t n);
    /* The pure function; what time alone brings about before horizon_ms has happened. ret: room for outcomes_max. */
    void (*work_out)(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t horizon_ms,
                     struct kpid_outcome *ret, struct kpid_keyed_result *result);
    /* So many leading items, with outcomes of their own, can't be changed by any event at or after before_ms. */
    size_t (*settled)(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t before_ms);
    /* Takes out items that no outcome hangs on, whatever happens at or after before_ms; NULL: there are none. */
    void (*prune)(const struct kpid_keyed_spec *spec, struct kpid_items *items, int64_t before_ms);
    /* How long an item can matter; KPID_FOREVER. */
    int64_t (*lifetime_ms)(const struct kpid_keyed_spec *spec);
    /* False: nothing can be said of events at that time, and they are refused. NULL: of all. */
    bool (*covers)(const struct kpid_keyed_spec *spec, int64_t ts_ms);
    /* The track of a name, `NAME.part` in formulas; -1: there is none. NULL: it has but one track. */
    int (*track)(const struct kpid_keyed_spec *spec, const char *name, size_t len);
    /* How old at an instant what is open since another one is, in ms; negative: not known. NULL: it has no spans. */
    int64_t (*age)(const struct kpid_keyed_spec *spec, int64_t since_ms, int64_t at_ms);
};

extern const struct kpid_keyed kpid_keyed_clock, kpid_keyed_session, kpid_keyed_funnel, kpid_keyed_retention;

#endif
