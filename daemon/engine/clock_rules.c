/*
 * clock: what the events of one key mean. First start wins, first stop after (re)opening wins. Events of a key more
 * than `forget_after` apart belong to different clocks; one that is still open leaves the levels when it is forgotten.
 * An item is an event: ts and word.
 *
 * Stops with a name are marks on the way: from the same (re)opening to the first of each name, on a track of its own,
 * which runs, stands and has a deadline as the clock has. Only the closing stop ends the clock; what it leaves without
 * a mark ends with it, without a figure.
 */
#include "clock_parts.h"
#include "keyed_rules.h"

#include <string.h>

/* What is measured to one stop, between an opening and its end. */
struct track {
    int64_t deadline_ms;
    bool open, crossed, breached, due;
    bool early;            /* its stop came before the start, and counts */
};

/* One clock while its events are walked through. */
struct walk {
    const struct kpid_keyed_spec *spec;
    const int64_t *events; /* items: ts and word */
    struct kpid_outcome *ret;
    struct kpid_keyed_result *result;
    int64_t horizon_ms;
    struct track tracks[KPID_TRACKS_MAX];
    size_t n_tracks;
    bool started, paused;
    uint32_t start;        /* event that opened the clock */
    int64_t opened_ms;     /* it, or the reopening */
    int64_t elapsed_ms;    /* run before running_since */
    int64_t running_since_ms;
};

static void put(struct walk *w, int64_t ts_ms, enum kpid_sample_kind kind, uint8_t part, int weight, int64_t value,
                uint32_t event)
{
    kpid_outcome_put(w->ret, w->result, (struct kpid_outcome){ .ts_ms = ts_ms, .value = value, .item = event,
                                                               .origin = w->start, .kind = (uint8_t)kind,
                                                               .part = part, .weight = (int8_t)weight });
}

/* ---- time as the clock counts it ---- */

static int64_t time_between(const struct kpid_keyed_spec *spec, int64_t a_ms, int64_t b_ms)
{
    return spec->clock.calendar ? kpid_worktime_between(spec->clock.calendar, a_ms, b_ms) : b_ms - a_ms;
}

/* When so much has passed since it runs; KPID_FOREVER: behind what the calendar covers. */
static int64_t time_after(const struct walk *w, int64_t duration_ms)
{
    return w->spec->clock.calendar ? kpid_worktime_after(w->spec->clock.calendar, w->running_since_ms, duration_ms)
                                   : w->running_since_ms + duration_ms;
}

/* ---- what time alone brings about ---- */

/* Where the running track becomes due and where its deadline lies; neither has happened yet. */
struct ahead {
    int64_t due_ms, deadline_ms; /* KPID_FOREVER: never */
};

static struct ahead look_ahead(const struct walk *w, const struct track *track)
{
    int64_t rest = track->deadline_ms - w->elapsed_ms, notice = w->spec->clock.due_ms;
    struct ahead ahead = { KPID_FOREVER, time_after(w, rest) };

    if (notice != KPID_FOREVER && ahead.deadline_ms != KPID_FOREVER)
        ahead.due_ms = rest > notice ? time_after(w, rest - notice) : w->running_since_ms;
    if (ahead.due_ms >= ahead.deadline_ms)
        ahead.due_ms = KPID_FOREVER;
    return ahead;
}

static bool runs_out(const struct walk *w, const struct track *track)
{
    return track->open && !w->paused && !track->crossed && track->deadline_ms != KPID_FOREVER;
}

/* A deadline comes near, or passes, between two events or before the horizon: counted at its own instant. */
static void pass_time(struct walk *w, int64_t until_ms)
{
    for (size_t k = 0; k < w->n_tracks; k++) {
        struct track *track = &w->tracks[k];
        if (!runs_out(w, track))
            continue;
        struct ahead ahead = look_ahead(w, track);
        if (!track->due && ahead.due_ms < until_ms) {
            put(w, ahead.due_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_DUE), 1, 0, w->start);
            track->due = true;
        }
        if (ahead.deadline_ms >= until_ms)
            continue;
        put(w, ahead.deadline_ms, KPID_SAMPLE_COUNT, CLOCK_PART(k, CLOCK_MISSED), 1, 0, w->start);
        put(w, ahead.deadline_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_BREACHED), 1, 0, w->start);
        if (track->due)
            put(w, ahead.deadline_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_DUE), -1, 0, w->start);
        track->due = false;
        track->crossed = track->breached = true;
    }
}

/* The next instant at which pass_time does something. */
static int64_t next_timer(struct walk *w)
{
    int64_t next = KPID_FOREVER;

    for (size_t k = 0; k < w->n_tracks; k++) {
        if (!runs_out(w, &w->tracks[k]))
            continue;
        struct ahead ahead = look_ahead(w, &w->tracks[k]);
        int64_t at = w->tracks[k].due || ahead.due_ms == KPID_FOREVER ? ahead.deadline_ms : ahead.due_ms;
        w->result->undated += ahead.deadline_ms == KPID_FOREVER;
        if (at < next)
            next = at;
    }
    return next;
}

/* ---- events ---- */

static void begin(struct walk *w, size_t event, bool again)
{
    w->started = true;
    w->paused = false;
    if (!again)
        w->start = (uint32_t)event;
    w->elapsed_ms = 0;
    w->opened_ms = w->running_since_ms = kpid_item_ts(w->events[event]);
    for (size_t k = 0; k < w->n_tracks; k++) {
        struct track *track = &w->tracks[k];
        track->crossed = track->breached = track->due = false;
        track->open = !track->early;
        if (track->open)
            put(w, w->opened_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_OPEN), 1, 0, w->start);
    }
}

static void put_span(struct walk *w, size_t k, int64_t until_ms)
{
    if (w->spec->aged >> k & 1)
        put(w, w->opened_ms, KPID_SAMPLE_SPAN, (uint8_t)k, 1, until_ms, w->start);
}

static void end_track(struct walk *w, size_t k, int64_t ts_ms)
{
    struct track *track = &w->tracks[k];

    put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_OPEN), -1, 0, w->start);
    if (track->breached)
        put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_BREACHED), -1, 0, w->start);
    if (track->due)
        put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_DUE), -1, 0, w->start);
    put_span(w, k, ts_ms);
    track->open = track->breached = track->due = false;
}

/* The closing stop, a cancellation or oblivion ends what is still open, without a figure. */
static void end_all(struct walk *w, int64_t ts_ms)
{
    for (size_t k = 0; k < w->n_tracks; k++)
        if (w->tracks[k].open)
            end_track(w, k, ts_ms);
}

static void stop(struct walk *w, size_t k, size_t event)
{
    struct track *track = &w->tracks[k];
    int64_t ts_ms = kpid_item_ts(w->events[event]);

    if (!w->tracks[0].open || !track->open)
        return;
    int64_t duration = w->elapsed_ms + (w->paused ? 0 : time_between(w->spec, w->running_since_ms, ts_ms));
    put(w, ts_ms, KPID_SAMPLE_DURATION, CLOCK_PART(k, 0), 1, duration, (uint32_t)event);
    if (track->deadline_ms != KPID_FOREVER && !track->crossed)
        put(w, ts_ms, KPID_SAMPLE_COUNT, CLOCK_PART(k, CLOCK_MET), 1, 0, (uint32_t)event);
    if (k == 0)
        end_all(w, ts_ms);
    else
        end_track(w, k, ts_ms);
}

static void pause(struct walk *w, int64_t ts_ms)
{
    if (!w->tracks[0].open || w->paused)
        return;
    w->elapsed_ms += time_between(w->spec, w->running_since_ms, ts_ms);
    w->paused = true;
    for (size_t k = 0; k < w->n_tracks; k++) /* its deadline is nowhere while it stands */
        if (w->tracks[k].due) {
            put(w, ts_ms, KPID_SAMPLE_LEVEL, CLOCK_PART(k, CLOCK_DUE), -1, 0, w->start);
            w->tracks[k].due = false;
        }
}

static void step(struct walk *w, size_t i)
{
    int64_t ts_ms = kpid_item_ts(w->events[i]);
    uint32_t word = kpid_item_word(w->events[i]);

    pass_time(w, ts_ms);
    switch (word) {
    case KPID_CLOCK_START:
        if (!w->started)
            begin(w, i, false);
        break;
    case KPID_CLOCK_PAUSE: pause(w, ts_ms); break;
    case KPID_CLOCK_RESUME:
        if (w->tracks[0].open && w->paused) {
            w->running_since_ms = ts_ms;
            w->paused = false;
        }
        break;
    case KPID_CLOCK_REOPEN:
        if (w->started && !w->tracks[0].open)
            begin(w, i, true);
        break;
    case KPID_CLOCK_STOP: stop(w, 0, i); break;
    case KPID_CLOCK_CANCEL: end_all(w, ts_ms); break;
    default: stop(w, 1 + word - KPID_CLOCK_MARK, i);
    }
}

/* ---- stops before the start ---- */

/* The index of the last such stop before the first start, if neither it nor a reopening follows; else n. */
static size_t only_stop_before(const int64_t *events, size_t from, size_t to, uint32_t word, size_t *ret_start)
{
    size_t found = to, start = to;

    for (size_t i = from; i < to; i++) {
        uint32_t said = kpid_item_word(events[i]);
        if (said == KPID_CLOCK_START && start == to)
            start = i;
        else if (said == word && start == to)
            found = i;
        else if (start != to && (said == word || said == KPID_CLOCK_REOPEN))
            return to;
    }
    *ret_start = start;
    return start == to ? to : found;
}

/* Negative durations, dropped or counted; false: the clock itself has one that counts, and is never open. */
static bool early_stops(struct walk *w, size_t from, size_t to)
{
    for (size_t k = 0; k < w->n_tracks; k++) {
        uint32_t word = k ? (uint32_t)(KPID_CLOCK_MARK + k - 1) : KPID_CLOCK_STOP;
        size_t start, early = only_stop_before(w->events, from, to, word, &start);
        if (early == to)
            continue;
        if (!w->spec->clock.keep_negative) {
            w->result->negatives++;
            continue;
        }
        int64_t at = kpid_item_ts(w->events[early]);
        w->tracks[k].early = true;
        w->start = (uint32_t)start;
        put(w, at, KPID_SAMPLE_DURATION, CLOCK_PART(k, 0), 1,
            time_between(w->spec, kpid_item_ts(w->events[start]), at), (uint32_t)early);
        if (w->tracks[k].deadline_ms != KPID_FOREVER)
            put(w, at, KPID_SAMPLE_COUNT, CLOCK_PART(k, CLOCK_MET), 1, 0, (uint32_t)early);
    }
    return !w->tracks[0].early;
}

/* ---- one clock ---- */

static void walk_init(struct walk *w)
{
    w->started = w->paused = false;
    w->n_tracks = 1 + w->spec->clock.n_marks;
    for (size_t k = 0; k < w->n_tracks; k++)
        w->tracks[k] = (struct track){ .deadline_ms = k ? w->spec->clock.marks[k - 1].deadline_ms
                                                        : w->spec->clock.deadline_ms };
}

/* Events [from, to) belong to one clock; forget_ms: when it ends by itself, KPID_FOREVER: never; more: another one
 * follows. */
static void one_clock(struct walk *w, size_t from, size_t to, int64_t forget_ms, bool more)
{
    walk_init(w);
    if (!early_stops(w, from, to))
        return;
    for (size_t i = from; i < to; i++)
        step(w, i);
    if (!w->tracks[0].open)
        return;
    bool forgotten = more || forget_ms < w->horizon_ms; /* at the horizon itself it is not yet */
    pass_time(w, forgotten ? forget_ms : w->horizon_ms);
    if (forgotten) {
        end_all(w, forget_ms);
        w->result->forgotten++;
        return;
    }
    for (size_t k = 0; k < w->n_tracks; k++)
        if (w->tracks[k].open)
            put_span(w, k, KPID_FOREVER);
    int64_t timer = next_timer(w);
    w->result->next_timer_ms = timer < forget_ms ? timer : forget_ms;
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

/* Of each event, on each track, at most what time brought before it (due, missed, breached, due no more), a duration,
 * met, and the end of three levels and a span; the same once more for the time behind the last one. */
static size_t clock_outcomes_max(const struct kpid_keyed_spec *spec, size_t n)
{
    return 10 * (n + 1) * (1 + spec->clock.n_marks);
}

static int64_t clock_lifetime(const struct kpid_keyed_spec *spec)
{
    return spec->clock.forget_after_ms;
}

static bool clock_covers(const struct kpid_keyed_spec *spec, int64_t ts_ms)
{
    return !spec->clock.calendar || kpid_worktime_covers(spec->clock.calendar, ts_ms);
}

static int clock_track(const struct kpid_keyed_spec *spec, const char *name, size_t len)
{
    for (size_t i = 0; i < spec->clock.n_marks; i++)
        if (strlen(spec->clock.marks[i].name) == len && !memcmp(spec->clock.marks[i].name, name, len))
            return (int)i + 1;
    return -1;
}

static int64_t clock_age(const struct kpid_keyed_spec *spec, int64_t since_ms, int64_t at_ms)
{
    if (spec->clock.calendar && at_ms > spec->clock.calendar->to_ms)
        return -1;
    return time_between(spec, since_ms, at_ms);
}

const struct kpid_keyed kpid_keyed_clock = {
    .width = 1,
    .item = "an event",
    .grouped_by = "the event that stops it",
    .has_start = true,
    .has_groups = clock_has_groups,
    .put = clock_put,
    .outcomes_max = clock_outcomes_max,
    .work_out = clock_work_out,
    .settled = clock_settled,
    .lifetime_ms = clock_lifetime,
    .covers = clock_covers,
    .track = clock_track,
    .age = clock_age,
};
