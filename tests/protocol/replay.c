/*
 * Random ways through the model of a shard, step by step on a real redis-server with the scripts of
 * daemon/store as they are: what a script answers, and all that Redis holds after each step, must be what the
 * model says.
 */
#include "../lib/redis.h"
#include "kpid/buf.h"
#include "kpid/store.h"
#include "shard.h"
#include "store/scripts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD "kpi:s:{c:g:s:0}"
#define WAYS  300
#define STEPS 200

struct replay {
    struct test_redis redis;
    uint64_t seed;
    size_t step, compared, faults, executed, commits, refused;
};

/* Words of a command, owned. */
struct words {
    char *at[64];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
    struct kpid_buf buf = KPID_BUF_INIT;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kpid_buf_add_str(&buf, text);
    words->at[words->n++] = buf.data;
}

static redisReply *ask(struct replay *replay, struct words *words)
{
    size_t lens[64];
    for (size_t i = 0; i < words->n; i++)
        lens[i] = strlen(words->at[i]);
    redisReply *reply = test_redis_ask(&replay->redis, words->n, (const char *const *)words->at, lens);
    for (size_t i = 0; i < words->n; i++)
        free(words->at[i]);
    words->n = 0;
    return reply;
}

static void fault(struct replay *replay, const char *what, const char *expected, const char *got)
{
    if (replay->faults++ < 3)
        fprintf(stderr, "way %" PRIu64 ", step %zu: %s: the model says\n%s\nRedis says\n%s\n", replay->seed,
                replay->step, what, expected, got);
}

/* ---- names: a page's id, its name, its entry in the manifest and its bytes ---- */

static void add_id(struct words *words, unsigned cell, struct ref ref)
{
    add(words, "%u", ref.nonce * 1000u + ref.seq * 10u + cell);
}

static char *name_of(unsigned cell, struct ref ref, char text[64])
{
    snprintf(text, 64, "%u.%032x.%u", ref.nonce * 1000u + ref.seq * 10u + cell, ref.nonce, ref.seq);
    return text;
}

static char *bytes_of(uint8_t value, char text[32])
{
    snprintf(text, 32, "counts %02x%.*s", value, value % 16, "----------------");
    return text;
}

static void add_entry(struct words *words, unsigned cell, struct ref ref, uint8_t value)
{
    char name[64], bytes[32];
    add(words, "%s %zu %016x", name_of(cell, ref, name), strlen(bytes_of(value, bytes)), value);
}

/* ---- the commands ---- */

static void begin_eval(struct words *words, const char *script, unsigned n_keys)
{
    words->at[words->n++] = strdup(script);
    add(words, "%u", n_keys);
    add(words, SHARD ":h");
    if (n_keys == 1)
        return;
    add(words, SHARD ":m");
    add(words, SHARD ":o");
}

static void add_header(struct words *words, uint8_t nonce, uint8_t seq)
{
    if (nonce) {
        add(words, "%032x", nonce);
        add(words, "%u", seq);
    } else {
        add(words, "%s", "");
        add(words, "%s", "");
    }
}

static void put_take(struct words *words, const struct message *message)
{
    begin_eval(words, KPID_SCRIPT_ACQUIRE, 3);
    add_header(words, message->base_nonce, message->base_seq);
    add_header(words, message->nonce, message->seq);
    add(words, "1");
}

static void put_commit(struct words *words, const struct message *message)
{
    struct ref own = {message->nonce, message->seq};
    char name[64], bytes[32];
    unsigned n = 0;
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        n += message->cells >> cell & 1;
    begin_eval(words, KPID_SCRIPT_COMMIT, 3 + n);
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (message->cells >> cell & 1)
            add(words, SHARD ":p:%s", name_of(cell, own, name));
    add_header(words, message->base_nonce, message->base_seq);
    add_header(words, message->nonce, message->seq);
    add(words, "1");
    add(words, "%u", message->offset);
    add(words, "%u", message->whole);
    add(words, "%u", message->staged);
    add(words, "%u", n);
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        uint8_t value = message->counts & shard_cell_bits(cell);
        if (!(message->cells >> cell & 1))
            continue;
        add_id(words, cell, own);
        add_entry(words, cell, own, value);
        if (message->staged)
            add(words, "%zu", strlen(bytes_of(value, bytes)));
        else
            add(words, "%s", bytes_of(value, bytes));
    }
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (message->drops[cell].nonce)
            add_id(words, cell, message->drops[cell]);
}

static void put_sweep(struct words *words, const struct message *message)
{
    unsigned cell = message->cells >> 1;
    char name[64];
    begin_eval(words, KPID_SCRIPT_SWEEP, 4);
    add(words, SHARD ":p:%s", name_of(cell, message->drops[0], name));
    add(words, "%032x", message->nonce);
    add_id(words, cell, message->drops[0]);
    add(words, "%s", name);
}

static void put_announce(struct words *words, const struct message *message)
{
    char name[64];
    add(words, "SADD");
    add(words, SHARD ":o");
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (message->cells >> cell & 1)
            add(words, "%s", name_of(cell, (struct ref){message->nonce, message->seq}, name));
}

static void put_page(struct words *words, const struct message *message)
{
    char name[64], bytes[32];
    add(words, "SET");
    add(words, SHARD ":p:%s", name_of(message->cells >> 1, (struct ref){message->nonce, message->seq}, name));
    add(words, "%s", bytes_of(message->counts, bytes));
}

static void put_ask(struct words *words, const struct message *message)
{
    begin_eval(words, kpid_store_reset_script, 1);
    add(words, "%032x", message->nonce);
    add(words, "keep");
}

static const char *answer_of(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        return reply->element[0]->str;
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer ? "ok" : "refused";
    return reply->type == REDIS_REPLY_ERROR ? reply->str : "ok";
}

static void execute(struct replay *replay, const struct shard_step *step)
{
    static const char *const answers[] = {"ok", "refused", "unstaged", "lost"};
    const struct message *message = &step->message;
    struct words words = {.n = 0};
    if (message->kind != MESSAGE_ANNOUNCE && message->kind != MESSAGE_SET)
        add(&words, "EVAL");
    switch (message->kind) {
    case MESSAGE_TAKE: put_take(&words, message); break;
    case MESSAGE_COMMIT: put_commit(&words, message); break;
    case MESSAGE_SWEEP: put_sweep(&words, message); break;
    case MESSAGE_ANNOUNCE: put_announce(&words, message); break;
    case MESSAGE_SET: put_page(&words, message); break;
    case MESSAGE_ASK: put_ask(&words, message); break;
    }
    redisReply *reply = ask(replay, &words);
    replay->executed++;
    replay->commits += message->kind == MESSAGE_COMMIT && step->answer == ANSWER_OK;
    replay->refused += message->kind == MESSAGE_COMMIT && step->answer != ANSWER_OK;
    bool silent = message->kind == MESSAGE_ANNOUNCE || message->kind == MESSAGE_SET;
    if (!silent && strcmp(answer_of(reply), answers[step->answer]) != 0)
        fault(replay, "the answer", answers[step->answer], answer_of(reply));
    freeReplyObject(reply);
}

static void evict(struct replay *replay, const struct shard_step *step)
{
    char key[128], name[64];
    if (step->evicted == EVICT_PAGE)
        snprintf(key, sizeof(key), SHARD ":p:%s", name_of(step->cell, step->message.drops[0], name));
    else
        snprintf(key, sizeof(key), SHARD ":%s", step->evicted == EVICT_HEADER ? "h" : "m");
    test_redis_do(&replay->redis, "DEL", key, NULL);
}

static void apply(struct replay *replay, const struct shard_step *step)
{
    switch ((enum step_kind)step->kind) {
    case STEP_SEND:
        if (step->fate != FATE_DELAYED)
            execute(replay, step);
        break;
    case STEP_LATE: execute(replay, step); break;
    case STEP_SAVE: test_redis_save(&replay->redis); break;
    case STEP_LOSE: test_redis_fall(&replay->redis); break;
    case STEP_EMPTY: test_redis_do(&replay->redis, "FLUSHDB", NULL); break;
    case STEP_EVICT: evict(replay, step); break;
    default: break;
    }
}

/* ---- all that Redis holds, as lines in order ---- */

struct lines {
    char *at[256];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void line(struct lines *lines, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    lines->at[lines->n++] = strdup(text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct kpid_buf join(struct lines *lines)
{
    struct kpid_buf text = KPID_BUF_INIT;
    qsort(lines->at, lines->n, sizeof(*lines->at), by_text);
    kpid_buf_add_str(&text, "");
    for (size_t i = 0; i < lines->n; i++) {
        kpid_buf_printf(&text, "  %s\n", lines->at[i]);
        free(lines->at[i]);
    }
    return text;
}

static struct kpid_buf model_text(const struct shard_redis *redis)
{
    struct lines lines = {.n = 0};
    char name[64], bytes[32];
    if (redis->nonce)
        line(&lines, "header %032x %u offset %u pages %u", redis->nonce, redis->seq, redis->offset,
             redis->pages);
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (redis->manifest[cell].nonce)
            line(&lines, "manifest %s", name_of(cell, redis->manifest[cell], name));
    for (size_t i = 0; i < N_NAMES; i++) {
        const struct name *at = &redis->names[i];
        struct ref ref = {at->nonce, at->seq};
        if (at->exists)
            line(&lines, "page %s %s", name_of(at->cell, ref, name), bytes_of(at->value, bytes));
        if (at->orphan)
            line(&lines, "orphan %s", name_of(at->cell, ref, name));
    }
    return join(&lines);
}

static redisReply *ask_text(struct replay *replay, const char *a, const char *b)
{
    struct words words = {.n = 0};
    add(&words, "%s", a);
    add(&words, "%s", b);
    return ask(replay, &words);
}

static const char *field(const redisReply *hash, const char *name)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, name) == 0)
            return hash->element[i + 1]->str;
    return "";
}

static void key_text(struct replay *replay, const char *key, struct lines *lines)
{
    const char *kind = key + strlen(SHARD) + 1;
    redisReply *reply;
    if (kind[0] == 'p') {
        reply = ask_text(replay, "GET", key);
        line(lines, "page %s %s", kind + 2, reply->str);
    } else if (kind[0] == 'o') {
        reply = ask_text(replay, "SMEMBERS", key);
        for (size_t i = 0; i < reply->elements; i++)
            line(lines, "orphan %s", reply->element[i]->str);
    } else {
        reply = ask_text(replay, "HGETALL", key);
        if (kind[0] == 'h')
            line(lines, "header %s %s offset %s pages %s", field(reply, "nonce"), field(reply, "seq"),
                 *field(reply, "meta") ? field(reply, "meta") : "0", field(reply, "pages"));
        for (size_t i = 1; kind[0] == 'm' && i < reply->elements; i += 2)
            line(lines, "manifest %.*s", (int)strcspn(reply->element[i]->str, " "), reply->element[i]->str);
    }
    freeReplyObject(reply);
}

static struct kpid_buf redis_text(struct replay *replay)
{
    struct lines lines = {.n = 0};
    redisReply *keys = ask_text(replay, "KEYS", "*");
    for (size_t i = 0; i < keys->elements; i++)
        key_text(replay, keys->element[i]->str, &lines);
    freeReplyObject(keys);
    return join(&lines);
}

static bool each(void *ctx, const void *step, const void *before, const void *after)
{
    struct replay *replay = ctx;
    const struct shard_state *state = after;
    (void)before;
    replay->step++;
    apply(replay, step);
    struct kpid_buf expected = model_text(&state->redis), got = redis_text(replay);
    if (strcmp(expected.data, got.data) != 0)
        fault(replay, "what Redis holds", expected.data, got.data);
    replay->compared++;
    kpid_buf_release(&expected);
    kpid_buf_release(&got);
    return replay->faults == 0;
}

/* Left to chance alone instances would mostly die, and sweep what there is to sweep. */
static unsigned rare(const void *ctx)
{
    const struct shard_step *step = ctx;
    switch ((enum step_kind)step->kind) {
    case STEP_DIE: return 40;
    case STEP_EMPTY:
    case STEP_EVICT: return 100;
    case STEP_LOSE: return 10;
    case STEP_PICK: return 6;
    case STEP_SEND: return step->fate == FATE_ANSWERED ? 0 : 5;
    default: return 1;
    }
}

int main(void)
{
    struct shard_model model = {.scope = {.events = 3,
                                          .nonces = 20,
                                          .lates = N_LATE,
                                          .losses = 6,
                                          .empties = 1,
                                          .evictions = 1,
                                          .asks = 1,
                                          .wholes = 1,
                                          .staged = true,
                                          .sweeps = true}};
    struct search_model search = shard_search(&model);
    struct replay replay = {.faults = 0};
    if (!test_redis_start(&replay.redis)) {
        printf("skipped: redis-server is not installed\n");
        return TEST_SKIPPED;
    }
    for (replay.seed = 1; replay.seed <= WAYS && replay.faults == 0; replay.seed++) {
        test_redis_do(&replay.redis, "FLUSHALL", NULL);
        replay.step = 0;
        search_walk(&search, replay.seed, STEPS, rare, each, &replay);
    }
    test_redis_stop(&replay.redis);
    printf("%" PRIu64 " ways, %zu steps on Redis: %zu commands (%zu commits, %zu more not accepted), ",
           replay.seed - 1, replay.compared, replay.executed, replay.commits, replay.refused);
    printf("%zu differences\n", replay.faults);
    return replay.faults > 0;
}
