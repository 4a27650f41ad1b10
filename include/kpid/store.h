/*
 * A shard's state in Redis: acquire, restore, commit. Invariant: at every moment Redis holds, for each shard, the fold
 * of exactly the events before the offsets that lie beside it, whoever wrote it.
 *
 * Keys of a shard, with {t} = <prefix>:s:{<cluster>:<group>:<source>:<partition>}, parts percent-encoded:
 *   {t}:h          hash    header: nonce, seq, format, meta (the engine's bytes), pages (how many the manifest has),
 *                          reset (what a person asked for, seldom there)
 *   {t}:m          hash    manifest: page id -> name, length, xxh64
 *   {t}:p:<name>   string  one page, immutable; its name is <page id>.<nonce>.<seq>
 *   {t}:o          set     names that a commit is about to stage, orphans if it never arrives; names that were dropped
 *   {t}:l          string  the owner's live record, while it lives and has company (kpid/follow.h)
 * Commit is one script: refused unless the header holds exactly the (nonce, seq) it builds on; then it writes pages,
 * manifest and header with seq + 1. Commits above KPID_STAGE_BYTES write their pages first, paced; the script then
 * checks that each is there with its length. Old pages go by UNLINK after the acknowledgement, in a script that looks
 * whether the header is still ours and the manifest does without them.
 */
#ifndef KPID_STORE_H
#define KPID_STORE_H

#include "kpid/flow/page.h"
#include "kpid/redis.h"

#ifndef KPID_STAGE_BYTES /* the simulation has a smaller one */
#define KPID_STAGE_BYTES (1u << 20)
#endif

struct kpid_store; /* one shard's keys and what is known of its header */

struct kpid_store_name {
    const char *prefix, *cluster, *group, *source;
    int32_t partition;
};

enum kpid_store_status {
    KPID_STORE_OK,
    KPID_STORE_DOWN,     /* Redis can't be reached or answered an error that may pass. The store keeps the commit: the
                            next one finds out whether it had arrived, and writes it first if not; nothing is to be
                            repeated, but OK comes only with a later call of kpid_store_commit */
    KPID_STORE_BEHIND,   /* Redis lost a suffix, pages, or everything: commit the whole state (commit.reset) */
    KPID_STORE_OTHER,    /* another owner's nonce: drop the memory, acquire again with backoff or let go */
    KPID_STORE_DAMAGED,  /* acquire: a page is missing or wrong: the state is lost, rebuild from Kafka */
    KPID_STORE_FORMAT    /* acquire: written by a newer version: give up, exit non-zero */
};
const char *kpid_store_status_text(enum kpid_store_status status);

/* Borrows redis; copies the name. */
struct kpid_store *kpid_store_new(struct kpid_redis *redis, const struct kpid_store_name *name);
/* Outstanding callbacks are not called any more. Allowed from within them, and after redis was closed. */
void kpid_store_free(struct kpid_store *store);

/* Takes the header over (compare-and-set to a new nonce, seq + 1), reads all pages of the manifest, bounded in memory
 * and in parallel, reads the header again. On OK: meta (len 0: there was no state) and pages in ascending order of ids,
 * borrowed for the call. Orphans are removed. kpid_store_cancel stops it: done is not called. `nonce`: random bytes,
 * drawn by the caller for each acquisition. */
typedef void kpid_store_loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                               const struct kpid_page *pages, size_t n_pages);
void kpid_store_acquire(struct kpid_store *store, const uint8_t nonce[16], kpid_store_loaded *done, void *ctx);
void kpid_store_cancel(struct kpid_store *store);

/*
 * What a person asked for of a shard that holds because its log is not the one that it was counted from (kpictl shard
 * reset): the header's field `reset`, as found by the last acquisition. Who asks takes the header over with a nonce of
 * its own, so that an owner at work notices at its next commit. A commit removes the field.
 */
enum kpid_store_reset {
    KPID_STORE_RESET_NONE,
    KPID_STORE_RESET_KEEP,   /* figures stay, reading goes on */
    KPID_STORE_RESET_REBUILD /* the whole log is counted again */
};
enum kpid_store_reset kpid_store_reset(const struct kpid_store *store);
/* KEYS: header; ARGV: nonce (32 hex digits), "keep" or "rebuild". -> 1, or 0: there is no such shard. */
extern const char kpid_store_reset_script[];

/* Takes the commit (also on failure). One at a time, not while acquiring. done gets OK (with all commits before it),
 * DOWN, BEHIND or OTHER, exactly once, never from within this call. After BEHIND, and after an acquisition that was
 * DAMAGED, only a commit with reset is written; another one gets BEHIND. commit NULL: only what was kept, if anything;
 * without anything it asks whether Redis still holds what was acknowledged. */
typedef void kpid_store_done(void *ctx, enum kpid_store_status status);
void kpid_store_commit(struct kpid_store *store, struct kpid_commit *commit, kpid_store_done *done, void *ctx);

/* Why the last answer was not OK, as a text for a person; "" otherwise. Borrowed until the next call. */
const char *kpid_store_error(const struct kpid_store *store);
/* Bytes of commits that were taken and are not acknowledged: they grow with each commit while Redis is down. */
size_t kpid_store_held_bytes(const struct kpid_store *store);

/* For logs, tests and kpictl. */
uint64_t kpid_store_seq(const struct kpid_store *store);
const char *kpid_store_nonce(const struct kpid_store *store); /* 32 hex digits; borrowed */
const char *kpid_store_key(const struct kpid_store *store); /* "{t}" above; borrowed */

/* Appends a name percent-encoded for keys: %, |, :, {, }, control bytes, and @ always; a leading * or _ too. */
void kpid_key_encode(struct kpid_buf *buf, const char *text, size_t len);

#endif
