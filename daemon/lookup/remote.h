/*
 * A look-up in Redis: what is known of keys, and asking for the rest over a connection of its own. An answer serves for
 * `refresh`; an older one is asked for again and serves meanwhile up to twice that age. Questions of a turn of the loop
 * go out together; at most KPID_ASKING_MAX are under way.
 */
#ifndef KPID_LOOKUP_REMOTE_H
#define KPID_LOOKUP_REMOTE_H

#include "cache.h"

#include "kpid/lookup.h"
#include "kpid/redis.h"

#define KPID_ASKING_MAX   4096
#define KPID_REMOTE_MAGIC 0x6c6f6f6bu

struct kpid_remote {
    unsigned magic;
    const struct kpid_lookup *lookup; /* borrowed */
    struct kpid_redis *redis;         /* NULL: not opened */
    struct kpid_cache cache;
    struct kpid_cache_entry *asking[KPID_ASKING_MAX];
    uint32_t n_asking;
    bool up;
    int64_t changed_ms; /* when `up` changed last, monotonic */
    int64_t up_ms;      /* in all, until then */
    struct kpid_buf key;
    struct kpid_lookups_events events;
    void *ctx;
    uint64_t asked, refreshed, faulty;
};

int64_t kpid_lookup_now_ms(void); /* monotonic */

void kpid_remote_init(struct kpid_remote *remote, const struct kpid_lookup *lookup);
void kpid_remote_release(struct kpid_remote *remote);
bool kpid_remote_open(struct kpid_remote *remote, const struct kpid_model *model, struct event_base *base,
                      const char *url, const struct kpid_lookups_events *events, void *ctx,
                      struct kpid_buf *error) KPID_MUST_CHECK;

/* What is known of a key; FOUND: *ret are its values, borrowed until the next turn. NONE: wait, it is being asked for. */
enum kpid_answer kpid_remote_get(struct kpid_remote *remote, const char *key, size_t len, int64_t now_ms,
                                 const struct kpid_value **ret);
/* Asks ahead if need be. False: no more can be asked at present. */
bool kpid_remote_ask(struct kpid_remote *remote, const char *key, size_t len, int64_t now_ms) KPID_MUST_CHECK;

#endif
