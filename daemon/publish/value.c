/*
 * Values for Redis' own commands (kpi:hll): a round's are sent in batches of one measure each, before the snapshots
 * beside which they stand, each batch under its (term, tick) like theirs.
 */
#include "publisher.h"

#include <inttypes.h>
#include <string.h>

#include "kpid/store.h"

#define VALUES_MAX 64u

static struct kpid_piece piece_since(const struct kpid_round *round, size_t at)
{
    return (struct kpid_piece){at, round->bytes.len - at};
}

void kpid_round_sketch(struct kpid_publisher *publisher, uint32_t kpi, const struct kpid_sketch *sketch,
                       const struct kpid_snapshot *snapshot, const void *cell)
{
    struct kpid_round *round = &publisher->next;
    const struct kpid_kpi *def = &publisher->model->kpis[kpi];
    const struct kpid_measure *measure = &publisher->model->measures[def->refs[sketch->ref].measure];
    const char *window = def->windows[sketch->window].name;
    if (round->n_values == round->cap_values) {
        round->cap_values = round->cap_values ? round->cap_values * 2 : 16;
        round->values = kpid_realloc(round->values, round->cap_values * sizeof *round->values);
    }
    struct kpid_value_op *op = &round->values[round->n_values++];
    op->ttl_ms = kpid_publisher_slot(publisher, kpi, sketch->window)->win_ttl_ms;
    size_t at = round->bytes.len;
    kpid_key_encode(&round->bytes, measure->name, strlen(measure->name));
    op->tag = piece_since(round, at);
    at = round->bytes.len;
    kpid_buf_add_char(&round->bytes, ':');
    kpid_key_encode(&round->bytes, window, strlen(window));
    kpid_buf_printf(&round->bytes, ":%" PRId64, snapshot->start_ms);
    if (snapshot->group || snapshot->other) {
        kpid_buf_add_char(&round->bytes, ':');
        kpid_group_field(&round->bytes, snapshot->group, def->n_by, snapshot->other);
    }
    op->rest = piece_since(round, at);
    at = round->bytes.len;
    if (cell)
        measure->agg->redis(cell, &round->bytes);
    op->bytes = piece_since(round, at);
}

static bool same_tag(const struct kpid_round *round, size_t a, size_t b)
{
    const struct kpid_piece *x = &round->values[a].tag, *y = &round->values[b].tag;
    return x->len == y->len && memcmp(round->bytes.data + x->at, round->bytes.data + y->at, x->len) == 0;
}

struct kpid_batch *kpid_values_cut(struct kpid_publisher *publisher, struct kpid_round *round)
{
    if (round->at_value == round->n_values)
        return NULL;
    struct kpid_batch *batch = kpid_zalloc(1, sizeof *batch);
    const struct kpid_piece *tag = &round->values[round->at_value].tag;
    *batch = (struct kpid_batch){
        .publisher = publisher, .values = true, .first = round->at_value, .tick = ++publisher->tick};
    batch->slot = kpid_publisher_values_slot(publisher, round->bytes.data + tag->at, tag->len);
    while (round->at_value < round->n_values && batch->n < VALUES_MAX && batch->bytes < KPID_BATCH_BYTES &&
           same_tag(round, batch->first, round->at_value)) {
        batch->bytes += round->values[round->at_value++].bytes.len;
        batch->n++;
    }
    return batch;
}

void kpid_values_send(struct kpid_publisher *publisher, const struct kpid_batch *batch, kpid_redis_done *done, void *ctx)
{
    const struct kpid_round *round = &publisher->kept;
    const struct kpid_value_op *ops = round->values + batch->first;
    const char *bytes = round->bytes.data;
    int64_t longest_ms = 0;
    bool for_ever = false;
    kpid_part_add_value_key(publisher, bytes + ops[0].tag.at, ops[0].tag.len, "", 0);
    for (size_t i = 0; i < batch->n; i++) {
        kpid_part_add_value_key(publisher, bytes + ops[i].tag.at, ops[i].tag.len, bytes + ops[i].rest.at,
                                ops[i].rest.len);
        longest_ms = ops[i].ttl_ms > longest_ms ? ops[i].ttl_ms : longest_ms;
        for_ever |= ops[i].ttl_ms == 0;
    }
    kpid_part_add_uint(publisher, publisher->term);
    kpid_part_add_uint(publisher, batch->tick);
    kpid_part_add_int(publisher, for_ever ? 0 : longest_ms);
    kpid_part_add_stamp(publisher, publisher->slots[batch->slot].acknowledged);
    publisher->slots[batch->slot].ttl_ms = for_ever ? 0 : longest_ms;
    for (size_t i = 0; i < batch->n; i++) {
        kpid_part_add_int(publisher, ops[i].ttl_ms);
        kpid_part_add(publisher, bytes + ops[i].bytes.at, ops[i].bytes.len);
    }
    kpid_parts_eval(publisher, KPID_SCRIPT_VALUES, batch->n + 1, done, ctx);
}
