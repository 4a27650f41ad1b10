/* The keys of one clock measure in memory: private to clock_table.c, clock_apply.c and clock_store.c. */
#ifndef KPID_ENGINE_CLOCK_TABLE_H
#define KPID_ENGINE_CLOCK_TABLE_H

#include "clock_rules.h"
#include "core.h"

/* One allocation a key: this, then n events packed as ts * 8 + word, then n * n_gids group numbers, then the key. */
struct clock_block {
    uint32_t key_len;
    uint16_t n_events;
    bool dirty;
    int64_t words[];
};

struct clock_entry {
    uint64_t hash;
    int64_t timer_ms;          /* scheduled in the heap, KPID_FOREVER: none */
    struct clock_block *block; /* NULL: the entry is free */
};

struct clock_timer {
    int64_t at_ms;
    uint32_t entry;
};

struct kpid_clocks {
    const struct kpid_clock_spec *spec;
    size_t n_gids;             /* groupings but the total */
    struct clock_entry *entries;
    uint32_t n_entries, cap_entries, used;
    uint32_t *free_entries, n_free, cap_free;
    uint32_t *index, index_cap; /* hash -> entry + 1 */
    struct clock_timer *heap;
    size_t n_heap, cap_heap;
    uint32_t *dirty;
    size_t n_dirty, cap_dirty;
    bool stale;                /* some cell's minimum or maximum was taken back */
    int64_t swept_ms;
    size_t bytes;
    /* scratch: events and outcomes of one key before and after a change */
    struct kpid_clock_event *events;
    struct kpid_outcome *before, *after;
    uint32_t *gids_before;
    size_t cap_events;
};

static inline int64_t *clock_block_events(struct clock_block *block)
{
    return block->words;
}
static inline uint32_t *clock_block_gids(struct clock_block *block)
{
    return (uint32_t *)(block->words + block->n_events);
}
static inline char *clock_block_key(struct clock_block *block, size_t n_gids)
{
    return (char *)(clock_block_gids(block) + (size_t)block->n_events * n_gids);
}
static inline size_t clock_block_size(size_t n_events, size_t n_gids, size_t key_len)
{
    return sizeof(struct clock_block) + n_events * (sizeof(int64_t) + n_gids * sizeof(uint32_t)) + key_len;
}

/* clock_table.c */
uint32_t clock_find(const struct kpid_clocks *clocks, uint64_t hash, const char *key, size_t len); /* UINT32_MAX */
uint32_t clock_make(struct kpid_clocks *clocks, uint64_t hash, const char *key, size_t len);
void clock_drop(struct kpid_clocks *clocks, uint32_t entry);
/* A block with one event more than the old one, put where it belongs by (ts, word); the old one is freed. */
void clock_insert(struct kpid_clocks *clocks, uint32_t entry, int64_t word, const uint32_t *gids);
bool clock_has(const struct clock_block *block, int64_t word);
void clock_mark(struct kpid_clocks *clocks, uint32_t entry);
void clock_schedule(struct kpid_clocks *clocks, uint32_t entry, int64_t at_ms);
void clock_reserve(struct kpid_clocks *clocks, size_t n_events);
/* Unpacks the block's events to clocks->events and works out its outcomes. */
void clock_work_out(struct kpid_clocks *clocks, const struct clock_block *block, int64_t horizon_ms,
                    struct kpid_outcome *ret, struct kpid_clock_result *result);

#endif
