/* Look-ups for commands that run events here: files at once, those in Redis over a loop of their own. */
#include "ctl.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ctl_tables {
    struct event_base *base; /* NULL: only files */
    struct kpid_lookups *lookups;
};

static void on_answered(void *ctx)
{
    (void)ctx; /* the loop turned, which is all that is waited for */
}

static void on_told(void *ctx, enum kpid_told kind, const char *text)
{
    (void)ctx;
    if (kind != KPID_TOLD_NEWS)
        fprintf(stderr, "kpictl: %s\n", text);
}

int ctl_tables_load(const struct ctl *ctl, struct kpid_lookups **ret)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;

    *ret = kpid_lookups_load(ctl->model, &faults, &n);
    if (!*ret)
        fprintf(stderr, "%s\nkpictl: %s: %zu fault%s in its look-ups\n", faults.data, ctl->config, n, n == 1 ? "" : "s");
    kpid_buf_release(&faults);
    return *ret ? CTL_OK : CTL_FAULTS;
}

static bool connect_all(const struct ctl *ctl, struct ctl_tables *tables)
{
    static const struct kpid_lookups_events events = { on_answered, on_told };
    struct kpid_buf error = KPID_BUF_INIT;
    bool ok;

    tables->base = event_base_new();
    ok = tables->base && kpid_lookups_open(tables->lookups, tables->base, ctl->redis_url, &events, tables, &error);
    if (!ok)
        fprintf(stderr, "kpictl: look-ups: %s\n", error.data ? error.data : "no event loop");
    kpid_buf_release(&error);
    return ok;
}

int ctl_tables_open(const struct ctl *ctl, struct ctl_tables **ret)
{
    struct ctl_tables *tables = kpid_zalloc(1, sizeof(*tables));
    int code = CTL_OK;

    if (kpid_lookups_remote(ctl->model) && !ctl->redis_url) {
        fprintf(stderr, "kpictl: events are joined with look-ups in Redis: add --redis URL to read them there\n");
        code = CTL_USAGE;
    } else {
        code = ctl_tables_load(ctl, &tables->lookups);
        if (code == CTL_OK && ctl->redis_url && !connect_all(ctl, tables))
            code = CTL_FAILED;
    }
    if (code == CTL_OK) {
        *ret = tables;
        return CTL_OK;
    }
    ctl_tables_close(tables);
    return code;
}

void ctl_tables_close(struct ctl_tables *tables)
{
    if (!tables)
        return;
    kpid_lookups_free(tables->lookups);
    if (tables->base)
        event_base_free(tables->base);
    free(tables);
}

void ctl_tables_join(struct ctl_tables *tables, uint32_t source, const struct kpid_event *event)
{
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (kpid_lookups_join(tables->lookups, source, event, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000))
            return;
        event_base_loop(tables->base, EVLOOP_ONCE);
    }
}
