/* What a header holds beside its pages: offsets, ledgers, marks of rungs and groupings, dead letters, and the log. */
#include "core.h"
#include "state_format.h"

#include <stdlib.h>
#include <string.h>

static size_t topic_find(const struct kpid_source *source, const char *name, size_t len)
{
    for (size_t t = 0; t < source->n_topics; t++)
        if (strlen(source->topics[t]) == len && !memcmp(source->topics[t], name, len))
            return t;
    return SIZE_MAX;
}

size_t kpid_state_grouping_find(const struct kpid_shard *shard, uint64_t hash)
{
    for (size_t g = 0; g < shard->plan->n_groupings; g++)
        if (shard->groups[g].hash == hash)
            return g;
    return SIZE_MAX;
}

size_t kpid_state_measure_find(const struct kpid_shard *shard, uint64_t hash)
{
    for (size_t i = 0; i < shard->n_measures; i++)
        if (shard->measures[i].def->hash == hash)
            return i;
    return SIZE_MAX;
}

size_t kpid_state_rung_find(const struct kpid_measure *def, uint64_t hash)
{
    for (size_t r = 0; r < def->n_rungs; r++)
        if (def->rungs[r].hash == hash)
            return r;
    return SIZE_MAX;
}

size_t kpid_state_place_find(const struct kpid_shard *shard, const struct kpid_measure *def, uint64_t grouping_hash)
{
    for (size_t g = 0; g < def->n_groupings; g++)
        if (shard->groups[def->groupings[g]].hash == grouping_hash)
            return g;
    return SIZE_MAX;
}

/* ---- written ---- */

static void write_ledger(struct kpid_buf *out, const struct kpid_ledger *ledger)
{
    kpid_pack_u64(out, ledger->in);
    kpid_pack_u64(out, KPID_CLASS_N);
    for (int i = 0; i < KPID_CLASS_N; i++)
        kpid_pack_u64(out, ledger->classes[i]);
    kpid_pack_u64(out, KPID_REASON_N);
    for (int i = 0; i < KPID_REASON_N; i++)
        kpid_pack_u64(out, ledger->reasons[i]);
    kpid_pack_u64(out, ledger->no_id);
    kpid_pack_u64(out, ledger->rounded);
    kpid_pack_u64(out, ledger->type_mismatch);
    kpid_pack_u64(out, ledger->missed_windows);
    kpid_pack_u64(out, ledger->lost_range);
    kpid_pack_u64(out, ledger->witness_gone);
}

static void write_measure_meta(const struct kpid_shard *shard, const struct kpid_measure_state *m, struct kpid_buf *out)
{
    kpid_pack_fixed64(out, m->def->hash);
    kpid_pack_u64(out, m->absent);
    kpid_pack_u64(out, m->def->n_groupings);
    for (size_t g = 0; g < m->def->n_groupings; g++) {
        kpid_pack_fixed64(out, shard->groups[m->def->groupings[g]].hash);
        kpid_pack_i64(out, m->grouping_began_ms[g]);
    }
    kpid_pack_u64(out, m->def->n_rungs);
    for (size_t r = 0; r < m->def->n_rungs; r++) {
        kpid_pack_fixed64(out, m->def->rungs[r].hash);
        kpid_pack_i64(out, m->marks[r].merged_ms);
        kpid_pack_i64(out, m->marks[r].floor_ms);
        kpid_pack_i64(out, m->marks[r].began_ms);
    }
    if (shard->format > 4)
        kpid_pack_u64(out, m->touch_base);
    kpid_pack_u64(out, m->n_touches);
    for (size_t t = 0; t < m->n_touches; t++) {
        bool levels = m->touches[t].rung == UINT16_MAX;
        kpid_pack_fixed64(out, levels ? 0 : m->def->rungs[m->touches[t].rung].hash);
        kpid_pack_i64(out, m->touches[t].start_ms);
        kpid_pack_i64(out, m->touches[t].end_ms);
    }
}

static void write_log(const struct kpid_shard *shard, struct kpid_buf *out)
{
    kpid_pack_u64(out, shard->n_log);
    for (size_t i = 0; i < shard->n_log; i++) {
        kpid_pack_u64(out, shard->log[i].id);
        kpid_pack_u64(out, shard->log[i].len);
        kpid_pack_i64(out, shard->log[i].slice_ms);
    }
}

void kpid_state_write_meta(const struct kpid_shard *shard, struct kpid_buf *out)
{
    kpid_pack_u64(out, shard->format);
    if (shard->format > 4)
        write_log(shard, out);
    kpid_pack_u64(out, shard->next_page);
    kpid_pack_u64(out, shard->cuts);
    kpid_pack_i64(out, shard->first_ms);
    kpid_pack_i64(out, shard->elapsed_ms);
    kpid_pack_u64(out, shard->last_full_bytes);
    kpid_pack_u64(out, shard->n.keys_forgotten);
    kpid_pack_u64(out, shard->n.keys_refused);
    kpid_pack_u64(out, shard->n.negatives);
    kpid_pack_i64(out, shard->rebuilt_ms);
    kpid_pack_i64(out, shard->repartitioned_ms);
    kpid_pack_u64(out, shard->partitions);
    kpid_pack_u64(out, shard->first_partitions);
    kpid_pack_u64(out, shard->n.uncovered);
    kpid_pack_u64(out, shard->n.undated);
    kpid_pack_u64(out, shard->source->n_topics);
    for (size_t t = 0; t < shard->source->n_topics; t++) {
        kpid_pack_bytes(out, shard->source->topics[t], strlen(shard->source->topics[t]));
        kpid_pack_i64(out, shard->topics[t].next_offset);
        kpid_pack_i64(out, shard->topics[t].highest_ms);
        write_ledger(out, &shard->topics[t].ledger);
        kpid_trail_write(&shard->topics[t].trail, out);
    }
    kpid_pack_u64(out, shard->plan->n_groupings);
    for (size_t g = 0; g < shard->plan->n_groupings; g++) {
        kpid_pack_fixed64(out, shard->groups[g].hash);
        kpid_pack_u64(out, shard->groups[g].refused);
        kpid_pack_i64(out, shard->groups[g].other_last_ms);
    }
    kpid_pack_u64(out, shard->n_measures);
    for (size_t i = 0; i < shard->n_measures; i++)
        write_measure_meta(shard, &shard->measures[i], out);
    kpid_pack_u64(out, shard->n_letters);
    for (size_t i = 0; i < shard->n_letters; i++) {
        const char *topic = shard->source->topics[shard->letters[i].topic];
        kpid_pack_bytes(out, topic, strlen(topic));
        kpid_pack_i64(out, shard->letters[i].offset);
        kpid_pack_u64(out, shard->letters[i].reason);
    }
    if (shard->format <= 4)
        write_log(shard, out);
}

/* ---- read ---- */

static void read_ledger(struct kpid_unpack *in, struct kpid_ledger *ret)
{
    ret->in = kpid_unpack_u64(in);
    uint64_t n = kpid_unpack_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t value = kpid_unpack_u64(in);
        if (i < KPID_CLASS_N)
            ret->classes[i] = value;
    }
    n = kpid_unpack_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t value = kpid_unpack_u64(in);
        if (i < KPID_REASON_N)
            ret->reasons[i] = value;
    }
    ret->no_id = kpid_unpack_u64(in);
    ret->rounded = kpid_unpack_u64(in);
    ret->type_mismatch = kpid_unpack_u64(in);
    ret->missed_windows = kpid_unpack_u64(in);
    ret->lost_range = kpid_unpack_u64(in);
    ret->witness_gone = kpid_unpack_u64(in);
}

static void read_topics(struct kpid_shard *shard, struct kpid_unpack *in)
{
    uint64_t n = kpid_unpack_u64(in);

    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct kpid_topic_state state = { 0 };
        size_t len;
        const char *name = kpid_unpack_bytes(in, &len);
        state.next_offset = kpid_unpack_i64(in);
        state.highest_ms = kpid_unpack_i64(in);
        read_ledger(in, &state.ledger);
        kpid_trail_read(&state.trail, in);
        size_t t = name ? topic_find(shard->source, name, len) : SIZE_MAX;
        if (t != SIZE_MAX)
            shard->topics[t] = state;
    }
}

static int64_t highest_of(const struct kpid_shard *shard)
{
    int64_t highest = KPID_NEVER;

    for (size_t t = 0; t < shard->source->n_topics; t++)
        if (shard->topics[t].highest_ms > highest)
            highest = shard->topics[t].highest_ms;
    return highest;
}

void kpid_state_begin_now(struct kpid_shard *shard, struct kpid_measure_state *m)
{
    int64_t highest = highest_of(shard);

    for (size_t r = 0; r < m->def->n_rungs; r++)
        m->marks[r].began_ms = highest == KPID_NEVER ? KPID_NEVER : highest + 1;
}

/* Corrections that readers may not have been told of. */
static void read_touches(struct kpid_measure_state *m, struct kpid_unpack *in, uint64_t format)
{
    uint64_t base = format > 4 ? kpid_unpack_u64(in) : 0, n = kpid_unpack_u64(in);

    if (in->bad || n > (uint64_t)(in->end - in->at))
        return;
    if (m) {
        m->touch_base = base;
        m->n_touches = m->n_told = 0;
        if (format <= 4)
            m->told_below = m->told_next = 0; /* without numbers it is not known which ones are meant */
    }
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t hash = kpid_unpack_fixed64(in);
        int64_t start = kpid_unpack_i64(in), end = kpid_unpack_i64(in);
        size_t r = m && hash ? kpid_state_rung_find(m->def, hash) : UINT16_MAX;
        if (m && !in->bad)
            kpid_touch_put(m, r == SIZE_MAX ? 0 : (uint16_t)r, start, r == SIZE_MAX ? start : end);
    }
    if (m)
        m->n_cut = m->n_touches; /* who follows may have told them */
}

static bool read_measure_meta(struct kpid_shard *shard, struct kpid_unpack *in, bool *known, uint64_t format)
{
    size_t index = kpid_state_measure_find(shard, kpid_unpack_fixed64(in));
    struct kpid_measure_state *m = index == SIZE_MAX ? NULL : &shard->measures[index];
    uint64_t absent = kpid_unpack_u64(in), n = kpid_unpack_u64(in);
    int64_t highest = highest_of(shard);
    bool complete = m != NULL, first_rung = false;

    for (size_t g = 0; m && g < m->def->n_groupings; g++)
        m->grouping_began_ms[g] = highest == KPID_NEVER ? KPID_NEVER : highest + 1;
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t hash = kpid_unpack_fixed64(in);
        int64_t began = kpid_unpack_i64(in);
        size_t place = m ? kpid_state_place_find(shard, m->def, hash) : SIZE_MAX;
        if (place != SIZE_MAX)
            m->grouping_began_ms[place] = began;
        else
            complete = false;
    }
    if (m) {
        m->absent = absent;
        kpid_state_begin_now(shard, m);
    }
    n = kpid_unpack_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t hash = kpid_unpack_fixed64(in);
        struct kpid_rung_mark mark;
        mark.merged_ms = kpid_unpack_i64(in);
        mark.floor_ms = kpid_unpack_i64(in);
        mark.began_ms = kpid_unpack_i64(in);
        size_t r = m ? kpid_state_rung_find(m->def, hash) : SIZE_MAX;
        if (r == SIZE_MAX) {
            complete = false;
            continue;
        }
        m->marks[r] = mark;
        first_rung |= r == 0;
        if (r > 0 && mark.merged_ms > m->max_merged_ms)
            m->max_merged_ms = mark.merged_ms;
    }
    if (m && !first_rung) {
        /* Other panes at the bottom: what they held can't be told apart again. */
        for (size_t r = 0; r < m->def->n_rungs; r++)
            m->marks[r] = (struct kpid_rung_mark){ r ? KPID_NEVER : KPID_FOREVER, KPID_NEVER, KPID_NEVER };
        m->max_merged_ms = KPID_NEVER;
        kpid_state_begin_now(shard, m);
        complete = false;
    } else if (m) {
        known[index] = true;
    }
    read_touches(m, in, format);
    return complete;
}

static void read_letters(struct kpid_shard *shard, struct kpid_unpack *in)
{
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n > (uint64_t)(in->end - in->at))
        return;
    shard->letters = kpid_zalloc(n + 1, sizeof(*shard->letters));
    shard->cap_letters = n + 1;
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        size_t len;
        const char *topic = kpid_unpack_bytes(in, &len);
        int64_t offset = kpid_unpack_i64(in);
        uint64_t reason = kpid_unpack_u64(in);
        size_t t = topic ? topic_find(shard->source, topic, len) : SIZE_MAX;
        if (t != SIZE_MAX && reason < KPID_REASON_N)
            shard->letters[shard->n_letters++] =
                (struct kpid_letter){ (uint32_t)t, offset, (enum kpid_reason)reason, shard->cuts };
    }
}

static void read_log(struct kpid_shard *shard, struct kpid_unpack *in)
{
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n > (uint64_t)(in->end - in->at))
        return;
    shard->log = kpid_zalloc(n + 1, sizeof(*shard->log));
    shard->cap_log = n + 1;
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct kpid_log_page *page = &shard->log[shard->n_log++];
        page->id = kpid_unpack_u64(in);
        page->len = (uint32_t)kpid_unpack_u64(in);
        page->slice_ms = kpid_unpack_i64(in);
        if (page->slice_ms == KPID_NEVER)
            shard->log_bytes += page->len;
    }
}

bool kpid_state_readable(uint64_t format)
{
    return format >= STATE_FORMAT_OLDEST && format <= STATE_FORMAT;
}

const char *kpid_state_read_meta(struct kpid_shard *shard, const void *meta, size_t len, bool *known)
{
    struct kpid_unpack in;
    uint64_t n, format;

    kpid_unpack_init(&in, meta, len);
    format = kpid_unpack_u64(&in);
    if (!kpid_state_readable(format))
        return "written in another format";
    shard->format = (unsigned)format;
    if (format > 4)
        read_log(shard, &in);
    shard->next_page = kpid_unpack_u64(&in);
    shard->cuts = kpid_unpack_u64(&in);
    shard->first_ms = kpid_unpack_i64(&in);
    shard->elapsed_ms = kpid_unpack_i64(&in);
    shard->last_full_bytes = kpid_unpack_u64(&in);
    shard->n.keys_forgotten = kpid_unpack_u64(&in);
    shard->n.keys_refused = kpid_unpack_u64(&in);
    shard->n.negatives = kpid_unpack_u64(&in);
    shard->rebuilt_ms = kpid_unpack_i64(&in);
    shard->repartitioned_ms = kpid_unpack_i64(&in);
    shard->partitions = (uint32_t)kpid_unpack_u64(&in);
    shard->first_partitions = (uint32_t)kpid_unpack_u64(&in);
    shard->n.uncovered = kpid_unpack_u64(&in);
    shard->n.undated = kpid_unpack_u64(&in);
    read_topics(shard, &in);
    n = kpid_unpack_u64(&in);
    for (uint64_t i = 0; i < n && !in.bad; i++) {
        size_t g = kpid_state_grouping_find(shard, kpid_unpack_fixed64(&in));
        uint64_t refused = kpid_unpack_u64(&in);
        int64_t last = kpid_unpack_i64(&in);
        if (g != SIZE_MAX) {
            shard->groups[g].refused = refused;
            shard->groups[g].other_last_ms = last;
        }
    }
    n = kpid_unpack_u64(&in);
    shard->must_be_whole = n != shard->n_measures;
    for (uint64_t i = 0; i < n && !in.bad; i++)
        if (!read_measure_meta(shard, &in, known, format))
            shard->must_be_whole = true;
    read_letters(shard, &in);
    if (format <= 4)
        read_log(shard, &in);
    return kpid_unpack_done(&in) ? NULL : "the header is damaged";
}
