/*
 * A Kafka consumer, an owner who writes down what he is told, and a cluster: rig_kafka(), a real broker
 * ($KPID_TEST_BROKERS, which tests/run and `tests/lib/kafka run` set), or rig_mock(), librdkafka's pretended
 * ones, for what brokers are not easily made to do. Nothing sleeps to wait: the loop runs until a condition
 * holds or a deadline has passed.
 *
 * Of the pretended ones (2.0.2) nothing is to be asked that needs a group of two. Their coordinator takes the
 * group for settled as soon as its leader has sent what he made up, and refuses a follower who asks a moment
 * later, as happens on a busy machine; and each change waits for as long as the session of him who joined
 * last, while it may throw out all members after that of another.
 */
#ifndef KPID_TEST_CONSUME_RIG_H
#define KPID_TEST_CONSUME_RIG_H

#include "kpid/consume.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEST_FUNCTION static __attribute__((unused))
#define TOPICS        2
#define PARTITIONS    4
#define LONG_MS       120000
#define CLOSES_MS     5000 /* 2 s at most, and what a busy machine adds */

enum { ORDERS, PAYMENTS, VISITS };

static char names[3][48], group[48], brokers[256];
static char *topics[] = {names[ORDERS], names[PAYMENTS], names[VISITS]};
static rd_kafka_t *client;            /* ours, not the consumer's */
static rd_kafka_mock_cluster_t *mock; /* NULL: a real broker */
static struct event_base *base;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What one consumer's owner saw. */
struct owner {
    struct kpid_model model;
    struct kpid_source sources[2];
    struct kpid_pair properties[8];
    struct kpid_consumer *consumer;
    int64_t start[2][PARTITIONS][TOPICS]; /* where it says to begin */
    int64_t next[2][TOPICS][PARTITIONS];  /* expected next; -1: anything */
    uint64_t n[2][TOPICS][PARTITIONS], n_all;
    bool ours[2][PARTITIONS];
    int n_assigned, n_revoked, n_faults, n_out_of_range, n_ready;
    int32_t partitions[2];
    bool keep_revoked, start_later, fatal;
    int64_t hold_at; /* hold orders [0] when this offset was handed over; -1 never */
    int64_t low, high;
    int n_refetched, n_null, n_looks[KPID_LOG_SILENT + 1], n_answers;
    int64_t log_end;
    const void *ahead[KPID_CONSUMER_AHEAD + 1]; /* values that were told of and have not come */
    size_t n_ahead, n_told;
    struct kpid_offset_note notes[8];
    size_t n_notes;
    int64_t refetched;
    char value[96], fault[512];
};

static void on_assigned(void *ctx, uint32_t source, int32_t partition)
{
    struct owner *owner = ctx;
    cr_assert_gt(owner->partitions[source], partition);
    cr_assert(!owner->ours[source][partition]);
    owner->ours[source][partition] = true;
    owner->n_assigned++;
    for (uint32_t t = 0; t < TOPICS; t++)
        owner->next[source][t][partition] = owner->start[source][partition][t];
    if (!owner->start_later)
        kpid_consumer_start(owner->consumer, source, partition, owner->start[source][partition]);
}

static void on_revoked(void *ctx, uint32_t source, int32_t partition)
{
    struct owner *owner = ctx;
    cr_assert(owner->ours[source][partition]);
    owner->ours[source][partition] = false;
    owner->n_revoked++;
    for (uint32_t t = 0; t < TOPICS; t++) /* as if committed */
        owner->start[source][partition][t] = owner->next[source][t][partition];
    if (!owner->keep_revoked)
        kpid_consumer_let_go(owner->consumer, source, partition);
}

static void on_ahead(void *ctx, const struct kpid_record *record)
{
    struct owner *owner = ctx;
    if (record == NULL) {
        owner->n_ahead = 0;
        return;
    }
    cr_assert_leq(owner->n_ahead, KPID_CONSUMER_AHEAD);
    owner->ahead[owner->n_ahead++] = record->value;
    owner->n_told++;
}

/* Records come in the order in which they were told of, and lie where they lay then. */
static void ahead_check(struct owner *owner, const struct kpid_record *record)
{
    cr_assert_gt(owner->n_ahead, 0);
    cr_assert_eq(record->value, owner->ahead[0]);
    memmove(owner->ahead, owner->ahead + 1, --owner->n_ahead * sizeof owner->ahead[0]);
}

static void on_record(void *ctx, const struct kpid_record *record)
{
    struct owner *owner = ctx;
    ahead_check(owner, record);
    int64_t *next = &owner->next[record->source][record->topic][record->partition];
    cr_assert(owner->ours[record->source][record->partition]);
    if (*next >= 0)
        cr_assert_eq(record->offset, *next, "source %u topic %u partition %d: offset %lld, not %lld",
                     record->source, record->topic, record->partition, (long long)record->offset,
                     (long long)*next);
    *next = record->offset + 1;
    char expected[96];
    snprintf(expected, sizeof expected, "%s-%d-%lld", owner->sources[record->source].topics[record->topic],
             record->partition, (long long)record->offset);
    cr_assert_eq(record->value_len, strlen(expected));
    cr_assert_eq(memcmp(record->value, expected, record->value_len), 0);
    cr_assert_eq(record->key_len, 1);
    cr_assert_gt(record->timestamp_ms, 0);
    owner->n[record->source][record->topic][record->partition]++;
    owner->n_all++;
    if (record->source == 0 && record->topic == 0 && record->partition == 0 &&
        record->offset == owner->hold_at)
        kpid_consumer_hold(owner->consumer, 0, 0, 0, true);
}

static void on_ready(void *ctx)
{
    struct owner *owner = ctx;
    owner->n_ready++;
    cr_assert_leq(kpid_consumer_serve(owner->consumer, 100), 100);
}

static void on_fault(void *ctx, const char *text, bool fatal)
{
    struct owner *owner = ctx;
    owner->n_faults++;
    owner->fatal = owner->fatal || fatal;
    snprintf(owner->fault, sizeof owner->fault, "%s", text);
}

static void on_partitions(void *ctx, uint32_t source, int32_t n)
{
    struct owner *owner = ctx;
    owner->partitions[source] = n;
}

static void on_out_of_range(void *ctx, uint32_t source, uint32_t topic, int32_t partition, int64_t offset,
                            int64_t low, int64_t high)
{
    struct owner *owner = ctx;
    cr_assert(source == 1 && topic == 0 && partition == 0);
    cr_assert_eq(offset, owner->start[1][0][0]);
    owner->n_out_of_range++;
    owner->low = low;
    owner->high = high;
}

TEST_FUNCTION void on_refetched(void *ctx, enum kpid_log_look look, const struct kpid_record *record,
                                int64_t end_offset)
{
    struct owner *owner = ctx;
    cr_assert_eq(record != NULL, look == KPID_LOG_RECORD);
    cr_assert_eq(end_offset >= 0, look == KPID_LOG_BEYOND);
    owner->n_refetched++;
    owner->n_looks[look]++;
    owner->log_end = end_offset;
    owner->n_null += record == NULL;
    owner->refetched = record != NULL ? record->offset : -1;
    memset(owner->value, 0, sizeof owner->value);
    if (record != NULL)
        memcpy(owner->value, record->value, record->value_len);
}

static const struct kpid_consumer_events events = {on_assigned, on_revoked, on_record,     on_ahead,
                                                   on_ready,    on_fault,   on_partitions, on_out_of_range};

TEST_FUNCTION void owner_init(struct owner *owner)
{
    memset(owner, 0, sizeof *owner);
    owner->hold_at = -1;
    owner->sources[0] = (struct kpid_source){.name = (char *)"shop", .topics = topics, .n_topics = 2};
    owner->sources[1] = (struct kpid_source){.name = (char *)"web", .topics = &topics[VISITS], .n_topics = 1};
    owner->model.sources = owner->sources;
    owner->model.n_sources = 2;
    owner->model.settings.kafka.brokers = brokers;
    owner->model.settings.kafka.group = group;
    owner->model.settings.kafka.properties = owner->properties;
}

TEST_FUNCTION void property_add(struct owner *owner, const char *key, const char *value)
{
    owner->properties[owner->model.settings.kafka.n_properties++] =
        (struct kpid_pair){(char *)key, (char *)value};
}

TEST_FUNCTION void owner_open(struct owner *owner)
{
    struct kpid_buf error = KPID_BUF_INIT;
    owner->consumer = kpid_consumer_open(&owner->model, base, &events, owner, &error);
    cr_assert_not_null(owner->consumer, "%s", error.data);
    kpid_buf_release(&error);
}

/* Closes, and says how long that took. */
TEST_FUNCTION int64_t owner_close(struct owner *owner)
{
    int64_t start_ms = now_ms();
    kpid_consumer_close(owner->consumer);
    return now_ms() - start_ms;
}

/* ---- the cluster
 * --------------------------------------------------------------------------------------------- */

static void rig_open(const char *of)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (of != NULL)
        rd_kafka_conf_set(conf, "bootstrap.servers", of, text, sizeof text);
    rd_kafka_conf_set(conf, "linger.ms", "1", text, sizeof text);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text); /* brokers that are down are meant to be */
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(client, "%s", text);
    base = event_base_new();
    static const char *const words[] = {"orders", "payments", "visits"};
    int64_t made_ms = now_ms();
    for (size_t i = 0; i < KPID_COUNT_OF(words); i++)
        snprintf(names[i], sizeof names[i], "%s-%d-%lld", words[i], (int)getpid(), (long long)made_ms);
    snprintf(group, sizeof group, "kpid-%d-%lld", (int)getpid(), (long long)made_ms);
}

TEST_FUNCTION void rig_kafka(void)
{
    const char *given = getenv("KPID_TEST_BROKERS");
    if (given == NULL || *given == '\0')
        cr_skip_test("no Kafka: KPID_TEST_BROKERS is not set (tests/lib/kafka run PROGRAM)");
    snprintf(brokers, sizeof brokers, "%s", given);
    rig_open(brokers);
}

TEST_FUNCTION void rig_mock(int n)
{
    rig_open(NULL);
    mock = rd_kafka_mock_cluster_new(client, n);
    cr_assert_not_null(mock);
    snprintf(brokers, sizeof brokers, "%s", rd_kafka_mock_cluster_bootstraps(mock));
    rd_kafka_brokers_add(client, brokers);
    rd_kafka_mock_coordinator_set(mock, "group", group, 1);
}

/* Waits until the topic has a leader for each partition, as all clients will see it. */
static void topic_await(const char *name, int n)
{
    int64_t until_ms = now_ms() + LONG_MS;
    int led = 0;
    while (led < n) {
        cr_assert_lt(now_ms(), until_ms, "%s has %d leaders, not %d", name, led, n);
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *handle = rd_kafka_topic_new(client, name, NULL);
        led = 0;
        if (rd_kafka_metadata(client, 0, handle, &metadata, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            for (int p = 0; metadata->topic_cnt == 1 && p < metadata->topics[0].partition_cnt; p++)
                led += metadata->topics[0].partitions[p].leader >= 0;
            rd_kafka_metadata_destroy(metadata);
        }
        rd_kafka_topic_destroy(handle);
    }
}

static void topic_make(const char *name, int n)
{
    if (mock != NULL) {
        rd_kafka_mock_topic_create(mock, name, n, 1);
        return;
    }
    char text[256];
    size_t count;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, n, 1, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LONG_MS);
    cr_assert_not_null(event, "no answer");
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    cr_assert(
        count == 1 && rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR, "%s: %s", name,
        count == 1 ? rd_kafka_topic_result_error_string(results[0]) : rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    topic_await(name, n);
}

/* The three topics; VISITS has one partition. */
TEST_FUNCTION void topics_make(int orders, int payments)
{
    topic_make(topics[ORDERS], orders);
    topic_make(topics[PAYMENTS], payments);
    topic_make(topics[VISITS], 1);
}

static void topics_delete(void)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopic_t *gone[KPID_COUNT_OF(topics)];
    for (size_t i = 0; i < KPID_COUNT_OF(topics); i++)
        gone[i] = rd_kafka_DeleteTopic_new(topics[i]);
    rd_kafka_DeleteTopics(client, gone, KPID_COUNT_OF(topics), NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LONG_MS);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy_array(gone, KPID_COUNT_OF(topics));
    rd_kafka_queue_destroy(queue);
}

TEST_FUNCTION void rig_close(void)
{
    event_base_free(base);
    if (mock != NULL)
        rd_kafka_mock_cluster_destroy(mock);
    else
        topics_delete();
    rd_kafka_destroy(client);
}
TEST_FUNCTION void produce(int topic, int32_t partition, int64_t from, int64_t to)
{
    char value[96];
    for (int64_t i = from; i < to; i++) {
        snprintf(value, sizeof value, "%s-%d-%lld", topics[topic], partition, (long long)i);
        rd_kafka_resp_err_t error = rd_kafka_producev(
            client, RD_KAFKA_V_TOPIC(topics[topic]), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY("k", 1),
            RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        cr_assert_eq(error, 0, "%s", rd_kafka_err2str(error));
    }
    cr_assert_eq(rd_kafka_flush(client, LONG_MS), 0);
}

/* Runs the loop until the condition holds. False: the deadline came first. */
#define RUN_UNTIL(condition, within_ms)                                                                      \
    ({                                                                                                       \
        int64_t until_ms_ = now_ms() + (within_ms);                                                          \
        while (!(condition) && now_ms() < until_ms_) {                                                       \
            event_base_loopexit(base, &(struct timeval){0, 10000});                                          \
            event_base_dispatch(base);                                                                       \
        }                                                                                                    \
        (condition);                                                                                         \
    })

TEST_FUNCTION struct kpid_consumer_status status(const struct owner *owner, uint32_t source, uint32_t topic,
                                                 int32_t p)
{
    struct kpid_consumer_status ret = {.next_offset = -9};
    if (!kpid_consumer_status(owner->consumer, source, topic, p, now_ms(), &ret))
        ret.at_end = false;
    return ret;
}

TEST_FUNCTION bool all_at_end(const struct owner *owner, int32_t shop_partitions)
{
    for (int32_t p = 0; p < shop_partitions; p++)
        if (!status(owner, 0, 0, p).at_end || !status(owner, 0, 1, p).at_end)
            return false;
    return status(owner, 1, 0, 0).at_end;
}

#endif
