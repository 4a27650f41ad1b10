/*
 * The map: asked of the nodes in turn, every two seconds, every tenth of one while something is amiss, and
 * soon after a MOVED. While no node is up (at the start, or after a restart of the whole cluster) one
 * connection goes through all addresses that were ever heard of last, those of the URL first. An answer may
 * be older than what MOVED said; then MOVED says it again.
 */
#include "cluster_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define MAP_EVERY_MS 2000
#define MAP_AMISS_MS 100

/* CRC16-CCITT (XMODEM) of the key, or of what stands in its first {}, if anything does. */
int kpid_cluster_slot_of(const void *key, size_t len)
{
    const char *bytes = key, *open = len ? memchr(bytes, '{', len) : NULL;
    const char *close = open ? memchr(open, '}', len - (size_t)(open - bytes)) : NULL;
    if (close && close > open + 1) {
        bytes = open + 1;
        len = (size_t)(close - bytes);
    }
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000u ? (crc << 1) ^ 0x1021u : crc << 1;
        crc &= 0xffffu;
    }
    return (int)(crc % KPID_CLUSTER_SLOTS);
}

void kpid_cluster_map_soon(struct kpid_cluster *cluster, int64_t after_ms)
{
    struct timeval after = {.tv_sec = after_ms / 1000, .tv_usec = (after_ms % 1000) * 1000};
    struct timeval due, now;
    if (evtimer_pending(cluster->map_timer, &due)) {
        struct timeval at;
        event_base_gettimeofday_cached(cluster->redis->base, &now);
        evutil_timeradd(&now, &after, &at);
        if (evutil_timercmp(&due, &at, <=))
            return;
    }
    evtimer_add(cluster->map_timer, &after);
}

static void set_why(struct kpid_cluster *cluster, const char *why)
{
    kpid_buf_clear(&cluster->map_why);
    kpid_buf_add_str(&cluster->map_why, why);
}

/* One node of an answer: host, port, ... A host that the node itself does not know is the one that was asked.
 */
static bool read_place(const struct kpid_reply *item, const struct kpid_redis_url *asked,
                       struct kpid_bulk *ret_host, int *ret_port)
{
    if (item->kind != KPID_REPLY_ARRAY || item->n_items < 2 || item->items[1].kind != KPID_REPLY_INT)
        return false;
    const struct kpid_reply *host = &item->items[0];
    int64_t port = item->items[1].integer;
    if (port <= 0 || port > 65535 || (host->len == 1 && host->str[0] == '?') || host->len > 255)
        return false;
    *ret_host = host->len > 0 ? (struct kpid_bulk){host->str, host->len} : KPID_BULK_STR(asked->host);
    *ret_port = (int)port;
    return true;
}

static void forget_known(struct kpid_cluster *cluster)
{
    while (cluster->n_known > cluster->n_known_url)
        free(cluster->known[--cluster->n_known].host);
}

static void note_known(struct kpid_cluster *cluster, const struct kpid_bulk *host, int port)
{
    for (size_t i = 0; i < cluster->n_known; i++) {
        const struct kpid_redis_place *place = &cluster->known[i];
        if (place->port == port && strlen(place->host) == host->len &&
            memcmp(place->host, host->bytes, host->len) == 0)
            return;
    }
    if (cluster->n_known == KPID_CLUSTER_NODES_MAX)
        return;
    cluster->known = kpid_realloc(cluster->known, (cluster->n_known + 1) * sizeof(*cluster->known));
    cluster->known[cluster->n_known++] =
        (struct kpid_redis_place){kpid_strndup(host->bytes, host->len), port};
}

/* One range: first, last, master, replicas ... */
static void read_range(struct kpid_cluster *cluster, const struct kpid_reply *range,
                       const struct kpid_redis_url *asked)
{
    struct kpid_bulk host;
    int port;
    if (range->kind != KPID_REPLY_ARRAY || range->n_items < 3 || range->items[0].kind != KPID_REPLY_INT ||
        range->items[1].kind != KPID_REPLY_INT)
        return;
    int64_t first = range->items[0].integer, last = range->items[1].integer;
    for (size_t i = 2; i < range->n_items; i++)
        if (read_place(&range->items[i], asked, &host, &port))
            note_known(cluster, &host, port);
    if (first < 0 || last >= KPID_CLUSTER_SLOTS || !read_place(&range->items[2], asked, &host, &port))
        return;
    struct kpid_cluster_node *node = kpid_cluster_node_at(cluster, host.bytes, host.len, port);
    for (int64_t slot = first; slot <= last; slot++)
        cluster->slots[slot].node = node;
}

void kpid_cluster_count(struct kpid_cluster *cluster)
{
    cluster->n_unmapped = 0;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        cluster->nodes[i]->mapped = false;
    for (size_t i = 0; i < KPID_CLUSTER_SLOTS; i++) {
        if (cluster->slots[i].node)
            cluster->slots[i].node->mapped = true;
        else
            cluster->n_unmapped++;
    }
}

static void read_map(struct kpid_cluster *cluster, const struct kpid_reply *reply,
                     const struct kpid_redis_url *asked)
{
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items == 0) {
        struct kpid_buf why = KPID_BUF_INIT;
        if (reply->kind == KPID_REPLY_ARRAY)
            kpid_buf_add_str(&why, "the node knows of no slots");
        else
            kpid_redis_explain(reply, &why);
        set_why(cluster, why.data);
        kpid_buf_release(&why);
        return;
    }
    for (size_t i = 0; i < KPID_CLUSTER_SLOTS; i++)
        cluster->slots[i].node = NULL;
    forget_known(cluster);
    for (size_t i = 0; i < reply->n_items; i++)
        read_range(cluster, &reply->items[i], asked);
    kpid_cluster_count(cluster);
    kpid_cluster_tidy(cluster);
}

static void answered(struct kpid_cluster *cluster, const struct kpid_reply *reply,
                     const struct kpid_redis *by)
{
    struct kpid_redis *redis = cluster->redis;
    cluster->map_asked = false;
    if (redis->closing || reply->kind == KPID_REPLY_DOWN)
        return;
    kpid_redis_enter(redis);
    read_map(cluster, reply, &by->url);
    kpid_cluster_judge(cluster);
    kpid_redis_leave(redis);
}

static void on_node_map(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_cluster_node *node = ctx;
    struct kpid_cluster *cluster = node->cluster;
    assert(cluster->magic == KPID_CLUSTER_MAGIC);
    kpid_redis_enter(node->link);
    struct kpid_redis *link = node->link;
    node->n_calls--;
    answered(cluster, reply, link);
    kpid_redis_leave(link);
}

static void on_seed_map(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_cluster *cluster = ctx;
    assert(cluster->magic == KPID_CLUSTER_MAGIC);
    cluster->seed_failed = true; /* the next question goes to the next one: this one may be cut off */
    answered(cluster, reply, cluster->seed);
}

static void on_seed_up(void *ctx)
{
    struct kpid_cluster *cluster = ctx;
    assert(cluster->magic == KPID_CLUSTER_MAGIC);
    kpid_cluster_map_soon(cluster, 0);
}

static void on_seed_down(void *ctx, const char *why)
{
    struct kpid_cluster *cluster = ctx;
    struct kpid_redis *redis = cluster->redis;
    assert(cluster->magic == KPID_CLUSTER_MAGIC);
    cluster->seed_failed = true;
    set_why(cluster, why);
    kpid_cluster_map_soon(cluster, MAP_AMISS_MS);
    kpid_redis_enter(redis);
    kpid_cluster_judge(cluster);
    kpid_redis_leave(redis);
}

static void ask(struct kpid_cluster *cluster, struct kpid_redis *link, kpid_redis_done *done, void *ctx)
{
    struct kpid_bulk slots[] = {KPID_BULK_STR("CLUSTER"), KPID_BULK_STR("SLOTS")};
    cluster->map_asked = true;
    kpid_redis_send(link, slots, KPID_COUNT_OF(slots), done, ctx);
}

/* The next address in turn, while no node is up. */
static void ask_seed(struct kpid_cluster *cluster)
{
    static const struct kpid_redis_events EVENTS = {on_seed_up, on_seed_down};
    const struct kpid_redis_url *url = &cluster->redis->url;
    if (cluster->seed && !cluster->seed_failed) {
        if (kpid_redis_up(cluster->seed))
            ask(cluster, cluster->seed, on_seed_map, cluster);
        return;
    }
    const struct kpid_redis_place *place = &cluster->known[cluster->next_known++ % cluster->n_known];
    kpid_redis_close(cluster->seed);
    cluster->seed_failed = false;
    cluster->seed = kpid_redis_open_other(cluster->redis, place->host, place->port, url->user, url->password,
                                          true, &EVENTS, cluster);
}

static struct kpid_cluster_node *next_up(struct kpid_cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        struct kpid_cluster_node *node = cluster->nodes[cluster->next_node++ % cluster->n_nodes];
        if (node->mapped && kpid_redis_up(node->link))
            return node;
    }
    return NULL;
}

void kpid_cluster_map_timer(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_cluster *cluster = arg;
    assert(cluster->magic == KPID_CLUSTER_MAGIC);
    kpid_cluster_map_soon(cluster, cluster->redis->up ? MAP_EVERY_MS : MAP_AMISS_MS);
    if (cluster->map_asked)
        return;
    struct kpid_cluster_node *node = next_up(cluster);
    if (!node) {
        ask_seed(cluster);
        return;
    }
    kpid_redis_close(cluster->seed);
    cluster->seed = NULL;
    node->n_calls++;
    ask(cluster, node->link, on_node_map, node);
}
