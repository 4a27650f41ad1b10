#include "core.h"
#include "state_format.h"

#include <stdlib.h>
#include <string.h>

static bool read_groups(struct kpid_shard *shard, struct kpid_unpack *in)
{
    size_t g = kpid_state_grouping_find(shard, kpid_unpack_fixed64(in));

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
    size_t index = kpid_state_measure_find(shard, kpid_unpack_fixed64(in));
    uint64_t grouping_hash = kpid_unpack_fixed64(in), rung_hash = kpid_unpack_fixed64(in);
    bool base = kpid_unpack_u64(in) != 0;
    int64_t start = kpid_unpack_i64(in);

    if (in->bad)
        return false;
    if (index == SIZE_MAX || !known[index])
        return true;
    struct kpid_measure_state *m = &shard->measures[index];
    size_t place = kpid_state_place_find(shard, m->def, grouping_hash), r = kpid_state_rung_find(m->def, rung_hash);
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
    size_t index = kpid_state_measure_find(shard, kpid_unpack_fixed64(in)), places[KPID_GROUPINGS_MAX];
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n >= KPID_GROUPINGS_MAX)
        return false;
    if (index == SIZE_MAX || !known[index])
        return true;
    if (!shard->measures[index].keys)
        return false;
    shard->measures[index].version++;
    for (uint64_t i = 0; i < n; i++) {
        size_t place = kpid_state_place_find(shard, shard->measures[index].def, kpid_unpack_fixed64(in));
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
            kpid_state_begin_now(shard, &shard->measures[i]);
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
