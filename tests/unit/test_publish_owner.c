/* Who publishes: what one stored and its successor loads, and what Redis loses in between. */
#include "publish_redis.h"

Test(publish_owner, states_survive)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner first, second;
    rig_start(&rig, 5000);
    owner_start(&first, &rig, 1);
    for (int i = 0; i < 5000; i++) {
        char key[64];
        int len = snprintf(key, sizeof key, "warn|conversion|5m|g%d|x", i);
        kpid_round_state(first.publisher, key, (size_t)len, "packed", 6);
    }
    kpid_round_final(first.publisher, CONVERSION, W_5M, NOON);
    cr_assert_eq(owner_send(&first), KPID_PUBLISH_OK);
    kpid_publisher_free(first.publisher);
    owner_start(&second, &rig, 2);
    cr_assert_geq(second.states, 5000); /* one may come twice, see publish.h */
    cr_assert_eq(second.finals, 1);
    cr_assert_str_eq(second.state_bytes, "packed");
    cr_assert_str_eq(second.final_key, "conversion:5m");
    cr_assert_eq(second.final_ms, NOON);
    kpid_publisher_free(second.publisher);
    rig_stop(&rig);
}

/* Two pieces' worth of states, of a former owner. */
static void store_states(struct rig *rig, int n)
{
    struct owner owner;
    owner_start(&owner, rig, 1);
    for (int i = 0; i < n; i++) {
        char key[64];
        int len = snprintf(key, sizeof key, "warn|conversion|5m|g%d|x", i);
        kpid_round_state(owner.publisher, key, (size_t)len, "packed", 6);
    }
    kpid_round_final(owner.publisher, CONVERSION, W_5M, NOON);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    kpid_publisher_free(owner.publisher);
}

static void others_for_a_while(struct owner *owner)
{
    redis_server_number(&owner->rig->server, "HSET kpi:{alert}:h nonce 03030303030303030303030303030303");
}

static void another_seq(struct owner *owner)
{
    redis_server_number(&owner->rig->server, "HINCRBY kpi:{alert}:h seq 1");
}

/* It need not be another's any more when all is read: {alert} may have fallen back. */
Test(publish_owner, each_piece_is_of_ones_own_header)
{
    SKIP_WITHOUT_REDIS();
    void (*const meanwhile[])(struct owner *) = {others_for_a_while, another_seq};
    for (size_t i = 0; i < KPID_COUNT_OF(meanwhile); i++) {
        struct rig rig;
        struct owner owner = {.rig = &rig, .meanwhile = meanwhile[i]};
        rig_start(&rig, 5000);
        store_states(&rig, 9000);
        owner.publisher = kpid_publisher_new(rig.base, rig.redis, &rig.f.model);
        cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OTHER);
        cr_assert(owner.states > 0 && owner.states < 9000, "%d states", owner.states);
        cr_assert_eq(owner.finals, 0);
        cr_assert_eq(owner_acquire(&owner, 4), KPID_PUBLISH_OK);
        cr_assert_eq(owner.finals, 1);
        kpid_publisher_free(owner.publisher);
        rig_stop(&rig);
    }
}

/* Who may not ask is told nothing of the server: it looks like another one. */
static void another_server(struct owner *owner)
{
    cr_assert_eq(redis_server_ask(&owner->rig->server, "ACL SETUSER default -info")->type,
                 REDIS_REPLY_STATUS);
}

Test(publish_owner, a_cursor_is_of_one_server)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner = {.rig = &rig, .meanwhile = another_server};
    rig_start(&rig, 5000);
    store_states(&rig, 9000);
    owner.publisher = kpid_publisher_new(rig.base, rig.redis, &rig.f.model);
    cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OK);
    cr_assert_geq(owner.states, 9000 + 1000, "%d states: the first piece, then all", owner.states);
    cr_assert_eq(owner.finals, 1);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

Test(publish_owner, nothing_new_costs_nothing)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    for (int i = 0; i < 3; i++) {
        kpid_round_final(owner.publisher, CONVERSION, W_5M, NOON);
        kpid_round_meta(owner.publisher, CONVERSION, W_5M, NOON, NOON - 250, 7);
        cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
        LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);
    }
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 2);
    cr_assert_eq(owner_stats(&owner).rounds, 1);
    /* Snapshots alone don't move the header either. */
    owner_add(&owner, NULL, 0, 10, KPID_PLACE_NEWEST);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 2);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* As a caller does: again and again, as long as it is DOWN. */
static void send_again(struct owner *owner)
{
    int64_t until_ms = test_now_ms() + REDIS_DEADLINE_MS;
    do {
        cr_assert_lt(test_now_ms(), until_ms);
        LOOP_UNTIL(owner->rig->base, kpid_redis_up(owner->rig->redis));
    } while (owner_send(owner) == KPID_PUBLISH_DOWN);
    cr_assert_eq(owner->status, KPID_PUBLISH_OK);
}

/* The connection is given up while Redis is stopped; Redis then executes what lies in its socket all the
 * same. */
Test(publish_owner, lost_acknowledgement)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 700);
    owner_start(&owner, &rig, 1);
    owner_add(&owner, NULL, 0, 10, everywhere);
    kpid_round_state(owner.publisher, "k", 1, "0", 1);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK); /* the scripts are known now */
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);

    redis_server_freeze(&rig.server);
    struct kpid_transition transition = transition_of(NULL, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabc);
    kpid_round_transition(owner.publisher, &transition);
    owner_add(&owner, NULL, 1, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_DOWN);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_DOWN);
    cr_assert_gt(kpid_round_bytes(owner.publisher), 0);
    kpid_round_state(owner.publisher, "k", 1, "1", 1); /* goes out behind it */
    owner_add(&owner, NULL, 2, 10, everywhere);
    redis_server_thaw(&rig.server);
    send_again(&owner);
    cr_assert_eq(ask_number(&rig, "XLEN kpi:{alert}:log"), 1);
    cr_assert_eq(ask_number(&rig, "HGET kpi:{alert}:h seq"), 4);
    cr_assert_str_eq(ask_text(&rig, "HGET kpi:{alert}:state k"), "1");
    cr_assert_eq(ask_number(&rig, "XLEN " HIST), 3);
    cr_assert_eq(kpid_round_bytes(owner.publisher), 0);
    LOOP_UNTIL(rig.base, kpid_redis_pending(rig.redis) == 0);

    /* The same with snapshots alone. */
    redis_server_freeze(&rig.server);
    owner_add(&owner, NULL, 3, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_DOWN);
    redis_server_thaw(&rig.server);
    send_again(&owner);
    cr_assert_eq(ask_number(&rig, "XLEN " HIST), 4);
    cr_assert_eq(owner_stats(&owner).refused, 0);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* Redis comes back empty: what the round builds on is not there. */
Test(publish_owner, lost_state)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    freeReplyObject(redis_server_ask(&rig.server, "FLUSHALL"));
    kpid_round_state(owner.publisher, "k", 1, "1", 1);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OTHER);
    cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OK);
    kpid_round_state(owner.publisher, "k", 1, "1", 1);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

static void tell(struct owner *owner, int n)
{
    owner_add(owner, NULL, n, 10, everywhere);
    kpid_round_final(owner->publisher, CONVERSION, W_5M, NOON + n * MINUTE);
    cr_assert_eq(owner_send(owner), KPID_PUBLISH_OK);
    kpid_round_told(owner->publisher);
    LOOP_UNTIL(owner->rig->base, kpid_redis_pending(owner->rig->redis) == 0);
}

/* As when a master of other slots than {alert}'s fell back by its last writes. */
static void fall_back(struct rig *rig, const char *stamp)
{
    redis_server_number(&rig->server, "HSET " SNAP " @writer %s", stamp);
}

/* Figures went back, {alert} did not, and whoever told them is dead. */
Test(publish_owner, a_successor_notices_what_was_lost_elsewhere)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    cr_assert_not(kpid_publisher_behind(owner.publisher), "there is nothing yet");
    tell(&owner, 0);
    char *before = ask_text(&rig, "HGET " SNAP " @writer");
    tell(&owner, 1);
    kpid_publisher_free(owner.publisher);

    owner_start(&owner, &rig, 2);
    cr_assert_not(kpid_publisher_behind(owner.publisher), "nothing was lost");
    kpid_publisher_free(owner.publisher);
    fall_back(&rig, before);
    owner_start(&owner, &rig, 3);
    cr_assert(kpid_publisher_behind(owner.publisher));

    /* It tells them again, and dies half-way: what it has told stands higher than what was noted. */
    kpid_round_again(owner.publisher);
    owner_add(&owner, NULL, 0, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    kpid_publisher_free(owner.publisher);
    owner_start(&owner, &rig, 4);
    cr_assert(kpid_publisher_behind(owner.publisher), "it was not told to the end");
    kpid_round_again(owner.publisher);
    tell(&owner, 1);
    kpid_publisher_free(owner.publisher);
    owner_start(&owner, &rig, 5);
    cr_assert_not(kpid_publisher_behind(owner.publisher));

    /* All of the slot is gone: its master came back empty. */
    kpid_publisher_free(owner.publisher);
    redis_server_number(&rig.server, "DEL " SNAP);
    owner_start(&owner, &rig, 6);
    cr_assert(kpid_publisher_behind(owner.publisher));
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* Who lives is refused by the slot, whose stamp is below what was acknowledged: nothing is built on what is
 * not there. */
Test(publish_owner, what_went_back_refuses_what_builds_on_it)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    owner_start(&owner, &rig, 1);
    tell(&owner, 0);
    char *before = ask_text(&rig, "HGET " SNAP " @writer");
    owner_add(&owner, NULL, 1, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    fall_back(&rig, before);
    owner_add(&owner, NULL, 2, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OTHER);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:win:{conversion:5m}:%lld", (long long)start_of(2)), 0);
    cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OK);
    cr_assert(kpid_publisher_undisturbed(owner.publisher) && kpid_publisher_behind(owner.publisher));
    owner_add(&owner, NULL, 2, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}

/* Keys that nobody wrote for their whole time to live are gone, and not lost. */
Test(publish_owner, what_has_expired_was_not_lost)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct owner owner;
    rig_start(&rig, 5000);
    rig.f.model.settings.snapshot_ttl_ms = 1000;
    owner_start(&owner, &rig, 1);
    tell(&owner, 0);
    LOOP_UNTIL(rig.base, ask_number(&rig, "EXISTS " SNAP) == 0);
    char note[80];
    snprintf(note, sizeof note, "%s", ask_text(&rig, "HGET kpi:{alert}:written conversion:5m"));
    long long until = strtoll(strrchr(note, ':') + 1, NULL, 10);
    LOOP_UNTIL(rig.base,
               strtoll(ask_text(&rig, "EVAL %s 0", "return redis.call('TIME')[1]"), NULL, 10) * 1000 > until);
    owner_add(&owner, NULL, 1, 10, everywhere);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OTHER);
    cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OK);
    cr_assert_not(kpid_publisher_behind(owner.publisher));
    tell(&owner, 1);
    redis_server_number(&rig.server, "DEL " SNAP);
    kpid_publisher_free(owner.publisher);
    owner_start(&owner, &rig, 3);
    cr_assert(kpid_publisher_behind(owner.publisher), "its time was not up");
    kpid_publisher_free(owner.publisher);
    rig_stop(&rig);
}
