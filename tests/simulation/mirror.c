#include "mirror.h"

#include "../lib/redis.h"
#include "kpid/store.h"
#include "store/scripts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_SHOWN 5

struct mirror {
    struct test_redis redis;
    struct run_mirror hooks;
    uint64_t commands, keys, faults;
};

static void fault(struct mirror *mirror, const char *what, const char *expected, const char *got)
{
    if (mirror->faults++ < FAULTS_SHOWN)
        fprintf(stderr, "%s: the model has %s, Redis has %s\n", what, expected, got);
}

/* ---- answers ---- */

static void print(const struct kpid_reply *reply, struct kpid_buf *out);

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Items as text, `step` of them together; in any order if `sorted`. */
static void print_items(const struct kpid_reply *reply, size_t step, bool sorted, struct kpid_buf *out)
{
    size_t n = reply->n_items / step;
    char **texts = kpid_zalloc(n + 1, sizeof(*texts));
    for (size_t i = 0; i < n; i++) {
        struct kpid_buf text = KPID_BUF_INIT;
        for (size_t k = 0; k < step; k++)
            print(&reply->items[i * step + k], &text);
        kpid_buf_add_char(&text, '\0');
        texts[i] = text.data;
    }
    if (sorted)
        qsort(texts, n, sizeof(*texts), by_text);
    for (size_t i = 0; i < n; i++) {
        kpid_buf_add_str(out, texts[i]);
        kpid_buf_add_char(out, '\n');
        free(texts[i]);
    }
    free(texts);
}

/* Bytes that are no text are written as numbers. */
static void print_bytes(const char *bytes, size_t len, struct kpid_buf *out)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] > ' ' && bytes[i] < 127)
            kpid_buf_add_char(out, bytes[i]);
        else
            kpid_buf_printf(out, "\\%02x", (unsigned char)bytes[i]);
}

static void print(const struct kpid_reply *reply, struct kpid_buf *out)
{
    switch (reply->kind) {
    case KPID_REPLY_NIL: kpid_buf_add_str(out, "nil "); break;
    case KPID_REPLY_INT: kpid_buf_printf(out, "%" PRId64 " ", reply->integer); break;
    case KPID_REPLY_ARRAY: print_items(reply, 1, false, out); break;
    default:
        print_bytes(reply->str, reply->len, out);
        kpid_buf_add_char(out, ' ');
        break;
    }
}

/* Redis' answer in our own form; the items are owned. */
static struct kpid_reply view(const redisReply *raw)
{
    struct kpid_reply reply = {
        .kind = KPID_REPLY_STR, .integer = raw->integer, .str = raw->str, .len = raw->len};
    struct kpid_reply *items;
    switch (raw->type) {
    case REDIS_REPLY_NIL: reply.kind = KPID_REPLY_NIL; break;
    case REDIS_REPLY_INTEGER: reply.kind = KPID_REPLY_INT; break;
    case REDIS_REPLY_ARRAY:
        reply.kind = KPID_REPLY_ARRAY;
        items = kpid_zalloc(raw->elements + 1, sizeof(*items));
        for (size_t i = 0; i < raw->elements; i++)
            items[i] = view(raw->element[i]);
        reply.items = items;
        reply.n_items = raw->elements;
        break;
    default: break;
    }
    return reply;
}

static void view_release(const struct kpid_reply *reply)
{
    for (size_t i = 0; i < reply->n_items; i++)
        view_release(&reply->items[i]);
    free((void *)(uintptr_t)reply->items);
}

static void compare(struct mirror *mirror, const char *what, const struct kpid_reply *ours,
                    const redisReply *raw, size_t step, bool sorted)
{
    struct kpid_reply theirs = view(raw);
    struct kpid_buf expected = KPID_BUF_INIT, got = KPID_BUF_INIT;
    bool arrays = ours->kind == KPID_REPLY_ARRAY && theirs.kind == KPID_REPLY_ARRAY;
    if (arrays) {
        print_items(ours, step, sorted, &expected);
        print_items(&theirs, step, sorted, &got);
    } else {
        print(ours, &expected);
        print(&theirs, &got);
    }
    kpid_buf_add_char(&expected, '\0');
    kpid_buf_add_char(&got, '\0');
    if (strcmp(expected.data, got.data) != 0)
        fault(mirror, what, expected.data, got.data);
    kpid_buf_release(&expected);
    kpid_buf_release(&got);
    view_release(&theirs);
}

static void executed(void *ctx, struct server *server, const struct command *command,
                     const struct kpid_reply *reply)
{
    struct mirror *mirror = ctx;
    size_t extra = command->script ? 3 : 0, n = command->n + extra;
    const char **words = kpid_alloc(n * sizeof(*words));
    size_t *lens = kpid_alloc(n * sizeof(*lens));
    char n_keys[24];
    (void)server;
    snprintf(n_keys, sizeof(n_keys), "%zu", command->n_keys);
    if (command->script) {
        const char *head[] = {"EVAL", command->script, n_keys};
        for (size_t i = 0; i < 3; i++) {
            words[i] = head[i];
            lens[i] = strlen(head[i]);
        }
    }
    for (size_t i = 0; i < command->n; i++) {
        words[extra + i] = command->words[i]->bytes;
        lens[extra + i] = command->words[i]->len;
    }
    mirror->commands++;
    if (reply->kind != KPID_REPLY_ERROR) { /* else it was not executed: the server is full */
        redisReply *raw = test_redis_ask(&mirror->redis, n, words, lens);
        bool pairs = strcmp(words[0], "HGETALL") == 0, any = strcmp(words[0], "SRANDMEMBER") == 0;
        compare(mirror, command->script ? "a script" : words[0], reply, raw, pairs ? 2 : 1, pairs || any);
        freeReplyObject(raw);
    }
    free(words);
    free(lens);
}

/* ---- everything there is ---- */

static void compare_key(struct mirror *mirror, struct server *server, const struct value *value)
{
    static const char *const names[] = {"GET", "HGETALL", "SMEMBERS"};
    struct blob *words[] = {blob_new(names[value->kind], strlen(names[value->kind])), blob_ref(value->key),
                            blob_new("1000000", 7)};
    struct command command = {.n = 2, .words = words};
    const char *sent[] = {words[0]->bytes, words[1]->bytes};
    size_t lens[] = {words[0]->len, words[1]->len};
    redisReply *raw = test_redis_ask(&mirror->redis, 2, sent, lens);
    if (value->kind == VALUE_SET) {
        blob_free(words[0]);
        words[0] = blob_new("SRANDMEMBER", 11);
        command.n = 3;
    }
    struct kpid_reply *reply = server_execute(server, &command);
    compare(mirror, value->key->bytes, reply, raw, value->kind == VALUE_HASH ? 2 : 1, true);
    reply_free(reply);
    freeReplyObject(raw);
    for (size_t i = 0; i < 3; i++)
        blob_free(words[i]);
    mirror->keys++;
}

static void compare_all(struct mirror *mirror, struct server *server)
{
    static const char *const size[] = {"DBSIZE"};
    static const size_t len[] = {6};
    struct kpid_reply *n = reply_int((int64_t)server->now.n);
    redisReply *raw = test_redis_ask(&mirror->redis, 1, size, len);
    compare(mirror, "the number of keys", n, raw, 1, false);
    freeReplyObject(raw);
    reply_free(n);
    for (size_t i = 0; i < server->now.n; i++)
        compare_key(mirror, server, &server->now.at[i]);
}

static void befell(void *ctx, struct server *server, enum run_event event, const struct blob *key)
{
    struct mirror *mirror = ctx;
    switch (event) {
    case RUN_SAVE: test_redis_save(&mirror->redis); break;
    case RUN_FALL: test_redis_fall(&mirror->redis); break;
    case RUN_EMPTY: test_redis_do(&mirror->redis, "FLUSHDB", NULL); break;
    case RUN_DELETE: test_redis_do(&mirror->redis, "DEL", key->bytes, NULL); break;
    case RUN_END:
        compare_all(mirror, server);
        test_redis_do(&mirror->redis, "FLUSHALL", NULL);
        break;
    }
}

struct mirror *mirror_new(void)
{
    struct mirror *mirror = kpid_zalloc(1, sizeof(*mirror));
    if (!test_redis_start(&mirror->redis)) {
        free(mirror);
        return NULL;
    }
    mirror->hooks = (struct run_mirror){executed, befell, mirror};
    return mirror;
}

void mirror_free(struct mirror *mirror)
{
    test_redis_stop(&mirror->redis);
    free(mirror);
}

const struct run_mirror *mirror_hooks(struct mirror *mirror)
{
    return &mirror->hooks;
}

void mirror_counts(const struct mirror *mirror, uint64_t *ret_commands, uint64_t *ret_keys,
                   uint64_t *ret_faults)
{
    *ret_commands = mirror->commands;
    *ret_keys = mirror->keys;
    *ret_faults = mirror->faults;
}
