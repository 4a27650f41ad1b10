/* The producer's settings: what the configuration passes through, and what exactly-kept delivery asks for. */
#include "producer_conf.h"

#include <string.h>

/* What only a consumer has. A producer would merely warn, but once for each property at every start. */
static const char *const consumer_only[] = {"group.id",
                                            "group.instance.id",
                                            "group.protocol.type",
                                            "partition.assignment.strategy",
                                            "session.timeout.ms",
                                            "heartbeat.interval.ms",
                                            "coordinator.query.interval.ms",
                                            "max.poll.interval.ms",
                                            "enable.auto.commit",
                                            "auto.commit.interval.ms",
                                            "auto.commit.enable",
                                            "enable.auto.offset.store",
                                            "auto.offset.reset",
                                            "queued.min.messages",
                                            "queued.max.messages.kbytes",
                                            "max.partition.fetch.bytes",
                                            "isolation.level",
                                            "enable.partition.eof",
                                            "check.crcs",
                                            "consume.callback.max.messages",
                                            "offset.store.method",
                                            "offset.store.path",
                                            "offset.store.sync.interval.ms",
                                            "allow.auto.create.topics"};

static bool for_producer(const char *key)
{
    if (strncmp(key, "fetch.", 6) == 0)
        return false;
    for (size_t i = 0; i < KPID_COUNT_OF(consumer_only); i++) {
        if (strcmp(key, consumer_only[i]) == 0)
            return false;
    }
    return true;
}

static bool set(rd_kafka_conf_t *conf, const char *key, const char *value, struct kpid_buf *error)
{
    char why[512];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return true;
    kpid_buf_printf(error, "kafka producer, %s = %s: %s", key, value, why);
    return false;
}

rd_kafka_conf_t *kpid_producer_conf(const struct kpid_settings *settings, struct kpid_buf *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = set(conf, "client.id", settings->instance ? settings->instance : "kpid", error);
    for (size_t i = 0; good && i < settings->kafka.n_properties; i++) {
        const struct kpid_pair *pair = &settings->kafka.properties[i];
        if (for_producer(pair->key))
            good = set(conf, pair->key, pair->value, error);
    }
    if (good && settings->kafka.brokers)
        good = set(conf, "bootstrap.servers", settings->kafka.brokers, error);
    good = good && set(conf, "acks", "all", error) && set(conf, "enable.idempotence", "true", error);
    if (!good) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    return conf;
}
