/* Brokers that are down or mute, settings that cannot hold. */
#include "consume_rig.h"

/* A leader falls silent in one way and comes back in another; the partitions of the other one don't mind. */
static void silent_leader(void (*fall)(void), void (*rise)(void))
{
    struct owner owner;
    rig_mock(3);
    topics_make(1, 1);
    rd_kafka_mock_partition_set_leader(mock, topics[ORDERS], 0, 2);
    rd_kafka_mock_partition_set_leader(mock, topics[PAYMENTS], 0, 3);
    rd_kafka_mock_partition_set_leader(mock, topics[VISITS], 0, 3);
    produce(ORDERS, 0, 0, 10);
    produce(PAYMENTS, 0, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    int64_t since_ms = status(&owner, 0, 1, 0).at_end_since_ms;
    fall();
    cr_assert(RUN_UNTIL(!status(&owner, 0, 0, 0).at_end, LONG_MS));
    int64_t fell_ms = now_ms();
    cr_assert(!RUN_UNTIL(status(&owner, 0, 0, 0).at_end, 4000), "stands at the end while its leader is away");
    cr_assert(status(&owner, 0, 1, 0).at_end);
    cr_assert_eq(status(&owner, 0, 1, 0).at_end_since_ms, since_ms);
    rise();
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_geq(status(&owner, 0, 0, 0).at_end_since_ms, fell_ms);
    produce(ORDERS, 0, 10, 20);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 20, LONG_MS));
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

static void broker_down(void)
{
    rd_kafka_mock_broker_set_down(mock, 2);
}

static void broker_up(void)
{
    rd_kafka_mock_broker_set_up(mock, 2);
}

static void broker_mute(void)
{
    rd_kafka_mock_broker_set_rtt(mock, 2, 20000);
}

static void broker_talk(void)
{
    rd_kafka_mock_broker_set_rtt(mock, 2, 0);
    rd_kafka_mock_broker_set_down(mock, 2); /* or what it held back would come first */
    rd_kafka_mock_broker_set_up(mock, 2);
}

Test(kafka, a_leader_that_is_down_is_not_idle)
{
    silent_leader(broker_down, broker_up);
}

Test(kafka, a_leader_that_was_stopped_is_not_idle)
{
    silent_leader(broker_mute, broker_talk);
}

Test(kafka, refetching_gives_up_and_closing_is_quick_without_brokers)
{
    struct owner owner;
    rig_mock(2);
    topics_make(1, 1);
    produce(ORDERS, 0, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    rd_kafka_mock_broker_set_down(mock, -1);
    int64_t start_ms = now_ms();
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 5, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 1, LONG_MS));
    cr_assert_eq(owner.n_looks[KPID_LOG_SILENT], 1);
    cr_assert_geq(now_ms() - start_ms, 4900);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

Test(kafka, closing_is_quick_while_brokers_are_mute)
{
    struct owner owner;
    rig_mock(2);
    topics_make(1, 1);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    rd_kafka_mock_broker_set_rtt(mock, -1, 20000);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

Test(kafka, opening_does_not_wait_for_brokers)
{
    struct owner owner;
    rig_mock(1);
    topics_make(1, 1);
    rd_kafka_mock_broker_set_down(mock, -1);
    owner_init(&owner);
    int64_t start_ms = now_ms();
    owner_open(&owner);
    int64_t last_ms = now_ms(), longest_ms = last_ms - start_ms;
    while (now_ms() < start_ms + 1500 || owner.n_faults == 0) {
        event_base_loopexit(base, &(struct timeval){0, 10000});
        event_base_dispatch(base);
        longest_ms = now_ms() - last_ms > longest_ms ? now_ms() - last_ms : longest_ms;
        last_ms = now_ms();
    }
    cr_assert_lt(longest_ms, 2000);
    cr_assert(!owner.fatal);
    rd_kafka_mock_broker_set_up(mock, -1);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

Test(kafka, settings_that_cannot_hold_are_refused_with_a_reason)
{
    static const struct {
        const char *key, *value, *says;
    } bad[] = {
        {"enable.auto.commit", "true", "enable.auto.commit must stay false"},
        {"auto.offset.reset", "latest", "auto.offset.reset must stay error"},
        {"group.id", "x", "kafka.group"},
        {"no.such.thing", "1", "no.such.thing"},
        {"session.timeout.ms", "soon", "session.timeout.ms"},
    };
    rig_mock(1);
    for (size_t i = 0; i < KPID_COUNT_OF(bad); i++) {
        struct owner owner;
        struct kpid_buf error = KPID_BUF_INIT;
        owner_init(&owner);
        property_add(&owner, bad[i].key, bad[i].value);
        cr_assert_null(kpid_consumer_open(&owner.model, base, &events, &owner, &error));
        cr_assert_not_null(strstr(error.data, bad[i].says), "%s", error.data);
        kpid_buf_release(&error);
    }
    struct owner owner;
    struct kpid_buf error = KPID_BUF_INIT;
    owner_init(&owner);
    owner.sources[1].topics = topics;
    cr_assert_null(kpid_consumer_open(&owner.model, base, &events, &owner, &error));
    cr_assert_not_null(strstr(error.data, "\" is read twice"), "%s", error.data);
    kpid_buf_release(&error);
    rig_close();
}

static void on_noted(void *ctx, const struct kpid_offset_note *notes, size_t n)
{
    struct owner *owner = ctx;
    owner->n_answers++;
    owner->n_notes = notes != NULL ? n : 99;
}

Test(kafka, a_question_for_notes_that_nobody_answers_is_answered_with_that)
{
    struct owner owner;
    rig_mock(1);
    topics_make(1, 1);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS), "%s", owner.fault);
    rd_kafka_mock_broker_set_down(mock, -1);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert(RUN_UNTIL(owner.n_answers == 1, LONG_MS));
    cr_assert_eq(owner.n_notes, 99);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    cr_assert_eq(owner.n_answers, 1);
    rig_close();
}
