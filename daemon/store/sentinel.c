/*
 * Where the master is, by Sentinel (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
 *
 * All sentinels that the URL names are connected and asked twice a second; no answer of one of them is waited
 * for. Several may disagree while a failover goes round: the one with the highest config-epoch is right, as
 * among themselves. A master that is not the one in use ends the connection, also one that hangs, which is
 * why +switch-master is not listened to as well: a message may be lost, a question is asked again. Whether a
 * master says that it is one is looked at at each connect (redis_greet.c): during a failover a sentinel may
 * name what is a replica still, or already.
 */
#include "redis_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define SENTINEL_MAGIC   0x73656e74u
#define SENTINEL_POLL_MS 500
#define HOST_MAX_BYTES   255

/* One of them. */
struct asked {
    struct kpid_sentinel *sentinel;
    struct kpid_redis *link;
    struct kpid_redis_place place; /* of the master; host NULL: not known */
    uint64_t epoch, epoch_read;    /* of place; of the answer that comes before it */
    bool asking;
    struct kpid_buf why; /* it does not know */
};

struct kpid_sentinel {
    uint32_t magic;
    struct kpid_redis *redis;
    struct event *timer;
    struct asked *asked;
    size_t n;
};

static const struct asked *best_of(const struct kpid_sentinel *sentinel)
{
    const struct asked *best = NULL;
    for (size_t i = 0; i < sentinel->n; i++) {
        const struct asked *one = &sentinel->asked[i];
        if (one->place.host && (!best || one->epoch > best->epoch))
            best = one;
    }
    return best;
}

bool kpid_sentinel_find(struct kpid_sentinel *sentinel, struct kpid_buf *why)
{
    struct kpid_redis_url *url = &sentinel->redis->url;
    const struct asked *best = best_of(sentinel);
    if (best) {
        free(url->host);
        url->host = kpid_strdup(best->place.host);
        url->port = best->place.port;
        return true;
    }
    kpid_buf_printf(why, "no Sentinel knows where the master %s is:", url->name);
    for (size_t i = 0; i < sentinel->n; i++)
        kpid_buf_printf(why, "%s %s:%d: %s", i ? "," : "", url->places[i].host, url->places[i].port,
                        sentinel->asked[i].why.data);
    return false;
}

/* May end in the caller closing redis. */
static void follow(struct kpid_sentinel *sentinel)
{
    struct kpid_redis *redis = sentinel->redis;
    const struct asked *best = best_of(sentinel);
    if (!best)
        return;
    if (redis->url.host && redis->url.port == best->place.port &&
        strcmp(redis->url.host, best->place.host) == 0)
        return;
    redis->backoff_ms = KPID_REDIS_BACKOFF_MIN_MS;
    if (!redis->ac) {
        kpid_redis_connect_later(redis, 0);
        return;
    }
    struct kpid_buf why = KPID_BUF_INIT;
    kpid_buf_printf(&why, "Sentinel names another master, %s:%d instead of %s:%d", best->place.host,
                    best->place.port, redis->url.host, redis->url.port);
    kpid_redis_lose(redis, why.data, true);
    kpid_buf_release(&why);
}

static void forget(struct asked *one, const char *why)
{
    free(one->place.host);
    one->place.host = NULL;
    kpid_buf_clear(&one->why);
    kpid_buf_add_str(&one->why, why);
}

static bool is_word(const struct kpid_reply *reply, const char *word)
{
    return reply->kind == KPID_REPLY_STR && reply->len == strlen(word) &&
           memcmp(reply->str, word, reply->len) == 0;
}

static bool read_number(const struct kpid_reply *reply, uint64_t *ret)
{
    uint64_t value = 0;
    if (reply->kind != KPID_REPLY_STR || reply->len == 0 || reply->len > 19)
        return false;
    for (size_t i = 0; i < reply->len; i++) {
        if (reply->str[i] < '0' || reply->str[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(reply->str[i] - '0');
    }
    *ret = value;
    return true;
}

/* SENTINEL MASTER: names and values in turn. */
static void on_master(void *ctx, const struct kpid_reply *reply)
{
    struct asked *one = ctx;
    assert(one->sentinel->magic == SENTINEL_MAGIC);
    one->epoch_read = 0;
    for (size_t i = 0; reply->kind == KPID_REPLY_ARRAY && i + 1 < reply->n_items; i += 2)
        if (is_word(&reply->items[i], "config-epoch"))
            (void)read_number(&reply->items[i + 1], &one->epoch_read);
}

/* SENTINEL GET-MASTER-ADDR-BY-NAME: host and port, nil for a name that it does not know. */
static void on_address(void *ctx, const struct kpid_reply *reply)
{
    struct asked *one = ctx;
    struct kpid_sentinel *sentinel = one->sentinel;
    struct kpid_redis *redis = sentinel->redis;
    const struct kpid_reply *host = &reply->items[0];
    uint64_t port = 0;
    assert(sentinel->magic == SENTINEL_MAGIC);
    one->asking = false;
    if (reply->kind == KPID_REPLY_DOWN)
        return;
    kpid_redis_enter(redis);
    if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 2 && host->kind == KPID_REPLY_STR &&
        host->len > 0 && host->len <= HOST_MAX_BYTES && read_number(&reply->items[1], &port) && port > 0 &&
        port <= 65535) {
        forget(one, "");
        one->place = (struct kpid_redis_place){kpid_strndup(host->str, host->len), (int)port};
        one->epoch = one->epoch_read;
    } else if (reply->kind == KPID_REPLY_ERROR) {
        struct kpid_buf why = KPID_BUF_INIT;
        kpid_redis_explain(reply, &why);
        forget(one, why.data);
        kpid_buf_release(&why);
    } else {
        forget(one, "it has no master of that name");
    }
    follow(sentinel);
    kpid_redis_leave(redis);
}

static void ask(struct asked *one)
{
    const char *name = one->sentinel->redis->url.name;
    struct kpid_bulk master[] = {KPID_BULK_STR("SENTINEL"), KPID_BULK_STR("MASTER"), KPID_BULK_STR(name)};
    struct kpid_bulk address[] = {KPID_BULK_STR("SENTINEL"), KPID_BULK_STR("GET-MASTER-ADDR-BY-NAME"),
                                  KPID_BULK_STR(name)};
    if (one->asking || !kpid_redis_up(one->link))
        return;
    one->asking = true;
    kpid_redis_send(one->link, master, KPID_COUNT_OF(master), on_master, one);
    kpid_redis_send(one->link, address, KPID_COUNT_OF(address), on_address, one);
}

static void on_up(void *ctx)
{
    ask(ctx);
}

/* What it said last stands no more: it may have been cut off from the others. */
static void on_down(void *ctx, const char *why)
{
    struct asked *one = ctx;
    assert(one->sentinel->magic == SENTINEL_MAGIC);
    forget(one, why);
}

static void poll_again(struct kpid_sentinel *sentinel)
{
    struct timeval after = {0, SENTINEL_POLL_MS * 1000};
    evtimer_add(sentinel->timer, &after);
}

static void on_timer(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_sentinel *sentinel = arg;
    assert(sentinel->magic == SENTINEL_MAGIC);
    for (size_t i = 0; i < sentinel->n; i++)
        ask(&sentinel->asked[i]);
    poll_again(sentinel);
}

struct kpid_sentinel *kpid_sentinel_open(struct kpid_redis *redis)
{
    static const struct kpid_redis_events EVENTS = {on_up, on_down};
    const struct kpid_redis_url *url = &redis->url;
    struct kpid_sentinel *sentinel = kpid_zalloc(1, sizeof(*sentinel));
    sentinel->magic = SENTINEL_MAGIC;
    sentinel->redis = redis;
    sentinel->timer = evtimer_new(redis->base, on_timer, sentinel);
    assert(sentinel->timer);
    sentinel->n = url->n_places;
    sentinel->asked = kpid_zalloc(url->n_places, sizeof(*sentinel->asked));
    for (size_t i = 0; i < sentinel->n; i++) {
        struct asked *one = &sentinel->asked[i];
        one->sentinel = sentinel;
        kpid_buf_add_str(&one->why, "not connected yet");
        one->link = kpid_redis_open_other(redis, url->places[i].host, url->places[i].port, url->sentinel_user,
                                          url->sentinel_password, true, &EVENTS, one);
    }
    poll_again(sentinel);
    kpid_redis_connect_later(redis, SENTINEL_POLL_MS); /* sooner, once one has answered */
    return sentinel;
}

void kpid_sentinel_close(struct kpid_sentinel *sentinel)
{
    for (size_t i = 0; i < sentinel->n; i++)
        kpid_redis_close(sentinel->asked[i].link);
    event_free(sentinel->timer);
}

void kpid_sentinel_free(struct kpid_sentinel *sentinel)
{
    if (!sentinel)
        return;
    for (size_t i = 0; i < sentinel->n; i++) {
        free(sentinel->asked[i].place.host);
        kpid_buf_release(&sentinel->asked[i].why);
    }
    free(sentinel->asked);
    sentinel->magic = 0;
    free(sentinel);
}
