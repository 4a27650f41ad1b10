/*
 * One shard: a partition number of a source, its clocks, its measures' panes, its de-duplication marks, its ledger.
 * Pure: events and times go in, figures and packed state come out. Single-threaded. What is counted is a function of
 * the events of each topic-partition in their order and of the configuration alone.
 *
 * Panes form a ladder (model.h, struct kpid_rung). Rung 0 takes every event. Another rung holds, complete, what lies
 * before its `merged` instant; later panes exist on its parent only. An event before `merged` is added to the rung
 * directly, so each rung is always complete below its mark, and a window is put together from the coarsest rung as
 * far as that reaches and from finer ones beyond. kpid_shard_advance moves the marks and releases panes, never ahead
 * of the publisher's last final boundary.
 */
#ifndef KPID_SHARD_H
#define KPID_SHARD_H

#include "kpid/flow/event.h"
#include "kpid/flow/page.h"
#include "kpid/flow/record.h"
#include "kpid/model.h"

struct kpid_shard;

/* An empty shard. Borrows the model. Returns, free with _free. */
struct kpid_shard *kpid_shard_new(const struct kpid_model *model, uint32_t source, int32_t partition);
void kpid_shard_free(struct kpid_shard *shard);

/* ---- events ---- */

/*
 * Takes one decoded event of topic `record->topic` and says which class of the ledger it is in; for MALFORMED, LATE and
 * FUTURE *ret_reason is set and the outbox holds it. now_ms: the wall clock, KPID_NEVER under `clock: events`.
 * Offsets below the next one of that topic are not taken (kpid_shard_wants).
 */
enum kpid_class kpid_shard_take(struct kpid_shard *shard, const struct kpid_record *record,
                                const struct kpid_event *event, int64_t now_ms, enum kpid_reason *ret_reason);
/* Shows an event that may be taken soon, after the few that are taken before it: what it needs is brought near and
 * event->foresight filled, which spares taking it some work. Changes nothing that is counted (ahead.c). */
void kpid_shard_ahead(struct kpid_shard *shard, const struct kpid_record *record, struct kpid_event *event);
/* The same as _take for a record that the decoder refused. */
void kpid_shard_refuse(struct kpid_shard *shard, const struct kpid_record *record, enum kpid_reason reason);
bool kpid_shard_wants(const struct kpid_shard *shard, uint32_t topic, int64_t offset);
/* The offset to read next, -1: none was read yet. */
int64_t kpid_shard_next_offset(const struct kpid_shard *shard, uint32_t topic);

/* ---- the logs it is counted from (trail.c) ---- */

/* Where a topic that was never read begins. Only while next_offset is -1; it can be asked for ever after (-1: no such
 * beginning is known). */
void kpid_shard_begin(struct kpid_shard *shard, uint32_t topic, int64_t offset);
int64_t kpid_shard_began_at(const struct kpid_shard *shard, uint32_t topic);
/* The witness: kpid_record_hash of the record before next_offset. Another offset's is not taken. False: none. */
void kpid_shard_set_witness(struct kpid_shard *shard, uint32_t topic, int64_t offset, uint64_t hash);
bool kpid_shard_witness(const struct kpid_shard *shard, uint32_t topic, int64_t *ret_offset, uint64_t *ret_hash);
/* The log no longer has the witness, but the next offset lies within it. */
void kpid_shard_witness_gone(struct kpid_shard *shard, uint32_t topic);
/* Reading goes on at another offset. What lies between, if that is further on, is counted in the ledger as
 * lost_range; windows between the clock now and the first record after the gap carry the reason lost_range. */
void kpid_shard_jump(struct kpid_shard *shard, uint32_t topic, int64_t offset);
/* The state was lost and is counted again: until this offset is reached nothing is corrected that was final before,
 * and windows that begin before the highest event time of then carry the reason rebuilt. */
void kpid_shard_rebuild(struct kpid_shard *shard, uint32_t topic, int64_t to_offset);
/* The state fell back: readers have more than it holds. Until this offset is reached nothing is corrected either, but
 * nothing is missing afterwards, so that windows carry no reason. False: it is there, or on its way. */
bool kpid_shard_catch_up(struct kpid_shard *shard, uint32_t topic, int64_t to_offset);
/* The topic stands at its end: there is no more to count again. */
void kpid_shard_rebuild_end(struct kpid_shard *shard, uint32_t topic);
/* Whether something is counted again, after either. */
bool kpid_shard_rebuilding(const struct kpid_shard *shard);
/* How many partitions the source has. A change of it makes the source `repartitioned` until the longest horizon of
 * what depends on keys staying in their shard has passed. */
void kpid_shard_set_partitions(struct kpid_shard *shard, uint32_t n);
/* How many it had when it was first read (0: not known): those beyond are newer, and are read from their beginning. */
void kpid_shard_set_first_partitions(struct kpid_shard *shard, uint32_t n);
uint32_t kpid_shard_first_partitions(const struct kpid_shard *shard);

/* ---- time ---- */

/* Highest event time of a topic-partition, KPID_NEVER before its first event; its clock is that - out_of_order. */
int64_t kpid_shard_highest(const struct kpid_shard *shard, uint32_t topic);
/* Lowest clock of the topics that are not idle (idle: n_topics flags; NULL = none). KPID_NEVER: no clock yet.
 * *ret_idle: all are idle; the watermark is then the lowest clock of all that have one. */
int64_t kpid_shard_watermark(const struct kpid_shard *shard, const bool *idle, bool *ret_idle);
/* Earliest event time that was counted or filtered, KPID_NEVER: none. */
int64_t kpid_shard_first(const struct kpid_shard *shard);

/*
 * progress_ms[m] for each of the source's measures (order of plan->measures): every boundary of every KPI that reads it
 * is final up to here. released_ms: the source's watermark as committed everywhere; panes are released by it.
 */
void kpid_shard_advance(struct kpid_shard *shard, const int64_t *progress_ms, int64_t released_ms);
/* What time alone brings about before `until_ms` (deadlines, ends of sessions) is brought into the panes. Idempotent, monotone. */
void kpid_shard_elapse(struct kpid_shard *shard, int64_t until_ms);

/* ---- changes, for who evaluates ---- */

/* A counter that rises with every change of a measure's panes. */
uint64_t kpid_shard_version(const struct kpid_shard *shard, size_t measure_index);
/* The first instant > after_ms at which a figure of this measure can change without new events, for windows made of
 * panes of `slide_ms` and length `length_ms`: a pane that is not empty enters or leaves, a deadline passes, the source
 * falls silent. KPID_FOREVER: none. length_ms KPID_FOREVER: nothing leaves. */
int64_t kpid_shard_next_change(const struct kpid_shard *shard, size_t measure_index, int64_t after_ms,
                               int64_t slide_ms, int64_t length_ms);
/* The last instant >= after_ms at which every group that is known then is still known; KPID_FOREVER: none goes. */
int64_t kpid_shard_next_gone(const struct kpid_shard *shard, uint16_t grouping, int64_t after_ms);
/* End of the last pane with anything in it, KPID_NEVER: none. */
int64_t kpid_shard_last_content(const struct kpid_shard *shard);

/* Events before below_ms may correct what is final: they are noted as touches from now on. Until the first call all
 * are (a restored shard does not know how far readers have been told). */
void kpid_shard_watch(struct kpid_shard *shard, size_t measure_index, int64_t below_ms);
typedef void kpid_touched(void *ctx, size_t measure_index, uint16_t rung, int64_t start_ms, int64_t end_ms);
/* Windows behind their final boundary that were touched: calls `touch` for each [start, end) of a whole-length or
 * calendar rung; a measure with levels touches everything from `start` on: end = KPID_FOREVER. Those that were told
 * are told only `again`. */
void kpid_shard_touched(struct kpid_shard *shard, bool again, kpid_touched *touch, void *ctx);
/* Readers have what was told. Until then it is part of the state, so that a crash in between loses no correction. */
void kpid_shard_touched_clear(struct kpid_shard *shard);

/* ---- state ---- */

/* What changed since the last cut, as pages; or everything (`whole`). Fills *ret, which the caller owns. The state is
 * then clean: if the commit fails for good, the next must be whole. */
void kpid_shard_cut(struct kpid_shard *shard, bool whole, struct kpid_commit *ret);
/* Whether a cut would write anything but unchanged offsets. */
bool kpid_shard_dirty(const struct kpid_shard *shard);
/* Loads what was stored into a new shard: meta, then pages in ascending order of ids. State of measures whose
 * definition is gone is left out (the next cut is then whole); measures that the state does not know begin at the
 * highest event time. False: damaged, `why` is a static text; the shard must be freed. */
bool kpid_shard_load(struct kpid_shard *shard, const void *meta, size_t meta_len, const struct kpid_page *pages,
                     size_t n_pages, const char **why) KPID_MUST_CHECK;

/* The newest format that is read and written, and the one of stored bytes (0: they say none). */
unsigned kpid_state_format(void);
uint64_t kpid_meta_format(const void *meta, size_t meta_len);
/* In which format cuts are made from now on: that of what was loaded until this is called, the newest one in a new
 * shard. The nearest one that is written is taken. An older one than before makes the next cut whole, and due. */
void kpid_shard_set_format(struct kpid_shard *shard, unsigned format);
unsigned kpid_shard_format(const struct kpid_shard *shard);

/* ---- copies (copy.c): shards of other instances, as they commit them ---- */

/*
 * A copy takes no events and is never cut; time and advancing change nothing in it. It holds, for evaluation, what its
 * owner committed; a measure that the owner does not count gives the reason shards_missing.
 */
struct kpid_shard *kpid_shard_copy_new(const struct kpid_model *model, uint32_t source, int32_t partition);
/* Brings it to a commit: its meta, and of the pages that the meta names those that were not given before, in ascending
 * order. False: damaged, `why` is a static text; the copy must be freed. */
bool kpid_shard_follow(struct kpid_shard *shard, const void *meta, size_t meta_len, const struct kpid_page *pages,
                       size_t n_pages, const char **why) KPID_MUST_CHECK;
/* A copy that was loaded anew takes the place of another one of the same owner: what that one told stays told. */
void kpid_shard_copy_replaces(struct kpid_shard *shard, const struct kpid_shard *old);
/* Ids of the pages that a commit consists of but for marks of event ids, ascending; *ret is allocated. False: the meta can't be read. */
bool kpid_meta_pages(const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n) KPID_MUST_CHECK;
bool kpid_shard_is_copy(const struct kpid_shard *shard);
/* What time alone brings about is in the panes up to here. */
int64_t kpid_shard_elapsed(const struct kpid_shard *shard);
/* Events of this shard that come behind below_ms may correct what another instance makes final. */
void kpid_shard_watch_all(struct kpid_shard *shard, int64_t below_ms);
/* Whether there are corrections that readers may not have; _touched with a NULL callback only notes them as told. */
bool kpid_shard_has_touches(const struct kpid_shard *shard);

/* ---- outbox of dead letters ---- */

struct kpid_letter {
    uint32_t topic;
    int64_t offset;
    enum kpid_reason reason;
    uint64_t cut;    /* number of the cut that holds it, 0: not cut yet; it may be sent once that cut is committed */
};
size_t kpid_shard_letters(const struct kpid_shard *shard, const struct kpid_letter **ret); /* borrowed until a change */
void kpid_shard_letter_sent(struct kpid_shard *shard, uint32_t topic, int64_t offset);
bool kpid_shard_outbox_full(const struct kpid_shard *shard);
uint64_t kpid_shard_cuts(const struct kpid_shard *shard); /* number of the last cut */

/* ---- the ledger and other counters ---- */

struct kpid_ledger {
    uint64_t in, classes[KPID_CLASS_N], reasons[KPID_REASON_N];
    uint64_t no_id, rounded, type_mismatch, missed_windows;
    uint64_t lost_range;   /* offsets that the log no longer had when they were to be read: beside the equation */
    uint64_t witness_gone; /* times that reading went on without comparing the witness */
};
void kpid_shard_ledger(const struct kpid_shard *shard, uint32_t topic, struct kpid_ledger *ret);

struct kpid_shard_stats {
    uint64_t panes, cells, groups, groups_refused, other_events, keys, keys_forgotten, keys_refused,
        negatives, uncovered, undated, absent, dedup_marks, dedup_cut, state_bytes, log_bytes;
    int64_t dedup_horizon_ms;
};
void kpid_shard_stats(const struct kpid_shard *shard, struct kpid_shard_stats *ret);
/* One measure's cells, heap bytes and events that left it untouched for an absent field. */
void kpid_shard_measure_stats(const struct kpid_shard *shard, size_t measure_index, uint64_t *ret_cells,
                              uint64_t *ret_bytes, uint64_t *ret_absent);

/* ---- windows (gather.c) ---- */

/* Cells of one measure and grouping, merged over shards and panes, by group. */
struct kpid_gather;
struct kpid_gather *kpid_gather_new(void);
void kpid_gather_free(struct kpid_gather *gather);

struct kpid_gather_row {
    const char *const *group;  /* values, n of the grouping; NULL for the total */
    bool other;
    const void *cell;
};

/*
 * Gathers [start_ms, boundary_ms) from the shards of one source; `grouping` is an index into the source plan. Known
 * groups without events have a zeroed cell. Rows are ordered by group. Levels are as of boundary_ms.
 * *ret_reasons: KPID_QR bits (began_before_measure, other_group, dedup_cut). Rows are valid until the next call.
 */
size_t kpid_gather_window(struct kpid_gather *gather, struct kpid_shard *const *shards, size_t n_shards,
                          size_t measure_index, uint16_t grouping, int64_t start_ms, int64_t boundary_ms,
                          const struct kpid_gather_row **ret_rows, uint32_t *ret_reasons);
/*
 * Says that the next kpid_gather_window of this gather is one of a series: boundaries step_ms apart up to until_ms, of
 * windows of length_ms (KPID_FOREVER: all begin at the same instant), and no event is taken between them. Then a window
 * costs what is new in it, not all its panes; its rows are the same bit for bit. What is kept for that, a few MiB at the
 * most, goes with _forget, which must be called before shards are changed otherwise than by the passing of time.
 */
void kpid_gather_series(struct kpid_gather *gather, int64_t step_ms, int64_t length_ms, int64_t until_ms);
void kpid_gather_forget(struct kpid_gather *gather);
/* Groups that the shards still know, that were silent for group_ttl at the boundary and have no row in the last
 * kpid_gather_window of this gather: their packed values (length-prefixed, pack.h) and hash. One that lies in several
 * shards comes as often. */
typedef void kpid_gone(void *ctx, const char *values, size_t len, uint64_t hash);
void kpid_gather_gone(const struct kpid_gather *gather, struct kpid_shard *const *shards, size_t n_shards,
                      int64_t boundary_ms, kpid_gone *tell, void *ctx);
/* Whether that last window had a row of this group. */
bool kpid_gather_has(const struct kpid_gather *gather, const char *values, size_t len, uint64_t hash);
/* Whether the panes of [start_ms, boundary_ms) are all still kept, so that gathering it gives the whole of it. */
bool kpid_shards_keep(struct kpid_shard *const *shards, size_t n_shards, size_t measure_index, int64_t start_ms,
                      int64_t boundary_ms);
/* Whether the source had an event in (boundary - silent_ms, boundary]. */
bool kpid_shards_alive(struct kpid_shard *const *shards, size_t n_shards, int64_t boundary_ms, int64_t silent_ms);

#endif
