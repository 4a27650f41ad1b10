/*
 * The index over the marks, for dedup.c only: 512 segments by the hash's top 9 bits, each a sorted array with
 * gaps.
 *
 *   a word: | 55 other bits of the hash            | 9 bits: tag of the slice, never 0 |        0 = empty
 * slot
 *
 * So a mark takes 8 bytes with all 64 bits of its hash. In a segment a word's home slot rises with its hash,
 * and words stand in ascending order at or behind their homes without a gap between (ordered linear probing,
 * Amble and Knuth 1974; no wrapping, a pad at the end instead). Looking up an absent hash stops at the first
 * greater one: some four words in one or two cache lines even at 5/6 full. Segments grow one by one by
 * 1/8, so no step is large.
 *
 * A slice dies by its tag: `live[tag]` is false from then on, its words count as absent, are overwritten by
 * what comes and swept away little by little. A tag may be used again after two passes of the sweep.
 */
#ifndef KPID_DEDUP_TABLE_H
#define KPID_DEDUP_TABLE_H

#include "kpid/macros.h"

#define KPID_TAG_BITS 9
#define KPID_TAG_MAX  ((1U << KPID_TAG_BITS) - 1)
#define KPID_SEGMENTS (1U << KPID_TAG_BITS)

struct kpid_dedup_segment {
    uint64_t *words; /* cap + pad slots and one that stays empty; NULL while cap = 0 */
    uint32_t cap, used;
};

struct kpid_dedup_table {
    struct kpid_dedup_segment segments[KPID_SEGMENTS];
    bool live[KPID_TAG_MAX + 1];
    unsigned n_dead; /* tags whose words may still be there; kept by the caller, as `live` is */
    uint32_t sweep_segment, sweep_slot;
    uint64_t passes; /* of the sweep over the whole table */
    size_t bytes;    /* heap of all segments */
};

enum kpid_dedup_put {
    KPID_PUT_NEW,
    KPID_PUT_PRESENT, /* *ret_tag is its tag */
    KPID_PUT_FULL     /* the segment can't grow within max_bytes: a slice has to go */
};

void kpid_dedup_table_release(struct kpid_dedup_table *table);
/* Room for n marks, spread evenly, in an empty table; nothing where that is more than max_bytes. */
void kpid_dedup_table_reserve(struct kpid_dedup_table *table, uint64_t n, size_t max_bytes);
/* Has the hash's slot brought near: it will be looked for soon. */
void kpid_dedup_table_prefetch(const struct kpid_dedup_table *table, uint64_t hash);
/* Tag of a live mark, 0 when there is none. */
unsigned kpid_dedup_table_find(const struct kpid_dedup_table *table, uint64_t hash);
enum kpid_dedup_put kpid_dedup_table_put(struct kpid_dedup_table *table, uint64_t hash, unsigned tag,
                                         size_t max_bytes, unsigned *ret_tag) KPID_MUST_CHECK;
/* Gives a live mark another tag. */
void kpid_dedup_table_retag(struct kpid_dedup_table *table, uint64_t hash, unsigned tag);
/* Looks at `steps` slots more. */
void kpid_dedup_table_sweep(struct kpid_dedup_table *table, unsigned steps);

typedef void kpid_dedup_visit(void *ctx, uint64_t hash, unsigned tag);
/* Every live mark, in ascending order of hashes. */
void kpid_dedup_table_each(const struct kpid_dedup_table *table, kpid_dedup_visit *visit, void *ctx);

#endif
