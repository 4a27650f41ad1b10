/* Funnels and retention: what the events of one key mean. A track is a step, or a day. */
#include "naive.h"

#include <stdlib.h>
#include <string.h>

/* ---- funnels ---- */

struct attempt {
    uint32_t start;
    uint32_t at[TRACKS_MAX]; /* the event of each step that was taken */
    unsigned taken;          /* bits of steps */
    int64_t end_ms;
};

/* The event of a step in a strict order: the first one that is free, at or after the step before. */
static bool take_next(const struct naive_key *key, uint32_t from, unsigned step, struct attempt *a,
                      bool *used)
{
    int64_t after_ms = key->at[a->at[step - 1]].ts_ms;

    for (uint32_t i = from; i < key->n; i++) {
        const struct naive_happening *h = &key->at[i];
        if (h->ts_ms < after_ms || h->ts_ms > a->end_ms || used[i] || !(h->word >> step & 1))
            continue;
        a->at[step] = i;
        a->taken |= 1u << step;
        used[i] = true;
        return true;
    }
    return false;
}

/* In any order: each event in turn serves the first step that it can serve and that is missing. */
static void take_any(const struct naive_key *key, uint32_t from, unsigned steps, struct attempt *a,
                     bool *used)
{
    for (uint32_t i = from; i < key->n && a->taken != (1u << steps) - 1; i++) {
        const struct naive_happening *h = &key->at[i];
        if (h->ts_ms < key->at[a->start].ts_ms || h->ts_ms > a->end_ms || used[i])
            continue;
        for (unsigned step = 1; step < steps; step++)
            if (h->word >> step & 1 && !(a->taken >> step & 1)) {
                a->at[step] = i;
                a->taken |= 1u << step;
                used[i] = true;
                break;
            }
    }
}

static void count_attempt(struct naive_key *key, const struct attempt *a, unsigned steps)
{
    const struct naive_happening *start = &key->at[a->start];

    for (unsigned step = 0; step < steps; step++) {
        if (!(a->taken >> step & 1))
            continue;
        int64_t ts_ms = key->at[a->at[step]].ts_ms;
        struct naive_outcome o = {.ts_ms = ts_ms, .track = (uint8_t)step, .weight = 1, .kind = TOOK};
        o.value = ts_ms - start->ts_ms;
        naive_put(key, o, start->rows, start->rows);
        o.kind = OPEN;
        naive_put(key, o, start->rows, start->rows);
        o.ts_ms = a->end_ms;
        o.weight = -1;
        naive_put(key, o, start->rows, start->rows);
        o.kind = MET;
        o.weight = 1;
        naive_put(key, o, start->rows, start->rows);
    }
}

void naive_funnel_work_out(const struct naive *naive, enum measure measure, struct naive_key *key)
{
    const struct naive_measure *def = &naive_measures[measure];
    unsigned steps = (unsigned)naive_tracks(measure);
    bool *used = kpid_zalloc(key->n + 1, sizeof(*used));
    uint32_t from = 0;

    (void)naive;
    key->n_outcomes = 0;
    while (from < key->n) {
        struct attempt a = {.start = from, .taken = 1};
        while (a.start < key->n && !(key->at[a.start].word & 1))
            a.start++;
        if (a.start == key->n)
            break;
        a.at[0] = a.start;
        used[a.start] = true;
        a.end_ms = key->at[a.start].ts_ms + def->forget_ms;
        if (def->free)
            take_any(key, from, steps, &a, used);
        for (unsigned step = 1; !def->free && step < steps && take_next(key, from, step, &a, used); step++)
            ;
        count_attempt(key, &a, steps);
        uint32_t last = a.start;
        for (unsigned step = 1; step < steps; step++)
            if (a.taken >> step & 1 && a.at[step] > last)
                last = a.at[step];
        from = last + 1;
        if (!def->again || a.taken != (1u << steps) - 1)
            while (from < key->n && key->at[from].ts_ms <= a.end_ms)
                from++;
    }
    free(used);
}

/* ---- retention ---- */

static void count_day(const struct naive *naive, struct naive_key *key, unsigned track, uint32_t start,
                      int day)
{
    int64_t begin_ms = naive_day_start(naive->office, day),
            over_ms = naive_day_start(naive->office, day + 1) - 1;
    const uint8_t *rows = key->at[start].rows;
    struct naive_outcome o = {.ts_ms = begin_ms, .track = (uint8_t)track, .weight = 1, .kind = OPEN};
    bool returned = false;

    naive_put(key, o, rows, rows);
    for (uint32_t i = 0; i < key->n && !returned; i++)
        if (key->at[i].word == 1 && naive_day(naive->office, key->at[i].ts_ms) == day) {
            returned = true;
            o.kind = BREACHED;
            o.ts_ms = key->at[i].ts_ms;
            naive_put(key, o, rows, rows);
        }
    o.ts_ms = over_ms;
    for (int kind = 0; kind <= returned; kind++) {
        o.kind = kind ? BREACHED : OPEN;
        o.weight = -1;
        naive_put(key, o, rows, rows);
        o.kind = kind ? MISSED : MET;
        o.weight = 1;
        naive_put(key, o, rows, rows);
    }
}

void naive_retention_work_out(const struct naive *naive, enum measure measure, struct naive_key *key)
{
    unsigned tracks = (unsigned)naive_tracks(measure);
    int taken_until = -1; /* the last day of the cohort that it is in */

    key->n_outcomes = 0;
    for (uint32_t i = 0; i < key->n; i++) {
        int day = naive_day(naive->office, key->at[i].ts_ms);
        if (key->at[i].word != 0 || day <= taken_until)
            continue;
        naive_put(key, (struct naive_outcome){.ts_ms = key->at[i].ts_ms, .kind = BEGUN, .weight = 1},
                  key->at[i].rows, key->at[i].rows);
        for (unsigned track = 0; track < tracks; track++)
            count_day(naive, key, track, i, day + naive_measures[measure + track].days);
        taken_until = day + naive_measures[measure + tracks - 1].days;
    }
}
