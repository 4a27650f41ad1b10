#include "naive.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static enum measure measure_of(const struct kpid_model *model, uint32_t index)
{
    for (int m = 0; m < MEASURES; m++)
        if (naive_measures[m].name && !strcmp(naive_measures[m].name, model->measures[index].name))
            return (enum measure)m;
    assert(false && "naive_measure.c knows every measure of model.yaml");
    return MEASURES;
}

void naive_init(struct naive *naive, const struct kpid_model *model, const struct world *world, bool wall)
{
    memset(naive, 0, sizeof(*naive));
    naive->model = model;
    naive->world = world;
    naive->wall = wall;
    naive->office = naive_office_new(world->begin_ms, world->end_ms);
    naive->n_slots = (size_t)((world->end_ms - world->begin_ms) / NAIVE_SLOT + 1);
    naive->n_minutes = (size_t)((world->end_ms - world->begin_ms) / NAIVE_MINUTE + 1);
    for (int i = 0; i < LOGS; i++) {
        size_t n = world->logs[i].n + 1;
        naive->logs[i].highest_ms = KPID_NEVER;
        naive->logs[i].marks = kpid_alloc(n * sizeof(int64_t));
        for (size_t id = 0; id < n; id++)
            naive->logs[i].marks[id] = KPID_NEVER;
    }
    for (int s = 0; s < SOURCES; s++) {
        naive->first_ms[s] = KPID_FOREVER;
        naive->slots[s] = kpid_zalloc(naive->n_slots, sizeof(struct naive_slot));
    }
    for (size_t i = 0; i < sizeof(naive->known_ms) / sizeof(int64_t); i++)
        ((int64_t *)naive->known_ms)[i] = KPID_FOREVER;
    for (int m = 0; m < MEASURES; m++)
        if (naive_is_keyed((enum measure)m))
            naive->clocks[m].slots = kpid_zalloc(naive->n_minutes, sizeof(*naive->clocks[m].slots));
    naive->measures = kpid_alloc(model->n_measures * sizeof(*naive->measures));
    for (uint32_t m = 0; m < model->n_measures; m++)
        naive->measures[m] = measure_of(model, m);
    for (size_t k = 0; k < model->n_kpis; k++)
        for (size_t i = 0; i < model->kpis[k].n_refs; i++) {
            enum measure measure = naive->measures[model->kpis[k].refs[i].measure];
            const char *name = model->kpis[k].refs[i].name, *oldest = strstr(name, ".oldest");
            naive->bys[measure] |= 1u << naive_by(measure, model->kpis[k].by, model->kpis[k].n_by) | 1;
            for (size_t track = 0; oldest && track < naive_tracks(measure); track++)
                naive->clocks[measure + track].asks_oldest = true;
        }
}

static void clock_release(struct naive *naive, struct naive_clock *clock)
{
    for (size_t i = 0; i < clock->n_keys; i++) {
        free(clock->keys[i].at);
        free(clock->keys[i].outcomes);
    }
    for (size_t i = 0; clock->slots && i < naive->n_minutes; i++)
        free(clock->slots[i].at);
    for (int kind = 0; kind < 3; kind++)
        for (int by = 0; by < BYS; by++)
            for (int row = 0; row < ROWS; row++)
                free(clock->levels[kind][by][row]);
    free(clock->keys);
    free(clock->slots);
    memset(clock, 0, sizeof(*clock));
}

void naive_shed(struct naive *naive)
{
    for (int m = 0; m < MEASURES; m++)
        clock_release(naive, &naive->clocks[m]);
}

void naive_release(struct naive *naive)
{
    for (int i = 0; i < LOGS; i++)
        free(naive->logs[i].marks);
    for (int s = 0; s < SOURCES; s++) {
        for (size_t i = 0; i < naive->n_slots; i++)
            free(naive->slots[s][i].events);
        free(naive->slots[s]);
    }
    free(naive->measures);
    naive_office_free(naive->office);
    naive_shed(naive);
}

/* ---- one event ---- */

static bool group_is_malformed(unsigned bys, const struct event *e)
{
    bool channel = (bys & (1u << BY_CHANNEL | 1u << (BY_CHANNEL | BY_REGION) | 1u << BY_START)) != 0;

    if (channel && e->channel_how == MAP && *world_channels[e->channel])
        return true;
    return bys & 1u << BY_USER && (e->user_how == MAP || e->user_how == FINE);
}

static bool says_groups(enum measure m, const struct event *e)
{
    return !naive_is_keyed(m) || naive_has_groups(m, naive_words(m, e));
}

/* Which measures the event counts for; false: it is malformed. */
static bool read_all(const struct naive *naive, enum source source, const struct event *e, bool *counts)
{
    bool sound = true;

    for (int m = 0; m < MEASURES; m++) {
        int64_t value;
        counts[m] = false;
        if (!naive_measures[m].name || naive_measures[m].source != source)
            continue;
        enum verdict verdict = naive_reads((enum measure)m, e, &value);
        if (verdict == IS_MALFORMED ||
            (verdict == COUNTS && says_groups((enum measure)m, e) && group_is_malformed(naive->bys[m], e)))
            sound = false;
        counts[m] = verdict == COUNTS;
    }
    return sound;
}

/* A mark is kept until a repeat would be late, and to the end of its slice, of which a horizon has 64. */
static bool is_marked(const struct kpid_source *def, int64_t mark_ms, int64_t clock_ms)
{
    int64_t slice = (def->dedup_horizon_ms + 63) / 64;

    return mark_ms != KPID_NEVER && (mark_ms / slice + 1) * slice > clock_ms - def->allowed_lateness_ms;
}

static enum kpid_class classify(struct naive *naive, struct naive_log *at, enum source source, const struct event *e,
                                const bool *counts)
{
    const struct kpid_source *def = &naive->model->sources[source];
    int64_t clock = at->highest_ms == KPID_NEVER ? KPID_NEVER : at->highest_ms - def->out_of_order_ms;

    if (naive->wall && e->ts_ms > e->now_ms + def->max_future_ms)
        return KPID_CLASS_FUTURE;
    if (clock != KPID_NEVER && e->ts_ms < clock - def->allowed_lateness_ms)
        return KPID_CLASS_LATE;
    if (e->ts_ms > at->highest_ms) {
        at->highest_ms = e->ts_ms;
        clock = at->highest_ms - def->out_of_order_ms;
    }
    if (e->id && is_marked(def, at->marks[e->id], clock))
        return KPID_CLASS_DUPLICATE;
    if (e->id)
        at->marks[e->id] = e->ts_ms;
    for (int m = 0; m < MEASURES; m++)
        if (counts[m])
            return KPID_CLASS_COUNTED;
    return KPID_CLASS_FILTERED;
}

static uint8_t user_row(struct naive *naive, enum source source, int32_t partition, const struct event *e)
{
    unsigned row = e->user_how == SOUND ? 1 + e->user : e->user_how == TEXT ? USERS + 1 : USERS + 2;

    if (naive->known_ms[source][partition][BY_USER][row] == KPID_FOREVER) {
        if (naive->seen[source][partition][BY_USER] >= naive->model->sources[source].max_groups)
            return ROW_OTHER;
        naive->seen[source][partition][BY_USER]++;
    }
    return (uint8_t)row;
}

static void know_groups(struct naive *naive, enum source source, int32_t partition, struct event *e, const bool *counts)
{
    unsigned bys = 0;

    for (int m = 0; m < MEASURES; m++)
        bys |= counts[m] && says_groups((enum measure)m, e) ? naive->bys[m] : 0;
    if (bys & 1u << BY_USER)
        e->row_user = user_row(naive, source, partition, e);
    for (unsigned by = 1; by < BYS; by++) {
        int64_t *known = &naive->known_ms[source][partition][naive_by_known(by)][naive_row(by, e)];
        if (bys & 1u << by && e->ts_ms < *known)
            *known = e->ts_ms;
    }
}

static void put_into_slot(struct naive *naive, enum source source, const struct event *e)
{
    struct naive_slot *slot = &naive->slots[source][(e->ts_ms - naive->world->begin_ms) / NAIVE_SLOT];

    if (slot->n == slot->cap) {
        slot->cap = slot->cap ? slot->cap * 2 : 4;
        slot->events = kpid_realloc(slot->events, slot->cap * sizeof(*slot->events));
    }
    slot->events[slot->n++] = e;
    if (e->ts_ms < naive->first_ms[source])
        naive->first_ms[source] = e->ts_ms;
}

enum kpid_class naive_take(struct naive *naive, const struct log *log, struct event *e)
{
    struct naive_log *at = &naive->logs[log->topic * PARTITIONS + log->partition];
    enum source source = world_source(log->topic);
    enum kpid_class class = KPID_CLASS_MALFORMED;
    bool counts[MEASURES];

    at->in++;
    if (e->broken == WHOLE && read_all(naive, source, e, counts))
        class = classify(naive, at, source, e, counts);
    at->classes[class]++;
    e->counted = (uint8_t)class;
    if (class != KPID_CLASS_COUNTED && class != KPID_CLASS_FILTERED)
        return class;
    if (class == KPID_CLASS_COUNTED)
        know_groups(naive, source, log->partition, e, counts);
    put_into_slot(naive, source, e);
    for (int m = 0; m < MEASURES; m++)
        if (counts[m] && naive_is_keyed((enum measure)m))
            naive_keyed_take(naive, (enum measure)m, e, naive_words((enum measure)m, e));
    return class;
}
