/* Clocks: what the events of one key mean, from all of them anew whenever one comes. */
#include "naive.h"

#include <stdlib.h>
#include <string.h>

/* ---- outcomes of a key ---- */

static void put(struct naive_key *key, uint32_t number, int64_t ts_ms, enum naive_kind kind, int weight, int64_t value,
                const uint8_t *rows)
{
    if (key->n_outcomes == key->cap_outcomes) {
        key->cap_outcomes = key->cap_outcomes ? key->cap_outcomes * 2 : 8;
        key->outcomes = kpid_realloc(key->outcomes, key->cap_outcomes * sizeof(*key->outcomes));
    }
    struct naive_outcome *o = &key->outcomes[key->n_outcomes++];
    *o = (struct naive_outcome){ .ts_ms = ts_ms, .value = value, .key = number, .kind = (uint8_t)kind,
                                 .weight = (int8_t)weight };
    memcpy(o->rows, rows, sizeof(o->rows));
}

/* The time for which a clock runs between two instants, and when it has run for `deadline`: pauses are cut out. */
struct run {
    int64_t ran_ms, since_ms; /* since_ms -1: it stands */
    int64_t missed_at_ms;     /* -1: not missed */
    int64_t notice_ms;        /* so long before its deadline it is due; 0: not asked */
    int64_t due_at_ms;        /* since when, -1: it is not */
};

/* It was due until then, or until it was missed. */
static void end_due(struct naive_key *key, uint32_t number, struct run *run, int64_t until_ms, const uint8_t *rows)
{
    if (run->due_at_ms < 0)
        return;
    put(key, number, run->due_at_ms, DUE, 1, 0, rows);
    put(key, number, run->missed_at_ms >= 0 ? run->missed_at_ms : until_ms, DUE, -1, 0, rows);
    run->due_at_ms = -1;
}

static void run_until(struct run *run, int64_t deadline_ms, int64_t until_ms)
{
    if (run->since_ms < 0)
        return;
    int64_t ran = run->ran_ms + (until_ms - run->since_ms);
    int64_t due = run->since_ms + (deadline_ms - run->notice_ms - run->ran_ms);
    if (run->notice_ms && run->due_at_ms < 0 && run->missed_at_ms < 0 && due < until_ms)
        run->due_at_ms = due > run->since_ms ? due : run->since_ms;
    if (deadline_ms >= 0 && ran > deadline_ms && run->missed_at_ms < 0)
        run->missed_at_ms = run->since_ms + (deadline_ms - run->ran_ms);
    run->ran_ms = ran;
    run->since_ms = until_ms;
}

/* One running of a clock, from its (re)opening at[from] to what ends it. Returns where to go on. */
static uint32_t one_run(const struct naive_measure *def, struct naive_key *key, uint32_t number, uint32_t from,
                        uint32_t to, const struct naive_happening *start)
{
    struct run run = { 0, key->at[from].ts_ms, -1, def->due_ms, -1 };
    uint32_t i = from + 1;
    int64_t end_ms = -1;
    const uint8_t *stop_rows = NULL;

    put(key, number, key->at[from].ts_ms, OPEN, 1, 0, start->rows);
    for (; i < to && end_ms < 0; i++) {
        const struct naive_happening *h = &key->at[i];
        run_until(&run, def->deadline_ms, h->ts_ms);
        if (run.missed_at_ms >= 0)
            end_due(key, number, &run, h->ts_ms, start->rows);
        if (h->word == KPID_CLOCK_PAUSE) {
            end_due(key, number, &run, h->ts_ms, start->rows);
            run.since_ms = -1;
        }
        if (h->word == KPID_CLOCK_RESUME && run.since_ms < 0)
            run.since_ms = h->ts_ms;
        else if (h->word == KPID_CLOCK_STOP || h->word == KPID_CLOCK_CANCEL)
            end_ms = h->ts_ms;
        if (h->word == KPID_CLOCK_STOP)
            stop_rows = h->rows;
    }
    if (end_ms < 0) { /* it stays open: for ever, or until it is forgotten */
        end_ms = def->forget_ms < 0 ? KPID_FOREVER : key->at[to - 1].ts_ms + def->forget_ms;
        if (run.since_ms >= 0 && def->deadline_ms >= 0)
            run_until(&run, def->deadline_ms, end_ms == KPID_FOREVER ? KPID_FOREVER / 2 : end_ms);
    }
    end_due(key, number, &run, end_ms, start->rows);
    if (run.missed_at_ms >= 0) {
        put(key, number, run.missed_at_ms, MISSED, 1, 0, start->rows);
        put(key, number, run.missed_at_ms, BREACHED, 1, 0, start->rows);
        put(key, number, end_ms, BREACHED, -1, 0, start->rows);
    }
    put(key, number, end_ms, OPEN, -1, 0, start->rows);
    if (!stop_rows)
        return i;
    put(key, number, end_ms, TOOK, 1, run.ran_ms, stop_rows);
    if (def->deadline_ms >= 0 && run.missed_at_ms < 0)
        put(key, number, end_ms, MET, 1, 0, stop_rows);
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
static void one_clock(const struct naive_measure *def, struct naive_key *key, uint32_t number, uint32_t from, uint32_t to)
{
    uint32_t start = from;

    while (start < to && key->at[start].word != KPID_CLOCK_START)
        start++;
    if (start == to)
        return;
    const struct naive_happening *early = def->keep_negative ? stop_before(key, from, start, to) : NULL;
    if (early) {
        put(key, number, early->ts_ms, TOOK, 1, early->ts_ms - key->at[start].ts_ms, early->rows);
        if (def->deadline_ms >= 0)
            put(key, number, early->ts_ms, MET, 1, 0, early->rows);
        return;
    }
    uint32_t next = one_run(def, key, number, start, to, &key->at[start]);
    while (next < to)
        if (key->at[next].word == KPID_CLOCK_REOPEN)
            next = one_run(def, key, number, next, to, &key->at[start]);
        else
            next++;
}

/* The events [from, to) of a key are one session. */
static void one_session(const struct naive_measure *def, struct naive_key *key, uint32_t number, uint32_t from, uint32_t to)
{
    int64_t first = key->at[from].ts_ms, last = key->at[to - 1].ts_ms, end = last + def->forget_ms;

    put(key, number, first, BEGUN, 1, 0, key->at[from].rows);
    put(key, number, first, OPEN, 1, 0, key->at[from].rows);
    put(key, number, end, OPEN, -1, 0, key->at[from].rows);
    put(key, number, end, SAID, 1, to - from, key->at[from].rows);
    put(key, number, end, TOOK, 1, last - first, key->at[from].rows);
}

static void work_out(const struct naive_measure *def, struct naive_key *key, uint32_t number)
{
    uint32_t from = 0;

    key->n_outcomes = 0;
    while (from < key->n) {
        uint32_t to = from + 1;
        while (to < key->n && (def->forget_ms < 0 || key->at[to].ts_ms - key->at[to - 1].ts_ms <= def->forget_ms))
            to++;
        if (def->shape == SHAPE_SESSION)
            one_session(def, key, number, from, to);
        else
            one_clock(def, key, number, from, to);
        from = to;
    }
}

/* ---- outcomes by time ---- */

static void level(struct naive *naive, struct naive_clock *clock, const struct naive_outcome *o, int weight)
{
    for (int by = 0; by < BYS; by++) {
        int32_t **tree = &clock->levels[o->kind - OPEN][by][o->rows[by]];
        if (!*tree)
            *tree = kpid_zalloc(naive->n_minutes + 1, sizeof(int32_t));
        for (size_t i = (size_t)((o->ts_ms - naive->world->begin_ms) / NAIVE_MINUTE) + 1; i <= naive->n_minutes; i += i & -i)
            (*tree)[i] += weight * o->weight;
    }
}

static void enter(struct naive *naive, struct naive_clock *clock, const struct naive_outcome *o)
{
    if (o->ts_ms >= naive->world->end_ms)
        return;
    if (o->kind >= OPEN) {
        level(naive, clock, o, 1);
        return;
    }
    size_t minute = (size_t)((o->ts_ms - naive->world->begin_ms) / NAIVE_MINUTE);
    if (clock->slots[minute].n == clock->slots[minute].cap) {
        clock->slots[minute].cap = clock->slots[minute].cap ? clock->slots[minute].cap * 2 : 4;
        clock->slots[minute].at =
            kpid_realloc(clock->slots[minute].at, clock->slots[minute].cap * sizeof(struct naive_outcome));
    }
    clock->slots[minute].at[clock->slots[minute].n++] = *o;
}

static void leave(struct naive *naive, struct naive_clock *clock, const struct naive_outcome *o)
{
    if (o->ts_ms >= naive->world->end_ms)
        return;
    if (o->kind >= OPEN) {
        level(naive, clock, o, -1);
        return;
    }
    size_t minute = (size_t)((o->ts_ms - naive->world->begin_ms) / NAIVE_MINUTE);
    for (uint32_t i = clock->slots[minute].n; i-- > 0;)
        if (clock->slots[minute].at[i].key == o->key)
            clock->slots[minute].at[i] = clock->slots[minute].at[--clock->slots[minute].n];
}

static struct naive_key *key_of(struct naive_clock *clock, uint32_t number)
{
    if (number >= clock->n_keys) {
        size_t n = (size_t)number + number / 2 + 1024;
        clock->keys = kpid_realloc(clock->keys, n * sizeof(*clock->keys));
        memset(clock->keys + clock->n_keys, 0, (n - clock->n_keys) * sizeof(*clock->keys));
        clock->n_keys = n;
    }
    return &clock->keys[number];
}

/* Of two events that say the same at the same instant the first counts. */
static void insert(struct naive_key *key, const struct event *e, uint8_t word, bool all)
{
    uint32_t at = key->n;

    while (at > 0 && (key->at[at - 1].ts_ms > e->ts_ms || (key->at[at - 1].ts_ms == e->ts_ms && key->at[at - 1].word > word)))
        at--;
    if (!all && at > 0 && key->at[at - 1].ts_ms == e->ts_ms && key->at[at - 1].word == word)
        return;
    if (key->n == key->cap) {
        key->cap = key->cap ? key->cap * 2 : 4;
        key->at = kpid_realloc(key->at, key->cap * sizeof(*key->at));
    }
    memmove(key->at + at + 1, key->at + at, (key->n - at) * sizeof(*key->at));
    key->n++;
    key->at[at] = (struct naive_happening){ .ts_ms = e->ts_ms, .word = word };
    for (unsigned by = 0; by < BYS; by++)
        key->at[at].rows[by] = (uint8_t)naive_row(by, e);
}

void naive_clock_take(struct naive *naive, enum measure measure, const struct event *e, unsigned words)
{
    struct naive_clock *clock = &naive->clocks[measure];
    /* The text "abc" as a key is one for each partition; tickets begin above. */
    uint32_t number = e->ticket_how == TEXT ? e->ticket % PARTITIONS : e->ticket;
    struct naive_key *key = key_of(clock, number);

    for (uint32_t i = 0; i < key->n_outcomes; i++)
        leave(naive, clock, &key->outcomes[i]);
    for (uint8_t word = 0; word < KPID_CLOCK_WORDS; word++)
        if (words & 1u << word)
            insert(key, e, word, naive_measures[measure].shape == SHAPE_SESSION);
    work_out(&naive_measures[measure], key, number);
    for (uint32_t i = 0; i < key->n_outcomes; i++)
        enter(naive, clock, &key->outcomes[i]);
}
