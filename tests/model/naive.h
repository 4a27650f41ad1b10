/*
 * The naive exact model: it keeps every accepted event and works each window out by scanning them, after the words of
 * the manual and without any code of the engine. Of the configuration it takes windows, groupings and formulas; what a
 * measure counts is said a second time in naive_measure.c.
 */
#ifndef KPID_MODEL_NAIVE_H
#define KPID_MODEL_NAIVE_H

#include "kpid/flow/reason.h"
#include "kpid/model.h"
#include "world.h"

typedef __int128 wide;

/* ---- measures (naive_measure.c) ---- */

enum measure {
    ORDERS, REVENUE, LOWEST, HIGHEST, AVERAGE, LATEST, VISITORS, AMOUNTS, SPREAD, PROMISE, HANDLING, PAYMENT,
    VISITS, CALLS, MOOD, WORD, ANSWER, HITS, SPENT, VISIT,
    REPAIR, REPAIR_REPLY,              /* a clock and its named stop */
    CHECKOUT, CHECKOUT_2, CHECKOUT_3,  /* funnels by step */
    JOURNEY, JOURNEY_2, JOURNEY_3,
    RETURNS, RETURNS_2, RETURNS_3,     /* retention by day */
    VIEWERS, REFUNDS,                  /* heaviest keys */
    TEAM_VIEWS, RED_SALES,             /* by a look-up */
    MEASURES
};

enum shape { SHAPE_COUNT, SHAPE_SUM, SHAPE_MIN, SHAPE_MAX, SHAPE_MEAN, SHAPE_LAST, SHAPE_DISTINCT, SHAPE_QUANTILES,
             SHAPE_CLOCK, SHAPE_SESSION, SHAPE_FUNNEL, SHAPE_RETENTION, SHAPE_TOP };

enum { TRACKS_MAX = 3 };

/* What the model keeps a cell each for: a measure, and its tracks behind it (stops with a name, steps, days). */
struct naive_measure {
    const char *name;     /* NULL: a track of the one before */
    enum source source;
    enum shape shape;
    bool duration;        /* values are ms and figures seconds; else values are millionths */
    int64_t deadline_ms, forget_ms; /* clocks; -1: none, never; forget_ms of a session: its gap, of a funnel: within */
    bool keep_negative;
    int64_t due_ms;       /* clocks; 0: not kept */
    unsigned tracks;      /* 0: only itself */
    const char *mark;     /* of a track of a clock: the name of its stop */
    bool office;          /* a clock of working time */
    bool free, again;     /* funnels */
    int days;             /* retention, of a track: days after the start */
    int top_keys, top_k;  /* heaviest keys */
    bool joined;          /* it reads what a look-up says: of two interleavings each may read another table */
};
extern const struct naive_measure naive_measures[MEASURES];

enum verdict { PASSES_BY, LACKS_A_FIELD, IS_MALFORMED, COUNTS };
/* What an event is to a measure; COUNTS: *value is set (distinct: a number that stands for the value). */
enum verdict naive_reads(enum measure measure, const struct event *event, int64_t *value);
/* The bits (1 << enum kpid_clock_word, or 1 << step) of a keyed measure's words that an event says. */
unsigned naive_words(enum measure measure, const struct event *event);
/* Whether an event with these words says which groups its key is in. */
bool naive_has_groups(enum measure measure, unsigned words);
/* The tracks of a measure, itself included. */
static inline size_t naive_tracks(enum measure measure)
{
    return naive_measures[measure].tracks ? naive_measures[measure].tracks : 1;
}

/* ---- groups ---- */

/* A set of fields, and the row of an event in it. Row 0 is __other__, or the total of no fields. */
enum { BY_CHANNEL = 1, BY_REGION = 2, BY_USER = 4, BY_TEAM = 5, BY_START /* channel of the start */ = 6, BYS = 7 };
/* By the names of the fields. */
unsigned naive_by(enum measure measure, char *const *names, size_t n);
/* The grouping whose groups are known as soon as those of `by` are. */
static inline unsigned naive_by_known(unsigned by)
{
    return by == BY_START ? BY_CHANNEL : by;
}
enum { ROWS = 64, ROW_OTHER = 0 };
unsigned naive_row(unsigned by, const struct event *event);
unsigned naive_rows(unsigned by); /* how many a grouping has */
/* The row of a group as readers see it, -1: there is no such group. */
int naive_row_find(unsigned by, const char *const *group);
void naive_row_print(unsigned by, unsigned row, struct kpid_buf *out);

/* ---- the model ---- */

struct naive_log {          /* one topic-partition */
    int64_t highest_ms;
    int64_t *marks;         /* by id: time of the event that was counted, KPID_NEVER */
    uint64_t in, classes[KPID_CLASS_N];
};

struct naive_slot {         /* events of one slice of time */
    const struct event **events;
    uint32_t n, cap;
};

struct naive_outcome {      /* something that a clock's key did to the figures, at an instant */
    int64_t ts_ms, value;
    uint32_t key;
    uint8_t kind;           /* enum naive_kind */
    uint8_t track;
    int8_t weight;
    uint8_t rows[BYS];      /* by grouping */
};
/* Of funnels MET is a step that was reached when the time ran out, and OPEN one while it has not. Of retention MET and
 * MISSED are the cohort of a day that is over and who returned, OPEN and BREACHED those of one that is not. */
enum naive_kind { TOOK, MET, MISSED, BEGUN, SAID /* sessions: the events of one that ended */, SPAN /* open until `value` */,
                  OPEN, BREACHED, DUE };

struct naive_happening {    /* an event of a clock's key */
    int64_t ts_ms;
    uint8_t word;           /* of funnels a set of steps */
    uint8_t rows[BYS];
};

struct naive_key {
    struct naive_happening *at;
    struct naive_outcome *outcomes;
    uint32_t n, cap, n_outcomes, cap_outcomes;
};

struct naive_clock {
    struct naive_key *keys;
    size_t n_keys;
    struct { struct naive_outcome *at; uint32_t n, cap; } *slots; /* outcomes by minute */
    bool asks_oldest;       /* some KPI does */
    int64_t longest_ms;     /* that any span was open */
    int32_t *levels[3][BYS][ROWS]; /* open, breached, due: sums of steps by minute, a tree (Fenwick 1994); NULL: no steps */
};

struct naive {
    const struct kpid_model *model;
    const struct world *world;
    bool wall;              /* there is a wall clock, so events may be too far ahead */
    struct naive_log logs[LOGS];
    struct naive_slot *slots[SOURCES];
    size_t n_slots, n_minutes;
    int64_t first_ms[SOURCES];
    struct naive_office *office;
    struct naive_clock clocks[MEASURES];
    enum measure *measures; /* by index in the model */
    unsigned bys[MEASURES]; /* groupings that KPIs use of it, as bits 1 << by */
    unsigned seen[SOURCES][PARTITIONS][BYS]; /* number of groups known (many: capped) */
    int64_t known_ms[SOURCES][PARTITIONS][BYS][ROWS]; /* the first event of a group, KPID_FOREVER: none */
};

void naive_init(struct naive *naive, const struct kpid_model *model, const struct world *world, bool wall);
void naive_release(struct naive *naive);
/* Lets go of all keys: only events can be asked for after it. */
void naive_shed(struct naive *naive);

/* The next event of a log. Returns its class; sets event->counted and, where groups are capped, event->row_user. */
enum kpid_class naive_take(struct naive *naive, const struct log *log, struct event *event);
/* A keyed measure takes the event's words (naive_keyed.c). */
void naive_keyed_take(struct naive *naive, enum measure measure, const struct event *event, unsigned words);

/* ---- what the events of one key mean, from all of them anew ---- */

/* The number of an event's key. */
uint32_t naive_key_number(enum measure measure, const struct event *event);
void naive_put(struct naive_key *key, struct naive_outcome outcome, const uint8_t *rows, const uint8_t *start_rows);
void naive_clock_work_out(const struct naive *naive, enum measure measure, struct naive_key *key);   /* naive_clock.c */
void naive_session_work_out(const struct naive *naive, enum measure measure, struct naive_key *key);
void naive_funnel_work_out(const struct naive *naive, enum measure measure, struct naive_key *key);  /* naive_funnel.c */
void naive_retention_work_out(const struct naive *naive, enum measure measure, struct naive_key *key);

/* ---- civil time, after the C library (naive_office.c) ---- */

struct naive_office;
/* Of the time around [begin, end). Free it. */
struct naive_office *naive_office_new(int64_t begin_ms, int64_t end_ms);
void naive_office_free(struct naive_office *office);
bool naive_office_covers(const struct naive_office *office, int64_t ts_ms);
/* Working time between two instants, and when so much of it has passed since one; KPID_FOREVER: not in its years. */
int64_t naive_office_between(const struct naive_office *office, int64_t a_ms, int64_t b_ms);
int64_t naive_office_after(const struct naive_office *office, int64_t since_ms, int64_t work_ms);
/* The civil day of retention that holds an instant, counted from somewhere, and where it begins. */
int naive_day(const struct naive_office *office, int64_t ts_ms);
int64_t naive_day_start(const struct naive_office *office, int day);

/* ---- windows (naive_window.c) ---- */

struct naive_cell {         /* one measure and group in one window */
    int64_t n, met, missed, open, breached, due;
    int64_t begun, said, bounces; /* sessions; begun: of retention too */
    int64_t oldest_ms;      /* when the oldest open one was opened, KPID_FOREVER: none is */
    int64_t negative;       /* heaviest keys: values that are left out */
    wide sum, squares;
    int64_t min, max, last;
    int64_t last_ts_ms;
    uint64_t last_place;    /* topic, partition and position of the last one */
    size_t first, end;      /* its values: in ascending order in naive_window.values */
};

struct naive_value {
    int64_t value;
    wide weight;            /* heaviest keys: of all its events */
    uint32_t row;
};

struct naive_window {
    struct naive_cell cells[ROWS];
    struct naive_value *values;
    size_t n_values, cap_values;
    const struct naive *naive;
    int64_t boundary_ms;
    enum measure measure;
    bool wants_values;
};

/* Whether a measure keeps the events of a key. */
static inline bool naive_is_keyed(enum measure measure)
{
    enum shape shape = naive_measures[measure].shape;

    return shape == SHAPE_CLOCK || shape == SHAPE_SESSION || shape == SHAPE_FUNNEL || shape == SHAPE_RETENTION;
}

/* Fills `window` with what the measure says of [start, boundary), by group. */
void naive_window_count(struct naive *naive, enum measure measure, unsigned by, int64_t start_ms, int64_t boundary_ms,
                        struct naive_window *window);
void naive_window_release(struct naive_window *window);
/* How many events of the source lie there. */
size_t naive_events_between(const struct naive *naive, enum source source, int64_t start_ms, int64_t end_ms);
/* Whether the source had an event in (after, until]. */
bool naive_alive(const struct naive *naive, enum source source, int64_t after_ms, int64_t until_ms);

#define NAIVE_SLOT   INT64_C(10000)
#define NAIVE_MINUTE INT64_C(60000)

#endif
