/*
 * Sources of records: Kafka (librdkafka behind libevent) and files, with one interface. The consumer decides nothing
 * about figures: it says which shards this instance owns, waits until the owner has restored a shard and names the
 * offsets to read from, then hands records over in the order of each topic-partition, at most a budget a turn.
 *
 * Kafka: one consumer handle for all sources; the group subscribes to the first topic of each source, partition p of
 * its other topics is assigned by hand together with p of the first. A queue per topic-partition is served by batch;
 * a held topic-partition's queue is simply not served, so what was fetched stays and fetching stops by itself.
 * Offsets in Kafka are never resumed from (auto.offset.reset=error, enable.auto.commit=false).
 */
#ifndef KPID_CONSUME_H
#define KPID_CONSUME_H

#include "kpid/buf.h"
#include "kpid/flow/record.h"
#include "kpid/model.h"

struct event_base;
struct kpid_consumer;

#define KPID_CONSUMER_AHEAD 3

/* What the owner of a consumer wants to hear. `ctx` is handed back. Never called from within another callback. */
struct kpid_consumer_events {
    /* A shard was assigned. The owner restores it and then calls kpid_consumer_start. */
    void (*assigned)(void *ctx, uint32_t source, int32_t partition);
    /* It is being taken away: commit what can be committed, then call kpid_consumer_let_go (within 2 s). */
    void (*revoked)(void *ctx, uint32_t source, int32_t partition);
    /* One record. Everything in it is borrowed for the call. */
    void (*record)(void *ctx, const struct kpid_record *record);
    /* A record that is on its way, KPID_CONSUMER_AHEAD before its turn, to prepare for it; NULL: none of those told
     * before is. Borrowed until its turn or that. It may never come. May be NULL. */
    void (*ahead)(void *ctx, const struct kpid_record *record);
    /* Records are waiting: call kpid_consumer_serve soon. Edge, repeated after each serve that left some. */
    void (*ready)(void *ctx);
    /* A fault of a topic-partition or of the client; text is borrowed. `fatal`: nothing will come any more. */
    void (*fault)(void *ctx, const char *text, bool fatal);
    /* How many partitions the source has, from metadata; called before any assigned(), and when it changes. */
    void (*partitions)(void *ctx, uint32_t source, int32_t n);
    /* The log does not have the offset to read at: its first record is at `low` (`high`, if there is none), its end at
     * `high`. That topic-partition stands still until its shard is started anew. May be NULL: it comes as a fault. */
    void (*out_of_range)(void *ctx, uint32_t source, uint32_t topic, int32_t partition, int64_t offset, int64_t low,
                         int64_t high);
};

/* Opens a consumer over the model's sources on the loop. Borrows model, base and events. NULL: `error` says why (bad
 * property, topics of one source with different numbers of partitions …). Returns, close with _close. */
struct kpid_consumer *kpid_consumer_open(const struct kpid_model *model, struct event_base *base,
                                         const struct kpid_consumer_events *events, void *ctx,
                                         struct kpid_buf *error) KPID_MUST_CHECK;
/* Leaves the group (static members do not), within 2 s also when no broker answers. False: threads of librdkafka have not
 * ended by then and go on; a process that ends now must not run what clears up after it (_exit). */
bool kpid_consumer_close(struct kpid_consumer *consumer);

/* Starts reading a shard: offsets[topic] is the next offset to read, or KPID_OFFSET_BEGINNING or KPID_OFFSET_END. */
#define KPID_OFFSET_BEGINNING INT64_C(-2)
#define KPID_OFFSET_END       INT64_C(-1)
void kpid_consumer_start(struct kpid_consumer *consumer, uint32_t source, int32_t partition, const int64_t *offsets);
void kpid_consumer_let_go(struct kpid_consumer *consumer, uint32_t source, int32_t partition);

/* Holds or releases one topic-partition (max_skew), or everything (back-pressure). Works at once, also from within
 * record(): what was fetched is kept. Starting a shard releases it. */
void kpid_consumer_hold(struct kpid_consumer *consumer, uint32_t source, uint32_t topic, int32_t partition, bool hold);
void kpid_consumer_hold_all(struct kpid_consumer *consumer, bool hold);

/* Hands over at most `budget` records, turn by turn over the queues. Returns how many it handed over. */
size_t kpid_consumer_serve(struct kpid_consumer *consumer, size_t budget);

/* What is known of one topic-partition. */
struct kpid_consumer_status {
    int64_t next_offset;      /* of what was handed over; until then as it was started */
    int64_t end_offset;       /* last stable offset, -1 unknown */
    int64_t lag;              /* end - next, -1 unknown; 0 also when only control records are between */
    bool at_end;              /* the end-of-partition event stands at the last stable offset and that is the high
                                 watermark, the leader is connected and answers fetches, it is not held */
    int64_t at_end_since_ms;  /* monotonic ms, when at_end */
    int64_t last_offset;      /* of the last record handed over since the start, -1: none */
    uint64_t last_hash;       /* and its kpid_record_hash */
};
/* False: not ours. now_ms is monotonic. */
bool kpid_consumer_status(const struct kpid_consumer *consumer, uint32_t source, uint32_t topic, int32_t partition,
                          int64_t now_ms, struct kpid_consumer_status *ret);

/* The broker's cluster id ("" until known) and the number of records fetched and waiting. Borrowed. */
const char *kpid_consumer_cluster(const struct kpid_consumer *consumer);

/* What was found at an offset of a log. */
enum kpid_log_look {
    KPID_LOG_RECORD,  /* the record */
    KPID_LOG_GONE,    /* no record any more (retention, compaction), or never (control records); later ones may be */
    KPID_LOG_BEYOND,  /* the log ends at or before it */
    KPID_LOG_MISSING, /* there is no such topic or partition */
    KPID_LOG_SILENT   /* the leader said nothing for 5 s: nobody knows */
};
/* Fetches one record again (dead letters after a restart, witnesses): calls done once, later. `record` (borrowed) goes
 * with RECORD only, `end_offset`, the log's last stable offset, with BEYOND only. KPID_OFFSET_BEGINNING: the first
 * record that the log still has, BEYOND if it has none; KPID_OFFSET_END: where it ends (BEYOND), or the record that
 * has just been written there. Closing calls nothing; what `ctx` holds stays the owner's. */
typedef void kpid_refetched(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset);
void kpid_consumer_refetch(struct kpid_consumer *consumer, uint32_t source, uint32_t topic, int32_t partition,
                           int64_t offset, kpid_refetched *done, void *ctx);

/*
 * Offsets in the group, kept there as a witness that there was state and never resumed from. Committing is
 * asynchronous, one request at a time: false, an earlier one is still under way and `urgent` was not said. What came
 * of it stands in kpid_consumer_commits.
 */
struct kpid_offset_note {
    uint32_t source, topic;
    int32_t partition;
    int64_t offset;
    const char *text; /* metadata, below 4,096 bytes; borrowed */
};
bool kpid_consumer_commit(struct kpid_consumer *consumer, const struct kpid_offset_note *notes, size_t n, bool urgent);
void kpid_consumer_commits(const struct kpid_consumer *consumer, uint64_t *ret_done, uint64_t *ret_failed);
/* Asks the group for the notes of all partitions of all topics of a source: calls done once, later, with those that
 * are there (n may be 0), or with NULL if no answer came: ask again. Everything is borrowed for the call. Closing
 * calls nothing. */
typedef void kpid_noted(void *ctx, const struct kpid_offset_note *notes, size_t n);
void kpid_consumer_noted(struct kpid_consumer *consumer, uint32_t source, kpid_noted *done, void *ctx);

/*
 * A file: JSON lines {"topic": …, "key": …, "value": {…} | "raw": "…"[, "partition": n]}, plain JSON events (then
 * `topic` names theirs), or recorded frames (MessagePack arrays [topic, partition, offset, timestamp ms, key, value]);
 * told apart by the first byte. Lines go to partition murmur2(key) mod partitions, as Kafka's Java client does.
 * Topics that no source reads are skipped and counted. "-" is standard input.
 */
struct kpid_file_options {
    const char *topic;        /* for plain events */
    int32_t partitions;       /* default 1 */
};
struct kpid_file;
struct kpid_file *kpid_file_open(const char *path, const struct kpid_model *model,
                                 const struct kpid_file_options *options, struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_file_close(struct kpid_file *file);
/* Hands over at most `budget` records. Returns how many; 0 = end. -1: the file is damaged at the line or frame that
 * `error` names. */
long kpid_file_serve(struct kpid_file *file, size_t budget, void (*record)(void *ctx, const struct kpid_record *),
                     void *ctx, struct kpid_buf *error) KPID_MUST_CHECK;
/* Bytes read and bytes in all (0 = not known), for progress; records skipped because no source reads their topic. */
void kpid_file_progress(const struct kpid_file *file, uint64_t *ret_read, uint64_t *ret_total, uint64_t *ret_skipped);

#endif
