#include "redis_server.h"

#include "kpid/redis.h"

/* What a connection reported. */
struct seen {
    struct event_base *base;
    struct kpid_redis *redis;
    int ups, downs;
    char why[512];
};

static void on_up(void *ctx)
{
    ((struct seen *)ctx)->ups++;
}

static void on_down(void *ctx, const char *why)
{
    struct seen *seen = ctx;
    seen->downs++;
    snprintf(seen->why, sizeof(seen->why), "%s", why);
}

static void open_with(struct seen *seen, const char *url, int64_t timeout_ms, bool allow_eviction)
{
    static const struct kpid_redis_events EVENTS = {on_up, on_down};
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_redis_options options = {url, timeout_ms, allow_eviction, false};
    memset(seen, 0, sizeof(*seen));
    seen->base = event_base_new();
    seen->redis = kpid_redis_open(seen->base, &options, &EVENTS, seen, &error);
    cr_assert(seen->redis != NULL, "%s", error.data);
}

static void close_all(struct seen *seen)
{
    kpid_redis_close(seen->redis);
    event_base_free(seen->base);
}

/* One answer, and how often it came. */
struct answer {
    int times;
    enum kpid_reply_kind kind;
    int64_t integer;
    char text[256];
    size_t len;
};

static void on_answer(void *ctx, const struct kpid_reply *reply)
{
    struct answer *answer = ctx;
    answer->times++;
    answer->kind = reply->kind;
    answer->integer = reply->integer;
    answer->len = reply->len;
    size_t n = reply->len < sizeof(answer->text) - 1 ? reply->len : sizeof(answer->text) - 1;
    if (reply->str)
        memcpy(answer->text, reply->str, n);
    answer->text[reply->str ? n : 0] = '\0';
}

static void send_words(struct kpid_redis *redis, struct answer *answer, const char *words)
{
    struct kpid_bulk bulks[16];
    size_t n = 0;
    for (const char *at = words; *at; at += bulks[n++].len) {
        at += strspn(at, " ");
        bulks[n] = (struct kpid_bulk){at, strcspn(at, " ")};
    }
    kpid_redis_send(redis, bulks, n, on_answer, answer);
}

static struct answer ask(struct seen *seen, const char *words)
{
    struct answer answer = {0};
    send_words(seen->redis, &answer, words);
    cr_assert_eq(answer.times, 0, "answered within the call");
    LOOP_UNTIL(seen->base, answer.times > 0);
    return answer;
}

Test(store_redis, answers_of_every_kind)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    cr_assert(!kpid_redis_up(seen.redis));
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_eq(seen.ups, 1);
    cr_expect_str_eq(kpid_redis_warning(seen.redis), "");
    struct answer answer = ask(&seen, "SET key value");
    cr_expect(answer.kind == KPID_REPLY_STATUS && strcmp(answer.text, "OK") == 0);
    answer = ask(&seen, "GET key");
    cr_expect(answer.kind == KPID_REPLY_STR && strcmp(answer.text, "value") == 0);
    cr_expect_eq(ask(&seen, "GET none").kind, KPID_REPLY_NIL);
    answer = ask(&seen, "INCRBY n 41");
    cr_expect(answer.kind == KPID_REPLY_INT && answer.integer == 41);
    answer = ask(&seen, "LPUSH key x");
    cr_expect(answer.kind == KPID_REPLY_ERROR && strncmp(answer.text, "WRONGTYPE", 9) == 0);
    cr_expect_eq(kpid_redis_pending(seen.redis), 0);
    close_all(&seen);
    redis_server_stop(&server);
}

static void on_tree(void *ctx, const struct kpid_reply *reply)
{
    int *times = ctx;
    cr_expect(reply->kind == KPID_REPLY_ARRAY && reply->n_items == 3);
    cr_expect(reply->items[0].kind == KPID_REPLY_INT && reply->items[0].integer == 1);
    cr_expect(reply->items[1].kind == KPID_REPLY_ARRAY && reply->items[1].n_items == 40);
    for (size_t i = 0; i < 40; i++)
        cr_expect_eq(reply->items[1].items[i].items[0].integer, (int64_t)i + 1);
    cr_expect(reply->items[2].kind == KPID_REPLY_STR && reply->items[2].len == 4 &&
              memcmp(reply->items[2].str, "a\0b\n", 4) == 0);
    ++*times;
}

Test(store_redis, trees_of_replies_are_viewed_whole)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    int times = 0;
    struct kpid_script script = {"local t = {} for i = 1, 40 do t[i] = {i} end return {1, t, ARGV[1]}", ""};
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    struct kpid_bulk arg = {"a\0b\n", 4};
    kpid_redis_eval(seen.redis, &script, NULL, 0, &arg, 1, on_tree, &times);
    LOOP_UNTIL(seen.base, times == 1);
    close_all(&seen);
    redis_server_stop(&server);
}

struct order {
    int64_t last;
    size_t n;
    bool wrong;
};

static void on_ordered(void *ctx, const struct kpid_reply *reply)
{
    struct order *order = ctx;
    order->wrong |= reply->kind != KPID_REPLY_INT || reply->integer != order->last + 1;
    order->last = reply->integer;
    order->n++;
}

Test(store_redis, pipelines_in_order)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    struct order order = {0};
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    struct kpid_bulk incr[] = {KPID_BULK_STR("INCR"), KPID_BULK_STR("n")};
    for (size_t i = 0; i < 20000; i++)
        kpid_redis_send(seen.redis, incr, 2, on_ordered, &order);
    cr_expect_eq(kpid_redis_pending(seen.redis), 20000);
    cr_expect_gt(kpid_redis_pending_bytes(seen.redis), 20000);
    LOOP_UNTIL(seen.base, order.n == 20000);
    cr_expect(!order.wrong);
    cr_expect_eq(kpid_redis_pending_bytes(seen.redis), 0);
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, down_is_answered_later_and_once)
{
    struct seen seen;
    struct answer answer = {0};
    open_with(&seen, "unix:/nonexistent/kpid", 5000, false);
    send_words(seen.redis, &answer, "PING");
    cr_expect_eq(answer.times, 0);
    cr_expect_eq(kpid_redis_pending(seen.redis), 1);
    LOOP_UNTIL(seen.base, answer.times > 0 && seen.downs > 0);
    cr_expect_eq(answer.kind, KPID_REPLY_DOWN);
    cr_expect(strstr(seen.why, "No such file"), "%s", seen.why);
    cr_expect_eq(ask(&seen, "PING").kind, KPID_REPLY_DOWN);
    struct answer last = {0};
    send_words(seen.redis, &last, "PING");
    cr_expect_eq(seen.downs, 1);
    close_all(&seen);
    cr_expect(last.times == 1 && last.kind == KPID_REPLY_DOWN && answer.times == 1);
}

Test(store_redis, comes_back_after_the_server_was_killed)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    redis_server_freeze(&server);
    struct answer lost[3] = {0};
    for (size_t i = 0; i < 3; i++)
        send_words(seen.redis, &lost[i], "INCR n");
    redis_server_kill(&server);
    LOOP_UNTIL(seen.base, lost[0].times + lost[1].times + lost[2].times >= 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect(lost[i].times == 1 && lost[i].kind == KPID_REPLY_DOWN && lost[i].len > 0);
    cr_expect(!kpid_redis_up(seen.redis));
    cr_expect_eq(seen.downs, 1);
    redis_server_run(&server, NULL);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_eq(seen.ups, 2);
    cr_expect_eq(ask(&seen, "INCR n").integer, 1);
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, a_server_that_does_not_answer_is_left)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 200, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    redis_server_freeze(&server);
    int64_t begin_ms = test_now_ms();
    struct answer answer = {0};
    send_words(seen.redis, &answer, "INCR n");
    LOOP_UNTIL(seen.base, answer.times > 0);
    cr_expect_eq(answer.kind, KPID_REPLY_DOWN);
    cr_expect(strstr(answer.text, "not answered in time"), "%s", answer.text);
    cr_expect_geq(test_now_ms() - begin_ms, 199);
    redis_server_thaw(&server);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_eq(answer.times, 1);
    cr_expect_eq(ask(&seen, "INCR n").integer, 2, "the late command is executed");
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, a_policy_that_may_evict_state_is_refused)
{
    SKIP_WITHOUT_REDIS();
    static const char *const EVICT[] = {"--maxmemory-policy", "allkeys-lru", NULL};
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, EVICT);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, seen.downs > 0);
    cr_expect(strstr(seen.why, "allkeys-lru"), "%s", seen.why);
    struct answer answer = ask(&seen, "SET a b");
    cr_expect(answer.kind == KPID_REPLY_DOWN && strstr(answer.text, "allkeys-lru"));
    freeReplyObject(redis_server_ask(&server, "CONFIG SET maxmemory-policy volatile-lru"));
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_eq(seen.downs, 1);
    freeReplyObject(redis_server_ask(&server, "CONFIG SET maxmemory-policy allkeys-random"));
    cr_expect_eq(ask(&seen, "SET a b").kind, KPID_REPLY_STATUS);
    freeReplyObject(redis_server_ask(&server, "CLIENT KILL TYPE normal SKIPME yes"));
    LOOP_UNTIL(seen.base, strstr(seen.why, "allkeys-random"));
    close_all(&seen);
    open_with(&seen, server.url, 5000, true);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, users_passwords_and_what_they_may)
{
    SKIP_WITHOUT_REDIS();
    static const char *const AUTH[] = {"--requirepass", "se/cr:et", "--port", "0", NULL};
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, AUTH);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, seen.downs > 0);
    cr_expect(strstr(seen.why, "wants a password"), "%s", seen.why);
    close_all(&seen);
    redis_server_stop(&server);
}

/* URLs with a login are for TCP: finds a free port. */
static void start_tcp(struct redis_server *server, char *url_at, size_t room, const char *login)
{
    for (int port = 20000 + (int)(getpid() % 20000); port < 65000; port++) {
        redis_server_start(server, NULL);
        redisReply *reply = redis_server_ask(server, "CONFIG SET port %d", port);
        bool ok = reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (ok) {
            snprintf(url_at, room, "redis://%s127.0.0.1:%d/2", login, port);
            return;
        }
        redis_server_stop(server);
    }
    cr_assert(false, "no free port");
}

Test(store_redis, logs_in_and_selects)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    char url[128];
    start_tcp(&server, url, sizeof(url), "kpi%3Ad:p%40ss%2Fword@");
    open_with(&seen, url, 5000, false);
    LOOP_UNTIL(seen.base, seen.downs > 0);
    cr_expect(strstr(seen.why, "does not accept the user or password"), "%s", seen.why);
    cr_expect(!strstr(seen.why, "p@ss"));
    freeReplyObject(redis_server_ask(&server, "ACL SETUSER kpi:d on >p@ss/word ~* &* +@all"));
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_eq(ask(&seen, "SET here 1").kind, KPID_REPLY_STATUS);
    freeReplyObject(redis_server_ask(&server, "SELECT 2"));
    cr_expect_eq(redis_server_number(&server, "GET here"), 1);
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, who_may_not_read_the_policy_is_warned)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    char url[128];
    start_tcp(&server, url, sizeof(url), "k:p@");
    freeReplyObject(redis_server_ask(&server, "ACL SETUSER k on >p ~* &* +@all -ping -info"));
    open_with(&seen, url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect_str_eq(kpid_redis_warning(seen.redis), "", "CONFIG tells it too");
    close_all(&seen);
    freeReplyObject(redis_server_ask(&server, "ACL SETUSER k -config"));
    open_with(&seen, url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    cr_expect(strstr(kpid_redis_warning(seen.redis), "maxmemory-policy"));
    cr_expect(strstr(kpid_redis_warning(seen.redis), "not permitted"));
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, a_replica_is_refused_and_a_demoted_master_left)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    freeReplyObject(redis_server_ask(&server, "REPLICAOF 127.0.0.1 1"));
    struct answer answer = ask(&seen, "SET a b");
    cr_expect(answer.kind == KPID_REPLY_ERROR && strncmp(answer.text, "READONLY", 8) == 0);
    LOOP_UNTIL(seen.base, seen.downs == 2);
    cr_expect(strstr(seen.why, "is a read-only replica"), "%s", seen.why);
    freeReplyObject(redis_server_ask(&server, "REPLICAOF NO ONE"));
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, waits_while_the_server_loads)
{
    SKIP_WITHOUT_REDIS();
    static const char *const SLOWLY[] = {"--key-load-delay", "500", "--loading-process-events-interval-bytes",
                                         "1024", NULL};
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    freeReplyObject(
        redis_server_ask(&server, "EVAL %s 0",
                         "for i = 1, 2000 do redis.call('SET', 'k' .. i, string.rep('x', 100) .. i) end"));
    freeReplyObject(redis_server_ask(&server, "SAVE"));
    redis_server_kill(&server);
    redis_server_run(&server, SLOWLY);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, seen.downs > 0);
    cr_expect(strstr(seen.why, "still loading"), "%s", seen.why);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    close_all(&seen);
    redis_server_stop(&server);
}

Test(store_redis, a_script_runs_once_whether_known_or_not)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    struct kpid_script script = {"return redis.call('INCRBY', KEYS[1], ARGV[1])", ""};
    struct kpid_bulk key = KPID_BULK_STR("n"), arg = KPID_BULK_STR("10");
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    struct answer answers[6] = {0};
    for (size_t i = 0; i < 6; i++) {
        kpid_redis_eval(seen.redis, &script, &key, 1, &arg, 1, on_answer, &answers[i]);
        if (i == 1 || i == 3) {
            LOOP_UNTIL(seen.base, answers[i].times == 1);
            freeReplyObject(redis_server_ask(&server, "SCRIPT FLUSH"));
        }
    }
    LOOP_UNTIL(seen.base, answers[5].times == 1);
    for (size_t i = 0; i < 6; i++)
        cr_expect(answers[i].times == 1 && answers[i].integer == 10 * (int64_t)(i + 1));
    redisReply *sha = redis_server_ask(&server, "SCRIPT LOAD %s", script.text);
    cr_expect_str_eq(script.sha, sha->str);
    freeReplyObject(sha);
    close_all(&seen);
    redis_server_stop(&server);
}

struct closer {
    struct kpid_redis *redis;
    int times;
};

static void on_close(void *ctx, const struct kpid_reply *reply)
{
    struct closer *closer = ctx;
    (void)reply;
    if (closer->times++ == 0)
        kpid_redis_close(closer->redis);
}

Test(store_redis, may_be_closed_from_a_callback)
{
    SKIP_WITHOUT_REDIS();
    struct redis_server server;
    struct seen seen;
    redis_server_start(&server, NULL);
    open_with(&seen, server.url, 5000, false);
    LOOP_UNTIL(seen.base, kpid_redis_up(seen.redis));
    struct closer closer = {seen.redis, 0};
    struct kpid_bulk ping = KPID_BULK_STR("PING");
    for (size_t i = 0; i < 3; i++)
        kpid_redis_send(seen.redis, &ping, 1, on_close, &closer);
    LOOP_UNTIL(seen.base, closer.times == 3);
    event_base_free(seen.base);
    open_with(&seen, "unix:/nonexistent/kpid", 5000, false);
    closer = (struct closer){seen.redis, 0};
    for (size_t i = 0; i < 3; i++)
        kpid_redis_send(seen.redis, &ping, 1, on_close, &closer);
    LOOP_UNTIL(seen.base, closer.times == 3);
    event_base_free(seen.base);
    redis_server_stop(&server);
}
