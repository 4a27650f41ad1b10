/* When a figure can change without new events, so that runs of boundaries at which nothing changes are one step. */
#include "core.h"

#include <string.h>

static int64_t after_multiple(int64_t t_ms, int64_t step_ms)
{
    int64_t rest = t_ms % step_ms;
    return t_ms - rest - (rest < 0 ? step_ms : 0) + step_ms;
}

static int64_t first_start(const struct kpid_pane_list *list, int64_t from_ms)
{
    size_t at = kpid_list_lower(list, from_ms);
    return at < list->n ? list->at[list->head + at]->start_ms : KPID_FOREVER;
}

/* The total's panes say enough: a group's cell never stands where the total has none. */
static int64_t panes_next(const struct kpid_measure_state *m, size_t rung, int64_t after_ms, int64_t slide_ms,
                          int64_t length_ms)
{
    const struct kpid_pane_list *list = kpid_list(m, 0, rung);
    int64_t best = KPID_FOREVER, start, width = m->def->rungs[rung].width_ms;

    /* A pane enters at the first boundary behind its start; one that began before `after` and ends behind it, too. */
    start = first_start(list, after_ms > KPID_NEVER + width ? after_ms - width + 1 : after_ms);
    if (start != KPID_FOREVER) {
        int64_t boundary = after_multiple(start, slide_ms);
        if (boundary <= after_ms)
            boundary = after_multiple(after_ms, slide_ms);
        best = boundary;
    }
    if (length_ms != KPID_FOREVER) {
        int64_t oldest = after_multiple(after_ms, slide_ms) - slide_ms - length_ms;
        start = first_start(list, oldest);
        if (start != KPID_FOREVER) {
            int64_t boundary = after_multiple(start, slide_ms) + length_ms;
            if (boundary <= after_ms)
                boundary = after_multiple(after_ms, slide_ms);
            if (boundary < best)
                best = boundary;
        }
    }
    return best;
}

static int64_t activity_next(const struct kpid_shard *shard, int64_t after_ms, int64_t slide_ms, int64_t silent_ms)
{
    const struct kpid_measure_state *m = &shard->measures[shard->plan->n_measures];
    const struct kpid_pane_list *list = kpid_list(m, 0, 0);
    int64_t best = KPID_FOREVER, width = m->def->rungs[0].width_ms;

    for (size_t i = kpid_list_lower(list, after_ms - silent_ms - width); i < list->n; i++) {
        const struct kpid_pane *pane = list->at[list->head + i];
        const struct kpid_span_cell *cell = (const struct kpid_span_cell *)(const void *)pane->cells;
        int64_t wakes = after_multiple(cell->first_ms - 1, slide_ms);
        int64_t falls = after_multiple(cell->last_ms + silent_ms - 1, slide_ms);
        if (wakes > after_ms && wakes < best)
            best = wakes;
        if (falls > after_ms && falls < best)
            best = falls;
        if (pane->start_ms > after_ms)
            break;
    }
    return best;
}

int64_t kpid_shard_next_change(const struct kpid_shard *shard, size_t measure_index, int64_t after_ms,
                               int64_t slide_ms, int64_t length_ms)
{
    const struct kpid_measure_state *m = &shard->measures[measure_index];
    int64_t best = KPID_FOREVER, next;

    if (measure_index == shard->plan->n_measures)
        return activity_next(shard, after_ms, slide_ms, length_ms);
    for (size_t r = 0; r < m->def->n_rungs; r++) {
        if (m->def->rungs[r].kind != KPID_RUNG_FIXED || m->def->rungs[r].width_ms > slide_ms)
            continue;
        next = panes_next(m, r, after_ms, slide_ms, length_ms);
        if (next < best)
            best = next;
    }
    if (m->keys && kpid_keys_aging(m->keys, after_multiple(after_ms, slide_ms)))
        return after_multiple(after_ms, slide_ms);
    if (m->keys) {
        next = kpid_keys_next_timer(m->keys);
        if (next != KPID_FOREVER) {
            next = next < after_ms ? after_multiple(after_ms, slide_ms) : after_multiple(next, slide_ms);
            if (next <= after_ms)
                next = after_multiple(after_ms, slide_ms);
            if (next < best)
                best = next;
        }
    }
    return best;
}

int64_t kpid_shard_next_gone(const struct kpid_shard *shard, uint16_t grouping, int64_t after_ms)
{
    const struct kpid_groups *groups = &shard->groups[grouping];
    int64_t best = KPID_FOREVER, ttl = shard->source->group_ttl_ms;

    for (uint32_t gid = 1; gid < groups->n; gid++)
        if (groups->at[gid].name && groups->at[gid].last_ms >= after_ms - ttl && groups->at[gid].last_ms + ttl < best)
            best = groups->at[gid].last_ms + ttl;
    return best;
}

int64_t kpid_shard_last_content(const struct kpid_shard *shard)
{
    int64_t last = KPID_NEVER;

    for (size_t i = 0; i < shard->plan->n_measures; i++) {
        const struct kpid_measure_state *m = &shard->measures[i];
        for (size_t r = 0; r < m->def->n_rungs; r++) {
            const struct kpid_pane_list *list = kpid_list(m, 0, r);
            if (m->def->rungs[r].kind != KPID_RUNG_FIXED || !list->n)
                continue;
            int64_t end = list->at[list->head + list->n - 1]->start_ms + m->def->rungs[r].width_ms;
            if (r == 0 && end > last)
                last = end;
        }
    }
    return last;
}

uint64_t kpid_shard_version(const struct kpid_shard *shard, size_t measure_index)
{
    return shard->measures[measure_index].version;
}

void kpid_shard_touched(struct kpid_shard *shard, bool again, kpid_touched *touch, void *ctx)
{
    for (size_t i = 0; i < shard->plan->n_measures; i++) {
        struct kpid_measure_state *m = &shard->measures[i];
        size_t first = again ? 0 : m->n_told;
        if (m->told_below > m->touch_base + first) /* a copy keeps them until its owner drops them */
            first = m->told_below - m->touch_base < m->n_touches ? (size_t)(m->told_below - m->touch_base) : m->n_touches;
        for (size_t t = first; t < m->n_touches; t++)
            if (touch)
                touch(ctx, i, m->touches[t].rung, m->touches[t].start_ms, m->touches[t].end_ms);
        m->n_told = m->n_touches;
        m->touched_ms = KPID_NEVER;
        m->told_next = m->touch_base + m->n_touches;
    }
}

void kpid_shard_touched_clear(struct kpid_shard *shard)
{
    for (size_t i = 0; i < shard->plan->n_measures; i++) {
        struct kpid_measure_state *m = &shard->measures[i];
        if (shard->copy)
            m->told_below = m->told_next;
        if (shard->copy || !m->n_told)
            continue;
        m->n_touches -= m->n_told;
        m->n_cut = m->n_cut > m->n_told ? m->n_cut - m->n_told : 0;
        m->touch_base += m->n_told;
        memmove(m->touches, m->touches + m->n_told, m->n_touches * sizeof(*m->touches));
        m->n_told = 0;
        shard->changed = true;
    }
}

void kpid_shard_watch(struct kpid_shard *shard, size_t measure_index, int64_t below_ms)
{
    shard->measures[measure_index].touch_below_ms = below_ms;
    shard->measures[measure_index].touched_ms = KPID_NEVER;
}
