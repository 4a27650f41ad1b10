/* Keyed measures against panes: a change of a key's items is worked out before and after, and the difference counts. */
#include "keyed_table.h"

struct change {
    struct kpid_shard *shard;
    struct kpid_keys *keys;
    uint32_t measure;
};

/* ---- groups ---- */

void keyed_use_groups(struct kpid_shard *shard, const struct kpid_measure *def, const uint32_t *gids, size_t n,
                      int weight)
{
    size_t n_gids = def->n_groupings - 1;

    for (size_t i = 0; i < n; i++)
        for (size_t g = 0; g < n_gids; g++)
            shard->groups[def->groupings[g + 1]].at[gids[i * n_gids + g]].cells += (uint32_t)weight;
}

static bool groups_before(const void *ctx, const uint32_t *a, const uint32_t *b)
{
    const struct change *c = ctx;
    const struct kpid_measure *def = c->shard->measures[c->measure].def;

    for (size_t g = 0; g < c->keys->n_gids; g++) {
        const struct kpid_group *at = c->shard->groups[def->groupings[g + 1]].at;
        if (a[g] != b[g])
            return at[a[g]].hash < at[b[g]].hash;
    }
    return false;
}

/* ---- outcomes ---- */

uint32_t keyed_gid(const struct kpid_measure *def, const struct keyed_side *side, const struct kpid_outcome *outcome,
                   uint32_t grouping)
{
    uint32_t item = def->from_start >> grouping & 1 ? outcome->origin : outcome->item;

    return grouping ? side->items.gids[item * side->items.n_gids + grouping - 1] : 0;
}

static void add_span(const struct kpid_measure *def, struct kpid_keys *keys, const struct keyed_side *side,
                     const struct kpid_outcome *outcome, int weight)
{
    for (uint32_t g = 0; g < def->n_groupings; g++)
        kpid_spans_add(keys->spans, g, keyed_gid(def, side, outcome, g), outcome->part, outcome->ts_ms, outcome->value,
                       weight);
}

void keyed_add_spans(const struct kpid_measure *def, struct kpid_keys *keys, const struct keyed_side *side, int weight)
{
    for (size_t i = 0; keys->spans && i < side->result.n; i++)
        if (side->outcomes[i].kind == KPID_SAMPLE_SPAN)
            add_span(def, keys, side, &side->outcomes[i], weight);
}

/* ---- differences ---- */

static void count_outcome(const struct change *c, const struct keyed_side *side, const struct kpid_outcome *outcome,
                          int sign)
{
    struct kpid_measure_state *m = &c->shard->measures[c->measure];
    struct kpid_sample sample = { .value = outcome->value, .ts_ms = outcome->ts_ms, .kind = outcome->kind,
                                  .part = outcome->part, .weight = outcome->weight * sign };

    if (outcome->kind == KPID_SAMPLE_SPAN) { /* its ends are steps of a level, which touch the windows */
        add_span(m->def, c->keys, side, outcome, sample.weight);
        return;
    }
    if (c->shard->copy)
        return; /* its owner commits what is counted */
    if (outcome->kind == KPID_SAMPLE_DURATION && sample.weight < 0)
        c->keys->stale = true;
    for (uint32_t g = 0; g < m->def->n_groupings; g++)
        kpid_ladder_add(c->shard, c->measure, g, keyed_gid(m->def, side, outcome, g), outcome->ts_ms, &sample);
    kpid_ladder_touch(m, outcome->ts_ms);
}

static bool same_outcome(const struct change *c, const struct kpid_outcome *a, const struct kpid_outcome *b)
{
    const struct kpid_measure *def = c->shard->measures[c->measure].def;

    if (a->ts_ms != b->ts_ms || a->kind != b->kind || a->part != b->part || a->weight != b->weight ||
        a->value != b->value)
        return false;
    for (uint32_t g = 1; g < def->n_groupings; g++)
        if (keyed_gid(def, &c->keys->before, a, g) != keyed_gid(def, &c->keys->after, b, g))
            return false;
    return true;
}

/* Counts what is in `after` and not in `before`, and takes back what is in `before` only. Most changes leave a long
 * beginning and end alone, which are passed over first. */
static void count_difference(const struct change *c)
{
    struct keyed_side *before = &c->keys->before, *after = &c->keys->after;
    struct kpid_outcome *old = before->outcomes, *new = after->outcomes;
    size_t n_old = before->result.n, n_new = after->result.n;

    for (; n_old && n_new && same_outcome(c, old, new); old++, new++, n_old--, n_new--)
        ;
    for (; n_old && n_new && same_outcome(c, &old[n_old - 1], &new[n_new - 1]); n_old--, n_new--)
        ;
    for (size_t i = 0; i < n_new; i++) {
        bool found = false;
        for (size_t k = 0; k < n_old && !found; k++)
            if (same_outcome(c, &old[k], &new[i])) {
                old[k] = old[--n_old];
                found = true;
            }
        if (!found)
            count_outcome(c, after, &new[i], 1);
    }
    for (size_t k = 0; k < n_old; k++)
        count_outcome(c, before, &old[k], -1);
    c->shard->n.negatives += after->result.negatives - before->result.negatives;
    c->shard->n.keys_forgotten += after->result.forgotten - before->result.forgotten;
    c->shard->n.undated += after->result.undated - before->result.undated;
}

/* What a key's items were before, worked out; a key that is new had none. */
static void open_before(struct kpid_keys *keys, struct keyed_block *block, int64_t horizon_ms)
{
    if (!block) {
        keyed_reserve(keys, &keys->before, 0);
        keys->before.items.n = 0;
        keys->before.result = (struct kpid_keyed_result){ .next_timer_ms = KPID_FOREVER };
        return;
    }
    keyed_open(keys, block, &keys->before);
    keyed_work_out(keys, &keys->before, horizon_ms);
}

/* Puts an event into copies of a key's items. *block: the key, NULL if it is new; then where it is. */
static enum kpid_put put_event(struct kpid_shard *shard, uint32_t measure, const struct kpid_keyed_key *key,
                               const struct kpid_keyed_event *event, struct keyed_block **block)
{
    const struct kpid_measure *def = shard->measures[measure].def;
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct change c = { shard, keys, measure };
    struct kpid_items *items = &keys->after.items;

    if (*block) {
        keyed_open(keys, *block, &keys->after);
    } else {
        keyed_reserve(keys, &keys->after, 0);
        items->n = 0;
    }
    items->before = groups_before;
    items->ctx = &c;
    enum kpid_put put = keys->kind->put(keys->spec, items, event, shard->elapsed_ms);
    if (put == KPID_PUT_FULL || put == KPID_PUT_NONE)
        return put;
    if (put == KPID_PUT_CHANGED) {
        open_before(keys, *block, shard->elapsed_ms);
        keyed_use_groups(shard, def, keys->before.items.gids, keys->before.items.n, -1);
        keyed_use_groups(shard, def, items->gids, items->n, 1);
        keyed_work_out(keys, &keys->after, shard->elapsed_ms);
        count_difference(&c);
    }
    *block = *block ? keyed_set(keys, *block, items) : keyed_make(keys, key->hash, key->bytes, key->len, items);
    if (put == KPID_PUT_CHANGED)
        keyed_schedule(keys, *block, keys->after.result.next_timer_ms);
    return put;
}

bool kpid_keys_take(struct kpid_shard *shard, uint32_t measure, const struct kpid_keyed_key *key,
                    const struct kpid_keyed_event *event)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct keyed_block *block = keyed_find(keys, key->hash, key->bytes, key->len);
    enum kpid_put put = KPID_PUT_CHANGED;

    if (!block) {
        if (keys->kind->idle && keys->kind->idle(keys->spec, event, kpid_shard_closed(shard), &keys->memo))
            return true;
        if (keys->used >= keys->spec->max_keys || key->len > KEYED_KEY_MAX || keyed_pool_is_crowded(&keys->pool))
            return false;
    } else if (keys->kind->touch) {
        put = keys->kind->touch(keys->spec, block->words, block->n, event, shard->elapsed_ms, &keys->memo);
    }
    if (put == KPID_PUT_CHANGED)
        put = put_event(shard, measure, key, event, &block);
    if (put == KPID_PUT_QUIET || put == KPID_PUT_CHANGED)
        keyed_mark(keys, block);
    return put != KPID_PUT_FULL;
}

void kpid_keys_elapse(struct kpid_shard *shard, uint32_t measure, int64_t until_ms)
{
    struct kpid_keys *keys = shard->measures[measure].keys;
    struct change c = { shard, keys, measure };

    while (keys->n_heap && keys->heap[0].at_ms < until_ms) {
        struct keyed_timer timer = keyed_pop_timer(keys);
        struct keyed_block *block = keyed_entry(keys, timer.entry);
        if (!block || block->timer_ms != timer.at_ms)
            continue;
        keyed_open(keys, block, &keys->before);
        keyed_open(keys, block, &keys->after);
        keyed_work_out(keys, &keys->before, shard->elapsed_ms);
        keyed_work_out(keys, &keys->after, until_ms);
        count_difference(&c);
        block->timer_ms = KPID_FOREVER;
        keyed_schedule(keys, block, keys->after.result.next_timer_ms);
    }
}

/* ---- the oldest ---- */

bool kpid_keys_aging(const struct kpid_keys *keys, int64_t at_ms)
{
    int64_t since;

    for (size_t track = 0; keys->spans && track < KPID_TRACKS_MAX; track++)
        if (keys->spec->aged >> track & 1 && kpid_spans_oldest(keys->spans, 0, 0, track, at_ms, &since))
            return true;
    return false;
}

void kpid_keys_ages(const struct kpid_keys *keys, uint32_t grouping, int64_t at_ms, kpid_keys_aged *visit, void *ctx)
{
    int64_t since;

    for (uint32_t gid = 0; keys->spans && gid < kpid_spans_gids(keys->spans, grouping); gid++)
        for (size_t track = 0; track < KPID_TRACKS_MAX; track++)
            if (keys->spec->aged >> track & 1 && kpid_spans_oldest(keys->spans, grouping, gid, track, at_ms, &since))
                visit(ctx, gid, track, keys->kind->age(keys->spec, since, at_ms));
}
