/*
 * What Redis said of keys, bounded by number and bytes. A table with linear probing; when it is full a hand goes round
 * it and takes out what was not used since it last came by (the clock algorithm: Corbató, "A Paging Experiment with the
 * Multics System", 1968). What is being asked for stays.
 */
#ifndef KPID_LOOKUP_CACHE_H
#define KPID_LOOKUP_CACHE_H

#include "kpid/flow/event.h"

enum kpid_answer {
    KPID_ANSWER_NONE,    /* not known yet */
    KPID_ANSWER_FOUND,   /* `values` hold */
    KPID_ANSWER_MISSING, /* Redis does not have the key */
    KPID_ANSWER_FAILED,  /* Redis refuses the question */
    KPID_ANSWER_LATE,    /* not within the look-up's timeout */
    KPID_ANSWER_DOWN     /* no connection */
};

struct kpid_cache_entry {
    void *owner;               /* of the cache, for callbacks */
    uint64_t hash;
    struct kpid_value *values; /* of each column, their texts behind them; NULL: none */
    int64_t got_ms;            /* when `answer` was found, monotonic */
    int64_t since_ms;          /* since when somebody waits for it, on the clock of the look-up */
    int64_t not_before_ms;     /* it is not asked again before */
    uint32_t bytes, len;
    uint32_t asked_at;         /* place among those being asked */
    uint8_t answer, used;
    bool asking;
    char key[];
};

struct kpid_cache {
    struct kpid_cache_entry **places;
    size_t mask, n, max_keys, bytes, max_bytes, hand;
    uint64_t evicted;
};

void kpid_cache_init(struct kpid_cache *cache, size_t max_keys, size_t max_bytes);
void kpid_cache_release(struct kpid_cache *cache);

/* NULL: it is not there. What is found counts as used. */
struct kpid_cache_entry *kpid_cache_find(struct kpid_cache *cache, uint64_t hash, const char *key, size_t len);
/* A new entry without an answer; others may go for it. NULL: all are being asked for. */
struct kpid_cache_entry *kpid_cache_add(struct kpid_cache *cache, uint64_t hash, const char *key, size_t len);
/* Gives an entry its values: takes `values` (malloc'ed, `bytes` of them; NULL: none). Others may go for it. */
void kpid_cache_fill(struct kpid_cache *cache, struct kpid_cache_entry *entry, struct kpid_value *values, size_t bytes);

#endif
