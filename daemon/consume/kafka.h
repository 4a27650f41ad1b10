/*
 * What the files of the Kafka consumer share. All of it runs on the loop's thread.
 *
 *   kafka.c          opening, closing, the pipe through which librdkafka wakes the loop
 *   kafka_conf.c     properties
 *   kafka_topics.c   how many partitions there are; subscribing
 *   kafka_group.c    what the group gives and takes, what is read from where
 *   kafka_feed.c     a queue per topic-partition; handing over
 *   kafka_status.c   librdkafka's statistics; who stands at the end
 *   kafka_refetch.c  single records once more
 *   kafka_offsets.c  notes beside the group's offsets
 */
#ifndef KPID_CONSUME_KAFKA_H
#define KPID_CONSUME_KAFKA_H

#include "kpid/consume.h"

#include "scan.h"

#include <librdkafka/rdkafka.h>

#define KPID_CONSUMER_MAGIC UINT64_C(0x6b7069642d636f6e)
#define KPID_CONSUMER_BATCH ((size_t)512) /* records taken from a queue at once */
#define KPID_FETCH_WAIT_MS  200           /* fetch.wait.max.ms, unless a property says otherwise */
#define KPID_STATISTICS_MS  1000          /* statistics.interval.ms */
#define KPID_CONTROL_SLOT   UINT32_MAX    /* in the pipe: the client's own queue */

/* One topic-partition of a shard. Its slot, an index into kpid_consumer.slots, is what its queue writes into
 * the pipe; it is given once and for good, so a late wake-up can't reach another one. */
struct kpid_feed {
    struct kpid_claim *claim;
    uint32_t topic, slot;
    rd_kafka_queue_t *queue; /* NULL: not assigned in librdkafka */
    bool held;
    bool waiting; /* the queue woke us, or was left with records, since it was last found empty */
    bool in_ring;
    int64_t start_offset, next_offset, eof_offset; /* the latter -1 until the end was seen */
    rd_kafka_message_t **stash; /* taken from the queue when the feed was held: [stash_at, n_stash) */
    size_t stash_at, n_stash;
    bool at_end;
    int64_t at_end_since_ms;
    /* As of the last statistics. */
    bool fetching;
    int32_t broker, leader;
    int64_t stable_offset, high_offset;
    /* The offset to read at is not in the log; its bounds are being asked for. */
    bool out_of_range, asking;
    int64_t bad_offset, log_end;
    int64_t last_offset; /* of the last record that was handed over, -1: none */
    uint64_t last_hash;
};

enum kpid_claim_state {
    KPID_CLAIM_NONE,     /* not ours */
    KPID_CLAIM_ASSIGNED, /* ours; the owner has not said from where */
    KPID_CLAIM_WANTED,   /* it has; librdkafka has not been told */
    KPID_CLAIM_READING,
    KPID_CLAIM_REVOKED, /* being taken away, the owner has not let go */
    KPID_CLAIM_GONE     /* it has; librdkafka has not been told */
};

struct kpid_claim {
    struct kpid_consumer *consumer;
    uint32_t source;
    int32_t partition;
    enum kpid_claim_state state;
    struct kpid_feed feeds[]; /* one per topic */
};

enum kpid_source_fault { KPID_SOURCE_FINE, KPID_SOURCE_TOPIC_MISSING, KPID_SOURCE_UNEVEN };

struct kpid_source_topic {
    const char *name; /* borrowed from the model */
    rd_kafka_topic_t *handle;
    int32_t partitions; /* 0 unknown or none */
    rd_kafka_resp_err_t error;
};

struct kpid_consumer_source {
    struct kpid_source_topic *topics;
    uint32_t n_topics;
    struct kpid_claim **claims; /* by partition; NULL: never was ours */
    int32_t n_claims;
    int32_t partitions; /* of the topic that has most, as told */
    int32_t complete;   /* how many all topics have */
    enum kpid_source_fault fault;
    bool subscribed;
};

struct kpid_broker {
    int32_t id;
    bool up, seen;
    uint64_t responses;
    int64_t answered_ms; /* when `responses` was last seen to have grown */
};

struct kpid_consumer {
    uint64_t magic;
    const struct kpid_model *model;
    struct event_base *base;
    struct kpid_consumer_events events;
    void *ctx;
    rd_kafka_t *client;
    rd_kafka_queue_t *control;
    bool fatal, hold_all;
    bool watched;      /* the client's own queue was emptied once */
    bool was_assigned; /* the group has said at least once what is ours */
    char *cluster;
    int pipe[2];
    struct event *wake, *pump, *metadata_timer, *revoke_timer, *range_timer;

    struct kpid_consumer_source *sources;
    uint32_t n_sources;
    int metadata_wait_ms;

    struct kpid_feed **slots;
    uint32_t n_slots, cap_slots;
    uint32_t *ring; /* slots that may have records, in turn; cap_slots of room */
    uint32_t ring_at, n_ring;
    rd_kafka_message_t *batch[KPID_CONSUMER_BATCH];

    bool changed;  /* some shard is to be started or stopped */
    bool revoking; /* a revocation was not answered yet */
    uint32_t n_revoked;

    struct kpid_broker *brokers;
    size_t n_brokers;
    int64_t silence_ms; /* a leader that answers nothing for longer is not there */

    char said[256]; /* the last fault and when, not to repeat it at once */
    int64_t said_ms;
    struct kpid_refetcher *refetcher; /* NULL until needed */

    struct kpid_asked *asked; /* questions for the group's offsets that are under way */
    uint32_t commits_out;
    uint64_t commits_done, commits_failed;
};

int64_t kpid_now_ms(void); /* monotonic */

/* kafka.c */
/* Tells the owner, unless it was told the same within the last half minute. */
void kpid_consumer_fault(struct kpid_consumer *consumer, bool fatal, const char *format, ...)
    KPID_PRINTF(3, 4);
/* Has the pump run in the next turn of the loop: it applies what changed and says `ready`. */
void kpid_consumer_pump(struct kpid_consumer *consumer);

/* kafka_conf.c: the client's configuration; `refetch`: of the handle without a group. NULL: `error` says why.
 */
rd_kafka_conf_t *kpid_kafka_conf_new(const struct kpid_settings *settings, bool refetch,
                                     struct kpid_buf *error);
int kpid_kafka_conf_fetch_wait_ms(const rd_kafka_conf_t *conf);

/* kafka_topics.c */
bool kpid_topics_open(struct kpid_consumer *consumer, struct kpid_buf *error);
void kpid_topics_close(struct kpid_consumer *consumer);
void kpid_topics_ask(
    struct kpid_consumer *consumer); /* one metadata request of at most 100 ms, and the next timer */
/* There are at least so many partitions: whoever leads the group may have heard of new ones before this member did. */
void kpid_topics_grown(struct kpid_consumer *consumer, uint32_t source, int32_t partitions);
/* To be called when numbers of partitions in consumer->sources may have changed. */
void kpid_topics_update(struct kpid_consumer *consumer);
struct kpid_source_topic *kpid_topics_find(struct kpid_consumer *consumer, struct kpid_slice name,
                                           uint32_t *ret_source, uint32_t *ret_topic);

/* kafka_group.c */
struct kpid_claim *kpid_claim_find(const struct kpid_consumer *consumer, uint32_t source, int32_t partition);
void kpid_group_rebalance(struct kpid_consumer *consumer, rd_kafka_event_t *event); /* borrows */
void kpid_group_apply(struct kpid_consumer *consumer);
void kpid_group_overdue(struct kpid_consumer *consumer); /* the owner had its 2 s */

/* kafka_feed.c */
void kpid_feed_init(struct kpid_feed *feed, struct kpid_claim *claim, uint32_t topic);
bool kpid_feed_open(struct kpid_feed *feed); /* gets its queue; false: librdkafka refuses */
void kpid_feed_close(struct kpid_feed *feed);
void kpid_feed_release(struct kpid_feed *feed);
void kpid_feed_restart(struct kpid_feed *feed, int64_t offset); /* forgets what was fetched */
void kpid_feed_wake(struct kpid_feed *feed);
const char *kpid_feed_topic(const struct kpid_feed *feed);
void kpid_feed_ranges_find(struct kpid_consumer *consumer);

/* kafka_status.c */
void kpid_statistics_read(struct kpid_consumer *consumer, const char *json, size_t len);
void kpid_feed_end_judge(struct kpid_feed *feed, int64_t now_ms); /* renews at_end */

/* kafka_offsets.c */
void kpid_offsets_noted(struct kpid_consumer *consumer, rd_kafka_event_t *event);     /* borrows */
void kpid_offsets_committed(struct kpid_consumer *consumer, rd_kafka_event_t *event); /* borrows */
void kpid_offsets_close(struct kpid_consumer *consumer);

/* kafka_refetch.c */
/* False: librdkafka still ends it on a thread of its own. */
bool kpid_refetcher_close(struct kpid_consumer *consumer, int64_t deadline_ms);

/* Destroys a handle, on a thread of its own that is left behind if it takes longer than the deadline: then false.
 * Takes. */
bool kpid_kafka_destroy(rd_kafka_t *client, int64_t deadline_ms);

#endif
