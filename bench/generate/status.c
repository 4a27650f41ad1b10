#include "status.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void kpid_status_count(struct kpid_status *status, const struct kpid_shop_event *event)
{
    status->sent++;
    status->topics[kpid_event_topic(event->type)]++;
    status->manners[event->manner]++;
    status->flawed += event->flaw != KPID_FLAW_NONE;
}

static bool fault(const char *path)
{
    fprintf(stderr, "kpid-generate: %s: %s\n", path, strerror(errno));
    return false;
}

bool kpid_file_replace(const char *path, const char *text)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof beside) {
        errno = ENAMETOOLONG;
        return fault(path);
    }
    FILE *file = fopen(beside, "we");
    if (file == NULL)
        return fault(beside);
    bool good = fputs(text, file) >= 0;
    good = fclose(file) == 0 && good;
    if (!good || rename(beside, path) != 0)
        return fault(path);
    return true;
}

bool kpid_status_write(const struct kpid_status *status, const char *path)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"phase\":\"%s\",\"begin_ms\":%lld,\"event_ms\":%lld,"
             "\"incident_from_ms\":%lld,\"incident_to_ms\":%lld,\"sent\":%llu,"
             "\"orders\":%llu,\"users\":%llu,\"service\":%llu,"
             "\"repeated\":%llu,\"behind\":%llu,\"late\":%llu,\"flawed\":%llu,\"failed\":%llu}\n",
             kpid_phase_name(status->phase), (long long)status->begin_ms, (long long)status->event_ms,
             (long long)status->incident_from_ms, (long long)status->incident_to_ms,
             (unsigned long long)status->sent, (unsigned long long)status->topics[KPID_TOPIC_ORDERS],
             (unsigned long long)status->topics[KPID_TOPIC_USERS],
             (unsigned long long)status->topics[KPID_TOPIC_SERVICE],
             (unsigned long long)status->manners[KPID_MANNER_REPEAT],
             (unsigned long long)status->manners[KPID_MANNER_BEHIND],
             (unsigned long long)status->manners[KPID_MANNER_LATE], (unsigned long long)status->flawed,
             (unsigned long long)status->failed);
    return kpid_file_replace(path, text);
}

void kpid_status_say(const struct kpid_status *status)
{
    char clock[32];
    time_t seconds = (time_t)(status->event_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    strftime(clock, sizeof clock, "%F %T", &local);
    fprintf(stderr, "kpid-generate: %s, event time %s, %llu events\n", kpid_phase_name(status->phase), clock,
            (unsigned long long)status->sent);
}
