#include "store_rig.h"

#define FIRST_NONCE "01010101010101010101010101010101" /* acquire_now(..., 1) */
#define OTHER_NONCE "00112233445566778899aabbccddeeff"

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
    cr_expect_eq(redis_server_number(&rig.server, "EXISTS %s", key(&rig, "o")), 0,
                 "taken out with the commit");
    LOOP_UNTIL(rig.base, swept(&rig, 1000));
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    cr_assert_eq(rig.b.loaded.n_pages, 1000);
    for (size_t i = 0; i < 1000; i++)
        cr_assert(rig.b.loaded.pages[i].len == want.pages[i].len &&
                  memcmp(rig.b.loaded.pages[i].bytes, want.pages[i].bytes, want.pages[i].len) == 0);
    kpid_commit_release(&want);
    rig_stop(&rig);
}

Test(store_shard, a_staged_page_that_vanishes_is_written_again)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct kpid_commit commit = {0};
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    for (uint64_t id = 1; id <= 80; id++)
        add_page(&commit, id, KPID_PAGE_BYTES, 5);
    int before = rig.a.answers;
    begin_commit(&rig.a, &commit);
    while (redis_server_number(&rig.server, "DEL %s:1.%s.2", key(&rig, "p"), FIRST_NONCE) == 0)
        event_base_loop(rig.base, EVLOOP_ONCE);
    LOOP_UNTIL(rig.base, rig.a.answers > before);
    cr_expect_eq(rig.a.status, KPID_STORE_DOWN);
    cr_expect(strstr(kpid_store_error(rig.a.store), "is not there"));
    cr_expect_eq(header_seq(&rig), 1);
    EXPECT_OK(commit_now(&rig, &rig.a, NULL));
    LOOP_UNTIL(rig.base, swept(&rig, 80));
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

/* Lets a take the header, and then writes another nonce there before a has read everything. */
static void take_over_during_a_load(bool remove_a_page)
{
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2000, "x"));
    int before = rig.a.answers;
    begin_acquire(&rig.a, 2);
    while (header_seq(&rig) < 3)
        event_base_loop(rig.base, EVLOOP_ONCE);
    freeReplyObject(redis_server_ask(&rig.server, "HSET %s nonce %s seq 4", key(&rig, "h"), OTHER_NONCE));
    if (remove_a_page)
        freeReplyObject(redis_server_ask(&rig.server, "DEL %s:1999.%s.2", key(&rig, "p"), FIRST_NONCE));
    LOOP_UNTIL(rig.base, rig.a.answers > before);
    cr_expect_eq(rig.a.status, KPID_STORE_OTHER, "%s", kpid_store_status_text(rig.a.status));
    cr_expect_eq(rig.a.loaded.n_pages, 0);
    rig_stop(&rig);
}

Test(store_shard, a_load_that_another_owner_overtakes_is_dropped)
{
    SKIP_WITHOUT_REDIS();
    take_over_during_a_load(false);
    take_over_during_a_load(true);
}

Test(store_shard, a_sweep_stops_when_the_shard_is_lost)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    struct kpid_commit commit = {0};
    add_drop(&commit, 1);
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    /* The sweep has been begun and not gone out yet: another owner comes, and stages. */
    freeReplyObject(redis_server_ask(&rig.server, "HSET %s nonce %s", key(&rig, "h"), OTHER_NONCE));
    freeReplyObject(redis_server_ask(&rig.server, "SADD %s 5.%s.9", key(&rig, "o"), OTHER_NONCE));
    freeReplyObject(redis_server_ask(&rig.server, "SET %s:5.%s.9 x", key(&rig, "p"), OTHER_NONCE));
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.a.redis) == 0);
    cr_expect_eq(redis_server_number(&rig.server, "EXISTS %s:5.%s.9", key(&rig, "p"), OTHER_NONCE), 1);
    cr_expect_eq(redis_server_number(&rig.server, "SCARD %s", key(&rig, "o")), 2);
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

Test(store_shard, a_sweep_leaves_what_a_doubt_may_need)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "SADD %s 5.%s.4", key(&rig, "o"), FIRST_NONCE));
    freeReplyObject(redis_server_ask(&rig.server, "SET %s:5.%s.4 x", key(&rig, "p"), FIRST_NONCE));
    struct kpid_commit commit = {0};
    add_drop(&commit, 1);
    EXPECT_OK(commit_now(&rig, &rig.a, &commit)); /* seq 3 */
    LOOP_UNTIL(rig.base, redis_server_number(&rig.server, "SCARD %s", key(&rig, "o")) == 1);
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.a.redis) == 0);
    cr_expect_eq(redis_server_number(&rig.server, "EXISTS %s:5.%s.4", key(&rig, "p"), FIRST_NONCE), 1);
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
    snprintf(name, sizeof(name), "p:2.%s.2", FIRST_NONCE);
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

Test(store_shard, a_page_newer_than_the_header_is_damage)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    char entry[128];
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 3, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "RENAME %s:2.%s.2 %s:2.%s.3", key(&rig, "p"), FIRST_NONCE,
                                     key(&rig, "p"), FIRST_NONCE));
    redisReply *reply = redis_server_ask(&rig.server, "HGET %s 2", key(&rig, "m"));
    snprintf(entry, sizeof(entry), "2.%s.3%s", FIRST_NONCE, strchr(reply->str, ' '));
    freeReplyObject(reply);
    freeReplyObject(redis_server_ask(&rig.server, "HSET %s 2 %s", key(&rig, "m"), entry));
    cr_expect_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_DAMAGED);
    rig_stop(&rig);
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
        freeReplyObject(redis_server_ask(&rig.server, "SADD %s %d.%s.7", key(&rig, "o"), i, OTHER_NONCE));
        freeReplyObject(redis_server_ask(&rig.server, "SET %s:%d.%s.7 x", key(&rig, "p"), i, OTHER_NONCE));
    }
    freeReplyObject(redis_server_ask(&rig.server, "SADD %s nonsense 2.%s.2", key(&rig, "o"), FIRST_NONCE));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "one", 1, 2, 3);
    LOOP_UNTIL(rig.base, swept(&rig, 3));
    acquire_now(&rig, &rig.a, 3);
    EXPECT_PAGES(&rig.a, "one", 1, 2, 3);
    rig_stop(&rig);
}
