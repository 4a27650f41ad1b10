#include "redis_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <hiredis/sds.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t kpid_redis_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void redis_free(struct kpid_redis *redis)
{
    kpid_sentinel_free(redis->sentinel);
    kpid_cluster_free(redis->cluster);
    kpid_redis_url_release(&redis->url);
    free(redis->pending.calls);
    free(redis->failed.calls);
    kpid_buf_release(&redis->scratch);
    kpid_buf_release(&redis->why);
    kpid_buf_release(&redis->told);
    kpid_buf_release(&redis->warning);
    redis->magic = 0;
    free(redis);
}

void kpid_redis_enter(struct kpid_redis *redis)
{
    redis->busy++;
}

void kpid_redis_leave(struct kpid_redis *redis)
{
    if (--redis->busy == 0 && redis->closed)
        redis_free(redis);
}

struct kpid_redis *kpid_redis_open_at(struct event_base *base, struct kpid_redis_url url, bool plain,
                                      const struct kpid_redis_options *options,
                                      const struct kpid_redis_events *events, void *ctx)
{
    struct kpid_redis *redis = kpid_zalloc(1, sizeof(*redis));
    redis->magic = KPID_REDIS_MAGIC;
    redis->base = base;
    redis->url = url;
    redis->plain = plain;
    redis->timeout_ms = options->timeout_ms;
    redis->allow_eviction = options->allow_eviction;
    redis->only_reads = options->only_reads;
    if (events)
        redis->events = *events;
    redis->ctx = ctx;
    redis->backoff_ms = KPID_REDIS_BACKOFF_MIN_MS;
    kpid_buf_add_str(&redis->why, "not connected yet");
    kpid_buf_add_str(&redis->told, "");
    kpid_buf_add_str(&redis->warning, "");
    redis->reconnect_timer = evtimer_new(base, kpid_redis_on_connect_timer, redis);
    redis->timeout_timer = evtimer_new(base, kpid_redis_on_timeout, redis);
    redis->failed_timer = evtimer_new(base, kpid_redis_on_failed, redis);
    assert(redis->reconnect_timer && redis->timeout_timer && redis->failed_timer);
    if (url.topology == KPID_REDIS_SENTINEL)
        redis->sentinel = kpid_sentinel_open(redis);
    else if (url.topology == KPID_REDIS_CLUSTER)
        redis->cluster = kpid_cluster_open(redis);
    else
        kpid_redis_connect_later(redis, 0);
    return redis;
}

struct kpid_redis *kpid_redis_open_other(const struct kpid_redis *like, const char *host, int port,
                                         const char *user, const char *password, bool plain,
                                         const struct kpid_redis_events *events, void *ctx)
{
    struct kpid_redis_url url = {.host = kpid_strdup(host), .port = port};
    struct kpid_redis_options options = {.timeout_ms = like->timeout_ms,
                                         .allow_eviction = like->allow_eviction,
                                         .only_reads = like->only_reads};
    if (plain && (options.timeout_ms <= 0 || options.timeout_ms > KPID_REDIS_PLAIN_TIMEOUT_MS))
        options.timeout_ms = KPID_REDIS_PLAIN_TIMEOUT_MS;
    url.user = user ? kpid_strdup(user) : NULL;
    url.password = password ? kpid_strdup(password) : NULL;
    return kpid_redis_open_at(like->base, url, plain, &options, events, ctx);
}

struct kpid_redis *kpid_redis_open(struct event_base *base, const struct kpid_redis_options *options,
                                   const struct kpid_redis_events *events, void *ctx, struct kpid_buf *error)
{
    struct kpid_redis_url url;
    if (!kpid_redis_url_parse(options->url, &url, error))
        return NULL;
    return kpid_redis_open_at(base, url, false, options, events, ctx);
}

bool kpid_redis_up(const struct kpid_redis *redis)
{
    return redis->up;
}

uint64_t kpid_redis_losses(const struct kpid_redis *redis)
{
    return redis->losses;
}

const char *kpid_redis_warning(const struct kpid_redis *redis)
{
    return redis->warning.data;
}

size_t kpid_redis_pending(const struct kpid_redis *redis)
{
    return redis->pending.n + redis->failed.n + (redis->cluster ? kpid_cluster_pending(redis->cluster) : 0);
}

size_t kpid_redis_pending_bytes(const struct kpid_redis *redis)
{
    if (redis->cluster)
        return kpid_cluster_pending_bytes(redis->cluster);
    if (!redis->ac || !redis->ac->c.obuf)
        return 0;
#if HIREDIS_MAJOR >= 1
    return hi_sdslen(redis->ac->c.obuf);
#else
    return sdslen(redis->ac->c.obuf);
#endif
}

/* hiredis' callback of every command. */
static void on_reply(redisAsyncContext *ac, void *raw, void *unused)
{
    (void)unused;
    struct kpid_redis *redis = ac->data;
    if (!redis)
        return;
    assert(redis->magic == KPID_REDIS_MAGIC);
    if (!raw) {
        kpid_redis_lose(redis, ac->c.errstr[0] ? ac->c.errstr : "the connection was closed", false);
        return;
    }
    const redisReply *reply = raw;
    struct kpid_redis_call call = kpid_redis_ring_pop(&redis->pending);
    struct kpid_redis_retry *retry = call.retry;
    call.retry = NULL;
    if (retry && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        kpid_buf_clear(&redis->scratch);
        kpid_redis_encode_whole(&redis->scratch, retry);
        kpid_redis_enqueue(redis, &redis->scratch, call);
        kpid_redis_retry_free(retry);
        return;
    }
    kpid_redis_retry_free(retry);
    /* A master that became a replica keeps its connections and refuses for ever: look for another one. */
    bool demoted = reply->type == REDIS_REPLY_ERROR &&
                   (strncmp(reply->str, "READONLY", 8) == 0 || strstr(reply->str, "-READONLY "));
    kpid_redis_enter(redis);
    if (call.done)
        kpid_redis_hand_out(reply, call.done, call.ctx);
    if (demoted && redis->ac == ac)
        kpid_redis_lose(redis, "this Redis has become a read-only replica", true);
    kpid_redis_leave(redis);
}

void kpid_redis_enqueue(struct kpid_redis *redis, const struct kpid_buf *command, struct kpid_redis_call call)
{
    assert(redis->ac);
    call.sent_ms = kpid_redis_now_ms();
    /* hiredis refuses only on a connection that is being freed, and such a one is detached from us. */
    int rc = redisAsyncFormattedCommand(redis->ac, on_reply, NULL, command->data, command->len);
    assert(rc == REDIS_OK);
    (void)rc;
    kpid_redis_ring_push(&redis->pending, call);
    if (redis->pending.n == 1)
        kpid_redis_watch(redis);
}

void kpid_redis_fail_later(struct kpid_redis *redis, struct kpid_redis_call call)
{
    struct timeval now = {0, 0};
    kpid_redis_retry_free(call.retry);
    call.retry = NULL;
    if (!call.done)
        return;
    kpid_redis_ring_push(&redis->failed, call);
    if (!redis->closing && !evtimer_pending(redis->failed_timer, NULL))
        evtimer_add(redis->failed_timer, &now);
}

void kpid_redis_fail_pending(struct kpid_redis *redis)
{
    while (redis->pending.n > 0)
        kpid_redis_fail_later(redis, kpid_redis_ring_pop(&redis->pending));
}

/* Only those that had failed when it began: one that asks again at once must not keep the loop here. */
static void answer_failed(struct kpid_redis *redis, size_t n)
{
    for (; n > 0 && redis->failed.n > 0; n--) {
        struct kpid_redis_call call = kpid_redis_ring_pop(&redis->failed);
        struct kpid_reply reply = {.kind = KPID_REPLY_DOWN, .str = redis->why.data, .len = redis->why.len};
        call.done(call.ctx, &reply);
    }
}

void kpid_redis_on_failed(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_redis *redis = arg;
    struct timeval now = {0, 0};
    assert(redis->magic == KPID_REDIS_MAGIC);
    kpid_redis_enter(redis);
    answer_failed(redis, redis->failed.n);
    if (redis->failed.n > 0 && !redis->closing)
        evtimer_add(redis->failed_timer, &now);
    kpid_redis_leave(redis);
}

void kpid_redis_close(struct kpid_redis *redis)
{
    if (!redis || redis->closing)
        return;
    kpid_redis_enter(redis);
    redis->closing = true;
    redis->up = false;
    if (redis->sentinel)
        kpid_sentinel_close(redis->sentinel);
    if (redis->cluster)
        kpid_cluster_close(redis->cluster);
    redisAsyncContext *ac = redis->ac;
    redis->ac = NULL;
    if (ac) {
        ac->data = NULL;
        redisAsyncFree(ac);
    }
    kpid_buf_clear(&redis->why);
    kpid_buf_add_str(&redis->why, "closed");
    event_free(redis->reconnect_timer);
    event_free(redis->timeout_timer);
    event_free(redis->failed_timer);
    kpid_redis_fail_pending(redis);
    while (redis->failed.n > 0)
        answer_failed(redis, redis->failed.n);
    redis->closed = true;
    kpid_redis_leave(redis);
}
