#include "core.h"
#include "state_format.h"

#include <stdlib.h>
#include <string.h>

/* ---- pages ---- */

struct writer {
    struct kpid_shard *shard;
    struct kpid_commit *commit;
    struct kpid_buf page, body, head, item;
    size_t cap_pages, cap_dropped;
    unsigned kind;
    int64_t slice_ms; /* of the page at work */
    uint64_t written;
};

static void page_close(struct writer *w)
{
    struct kpid_shard *shard = w->shard;

    if (!w->page.len)
        return;
    if (w->commit->n_pages == w->cap_pages) {
        w->cap_pages = w->cap_pages ? w->cap_pages * 2 : 4;
        w->commit->pages = kpid_realloc(w->commit->pages, w->cap_pages * sizeof(*w->commit->pages));
    }
    struct kpid_page *page = &w->commit->pages[w->commit->n_pages++];
    page->id = shard->next_page++;
    page->bytes = kpid_buf_detach(&w->page, &page->len);
    if (shard->n_log == shard->cap_log) {
        shard->cap_log = shard->cap_log ? shard->cap_log * 2 : 16;
        shard->log = kpid_realloc(shard->log, shard->cap_log * sizeof(*shard->log));
    }
    shard->log[shard->n_log++] = (struct kpid_log_page){ page->id, (uint32_t)page->len, w->slice_ms };
    if (w->slice_ms == KPID_NEVER)
        shard->log_bytes += page->len;
    w->written += page->len;
}

static void record_close(struct writer *w)
{
    if (w->body.len > w->head.len) {
        if (!w->page.len)
            kpid_pack_u64(&w->page, w->shard->format);
        kpid_pack_u64(&w->page, w->kind);
        kpid_pack_bytes(&w->page, w->body.data, w->body.len);
    }
    kpid_buf_clear(&w->body);
}

/* Begins a record whose head is in w->head. */
static void record_open(struct writer *w, unsigned kind)
{
    w->kind = kind;
    kpid_buf_clear(&w->body);
    kpid_buf_add(&w->body, w->head.data, w->head.len);
}

static void record_add(struct writer *w, const char *bytes, size_t len)
{
    if (w->page.len + w->body.len + len + 32 > KPID_PAGE_BYTES) {
        record_close(w);
        page_close(w);
        kpid_buf_add(&w->body, w->head.data, w->head.len);
    }
    kpid_buf_add(&w->body, bytes, len);
}

static void add_packed(void *ctx, const char *bytes, size_t len)
{
    record_add(ctx, bytes, len);
}

static void keys_head(struct writer *w, const struct kpid_measure *def)
{
    kpid_buf_clear(&w->head);
    kpid_pack_fixed64(&w->head, def->hash);
    kpid_pack_u64(&w->head, def->n_groupings - 1);
    for (size_t g = 1; g < def->n_groupings; g++)
        kpid_pack_fixed64(&w->head, w->shard->groups[def->groupings[g]].hash);
}

/* ---- what changed ---- */

static void write_group(struct writer *w, const struct kpid_groups *groups, uint32_t gid)
{
    kpid_buf_clear(&w->item);
    kpid_pack_u64(&w->item, gid);
    kpid_pack_bytes(&w->item, groups->at[gid].name, groups->at[gid].name_len);
    kpid_pack_i64(&w->item, groups->at[gid].first_ms);
    kpid_pack_i64(&w->item, groups->at[gid].last_ms);
    record_add(w, w->item.data, w->item.len);
}

static void write_groups(struct writer *w, bool all)
{
    for (size_t g = 1; g < w->shard->plan->n_groupings; g++) {
        struct kpid_groups *groups = &w->shard->groups[g];
        kpid_buf_clear(&w->head);
        kpid_pack_fixed64(&w->head, groups->hash);
        record_open(w, STATE_GROUPS);
        if (all) {
            for (uint32_t gid = 1; gid < groups->n; gid++)
                if (groups->at[gid].name)
                    write_group(w, groups, gid);
        } else {
            for (uint32_t i = 0; i < groups->n_dirty; i++)
                if (groups->at[groups->dirty[i]].name)
                    write_group(w, groups, groups->dirty[i]);
        }
        record_close(w);
        for (uint32_t i = 0; i < groups->n_dirty; i++)
            groups->at[groups->dirty[i]].dirty = false;
        groups->n_dirty = 0;
    }
}

static void write_pane(struct writer *w, uint32_t measure, uint32_t list, struct kpid_pane *pane, bool all)
{
    const struct kpid_measure_state *m = &w->shard->measures[measure];
    const struct kpid_measure *def = m->def;

    kpid_buf_clear(&w->head);
    kpid_pack_fixed64(&w->head, def->hash);
    kpid_pack_fixed64(&w->head, w->shard->groups[def->groupings[list / def->n_rungs]].hash);
    kpid_pack_fixed64(&w->head, def->rungs[list % def->n_rungs].hash);
    kpid_pack_u64(&w->head, pane == m->lists[list].base);
    kpid_pack_i64(&w->head, pane->start_ms);
    record_open(w, STATE_CELLS);
    for (uint32_t i = 0; i < pane->n; i++) {
        if (!all && !(pane->dirty[i / 8] >> i % 8 & 1))
            continue;
        kpid_buf_clear(&w->item);
        kpid_pack_u64(&w->item, pane->gids[i]);
        def->agg->pack(pane->cells + (size_t)i * def->agg->cell_bytes, &w->item);
        record_add(w, w->item.data, w->item.len);
    }
    record_close(w);
}

static void write_dirty(struct writer *w)
{
    struct kpid_shard *shard = w->shard;

    for (size_t i = 0; i < shard->n_dirty; i++) {
        struct kpid_dirty_pane *dirty = &shard->dirty[i];
        if (!dirty->pane)
            continue;
        write_pane(w, dirty->measure, dirty->list, dirty->pane, false);
        memset(dirty->pane->dirty, 0, (dirty->pane->cap + 7) / 8);
        dirty->pane->listed = 0;
    }
    shard->n_dirty = 0;
    for (uint32_t i = 0; i < shard->plan->n_measures; i++) {
        if (!shard->measures[i].keys)
            continue;
        keys_head(w, shard->measures[i].def);
        record_open(w, STATE_KEYS);
        kpid_keys_pack_dirty(shard->measures[i].keys, add_packed, w);
        record_close(w);
    }
}

static void write_marks(void *ctx, int64_t slice_start_ms, const void *bytes, size_t len)
{
    struct writer *w = ctx;

    page_close(w);
    w->slice_ms = slice_start_ms;
    for (size_t at = 0; at < len;) {
        size_t part = len - at < KPID_PAGE_BYTES - 64 ? len - at : (KPID_PAGE_BYTES - 64) / 8 * 8;
        kpid_buf_clear(&w->head);
        kpid_pack_i64(&w->head, slice_start_ms);
        record_open(w, STATE_MARKS);
        kpid_buf_add(&w->body, (const char *)bytes + at, part);
        record_close(w);
        page_close(w);
        at += part;
    }
    w->slice_ms = KPID_NEVER;
}

/* ---- the walk ---- */

static void drop_page(struct writer *w, uint64_t id)
{
    if (w->commit->n_dropped == w->cap_dropped) {
        w->cap_dropped = w->cap_dropped ? w->cap_dropped * 2 : 16;
        w->commit->dropped = kpid_realloc(w->commit->dropped, w->cap_dropped * sizeof(*w->commit->dropped));
    }
    w->commit->dropped[w->commit->n_dropped++] = id;
}

/* Drops log pages before `before`, and mark pages of slices that are gone. */
static void drop_pages(struct writer *w, uint64_t before, int64_t oldest_slice_ms)
{
    struct kpid_shard *shard = w->shard;
    size_t kept = 0;

    for (size_t i = 0; i < shard->n_log; i++) {
        struct kpid_log_page *page = &shard->log[i];
        bool gone = page->slice_ms == KPID_NEVER ? page->id < before : page->slice_ms < oldest_slice_ms;
        if (gone) {
            drop_page(w, page->id);
            if (page->slice_ms == KPID_NEVER)
                shard->log_bytes -= page->len;
        } else {
            shard->log[kept++] = *page;
        }
    }
    shard->n_log = kept;
}

/* One list of panes from shard->walk.start_ms on; false: the step's bytes are used up. */
static bool walk_list(struct writer *w, uint64_t limit)
{
    struct kpid_shard *shard = w->shard;
    struct kpid_pane_list *list = &shard->measures[shard->walk.measure].lists[shard->walk.list];

    if (list->base && !shard->walk.base_done)
        write_pane(w, shard->walk.measure, shard->walk.list, list->base, true);
    shard->walk.base_done = true;
    for (size_t i = kpid_list_lower(list, shard->walk.start_ms); i < list->n; i++) {
        struct kpid_pane *pane = list->at[list->head + i];
        if (w->written + w->page.len > limit) {
            shard->walk.start_ms = pane->start_ms;
            return false;
        }
        write_pane(w, shard->walk.measure, shard->walk.list, pane, true);
    }
    shard->walk.start_ms = KPID_NEVER;
    shard->walk.base_done = false;
    return true;
}

/* Goes on with the walk; true: it has come to its end. */
static bool walk_on(struct writer *w, uint64_t limit)
{
    struct kpid_shard *shard = w->shard;

    for (; shard->walk.measure < shard->n_measures; shard->walk.measure++) {
        struct kpid_measure_state *m = &shard->measures[shard->walk.measure];
        for (; shard->walk.list < m->def->n_groupings * m->def->n_rungs; shard->walk.list++)
            if (!walk_list(w, limit))
                return false;
        while (m->keys) {
            uint64_t used = w->written + w->page.len;
            if (used > limit)
                return false;
            keys_head(w, m->def);
            record_open(w, STATE_KEYS);
            bool done = kpid_keys_pack_range(m->keys, &shard->walk.entry, KPID_PAGE_BYTES, add_packed, w);
            record_close(w);
            if (done)
                break;
        }
        shard->walk.list = shard->walk.entry = 0;
    }
    return true;
}

static void walk_begin(struct writer *w)
{
    struct kpid_shard *shard = w->shard;

    page_close(w);
    memset(&shard->walk, 0, sizeof(shard->walk));
    shard->walk.on = true;
    shard->walk.start_ms = KPID_NEVER;
    shard->walk.first_page = shard->next_page;
    write_groups(w, true);
}

static void walk(struct writer *w, bool whole)
{
    struct kpid_shard *shard = w->shard;

    if (!shard->walk.on && shard->log_bytes > 2 * shard->last_full_bytes + STATE_WALK_MIN)
        walk_begin(w);
    if (!shard->walk.on)
        return;
    uint64_t before = w->written;
    bool done = walk_on(w, whole ? UINT64_MAX : w->written + w->page.len + STATE_WALK_STEP);
    page_close(w);
    shard->walk.written += w->written - before;
    if (!done)
        return;
    shard->walk.on = false;
    shard->last_full_bytes = shard->walk.written;
    drop_pages(w, shard->walk.first_page, KPID_NEVER);
}

/* ---- the cut ---- */

void kpid_shard_set_format(struct kpid_shard *shard, unsigned format)
{
    if (format < STATE_FORMAT_OLDEST)
        format = STATE_FORMAT_OLDEST;
    if (format > STATE_FORMAT)
        format = STATE_FORMAT;
    if (format < shard->format)
        shard->must_be_whole = shard->changed = true; /* the log's pages are of the newer one */
    shard->format = format;
}

unsigned kpid_shard_format(const struct kpid_shard *shard)
{
    return shard->format;
}

bool kpid_shard_dirty(const struct kpid_shard *shard)
{
    return shard->changed;
}

uint64_t kpid_shard_cuts(const struct kpid_shard *shard)
{
    return shard->cuts;
}

void kpid_shard_cut(struct kpid_shard *shard, bool whole, struct kpid_commit *ret)
{
    struct writer w = { .shard = shard, .commit = ret, .slice_ms = KPID_NEVER };

    memset(ret, 0, sizeof(*ret));
    for (uint32_t i = 0; i < shard->plan->n_measures; i++)
        if (shard->measures[i].keys)
            kpid_keys_settle(shard, i);
    whole = whole || shard->must_be_whole;
    shard->cuts++;
    if (whole) {
        shard->n_log = 0;
        shard->log_bytes = 0;
        walk_begin(&w);
        ret->reset = true;
        for (size_t i = 0; i < shard->n_measures; i++)
            shard->measures[i].version++;
    } else {
        write_groups(&w, false);
    }
    write_dirty(&w);
    uint64_t changed = w.written + w.page.len;
    walk(&w, whole);
    page_close(&w);
    uint64_t before_marks = w.written;
    kpid_dedup_pack_new(shard->dedup, whole, write_marks, &w);
    page_close(&w);
    ret->changed_bytes = changed + w.written - before_marks;
    drop_pages(&w, 0, kpid_dedup_oldest(shard->dedup));
    for (size_t i = 0; i < shard->n_letters; i++)
        if (!shard->letters[i].cut)
            shard->letters[i].cut = shard->cuts;
    kpid_state_write_meta(shard, &ret->meta);
    for (size_t i = 0; i < shard->n_measures; i++) {
        shard->measures[i].n_cut = shard->measures[i].n_touches;
        shard->measures[i].touched_ms = KPID_NEVER; /* what changes now is told anew */
    }
    shard->must_be_whole = shard->changed = false;
    kpid_buf_release(&w.page);
    kpid_buf_release(&w.body);
    kpid_buf_release(&w.head);
    kpid_buf_release(&w.item);
}
