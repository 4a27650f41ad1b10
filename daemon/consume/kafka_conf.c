#include "kafka.h"

#include <stdlib.h>
#include <string.h>

/* What we set unless the configuration's `properties` say otherwise. */
static const struct kpid_pair defaults[] = {
    {(char *)"client.id", (char *)"kpid"},
    {(char *)"partition.assignment.strategy", (char *)"cooperative-sticky"},
    {(char *)"session.timeout.ms", (char *)"45000"},
    {(char *)"heartbeat.interval.ms", (char *)"3000"},
    {(char *)"fetch.min.bytes", (char *)"1"},
    {(char *)"fetch.message.max.bytes", (char *)"1048576"},
    /* Per topic-partition, since each has a queue of its own. A broker's thread of librdkafka 2.0 that found
     * all queues full sleeps up to a second, so together they should hold about a second of reading; alone,
     * no more than some 60 MB of memory in catch-up. Few partitions and much memory: raise both. */
    {(char *)"queued.min.messages", (char *)"100000"},
    {(char *)"queued.max.messages.kbytes", (char *)"32768"},
    {(char *)"topic.metadata.refresh.interval.ms", (char *)"30000"},
    {(char *)"socket.keepalive.enable", (char *)"true"},
    {(char *)"reconnect.backoff.max.ms", (char *)"2000"},
};

/* What the figures rest on: nobody may change it. `value` NULL: it has a place of its own in the
 * configuration. */
static const struct {
    const char *name, *value, *why;
} fixed[] = {
    {"bootstrap.servers", NULL, "is written as kafka.brokers"},
    {"metadata.broker.list", NULL, "is written as kafka.brokers"},
    {"group.id", NULL, "is written as kafka.group"},
    {"group.instance.id", NULL, "is written as kafka.instance_id"},
    {"enable.auto.commit", "false", "must stay false: offsets are kept beside the figures in Redis"},
    {"auto.commit.enable", NULL, "must stay false: offsets are kept beside the figures in Redis"},
    {"enable.auto.offset.store", "false", "must stay false: offsets are kept beside the figures in Redis"},
    {"auto.offset.reset", "error", "must stay error: a gap in the log is never jumped over in silence"},
    {"enable.partition.eof", "true", "must stay true: who stands at the end is known by it"},
    {"isolation.level", "read_committed", "must stay read_committed: aborted events are not counted"},
    {"statistics.interval.ms", "1000", "must stay 1000: leaders that do not answer are known by it"},
    {"log.queue", "true", "must stay true: librdkafka's logs go through the loop"},
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct kpid_buf *error)
{
    char text[512] = "";
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    kpid_buf_printf(error, "kafka property %s: %s", name, text);
    return false;
}

static bool is_fixed(const char *name, const char **ret_why)
{
    for (size_t i = 0; i < KPID_COUNT_OF(fixed); i++) {
        if (strcmp(fixed[i].name, name) != 0)
            continue;
        *ret_why = fixed[i].why;
        return true;
    }
    return false;
}

static bool properties_set(rd_kafka_conf_t *conf, const struct kpid_settings *settings, bool refetch,
                           struct kpid_buf *error)
{
    for (size_t i = 0; i < settings->kafka.n_properties; i++) {
        const struct kpid_pair *pair = &settings->kafka.properties[i];
        const char *why;
        if (is_fixed(pair->key, &why)) {
            kpid_buf_printf(error, "kafka property %s %s", pair->key, why);
            return false;
        }
        if (refetch && strncmp(pair->key, "test.mock.", 10) == 0)
            continue; /* brokers of its own would not have the records */
        if (!set(conf, pair->key, pair->value, error))
            return false;
    }
    return true;
}

static bool fixed_set(rd_kafka_conf_t *conf, struct kpid_buf *error)
{
    for (size_t i = 0; i < KPID_COUNT_OF(fixed); i++)
        if (fixed[i].value != NULL && !set(conf, fixed[i].name, fixed[i].value, error))
            return false;
    return true;
}

static bool group_set(rd_kafka_conf_t *conf, const struct kpid_settings *settings, struct kpid_buf *error)
{
    if (settings->kafka.group == NULL || *settings->kafka.group == '\0') {
        kpid_buf_add_str(error, "kafka.group is missing");
        return false;
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS |
                                       RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_OFFSET_COMMIT);
    return set(conf, "group.id", settings->kafka.group, error) &&
           (settings->kafka.instance_id == NULL || *settings->kafka.instance_id == '\0' ||
            set(conf, "group.instance.id", settings->kafka.instance_id, error));
}

/* The second handle reads a record here and there: small fetches, no group, no statistics, mute (what ails
 * the brokers is said by the first). */
static bool refetch_set(rd_kafka_conf_t *conf, struct kpid_buf *error)
{
    static const struct kpid_pair small[] = {
        {(char *)"statistics.interval.ms", (char *)"0"},      {(char *)"log.queue", (char *)"false"},
        {(char *)"fetch.message.max.bytes", (char *)"65536"}, {(char *)"queued.min.messages", (char *)"100"},
        {(char *)"fetch.wait.max.ms", (char *)"50"},
    };
    rd_kafka_conf_set_log_cb(conf, NULL);
    for (size_t i = 0; i < KPID_COUNT_OF(small); i++)
        if (!set(conf, small[i].key, small[i].value, error))
            return false;
    return true;
}

rd_kafka_conf_t *kpid_kafka_conf_new(const struct kpid_settings *settings, bool refetch,
                                     struct kpid_buf *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char wait[16];
    bool well = true;
    for (size_t i = 0; i < KPID_COUNT_OF(defaults) && well; i++)
        well = set(conf, defaults[i].key, defaults[i].value, error);
    snprintf(wait, sizeof wait, "%d", KPID_FETCH_WAIT_MS);
    if (settings->kafka.brokers == NULL || *settings->kafka.brokers == '\0') {
        kpid_buf_add_str(error, "kafka.brokers is missing");
        well = false;
    }
    well = well && set(conf, "bootstrap.servers", settings->kafka.brokers, error) &&
           set(conf, "fetch.wait.max.ms", wait, error) && properties_set(conf, settings, refetch, error) &&
           fixed_set(conf, error) && (refetch ? refetch_set(conf, error) : group_set(conf, settings, error));
    if (well)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

int kpid_kafka_conf_fetch_wait_ms(const rd_kafka_conf_t *conf)
{
    char text[16];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, "fetch.wait.max.ms", text, &size) != RD_KAFKA_CONF_OK)
        return KPID_FETCH_WAIT_MS;
    return (int)strtol(text, NULL, 10);
}
