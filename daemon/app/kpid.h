/* What main needs of the daemon. Private to app. */
#ifndef KPID_APP_KPID_H
#define KPID_APP_KPID_H

#include "kpid/lookup.h"

/* What the command line says against the configuration, at each load. NULL: nothing. */
struct kpid_overrides {
    const char *instance, *listen;
};
void kpid_overrides_apply(const struct kpid_overrides *overrides, struct kpid_model *model);

/* Runs with this model and its look-ups (both taken) until a signal ends it. Returns the exit code. */
int kpid_daemon_run(const char *path, const struct kpid_overrides *overrides, struct kpid_model *model,
                    struct kpid_lookups *lookups);

#endif
