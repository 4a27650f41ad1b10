#include "ctl.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8

struct ctl_remote {
    struct event_base *base;
    struct kpid_redis *redis;
    struct event *deadline;
    bool up, over;
    char why[256];
    ctl_reply *each;
    void *ctx;
    bool ok;
};

static void on_up(void *ctx)
{
    struct ctl_remote *remote = ctx;
    remote->up = true;
}

static void on_down(void *ctx, const char *why)
{
    struct ctl_remote *remote = ctx;
    snprintf(remote->why, sizeof(remote->why), "%s", why);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    struct ctl_remote *remote = ctx;
    (void)fd;
    (void)what;
    remote->over = true;
}

void ctl_remote_close(struct ctl_remote *remote)
{
    if (!remote)
        return;
    if (remote->redis)
        kpid_redis_close(remote->redis);
    if (remote->deadline)
        event_free(remote->deadline);
    if (remote->base)
        event_base_free(remote->base);
    free(remote);
}

struct ctl_remote *ctl_remote_open(const struct ctl *ctl)
{
    static const struct kpid_redis_events events = { on_up, on_down };
    const char *url = ctl->redis_url ? ctl->redis_url : ctl->model->settings.redis.url;
    struct kpid_redis_options options = { url, 3000, true, false };
    struct ctl_remote *remote = kpid_zalloc(1, sizeof(*remote));
    struct kpid_buf error = KPID_BUF_INIT, place = KPID_BUF_INIT;
    struct timeval within = { 3, 0 };

    remote->base = event_base_new();
    remote->deadline = evtimer_new(remote->base, on_deadline, remote);
    evtimer_add(remote->deadline, &within);
    remote->redis = kpid_redis_open(remote->base, &options, &events, remote, &error);
    while (remote->redis && !remote->up && !remote->over)
        event_base_loop(remote->base, EVLOOP_ONCE);
    if (!remote->up) {
        kpid_redis_url_show(url, &place);
        fprintf(stderr, "kpictl: redis %s: %s\n", place.data, error.len ? error.data : remote->why[0] ? remote->why : "no answer");
        ctl_remote_close(remote);
        remote = NULL;
    } else {
        evtimer_del(remote->deadline);
    }
    kpid_buf_release(&error);
    kpid_buf_release(&place);
    return remote;
}

static void on_reply(void *ctx, const struct kpid_reply *reply)
{
    struct ctl_remote *remote = ctx;

    remote->over = true;
    remote->ok = reply->kind != KPID_REPLY_ERROR && reply->kind != KPID_REPLY_DOWN;
    if (remote->ok && remote->each)
        remote->each(remote->ctx, reply);
    else if (!remote->ok)
        fprintf(stderr, "kpictl: redis: %.*s\n", (int)reply->len, reply->str ? reply->str : "");
}

bool ctl_remote_ask(struct ctl_remote *remote, ctl_reply *each, void *ctx, ...)
{
    struct kpid_bulk words[WORDS_MAX];
    const char *word;
    size_t n = 0;
    va_list args;

    va_start(args, ctx);
    while (n < WORDS_MAX && (word = va_arg(args, const char *)))
        words[n++] = KPID_BULK_STR(word);
    va_end(args);
    remote->over = remote->ok = false;
    remote->each = each;
    remote->ctx = ctx;
    kpid_redis_send(remote->redis, words, n, on_reply, remote);
    while (!remote->over)
        event_base_loop(remote->base, EVLOOP_ONCE);
    return remote->ok;
}

struct scan {
    struct ctl_names *names;
    char cursor[32];
};

static void each_scan(void *ctx, const struct kpid_reply *reply)
{
    struct scan *scan = ctx;

    if (reply->n_items < 2)
        return;
    snprintf(scan->cursor, sizeof(scan->cursor), "%.*s", (int)reply->items[0].len, reply->items[0].str);
    for (size_t i = 0; i < reply->items[1].n_items; i++) {
        const struct kpid_reply *key = &reply->items[1].items[i];
        scan->names->at = kpid_realloc(scan->names->at, (scan->names->n + 1) * sizeof(char *));
        scan->names->at[scan->names->n++] = kpid_strndup(key->str, key->len);
    }
}

bool ctl_remote_scan(struct ctl_remote *remote, const char *pattern, struct ctl_names *names)
{
    struct scan scan = { names, "0" };
    bool ok;

    do
        ok = ctl_remote_ask(remote, each_scan, &scan, "SCAN", scan.cursor, "MATCH", pattern, "COUNT", "1000", NULL);
    while (ok && strcmp(scan.cursor, "0"));
    return ok;
}

void ctl_names_release(struct ctl_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->at[i]);
    free(names->at);
    *names = (struct ctl_names){ 0 };
}
