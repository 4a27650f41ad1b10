/* Two owners of one shard on a redis-server of the test's own, and commits whose pages can be checked. */
#ifndef KPID_TEST_STORE_RIG_H
#define KPID_TEST_STORE_RIG_H

#include "redis_server.h"

#include "kpid/store.h"

/* One connection with one store on it, and what its last call gave. */
struct owner {
    struct kpid_redis *redis;
    struct kpid_store *store;
    int answers;
    enum kpid_store_status status;
    struct kpid_commit loaded; /* meta and pages, copied */
};

struct rig {
    struct redis_server server;
    struct event_base *base;
    struct owner a, b;
};

TEST_FUNCTION void owner_open(struct rig *rig, struct owner *owner, int64_t timeout_ms)
{
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_redis_options options = {rig->server.url, timeout_ms, false, false};
    struct kpid_store_name name = {"kpi", "c:1", "g", "{s}", 3};
    memset(owner, 0, sizeof(*owner));
    owner->redis = kpid_redis_open(rig->base, &options, NULL, NULL, &error);
    cr_assert(owner->redis != NULL, "%s", error.data);
    owner->store = kpid_store_new(owner->redis, &name);
    LOOP_UNTIL(rig->base, kpid_redis_up(owner->redis));
}

TEST_FUNCTION void owner_close(struct owner *owner)
{
    kpid_store_free(owner->store);
    if (owner->redis)
        kpid_redis_close(owner->redis);
    kpid_commit_release(&owner->loaded);
}

TEST_FUNCTION void rig_start(struct rig *rig, int64_t timeout_ms)
{
    memset(rig, 0, sizeof(*rig));
    redis_server_start(&rig->server, NULL);
    rig->base = event_base_new();
    owner_open(rig, &rig->a, timeout_ms);
    owner_open(rig, &rig->b, 5000);
}

TEST_FUNCTION void rig_stop(struct rig *rig)
{
    owner_close(&rig->a);
    owner_close(&rig->b);
    event_base_free(rig->base);
    redis_server_stop(&rig->server);
}

TEST_FUNCTION const char *key(struct rig *rig, const char *suffix)
{
    static char text[4][128];
    static size_t turn;
    char *out = text[turn++ % 4];
    snprintf(out, 128, "%s:%s", kpid_store_key(rig->a.store), suffix);
    return out;
}

TEST_FUNCTION long long header_seq(struct rig *rig)
{
    return redis_server_number(&rig->server, "HGET %s seq", key(rig, "h"));
}

/* ---- commits ---- */

/* The content of a page is a function of its id, its length and a salt. */
TEST_FUNCTION void add_page(struct kpid_commit *commit, uint64_t id, size_t len, unsigned salt)
{
    commit->pages = kpid_realloc(commit->pages, (commit->n_pages + 1) * sizeof(*commit->pages));
    char *bytes = kpid_alloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(id * 31 + salt * 7 + i * (i >> 8) + (i & 7));
    commit->pages[commit->n_pages++] = (struct kpid_page){id, bytes, len};
}

TEST_FUNCTION void add_drop(struct kpid_commit *commit, uint64_t id)
{
    commit->dropped = kpid_realloc(commit->dropped, (commit->n_dropped + 1) * sizeof(*commit->dropped));
    commit->dropped[commit->n_dropped++] = id;
}

TEST_FUNCTION void set_meta(struct kpid_commit *commit, const char *text)
{
    kpid_buf_clear(&commit->meta);
    kpid_buf_add_str(&commit->meta, text);
}

TEST_FUNCTION void on_done(void *ctx, enum kpid_store_status status)
{
    struct owner *owner = ctx;
    owner->answers++;
    owner->status = status;
}

TEST_FUNCTION void begin_commit(struct owner *owner, struct kpid_commit *commit)
{
    int before = owner->answers;
    kpid_store_commit(owner->store, commit, on_done, owner);
    cr_assert_eq(owner->answers, before, "answered within the call");
    if (commit)
        cr_assert_eq(commit->n_pages, 0, "the commit is taken");
}

TEST_FUNCTION enum kpid_store_status commit_now(struct rig *rig, struct owner *owner,
                                                struct kpid_commit *commit)
{
    int before = owner->answers;
    begin_commit(owner, commit);
    LOOP_UNTIL(rig->base, owner->answers > before);
    cr_assert_eq(owner->answers, before + 1);
    return owner->status;
}

/* Pages [first, first + n) of 100 bytes. */
TEST_FUNCTION enum kpid_store_status commit_small(struct rig *rig, struct owner *owner, uint64_t first,
                                                  size_t n, const char *meta)
{
    struct kpid_commit commit = {0};
    for (size_t i = 0; i < n; i++)
        add_page(&commit, first + i, 100, 0);
    set_meta(&commit, meta);
    return commit_now(rig, owner, &commit);
}

TEST_FUNCTION void on_loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                             const struct kpid_page *pages, size_t n_pages)
{
    struct owner *owner = ctx;
    owner->answers++;
    owner->status = status;
    kpid_commit_release(&owner->loaded);
    kpid_buf_add(&owner->loaded.meta, meta, meta_len);
    for (size_t i = 0; i < n_pages; i++) {
        add_page(&owner->loaded, pages[i].id, pages[i].len, 0);
        memcpy(owner->loaded.pages[i].bytes, pages[i].bytes, pages[i].len);
    }
}

TEST_FUNCTION void begin_acquire(struct owner *owner, uint8_t nonce_byte)
{
    uint8_t nonce[16];
    memset(nonce, nonce_byte, sizeof(nonce));
    kpid_store_acquire(owner->store, nonce, on_loaded, owner);
}

TEST_FUNCTION enum kpid_store_status acquire_now(struct rig *rig, struct owner *owner, uint8_t nonce_byte)
{
    int before = owner->answers;
    begin_acquire(owner, nonce_byte);
    LOOP_UNTIL(rig->base, owner->answers > before);
    return owner->status;
}

/* What was loaded is exactly these small pages, in order. */
TEST_FUNCTION void expect_pages(const struct owner *owner, const char *meta, const uint64_t *ids, size_t n)
{
    struct kpid_commit want = {0};
    cr_assert_eq(owner->status, KPID_STORE_OK, "%s", kpid_store_error(owner->store));
    cr_expect_str_eq(owner->loaded.meta.data, meta);
    cr_assert_eq(owner->loaded.n_pages, n, "%zu pages", owner->loaded.n_pages);
    for (size_t i = 0; i < n; i++) {
        add_page(&want, ids[i], 100, 0);
        cr_expect_eq(owner->loaded.pages[i].id, ids[i]);
        cr_expect(owner->loaded.pages[i].len == 100 &&
                  memcmp(owner->loaded.pages[i].bytes, want.pages[i].bytes, 100) == 0);
    }
    kpid_commit_release(&want);
}

#define EXPECT_PAGES(owner, meta, ...)                                                                       \
    expect_pages(owner, meta, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

/* Header, manifest and pages, no orphans; all but these keys is gone. */
TEST_FUNCTION bool swept(struct rig *rig, long long n_pages)
{
    return redis_server_number(&rig->server, "EXISTS %s", key(rig, "o")) == 0 &&
           redis_server_number(&rig->server, "DBSIZE") == 1 + (n_pages > 0) + n_pages;
}

#define EXPECT_OK(expression) cr_assert_eq((expression), KPID_STORE_OK, "%s", kpid_store_error(rig.a.store))

#endif
