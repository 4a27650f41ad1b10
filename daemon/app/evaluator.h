/* What the files of the evaluator share. Private to app. */
#ifndef KPID_APP_EVALUATOR_H
#define KPID_APP_EVALUATOR_H

#include "kpid/evaluator.h"

/* Hashes of groups that are gone, and that was told. */
struct gone {
    uint64_t *at;      /* open addressing, 0: empty */
    size_t n, cap;
};

/* One window of one KPI on its way through event time. */
struct progress {
    int64_t final_ms;      /* every boundary up to here is final; KPID_NEVER: none yet */
    int64_t told_ms;       /* the same at the end of the last round: what readers have been told is corrected */
    int64_t judged_ms;     /* alerts were judged up to here before this evaluator: what is behind it is told again */
    int64_t last_final_ms; /* the last boundary that was evaluated as final */
    int64_t newest_ms;     /* boundary of the newest snapshot */
    uint64_t version;      /* of its measures, when the newest was worked out */
    uint64_t groups;       /* rows of the last evaluation */
    bool touched;          /* something was published this round */
    bool stale;            /* the newest was told to be */
    bool swept;            /* stored states of groups that are gone were looked for */
    struct gone gone;
};

/* Alerts and revisions by key: open addressing, keys owned. */
struct slot {
    char *key;
    uint32_t len;
    uint64_t hash;
    struct kpid_alert alert;
    uint64_t round;        /* in which its group was last seen */
};
struct slots {
    struct slot *at;
    size_t n, cap;
};

/* How one KPI's refs are read: which measure, in which place of its source, at which grouping. */
struct ref_plan {
    uint32_t source;
    size_t place;          /* in plan->measures */
    uint16_t grouping;     /* of the KPI's `by` in that source */
    size_t reader;         /* refs of the same measure and time share one */
    struct kpid_stretch stretch; /* what it reads in the evaluation at work */
};

struct kpi_plan {
    struct ref_plan *refs; /* n_refs + n_parts */
    size_t n_readers;
    bool *names_groups;    /* per reader: its rows are the KPI's groups; earlier windows name none beside others */
    struct progress *progress; /* n_windows */
    struct kpid_reading *readings;
    struct kpid_number *parts;
    struct kpid_rank *ranks; /* of the group at work; NULL: the KPI is no list of keys */
    size_t n_ranks;
    const void **cells;    /* n_refs: of the group at work */
    struct kpid_picks *picks; /* of each of the KPI's sketches: the groups of the window at work (sketch.c) */
};

struct reader_rows {
    const struct kpid_gather_row *rows;
    size_t n, at;
};

struct revision {
    uint32_t kpi, window;
    int64_t start_ms, end_ms;
    uint32_t number;
};

struct kpid_evaluator {
    const struct kpid_model *model;
    const struct kpid_sink *sink;
    void *ctx;
    struct kpi_plan *kpis;
    struct kpid_gather **gathers; /* two per reader: total, groups */
    struct reader_rows *rows;
    size_t n_gathers;
    struct slots alerts;
    struct revision *revisions;   /* numbers given so far, ascending (kpi, window, start) */
    size_t n_revisions, cap_revisions;
    struct revision *touched;     /* of this round */
    size_t n_touched, cap_touched;
    int64_t *released_ms;         /* of each source, in the last round; KPID_NEVER: there was none */
    int64_t *wants_ms;            /* of each source, in the last round: kpid_evaluator_wants */
    bool *corrects;               /* of each source, in the last round: kpid_evaluator_corrects */
    bool *corrected;              /* of each source: corrections were told since the last advance */
    struct kpid_buf key, bytes;
    uint64_t round;
    bool doubt;                   /* what is final may be ahead of the shards: kpid_doubt_settle */
    struct kpid_evaluator_stats stats;
    /* of the round at work */
    const struct kpid_evaluator_source *sources;
    int64_t now_ms;
    size_t budget;
};

/* What one evaluation is for. */
struct occasion {
    uint32_t kpi, window;
    int64_t start_ms, end_ms, boundary_ms;
    bool final, stale;
    uint32_t revision;
    bool judge;            /* alerts are judged, from boundary_ms to last_ms in steps */
    bool again;            /* they were, but readers may not have the figures */
    int64_t last_ms, step_ms;
    int64_t length_ms, until_ms; /* one of a series up to until_ms (kpid_gather_series); length_ms 0: it is not */
    unsigned places;
    void (*visit)(void *ctx, const struct kpid_snapshot *snapshot); /* instead of the sink */
    void *visit_ctx;
};

/* occasion.c */
void kpid_occasion_run(struct kpid_evaluator *ev, const struct occasion *occasion);
int64_t kpid_kpi_watermark(const struct kpid_evaluator *ev, uint32_t kpi);
/* A boundary that is about to be looked at: as far as copies allow, which their owners are to be told. */
int64_t kpid_kpi_reach(struct kpid_evaluator *ev, uint32_t kpi, int64_t boundary_ms);
/* What a ref of the KPI reads of a window, or of one before it. */
struct kpid_stretch kpid_stretch_of(const struct kpid_kpi *kpi, uint32_t window, size_t ref, struct kpid_stretch of);
/* How far behind `of` the ref's own boundary lies while the window stays the same. */
int64_t kpid_ref_back(const struct kpid_kpi *kpi, uint32_t window, size_t ref, struct kpid_stretch of);
/* sketch.c: what is published beside a window's snapshots for Redis' own commands. Each snapshot is taken between _begin
 * and _end; those of groups go out at the end. */
void kpid_sketches_begin(struct kpid_evaluator *ev, const struct occasion *occasion);
void kpid_sketches_take(struct kpid_evaluator *ev, const struct occasion *occasion, const struct kpid_snapshot *snapshot);
void kpid_sketches_end(struct kpid_evaluator *ev, const struct occasion *occasion);
void kpid_sketches_release(struct kpid_evaluator *ev, uint32_t kpi);
/* judge.c */
void kpid_judge(struct kpid_evaluator *ev, const struct occasion *occasion, const struct kpid_snapshot *snapshot);
void kpid_judge_end(struct kpid_evaluator *ev, const struct occasion *occasion, const char *const *group);
void kpid_judge_sweep(struct kpid_evaluator *ev, const struct occasion *occasion);
void kpid_judge_release(struct kpid_evaluator *ev);
struct slot *kpid_slot_find(const struct slots *slots, const char *key, size_t len); /* NULL: none */
/* Hands steps to the sink, marks those that are historic, and then the state. */
void kpid_judge_tell(struct kpid_evaluator *ev, uint32_t kpi, struct slot *slot, struct kpid_transition *steps, size_t n);
/* gone.c */
void kpid_gone_find(struct kpid_evaluator *ev, const struct occasion *occasion);
/* revise.c */
void kpid_revise(struct kpid_evaluator *ev);
/* Whether all panes are kept that this window of the KPI is put together from, those of earlier ones included. */
bool kpid_window_kept(const struct kpid_evaluator *ev, uint32_t kpi, uint32_t window, int64_t start_ms, int64_t end_ms);
void kpid_revisions_again(struct kpid_evaluator *ev);
uint32_t kpid_revision_of(const struct kpid_evaluator *ev, uint32_t kpi, uint32_t window, int64_t start_ms);
void kpid_revision_load(struct kpid_evaluator *ev, const char *key, size_t len, const void *bytes, size_t n);
/* judge_again.c: what is known of alerts is stored again, and what they went through since `other`, which is what Redis
 * still has, is told again under their old ids; those that `other` knows and ev does not are deleted. */
void kpid_alerts_again(struct kpid_evaluator *ev, const struct kpid_evaluator *other);
/* again.c: once all shards are there, what is final goes back to where they are. */
void kpid_doubt_settle(struct kpid_evaluator *ev);
/* finals.c */
bool kpid_finals(struct kpid_evaluator *ev, uint32_t kpi, uint32_t window, bool end_of_input);
/* Earliest and latest event time of the KPI's sources; KPID_FOREVER and KPID_NEVER: none. */
void kpid_span_of(const struct kpid_evaluator *ev, uint32_t kpi, int64_t *ret_first, int64_t *ret_last);
int64_t kpid_after_multiple(int64_t t_ms, int64_t step_ms);

#endif
