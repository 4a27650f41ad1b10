#include "redis_internal.h"
#include "resp.h"
#include "sha1.h"

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

static void ring_push(struct kpid_redis_ring *ring, struct kpid_redis_call call)
{
    if (ring->n == ring->cap) {
        size_t cap = ring->cap ? ring->cap * 2 : 64;
        struct kpid_redis_call *calls = kpid_alloc(cap * sizeof(*calls));
        for (size_t i = 0; i < ring->n; i++)
            calls[i] = ring->calls[(ring->head + i) & (ring->cap - 1)];
        free(ring->calls);
        ring->calls = calls;
        ring->head = 0;
        ring->cap = cap;
    }
    ring->calls[(ring->head + ring->n++) & (ring->cap - 1)] = call;
}

static struct kpid_redis_call ring_pop(struct kpid_redis_ring *ring)
{
    assert(ring->n > 0);
    struct kpid_redis_call call = ring->calls[ring->head];
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->n--;
    return call;
}

static void retry_free(struct kpid_redis_retry *retry)
{
    if (retry)
        kpid_buf_release(&retry->command);
    free(retry);
}

static void redis_free(struct kpid_redis *redis)
{
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

struct kpid_redis *kpid_redis_open(struct event_base *base, const struct kpid_redis_options *options,
                                   const struct kpid_redis_events *events, void *ctx, struct kpid_buf *error)
{
    struct kpid_redis_url url;
    if (!kpid_redis_url_parse(options->url, &url, error))
        return NULL;
    struct kpid_redis *redis = kpid_zalloc(1, sizeof(*redis));
    redis->magic = KPID_REDIS_MAGIC;
    redis->base = base;
    redis->url = url;
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
    kpid_redis_connect_later(redis, 0);
    return redis;
}

bool kpid_redis_up(const struct kpid_redis *redis)
{
    return redis->up;
}

const char *kpid_redis_warning(const struct kpid_redis *redis)
{
    return redis->warning.data;
}

size_t kpid_redis_pending(const struct kpid_redis *redis)
{
    return redis->pending.n + redis->failed.n;
}

size_t kpid_redis_pending_bytes(const struct kpid_redis *redis)
{
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
    struct kpid_redis_call call = ring_pop(&redis->pending);
    struct kpid_redis_retry *retry = call.retry;
    call.retry = NULL;
    if (retry && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        kpid_buf_clear(&redis->scratch);
        kpid_resp_add_count(&redis->scratch, retry->n_bulks);
        kpid_resp_add_bulk(&redis->scratch, "EVAL", 4);
        kpid_resp_add_bulk(&redis->scratch, retry->text, strlen(retry->text));
        kpid_buf_add(&redis->scratch, retry->command.data + retry->rest_at,
                     retry->command.len - retry->rest_at);
        kpid_redis_enqueue(redis, &redis->scratch, call);
        retry_free(retry);
        return;
    }
    retry_free(retry);
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
    ring_push(&redis->pending, call);
    if (redis->pending.n == 1)
        kpid_redis_watch(redis);
}

static void fail_later(struct kpid_redis *redis, struct kpid_redis_call call)
{
    struct timeval now = {0, 0};
    retry_free(call.retry);
    call.retry = NULL;
    if (!call.done)
        return;
    ring_push(&redis->failed, call);
    if (!redis->closing && !evtimer_pending(redis->failed_timer, NULL))
        evtimer_add(redis->failed_timer, &now);
}

void kpid_redis_fail_pending(struct kpid_redis *redis)
{
    while (redis->pending.n > 0)
        fail_later(redis, ring_pop(&redis->pending));
}

/* Only those that had failed when it began: one that asks again at once must not keep the loop here. */
static void answer_failed(struct kpid_redis *redis, size_t n)
{
    for (; n > 0 && redis->failed.n > 0; n--) {
        struct kpid_redis_call call = ring_pop(&redis->failed);
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

static void shrink(struct kpid_buf *scratch)
{
    if (scratch->cap > KPID_REDIS_SCRATCH_BYTES)
        kpid_buf_release(scratch);
}

void kpid_redis_greet_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n,
                           kpid_redis_done *done)
{
    kpid_buf_clear(&redis->scratch);
    kpid_resp_add_count(&redis->scratch, n);
    kpid_resp_add_bulks(&redis->scratch, bulks, n);
    kpid_redis_enqueue(redis, &redis->scratch, (struct kpid_redis_call){.done = done, .ctx = redis});
}

void kpid_redis_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done,
                     void *ctx)
{
    struct kpid_redis_call call = {.done = done, .ctx = ctx};
    if (!redis->up) {
        fail_later(redis, call);
        return;
    }
    kpid_buf_clear(&redis->scratch);
    kpid_resp_add_count(&redis->scratch, n);
    kpid_resp_add_bulks(&redis->scratch, bulks, n);
    kpid_redis_enqueue(redis, &redis->scratch, call);
    shrink(&redis->scratch);
}

void kpid_redis_eval(struct kpid_redis *redis, struct kpid_script *script, const struct kpid_bulk *keys,
                     size_t n_keys, const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done,
                     void *ctx)
{
    struct kpid_redis_call call = {.done = done, .ctx = ctx};
    if (!redis->up) {
        fail_later(redis, call);
        return;
    }
    if (script->sha[0] == '\0')
        kpid_sha1_hex(script->text, strlen(script->text), script->sha);
    struct kpid_buf count = KPID_BUF_INIT;
    kpid_buf_printf(&count, "%zu", n_keys);
    struct kpid_redis_retry *retry = kpid_zalloc(1, sizeof(*retry));
    retry->text = script->text;
    retry->n_bulks = 3 + n_keys + n_args;
    kpid_resp_add_count(&retry->command, retry->n_bulks);
    kpid_resp_add_bulk(&retry->command, "EVALSHA", 7);
    kpid_resp_add_bulk(&retry->command, script->sha, 40);
    retry->rest_at = retry->command.len;
    kpid_resp_add_bulk(&retry->command, count.data, count.len);
    kpid_resp_add_bulks(&retry->command, keys, n_keys);
    kpid_resp_add_bulks(&retry->command, args, n_args);
    kpid_buf_release(&count);
    call.retry = retry;
    kpid_redis_enqueue(redis, &retry->command, call);
}
