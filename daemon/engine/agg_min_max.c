/* min and max: the least and the greatest value. Nothing is told by the count, never by a value. */
#include "agg_part.h"

struct bound_cell {
    struct kpid_cell_i128 value;
    uint64_t n;
};

enum { PART_VALUE, PART_N };

static const struct kpid_part_name parts[] = {{"", PART_VALUE}, {"n", PART_N}, {NULL, -1}};

/* Takes the value over if it lies further out; `sign` is 1 for max, -1 for min. */
static void bound_widen(struct bound_cell *c, kpid_i128 value, uint64_t n, int sign)
{
    kpid_i128 held = kpid_cell_get(c->value);
    if (c->n == 0 || (sign > 0 ? value > held : value < held))
        c->value = kpid_cell_of(value);
    c->n += n;
}

static void min_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    (void)param;
    bound_widen(cell, sample->value, 1, -1);
}

static void max_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    (void)param;
    bound_widen(cell, sample->value, 1, 1);
}

static void bound_merge(void *into, const void *from, int sign)
{
    const struct bound_cell *b = from;
    if (b->n > 0)
        bound_widen(into, kpid_cell_get(b->value), b->n, sign);
}

static void min_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    (void)param;
    bound_merge(into, from, -1);
}

static void max_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    (void)param;
    bound_merge(into, from, 1);
}

static void bound_pack(const void *cell, struct kpid_buf *out)
{
    const struct bound_cell *c = cell;
    kpid_pack_u64(out, c->n);
    if (c->n > 0)
        kpid_pack_i128(out, kpid_cell_get(c->value));
}

static bool bound_unpack(void *cell, struct kpid_unpack *in)
{
    struct bound_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    if (c->n > 0)
        c->value = kpid_cell_of(kpid_unpack_i128(in));
    return !in->bad;
}

static int bound_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure bound_figure(int part)
{
    return part == PART_N ? KPID_FIGURE_COUNT : KPID_FIGURE_OTHER;
}

static struct kpid_number bound_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct bound_cell *c = cell;
    if (part == PART_N)
        return kpid_part_integer(c->n);
    return c->n == 0 ? kpid_part_none() : kpid_part_value(kpid_cell_get(c->value), param);
}

static uint64_t bound_samples(const void *cell)
{
    return ((const struct bound_cell *)cell)->n;
}

const struct kpid_agg kpid_agg_min = {
    .name = "min",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct bound_cell),
    .event_ns = 35,
    .add = min_add,
    .merge = min_merge,
    .pack = bound_pack,
    .unpack = bound_unpack,
    .part = bound_part,
    .part_names = "n",
    .figure = bound_figure,
    .read = bound_read,
    .samples = bound_samples,
};

const struct kpid_agg kpid_agg_max = {
    .name = "max",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct bound_cell),
    .event_ns = 35,
    .add = max_add,
    .merge = max_merge,
    .pack = bound_pack,
    .unpack = bound_unpack,
    .part = bound_part,
    .part_names = "n",
    .figure = bound_figure,
    .read = bound_read,
    .samples = bound_samples,
};
