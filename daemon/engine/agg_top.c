/* top: the heaviest keys. A cell is the sketch (heavy.h), and beside it what all of them weigh. */
#include "agg_part.h"
#include "heavy.h"

#include "kpid/hash.h"

struct top_cell {
    struct kpid_heavy *keys; /* NULL: none yet */
    uint64_t n, negative;
    struct kpid_wide total;
};

enum { PART_HEAVIEST, PART_N, PART_SUM, PART_SHARE, PART_KEYS, PART_ERROR, PART_NEGATIVE };

static const struct kpid_part_name parts[] = {{"", PART_HEAVIEST},     {"n", PART_N},        {"sum", PART_SUM},
                                              {"share", PART_SHARE},   {"keys", PART_KEYS},  {"error", PART_ERROR},
                                              {"negative", PART_NEGATIVE}, {NULL, -1}};

static const char *const published[] = {"n", "sum", "share", "keys", "error", NULL};

static struct kpid_heavy *keys_of(struct top_cell *cell, const struct kpid_agg_param *param)
{
    if (!cell->keys)
        cell->keys = kpid_heavy_new(param->top_keys);
    return cell->keys;
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
    kpid_heavy_add(keys_of(c, param), sample->key, sample->key_len, (kpid_u128)weight, event);
}

static void top_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct top_cell *a = into;
    const struct top_cell *b = from;
    a->n += b->n;
    a->negative += b->negative;
    kpid_wide_merge(&a->total, &b->total);
    if (b->keys)
        kpid_heavy_merge(keys_of(a, param), b->keys);
}

static void top_release(void *cell)
{
    kpid_heavy_free(((struct top_cell *)cell)->keys);
    *(struct top_cell *)cell = (struct top_cell){0};
}

static size_t top_heap_bytes(const void *cell)
{
    const struct top_cell *c = cell;
    return c->keys ? kpid_heavy_bytes(c->keys) : 0;
}

static size_t top_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)tracks;
    return kpid_heavy_bytes_max(param->top_keys);
}

static void top_pack(const void *cell, struct kpid_buf *out)
{
    const struct top_cell *c = cell;
    kpid_pack_u64(out, c->n);
    kpid_pack_u64(out, c->negative);
    kpid_wide_pack(&c->total, out);
    kpid_heavy_pack(c->keys, out);
}

static bool top_unpack(void *cell, struct kpid_unpack *in)
{
    struct top_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    c->negative = kpid_unpack_u64(in);
    kpid_wide_unpack(&c->total, in);
    return kpid_heavy_unpack(&c->keys, in);
}

static size_t heaviest(const struct top_cell *c, const struct kpid_heavy_key **ret, kpid_u128 *ret_weights, size_t max)
{
    return c->keys ? kpid_heavy_first(c->keys, ret, ret_weights, max) : 0;
}

static kpid_i128 error_of(const struct top_cell *c, kpid_i128 total)
{
    return c->keys ? kpid_heavy_error(c->keys, total) : 0;
}

static struct kpid_number top_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct top_cell *c = cell;
    const struct kpid_heavy_key *first;
    kpid_u128 weight = 0;
    kpid_i128 total;
    if (part == PART_N || part == PART_NEGATIVE)
        return kpid_part_integer(part == PART_N ? c->n : c->negative);
    if (part == PART_KEYS)
        return c->keys && c->keys->width ? kpid_part_none() : kpid_part_integer(c->keys ? c->keys->n : 0);
    if (part == PART_SUM || !kpid_wide_get(&c->total, &total))
        return kpid_part_sum(&c->total, param);
    if (part == PART_ERROR)
        return kpid_part_value(error_of(c, total), param);
    heaviest(c, &first, &weight, 1);
    if (part == PART_SHARE)
        return total > 0 ? kpid_part_double((double)weight / (double)total) : kpid_part_none();
    return kpid_part_value((kpid_i128)weight, param);
}

static size_t top_ranks(const void *cell, const struct kpid_agg_param *param, struct kpid_rank *ret)
{
    const struct top_cell *c = cell;
    const struct kpid_heavy_key *entries[KPID_TOP_MAX];
    kpid_u128 weights[KPID_TOP_MAX];
    kpid_i128 total;
    if (!kpid_wide_get(&c->total, &total))
        return 0;
    size_t n = heaviest(c, entries, weights, param->top_k);
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct kpid_rank){.key = entries[i]->key,
                                    .value = kpid_part_value((kpid_i128)weights[i], param),
                                    .error = kpid_part_value(error_of(c, total), param)};
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
