/* A window's cells: panes of all shards of a source merged by group. */
#include "gather.h"

#include "kpid/flow/snapshot.h"
#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

struct kpid_gather *kpid_gather_new(void)
{
    return kpid_zalloc(1, sizeof(struct kpid_gather));
}

static void gather_clear(struct kpid_gather *g)
{
    if (g->agg && g->agg->release)
        for (size_t i = 0; i < g->n; i++)
            g->agg->release(g->cells + i * g->cell_bytes);
    g->n = 0;
}

void kpid_gather_free(struct kpid_gather *gather)
{
    if (!gather)
        return;
    kpid_gather_forget(gather);
    gather_clear(gather);
    free(gather->rows);
    free(gather->cells);
    free(gather->index);
    free(gather->row_of_gid);
    free(gather->out);
    free(gather->values);
    kpid_buf_release(&gather->names);
    free(gather);
}

static uint32_t row_add(struct kpid_gather *g, const char *name, uint32_t len, bool other, uint64_t hash)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 8;
        g->rows = kpid_realloc(g->rows, g->cap * sizeof(*g->rows));
    }
    size_t want = (g->n + 1) * g->cell_bytes;
    if (want > g->cells_cap) {
        g->cells_cap = want * 2;
        g->cells = kpid_realloc(g->cells, g->cells_cap);
    }
    memset(g->cells + g->n * g->cell_bytes, 0, g->cell_bytes);
    g->rows[g->n] = (struct row){ name, len, other, hash };
    return (uint32_t)g->n++;
}

static void index_put(struct kpid_gather *g, uint32_t row)
{
    size_t mask = g->index_cap - 1, at = g->rows[row].hash & mask;

    while (g->index[at])
        at = (at + 1) & mask;
    g->index[at] = row + 1;
}

static uint32_t row_of_name(struct kpid_gather *g, const char *name, uint32_t len, uint64_t hash)
{
    size_t mask = g->index_cap - 1;
    uint32_t found;

    for (size_t at = hash & mask; (found = g->index[at]); at = (at + 1) & mask) {
        const struct row *row = &g->rows[found - 1];
        if (row->hash == hash && !row->other && row->len == len &&
            !memcmp(row->name, name, row->len))
            return found - 1;
    }
    uint32_t row = row_add(g, name, len, false, hash);
    if (g->n * 2 > g->index_cap) {
        free(g->index);
        g->index_cap *= 2;
        g->index = kpid_zalloc(g->index_cap, sizeof(*g->index));
        for (uint32_t i = 0; i < g->n; i++)
            if (g->rows[i].name)
                index_put(g, i);
    } else {
        index_put(g, row);
    }
    return row;
}

uint32_t gather_row(struct kpid_gather *g, const char *name, uint32_t len, uint64_t hash)
{
    if (name)
        return row_of_name(g, name, len, hash);
    for (uint32_t row = 0; row < g->n; row++)
        if (!g->rows[row].name)
            return row;
    g->saw_other = true;
    return row_add(g, NULL, 0, g->grouping != 0, 0);
}

/* The row of a group of the shard at work. */
static uint32_t row_of_gid(struct kpid_gather *g, uint32_t gid)
{
    const struct kpid_groups *groups = &g->shard->groups[g->grouping];

    if (g->row_of_gid[gid])
        return g->row_of_gid[gid] - 1;
    const struct kpid_group *group = &groups->at[gid];
    uint32_t row = gid == KPID_GID_OTHER ? gather_row(g, NULL, 0, 0)
                                         : gather_row(g, group->name, group->name_len, group->hash);
    g->row_of_gid[gid] = row + 1;
    return row;
}

static void visit(void *ctx, const struct kpid_pane *pane)
{
    struct kpid_gather *g = ctx;

    for (uint32_t i = 0; i < pane->n; i++) {
        uint32_t row = row_of_gid(g, pane->gids[i]);
        void *cell = g->cells + (size_t)row * g->cell_bytes;
        const void *from = pane->cells + (size_t)i * g->cell_bytes;
        if (g->levels_only)
            g->agg->merge_level(cell, from);
        else
            g->agg->merge(cell, from, g->param);
    }
}

/* The rung that [start, boundary) is best put together from: the coarsest that has the start as a pane's start and
 * whose pane does not reach beyond the boundary, unless it is an open calendar period's, and that still keeps it. */
static size_t choose_rung(const struct kpid_measure_state *m, int64_t start_ms, int64_t boundary_ms)
{
    const struct kpid_measure *def = m->def;
    size_t best = 0;
    int64_t best_end = KPID_NEVER;

    for (size_t r = 0; r < def->n_rungs; r++) {
        const struct kpid_rung *rung = &def->rungs[r];
        if (rung->kind == KPID_RUNG_ALL) {
            if (rung->from_ms == start_ms)
                return r;
            continue;
        }
        if (start_ms < m->marks[r].floor_ms || start_ms == KPID_NEVER || kpid_rung_start(rung, start_ms) != start_ms)
            continue;
        int64_t end = kpid_rung_end(rung, start_ms);
        /* A calendar pane holds all before its mark: it serves its own period, or an open one, and no shorter window
         * that begins at the same instant. */
        bool fits = rung->kind == KPID_RUNG_FIXED
                        ? (boundary_ms - start_ms) % rung->width_ms == 0
                        : end == boundary_ms || (end > boundary_ms && m->marks[r].merged_ms <= boundary_ms);
        if (fits && end > best_end) {
            best = r;
            best_end = end;
        }
    }
    return best;
}

/* Whether a rung's panes, and those of the rungs below it that fill up what it has not merged yet, end at the boundary:
 * a pane that reaches beyond it holds steps that are not of the window. */
static bool ends_at(const struct kpid_measure_state *m, size_t rung, int64_t boundary_ms)
{
    for (; rung > 0; rung = m->def->rungs[rung].parent)
        if (m->marks[rung].merged_ms > boundary_ms)
            return false;
    return true;
}

/* The rung that the levels at a boundary are best summed from: the fewest panes, and complete from the beginning. */
static size_t choose_level_rung(const struct kpid_measure_state *m, size_t place, size_t rung, int64_t boundary_ms)
{
    size_t best = rung;

    for (size_t r = 1; r < m->def->n_rungs; r++)
        if (m->marks[r].began_ms == KPID_NEVER && m->marks[r].merged_ms != KPID_NEVER &&
            ends_at(m, r, boundary_ms) && kpid_list(m, place, r)->n < kpid_list(m, place, best)->n)
            best = r;
    return best;
}

/* Whether panes that [start, boundary) needs apart were released, or merged with what comes behind it: an earlier
 * window, in the time after a change of the configuration that looks further back than the one before. */
static bool is_gone(const struct kpid_measure_state *m, size_t rung, int64_t start_ms, int64_t boundary_ms)
{
    if (m->def->rungs[rung].kind == KPID_RUNG_ALL)
        return m->marks[rung].merged_ms > boundary_ms;
    return start_ms != KPID_NEVER && start_ms < m->marks[rung].floor_ms;
}

bool kpid_shards_keep(struct kpid_shard *const *shards, size_t n_shards, size_t measure_index, int64_t start_ms,
                      int64_t boundary_ms)
{
    for (size_t s = 0; s < n_shards; s++) {
        const struct kpid_measure_state *m = &shards[s]->measures[measure_index];
        if (is_gone(m, choose_rung(m, start_ms, boundary_ms), start_ms, boundary_ms))
            return false;
    }
    return true;
}

/* Known from its first event on, for group_ttl after its last one: whatever was read ahead of the boundary. */
static void known_groups(struct kpid_gather *g, int64_t boundary_ms)
{
    const struct kpid_groups *groups = &g->shard->groups[g->grouping];
    int64_t ttl = g->shard->source->group_ttl_ms;

    for (uint32_t gid = 1; gid < groups->n; gid++) {
        const struct kpid_group *group = &groups->at[gid];
        if (group->name && group->last_ms >= boundary_ms - ttl && group->first_ms < boundary_ms)
            row_of_gid(g, gid);
    }
}

static void age_row(void *ctx, uint32_t gid, size_t track, int64_t age_ms)
{
    struct kpid_gather *g = ctx;
    struct kpid_sample sample = { .value = age_ms, .kind = KPID_SAMPLE_AGE, .part = (uint8_t)track, .weight = 1 };
    size_t row = row_of_gid(g, gid);

    g->agg->add(g->cells + row * g->cell_bytes, &sample, g->param);
}

size_t gather_place(const struct kpid_measure *def, uint16_t grouping)
{
    size_t place = 0;

    while (place < def->n_groupings && def->groupings[place] != grouping)
        place++;
    return place;
}

bool gather_panes(struct kpid_gather *g, struct kpid_shard *shard, size_t measure_index, size_t place,
                  int64_t start_ms, int64_t end_ms, size_t *ret_rung)
{
    const struct kpid_measure_state *m = &shard->measures[measure_index];
    size_t n_gids = shard->groups[g->grouping].n + 1, rung = choose_rung(m, start_ms, end_ms);

    g->shard = shard;
    if (n_gids > g->cap_gids) {
        g->cap_gids = n_gids * 2;
        g->row_of_gid = kpid_realloc(g->row_of_gid, g->cap_gids * sizeof(*g->row_of_gid));
    }
    memset(g->row_of_gid, 0, n_gids * sizeof(*g->row_of_gid));
    g->levels_only = false;
    kpid_ladder_collect(m, place, rung, start_ms, end_ms, visit, g);
    *ret_rung = rung;
    return m->def->rungs[rung].kind == KPID_RUNG_ALL || start_ms >= m->marks[rung].floor_ms;
}

/* What a window of one shard has beside its panes, and the panes too unless they are there. */
static void gather_shard(struct kpid_gather *g, struct kpid_shard *shard, size_t measure_index, int64_t start_ms,
                         int64_t boundary_ms, bool filled, uint32_t *reasons)
{
    struct kpid_measure_state *m = &shard->measures[measure_index];
    size_t place = gather_place(m->def, g->grouping), rung;

    if (place == m->def->n_groupings)
        return;
    gather_panes(g, shard, measure_index, place, filled ? boundary_ms : start_ms, boundary_ms, &rung);
    if (filled)
        rung = choose_rung(m, start_ms, boundary_ms);
    if (g->agg->levels) {
        g->levels_only = true;
        kpid_ladder_collect_before(m, place, choose_level_rung(m, place, rung, boundary_ms), boundary_ms, visit, g);
    }
    if (m->keys)
        kpid_keys_ages(m->keys, (uint32_t)place, boundary_ms, age_row, g);
    known_groups(g, boundary_ms);
    if (m->elsewhere)
        *reasons |= KPID_QR(SHARDS_MISSING);
    if (is_gone(m, rung, start_ms, boundary_ms))
        *reasons |= KPID_QR(NOT_KEPT);
    if (start_ms < m->marks[rung].began_ms || start_ms < m->grouping_began_ms[place])
        *reasons |= KPID_QR(BEGAN_BEFORE_MEASURE);
    if (g->grouping != 0 && shard->groups[g->grouping].other_last_ms >= start_ms &&
        shard->groups[g->grouping].other_last_ms != KPID_NEVER)
        *reasons |= KPID_QR(OTHER_GROUP);
    struct kpid_dedup_stats dedup;
    kpid_dedup_stats(shard->dedup, &dedup);
    if (dedup.cut)
        *reasons |= KPID_QR(DEDUP_CUT);
    *reasons |= kpid_trail_reasons(shard, m->def, start_ms, boundary_ms);
}

/* ---- rows as the caller sees them ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct kpid_gather_row *x = a, *y = b;

    if (!x->group || !y->group)
        return !x->group - !y->group;
    for (size_t i = 0; x->group[i] && y->group[i]; i++) {
        int order = strcmp(x->group[i], y->group[i]);
        if (order)
            return order;
    }
    return 0;
}

bool kpid_gather_has(const struct kpid_gather *gather, const char *values, size_t len, uint64_t hash)
{
    size_t mask = gather->index_cap - 1;
    uint32_t found;

    for (size_t at = hash & mask; gather->index_cap && (found = gather->index[at]); at = (at + 1) & mask) {
        const struct row *row = &gather->rows[found - 1];
        if (row->hash == hash && !row->other && row->len == len && !memcmp(row->name, values, len))
            return true;
    }
    return false;
}

void kpid_gather_gone(const struct kpid_gather *gather, struct kpid_shard *const *shards, size_t n_shards,
                      int64_t boundary_ms, kpid_gone *tell, void *ctx)
{
    for (size_t s = 0; s < n_shards; s++) {
        const struct kpid_groups *groups = &shards[s]->groups[gather->grouping];
        for (uint32_t gid = 1; gid < groups->n; gid++) {
            const struct kpid_group *group = &groups->at[gid];
            if (group->name && group->last_ms < boundary_ms - shards[s]->source->group_ttl_ms && 
                !kpid_gather_has(gather, group->name, group->name_len, group->hash))
                tell(ctx, group->name, group->name_len, group->hash);
        }
    }
}

static void unpack_names(struct kpid_gather *g, size_t n_values)
{
    /* Offsets first: the buffer moves while it grows. A NULL ends each row's values. */
    size_t need = g->n * (n_values + 1);
    if (need > g->cap_values) {
        g->cap_values = need * 2;
        g->values = kpid_realloc(g->values, g->cap_values * sizeof(*g->values));
    }
    kpid_buf_clear(&g->names);
    for (size_t i = 0; i < g->n; i++) {
        struct kpid_unpack in;
        kpid_unpack_init(&in, g->rows[i].name ? g->rows[i].name : "", g->rows[i].len);
        for (size_t v = 0; v < n_values; v++) {
            size_t len;
            const char *bytes = g->rows[i].name ? kpid_unpack_bytes(&in, &len) : NULL;
            g->values[i * (n_values + 1) + v] = (const char *)(uintptr_t)g->names.len;
            if (bytes)
                kpid_buf_add(&g->names, bytes, len);
            kpid_buf_add_char(&g->names, '\0');
        }
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t v = 0; v < n_values; v++)
            g->values[i * (n_values + 1) + v] = g->names.data + (uintptr_t)g->values[i * (n_values + 1) + v];
        g->values[i * (n_values + 1) + n_values] = NULL;
    }
}

void gather_restart(struct kpid_gather *g, const struct kpid_measure *def, uint16_t grouping)
{
    gather_clear(g);
    g->agg = def->agg;
    g->param = &def->param;
    g->cell_bytes = def->agg->cell_bytes;
    g->grouping = grouping;
    if (!g->index) {
        g->index_cap = 64;
        g->index = kpid_zalloc(g->index_cap, sizeof(*g->index));
    } else {
        memset(g->index, 0, g->index_cap * sizeof(*g->index));
    }
    if (grouping == 0)
        row_add(g, NULL, 0, false, 0);
}

size_t kpid_gather_window(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards,
                          size_t measure_index, uint16_t grouping, int64_t start_ms, int64_t boundary_ms,
                          const struct kpid_gather_row **ret_rows, uint32_t *ret_reasons)
{
    *ret_reasons = 0;
    *ret_rows = NULL;
    gather_clear(g);
    if (!n_shards)
        return 0;
    for (size_t s = 0; s < n_shards; s++)
        if (shards[s]->measures[measure_index].keys) {
            kpid_shard_elapse(shards[s], boundary_ms);
            kpid_keys_settle(shards[s], (uint32_t)measure_index);
        }
    gather_restart(g, shards[0]->measures[measure_index].def, grouping);
    bool filled = gather_series_fill(g, shards, n_shards, measure_index, start_ms, boundary_ms);
    if (!filled)
        gather_restart(g, shards[0]->measures[measure_index].def, grouping);
    for (size_t s = 0; s < n_shards; s++)
        gather_shard(g, shards[s], measure_index, start_ms, boundary_ms, filled, ret_reasons);
    size_t n_values = shards[0]->plan->groupings[grouping].n;
    unpack_names(g, n_values);
    if (g->n > g->cap_out) {
        g->cap_out = g->n * 2;
        g->out = kpid_realloc(g->out, g->cap_out * sizeof(*g->out));
    }
    for (size_t i = 0; i < g->n; i++)
        g->out[i] = (struct kpid_gather_row){ grouping ? g->values + i * (n_values + 1) : NULL, g->rows[i].other,
                                              g->cells + i * g->cell_bytes };
    for (size_t i = 0; i < g->n; i++)
        if (g->out[i].other)
            g->out[i].group = NULL;
    if (g->n)
        qsort(g->out, g->n, sizeof(*g->out), compare_rows);
    *ret_rows = g->out;
    return g->n;
}

bool kpid_shards_alive(struct kpid_shard *const *shards, size_t n_shards, int64_t boundary_ms, int64_t silent_ms)
{
    for (size_t s = 0; s < n_shards; s++) {
        const struct kpid_measure_state *m = &shards[s]->measures[shards[s]->plan->n_measures];
        const struct kpid_pane_list *list = kpid_list(m, 0, 0);
        int64_t after = silent_ms == KPID_FOREVER ? KPID_NEVER : boundary_ms - silent_ms;
        int64_t width = m->def->rungs[0].width_ms;
        for (size_t i = kpid_list_lower(list, after == KPID_NEVER ? after : after - width); i < list->n; i++) {
            const struct kpid_pane *pane = list->at[list->head + i];
            const struct kpid_span_cell *cell = (const struct kpid_span_cell *)(const void *)pane->cells;
            if (pane->start_ms > boundary_ms)
                break;
            if (cell->last_ms > after && cell->first_ms <= boundary_ms)
                return true;
        }
    }
    return false;
}
