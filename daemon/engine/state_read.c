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

static size_t grouping_find(const struct kpid_shard *shard, uint64_t hash)
{
    for (size_t g = 0; g < shard->plan->n_groupings; g++)
        if (shard->groups[g].hash == hash)
            return g;
    return SIZE_MAX;
}

static size_t measure_find(const struct kpid_shard *shard, uint64_t hash)
{
    for (size_t i = 0; i < shard->n_measures; i++)
        if (shard->measures[i].def->hash == hash)
            return i;
    return SIZE_MAX;
}

static size_t rung_find(const struct kpid_measure *def, uint64_t hash)
{
    for (size_t r = 0; r < def->n_rungs; r++)
        if (def->rungs[r].hash == hash)
            return r;
    return SIZE_MAX;
}

static size_t place_find(const struct kpid_shard *shard, const struct kpid_measure *def, uint64_t grouping_hash)
{
    for (size_t g = 0; g < def->n_groupings; g++)
        if (shard->groups[def->groupings[g]].hash == grouping_hash)
            return g;
    return SIZE_MAX;
}

/* ---- meta ---- */

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

/* A measure that the state does not know (or no longer fits) is complete from the highest event time on. */
static void begin_now(struct kpid_shard *shard, struct kpid_measure_state *m)
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
        size_t r = m && hash ? rung_find(m->def, hash) : UINT16_MAX;
        if (m && !in->bad)
            kpid_touch_put(m, r == SIZE_MAX ? 0 : (uint16_t)r, start, r == SIZE_MAX ? start : end);
    }
    if (m)
        m->n_cut = m->n_touches; /* who follows may have told them */
}

static bool read_measure_meta(struct kpid_shard *shard, struct kpid_unpack *in, bool *known, uint64_t format)
{
    size_t index = measure_find(shard, kpid_unpack_fixed64(in));
    struct kpid_measure_state *m = index == SIZE_MAX ? NULL : &shard->measures[index];
    uint64_t absent = kpid_unpack_u64(in), n = kpid_unpack_u64(in);
    int64_t highest = highest_of(shard);
    bool complete = m != NULL, first_rung = false;

    for (size_t g = 0; m && g < m->def->n_groupings; g++)
        m->grouping_began_ms[g] = highest == KPID_NEVER ? KPID_NEVER : highest + 1;
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t hash = kpid_unpack_fixed64(in);
        int64_t began = kpid_unpack_i64(in);
        size_t place = m ? place_find(shard, m->def, hash) : SIZE_MAX;
        if (place != SIZE_MAX)
            m->grouping_began_ms[place] = began;
        else
            complete = false;
    }
    if (m) {
        m->absent = absent;
        begin_now(shard, m);
    }
    n = kpid_unpack_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint64_t hash = kpid_unpack_fixed64(in);
        struct kpid_rung_mark mark;
        mark.merged_ms = kpid_unpack_i64(in);
        mark.floor_ms = kpid_unpack_i64(in);
        mark.began_ms = kpid_unpack_i64(in);
        size_t r = m ? rung_find(m->def, hash) : SIZE_MAX;
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
        begin_now(shard, m);
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
        size_t g = grouping_find(shard, kpid_unpack_fixed64(&in));
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

/* ---- pages ---- */

static bool read_groups(struct kpid_shard *shard, struct kpid_unpack *in)
{
    size_t g = grouping_find(shard, kpid_unpack_fixed64(in));

    if (g == SIZE_MAX)
        return !in->bad;
    while (!in->bad && in->at < in->end) {
        uint64_t gid = kpid_unpack_u64(in);
        size_t len;
        const char *name = kpid_unpack_bytes(in, &len);
        int64_t first = kpid_unpack_i64(in), last = kpid_unpack_i64(in);
        if (in->bad || gid == 0 || gid > KPID_GID_MAX)
            return false;
        kpid_groups_put(&shard->groups[g], (uint32_t)gid, name, len, first, last);
    }
    return !in->bad;
}

static bool read_cells(struct kpid_shard *shard, struct kpid_unpack *in, const bool *known)
{
    size_t index = measure_find(shard, kpid_unpack_fixed64(in));
    uint64_t grouping_hash = kpid_unpack_fixed64(in), rung_hash = kpid_unpack_fixed64(in);
    bool base = kpid_unpack_u64(in) != 0;
    int64_t start = kpid_unpack_i64(in);

    if (in->bad)
        return false;
    if (index == SIZE_MAX || !known[index])
        return true;
    struct kpid_measure_state *m = &shard->measures[index];
    size_t place = place_find(shard, m->def, grouping_hash), r = rung_find(m->def, rung_hash);
    if (place == SIZE_MAX || r == SIZE_MAX || (!base && start < m->marks[r].floor_ms))
        return true;
    struct kpid_pane_list *list = kpid_list(m, place, r);
    struct kpid_groups *groups = &shard->groups[m->def->groupings[place]];
    if (base && !list->base) {
        list->base = kpid_pane_new(KPID_NEVER);
        shard->n.panes++;
    }
    struct kpid_pane *pane = base ? list->base : kpid_list_make(shard, list, start);
    m->version++;
    while (!in->bad && in->at < in->end) {
        uint64_t gid = kpid_unpack_u64(in);
        uint32_t position, n = pane->n;
        if (in->bad || gid >= groups->n)
            return false;
        void *cell = kpid_pane_cell(pane, m->def->agg, groups, (uint32_t)gid, &position);
        m->cells += pane->n - n;
        if (m->def->agg->heap_bytes)
            m->heap_bytes -= m->def->agg->heap_bytes(cell);
        if (m->def->agg->release)
            m->def->agg->release(cell);
        memset(cell, 0, m->def->agg->cell_bytes);
        if (!m->def->agg->unpack(cell, in))
            return false;
        if (m->def->agg->heap_bytes)
            m->heap_bytes += m->def->agg->heap_bytes(cell);
    }
    return !in->bad;
}

static bool read_keys(struct kpid_shard *shard, struct kpid_unpack *in, const bool *known)
{
    size_t index = measure_find(shard, kpid_unpack_fixed64(in)), places[KPID_GROUPINGS_MAX];
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n >= KPID_GROUPINGS_MAX)
        return false;
    if (index == SIZE_MAX || !known[index])
        return true;
    if (!shard->measures[index].keys)
        return false;
    shard->measures[index].version++;
    for (uint64_t i = 0; i < n; i++) {
        size_t place = place_find(shard, shard->measures[index].def, kpid_unpack_fixed64(in));
        places[i] = place == SIZE_MAX || place == 0 ? SIZE_MAX : place - 1;
    }
    while (!in->bad && in->at < in->end)
        if (!kpid_keys_load(shard, (uint32_t)index, in, places, n))
            return false;
    return !in->bad;
}

bool kpid_state_read_page(struct kpid_shard *shard, const struct kpid_page *page, const bool *known)
{
    struct kpid_unpack in, record;

    kpid_unpack_init(&in, page->bytes, page->len);
    if (!kpid_state_readable(kpid_unpack_u64(&in)))
        return false;
    while (!in.bad && in.at < in.end) {
        uint64_t kind = kpid_unpack_u64(&in);
        size_t len;
        const char *body = kpid_unpack_bytes(&in, &len);
        bool ok = body != NULL;
        kpid_unpack_init(&record, body ? body : "", len);
        switch (kind) {
        case STATE_GROUPS: ok = ok && read_groups(shard, &record); break;
        case STATE_CELLS: ok = ok && read_cells(shard, &record, known); break;
        case STATE_KEYS: ok = ok && read_keys(shard, &record, known); break;
        case STATE_MARKS: {
            int64_t slice = kpid_unpack_i64(&record);
            ok = ok && !record.bad &&
                 kpid_dedup_load(shard->dedup, slice, record.at, (size_t)(record.end - record.at));
            break;
        }
        default: ok = false;
        }
        if (!ok)
            return false;
    }
    return !in.bad;
}

/* Marks that are about to be read, by what the meta says of their pages: no more than the pages could hold. */
static uint64_t marks_due(const struct kpid_shard *shard, const struct kpid_page *pages, size_t n_pages)
{
    uint64_t said = 0, there = 0;

    for (size_t i = 0; i < shard->n_log; i++)
        said += shard->log[i].slice_ms == KPID_NEVER ? 0 : shard->log[i].len;
    for (size_t i = 0; i < n_pages; i++)
        there += pages[i].len;
    return (said < there ? said : there) / sizeof(uint64_t);
}

bool kpid_shard_load(struct kpid_shard *shard, const void *meta, size_t meta_len, const struct kpid_page *pages,
                     size_t n_pages, const char **why)
{
    bool *known = kpid_zalloc(shard->n_measures, sizeof(*known));
    const char *fault = kpid_state_read_meta(shard, meta, meta_len, known);
    int64_t clock = KPID_FOREVER;

    for (size_t t = 0; t < shard->source->n_topics; t++)
        if (shard->topics[t].highest_ms < clock)
            clock = shard->topics[t].highest_ms;
    if (!fault && clock != KPID_NEVER)
        kpid_dedup_expire(shard->dedup, clock - shard->source->out_of_order_ms - shard->source->allowed_lateness_ms);
    for (size_t i = 0; !fault && i < shard->n_measures; i++)
        if (!known[i])
            begin_now(shard, &shard->measures[i]);
    if (!fault)
        kpid_dedup_reserve(shard->dedup, marks_due(shard, pages, n_pages));
    for (size_t i = 0; !fault && i < n_pages; i++)
        if (!kpid_state_read_page(shard, &pages[i], known))
            fault = "a page is damaged";
    for (size_t g = 1; !fault && g < shard->plan->n_groupings; g++)
        kpid_groups_loaded(&shard->groups[g]);
    for (uint32_t i = 0; !fault && i < shard->plan->n_measures; i++)
        if (shard->measures[i].keys)
            kpid_keys_loaded(shard, i);
    free(known);
    *why = fault;
    return fault == NULL;
}
