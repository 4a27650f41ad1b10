/* The daemon's parts and how they hang together. Private to app. */
#ifndef KPID_APP_DAEMON_H
#define KPID_APP_DAEMON_H

#include "kpid/config.h"
#include "kpid/consume.h"
#include "kpid/decode.h"
#include "kpid/evaluator.h"
#include "kpid/follow.h"
#include "kpid/http.h"
#include "kpid/lookup.h"
#include "kpid/publish.h"
#include "kpid/shard.h"
#include "kpid/store.h"
#include "kpid/watermark.h"

#include <event2/event.h>
#include <signal.h>

#define KPID_DAEMON_MAGIC 0x6b706964u

enum kpid_log_level { KPID_LOG_ERROR = 3, KPID_LOG_WARNING = 4, KPID_LOG_NOTICE = 5, KPID_LOG_INFO = 6,
                      KPID_LOG_DEBUG = 7 };

/* A complaint that repeats: told at once, then at doubling intervals, and when it is over. */
struct kpid_complaint {
    int64_t next_ms, interval_ms;
    uint64_t times;
};

enum slot_state {
    SLOT_FREE,
    SLOT_WAITING,  /* for Redis or a retry */
    SLOT_ACQUIRING,
    SLOT_CHECKING, /* restored; is the log still the one that was counted? */
    SLOT_HELD,     /* it is not: a person decides */
    SLOT_ACTIVE
};

struct log_check;
struct kpid_overrides;

struct daemon;

/* Events of a shard that wait for look-ups, in the order in which they came. */
struct waiting_event;
struct wait_queue {
    struct waiting_event *first, *last;
    struct waiting_event *to_ask; /* the first whose look-ups were not asked for; NULL: none */
    size_t n, bytes;
    bool full;
};

/* A shard that Kafka assigned to this instance. */
struct slot_owner {
    struct daemon *daemon;
    uint32_t source;
    int32_t partition;
    enum slot_state state;
    struct kpid_shard *shard;
    struct kpid_store *store;
    bool committing, whole, held_commit, leaving;
    bool restored;             /* there was state in Redis */
    bool lost;                 /* there was, and it is lost: counted again */
    bool anew;                 /* the whole log is counted again, whatever was known of it */
    bool keep;                 /* a mismatch changes nothing in the figures */
    bool hold_then, anew_then; /* to be done once the commit under way is answered */
    bool polling;              /* held: Redis is being asked whether a person decided */
    struct log_check *check;   /* under way, or NULL */
    int64_t asked_ms;          /* monotonic: when Redis last said that it has the state */
    uint64_t noted_cut;        /* cut_done when its offsets were last noted in the group */
    uint64_t cut_done;         /* last cut that is acknowledged */
    uint64_t cut_restored;     /* of a former life, that the state came from */
    uint64_t cut_sent;
    int64_t retry_ms, retry_after_ms;
    bool *held;                /* per topic: as the consumer was told */
    bool *ahead;               /* per topic: to be held, beside a queue that is full */
    struct wait_queue waiting;
    bool *idle;                /* per topic, of this tick */
    int64_t *cut_offsets;      /* per topic: next offset of the last cut, or of what was restored */
    int64_t cut_clock_ms;      /* lowest clock then */
    uint64_t claim_seq;        /* newest commit of which it was told that some topic was idle then; 0: none */
    uint64_t touch_seq;        /* commit with the corrections that a publisher is to tell; 0: none is waited for */
    bool touch_then;           /* the commit under way is that one */
};

/* A shard that another instance owns, as this one follows it. */
struct foreign_shard {
    struct daemon *daemon;
    uint32_t source;
    int32_t partition;
    struct kpid_follower *follower;
    struct kpid_shard *copy;   /* NULL: nothing could be loaded */
    char nonce[33];            /* of the commit that it holds */
    uint64_t seq, evaluated_seq, told_seq;
    int64_t clock_ms;          /* lowest of what was followed last */
    int64_t looked_ms, lived_ms; /* monotonic: last answer; last live record of this nonce */
    bool *idle, *at_end;       /* per topic, as its owner told of this very commit */
    int64_t *ends;             /* per topic: its log's end, -1 not known */
    bool damaged;              /* told in the log */
};

struct source_state {
    struct slot_owner **slots; /* by partition */
    int32_t n_partitions;
    struct kpid_decoder *decoder;
    struct kpid_watermark watermark;
    bool was_read;             /* records were taken in this turn */
    int64_t moved_ms;          /* monotonic: when records were last taken, or there was no lag */
    bool stale;
    struct foreign_shard **foreign; /* by partition */
    struct kpid_shard **active; /* of this tick: own ones, then copies of others' */
    const bool **idle;         /* of each of them */
    size_t n_active, n_all;    /* own ones; with copies */
    struct kpid_watermark newest; /* of the shards whose owners live */
    bool lagging;              /* some owners do not */
    int64_t missing_since_ms;  /* monotonic: when the state of some shard was first not to be had, 0: it is */
    int64_t told_released_ms, told_slowest_ms, told_wants_ms; /* by the publisher, if that is another instance */
    bool past_pending;
    int64_t released_at_cut_ms;
};

/* Bytes of an event that waits in an outbox. */
struct letter_bytes {
    uint32_t source, topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    char *key, *value;
    size_t key_len, value_len;
    bool has_key;
    struct letter_bytes *next;
};

/* What Kafka is asked about a restored shard. It outlives the slot until all answers are there. */
struct log_check {
    struct daemon *daemon;
    struct slot_owner *slot;   /* NULL: it is gone, answers are nobody's */
    struct log_check *next;
    size_t waiting;            /* answers due */
    bool again;                /* something could not be found out: later */
    bool mismatch;
    struct kpid_buf why;
    struct topic_check {
        struct log_check *check;
        uint32_t topic;
        int64_t rebuild_to;    /* -1: not to be rebuilt; KPID_FOREVER: to the log's end */
        int64_t jump_to;       /* with a mismatch: where reading would go on */
    } topics[];
};

struct letter_flight {
    struct daemon *daemon;
    uint32_t source, topic;
    int32_t partition;
    int64_t offset;
    enum kpid_reason reason;
    struct letter_flight *next;
    bool sent; /* the producer has it, and reports */
};

enum round_state { ROUND_IDLE, ROUND_READING /* others' shards */, ROUND_COMMITTING, ROUND_PUBLISHING };

/* This instance among others. */
struct company {
    char *name;                /* in Redis */
    char process[17];
    char holder[128];          /* who publishes, "" nobody */
    char *known;               /* of finals, as heard last */
    bool any;                  /* there are, or lately were, others */
    bool elsewhere;            /* another one publishes */
    bool asked, told_once, clock_off;
    bool headless;             /* Redis has no {alert} */
    bool reconnected;
    size_t n_living;           /* with this one */
    unsigned format;           /* of state: the newest that this one reads and writes */
    unsigned agreed;           /* the newest that all listed instances do; 0: nothing was heard yet */
    int64_t asked_wall_ms, asked_mono_ms, skew_ms;
    int64_t led_ms;            /* monotonic: when another one was last seen to publish; KPID_NEVER / 2: never */
    int64_t connected_ms;      /* monotonic: when Redis was last connected */
    struct kpid_evaluator *watcher; /* of what is final, while another one publishes */
    struct kpid_complaint clash, clock;
};

/* A record that was decoded before its turn; those of one topic-partition only, in their order. */
struct ahead_record {
    int64_t offset;
    enum kpid_reason reason;
    struct kpid_event event;
};

struct daemon {
    unsigned magic;
    const char *path;
    const struct kpid_overrides *overrides;
    int log_level;
    struct kpid_model *model;
    struct event_base *base;
    struct event *tick, *serve, *drain, *signal, *deadline;
    const sigset_t *signals;               /* TERM, INT and HUP, blocked: they are read, so that none is lost in a reload */
    int signal_fd;
    struct kpid_redis *redis;
    struct kpid_consumer *consumer;
    struct kpid_publisher *publisher;
    struct kpid_producer *producer;
    struct kpid_evaluator *evaluator;
    struct kpid_evaluator *loading;        /* while its states come from Redis */
    struct kpid_evaluator *former;         /* while it is asked whether Redis lost what this one told */
    struct kpid_evaluator_source *views;
    struct company company;
    struct kpid_http *http;
    struct kpid_lookups *lookups;
    size_t n_waiting;                      /* events that wait for look-ups */
    struct {
        struct ahead_record at[KPID_DECODE_KEPT]; /* n from `first` on, round and round */
        unsigned first, n;
    } ahead;
    struct source_state *sources;
    bool publisher_ready, publisher_busy, consumer_opened;
    bool publisher_doubt, tell_again;
    uint64_t redis_losses; /* kpid_redis_losses when all was last told */
    int64_t publisher_retry_ms;

    enum round_state round;
    size_t commits_out;
    bool left_behind;                      /* threads of librdkafka of this consumer or one before a reload */
    bool more, evaluated, end_of_input, stopping, last_commit, reloading, finished, failed;
    struct kpid_model *next_model;         /* of a reload, until everything is closed */
    struct kpid_lookups *next_lookups;
    int64_t publish_retry_ms, wall_ms, mono_ms, stop_by_ms;
    uint64_t uncommitted, taken, refetched, last_watchdog_taken;
    int64_t last_progress_ms, last_round_ms, notified_ms;
    bool held_all;

    struct letter_bytes *letters;          /* newest first */
    size_t letters_bytes;
    bool letters_closed; /* shards are gone */
    struct letter_flight *flights;
    size_t n_flights;
    struct log_check *checks;
    uint64_t notes_failed;                 /* as last looked at */
    int64_t notes_retry_ms;
    struct {
        uint64_t letters_sent, letters_lost, letters_failed, letters_waiting, reloads, reload_faults, commit_bytes,
            commit_changed_bytes, mismatches, rebuilds;
    } n;
    int64_t started_ms;                    /* wall */
    struct kpid_complaint redis_down, fault, letters_silent, lookup, log_silent, mismatch;
};

/* log.c */
void kpid_log(const struct daemon *d, enum kpid_log_level level, const char *format, ...) KPID_PRINTF(3, 4);
void kpid_complain(struct daemon *d, struct kpid_complaint *complaint, const char *format, ...) KPID_PRINTF(3, 4);
void kpid_complain_over(struct daemon *d, struct kpid_complaint *complaint, const char *text);
int64_t kpid_now_wall(void);
int64_t kpid_now_mono(void);

/* daemon.c */
bool kpid_daemon_open(struct daemon *d);
void kpid_daemon_close(struct daemon *d);
void kpid_daemon_stop(struct daemon *d, bool reload);
void kpid_daemon_finish(struct daemon *d);

/* pipeline.c */
void kpid_pipeline_record(void *ctx, const struct kpid_record *record);
void kpid_pipeline_ahead(void *ctx, const struct kpid_record *record); /* one that is to come; NULL: none is */
/* Takes a record of an active shard. False: a look-up is awaited, nothing was done. */
bool kpid_pipeline_take(struct slot_owner *slot, const struct kpid_record *record) KPID_MUST_CHECK;

/* wait.c */
void kpid_wait_add(struct slot_owner *slot, const struct kpid_record *record); /* copies */
void kpid_wait_drain(struct daemon *d);
void kpid_wait_clear(struct slot_owner *slot);

/* owner.c */
void kpid_owner_assigned(void *ctx, uint32_t source, int32_t partition);
void kpid_owner_revoked(void *ctx, uint32_t source, int32_t partition);
void kpid_owner_retry(struct daemon *d);
bool kpid_owner_commit(struct slot_owner *slot);
void kpid_owner_free(struct slot_owner *slot);
void kpid_owner_start(struct slot_owner *slot); /* reads from where the shard's state ends */
void kpid_owner_check_later(struct slot_owner *slot); /* asks Kafka again, with backoff */
void kpid_owner_hold(struct slot_owner *slot);  /* commits what it has, then waits for a person */
void kpid_owner_anew(struct slot_owner *slot);  /* drops what was counted, and counts the whole log again */
void kpid_owner_doubt(struct daemon *d);
bool kpid_owner_has(const struct daemon *d, uint32_t source, int32_t partition); /* restored, and at work */
struct slot_owner *kpid_owner_find(const struct daemon *d, uint32_t source, int32_t partition); /* or NULL */

/* check.c */
void kpid_check_begin(struct slot_owner *slot);
void kpid_check_forget(struct slot_owner *slot);
void kpid_check_close(struct daemon *d);
void kpid_check_range(void *ctx, uint32_t source, uint32_t topic, int32_t partition, int64_t offset, int64_t low,
                      int64_t high);

/* mismatch.c */
void kpid_mismatch(struct slot_owner *slot, uint32_t topic, int64_t jump_to, const char *why);

/* notes.c */
struct group_note {
    uint64_t seq;              /* of the commit that it is about, 0: not said */
    int64_t begin;             /* where the topic-partition was first read, -1: not said */
    uint32_t first_partitions; /* of the source, 0: not said */
};
struct group_note kpid_note_parse(const char *text);
void kpid_notes_send(struct daemon *d, bool urgent);
void kpid_witness_take(struct slot_owner *slot);

/* round.c */
extern const struct kpid_sink kpid_no_sink;
void kpid_round_tick(struct daemon *d);
void kpid_round_committed(struct daemon *d);
void kpid_round_publisher(struct daemon *d);
void kpid_round_lost(struct daemon *d);
void kpid_round_read(struct daemon *d); /* the others' shards were looked at */

/* company.c */
void kpid_company_open(struct daemon *d);
void kpid_company_close(struct daemon *d);
void kpid_company_tick(struct daemon *d);
void kpid_company_connected(struct daemon *d);
void kpid_company_leave(struct daemon *d, void (*done)(void *ctx)); /* an orderly end: others need not wait */
bool kpid_company_may_publish(const struct daemon *d);
void kpid_company_owner(struct daemon *d); /* {alert} is this instance's now */

/* foreign.c */
bool kpid_foreign_look(struct daemon *d);  /* true: kpid_round_read is called when all have answered */
void kpid_foreign_close(struct daemon *d);
void kpid_foreign_evaluated(struct daemon *d);
void kpid_foreign_told(struct daemon *d);  /* what was evaluated is published */
/* Appends copies to the shards of a source. *ret_end stays true if all of them stand at their ends. */
void kpid_foreign_survey(struct daemon *d, uint32_t source, bool *ret_end);
/* The lowest highest-event-time of those that are behind and not at their end; KPID_FOREVER: none. */
int64_t kpid_foreign_slowest(const struct daemon *d, uint32_t source);
bool kpid_foreign_lives(const struct foreign_shard *foreign);
size_t kpid_foreign_count(const struct daemon *d); /* copies */
int64_t kpid_foreign_lag(const struct foreign_shard *foreign, uint32_t topic); /* -1: not known */

/* live.c */
void kpid_live_write(struct daemon *d);
bool kpid_live_read(struct foreign_shard *foreign, const char *text, size_t len);

/* time.c */
void kpid_time_update(struct daemon *d);
void kpid_time_of_source(struct daemon *d, uint32_t source);
/* The state of some shard may be older than it was: a watermark that was worked out from that one is void. */
void kpid_time_again(struct daemon *d, uint32_t source);

/* hold.c */
void kpid_hold_update(struct daemon *d);
void kpid_hold_apply(struct slot_owner *slot);
void kpid_hold_skew(struct daemon *d, uint32_t source);
/* The lowest highest-event-time of topic-partitions that are behind and not at their end; KPID_FOREVER: none. */
int64_t kpid_hold_slowest(struct daemon *d, uint32_t source);

/* letters.c */
void kpid_letters_keep(struct daemon *d, const struct kpid_record *record);
void kpid_letters_send(struct daemon *d);
void kpid_letters_close(struct daemon *d);

/* status.c */
bool kpid_status_open(struct daemon *d, struct kpid_buf *error);
void kpid_status_tell(struct daemon *d);
/* status_lookup.c: metrics, and what is wrong in words that go on a line (", look-up agents down"). */
void kpid_status_lookups(const struct daemon *d, struct kpid_buf *body);
void kpid_status_lookups_line(const struct daemon *d, char *text, size_t size);
int64_t kpid_status_lag(const struct daemon *d, bool *ret_known);

#endif
