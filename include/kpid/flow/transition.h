/* One step of an alert from a state to another. */
#ifndef KPID_FLOW_TRANSITION_H
#define KPID_FLOW_TRANSITION_H

#include "kpid/flow/snapshot.h"

enum kpid_alert_state {
    KPID_ALERT_OK, KPID_ALERT_PENDING, KPID_ALERT_FIRING, KPID_ALERT_RESOLVED, KPID_ALERT_NO_DATA,
    KPID_ALERT_SUPPRESSED, KPID_ALERT_STATES
};
const char *kpid_alert_state_name(enum kpid_alert_state state);

struct kpid_transition {
    uint64_t id;             /* hash(rule, KPI, window, group, since); 0 while there is none (ok, pending) */
    uint32_t kpi, rule;      /* indices */
    enum kpid_alert_state from, to;
    int64_t since_ms;        /* boundary at which the alert began (its condition was first met) */
    int64_t at_ms;           /* boundary of this step */
    const char *const *group;
    bool notify;             /* firing, resolved, no_data of a firing one: worth a notification */
    bool historic;           /* older than max_age: stored, not sent */
    struct kpid_number value;
    bool has_deviation;
    double expected, deviation;
    uint64_t samples;
    uint32_t reasons;
};

#endif
