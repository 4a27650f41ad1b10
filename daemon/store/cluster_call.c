/*
 * Commands on their way. Each slot has a queue of which only the head is under way: what has to be sent again
 * (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, NOSCRIPT: none of which was executed) is not overtaken by what came
 * later. Commands of different slots, and those without a key, are independent.
 *
 *   MOVED       the map is mended, and it is sent there; if that node is not connected yet, it waits for it
 *   ASK         ASKING and the command go to that node, in one go, and the map stays; a script as its text,
 * since a second attempt would need another ASKING TRYAGAIN    the slot is being moved, and some of the
 * command's keys are on either side, as with every commit, whose new pages are nowhere yet: again after a
 * pause, from 10 ms doubling to 200 ms CLUSTERDOWN again after a pause; the map is asked for as well
 *
 * What has not been executed within the timeout is given up, with the last error as its answer, so that
 * callers can tell; their own attempts then go on for as long as a migration lasts. What was on a connection
 * that was lost is answered KPID_REPLY_DOWN, and never sent again here. In both cases all that waits in the
 * queue has the same answer.
 */
#include "cluster_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAUSE_MIN_MS    10
#define PAUSE_MAX_MS    200
#define HOPS_MAX        8 /* redirections in a row, before a pause */
#define PATIENCE_MIN_MS 1000

static void dispatch(struct kpid_cluster_call *call);

static void call_free(struct kpid_cluster_call *call)
{
    if (call->timer)
        event_free(call->timer);
    kpid_redis_retry_free(call->request);
    kpid_buf_release(&call->why);
    free(call);
}

static void uncount(const struct kpid_cluster_call *call)
{
    call->cluster->n_calls--;
    call->cluster->call_bytes -= call->request->command.len;
}

/* Takes it off its queue. Returns the next one, which has not been sent. */
static struct kpid_cluster_call *take_off(struct kpid_cluster_call *call)
{
    struct kpid_cluster *cluster = call->cluster;
    uncount(call);
    if (call->slot < 0)
        return NULL;
    struct kpid_cluster_slot *slot = &cluster->slots[call->slot];
    assert(slot->head == call);
    slot->head = call->next;
    if (!slot->head)
        slot->tail = NULL;
    return slot->head;
}

/* The caller is answered, and the next one of the slot goes. */
static void answer(struct kpid_cluster_call *call, const struct kpid_reply *reply)
{
    struct kpid_redis *redis = call->cluster->redis;
    struct kpid_cluster_call *next = take_off(call);
    kpid_redis_enter(redis);
    if (next && redis->up)
        dispatch(next);
    if (call->done)
        call->done(call->ctx, reply);
    call_free(call);
    kpid_redis_leave(redis);
}

/* The caller is answered, and so, the same, is all that waits behind: what was not executed must not be
 * overtaken, and who sends it again finds that out before anything else of the slot is sent. */
static void answer_all(struct kpid_cluster_call *call, const struct kpid_reply *reply)
{
    struct kpid_cluster *cluster = call->cluster;
    struct kpid_redis *redis = cluster->redis;
    struct kpid_cluster_call **end = &cluster->failing;
    if (call->slot >= 0) {
        assert(cluster->slots[call->slot].head == call);
        cluster->slots[call->slot].head = cluster->slots[call->slot].tail = NULL;
    }
    while (*end)
        end = &(*end)->next;
    *end = call;
    for (; call; call = call->next) {
        call->fail_kind = reply->kind;
        if (reply->str != call->why.data) {
            kpid_buf_clear(&call->why);
            kpid_buf_add(&call->why, reply->str ? reply->str : "", reply->str ? reply->len : 0);
        }
    }
    kpid_redis_enter(redis);
    while ((call = cluster->failing)) {
        struct kpid_reply own = {.kind = call->fail_kind, .str = call->why.data, .len = call->why.len};
        cluster->failing = call->next;
        uncount(call);
        if (call->done)
            call->done(call->ctx, &own);
        call_free(call);
    }
    kpid_redis_leave(redis);
}

/* They are answered on a later turn, with KPID_REPLY_DOWN. */
static void fail_from(struct kpid_cluster_call *call)
{
    for (struct kpid_cluster_call *next; call; call = next) {
        next = call->next;
        uncount(call);
        kpid_redis_fail_later(call->cluster->redis,
                              (struct kpid_redis_call){.done = call->done, .ctx = call->ctx});
        call_free(call);
    }
}

void kpid_cluster_fail_waiting(struct kpid_cluster *cluster)
{
    struct kpid_cluster_call *failing = cluster->failing;
    cluster->failing = NULL;
    fail_from(failing);
    for (size_t i = 0; cluster->n_calls > 0 && i < KPID_CLUSTER_SLOTS; i++) {
        struct kpid_cluster_slot *slot = &cluster->slots[i];
        struct kpid_cluster_call *call = slot->head, *behind = call;
        bool under_way = call && call->node;
        if (under_way) {
            behind = call->next;
            call->next = NULL;
        }
        slot->head = slot->tail = under_way ? call : NULL;
        fail_from(behind);
    }
}

/* ---- waiting ---- */

static void on_timer(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct kpid_cluster_call *call = arg;
    assert(call->cluster->magic == KPID_CLUSTER_MAGIC);
    call->hops = 0;
    dispatch(call);
}

static void give_up(struct kpid_cluster_call *call)
{
    struct kpid_reply reply = {.kind = KPID_REPLY_ERROR, .str = call->why.data, .len = call->why.len};
    answer_all(call, &reply);
}

/* Sends it again after a pause. why: an error of Redis, or one like it. What needs no certain node needs none
 * that is not there. */
static void wait_a_bit(struct kpid_cluster_call *call, const char *why)
{
    struct kpid_redis *redis = call->cluster->redis;
    int64_t now_ms = kpid_redis_now_ms();
    if (call->slot < 0) {
        fail_from(call);
        return;
    }
    call->asked = NULL;
    kpid_buf_clear(&call->why);
    kpid_buf_add_str(&call->why, why);
    if (call->until_ms == 0) {
        call->until_ms = now_ms + (redis->timeout_ms > PATIENCE_MIN_MS ? redis->timeout_ms : PATIENCE_MIN_MS);
        call->pause_ms = PAUSE_MIN_MS;
    }
    if (!call->timer) {
        call->timer = evtimer_new(redis->base, on_timer, call);
        assert(call->timer);
    }
    struct timeval pause = {0, call->pause_ms * 1000};
    evtimer_add(call->timer, &pause);
    call->pause_ms = call->pause_ms * 2 < PAUSE_MAX_MS ? call->pause_ms * 2 : PAUSE_MAX_MS;
}

/* ---- answers ---- */

/* "MOVED 3999 127.0.0.1:6381": the last colon, since hosts may have some. An empty host is the one that
 * answers. */
static struct kpid_cluster_node *read_target(struct kpid_cluster_call *call, const char *text, size_t len)
{
    const char *place = memchr(text, ' ', len);
    place = place ? memchr(place + 1, ' ', len - (size_t)(place + 1 - text)) : NULL;
    if (!place)
        return NULL;
    const char *end = text + len, *colon = NULL;
    for (const char *at = ++place; at < end; at++)
        if (*at == ':')
            colon = at;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (port <= 0 || port > 65535)
        return NULL;
    size_t host_len = (size_t)(colon - place);
    if (host_len == 0) {
        place = call->node->place.host;
        host_len = strlen(place);
    }
    return kpid_cluster_node_at(call->cluster, place, host_len, (int)port);
}

static void moved(struct kpid_cluster_call *call, const struct kpid_reply *reply, bool for_good)
{
    struct kpid_cluster *cluster = call->cluster;
    struct kpid_cluster_node *node = read_target(call, reply->str, reply->len);
    call->node = NULL;
    if (!node || call->slot < 0 || ++call->hops > HOPS_MAX) {
        wait_a_bit(call, reply->str);
        return;
    }
    if (for_good) {
        cluster->slots[call->slot].node = node;
        kpid_cluster_count(cluster);
        kpid_cluster_map_soon(cluster, KPID_REDIS_BACKOFF_MIN_MS);
    } else {
        node->asked_ms = kpid_redis_now_ms();
        call->asked = node;
        call->whole = call->request->text != NULL;
    }
    dispatch(call);
}

/* SCAN goes through the masters one after another: its cursor says which, as "<number>-<cursor>". */
static void answer_scan(struct kpid_cluster_call *call, const struct kpid_reply *reply)
{
    struct kpid_cluster *cluster = call->cluster;
    struct kpid_reply items[2], whole = {.kind = KPID_REPLY_ARRAY, .items = items, .n_items = 2};
    char cursor[64];
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items != 2 || reply->items[0].len > 20) {
        answer(call, reply);
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        n += cluster->nodes[i]->mapped;
    memcpy(items, reply->items, sizeof(items));
    bool over = items[0].len == 1 && items[0].str[0] == '0';
    if (!over)
        snprintf(cursor, sizeof(cursor), "%zu-%.*s", call->scan_at, (int)items[0].len, items[0].str);
    else if (call->scan_at + 1 < n)
        snprintf(cursor, sizeof(cursor), "%zu-0", call->scan_at + 1);
    else
        snprintf(cursor, sizeof(cursor), "0");
    items[0].str = cursor;
    items[0].len = strlen(cursor);
    answer(call, &whole);
}

static void on_answer(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_cluster_call *call = ctx;
    struct kpid_cluster *cluster = call->cluster;
    assert(cluster->magic == KPID_CLUSTER_MAGIC && call->node);
    call->node->n_calls--;
    bool again = reply->kind == KPID_REPLY_ERROR && !cluster->redis->closing;
    if (again && strncmp(reply->str, "MOVED ", 6) == 0) {
        moved(call, reply, true);
        return;
    }
    if (again && strncmp(reply->str, "ASK ", 4) == 0) {
        moved(call, reply, false);
        return;
    }
    call->node = NULL;
    if (reply->kind == KPID_REPLY_DOWN)
        answer_all(call, reply);
    else if (again && call->request->text && !call->whole && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        call->whole = true;
        dispatch(call);
    } else if (again &&
               (strncmp(reply->str, "TRYAGAIN", 8) == 0 || strncmp(reply->str, "CLUSTERDOWN", 11) == 0)) {
        if (*reply->str == 'C')
            kpid_cluster_map_soon(cluster, KPID_REDIS_BACKOFF_MIN_MS);
        wait_a_bit(call, reply->str);
    } else if (call->scan) {
        answer_scan(call, reply);
    } else {
        answer(call, reply);
    }
}

/* ---- sending ---- */

static struct kpid_cluster_node *any_node(const struct kpid_cluster_call *call)
{
    const struct kpid_cluster *cluster = call->cluster;
    size_t at = 0;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i]->mapped && at++ == call->scan_at)
            return cluster->nodes[i];
    return NULL;
}

/* Sends it, or lets it wait for its node. */
static void dispatch(struct kpid_cluster_call *call)
{
    struct kpid_cluster *cluster = call->cluster;
    struct kpid_cluster_node *node = call->asked;
    struct kpid_buf whole = KPID_BUF_INIT;
    if (!node)
        node = call->slot < 0 ? any_node(call) : cluster->slots[call->slot].node;
    if (call->until_ms > 0 && kpid_redis_now_ms() >= call->until_ms) {
        give_up(call);
        return;
    }
    if (!node || !kpid_redis_up(node->link)) {
        wait_a_bit(call, "CLUSTERDOWN the node that has these keys is not connected yet");
        return;
    }
    call->node = node;
    node->n_calls++;
    if (call->asked) {
        struct kpid_bulk asking = KPID_BULK_STR("ASKING");
        kpid_redis_send(node->link, &asking, 1, NULL, NULL);
    }
    call->asked = NULL;
    if (call->whole)
        kpid_redis_encode_whole(&whole, call->request);
    kpid_redis_send_encoded(node->link, call->whole ? &whole : &call->request->command, on_answer, call);
    kpid_buf_release(&whole);
}

/* Takes request. */
static struct kpid_cluster_call *call_new(struct kpid_cluster *cluster, struct kpid_redis_retry *request,
                                          int slot, kpid_redis_done *done, void *ctx)
{
    struct kpid_cluster_call *call = kpid_zalloc(1, sizeof(*call));
    call->cluster = cluster;
    call->request = request;
    call->done = done;
    call->ctx = ctx;
    call->slot = slot;
    cluster->n_calls++;
    cluster->call_bytes += request->command.len;
    return call;
}

static void begin(struct kpid_cluster_call *call)
{
    if (call->slot < 0) {
        dispatch(call);
        return;
    }
    struct kpid_cluster_slot *slot = &call->cluster->slots[call->slot];
    if (slot->tail)
        slot->tail->next = call;
    else
        slot->head = call;
    slot->tail = call;
    if (slot->head == call)
        dispatch(call);
}

static bool is_word(const struct kpid_bulk *bulk, const char *word)
{
    return bulk->len == strlen(word) && strncasecmp(bulk->bytes, word, bulk->len) == 0;
}

static void send_scan(struct kpid_cluster *cluster, const struct kpid_bulk *bulks, size_t n,
                      kpid_redis_done *done, void *ctx)
{
    struct kpid_bulk *own = kpid_alloc(n * sizeof(*own));
    char cursor[64], *end = cursor;
    memcpy(own, bulks, n * sizeof(*own));
    snprintf(cursor, sizeof(cursor), "%.*s", (int)own[1].len, (const char *)own[1].bytes);
    size_t at = strtoul(cursor, &end, 10);
    if (*end == '-')
        own[1] = KPID_BULK_STR(end + 1);
    struct kpid_cluster_call *call = call_new(cluster, kpid_redis_encode(own, n), -1, done, ctx);
    call->scan = true;
    call->scan_at = *end == '-' ? at : 0;
    free(own);
    begin(call);
}

/* The slot of the first key, where a command of kpid's has it: first, or of a script fourth. */
static int slot_of(const struct kpid_bulk *bulks, size_t n)
{
    size_t at = is_word(&bulks[0], "EVAL") || is_word(&bulks[0], "EVALSHA") ? 3 : 1;
    return at < n ? kpid_cluster_slot_of(bulks[at].bytes, bulks[at].len) : -1;
}

void kpid_cluster_send(struct kpid_cluster *cluster, const struct kpid_bulk *bulks, size_t n,
                       kpid_redis_done *done, void *ctx)
{
    if (n > 1 && is_word(&bulks[0], "SCAN"))
        send_scan(cluster, bulks, n, done, ctx);
    else
        begin(call_new(cluster, kpid_redis_encode(bulks, n), slot_of(bulks, n), done, ctx));
}

void kpid_cluster_eval(struct kpid_cluster *cluster, struct kpid_script *script, const struct kpid_bulk *keys,
                       size_t n_keys, const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done,
                       void *ctx)
{
    struct kpid_redis_retry *request = kpid_redis_encode_script(script, keys, n_keys, args, n_args);
    begin(call_new(cluster, request, n_keys > 0 ? kpid_cluster_slot_of(keys[0].bytes, keys[0].len) : -1, done,
                   ctx));
}

size_t kpid_cluster_pending(const struct kpid_cluster *cluster)
{
    return cluster->n_calls;
}

/* What waits in queues counts, what is on its way does too: it is kept until it is answered. */
size_t kpid_cluster_pending_bytes(const struct kpid_cluster *cluster)
{
    return cluster->call_bytes;
}
