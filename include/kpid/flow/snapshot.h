/*
 * The value of one KPI, one window, one group at one boundary, with its quality. Strings and arrays are borrowed from
 * who made the snapshot and live until its round is published.
 */
#ifndef KPID_FLOW_SNAPSHOT_H
#define KPID_FLOW_SNAPSHOT_H

#include "kpid/flow/number.h"
#include "kpid/macros.h"

enum kpid_quality {
    KPID_QUALITY_OK,
    KPID_QUALITY_PROVISIONAL,  /* the watermark has not passed the boundary */
    KPID_QUALITY_PARTIAL,      /* parts are missing: not final, not judged */
    KPID_QUALITY_STALE,        /* (live) the newest snapshot, and nothing moves */
    KPID_QUALITY_NO_DATA,
    KPID_QUALITY_INSUFFICIENT, /* fewer samples than a rule asks for */
    KPID_QUALITY_N
};

/* Reasons, as bits. Those of KPID_QR_PARTIAL make a snapshot partial. Append only. */
#define KPID_QUALITY_REASONS(X) \
    X(SHARDS_MISSING, "shards_missing") X(BEGAN_BEFORE_MEASURE, "began_before_measure") \
    X(OTHER_GROUP, "other_group") X(DEDUP_CUT, "dedup_cut") X(MISROUTED, "misrouted") \
    X(REPARTITIONED, "repartitioned") X(LOST_RANGE, "lost_range") X(REBUILT, "rebuilt") \
    X(OVERFLOW, "overflow") X(SOURCE_SILENT, "source_silent") X(DIVISION, "division_by_zero") \
    X(NOT_KEPT, "not_kept") /* panes of an earlier window went before anything looked back so far */

enum kpid_quality_reason {
#define KPID_QR_ENUM(id, name) KPID_QR_BIT_##id,
    KPID_QUALITY_REASONS(KPID_QR_ENUM)
#undef KPID_QR_ENUM
    KPID_QR_N
};
#define KPID_QR(id) (1u << KPID_QR_BIT_##id)
#define KPID_QR_PARTIAL (KPID_QR(SHARDS_MISSING) | KPID_QR(BEGAN_BEFORE_MEASURE) | KPID_QR(NOT_KEPT))

enum kpid_status { KPID_STATUS_NONE /* no target, no rule or no data */, KPID_STATUS_OK, KPID_STATUS_WARN, KPID_STATUS_CRIT };

struct kpid_snapshot {
    uint32_t kpi, window;          /* indices */
    const char *const *group;      /* n_by values; NULL: the total. "" = absent */
    bool other;                    /* the group __other__ */
    int64_t start_ms, end_ms;      /* of the window: [start, end) */
    int64_t boundary_ms;           /* evaluated on the events before it; < end_ms for an open calendar window */
    struct kpid_number value, numerator, denominator; /* base units; NONE where they do not apply */
    uint64_t samples;
    const struct kpid_number *parts; /* kpi->n_parts */
    const struct kpid_rank *ranks; /* NULL: the KPI is no list of keys */
    size_t n_ranks;
    bool final;
    uint32_t revision;
    bool has_target;
    double target_low, target_high, expected; /* expected: the target, or the edge of a band that was left */
    bool has_deviation;
    double deviation;              /* negative is bad */
    enum kpid_status status;
    enum kpid_quality quality;
    uint32_t reasons;              /* KPID_QR bits */
    double variance;               /* of one observation of the value, negative: not known (means only) */
    int64_t watermark_ms;
};

const char *kpid_quality_name(enum kpid_quality quality);
const char *kpid_quality_reason_name(unsigned bit); /* bit number */
const char *kpid_status_name(enum kpid_status status);

#endif
