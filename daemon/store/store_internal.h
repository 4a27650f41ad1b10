/*
 * A shard's store from the inside:
 *   store.c    life cycle, sending with a way back, names
 *   acquire.c  taking the header over             restore.c  reading the pages
 *   commit.c   the order of commits, what a found header means
 *   write.c    one commit to Redis: staging and the script
 *   sweep.c    removing pages that nothing names any more
 * A task is what may be under way at a time. Each has a run number; an answer that belongs to an older run is nobody's.
 */
#ifndef KPID_STORE_INTERNAL_H
#define KPID_STORE_INTERNAL_H

#include "kpid/store.h"

#define KPID_STORE_MAGIC        0x73746f72u
#define KPID_STORE_FORMAT_TEXT  "1"
#define KPID_STORE_TRIES        8          /* at a header that moves under one's hands */

#ifndef KPID_STORE_FLIGHT_BYTES /* pages under way at a time, in either direction */
#define KPID_STORE_FLIGHT_BYTES (4u << 20)
#endif

enum kpid_store_task { KPID_TASK_LOAD, KPID_TASK_WRITE, KPID_TASK_SWEEP, KPID_TASK_N };

struct kpid_store_load; /* restore.c */

/* How a page is called in Redis. */
struct kpid_store_page {
    char *key;        /* owned: {t}:p:<name> */
    const char *name; /* in key */
    char id[24], len[24], entry[128];
};

/* A commit that was sent, or is about to be, and is not acknowledged. */
struct kpid_store_doubt {
    bool set;
    uint64_t seq; /* never used for another content */
    struct kpid_commit commit;
    struct kpid_store_page *pages;
    size_t page_bytes;
};

struct kpid_store {
    uint32_t magic;
    struct kpid_redis *redis;
    char *key, *header, *manifest, *orphans;
    struct kpid_buf error;
    size_t refs; /* the owner's one, and one for each answer that is due */
    bool freed;
    uint64_t runs[KPID_TASK_N];
    struct kpid_script acquire_script, commit_script, sweep_script;

    char nonce[33]; /* ours, hex */
    bool owned;
    bool absent;     /* the next commit builds on no header */
    bool need_reset; /* Redis does not hold what was acknowledged: only a whole state may follow */
    uint64_t seq;      /* the next commit builds on this */
    uint64_t last_seq; /* highest ever used */

    struct kpid_store_load *load;

    kpid_store_done *done; /* of the commit under way */
    void *done_ctx;
    struct kpid_store_doubt doubt;
    struct kpid_commit next; /* taken, not sent yet: all commits since, as one */
    bool has_next;
    unsigned tries;
    size_t staged, stage_acks, stage_flight; /* write.c: pages sent, answers due, bytes under way */

    bool sweeping, unswept;
    enum kpid_store_reset reset; /* found in the header when it was acquired */
};

typedef void kpid_store_then(struct kpid_store *store, const struct kpid_reply *reply, size_t number);

/* ---- store.c ---- */

void kpid_store_send(struct kpid_store *store, enum kpid_store_task task, const struct kpid_bulk *bulks, size_t n,
                     kpid_store_then *then, size_t number);
/* keys[0..2] are filled in here: header, manifest, orphans. */
void kpid_store_eval(struct kpid_store *store, enum kpid_store_task task, struct kpid_script *script,
                     struct kpid_bulk *keys, size_t n_keys, const struct kpid_bulk *args, size_t n_args,
                     kpid_store_then *then);
/* Answers to what was sent so far are ignored. */
void kpid_store_forget(struct kpid_store *store, enum kpid_store_task task);
void kpid_store_explain(struct kpid_store *store, const struct kpid_reply *reply);
void kpid_store_set_error(struct kpid_store *store, const char *text);
bool kpid_store_parse_u64(const char *text, size_t len, uint64_t *ret);

char *kpid_store_key_of(const struct kpid_store_name *name);          /* "{t}"; returned, free with free() */
char *kpid_store_key_under(const char *key, const char *suffix);      /* likewise */

/* A header as found. */
struct kpid_store_found {
    bool absent, mine, numbered; /* numbered: seq is one */
    uint64_t seq;
};
/* nonce and seq as Redis answered them: nil or empty when missing. */
struct kpid_store_found kpid_store_found_of(const struct kpid_store *store, const struct kpid_reply *nonce,
                                            const struct kpid_reply *seq);
/* Sends HMGET nonce, seq, format. */
void kpid_store_ask_header(struct kpid_store *store, enum kpid_store_task task, kpid_store_then *then);

/* ---- restore.c ---- */

/* An entry of the manifest: "<id>.<nonce>.<seq> <length> <xxh64>". False: it can't be right, or is not there. */
struct kpid_entry_text {
    char name[96];
    uint64_t seq, hash;
    size_t len;
};
bool kpid_store_parse_entry(uint64_t id, const struct kpid_reply *text, struct kpid_entry_text *ret) KPID_MUST_CHECK;

struct kpid_store_load *kpid_load_new(kpid_store_loaded *done, void *ctx);
void kpid_load_free(struct kpid_store_load *load);
/* The header is ours: copies what stood in it, and goes on to the manifest. max_seq: that of no page may be higher. */
void kpid_load_begin(struct kpid_store *store, const struct kpid_reply *meta, const struct kpid_reply *n_pages,
                     uint64_t max_seq);
/* The header is ours but can't be right: DAMAGED, if it still is ours. */
void kpid_load_damaged(struct kpid_store *store, const char *why);
void kpid_load_finish(struct kpid_store *store, enum kpid_store_status status);

/* ---- commit.c ---- */

void kpid_doubt_release(struct kpid_store_doubt *doubt);
/* What became of store->doubt. */
void kpid_commit_acknowledged(struct kpid_store *store);
void kpid_commit_refused(struct kpid_store *store, const struct kpid_store_found *found);
void kpid_commit_lost(struct kpid_store *store); /* the header is ours, but pages are missing in the manifest */
void kpid_commit_down(struct kpid_store *store); /* the error is set; the doubt stays */

/* ---- write.c ---- */

void kpid_write_doubt(struct kpid_store *store);
/* The doubt is about to be dropped. Another owner may have swept its names away before its pages were written: they are
 * put down once more, for who owns the shard then. */
void kpid_write_abandon(struct kpid_store *store);

/* ---- sweep.c ---- */

void kpid_store_sweep(struct kpid_store *store);

#endif
