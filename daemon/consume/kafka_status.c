#include "kafka.h"

#include <string.h>

/*
 * Who stands at the end. librdkafka says when a topic-partition has come to its end, but not that the broker
 * which would know of more has fallen silent; its statistics do, once a second: the connection's state, and
 * how many responses it gave. An idle leader answers a fetch every fetch.wait.max.ms; one that was stopped,
 * or can't be reached, answers none, while its connection may look well for a minute.
 */

static struct kpid_broker *broker_find(struct kpid_consumer *consumer, int32_t id)
{
    for (size_t i = 0; i < consumer->n_brokers; i++)
        if (consumer->brokers[i].id == id)
            return &consumer->brokers[i];
    return NULL;
}

static void broker_put(struct kpid_consumer *consumer, int32_t id, bool up, uint64_t responses,
                       int64_t now_ms)
{
    struct kpid_broker *broker = broker_find(consumer, id);
    if (broker == NULL) {
        consumer->brokers =
            kpid_realloc(consumer->brokers, (consumer->n_brokers + 1) * sizeof *consumer->brokers);
        broker = &consumer->brokers[consumer->n_brokers++];
        *broker = (struct kpid_broker){.id = id, .answered_ms = KPID_NEVER};
    }
    if (responses != broker->responses) {
        /* After a silence the end counts anew: it may have moved meanwhile. */
        for (uint32_t i = 0; i < consumer->n_slots; i++)
            if (consumer->slots[i]->broker == id && broker->answered_ms < now_ms - consumer->silence_ms)
                consumer->slots[i]->at_end = false;
        broker->answered_ms = now_ms;
    }
    broker->responses = responses;
    broker->up = up;
    broker->seen = true;
}

static bool is_answering(struct kpid_consumer *consumer, int32_t id, int64_t now_ms)
{
    const struct kpid_broker *broker = broker_find(consumer, id);
    return broker != NULL && broker->up && broker->answered_ms >= now_ms - consumer->silence_ms;
}

static bool slice_true(struct kpid_slice slice)
{
    return kpid_slice_is(slice, "true");
}

static int64_t slice_int(struct kpid_slice slice)
{
    struct kpid_scan scan;
    int64_t value = -1;
    kpid_scan_init(&scan, slice.at, slice.len);
    return kpid_scan_int(&scan, &value) ? value : -1;
}

static void broker_read(struct kpid_consumer *consumer, struct kpid_scan *scan, int64_t now_ms)
{
    int64_t id = -1, responses = 0;
    bool up = false, first = true, logical = false;
    struct kpid_slice name, value;
    if (!kpid_scan_object(scan))
        return;
    while (kpid_scan_member(scan, &first, &name) && kpid_scan_value(scan, &value)) {
        if (kpid_slice_is(name, "nodeid"))
            id = slice_int(value);
        else if (kpid_slice_is(name, "state"))
            up = kpid_slice_is(value, "\"UP\"");
        else if (kpid_slice_is(name, "rx"))
            responses = slice_int(value);
        else if (kpid_slice_is(name,
                               "source")) /* the coordinator's connection is another than the leader's */
            logical = kpid_slice_is(value, "\"logical\"");
    }
    if (id >= 0 && !logical)
        broker_put(consumer, (int32_t)id, up, (uint64_t)responses, now_ms);
}

struct partition {
    int64_t id, broker, leader, stable, high;
    bool known, fetching;
};

static void partition_read(struct kpid_scan *scan, struct partition *ret)
{
    struct kpid_slice name, value;
    bool first = true;
    *ret = (struct partition){-1, -1, -1, -1, -1, true, false};
    if (!kpid_scan_object(scan))
        return;
    while (kpid_scan_member(scan, &first, &name) && kpid_scan_value(scan, &value)) {
        if (kpid_slice_is(name, "partition"))
            ret->id = slice_int(value);
        else if (kpid_slice_is(name, "broker"))
            ret->broker = slice_int(value);
        else if (kpid_slice_is(name, "leader"))
            ret->leader = slice_int(value);
        else if (kpid_slice_is(name, "unknown"))
            ret->known = !slice_true(value);
        else if (kpid_slice_is(name, "fetch_state"))
            ret->fetching = kpid_slice_is(value, "\"active\"");
        else if (kpid_slice_is(name, "ls_offset"))
            ret->stable = slice_int(value);
        else if (kpid_slice_is(name, "hi_offset"))
            ret->high = slice_int(value);
    }
}

static void partition_put(struct kpid_consumer *consumer, uint32_t s, uint32_t t, const struct partition *got)
{
    struct kpid_claim *claim = kpid_claim_find(consumer, s, (int32_t)got->id);
    if (claim == NULL)
        return;
    struct kpid_feed *feed = &claim->feeds[t];
    feed->fetching = got->fetching;
    feed->broker = (int32_t)got->broker;
    feed->leader = (int32_t)got->leader;
    feed->stable_offset = got->stable;
    feed->high_offset = got->high;
}

static void topic_read(struct kpid_consumer *consumer, struct kpid_slice topic_name, struct kpid_scan *scan)
{
    struct kpid_slice name, value;
    bool first = true;
    uint32_t s = 0, t = 0;
    struct kpid_source_topic *topic = kpid_topics_find(consumer, topic_name, &s, &t);
    if (!kpid_scan_object(scan))
        return;
    while (kpid_scan_member(scan, &first, &name)) {
        if (topic == NULL || !kpid_slice_is(name, "partitions")) {
            if (!kpid_scan_value(scan, &value))
                return;
            continue;
        }
        bool first_partition = true;
        int32_t known = 0;
        if (!kpid_scan_object(scan))
            return;
        while (kpid_scan_member(scan, &first_partition, &name)) {
            struct partition got;
            partition_read(scan, &got);
            if (scan->fault != NULL)
                return;
            known += got.id >= 0 && got.known;
            if (got.id >= 0)
                partition_put(consumer, s, t, &got);
        }
        if (known > 0)
            topic->partitions = known;
    }
}

static void members_read(struct kpid_consumer *consumer, struct kpid_scan *scan, bool topics, int64_t now_ms)
{
    struct kpid_slice name;
    bool first = true;
    if (!kpid_scan_object(scan))
        return;
    while (kpid_scan_member(scan, &first, &name)) {
        if (topics)
            topic_read(consumer, name, scan);
        else
            broker_read(consumer, scan, now_ms);
    }
}

void kpid_statistics_read(struct kpid_consumer *consumer, const char *json, size_t len)
{
    struct kpid_scan scan;
    struct kpid_slice name, value;
    bool first = true;
    int64_t now_ms = kpid_now_ms();
    for (size_t i = 0; i < consumer->n_brokers; i++)
        consumer->brokers[i].seen = false;
    kpid_scan_init(&scan, json, len);
    kpid_scan_object(&scan);
    while (kpid_scan_member(&scan, &first, &name)) {
        if (kpid_slice_is(name, "brokers"))
            members_read(consumer, &scan, false, now_ms);
        else if (kpid_slice_is(name, "topics"))
            members_read(consumer, &scan, true, now_ms);
        else
            kpid_scan_value(&scan, &value);
    }
    if (scan.fault != NULL) {
        kpid_consumer_fault(consumer, false, "librdkafka's statistics can't be read: %s", scan.fault);
        return;
    }
    for (size_t i = 0; i < consumer->n_brokers; i++)
        consumer->brokers[i].up = consumer->brokers[i].up && consumer->brokers[i].seen;
    for (uint32_t i = 0; i < consumer->n_slots; i++) {
        struct kpid_feed *feed = consumer->slots[i];
        if (feed->queue != NULL && !feed->in_ring && rd_kafka_queue_length(feed->queue) > 0)
            kpid_feed_wake(feed); /* should a wake-up ever have found the pipe full */
        kpid_feed_end_judge(feed, now_ms);
    }
    kpid_topics_update(consumer);
}

/* ---- at the end
 * --------------------------------------------------------------------------------------------- */

static bool stands_at_end(const struct kpid_feed *feed, int64_t now_ms)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    int64_t low, high;
    if (feed->claim->state != KPID_CLAIM_READING || feed->queue == NULL || feed->held || consumer->hold_all)
        return false;
    if (feed->eof_offset < 0 || feed->eof_offset < feed->next_offset ||
        feed->stable_offset > feed->eof_offset || feed->high_offset > feed->eof_offset ||
        feed->high_offset < 0)
        return false;
    if (!feed->fetching || feed->leader < 0 || !is_answering(consumer, feed->broker, now_ms))
        return false;
    if (feed->stash_at < feed->n_stash || rd_kafka_queue_length(feed->queue) > 0)
        return false;
    return rd_kafka_get_watermark_offsets(consumer->client, kpid_feed_topic(feed), feed->claim->partition,
                                          &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           high <= feed->eof_offset;
}

void kpid_feed_end_judge(struct kpid_feed *feed, int64_t now_ms)
{
    bool stands = stands_at_end(feed, now_ms);
    if (stands && !feed->at_end)
        feed->at_end_since_ms = now_ms;
    feed->at_end = stands;
}

bool kpid_consumer_status(const struct kpid_consumer *consumer, uint32_t source, uint32_t topic,
                          int32_t partition, int64_t now_ms, struct kpid_consumer_status *ret)
{
    const struct kpid_claim *claim = kpid_claim_find(consumer, source, partition);
    if (claim == NULL || topic >= consumer->sources[source].n_topics)
        return false;
    const struct kpid_feed *feed = &claim->feeds[topic];
    int64_t end = feed->stable_offset > feed->eof_offset ? feed->stable_offset : feed->eof_offset;
    if (end >= 0 && end < feed->next_offset)
        end = feed->next_offset;
    int64_t reached = feed->eof_offset > feed->next_offset ? feed->eof_offset : feed->next_offset;
    *ret = (struct kpid_consumer_status){
        .next_offset = feed->next_offset,
        .end_offset = end,
        .lag = end >= 0 && reached >= 0 ? end - reached : -1,
        .at_end = feed->at_end && stands_at_end(feed, now_ms),
        .at_end_since_ms = feed->at_end_since_ms,
        .last_offset = feed->last_offset,
        .last_hash = feed->last_hash,
    };
    return true;
}
