/*
 * The configuration as one immutable value: what daemon/config makes of a YAML file and everything else reads.
 * All strings and arrays are owned by the model and live until kpid_model_free; everybody else borrows. Indices
 * (source, measure, kpi, window) are positions in these arrays and are stable for one model only: what is stored
 * is named by definition hashes.
 */
#ifndef KPID_MODEL_H
#define KPID_MODEL_H

#include "kpid/agg.h"
#include "kpid/expr.h"
#include "kpid/worktime.h"

/* ---- sources ------------------------------------------------------------------------------------------------ */

enum kpid_format { KPID_FORMAT_AUTO, KPID_FORMAT_JSON, KPID_FORMAT_MSGPACK };
enum kpid_time_format { KPID_TIME_AUTO /* an integer is ms, a string RFC 3339 or an integer in ms */,
                        KPID_TIME_FORMAT_MS, KPID_TIME_FORMAT_S, KPID_TIME_FORMAT_US, KPID_TIME_FORMAT_NS,
                        KPID_TIME_FORMAT_RFC3339 }; /* S may have a fraction; all are read from strings too */
enum kpid_field_kind { KPID_FIELD_ANY, KPID_FIELD_NUMBER /* numeric strings are numbers */,
                       KPID_FIELD_STRING, KPID_FIELD_TIME, KPID_FIELD_BOOL };
enum kpid_start { KPID_START_EARLIEST, KPID_START_LATEST };
enum kpid_on_mismatch { KPID_MISMATCH_HOLD, KPID_MISMATCH_KEEP, KPID_MISMATCH_REBUILD };

struct kpid_field {
    char *name;              /* as expressions name it */
    char **path;             /* keys from the root of the message, n_path of them */
    size_t n_path;           /* 0: no part of the message, a join fills it */
    char *origin;            /* of a joined field: its look-up, column and key, in words; else NULL */
    uint8_t kind;            /* enum kpid_field_kind */
    uint8_t time_format;     /* enum kpid_time_format, for times */
    uint8_t scale;           /* of numbers; times 0 */
    bool round;              /* round: half_even */
};

struct kpid_pair {
    char *key, *value;
};

/* A look-up that a source's events are joined with by one of their fields. */
struct kpid_join {
    char *name;              /* what stands before the dot in names of its fields */
    uint32_t lookup;
    uint16_t key;            /* slot of the event's field */
    struct kpid_joined { uint16_t slot, column; } *fields; /* those that expressions and groups name */
    size_t n_fields;
};

struct kpid_source {
    char *name;
    char **topics;
    size_t n_topics;
    char *key;               /* field that the topics are keyed by, NULL if not said */
    uint8_t format, start, on_log_mismatch;
    struct kpid_field *fields; /* KPID_SLOT_TYPE, _TS, _ID, then those that expressions and groups name */
    size_t n_fields;
    char **types;            /* interned names: types[0] = "" (any other), then those that expressions compare with */
    size_t n_types;
    struct kpid_pair *type_map; /* their word -> ours */
    size_t n_type_map;
    struct kpid_join *joins;
    size_t n_joins;
    int64_t out_of_order_ms, allowed_lateness_ms, idle_timeout_ms, max_future_ms;
    int64_t max_skew_ms;     /* KPID_FOREVER: off */
    int64_t dedup_horizon_ms;
    size_t dedup_bytes;
    int64_t silent_after_ms, stale_after_ms, max_age_ms, group_ttl_ms;
    uint32_t max_groups;
    size_t max_state_bytes, max_outbox, max_string_bytes;
    size_t max_waiting_bytes; /* events of a shard that wait for look-ups */
    uint64_t max_pending;    /* boundaries */
};

/* ---- look-ups ----------------------------------------------------------------------------------------------- */

enum kpid_lookup_kind { KPID_LOOKUP_FILE, KPID_LOOKUP_REDIS };
enum kpid_when_down { KPID_DOWN_WAIT, KPID_DOWN_ABSENT };

/* A column that some source uses, or that is declared. */
struct kpid_column {
    char *name;              /* as expressions name it */
    char *title;             /* in the file's header, or field of the hash */
    uint8_t kind;            /* enum kpid_field_kind: STRING, NUMBER, TIME or BOOL */
    uint8_t scale;           /* of numbers */
    uint32_t line, column;   /* in the configuration, of its declaration or first use: for faults of the file */
};

struct kpid_lookup {
    char *name;
    uint8_t kind;            /* enum kpid_lookup_kind */
    char *file;              /* FILE: its path, a relative one already joined to the configuration's folder */
    char *key;               /* FILE: the column of keys */
    char *pattern;           /* REDIS: key of a hash, {} stands for the event's key; without it one hash by key */
    bool one_hash;           /* REDIS: the pattern has no {} */
    char *url;               /* REDIS: NULL = the instance's */
    struct kpid_column *columns;
    size_t n_columns;
    char *missing;           /* what text columns hold where there is nothing; NULL: they are absent */
    int64_t refresh_ms, refresh_missing_ms, timeout_ms;
    uint8_t when_down;       /* enum kpid_when_down */
    uint32_t max_keys;       /* REDIS: cached */
    uint64_t max_rows;       /* FILE */
    size_t max_bytes;        /* of the file, or of what is cached */
    uint32_t line, at;       /* in the configuration: where it is declared */
};

/* ---- windows ------------------------------------------------------------------------------------------------ */

enum kpid_window_kind { KPID_WINDOW_ROLLING, KPID_WINDOW_CALENDAR, KPID_WINDOW_ALL };

struct kpid_window {
    char *name;              /* "5m", "day", "all": as Redis keys name it, unique in a KPI */
    uint8_t kind;            /* enum kpid_window_kind */
    int64_t length_ms, slide_ms;  /* rolling */
    struct kpid_period period;    /* calendar */
    const struct kpid_zone *zone; /* calendar; of the KPI for the others (how instants are printed) */
    int64_t from_ms;         /* all: KPID_NEVER = since the first event */
    uint32_t history;        /* how many kpi:win keeps; 0 for `all` */
};

/* ---- measures ----------------------------------------------------------------------------------------------- */

#define KPID_GROUPINGS_MAX 64 /* of one measure, the total included */

/* A set of fields that some KPI groups by. groupings[0] of every source is the empty one: the total. */
struct kpid_grouping {
    uint16_t *slots;
    size_t n;
};

/*
 * A rung of a measure's ladder: panes of one width. Rung 0 takes the events; every other rung is filled from its
 * parent, a lower index, whose panes divide its own. `keep_ms`: a pane is released when its end + keep_ms is past.
 */
enum kpid_rung_kind { KPID_RUNG_FIXED, KPID_RUNG_CALENDAR, KPID_RUNG_ALL };
struct kpid_rung {
    uint8_t kind;
    int64_t width_ms;             /* fixed */
    struct kpid_period period;    /* calendar */
    const struct kpid_zone *zone; /* calendar */
    int64_t from_ms;              /* all */
    int64_t keep_ms;              /* KPID_FOREVER for all */
    int64_t earlier_ms;           /* what of keep_ms is there for figures that look back (`@`) */
    int64_t lag_ms;               /* all: merged so far behind, so that it can be read as of then; others 0 */
    uint16_t parent;              /* of rung 0: 0 */
    uint64_t hash;                /* names it in stored state: kind, width, zone … */
};

struct kpid_measure {
    char *name;
    uint32_t source;
    const struct kpid_agg *agg;
    struct kpid_agg_param param;
    struct kpid_expr where;      /* n = 0: every event */
    struct kpid_expr value;      /* input of the aggregation; n = 0 for count and keyed ones */
    struct kpid_expr weight;     /* of a list of keys: what they are weighed by; n = 0: each event weighs 1 */
    struct kpid_keyed_spec keyed; /* with agg->keyed */
    char **start_fields;         /* groups that a clock takes from the event that starts it */
    size_t n_start_fields;
    uint64_t from_start;         /* bits: groupings by such fields */
    uint16_t *groupings;         /* indices into kpid_source_plan.groupings; [0] = 0, the total */
    size_t n_groupings;
    struct kpid_rung *rungs;
    size_t n_rungs;
    uint64_t hash;               /* definition: source, where, value, aggregation and its parameters */
};

enum kpid_candidate_outcome { KPID_CANDIDATE_NEVER, KPID_CANDIDATE_HOLDS, KPID_CANDIDATE_OPEN };

/* What is known of an event of some type and one measure before anything but the type is looked at. */
struct kpid_candidate {
    uint32_t place;              /* of the measure in kpid_source_plan.measures */
    uint8_t outcome;             /* of its `where`; those that never hold are no candidates */
    uint32_t words, open;        /* keyed ones: bits of conditions that hold, and of those that need a test */
};

/* What the engine needs beside the source's settings: made by kpid_model_plan from measures and KPIs. */
struct kpid_source_plan {
    struct kpid_grouping *groupings; /* [0] = total */
    size_t n_groupings;
    uint32_t *measures;              /* indices of the measures that read this source */
    size_t n_measures;
    struct kpid_candidate **by_type; /* by_type[type_id]: measures that an event of this type can matter to, worked out */
    size_t *n_by_type;               /* from `type == "x"`, `type in [..]` and what joins them in their conditions */
    int64_t tightest_slide_ms;       /* of its windows, for max_pending */
    int64_t longest_window_ms;       /* with how far its figures look back */
};

/* ---- KPIs --------------------------------------------------------------------------------------------------- */

enum kpid_unit { KPID_UNIT_NUMBER, KPID_UNIT_PERCENT, KPID_UNIT_DURATION, KPID_UNIT_MONEY, KPID_UNIT_COUNT };
enum kpid_direction { KPID_UP, KPID_DOWN, KPID_BAND };

enum kpid_formula_op { KPID_F_NUMBER, KPID_F_REF, KPID_F_ADD, KPID_F_SUB, KPID_F_MUL, KPID_F_DIV, KPID_F_NEG,
                       KPID_F_MIN, KPID_F_MAX, KPID_F_ABS };

struct kpid_formula_node {
    uint8_t op;
    int16_t a, b;                /* children at lower indices */
    uint16_t ref;                /* KPID_F_REF: index into kpid_kpi.refs */
    struct kpid_decimal number;
};

/* How far a figure looks back (`revenue @ 1w`): months of the calendar first, then ms. Rolling windows and `all` have
 * ms alone; of calendar windows ms are whole days. evaluate/earlier.c says which window it leads to. */
struct kpid_shift {
    int64_t ms;
    int32_t months;
};

struct kpid_ref {
    uint32_t measure;
    int part;                    /* of its aggregation */
    struct kpid_shift shift;     /* all 0: the window itself */
    char *name;                  /* "processing.p90", or "p90" for a published part */
};

struct kpid_span { double low, high; }; /* a target: low = high for a constant */

/* One row of a target table; rows are tried in order, the first that fits holds. */
struct kpid_target_row {
    char **group;                /* per `by` field: a value, or NULL = any; NULL array: any group and the total */
    bool total;                  /* the total alone */
    int window;                  /* index into windows, -1 = any */
    int64_t from_ms, to_ms;      /* boundary in (from, to]; KPID_NEVER, KPID_FOREVER */
    uint8_t weekdays;            /* bit 0 Sunday .. 6; 0x7f = any; of the window's start, in the KPI's zone */
    uint16_t minute_from, minute_to; /* of the civil day, of the window's start: [from, to); 0, 1440 = any */
    struct kpid_span span;
    char *text;                  /* as written, e.g. "3.2 %" */
};

/* One alert rule: warn and crit of one `alert:` are two rules. Deviations are negative when bad. */
struct kpid_rule {
    char *name;                  /* "warn", "crit" */
    int window;                  /* index into windows */
    double fire, clear;          /* fires at deviation <= fire, clears at deviation > clear */
    int64_t for_ms;
    int64_t no_data_ms;          /* how long without data until state no_data; KPID_FOREVER: never */
    uint64_t min_samples;
    double confidence;           /* 0: off; else e.g. 0.95 */
    uint32_t *while_firing;      /* suppressed while any alert of these KPIs (same group, or total) is firing */
    size_t n_while_firing;
    struct kpid_quiet { int64_t from_ms, to_ms; } *quiet; /* suppressed in these spans of event time */
    size_t n_quiet;
    uint64_t hash;
};

/* A sketch that is published as a value of Redis beside a window of a KPI: of the ref's measure. */
struct kpid_sketch {
    uint16_t window, ref;
    bool groups;                 /* of the KPI's groups too, at most history_groups */
};

struct kpid_kpi {
    char *name, *title_en, *title_zh, *owner, *dimension, *unit_text, *formula_text;
    uint8_t unit, direction;
    struct kpid_formula_node *formula;
    size_t n_formula;            /* root = formula[n - 1] */
    struct kpid_ref *refs;       /* n_refs of the formula, then n_parts published parts */
    size_t n_refs, n_parts;
    int numerator, denominator;  /* formula nodes of a ratio a / b at the root, else -1 */
    uint32_t *sources;           /* that the formula reads, ascending */
    size_t n_sources;
    char **by;
    size_t n_by;
    struct kpid_window *windows;
    size_t n_windows;
    const struct kpid_zone *zone;
    struct kpid_target_row *targets;
    size_t n_targets;
    struct kpid_rule *rules;
    size_t n_rules;
    uint32_t history_groups;
    struct kpid_sketch *sketches;
    size_t n_sketches;
    int64_t judge_every_ms;      /* open calendar windows and `all` are judged at its multiples: slide of the shortest
                                    rolling window, else 60,000; coarser where calendar windows look back */
    bool judge_open;             /* its formula is a ratio, mean, quantile or instant */
    uint64_t hash;               /* definition: formula, windows, by */
};

/* ---- settings ----------------------------------------------------------------------------------------------- */

enum kpid_clock_mode { KPID_CLOCK_WALL, KPID_CLOCK_EVENTS };
enum kpid_encoding { KPID_ENCODE_JSON, KPID_ENCODE_MSGPACK };

struct kpid_settings {
    char *instance;              /* name of this instance, default "kpid" */
    uint8_t clock;               /* enum kpid_clock_mode */
    int64_t tick_ms;
    int64_t live_timeout_ms;     /* an instance that says nothing for so long is not counted on */
    int64_t max_clock_skew_ms;   /* this machine's clock against Redis' */
    struct {
        char *brokers, *group, *instance_id, *cluster; /* cluster: name for keys; NULL = the broker's cluster id */
        struct kpid_pair *properties; /* passed through to librdkafka */
        size_t n_properties;
    } kafka;
    struct {
        char *url;               /* redis://[user:password@]host:port[/db] or unix:/path */
        char *prefix;            /* default "kpi" */
        bool allow_eviction;
        int64_t timeout_ms;
        size_t max_commit_bytes_s; /* paced */
        size_t max_uncommitted;  /* events; beyond it reading stops */
    } redis;
    struct {
        char *snapshots, *alerts, *dead_letters; /* topics, NULL = none */
        uint8_t snapshots_encoding, alerts_encoding;
    } publish;
    struct {
        char *listen;            /* "127.0.0.1:9464"; NULL = off */
    } http;
    uint64_t log_cap, history_cap; /* entries of kpi:{alert}:log and of kpi:hist */
    int64_t snapshot_ttl_ms;     /* of public keys */
    char *log_level;
};

struct kpid_model {
    char *path;
    struct kpid_settings settings;
    struct kpid_zone **zones;
    size_t n_zones;
    struct kpid_worktime **calendars;            /* working calendars that clocks name */
    size_t n_calendars;
    struct kpid_lookup *lookups;
    size_t n_lookups;
    struct kpid_source *sources;
    struct kpid_source_plan *plans; /* one per source */
    size_t n_sources;
    struct kpid_measure *measures;
    size_t n_measures;
    struct kpid_kpi *kpis;
    size_t n_kpis;
    uint64_t hash;
};

void kpid_model_free(struct kpid_model *model);

static inline bool kpid_shift_is(struct kpid_shift shift)
{
    return shift.ms != 0 || shift.months != 0;
}

static inline bool kpid_shift_equal(struct kpid_shift a, struct kpid_shift b)
{
    return a.ms == b.ms && a.months == b.months;
}

/* Index of a name, -1: there is none. */
int kpid_model_source_find(const struct kpid_model *model, const char *name);
int kpid_model_measure_find(const struct kpid_model *model, const char *name);
int kpid_model_kpi_find(const struct kpid_model *model, const char *name);

#endif
