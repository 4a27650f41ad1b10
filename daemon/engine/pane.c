#include "core.h"

#include <stdlib.h>
#include <string.h>

#define PANE_SMALL 8 /* up to here a linear look is quicker than an index */

struct kpid_pane *kpid_pane_new(int64_t start_ms)
{
    struct kpid_pane *pane = kpid_zalloc(1, sizeof(*pane));
    pane->start_ms = start_ms;
    return pane;
}

void kpid_pane_free(struct kpid_pane *pane, const struct kpid_agg *agg, struct kpid_groups *groups)
{
    if (!pane)
        return;
    for (uint32_t i = 0; i < pane->n; i++) {
        if (agg->release)
            agg->release(pane->cells + (size_t)i * agg->cell_bytes);
        if (groups && pane->gids[i] < groups->n)
            groups->at[pane->gids[i]].cells--;
    }
    free(pane->gids);
    free(pane->cells);
    free(pane->dirty);
    free(pane->index);
    free(pane);
}

static uint32_t pane_slot(uint32_t gid, uint32_t mask)
{
    return (gid * 2654435761u) & mask;
}

uint32_t kpid_pane_look(const struct kpid_pane *pane, uint32_t gid)
{
    uint32_t mask = pane->index_cap - 1, found;

    for (uint32_t at = pane_slot(gid, mask); (found = pane->index[at]); at = (at + 1) & mask)
        if (pane->gids[found - 1] == gid)
            return found - 1;
    return UINT32_MAX;
}

static void pane_index_put(struct kpid_pane *pane, uint32_t position)
{
    uint32_t mask = pane->index_cap - 1, at = pane_slot(pane->gids[position], mask);

    while (pane->index[at])
        at = (at + 1) & mask;
    pane->index[at] = position + 1;
}

static void pane_grow(struct kpid_pane *pane, size_t cell_bytes)
{
    uint32_t cap = pane->cap ? pane->cap + pane->cap / 2 + 1 : 1;

    pane->gids = kpid_realloc(pane->gids, cap * sizeof(*pane->gids));
    pane->cells = kpid_realloc(pane->cells, cap * cell_bytes);
    size_t had = (pane->cap + 7) / 8, want = ((size_t)cap + 7) / 8;
    pane->dirty = kpid_realloc(pane->dirty, want);
    memset(pane->dirty + had, 0, want - had);
    pane->cap = cap;
}

void *kpid_pane_cell(struct kpid_pane *pane, const struct kpid_agg *agg, struct kpid_groups *groups, uint32_t gid,
                     uint32_t *ret_position)
{
    uint32_t position = kpid_pane_position(pane, gid);

    if (position == UINT32_MAX) {
        if (pane->n == pane->cap)
            pane_grow(pane, agg->cell_bytes);
        position = pane->n++;
        pane->gids[position] = gid;
        memset(pane->cells + (size_t)position * agg->cell_bytes, 0, agg->cell_bytes);
        if (gid < groups->n)
            groups->at[gid].cells++;
        if (pane->n > PANE_SMALL && pane->n * 2 > pane->index_cap) {
            free(pane->index);
            pane->index_cap = pane->index_cap ? pane->index_cap * 2 : PANE_SMALL * 4;
            pane->index = kpid_zalloc(pane->index_cap, sizeof(*pane->index));
            for (uint32_t i = 0; i < pane->n; i++)
                pane_index_put(pane, i);
        } else if (pane->index) {
            pane_index_put(pane, position);
        }
    }
    *ret_position = position;
    return pane->cells + (size_t)position * agg->cell_bytes;
}

const void *kpid_pane_find(const struct kpid_pane *pane, const struct kpid_agg *agg, uint32_t gid)
{
    uint32_t position = kpid_pane_position(pane, gid);
    return position == UINT32_MAX ? NULL : pane->cells + (size_t)position * agg->cell_bytes;
}
