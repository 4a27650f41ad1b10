/*
 * Every state that a model can reach, breadth first, so that the first fault found is one with the fewest
 * steps. A model is a function that gives the steps out of a state; a state is bytes of a fixed size,
 * compared as such.
 */
#ifndef KPID_PROTOCOL_SEARCH_H
#define KPID_PROTOCOL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct search;

/* One step that is possible: where it leads, and what it breaks (NULL: nothing). `step` is the model's own
 * record of it, to be told later; copied as far as step_size. */
void search_emit(struct search *search, const void *state, const void *step, const char *broken);

struct search_model {
    size_t state_size, step_size;
    void (*first)(const void *model, void *state);
    void (*next)(const void *model, const void *state, struct search *search);
    void (*tell)(const void *model, const void *step, const void *before, const void *after);
    const void *model;
};

struct search_result {
    size_t states, steps, depth;
    const char *broken; /* NULL: nothing was; else which invariant */
    bool full;          /* the limit was reached: the search is not exhaustive */
    size_t length;      /* of the way there, in steps */
};

/* Goes through all states, at most `limit`. A broken invariant ends it; the way there is told, if `trace`. */
struct search_result search_run(const struct search_model *model, size_t limit, bool trace);

/* A random way of at most `length` steps: calls `each` for every one, until it returns false. What `rare`
 * says of a step is how many times out of so many it is passed over when it is drawn. */
typedef bool search_visit(void *ctx, const void *step, const void *before, const void *after);
typedef unsigned search_rare(const void *step);
bool search_walk(const struct search_model *model, uint64_t seed, size_t length, search_rare *rare,
                 search_visit *each, void *ctx);

#endif
