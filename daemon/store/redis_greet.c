/*
 * What is said at each connect, in one go: AUTH, SELECT, PING (which tells LOADING and NOAUTH), INFO
 * replication, INFO memory. A replica is refused to who writes, and so is a maxmemory-policy that may evict
 * keys without a TTL, which is what shards and alerts are. Where INFO is not permitted, or says nothing of
 * the policy, CONFIG GET is asked; where that is not permitted either, the connection is accepted with a
 * warning. A connection on which only others are asked about (a Sentinel, a cluster's map) ends with PING.
 */
#include "redis_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Returns redis, or NULL when the answer comes from a connection that is gone. */
static struct kpid_redis *greeted(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = ctx;
    assert(redis->magic == KPID_REDIS_MAGIC);
    return reply->kind == KPID_REPLY_DOWN || !redis->ac ? NULL : redis;
}

static void refuse(struct kpid_redis *redis, const struct kpid_reply *reply)
{
    struct kpid_buf why = KPID_BUF_INIT;
    kpid_redis_explain(reply, &why);
    kpid_redis_lose(redis, why.data, true);
    kpid_buf_release(&why);
}

static void on_must(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = greeted(ctx, reply);
    if (redis && reply->kind == KPID_REPLY_ERROR)
        refuse(redis, reply);
}

static void on_ping(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = greeted(ctx, reply);
    if (redis && reply->kind == KPID_REPLY_ERROR && !kpid_redis_error_is(reply, "NOPERM"))
        refuse(redis, reply);
    else if (redis && redis->plain)
        kpid_redis_tell_up(redis);
}

/* Finds "name:value\r\n" in what INFO says. */
static const char *find_info(const struct kpid_reply *reply, const char *name, size_t *ret_len)
{
    size_t len = strlen(name);
    if (reply->kind != KPID_REPLY_STR)
        return NULL;
    for (const char *at = reply->str; (at = strstr(at, name)) != NULL; at += len)
        if (at[len] == ':' && (at == reply->str || at[-1] == '\n')) {
            *ret_len = strcspn(at + len + 1, "\r\n");
            return at + len + 1;
        }
    return NULL;
}

static void on_replication(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = greeted(ctx, reply);
    size_t len, replid_len = 0;
    const char *role = redis ? find_info(reply, "role", &len) : NULL;
    const char *replid = redis ? find_info(reply, "master_replid", &replid_len) : NULL;
    if (redis)
        snprintf(redis->replid_found, sizeof(redis->replid_found), "%.*s", replid ? (int)replid_len : 0,
                 replid ? replid : "");
    if (role && !redis->only_reads && len == 5 && memcmp(role, "slave", 5) == 0)
        kpid_redis_lose(redis, "this Redis is a read-only replica", true);
}

static void judge_policy(struct kpid_redis *redis, const char *policy, size_t len)
{
    if (len >= 8 && memcmp(policy, "allkeys-", 8) == 0 && !redis->allow_eviction) {
        struct kpid_buf why = KPID_BUF_INIT;
        kpid_buf_printf(&why,
                        "maxmemory-policy %.*s may evict state: set noeviction or a volatile- policy, or "
                        "allow_eviction in the configuration",
                        (int)len, policy);
        kpid_redis_lose(redis, why.data, true);
        kpid_buf_release(&why);
        return;
    }
    kpid_redis_tell_up(redis);
}

static void on_config(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = greeted(ctx, reply);
    if (!redis)
        return;
    if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 2 && reply->items[1].kind == KPID_REPLY_STR) {
        judge_policy(redis, reply->items[1].str, reply->items[1].len);
        return;
    }
    kpid_buf_add_str(&redis->warning,
                     "the maxmemory-policy of Redis can't be read, so that nobody knows whether it "
                     "may evict state: ");
    kpid_redis_explain(reply, &redis->warning);
    kpid_redis_tell_up(redis);
}

static void on_memory(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = greeted(ctx, reply);
    if (!redis)
        return;
    size_t len;
    const char *policy = find_info(reply, "maxmemory_policy", &len);
    if (policy) {
        judge_policy(redis, policy, len);
        return;
    }
    struct kpid_bulk ask[] = {KPID_BULK_STR("CONFIG"), KPID_BULK_STR("GET"),
                              KPID_BULK_STR("maxmemory-policy")};
    kpid_redis_greet_send(redis, ask, KPID_COUNT_OF(ask), on_config);
}

void kpid_redis_greet(struct kpid_redis *redis)
{
    const struct kpid_redis_url *url = &redis->url;
    kpid_buf_clear(&redis->warning);
    if (url->password) {
        struct kpid_bulk auth[3] = {KPID_BULK_STR("AUTH")};
        size_t n = 1;
        if (url->user)
            auth[n++] = KPID_BULK_STR(url->user);
        auth[n++] = KPID_BULK_STR(url->password);
        kpid_redis_greet_send(redis, auth, n, on_must);
    }
    if (url->db > 0 && !redis->plain) {
        struct kpid_buf db = KPID_BUF_INIT;
        kpid_buf_printf(&db, "%d", url->db);
        struct kpid_bulk select[] = {KPID_BULK_STR("SELECT"), {db.data, db.len}};
        kpid_redis_greet_send(redis, select, 2, on_must);
        kpid_buf_release(&db);
    }
    struct kpid_bulk ping[] = {KPID_BULK_STR("PING")};
    struct kpid_bulk replication[] = {KPID_BULK_STR("INFO"), KPID_BULK_STR("replication")};
    struct kpid_bulk memory[] = {KPID_BULK_STR("INFO"), KPID_BULK_STR("memory")};
    kpid_redis_greet_send(redis, ping, 1, on_ping);
    if (redis->plain)
        return;
    kpid_redis_greet_send(redis, replication, 2, on_replication);
    kpid_redis_greet_send(redis, memory, 2, on_memory);
}
