/* count: how many events. A cell is the number itself. */
#include "agg_part.h"

static const struct kpid_part_name parts[] = {{"", 0}, {"n", 0}, {NULL, -1}};

static void count_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    (void)sample, (void)param;
    ++*(uint64_t *)cell;
}

static void count_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    (void)param;
    *(uint64_t *)into += *(const uint64_t *)from;
}

static void count_pack(const void *cell, struct kpid_buf *out)
{
    kpid_pack_u64(out, *(const uint64_t *)cell);
}

static bool count_unpack(void *cell, struct kpid_unpack *in)
{
    *(uint64_t *)cell = kpid_unpack_u64(in);
    return !in->bad;
}

static int count_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure count_figure(int part)
{
    (void)part;
    return KPID_FIGURE_COUNT;
}

static uint64_t count_samples(const void *cell)
{
    return *(const uint64_t *)cell;
}

static struct kpid_number count_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    (void)part, (void)param;
    return kpid_part_integer(count_samples(cell));
}

const struct kpid_agg kpid_agg_count = {
    .name = "count",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(uint64_t),
    .event_ns = 30,
    .add = count_add,
    .merge = count_merge,
    .pack = count_pack,
    .unpack = count_unpack,
    .part = count_part,
    .part_names = "n",
    .figure = count_figure,
    .read = count_read,
    .samples = count_samples,
};
