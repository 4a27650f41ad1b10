/*
 * Drives evaluation in event time: which boundaries of which KPIs and windows have become final, which windows were
 * corrected by late events, what is provisional. It reads shards, keeps the progress of every window and the states of
 * alerts, and hands what it finds to a sink. No I/O and no clock: watermarks are arguments. The daemon, kpictl replay
 * and the scenario tests run this same code.
 */
#ifndef KPID_EVALUATOR_H
#define KPID_EVALUATOR_H

#include "kpid/evaluate.h"
#include "kpid/publish.h"
#include "kpid/shard.h"

struct kpid_evaluator;

/* Where findings go. Everything is borrowed for the call. A member may be NULL. */
struct kpid_sink {
    void (*snapshot)(void *ctx, const struct kpid_snapshot *snapshot, unsigned places); /* KPID_PLACE bits */
    void (*transition)(void *ctx, const struct kpid_transition *transition);
    void (*state)(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len);
    void (*state_delete)(void *ctx, const char *key, size_t key_len);
    void (*final)(void *ctx, uint32_t kpi, uint32_t window, int64_t progress_ms);
    void (*group_delete)(void *ctx, uint32_t kpi, uint32_t window, const char *const *group);
    /* A measure's cell for Redis' own commands, of a window that kpi:win keeps: the total's before its snapshot, those of
     * the history_groups largest groups behind all snapshots of the window. Of the snapshot only window, group and samples
     * are set then. NULL: in a window that readers may have already, the group is none of the largest. */
    void (*sketch)(void *ctx, uint32_t kpi, const struct kpid_sketch *sketch, const struct kpid_snapshot *snapshot,
                   const void *cell);
    void (*meta)(void *ctx, uint32_t kpi, uint32_t window, int64_t watermark_ms); /* once a round for what changed */
};

/* One source as the round sees it. */
struct kpid_evaluator_source {
    struct kpid_shard **shards;  /* owned by this instance and restored, then copies of others' */
    size_t n_shards;
    size_t n_partitions;         /* that the source has; more than n_shards: shards_missing */
    int64_t publish_ms;          /* watermark by which boundaries become final, KPID_NEVER: none */
    int64_t released_ms;         /* watermark by which panes are merged and released, KPID_NEVER: none */
    uint32_t reasons;            /* KPID_QR bits that hold for the whole source */
    bool stale;                  /* (live) nothing moves: marks the newest snapshots, never a final */
    bool lagging;                /* owners of some shards are away: the newest windows go by newest_ms, and are partial */
    int64_t newest_ms;           /* watermark of the others; read only while lagging */
};

/* Borrows model and sink. Returns, free with _free. */
struct kpid_evaluator *kpid_evaluator_new(const struct kpid_model *model, const struct kpid_sink *sink, void *ctx);
void kpid_evaluator_free(struct kpid_evaluator *evaluator);

/* What was stored, before the first round; unknown keys (another configuration's) are passed over. */
void kpid_evaluator_load_state(struct kpid_evaluator *evaluator, const char *key, size_t key_len, const void *bytes,
                               size_t len);
/* Final, and judged, up to progress_ms; readers are known to have the figures up to told_ms: the rest is told again. */
void kpid_evaluator_load_final(struct kpid_evaluator *evaluator, const char *key, size_t key_len, int64_t progress_ms,
                               int64_t told_ms);
/* Redis may have lost a part of the shards' states, but not of what was loaded: what is final beyond the shards, once all
 * of them are there, is told again as they catch up. */
void kpid_evaluator_doubt(struct kpid_evaluator *evaluator);
/* Whether some of that is still to be told. */
bool kpid_evaluator_telling(const struct kpid_evaluator *evaluator);

/*
 * One round over the sources (model->n_sources of them): finals in order, at most `budget` evaluations, then revisions,
 * then (`provisional`) the newest windows of what changed. end_of_input: under `clock: events`, everything up to the
 * end of the last window with anything in it is final. max_age: transitions further behind now_ms than their source's
 * max_age are historic; now_ms KPID_NEVER: none is. Returns true if finals are left for another round.
 */
bool kpid_evaluator_run(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources,
                        bool end_of_input, bool provisional, size_t budget, int64_t now_ms);

/* After a round's findings are safe: brings the shards' panes forward to what is final. */
void kpid_evaluator_advance(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources);

/* The same for the shards of an instance that does not publish: by finals that were loaded, and corrections stay. */
void kpid_evaluator_follow(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources);

/* Events behind what is final are corrections from now on, which shards note (a round says so by itself). */
void kpid_evaluator_watch(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources);

/* Up to where this source's owners must have brought time forward (kpid_shard_elapse) for copies to be evaluated at the
 * boundaries that the last round came to; KPID_NEVER: nothing of it hangs on time alone. */
int64_t kpid_evaluator_wants(const struct kpid_evaluator *evaluator, uint32_t source);
/* Whether the last round looked at what this source's shards noted as corrections. While shards are missing or count again
 * it does not, and their owners must keep the notes. */
bool kpid_evaluator_corrects(const struct kpid_evaluator *evaluator, uint32_t source);

/* Redis lost what this evaluator had told, and nobody else told anything meanwhile: tells all of it again that can
 * still be told, states, finals, kept windows, before the next round. `stored`: an evaluator that loaded what Redis
 * still has; borrowed. NULL: only figures were lost, states and alerts are what this one has loaded. */
void kpid_evaluator_again(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources,
                          const struct kpid_evaluator *stored);

/* Boundaries by which this source's watermark is ahead of the slowest window that reads it (for max_pending). */
uint64_t kpid_evaluator_pending(const struct kpid_evaluator *evaluator, uint32_t source, int64_t watermark_ms);
int64_t kpid_evaluator_progress(const struct kpid_evaluator *evaluator, uint32_t kpi, uint32_t window);

struct kpid_evaluator_stats {
    uint64_t evaluations, finals, revisions, skipped_runs, alerts_firing, alerts_pending;
};
void kpid_evaluator_stats(const struct kpid_evaluator *evaluator, struct kpid_evaluator_stats *ret);

/* Reads one window of a KPI as it stands, without judging or remembering anything: kpictl and tests. `visit` gets the
 * total, then each group. */
void kpid_evaluator_peek(struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *sources, uint32_t kpi,
                         uint32_t window, int64_t start_ms, int64_t end_ms, int64_t boundary_ms,
                         void (*visit)(void *ctx, const struct kpid_snapshot *snapshot), void *ctx);

#endif
