/*
 * Pure evaluation: readings of measures -> the value of a KPI with quality, target, deviation and status; snapshots ->
 * alert states. No I/O, no clock; event time is an argument.
 */
#ifndef KPID_EVALUATE_H
#define KPID_EVALUATE_H

#include "kpid/flow/transition.h"
#include "kpid/model.h"
#include "kpid/pack.h"

/* One ref of a KPI (kpid_kpi.refs) read for one group and window. */
struct kpid_reading {
    struct kpid_number value; /* what the cell says; of an empty cell: 0 for counts and sums, NONE for others */
    uint64_t samples;
    double variance;          /* of one observation; negative: not known */
    uint8_t figure;           /* enum kpid_figure */
    bool alive;               /* the measure's source had an event lately (SEMANTICS 5: silent_after) */
};

/* What is known of window and boundary beside the readings. */
struct kpid_instant {
    int64_t start_ms, end_ms, boundary_ms, watermark_ms;
    bool final;
    uint32_t revision;
    uint32_t reasons;         /* KPID_QR bits found by the engine */
};

/* A window as far as it is looked at: [start, boundary) of [start, end). */
struct kpid_stretch {
    int64_t start_ms, end_ms, boundary_ms;
};

/* The same stretch of the window that lies `shift` earlier. An open calendar window (boundary < end) leads to as much
 * of the earlier period as has passed of itself, at most all of it; a closed one to all of it. `all` keeps its start. */
struct kpid_stretch kpid_window_earlier(const struct kpid_window *window, struct kpid_shift shift,
                                        struct kpid_stretch of);

/*
 * Works out value, numerator, denominator, samples, parts, target, expected, deviation, status and quality.
 * `readings`: n_refs + n_parts, in the order of kpi->refs. `parts`: room for kpi->n_parts, borrowed by *ret.
 * `group`: n_by values or NULL for the total, borrowed by *ret. + - and multiplication by integers of exact figures
 * stay exact; everything else is a double. A COUNT, SUM or DISTINCT of nothing is 0 while its source is alive, else no
 * data; other figures of nothing, a ratio with nothing or zero below it, are no data. INSTANT figures always hold.
 */
void kpid_evaluate(const struct kpid_model *model, uint32_t kpi, uint32_t window, const struct kpid_reading *readings,
                   const struct kpid_instant *instant, const char *const *group, struct kpid_number *parts,
                   struct kpid_snapshot *ret);

/* The row of the target table that holds for this group, window and time (NULL: none), and the first boundary after
 * `boundary_ms` at which another row may hold (KPID_FOREVER: never), when the window's start moves along with it; never
 * too late, at times too early. Runs of boundaries judged in one step end before it. */
const struct kpid_target_row *kpid_target_find(const struct kpid_kpi *kpi, uint32_t window, const char *const *group,
                                               int64_t start_ms, int64_t boundary_ms);
int64_t kpid_target_next_change(const struct kpid_kpi *kpi, int64_t start_ms, int64_t boundary_ms);

/* ---- alerts ---- */

/* The state machine of one (rule, group). A zeroed struct with all times KPID_NEVER is the state ok:
 * kpid_alert_init. Packed to bytes for the store. */
struct kpid_alert {
    uint8_t state;            /* enum kpid_alert_state */
    uint8_t held;             /* while suppressed or no_data: the state to go back to (firing stays firing) */
    uint8_t told;             /* last notified state: firing, no_data, or ok = nothing open at the receiver */
    int64_t since_ms;         /* of the current alert (pending, firing, resolved), KPID_NEVER: none */
    int64_t judged_ms;        /* last boundary that went through kpid_alert_judge */
    int64_t data_ms;          /* last boundary with data, for no_data; without any: the first boundary */
    uint64_t id;
};

void kpid_alert_init(struct kpid_alert *alert);
void kpid_alert_pack(const struct kpid_alert *alert, struct kpid_buf *out);
bool kpid_alert_unpack(struct kpid_alert *ret, struct kpid_unpack *in) KPID_MUST_CHECK;

/* Outside conditions of one judgement. */
struct kpid_judgement {
    int64_t last_ms;          /* the snapshot holds, unchanged, at every boundary from snapshot->boundary_ms to this */
    int64_t step_ms;          /* distance of boundaries; not read where last_ms is the snapshot's boundary */
    bool while_firing;        /* one of the rule's while_firing alerts fires */
};

#define KPID_TRANSITIONS_MAX 8

/*
 * Judges a run of boundaries in one step, with the same result as judging each. Boundaries up to alert->judged_ms are
 * passed over (a restart judges nothing twice). Not judged: not final (for open calendar windows: `final` says that
 * the boundary is), partial, no data, insufficient; missing data never resolves an alert.
 * Returns the number of transitions written to `ret` (group, kpi and rule filled in; historic left false). A full
 * array may mean that the run is not at its end: call again with the same arguments until fewer come back.
 */
size_t kpid_alert_judge(const struct kpid_model *model, uint32_t kpi, uint32_t rule, struct kpid_alert *alert,
                        const struct kpid_snapshot *snapshot, const struct kpid_judgement *judgement,
                        struct kpid_transition ret[KPID_TRANSITIONS_MAX]);

/* The group is gone (group_ttl): an alert of it (pending, firing, suppressed) ends as no_data, with nothing held. */
size_t kpid_alert_end(const struct kpid_model *model, uint32_t kpi, uint32_t rule, struct kpid_alert *alert,
                      const char *const *group, int64_t boundary_ms, struct kpid_transition ret[KPID_TRANSITIONS_MAX]);

/* Whether a snapshot's deviation from its target could be chance at the rule's confidence: Wilson interval for ratios
 * of counts or distincts with numerator <= denominator (two Poisson counts above), Poisson for counts, normal for
 * means. True: it is significant (or the rule has no confidence). */
bool kpid_confident(const struct kpid_model *model, const struct kpid_kpi *kpi, const struct kpid_rule *rule,
                    const struct kpid_snapshot *snapshot);

/* Field of a group in Redis and stored states: values joined by '|', each percent-encoded (REDIS.md: '%', '|', '@',
 * control bytes, and '*' or '_' where it comes first); the total: "*"; __other__ stays itself. Appends. */
void kpid_group_field(struct kpid_buf *buf, const char *const *group, size_t n_by, bool other);
/* The way back: fills group[n_by] with values that lie in `bytes`. False: not a field of n_by values. */
bool kpid_group_parse(const char *field, size_t len, size_t n_by, struct kpid_buf *bytes,
                      const char **group) KPID_MUST_CHECK;

#endif
