/*
 * What the events of one key mean: a pure function from their set, ordered by (ts, word), to outcomes. Nothing here
 * knows of panes or of the order of arrival; a correction is the difference between two results of this function.
 */
#ifndef KPID_ENGINE_CLOCK_RULES_H
#define KPID_ENGINE_CLOCK_RULES_H

#include "kpid/model.h"

struct kpid_clock_event {
    int64_t ts_ms;
    uint8_t word;      /* enum kpid_clock_word */
};

struct kpid_outcome {
    int64_t ts_ms;     /* the instant it counts at */
    int64_t value;     /* DURATION: ms */
    uint16_t event;    /* whose groups it counts for */
    uint8_t kind;      /* enum kpid_sample_kind */
    int8_t weight;
};

#define KPID_CLOCK_EVENTS_MAX 1024 /* a key; beyond it an event is refused */
/* Outcomes of n events never exceed this. */
#define KPID_OUTCOMES_MAX(n)  (4 * (n) + 4)

struct kpid_clock_result {
    size_t n;                /* outcomes */
    int64_t next_timer_ms;   /* the next instant at which a deadline or forgetting adds outcomes; KPID_FOREVER */
    uint32_t negatives;      /* results that would be negative and are dropped */
    uint32_t forgotten;      /* clocks that were still open when they were forgotten */
};

/*
 * events: ascending (ts, word), no equal pair. horizon_ms: deadlines and forgetting before it have happened. An open
 * clock that is forgotten leaves the levels at its last event + forget_after.
 */
void kpid_clock_outcomes(const struct kpid_clock_spec *spec, const struct kpid_clock_event *events, size_t n,
                         int64_t horizon_ms, struct kpid_outcome *ret, struct kpid_clock_result *result);

#endif
