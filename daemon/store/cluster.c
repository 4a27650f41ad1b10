/*
 * A cluster is up while every slot has a master and all masters are connected and accepted; so its callers
 * see one Redis, and what they do when it was down (ask whether it still has what it acknowledged) covers a
 * failover of one master too. A master that a map or MOVED names anew does not take it down while its
 * connection is made: commands for it wait. Connections of masters without slots are closed once nothing is
 * on its way there.
 */
#include "cluster_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_KEPT_MS 10000 /* a node without slots that is to get some */

static struct kpid_cluster_node *node_of(void *ctx)
{
    struct kpid_cluster_node *node = ctx;
    assert(node->cluster->magic == KPID_CLUSTER_MAGIC);
    return node;
}

static void on_node_up(void *ctx)
{
    struct kpid_cluster_node *node = node_of(ctx);
    struct kpid_redis *redis = node->cluster->redis;
    kpid_redis_enter(redis);
    node->failed = false;
    kpid_cluster_judge(node->cluster);
    kpid_redis_leave(redis);
}

static void on_node_down(void *ctx, const char *why)
{
    struct kpid_cluster_node *node = node_of(ctx);
    struct kpid_redis *redis = node->cluster->redis;
    (void)why;
    kpid_redis_enter(redis);
    node->failed = true;
    kpid_cluster_judge(node->cluster);
    kpid_redis_leave(redis);
}

struct kpid_cluster_node *kpid_cluster_node_at(struct kpid_cluster *cluster, const char *host,
                                               size_t host_len, int port)
{
    static const struct kpid_redis_events EVENTS = {on_node_up, on_node_down};
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const struct kpid_redis_place *place = &cluster->nodes[i]->place;
        if (place->port == port && strlen(place->host) == host_len &&
            memcmp(place->host, host, host_len) == 0)
            return cluster->nodes[i];
    }
    if (cluster->n_nodes == KPID_CLUSTER_NODES_MAX)
        return NULL;
    const struct kpid_redis_url *url = &cluster->redis->url;
    struct kpid_cluster_node *node = kpid_zalloc(1, sizeof(*node));
    node->cluster = cluster;
    node->asked_ms = INT64_MIN / 2;
    node->place = (struct kpid_redis_place){kpid_strndup(host, host_len), port};
    node->link = kpid_redis_open_other(cluster->redis, node->place.host, port, url->user, url->password,
                                       false, &EVENTS, node);
    cluster->nodes =
        kpid_realloc(cluster->nodes, (cluster->n_nodes + 1) * sizeof(struct kpid_cluster_node *));
    cluster->nodes[cluster->n_nodes++] = node;
    return node;
}

static void node_free(struct kpid_cluster_node *node)
{
    free(node->place.host);
    free(node);
}

void kpid_cluster_tidy(struct kpid_cluster *cluster)
{
    size_t n = 0;
    int64_t now_ms = kpid_redis_now_ms();
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        struct kpid_cluster_node *node = cluster->nodes[i];
        if (node->mapped || node->n_calls > 0 || now_ms - node->asked_ms < ASKED_KEPT_MS) {
            cluster->nodes[n++] = node;
            continue;
        }
        kpid_redis_close(node->link);
        node_free(node);
    }
    cluster->n_nodes = n;
}

/* Why it can't be up at present; false: nothing is known against it. */
static bool is_broken(const struct kpid_cluster *cluster, struct kpid_buf *why)
{
    if (cluster->n_unmapped == KPID_CLUSTER_SLOTS) {
        kpid_buf_printf(why, "no node of the cluster has told where the slots are: %s",
                        cluster->map_why.data);
        return true;
    }
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const struct kpid_cluster_node *node = cluster->nodes[i];
        if (!node->mapped || !node->failed)
            continue;
        kpid_buf_printf(why, "%s:%d of the cluster: %s", node->place.host, node->place.port,
                        node->link->why.data);
        return true;
    }
    if (cluster->n_unmapped > 0) {
        kpid_buf_printf(why, "%zu of the %d slots of the cluster have no master", cluster->n_unmapped,
                        KPID_CLUSTER_SLOTS);
        return true;
    }
    return false;
}

static bool all_up(const struct kpid_cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i]->mapped && !kpid_redis_up(cluster->nodes[i]->link))
            return false;
    return true;
}

static size_t list_replids(const struct kpid_cluster *cluster, char (*ret)[41])
{
    size_t n = 0;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i]->mapped && cluster->nodes[i]->link->replid[0])
            memcpy(ret[n++], cluster->nodes[i]->link->replid, sizeof(*ret));
    return n;
}

/* Whether one of a is not among b. */
static bool any_missing(char (*a)[41], size_t n_a, char (*b)[41], size_t n_b)
{
    for (size_t i = 0; i < n_a; i++) {
        size_t j = 0;
        while (j < n_b && strcmp(a[i], b[j]) != 0)
            j++;
        if (j == n_b)
            return true;
    }
    return false;
}

/* Whether a master has taken the place of another, or was restarted. One that was only added or taken away is
 * no loss: its slots were moved. One that was added may turn out to have taken another's place once all of
 * its slots are known, so it counts as new until one goes. */
static bool is_replaced(struct kpid_cluster *cluster)
{
    char(*now)[41] = kpid_alloc((cluster->n_nodes + 1) * sizeof(*now));
    size_t n = list_replids(cluster, now);
    bool gone = any_missing(cluster->replids, cluster->n_replids, now, n);
    bool added = any_missing(now, n, cluster->replids, cluster->n_replids);
    if (added && !gone && cluster->n_replids > 0) {
        free(now);
        return false;
    }
    free(cluster->replids);
    cluster->replids = now;
    cluster->n_replids = n;
    return gone && added;
}

static void come_up(struct kpid_cluster *cluster)
{
    struct kpid_redis *redis = cluster->redis;
    kpid_buf_clear(&redis->warning);
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const char *warning = kpid_redis_warning(cluster->nodes[i]->link);
        if (redis->warning.len == 0)
            kpid_buf_add_str(&redis->warning, warning);
    }
    kpid_redis_tell_up(redis);
}

/* A failover that was asked for breaks no connection; the callers are to know all the same. */
static void interrupt(struct kpid_cluster *cluster)
{
    struct kpid_redis *redis = cluster->redis;
    redis->up = false;
    kpid_buf_clear(&redis->why);
    kpid_buf_add_str(&redis->why, "another node has become a master of the cluster");
    kpid_cluster_fail_waiting(cluster);
    kpid_redis_tell_down(redis, true);
}

void kpid_cluster_judge(struct kpid_cluster *cluster)
{
    struct kpid_redis *redis = cluster->redis;
    struct kpid_buf why = KPID_BUF_INIT;
    if (redis->closing)
        return;
    if (is_broken(cluster, &why)) {
        bool was_up = redis->up;
        redis->up = false;
        kpid_buf_clear(&redis->why);
        kpid_buf_add(&redis->why, why.data, why.len);
        kpid_buf_release(&why);
        kpid_cluster_fail_waiting(cluster);
        kpid_cluster_map_soon(cluster, KPID_REDIS_BACKOFF_MIN_MS);
        kpid_redis_tell_down(redis, was_up);
    } else if (all_up(cluster)) {
        bool replaced = is_replaced(cluster);
        redis->losses += replaced;
        if (redis->up && replaced)
            interrupt(cluster);
        if (!redis->up && !redis->closing)
            come_up(cluster);
    }
}

static void add_known(struct kpid_cluster *cluster, const char *host, int port)
{
    cluster->known = kpid_realloc(cluster->known, (cluster->n_known + 1) * sizeof(*cluster->known));
    cluster->known[cluster->n_known++] = (struct kpid_redis_place){kpid_strdup(host), port};
}

struct kpid_cluster *kpid_cluster_open(struct kpid_redis *redis)
{
    const struct kpid_redis_url *url = &redis->url;
    struct kpid_cluster *cluster = kpid_zalloc(1, sizeof(*cluster));
    cluster->magic = KPID_CLUSTER_MAGIC;
    cluster->redis = redis;
    cluster->slots = kpid_zalloc(KPID_CLUSTER_SLOTS, sizeof(*cluster->slots));
    cluster->n_unmapped = KPID_CLUSTER_SLOTS;
    for (size_t i = 0; i < url->n_places; i++)
        add_known(cluster, url->places[i].host, url->places[i].port);
    cluster->n_known_url = cluster->n_known;
    kpid_buf_add_str(&cluster->map_why, "not connected yet");
    cluster->map_timer = evtimer_new(redis->base, kpid_cluster_map_timer, cluster);
    assert(cluster->map_timer);
    kpid_cluster_map_soon(cluster, 0);
    return cluster;
}

void kpid_cluster_close(struct kpid_cluster *cluster)
{
    kpid_cluster_fail_waiting(cluster);
    for (size_t i = 0; i < cluster->n_nodes; i++)
        kpid_redis_close(cluster->nodes[i]->link);
    kpid_redis_close(cluster->seed);
    event_free(cluster->map_timer);
}

void kpid_cluster_free(struct kpid_cluster *cluster)
{
    if (!cluster)
        return;
    assert(cluster->n_calls == 0);
    for (size_t i = 0; i < cluster->n_nodes; i++)
        node_free(cluster->nodes[i]);
    for (size_t i = 0; i < cluster->n_known; i++)
        free(cluster->known[i].host);
    free(cluster->nodes);
    free(cluster->known);
    free(cluster->slots);
    free(cluster->replids);
    kpid_buf_release(&cluster->map_why);
    cluster->magic = 0;
    free(cluster);
}
