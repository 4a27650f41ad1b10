/*
 * retention: of the keys that begin on a civil day, how many return on the 1st, 7th, 30th day after it. A key begins
 * with its first start; further ones count only once the last of the days is over. The N-th day is over at its last
 * millisecond: at that instant the key counts in the cohort of that day, and among those that returned if it did.
 * While the day runs, both are levels. An item is an event, ts and word; of each word the first one of a civil day.
 */
#include "keyed_rules.h"
#include "retention_parts.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

enum { START, RETURN };

struct cohort {
    size_t start, next;               /* its item; where the search for the next one goes on */
    int64_t from_ms[KPID_WORDS_MAX];  /* of each day [from, end) */
    int64_t end_ms[KPID_WORDS_MAX];
    size_t returned[KPID_WORDS_MAX];  /* item, SIZE_MAX: none */
};

static const uint32_t no_groups[64];

static int64_t day_start(const struct kpid_keyed_spec *spec, int64_t ts_ms)
{
    return kpid_zone_period_start(spec->retention.zone, (struct kpid_period){ .unit = KPID_CALENDAR_DAY }, ts_ms);
}

static int64_t day_next(const struct kpid_keyed_spec *spec, int64_t ts_ms)
{
    return kpid_zone_period_next(spec->retention.zone, (struct kpid_period){ .unit = KPID_CALENDAR_DAY }, ts_ms);
}

/* Days since 1970-01-01 as the zone counts them. */
static int64_t day_number(const struct kpid_keyed_spec *spec, int64_t ts_ms)
{
    int64_t start = day_start(spec, ts_ms), local = start + kpid_zone_offset(spec->retention.zone, start);

    return local / DAY_MS - (local % DAY_MS < 0);
}

/* The first item of that word in [from, to), SIZE_MAX: there is none. */
static size_t find(const struct kpid_items *items, uint32_t word, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = kpid_items_lower(items, kpid_item_pack(from_ms, 0)); i < items->n; i++) {
        if (kpid_item_ts(items->words[i]) >= to_ms)
            break;
        if (kpid_item_word(items->words[i]) == word)
            return i;
    }
    return SIZE_MAX;
}

/* The cohort that begins at or behind an item; false: none does. */
static bool next_cohort(const struct kpid_keyed_spec *spec, const struct kpid_items *items, size_t from,
                        struct cohort *ret)
{
    while (from < items->n && kpid_item_word(items->words[from]) != START)
        from++;
    if (from == items->n)
        return false;
    int64_t day = day_number(spec, kpid_item_ts(items->words[from]));
    ret->start = from;
    for (size_t d = 0; d < spec->retention.n_days; d++) {
        ret->from_ms[d] = kpid_zone_instant(spec->retention.zone, (day + spec->retention.days[d]) * DAY_MS);
        ret->end_ms[d] = day_next(spec, ret->from_ms[d]);
        ret->returned[d] = find(items, RETURN, ret->from_ms[d], ret->end_ms[d]);
    }
    ret->next = kpid_items_lower(items, kpid_item_pack(ret->end_ms[spec->retention.n_days - 1], 0));
    return true;
}

static void count_day(const struct kpid_items *items, const struct cohort *c, uint8_t d, int64_t horizon_ms,
                      struct kpid_outcome *ret, struct kpid_keyed_result *result)
{
    struct kpid_outcome outcome = { .item = (uint32_t)c->start, .weight = 1, .part = d };
    bool returned = c->returned[d] != SIZE_MAX;
    int64_t over = c->end_ms[d] - 1, timer = c->from_ms[d] >= horizon_ms ? c->from_ms[d] : over;

    if (timer >= horizon_ms && timer < result->next_timer_ms)
        result->next_timer_ms = timer;
    if (c->from_ms[d] >= horizon_ms)
        return;
    outcome.kind = KPID_SAMPLE_LEVEL;
    outcome.ts_ms = c->from_ms[d];
    outcome.value = RETENTION_COHORT;
    kpid_outcome_put(ret, result, outcome);
    if (returned) {
        outcome.ts_ms = kpid_item_ts(items->words[c->returned[d]]);
        outcome.value = RETENTION_RETURNED;
        kpid_outcome_put(ret, result, outcome);
    }
    if (over >= horizon_ms)
        return;
    outcome.ts_ms = over;
    outcome.value = RETENTION_COHORT | (returned ? RETENTION_RETURNED : 0);
    outcome.weight = -1;
    kpid_outcome_put(ret, result, outcome);
    outcome.kind = KPID_SAMPLE_COUNT;
    outcome.weight = 1;
    kpid_outcome_put(ret, result, outcome);
}

static void retention_work_out(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t horizon_ms,
                               struct kpid_outcome *ret, struct kpid_keyed_result *result)
{
    struct cohort c;

    *result = (struct kpid_keyed_result){ .next_timer_ms = KPID_FOREVER };
    for (size_t from = 0; next_cohort(spec, items, from, &c); from = c.next) {
        kpid_outcome_put(ret, result, (struct kpid_outcome){ .ts_ms = kpid_item_ts(items->words[c.start]),
                                                             .item = (uint32_t)c.start, .weight = 1,
                                                             .kind = KPID_SAMPLE_COUNT, .part = RETENTION_BEGUN });
        for (uint8_t d = 0; d < spec->retention.n_days; d++)
            count_day(items, &c, d, horizon_ms, ret, result);
    }
}

static enum kpid_put put_word(const struct kpid_keyed_spec *spec, struct kpid_items *items, uint32_t word,
                              int64_t ts_ms, const uint32_t *gids)
{
    size_t have = find(items, word, day_start(spec, ts_ms), day_next(spec, ts_ms));

    if (have != SIZE_MAX) {
        int64_t ts = kpid_item_ts(items->words[have]);
        if (ts == ts_ms)
            return kpid_items_tie(items, have, gids) ? KPID_PUT_CHANGED : KPID_PUT_NONE;
        if (ts < ts_ms)
            return KPID_PUT_NONE;
        kpid_items_remove(items, have);
    } else if (items->n >= KPID_ITEMS_MAX) {
        return KPID_PUT_FULL;
    }
    int64_t item = kpid_item_pack(ts_ms, word);
    size_t at = kpid_items_lower(items, item);
    kpid_items_insert(items, at, gids);
    items->words[at] = item;
    return KPID_PUT_CHANGED;
}

static enum kpid_put retention_put(const struct kpid_keyed_spec *spec, struct kpid_items *items,
                                   const struct kpid_keyed_event *event, int64_t horizon_ms)
{
    enum kpid_put ret = KPID_PUT_NONE, next;

    (void)horizon_ms;
    if (event->words & 1u << START)
        ret = put_word(spec, items, START, event->ts_ms, event->gids);
    if (!(event->words & 1u << RETURN) || ret == KPID_PUT_FULL)
        return ret;
    next = put_word(spec, items, RETURN, event->ts_ms, no_groups);
    return ret == KPID_PUT_CHANGED ? ret : next;
}

/* The civil day of ts_ms, in the memo. */
static void day_find(const struct kpid_keyed_spec *spec, int64_t ts_ms, struct kpid_keyed_memo *memo)
{
    if (memo->from_ms != KPID_NEVER && ts_ms >= memo->from_ms && ts_ms < memo->to_ms)
        return;
    memo->from_ms = day_start(spec, ts_ms);
    memo->to_ms = day_next(spec, ts_ms);
}

/* Who has returned on that day already has, and returns no more. */
static enum kpid_put retention_touch(const struct kpid_keyed_spec *spec, int64_t *words, size_t n,
                                     const struct kpid_keyed_event *event, int64_t horizon_ms,
                                     struct kpid_keyed_memo *memo)
{
    (void)horizon_ms;
    if (event->words != 1u << RETURN)
        return KPID_PUT_CHANGED;
    day_find(spec, event->ts_ms, memo);
    while (n > 0 && kpid_item_ts(words[n - 1]) >= event->ts_ms)
        n--;
    for (; n > 0 && kpid_item_ts(words[n - 1]) >= memo->from_ms; n--)
        if (kpid_item_word(words[n - 1]) == RETURN)
            return KPID_PUT_NONE;
    return KPID_PUT_CHANGED;
}

/* A return of somebody of whom no earlier day is known, and won't be. */
static bool retention_idle(const struct kpid_keyed_spec *spec, const struct kpid_keyed_event *event, int64_t closed_ms,
                           struct kpid_keyed_memo *memo)
{
    if (event->words != 1u << RETURN || spec->retention.days[0] == 0)
        return false;
    day_find(spec, event->ts_ms, memo);
    return memo->from_ms <= closed_ms;
}

static size_t retention_settled(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t before_ms)
{
    struct cohort c;
    size_t n = 0;
    bool more;

    while ((more = next_cohort(spec, items, n, &c)) && c.end_ms[spec->retention.n_days - 1] <= before_ms)
        n = c.next;
    if (more && kpid_item_ts(items->words[c.start]) < before_ms)
        before_ms = kpid_item_ts(items->words[c.start]);
    while (n < items->n && kpid_item_ts(items->words[n]) < before_ms)
        n++; /* nobody began before it, and nobody will */
    return n;
}

/* Days on which nobody asks whether the key returned. */
static void retention_prune(const struct kpid_keyed_spec *spec, struct kpid_items *items, int64_t before_ms)
{
    bool used[KPID_ITEMS_MAX];
    struct cohort c;
    size_t kept = 0;

    memset(used, 0, items->n);
    for (size_t from = 0; next_cohort(spec, items, from, &c); from = c.next) {
        used[c.start] = true;
        for (size_t d = 0; d < spec->retention.n_days; d++)
            if (c.returned[d] != SIZE_MAX)
                used[c.returned[d]] = true;
    }
    for (size_t i = 0; i < items->n; i++)
        if (used[i] || kpid_item_ts(items->words[i]) >= before_ms)
            kpid_items_keep(items, i, kept++);
    items->n = kept;
}

static size_t retention_outcomes_max(const struct kpid_keyed_spec *spec, size_t n)
{
    return n * (1 + 4 * (size_t)spec->retention.n_days);
}

static bool retention_has_groups(const struct kpid_keyed_spec *spec, uint32_t words)
{
    (void)spec;
    return words & 1u << START;
}

static int64_t retention_lifetime(const struct kpid_keyed_spec *spec)
{
    return (spec->retention.days[spec->retention.n_days - 1] + 2) * DAY_MS;
}

const struct kpid_keyed kpid_keyed_retention = {
    .width = 1,
    .item = "a day with an event",
    .grouped_by = "the event that starts it",
    .has_groups = retention_has_groups,
    .put = retention_put,
    .touch = retention_touch,
    .idle = retention_idle,
    .outcomes_max = retention_outcomes_max,
    .work_out = retention_work_out,
    .settled = retention_settled,
    .prune = retention_prune,
    .lifetime_ms = retention_lifetime,
};
