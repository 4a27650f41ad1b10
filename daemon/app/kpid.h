/* What main needs of the daemon. Private to app. */
#ifndef KPID_APP_KPID_H
#define KPID_APP_KPID_H

#include "kpid/lookup.h"

/* Runs with this model and its look-ups (both taken) until a signal ends it. Returns the exit code. */
int kpid_daemon_run(const char *path, struct kpid_model *model, struct kpid_lookups *lookups);

#endif
