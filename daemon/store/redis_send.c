/* Encoding and sending. */
#include "redis_internal.h"
#include "resp.h"
#include "sha1.h"

#include <stdlib.h>
#include <string.h>

static void shrink(struct kpid_buf *scratch)
{
    if (scratch->cap > KPID_REDIS_SCRATCH_BYTES)
        kpid_buf_release(scratch);
}

void kpid_redis_retry_free(struct kpid_redis_retry *retry)
{
    if (retry)
        kpid_buf_release(&retry->command);
    free(retry);
}

struct kpid_redis_retry *kpid_redis_encode(const struct kpid_bulk *bulks, size_t n)
{
    struct kpid_redis_retry *retry = kpid_zalloc(1, sizeof(*retry));
    retry->n_bulks = n;
    kpid_resp_add_count(&retry->command, n);
    kpid_resp_add_bulks(&retry->command, bulks, n);
    return retry;
}

struct kpid_redis_retry *kpid_redis_encode_script(struct kpid_script *script, const struct kpid_bulk *keys,
                                                  size_t n_keys, const struct kpid_bulk *args, size_t n_args)
{
    struct kpid_buf count = KPID_BUF_INIT;
    if (script->sha[0] == '\0')
        kpid_sha1_hex(script->text, strlen(script->text), script->sha);
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
    return retry;
}

void kpid_redis_encode_whole(struct kpid_buf *buf, const struct kpid_redis_retry *retry)
{
    kpid_resp_add_count(buf, retry->n_bulks);
    kpid_resp_add_bulk(buf, "EVAL", 4);
    kpid_resp_add_bulk(buf, retry->text, strlen(retry->text));
    kpid_buf_add(buf, retry->command.data + retry->rest_at, retry->command.len - retry->rest_at);
}

void kpid_redis_greet_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n,
                           kpid_redis_done *done)
{
    kpid_buf_clear(&redis->scratch);
    kpid_resp_add_count(&redis->scratch, n);
    kpid_resp_add_bulks(&redis->scratch, bulks, n);
    kpid_redis_enqueue(redis, &redis->scratch, (struct kpid_redis_call){.done = done, .ctx = redis});
}

void kpid_redis_send_encoded(struct kpid_redis *redis, const struct kpid_buf *command, kpid_redis_done *done,
                             void *ctx)
{
    struct kpid_redis_call call = {.done = done, .ctx = ctx};
    if (redis->up)
        kpid_redis_enqueue(redis, command, call);
    else
        kpid_redis_fail_later(redis, call);
}

void kpid_redis_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done,
                     void *ctx)
{
    struct kpid_redis_call call = {.done = done, .ctx = ctx};
    if (!redis->up) {
        kpid_redis_fail_later(redis, call);
        return;
    }
    if (redis->cluster) {
        kpid_cluster_send(redis->cluster, bulks, n, done, ctx);
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
        kpid_redis_fail_later(redis, call);
        return;
    }
    if (redis->cluster) {
        kpid_cluster_eval(redis->cluster, script, keys, n_keys, args, n_args, done, ctx);
        return;
    }
    call.retry = kpid_redis_encode_script(script, keys, n_keys, args, n_args);
    kpid_redis_enqueue(redis, &call.retry->command, call);
}
