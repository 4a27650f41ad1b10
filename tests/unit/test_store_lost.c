#include "store_rig.h"

/* ---- Redis loses ---- */

Test(store_lost, everything_lost)
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

Test(store_lost, everything_lost_and_another_came_first)
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

Test(store_lost, a_suffix_lost)
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

Test(store_lost, a_suffix_lost_under_an_open_connection)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 2, "two"));
    freeReplyObject(redis_server_ask(&rig.server, "HSET %s seq 2", key(&rig, "h")));
    cr_assert_eq(commit_small(&rig, &rig.a, 5, 1, "three"), KPID_STORE_BEHIND);
    cr_expect_eq(header_seq(&rig), 2);
    struct kpid_commit whole = {.reset = true};
    add_page(&whole, 6, 100, 0);
    set_meta(&whole, "whole");
    EXPECT_OK(commit_now(&rig, &rig.a, &whole));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "whole", 6);
    rig_stop(&rig);
}

/* A partial commit would make up a manifest of its own pages alone, and the header would count those. */
Test(store_lost, the_manifest_lost)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    rig_start(&rig, 5000);
    EXPECT_OK(acquire_now(&rig, &rig.a, 1));
    EXPECT_OK(commit_small(&rig, &rig.a, 1, 2, "one"));
    freeReplyObject(redis_server_ask(&rig.server, "DEL %s", key(&rig, "m")));
    cr_assert_eq(commit_small(&rig, &rig.a, 3, 1, "two"), KPID_STORE_BEHIND);
    cr_expect(strstr(kpid_store_error(rig.a.store), "manifest"), "%s", kpid_store_error(rig.a.store));
    cr_assert_eq(commit_small(&rig, &rig.a, 4, 1, "three"), KPID_STORE_BEHIND, "as long as it is not whole");
    struct kpid_commit whole = {.reset = true};
    add_page(&whole, 5, 100, 0);
    set_meta(&whole, "whole");
    EXPECT_OK(commit_now(&rig, &rig.a, &whole));
    EXPECT_OK(commit_small(&rig, &rig.a, 6, 1, "after"));
    acquire_now(&rig, &rig.b, 2);
    EXPECT_PAGES(&rig.b, "after", 5, 6);
    rig_stop(&rig);
}

/* ---- answers that are lost ---- */

Test(store_lost, a_commit_without_an_answer_that_arrived)
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

Test(store_lost, a_commit_without_an_answer_that_did_not_arrive)
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

Test(store_lost, a_late_commit_is_refused_after_a_takeover)
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

Test(store_lost, out_of_memory_passes)
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
