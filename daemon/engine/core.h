/* What the files of the shard share: its parts and how they hang together. Private to the engine. */
#ifndef KPID_ENGINE_CORE_H
#define KPID_ENGINE_CORE_H

#include "kpid/dedup.h"
#include "kpid/pack.h"
#include "kpid/shard.h"

/* ---- groups: values of a grouping's fields <-> a small number (gid), per shard ---- */

#define KPID_GID_OTHER 0u /* __other__; the total of the empty grouping uses it too */

/* One cache line, aligned to one: with a million groups finding one costs what it has to wait for memory. */
struct kpid_group {
    char *name;          /* packed values: length-prefixed, in order; NULL: the slot is free */
    uint32_t name_len : 31, dirty : 1;
    uint32_t cells;      /* cells and keyed items that use it */
    uint64_t hash;
    int64_t first_ms, last_ms; /* earliest and latest event */
    char head[24];       /* the name's beginning */
};

/* A short name that was looked up lately, as two words. */
struct kpid_group_memo {
    uint64_t head, tail;
    uint32_t len, gid;       /* len 0: none */
};

#define KPID_GROUP_MEMOS  32 /* a power of 2 */
#define KPID_GROUP_SHORT  16 /* bytes of a name that a memo holds */
#define KPID_GID_MAX      ((1u << 27) - 1)

struct kpid_groups {
    struct kpid_group *at;   /* by gid; [0] is __other__ */
    uint32_t n, cap, live;
    void *memory;            /* that `at` lies in */
    uint32_t *index, index_cap; /* gid, and above it five bits of the hash: few other groups' rows are looked at */
    uint32_t *free_gids, n_free, cap_free;
    uint32_t *dirty, n_dirty, cap_dirty;
    int64_t other_last_ms;   /* latest event that went to __other__, KPID_NEVER: none */
    uint64_t refused;        /* events, not groups */
    uint64_t hash;           /* names the grouping in stored state */
    struct kpid_group_memo memos[KPID_GROUP_MEMOS];
};

void kpid_groups_init(struct kpid_groups *groups, uint64_t hash);
void kpid_groups_release(struct kpid_groups *groups);
void kpid_groups_loaded(struct kpid_groups *groups); /* after the last _put */
/* The gid of a name, made if there is room for it (max live groups), else KPID_GID_OTHER. */
uint32_t kpid_groups_intern(struct kpid_groups *groups, const char *name, size_t len, uint32_t max, int64_t ts_ms);
/* Puts a stored group at its gid. */
void kpid_groups_put(struct kpid_groups *groups, uint32_t gid, const char *name, size_t len, int64_t first_ms,
                     int64_t last_ms);
void kpid_groups_expire(struct kpid_groups *groups, int64_t before_ms); /* unused and last seen before that */
void kpid_groups_touch(struct kpid_groups *groups, uint32_t gid);       /* marks it dirty */

/* ---- panes: cells of one measure, grouping and slice of time ---- */

struct kpid_pane {
    int64_t start_ms;
    uint32_t n, cap;
    uint32_t *gids;      /* n */
    uint8_t *cells;      /* n * cell_bytes */
    uint8_t *dirty;      /* a bit a cell */
    uint32_t *index;     /* gid -> position + 1, open addressing; NULL while n is small */
    uint32_t index_cap;
    uint32_t listed;     /* position in the shard's list of dirty panes + 1, 0: not in it */
};

struct kpid_pane *kpid_pane_new(int64_t start_ms);
void kpid_pane_free(struct kpid_pane *pane, const struct kpid_agg *agg, struct kpid_groups *groups);
/* The group's cell, zeroed if new. */
void *kpid_pane_cell(struct kpid_pane *pane, const struct kpid_agg *agg, struct kpid_groups *groups, uint32_t gid,
                     uint32_t *ret_position);
const void *kpid_pane_find(const struct kpid_pane *pane, const struct kpid_agg *agg, uint32_t gid);
uint32_t kpid_pane_look(const struct kpid_pane *pane, uint32_t gid); /* by the index */
/* Where a group's cell stands, UINT32_MAX: it has none. */
static inline uint32_t kpid_pane_position(const struct kpid_pane *pane, uint32_t gid)
{
    if (pane->index)
        return kpid_pane_look(pane, gid);
    for (uint32_t i = 0; i < pane->n; i++)
        if (pane->gids[i] == gid)
            return i;
    return UINT32_MAX;
}

/* ---- the ladder of one measure ---- */

struct kpid_pane_list {
    struct kpid_pane **at; /* ascending starts, [head, head + n) */
    size_t head, n, cap;
    size_t last;           /* position used last */
    struct kpid_pane *base; /* levels: what lies before floor; NULL: nothing */
};

/* Marks that all groupings of a measure share. */
struct kpid_rung_mark {
    int64_t merged_ms;   /* complete below; rung 0: KPID_FOREVER */
    int64_t floor_ms;    /* panes that end at or before it are released */
    int64_t began_ms;    /* complete from here on; KPID_NEVER: from the beginning */
};

struct kpid_touch {
    uint16_t rung;
    int64_t start_ms, end_ms;
};

struct kpid_keys;

struct kpid_measure_state {
    const struct kpid_measure *def;
    struct kpid_rung_mark *marks;      /* n_rungs */
    int64_t *grouping_began_ms;        /* n_groupings: complete from here on */
    struct kpid_pane_list *lists;      /* n_groupings * n_rungs: [g * n_rungs + r] */
    struct kpid_keys *keys;            /* keyed measures, else NULL */
    int64_t max_merged_ms;             /* highest merged of rungs above 0 */
    int64_t touch_below_ms;            /* changes before it are recorded as touched */
    int64_t touched_ms;                /* start of the narrowest pane whose touches were noted last, KPID_NEVER */
    struct kpid_touch *touches;
    size_t n_touches, cap_touches;
    size_t n_told;                     /* of them: reported, and kept until readers have the corrections */
    size_t n_cut;                      /* of them: in the last cut, and not to be changed any more */
    uint64_t touch_base;               /* number of the first of them, counted over the shard's life */
    uint64_t told_below;               /* of a copy: readers have the corrections of those with a lower number */
    uint64_t told_next;                /* of a copy: they are about to have them of these */
    bool elsewhere;                    /* of a copy: its owner does not count this measure */
    uint64_t version, absent;
    int64_t gathered_ms;               /* what lies before it is kept, merged, by a series of windows (gather_series.c) */
    uint64_t epoch;                    /* rises when that changes */
    uint64_t cells;
    size_t heap_bytes;                 /* of sketches */
};

/* ---- the shard ---- */

/* ---- the logs it is counted from ---- */

#define KPID_GAPS_MAX 16 /* more become one with the last */

struct kpid_gap {
    int64_t from_ms, to_ms; /* to_ms KPID_FOREVER: no record came after it yet */
};

struct kpid_trail {
    int64_t begin_offset;   /* where it was first read, -1 */
    int64_t witness_offset; /* of the last record that was read, -1: not known */
    uint64_t witness_hash;
    int64_t rebuild_to;     /* counted again up to here, -1: nothing is */
    struct kpid_gap gaps[KPID_GAPS_MAX];
    uint32_t n_gaps;
    bool gap_open;
};

struct kpid_topic_state {
    int64_t next_offset, highest_ms;
    struct kpid_ledger ledger;
    struct kpid_trail trail;
};

void kpid_trail_init(struct kpid_trail *trail);
void kpid_trail_write(const struct kpid_trail *trail, struct kpid_buf *out);
void kpid_trail_read(struct kpid_trail *trail, struct kpid_unpack *in);
/* After a record was taken at ts_ms (KPID_NEVER: it has no event time). */
void kpid_trail_follow(struct kpid_shard *shard, uint32_t topic, int64_t ts_ms);
/* KPID_QR bits that the logs give a window of one measure. */
uint32_t kpid_trail_reasons(const struct kpid_shard *shard, const struct kpid_measure *def, int64_t start_ms,
                            int64_t boundary_ms);

/* One measure that an event matters to, ready to be added. */
struct kpid_prepared {
    uint32_t measure;
    struct kpid_sample sample;
    uint32_t words;           /* keyed: bits, which conditions hold */
    uint32_t key_at, key_len; /* keyed measures and lists of keys: in shard->scratch */
    uint64_t key_hash;        /* keyed */
};

struct kpid_dirty_pane {
    struct kpid_pane *pane; /* NULL: released meanwhile */
    uint32_t measure, list;
};

struct kpid_log_page {
    uint64_t id;
    uint32_t len;
    int64_t slice_ms; /* de-duplication: start of its slice; KPID_NEVER: the state log */
};

struct kpid_shard {
    const struct kpid_model *model;
    const struct kpid_source *source;
    const struct kpid_source_plan *plan;
    uint32_t source_index;
    int32_t partition;

    struct kpid_topic_state *topics;
    struct kpid_groups *groups;               /* plan->n_groupings */
    struct kpid_measure_state *measures;      /* n_measures: in the order of plan->measures, then the activity */
    size_t n_measures;
    struct kpid_measure activity;             /* event times themselves: was the source alive? */
    struct kpid_rung activity_rung;
    uint16_t activity_grouping;
    struct kpid_dedup *dedup;
    int64_t first_ms;
    int64_t elapsed_ms;                       /* deadlines before it are in the panes */
    int64_t rebuilt_ms;                       /* windows that begin before it are counted again; KPID_FOREVER: all are,
                                                 it is being done */
    int64_t repartitioned_ms;                 /* highest event time when the number of partitions changed */
    uint32_t partitions, first_partitions;    /* 0: not known */

    /* the event that was looked at last ahead of its turn: whose key comes next */
    struct { uint64_t key_hash; uint32_t type_id; bool set; } coming;

    /* scratch of one event */
    struct kpid_prepared *prepared;
    size_t n_prepared;
    struct kpid_buf scratch;
    uint32_t *gids;                           /* per grouping, valid where stamp matches */
    uint64_t *gid_stamps, stamp;

    /* state */
    struct kpid_dirty_pane *dirty;
    size_t n_dirty, cap_dirty;
    struct kpid_log_page *log;
    size_t n_log, cap_log;
    uint64_t next_page, cuts;
    bool changed, must_be_whole;
    unsigned format;                          /* of the next cut; no page of the log has a newer one */
    bool copy;                                /* of another instance's shard (copy.c): only what its owner commits
                                                 changes it */
    bool marked;                              /* of a copy: its owner has marks of event ids */
    struct {                                  /* the walk that writes everything again, bit by bit */
        bool on;
        uint64_t first_page;                  /* pages before it go when the walk ends */
        uint32_t measure, list, entry;
        int64_t start_ms;
        bool base_done;
        uint64_t written;
    } walk;
    uint64_t log_bytes, last_full_bytes;

    struct kpid_letter *letters;
    size_t n_letters, cap_letters;
    int64_t taken_ms;                         /* of the event at work */
    struct { uint64_t panes, keys_forgotten, keys_refused, negatives, uncovered, undated; } n;
    bool full;                                /* max_state_bytes is reached: new groups go to __other__ */
};

/* agg_span.c: first and last event time and their number; what the activity of a source is kept in. */
struct kpid_span_cell {
    uint64_t n;
    int64_t first_ms, last_ms;
};
extern const struct kpid_agg kpid_agg_span;

/* No event before it comes any more: it would be late on every topic. */
int64_t kpid_shard_closed(const struct kpid_shard *shard);

/* prepare.c: works out which measures the event matters to. NONE or why the event is malformed. */
enum kpid_reason kpid_shard_prepare(struct kpid_shard *shard, const struct kpid_record *record,
                                    const struct kpid_event *event);
/* The bytes that a key or a distinct count goes by: the event's or `text`. NONE, or why there are none; *absent: the
 * event has no such field. */
enum kpid_reason kpid_shard_bytes(const struct kpid_shard *shard, const struct kpid_expr *expr,
                                  const struct kpid_event *event, char text[KPID_DECIMAL_TEXT], const char **ret,
                                  size_t *ret_len, bool *absent);
/* xxh64 of the id, apart for each topic; false: the event has none. */
bool kpid_shard_id_hash(const struct kpid_record *record, const struct kpid_event *event, uint64_t *ret);
/* The event's gid in one of the source's groupings, worked out once an event. */
uint32_t kpid_shard_gid(struct kpid_shard *shard, const struct kpid_event *event, uint16_t grouping);

/* pane_list.c */
static inline int64_t kpid_floor_to(int64_t value, int64_t width)
{
    int64_t rest = value % width;
    return value - rest - (rest < 0 ? width : 0);
}
int64_t kpid_rung_start(const struct kpid_rung *rung, int64_t ts_ms);
int64_t kpid_rung_end(const struct kpid_rung *rung, int64_t start_ms);
static inline struct kpid_pane_list *kpid_list(const struct kpid_measure_state *m, size_t grouping, size_t rung)
{
    return &m->lists[grouping * m->def->n_rungs + rung];
}
/* Position of the first pane with start >= start_ms. */
size_t kpid_list_lower(const struct kpid_pane_list *list, int64_t start_ms);
/* The pane that starts there, or NULL; _make makes it. */
struct kpid_pane *kpid_list_find(const struct kpid_pane_list *list, int64_t start_ms);
struct kpid_pane *kpid_list_make(struct kpid_shard *shard, struct kpid_pane_list *list, int64_t start_ms);
void kpid_pane_mark(struct kpid_shard *shard, uint32_t measure, uint32_t list, struct kpid_pane *pane,
                    uint32_t position);
void kpid_lists_release(struct kpid_measure_state *m);

/* ladder.c */
/* Adds one sample at an instant to every rung that is complete there, for one grouping. False: no rung keeps that
 * instant any more. */
bool kpid_ladder_add(struct kpid_shard *shard, uint32_t measure, uint32_t grouping, uint32_t gid, int64_t ts_ms,
                     const struct kpid_sample *sample);
/* Calls visit for each pane that [from, to) is put together from; levels: base panes and everything before `to`. */
typedef void kpid_pane_visit(void *ctx, const struct kpid_pane *pane);
void kpid_ladder_collect(const struct kpid_measure_state *m, size_t grouping, size_t rung, int64_t from_ms,
                         int64_t to_ms, kpid_pane_visit *visit, void *ctx);
void kpid_ladder_collect_before(const struct kpid_measure_state *m, size_t grouping, size_t rung, int64_t to_ms,
                                kpid_pane_visit *visit, void *ctx);

/* ladder_advance.c */
/* Merges upward what no boundary needs apart, and releases what none needs. */
void kpid_ladder_advance(struct kpid_shard *shard, uint32_t measure, int64_t progress_ms, int64_t released_ms);
/* Frees the panes that lie below their rung's mark: a copy whose owner released them. */
void kpid_ladder_drop(struct kpid_shard *shard, uint32_t measure);

/* touch.c */
/* Notes that windows around this instant changed behind their final boundary. */
void kpid_ladder_touch(struct kpid_measure_state *m, int64_t ts_ms);
/* Notes one window; rung UINT16_MAX: everything from start_ms on. */
void kpid_touch_push(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms);
/* The same without a look at the others. */
void kpid_touch_put(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms);

/* keyed_table.c, keyed_apply.c, keyed_store.c: the keys of one keyed measure */
struct kpid_keys *kpid_keys_new(const struct kpid_measure *def);
void kpid_keys_free(struct kpid_keys *keys);
struct kpid_keyed_key {
    const char *bytes;
    size_t len;
    uint64_t hash; /* kpid_hash of them */
};
/* Takes what an event means to its key; false: the table or the key is full, and nothing changed. */
bool kpid_keys_take(struct kpid_shard *shard, uint32_t measure, const struct kpid_keyed_key *key,
                    const struct kpid_keyed_event *event) KPID_MUST_CHECK;
/* Two steps ahead of it, some work apart, so that a key is near when it is taken: where it would be indexed, and then
 * the key itself. */
void kpid_keys_prefetch(const struct kpid_keys *keys, uint64_t hash);
void kpid_keys_prefetch_block(const struct kpid_keys *keys, uint64_t hash);
/* Counts what time alone has brought about before until_ms. */
void kpid_keys_elapse(struct kpid_shard *shard, uint32_t measure, int64_t until_ms);
/* Releases what no event at or after before_ms can change. */
void kpid_keys_forget(struct kpid_shard *shard, uint32_t measure, int64_t before_ms);
/* Widens minima and maxima that were taken back; called before cells are read or stored. */
void kpid_keys_settle(struct kpid_shard *shard, uint32_t measure);
/* No later than the next instant at which time alone changes something; KPID_FOREVER. */
/* Whether something is open at an instant of which the age is asked; it changes with every boundary then. */
bool kpid_keys_aging(const struct kpid_keys *keys, int64_t at_ms);
/* Calls visit for each group and track of a grouping in which something is open at an instant. */
typedef void kpid_keys_aged(void *ctx, uint32_t gid, size_t track, int64_t age_ms);
void kpid_keys_ages(const struct kpid_keys *keys, uint32_t grouping, int64_t at_ms, kpid_keys_aged *visit, void *ctx);
int64_t kpid_keys_next_timer(const struct kpid_keys *keys);
uint64_t kpid_keys_count(const struct kpid_keys *keys);
size_t kpid_keys_bytes(const struct kpid_keys *keys);
/* Storage: packs dirty keys (or from *entry on, up to max_bytes, advancing it) as records of one page each. */
typedef void kpid_keys_emit(void *ctx, const char *bytes, size_t len);
void kpid_keys_pack_dirty(struct kpid_keys *keys, kpid_keys_emit *emit, void *ctx);
bool kpid_keys_pack_range(struct kpid_keys *keys, uint32_t *entry, size_t max_bytes, kpid_keys_emit *emit, void *ctx);
/* Reads one key. places[i]: where the i-th of its n stored group numbers belongs among the measure's groupings but the
 * total, SIZE_MAX: nowhere any more. */
bool kpid_keys_load(struct kpid_shard *shard, uint32_t measure, struct kpid_unpack *in, const size_t *places,
                    size_t n) KPID_MUST_CHECK;
void kpid_keys_loaded(struct kpid_shard *shard, uint32_t measure);
bool kpid_keys_are_loaded(const struct kpid_keys *keys);

#endif
