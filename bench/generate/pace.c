#include "pace.h"

void kpid_pace_init(struct kpid_pace *pace, int64_t now_ms, double hours, double seconds, double live_s)
{
    pace->started_ms = now_ms;
    pace->begin_ms = now_ms - (int64_t)(hours * 3600e3);
    pace->meets_ms = now_ms + (int64_t)(seconds * 1e3);
    pace->ends_ms = live_s < 0 ? INT64_MAX : pace->meets_ms + (int64_t)(live_s * 1e3);
}

int64_t kpid_pace_target(const struct kpid_pace *pace, int64_t now_ms)
{
    if (now_ms >= pace->meets_ms)
        return now_ms < pace->ends_ms ? now_ms : pace->ends_ms;
    if (now_ms <= pace->started_ms)
        return now_ms < pace->begin_ms ? now_ms : pace->begin_ms;
    double part = (double)(now_ms - pace->started_ms) / (double)(pace->meets_ms - pace->started_ms);
    return pace->begin_ms + (int64_t)(part * (double)(pace->meets_ms - pace->begin_ms));
}

enum kpid_phase kpid_pace_phase(const struct kpid_pace *pace, int64_t event_ms)
{
    if (event_ms >= pace->ends_ms)
        return KPID_PHASE_DONE;
    return event_ms >= pace->meets_ms ? KPID_PHASE_LIVE : KPID_PHASE_HISTORY;
}

const char *kpid_phase_name(enum kpid_phase phase)
{
    static const char *const names[] = {"history", "live", "done"};
    return names[phase];
}
