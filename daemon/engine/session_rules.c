/*
 * session: events of one key no more than `gap` apart belong to one session. It begins with its first event and ends
 * when the gap has run out, at its last event + gap: only then is it known to have ended, and no window that is final
 * by then changes. An item is a session: first event, last event, number of events; so a session of any length costs
 * the same, and a late event that falls between two of them joins them.
 */
#include "keyed_rules.h"
#include "session_parts.h"

enum { FIRST, LAST, EVENTS, WIDTH };

static int64_t *session_at(const struct kpid_items *items, size_t i)
{
    return items->words + i * WIDTH;
}

/* The sessions that an event at ts_ms belongs to: [*ret_from, *ret_to). */
static void session_find(const struct kpid_items *items, int64_t ts_ms, int64_t gap_ms, size_t *ret_from, size_t *ret_to)
{
    size_t to = kpid_items_lower(items, ts_ms + gap_ms + 1), from = to;

    while (from > 0 && session_at(items, from - 1)[LAST] + gap_ms >= ts_ms)
        from--;
    *ret_from = from;
    *ret_to = to;
}

static enum kpid_put session_put(const struct kpid_keyed_spec *spec, struct kpid_items *items,
                                 const struct kpid_keyed_event *event, int64_t horizon_ms)
{
    int64_t gap = spec->session.gap_ms, ts = event->ts_ms;
    size_t from, to;

    session_find(items, ts, gap, &from, &to);
    if (from == to) {
        if (items->n >= KPID_ITEMS_MAX)
            return KPID_PUT_FULL;
        kpid_items_insert(items, from, event->gids);
        int64_t *new = session_at(items, from);
        new[FIRST] = new[LAST] = ts;
        new[EVENTS] = 1;
        return KPID_PUT_CHANGED;
    }
    int64_t *session = session_at(items, from);
    bool quiet = to - from == 1 && ts >= session[FIRST] && session[LAST] + gap >= horizon_ms;
    if (ts == session[FIRST] && kpid_items_tie(items, from, event->gids))
        quiet = false;
    if (ts < session[FIRST]) {
        kpid_items_insert(items, from, event->gids); /* its groups; the rest goes with the one behind it */
        session = session_at(items, from);
        session[FIRST] = session[LAST] = ts;
        session[EVENTS] = 0;
        to++;
    }
    session[EVENTS]++;
    session[LAST] = ts > session[LAST] ? ts : session[LAST];
    for (; to - from > 1; to--) {
        const int64_t *next = session_at(items, from + 1);
        session[EVENTS] += next[EVENTS];
        session[LAST] = next[LAST] > session[LAST] ? next[LAST] : session[LAST];
        kpid_items_remove(items, from + 1);
    }
    return quiet ? KPID_PUT_QUIET : KPID_PUT_CHANGED;
}

/* An event of the latest session, which is not over: it is longer by one. Earlier sessions end more than a gap before. */
static enum kpid_put session_touch(const struct kpid_keyed_spec *spec, int64_t *words, size_t n,
                                   const struct kpid_keyed_event *event, int64_t horizon_ms,
                                   struct kpid_keyed_memo *memo)
{
    int64_t *session = words + (n - 1) * WIDTH, end = session[LAST] + spec->session.gap_ms, ts = event->ts_ms;

    (void)memo;
    if (ts <= session[FIRST] || ts > end || end < horizon_ms)
        return KPID_PUT_CHANGED;
    session[EVENTS]++;
    session[LAST] = ts > session[LAST] ? ts : session[LAST];
    return KPID_PUT_QUIET;
}

static void session_work_out(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t horizon_ms,
                             struct kpid_outcome *ret, struct kpid_keyed_result *result)
{
    *result = (struct kpid_keyed_result){ .next_timer_ms = KPID_FOREVER };
    for (uint32_t i = 0; i < items->n; i++) {
        const int64_t *session = session_at(items, i);
        int64_t end = session[LAST] + spec->session.gap_ms;
        struct kpid_outcome outcome = { .ts_ms = session[FIRST], .item = i, .weight = 1 };
        outcome.kind = KPID_SAMPLE_COUNT;
        outcome.part = SESSION_STARTED;
        kpid_outcome_put(ret, result, outcome);
        outcome.kind = KPID_SAMPLE_LEVEL;
        kpid_outcome_put(ret, result, outcome);
        if (end >= horizon_ms) {
            if (end < result->next_timer_ms)
                result->next_timer_ms = end;
            continue;
        }
        outcome.ts_ms = end;
        outcome.weight = -1;
        kpid_outcome_put(ret, result, outcome);
        outcome.weight = 1;
        outcome.kind = KPID_SAMPLE_COUNT;
        outcome.part = SESSION_ENDED;
        outcome.value = session[EVENTS];
        kpid_outcome_put(ret, result, outcome);
        outcome.kind = KPID_SAMPLE_DURATION;
        outcome.part = 0;
        outcome.value = session[LAST] - session[FIRST];
        kpid_outcome_put(ret, result, outcome);
    }
}

static size_t session_outcomes_max(const struct kpid_keyed_spec *spec, size_t n)
{
    (void)spec;
    return 5 * n;
}

static size_t session_settled(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t before_ms)
{
    size_t n = 0;

    while (n < items->n && session_at(items, n)[LAST] + spec->session.gap_ms < before_ms)
        n++;
    return n;
}

static bool session_has_groups(const struct kpid_keyed_spec *spec, uint32_t words)
{
    (void)spec;
    (void)words;
    return true;
}

static int64_t session_lifetime(const struct kpid_keyed_spec *spec)
{
    return spec->session.gap_ms;
}

const struct kpid_keyed kpid_keyed_session = {
    .width = WIDTH,
    .item = "a session",
    .grouped_by = "its first event",
    .has_groups = session_has_groups,
    .put = session_put,
    .touch = session_touch,
    .outcomes_max = session_outcomes_max,
    .work_out = session_work_out,
    .settled = session_settled,
    .lifetime_ms = session_lifetime,
};
