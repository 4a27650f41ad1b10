/* A publisher against a real redis-server: what the tests of daemon/publish share. */
#ifndef PUBLISH_REDIS_H
#define PUBLISH_REDIS_H

#include "json_schema.h"
#include "publish_fixture.h"
#include "redis_server.h"

#define SNAP "kpi:snap:{conversion:5m}"
#define WINS "kpi:wins:{conversion:5m}"
#define HIST "kpi:hist:{conversion:5m}"

struct rig {
    struct redis_server server;
    struct event_base *base;
    struct kpid_redis *redis;
    struct fixture f;
    int ups;
};

/* What one publisher reported. */
struct owner {
    struct rig *rig;
    struct kpid_publisher *publisher;
    int acquired, published, states, finals;
    enum kpid_publish_status acquire_status, status;
    char state_key[128], state_bytes[128], final_key[64];
    int64_t final_ms, told_ms;
    void (*meanwhile)(struct owner *owner); /* once, while the first piece of a load is handed over */
};

static inline void rig_up(void *ctx)
{
    ((struct rig *)ctx)->ups++;
}

static inline void rig_down(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
}

static inline void rig_start(struct rig *rig, int64_t timeout_ms)
{
    static const struct kpid_redis_events events = {rig_up, rig_down};
    memset(rig, 0, sizeof(*rig));
    fixture_init(&rig->f);
    redis_server_start(&rig->server, NULL);
    rig->base = event_base_new();
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_redis_options options = {rig->server.url, timeout_ms, false, false};
    rig->redis = kpid_redis_open(rig->base, &options, &events, rig, &error);
    cr_assert(rig->redis, "%s", error.data);
    LOOP_UNTIL(rig->base, kpid_redis_up(rig->redis));
}

static inline void rig_stop(struct rig *rig)
{
    kpid_redis_close(rig->redis);
    event_base_free(rig->base);
    redis_server_stop(&rig->server);
    fixture_release(&rig->f);
}

static inline void owner_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct owner *owner = ctx;
    owner->states++;
    if (owner->meanwhile)
        owner->meanwhile(owner);
    owner->meanwhile = NULL;
    snprintf(owner->state_key, sizeof owner->state_key, "%.*s", (int)key_len, key);
    snprintf(owner->state_bytes, sizeof owner->state_bytes, "%.*s", (int)len, (const char *)bytes);
}

static inline void owner_final(void *ctx, const char *key, size_t key_len, int64_t boundary_ms,
                               int64_t told_ms)
{
    struct owner *owner = ctx;
    owner->finals++;
    snprintf(owner->final_key, sizeof owner->final_key, "%.*s", (int)key_len, key);
    owner->final_ms = boundary_ms;
    owner->told_ms = told_ms;
}

static inline void owner_acquired(void *ctx, enum kpid_publish_status status)
{
    struct owner *owner = ctx;
    owner->acquired++;
    owner->acquire_status = status;
}

static inline void owner_published(void *ctx, enum kpid_publish_status status)
{
    struct owner *owner = ctx;
    owner->published++;
    owner->status = status;
}

static inline enum kpid_publish_status owner_acquire(struct owner *owner, uint8_t nonce)
{
    static const struct kpid_publisher_loaded loaded = {owner_state, owner_final, owner_acquired};
    uint8_t bytes[16];
    memset(bytes, nonce, sizeof bytes);
    int before = owner->acquired;
    kpid_publisher_acquire(owner->publisher, bytes, &loaded, owner);
    LOOP_UNTIL(owner->rig->base, owner->acquired > before);
    return owner->acquire_status;
}

static inline void owner_start(struct owner *owner, struct rig *rig, uint8_t nonce)
{
    memset(owner, 0, sizeof(*owner));
    owner->rig = rig;
    owner->publisher = kpid_publisher_new(rig->base, rig->redis, &rig->f.model);
    cr_assert_eq(owner_acquire(owner, nonce), KPID_PUBLISH_OK);
}

static inline enum kpid_publish_status owner_send(struct owner *owner)
{
    int before = owner->published;
    kpid_round_send(owner->publisher, owner_published, owner);
    cr_assert(kpid_round_busy(owner->publisher));
    cr_assert_eq(owner->published, before, "done was called from within the call");
    LOOP_UNTIL(owner->rig->base, owner->published > before);
    return owner->status;
}

static inline struct kpid_publish_stats owner_stats(const struct owner *owner)
{
    struct kpid_publish_stats stats;
    kpid_publisher_stats(owner->publisher, &stats);
    return stats;
}

/* The text of a reply, NULL for nil; owned, and never freed: tests are short. */
#define ask_text(rig, ...) ask_text_of(redis_server_ask(&(rig)->server, __VA_ARGS__))
static inline char *ask_text_of(redisReply *reply)
{
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s", reply->str);
    char *text = reply->str ? strdup(reply->str) : NULL;
    freeReplyObject(reply);
    return text;
}
#define ask_number(rig, ...) redis_server_number(&(rig)->server, __VA_ARGS__)

static const unsigned everywhere =
    KPID_PLACE_NEWEST | KPID_PLACE_FINAL | KPID_PLACE_WINDOW | KPID_PLACE_HISTORY;

/* The n-th window of a group, NULL: of the total. */
static inline void owner_add(struct owner *owner, const char *const *group, int n, uint64_t samples,
                             unsigned places)
{
    struct kpid_snapshot snapshot = snapshot_of(group, n);
    snapshot.samples = samples;
    kpid_round_snapshot(owner->publisher, &snapshot, NOON, 7, places);
}

static inline int64_t start_of(int n)
{
    return snapshot_of(NULL, n).start_ms;
}

#endif
