#include "sink.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAGIC = 0x6b67656e,
    FLUSH_TIMEOUT_MS = 30000,
    ADMIN_TIMEOUT_MS = 15000,
    FULL_POLL_MS = 10,
    WHY_SIZE = 512,
};

struct kafka_sink {
    struct kpid_sink sink;
    unsigned magic;
    rd_kafka_t *kafka;
    char address[256];
};

static void complain(const char *what, const char *why)
{
    fprintf(stderr, "kpid-generate: %s: %s\n", what, why);
}

static void delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_sink *self = opaque;
    (void)kafka;
    if (self->magic != MAGIC)
        abort();
    if (self->sink.failed++ == 0)
        complain(rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err));
}

static void send_message(struct kpid_sink *sink, const struct kpid_message *message)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            self->kafka, RD_KAFKA_V_TOPIC(kpid_topic_name(message->topic)),
            RD_KAFKA_V_KEY(message->key, message->key_size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->value_size),
            RD_KAFKA_V_TIMESTAMP(message->ts_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(self->kafka, FULL_POLL_MS);
            continue;
        }
        if (err && self->sink.failed++ == 0)
            complain(kpid_topic_name(message->topic), rd_kafka_err2str(err));
        return;
    }
}

static void flush_messages(struct kpid_sink *sink)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    rd_kafka_flush(self->kafka, FLUSH_TIMEOUT_MS);
}

static bool close_kafka(struct kpid_sink *sink)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    flush_messages(sink);
    bool good = sink->failed == 0;
    if (!good)
        fprintf(stderr, "kpid-generate: %llu messages were lost\n", (unsigned long long)sink->failed);
    rd_kafka_destroy(self->kafka);
    self->magic = 0;
    free(self);
    return good;
}

/* Makes the topics of the embedded Kafka. */
static bool create_embedded(struct kafka_sink *self, int partitions)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(self->kafka);
    for (enum kpid_event_topic i = 0; i < KPID_TOPICS; i++) {
        rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(cluster, kpid_topic_name(i), partitions, 1);
        if (err) {
            complain(kpid_topic_name(i), rd_kafka_err2str(err));
            return false;
        }
    }
    snprintf(self->address, sizeof self->address, "%s", rd_kafka_mock_cluster_bootstraps(cluster));
    return true;
}

static bool created(rd_kafka_event_t *event)
{
    if (event == NULL) {
        complain("making the topics", "no answer");
        return false;
    }
    if (rd_kafka_event_error(event)) {
        complain("making the topics", rd_kafka_event_error_string(event));
        return false;
    }
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
        if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            complain(rd_kafka_topic_result_name(results[i]), rd_kafka_err2str(err));
            return false;
        }
    }
    return true;
}

/* Makes the topics that are not there, with the cluster's default replication. */
static bool create_topics(struct kafka_sink *self, int partitions)
{
    char why[WHY_SIZE];
    rd_kafka_NewTopic_t *topics[KPID_TOPICS];
    for (enum kpid_event_topic i = 0; i < KPID_TOPICS; i++)
        topics[i] = rd_kafka_NewTopic_new(kpid_topic_name(i), partitions, -1, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(self->kafka);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(self->kafka, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, why, sizeof why);
    rd_kafka_CreateTopics(self->kafka, topics, KPID_TOPICS, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * ADMIN_TIMEOUT_MS);
    bool good = created(event);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy_array(topics, KPID_TOPICS);
    return good;
}

static bool configure(rd_kafka_conf_t *conf, const struct kpid_options *options)
{
    const char *brokers = options->brokers;
    const char *settings[][2] = {
        {brokers != NULL ? "bootstrap.servers" : "test.mock.num.brokers", brokers != NULL ? brokers : "1"},
        {"client.id", "kpid-generate"},
        {"partitioner", "murmur2_random"}, /* as Kafka's Java client */
        {"compression.codec", options->compression}, /* the embedded Kafka keeps as many bytes as are sent */
        {"enable.idempotence", brokers != NULL ? "true" : "false"},
        {"delivery.report.only.error", "true"},
        {"linger.ms", "5"},
        {"socket.nagle.disable", "true"},
        {"message.timeout.ms", "60000"},
        {"log_level", "3"},
    };
    char why[WHY_SIZE];
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) != RD_KAFKA_CONF_OK) {
            complain(settings[i][0], why);
            return false;
        }
    }
    return true;
}

struct kpid_sink *kpid_sink_kafka_open(const struct kpid_options *options)
{
    const char *brokers = options->brokers;
    int partitions = options->partitions;
    char why[WHY_SIZE];
    struct kafka_sink *self = malloc(sizeof *self);
    if (self == NULL)
        abort();
    *self = (struct kafka_sink){.sink = {.send = send_message, .flush = flush_messages, .close = close_kafka},
                                .magic = MAGIC};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, self);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    if (configure(conf, options)) {
        self->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
        if (self->kafka == NULL)
            complain("Kafka", why);
    }
    if (self->kafka == NULL) {
        rd_kafka_conf_destroy(conf);
        free(self);
        return NULL;
    }
    if (brokers != NULL)
        snprintf(self->address, sizeof self->address, "%s", brokers);
    if (brokers != NULL ? create_topics(self, partitions) : create_embedded(self, partitions))
        return &self->sink;
    rd_kafka_destroy(self->kafka);
    free(self);
    return NULL;
}

const char *kpid_sink_kafka_address(const struct kpid_sink *sink)
{
    const struct kafka_sink *self = (const struct kafka_sink *)sink;
    return self->magic == MAGIC ? self->address : "";
}
