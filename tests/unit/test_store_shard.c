#include "redis_server.h"

#include "kpid/store.h"

#define IDS 4096

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

static void owner_open(struct rig *rig, struct owner *owner, int64_t timeout_ms)
{
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_redis_options options = {rig->server.url, timeout_ms, false};
    struct kpid_store_name name = {"kpi", "c:1", "g", "{s}", 3};
    memset(owner, 0, sizeof(*owner));
    owner->redis = kpid_redis_open(rig->base, &options, NULL, NULL, &error);
    cr_assert(owner->redis != NULL, "%s", error.data);
    owner->store = kpid_store_new(owner->redis, &name);
    LOOP_UNTIL(rig->base, kpid_redis_up(owner->redis));
}

static void owner_close(struct owner *owner)
{
    kpid_store_free(owner->store);
    if (owner->redis)
        kpid_redis_close(owner->redis);
    kpid_commit_release(&owner->loaded);
}

static void rig_start(struct rig *rig, int64_t timeout_ms)
{
    memset(rig, 0, sizeof(*rig));
    redis_server_start(&rig->server, NULL);
    rig->base = event_base_new();
    owner_open(rig, &rig->a, timeout_ms);
    owner_open(rig, &rig->b, 5000);
}

static void rig_stop(struct rig *rig)
{
    owner_close(&rig->a);
    owner_close(&rig->b);
    event_base_free(rig->base);
    redis_server_stop(&rig->server);
}

static const char *key(struct rig *rig, const char *suffix)
{
    static char text[4][128];
    static size_t turn;
    char *out = text[turn++ % 4];
    snprintf(out, 128, "%s:%s", kpid_store_key(rig->a.store), suffix);
    return out;
}

static long long header_seq(struct rig *rig)
{
    return redis_server_number(&rig->server, "HGET %s seq", key(rig, "h"));
}

/* ---- commits ---- */

/* The content of a page is a function of its id, its length and a salt. */
static void add_page(struct kpid_commit *commit, uint64_t id, size_t len, unsigned salt)
{
    commit->pages = kpid_realloc(commit->pages, (commit->n_pages + 1) * sizeof(*commit->pages));
    char *bytes = kpid_alloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(id * 31 + salt * 7 + i * (i >> 8) + (i & 7));
    commit->pages[commit->n_pages++] = (struct kpid_page){id, bytes, len};
}

static void add_drop(struct kpid_commit *commit, uint64_t id)
{
    commit->dropped = kpid_realloc(commit->dropped, (commit->n_dropped + 1) * sizeof(*commit->dropped));
    commit->dropped[commit->n_dropped++] = id;
}

static void set_meta(struct kpid_commit *commit, const char *text)
{
    kpid_buf_clear(&commit->meta);
    kpid_buf_add_str(&commit->meta, text);
}

static void on_done(void *ctx, enum kpid_store_status status)
{
    struct owner *owner = ctx;
    owner->answers++;
    owner->status = status;
}

static void begin_commit(struct owner *owner, struct kpid_commit *commit)
{
    int before = owner->answers;
    kpid_store_commit(owner->store, commit, on_done, owner);
    cr_assert_eq(owner->answers, before, "answered within the call");
    if (commit)
        cr_assert_eq(commit->n_pages, 0, "the commit is taken");
}

static enum kpid_store_status commit_now(struct rig *rig, struct owner *owner, struct kpid_commit *commit)
{
    int before = owner->answers;
    begin_commit(owner, commit);
    LOOP_UNTIL(rig->base, owner->answers > before);
    cr_assert_eq(owner->answers, before + 1);
    return owner->status;
}

/* Pages [first, first + n) of 100 bytes. */
static enum kpid_store_status commit_small(struct rig *rig, struct owner *owner, uint64_t first, size_t n,
                                           const char *meta)
{
    struct kpid_commit commit = {0};
    for (size_t i = 0; i < n; i++)
        add_page(&commit, first + i, 100, 0);
    set_meta(&commit, meta);
    return commit_now(rig, owner, &commit);
}

static void on_loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
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

static void begin_acquire(struct owner *owner, uint8_t nonce_byte)
{
    uint8_t nonce[16];
    memset(nonce, nonce_byte, sizeof(nonce));
    kpid_store_acquire(owner->store, nonce, on_loaded, owner);
}

static enum kpid_store_status acquire_now(struct rig *rig, struct owner *owner, uint8_t nonce_byte)
{
    int before = owner->answers;
    begin_acquire(owner, nonce_byte);
    LOOP_UNTIL(rig->base, owner->answers > before);
    return owner->status;
}

/* What was loaded is exactly these small pages, in order. */
static void expect_pages(const struct owner *owner, const char *meta, const uint64_t *ids, size_t n)
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

#define EXPECT_PAGES(owner, meta, ...)                                                                                 \
    expect_pages(owner, meta, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

/* Header, manifest and pages, no orphans; all but these keys is gone. */
static bool swept(struct rig *rig, long long n_pages)
{
    return redis_server_number(&rig->server, "EXISTS %s", key(rig, "o")) == 0 &&
           redis_server_number(&rig->server, "DBSIZE") == 1 + (n_pages > 0) + n_pages;
}

#define EXPECT_OK(expression)                                                                                          \
    cr_assert_eq((expression), KPID_STORE_OK, "%s", kpid_store_error(rig.a.store))

/* ---- the straight path ---- */

Test(store_shard, gives_back_what_was_committed)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    cr_expect_str_eq(kpid_store_key(rig.a.store), "kpi:s:{c%3A1:g:%7Bs%7D:3}");
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    cr_expect_eq(rig.a.loaded.meta.len, 0);
    cr_expect_eq(kpid_store_seq(rig.a.store), 1);
    EXPECT_OK(commit_small(&rig, &rig.a, 9, 3, "one"));
    EXPECT_OK(commit_small(&rig, &rig.a, 100, 1, "two"));
    struct kpid_commit commit = {0};
    add_page(&commit, 2000, 100, 0);
    add_drop(&commit, 10);
    add_drop(&commit, 777);
    set_meta(&commit, "three");
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    cr_expect_eq(kpid_store_seq(rig.a.store), 4);
    cr_expect_eq(kpid_store_held_bytes(rig.a.store), 0);
    EXPECT_OK(commit_now(&rig, &rig.a, NULL));
    LOOP_UNTIL(rig.base, swept(&rig, 4));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "three", 9, 11, 100, 2000);
    cr_expect_eq(kpid_store_seq(rig.b.store), 5);
    rig_stop(&rig);
}

Test(store_shard, a_reset_replaces_everything)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 600, "one"));
    struct kpid_commit commit = {.reset = true};
    add_page(&commit, 601, 100, 0);
    set_meta(&commit, "two");
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    LOOP_UNTIL(rig.base, swept(&rig, 1));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "two", 601);
    rig_stop(&rig);
}

Test(store_shard, large_commits_are_staged)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct kpid_commit commit = {0}, want = {0};
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    for (uint64_t id = 1; id <= 1000; id++) {
        add_page(&commit, id, id <= 80 ? KPID_PAGE_BYTES : 77, 5);
        add_page(&want, id, id <= 80 ? KPID_PAGE_BYTES : 77, 5);
    }
    set_meta(&commit, "large");
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    LOOP_UNTIL(rig.base, swept(&rig, 1000));
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    cr_assert_eq(rig.b.loaded.n_pages, 1000);
    for (size_t i = 0; i < 1000; i++)
        cr_assert(rig.b.loaded.pages[i].len == want.pages[i].len &&
                  memcmp(rig.b.loaded.pages[i].bytes, want.pages[i].bytes, want.pages[i].len) == 0);
    kpid_commit_release(&want);
    rig_stop(&rig);
}

/* ---- owners ---- */

Test(store_shard, the_former_owner_is_refused)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "a"));
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    cr_assert_eq(commit_small(&rig, &rig.b, 3, 1, "b"), KPID_STORE_OK);
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "late"), KPID_STORE_OTHER);
    cr_expect(strstr(kpid_store_error(rig.a.store), "another owner"));
    struct kpid_commit whole = {.reset = true};
    add_page(&whole, 4, 100, 0);
    cr_assert_eq(commit_now(&rig, &rig.a, &whole), KPID_STORE_OTHER, "not even with a whole state");
    acquire_now(&rig, &rig.a, 3);
    EXPECT_PAGES(&rig.a, "b", 1, 2, 3);
    rig_stop(&rig);
}

Test(store_shard, of_two_that_acquire_at_once_one_owns)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 500, "x"));
    for (uint8_t turn = 0; turn < 20; turn++) {
        rig.a.answers = rig.b.answers = 0;
        begin_acquire(&rig.a, (uint8_t)(10 + turn));
        for (uint8_t i = 0; i < turn % 5; i++)
            event_base_loop(rig.base, EVLOOP_ONCE);
        begin_acquire(&rig.b, (uint8_t)(100 + turn));
        LOOP_UNTIL(rig.base, rig.a.answers > 0 && rig.b.answers > 0);
        int owners = 0;
        for (int i = 0; i < 2; i++) {
            struct owner *owner = i ? &rig.b : &rig.a;
            cr_assert(owner->status == KPID_STORE_OK || owner->status == KPID_STORE_OTHER);
            owners += commit_now(&rig, owner, NULL) == KPID_STORE_OK;
        }
        cr_assert_eq(owners, 1);
    }
    rig_stop(&rig);
}

Test(store_shard, may_be_freed_or_cancelled_at_any_time)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 500, "x"));
    int before = rig.a.answers;
    for (int i = 0; i < 8; i++) {
        begin_acquire(&rig.a, 2);
        for (int j = 0; j < i; j++)
            event_base_loop(rig.base, EVLOOP_ONCE);
        kpid_store_cancel(rig.a.store);
    }
    EXPECT_OK(acquire_now(&rig, &rig.a, 3));
    cr_expect_eq(rig.a.loaded.n_pages, 500);
    cr_expect_leq(rig.a.answers, before + 8);
    begin_acquire(&rig.a, 4);
    event_base_loop(rig.base, EVLOOP_ONCE);
    kpid_store_free(rig.a.store);
    rig.a.store = NULL;
    cr_assert_eq(acquire_now(&rig, &rig.b, 5), KPID_STORE_OK);
    struct kpid_commit commit = {0};
    add_page(&commit, 999, 100, 0);
    begin_commit(&rig.b, &commit);
    kpid_store_free(rig.b.store);
    rig.b.store = NULL;
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.a.redis) + kpid_redis_pending(rig.b.redis) == 0);
    rig_stop(&rig);
}

/* ---- Redis loses ---- */

Test(store_shard, everything_lost)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "FLUSHALL"));
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_BEHIND);
    cr_assert_eq(commit_small(&rig, &rig.a, 4, 1, "three"), KPID_STORE_BEHIND, "as long as it is not whole");
    cr_expect_eq(redis_server_number(&rig.server, "DBSIZE"), 0);
    struct kpid_commit whole = {.reset = true};
    for (uint64_t id = 5; id <= 8; id++)
        add_page(&whole, id, 100, 0);
    set_meta(&whole, "whole");
    EXPECT_OK(commit_now(&rig, &rig.a, &whole));
    EXPECT_OK(commit_small(&rig, &rig.a, 9, 1, "after"));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "after", 5, 6, 7, 8, 9);
    rig_stop(&rig);
}

Test(store_shard, everything_lost_and_another_came_first)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    freeReplyObject(redis_server_ask(&rig.server, "FLUSHALL"));
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_BEHIND);
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    struct kpid_commit whole = {.reset = true};
    add_page(&whole, 5, 100, 0);
    cr_assert_eq(commit_now(&rig, &rig.a, &whole), KPID_STORE_OTHER);
    rig_stop(&rig);
}

/* Restarts the server from what it had at the last SAVE. */
static void fall_back_to_save(struct rig *rig)
{
    redis_server_kill(&rig->server);
    redis_server_run(&rig->server, NULL);
    LOOP_UNTIL(rig->base, kpid_redis_up(rig->a.redis) && kpid_redis_up(rig->b.redis));
}

Test(store_shard, a_suffix_lost)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "SAVE"));
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 1, "two"));
    EXPECT_OK(commit_small(&rig, &rig.a, 4, 1, "three"));
    redis_server_kill(&rig.server);
    LOOP_UNTIL(rig.base, !kpid_redis_up(rig.a.redis));
    cr_assert_eq(commit_small(&rig, &rig.a, 5, 1, "four"), KPID_STORE_DOWN);
    cr_expect_gt(kpid_store_held_bytes(rig.a.store), 100);
    fall_back_to_save(&rig);
    cr_assert_eq(commit_small(&rig, &rig.a, 6, 1, "five"), KPID_STORE_BEHIND);
    struct kpid_commit whole = {.reset = true};
    for (uint64_t id = 7; id <= 12; id++)
        add_page(&whole, id, 100, 0);
    set_meta(&whole, "whole");
    EXPECT_OK(commit_now(&rig, &rig.a, &whole));
    cr_expect_gt(header_seq(&rig), 5, "no seq is used twice");
    LOOP_UNTIL(rig.base, swept(&rig, 6));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "whole", 7, 8, 9, 10, 11, 12);
    rig_stop(&rig);
}

/* ---- answers that are lost ---- */

Test(store_shard, a_commit_without_an_answer_that_arrived)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 200);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    redis_server_freeze(&rig.server);
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_DOWN);
    cr_expect(strstr(kpid_store_error(rig.a.store), "not answered in time"));
    redis_server_thaw(&rig.server);
    LOOP_UNTIL(rig.base, header_seq(&rig) == 3);
    LOOP_UNTIL(rig.base, kpid_redis_up(rig.a.redis));
    EXPECT_OK(commit_small(&rig, &rig.a, 4, 1, "three"));
    cr_expect_eq(header_seq(&rig), 4);
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "three", 1, 2, 3, 4);
    rig_stop(&rig);
}

Test(store_shard, a_commit_without_an_answer_that_did_not_arrive)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 200);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "SAVE"));
    redis_server_freeze(&rig.server);
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_DOWN);
    cr_assert_eq(commit_small(&rig, &rig.a, 4, 1, "three"), KPID_STORE_DOWN, "kept with the other");
    cr_assert_eq(commit_small(&rig, &rig.a, 5, 1, "four"), KPID_STORE_DOWN);
    fall_back_to_save(&rig);
    cr_expect_eq(header_seq(&rig), 2);
    EXPECT_OK(commit_now(&rig, &rig.a, NULL));
    cr_expect_eq(header_seq(&rig), 4);
    cr_expect_eq(kpid_store_held_bytes(rig.a.store), 0);
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "four", 1, 2, 3, 4, 5);
    rig_stop(&rig);
}

Test(store_shard, a_late_commit_is_refused_after_a_takeover)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 200);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    redis_server_freeze(&rig.server);
    begin_acquire(&rig.b, 2);
    while (kpid_redis_pending_bytes(rig.b.redis) > 0)
        event_base_loop(rig.base, EVLOOP_ONCE);
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "late"), KPID_STORE_DOWN);
    int before = rig.b.answers;
    redis_server_thaw(&rig.server);
    LOOP_UNTIL(rig.base, rig.b.answers > before && kpid_redis_up(rig.a.redis));
    cr_assert_eq(rig.b.status, KPID_STORE_OK);
    bool arrived = rig.b.loaded.n_pages == 3;
    cr_assert_eq(commit_now(&rig, &rig.a, NULL), KPID_STORE_OTHER);
    cr_assert_eq(commit_small(&rig, &rig.b, 10, 1, "b"), KPID_STORE_OK);
    acquire_now(&rig, &rig.a, 3);
    if (arrived)
        EXPECT_PAGES(&rig.a, "b", 1, 2, 3, 10);
    else
        EXPECT_PAGES(&rig.a, "b", 1, 2, 10);
    rig_stop(&rig);
}

Test(store_shard, out_of_memory_passes)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "CONFIG SET maxmemory 1"));
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_DOWN);
    cr_expect(strstr(kpid_store_error(rig.a.store), "maxmemory"), "%s", kpid_store_error(rig.a.store));
    struct kpid_commit large = {0};
    for (uint64_t id = 4; id < 40; id++)
        add_page(&large, id, KPID_PAGE_BYTES, 0);
    set_meta(&large, "large");
    cr_assert_eq(commit_now(&rig, &rig.a, &large), KPID_STORE_DOWN);
    cr_expect_eq(header_seq(&rig), 2);
    freeReplyObject(redis_server_ask(&rig.server, "CONFIG SET maxmemory 0"));
    EXPECT_OK(commit_now(&rig, &rig.a, NULL));
    LOOP_UNTIL(rig.base, swept(&rig, 39));
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    cr_expect_eq(rig.b.loaded.n_pages, 39);
    rig_stop(&rig);
}

/* ---- what can't be read ---- */

static void damage(const char *how, const char *suffix, const char *field, const char *value)
{
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 3, "one"));
    char name[64];
    snprintf(name, sizeof(name), "p:2.%s.2", "01010101010101010101010101010101");
    freeReplyObject(redis_server_ask(&rig.server, how, key(&rig, suffix ? suffix : name), field, value));
    cr_expect_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_DAMAGED, "%s %s %s", how, field, value);
    cr_expect(rig.b.loaded.n_pages == 0 && kpid_store_error(rig.b.store)[0] != '\0');
    cr_expect_eq(commit_small(&rig, &rig.b, 9, 1, "part"), KPID_STORE_BEHIND);
    struct kpid_commit whole = {.reset = true};
    add_page(&whole, 20, 100, 0);
    set_meta(&whole, "rebuilt");
    cr_assert_eq(commit_now(&rig, &rig.b, &whole), KPID_STORE_OK, "%s", kpid_store_error(rig.b.store));
    acquire_now(&rig, &rig.a, 3);
    EXPECT_PAGES(&rig.a, "rebuilt", 20);
    rig_stop(&rig);
}

Test(store_shard, damage_is_never_loaded)
{
    SKIP_WITHOUT_REDIS();
    damage("DEL %s", NULL, "", "");
    damage("SETRANGE %s 50 %s", NULL, "x", "");
    damage("APPEND %s %s", NULL, "x", "");
    damage("HDEL %s %s", "m", "2", "");
    damage("HSET %s %s %s", "m", "4", "nonsense");
    damage("HSET %s %s %s", "m", "2", "2.01010101010101010101010101010101.9 100 0000000000000000");
    damage("DEL %s", "m", "", "");
    damage("SET %s %s", "m", "x", "");
    damage("HDEL %s %s", "h", "format", "");
    damage("HDEL %s %s", "h", "seq", "");
    damage("HSET %s %s %s", "h", "seq", "many");
    damage("HDEL %s %s", "h", "pages", "");
}

Test(store_shard, a_newer_format_is_left_alone)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 3, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "HSET %s format 2", key(&rig, "h")));
    cr_expect_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_FORMAT);
    cr_expect_eq(header_seq(&rig), 2);
    EXPECT_OK(commit_small(&rig, &rig.a, 4, 1, "two"));
    rig_stop(&rig);
}

Test(store_shard, pages_without_a_header_are_no_state)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 3, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "DEL %s", key(&rig, "h")));
    cr_expect_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    cr_expect(rig.b.loaded.meta.len == 0 && rig.b.loaded.n_pages == 0);
    LOOP_UNTIL(rig.base, swept(&rig, 0));
    rig_stop(&rig);
}

Test(store_shard, orphans_are_removed_but_never_a_page_in_use)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 3, "one"));
    for (int i = 0; i < 700; i++) {
        freeReplyObject(redis_server_ask(&rig.server, "SADD %s %d.%s.7", key(&rig, "o"), i, "00112233445566778899aabbccddeeff"));
        freeReplyObject(redis_server_ask(&rig.server, "SET %s:%d.%s.7 x", key(&rig, "p"), i, "00112233445566778899aabbccddeeff"));
    }
    freeReplyObject(redis_server_ask(&rig.server, "SADD %s nonsense 2.%s.2", key(&rig, "o"), "01010101010101010101010101010101"));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "one", 1, 2, 3);
    LOOP_UNTIL(rig.base, swept(&rig, 3));
    acquire_now(&rig, &rig.a, 3);
    EXPECT_PAGES(&rig.a, "one", 1, 2, 3);
    rig_stop(&rig);
}

/* ---- all of it, many times ---- */

struct model {
    unsigned salt[IDS];
    size_t len[IDS]; /* 0: not there */
    uint64_t next_id;
    uint64_t random;
};

static uint64_t draw(struct model *model, uint64_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (model->random >> 33) % below;
}

static void cut(struct model *model, bool whole, struct kpid_commit *commit, int step)
{
    memset(commit, 0, sizeof(*commit));
    commit->reset = whole;
    if (whole)
        memset(model->len, 0, sizeof(model->len));
    bool large = draw(model, 20) == 0;
    for (uint64_t n = draw(model, 5) + (large ? 30 : 0); n > 0; n--) {
        uint64_t id = model->next_id++;
        model->salt[id] = (unsigned)step;
        model->len[id] = large ? KPID_PAGE_BYTES : 1 + draw(model, 500);
        add_page(commit, id, model->len[id], model->salt[id]);
    }
    for (uint64_t n = draw(model, 4); n > 0 && model->next_id > 1 && !whole; n--) {
        uint64_t id = 1 + draw(model, model->next_id - 1);
        model->len[id] = 0;
        add_drop(commit, id);
    }
    kpid_buf_printf(&commit->meta, "step %d", step);
}

static void expect_model(const struct owner *owner, const struct model *model, int step)
{
    size_t at = 0;
    char meta[32];
    snprintf(meta, sizeof(meta), "step %d", step);
    cr_assert_str_eq(owner->loaded.meta.data, meta);
    for (uint64_t id = 1; id < model->next_id; id++) {
        if (model->len[id] == 0)
            continue;
        struct kpid_commit want = {0};
        add_page(&want, id, model->len[id], model->salt[id]);
        cr_assert(at < owner->loaded.n_pages && owner->loaded.pages[at].id == id, "step %d: page %d", step, (int)id);
        cr_assert(owner->loaded.pages[at].len == want.pages[0].len &&
                  memcmp(owner->loaded.pages[at].bytes, want.pages[0].bytes, want.pages[0].len) == 0);
        kpid_commit_release(&want);
        at++;
    }
    cr_assert_eq(at, owner->loaded.n_pages, "step %d: %zu pages too many", step, owner->loaded.n_pages - at);
}

/* Breaks the connection somewhere between the sending and the answer. */
static void disturb(struct rig *rig, struct model *model, const struct owner *owner)
{
    int before = owner->answers;
    uint64_t turns = draw(model, 4);
    while (turns-- > 0 && owner->answers == before)
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    freeReplyObject(redis_server_ask(&rig->server, "CLIENT KILL TYPE normal SKIPME yes"));
}

Test(store_shard, a_thousand_commits_under_fire)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    static struct model model;
    struct owner *owner, *other;
    size_t downs = 0, behinds = 0;
    uint8_t nonce = 10;
    model = (struct model){.next_id = 1, .random = 42};
    rig_start(&rig, 5000);
    owner = &rig.a;
    other = &rig.b;
    cr_assert_eq(acquire_now(&rig, owner, nonce++), KPID_STORE_OK);
    for (int step = 1; step <= 1000; step++) {
        struct kpid_commit commit;
        int before = owner->answers;
        if (draw(&model, 50) == 0)
            freeReplyObject(redis_server_ask(&rig.server, "FLUSHALL"));
        cut(&model, draw(&model, 30) == 0, &commit, step);
        begin_commit(owner, &commit);
        if (draw(&model, 4) == 0)
            disturb(&rig, &model, owner);
        LOOP_UNTIL(rig.base, owner->answers > before);
        while (owner->status == KPID_STORE_DOWN && draw(&model, 3) > 0) {
            downs++;
            LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
            commit_now(&rig, owner, NULL);
        }
        while (owner->status == KPID_STORE_BEHIND) {
            behinds++;
            LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
            cut(&model, true, &commit, step);
            commit_now(&rig, owner, &commit);
        }
        cr_assert(owner->status == KPID_STORE_OK || owner->status == KPID_STORE_DOWN);
        if (owner->status == KPID_STORE_OK && draw(&model, 20) == 0) {
            struct owner *swap = owner;
            owner = other;
            other = swap;
            do {
                LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
                acquire_now(&rig, owner, nonce++);
            } while (owner->status == KPID_STORE_DOWN);
            cr_assert_eq(owner->status, KPID_STORE_OK, "%s", kpid_store_error(owner->store));
            expect_model(owner, &model, step);
        }
    }
    cr_expect(downs > 50 && behinds > 5, "%zu downs, %zu behinds", downs, behinds);
    LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis) && kpid_redis_up(other->redis));
    if (commit_now(&rig, owner, NULL) == KPID_STORE_OK) {
        cr_assert_eq(acquire_now(&rig, other, nonce++), KPID_STORE_OK);
        expect_model(other, &model, 1000);
        LOOP_UNTIL(rig.base, swept(&rig, (long long)other->loaded.n_pages));
    }
    rig_stop(&rig);
}
