/* Clocks and sessions: what the events of one key mean. */
#include "naive.h"

/* ---- one running of a clock, as one of its tracks sees it ---- */

struct author {
    const struct naive_office *office; /* NULL: every hour counts */
    struct naive_key *key;
    uint8_t track;
    const struct naive_happening *start; /* whose groups count for what is open */
};

static void put(const struct author *a, int64_t ts_ms, enum naive_kind kind, int weight, int64_t value, const uint8_t *rows)
{
    naive_put(a->key, (struct naive_outcome){ .ts_ms = ts_ms, .value = value, .kind = (uint8_t)kind, .track = a->track,
                                              .weight = (int8_t)weight }, rows, a->start->rows);
}

static int64_t time_between(const struct author *a, int64_t from_ms, int64_t to_ms)
{
    return a->office ? naive_office_between(a->office, from_ms, to_ms) : to_ms - from_ms;
}

static int64_t time_after(const struct author *a, int64_t since_ms, int64_t duration_ms)
{
    return a->office ? naive_office_after(a->office, since_ms, duration_ms) : since_ms + duration_ms;
}

/* The time for which a clock runs between two instants, and when it has run for `deadline`: pauses are cut out. */
struct run {
    int64_t ran_ms, since_ms; /* since_ms -1: it stands */
    int64_t missed_at_ms;     /* -1: not missed */
    int64_t notice_ms;        /* so long before its deadline it is due; 0: not asked */
    int64_t due_at_ms;        /* since when, -1: it is not */
};

/* It was due until then, or until it was missed. */
static void end_due(const struct author *a, struct run *run, int64_t until_ms)
{
    if (run->due_at_ms < 0)
        return;
    put(a, run->due_at_ms, DUE, 1, 0, a->start->rows);
    put(a, run->missed_at_ms >= 0 ? run->missed_at_ms : until_ms, DUE, -1, 0, a->start->rows);
    run->due_at_ms = -1;
}

static void run_until(const struct author *a, struct run *run, int64_t deadline_ms, int64_t until_ms)
{
    if (run->since_ms < 0)
        return;
    if (deadline_ms >= 0 && run->missed_at_ms < 0) {
        int64_t rest = deadline_ms - run->ran_ms, missed = time_after(a, run->since_ms, rest), due = run->since_ms;
        if (run->notice_ms && rest > run->notice_ms)
            due = time_after(a, run->since_ms, rest - run->notice_ms);
        if (run->notice_ms && missed != KPID_FOREVER && run->due_at_ms < 0 && due < until_ms)
            run->due_at_ms = due;
        if (missed < until_ms)
            run->missed_at_ms = missed;
    }
    run->ran_ms += time_between(a, run->since_ms, until_ms);
    run->since_ms = until_ms;
}

static void open_until(const struct author *a, int64_t since_ms, int64_t until_ms)
{
    put(a, since_ms, OPEN, 1, 0, a->start->rows);
    put(a, until_ms, OPEN, -1, 0, a->start->rows);
    put(a, since_ms, SPAN, 1, until_ms, a->start->rows);
}

static bool ends(uint8_t word, uint8_t track)
{
    return word == KPID_CLOCK_STOP || word == KPID_CLOCK_CANCEL || (track && word == KPID_CLOCK_MARK + track - 1);
}

/* From its (re)opening at[from] to what ends it. Returns where to go on. */
static uint32_t one_run(const struct naive_measure *def, const struct author *a, uint32_t from, uint32_t to)
{
    struct naive_key *key = a->key;
    struct run run = { 0, key->at[from].ts_ms, -1, def->due_ms, -1 };
    uint8_t stop = a->track ? (uint8_t)(KPID_CLOCK_MARK + a->track - 1) : (uint8_t)KPID_CLOCK_STOP;
    uint32_t i = from + 1;
    int64_t end_ms = -1;
    const uint8_t *stop_rows = NULL;

    for (; i < to && end_ms < 0; i++) {
        const struct naive_happening *h = &key->at[i];
        run_until(a, &run, def->deadline_ms, h->ts_ms);
        if (run.missed_at_ms >= 0)
            end_due(a, &run, h->ts_ms);
        if (h->word == KPID_CLOCK_PAUSE) {
            end_due(a, &run, h->ts_ms);
            run.since_ms = -1;
        }
        if (h->word == KPID_CLOCK_RESUME && run.since_ms < 0)
            run.since_ms = h->ts_ms;
        if (ends(h->word, a->track))
            end_ms = h->ts_ms;
        if (h->word == stop)
            stop_rows = h->rows;
    }
    if (end_ms < 0) { /* it stays open: for ever, or until it is forgotten */
        end_ms = def->forget_ms < 0 ? KPID_FOREVER : key->at[to - 1].ts_ms + def->forget_ms;
        run_until(a, &run, def->deadline_ms, end_ms == KPID_FOREVER ? KPID_FOREVER / 2 : end_ms);
    }
    end_due(a, &run, end_ms);
    open_until(a, key->at[from].ts_ms, end_ms);
    if (run.missed_at_ms >= 0) {
        put(a, run.missed_at_ms, MISSED, 1, 0, a->start->rows);
        put(a, run.missed_at_ms, BREACHED, 1, 0, a->start->rows);
        put(a, end_ms, BREACHED, -1, 0, a->start->rows);
    }
    if (!stop_rows)
        return i;
    put(a, end_ms, TOOK, 1, run.ran_ms, stop_rows);
    if (def->deadline_ms >= 0 && run.missed_at_ms < 0)
        put(a, end_ms, MET, 1, 0, stop_rows);
    return i;
}

/* If no stop follows the first start and it was never reopened, the last stop before it; else NULL. */
static const struct naive_happening *stop_before(const struct naive_key *key, uint32_t from, uint32_t start, uint32_t to)
{
    const struct naive_happening *stop = NULL;

    for (uint32_t i = from; i < start; i++)
        if (key->at[i].word == KPID_CLOCK_STOP)
            stop = &key->at[i];
    for (uint32_t i = start; i < to; i++)
        if (key->at[i].word == KPID_CLOCK_STOP || key->at[i].word == KPID_CLOCK_REOPEN)
            return NULL;
    return stop;
}

/* The events [from, to) of a key belong to one clock. */
static void one_clock(const struct naive *naive, enum measure measure, struct naive_key *key, uint32_t from, uint32_t to)
{
    const struct naive_measure *def = &naive_measures[measure];
    struct author a = { .office = def->office ? naive->office : NULL, .key = key };
    uint32_t start = from;

    while (start < to && key->at[start].word != KPID_CLOCK_START)
        start++;
    if (start == to)
        return;
    a.start = &key->at[start];
    const struct naive_happening *early = def->keep_negative ? stop_before(key, from, start, to) : NULL;
    if (early) {
        put(&a, early->ts_ms, TOOK, 1, early->ts_ms - key->at[start].ts_ms, early->rows);
        if (def->deadline_ms >= 0)
            put(&a, early->ts_ms, MET, 1, 0, early->rows);
        return;
    }
    for (uint32_t next = start; next < to;) {
        if (next > start && key->at[next].word != KPID_CLOCK_REOPEN) {
            next++;
            continue;
        }
        for (a.track = (uint8_t)naive_tracks(measure); --a.track > 0;)
            one_run(def + a.track, &a, next, to);
        next = one_run(def, &a, next, to);
    }
}

/* The events [from, to) of a key are one session. */
static void one_session(const struct naive_measure *def, struct naive_key *key, uint32_t from, uint32_t to)
{
    struct author a = { .key = key, .start = &key->at[from] };
    int64_t first = key->at[from].ts_ms, last = key->at[to - 1].ts_ms, end = last + def->forget_ms;

    put(&a, first, BEGUN, 1, 0, a.start->rows);
    put(&a, first, OPEN, 1, 0, a.start->rows);
    put(&a, end, OPEN, -1, 0, a.start->rows);
    put(&a, end, SAID, 1, to - from, a.start->rows);
    put(&a, end, TOOK, 1, last - first, a.start->rows);
}

/* The end of what begins with an event: the next one is too far away. */
static uint32_t end_of(const struct naive_key *key, uint32_t from, int64_t gap_ms)
{
    uint32_t to = from + 1;

    while (to < key->n && (gap_ms < 0 || key->at[to].ts_ms - key->at[to - 1].ts_ms <= gap_ms))
        to++;
    return to;
}

void naive_clock_work_out(const struct naive *naive, enum measure measure, struct naive_key *key)
{
    key->n_outcomes = 0;
    for (uint32_t from = 0, to; from < key->n; from = to) {
        to = end_of(key, from, naive_measures[measure].forget_ms);
        one_clock(naive, measure, key, from, to);
    }
}

void naive_session_work_out(const struct naive *naive, enum measure measure, struct naive_key *key)
{
    (void)naive;
    key->n_outcomes = 0;
    for (uint32_t from = 0, to; from < key->n; from = to) {
        to = end_of(key, from, naive_measures[measure].forget_ms);
        one_session(&naive_measures[measure], key, from, to);
    }
}
