#include "kpid/hash.h"
#include "kpid/hll.h"
#include "publish_redis.h"

static const char *const web[] = {"web", "eu"};

Test(publish_redis, take_over)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 0xab);
    cr_assert_str_eq(ask_text(&rig, "HGET kpi:{alert}:h nonce"), "abababababababababababababababab");
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 1);
    long long term = ask_number(&rig, "HGET kpi:{alert}:h term");
    cr_assert_gt(term, 1700000000000000LL);
    cr_assert_eq(owner.states + owner.finals, 0);
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:index"), 2);
    struct json *index = json_parse(ask_text(&rig, "HGET kpi:index conversion"));
    cr_assert_str_eq(json_text(index, "formula"), "orders / visitors");

    redis_server_number(&rig.server, "HSET kpi:{alert}:h term 99999999999999999");
    cr_assert_eq(owner_acquire(&owner, 0xcd), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 2);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, round_writes_the_contract)
{
    SKIP_WITHOUT_REDIS();
    static const char *const odd[] = {"*50% |{x}", "a@b\n"};
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    redisContext *listener = redisConnectUnix(rig.server.socket);
    freeReplyObject(redisCommand(listener, "SUBSCRIBE kpi:updates"));

    owner_add(&owner, NULL, 0, 10, everywhere);
    owner_add(&owner, web, 0, 10, everywhere);
    owner_add(&owner, odd, 0, 9, KPID_PLACE_NEWEST);
    kpid_round_meta(owner.publisher, CONVERSION, W_5M, NOON, NOON - 250, 7);
    kpid_round_state(owner.publisher, "warn|conversion|5m|*", 20, "bytes", 5);
    kpid_round_final(owner.publisher, CONVERSION, W_5M, NOON);
    struct kpid_transition transition = transition_of(NULL, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabc);
    kpid_round_transition(owner.publisher, &transition);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);

    long long start = start_of(0);
    char *total = ask_text(&rig, "HGET " SNAP " *");
    cr_assert(schema_allows("snapshot", total));
    cr_assert_str_eq(ask_text(&rig, "HGET " SNAP " *@final"), total);
    cr_assert_str_eq(ask_text(&rig, "HGET kpi:win:{conversion:5m}:%lld *", start), total);
    char *group = ask_text(&rig, "HGET " SNAP " web|eu");
    cr_assert(schema_allows("snapshot", group));
    cr_assert_str_eq(json_text(json_get(json_parse(group), "group"), "channel"), "web");
    cr_assert_str_eq(ask_text(&rig, "HGET kpi:win:{conversion:5m}:%lld web|eu", start), group);
    char *field = ask_text(&rig, "HGET " SNAP " %s", "%2A50%25 %7C{x}|a%40b%0A");
    cr_assert(field && schema_allows("snapshot", field));
    struct json *meta = json_parse(ask_text(&rig, "HGET " SNAP " @meta"));
    cr_assert_str_eq(json_text(meta, "watermark_ms"), "1699999999750");
    cr_assert_eq(ask_number(&rig, "HLEN " SNAP), 7); /* two totals, two of web, odd, @meta, @writer */
    cr_assert_eq(ask_number(&rig, "ZSCORE " WINS " %lld", start), start);
    cr_assert_eq(ask_number(&rig, "XLEN " HIST), 1);
    cr_assert_gt(ask_number(&rig, "PTTL " SNAP), 3500000);
    cr_assert_gt(ask_number(&rig, "PTTL " HIST), 3500000);
    cr_assert_gt(ask_number(&rig, "PTTL kpi:win:{conversion:5m}:%lld", start), 3500000);

    cr_assert_str_eq(ask_text(&rig, "HGET kpi:{alert}:state warn|conversion|5m|*"), "bytes");
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:final conversion:5m"), NOON);
    cr_assert_eq(ask_number(&rig, "XLEN kpi:{alert}:log"), 1);
    cr_assert(schema_allows("alert", ask_text(&rig, "HGET kpi:{alert}:active 0000000000000abc")));
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:{alert}:outbox"), 0);
    cr_assert_eq(ask_number(&rig, "PTTL kpi:{alert}:state"), -1);
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 2);

    void *message;
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    cr_assert_eq(redisGetReply(listener, &message), REDIS_OK);
    struct json *update = json_parse(((redisReply *)message)->element[2]->str);
    cr_assert_str_eq(json_get(update, "changed")->first->text, "conversion:5m");
    cr_assert_str_eq(json_text(update, "alerts"), "1");
    redisFree(listener);
    struct kpid_publish_stats stats = owner_stats(&owner);
    cr_assert(stats.rounds == 1 && stats.snapshots == 3 && stats.transitions == 1 && stats.refused == 0 &&
              stats.failed == 0);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, old_owner_is_refused)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner old, new;
    rig_start(&rig, 5000);
    owner_start(&old, &rig, 1);
    owner_start(&new, &rig, 2);
    owner_add(&new, NULL, 1, 10, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&new), KPID_PUBLISH_OK);
    char *before = ask_text(&rig, "HGET " SNAP " *");

    /* Without an alert part only (term, tick) stands in its way. */
    owner_add(&old, NULL, 0, 99, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&old), KPID_PUBLISH_OTHER);
    cr_assert_eq(owner_stats(&old).refused, 1);
    cr_assert_str_eq(ask_text(&rig, "HGET " SNAP " *"), before);
    cr_assert_eq(owner_send(&old), KPID_PUBLISH_OTHER);

    cr_assert_eq(owner_acquire(&old, 3), KPID_PUBLISH_OK);
    kpid_round_state(new.publisher, "k", 1, "stale", 5);
    owner_add(&new, NULL, 2, 99, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&new), KPID_PUBLISH_OTHER);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:{alert}:state"), 0);
    cr_assert_str_eq(ask_text(&rig, "HGET " SNAP " *"), before);
    owner_add(&old, NULL, 3, 99, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&old), KPID_PUBLISH_OK);
    cr_assert_str_neq(ask_text(&rig, "HGET " SNAP " *"), before);
    kpid_publisher_free(old.publisher);
    kpid_publisher_free(new.publisher);
    rig_stop(&rig);
}

Test(publish_redis, writers_pair)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    owner_add(&owner, NULL, 0, 10, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    long long term = ask_number(&rig, "HGET kpi:{alert}:h term"), written, tick;
    cr_assert_eq(sscanf(ask_text(&rig, "HGET " SNAP " @writer"), "%lld:%lld", &written, &tick), 2);
    cr_assert(written == term && tick == 1);
    redis_server_number(&rig.server, "HSET " SNAP " @writer %lld:1", term + 1);
    owner_add(&owner, NULL, 1, 10, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OTHER);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, history_is_capped)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    for (int n = 0; n < 6; n++) {
        owner_add(&owner, NULL, n, 10, everywhere);
        owner_add(&owner, web, n, 10, everywhere);
        cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    }
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    cr_assert_eq(ask_number(&rig, "ZCARD " WINS), 3);
    for (int n = 0; n < 6; n++) {
        int kept = n >= 3;
        cr_assert_eq(ask_number(&rig, "EXISTS kpi:win:{conversion:5m}:%lld", (long long)start_of(n)), kept,
                     "%d", n);
    }
    /* One that fell out long ago does not stay either. */
    owner_add(&owner, NULL, 1, 10, KPID_PLACE_WINDOW);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    cr_assert_eq(ask_number(&rig, "ZCARD " WINS), 3);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:win:{conversion:5m}:%lld", (long long)start_of(1)), 0);

    for (int n = 0; n < 1000; n++)
        owner_add(&owner, NULL, n, 10, KPID_PLACE_HISTORY);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    long long length = ask_number(&rig, "XLEN " HIST);
    cr_assert(length >= 200 && length <= 300, "%lld", length); /* whole nodes of 100 go */
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* Two batches of one slot: were they under way together, the second's tick would speak for the first. */
Test(publish_redis, a_batch_that_failed_is_not_taken_for_one_that_arrived)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    redis_server_number(&rig.server, "APPEND kpi:win:{conversion:5m}:%lld x", (long long)start_of(0));
    owner_add(&owner, NULL, 0, 10, KPID_PLACE_WINDOW | KPID_PLACE_HISTORY);
    for (int n = 0; n < 1500; n++)
        owner_add(&owner, NULL, n, 10, KPID_PLACE_HISTORY);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_DOWN);
    redis_server_number(&rig.server, "DEL kpi:win:{conversion:5m}:%lld", (long long)start_of(0));
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:win:{conversion:5m}:%lld", (long long)start_of(0)), 1);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* history_groups is 2: the largest by samples, the total beside them, the last revision of each. */
Test(publish_redis, largest_groups_are_kept)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    const char *names[] = {"a", "b", "c", "d"};
    uint64_t samples[] = {5, 50, 500, 7};
    for (int i = 0; i < 4; i++)
        owner_add(&owner, (const char *const[]){names[i], "x"}, 0, samples[i],
                  KPID_PLACE_NEWEST | KPID_PLACE_WINDOW);
    owner_add(&owner, (const char *const[]){"b", "x"}, 0, 45, KPID_PLACE_WINDOW);
    owner_add(&owner, NULL, 0, 562, KPID_PLACE_WINDOW);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    char key[64];
    snprintf(key, sizeof key, "kpi:win:{conversion:5m}:%lld", (long long)start_of(0));
    cr_assert_eq(ask_number(&rig, "HLEN %s", key), 3);
    cr_assert(ask_text(&rig, "HGET %s c|x", key));
    cr_assert_str_eq(json_text(json_parse(ask_text(&rig, "HGET %s b|x", key)), "samples"), "45");
    cr_assert_eq(ask_number(&rig, "HLEN " SNAP), 5);
    /* A later round may revise those, and adds no other. */
    owner_add(&owner, (const char *const[]){"b", "x"}, 0, 1, KPID_PLACE_WINDOW);
    owner_add(&owner, (const char *const[]){"d", "x"}, 0, 9999, KPID_PLACE_WINDOW);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN %s", key), 3);
    cr_assert_str_eq(json_text(json_parse(ask_text(&rig, "HGET %s b|x", key)), "samples"), "1");
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

static void add_revised(struct owner *owner, const char *name, uint64_t samples, uint32_t revision,
                        unsigned places)
{
    const char *group[] = {name, "x"};
    struct kpid_snapshot snapshot = snapshot_of(group, 0);
    snapshot.samples = samples;
    snapshot.revision = revision;
    kpid_round_snapshot(owner->publisher, &snapshot, NOON, 0, places);
}

static void expect_kept(struct rig *rig, const char *a, const char *a_samples, const char *b,
                        const char *b_samples)
{
    char key[64];
    snprintf(key, sizeof key, "kpi:win:{conversion:5m}:%lld", (long long)start_of(0));
    cr_assert_eq(ask_number(rig, "HLEN %s", key), 3);
    cr_assert(ask_text(rig, "HGET %s *", key));
    cr_assert_str_eq(json_text(json_parse(ask_text(rig, "HGET %s %s|x", key, a)), "samples"), a_samples);
    cr_assert_str_eq(json_text(json_parse(ask_text(rig, "HGET %s %s|x", key, b)), "samples"), b_samples);
}

/* A correction may change which groups are the largest: whoever falls out is not left with the figure of
 * before. */
Test(publish_redis, a_revision_chooses_the_largest_anew)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    add_revised(&owner, "a", 100, 0, KPID_PLACE_WINDOW);
    add_revised(&owner, "b", 50, 0, KPID_PLACE_WINDOW);
    add_revised(&owner, "c", 10, 0, KPID_PLACE_WINDOW);
    owner_add(&owner, NULL, 0, 160, KPID_PLACE_WINDOW);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    expect_kept(&rig, "a", "100", "b", "50");
    add_revised(&owner, "a", 100, 1, KPID_PLACE_WINDOW);
    add_revised(&owner, "b", 9, 1, KPID_PLACE_WINDOW);
    add_revised(&owner, "c", 10, 1, KPID_PLACE_WINDOW);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    expect_kept(&rig, "a", "100", "c", "10");
    /* Told again by a successor, without a revision. */
    add_revised(&owner, "a", 1, 0, KPID_PLACE_WINDOW | KPID_PLACE_AGAIN);
    add_revised(&owner, "b", 9, 0, KPID_PLACE_WINDOW | KPID_PLACE_AGAIN);
    add_revised(&owner, "c", 10, 0, KPID_PLACE_WINDOW | KPID_PLACE_AGAIN);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    expect_kept(&rig, "c", "10", "b", "9");
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* The largest come last, behind more than one batch of those that make room for them. */
Test(publish_redis, a_revision_of_many_groups)
{
    SKIP_WITHOUT_REDIS();
    enum { N = 3500 };
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    owner_add(&owner, NULL, 0, 1, KPID_PLACE_WINDOW);
    for (uint32_t revision = 0; revision < 3; revision++) {
        for (int i = 0; i < N; i++) {
            char name[16];
            snprintf(name, sizeof name, "g%d", i);
            add_revised(&owner, name, (uint64_t)(revision % 2 ? i + 1 : N - i), revision, KPID_PLACE_WINDOW);
        }
        cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
        if (revision % 2)
            expect_kept(&rig, "g3499", "3500", "g3498", "3499");
        else
            expect_kept(&rig, "g0", "3500", "g1", "3499");
    }
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, what_is_gone_goes)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    const char *key = "warn|conversion|5m|web|eu";
    owner_add(&owner, web, 0, 10, KPID_PLACE_NEWEST | KPID_PLACE_FINAL);
    struct kpid_transition firing = transition_of(web, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabc);
    kpid_round_transition(owner.publisher, &firing);
    kpid_round_state(owner.publisher, key, strlen(key), "s", 1);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:{alert}:active"), 1);

    /* Deleted first and moved after it, in one round: the order of the calls does not matter. */
    kpid_round_state_delete(owner.publisher, key, strlen(key));
    struct kpid_transition ended = transition_of(web, KPID_ALERT_FIRING, KPID_ALERT_NO_DATA, 0xabc);
    kpid_round_transition(owner.publisher, &ended);
    kpid_round_group_delete(owner.publisher, CONVERSION, W_5M, web);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:{alert}:active kpi:{alert}:state kpi:{alert}:ids"), 0);
    cr_assert_eq(ask_number(&rig, "XLEN kpi:{alert}:log"), 2);
    cr_assert_eq(ask_number(&rig, "HLEN " SNAP), 1); /* @writer */

    firing.id = 0xdef;
    kpid_round_transition(owner.publisher, &firing);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:{alert}:active"), 1);
    struct kpid_transition resolved = transition_of(web, KPID_ALERT_FIRING, KPID_ALERT_RESOLVED, 0xdef);
    kpid_round_transition(owner.publisher, &resolved);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:{alert}:active"), 0);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, large_round)
{
    SKIP_WITHOUT_REDIS();
    enum { GROUPS = 30000 };
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    for (int i = 0; i < GROUPS; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%d", i);
        owner_add(&owner, (const char *const[]){name, "x"}, 0, (uint64_t)i,
                  KPID_PLACE_NEWEST | KPID_PLACE_WINDOW);
    }
    size_t most = 0;
    kpid_round_send(owner.publisher, owner_published, &owner);
    while (!owner.published) {
        size_t waiting = kpid_redis_pending_bytes(rig.redis);
        most = waiting > most ? waiting : most;
        event_base_loop(rig.base, EVLOOP_ONCE);
    }
    cr_assert_eq(owner.status, KPID_PUBLISH_OK);
    cr_assert_leq(most, 5u << 20);
    cr_assert_eq(ask_number(&rig, "HLEN " SNAP), GROUPS + 1);
    char key[64];
    snprintf(key, sizeof key, "kpi:win:{conversion:5m}:%lld", (long long)start_of(0));
    cr_assert_eq(ask_number(&rig, "HLEN %s", key), 2);
    cr_assert(ask_text(&rig, "HGET %s g29999|x", key));
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_redis, reload_and_free)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    owner_add(&owner, NULL, 0, 10, KPID_PLACE_NEWEST); /* of the old model, sent under the new one */
    struct kpid_model less = rig.f.model;
    less.kpis = &rig.f.kpis[REVENUE];
    less.n_kpis = 1;
    kpid_publisher_set_model(owner.publisher, &less);
    struct kpid_snapshot revenue = {.value = exact(1999, 2), .start_ms = start_of(0), .end_ms = start_of(1)};
    kpid_round_snapshot(owner.publisher, &revenue, NOON, 0, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:index"), 1);
    cr_assert_eq(ask_number(&rig, "EXISTS " SNAP), 1);
    struct json *value = json_parse(ask_text(&rig, "HGET kpi:snap:{revenue:5m} *"));
    cr_assert_str_eq(json_text(value, "value"), "19.99");

    /* Freed with a round under way: its replies find nobody. */
    kpid_round_snapshot(owner.publisher, &revenue, NOON, 0, everywhere);
    kpid_round_state(owner.publisher, "k", 1, "1", 1);
    kpid_round_send(owner.publisher, owner_published, &owner);
    kpid_publisher_free(owner.publisher);
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    cr_assert_eq(owner.published, 1);
    rig_stop(&rig);
}

/* ---- sketches ---- */

static struct kpid_agg_param none;

static void cell_fill(uint64_t *cell, const struct kpid_agg *agg, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[24];
        int len = snprintf(text, sizeof text, "user-%d", i);
        struct kpid_sample sample = {.hash = kpid_hash_murmur64a(text, (size_t)len, KPID_HLL_SEED),
                                     .weight = 1};
        agg->add(cell, &sample, &none);
    }
}

static long long figure_of(const uint64_t *cell, const struct kpid_agg *agg)
{
    return (long long)agg->read(cell, 0, &none).exact.m;
}

/* PFCOUNT of a key gives our figure, exact or not, and PFMERGE of days that of the month within the error;
 * what another writer with a higher term has written stays. */
Test(publish_redis, sketches)
{
    SKIP_WITHOUT_REDIS();
    static const int ends[] = {100, 1536, 1537, 40000};
    const struct kpid_agg *agg = kpid_agg_find("distinct", 8);
    struct kpid_measure measures[2] = {{.name = "visitors", .agg = agg}, {.name = "visitors", .agg = agg}};
    struct kpid_sketch sketch = {.window = W_5M, .ref = 0, .groups = true};
    uint64_t cell[64] = {0}, whole[64] = {0};
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    rig.f.model.measures = measures;
    owner_start(&owner, &rig, 1);
    long long figures[KPID_COUNT_OF(ends)];
    for (int i = 0; i < (int)KPID_COUNT_OF(ends); i++) {
        struct kpid_snapshot snapshot = snapshot_of(NULL, i);
        cell_fill(cell, agg, i * 1000, i * 1000 + ends[i]);
        cell_fill(whole, agg, i * 1000, i * 1000 + ends[i]);
        figures[i] = figure_of(cell, agg);
        kpid_round_sketch(owner.publisher, CONVERSION, &sketch, &snapshot, cell);
        agg->release(cell);
    }
    struct kpid_snapshot group = snapshot_of(web, 0);
    cell_fill(cell, agg, 0, 7);
    kpid_round_sketch(owner.publisher, CONVERSION, &sketch, &group, cell);
    owner_add(&owner, NULL, 0, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    for (int i = 0; i < (int)KPID_COUNT_OF(ends); i++) {
        cr_assert_eq(ask_number(&rig, "PFCOUNT kpi:hll:{visitors}:5m:%lld", (long long)start_of(i)),
                     figures[i]);
        cr_assert_gt(ask_number(&rig, "PTTL kpi:hll:{visitors}:5m:%lld", (long long)start_of(i)), 3500000);
        redis_server_number(&rig.server, "PFMERGE month kpi:hll:{visitors}:5m:%lld", (long long)start_of(i));
    }
    cr_assert_eq(ask_number(&rig, "PFCOUNT kpi:hll:{visitors}:5m:%lld:web|eu", (long long)start_of(0)), 7);
    cr_assert_gt(ask_number(&rig, "PTTL kpi:hll:{visitors}"), 3500000);
    long long month = ask_number(&rig, "PFCOUNT month");
    cr_assert_eq(month, figure_of(whole, agg), "%lld",
                 month); /* dense: the same registers, the same estimator */
    cr_assert(month > 43000 / 100 * 97 && month < 43000 / 100 * 103, "%lld", month);

    /* The newest cell again: a revision. Then somebody with a higher term, whose value stays. */
    struct kpid_snapshot snapshot = snapshot_of(NULL, 0);
    kpid_round_sketch(owner.publisher, CONVERSION, &sketch, &snapshot, cell);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "PFCOUNT kpi:hll:{visitors}:5m:%lld", (long long)start_of(0)), 7);
    kpid_round_sketch(owner.publisher, CONVERSION, &sketch, &group, NULL); /* none of the largest any more */
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:hll:{visitors}:5m:%lld:web|eu", (long long)start_of(0)), 0);
    freeReplyObject(redis_server_ask(&rig.server, "SET kpi:hll:{visitors} 99999999999999999:1"));
    kpid_round_sketch(owner.publisher, CONVERSION, &sketch, &snapshot, whole);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OTHER);
    cr_assert_eq(ask_number(&rig, "PFCOUNT kpi:hll:{visitors}:5m:%lld", (long long)start_of(0)), 7);
    agg->release(cell);
    agg->release(whole);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}
