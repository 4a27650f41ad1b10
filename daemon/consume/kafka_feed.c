#include "kafka.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/*
 * A queue per topic-partition, taken out of librdkafka's common queue (forwarding off). A queue that turns
 * from empty to not empty writes its slot into the pipe; the feed then takes its place in a ring and is
 * served by batch in turn. One that was left with records goes to the end of the ring; one found empty leaves
 * it. A held feed leaves the ring and keeps in mind that it has something; librdkafka stops fetching for it
 * when its queue is full.
 */

const char *kpid_feed_topic(const struct kpid_feed *feed)
{
    return feed->claim->consumer->sources[feed->claim->source].topics[feed->topic].name;
}

void kpid_feed_init(struct kpid_feed *feed, struct kpid_claim *claim, uint32_t topic)
{
    struct kpid_consumer *consumer = claim->consumer;
    if (consumer->n_slots == consumer->cap_slots) {
        uint32_t cap = consumer->cap_slots == 0 ? 64 : 2 * consumer->cap_slots;
        uint32_t *ring = kpid_alloc(cap * sizeof *ring);
        for (uint32_t i = 0; i < consumer->n_ring; i++)
            ring[i] = consumer->ring[(consumer->ring_at + i) % consumer->cap_slots];
        free(consumer->ring);
        consumer->ring = ring;
        consumer->ring_at = 0;
        consumer->slots = kpid_realloc(consumer->slots, cap * sizeof(struct kpid_feed *));
        consumer->cap_slots = cap;
    }
    feed->claim = claim;
    feed->topic = topic;
    feed->slot = consumer->n_slots;
    consumer->slots[consumer->n_slots++] = feed;
    kpid_feed_restart(feed, KPID_OFFSET_BEGINNING);
}

bool kpid_feed_open(struct kpid_feed *feed)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    feed->queue =
        rd_kafka_queue_get_partition(consumer->client, kpid_feed_topic(feed), feed->claim->partition);
    if (feed->queue == NULL)
        return false;
    feed->waiting = false;
    rd_kafka_queue_forward(feed->queue, NULL);
    rd_kafka_queue_io_event_enable(feed->queue, consumer->pipe[1], &feed->slot, sizeof feed->slot);
    return true;
}

static void stash_drop(struct kpid_feed *feed)
{
    while (feed->stash_at < feed->n_stash)
        rd_kafka_message_destroy(feed->stash[feed->stash_at++]);
    feed->stash_at = feed->n_stash = 0;
}

void kpid_feed_close(struct kpid_feed *feed)
{
    stash_drop(feed);
    if (feed->queue == NULL)
        return;
    rd_kafka_queue_io_event_enable(feed->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(feed->queue);
    feed->queue = NULL;
    feed->at_end = feed->fetching = false;
}

void kpid_feed_release(struct kpid_feed *feed)
{
    kpid_feed_close(feed);
    free(feed->stash);
}

void kpid_feed_restart(struct kpid_feed *feed, int64_t offset)
{
    stash_drop(feed);
    feed->start_offset = feed->next_offset = offset;
    feed->eof_offset = feed->stable_offset = feed->high_offset = -1;
    feed->broker = feed->leader = -1;
    feed->at_end = feed->fetching = feed->out_of_range = false;
    feed->last_offset = -1;
}

static bool may_be_served(const struct kpid_feed *feed)
{
    return feed->claim->state == KPID_CLAIM_READING && !feed->held;
}

void kpid_feed_wake(struct kpid_feed *feed)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    feed->waiting = true;
    if (feed->in_ring || !may_be_served(feed))
        return;
    feed->in_ring = true;
    consumer->ring[(consumer->ring_at + consumer->n_ring++) % consumer->cap_slots] = feed->slot;
}

static struct kpid_feed *ring_take(struct kpid_consumer *consumer)
{
    struct kpid_feed *feed = consumer->slots[consumer->ring[consumer->ring_at]];
    consumer->ring_at = (consumer->ring_at + 1) % consumer->cap_slots;
    consumer->n_ring--;
    feed->in_ring = false;
    return feed;
}

/* What a queue delivers beside records. */
static void not_a_record(struct kpid_feed *feed, const rd_kafka_message_t *message)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset != feed->eof_offset)
            feed->at_end = false;
        feed->eof_offset = message->offset;
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        feed->out_of_range = true;
        feed->bad_offset = feed->next_offset;
        event_active(consumer->range_timer, EV_TIMEOUT, 0);
    }
    kpid_consumer_fault(consumer, false, "%s [%d]: %s", kpid_feed_topic(feed), feed->claim->partition,
                        rd_kafka_message_errstr(message));
}

static inline void record_fill(const rd_kafka_message_t *message, struct kpid_record *record)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    record->offset = message->offset;
    record->timestamp_ms = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? timestamp_ms : KPID_NEVER;
    record->log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    record->key = message->key;
    record->key_len = message->key_len;
    record->value = message->payload;
    record->value_len = message->len;
}

#define RECORDS (KPID_CONSUMER_AHEAD + 1) /* that are told of and have not come */
#define NEAR    4                         /* messages whose heads are fetched before they are told of */

/* Tells of the k-th message, whose turn comes later. What librdkafka's thread wrote is in no cache of ours. */
static inline void message_show(struct kpid_feed *feed, rd_kafka_message_t **messages, size_t k, size_t n,
                                struct kpid_record records[RECORDS])
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    struct kpid_record *record = &records[k % RECORDS];
    if (k + NEAR < n) {
        __builtin_prefetch(messages[k + NEAR]);
        __builtin_prefetch((const char *)messages[k + NEAR] + 64);
    }
    if (messages[k]->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    record_fill(messages[k], record);
    if (consumer->events.ahead != NULL)
        consumer->events.ahead(consumer->ctx, record);
}

static inline void hand_over(struct kpid_feed *feed, const struct kpid_record *record)
{
    feed->next_offset = record->offset + 1;
    feed->at_end = false;
    feed->claim->consumer->events.record(feed->claim->consumer->ctx, record);
}

/* Keeps what the owner, by holding the feed in the middle of a batch, does not want now. */
static void stash_keep(struct kpid_feed *feed, rd_kafka_message_t **messages, size_t n)
{
    if (feed->stash == NULL)
        feed->stash = kpid_alloc(KPID_CONSUMER_BATCH * sizeof(rd_kafka_message_t *));
    memmove(feed->stash, messages, n * sizeof(rd_kafka_message_t *));
    feed->stash_at = 0;
    feed->n_stash = n;
    feed->waiting = true;
}

/* Remembers the last record of a batch: a batch ends before a commit is cut, so its last is all that is needed. */
static void last_note(struct kpid_feed *feed, const rd_kafka_message_t *message, struct kpid_record *record)
{
    record_fill(message, record);
    feed->last_offset = record->offset;
    feed->last_hash = kpid_record_hash(record);
}

/* Hands over messages until the owner holds the feed or takes it away. Takes them. What was handed over is
 * destroyed at the end, all at once: messages of a partition share counters with the thread of librdkafka
 * that makes more of them, and each turn of a counter from one processor to the other costs both of them as
 * much as a message does. */
static size_t messages_serve(struct kpid_feed *feed, rd_kafka_message_t **messages, size_t n)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    struct kpid_record records[RECORDS];
    const rd_kafka_message_t *last = NULL;
    size_t handed = 0, i = 0, shown = 0;
    for (size_t k = 0; k < RECORDS; k++)
        records[k] = (struct kpid_record){
            .source = feed->claim->source, .topic = feed->topic, .partition = feed->claim->partition};
    for (; i < n && may_be_served(feed) && !consumer->hold_all; i++) {
        for (; shown < n && shown < i + RECORDS; shown++)
            message_show(feed, messages, shown, n, records);
        if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            hand_over(feed, &records[i % RECORDS]);
            handed++;
            last = messages[i];
        } else {
            not_a_record(feed, messages[i]);
        }
    }
    if (consumer->events.ahead != NULL)
        consumer->events.ahead(consumer->ctx, NULL);
    if (last != NULL)
        last_note(feed, last, &records[0]);
    if (i < n && feed->claim->state == KPID_CLAIM_READING) {
        stash_keep(feed, messages + i, n - i);
        n = i;
    }
    for (i = 0; i < n; i++)
        rd_kafka_message_destroy(messages[i]);
    return handed;
}

static size_t feed_serve(struct kpid_feed *feed, size_t budget)
{
    struct kpid_consumer *consumer = feed->claim->consumer;
    size_t most = budget < KPID_CONSUMER_BATCH ? budget : KPID_CONSUMER_BATCH, handed = 0;
    feed->waiting = false;
    if (feed->stash_at < feed->n_stash) {
        size_t from = feed->stash_at, n = feed->n_stash - from < most ? feed->n_stash - from : most;
        size_t rest = feed->n_stash - from - n;
        memcpy(consumer->batch, feed->stash + from, n * sizeof(rd_kafka_message_t *));
        feed->stash_at = feed->n_stash = 0;
        if (rest > 0)
            stash_keep(feed, feed->stash + from + n, rest);
        handed = messages_serve(feed, consumer->batch, n);
        feed->waiting = true; /* librdkafka's queue was not looked at */
    } else {
        ssize_t n = rd_kafka_consume_batch_queue(feed->queue, 0, consumer->batch, most);
        if (n <= 0)
            return 0;
        if ((size_t)n == most)
            feed->waiting = true;
        handed = messages_serve(feed, consumer->batch, (size_t)n);
    }
    if (feed->eof_offset >= 0 && !feed->waiting)
        kpid_feed_end_judge(feed, kpid_now_ms());
    return handed;
}

size_t kpid_consumer_serve(struct kpid_consumer *consumer, size_t budget)
{
    size_t handed = 0;
    while (handed < budget && consumer->n_ring > 0 && !consumer->hold_all && !consumer->fatal) {
        struct kpid_feed *feed = ring_take(consumer);
        if (!may_be_served(feed))
            continue; /* `waiting` stays, for when it is released */
        handed += feed_serve(feed, budget - handed);
        if (feed->waiting)
            kpid_feed_wake(feed);
    }
    if (consumer->n_ring > 0 && !consumer->hold_all)
        kpid_consumer_pump(consumer);
    return handed;
}

void kpid_consumer_hold(struct kpid_consumer *consumer, uint32_t source, uint32_t topic, int32_t partition,
                        bool hold)
{
    struct kpid_claim *claim = kpid_claim_find(consumer, source, partition);
    if (claim == NULL || topic >= consumer->sources[source].n_topics || claim->feeds[topic].held == hold)
        return;
    struct kpid_feed *feed = &claim->feeds[topic];
    feed->held = hold;
    if (hold) {
        feed->at_end = false;
    } else if (feed->waiting) {
        kpid_feed_wake(feed);
        kpid_consumer_pump(consumer);
    }
}

void kpid_consumer_hold_all(struct kpid_consumer *consumer, bool hold)
{
    if (consumer->hold_all && !hold)
        kpid_consumer_pump(consumer);
    consumer->hold_all = hold;
    for (uint32_t i = 0; i < consumer->n_slots && hold; i++)
        consumer->slots[i]->at_end = false;
}

/* ---- outside the log: where it begins and ends, asked one after the other, and again in a second if nobody answers */

static void range_later(struct kpid_feed *feed)
{
    feed->asking = false;
    event_add(feed->claim->consumer->range_timer, &(struct timeval){1, 0});
}

static bool range_known(enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset,
                        int64_t *ret)
{
    *ret = look == KPID_LOG_RECORD ? record->offset : end_offset;
    return look == KPID_LOG_RECORD || look == KPID_LOG_BEYOND;
}

static void low_take(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct kpid_feed *feed = ctx;
    struct kpid_consumer *consumer = feed->claim->consumer;
    int64_t low;
    if (!range_known(look, record, end_offset, &low)) {
        range_later(feed);
        return;
    }
    feed->asking = false;
    if (!feed->out_of_range || feed->claim->state != KPID_CLAIM_READING)
        return;
    feed->out_of_range = false;
    if (consumer->events.out_of_range != NULL)
        consumer->events.out_of_range(consumer->ctx, feed->claim->source, feed->topic, feed->claim->partition,
                                      feed->bad_offset, low, low > feed->log_end ? low : feed->log_end);
}

static void high_take(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct kpid_feed *feed = ctx;
    if (range_known(look, record, end_offset, &feed->log_end))
        kpid_consumer_refetch(feed->claim->consumer, feed->claim->source, feed->topic, feed->claim->partition,
                              KPID_OFFSET_BEGINNING, low_take, feed);
    else
        range_later(feed);
}

void kpid_feed_ranges_find(struct kpid_consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->n_slots; i++) {
        struct kpid_feed *feed = consumer->slots[i];
        if (!feed->out_of_range || feed->asking || feed->claim->state != KPID_CLAIM_READING)
            continue;
        feed->asking = true;
        kpid_consumer_refetch(consumer, feed->claim->source, feed->topic, feed->claim->partition, KPID_OFFSET_END,
                              high_take, feed);
    }
}
