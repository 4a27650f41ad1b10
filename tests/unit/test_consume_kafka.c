/* The Kafka consumer against librdkafka's own cluster of pretended brokers. Nothing sleeps to wait: the loop
 * runs until a condition holds or a deadline has passed. */
#include "kpid/consume.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOPICS     2
#define PARTITIONS 4
#define LONG_MS    120000

static char *shop_topics[] = {(char *)"orders", (char *)"payments"};
static char *web_topics[] = {(char *)"visits"};

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
    struct kpid_offset_note notes[8];
    size_t n_notes;
    int64_t refetched;
    char value[64], fault[512];
};

static rd_kafka_t *mock;
static rd_kafka_mock_cluster_t *cluster;
static struct event_base *base;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

static void on_record(void *ctx, const struct kpid_record *record)
{
    struct owner *owner = ctx;
    int64_t *next = &owner->next[record->source][record->topic][record->partition];
    cr_assert(owner->ours[record->source][record->partition]);
    if (*next >= 0)
        cr_assert_eq(record->offset, *next, "source %u topic %u partition %d: offset %lld, not %lld",
                     record->source, record->topic, record->partition, (long long)record->offset,
                     (long long)*next);
    *next = record->offset + 1;
    char expected[64];
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

static void on_refetched(void *ctx, enum kpid_log_look look, const struct kpid_record *record,
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

static const struct kpid_consumer_events events = {on_assigned, on_revoked,    on_record,      on_ready,
                                                   on_fault,    on_partitions, on_out_of_range};

static void owner_init(struct owner *owner)
{
    memset(owner, 0, sizeof *owner);
    owner->hold_at = -1;
    owner->sources[0] = (struct kpid_source){.name = (char *)"shop", .topics = shop_topics, .n_topics = 2};
    owner->sources[1] = (struct kpid_source){.name = (char *)"web", .topics = web_topics, .n_topics = 1};
    owner->model.sources = owner->sources;
    owner->model.n_sources = 2;
    owner->model.settings.kafka.brokers = (char *)rd_kafka_mock_cluster_bootstraps(cluster);
    owner->model.settings.kafka.group = (char *)"kpid";
    owner->model.settings.kafka.properties = owner->properties;
}

static void property_add(struct owner *owner, const char *key, const char *value)
{
    owner->properties[owner->model.settings.kafka.n_properties++] =
        (struct kpid_pair){(char *)key, (char *)value};
}

static void owner_open(struct owner *owner)
{
    struct kpid_buf error = KPID_BUF_INIT;
    owner->consumer = kpid_consumer_open(&owner->model, base, &events, owner, &error);
    cr_assert_not_null(owner->consumer, "%s", error.data);
    kpid_buf_release(&error);
}

/* Closes, and says how long that took. */
static int64_t owner_close(struct owner *owner)
{
    int64_t start_ms = now_ms();
    kpid_consumer_close(owner->consumer);
    return now_ms() - start_ms;
}

static void cluster_open(int brokers)
{
    char text[256];
    mock = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    cr_assert_not_null(mock, "%s", text);
    cluster = rd_kafka_mock_cluster_new(mock, brokers);
    rd_kafka_mock_coordinator_set(cluster, "group", "kpid", 1);
    base = event_base_new();
}

static void topics_make(int n)
{
    rd_kafka_mock_topic_create(cluster, "orders", n, 1);
    rd_kafka_mock_topic_create(cluster, "payments", n, 1);
    rd_kafka_mock_topic_create(cluster, "visits", 1, 1);
}

static void cluster_close(void)
{
    event_base_free(base);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(mock);
}

static void produce(const char *topic, int32_t partition, int64_t from, int64_t to)
{
    char text[256], value[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), text,
                      sizeof text);
    rd_kafka_conf_set(conf, "linger.ms", "1", text, sizeof text);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(producer, "%s", text);
    for (int64_t i = from; i < to; i++) {
        snprintf(value, sizeof value, "%s-%d-%lld", topic, partition, (long long)i);
        rd_kafka_resp_err_t error = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY("k", 1),
            RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        cr_assert_eq(error, 0, "%s", rd_kafka_err2str(error));
    }
    cr_assert_eq(rd_kafka_flush(producer, LONG_MS), 0);
    rd_kafka_destroy(producer);
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

static struct kpid_consumer_status status(const struct owner *owner, uint32_t source, uint32_t topic,
                                          int32_t p)
{
    struct kpid_consumer_status ret = {.next_offset = -9};
    if (!kpid_consumer_status(owner->consumer, source, topic, p, now_ms(), &ret))
        ret.at_end = false;
    return ret;
}

static bool all_at_end(const struct owner *owner, int32_t shop_partitions)
{
    for (int32_t p = 0; p < shop_partitions; p++)
        if (!status(owner, 0, 0, p).at_end || !status(owner, 0, 1, p).at_end)
            return false;
    return status(owner, 1, 0, 0).at_end;
}

static void read_through(const char *assignor)
{
    struct owner owner;
    cluster_open(3);
    topics_make(2);
    for (int32_t p = 0; p < 2; p++) {
        produce("orders", p, 0, 2000);
        produce("payments", p, 0, 700);
    }
    produce("visits", 0, 0, 50);
    owner_init(&owner);
    property_add(&owner, "partition.assignment.strategy", assignor);
    owner.start[0][1][0] = 1500;
    owner.start_later = true;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n_assigned == 3, LONG_MS));
    cr_assert_eq(owner.partitions[0], 2);
    cr_assert_eq(owner.partitions[1], 1);
    cr_assert_neq(*kpid_consumer_cluster(owner.consumer), '\0');
    cr_assert_eq(owner.n_all, 0);
    kpid_consumer_start(owner.consumer, 0, 1, owner.start[0][1]);
    cr_assert(RUN_UNTIL(owner.n[0][0][1] + owner.n[0][1][1] >= 200, LONG_MS));
    cr_assert_eq(owner.n[0][0][0] + owner.n[1][0][0], 0);
    /* In the middle of one shard the others join. */
    kpid_consumer_start(owner.consumer, 0, 0, owner.start[0][0]);
    kpid_consumer_start(owner.consumer, 1, 0, owner.start[1][0]);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS), "%s", owner.fault);
    cr_assert_eq(owner.n_all, 2000 + 500 + 2 * 700 + 50);
    struct kpid_consumer_status before = status(&owner, 0, 1, 0);
    cr_assert_eq(before.next_offset, 700);
    cr_assert_eq(before.end_offset, 700);
    cr_assert_eq(before.lag, 0);
    /* More comes: the end is left, and reached again later. */
    produce("payments", 0, 700, 710);
    cr_assert(RUN_UNTIL(owner.n[0][1][0] == 710, LONG_MS));
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS));
    cr_assert_gt(status(&owner, 0, 1, 0).at_end_since_ms, before.at_end_since_ms);
    cr_assert_eq(status(&owner, 0, 1, 0).next_offset, 710);
    /* Let go without a revocation, then started anew from somewhere else. */
    uint64_t seen = owner.n[0][0][1];
    kpid_consumer_let_go(owner.consumer, 0, 1);
    cr_assert(!status(&owner, 0, 0, 1).at_end);
    owner.next[0][0][1] = owner.start[0][1][0] = 100;
    owner.next[0][1][1] = 700;
    kpid_consumer_start(owner.consumer, 0, 1, (const int64_t[]){100, 700});
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS));
    cr_assert_eq(owner.n[0][0][1], seen + 1900);
    cr_assert_eq(owner.n_faults, 0, "%s", owner.fault);
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

Test(kafka, reads_shards_from_where_the_owner_says)
{
    read_through("cooperative-sticky");
}

Test(kafka, reads_the_same_with_an_eager_assignor)
{
    read_through("range");
}

Test(kafka, a_held_feed_loses_nothing)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    produce("orders", 0, 0, 3000);
    produce("payments", 0, 0, 500);
    owner_init(&owner);
    owner.hold_at = 1033; /* in the middle of a batch */
    owner_open(&owner);
    cr_assert(RUN_UNTIL(status(&owner, 0, 1, 0).at_end && status(&owner, 1, 0, 0).at_end, LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 1034);
    cr_assert(!status(&owner, 0, 0, 0).at_end);
    cr_assert_gt(status(&owner, 0, 0, 0).lag, 0);
    kpid_consumer_hold_all(owner.consumer, true);
    kpid_consumer_hold(owner.consumer, 0, 0, 0, false);
    cr_assert_eq(kpid_consumer_serve(owner.consumer, 1000), 0);
    cr_assert(!status(&owner, 0, 1, 0).at_end);
    kpid_consumer_hold_all(owner.consumer, false);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 3000);
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

/* A leader falls silent in one way and comes back in another; the partitions of the other one don't mind. */
static void silent_leader(void (*fall)(void), void (*rise)(void))
{
    struct owner owner;
    cluster_open(3);
    topics_make(1);
    rd_kafka_mock_partition_set_leader(cluster, "orders", 0, 2);
    rd_kafka_mock_partition_set_leader(cluster, "payments", 0, 3);
    rd_kafka_mock_partition_set_leader(cluster, "visits", 0, 3);
    produce("orders", 0, 0, 10);
    produce("payments", 0, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    int64_t since_ms = status(&owner, 0, 1, 0).at_end_since_ms;
    fall();
    cr_assert(RUN_UNTIL(!status(&owner, 0, 0, 0).at_end, 4000));
    int64_t fell_ms = now_ms();
    cr_assert(!RUN_UNTIL(status(&owner, 0, 0, 0).at_end, 4000), "stands at the end while its leader is away");
    cr_assert(status(&owner, 0, 1, 0).at_end);
    cr_assert_eq(status(&owner, 0, 1, 0).at_end_since_ms, since_ms);
    rise();
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_geq(status(&owner, 0, 0, 0).at_end_since_ms, fell_ms);
    produce("orders", 0, 10, 20);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 20, LONG_MS));
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

static void broker_down(void)
{
    rd_kafka_mock_broker_set_down(cluster, 2);
}

static void broker_up(void)
{
    rd_kafka_mock_broker_set_up(cluster, 2);
}

static void broker_mute(void)
{
    rd_kafka_mock_broker_set_rtt(cluster, 2, 20000);
}

static void broker_talk(void)
{
    rd_kafka_mock_broker_set_rtt(cluster, 2, 0);
    rd_kafka_mock_broker_set_down(cluster, 2); /* or what it held back would come first */
    rd_kafka_mock_broker_set_up(cluster, 2);
}

Test(kafka, a_leader_that_is_down_is_not_idle)
{
    silent_leader(broker_down, broker_up);
}

Test(kafka, a_leader_that_was_stopped_is_not_idle)
{
    silent_leader(broker_mute, broker_talk);
}

static void two_members(const char *assignor)
{
    struct owner first, second;
    cluster_open(1);
    topics_make(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        produce("orders", p, 0, 100);
        produce("payments", p, 0, 100);
    }
    owner_init(&first);
    property_add(&first, "partition.assignment.strategy", assignor);
    property_add(&first, "session.timeout.ms", "6000");
    property_add(&first, "heartbeat.interval.ms", "200");
    owner_open(&first);
    cr_assert(RUN_UNTIL(first.n_assigned == 5 && all_at_end(&first, PARTITIONS), LONG_MS));
    cr_assert_eq(first.n_all, 800);
    owner_init(&second);
    property_add(&second, "partition.assignment.strategy", assignor);
    property_add(&second, "session.timeout.ms", "6000");
    property_add(&second, "heartbeat.interval.ms", "200");
    owner_open(&second);
    cr_assert(RUN_UNTIL(second.n_assigned >= 2 && first.n_assigned - first.n_revoked + second.n_assigned == 5,
                        LONG_MS));
    for (int32_t p = 0; p < PARTITIONS; p++)
        cr_assert(first.ours[0][p] != second.ours[0][p]);
    cr_assert(first.ours[1][0] != second.ours[1][0]);
    for (int32_t p = 0; p < PARTITIONS; p++)
        produce("orders", p, 100, 110);
    /* The first goes on from where it was, the second reads its shards from their beginning. */
    uint64_t expected = 0;
    for (int32_t p = 0; p < PARTITIONS; p++)
        expected += second.ours[0][p] ? 210 : 0;
    cr_assert(RUN_UNTIL(second.n_all == expected, LONG_MS));
    cr_assert(RUN_UNTIL(first.n_all + second.n_all == 800 + expected + (4 - expected / 210) * 10, LONG_MS),
              "%llu %llu %llu; %d %d %d; %s; %s", (unsigned long long)first.n_all,
              (unsigned long long)second.n_all, (unsigned long long)expected, first.n_assigned,
              first.n_revoked, second.n_assigned, first.fault, second.fault);
    /* The second leaves: its shards come back. */
    cr_assert_lt(owner_close(&second), 2000);
    cr_assert(RUN_UNTIL(first.n_assigned - first.n_revoked == 5 && all_at_end(&first, PARTITIONS), LONG_MS));
    for (int32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq(first.next[0][0][p], 110);
    cr_assert_lt(owner_close(&first), 2000);
    cluster_close();
}

Test(kafka, shards_move_between_members)
{
    two_members("cooperative-sticky");
}

Test(kafka, shards_move_between_members_of_an_eager_group)
{
    two_members("roundrobin");
}

Test(kafka, an_owner_that_does_not_let_go_is_not_waited_for)
{
    struct owner first, second;
    cluster_open(1);
    topics_make(2);
    owner_init(&first);
    property_add(&first, "session.timeout.ms", "6000");
    property_add(&first, "heartbeat.interval.ms", "200");
    first.keep_revoked = true;
    owner_open(&first);
    cr_assert(RUN_UNTIL(first.n_assigned == 3, LONG_MS));
    owner_init(&second);
    owner_open(&second);
    cr_assert(RUN_UNTIL(first.n_revoked > 0, LONG_MS));
    int64_t start_ms = now_ms();
    cr_assert_eq(second.n_assigned, 0);
    cr_assert(RUN_UNTIL(second.n_assigned > 0, LONG_MS));
    cr_assert_geq(now_ms() - start_ms, 1900);
    owner_close(&first);
    owner_close(&second);
    cluster_close();
}

Test(kafka, fetches_single_records_again)
{
    struct owner owner;
    cluster_open(2);
    topics_make(1);
    produce("orders", 0, 0, 300);
    produce("payments", 0, 0, 20);
    owner_init(&owner);
    owner_open(&owner);
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 123, on_refetched, &owner);
    cr_assert_eq(owner.n_refetched, 0);
    cr_assert(RUN_UNTIL(owner.n_refetched == 1, LONG_MS));
    cr_assert_eq(owner.refetched, 123);
    cr_assert_str_eq(owner.value, "orders-0-123");
    /* Many at once, of several places, in no order. */
    for (int i = 0; i < 30; i++) {
        kpid_consumer_refetch(owner.consumer, 0, 0, 0, (i * 77) % 300, on_refetched, &owner);
        kpid_consumer_refetch(owner.consumer, 0, 1, 0, i % 20, on_refetched, &owner);
    }
    cr_assert(RUN_UNTIL(owner.n_refetched == 61, LONG_MS));
    cr_assert_eq(owner.n_null, 0);
    /* Not there (yet): behind the end, at the end, no such partition. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 1000, on_refetched, &owner);
    kpid_consumer_refetch(owner.consumer, 0, 1, 0, 20, on_refetched, &owner);
    kpid_consumer_refetch(owner.consumer, 1, 0, 9, 0, on_refetched, &owner);
    int64_t start_ms = now_ms();
    cr_assert(RUN_UNTIL(owner.n_refetched == 64, LONG_MS));
    cr_assert_lt(now_ms() - start_ms, 7000);
    cr_assert_eq(owner.n_null, 3);
    cr_assert_eq(owner.n_looks[KPID_LOG_BEYOND], 2);
    cr_assert_eq(owner.n_looks[KPID_LOG_MISSING] + owner.n_looks[KPID_LOG_SILENT], 1);
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, KPID_OFFSET_BEGINNING, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 65, LONG_MS));
    cr_assert_eq(owner.refetched, 0);
    /* Where logs end, one of them empty. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, KPID_OFFSET_END, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 66, LONG_MS));
    cr_assert_eq(owner.log_end, 300);
    kpid_consumer_refetch(owner.consumer, 1, 0, 0, KPID_OFFSET_BEGINNING, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 67, LONG_MS));
    cr_assert_eq(owner.log_end, 0);
    /* Closing calls nobody. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 5, on_refetched, &owner);
    cr_assert_lt(owner_close(&owner), 2000);
    cr_assert_eq(owner.n_refetched, 67);
    cluster_close();
}

Test(kafka, refetching_gives_up_and_closing_is_quick_without_brokers)
{
    struct owner owner;
    cluster_open(2);
    topics_make(1);
    produce("orders", 0, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    rd_kafka_mock_broker_set_down(cluster, -1);
    int64_t start_ms = now_ms();
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 5, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 1, LONG_MS));
    cr_assert_eq(owner.n_looks[KPID_LOG_SILENT], 1);
    cr_assert_geq(now_ms() - start_ms, 4900);
    cr_assert_leq(now_ms() - start_ms, 6500);
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

Test(kafka, closing_is_quick_while_brokers_are_mute)
{
    struct owner owner;
    cluster_open(2);
    topics_make(1);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    rd_kafka_mock_broker_set_rtt(cluster, -1, 20000);
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

Test(kafka, opening_does_not_wait_for_brokers)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    rd_kafka_mock_broker_set_down(cluster, -1);
    owner_init(&owner);
    int64_t start_ms = now_ms();
    owner_open(&owner);
    cr_assert_lt(now_ms() - start_ms, 500);
    int64_t last_ms = now_ms(), longest_ms = 0;
    while (now_ms() < start_ms + 1500) {
        event_base_loopexit(base, &(struct timeval){0, 10000});
        event_base_dispatch(base);
        longest_ms = now_ms() - last_ms > longest_ms ? now_ms() - last_ms : longest_ms;
        last_ms = now_ms();
    }
    cr_assert_lt(longest_ms, 400);
    cr_assert_gt(owner.n_faults, 0);
    cr_assert(!owner.fatal);
    rd_kafka_mock_broker_set_up(cluster, -1);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_lt(owner_close(&owner), 2000);
    cluster_close();
}

Test(kafka, an_offset_outside_the_log_is_said)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    produce("visits", 0, 0, 20);
    owner_init(&owner);
    owner.start[1][0][0] = 1000;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n_out_of_range == 1, LONG_MS));
    cr_assert_eq(owner.low, 0);
    cr_assert_eq(owner.high, 20);
    cr_assert_eq(owner.n[1][0][0], 0);
    cr_assert(!status(&owner, 1, 0, 0).at_end);
    owner.next[1][0][0] = 15;
    kpid_consumer_start(owner.consumer, 1, 0, (const int64_t[]){15});
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[1][0][0], 5);
    owner_close(&owner);
    cluster_close();
}

Test(kafka, beginning_and_end_are_places_to_start)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    produce("orders", 0, 0, 20);
    produce("payments", 0, 0, 20);
    owner_init(&owner);
    owner.start[0][0][0] = KPID_OFFSET_BEGINNING;
    owner.start[0][0][1] = KPID_OFFSET_END;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 20);
    cr_assert_eq(owner.n[0][1][0], 0);
    produce("payments", 0, 20, 25);
    cr_assert(RUN_UNTIL(owner.n[0][1][0] == 5, LONG_MS));
    cr_assert_eq(owner.next[0][1][0], 25);
    owner_close(&owner);
    cluster_close();
}

static void on_noted(void *ctx, const struct kpid_offset_note *notes, size_t n)
{
    struct owner *owner = ctx;
    owner->n_answers++;
    owner->n_notes = notes != NULL ? n : 99;
    for (size_t i = 0; i < n && i < KPID_COUNT_OF(owner->notes); i++) {
        owner->notes[i] = notes[i];
        owner->notes[i].text = strdup(notes[i].text);
    }
}

static void notes_forget(struct owner *owner)
{
    for (size_t i = 0; i < owner->n_notes && i < KPID_COUNT_OF(owner->notes); i++)
        free((char *)(uintptr_t)owner->notes[i].text);
    owner->n_notes = 0;
}

Test(kafka, notes_lie_beside_the_offsets_of_all_topics)
{
    struct owner owner;
    uint64_t done, failed;
    cluster_open(1);
    topics_make(2);
    produce("orders", 1, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS), "%s", owner.fault);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert_eq(owner.n_answers, 0);
    cr_assert(RUN_UNTIL(owner.n_answers == 1, LONG_MS));
    cr_assert_eq(owner.n_notes, 0, "%s", owner.fault);
    const struct kpid_offset_note notes[] = {{0, 0, 1, 10, "first 1"}, {0, 1, 1, 0, "second, of a topic that is assigned by hand"}};
    cr_assert(kpid_consumer_commit(owner.consumer, notes, 2, false));
    cr_assert(!kpid_consumer_commit(owner.consumer, notes, 2, false), "one at a time");
    cr_assert(kpid_consumer_commit(owner.consumer, notes, 1, true));
    cr_assert(RUN_UNTIL((kpid_consumer_commits(owner.consumer, &done, &failed), done + failed == 2), LONG_MS));
    cr_assert_eq(failed, 0, "%s", owner.fault);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert(RUN_UNTIL(owner.n_answers == 2, LONG_MS));
    cr_assert_eq(owner.n_notes, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct kpid_offset_note *note = &owner.notes[i];
        cr_assert(note->source == 0 && note->partition == 1);
        cr_assert_eq(note->offset, note->topic == 0 ? 10 : 0);
        cr_assert_str_eq(note->text, notes[note->topic].text);
    }
    notes_forget(&owner);
    /* Another member of the group, later, finds them too; a question that nobody answers is answered with that. */
    rd_kafka_mock_broker_set_down(cluster, -1);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert(RUN_UNTIL(owner.n_answers == 3, LONG_MS));
    cr_assert_eq(owner.n_notes, 99);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert_lt(owner_close(&owner), 2000);
    cr_assert_eq(owner.n_answers, 3);
    cluster_close();
}

Test(kafka, the_last_record_is_known_by_its_hash)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    produce("orders", 0, 0, 1000);
    owner_init(&owner);
    owner.hold_at = 700;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 701, LONG_MS));
    cr_assert_eq(status(&owner, 0, 0, 0).last_offset, 700);
    uint64_t hash = status(&owner, 0, 0, 0).last_hash;
    kpid_consumer_hold(owner.consumer, 0, 0, 0, false);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 1000, LONG_MS));
    cr_assert_eq(status(&owner, 0, 0, 0).last_offset, 999);
    cr_assert_neq(status(&owner, 0, 0, 0).last_hash, hash);
    cr_assert_eq(status(&owner, 0, 1, 0).last_offset, -1);
    owner_close(&owner);
    cluster_close();
}

Test(kafka, a_partition_that_not_all_topics_have_is_not_read)
{
    struct owner owner;
    cluster_open(1);
    rd_kafka_mock_topic_create(cluster, "orders", 2, 1);
    rd_kafka_mock_topic_create(cluster, "payments", 1, 1);
    rd_kafka_mock_topic_create(cluster, "visits", 1, 1);
    produce("orders", 0, 0, 10);
    produce("orders", 1, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(status(&owner, 0, 0, 0).at_end, LONG_MS));
    cr_assert_eq(owner.partitions[0], 2);
    cr_assert_eq(owner.n_assigned, 3);
    cr_assert_eq(owner.n[0][0][0], 10);
    cr_assert_eq(owner.n[0][0][1], 0);
    cr_assert(!status(&owner, 0, 0, 1).at_end);
    cr_assert_gt(owner.n_faults, 0);
    owner_close(&owner);
    cluster_close();
}

Test(kafka, being_idle_is_not_taken_for_being_dead)
{
    struct owner owner;
    cluster_open(1);
    topics_make(1);
    owner_init(&owner);
    property_add(&owner, "session.timeout.ms", "6000");
    property_add(&owner, "heartbeat.interval.ms", "500");
    property_add(&owner, "max.poll.interval.ms", "6000");
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert(!RUN_UNTIL(owner.n_revoked > 0 || owner.n_faults > 0, 9000), "%s", owner.fault);
    owner_close(&owner);
    cluster_close();
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
    cluster_open(1);
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
    owner.sources[1].topics = shop_topics;
    cr_assert_null(kpid_consumer_open(&owner.model, base, &events, &owner, &error));
    cr_assert_not_null(strstr(error.data, "\"orders\" is read twice"), "%s", error.data);
    kpid_buf_release(&error);
    cluster_close();
}
