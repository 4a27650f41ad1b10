#include "search.h"

#include "kpid/buf.h"
#include "kpid/hash.h"
#include "../model/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum sink { SINK_COLLECT, SINK_PICK };

struct link {
    uint32_t parent;
    uint16_t choice; /* which of the parent's steps it was */
    uint16_t depth;
};

struct search {
    const struct search_model *model;
    enum sink sink;

    /* SINK_COLLECT */
    char *states;
    struct link *links;
    size_t n, cap, limit;
    uint64_t *table; /* index + 1 of a state, and above it half of its hash, by the hash */
    size_t mask;
    uint32_t from;
    size_t choice, n_steps, depth;
    const char *broken;
    bool full;
    void *broken_state;

    /* SINK_PICK: the step with the number `wanted` of one state, or only how many there are */
    size_t wanted, seen;
    void *picked_state, *picked_step;
};

static char *state_at(const struct search *search, size_t i)
{
    return search->states + i * search->model->state_size;
}

static uint64_t hash_of(const struct search *search, const void *state)
{
    return kpid_hash(state, search->model->state_size, 1);
}

static uint64_t entry_of(uint64_t hash, size_t i)
{
    return (hash & 0xffffffff00000000u) | (uint32_t)(i + 1);
}

static void table_grow(struct search *search)
{
    size_t size = search->mask ? (search->mask + 1) * 2 : 1u << 16;
    free(search->table);
    search->table = kpid_zalloc(size, sizeof(*search->table));
    search->mask = size - 1;
    for (size_t i = 0; i < search->n; i++) {
        uint64_t hash = hash_of(search, state_at(search, i));
        size_t at = hash & search->mask;
        while (search->table[at])
            at = (at + 1) & search->mask;
        search->table[at] = entry_of(hash, i);
    }
}

static bool is_at(const struct search *search, uint64_t entry, uint64_t hash, const void *state)
{
    return (entry ^ hash) >> 32 == 0 &&
           memcmp(state_at(search, (uint32_t)entry - 1), state, search->model->state_size) == 0;
}

static void add(struct search *search, const void *state)
{
    size_t size = search->model->state_size;
    if (2 * search->n >= search->mask)
        table_grow(search);
    uint64_t hash = hash_of(search, state);
    size_t at = hash & search->mask;
    for (; search->table[at]; at = (at + 1) & search->mask)
        if (is_at(search, search->table[at], hash, state))
            return;
    if (search->n == search->limit) {
        search->full = true;
        return;
    }
    if (search->n == search->cap) {
        search->cap = search->cap ? 2 * search->cap : 4096;
        search->states = kpid_realloc(search->states, search->cap * size);
        search->links = kpid_realloc(search->links, search->cap * sizeof(*search->links));
    }
    search->table[at] = entry_of(hash, search->n);
    memcpy(state_at(search, search->n), state, size);
    size_t depth = search->n ? search->links[search->from].depth + 1u : 0;
    assert(search->choice <= UINT16_MAX);
    search->links[search->n] = (struct link){search->from, (uint16_t)search->choice, (uint16_t)depth};
    if (depth > search->depth)
        search->depth = depth;
    search->n++;
}

void search_emit(struct search *search, const void *state, const void *step, const char *broken)
{
    if (search->sink == SINK_PICK) {
        if (search->seen++ == search->wanted) {
            memcpy(search->picked_state, state, search->model->state_size);
            memcpy(search->picked_step, step, search->model->step_size);
        }
        return;
    }
    if (search->broken)
        return;
    search->n_steps++;
    if (broken) {
        search->broken = broken;
        return; /* `choice` stays at the step that broke it */
    }
    add(search, state);
    search->choice++;
}

/* The step `choice` out of `state`, into step and after. Returns how many there are. */
static size_t pick(const struct search_model *model, const void *state, size_t choice, void *step,
                   void *after)
{
    struct search search = {.model = model, .sink = SINK_PICK, .wanted = choice};
    search.picked_state = after;
    search.picked_step = step;
    model->next(model->model, state, &search);
    return search.seen;
}

static void tell_way(const struct search *search, size_t length)
{
    const struct search_model *model = search->model;
    size_t *way = kpid_alloc(length * sizeof(*way)), at = search->from;
    void *step = kpid_alloc(model->step_size), *after = kpid_alloc(model->state_size);
    for (size_t i = length; i-- > 0; at = search->links[at].parent)
        way[i] = at;
    for (size_t i = 0; i < length; i++) {
        size_t choice = i + 1 < length ? search->links[way[i + 1]].choice : search->choice;
        pick(model, state_at(search, way[i]), choice, step, after);
        model->tell(model->model, step, state_at(search, way[i]), after);
    }
    free(way);
    free(step);
    free(after);
}

struct search_result search_run(const struct search_model *model, size_t limit, bool trace)
{
    struct search search = {.model = model, .sink = SINK_COLLECT, .limit = limit};
    void *state = kpid_zalloc(1, model->state_size);
    struct search_result result = {0};
    model->first(model->model, state);
    add(&search, state);
    for (size_t i = 0; i < search.n && !search.broken; i++) {
        search.from = (uint32_t)i;
        search.choice = 0;
        memcpy(state, state_at(&search, i), model->state_size); /* states may move */
        model->next(model->model, state, &search);
    }
    result.states = search.n;
    result.steps = search.n_steps;
    result.depth = search.depth;
    result.full = search.full;
    result.broken = search.broken;
    if (search.broken) {
        result.length = search.links[search.from].depth + 1u;
        if (trace)
            tell_way(&search, result.length);
    }
    free(state);
    free(search.states);
    free(search.links);
    free(search.table);
    return result;
}

bool search_walk(const struct search_model *model, uint64_t seed, size_t length, search_rare *rare,
                 search_visit *each, void *ctx)
{
    struct random random = {seed};
    char *before = kpid_zalloc(1, model->state_size), *after = kpid_zalloc(1, model->state_size);
    void *step = kpid_alloc(model->step_size);
    bool good = true;
    model->first(model->model, before);
    for (size_t i = 0; good && i < length; i++) {
        size_t n = pick(model, before, SIZE_MAX, step, after);
        if (n == 0)
            break;
        for (size_t tries = 0; tries < 100; tries++) {
            pick(model, before, (size_t)random_below(&random, (int64_t)n), step, after);
            if (random_below(&random, 1 + (int64_t)rare(step)) == 0)
                break;
        }
        good = each(ctx, step, before, after);
        memcpy(before, after, model->state_size);
    }
    free(before);
    free(after);
    free(step);
    return good;
}
