/* Rungs cut time into panes; a list has those of one rung and grouping, in order of their starts. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

int64_t kpid_rung_start(const struct kpid_rung *rung, int64_t ts_ms)
{
    switch (rung->kind) {
    case KPID_RUNG_FIXED: return kpid_floor_to(ts_ms, rung->width_ms);
    case KPID_RUNG_CALENDAR: return kpid_zone_period_start(rung->zone, rung->period, ts_ms);
    default: return rung->from_ms;
    }
}

int64_t kpid_rung_end(const struct kpid_rung *rung, int64_t start_ms)
{
    switch (rung->kind) {
    case KPID_RUNG_FIXED: return start_ms + rung->width_ms;
    case KPID_RUNG_CALENDAR: return kpid_zone_period_next(rung->zone, rung->period, start_ms);
    default: return KPID_FOREVER;
    }
}

/* ---- lists ---- */

size_t kpid_list_lower(const struct kpid_pane_list *list, int64_t start_ms)
{
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[list->head + middle]->start_ms < start_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct kpid_pane *kpid_list_find(const struct kpid_pane_list *list, int64_t start_ms)
{
    size_t at = kpid_list_lower(list, start_ms);

    if (at < list->n && list->at[list->head + at]->start_ms == start_ms)
        return list->at[list->head + at];
    return NULL;
}

struct kpid_pane *kpid_list_make(struct kpid_shard *shard, struct kpid_pane_list *list, int64_t start_ms)
{
    size_t at = list->n && list->at[list->head + list->n - 1]->start_ms < start_ms ? list->n
                                                                                   : kpid_list_lower(list, start_ms);
    if (at < list->n && list->at[list->head + at]->start_ms == start_ms) {
        list->last = at;
        return list->at[list->head + at];
    }
    if (list->head + list->n == list->cap) {
        if (list->head > list->n) {
            memmove(list->at, list->at + list->head, list->n * sizeof(struct kpid_pane *));
        } else {
            list->cap = list->cap ? list->cap * 2 : 4;
            struct kpid_pane **grown = kpid_alloc(list->cap * sizeof(struct kpid_pane *));
            if (list->n)
                memcpy(grown, list->at + list->head, list->n * sizeof(struct kpid_pane *));
            free(list->at);
            list->at = grown;
        }
        list->head = 0;
    }
    struct kpid_pane **place = list->at + list->head + at;
    memmove(place + 1, place, (list->n - at) * sizeof(struct kpid_pane *));
    *place = kpid_pane_new(start_ms);
    list->n++;
    list->last = at;
    shard->n.panes++;
    return *place;
}

void kpid_pane_mark(struct kpid_shard *shard, uint32_t measure, uint32_t list, struct kpid_pane *pane,
                    uint32_t position)
{
    pane->dirty[position / 8] = (uint8_t)(pane->dirty[position / 8] | 1u << position % 8);
    if (pane->listed)
        return;
    if (shard->n_dirty == shard->cap_dirty) {
        shard->cap_dirty = shard->cap_dirty ? shard->cap_dirty * 2 : 64;
        shard->dirty = kpid_realloc(shard->dirty, shard->cap_dirty * sizeof(*shard->dirty));
    }
    shard->dirty[shard->n_dirty++] = (struct kpid_dirty_pane){ pane, measure, list };
    pane->listed = (uint32_t)shard->n_dirty;
}

void kpid_lists_release(struct kpid_measure_state *m)
{
    for (size_t g = 0; g < m->def->n_groupings; g++)
        for (size_t r = 0; r < m->def->n_rungs; r++) {
            struct kpid_pane_list *list = kpid_list(m, g, r);
            for (size_t i = 0; i < list->n; i++)
                kpid_pane_free(list->at[list->head + i], m->def->agg, NULL);
            kpid_pane_free(list->base, m->def->agg, NULL);
            free(list->at);
        }
}
