/* Windows that changed behind their final boundary: which ones are to be told again. */
#include "core.h"

#include <stdlib.h>

static int touch_compare(const void *a, const void *b)
{
    const struct kpid_touch *x = a, *y = b;

    if (x->rung != y->rung)
        return x->rung < y->rung ? -1 : 1;
    return x->start_ms < y->start_ms ? -1 : x->start_ms > y->start_ms;
}

static void touches_grow(struct kpid_measure_state *m)
{
    m->cap_touches = m->cap_touches ? m->cap_touches * 2 : 16;
    m->touches = kpid_realloc(m->touches, m->cap_touches * sizeof(*m->touches));
}

/* Those before it were told, or stand in a cut that some publisher may have read. */
static size_t first_open_touch(const struct kpid_measure_state *m)
{
    return m->n_cut > m->n_told ? m->n_cut : m->n_told;
}

void kpid_touch_push(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    for (size_t i = m->n_touches; i > first_open_touch(m) && i + 4 > m->n_touches; i--)
        if (m->touches[i - 1].rung == rung && m->touches[i - 1].start_ms == start_ms)
            return;
    if (m->n_touches == m->cap_touches) {
        size_t kept = m->n_told;
        if (m->n_touches > kept)
            qsort(m->touches + kept, m->n_touches - kept, sizeof(*m->touches), touch_compare);
        for (size_t i = m->n_told; i < m->n_touches; i++)
            if (kept == m->n_told || touch_compare(&m->touches[kept - 1], &m->touches[i]))
                m->touches[kept++] = m->touches[i];
        m->touch_base += m->n_touches; /* all are numbered anew: they stand in another order */
        m->n_touches = kept;
        m->n_cut = m->n_told;
        if (kept * 2 >= m->cap_touches)
            touches_grow(m);
    }
    kpid_touch_put(m, rung, start_ms, end_ms);
}

void kpid_touch_put(struct kpid_measure_state *m, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    if (m->n_touches == m->cap_touches)
        touches_grow(m);
    m->touches[m->n_touches++] = (struct kpid_touch){ rung, start_ms, end_ms };
}

void kpid_ladder_touch(struct kpid_measure_state *m, int64_t ts_ms)
{
    if (ts_ms >= m->touch_below_ms)
        return;
    if (m->def->agg->levels) {
        /* Everything from here on: one entry, the earliest. */
        bool found = false;
        for (size_t i = first_open_touch(m); i < m->n_touches && !found; i++)
            if (m->touches[i].rung == UINT16_MAX) {
                if (ts_ms < m->touches[i].start_ms)
                    m->touches[i].start_ms = ts_ms;
                found = true;
            }
        if (!found)
            kpid_touch_push(m, UINT16_MAX, ts_ms, KPID_FOREVER);
        return;
    }
    /* Every window is made of whole panes: another change within one touches nothing new. */
    int64_t pane_ms = kpid_floor_to(ts_ms, m->def->rungs[0].width_ms);
    if (pane_ms == m->touched_ms)
        return;
    m->touched_ms = pane_ms;
    for (uint16_t r = 0; r < m->def->n_rungs; r++) {
        const struct kpid_rung *rung = &m->def->rungs[r];
        if (rung->kind == KPID_RUNG_ALL)
            continue;
        int64_t start = kpid_rung_start(rung, ts_ms), end = kpid_rung_end(rung, start);
        if (end <= m->touch_below_ms && start >= m->marks[r].floor_ms)
            kpid_touch_push(m, r, start, end);
    }
}
