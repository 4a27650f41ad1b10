#include "redis_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t count_items(const redisReply *raw)
{
    size_t n = 0;
    if (raw->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < raw->elements; i++)
            n += 1 + count_items(raw->element[i]);
    return n;
}

static enum kpid_reply_kind kind_of(int type)
{
    switch (type) {
    case REDIS_REPLY_STATUS: return KPID_REPLY_STATUS;
    case REDIS_REPLY_ERROR: return KPID_REPLY_ERROR;
    case REDIS_REPLY_INTEGER: return KPID_REPLY_INT;
    case REDIS_REPLY_NIL: return KPID_REPLY_NIL;
    case REDIS_REPLY_ARRAY: return KPID_REPLY_ARRAY;
    default: return KPID_REPLY_STR;
    }
}

/* Takes the items of arrays from *free_items, which has count_items(raw) left. */
static void view(const redisReply *raw, struct kpid_reply *ret, struct kpid_reply **free_items)
{
    *ret = (struct kpid_reply){.kind = kind_of(raw->type)};
    if (ret->kind == KPID_REPLY_ARRAY) {
        struct kpid_reply *items = *free_items;
        *free_items += raw->elements;
        for (size_t i = 0; i < raw->elements; i++)
            view(raw->element[i], &items[i], free_items);
        ret->items = items;
        ret->n_items = raw->elements;
    } else if (ret->kind == KPID_REPLY_INT) {
        ret->integer = raw->integer;
    } else if (ret->kind != KPID_REPLY_NIL) {
        ret->str = raw->str;
        ret->len = raw->len;
    }
}

void kpid_redis_hand_out(const redisReply *raw, kpid_redis_done *done, void *ctx)
{
    struct kpid_reply few[16], reply;
    size_t n = count_items(raw);
    struct kpid_reply *items = n <= KPID_COUNT_OF(few) ? few : kpid_alloc(n * sizeof(*items));
    struct kpid_reply *next = items;
    view(raw, &reply, &next);
    assert(next == items + n);
    done(ctx, &reply);
    if (items != few)
        free(items);
}

static const struct {
    const char *code, *meaning;
} MEANINGS[] = {
    {"LOADING", "Redis is still loading its data"},
    {"OOM", "Redis has reached its maxmemory"},
    {"READONLY", "this Redis is a read-only replica"},
    {"MISCONF", "Redis can't write to its disk and refuses writes"},
    {"NOREPLICAS", "Redis has fewer replicas than it is told to write to"},
    {"MASTERDOWN", "this Redis is a replica that has lost its master"},
    {"CLUSTERDOWN", "the Redis Cluster is down"},
    {"MOVED", "this is one node of a Redis Cluster: its URL begins with redis+cluster://"},
    {"TRYAGAIN", "these keys are on their way to another node of the Redis Cluster"},
    {"BUSY", "Redis is busy with a script that runs too long"},
    {"NOAUTH", "Redis wants a password"},
    {"WRONGPASS", "Redis does not accept the user or password"},
    {"NOPERM", "the Redis user is not permitted to do this"},
    {"WRONGTYPE", "a key of ours holds something else"},
};

/* Redis 7 puts the code of an error inside a script first, as everywhere; Redis 6 somewhere behind, after "
 * -". */
static bool has_code(const char *text, const char *code)
{
    size_t len = strlen(code);
    if (strncmp(text, code, len) == 0)
        return true;
    const char *at = text;
    while ((at = strstr(at, code)) != NULL) {
        if (at > text && at[-1] == '-' && at[len] == ' ')
            return true;
        at += len;
    }
    return false;
}

bool kpid_redis_error_is(const struct kpid_reply *reply, const char *code)
{
    return reply->kind == KPID_REPLY_ERROR && reply->str && has_code(reply->str, code);
}

void kpid_redis_explain(const struct kpid_reply *reply, struct kpid_buf *buf)
{
    if (reply->kind == KPID_REPLY_DOWN) {
        kpid_buf_printf(buf, "no connection to Redis: %.*s", (int)reply->len, reply->str ? reply->str : "");
    } else if (reply->kind != KPID_REPLY_ERROR) {
        kpid_buf_add_str(buf, "Redis answered something unexpected");
    } else {
        for (size_t i = 0; i < KPID_COUNT_OF(MEANINGS); i++)
            if (has_code(reply->str, MEANINGS[i].code)) {
                kpid_buf_printf(buf, "%s: ", MEANINGS[i].meaning);
                break;
            }
        kpid_buf_add(buf, reply->str, reply->len);
    }
}
