/*
 * Which event time belongs to which wall time. History runs in a straight line from begin_ms to the wall
 * clock, which it meets `seconds` after the start; from then on both are the same. Pure.
 */
#ifndef KPID_GENERATE_PACE_H
#define KPID_GENERATE_PACE_H

#include <stdint.h>

enum kpid_phase { KPID_PHASE_HISTORY, KPID_PHASE_LIVE, KPID_PHASE_DONE };

struct kpid_pace {
    int64_t started_ms; /* wall */
    int64_t begin_ms;   /* event time at the start */
    int64_t meets_ms;   /* both, when they meet */
    int64_t ends_ms;    /* wall, INT64_MAX: never */
};

/* live_s: real time after the history; negative: without end. */
void kpid_pace_init(struct kpid_pace *pace, int64_t now_ms, double hours, double seconds, double live_s);
/* Event time up to which events may be sent at this wall time: at most now_ms. */
int64_t kpid_pace_target(const struct kpid_pace *pace, int64_t now_ms);
/* The phase when everything before event_ms has been sent. */
enum kpid_phase kpid_pace_phase(const struct kpid_pace *pace, int64_t event_ms);
/* As in the status: "history", "live", "done". */
const char *kpid_phase_name(enum kpid_phase phase);

#endif
