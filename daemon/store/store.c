#include "store_internal.h"
#include "scripts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The way back of one command. It keeps the store's memory, so that an answer may come after kpid_store_free.
 */
struct way_back {
    struct kpid_store *store;
    enum kpid_store_task task;
    uint64_t run;
    kpid_store_then *then;
    size_t number;
};

const char *kpid_store_status_text(enum kpid_store_status status)
{
    switch (status) {
    case KPID_STORE_OK: return "ok";
    case KPID_STORE_DOWN: return "Redis is down";
    case KPID_STORE_BEHIND: return "Redis has lost state";
    case KPID_STORE_OTHER: return "another owner has the shard";
    case KPID_STORE_DAMAGED: return "the stored state is damaged";
    case KPID_STORE_FORMAT: return "the stored state was written by a newer version";
    }
    return "unknown";
}

char *kpid_store_key_of(const struct kpid_store_name *name)
{
    struct kpid_buf key = KPID_BUF_INIT;
    const char *parts[] = {name->cluster, name->group, name->source};
    kpid_buf_printf(&key, "%s:s:{", name->prefix);
    for (size_t i = 0; i < KPID_COUNT_OF(parts); i++) {
        kpid_key_encode(&key, parts[i], strlen(parts[i]));
        kpid_buf_add_char(&key, ':');
    }
    kpid_buf_printf(&key, "%d}", (int)name->partition);
    return key.data;
}

char *kpid_store_key_under(const char *key, const char *suffix)
{
    struct kpid_buf buf = KPID_BUF_INIT;
    kpid_buf_printf(&buf, "%s:%s", key, suffix);
    return buf.data;
}

struct kpid_store *kpid_store_new(struct kpid_redis *redis, const struct kpid_store_name *name)
{
    struct kpid_store *store = kpid_zalloc(1, sizeof(*store));
    store->magic = KPID_STORE_MAGIC;
    store->redis = redis;
    store->refs = 1;
    store->key = kpid_store_key_of(name);
    store->header = kpid_store_key_under(store->key, "h");
    store->manifest = kpid_store_key_under(store->key, "m");
    store->orphans = kpid_store_key_under(store->key, "o");
    store->acquire_script.text = KPID_SCRIPT_ACQUIRE;
    store->commit_script.text = KPID_SCRIPT_COMMIT;
    store->sweep_script.text = KPID_SCRIPT_SWEEP;
    kpid_buf_add_str(&store->error, "");
    return store;
}

static void unref(struct kpid_store *store)
{
    if (--store->refs > 0)
        return;
    free(store->key);
    free(store->header);
    free(store->manifest);
    free(store->orphans);
    kpid_buf_release(&store->error);
    store->magic = 0;
    free(store);
}

void kpid_store_free(struct kpid_store *store)
{
    if (!store)
        return;
    assert(store->magic == KPID_STORE_MAGIC && !store->freed);
    store->freed = true;
    kpid_load_free(store->load);
    store->load = NULL;
    kpid_doubt_release(&store->doubt);
    kpid_commit_release(&store->next);
    unref(store);
}

uint64_t kpid_store_seq(const struct kpid_store *store)
{
    return store->seq;
}

const char *kpid_store_nonce(const struct kpid_store *store)
{
    return store->nonce;
}

const char *kpid_store_key(const struct kpid_store *store)
{
    return store->key;
}

const char *kpid_store_error(const struct kpid_store *store)
{
    return store->error.data;
}

static void on_answer(void *ctx, const struct kpid_reply *reply)
{
    struct way_back *back = ctx;
    struct kpid_store *store = back->store;
    assert(store->magic == KPID_STORE_MAGIC);
    if (!store->freed && back->run == store->runs[back->task])
        back->then(store, reply, back->number);
    free(back);
    unref(store);
}

static struct way_back *way_back(struct kpid_store *store, enum kpid_store_task task, kpid_store_then *then,
                                 size_t number)
{
    struct way_back *back = kpid_alloc(sizeof(*back));
    *back = (struct way_back){store, task, store->runs[task], then, number};
    store->refs++;
    return back;
}

void kpid_store_send(struct kpid_store *store, enum kpid_store_task task, const struct kpid_bulk *bulks,
                     size_t n, kpid_store_then *then, size_t number)
{
    kpid_redis_send(store->redis, bulks, n, on_answer, way_back(store, task, then, number));
}

void kpid_store_eval(struct kpid_store *store, enum kpid_store_task task, struct kpid_script *script,
                     struct kpid_bulk *keys, size_t n_keys, const struct kpid_bulk *args, size_t n_args,
                     kpid_store_then *then)
{
    keys[0] = KPID_BULK_STR(store->header);
    keys[1] = KPID_BULK_STR(store->manifest);
    keys[2] = KPID_BULK_STR(store->orphans);
    kpid_redis_eval(store->redis, script, keys, n_keys, args, n_args, on_answer,
                    way_back(store, task, then, 0));
}

void kpid_store_forget(struct kpid_store *store, enum kpid_store_task task)
{
    store->runs[task]++;
}

void kpid_store_set_error(struct kpid_store *store, const char *text)
{
    kpid_buf_clear(&store->error);
    kpid_buf_add_str(&store->error, text);
}

void kpid_store_explain(struct kpid_store *store, const struct kpid_reply *reply)
{
    kpid_buf_clear(&store->error);
    kpid_redis_explain(reply, &store->error);
}

bool kpid_store_parse_u64(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = value;
    return true;
}

struct kpid_store_found kpid_store_found_of(const struct kpid_store *store, const struct kpid_reply *nonce,
                                            const struct kpid_reply *seq)
{
    struct kpid_store_found found = {0};
    found.absent = nonce->len == 0 && seq->len == 0;
    found.mine = nonce->len == 32 && memcmp(nonce->str, store->nonce, 32) == 0;
    found.numbered = kpid_store_parse_u64(seq->str, seq->len, &found.seq);
    return found;
}

void kpid_store_ask_header(struct kpid_store *store, enum kpid_store_task task, kpid_store_then *then)
{
    struct kpid_bulk bulks[] = {KPID_BULK_STR("HMGET"), KPID_BULK_STR(store->header), KPID_BULK_STR("nonce"),
                                KPID_BULK_STR("seq"), KPID_BULK_STR("format")};
    kpid_store_send(store, task, bulks, KPID_COUNT_OF(bulks), then, 0);
}
