/*
 * funnel: attempts of a key to get through steps within a time. An attempt begins with the first step and has until its
 * start + within. Strict: each other step counts when it happens at or after the one before it; free: in whatever order.
 * What happens twice, or in between, changes nothing; an event serves one step of an attempt. The next attempt begins
 * with the first step after the time has run out, or (again: completed) also after the last step.
 *
 * An attempt matures when its time has run out: then, and not before, it counts among those that did or did not get
 * so far. Until then it is a level, as far as it has got. An item is an event: ts and a set of steps; of equal ones as
 * many are kept as there are steps to serve. Events of one instant are taken in the order of their steps.
 */
#include "keyed_rules.h"

#include <string.h>

struct attempt {
    size_t start, next;      /* its first item; where the search for the next attempt goes on */
    int64_t start_ms, end_ms;
    uint32_t reached;        /* bits of steps */
    uint32_t at[KPID_WORDS_MAX]; /* items that serve them */
};

struct walk {
    const struct kpid_keyed_spec *spec;
    const struct kpid_items *items;
    bool used[KPID_ITEMS_MAX];
};

static int64_t ts_of(const struct walk *w, size_t i)
{
    return kpid_item_ts(w->items->words[i]);
}

/* Gives an item to a step of the attempt that it can serve; false: there is none. */
static bool serve(struct walk *w, struct attempt *a, size_t i)
{
    uint32_t open = kpid_item_word(w->items->words[i]) & ~a->reached & ((1u << w->spec->n_words) - 1);

    if (!w->spec->funnel.free)
        open &= a->reached + 1; /* steps are reached in order: the next bit */
    if (!open || w->used[i])
        return false;
    uint32_t step = (uint32_t)__builtin_ctz(open);
    a->reached |= 1u << step;
    a->at[step] = (uint32_t)i;
    w->used[i] = true;
    return true;
}

static bool complete(const struct walk *w, const struct attempt *a)
{
    return a->reached == (1u << w->spec->n_words) - 1;
}

/* The attempt that begins at or behind an item; false: none does. */
static bool next_attempt(struct walk *w, size_t from, struct attempt *ret)
{
    size_t n = w->items->n, first = from;

    while (from < n && !(kpid_item_word(w->items->words[from]) & 1))
        from++;
    if (from == n)
        return false;
    *ret = (struct attempt){ .start = from, .start_ms = ts_of(w, from) };
    ret->end_ms = ret->start_ms + w->spec->funnel.within_ms;
    serve(w, ret, from);
    size_t i = from, last = from;
    while (i > first && ts_of(w, i - 1) == ret->start_ms)
        i--; /* of the same instant, and of later steps only */
    while (i < n && ts_of(w, i) <= ret->end_ms && !complete(w, ret)) {
        size_t to = i + 1;
        while (to < n && ts_of(w, to) == ts_of(w, i))
            to++;
        for (size_t k = i; k < to; k++)
            if (serve(w, ret, k)) {
                last = k > last ? k : last;
                k = i - 1; /* one that was passed over may serve the next step */
            }
        i = to;
    }
    if (w->spec->funnel.again && complete(w, ret)) {
        ret->next = last + 1;
        return true;
    }
    while (i < n && ts_of(w, i) <= ret->end_ms)
        i++;
    ret->next = i;
    return true;
}

static void count_attempt(const struct walk *w, const struct attempt *a, int64_t horizon_ms, struct kpid_outcome *ret,
                          struct kpid_keyed_result *result)
{
    struct kpid_outcome outcome = { .item = (uint32_t)a->start, .weight = 1 };

    for (uint32_t step = 0; step < w->spec->n_words; step++) {
        if (!(a->reached & 1u << step))
            continue;
        outcome.ts_ms = ts_of(w, a->at[step]);
        outcome.kind = KPID_SAMPLE_DURATION;
        outcome.part = (uint8_t)step;
        outcome.value = outcome.ts_ms - a->start_ms;
        kpid_outcome_put(ret, result, outcome);
        outcome.kind = KPID_SAMPLE_LEVEL;
        outcome.value = 1 << step;
        kpid_outcome_put(ret, result, outcome);
    }
    if (a->end_ms >= horizon_ms) {
        if (a->end_ms < result->next_timer_ms)
            result->next_timer_ms = a->end_ms;
        return;
    }
    outcome.ts_ms = a->end_ms;
    outcome.part = 0;
    outcome.value = a->reached;
    outcome.kind = KPID_SAMPLE_COUNT;
    kpid_outcome_put(ret, result, outcome);
    outcome.kind = KPID_SAMPLE_LEVEL;
    outcome.weight = -1;
    kpid_outcome_put(ret, result, outcome);
}

static void funnel_work_out(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t horizon_ms,
                            struct kpid_outcome *ret, struct kpid_keyed_result *result)
{
    struct walk w = { .spec = spec, .items = items };
    struct attempt a;

    *result = (struct kpid_keyed_result){ .next_timer_ms = KPID_FOREVER };
    memset(w.used, 0, items->n);
    for (size_t from = 0; next_attempt(&w, from, &a); from = a.next)
        count_attempt(&w, &a, horizon_ms, ret, result);
}

static enum kpid_put funnel_put(const struct kpid_keyed_spec *spec, struct kpid_items *items,
                                const struct kpid_keyed_event *event, int64_t horizon_ms)
{
    int64_t item = kpid_item_pack(event->ts_ms, event->words);
    size_t from = kpid_items_lower(items, item), to = from, at;

    (void)spec;
    (void)horizon_ms;
    while (to < items->n && items->words[to] == item)
        to++;
    for (at = from; at < to && !(items->n_gids && items->before(items->ctx, event->gids,
                                                                items->gids + at * items->n_gids)); at++)
        ;
    if ((int)(to - from) == __builtin_popcount(event->words)) {
        if (at == to)
            return KPID_PUT_NONE;
        kpid_items_remove(items, to - 1);
    } else if (items->n >= KPID_ITEMS_MAX) {
        return KPID_PUT_FULL;
    }
    kpid_items_insert(items, at, event->gids);
    items->words[at] = item;
    return KPID_PUT_CHANGED;
}

static size_t funnel_settled(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t before_ms)
{
    struct walk w = { .spec = spec, .items = items };
    struct attempt a;
    size_t n = 0;
    bool more;

    memset(w.used, 0, items->n);
    while ((more = next_attempt(&w, n, &a)) && a.end_ms < before_ms)
        n = a.next;
    if (more && a.start_ms < before_ms)
        before_ms = a.start_ms;
    while (n < items->n && ts_of(&w, n) < before_ms)
        n++; /* nothing began before it, and nothing will */
    return n;
}

/* What came again, or in between, and is too old for a late event to find a use for it. */
static void funnel_prune(const struct kpid_keyed_spec *spec, struct kpid_items *items, int64_t before_ms)
{
    struct walk w = { .spec = spec, .items = items };
    struct attempt a;
    size_t kept = 0;

    memset(w.used, 0, items->n);
    for (size_t from = 0; next_attempt(&w, from, &a); from = a.next)
        ;
    for (size_t i = 0; i < items->n; i++)
        if (w.used[i] || ts_of(&w, i) >= before_ms)
            kpid_items_keep(items, i, kept++);
    items->n = kept;
}

/* Of an event at most a duration and a level, of an attempt two more. */
static size_t funnel_outcomes_max(const struct kpid_keyed_spec *spec, size_t n)
{
    (void)spec;
    return 4 * n;
}

static bool funnel_has_groups(const struct kpid_keyed_spec *spec, uint32_t words)
{
    (void)spec;
    return words & 1;
}

static int64_t funnel_lifetime(const struct kpid_keyed_spec *spec)
{
    return spec->funnel.within_ms;
}

const struct kpid_keyed kpid_keyed_funnel = {
    .width = 1,
    .item = "an event",
    .grouped_by = "the event of its first step",
    .has_groups = funnel_has_groups,
    .put = funnel_put,
    .outcomes_max = funnel_outcomes_max,
    .work_out = funnel_work_out,
    .settled = funnel_settled,
    .prune = funnel_prune,
    .lifetime_ms = funnel_lifetime,
};
