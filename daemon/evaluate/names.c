/* Names of states as readers see them. */
#include <assert.h>

#include "kpid/flow/transition.h"

const char *kpid_quality_name(enum kpid_quality quality)
{
    static const char *const names[KPID_QUALITY_N] = {
        [KPID_QUALITY_OK] = "ok",           [KPID_QUALITY_PROVISIONAL] = "provisional",
        [KPID_QUALITY_PARTIAL] = "partial", [KPID_QUALITY_STALE] = "stale",
        [KPID_QUALITY_NO_DATA] = "no_data", [KPID_QUALITY_INSUFFICIENT] = "insufficient",
    };
    assert((unsigned)quality < KPID_QUALITY_N);
    return names[quality];
}

const char *kpid_quality_reason_name(unsigned bit)
{
#define NAME(id, name) name,
    static const char *const names[KPID_QR_N] = {KPID_QUALITY_REASONS(NAME)};
#undef NAME
    assert(bit < KPID_QR_N);
    return names[bit];
}

const char *kpid_status_name(enum kpid_status status)
{
    static const char *const names[] = {
        [KPID_STATUS_NONE] = "none",
        [KPID_STATUS_OK] = "ok",
        [KPID_STATUS_WARN] = "warn",
        [KPID_STATUS_CRIT] = "crit",
    };
    assert((unsigned)status < KPID_COUNT_OF(names));
    return names[status];
}

const char *kpid_alert_state_name(enum kpid_alert_state state)
{
    static const char *const names[KPID_ALERT_STATES] = {
        [KPID_ALERT_OK] = "ok",           [KPID_ALERT_PENDING] = "pending",
        [KPID_ALERT_FIRING] = "firing",   [KPID_ALERT_RESOLVED] = "resolved",
        [KPID_ALERT_NO_DATA] = "no_data", [KPID_ALERT_SUPPRESSED] = "suppressed",
    };
    assert((unsigned)state < KPID_ALERT_STATES);
    return names[state];
}
