/*
 * What a shard remembers of the logs that it is counted from: where each was first read, a witness of the last record,
 * ranges that were lost before they could be read, and whether it is being counted again because its state, or the end
 * of it, was lost.
 */
#include "core.h"

#include "kpid/flow/snapshot.h"

#include <assert.h>

void kpid_trail_init(struct kpid_trail *trail)
{
    trail->begin_offset = trail->witness_offset = trail->rebuild_to = -1;
}

/* ---- storage ---- */

void kpid_trail_write(const struct kpid_trail *trail, struct kpid_buf *out)
{
    kpid_pack_i64(out, trail->begin_offset);
    kpid_pack_i64(out, trail->witness_offset);
    kpid_pack_fixed64(out, trail->witness_hash);
    kpid_pack_i64(out, trail->rebuild_to);
    kpid_pack_u64(out, trail->gap_open);
    kpid_pack_u64(out, trail->n_gaps);
    for (uint32_t i = 0; i < trail->n_gaps; i++) {
        kpid_pack_i64(out, trail->gaps[i].from_ms);
        kpid_pack_i64(out, trail->gaps[i].to_ms);
    }
}

void kpid_trail_read(struct kpid_trail *trail, struct kpid_unpack *in)
{
    trail->begin_offset = kpid_unpack_i64(in);
    trail->witness_offset = kpid_unpack_i64(in);
    trail->witness_hash = kpid_unpack_fixed64(in);
    trail->rebuild_to = kpid_unpack_i64(in);
    trail->gap_open = kpid_unpack_u64(in) != 0;
    uint64_t n = kpid_unpack_u64(in);
    if (n > KPID_GAPS_MAX)
        in->bad = true;
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        trail->gaps[i].from_ms = kpid_unpack_i64(in);
        trail->gaps[i].to_ms = kpid_unpack_i64(in);
        trail->n_gaps = (uint32_t)i + 1;
    }
}

/* ---- beginning and witness ---- */

void kpid_shard_begin(struct kpid_shard *shard, uint32_t topic, int64_t offset)
{
    assert(shard->topics[topic].next_offset < 0 && offset >= 0);
    shard->topics[topic].next_offset = shard->topics[topic].trail.begin_offset = offset;
    shard->changed = true;
}

int64_t kpid_shard_began_at(const struct kpid_shard *shard, uint32_t topic)
{
    return shard->topics[topic].trail.begin_offset;
}

void kpid_shard_set_witness(struct kpid_shard *shard, uint32_t topic, int64_t offset, uint64_t hash)
{
    struct kpid_topic_state *state = &shard->topics[topic];

    if (offset < 0 || offset + 1 != state->next_offset || state->trail.witness_offset == offset)
        return;
    state->trail.witness_offset = offset;
    state->trail.witness_hash = hash;
}

bool kpid_shard_witness(const struct kpid_shard *shard, uint32_t topic, int64_t *ret_offset, uint64_t *ret_hash)
{
    const struct kpid_topic_state *state = &shard->topics[topic];

    if (state->trail.witness_offset < 0 || state->trail.witness_offset + 1 != state->next_offset)
        return false;
    *ret_offset = state->trail.witness_offset;
    *ret_hash = state->trail.witness_hash;
    return true;
}

void kpid_shard_witness_gone(struct kpid_shard *shard, uint32_t topic)
{
    shard->topics[topic].ledger.witness_gone++;
    shard->changed = true;
}

/* ---- lost ranges ---- */

void kpid_shard_jump(struct kpid_shard *shard, uint32_t topic, int64_t offset)
{
    struct kpid_topic_state *state = &shard->topics[topic];
    struct kpid_trail *trail = &state->trail;
    int64_t clock = state->highest_ms == KPID_NEVER ? KPID_NEVER : state->highest_ms - shard->source->out_of_order_ms;

    if (offset > state->next_offset)
        state->ledger.lost_range += (uint64_t)(offset - state->next_offset);
    state->next_offset = offset;
    trail->witness_offset = -1;
    shard->changed = true;
    if (trail->gap_open)
        return;
    trail->gap_open = true;
    if (trail->n_gaps < KPID_GAPS_MAX)
        trail->gaps[trail->n_gaps++] = (struct kpid_gap){ clock, KPID_FOREVER };
    else
        trail->gaps[KPID_GAPS_MAX - 1].to_ms = KPID_FOREVER;
}

static void close_gap(struct kpid_trail *trail, int64_t ts_ms)
{
    struct kpid_gap *gap = &trail->gaps[trail->n_gaps - 1];

    gap->to_ms = ts_ms > gap->from_ms ? ts_ms : gap->from_ms;
    trail->gap_open = false;
}

/* ---- counting again ---- */

void kpid_shard_rebuild(struct kpid_shard *shard, uint32_t topic, int64_t to_offset)
{
    shard->topics[topic].trail.rebuild_to = to_offset;
    shard->rebuilt_ms = KPID_FOREVER;
    shard->changed = true;
    if (shard->topics[topic].next_offset >= to_offset)
        kpid_shard_rebuild_end(shard, topic);
}

bool kpid_shard_catch_up(struct kpid_shard *shard, uint32_t topic, int64_t to_offset)
{
    struct kpid_topic_state *state = &shard->topics[topic];

    if (to_offset <= state->next_offset || to_offset <= state->trail.rebuild_to)
        return false;
    state->trail.rebuild_to = to_offset;
    shard->changed = true;
    return true;
}

void kpid_shard_rebuild_end(struct kpid_shard *shard, uint32_t topic)
{
    int64_t highest = KPID_NEVER;

    if (shard->topics[topic].trail.rebuild_to < 0)
        return;
    shard->topics[topic].trail.rebuild_to = -1;
    shard->changed = true;
    for (size_t t = 0; t < shard->source->n_topics; t++) {
        if (shard->topics[t].trail.rebuild_to >= 0)
            return;
        if (shard->topics[t].highest_ms > highest)
            highest = shard->topics[t].highest_ms;
    }
    if (shard->rebuilt_ms == KPID_FOREVER)
        shard->rebuilt_ms = highest == KPID_NEVER ? KPID_NEVER : highest + 1;
}

bool kpid_shard_rebuilding(const struct kpid_shard *shard)
{
    for (size_t t = 0; t < shard->source->n_topics; t++)
        if (shard->topics[t].trail.rebuild_to >= 0)
            return true;
    return false;
}

void kpid_trail_follow(struct kpid_shard *shard, uint32_t topic, int64_t ts_ms)
{
    struct kpid_topic_state *state = &shard->topics[topic];

    if (state->trail.gap_open && ts_ms != KPID_NEVER)
        close_gap(&state->trail, ts_ms);
    if (state->trail.rebuild_to >= 0 && state->next_offset >= state->trail.rebuild_to)
        kpid_shard_rebuild_end(shard, topic);
}

/* ---- partitions ---- */

void kpid_shard_set_partitions(struct kpid_shard *shard, uint32_t n)
{
    if (n == shard->partitions)
        return;
    if (shard->partitions)
        for (size_t t = 0; t < shard->source->n_topics; t++)
            if (shard->topics[t].highest_ms > shard->repartitioned_ms)
                shard->repartitioned_ms = shard->topics[t].highest_ms;
    shard->partitions = n;
    shard->changed = true;
}

void kpid_shard_set_first_partitions(struct kpid_shard *shard, uint32_t n)
{
    shard->first_partitions = n;
    shard->changed = true;
}

uint32_t kpid_shard_first_partitions(const struct kpid_shard *shard)
{
    return shard->first_partitions;
}

/* ---- reasons ---- */

/* Keys that moved to another shard left their items and marks behind. */
static bool is_repartitioned(const struct kpid_shard *shard, const struct kpid_measure *def, int64_t start_ms,
                             int64_t boundary_ms)
{
    struct kpid_dedup_stats dedup;
    int64_t horizon = shard->source->dedup_horizon_ms;

    kpid_dedup_stats(shard->dedup, &dedup);
    if (boundary_ms <= shard->repartitioned_ms || (!def->agg->keyed && !dedup.marks && !shard->marked))
        return false;
    for (size_t i = 0; i < shard->plan->n_measures; i++) {
        const struct kpid_measure *other = shard->measures[i].def;
        int64_t lifetime = other->agg->keyed ? other->agg->keyed->lifetime_ms(&other->keyed) : 0;
        if (lifetime > horizon)
            horizon = lifetime;
    }
    return horizon == KPID_FOREVER || start_ms < shard->repartitioned_ms + horizon;
}

uint32_t kpid_trail_reasons(const struct kpid_shard *shard, const struct kpid_measure *def, int64_t start_ms,
                            int64_t boundary_ms)
{
    uint32_t reasons = 0;

    if (shard->rebuilt_ms != KPID_NEVER && start_ms < shard->rebuilt_ms)
        reasons |= KPID_QR(REBUILT);
    if (shard->repartitioned_ms != KPID_NEVER && is_repartitioned(shard, def, start_ms, boundary_ms))
        reasons |= KPID_QR(REPARTITIONED);
    for (size_t t = 0; t < shard->source->n_topics; t++)
        for (uint32_t i = 0; i < shard->topics[t].trail.n_gaps; i++) {
            const struct kpid_gap *gap = &shard->topics[t].trail.gaps[i];
            if (start_ms <= gap->to_ms && boundary_ms > gap->from_ms)
                reasons |= KPID_QR(LOST_RANGE);
        }
    return reasons;
}
