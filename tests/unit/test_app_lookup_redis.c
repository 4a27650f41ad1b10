/* Joins with hashes in a real Redis: both forms, what is cached and for how long, outages, and what is never asked. */
#include "lookup_rig.h"

/* A look-up `a` with these settings, in this server; the field is a.tag and, for numbers, a.n. */
static void open_with(struct lookup_rig *rig, const struct redis_server *server, const char *settings)
{
    struct kpid_buf config = KPID_BUF_INIT;
    bool one = strstr(settings, "{}") == NULL;
    kpid_buf_printf(&config,
                    "redis: { timeout: 20s }\nlookups: { a: { url: \"%s\", %s } }\n"
                    "sources: { o: { topics: [o], join: { a: who } } }\n"
                    "measures: { m: { from: o, where: %s == \"x\", %s } }\n"
                    "kpis: { k: { formula: m, windows: [1m] } }\n",
                    server->url, settings, one ? "a.value" : "a.tag", one ? "count: " : "sum: a.n");
    rig_init(rig, config.data, NULL);
    kpid_buf_release(&config);
    rig_open(rig);
}

static long long commands(struct redis_server *server, const char *name)
{
    char pattern[64];
    redisReply *reply = redis_server_ask(server, "INFO commandstats");
    snprintf(pattern, sizeof(pattern), "cmdstat_%s:calls=", name);
    const char *at = strstr(reply->str, pattern);
    long long n = at ? atoll(at + strlen(pattern)) : 0;
    freeReplyObject(reply);
    return n;
}

Test(app_lookup_redis, a_hash_for_each_key)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET r:7:x tag gold n 2.5 other z");
    redis_server_number(&server, "HSET r:8:x n 3");
    open_with(&rig, &server, "redis: \"r:{}:x\", fields: { n: number }");
    cr_assert_not(rig_join(&rig, "\"who\":7")); /* never at once, not even when it is quick */
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "gold");
    cr_assert_str_eq(rig_field(&rig, "a.n"), "2.5");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":\"8\""));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "-");
    cr_assert_str_eq(rig_field(&rig, "a.n"), "3");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":9"));
    cr_assert_str_eq(rig_field(&rig, "a.n"), "-");
    for (int i = 0; i < 100; i++) {
        cr_assert(rig_join(&rig, "\"who\":7"));
        cr_assert(rig_join(&rig, "\"who\":9"));
        cr_assert(rig_join(&rig, ""));
    }
    struct kpid_lookup_stats stats = rig_stats(&rig);
    cr_assert(stats.hits == 102 && stats.misses == 101 && stats.no_key == 100);
    cr_assert(stats.entries == 3 && stats.asked == 3 && stats.asking == 0 && stats.up);
    cr_assert_eq(commands(&server, "hmget"), 3); /* what is known is not asked again, nor is what is not there */
    rig_release(&rig);
    redis_server_stop(&server);
}

Test(app_lookup_redis, one_hash)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET tiers 7 gold");
    open_with(&rig, &server, "redis: tiers, missing: unknown");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "a.value"), "gold");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":8"));
    cr_assert_str_eq(rig_field(&rig, "a.value"), "unknown");
    rig_release(&rig);
    redis_server_stop(&server);
}

static bool value_is(struct lookup_rig *rig, const char *tag)
{
    return rig_join(rig, "\"who\":7") && strcmp(rig_field(rig, "a.value"), tag) == 0;
}

/* A value in use is renewed in the background: no event waits for it. */
Test(app_lookup_redis, refreshed)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET tiers 7 gold");
    open_with(&rig, &server, "redis: tiers, refresh: 100ms, refresh_missing: 100ms");
    LOOP_UNTIL(rig.base, value_is(&rig, "gold"));
    redis_server_number(&server, "HSET tiers 7 silver");
    LOOP_UNTIL(rig.base, value_is(&rig, "silver"));
    redis_server_number(&server, "HDEL tiers 7");
    LOOP_UNTIL(rig.base, value_is(&rig, "-"));
    redis_server_number(&server, "HSET tiers 7 back");
    LOOP_UNTIL(rig.base, value_is(&rig, "back"));
    cr_assert_geq(rig_stats(&rig).refreshed + rig_stats(&rig).asked, 4);
    rig_release(&rig);
    redis_server_stop(&server);
}

Test(app_lookup_redis, asked_ahead_and_together)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    char member[64], text[64];
    redis_server_start(&server, NULL);
    for (int i = 0; i < 1000; i++)
        redis_server_number(&server, "HSET tiers %d t%d", i, i);
    open_with(&rig, &server, "redis: tiers");
    LOOP_UNTIL(rig.base, rig_stats(&rig).up);
    for (int i = 0; i < 1000; i++) {
        snprintf(member, sizeof(member), "\"who\":%d", i);
        cr_assert_not(rig_join(&rig, member));
        cr_assert(kpid_lookups_ask(rig.lookups, 0, &rig.event, test_now_ms()));
    }
    cr_assert_eq(rig_stats(&rig).asking, 1000);
    LOOP_UNTIL(rig.base, rig_stats(&rig).asking == 0);
    cr_assert_lt(rig.answered, 1000); /* told together */
    for (int i = 0; i < 1000; i++) {
        snprintf(member, sizeof(member), "\"who\":%d", i);
        snprintf(text, sizeof(text), "t%d", i);
        cr_assert(rig_join(&rig, member));
        cr_assert_str_eq(rig_field(&rig, "a.value"), text);
    }
    cr_assert_eq(commands(&server, "hget"), 1000);
    rig_release(&rig);
    redis_server_stop(&server);
}

/* More keys than the cache holds: each event gets its own all the same, and memory stays. */
Test(app_lookup_redis, bounded)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    char member[64], text[64];
    redis_server_start(&server, NULL);
    for (int i = 0; i < 200; i++)
        redis_server_number(&server, "HSET tiers %d t%d", i, i);
    open_with(&rig, &server, "redis: tiers, max_keys: 10");
    for (int i = 0; i < 400; i++) {
        snprintf(member, sizeof(member), "\"who\":%d", i % 200);
        snprintf(text, sizeof(text), "t%d", i % 200);
        LOOP_UNTIL(rig.base, rig_join(&rig, member));
        cr_assert_str_eq(rig_field(&rig, "a.value"), text);
        cr_assert_leq(rig_stats(&rig).entries, 10);
    }
    cr_assert_eq(rig_stats(&rig).evicted, 390);
    rig_release(&rig);
    redis_server_stop(&server);
}

/* What a column can't hold is absent, counted and told; the other columns are there. */
Test(app_lookup_redis, faulty_values)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET r:1 tag gold n much");
    redis_server_number(&server, "HSET r:2 tag %b n 5", "\xff", (size_t)1);
    redis_server_number(&server, "HSET r:3 tag %s n 1.0000001", "");
    open_with(&rig, &server, "redis: \"r:{}\", fields: { n: number }");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":1"));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "gold");
    cr_assert_str_eq(rig_field(&rig, "a.n"), "-");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":2"));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "-");
    cr_assert_str_eq(rig_field(&rig, "a.n"), "5");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":3"));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "-");
    cr_assert_eq(rig_stats(&rig).faulty, 3);
    cr_assert(strstr(rig.said.data, "look-up a: a value of n is not a number"), "%s", rig.said.data);
    rig_release(&rig);
    redis_server_stop(&server);
}

/* Redis refuses the question: the event goes on, counted and told. */
Test(app_lookup_redis, refused)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    freeReplyObject(redis_server_ask(&server, "SET r:7 text"));
    open_with(&rig, &server, "redis: \"r:{}\", fields: { n: number }");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "a.tag"), "-");
    cr_assert_eq(rig_stats(&rig).failed, 1);
    cr_assert(rig.told[KPID_TOLD_REPEATED] == 1 && strstr(rig.said.data, "WRONGTYPE"), "%s", rig.said.data);
    rig_release(&rig);
    redis_server_stop(&server);
}

/* Without a connection events wait, and go on once it is there. */
Test(app_lookup_redis, down_wait)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET tiers 7 gold");
    redis_server_number(&server, "HSET tiers 8 new");
    open_with(&rig, &server, "redis: tiers, timeout: 50ms");
    LOOP_UNTIL(rig.base, value_is(&rig, "gold"));
    redis_server_kill(&server);
    LOOP_UNTIL(rig.base, !rig_stats(&rig).up);
    uint64_t late = rig_stats(&rig).late;
    int64_t until = test_now_ms() + 300; /* several times the timeout */
    LOOP_UNTIL(rig.base, test_now_ms() > until || rig_join(&rig, "\"who\":8"));
    cr_assert_not(rig_join(&rig, "\"who\":8"));
    cr_assert(value_is(&rig, "gold")); /* what is known serves */
    cr_assert(rig_stats(&rig).late == late && rig_stats(&rig).down == 0);
    redis_server_run(&server, NULL);
    redis_server_number(&server, "HSET tiers 8 new");
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":8"));
    cr_assert_str_eq(rig_field(&rig, "a.value"), "new");
    rig_release(&rig);
    redis_server_stop(&server);
}

/* The other policy: without an answer after the timeout, and nothing is kept of that once Redis is back. */
Test(app_lookup_redis, down_absent)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    open_with(&rig, &server, "redis: tiers, timeout: 50ms, when_down: absent, missing: unknown");
    LOOP_UNTIL(rig.base, rig_stats(&rig).up);
    redis_server_kill(&server);
    LOOP_UNTIL(rig.base, !rig_stats(&rig).up);
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":8"));
    cr_assert_str_eq(rig_field(&rig, "a.value"), "unknown");
    cr_assert(rig_stats(&rig).late + rig_stats(&rig).down == 1);
    cr_assert(rig_join(&rig, "\"who\":9")); /* by now nobody waits any more */
    cr_assert_geq(rig_stats(&rig).down, 1);
    redis_server_run(&server, NULL);
    redis_server_number(&server, "HSET tiers 8 new");
    LOOP_UNTIL(rig.base, rig_stats(&rig).up);
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":8") && strcmp(rig_field(&rig, "a.value"), "new") == 0);
    rig_release(&rig);
    redis_server_stop(&server);
}

/* A Redis that hangs: the event goes on after the timeout, and a late answer still serves those that follow. */
Test(app_lookup_redis, late)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, NULL);
    redis_server_number(&server, "HSET tiers 7 gold");
    open_with(&rig, &server, "redis: tiers, timeout: 100ms");
    LOOP_UNTIL(rig.base, rig_stats(&rig).up);
    redis_server_freeze(&server);
    cr_assert_not(rig_join(&rig, "\"who\":7"));
    LOOP_UNTIL(rig.base, rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "a.value"), "-");
    cr_assert(rig_join(&rig, "\"who\":7")); /* the same answer is not waited for twice */
    cr_assert_eq(rig_stats(&rig).late, 2);
    redis_server_thaw(&server);
    LOOP_UNTIL(rig.base, value_is(&rig, "gold"));
    rig_release(&rig);
    redis_server_stop(&server);
}

/* A replica, and one that may evict keys, are good enough for tables. */
Test(app_lookup_redis, what_will_do)
{
    SKIP_WITHOUT_REDIS();
    static const char *const options[] = {"--maxmemory-policy", "allkeys-lru", "--replicaof", "127.0.0.1", "1", NULL};
    struct redis_server server;
    struct lookup_rig rig;
    redis_server_start(&server, options);
    open_with(&rig, &server, "redis: tiers, missing: none");
    LOOP_UNTIL(rig.base, rig_stats(&rig).up);
    rig_release(&rig);
    redis_server_stop(&server);
}
