/* librdkafka's mock cluster and a consumer that reads a topic of it from its beginning. */
#ifndef PUBLISH_KAFKA_H
#define PUBLISH_KAFKA_H

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <string.h>

struct mock {
    rd_kafka_t *host, *consumer;
    rd_kafka_mock_cluster_t *cluster;
    char brokers[256];
};

static inline rd_kafka_t *mock_client(rd_kafka_type_t type, const char *key, const char *value)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
    cr_assert_eq(rd_kafka_conf_set(conf, key, value, why, sizeof why), RD_KAFKA_CONF_OK, "%s", why);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    cr_assert(rk, "%s", why);
    return rk;
}

static inline void mock_start(struct mock *mock, const char *const *topics)
{
    mock->host = mock_client(RD_KAFKA_CONSUMER, "client.id", "host");
    mock->cluster = rd_kafka_mock_cluster_new(mock->host, 1);
    cr_assert(mock->cluster);
    for (; *topics; topics++)
        cr_assert_eq(rd_kafka_mock_topic_create(mock->cluster, *topics, 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    strncpy(mock->brokers, rd_kafka_mock_cluster_bootstraps(mock->cluster), sizeof mock->brokers - 1);
    mock->consumer = mock_client(RD_KAFKA_CONSUMER, "bootstrap.servers", mock->brokers);
}

/* The messages of a topic from now on are read from its beginning. */
static inline void mock_read(struct mock *mock, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    cr_assert_eq(rd_kafka_assign(mock->consumer, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Free with rd_kafka_message_destroy. */
static inline rd_kafka_message_t *mock_next(struct mock *mock)
{
    for (int tries = 0; tries < 200; tries++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(mock->consumer, 100);
        if (message && !message->err)
            return message;
        if (message)
            rd_kafka_message_destroy(message);
    }
    cr_assert_fail("no message came");
    return NULL;
}

static inline void mock_stop(struct mock *mock)
{
    rd_kafka_consumer_close(mock->consumer);
    rd_kafka_destroy(mock->consumer);
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->host);
}

/* Text of a header, "" if there is none. */
static inline const char *mock_header(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) || rd_kafka_header_get_last(headers, name, &value, &len))
        return "";
    return value;
}

#endif
