/*
 * clock: what the events of one key mean. First start wins, first stop after (re)opening wins. Events of a key more
 * than `forget_after` apart belong to different clocks; one that is still open leaves the levels when it is forgotten.
 * An item is an event: ts and word.
 */
#include "clock_parts.h"
#include "keyed_rules.h"

/* One clock while its events are walked through. */
struct walk {
    const struct kpid_keyed_spec *spec;
    const int64_t *events; /* items: ts and word */
    struct kpid_outcome *ret;
    struct kpid_keyed_result *result;
    int64_t horizon_ms;
    bool started, open, paused, breached, crossed;
    uint32_t start;        /* event that opened the clock */
    int64_t elapsed_ms;    /* run before running_since */
    int64_t running_since_ms;
};

static void put(struct walk *w, int64_t ts_ms, enum kpid_sample_kind kind, uint8_t part, int weight, int64_t value,
                uint32_t event)
{
    kpid_outcome_put(w->ret, w->result, (struct kpid_outcome){ .ts_ms = ts_ms, .value = value, .item = event,
                                                               .kind = (uint8_t)kind, .part = part,
                                                               .weight = (int8_t)weight });
}

/* The deadline passes between two events, or before the horizon: counted at its own instant. */
static void cross_deadline(struct walk *w, int64_t until_ms)
{
    if (!w->open || w->paused || w->crossed || w->spec->clock.deadline_ms == KPID_FOREVER)
        return;
    int64_t at = w->running_since_ms + (w->spec->clock.deadline_ms - w->elapsed_ms);
    if (at >= until_ms)
        return;
    put(w, at, KPID_SAMPLE_COUNT, CLOCK_MISSED, 1, 0, w->start);
    put(w, at, KPID_SAMPLE_LEVEL, CLOCK_BREACHED, 1, 0, w->start);
    w->crossed = w->breached = true;
}

static void begin(struct walk *w, size_t event, bool again)
{
    w->started = w->open = true;
    w->paused = w->crossed = w->breached = false;
    if (!again)
        w->start = (uint32_t)event;
    w->elapsed_ms = 0;
    w->running_since_ms = kpid_item_ts(w->events[event]);
    put(w, w->running_since_ms, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 1, 0, w->start);
}

static void end(struct walk *w, int64_t ts_ms)
{
    put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_OPEN, -1, 0, w->start);
    if (w->breached)
        put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_BREACHED, -1, 0, w->start);
    w->open = w->breached = false;
}

static void step(struct walk *w, size_t i)
{
    int64_t ts_ms = kpid_item_ts(w->events[i]);

    cross_deadline(w, ts_ms);
    switch (kpid_item_word(w->events[i])) {
    case KPID_CLOCK_START:
        if (!w->started)
            begin(w, i, false);
        break;
    case KPID_CLOCK_PAUSE:
        if (w->open && !w->paused) {
            w->elapsed_ms += ts_ms - w->running_since_ms;
            w->paused = true;
        }
        break;
    case KPID_CLOCK_RESUME:
        if (w->open && w->paused) {
            w->running_since_ms = ts_ms;
            w->paused = false;
        }
        break;
    case KPID_CLOCK_REOPEN:
        if (w->started && !w->open)
            begin(w, i, true);
        break;
    case KPID_CLOCK_STOP:
        if (w->open) {
            int64_t duration = w->elapsed_ms + (w->paused ? 0 : ts_ms - w->running_since_ms);
            put(w, ts_ms, KPID_SAMPLE_DURATION, 0, 1, duration, (uint32_t)i);
            if (w->spec->clock.deadline_ms != KPID_FOREVER && !w->crossed)
                put(w, ts_ms, KPID_SAMPLE_COUNT, CLOCK_MET, 1, 0, (uint32_t)i);
            end(w, ts_ms);
        }
        break;
    case KPID_CLOCK_CANCEL:
        if (w->open)
            end(w, ts_ms);
        break;
    default: break;
    }
}

/* The index of the last stop before the first start, if neither stop nor reopen follows it; else n. */
static size_t only_stop_before(const int64_t *events, size_t from, size_t to, size_t *ret_start)
{
    size_t stop = to, start = to;

    for (size_t i = from; i < to; i++) {
        if (kpid_item_word(events[i]) == KPID_CLOCK_START && start == to)
            start = i;
        else if (kpid_item_word(events[i]) == KPID_CLOCK_STOP && start == to)
            stop = i;
        else if (start != to && (kpid_item_word(events[i]) == KPID_CLOCK_STOP || kpid_item_word(events[i]) == KPID_CLOCK_REOPEN))
            return to;
    }
    *ret_start = start;
    return start == to ? to : stop;
}

/* Events [from, to) belong to one clock; `forgotten_ms`: when it ends by itself, KPID_FOREVER: not yet or never. */
static void one_clock(struct walk *w, size_t from, size_t to, int64_t forget_ms, bool more)
{
    size_t start, early = only_stop_before(w->events, from, to, &start);

    if (early < to && w->spec->clock.keep_negative) {
        int64_t at = kpid_item_ts(w->events[early]);
        put(w, at, KPID_SAMPLE_DURATION, 0, 1, at - kpid_item_ts(w->events[start]), (uint32_t)early);
        if (w->spec->clock.deadline_ms != KPID_FOREVER)
            put(w, at, KPID_SAMPLE_COUNT, CLOCK_MET, 1, 0, (uint32_t)early);
        return;
    }
    w->result->negatives += early < to;
    w->started = w->open = w->paused = w->breached = w->crossed = false;
    for (size_t i = from; i < to; i++)
        step(w, i);
    if (!w->open)
        return;
    int64_t until = more || forget_ms < w->horizon_ms ? forget_ms : w->horizon_ms;
    cross_deadline(w, until);
    if (until == forget_ms && forget_ms != KPID_FOREVER) {
        end(w, forget_ms);
        w->result->forgotten++;
        return;
    }
    int64_t timer = forget_ms;
    if (!w->paused && !w->crossed && w->spec->clock.deadline_ms != KPID_FOREVER) {
        int64_t at = w->running_since_ms + (w->spec->clock.deadline_ms - w->elapsed_ms);
        if (at < timer)
            timer = at;
    }
    w->result->next_timer_ms = timer;
}

/* The end of the clock whose first event is `from`. */
static size_t clock_end(const struct kpid_keyed_spec *spec, const struct kpid_items *items, size_t from)
{
    int64_t forget = spec->clock.forget_after_ms;
    size_t to = from + 1;

    if (forget == KPID_FOREVER)
        return items->n;
    while (to < items->n && kpid_item_ts(items->words[to]) - kpid_item_ts(items->words[to - 1]) <= forget)
        to++;
    return to;
}

static void clock_work_out(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t horizon_ms,
                           struct kpid_outcome *ret, struct kpid_keyed_result *result)
{
    struct walk w = { .spec = spec, .events = items->words, .ret = ret, .result = result, .horizon_ms = horizon_ms };
    int64_t forget = spec->clock.forget_after_ms;

    *result = (struct kpid_keyed_result){ .next_timer_ms = KPID_FOREVER };
    for (size_t from = 0, to; from < items->n; from = to) {
        to = clock_end(spec, items, from);
        one_clock(&w, from, to, forget == KPID_FOREVER ? forget : kpid_item_ts(items->words[to - 1]) + forget,
                  to < items->n);
    }
}

static size_t clock_settled(const struct kpid_keyed_spec *spec, const struct kpid_items *items, int64_t before_ms)
{
    int64_t forget = spec->clock.forget_after_ms;
    size_t from = 0;

    while (forget != KPID_FOREVER && from < items->n) {
        size_t to = clock_end(spec, items, from);
        if (kpid_item_ts(items->words[to - 1]) + forget >= before_ms)
            break;
        from = to;
    }
    return from;
}

static bool clock_has_groups(const struct kpid_keyed_spec *spec, uint32_t words)
{
    (void)spec;
    (void)words;
    return true;
}

/* An event that says several words is an item for each. */
static enum kpid_put clock_put(const struct kpid_keyed_spec *spec, struct kpid_items *items,
                               const struct kpid_keyed_event *event, int64_t horizon_ms)
{
    enum kpid_put ret = KPID_PUT_NONE;

    (void)spec;
    (void)horizon_ms;
    for (uint32_t word = 0; word < KPID_CLOCK_WORDS; word++) {
        if (!(event->words & 1u << word))
            continue;
        int64_t item = kpid_item_pack(event->ts_ms, word);
        size_t at = kpid_items_lower(items, item);
        if (at < items->n && items->words[at] == item) {
            if (kpid_items_tie(items, at, event->gids))
                ret = KPID_PUT_CHANGED;
            continue;
        }
        if (items->n >= KPID_ITEMS_MAX)
            return ret == KPID_PUT_NONE ? KPID_PUT_FULL : ret;
        kpid_items_insert(items, at, event->gids);
        items->words[at] = item;
        ret = KPID_PUT_CHANGED;
    }
    return ret;
}

/* Of each event at most a duration, met, two levels, and of each opening a deadline and its end. */
static size_t clock_outcomes_max(const struct kpid_keyed_spec *spec, size_t n)
{
    (void)spec;
    return 4 * n + 4;
}

static int64_t clock_lifetime(const struct kpid_keyed_spec *spec)
{
    return spec->clock.forget_after_ms;
}

const struct kpid_keyed kpid_keyed_clock = {
    .width = 1,
    .grouped_by = "the event that stops it",
    .has_groups = clock_has_groups,
    .put = clock_put,
    .outcomes_max = clock_outcomes_max,
    .work_out = clock_work_out,
    .settled = clock_settled,
    .lifetime_ms = clock_lifetime,
};
