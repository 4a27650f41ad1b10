/*
 * top: the heaviest keys, by number of events or by the sum of a value, with an error bound.
 *
 * Panes and shards meet in any order, so the cell is a function of the set of events alone. That rules out the usual
 * lists (Misra-Gries, Space-Saving: what they drop depends on the order). Two parts that do not:
 *
 *  - Weights: up to `keys` different keys exactly; beyond, a Count-Min sketch (Cormode, Muthukrishnan 2005), ROWS rows
 *    of as many counters as a power of two holds `keys`. Counters add up, so merging is exact. An estimate is never too
 *    low, and too high by more than e / width of the total with a probability of e^-4 at the most.
 *  - Names: a bottom-k sample of keys (Cohen, Kaplan 2007). Every event draws an exponential rank of rate = its weight
 *    from a hash of its topic, partition and offset; a key's rank is its least, so that of `keys` kept keys each is in
 *    with a chance that grows with its weight. Least of least is order-free. A key of share p is missed with a
 *    probability of about e^(-p keys): never seen from 2 % on with 1,000 keys.
 *
 * The cell changes from exact to sketch with the keys + 1st different key and never earlier. Between two uses up to
 * twice the keys are held; what is told, merged or stored is the canonical part.
 */
#include "agg_part.h"
#include "kpid/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS      4
#define WIDTH_MAX (1u << 14)
#define UNIT_BITS 32

struct entry {
    char *key;
    uint32_t len;
    uint64_t hash;
    double rank;
    kpid_u128 weight; /* while exact */
};

struct top {
    struct entry *at;
    uint32_t n, cap;
    uint32_t *index, index_cap; /* position + 1 by hash */
    uint32_t keys;              /* that are kept at least */
    uint32_t width;             /* of a row; 0: exact */
    kpid_u128 *counters;        /* ROWS * width */
    double limit;               /* keys of a greater rank are not among the least */
    size_t key_bytes;
};

struct top_cell {
    struct top *top; /* NULL: no key yet */
    uint64_t n, negative;
    struct kpid_wide total;
};

enum { PART_HEAVIEST, PART_N, PART_SUM, PART_SHARE, PART_KEYS, PART_ERROR, PART_NEGATIVE };

static const struct kpid_part_name parts[] = {{"", PART_HEAVIEST},     {"n", PART_N},        {"sum", PART_SUM},
                                              {"share", PART_SHARE},   {"keys", PART_KEYS},  {"error", PART_ERROR},
                                              {"negative", PART_NEGATIVE}, {NULL, -1}};

static const char *const published[] = {"n", "sum", "share", "keys", "error", NULL};

/* ---- the table of keys ---- */

static void index_put(struct top *top, uint32_t position)
{
    uint32_t mask = top->index_cap - 1, at = (uint32_t)top->at[position].hash & mask;
    while (top->index[at])
        at = (at + 1) & mask;
    top->index[at] = position + 1;
}

static void index_rebuild(struct top *top, uint32_t cap)
{
    free(top->index);
    top->index_cap = cap;
    top->index = kpid_zalloc(cap, sizeof *top->index);
    for (uint32_t i = 0; i < top->n; i++)
        index_put(top, i);
}

static struct entry *entry_find(const struct top *top, const char *key, uint32_t len, uint64_t hash)
{
    uint32_t mask = top->index_cap - 1, found;
    for (uint32_t at = (uint32_t)hash & mask; top->index_cap && (found = top->index[at]); at = (at + 1) & mask) {
        struct entry *entry = &top->at[found - 1];
        if (entry->hash == hash && entry->len == len && memcmp(entry->key, key, len) == 0)
            return entry;
    }
    return NULL;
}

/* The key's entry, made with an infinite rank. */
static struct entry *entry_make(struct top *top, const char *key, uint32_t len, uint64_t hash)
{
    struct entry *entry = entry_find(top, key, len, hash);
    if (entry)
        return entry;
    if (top->n == top->cap) {
        top->cap = top->cap ? top->cap * 2 : 4;
        top->at = kpid_realloc(top->at, top->cap * sizeof *top->at);
    }
    top->at[top->n] = (struct entry){
        .key = kpid_strndup(key, len), .len = len, .hash = hash, .rank = (double)INFINITY};
    top->key_bytes += len + 1;
    top->n++;
    if (top->n * 2 > top->index_cap)
        index_rebuild(top, top->index_cap ? top->index_cap * 2 : 8);
    else
        index_put(top, top->n - 1);
    return &top->at[top->n - 1];
}

static int key_compare(const struct entry *x, const struct entry *y)
{
    uint32_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->key, y->key, len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int rank_compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->rank < y->rank || x->rank > y->rank)
        return x->rank < y->rank ? -1 : 1;
    return key_compare(x, y);
}

/* Leaves the keys of the least ranks, in the order of ranks. */
static void prune(struct top *top)
{
    uint32_t keys = top->keys;
    qsort(top->at, top->n, sizeof *top->at, rank_compare);
    if (top->n > keys) {
        for (uint32_t i = keys; i < top->n; i++) {
            top->key_bytes -= top->at[i].len + 1;
            free(top->at[i].key);
        }
        top->n = keys;
        top->limit = top->at[keys - 1].rank;
    }
    index_rebuild(top, top->index_cap);
}

/* ---- weights ---- */

static uint32_t column(uint64_t hash, unsigned row, uint32_t width)
{
    return (uint32_t)(kpid_hash_mix(hash, row) >> 40) & (width - 1);
}

static void counters_add(struct top *top, uint64_t hash, kpid_u128 weight)
{
    for (unsigned row = 0; row < ROWS; row++)
        top->counters[(size_t)row * top->width + column(hash, row, top->width)] += weight;
}

static kpid_u128 weight_of(const struct top *top, const struct entry *entry)
{
    if (!top->width)
        return entry->weight;
    kpid_u128 least = top->counters[column(entry->hash, 0, top->width)];
    for (unsigned row = 1; row < ROWS; row++) {
        kpid_u128 weight = top->counters[(size_t)row * top->width + column(entry->hash, row, top->width)];
        least = weight < least ? weight : least;
    }
    return least;
}

static void sketch_begin(struct top *top)
{
    for (top->width = 16; top->width < top->keys && top->width < WIDTH_MAX;)
        top->width *= 2;
    top->counters = kpid_zalloc((size_t)ROWS * top->width, sizeof *top->counters);
    top->limit = (double)INFINITY;
    for (uint32_t i = 0; i < top->n; i++)
        counters_add(top, top->at[i].hash, top->at[i].weight);
}

/* A key's weight and least rank, of one event or of a cell. `counted`: the counters have the weight already. */
static void key_add(struct top *top, const char *key, uint32_t len, uint64_t hash, kpid_u128 weight, double rank,
                    bool counted)
{
    if (top->width && !counted)
        counters_add(top, hash, weight);
    if (top->width && rank > top->limit)
        return;
    struct entry *entry = entry_make(top, key, len, hash);
    entry->rank = rank < entry->rank ? rank : entry->rank;
    if (!top->width)
        entry->weight += weight;
    if (!top->width && top->n > top->keys)
        sketch_begin(top);
    if (top->width && top->n >= top->keys * 2)
        prune(top);
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

static struct top *top_of(struct top_cell *cell, uint32_t keys)
{
    if (!cell->top) {
        cell->top = kpid_zalloc(1, sizeof *cell->top);
        cell->top->keys = keys;
    }
    return cell->top;
}

static void top_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct top_cell *c = cell;
    kpid_i128 weight = param->top_sum ? sample->value : 1;
    if (weight < 0) {
        c->negative++;
        return;
    }
    c->n++;
    if (weight == 0)
        return; /* what weighs nothing is on no list */
    kpid_wide_add(&c->total, weight);
    uint64_t event = kpid_hash_mix(kpid_hash_mix(sample->topic, sample->partition), (uint64_t)sample->offset);
    key_add(top_of(c, param->top_keys), sample->key, sample->key_len, kpid_hash(sample->key, sample->key_len, 0),
            (kpid_u128)weight, rank_of(kpid_hash(&event, sizeof event, 1), (kpid_u128)weight), false);
}

static void top_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct top_cell *a = into;
    const struct top_cell *b = from;
    a->n += b->n;
    a->negative += b->negative;
    kpid_wide_merge(&a->total, &b->total);
    if (!b->top)
        return;
    struct top *top = top_of(a, param->top_keys);
    bool counted = b->top->width != 0;
    if (counted && !top->width)
        sketch_begin(top);
    for (size_t i = 0; counted && i < (size_t)ROWS * top->width; i++)
        top->counters[i] += b->top->counters[i];
    for (uint32_t i = 0; i < b->top->n; i++) {
        const struct entry *entry = &b->top->at[i];
        key_add(top, entry->key, entry->len, entry->hash, entry->weight, entry->rank, counted);
    }
}

static void top_release(void *cell)
{
    struct top_cell *c = cell;
    for (uint32_t i = 0; c->top && i < c->top->n; i++)
        free(c->top->at[i].key);
    if (c->top) {
        free(c->top->at);
        free(c->top->index);
        free(c->top->counters);
        free(c->top);
    }
    *c = (struct top_cell){0};
}

static size_t top_heap_bytes(const void *cell)
{
    const struct top *top = ((const struct top_cell *)cell)->top;
    return top ? sizeof *top + top->cap * sizeof *top->at + top->index_cap * sizeof *top->index + top->key_bytes +
                     (size_t)ROWS * top->width * sizeof *top->counters
               : 0;
}

/* Between two prunings up to twice the keys, in an array that doubles; as many places again as half of them is used. */
static size_t top_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    size_t keys = 2 * (size_t)param->top_keys, cap = 4, places = 8, width = 16;
    (void)tracks;
    while (cap < keys)
        cap *= 2;
    while (places < 2 * keys)
        places *= 2;
    while (width < param->top_keys && width < WIDTH_MAX)
        width *= 2;
    return sizeof(struct top) + cap * sizeof(struct entry) + places * sizeof(uint32_t) +
           keys * (KPID_TOP_KEY_BYTES + 1) + ROWS * width * sizeof(kpid_u128);
}

/* ---- storage: the canonical part ---- */

static int packed_compare(const void *a, const void *b)
{
    return rank_compare(*(const struct entry *const *)a, *(const struct entry *const *)b);
}

static void top_pack(const void *cell, struct kpid_buf *out)
{
    const struct top_cell *c = cell;
    const struct top *top = c->top;
    kpid_pack_u64(out, c->n);
    kpid_pack_u64(out, c->negative);
    kpid_wide_pack(&c->total, out);
    if (!top) {
        kpid_pack_u64(out, 0);
        return;
    }
    const struct entry **order = kpid_zalloc(top->n + 1, sizeof(struct entry *));
    for (uint32_t i = 0; i < top->n; i++)
        order[i] = &top->at[i];
    qsort(order, top->n, sizeof(struct entry *), packed_compare);
    uint32_t n = top->width && top->n > top->keys ? top->keys : top->n;
    kpid_pack_u64(out, n);
    kpid_pack_u64(out, top->keys);
    kpid_pack_u64(out, top->width);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &order[i]->rank, sizeof bits);
        kpid_pack_bytes(out, order[i]->key, order[i]->len);
        kpid_pack_fixed64(out, bits);
        if (!top->width)
            kpid_pack_i128(out, (kpid_i128)order[i]->weight);
    }
    for (size_t i = 0; i < (size_t)ROWS * top->width; i++)
        kpid_pack_i128(out, (kpid_i128)top->counters[i]);
    free(order);
}

static bool entries_unpack(struct top *top, uint64_t n, struct kpid_unpack *in)
{
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        size_t len;
        const char *key = kpid_unpack_bytes(in, &len);
        uint64_t bits = kpid_unpack_fixed64(in);
        double rank;
        memcpy(&rank, &bits, sizeof rank);
        kpid_i128 weight = top->width ? 0 : kpid_unpack_i128(in);
        if (in->bad || len > KPID_TOP_KEY_BYTES || !(rank >= 0) || weight < 0)
            return false;
        struct entry *entry = entry_make(top, key, (uint32_t)len, kpid_hash(key, len, 0));
        entry->rank = rank;
        entry->weight = (kpid_u128)weight;
        top->limit = rank;
    }
    return !in->bad;
}

static bool top_unpack(void *cell, struct kpid_unpack *in)
{
    struct top_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    c->negative = kpid_unpack_u64(in);
    kpid_wide_unpack(&c->total, in);
    uint64_t n = kpid_unpack_u64(in);
    if (in->bad || n == 0)
        return !in->bad;
    uint64_t keys = kpid_unpack_u64(in), width = kpid_unpack_u64(in);
    if (in->bad || keys > KPID_TOP_KEYS_MAX || n > keys || width > WIDTH_MAX || (width & (width - 1)) != 0)
        return false;
    struct top *top = top_of(c, (uint32_t)keys);
    top->width = (uint32_t)width;
    if (width)
        top->counters = kpid_zalloc((size_t)ROWS * width, sizeof *top->counters);
    if (!entries_unpack(top, n, in))
        return false;
    for (size_t i = 0; i < ROWS * width; i++)
        top->counters[i] = (kpid_u128)kpid_unpack_i128(in);
    return !in->bad;
}

/* ---- figures ---- */

/* How much too high a weight may be. */
static kpid_i128 error_of(const struct top *top, kpid_i128 total)
{
    return top && top->width ? total / top->width * 2719 / 1000 + 3 : 0;
}

/* The heaviest first, and of equals the key that comes first. */
static bool is_heavier(kpid_u128 weight, const struct entry *entry, kpid_u128 than, const struct entry *other)
{
    return weight != than ? weight > than : key_compare(entry, other) < 0;
}

/* Writes the `max` heaviest keys in order. Cells that are read hold the canonical part alone: what is above is let go.
 * Cost: keys * max in the worst case, mostly one comparison a key. */
static size_t heaviest(const struct top_cell *c, const struct entry **ret, kpid_u128 *ret_weights, size_t max)
{
    struct top *top = c->top;
    size_t n = 0;
    if (!top)
        return 0;
    if (top->width && top->n > top->keys)
        prune(top);
    for (uint32_t i = 0; i < top->n; i++) {
        const struct entry *entry = &top->at[i];
        kpid_u128 weight = weight_of(top, entry);
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

static struct kpid_number top_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct top_cell *c = cell;
    const struct entry *first;
    kpid_u128 weight = 0;
    kpid_i128 total;
    if (part == PART_N || part == PART_NEGATIVE)
        return kpid_part_integer(part == PART_N ? c->n : c->negative);
    if (part == PART_KEYS)
        return c->top && c->top->width ? kpid_part_none() : kpid_part_integer(c->top ? c->top->n : 0);
    if (part == PART_SUM || !kpid_wide_get(&c->total, &total))
        return kpid_part_sum(&c->total, param);
    if (part == PART_ERROR)
        return kpid_part_value(error_of(c->top, total), param);
    heaviest(c, &first, &weight, 1);
    if (part == PART_SHARE)
        return total > 0 ? kpid_part_double((double)weight / (double)total) : kpid_part_none();
    return kpid_part_value((kpid_i128)weight, param);
}

static size_t top_ranks(const void *cell, const struct kpid_agg_param *param, struct kpid_rank *ret)
{
    const struct top_cell *c = cell;
    const struct entry *entries[KPID_TOP_MAX];
    kpid_u128 weights[KPID_TOP_MAX];
    kpid_i128 total;
    if (!kpid_wide_get(&c->total, &total))
        return 0;
    size_t n = heaviest(c, entries, weights, param->top_k);
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct kpid_rank){.key = entries[i]->key,
                                    .value = kpid_part_value((kpid_i128)weights[i], param),
                                    .error = kpid_part_value(error_of(c->top, total), param)};
    return n;
}

static int top_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure top_figure(int part)
{
    switch (part) {
    case PART_N:
    case PART_NEGATIVE: return KPID_FIGURE_COUNT;
    case PART_SHARE:
    case PART_KEYS: return KPID_FIGURE_OTHER;
    default: return KPID_FIGURE_SUM;
    }
}

static uint64_t top_samples(const void *cell)
{
    return ((const struct top_cell *)cell)->n;
}

const struct kpid_agg kpid_agg_top = {
    .name = "top",
    .input = KPID_INPUT_KEY,
    .cell_bytes = sizeof(struct top_cell),
    .event_ns = 220,
    .add = top_add,
    .merge = top_merge,
    .release = top_release,
    .heap_bytes = top_heap_bytes,
    .heap_max = top_heap_max,
    .pack = top_pack,
    .unpack = top_unpack,
    .part = top_part,
    .part_names = "n, sum, share, keys, error, negative",
    .figure = top_figure,
    .read = top_read,
    .samples = top_samples,
    .published = published,
    .ranks = top_ranks,
};
