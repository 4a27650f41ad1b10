#include "heavy.h"

#include "kpid/agg.h"
#include "kpid/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS      4
#define WIDTH_MAX (1u << 14)
#define UNIT_BITS 32

struct kpid_heavy *kpid_heavy_new(uint32_t keys)
{
    struct kpid_heavy *heavy = kpid_zalloc(1, sizeof *heavy);
    heavy->keys = keys;
    return heavy;
}

void kpid_heavy_free(struct kpid_heavy *heavy)
{
    if (!heavy)
        return;
    for (uint32_t i = 0; i < heavy->n; i++)
        free(heavy->at[i].key);
    free(heavy->at);
    free(heavy->index);
    free(heavy->counters);
    free(heavy);
}

size_t kpid_heavy_bytes(const struct kpid_heavy *heavy)
{
    return sizeof *heavy + heavy->cap * sizeof *heavy->at + heavy->index_cap * sizeof *heavy->index + heavy->key_bytes +
           (size_t)ROWS * heavy->width * sizeof *heavy->counters;
}

/* Between two prunings up to twice the keys, in an array that doubles; as many places again as half of them is used. */
size_t kpid_heavy_bytes_max(uint32_t keys)
{
    size_t held = 2 * (size_t)keys, cap = 4, places = 8, width = 16;
    while (cap < held)
        cap *= 2;
    while (places < 2 * held)
        places *= 2;
    while (width < keys && width < WIDTH_MAX)
        width *= 2;
    return sizeof(struct kpid_heavy) + cap * sizeof(struct kpid_heavy_key) + places * sizeof(uint32_t) +
           held * (KPID_TOP_KEY_BYTES + 1) + ROWS * width * sizeof(kpid_u128);
}

/* ---- the table of keys ---- */

static void index_put(struct kpid_heavy *heavy, uint32_t position)
{
    uint32_t mask = heavy->index_cap - 1, at = (uint32_t)heavy->at[position].hash & mask;
    while (heavy->index[at])
        at = (at + 1) & mask;
    heavy->index[at] = position + 1;
}

static void index_rebuild(struct kpid_heavy *heavy, uint32_t cap)
{
    free(heavy->index);
    heavy->index_cap = cap;
    heavy->index = kpid_zalloc(cap, sizeof *heavy->index);
    for (uint32_t i = 0; i < heavy->n; i++)
        index_put(heavy, i);
}

static struct kpid_heavy_key *entry_find(const struct kpid_heavy *heavy, const char *key, uint32_t len, uint64_t hash)
{
    uint32_t mask = heavy->index_cap - 1, found;
    for (uint32_t at = (uint32_t)hash & mask; heavy->index_cap && (found = heavy->index[at]); at = (at + 1) & mask) {
        struct kpid_heavy_key *entry = &heavy->at[found - 1];
        if (entry->hash == hash && entry->len == len && memcmp(entry->key, key, len) == 0)
            return entry;
    }
    return NULL;
}

/* The key's entry, made with an infinite rank. */
static struct kpid_heavy_key *entry_make(struct kpid_heavy *heavy, const char *key, uint32_t len, uint64_t hash)
{
    struct kpid_heavy_key *entry = entry_find(heavy, key, len, hash);
    if (entry)
        return entry;
    if (heavy->n == heavy->cap) {
        heavy->cap = heavy->cap ? heavy->cap * 2 : 4;
        heavy->at = kpid_realloc(heavy->at, heavy->cap * sizeof *heavy->at);
    }
    heavy->at[heavy->n] = (struct kpid_heavy_key){
        .key = kpid_strndup(key, len), .len = len, .hash = hash, .rank = (double)INFINITY};
    heavy->key_bytes += len + 1;
    heavy->n++;
    if (heavy->n * 2 > heavy->index_cap)
        index_rebuild(heavy, heavy->index_cap ? heavy->index_cap * 2 : 8);
    else
        index_put(heavy, heavy->n - 1);
    return &heavy->at[heavy->n - 1];
}

static int key_compare(const struct kpid_heavy_key *x, const struct kpid_heavy_key *y)
{
    uint32_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->key, y->key, len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int rank_compare(const void *a, const void *b)
{
    const struct kpid_heavy_key *x = a, *y = b;
    if (x->rank < y->rank || x->rank > y->rank)
        return x->rank < y->rank ? -1 : 1;
    return key_compare(x, y);
}

/* Leaves the keys of the least ranks, in the order of ranks. */
static void prune(struct kpid_heavy *heavy)
{
    uint32_t keys = heavy->keys;
    qsort(heavy->at, heavy->n, sizeof *heavy->at, rank_compare);
    if (heavy->n > keys) {
        for (uint32_t i = keys; i < heavy->n; i++) {
            heavy->key_bytes -= heavy->at[i].len + 1;
            free(heavy->at[i].key);
        }
        heavy->n = keys;
        heavy->limit = heavy->at[keys - 1].rank;
    }
    index_rebuild(heavy, heavy->index_cap);
}

/* ---- weights ---- */

static uint32_t column(uint64_t hash, unsigned row, uint32_t width)
{
    return (uint32_t)(kpid_hash_mix(hash, row) >> 40) & (width - 1);
}

static void counters_add(struct kpid_heavy *heavy, uint64_t hash, kpid_u128 weight)
{
    for (unsigned row = 0; row < ROWS; row++)
        heavy->counters[(size_t)row * heavy->width + column(hash, row, heavy->width)] += weight;
}

static kpid_u128 weight_of(const struct kpid_heavy *heavy, const struct kpid_heavy_key *entry)
{
    if (!heavy->width)
        return entry->weight;
    kpid_u128 least = heavy->counters[column(entry->hash, 0, heavy->width)];
    for (unsigned row = 1; row < ROWS; row++) {
        kpid_u128 weight = heavy->counters[(size_t)row * heavy->width + column(entry->hash, row, heavy->width)];
        least = weight < least ? weight : least;
    }
    return least;
}

static void sketch_begin(struct kpid_heavy *heavy)
{
    for (heavy->width = 16; heavy->width < heavy->keys && heavy->width < WIDTH_MAX;)
        heavy->width *= 2;
    heavy->counters = kpid_zalloc((size_t)ROWS * heavy->width, sizeof *heavy->counters);
    heavy->limit = (double)INFINITY;
    for (uint32_t i = 0; i < heavy->n; i++)
        counters_add(heavy, heavy->at[i].hash, heavy->at[i].weight);
}

/* A key's weight and least rank, of one event or of a cell. `counted`: the counters have the weight already. */
static void key_add(struct kpid_heavy *heavy, const char *key, uint32_t len, uint64_t hash, kpid_u128 weight, double rank,
                    bool counted)
{
    if (heavy->width && !counted)
        counters_add(heavy, hash, weight);
    if (heavy->width && rank > heavy->limit)
        return;
    struct kpid_heavy_key *entry = entry_make(heavy, key, len, hash);
    entry->rank = rank < entry->rank ? rank : entry->rank;
    if (!heavy->width)
        entry->weight += weight;
    if (!heavy->width && heavy->n > heavy->keys)
        sketch_begin(heavy);
    if (heavy->width && heavy->n >= heavy->keys * 2)
        prune(heavy);
}

/*
 * -log2 of the hash taken as a fraction, over the weight. In whole numbers but for one division, so that every machine
 * gets the same: log2(1 + f) is f + 0.3435 f (1 - f), off by less than 0.01.
 */
static double rank_of(uint64_t hash, kpid_u128 weight)
{
    unsigned exponent = 63 - (unsigned)__builtin_clzll(hash | 1);
    uint64_t fraction = exponent ? ((hash | 1) << (63 - exponent) << 1) >> UNIT_BITS : 0;
    uint64_t bend = (fraction * ((1ULL << UNIT_BITS) - 1 - fraction) >> UNIT_BITS) * 1407 >> 12;
    uint64_t whole = ((uint64_t)exponent << UNIT_BITS) + fraction + bend, full = 64ULL << UNIT_BITS;
    return (double)(whole < full ? full - whole : 1) / (double)weight;
}

void kpid_heavy_add(struct kpid_heavy *heavy, const char *key, uint32_t len, kpid_u128 weight, uint64_t event)
{
    key_add(heavy, key, len, kpid_hash(key, len, 0), weight, rank_of(kpid_hash(&event, sizeof event, 1), weight), false);
}

void kpid_heavy_merge(struct kpid_heavy *into, const struct kpid_heavy *from)
{
    bool counted = from->width != 0;
    if (counted && !into->width)
        sketch_begin(into);
    for (size_t i = 0; counted && i < (size_t)ROWS * into->width; i++)
        into->counters[i] += from->counters[i];
    for (uint32_t i = 0; i < from->n; i++) {
        const struct kpid_heavy_key *entry = &from->at[i];
        key_add(into, entry->key, entry->len, entry->hash, entry->weight, entry->rank, counted);
    }
}

/* ---- storage: the canonical part ---- */

static int packed_compare(const void *a, const void *b)
{
    return rank_compare(*(const struct kpid_heavy_key *const *)a, *(const struct kpid_heavy_key *const *)b);
}

void kpid_heavy_pack(const struct kpid_heavy *heavy, struct kpid_buf *out)
{
    if (!heavy) {
        kpid_pack_u64(out, 0);
        return;
    }
    const struct kpid_heavy_key **order = kpid_zalloc(heavy->n + 1, sizeof(struct kpid_heavy_key *));
    for (uint32_t i = 0; i < heavy->n; i++)
        order[i] = &heavy->at[i];
    qsort(order, heavy->n, sizeof(struct kpid_heavy_key *), packed_compare);
    uint32_t n = heavy->width && heavy->n > heavy->keys ? heavy->keys : heavy->n;
    kpid_pack_u64(out, n);
    kpid_pack_u64(out, heavy->keys);
    kpid_pack_u64(out, heavy->width);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &order[i]->rank, sizeof bits);
        kpid_pack_bytes(out, order[i]->key, order[i]->len);
        kpid_pack_fixed64(out, bits);
        if (!heavy->width)
            kpid_pack_i128(out, (kpid_i128)order[i]->weight);
    }
    for (size_t i = 0; i < (size_t)ROWS * heavy->width; i++)
        kpid_pack_i128(out, (kpid_i128)heavy->counters[i]);
    free(order);
}

static bool entries_unpack(struct kpid_heavy *heavy, uint64_t n, struct kpid_unpack *in)
{
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        size_t len;
        const char *key = kpid_unpack_bytes(in, &len);
        uint64_t bits = kpid_unpack_fixed64(in);
        double rank;
        memcpy(&rank, &bits, sizeof rank);
        kpid_i128 weight = heavy->width ? 0 : kpid_unpack_i128(in);
        if (in->bad || len > KPID_TOP_KEY_BYTES || !(rank >= 0) || weight < 0)
            return false;
        struct kpid_heavy_key *entry = entry_make(heavy, key, (uint32_t)len, kpid_hash(key, len, 0));
        entry->rank = rank;
        entry->weight = (kpid_u128)weight;
        heavy->limit = rank;
    }
    return !in->bad;
}

bool kpid_heavy_unpack(struct kpid_heavy **ret, struct kpid_unpack *in)
{
    uint64_t n = kpid_unpack_u64(in);
    if (in->bad || n == 0)
        return !in->bad;
    uint64_t keys = kpid_unpack_u64(in), width = kpid_unpack_u64(in);
    if (in->bad || keys > KPID_TOP_KEYS_MAX || n > keys || width > WIDTH_MAX || (width & (width - 1)) != 0)
        return false;
    struct kpid_heavy *heavy = kpid_heavy_new((uint32_t)keys);
    *ret = heavy;
    heavy->width = (uint32_t)width;
    if (width)
        heavy->counters = kpid_zalloc((size_t)ROWS * width, sizeof *heavy->counters);
    if (!entries_unpack(heavy, n, in))
        return false;
    for (size_t i = 0; i < ROWS * width; i++)
        heavy->counters[i] = (kpid_u128)kpid_unpack_i128(in);
    return !in->bad;
}

/* ---- figures ---- */

kpid_i128 kpid_heavy_error(const struct kpid_heavy *heavy, kpid_i128 total)
{
    return heavy->width ? total / heavy->width * 2719 / 1000 + 3 : 0;
}

/* The heaviest first, and of equals the key that comes first. */
static bool is_heavier(kpid_u128 weight, const struct kpid_heavy_key *entry, kpid_u128 than, const struct kpid_heavy_key *other)
{
    return weight != than ? weight > than : key_compare(entry, other) < 0;
}

size_t kpid_heavy_first(struct kpid_heavy *heavy, const struct kpid_heavy_key **ret, kpid_u128 *ret_weights, size_t max)
{
    size_t n = 0;
    if (!heavy)
        return 0;
    if (heavy->width && heavy->n > heavy->keys)
        prune(heavy);
    for (uint32_t i = 0; i < heavy->n; i++) {
        const struct kpid_heavy_key *entry = &heavy->at[i];
        kpid_u128 weight = weight_of(heavy, entry);
        if (n == max && !is_heavier(weight, entry, ret_weights[n - 1], ret[n - 1]))
            continue;
        size_t at = n < max ? n++ : n - 1;
        for (; at > 0 && is_heavier(weight, entry, ret_weights[at - 1], ret[at - 1]); at--) {
            ret[at] = ret[at - 1];
            ret_weights[at] = ret_weights[at - 1];
        }
        ret[at] = entry;
        ret_weights[at] = weight;
    }
    return n;
}
