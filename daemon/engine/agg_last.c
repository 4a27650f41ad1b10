/* last: the value of the event with the greatest (time, topic, partition, offset). */
#include "agg_part.h"

struct last_cell {
    int64_t ts_ms, offset;
    uint32_t topic, partition;
    struct kpid_cell_i128 value;
    uint64_t n;
};

enum { PART_VALUE, PART_N };

static const struct kpid_part_name parts[] = {{"", PART_VALUE}, {"n", PART_N}, {NULL, -1}};

static bool cell_before(const struct last_cell *a, const struct last_cell *b)
{
    if (a->ts_ms != b->ts_ms)
        return a->ts_ms < b->ts_ms;
    if (a->topic != b->topic)
        return a->topic < b->topic;
    if (a->partition != b->partition)
        return a->partition < b->partition;
    return a->offset < b->offset;
}

static void last_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    struct last_cell *a = into;
    const struct last_cell *b = from;
    (void)param;
    if (b->n == 0)
        return;
    uint64_t n = a->n + b->n;
    if (a->n == 0 || cell_before(a, b))
        *a = *b;
    a->n = n;
}

static void last_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct last_cell one = {
        sample->ts_ms, sample->offset, sample->topic, sample->partition, kpid_cell_of(sample->value), 1};
    last_merge(cell, &one, param);
}

static void last_pack(const void *cell, struct kpid_buf *out)
{
    const struct last_cell *c = cell;
    kpid_pack_u64(out, c->n);
    if (c->n == 0)
        return;
    kpid_pack_i64(out, c->ts_ms);
    kpid_pack_u64(out, c->topic);
    kpid_pack_u64(out, c->partition);
    kpid_pack_i64(out, c->offset);
    kpid_pack_i128(out, kpid_cell_get(c->value));
}

static bool last_unpack(void *cell, struct kpid_unpack *in)
{
    struct last_cell *c = cell;
    c->n = kpid_unpack_u64(in);
    if (c->n == 0)
        return !in->bad;
    c->ts_ms = kpid_unpack_i64(in);
    uint64_t topic = kpid_unpack_u64(in), partition = kpid_unpack_u64(in);
    c->topic = (uint32_t)topic;
    c->partition = (uint32_t)partition;
    c->offset = kpid_unpack_i64(in);
    c->value = kpid_cell_of(kpid_unpack_i128(in));
    return !in->bad && topic <= UINT32_MAX && partition <= UINT32_MAX;
}

static int last_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure last_figure(int part)
{
    return part == PART_N ? KPID_FIGURE_COUNT : KPID_FIGURE_OTHER;
}

static struct kpid_number last_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct last_cell *c = cell;
    if (part == PART_N)
        return kpid_part_integer(c->n);
    return c->n == 0 ? kpid_part_none() : kpid_part_value(kpid_cell_get(c->value), param);
}

static uint64_t last_samples(const void *cell)
{
    return ((const struct last_cell *)cell)->n;
}

const struct kpid_agg kpid_agg_last = {
    .name = "last",
    .input = KPID_INPUT_NUMBER,
    .cell_bytes = sizeof(struct last_cell),
    .event_ns = 35,
    .add = last_add,
    .merge = last_merge,
    .pack = last_pack,
    .unpack = last_unpack,
    .part = last_part,
    .part_names = "n",
    .figure = last_figure,
    .read = last_read,
    .samples = last_samples,
};
