/* Runs the daemon; a reload is an orderly stop and a start with the next configuration, in one process. */
#include "daemon.h"
#include "kpid.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

/* Without what libraries do at the end of a process: they would clear up under threads that still run. */
static void end_at_once(int code)
{
#ifdef __SANITIZE_ADDRESS__
    __lsan_do_leak_check();
#endif
    fflush(NULL);
    _exit(code);
}

/* What outlives a reload. */
static void carry_over(struct daemon *d)
{
    struct daemon next = { .magic = KPID_DAEMON_MAGIC, .path = d->path, .overrides = d->overrides, .log_level = d->log_level,
                           .model = d->next_model, .lookups = d->next_lookups, .n = d->n, .taken = d->taken,
                           .refetched = d->refetched, .left_behind = d->left_behind, .signals = d->signals };

    next.n.reloads++;
    kpid_model_free(d->model);
    *d = next;
}

static void replace(char **text, const char *by)
{
    free(*text);
    *text = kpid_strdup(by);
}

void kpid_overrides_apply(const struct kpid_overrides *overrides, struct kpid_model *model)
{
    struct kpid_settings *settings = &model->settings;

    if (overrides->instance) {
        replace(&settings->instance, overrides->instance);
        replace(&settings->kafka.instance_id, overrides->instance);
    }
    if (overrides->listen)
        replace(&settings->http.listen, overrides->listen);
}

int kpid_daemon_run(const char *path, const struct kpid_overrides *overrides, struct kpid_model *model,
                    struct kpid_lookups *lookups)
{
    struct daemon *d = kpid_zalloc(1, sizeof(*d));
    sigset_t signals;
    int code = 1;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before there are threads: they inherit it */
    *d = (struct daemon){ .magic = KPID_DAEMON_MAGIC, .path = path, .overrides = overrides, .log_level = KPID_LOG_INFO,
                          .model = model, .lookups = lookups, .signals = &signals };
    for (;;) {
        bool opened = kpid_daemon_open(d);
        if (opened)
            while (!d->finished)
                event_base_loop(d->base, EVLOOP_ONCE);
        code = opened && !d->failed ? 0 : 1;
        kpid_daemon_close(d);
        if (code || !d->next_model || !d->reloading)
            break;
        carry_over(d);
    }
    kpid_lookups_free(d->next_lookups);
    kpid_model_free(d->model);
    kpid_model_free(d->next_model);
    bool left_behind = d->left_behind;
    free(d);
    if (left_behind)
        end_at_once(code);
    return code;
}
