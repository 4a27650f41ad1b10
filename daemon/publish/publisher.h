/*
 * Inside of the publisher: what its files share. A round is built in `next`; kpid_round_send moves it to
 * `kept`, where it stays, unchanged, until Redis has answered for all of it. So what is sent again after a
 * lost connection is the same bytes under the same (seq) and (term, tick), and scripts and replies can tell
 * that it had arrived.
 */
#ifndef KPID_PUBLISH_PUBLISHER_H
#define KPID_PUBLISH_PUBLISHER_H

#include "kpid/publish.h"
#include "scripts.h"

struct event;

#define KPID_PUBLISHER_MAGIC 0x6b707562u
#define KPID_FLIGHT_BYTES    (4u << 20)   /* sent and not answered, at most */
#define KPID_BATCH_BYTES     (512u << 10) /* of one script call, unless one snapshot alone is larger */
#define KPID_BATCH_ENTRIES   1000u

/* Bytes in a buffer that may still move. */
struct kpid_piece {
    size_t at, len;
};

/* One bulk of a command in the making: borrowed bytes, or (bytes NULL) a piece of scratch, which may still
 * move. */
struct kpid_part {
    const void *bytes;
    struct kpid_piece piece;
};

struct kpid_alert_op {
    char kind; /* as in the script: t s f x */
    bool active, notify;
    struct kpid_piece key, value, id, field;
};

struct kpid_entry {
    uint8_t op; /* kpid_place bits or KPID_OP_... */
    bool kafka; /* goes to the snapshots' topic too */
    bool again; /* readers may have the window from before: a revision, or told again */
    uint32_t revision, seq;
    int64_t start_ms;
    uint64_t samples, field_hash;
    struct kpid_piece field, json;
};

/* A value for Redis' own commands. */
struct kpid_value_op {
    struct kpid_piece tag, rest, bytes; /* of the key: "<measure>", ":<window>:<start>[:<group>]" */
    int64_t ttl_ms;                     /* 0: none */
};

struct kpid_list {
    struct kpid_entry *entries;
    size_t n, cap;
};

/* Of a writer: as it stands beside what it wrote. {0, 0}: nobody's. */
struct kpid_stamp {
    uint64_t term, tick;
};

/* What lies in one slot of Redis: one (KPI, window), or the values of one measure. By name: it outlives a reload, as a
 * round that is kept may still name it. */
struct kpid_slot {
    char *tag;   /* "<kpi>:<window>" or "<measure>", encoded for keys */
    char *label; /* "<kpi>|<window>|", the beginning of Kafka keys; NULL: values */
    struct kpid_stamp acknowledged; /* the last that stood there */
    struct kpid_stamp noted;        /* in {alert} */
    bool expired;                   /* by now, of what {alert} has noted */
    uint32_t history, history_groups;
    int64_t ttl_ms, win_ttl_ms; /* 0: none */
    int64_t final_ms;           /* last final boundary that was stored or is about to be */
    struct kpid_buf meta;       /* last @meta */
};

struct kpid_batch {
    struct kpid_publisher *publisher;
    uint32_t slot;
    bool values, windows, acknowledged, in_flight; /* values: of the round's, the others are of a slot's list */
    size_t first, n, bytes; /* entries of the slot's list; bytes of the command, roughly */
    uint64_t tick;
};

struct kpid_round {
    struct kpid_buf bytes;
    struct kpid_alert_op *transitions, *ops;
    size_t n_transitions, cap_transitions, n_ops, cap_ops;
    struct kpid_list *snaps, *windows; /* per slot */
    size_t n_lists;
    struct kpid_value_op *values; /* one measure's stand together */
    size_t n_values, cap_values;
    uint32_t *touched; /* slots with entries, in the order of their first one */
    size_t n_touched, cap_touched;
    uint32_t n_entries;
    /* once it is kept */
    bool alerts_done, unsure;
    struct kpid_batch **batches;
    size_t n_batches, cap_batches, n_acknowledged;
    size_t at_slot, at_entry; /* cursor: where the next batch begins */
    bool at_windows;
    size_t at_value;
};

/* An alert that the receiver has not confirmed. */
struct kpid_notice {
    struct kpid_publisher *publisher;
    bool gone; /* let go: whoever answers for it last frees it */
    struct kpid_notice *previous, *next;
    enum { KPID_NOTICE_WAITS, KPID_NOTICE_SENT, KPID_NOTICE_DELIVERED, KPID_NOTICE_REMOVING } step;
    int64_t at_ms;
    struct kpid_buf field, json;
};

struct kpid_publisher {
    unsigned magic;
    struct event_base *base;
    struct kpid_redis *redis;
    const struct kpid_model *model;
    struct kpid_producer *producer;
    struct event *later, *retry;
    struct kpid_script scripts[KPID_SCRIPT_N];
    char *prefix;

    /* ownership */
    bool owner, undisturbed, lost, behind;
    char nonce[33], last_nonce[33]; /* hex; the latter of the acquisition before */
    char tried_nonce[33];           /* of one that was begun since, and whose answer may have been lost */
    bool taken;                     /* the header was set to `nonce` */
    char *holder;                   /* of leases, NULL: there are none */
    int64_t lease_ms;
    bool heir;                      /* a lease of the same holder is one of an earlier life */
    uint64_t seq, last_seq, term, tick;
    uint64_t told;         /* seq up to which readers have everything */
    int64_t taken_ms;      /* Redis' clock then, or later */
    bool telling_again;    /* as the header says */
    bool stamps_failed;
    size_t stamps_asked; /* and not answered */
    void (*stamps_done)(struct kpid_publisher *publisher, bool asked);
    struct kpid_acquisition *acquisition; /* under way, or NULL */

    /* rounds */
    struct kpid_slot *slots;
    size_t n_slots, cap_slots;
    uint32_t *slot_of, *slot_base; /* slot_of[slot_base[kpi] + window] */
    struct kpid_round next, kept;
    bool busy, again, failed, refused;
    size_t flight_bytes, n_flight, at_batch;
    enum kpid_publish_status status;
    kpid_published *done;
    void *done_ctx;

    struct kpid_notice *notices, *last_notice; /* by at_ms */
    size_t n_notices;

    /* commands not yet answered hold the memory, see kpid_publisher_free */
    size_t calls;
    bool dead;
    struct kpid_part *parts; /* of the command that is being put together */
    size_t n_parts, cap_parts;
    struct kpid_bulk *bulks;
    size_t cap_bulks;
    struct kpid_buf scratch;
    struct kpid_publish_stats stats;
};

/* ---- publisher.c, acquire.c ---- */

/* First statement of every reply callback: false when the publisher was freed meanwhile (it may be gone
 * then). */
bool kpid_publisher_answered(struct kpid_publisher *publisher);
/* Ownership is lost or about to be taken anew: rounds and notices go, Redis holds what counts. */
void kpid_publisher_let_go(struct kpid_publisher *publisher);
void kpid_publisher_write_index(struct kpid_publisher *publisher);
struct kpid_slot *kpid_publisher_slot(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window);
struct kpid_slot *kpid_publisher_slot_named(struct kpid_publisher *publisher, const char *tag, size_t len);
/* Index of that of a measure's values, by its encoded name; made if there is none. */
uint32_t kpid_publisher_values_slot(struct kpid_publisher *publisher, const char *tag, size_t len);
void kpid_acquisition_free(struct kpid_acquisition *acquisition);
bool kpid_reply_is_down(const struct kpid_reply *reply);

/* ---- command.c: a command is put together bulk by bulk, then sent ---- */

void kpid_part_add(struct kpid_publisher *publisher, const void *bytes,
                   size_t len);                                             /* borrows until it is sent */
void kpid_part_add_str(struct kpid_publisher *publisher, const char *text); /* borrows likewise */
void kpid_part_add_int(struct kpid_publisher *publisher, int64_t value);
void kpid_part_add_uint(struct kpid_publisher *publisher, uint64_t value);
/* "<prefix>:{alert}:<name>" */
void kpid_part_add_alert_key(struct kpid_publisher *publisher, const char *name);
/* "<prefix>:<kind>:{<tag>}", and with a start ":<start>" behind it */
void kpid_part_add_slot_key(struct kpid_publisher *publisher, const char *kind, const char *tag);
void kpid_part_add_win_key(struct kpid_publisher *publisher, const char *tag, int64_t start_ms);
/* "<prefix>:hll:{<tag>}<rest>" */
void kpid_part_add_value_key(struct kpid_publisher *publisher, const char *tag, size_t tag_len, const char *rest,
                             size_t rest_len);
/* As "term:tick". */
void kpid_part_add_stamp(struct kpid_publisher *publisher, struct kpid_stamp stamp);
/* Sends what was collected as a command, or as the keys (the first n_keys) and arguments of a script. Nothing
 * is collected any more after it. done NULL: the reply is not looked at. */
void kpid_parts_send(struct kpid_publisher *publisher, kpid_redis_done *done, void *ctx);
void kpid_parts_eval(struct kpid_publisher *publisher, enum kpid_script_name script, size_t n_keys,
                     kpid_redis_done *done, void *ctx);
bool kpid_reply_failed(const struct kpid_reply *reply); /* DOWN or an error: try again */
/* An array that begins with the integer 1. */
bool kpid_reply_accepted(const struct kpid_reply *reply);

/* ---- round.c, batch.c, send.c ---- */

void kpid_round_clear(struct kpid_round *round);
void kpid_round_release(struct kpid_round *round);
bool kpid_round_empty(const struct kpid_round *round);
/* Next batch of a kept round: cut at the cursor, NULL when there is none left. */
struct kpid_batch *kpid_round_cut(struct kpid_publisher *publisher, struct kpid_round *round);
const struct kpid_entry *kpid_batch_entries(const struct kpid_round *round, const struct kpid_batch *batch);
void kpid_batch_send(struct kpid_publisher *publisher, const struct kpid_batch *batch, kpid_redis_done *done,
                     void *ctx);
/* value.c: the same for batches of values; NULL: there is none left. */
struct kpid_batch *kpid_values_cut(struct kpid_publisher *publisher, struct kpid_round *round);
void kpid_values_send(struct kpid_publisher *publisher, const struct kpid_batch *batch, kpid_redis_done *done,
                      void *ctx);
void kpid_batch_prune(struct kpid_publisher *publisher, const struct kpid_batch *batch,
                      const struct kpid_reply *reply);
void kpid_batch_produce(struct kpid_publisher *publisher, const struct kpid_batch *batch);
void kpid_publisher_later(int fd, short what, void *ctx); /* event: reports the end of a round */

/* ---- stamp.c: by what a successor notices that figures outside of {alert} went back ---- */

/* An entry of :{alert}:written, while {alert} is taken over. */
void kpid_stamp_found(struct kpid_publisher *publisher, const char *tag, size_t tag_len, const char *bytes,
                      size_t len);
/* Asks each slot for its stamp and sets `behind` if one went back; then calls done: whether all could be asked. */
void kpid_stamps_compare(struct kpid_publisher *publisher,
                         void (*done)(struct kpid_publisher *publisher, bool asked));

/* ---- notice.c ---- */

/* Copies both; sent by the next kpid_notices_retry. `field` is the outbox's: "<id>:<state>". */
void kpid_notice_add(struct kpid_publisher *publisher, const char *field, size_t field_len, const char *json,
                     size_t json_len);
void kpid_notices_let_go(struct kpid_publisher *publisher);
void kpid_notices_retry(int fd, short what, void *ctx); /* event */

#endif
