/* distinct: how many different values. A cell is the sketch (kpid/hll.h). */
#include "agg_part.h"
#include "kpid/hll.h"

static const struct kpid_part_name parts[] = {{"", 0}, {NULL, -1}};

static void distinct_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    (void)param;
    kpid_hll_add(cell, sample->hash);
}

static void distinct_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    (void)param;
    kpid_hll_merge(into, from);
}

static void distinct_release(void *cell)
{
    kpid_hll_release(cell);
}

static size_t distinct_heap_bytes(const void *cell)
{
    return kpid_hll_bytes(cell);
}

static size_t distinct_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)param, (void)tracks;
    return KPID_HLL_BYTES_MAX;
}

static void distinct_pack(const void *cell, struct kpid_buf *out)
{
    kpid_hll_pack(cell, out);
}

static bool distinct_unpack(void *cell, struct kpid_unpack *in)
{
    return kpid_hll_unpack(cell, in);
}

static void distinct_redis(const void *cell, struct kpid_buf *out)
{
    kpid_hll_redis(cell, out);
}

static int distinct_part(const char *name, size_t len)
{
    return kpid_part_find(parts, false, name, len);
}

static enum kpid_figure distinct_figure(int part)
{
    (void)part;
    return KPID_FIGURE_DISTINCT;
}

/* Its independent observations are the different values, not the events. */
static uint64_t distinct_samples(const void *cell)
{
    return kpid_hll_estimate(cell);
}

static struct kpid_number distinct_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    (void)part, (void)param;
    return kpid_part_integer(kpid_hll_estimate(cell));
}

const struct kpid_agg kpid_agg_distinct = {
    .name = "distinct",
    .input = KPID_INPUT_ANY,
    .cell_bytes = sizeof(struct kpid_hll),
    .event_ns = 140,
    .add = distinct_add,
    .merge = distinct_merge,
    .release = distinct_release,
    .heap_bytes = distinct_heap_bytes,
    .heap_max = distinct_heap_max,
    .pack = distinct_pack,
    .unpack = distinct_unpack,
    .part = distinct_part,
    .part_names = "none",
    .figure = distinct_figure,
    .read = distinct_read,
    .samples = distinct_samples,
    .redis = distinct_redis,
};
