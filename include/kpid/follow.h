/*
 * Reading the state of a shard that another instance owns, from one commit to the next, without writing anything. Pages
 * are immutable, so only those are fetched that were not handed over before; the whole state again when the owner is
 * another one, when pages were dropped, or when Redis lost a suffix.
 *
 * A state is handed over only if it is that of one header: the pages that the header's meta names, each as the manifest
 * named it at that seq or earlier, with length and checksum, and the header still that owner's and not gone back.
 * Everything else is AGAIN: nothing is handed over, and the next look begins anew.
 */
#ifndef KPID_FOLLOW_H
#define KPID_FOLLOW_H

#include "kpid/store.h"

struct kpid_follower;

enum kpid_follow_status {
    KPID_FOLLOW_SAME,   /* the header that was handed over last */
    KPID_FOLLOW_NEW,    /* a later one: meta and pages */
    KPID_FOLLOW_ABSENT, /* there is no state */
    KPID_FOLLOW_AGAIN   /* it moved while it was read, or Redis is down: what was handed over last still holds */
};

struct kpid_follow_news {
    enum kpid_follow_status status;
    char nonce[33];
    uint64_t seq;          /* of the header as found */
    const void *meta;      /* NEW only, like the rest */
    size_t meta_len;
    bool whole;            /* pages are all of them: begin with an empty copy */
    const struct kpid_page *pages;
    size_t n_pages;
    const char *live;      /* {t}:l, the owner's live record, or NULL */
    size_t live_len;
};

struct kpid_follow_events {
    /* Which pages a meta consists of, ascending; *ret is allocated, and freed by the follower. False: not to be read. */
    bool (*pages_of)(void *ctx, const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n);
    /* Once for each look, never from within it; everything is borrowed for the call. False: what was handed over could
     * not be used, and the next state is handed over whole. */
    bool (*news)(void *ctx, const struct kpid_follow_news *news);
};

/* Borrows redis, events and ctx; copies the name. Returns, free with _free: then nothing is called any more. */
struct kpid_follower *kpid_follower_new(struct kpid_redis *redis, const struct kpid_store_name *name,
                                        const struct kpid_follow_events *events, void *ctx);
void kpid_follower_free(struct kpid_follower *follower);
/* Asks once; not while an answer is due. */
void kpid_follower_look(struct kpid_follower *follower);
bool kpid_follower_busy(const struct kpid_follower *follower);
const char *kpid_follower_key(const struct kpid_follower *follower); /* "{t}" of kpid/store.h; borrowed */

#endif
