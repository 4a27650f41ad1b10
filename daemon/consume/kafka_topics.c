#include "kafka.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/*
 * Partitions. The first answer is asked for with a metadata request of at most 100 ms, again and again; later
 * changes come with librdkafka's own refresh (topic.metadata.refresh.interval.ms) and are seen in its
 * statistics, so that nothing waits for a broker once events flow. Each topic has a handle, which makes it
 * known to that refresh.
 */

#define ASK_TIMEOUT_MS 100
#define ASK_FIRST_MS   50
#define ASK_LAST_MS    5000

static bool topic_twice(const struct kpid_model *model, uint32_t source, uint32_t topic)
{
    for (uint32_t s = 0; s <= source; s++)
        for (uint32_t t = 0; t < (s == source ? topic : model->sources[s].n_topics); t++)
            if (strcmp(model->sources[s].topics[t], model->sources[source].topics[topic]) == 0)
                return true;
    return false;
}

static bool source_open(struct kpid_consumer *consumer, uint32_t s, struct kpid_buf *error)
{
    const struct kpid_source *model = &consumer->model->sources[s];
    struct kpid_consumer_source *source = &consumer->sources[s];
    source->n_topics = (uint32_t)model->n_topics;
    source->topics = kpid_zalloc(model->n_topics, sizeof *source->topics);
    for (uint32_t t = 0; t < source->n_topics; t++) {
        if (topic_twice(consumer->model, s, t)) {
            kpid_buf_printf(error, "topic \"%s\" is read twice", model->topics[t]);
            return false;
        }
        source->topics[t].name = model->topics[t];
        source->topics[t].handle = rd_kafka_topic_new(consumer->client, model->topics[t], NULL);
        if (source->topics[t].handle == NULL) {
            kpid_buf_printf(error, "topic \"%s\": %s", model->topics[t],
                            rd_kafka_err2str(rd_kafka_last_error()));
            return false;
        }
    }
    return true;
}

bool kpid_topics_open(struct kpid_consumer *consumer, struct kpid_buf *error)
{
    consumer->n_sources = (uint32_t)consumer->model->n_sources;
    consumer->sources = kpid_zalloc(consumer->n_sources, sizeof *consumer->sources);
    consumer->metadata_wait_ms = ASK_FIRST_MS;
    for (uint32_t s = 0; s < consumer->n_sources; s++)
        if (!source_open(consumer, s, error))
            return false;
    return true;
}

void kpid_topics_close(struct kpid_consumer *consumer)
{
    for (uint32_t s = 0; s < consumer->n_sources; s++)
        for (uint32_t t = 0; t < consumer->sources[s].n_topics; t++)
            if (consumer->sources[s].topics[t].handle != NULL)
                rd_kafka_topic_destroy(consumer->sources[s].topics[t].handle);
}

struct kpid_source_topic *kpid_topics_find(struct kpid_consumer *consumer, struct kpid_slice name,
                                           uint32_t *ret_source, uint32_t *ret_topic)
{
    for (uint32_t s = 0; s < consumer->n_sources; s++) {
        for (uint32_t t = 0; t < consumer->sources[s].n_topics; t++) {
            if (!kpid_slice_is(name, consumer->sources[s].topics[t].name))
                continue;
            *ret_source = s;
            *ret_topic = t;
            return &consumer->sources[s].topics[t];
        }
    }
    return NULL;
}

static void metadata_take(struct kpid_consumer *consumer, const struct rd_kafka_metadata *metadata)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *got = &metadata->topics[i];
        uint32_t s, t;
        struct kpid_source_topic *topic =
            kpid_topics_find(consumer, (struct kpid_slice){got->topic, strlen(got->topic)}, &s, &t);
        if (topic == NULL)
            continue;
        topic->error = got->err;
        if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR || got->partition_cnt > 0)
            topic->partitions = got->partition_cnt;
    }
}

static bool all_subscribed(const struct kpid_consumer *consumer)
{
    for (uint32_t s = 0; s < consumer->n_sources; s++)
        if (!consumer->sources[s].subscribed)
            return false;
    return true;
}

void kpid_topics_ask(struct kpid_consumer *consumer)
{
    const struct rd_kafka_metadata *metadata;
    if (all_subscribed(consumer))
        return;
    if (rd_kafka_metadata(consumer->client, 0, NULL, &metadata, ASK_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        metadata_take(consumer, metadata);
        rd_kafka_metadata_destroy(metadata);
        kpid_topics_update(consumer);
        if (all_subscribed(consumer))
            return;
    }
    struct timeval wait = {consumer->metadata_wait_ms / 1000, consumer->metadata_wait_ms % 1000 * 1000};
    event_add(consumer->metadata_timer, &wait);
    consumer->metadata_wait_ms *= 2;
    if (consumer->metadata_wait_ms > ASK_LAST_MS)
        consumer->metadata_wait_ms = ASK_LAST_MS;
}

/* Looks at one source. Says what is wrong when that changes, and how many partitions there are. */
static void source_update(struct kpid_consumer *consumer, uint32_t s)
{
    struct kpid_consumer_source *source = &consumer->sources[s];
    const struct kpid_source_topic *missing = NULL, *most = &source->topics[0], *least = most;
    for (uint32_t t = 0; t < source->n_topics; t++) {
        const struct kpid_source_topic *topic = &source->topics[t];
        if (topic->partitions == 0)
            missing = topic;
        if (topic->partitions > most->partitions)
            most = topic;
        if (topic->partitions < least->partitions)
            least = topic;
    }
    enum kpid_source_fault fault = missing != NULL                         ? KPID_SOURCE_TOPIC_MISSING
                                   : most->partitions != least->partitions ? KPID_SOURCE_UNEVEN
                                                                           : KPID_SOURCE_FINE;
    const char *name = consumer->model->sources[s].name;
    if (fault != source->fault && fault == KPID_SOURCE_TOPIC_MISSING)
        kpid_consumer_fault(consumer, false, "source %s: topic \"%s\": %s", name, missing->name,
                            missing->error != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(missing->error)
                                                                         : "no partition is known");
    else if (fault != source->fault && fault == KPID_SOURCE_UNEVEN)
        kpid_consumer_fault(consumer, false,
                            "source %s: topic \"%s\" has %d partitions and \"%s\" has %d: those that not all "
                            "topics have are not read",
                            name, most->name, most->partitions, least->name, least->partitions);
    source->fault = fault;
    if (least->partitions != source->complete) {
        source->complete = least->partitions;
        consumer->changed = true; /* a shard may have waited for the partition of another topic */
        kpid_consumer_pump(consumer);
    }
    if (missing == NULL)
        kpid_topics_grown(consumer, s, most->partitions);
}

void kpid_topics_grown(struct kpid_consumer *consumer, uint32_t s, int32_t partitions)
{
    struct kpid_consumer_source *source = &consumer->sources[s];
    if (partitions <= source->partitions)
        return;
    source->partitions = partitions;
    consumer->events.partitions(consumer->ctx, s, partitions);
}

static void subscribe(struct kpid_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->n_sources);
    for (uint32_t s = 0; s < consumer->n_sources; s++) {
        struct kpid_consumer_source *source = &consumer->sources[s];
        source->subscribed = source->subscribed || source->partitions > 0;
        if (source->subscribed)
            rd_kafka_topic_partition_list_add(list, source->topics[0].name, RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t error = rd_kafka_subscribe(consumer->client, list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kpid_consumer_fault(consumer, true, "can't subscribe: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
}

void kpid_topics_update(struct kpid_consumer *consumer)
{
    bool more = false;
    if (*consumer->cluster == '\0') {
        char *id = rd_kafka_clusterid(consumer->client, 0);
        if (id != NULL) {
            free(consumer->cluster);
            consumer->cluster = kpid_strdup(id);
            rd_kafka_mem_free(consumer->client, id);
        }
    }
    for (uint32_t s = 0; s < consumer->n_sources; s++) {
        source_update(consumer, s);
        more = more || (!consumer->sources[s].subscribed && consumer->sources[s].partitions > 0);
    }
    if (more)
        subscribe(consumer);
}
