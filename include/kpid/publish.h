/*
 * What readers find: snapshots, windows, history, alerts, index in Redis (REDIS.md; JSON Schema in conf/), optional
 * Kafka topics, dead letters. One publisher owns the {alert} keys as an owner owns a shard: header compare-and-set.
 *
 * Keys of the publisher's own state, beside the public ones: <prefix>:{alert}:h (header: nonce, seq, term),
 * :{alert}:state (hash: rule name|KPI|window|group -> packed kpid_alert), :{alert}:final (hash: KPI:window -> last
 * final boundary, the one before that, seq that wrote it; the header's `told` is the seq up to which all was published),
 * :{alert}:written (hash: KPI:window or measure -> term:tick that stood beside its figures then, when they expire),
 * :{alert}:ids (hash: key of a state -> its id in :active), :{alert}:outbox (hash: alert id:state ->
 * JSON not yet confirmed; at most log_cap of them). KPI:window stands percent-encoded, as in the public keys.
 * Of several instances: :{alert}:lease (string: nonce, holder; expires), :{alert}:instances (hash: instance -> when it was
 * last seen, its process, its record), :{alert}:notes (hash: what the publisher tells the others).
 */
#ifndef KPID_PUBLISH_H
#define KPID_PUBLISH_H

#include "kpid/evaluate.h"
#include "kpid/flow/record.h"
#include "kpid/redis.h"

struct event_base;
struct kpid_publisher;

enum kpid_publish_status { KPID_PUBLISH_OK, KPID_PUBLISH_DOWN /* try again */, KPID_PUBLISH_OTHER /* not owner */,
                           KPID_PUBLISH_BUSY /* the lease of another one's has not run out */ };

/* Borrows redis and model. Returns, free with _free, before redis is closed or after: callbacks are not called any
 * more. */
struct kpid_publisher *kpid_publisher_new(struct event_base *base, struct kpid_redis *redis,
                                          const struct kpid_model *model);
void kpid_publisher_free(struct kpid_publisher *publisher);
/* After a reload: other definitions from now on. */
void kpid_publisher_set_model(struct kpid_publisher *publisher, const struct kpid_model *model);

/* Takes {alert} over: new nonce, term = max(stored + 1, Redis TIME in us). Then calls `state` for each stored alert
 * state and `final` for each stored last final boundary, with the one up to which readers are known to have the figures,
 * then done. Keys and bytes are borrowed. They are read in
 * pieces, so in a large hash one may come twice, with the same bytes; after any status but OK what came is void.
 * Drops rounds that were not published. Not while a round is under way. */
struct kpid_publisher_loaded {
    void (*state)(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len);
    void (*final)(void *ctx, const char *key, size_t key_len, int64_t boundary_ms, int64_t told_ms);
    void (*done)(void *ctx, enum kpid_publish_status status);
};
void kpid_publisher_acquire(struct kpid_publisher *publisher, const uint8_t nonce[16],
                            const struct kpid_publisher_loaded *loaded, void *ctx);

/*
 * Several instances. {alert} is safe by its header alone; so that it does not change hands for nothing, its owner holds a
 * lease that runs out unless it is renewed by kpid_publisher_present, and until then others find BUSY. A lease that was
 * held by the same holder before this process ran is its own. Without a call of this there are no leases.
 */
void kpid_publisher_set_lease(struct kpid_publisher *publisher, const char *holder, int64_t lease_ms);

/* One call a tick: tells that this instance lives, renews the lease if {alert} is its own, and hears of the others. */
struct kpid_presence {
    const char *process;       /* a random word of this process */
    const char *record;        /* JSON: what is told of this instance */
    int64_t forget_ms;         /* instances that were silent for so long are forgotten */
    const char *known;         /* of finals: as heard last, "": nothing is known; NULL: they are not asked for */
    const struct kpid_pair *notes; /* of the publisher to the others */
    size_t n_notes;
};
struct kpid_presence_heard {
    int64_t redis_us;          /* Redis' clock */
    bool owner;                /* {alert} is this instance's */
    const char *holder;        /* of the lease, "" none */
    const char *known;         /* names the state of finals */
    const char *process;       /* that told of an instance of this name last, "" none */
    const struct kpid_reply *instances, *finals, *notes; /* name, text ...; finals: empty if they are as known */
};
/* NULL: Redis is down. Borrowed for the call. */
typedef void kpid_presence_done(void *ctx, const struct kpid_presence_heard *heard);
void kpid_publisher_present(struct kpid_publisher *publisher, const struct kpid_presence *presence,
                            kpid_presence_done *done, void *ctx);
/* {alert} is given back, with its lease, and the instance is no longer listed. Drops rounds; not while one is under way.
 * done NULL: not wanted. */
void kpid_publisher_leave(struct kpid_publisher *publisher, void (*done)(void *ctx), void *ctx);

/* A value of :{alert}:final, and up to where readers are known to have the figures (told: of the header). */
struct kpid_final {
    int64_t boundary_ms, told_ms;
};
bool kpid_final_parse(const char *bytes, size_t len, uint64_t told, struct kpid_final *ret) KPID_MUST_CHECK;

/* What the last acquisition found since this publisher last had {alert}: whether nobody else had it, and, if so, whether
 * Redis holds less than it had acknowledged. */
bool kpid_publisher_undisturbed(const struct kpid_publisher *publisher);
bool kpid_publisher_lost(const struct kpid_publisher *publisher);

/* Whether what lies outside of {alert} went back: figures in other slots that a former owner, or this one, had told are
 * gone, or were not told again to the end. kpid_round_again says that they are about to be; until the kpid_round_told
 * after it a successor finds `behind` as well. */
bool kpid_publisher_behind(const struct kpid_publisher *publisher);
void kpid_round_again(struct kpid_publisher *publisher);

/*
 * A round: what one tick found. First the alerts (one script: header compared; states, finals, log, active and outbox
 * written together), then, on its acknowledgement, the snapshots. Build it with the calls below in any order, then
 * send; one round is under way at a time. Everything is copied or rendered at the call. Calls while a round is under
 * way build the next one.
 * Done says OK; or DOWN: the round is kept, unchanged, whether or not parts of it arrived; send again, with backoff,
 * until it is OK, and add nothing large meanwhile (what is added goes out behind it, in the same send); or OTHER:
 * somebody else owns {alert}, or Redis lost what this round builds on: all rounds are dropped, acquire again.
 * A deleted state takes its alert out of :active. A final or @meta that equals the last one costs nothing.
 */
void kpid_round_state(struct kpid_publisher *publisher, const char *key, size_t key_len, const void *bytes, size_t len);
void kpid_round_state_delete(struct kpid_publisher *publisher, const char *key, size_t key_len);
void kpid_round_final(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window, int64_t boundary_ms);
void kpid_round_transition(struct kpid_publisher *publisher, const struct kpid_transition *transition);

enum kpid_place {
    KPID_PLACE_NEWEST = 1,  /* kpi:snap field <group> */
    KPID_PLACE_FINAL = 2,   /* kpi:snap field <group>@final */
    KPID_PLACE_WINDOW = 4,  /* kpi:win and kpi:wins; all groups of a window in one round: the largest are chosen */
    KPID_PLACE_HISTORY = 8, /* kpi:hist (totals) */
    KPID_PLACE_AGAIN = 64   /* beside the others: told again because Redis lost it; history says `restarted` */
};
void kpid_round_snapshot(struct kpid_publisher *publisher, const struct kpid_snapshot *snapshot, int64_t as_of_ms,
                         int64_t lag, unsigned places);
/* kpi:hll of a window: `cell` is of the sketch's measure, read where the snapshot was; NULL: readers are to have none any
 * more. Kept as long as kpi:win. */
void kpid_round_sketch(struct kpid_publisher *publisher, uint32_t kpi, const struct kpid_sketch *sketch,
                       const struct kpid_snapshot *snapshot, const void *cell);
/* @meta of a snapshot hash. */
void kpid_round_meta(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window, int64_t as_of_ms,
                     int64_t watermark_ms, int64_t lag);
/* The group is gone: its fields are deleted. */
void kpid_round_group_delete(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window, const char *const *group);

typedef void kpid_published(void *ctx, enum kpid_publish_status status);
/* Readers have all that was published so far. Sent at once, ahead of any commit that lets go of what telling it again
 * would need. */
void kpid_round_told(struct kpid_publisher *publisher);
void kpid_round_send(struct kpid_publisher *publisher, kpid_published *done, void *ctx);
bool kpid_round_busy(const struct kpid_publisher *publisher);
/* Bytes that wait, built and kept: who has very many groups sends in between. */
size_t kpid_round_bytes(const struct kpid_publisher *publisher);

/* Renders a snapshot as the contract's JSON (also kpictl's). */
void kpid_snapshot_json(const struct kpid_model *model, const struct kpid_snapshot *snapshot, int64_t as_of_ms,
                        int64_t lag, struct kpid_buf *out);

/* ---- Kafka: snapshots, alerts (MessagePack or JSON) and dead letters ---- */

struct kpid_producer;
/* Opened once when the configuration names a topic or dead letters are on; NULL: `error` says why. */
struct kpid_producer *kpid_producer_open(const struct kpid_model *model, struct event_base *base,
                                         struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_producer_close(struct kpid_producer *producer); /* flushes for at most 1 s */
void kpid_publisher_set_producer(struct kpid_publisher *publisher, struct kpid_producer *producer); /* borrows */

/* A dead letter: original key and value (value NULL: lost, headers alone), headers reason, topic, partition, offset.
 * done is called with true once the broker has it, false when it failed (try again later). */
typedef void kpid_letter_done(void *ctx, bool delivered);
void kpid_producer_letter(struct kpid_producer *producer, const struct kpid_record *record, const char *topic,
                          const char *reason, kpid_letter_done *done, void *ctx);
size_t kpid_producer_pending(const struct kpid_producer *producer);

struct kpid_publish_stats {
    uint64_t rounds, snapshots, transitions, refused, failed, outbox, kafka_sent, kafka_failed;
};
void kpid_publisher_stats(const struct kpid_publisher *publisher, struct kpid_publish_stats *ret);

#endif
