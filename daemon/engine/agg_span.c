/* First and last event time of a slice: an aggregation of the engine's own, by which it knows whether a source lived. */
#include "core.h"

#include <string.h>

static void span_widen(struct kpid_span_cell *cell, uint64_t n, int64_t first_ms, int64_t last_ms)
{
    if (!n)
        return;
    if (!cell->n || first_ms < cell->first_ms)
        cell->first_ms = first_ms;
    if (!cell->n || last_ms > cell->last_ms)
        cell->last_ms = last_ms;
    cell->n += n;
}

static void span_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    (void)param;
    span_widen(cell, 1, sample->ts_ms, sample->ts_ms);
}

static void span_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    const struct kpid_span_cell *cell = from;
    (void)param;
    span_widen(into, cell->n, cell->first_ms, cell->last_ms);
}

static void span_pack(const void *cell, struct kpid_buf *out)
{
    const struct kpid_span_cell *span = cell;
    kpid_pack_u64(out, span->n);
    kpid_pack_i64(out, span->first_ms);
    kpid_pack_i64(out, span->last_ms);
}

static bool span_unpack(void *cell, struct kpid_unpack *in)
{
    struct kpid_span_cell *span = cell;
    span->n = kpid_unpack_u64(in);
    span->first_ms = kpid_unpack_i64(in);
    span->last_ms = kpid_unpack_i64(in);
    return !in->bad;
}

const struct kpid_agg kpid_agg_span = {
    .name = "span",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct kpid_span_cell),
    .add = span_add,
    .merge = span_merge,
    .pack = span_pack,
    .unpack = span_unpack,
};
