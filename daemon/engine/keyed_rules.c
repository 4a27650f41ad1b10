#include "keyed_rules.h"

#include <string.h>

size_t kpid_items_lower(const struct kpid_items *items, int64_t word)
{
    size_t low = 0, high = items->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items->words[middle * items->width] < word)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void kpid_items_insert(struct kpid_items *items, size_t at, const uint32_t *gids)
{
    size_t w = items->width, g = items->n_gids, rest = items->n - at;

    memmove(items->words + (at + 1) * w, items->words + at * w, rest * w * sizeof(*items->words));
    if (g) {
        memmove(items->gids + (at + 1) * g, items->gids + at * g, rest * g * sizeof(*items->gids));
        memcpy(items->gids + at * g, gids, g * sizeof(*gids));
    }
    items->n++;
}

void kpid_items_remove(struct kpid_items *items, size_t at)
{
    size_t w = items->width, g = items->n_gids, rest = --items->n - at;

    memmove(items->words + at * w, items->words + (at + 1) * w, rest * w * sizeof(*items->words));
    if (g)
        memmove(items->gids + at * g, items->gids + (at + 1) * g, rest * g * sizeof(*items->gids));
}

void kpid_items_keep(struct kpid_items *items, size_t from, size_t to)
{
    size_t w = items->width, g = items->n_gids;

    memmove(items->words + to * w, items->words + from * w, w * sizeof(*items->words));
    if (g)
        memmove(items->gids + to * g, items->gids + from * g, g * sizeof(*items->gids));
}

bool kpid_items_tie(struct kpid_items *items, size_t at, const uint32_t *gids)
{
    size_t g = items->n_gids;

    if (!g || !items->before(items->ctx, gids, items->gids + at * g))
        return false;
    memcpy(items->gids + at * g, gids, g * sizeof(*gids));
    return true;
}
