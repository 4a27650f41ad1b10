#include "clock_rules.h"

/* One clock while its events are walked through. */
struct walk {
    const struct kpid_clock_spec *spec;
    const struct kpid_clock_event *events;
    struct kpid_outcome *ret;
    struct kpid_clock_result *result;
    int64_t horizon_ms;
    bool started, open, paused, breached, crossed;
    uint16_t start;        /* event that opened the clock */
    int64_t elapsed_ms;    /* run before running_since */
    int64_t running_since_ms;
};

static void put(struct walk *w, int64_t ts_ms, uint8_t kind, int weight, int64_t value, uint16_t event)
{
    w->ret[w->result->n++] = (struct kpid_outcome){ ts_ms, value, event, kind, (int8_t)weight };
}

/* The deadline passes between two events, or before the horizon: counted at its own instant. */
static void cross_deadline(struct walk *w, int64_t until_ms)
{
    if (!w->open || w->paused || w->crossed || w->spec->deadline_ms == KPID_FOREVER)
        return;
    int64_t at = w->running_since_ms + (w->spec->deadline_ms - w->elapsed_ms);
    if (at >= until_ms)
        return;
    put(w, at, KPID_SAMPLE_MISSED, 1, 0, w->start);
    put(w, at, KPID_SAMPLE_BREACHED, 1, 0, w->start);
    w->crossed = w->breached = true;
}

static void begin(struct walk *w, size_t event, bool again)
{
    w->started = w->open = true;
    w->paused = w->crossed = w->breached = false;
    if (!again)
        w->start = (uint16_t)event;
    w->elapsed_ms = 0;
    w->running_since_ms = w->events[event].ts_ms;
    put(w, w->running_since_ms, KPID_SAMPLE_OPEN, 1, 0, w->start);
}

static void end(struct walk *w, int64_t ts_ms)
{
    put(w, ts_ms, KPID_SAMPLE_OPEN, -1, 0, w->start);
    if (w->breached)
        put(w, ts_ms, KPID_SAMPLE_BREACHED, -1, 0, w->start);
    w->open = w->breached = false;
}

static void step(struct walk *w, size_t i)
{
    const struct kpid_clock_event *event = &w->events[i];

    cross_deadline(w, event->ts_ms);
    switch (event->word) {
    case KPID_CLOCK_START:
        if (!w->started)
            begin(w, i, false);
        break;
    case KPID_CLOCK_PAUSE:
        if (w->open && !w->paused) {
            w->elapsed_ms += event->ts_ms - w->running_since_ms;
            w->paused = true;
        }
        break;
    case KPID_CLOCK_RESUME:
        if (w->open && w->paused) {
            w->running_since_ms = event->ts_ms;
            w->paused = false;
        }
        break;
    case KPID_CLOCK_REOPEN:
        if (w->started && !w->open)
            begin(w, i, true);
        break;
    case KPID_CLOCK_STOP:
        if (w->open) {
            int64_t duration = w->elapsed_ms + (w->paused ? 0 : event->ts_ms - w->running_since_ms);
            put(w, event->ts_ms, KPID_SAMPLE_DURATION, 1, duration, (uint16_t)i);
            if (w->spec->deadline_ms != KPID_FOREVER && !w->crossed)
                put(w, event->ts_ms, KPID_SAMPLE_MET, 1, 0, (uint16_t)i);
            end(w, event->ts_ms);
        }
        break;
    case KPID_CLOCK_CANCEL:
        if (w->open)
            end(w, event->ts_ms);
        break;
    default: break;
    }
}

/* The index of the last stop before the first start, if neither stop nor reopen follows it; else n. */
static size_t only_stop_before(const struct kpid_clock_event *events, size_t from, size_t to, size_t *ret_start)
{
    size_t stop = to, start = to;

    for (size_t i = from; i < to; i++) {
        if (events[i].word == KPID_CLOCK_START && start == to)
            start = i;
        else if (events[i].word == KPID_CLOCK_STOP && start == to)
            stop = i;
        else if (start != to && (events[i].word == KPID_CLOCK_STOP || events[i].word == KPID_CLOCK_REOPEN))
            return to;
    }
    *ret_start = start;
    return start == to ? to : stop;
}

/* Events [from, to) belong to one clock; `forgotten_ms`: when it ends by itself, KPID_FOREVER: not yet or never. */
static void one_clock(struct walk *w, size_t from, size_t to, int64_t forget_ms, bool more)
{
    size_t start, early = only_stop_before(w->events, from, to, &start);

    if (early < to && w->spec->keep_negative) {
        put(w, w->events[early].ts_ms, KPID_SAMPLE_DURATION, 1, w->events[early].ts_ms - w->events[start].ts_ms,
            (uint16_t)early);
        if (w->spec->deadline_ms != KPID_FOREVER)
            put(w, w->events[early].ts_ms, KPID_SAMPLE_MET, 1, 0, (uint16_t)early);
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
    if (!w->paused && !w->crossed && w->spec->deadline_ms != KPID_FOREVER) {
        int64_t at = w->running_since_ms + (w->spec->deadline_ms - w->elapsed_ms);
        if (at < timer)
            timer = at;
    }
    w->result->next_timer_ms = timer;
}

void kpid_clock_outcomes(const struct kpid_clock_spec *spec, const struct kpid_clock_event *events, size_t n,
                         int64_t horizon_ms, struct kpid_outcome *ret, struct kpid_clock_result *result)
{
    struct walk w = { .spec = spec, .events = events, .ret = ret, .result = result, .horizon_ms = horizon_ms };
    size_t from = 0;

    *result = (struct kpid_clock_result){ .next_timer_ms = KPID_FOREVER };
    while (from < n) {
        size_t to = from + 1;
        bool forgets = spec->forget_after_ms != KPID_FOREVER;
        while (to < n && (!forgets || events[to].ts_ms - events[to - 1].ts_ms <= spec->forget_after_ms))
            to++;
        one_clock(&w, from, to, forgets ? events[to - 1].ts_ms + spec->forget_after_ms : KPID_FOREVER, to < n);
        from = to;
    }
}
