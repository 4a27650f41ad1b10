#include "remote.h"

#include "cell.h"

#include "kpid/hash.h"
#include "kpid/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CELL_MAX_BYTES 65536
#define RETRY_MS       200 /* after an answer such as LOADING */

int64_t kpid_lookup_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void kpid_remote_init(struct kpid_remote *remote, const struct kpid_lookup *lookup)
{
    *remote = (struct kpid_remote){.magic = KPID_REMOTE_MAGIC, .lookup = lookup};
    kpid_cache_init(&remote->cache, lookup->max_keys, lookup->max_bytes);
}

void kpid_remote_release(struct kpid_remote *remote)
{
    remote->events = (struct kpid_lookups_events){0};
    kpid_redis_close(remote->redis);
    kpid_cache_release(&remote->cache);
    kpid_buf_release(&remote->key);
    remote->magic = 0;
}

/* ---- the connection ------------------------------------------------------------------------------------- */

static void tell(struct kpid_remote *remote, enum kpid_told kind, const char *text)
{
    if (!remote->events.told)
        return;
    struct kpid_buf line = KPID_BUF_INIT;
    kpid_buf_printf(&line, "look-up %s: %s", remote->lookup->name, text);
    remote->events.told(remote->ctx, kind, line.data);
    kpid_buf_release(&line);
}

static void on_up(void *ctx)
{
    struct kpid_remote *remote = ctx;
    assert(remote->magic == KPID_REMOTE_MAGIC);
    remote->up = true;
    remote->changed_ms = kpid_lookup_now_ms();
    tell(remote, KPID_TOLD_NEWS, "redis: connected");
    if (remote->events.answered)
        remote->events.answered(remote->ctx);
}

static void on_down(void *ctx, const char *why)
{
    struct kpid_remote *remote = ctx;
    assert(remote->magic == KPID_REMOTE_MAGIC);
    struct kpid_buf text = KPID_BUF_INIT;
    if (remote->up) {
        int64_t now = kpid_lookup_now_ms();
        remote->up_ms += now - remote->changed_ms;
        remote->changed_ms = now;
        remote->up = false;
    }
    kpid_buf_printf(&text, "redis: %s", why);
    tell(remote, KPID_TOLD_FAULT, text.data);
    kpid_buf_release(&text);
}

bool kpid_remote_open(struct kpid_remote *remote, const struct kpid_model *model, struct event_base *base,
                      const char *url, const struct kpid_lookups_events *events, void *ctx, struct kpid_buf *error)
{
    static const struct kpid_redis_events redis_events = {on_up, on_down};
    const struct kpid_lookup *lookup = remote->lookup;
    int64_t timeout_ms = model->settings.redis.timeout_ms;
    /* A late answer is still worth having: the connection is given more time than an event. */
    struct kpid_redis_options options = {
        .url = lookup->url ? lookup->url : url ? url : model->settings.redis.url,
        .timeout_ms = timeout_ms > lookup->timeout_ms ? timeout_ms : lookup->timeout_ms,
        .allow_eviction = true,
        .only_reads = true,
    };
    remote->events = *events;
    remote->ctx = ctx;
    remote->changed_ms = kpid_lookup_now_ms();
    remote->redis = kpid_redis_open(base, &options, &redis_events, remote, error);
    return remote->redis != NULL;
}

/* ---- answers -------------------------------------------------------------------------------------------- */

/* A value that its column can't hold is none, counted and told; texts are checked as those of events are. */
static struct kpid_value cell_of(struct kpid_remote *remote, const struct kpid_column *column,
                                 const struct kpid_reply *reply)
{
    struct kpid_value value = {.kind = KPID_ABSENT};
    const char *error = "is not UTF-8";
    if (reply->kind != KPID_REPLY_STR)
        return value;
    if (reply->len > CELL_MAX_BYTES)
        error = "has more than 65,536 bytes";
    else if (kpid_utf8_valid(reply->str, reply->len) && kpid_cell_read(column, reply->str, reply->len, &value, &error))
        return value;
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_printf(&text, "a value of %s %s; it counts as absent", column->title, error);
    remote->faulty++;
    tell(remote, KPID_TOLD_REPEATED, text.data);
    kpid_buf_release(&text);
    return (struct kpid_value){.kind = KPID_ABSENT};
}

/* Copies the values of all columns, with their texts behind them. */
static void fill(struct kpid_remote *remote, struct kpid_cache_entry *entry, const struct kpid_reply *cells)
{
    const struct kpid_lookup *lookup = remote->lookup;
    struct kpid_value values[KPID_FIELDS_MAX];
    size_t bytes = lookup->n_columns * sizeof(*values);
    for (size_t i = 0; i < lookup->n_columns; i++) {
        values[i] = cell_of(remote, &lookup->columns[i], &cells[i]);
        bytes += values[i].kind == KPID_STRING ? values[i].len : 0;
    }
    struct kpid_value *kept = kpid_alloc(bytes);
    char *text = (char *)(kept + lookup->n_columns);
    memcpy(kept, values, lookup->n_columns * sizeof(*values));
    for (size_t i = 0; i < lookup->n_columns; i++) {
        if (values[i].kind != KPID_STRING)
            continue;
        memcpy(text, values[i].str, values[i].len);
        kept[i].str = text;
        text += values[i].len;
    }
    kpid_cache_fill(&remote->cache, entry, kept, bytes);
    entry->answer = KPID_ANSWER_FOUND;
}

static bool is_passing(const struct kpid_reply *reply)
{
    static const char *const codes[] = {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"};
    for (size_t i = 0; i < KPID_COUNT_OF(codes); i++)
        if (kpid_redis_error_is(reply, codes[i]))
            return true;
    return false;
}

static void refused(struct kpid_remote *remote, struct kpid_cache_entry *entry, const struct kpid_reply *reply,
                    int64_t now_ms)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_redis_explain(reply, &text);
    tell(remote, KPID_TOLD_REPEATED, text.data);
    kpid_buf_release(&text);
    if (is_passing(reply)) {
        entry->not_before_ms = now_ms + RETRY_MS;
        return;
    }
    kpid_cache_fill(&remote->cache, entry, NULL, 0);
    entry->answer = KPID_ANSWER_FAILED;
    entry->got_ms = now_ms;
}

static bool any_there(const struct kpid_reply *cells, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i].kind == KPID_REPLY_STR)
            return true;
    return false;
}

static void on_answer(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_cache_entry *entry = ctx;
    struct kpid_remote *remote = entry->owner;
    int64_t now_ms = kpid_lookup_now_ms();
    assert(remote->magic == KPID_REMOTE_MAGIC);
    remote->asking[entry->asked_at] = remote->asking[--remote->n_asking];
    remote->asking[entry->asked_at]->asked_at = entry->asked_at;
    entry->asking = false;
    if (reply->kind == KPID_REPLY_ERROR) {
        refused(remote, entry, reply, now_ms);
    } else if (reply->kind != KPID_REPLY_DOWN) {
        bool list = reply->kind == KPID_REPLY_ARRAY;
        const struct kpid_reply *cells = list ? reply->items : reply;
        entry->got_ms = now_ms;
        if (any_there(cells, list ? reply->n_items : 1)) {
            fill(remote, entry, cells);
        } else {
            kpid_cache_fill(&remote->cache, entry, NULL, 0);
            entry->answer = KPID_ANSWER_MISSING;
        }
    }
    if (remote->events.answered)
        remote->events.answered(remote->ctx);
}

/* ---- questions ------------------------------------------------------------------------------------------ */

/* HGET hash key, or HMGET with the key in the name of the hash. */
static void send(struct kpid_remote *remote, struct kpid_cache_entry *entry)
{
    const struct kpid_lookup *lookup = remote->lookup;
    struct kpid_bulk bulks[KPID_FIELDS_MAX + 2];
    size_t n = 0;
    if (lookup->one_hash) {
        bulks[n++] = KPID_BULK_STR("HGET");
        bulks[n++] = KPID_BULK_STR(lookup->pattern);
        bulks[n++] = (struct kpid_bulk){entry->key, entry->len};
    } else {
        const char *hole = strstr(lookup->pattern, "{}");
        kpid_buf_clear(&remote->key);
        kpid_buf_add(&remote->key, lookup->pattern, (size_t)(hole - lookup->pattern));
        kpid_buf_add(&remote->key, entry->key, entry->len);
        kpid_buf_add_str(&remote->key, hole + 2);
        bulks[n++] = KPID_BULK_STR("HMGET");
        bulks[n++] = (struct kpid_bulk){remote->key.data, remote->key.len};
        for (size_t i = 0; i < lookup->n_columns; i++)
            bulks[n++] = KPID_BULK_STR(lookup->columns[i].title);
    }
    kpid_redis_send(remote->redis, bulks, n, on_answer, entry);
}

/* False: it can't be asked at present. */
static bool ask(struct kpid_remote *remote, struct kpid_cache_entry *entry, int64_t now_ms)
{
    if (entry->asking)
        return true;
    if (!remote->up || remote->n_asking == KPID_ASKING_MAX || now_ms < entry->not_before_ms)
        return false;
    entry->asking = true;
    entry->asked_at = remote->n_asking;
    remote->asking[remote->n_asking++] = entry;
    remote->asked++;
    send(remote, entry);
    return true;
}

/* What waiting is measured on: under `wait` it stands still without a connection. */
static int64_t waiting_clock(const struct kpid_remote *remote, int64_t now_ms)
{
    if (remote->lookup->when_down == KPID_DOWN_ABSENT)
        return now_ms;
    return remote->up_ms + (remote->up ? now_ms - remote->changed_ms : 0);
}

static bool is_down(const struct kpid_remote *remote, int64_t now_ms)
{
    return remote->lookup->when_down == KPID_DOWN_ABSENT && !remote->up &&
           now_ms - remote->changed_ms >= remote->lookup->timeout_ms;
}

static int64_t lifetime(const struct kpid_remote *remote, const struct kpid_cache_entry *entry)
{
    return entry->answer == KPID_ANSWER_FOUND ? remote->lookup->refresh_ms : remote->lookup->refresh_missing_ms;
}

static bool is_usable(const struct kpid_remote *remote, const struct kpid_cache_entry *entry, int64_t now_ms)
{
    switch ((enum kpid_answer)entry->answer) {
    case KPID_ANSWER_FOUND:
    case KPID_ANSWER_MISSING:
    case KPID_ANSWER_FAILED: return now_ms - entry->got_ms < 2 * lifetime(remote, entry);
    case KPID_ANSWER_LATE: return entry->asking; /* it may still come */
    default: return false;
    }
}

/* The entry of a key, made if there is none; NULL: there is no room. */
static struct kpid_cache_entry *entry_of(struct kpid_remote *remote, const char *key, size_t len, int64_t now_ms)
{
    uint64_t hash = kpid_hash(key, len, 0);
    struct kpid_cache_entry *entry = kpid_cache_find(&remote->cache, hash, key, len);
    if (!entry) {
        entry = kpid_cache_add(&remote->cache, hash, key, len);
        if (!entry)
            return NULL;
        entry->owner = remote;
        entry->since_ms = waiting_clock(remote, now_ms);
    } else if (entry->answer != KPID_ANSWER_NONE && !is_usable(remote, entry, now_ms)) {
        entry->answer = KPID_ANSWER_NONE; /* too old */
        entry->since_ms = waiting_clock(remote, now_ms);
    }
    return entry;
}

enum kpid_answer kpid_remote_get(struct kpid_remote *remote, const char *key, size_t len, int64_t now_ms,
                                 const struct kpid_value **ret)
{
    uint64_t hash = kpid_hash(key, len, 0);
    struct kpid_cache_entry *entry = kpid_cache_find(&remote->cache, hash, key, len);
    if (!entry || !is_usable(remote, entry, now_ms)) {
        if (is_down(remote, now_ms))
            return KPID_ANSWER_DOWN;
        entry = entry_of(remote, key, len, now_ms);
        if (!entry)
            return KPID_ANSWER_NONE;
        if (waiting_clock(remote, now_ms) - entry->since_ms < remote->lookup->timeout_ms) {
            (void)ask(remote, entry, now_ms);
            return KPID_ANSWER_NONE;
        }
        entry->answer = KPID_ANSWER_LATE;
        return KPID_ANSWER_LATE;
    }
    if (!entry->asking && entry->answer != KPID_ANSWER_LATE && now_ms - entry->got_ms >= lifetime(remote, entry) &&
        ask(remote, entry, now_ms))
        remote->refreshed++;
    *ret = entry->values;
    return (enum kpid_answer)entry->answer;
}

bool kpid_remote_ask(struct kpid_remote *remote, const char *key, size_t len, int64_t now_ms)
{
    struct kpid_cache_entry *entry = entry_of(remote, key, len, now_ms);
    return entry && (entry->answer != KPID_ANSWER_NONE || ask(remote, entry, now_ms));
}
