/*
 * The life of a connection. A host name is resolved by the C library at each connect, which waits for the
 * resolver; give an address, or a name in /etc/hosts, where that matters.
 */
#include "redis_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <string.h>

static void arm(struct event *timer, int64_t after_ms)
{
    struct timeval after = {.tv_sec = after_ms / 1000, .tv_usec = (after_ms % 1000) * 1000};
    evtimer_add(timer, &after);
}

void kpid_redis_connect_later(struct kpid_redis *redis, int64_t after_ms)
{
    arm(redis->reconnect_timer, after_ms);
}

void kpid_redis_lose(struct kpid_redis *redis, const char *why, bool drop)
{
    redisAsyncContext *ac = redis->ac;
    bool was_up = redis->up;
    kpid_buf_clear(&redis->why);
    kpid_buf_add_str(&redis->why, why); /* before ac goes: it may own the text */
    redis->ac = NULL;
    redis->up = false;
    if (ac) {
        ac->data = NULL;
        if (drop)
            redisAsyncFree(ac);
    }
    evtimer_del(redis->timeout_timer);
    kpid_redis_fail_pending(redis);
    kpid_redis_connect_later(redis, redis->backoff_ms);
    redis->backoff_ms *= 2;
    if (redis->backoff_ms > KPID_REDIS_BACKOFF_MAX_MS)
        redis->backoff_ms = KPID_REDIS_BACKOFF_MAX_MS;
    kpid_redis_tell_down(redis, was_up);
}

void kpid_redis_tell_down(struct kpid_redis *redis, bool was_up)
{
    if (!was_up && strcmp(redis->why.data, redis->told.data) == 0)
        return;
    kpid_buf_clear(&redis->told);
    kpid_buf_add(&redis->told, redis->why.data, redis->why.len);
    if (redis->events.down)
        redis->events.down(redis->ctx, redis->told.data);
}

void kpid_redis_tell_up(struct kpid_redis *redis)
{
    redis->losses +=
        redis->replid[0] && redis->replid_found[0] && strcmp(redis->replid, redis->replid_found) != 0;
    if (redis->replid_found[0])
        memcpy(redis->replid, redis->replid_found, sizeof(redis->replid));
    redis->up = true;
    redis->backoff_ms = KPID_REDIS_BACKOFF_MIN_MS;
    kpid_buf_clear(&redis->told);
    if (redis->events.up)
        redis->events.up(redis->ctx);
}

/* hiredis frees the context itself after a failed connect. */
static void on_connect(const redisAsyncContext *ac, int status)
{
    struct kpid_redis *redis = ac->data;
    if (redis && status != REDIS_OK)
        kpid_redis_lose(redis, ac->c.errstr[0] ? ac->c.errstr : "connecting failed", false);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    struct kpid_redis *redis = ac->data;
    (void)status;
    if (redis)
        kpid_redis_lose(redis, ac->c.errstr[0] ? ac->c.errstr : "the connection was closed", false);
}

static void connect_now(struct kpid_redis *redis)
{
    const struct kpid_redis_url *url = &redis->url;
    struct kpid_buf why = KPID_BUF_INIT;
    if (redis->sentinel && !kpid_sentinel_find(redis->sentinel, &why)) {
        kpid_redis_lose(redis, why.data, true);
        kpid_buf_release(&why);
        return;
    }
    redisAsyncContext *ac =
        url->path ? redisAsyncConnectUnix(url->path) : redisAsyncConnect(url->host, url->port);
    redis->ac = ac;
    if (!ac || ac->err) {
        kpid_redis_lose(redis, ac ? ac->c.errstr : "out of memory", true);
        return;
    }
    ac->data = redis;
    redis->heard_ms = kpid_redis_now_ms();
    if (!kpid_redis_attach(ac, redis->base)) {
        kpid_redis_lose(redis, "the socket can't be watched", true);
        return;
    }
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    if (!url->path)
        redisEnableKeepAlive(&ac->c);
    kpid_redis_greet(redis);
}

void kpid_redis_on_connect_timer(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_redis *redis = arg;
    assert(redis->magic == KPID_REDIS_MAGIC);
    kpid_redis_enter(redis);
    if (!redis->ac)
        connect_now(redis);
    kpid_redis_leave(redis);
}

/* One timer serves all commands: it looks at the oldest, and sleeps again for what is left of its time. */
static int64_t time_left_ms(const struct kpid_redis *redis)
{
    int64_t since_ms = redis->pending.calls[redis->pending.head].sent_ms;
    if (redis->heard_ms > since_ms)
        since_ms = redis->heard_ms;
    return since_ms + redis->timeout_ms - kpid_redis_now_ms();
}

void kpid_redis_watch(struct kpid_redis *redis)
{
    if (redis->timeout_ms > 0 && redis->pending.n > 0 && !evtimer_pending(redis->timeout_timer, NULL)) {
        int64_t left_ms = time_left_ms(redis);
        arm(redis->timeout_timer, left_ms > 0 ? left_ms : 1);
    }
}

void kpid_redis_on_timeout(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_redis *redis = arg;
    assert(redis->magic == KPID_REDIS_MAGIC);
    if (redis->pending.n == 0)
        return;
    if (time_left_ms(redis) > 0) {
        kpid_redis_watch(redis);
        return;
    }
    kpid_redis_enter(redis);
    kpid_redis_lose(redis, "Redis has not answered in time", true);
    kpid_redis_leave(redis);
}
