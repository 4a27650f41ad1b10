/* Keys of keyed measures: their events, and what these mean, entered where they count. */
#include "naive.h"

#include <stdlib.h>
#include <string.h>

void naive_put(struct naive_key *key, struct naive_outcome outcome, const uint8_t *rows,
               const uint8_t *start_rows)
{
    if (key->n_outcomes == key->cap_outcomes) {
        key->cap_outcomes = key->cap_outcomes ? key->cap_outcomes * 2 : 8;
        key->outcomes = kpid_realloc(key->outcomes, key->cap_outcomes * sizeof(*key->outcomes));
    }
    memcpy(outcome.rows, rows, sizeof(outcome.rows));
    outcome.rows[BY_START] = start_rows[BY_CHANNEL];
    key->outcomes[key->n_outcomes++] = outcome;
}

/* ---- outcomes by time ---- */

static void level(struct naive *naive, struct naive_clock *clock, const struct naive_outcome *o, int weight)
{
    for (int by = 0; by < BYS; by++) {
        int32_t **tree = &clock->levels[o->kind - OPEN][by][o->rows[by]];
        if (!*tree)
            *tree = kpid_zalloc(naive->n_minutes + 1, sizeof(int32_t));
        for (size_t i = (size_t)((o->ts_ms - naive->world->begin_ms) / NAIVE_MINUTE) + 1;
             i <= naive->n_minutes; i += i & -i)
            (*tree)[i] += weight * o->weight;
    }
}

static void enter(struct naive *naive, struct naive_clock *clocks, const struct naive_outcome *o)
{
    struct naive_clock *clock = &clocks[o->track];

    if (o->ts_ms >= naive->world->end_ms)
        return;
    if (o->kind == SPAN && o->value - o->ts_ms > clock->longest_ms)
        clock->longest_ms = o->value - o->ts_ms;
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

static void leave(struct naive *naive, struct naive_clock *clocks, const struct naive_outcome *o)
{
    struct naive_clock *clock = &clocks[o->track];

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

/* Where an event of this word belongs; false: it changes nothing. */
static bool place_of(const struct naive *naive, enum measure measure, struct naive_key *key, int64_t ts_ms,
                     uint8_t word, uint32_t *ret)
{
    enum shape shape = naive_measures[measure].shape;
    uint32_t at = key->n, same = 0;

    while (at > 0 &&
           (key->at[at - 1].ts_ms > ts_ms || (key->at[at - 1].ts_ms == ts_ms && key->at[at - 1].word > word)))
        at--;
    *ret = at;
    while (same < at && key->at[at - 1 - same].ts_ms == ts_ms && key->at[at - 1 - same].word == word)
        same++;
    switch (shape) {
    case SHAPE_SESSION: return true;
    case SHAPE_FUNNEL: return (int)same < __builtin_popcount(word); /* as many as there are steps to serve */
    case SHAPE_CLOCK: return same == 0;                             /* the first counts */
    default: break;
    }
    /* Retention: of a day the first one is enough. */
    for (uint32_t i = at;
         i-- > 0 && naive_day(naive->office, key->at[i].ts_ms) == naive_day(naive->office, ts_ms);)
        if (key->at[i].word == word)
            return false;
    return true;
}

static void insert(const struct naive *naive, enum measure measure, struct naive_key *key,
                   const struct event *e, uint8_t word)
{
    uint32_t at;

    if (!place_of(naive, measure, key, e->ts_ms, word, &at))
        return;
    if (key->n == key->cap) {
        key->cap = key->cap ? key->cap * 2 : 4;
        key->at = kpid_realloc(key->at, key->cap * sizeof(*key->at));
    }
    memmove(key->at + at + 1, key->at + at, (key->n - at) * sizeof(*key->at));
    key->n++;
    key->at[at] = (struct naive_happening){.ts_ms = e->ts_ms, .word = word};
    for (unsigned by = 0; by < BYS; by++)
        key->at[at].rows[by] = (uint8_t)naive_row(by, e);
}

void naive_keyed_take(struct naive *naive, enum measure measure, const struct event *e, unsigned words)
{
    struct naive_clock *clock = &naive->clocks[measure];
    enum shape shape = naive_measures[measure].shape;
    uint32_t number = naive_key_number(measure, e);
    struct naive_key *key = key_of(clock, number);

    if (naive_measures[measure].office && !naive_office_covers(naive->office, e->ts_ms))
        return; /* what lies outside of the calendar's years is refused */
    for (uint32_t i = 0; i < key->n_outcomes; i++)
        leave(naive, clock, &key->outcomes[i]);
    if (shape == SHAPE_FUNNEL)
        insert(naive, measure, key, e, (uint8_t)words);
    for (uint8_t word = 0; shape != SHAPE_FUNNEL && word < KPID_CLOCK_WORDS; word++)
        if (words & 1u << word)
            insert(naive, measure, key, e, word);
    switch (shape) {
    case SHAPE_SESSION: naive_session_work_out(naive, measure, key); break;
    case SHAPE_FUNNEL: naive_funnel_work_out(naive, measure, key); break;
    case SHAPE_RETENTION: naive_retention_work_out(naive, measure, key); break;
    default: naive_clock_work_out(naive, measure, key);
    }
    for (uint32_t i = 0; i < key->n_outcomes; i++) {
        key->outcomes[i].key = number;
        enter(naive, clock, &key->outcomes[i]);
    }
}
