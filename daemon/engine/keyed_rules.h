/* What rules of keyed measures share: items of one number, and ties between equal ones. */
#ifndef KPID_ENGINE_KEYED_RULES_H
#define KPID_ENGINE_KEYED_RULES_H

#include "kpid/agg.h"
#include "kpid/keyed.h"

static inline int64_t kpid_item_pack(int64_t ts_ms, uint32_t word)
{
    return ts_ms * (1 << KPID_KEYED_SHIFT) + word;
}
static inline int64_t kpid_item_ts(int64_t item)
{
    return item >> KPID_KEYED_SHIFT;
}
static inline uint32_t kpid_item_word(int64_t item)
{
    return (uint32_t)item & ((1u << KPID_KEYED_SHIFT) - 1);
}

/* Position of the first item whose first number is >= word. */
size_t kpid_items_lower(const struct kpid_items *items, int64_t word);
/* Makes a row at a position, its numbers not set; copies gids. */
void kpid_items_insert(struct kpid_items *items, size_t at, const uint32_t *gids);
void kpid_items_remove(struct kpid_items *items, size_t at);
/* Moves a row down to a position: for who keeps some of them. */
void kpid_items_keep(struct kpid_items *items, size_t from, size_t to);
/* Gives the row these groups if they go before its own; true: it did. */
bool kpid_items_tie(struct kpid_items *items, size_t at, const uint32_t *gids);

/* Adds an outcome to those of a result. */
static inline void kpid_outcome_put(struct kpid_outcome *ret, struct kpid_keyed_result *result,
                                    struct kpid_outcome outcome)
{
    ret[result->n++] = outcome;
}

#endif
