#include "core.h"
#include "state_format.h"

#include "kpid/flow/snapshot.h"
#include "kpid/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static void measure_init(struct kpid_shard *shard, size_t index, const struct kpid_measure *def)
{
    struct kpid_measure_state *m = &shard->measures[index];

    assert(def->n_groupings >= 1 && def->n_groupings <= KPID_GROUPINGS_MAX);
    m->def = def;
    m->marks = kpid_zalloc(def->n_rungs, sizeof(*m->marks));
    m->lists = kpid_zalloc(def->n_rungs * def->n_groupings, sizeof(*m->lists));
    m->grouping_began_ms = kpid_zalloc(def->n_groupings, sizeof(*m->grouping_began_ms));
    for (size_t g = 0; g < def->n_groupings; g++)
        m->grouping_began_ms[g] = KPID_NEVER;
    for (size_t r = 0; r < def->n_rungs; r++)
        m->marks[r] = (struct kpid_rung_mark){ r ? KPID_NEVER : KPID_FOREVER, KPID_NEVER, KPID_NEVER };
    m->max_merged_ms = KPID_NEVER;
    m->touch_below_ms = KPID_FOREVER;
    m->touched_ms = KPID_NEVER;
    m->gathered_ms = KPID_NEVER;
    if (def->agg->keyed)
        m->keys = kpid_keys_new(def);
}

static int64_t activity_keep(const struct kpid_source *source, const struct kpid_source_plan *plan)
{
    return plan->longest_window_ms + source->allowed_lateness_ms + source->silent_after_ms;
}

/* The activity of the source: two of its panes fit in silent_after, so that an interval's two ends never share one. */
static void activity_init(struct kpid_shard *shard)
{
    int64_t width = shard->source->silent_after_ms / 2;

    shard->activity_rung = (struct kpid_rung){ .kind = KPID_RUNG_FIXED, .width_ms = width > 0 ? width : 1,
                                               .keep_ms = activity_keep(shard->source, shard->plan),
                                               .hash = kpid_hash_mix(0x5ac7, (uint64_t)width) };
    shard->activity = (struct kpid_measure){ .name = shard->source->name, .source = shard->source_index,
                                             .agg = &kpid_agg_span, .groupings = &shard->activity_grouping,
                                             .n_groupings = 1, .rungs = &shard->activity_rung, .n_rungs = 1,
                                             .hash = kpid_hash(shard->source->name, strlen(shard->source->name), 0x5a) };
    measure_init(shard, shard->plan->n_measures, &shard->activity);
}

static uint64_t grouping_hash(const struct kpid_source *source, const struct kpid_grouping *grouping)
{
    uint64_t hash = 1;

    for (size_t i = 0; i < grouping->n; i++) {
        const char *name = source->fields[grouping->slots[i]].name;
        hash = kpid_hash_mix(hash, kpid_hash(name, strlen(name), 0));
    }
    return hash;
}

struct kpid_shard *kpid_shard_new(const struct kpid_model *model, uint32_t source, int32_t partition)
{
    struct kpid_shard *shard = kpid_zalloc(1, sizeof(*shard));
    const struct kpid_source_plan *plan = &model->plans[source];

    shard->model = model;
    shard->source = &model->sources[source];
    shard->plan = plan;
    shard->source_index = source;
    shard->partition = partition;
    shard->first_ms = shard->elapsed_ms = shard->rebuilt_ms = shard->repartitioned_ms = KPID_NEVER;
    shard->next_page = 1;
    shard->must_be_whole = true;
    shard->format = STATE_FORMAT;
    shard->topics = kpid_zalloc(shard->source->n_topics, sizeof(*shard->topics));
    for (size_t t = 0; t < shard->source->n_topics; t++) {
        shard->topics[t].next_offset = -1;
        shard->topics[t].highest_ms = KPID_NEVER;
        kpid_trail_init(&shard->topics[t].trail);
    }
    shard->groups = kpid_zalloc(plan->n_groupings, sizeof(*shard->groups));
    for (size_t g = 0; g < plan->n_groupings; g++)
        kpid_groups_init(&shard->groups[g], grouping_hash(shard->source, &plan->groupings[g]));
    shard->gids = kpid_zalloc(plan->n_groupings, sizeof(*shard->gids));
    shard->gid_stamps = kpid_zalloc(plan->n_groupings, sizeof(*shard->gid_stamps));
    shard->n_measures = plan->n_measures + 1;
    shard->measures = kpid_zalloc(shard->n_measures, sizeof(*shard->measures));
    for (size_t i = 0; i < plan->n_measures; i++)
        measure_init(shard, i, &model->measures[plan->measures[i]]);
    activity_init(shard);
    shard->prepared = kpid_zalloc(shard->n_measures, sizeof(*shard->prepared));
    shard->dedup = kpid_dedup_new(shard->source->dedup_horizon_ms, shard->source->dedup_bytes);
    return shard;
}

void kpid_shard_free(struct kpid_shard *shard)
{
    if (!shard)
        return;
    for (size_t i = 0; i < shard->n_measures; i++) {
        kpid_lists_release(&shard->measures[i]);
        free(shard->measures[i].marks);
        free(shard->measures[i].lists);
        free(shard->measures[i].grouping_began_ms);
        free(shard->measures[i].touches);
        kpid_keys_free(shard->measures[i].keys);
    }
    for (size_t g = 0; g < shard->plan->n_groupings; g++)
        kpid_groups_release(&shard->groups[g]);
    kpid_dedup_free(shard->dedup);
    kpid_buf_release(&shard->scratch);
    free(shard->measures);
    free(shard->topics);
    free(shard->groups);
    free(shard->gids);
    free(shard->gid_stamps);
    free(shard->prepared);
    free(shard->dirty);
    free(shard->log);
    free(shard->letters);
    free(shard);
}

/* ---- events ---- */

bool kpid_shard_wants(const struct kpid_shard *shard, uint32_t topic, int64_t offset)
{
    return offset >= shard->topics[topic].next_offset;
}

int64_t kpid_shard_next_offset(const struct kpid_shard *shard, uint32_t topic)
{
    return shard->topics[topic].next_offset;
}

static void put_letter(struct kpid_shard *shard, const struct kpid_record *record, enum kpid_reason reason)
{
    if (shard->n_letters == shard->cap_letters) {
        shard->cap_letters = shard->cap_letters ? shard->cap_letters * 2 : 16;
        shard->letters = kpid_realloc(shard->letters, shard->cap_letters * sizeof(*shard->letters));
    }
    shard->letters[shard->n_letters++] = (struct kpid_letter){ record->topic, record->offset, reason, 0 };
}

static enum kpid_class close_record(struct kpid_shard *shard, const struct kpid_record *record, enum kpid_class class,
                                    enum kpid_reason reason)
{
    struct kpid_topic_state *topic = &shard->topics[record->topic];

    topic->next_offset = record->offset + 1;
    if (topic->trail.gap_open || topic->trail.rebuild_to >= 0)
        kpid_trail_follow(shard, record->topic, class <= KPID_CLASS_LATE ? KPID_NEVER : shard->taken_ms);
    topic->ledger.in++;
    topic->ledger.classes[class]++;
    if (reason != KPID_REASON_NONE) {
        topic->ledger.reasons[reason]++;
        put_letter(shard, record, reason);
    }
    shard->changed = true;
    return class;
}

void kpid_shard_refuse(struct kpid_shard *shard, const struct kpid_record *record, enum kpid_reason reason)
{
    close_record(shard, record, KPID_CLASS_MALFORMED, reason);
}

static bool apply_keyed(struct kpid_shard *shard, const struct kpid_event *event, const struct kpid_prepared *p)
{
    const struct kpid_measure *def = shard->measures[p->measure].def;

    if (def->agg->keyed->covers && !def->agg->keyed->covers(&def->keyed, event->ts_ms)) {
        shard->n.uncovered++;
        return false;
    }
    bool grouped = def->agg->keyed->has_groups(&def->keyed, p->words);
    uint32_t gids[KPID_GROUPINGS_MAX];
    for (size_t g = 1; g < def->n_groupings; g++)
        gids[g - 1] = grouped ? kpid_shard_gid(shard, event, def->groupings[g]) : KPID_GID_OTHER;
    struct kpid_keyed_event keyed = { .ts_ms = event->ts_ms, .words = p->words, .gids = gids };
    struct kpid_keyed_key key = { shard->scratch.data + p->key_at, p->key_len, p->key_hash };
    bool taken = kpid_keys_take(shard, p->measure, &key, &keyed);
    shard->n.keys_refused += !taken;
    return taken;
}

static bool apply_one(struct kpid_shard *shard, const struct kpid_event *event, struct kpid_prepared *p)
{
    struct kpid_measure_state *m = &shard->measures[p->measure];
    const struct kpid_measure *def = m->def;

    if (m->keys)
        return apply_keyed(shard, event, p);
    bool kept = false;
    for (uint32_t g = 0; g < def->n_groupings; g++) {
        uint32_t gid = g ? kpid_shard_gid(shard, event, def->groupings[g]) : 0;
        p->sample.key = shard->scratch.data + p->key_at; /* the scratch may move for a gid */
        p->sample.key_len = p->key_len;
        kept |= kpid_ladder_add(shard, p->measure, g, gid, event->ts_ms, &p->sample);
    }
    kpid_ladder_touch(m, event->ts_ms);
    shard->topics[p->sample.topic].ledger.missed_windows += !kept;
    return true;
}

static void note_activity(struct kpid_shard *shard, const struct kpid_event *event)
{
    struct kpid_sample sample = { .ts_ms = event->ts_ms, .weight = 1 };

    kpid_ladder_add(shard, (uint32_t)shard->plan->n_measures, 0, 0, event->ts_ms, &sample);
    if (shard->first_ms == KPID_NEVER || event->ts_ms < shard->first_ms)
        shard->first_ms = event->ts_ms;
}

static enum kpid_class classify(struct kpid_shard *shard, const struct kpid_record *record,
                                const struct kpid_event *event, int64_t now_ms, const uint64_t *mark)
{
    const struct kpid_source *source = shard->source;
    struct kpid_topic_state *topic = &shard->topics[record->topic];

    if (now_ms != KPID_NEVER) {
        int64_t base = record->log_append_time && record->timestamp_ms != KPID_NEVER ? record->timestamp_ms : now_ms;
        if (event->ts_ms > base + source->max_future_ms)
            return KPID_CLASS_FUTURE;
    }
    if (topic->highest_ms != KPID_NEVER &&
        event->ts_ms < topic->highest_ms - source->out_of_order_ms - source->allowed_lateness_ms)
        return KPID_CLASS_LATE;
    if (event->ts_ms > topic->highest_ms)
        topic->highest_ms = event->ts_ms;
    topic->ledger.no_id += !mark;
    /* By this topic-partition's own clock: when other events let the mark expire must not matter. */
    if (mark && kpid_dedup_seen(shard->dedup, *mark, topic->highest_ms - source->out_of_order_ms -
                                                         source->allowed_lateness_ms))
        return KPID_CLASS_DUPLICATE;
    return shard->n_prepared ? KPID_CLASS_COUNTED : KPID_CLASS_FILTERED;
}

enum kpid_class kpid_shard_take(struct kpid_shard *shard, const struct kpid_record *record,
                                const struct kpid_event *event, int64_t now_ms, enum kpid_reason *ret_reason)
{
    uint64_t mark = 0;
    bool marked = kpid_shard_id_hash(record, event, &mark), taken = false;

    if (marked && !event->foresight.set) /* it is on its way while the event is prepared */
        kpid_dedup_prefetch(shard->dedup, mark);
    enum kpid_reason reason = kpid_shard_prepare(shard, record, event);

    if (reason != KPID_REASON_NONE) {
        *ret_reason = reason;
        return close_record(shard, record, KPID_CLASS_MALFORMED, reason);
    }
    shard->topics[record->topic].ledger.rounded += event->n_rounded;
    shard->taken_ms = event->ts_ms;
    enum kpid_class class = classify(shard, record, event, now_ms, marked ? &mark : NULL);
    if (class == KPID_CLASS_FUTURE || class == KPID_CLASS_LATE) {
        *ret_reason = class == KPID_CLASS_LATE ? KPID_REASON_LATE : KPID_REASON_FUTURE;
        return close_record(shard, record, class, *ret_reason);
    }
    if (class == KPID_CLASS_DUPLICATE)
        return close_record(shard, record, class, KPID_REASON_NONE);
    for (size_t i = 0; i < shard->n_prepared && !event->foresight.set; i++) {
        const struct kpid_keys *keys = shard->measures[shard->prepared[i].measure].keys;
        if (keys)
            kpid_keys_prefetch_block(keys, shard->prepared[i].key_hash);
    }
    note_activity(shard, event);
    if (marked)
        kpid_dedup_mark(shard->dedup, mark, event->ts_ms);
    for (size_t i = 0; i < shard->n_prepared; i++)
        taken |= apply_one(shard, event, &shard->prepared[i]);
    if (class == KPID_CLASS_COUNTED && !taken)
        class = KPID_CLASS_REFUSED;
    return close_record(shard, record, class, KPID_REASON_NONE);
}

/* ---- time ---- */

int64_t kpid_shard_highest(const struct kpid_shard *shard, uint32_t topic)
{
    return shard->topics[topic].highest_ms;
}

int64_t kpid_shard_first(const struct kpid_shard *shard)
{
    return shard->first_ms;
}

int64_t kpid_shard_closed(const struct kpid_shard *shard)
{
    int64_t clock = KPID_FOREVER;

    for (size_t t = 0; t < shard->source->n_topics; t++)
        if (shard->topics[t].highest_ms < clock)
            clock = shard->topics[t].highest_ms;
    return clock == KPID_NEVER ? KPID_NEVER
                               : clock - shard->source->out_of_order_ms - shard->source->allowed_lateness_ms;
}

int64_t kpid_shard_watermark(const struct kpid_shard *shard, const bool *idle, bool *ret_idle)
{
    int64_t lowest = KPID_FOREVER, lowest_idle = KPID_FOREVER;
    bool all_idle = true;

    for (size_t t = 0; t < shard->source->n_topics; t++) {
        int64_t highest = shard->topics[t].highest_ms;
        int64_t clock = highest == KPID_NEVER ? KPID_NEVER : highest - shard->source->out_of_order_ms;
        if (idle && idle[t]) {
            if (clock != KPID_NEVER && clock < lowest_idle)
                lowest_idle = clock;
            continue;
        }
        all_idle = false;
        if (clock < lowest)
            lowest = clock;
    }
    *ret_idle = all_idle;
    if (all_idle)
        return lowest_idle == KPID_FOREVER ? KPID_NEVER : lowest_idle;
    return lowest;
}

static size_t state_bytes(const struct kpid_shard *shard)
{
    struct kpid_dedup_stats dedup;
    size_t bytes = 0;

    for (size_t i = 0; i < shard->n_measures; i++) {
        const struct kpid_measure_state *m = &shard->measures[i];
        bytes += m->cells * (m->def->agg->cell_bytes + 8) + m->heap_bytes;
        if (m->keys)
            bytes += kpid_keys_bytes(m->keys);
    }
    kpid_dedup_stats(shard->dedup, &dedup);
    return bytes + dedup.bytes + shard->n.panes * sizeof(struct kpid_pane);
}

void kpid_shard_advance(struct kpid_shard *shard, const int64_t *progress_ms, int64_t released_ms)
{
    int64_t lowest = KPID_FOREVER, lateness = shard->source->allowed_lateness_ms;

    if (shard->copy)
        return;
    for (uint32_t i = 0; i < shard->plan->n_measures; i++) {
        kpid_ladder_advance(shard, i, progress_ms[i], released_ms);
        if (progress_ms[i] < lowest)
            lowest = progress_ms[i];
        if (shard->measures[i].keys && released_ms != KPID_NEVER)
            kpid_keys_forget(shard, i, released_ms - lateness);
    }
    if (lowest != KPID_FOREVER)
        kpid_ladder_advance(shard, (uint32_t)shard->plan->n_measures, lowest, released_ms);
    int64_t closed = kpid_shard_closed(shard);
    if (closed != KPID_NEVER)
        kpid_dedup_expire(shard->dedup, closed);
    if (released_ms != KPID_NEVER)
        for (size_t g = 1; g < shard->plan->n_groupings; g++)
            kpid_groups_expire(&shard->groups[g], released_ms - lateness - shard->source->group_ttl_ms);
    shard->full = state_bytes(shard) > shard->source->max_state_bytes;
}

void kpid_shard_elapse(struct kpid_shard *shard, int64_t until_ms)
{
    if (until_ms <= shard->elapsed_ms || shard->copy)
        return;
    for (uint32_t i = 0; i < shard->plan->n_measures; i++)
        if (shard->measures[i].keys)
            kpid_keys_elapse(shard, i, until_ms);
    shard->elapsed_ms = until_ms;
    shard->changed = true;
}

/* ---- outbox ---- */

size_t kpid_shard_letters(const struct kpid_shard *shard, const struct kpid_letter **ret)
{
    *ret = shard->letters;
    return shard->n_letters;
}

void kpid_shard_letter_sent(struct kpid_shard *shard, uint32_t topic, int64_t offset)
{
    for (size_t i = 0; i < shard->n_letters; i++)
        if (shard->letters[i].topic == topic && shard->letters[i].offset == offset) {
            memmove(shard->letters + i, shard->letters + i + 1, (--shard->n_letters - i) * sizeof(*shard->letters));
            shard->changed = true;
            return;
        }
}

bool kpid_shard_outbox_full(const struct kpid_shard *shard)
{
    return shard->n_letters >= shard->source->max_outbox;
}

/* ---- counters ---- */

void kpid_shard_ledger(const struct kpid_shard *shard, uint32_t topic, struct kpid_ledger *ret)
{
    *ret = shard->topics[topic].ledger;
}

void kpid_shard_measure_stats(const struct kpid_shard *shard, size_t measure_index, uint64_t *ret_cells,
                              uint64_t *ret_bytes, uint64_t *ret_absent)
{
    const struct kpid_measure_state *m = &shard->measures[measure_index];

    *ret_cells = m->cells;
    *ret_bytes = m->cells * (m->def->agg->cell_bytes + 8) + m->heap_bytes +
                 (m->keys ? kpid_keys_bytes(m->keys) : 0);
    *ret_absent = m->absent;
}

void kpid_shard_stats(const struct kpid_shard *shard, struct kpid_shard_stats *ret)
{
    struct kpid_dedup_stats dedup;

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < shard->n_measures; i++) {
        ret->cells += shard->measures[i].cells;
        ret->absent += shard->measures[i].absent;
        if (shard->measures[i].keys)
            ret->keys += kpid_keys_count(shard->measures[i].keys);
    }
    for (size_t g = 1; g < shard->plan->n_groupings; g++) {
        ret->groups += shard->groups[g].live;
        ret->groups_refused += shard->groups[g].refused;
    }
    kpid_dedup_stats(shard->dedup, &dedup);
    ret->panes = shard->n.panes;
    ret->other_events = ret->groups_refused;
    ret->keys_forgotten = shard->n.keys_forgotten;
    ret->keys_refused = shard->n.keys_refused;
    ret->negatives = shard->n.negatives;
    ret->uncovered = shard->n.uncovered;
    ret->undated = shard->n.undated;
    ret->dedup_marks = dedup.marks;
    ret->dedup_cut = dedup.cut;
    ret->dedup_horizon_ms = dedup.effective_horizon_ms;
    ret->state_bytes = state_bytes(shard);
    ret->log_bytes = shard->log_bytes;
}
