/*
 * What was sent so far, and the file and the lines that tell it. The file is one JSON object, replaced as a
 * whole.
 */
#ifndef KPID_GENERATE_STATUS_H
#define KPID_GENERATE_STATUS_H

#include "event.h"
#include "pace.h"

#include <stdbool.h>

struct kpid_status {
    enum kpid_phase phase;
    int64_t begin_ms, event_ms;               /* event time */
    int64_t incident_from_ms, incident_to_ms; /* equal: none */
    uint64_t sent, topics[KPID_TOPICS], manners[KPID_MANNERS], flawed, failed;
};

/* Counts one event. */
void kpid_status_count(struct kpid_status *status, const struct kpid_shop_event *event);
/* Writes the text into the file by way of a file beside it. False: said why. */
bool kpid_file_replace(const char *path, const char *text);
/* Replaces the status file. False: said why. */
bool kpid_status_write(const struct kpid_status *status, const char *path);
/* One line on standard error. */
void kpid_status_say(const struct kpid_status *status);

#endif
