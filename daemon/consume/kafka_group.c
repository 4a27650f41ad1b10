#include "kafka.h"

#include <event2/event.h>
#include <string.h>

/*
 * The group assigns partitions of the first topic of each source. Its answer is acknowledged at once with
 * what is read already, and nothing of what is new; partition p of all topics of the source is assigned
 * later, when the owner has restored the shard and said where to begin: always with explicit offsets, so that
 * nothing is ever sought.
 *
 * With a cooperative assignor shards come and go one by one (incremental_assign, incremental_unassign). With
 * an eager one every change names the whole assignment again: librdkafka then drops what it had fetched of
 * all partitions and reads on from the offsets that we give, which is correct, but costs; hence changes wait
 * for the end of a turn.
 *
 * A revocation is answered when the owner has let go of every shard that it names, or after 2 s.
 */

#define OWNER_MAY_TAKE_MS 2000

static bool is_eager(const struct kpid_consumer *consumer)
{
    const char *protocol = rd_kafka_rebalance_protocol(consumer->client);
    return protocol == NULL || strcmp(protocol, "COOPERATIVE") != 0;
}

struct kpid_claim *kpid_claim_find(const struct kpid_consumer *consumer, uint32_t source, int32_t partition)
{
    if (source >= consumer->n_sources || partition < 0 || partition >= consumer->sources[source].n_claims)
        return NULL;
    struct kpid_claim *claim = consumer->sources[source].claims[partition];
    return claim != NULL && claim->state != KPID_CLAIM_NONE ? claim : NULL;
}

/* The shard's place, made if it was never ours. */
static struct kpid_claim *claim_make(struct kpid_consumer *consumer, uint32_t s, int32_t partition)
{
    struct kpid_consumer_source *source = &consumer->sources[s];
    if (partition >= source->n_claims) {
        source->claims = kpid_realloc(source->claims, ((size_t)partition + 1) * sizeof *source->claims);
        while (source->n_claims <= partition)
            source->claims[source->n_claims++] = NULL;
    }
    struct kpid_claim **place = &source->claims[partition];
    if (*place == NULL) {
        *place = kpid_zalloc(1, sizeof **place + source->n_topics * sizeof(struct kpid_feed));
        (*place)->consumer = consumer;
        (*place)->source = s;
        (*place)->partition = partition;
        for (uint32_t t = 0; t < source->n_topics; t++)
            kpid_feed_init(&(*place)->feeds[t], *place, t);
    }
    return *place;
}

/* Calls fn for every shard that was ever ours. */
static void claims_each(struct kpid_consumer *consumer, void (*fn)(struct kpid_claim *, void *), void *arg)
{
    for (uint32_t s = 0; s < consumer->n_sources; s++)
        for (int32_t p = 0; p < consumer->sources[s].n_claims; p++)
            if (consumer->sources[s].claims[p] != NULL)
                fn(consumer->sources[s].claims[p], arg);
}

static uint32_t n_topics(const struct kpid_claim *claim)
{
    return claim->consumer->sources[claim->source].n_topics;
}

static bool is_assigned(const struct kpid_claim *claim)
{
    return claim->feeds[0].queue != NULL;
}

/* All topics of the source have the partition. */
static bool is_complete(const struct kpid_claim *claim)
{
    return claim->partition < claim->consumer->sources[claim->source].complete;
}

static void claim_list(const struct kpid_claim *claim, rd_kafka_topic_partition_list_t *list, bool from_start)
{
    for (uint32_t t = 0; t < n_topics(claim); t++) {
        const struct kpid_feed *feed = &claim->feeds[t];
        rd_kafka_topic_partition_t *entry =
            rd_kafka_topic_partition_list_add(list, kpid_feed_topic(feed), claim->partition);
        int64_t reached = feed->eof_offset > feed->next_offset ? feed->eof_offset : feed->next_offset;
        entry->offset = from_start || reached < 0 ? feed->start_offset : reached;
    }
}

static void claim_feeds_close(struct kpid_claim *claim)
{
    for (uint32_t t = 0; t < n_topics(claim); t++)
        kpid_feed_close(&claim->feeds[t]);
}

static bool claim_feeds_open(struct kpid_claim *claim)
{
    for (uint32_t t = 0; t < n_topics(claim); t++)
        if (!kpid_feed_open(&claim->feeds[t]))
            return false;
    return true;
}

static void error_say(struct kpid_consumer *consumer, const char *what, rd_kafka_error_t *error)
{
    if (error == NULL)
        return;
    kpid_consumer_fault(consumer, rd_kafka_error_is_fatal(error) != 0, "%s: %s", what,
                        rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

/* ---- applying
 * ----------------------------------------------------------------------------------------------- */

/* Lists what librdkafka reads and should not (any more). */
static void stop_list(struct kpid_claim *claim, void *list)
{
    if (is_assigned(claim) && claim->state != KPID_CLAIM_READING && claim->state != KPID_CLAIM_REVOKED)
        claim_list(claim, list, true);
}

static void stop_done(struct kpid_claim *claim, void *unused)
{
    (void)unused;
    if (is_assigned(claim) && claim->state != KPID_CLAIM_READING && claim->state != KPID_CLAIM_REVOKED)
        claim_feeds_close(claim);
}

/* Lists what the owner wants to be read, and makes it so. */
static void start_list(struct kpid_claim *claim, void *list)
{
    if (claim->state != KPID_CLAIM_WANTED || !is_complete(claim))
        return;
    if (!claim_feeds_open(claim)) {
        kpid_consumer_fault(claim->consumer, false, "librdkafka has no queue for partition %d",
                            claim->partition);
        claim_feeds_close(claim);
        return;
    }
    claim->state = KPID_CLAIM_READING;
    claim_list(claim, list, true);
    /* What an earlier reading left in a queue keeps it from waking us: it is cleared out by being served
     * once. */
    for (uint32_t t = 0; t < n_topics(claim); t++)
        kpid_feed_wake(&claim->feeds[t]);
}

static void apply_cooperative(struct kpid_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *stop = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_list_t *start = rd_kafka_topic_partition_list_new(8);
    claims_each(consumer, stop_list, stop);
    if (stop->cnt > 0)
        error_say(consumer, "can't stop reading", rd_kafka_incremental_unassign(consumer->client, stop));
    claims_each(consumer, stop_done, NULL);
    claims_each(consumer, start_list, start);
    if (start->cnt > 0)
        error_say(consumer, "can't start reading", rd_kafka_incremental_assign(consumer->client, start));
    rd_kafka_topic_partition_list_destroy(stop);
    rd_kafka_topic_partition_list_destroy(start);
}

/* What is read already goes on where it is: what was fetched of it is dropped by librdkafka, so the stash is,
 * too. */
static void go_on_list(struct kpid_claim *claim, void *list)
{
    if (claim->state != KPID_CLAIM_READING)
        return;
    claim_list(claim, list, false);
    for (uint32_t t = 0; t < n_topics(claim); t++) {
        struct kpid_feed *feed = &claim->feeds[t];
        int64_t reached = feed->eof_offset > feed->next_offset ? feed->eof_offset : feed->next_offset;
        kpid_feed_restart(feed, reached < 0 ? feed->start_offset : reached);
    }
}

static void apply_eager(struct kpid_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *stop = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_list_t *go_on = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_list_t *start = rd_kafka_topic_partition_list_new(8);
    claims_each(consumer, stop_list, stop);
    claims_each(consumer, stop_done, NULL);
    claims_each(consumer, go_on_list, go_on);
    claims_each(consumer, start_list, start);
    if (stop->cnt > 0 || start->cnt > 0) {
        for (int i = 0; i < start->cnt; i++)
            rd_kafka_topic_partition_list_add(go_on, start->elems[i].topic, start->elems[i].partition)
                ->offset = start->elems[i].offset;
        rd_kafka_resp_err_t error = rd_kafka_assign(consumer->client, go_on);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            kpid_consumer_fault(consumer, false, "can't start reading: %s", rd_kafka_err2str(error));
    }
    rd_kafka_topic_partition_list_destroy(stop);
    rd_kafka_topic_partition_list_destroy(go_on);
    rd_kafka_topic_partition_list_destroy(start);
}

static void something_to_do(struct kpid_claim *claim, void *ret)
{
    bool stop =
        is_assigned(claim) && claim->state != KPID_CLAIM_READING && claim->state != KPID_CLAIM_REVOKED;
    bool start = claim->state == KPID_CLAIM_WANTED && is_complete(claim);
    *(bool *)ret = *(bool *)ret || stop || start;
}

/* ---- revoking
 * ----------------------------------------------------------------------------------------------- */

static void gone_list(struct kpid_claim *claim, void *list)
{
    if (claim->state == KPID_CLAIM_GONE && is_assigned(claim))
        claim_list(claim, list, true);
}

static void gone_done(struct kpid_claim *claim, void *unused)
{
    (void)unused;
    if (claim->state != KPID_CLAIM_GONE)
        return;
    claim_feeds_close(claim);
    claim->state = KPID_CLAIM_NONE;
}

static void revocation_answer(struct kpid_consumer *consumer)
{
    event_del(consumer->revoke_timer);
    consumer->revoking = false;
    if (is_eager(consumer)) {
        rd_kafka_resp_err_t error = rd_kafka_assign(consumer->client, NULL);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            kpid_consumer_fault(consumer, false, "can't give back partitions: %s", rd_kafka_err2str(error));
    } else {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
        claims_each(consumer, gone_list, list);
        error_say(consumer, "can't give back partitions",
                  rd_kafka_incremental_unassign(consumer->client, list));
        rd_kafka_topic_partition_list_destroy(list);
    }
    claims_each(consumer, gone_done, NULL);
}

void kpid_group_apply(struct kpid_consumer *consumer)
{
    if (consumer->revoking && consumer->n_revoked > 0)
        return;
    if (consumer->revoking)
        revocation_answer(consumer);
    if (!consumer->changed)
        return;
    consumer->changed = false;
    bool work = false;
    claims_each(consumer, something_to_do, &work);
    if (work && is_eager(consumer))
        apply_eager(consumer);
    else if (work)
        apply_cooperative(consumer);
}

static void overdue(struct kpid_claim *claim, void *unused)
{
    (void)unused;
    if (claim->state == KPID_CLAIM_REVOKED)
        claim->state = KPID_CLAIM_GONE;
}

void kpid_group_overdue(struct kpid_consumer *consumer)
{
    claims_each(consumer, overdue, NULL);
    consumer->n_revoked = 0;
    kpid_group_apply(consumer);
}

static struct kpid_claim *entry_claim(struct kpid_consumer *consumer, const rd_kafka_topic_partition_t *entry)
{
    uint32_t s, t;
    struct kpid_slice name = {entry->topic, strlen(entry->topic)};
    return kpid_topics_find(consumer, name, &s, &t) != NULL ? claim_make(consumer, s, entry->partition)
                                                            : NULL;
}

static void assigned(struct kpid_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(1);
    if (is_eager(consumer))
        rd_kafka_assign(consumer->client, nothing);
    else
        error_say(consumer, "can't join", rd_kafka_incremental_assign(consumer->client, nothing));
    rd_kafka_topic_partition_list_destroy(nothing);
    for (int i = 0; i < list->cnt; i++) {
        uint32_t s, t;
        struct kpid_slice name = {list->elems[i].topic, strlen(list->elems[i].topic)};
        if (kpid_topics_find(consumer, name, &s, &t) != NULL)
            kpid_topics_grown(consumer, s, list->elems[i].partition + 1);
    }
    for (int i = 0; i < list->cnt; i++) {
        struct kpid_claim *claim = entry_claim(consumer, &list->elems[i]);
        if (claim == NULL || claim->state != KPID_CLAIM_NONE)
            continue;
        claim->state = KPID_CLAIM_ASSIGNED;
        consumer->events.assigned(consumer->ctx, claim->source, claim->partition);
    }
}

static void revoked(struct kpid_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    consumer->revoking = true;
    for (int i = 0; i < list->cnt; i++) {
        struct kpid_claim *claim = entry_claim(consumer, &list->elems[i]);
        if (claim == NULL || claim->state == KPID_CLAIM_NONE || claim->state >= KPID_CLAIM_REVOKED)
            continue;
        claim->state = KPID_CLAIM_REVOKED;
        consumer->n_revoked++;
    }
    struct timeval wait = {OWNER_MAY_TAKE_MS / 1000, OWNER_MAY_TAKE_MS % 1000 * 1000};
    event_add(consumer->revoke_timer, &wait);
    kpid_consumer_pump(consumer);
    for (int i = 0; i < list->cnt; i++) {
        struct kpid_claim *claim = entry_claim(consumer, &list->elems[i]);
        if (claim != NULL && claim->state == KPID_CLAIM_REVOKED)
            consumer->events.revoked(consumer->ctx, claim->source, claim->partition);
    }
}

void kpid_group_rebalance(struct kpid_consumer *consumer, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t what = rd_kafka_event_error(event);
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        consumer->was_assigned = true;
        assigned(consumer, list);
    } else if (what == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        revoked(consumer, list);
    } else {
        kpid_consumer_fault(consumer, false, "rebalance: %s", rd_kafka_event_error_string(event));
        rd_kafka_assign(consumer->client, NULL);
    }
}

/* ---- what the owner says
 * ------------------------------------------------------------------------------------ */

void kpid_consumer_start(struct kpid_consumer *consumer, uint32_t source, int32_t partition,
                         const int64_t *offsets)
{
    struct kpid_claim *claim = kpid_claim_find(consumer, source, partition);
    if (claim == NULL || claim->state >= KPID_CLAIM_REVOKED)
        return;
    for (uint32_t t = 0; t < n_topics(claim); t++) {
        claim->feeds[t].held = false;
        kpid_feed_restart(&claim->feeds[t], offsets[t]);
    }
    if (!is_complete(claim))
        kpid_consumer_fault(consumer, false, "source %s: partition %d is not read: not all topics have it",
                            consumer->model->sources[source].name, partition);
    claim->state = KPID_CLAIM_WANTED;
    consumer->changed = true;
    kpid_consumer_pump(consumer);
}

void kpid_consumer_let_go(struct kpid_consumer *consumer, uint32_t source, int32_t partition)
{
    struct kpid_claim *claim = kpid_claim_find(consumer, source, partition);
    if (claim == NULL || claim->state == KPID_CLAIM_GONE)
        return;
    if (claim->state == KPID_CLAIM_REVOKED) {
        claim->state = KPID_CLAIM_GONE;
        consumer->n_revoked--;
    } else {
        claim->state = KPID_CLAIM_ASSIGNED;
    }
    consumer->changed = true;
    kpid_consumer_pump(consumer);
}
