#include "kpid/buf.h"
#include "publish_kafka.h"
#include "publish_redis.h"

/* The protocol's numbers of requests. */
#define KAFKA_PRODUCE          0
#define KAFKA_INIT_PRODUCER_ID 22

static const char *const topics[] = {"snapshots", "alerts", "letters", NULL};
static const char *const web[] = {"web", "eu"};

struct letters {
    int delivered, failed;
};

static void on_letter(void *ctx, bool delivered)
{
    struct letters *letters = ctx;
    *(delivered ? &letters->delivered : &letters->failed) += 1;
}

static struct kpid_producer *producer_open(struct fixture *f, struct mock *mock, struct event_base *base)
{
    struct kpid_buf error = KPID_BUF_INIT;
    f->model.settings.kafka.brokers = mock->brokers;
    struct kpid_producer *producer = kpid_producer_open(&f->model, base, &error);
    cr_assert(producer, "%s", error.data);
    return producer;
}

/* Whether a message is this text, without its NUL; want NULL: a message without a value. */
static void is_message(const rd_kafka_message_t *message, const char *key, const char *want)
{
    cr_assert_eq(message->key_len, strlen(key));
    cr_assert_arr_eq(message->key, key, message->key_len);
    if (!want) {
        cr_assert_null(message->payload);
        return;
    }
    cr_assert_eq(message->len, strlen(want), "%.*s", (int)message->len, (char *)message->payload);
    cr_assert_arr_eq(message->payload, want, message->len);
}

Test(publish_kafka, letters)
{
    struct mock mock;
    struct fixture f;
    struct letters letters = {0, 0};
    fixture_init(&f);
    mock_start(&mock, topics);
    struct event_base *base = event_base_new();
    f.model.settings.publish.dead_letters = "letters";
    struct kpid_producer *producer = producer_open(&f, &mock, base);
    struct kpid_record record = {.partition = 3,
                                 .offset = INT64_C(5000000000),
                                 .timestamp_ms = 1,
                                 .key = "k",
                                 .key_len = 1,
                                 .value = "{broken",
                                 .value_len = 7};
    kpid_producer_letter(producer, &record, "orders", "syntax", on_letter, &letters);
    record.offset++;
    record.value = NULL;
    record.value_len = 0;
    kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    cr_assert_eq(kpid_producer_pending(producer), 2);
    cr_assert_eq(letters.delivered + letters.failed, 0);
    LOOP_UNTIL(base, letters.delivered == 2);
    cr_assert_eq(kpid_producer_pending(producer), 0);

    mock_read(&mock, "letters");
    rd_kafka_message_t *message = mock_next(&mock);
    is_message(message, "k", "{broken");
    cr_assert_str_eq(mock_header(message, "kpid.reason"), "syntax");
    cr_assert_str_eq(mock_header(message, "kpid.topic"), "orders");
    cr_assert_str_eq(mock_header(message, "kpid.partition"), "3");
    cr_assert_str_eq(mock_header(message, "kpid.offset"), "5000000000");
    rd_kafka_message_destroy(message);
    message = mock_next(&mock);
    is_message(message, "k", NULL);
    cr_assert_str_eq(mock_header(message, "kpid.offset"), "5000000001");
    rd_kafka_message_destroy(message);
    kpid_producer_close(producer);
    event_base_free(base);
    mock_stop(&mock);
    fixture_release(&f);
}

/* What the broker refuses fails and can be sent again; so does what was never taken, on a later turn. */
Test(publish_kafka, failures)
{
    struct mock mock;
    struct fixture f;
    struct letters letters = {0, 0};
    struct kpid_record record = {.value = "x", .value_len = 1};
    fixture_init(&f);
    mock_start(&mock, topics);
    struct event_base *base = event_base_new();
    f.model.settings.publish.dead_letters = "letters";
    static struct kpid_pair properties[] = {
        {"message.max.bytes", "1000"}, {"group.id", "x"}, {"fetch.min.bytes", "1"}};
    f.model.settings.kafka.properties = properties;
    f.model.settings.kafka.n_properties = 3;
    struct kpid_producer *producer = producer_open(&f, &mock, base);

    static const char large[2000] = {0};
    record.value = large;
    record.value_len = sizeof large;
    kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    cr_assert_eq(letters.failed, 0);
    cr_assert_eq(kpid_producer_pending(producer), 1);
    LOOP_UNTIL(base, letters.failed == 1);
    cr_assert_eq(kpid_producer_pending(producer), 0);

    record.value_len = 1;
    rd_kafka_mock_push_request_errors(mock.cluster, KAFKA_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    LOOP_UNTIL(base, letters.failed == 2);
    kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    LOOP_UNTIL(base, letters.delivered == 1);

    kpid_producer_close(producer);
    event_base_free(base);
    mock_stop(&mock);
    fixture_release(&f);
}

/* The idempotent producer gives up for good: it is made anew, and what is sent again arrives. */
Test(publish_kafka, made_anew)
{
    struct mock mock;
    struct fixture f;
    struct letters letters = {0, 0};
    struct kpid_record record = {.value = "x", .value_len = 1};
    fixture_init(&f);
    mock_start(&mock, topics);
    struct event_base *base = event_base_new();
    f.model.settings.publish.dead_letters = "letters";
    rd_kafka_mock_push_request_errors(mock.cluster, KAFKA_INIT_PRODUCER_ID, 1,
                                      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    struct kpid_producer *producer = producer_open(&f, &mock, base);
    kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    LOOP_UNTIL(base, letters.failed == 1);
    int64_t until_ms = test_now_ms() + REDIS_DEADLINE_MS;
    for (int sent = 1; !letters.delivered; sent++) {
        cr_assert_lt(test_now_ms(), until_ms);
        kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
        LOOP_UNTIL(base, letters.delivered + letters.failed > sent);
    }
    kpid_producer_close(producer);
    event_base_free(base);
    mock_stop(&mock);
    fixture_release(&f);
}

Test(publish_kafka, wrong_property)
{
    struct fixture f;
    fixture_init(&f);
    struct event_base *base = event_base_new();
    static struct kpid_pair properties[] = {{"compression.type", "brotli"}};
    f.model.settings.kafka.properties = properties;
    f.model.settings.kafka.n_properties = 1;
    struct kpid_buf error = KPID_BUF_INIT;
    cr_assert_null(kpid_producer_open(&f.model, base, &error));
    cr_assert(strstr(error.data, "compression.type"), "%s", error.data);
    kpid_buf_release(&error);
    event_base_free(base);
    fixture_release(&f);
}

/* Nobody answers: closing takes no longer than it says, and everyone is told. */
Test(publish_kafka, close_without_a_broker)
{
    struct fixture f;
    struct letters letters = {0, 0};
    struct mock mock = {.brokers = "127.0.0.1:1"};
    struct kpid_record record = {.value = "x", .value_len = 1};
    fixture_init(&f);
    struct event_base *base = event_base_new();
    f.model.settings.publish.dead_letters = "letters";
    struct kpid_producer *producer = producer_open(&f, &mock, base);
    for (int i = 0; i < 3; i++)
        kpid_producer_letter(producer, &record, "orders", "late", on_letter, &letters);
    int64_t began_ms = test_now_ms();
    kpid_producer_close(producer);
    cr_assert_lt(test_now_ms() - began_ms, 6000); /* half of it is a busy machine's */
    cr_assert_eq(letters.failed, 3);
    event_base_free(base);
    fixture_release(&f);
}

Test(publish_kafka, snapshots)
{
    SKIP_WITHOUT_REDIS();
    struct mock mock;
    struct rig rig;
    struct owner owner;
    mock_start(&mock, topics);
    rig_start(&rig, 5000);
    rig.f.model.settings.publish.snapshots = "snapshots";
    struct kpid_producer *producer = producer_open(&rig.f, &mock, rig.base);
    owner_start(&owner, &rig, 1);
    kpid_publisher_set_producer(owner.publisher, producer);
    struct kpid_snapshot snapshot = snapshot_of(web, 0);
    kpid_round_snapshot(owner.publisher, &snapshot, NOON, 0, KPID_PLACE_NEWEST | KPID_PLACE_WINDOW);
    kpid_round_meta(owner.publisher, CONVERSION, W_5M, NOON, NOON, 0);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    kpid_round_snapshot(owner.publisher, &snapshot, NOON, 1, KPID_PLACE_WINDOW);
    kpid_round_group_delete(owner.publisher, CONVERSION, W_5M, web);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    LOOP_UNTIL(rig.base, kpid_producer_pending(producer) == 0);
    cr_assert_eq(owner_stats(&owner).kafka_sent, 3); /* not twice for two places, and not @meta */

    mock_read(&mock, "snapshots");
    rd_kafka_message_t *message = mock_next(&mock);
    struct kpid_buf want = KPID_BUF_INIT;
    kpid_snapshot_json(&rig.f.model, &snapshot, NOON, 0, &want);
    is_message(message, "conversion|5m|web|eu", want.data);
    rd_kafka_message_destroy(message);
    kpid_buf_release(&want);
    kpid_publisher_free(owner.publisher);
    kpid_producer_close(producer);
    rig_stop(&rig);
    mock_stop(&mock);
}

Test(publish_kafka, alerts_leave_the_outbox)
{
    SKIP_WITHOUT_REDIS();
    struct mock mock;
    struct rig rig;
    struct owner owner;
    mock_start(&mock, topics);
    rig_start(&rig, 5000);
    rig.f.model.settings.publish.alerts = "alerts";
    rig.f.model.settings.publish.alerts_encoding = KPID_ENCODE_MSGPACK;
    struct kpid_producer *producer = producer_open(&rig.f, &mock, rig.base);
    owner_start(&owner, &rig, 1);
    kpid_publisher_set_producer(owner.publisher, producer);
    struct kpid_transition transition = transition_of(web, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabc);
    kpid_round_transition(owner.publisher, &transition);
    transition.historic = true;
    transition.id = 0xdef;
    kpid_round_transition(owner.publisher, &transition);
    transition.historic = transition.notify = false;
    kpid_round_transition(owner.publisher, &transition);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:{alert}:outbox"), 1);
    cr_assert(schema_allows("alert", ask_text(&rig, "HGET kpi:{alert}:outbox 0000000000000abc:firing")));
    LOOP_UNTIL(rig.base, owner_stats(&owner).outbox == 0);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:{alert}:outbox"), 0);
    cr_assert_eq(owner_stats(&owner).kafka_sent, 1);

    mock_read(&mock, "alerts");
    rd_kafka_message_t *message = mock_next(&mock);
    cr_assert_eq(message->key_len, 16);
    cr_assert_arr_eq(message->key, "0000000000000abc", 16);
    cr_assert_arr_eq(message->payload,
                     "\xde\0\x15\xa6schema\x01\xa2id\xb0"
                     "0000000000000abc",
                     31);
    rd_kafka_message_destroy(message);
    kpid_publisher_free(owner.publisher);
    kpid_producer_close(producer);
    rig_stop(&rig);
    mock_stop(&mock);
}

/* What an owner that died had not sent goes out with the next, in the order of event time. */
Test(publish_kafka, outbox_is_sent_again)
{
    SKIP_WITHOUT_REDIS();
    struct mock mock;
    struct rig rig;
    struct owner owner = {.rig = &rig};
    mock_start(&mock, topics);
    rig_start(&rig, 5000);
    rig.f.model.settings.publish.alerts = "alerts";
    redis_server_number(&rig.server, "HSET kpi:{alert}:outbox a:resolved %s", "{\"at_ms\":9}");
    redis_server_number(&rig.server, "HSET kpi:{alert}:outbox a:firing %s", "{\"at_ms\":5}");
    struct kpid_producer *producer = producer_open(&rig.f, &mock, rig.base);
    owner.publisher = kpid_publisher_new(rig.base, rig.redis, &rig.f.model);
    kpid_publisher_set_producer(owner.publisher, producer);
    cr_assert_eq(owner_acquire(&owner, 1), KPID_PUBLISH_OK);
    LOOP_UNTIL(rig.base, owner_stats(&owner).outbox == 0);
    cr_assert_eq(ask_number(&rig, "EXISTS kpi:{alert}:outbox"), 0);
    mock_read(&mock, "alerts");
    const char *want[] = {"{\"at_ms\":5}", "{\"at_ms\":9}"};
    for (int i = 0; i < 2; i++) {
        rd_kafka_message_t *message = mock_next(&mock);
        cr_assert_eq(message->len, 11);
        cr_assert_arr_eq(message->payload, want[i], 11);
        rd_kafka_message_destroy(message);
    }
    kpid_publisher_free(owner.publisher);
    kpid_producer_close(producer);
    rig_stop(&rig);
    mock_stop(&mock);
}

/* The broker has it, but {alert} has another owner meanwhile: the entry is the other's to remove. */
Test(publish_kafka, outbox_is_the_owners)
{
    SKIP_WITHOUT_REDIS();
    struct mock mock;
    struct rig rig;
    struct owner owner;
    mock_start(&mock, topics);
    rig_start(&rig, 5000);
    rig.f.model.settings.publish.alerts = "alerts";
    struct kpid_producer *producer = producer_open(&rig.f, &mock, rig.base);
    owner_start(&owner, &rig, 1);
    kpid_publisher_set_producer(owner.publisher, producer);
    rd_kafka_mock_broker_set_rtt(mock.cluster, 1, 300);
    struct kpid_transition transition = transition_of(web, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabc);
    kpid_round_transition(owner.publisher, &transition);
    cr_assert_eq(owner_send(&owner), KPID_PUBLISH_OK);
    redis_server_number(&rig.server, "HSET kpi:{alert}:h nonce other");
    LOOP_UNTIL(rig.base, owner_stats(&owner).outbox == 0);
    cr_assert_eq(owner_stats(&owner).kafka_sent, 1);
    cr_assert_eq(ask_number(&rig, "HLEN kpi:{alert}:outbox"), 1);

    /* Freed while the broker has not answered. */
    cr_assert_eq(owner_acquire(&owner, 2), KPID_PUBLISH_OK);
    LOOP_UNTIL(rig.base, kpid_producer_pending(producer) == 1);
    kpid_publisher_free(owner.publisher);
    LOOP_UNTIL(rig.base, kpid_producer_pending(producer) == 0);
    kpid_producer_close(producer);
    rig_stop(&rig);
    mock_stop(&mock);
}
