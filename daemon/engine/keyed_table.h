/* The keys of one keyed measure in memory: private to keyed_table.c, keyed_apply.c, keyed_settle.c and keyed_store.c. */
#ifndef KPID_ENGINE_KEYED_TABLE_H
#define KPID_ENGINE_KEYED_TABLE_H

#include "core.h"
#include "keyed_pool.h"
#include "keyed_rules.h"
#include "spans.h"

/* A piece of the pool a key: this, then n items of `width` numbers, then n * n_gids group numbers, then the key. */
struct keyed_block {
    int64_t timer_ms;          /* scheduled in the heap, no later than the next timer; KPID_FOREVER: none */
    uint32_t entry;
    uint32_t key_len : 20, n : 11, dirty : 1;
    int64_t words[];
};

#define KEYED_KEY_MAX ((1u << 20) - 1) /* bytes; events with a longer key are refused */

struct __attribute__((packed, aligned(4))) keyed_timer { /* 12 bytes: there may be one a key */
    int64_t at_ms;
    uint32_t entry;
};

/* The items of a key at work, and their outcomes. */
struct keyed_side {
    struct kpid_items items;   /* room for cap */
    struct kpid_outcome *outcomes;
    struct kpid_keyed_result result;
    size_t cap, cap_outcomes;
};

struct kpid_keys {
    const struct kpid_keyed *kind;
    const struct kpid_keyed_spec *spec;
    size_t width, n_gids;      /* groupings but the total */
    struct keyed_pool pool;
    uint32_t *entries;         /* where the block of an entry lies; KEYED_NOWHERE: free */
    uint32_t n_entries, cap_entries, used;
    uint32_t *free_entries, n_free, cap_free;
    /* hash -> block: an open-addressing table. A tag is 0 where the slot is free, else some bits of the hash, so that
     * the blocks of other keys are rarely looked at. */
    uint8_t *tags;
    uint32_t *slots;           /* where the block lies */
    uint32_t index_cap;
    struct keyed_timer *heap;
    size_t n_heap, cap_heap;
    uint32_t *dirty;
    size_t n_dirty, cap_dirty;
    bool stale;                /* some cell's minimum or maximum was taken back */
    int64_t swept_ms;          /* when the latest pass over the keys began */
    uint32_t swept;            /* where it goes on; 0: it is over */
    struct kpid_spans *spans;  /* of outcomes of that kind, NULL: nobody asks for the oldest */
    struct keyed_side before, after; /* scratch: a key before and after a change */
    struct kpid_keyed_memo memo;
    bool loaded;               /* stored keys are there: one that is loaded later is a copy's, and newer */
};

/* NULL: the entry is free. */
static inline struct keyed_block *keyed_entry(const struct kpid_keys *keys, uint32_t entry)
{
    return keys->entries[entry] == KEYED_NOWHERE ? NULL : keyed_pool_at(&keys->pool, keys->entries[entry]);
}
static inline uint32_t *keyed_gids(const struct kpid_keys *keys, struct keyed_block *block)
{
    return (uint32_t *)(block->words + (size_t)block->n * keys->width);
}
static inline char *keyed_key(const struct kpid_keys *keys, struct keyed_block *block)
{
    return (char *)(keyed_gids(keys, block) + (size_t)block->n * keys->n_gids);
}

/* keyed_table.c */
struct keyed_block *keyed_find(const struct kpid_keys *keys, uint64_t hash, const char *key, size_t len); /* NULL */
/* A new key, whose hash is given, with its first items. len <= KEYED_KEY_MAX. */
struct keyed_block *keyed_make(struct kpid_keys *keys, uint64_t hash, const char *key, size_t len,
                               const struct kpid_items *items);
void keyed_drop(struct kpid_keys *keys, struct keyed_block *block);
/* Copies items into the block, which moves when their number changed; returns it. */
struct keyed_block *keyed_set(struct kpid_keys *keys, struct keyed_block *block, const struct kpid_items *items);
void keyed_mark(struct kpid_keys *keys, struct keyed_block *block);
/* The key's timer is to fire at or before at_ms; an earlier one stays. */
void keyed_schedule(struct kpid_keys *keys, struct keyed_block *block, int64_t at_ms);
struct keyed_timer keyed_pop_timer(struct kpid_keys *keys);
void keyed_side_release(struct keyed_side *side);
/* Room for n items and an event's more. */
void keyed_reserve(const struct kpid_keys *keys, struct keyed_side *side, size_t n);
/* Copies a block's items to a side, with room for some more. */
void keyed_open(const struct kpid_keys *keys, struct keyed_block *block, struct keyed_side *side);
void keyed_work_out(const struct kpid_keys *keys, struct keyed_side *side, int64_t horizon_ms);

/* keyed_apply.c */
/* The group number that an outcome of a side counts for, in a grouping of the measure. */
uint32_t keyed_gid(const struct kpid_measure *def, const struct keyed_side *side, const struct kpid_outcome *outcome,
                   uint32_t grouping);
/* Adds the spans among a side's outcomes, or takes them back (weight -1). */
void keyed_add_spans(const struct kpid_measure *def, struct kpid_keys *keys, const struct keyed_side *side, int weight);
/* Counts `weight` uses of the groups of items. */
void keyed_use_groups(struct kpid_shard *shard, const struct kpid_measure *def, const uint32_t *gids, size_t n,
                      int weight);

#endif
