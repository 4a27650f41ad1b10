/* sum: an exact total. A cell has room for any number of 127-bit values (wide.h); whether the total can be
 * told is asked when it is read, so an overflow depends on the total, not on the order of what came. */
#include "agg_part.h"

struct sum_cell {
    struct kpid_wide sum;
    uint64_t n;
};

enum { PART_SUM, PART_N };

static const struct kpid_part_name parts[] = {{"", PART_SUM}, {"sum", PART_SUM}, {"n", PART_N}, {NULL, -1}};

static void sum_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct sum_cell *c = cell;
    (void)param;
    kpid_wide_add(&c->sum, sample->value);
    c->n++;
}

static void sum_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct sum_cell *a = into;
    const struct sum_cell *b = from;
    (void)param;
    kpid_wide_merge(&a->sum, &b->sum);
    a->n += b->n;
}

static void sum_pack(const void *cell, struct kpid_buf *out)
{
    const struct sum_cell *c = cell;
    kpid_pack_u64(out, c->n);
    kpid_wide_pack(&c->sum, out);
}

static bool sum_unpack(void *cell, struct kpid_unpack *in)
{
    struct sum_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    kpid_wide_unpack(&c->sum, in);
    return !in->bad;
}

static int sum_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure sum_figure(int part)
{
    return part == PART_N ? KPID_FIGURE_COUNT : KPID_FIGURE_SUM;
}

static struct kpid_number sum_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct sum_cell *c = cell;
    return part == PART_N ? kpid_part_integer(c->n) : kpid_part_sum(&c->sum, param);
}

static uint64_t sum_samples(const void *cell)
{
    return ((const struct sum_cell *)cell)->n;
}

_Static_assert(sizeof(struct sum_cell) <= 32, "the budget of a sum's cell");

const struct kpid_agg kpid_agg_sum = {
    .name = "sum",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct sum_cell),
    .event_ns = 30,
    .add = sum_add,
    .merge = sum_merge,
    .pack = sum_pack,
    .unpack = sum_unpack,
    .part = sum_part,
    .part_names = "n",
    .figure = sum_figure,
    .read = sum_read,
    .samples = sum_samples,
};
