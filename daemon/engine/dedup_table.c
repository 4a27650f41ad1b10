/* The index over the marks, see dedup_table.h. */
#include "dedup_table.h"

#include <stdlib.h>
#include <string.h>

#include "kpid/buf.h"

#define KEY_BITS         (64 - KPID_TAG_BITS)
#define CAP_FIRST        4
#define CAP_DOUBLING     64 /* up to here a segment doubles, then it grows by 1/8 */
#define CAP_SHRINK       64 /* segments this large give memory back when they stand at less than a third */
#define PREFETCH_LINES   3  /* the way to the next gap is 18 words on average at 5/6 */
#define CACHE_LINE_BYTES 64
#define PAD_MAX          128 /* the last home's run is rarely longer than 40, even at 5/6 full */

/* Slots with the pad; where that is too short, the segment grows early. */
static uint32_t slots_of(uint32_t cap)
{
    uint32_t pad = cap / 8 + 4;
    return cap == 0 ? 0 : cap + (pad < PAD_MAX ? pad : PAD_MAX);
}

static size_t segment_bytes(uint32_t cap)
{
    return cap == 0 ? 0 : ((size_t)slots_of(cap) + 1) * sizeof(uint64_t);
}

static uint32_t limit_of(uint32_t cap)
{
    return cap - cap / 6;
}

static uint64_t key_of(uint64_t word)
{
    return word >> KPID_TAG_BITS;
}

static uint32_t home_of(uint64_t key, uint32_t cap)
{
    return (uint32_t)(((key >> (KEY_BITS - 32)) * cap) >> 32);
}

static bool word_lives(const struct kpid_dedup_table *table, uint64_t word)
{
    return table->live[word & KPID_TAG_MAX];
}

static uint64_t hash_key(uint64_t hash)
{
    return hash & (UINT64_MAX >> KPID_TAG_BITS);
}

/* First slot at or behind the key's home that is empty or holds the key or a greater one. */
static uint32_t slot_find(const struct kpid_dedup_segment *segment, uint64_t key)
{
    uint32_t i = home_of(key, segment->cap);
    while (segment->words[i] != 0 && key_of(segment->words[i]) < key)
        i++;
    return i;
}

void kpid_dedup_table_release(struct kpid_dedup_table *table)
{
    for (unsigned s = 0; s < KPID_SEGMENTS; s++)
        free(table->segments[s].words);
    *table = (struct kpid_dedup_table){0};
}

void kpid_dedup_table_prefetch(const struct kpid_dedup_table *table, uint64_t hash)
{
    const struct kpid_dedup_segment *segment = &table->segments[hash >> KEY_BITS];
    if (segment->cap == 0)
        return;
    const uint64_t *home = &segment->words[home_of(hash_key(hash), segment->cap)];
    for (unsigned line = 0; line < PREFETCH_LINES; line++)
        __builtin_prefetch((const char *)home + line * CACHE_LINE_BYTES, 1);
}

unsigned kpid_dedup_table_find(const struct kpid_dedup_table *table, uint64_t hash)
{
    const struct kpid_dedup_segment *segment = &table->segments[hash >> KEY_BITS];
    uint64_t key = hash_key(hash);
    if (segment->cap == 0)
        return 0;
    uint64_t word = segment->words[slot_find(segment, key)];
    return word != 0 && key_of(word) == key && word_lives(table, word) ? (unsigned)(word & KPID_TAG_MAX) : 0;
}

/* Copies what lives into a fresh array; false when the run at the end doesn't fit. */
static bool segment_copy(const struct kpid_dedup_table *table, const struct kpid_dedup_segment *from,
                         struct kpid_dedup_segment *to)
{
    uint32_t next = 0, slots = slots_of(from->cap), end = slots_of(to->cap);
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t word = from->words[i];
        if (word == 0 || !word_lives(table, word))
            continue;
        uint32_t home = home_of(key_of(word), to->cap), slot = home > next ? home : next;
        if (slot >= end)
            return false;
        to->words[slot] = word;
        to->used++;
        next = slot + 1;
    }
    return true;
}

static uint32_t cap_next(uint32_t cap)
{
    return cap == 0 ? CAP_FIRST : cap < CAP_DOUBLING ? cap * 2 : cap + cap / 8;
}

static void segment_rebuild(struct kpid_dedup_table *table, struct kpid_dedup_segment *segment, uint32_t cap)
{
    struct kpid_dedup_segment next;
    for (;; cap = cap_next(cap)) {
        next = (struct kpid_dedup_segment){.words = kpid_zalloc(segment_bytes(cap), 1), .cap = cap};
        if (segment_copy(table, segment, &next))
            break;
        free(next.words);
    }
    table->bytes += segment_bytes(next.cap) - segment_bytes(segment->cap);
    free(segment->words);
    *segment = next;
    /* What lives now may die before the sweep comes by again; that is the next pass' work. */
    if (segment == &table->segments[table->sweep_segment])
        table->sweep_slot = slots_of(segment->cap);
}

void kpid_dedup_table_reserve(struct kpid_dedup_table *table, uint64_t n, size_t max_bytes)
{
    uint64_t each = n / KPID_SEGMENTS, spread = 0;
    while (spread * spread < each) /* of how many fall into a segment; two of it leave few that must grow */
        spread++;
    uint64_t want = each + 2 * spread, cap = want + want / 5 + 1;
    if (table->bytes > 0 || each == 0 || cap > max_bytes / KPID_SEGMENTS / sizeof(uint64_t) ||
        KPID_SEGMENTS * segment_bytes((uint32_t)cap) > max_bytes)
        return;
    for (unsigned s = 0; s < KPID_SEGMENTS; s++)
        segment_rebuild(table, &table->segments[s], (uint32_t)cap);
}

static uint32_t live_count(const struct kpid_dedup_table *table, const struct kpid_dedup_segment *segment)
{
    uint32_t n = 0, slots = slots_of(segment->cap);
    if (table->n_dead == 0)
        return segment->used;
    for (uint32_t i = 0; i < slots; i++)
        n += segment->words[i] != 0 && word_lives(table, segment->words[i]);
    return n;
}

/* A full segment: drops what is dead if that is much, else grows; where it may not grow, a little is enough.
 */
static bool segment_room(struct kpid_dedup_table *table, struct kpid_dedup_segment *segment, size_t max_bytes,
                         bool must_grow)
{
    uint32_t cap = segment->cap, live = cap > 0 ? live_count(table, segment) : 0, limit = limit_of(cap);
    if (!must_grow && live + cap / 10 < limit) {
        segment_rebuild(table, segment, cap);
        return true;
    }
    size_t more = segment_bytes(cap_next(cap)) - segment_bytes(cap);
    if (cap == 0 || table->bytes + more <= max_bytes) {
        segment_rebuild(table, segment, cap_next(cap));
        return true;
    }
    if (live + 1 + cap / 128 > limit || (must_grow && live == segment->used))
        return false;
    segment_rebuild(table, segment, cap);
    return true;
}

/* Puts the word at slot i: over a dead one, into a gap, or after moving its followers on to the next of
 * these. False when there is no slot left behind them. */
static bool word_insert(struct kpid_dedup_table *table, struct kpid_dedup_segment *segment, uint32_t i,
                        uint64_t word)
{
    uint32_t end = i, slots = slots_of(segment->cap);
    if (table->n_dead == 0) {
        while (segment->words[end] != 0)
            end++;
    } else {
        while (segment->words[end] != 0 && word_lives(table, segment->words[end]))
            end++;
    }
    if (end == slots)
        return false;
    segment->used += segment->words[end] == 0;
    memmove(&segment->words[i + 1], &segment->words[i], (end - i) * sizeof(uint64_t));
    segment->words[i] = word;
    return true;
}

enum kpid_dedup_put kpid_dedup_table_put(struct kpid_dedup_table *table, uint64_t hash, unsigned tag,
                                         size_t max_bytes, unsigned *ret_tag)
{
    struct kpid_dedup_segment *segment = &table->segments[hash >> KEY_BITS];
    uint64_t key = hash_key(hash), word = key << KPID_TAG_BITS | tag;
    if (segment->used >= limit_of(segment->cap) && !segment_room(table, segment, max_bytes, false))
        return KPID_PUT_FULL;
    for (;;) {
        uint32_t i = slot_find(segment, key);
        uint64_t there = segment->words[i];
        if (there != 0 && key_of(there) == key) {
            if (word_lives(table, there)) {
                *ret_tag = (unsigned)(there & KPID_TAG_MAX);
                return KPID_PUT_PRESENT;
            }
            segment->words[i] = word;
            return KPID_PUT_NEW;
        }
        if (word_insert(table, segment, i, word))
            return KPID_PUT_NEW;
        if (!segment_room(table, segment, max_bytes, true))
            return KPID_PUT_FULL;
    }
}

void kpid_dedup_table_retag(struct kpid_dedup_table *table, uint64_t hash, unsigned tag)
{
    struct kpid_dedup_segment *segment = &table->segments[hash >> KEY_BITS];
    uint64_t *word = &segment->words[slot_find(segment, hash_key(hash))];
    *word = (*word & ~(uint64_t)KPID_TAG_MAX) | tag;
}

/* Empties slot i; what stands behind it out of its home moves up, so that no gap lies before it. */
static void word_remove(struct kpid_dedup_segment *segment, uint32_t i)
{
    uint64_t *words = segment->words;
    for (; words[i + 1] != 0 && home_of(key_of(words[i + 1]), segment->cap) <= i; i++)
        words[i] = words[i + 1];
    words[i] = 0;
    segment->used--;
}

static void sweep_next(struct kpid_dedup_table *table)
{
    struct kpid_dedup_segment *segment = &table->segments[table->sweep_segment];
    if (segment->cap >= CAP_SHRINK && segment->used < segment->cap / 3)
        segment_rebuild(table, segment, segment->cap / 2);
    table->sweep_slot = 0;
    if (++table->sweep_segment == KPID_SEGMENTS) {
        table->sweep_segment = 0;
        table->passes++;
    }
}

void kpid_dedup_table_sweep(struct kpid_dedup_table *table, unsigned steps)
{
    for (; steps > 0; steps--) {
        struct kpid_dedup_segment *segment = &table->segments[table->sweep_segment];
        if (table->sweep_slot >= slots_of(segment->cap)) {
            sweep_next(table);
            continue;
        }
        uint64_t word = segment->words[table->sweep_slot];
        if (word != 0 && !word_lives(table, word))
            word_remove(segment, table->sweep_slot);
        else
            table->sweep_slot++;
    }
}

void kpid_dedup_table_each(const struct kpid_dedup_table *table, kpid_dedup_visit *visit, void *ctx)
{
    for (unsigned s = 0; s < KPID_SEGMENTS; s++) {
        const struct kpid_dedup_segment *segment = &table->segments[s];
        uint32_t slots = slots_of(segment->cap);
        for (uint32_t i = 0; i < slots; i++) {
            uint64_t word = segment->words[i];
            if (word != 0 && word_lives(table, word))
                visit(ctx, (uint64_t)s << KEY_BITS | key_of(word), (unsigned)(word & KPID_TAG_MAX));
        }
    }
}
