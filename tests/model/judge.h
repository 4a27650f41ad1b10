/*
 * Compares what the engine and the evaluator publish with the naive model: every figure of every group as it comes, the
 * groups that are there, and, when a window can't be corrected any more, whether its last publication still holds. What
 * windows said last is kept, so that two interleavings can be compared bit for bit.
 */
#ifndef KPID_MODEL_JUDGE_H
#define KPID_MODEL_JUDGE_H

#include "kpid/evaluate.h"
#include "kpid/evaluator.h"
#include "naive.h"

enum { FAULTS_SHOWN = 20, REFS_MAX = 32, PLACES_MAX = 40 };

struct saying {             /* what a window said last */
    uint64_t hash;
    int64_t start_ms, end_ms;
    uint32_t kpi, window, revision, crashes;
    bool used;
};

struct judge {
    struct naive *naive;
    const struct kpid_model *model;
    struct random random;
    const char *label;      /* of the run, for reports */
    int share;              /* one of so many windows is compared as it comes; 0: each */
    uint64_t faults, silent, snapshots, figures, windows, passed_over; /* silent: faults that were not shown */
    uint64_t shown[FAULTS_SHOWN]; /* KPI and part of faults that were shown */
    struct saying *sayings; /* open addressing */
    size_t n_sayings, cap_sayings;
    /* the occasion at work: one KPI, window and boundary */
    bool on, checks;
    uint32_t crashes;       /* so far: what a round told may be taken back and told again under the same number */
    struct kpid_snapshot head;
    unsigned places, by;
    enum measure measures[PLACES_MAX]; /* each followed by its tracks */
    struct kpid_shift shifts[PLACES_MAX];     /* how much earlier they are looked at, */
    struct kpid_stretch stretches[PLACES_MAX]; /* and which window that is */
    bool names_groups[PLACES_MAX];    /* its groups are the KPI's: of the earlier ones only if there are no others */
    size_t n_measures;
    struct naive_window *totals, *groups; /* one a measure and track */
    bool seen[ROWS];
    uint64_t hash;
    /* keys of lists that are estimates: listed, beyond the bound; such that must be there, that are not */
    uint64_t listed, beyond, heavy, missing;
};

void judge_init(struct judge *judge, struct naive *naive, uint64_t seed, const char *label);
void judge_release(struct judge *judge);

/* A snapshot as the sink gets it; the total comes first. judge_flush ends the last occasion. */
void judge_snapshot(struct judge *judge, const struct kpid_snapshot *snapshot, unsigned places);
void judge_flush(struct judge *judge);
/* Looks at a window as it stands and compares it with the model and, if it was published, with what it said last. */
void judge_window(struct judge *judge, struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *views,
                  uint32_t kpi, uint32_t window, int64_t start_ms, int64_t end_ms, int64_t boundary_ms);
/* Compares what the windows of two runs said last. */
void judge_compare(struct judge *a, const struct judge *b);
/* Something else that is wrong. */
void judge_fault(struct judge *judge, const char *format, ...) KPID_PRINTF(2, 3);

/* Looks at the list of heaviest keys of a snapshot (ranks.c). Returns what is wrong with it, NULL: nothing. */
const char *judge_ranks(struct judge *judge, const struct kpid_snapshot *snapshot, const struct naive_window *window,
                        unsigned row);
/* At the end: whether lists kept to their bounds as often as they must. */
void judge_ranks_end(struct judge *judge);

/* ---- figures (figure.c) ---- */

struct figure {
    enum { FIGURE_NOTHING, FIGURE_EXACT, FIGURE_ABOUT } kind;
    wide millionths;        /* EXACT */
    double low, high;       /* in the published unit; EXACT: both the same */
};

/* What a part ("", "p90") should say of a cell; windows of all tracks of funnels and retention follow each other. */
struct figure figure_of(const struct naive_window *window, unsigned row, const char *part, bool alive);
/* What the formula should say, given its refs' figures. */
struct figure figure_formula(const struct kpid_kpi *kpi, const struct figure *refs);
bool figure_fits(const struct figure *figure, const struct kpid_number *number);
void figure_print(const struct figure *figure, struct kpid_buf *out);
void figure_print_number(const struct kpid_number *number, struct kpid_buf *out);

#endif
