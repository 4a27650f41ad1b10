/*
 * The protocol searched in full for small sizes, and each guard taken out in turn: see tests/README.md. Exit
 * 0: nothing is broken with all guards, and something is without each.
 */
#include "publisher.h"
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 20000000

static bool tell_result(const char *name, const struct search_result *result)
{
    printf("%-24s %8zu states, %9zu steps, at most %zu in a row: %s\n", name, result->states, result->steps,
           result->depth,
           result->broken ? result->broken
           : result->full ? "not all of them"
                          : "holds");
    fflush(stdout);
    return !result->broken && !result->full;
}

static bool search_scope(const struct shard_scope *scope)
{
    struct shard_model model = {.scope = *scope};
    struct search_model search = shard_search(&model);
    struct search_result result = search_run(&search, LIMIT, true);
    return tell_result(scope->name, &result);
}

/* Without a guard something must break. */
static bool search_without(const struct search_model *search, const char *guard, const char *scope)
{
    printf("\nWithout: %s\n", guard);
    struct search_result result = search_run(search, LIMIT, true);
    if (result.broken)
        printf("    broken after %zu steps (%s, %zu states): %s\n", result.length, scope, result.states,
               result.broken);
    else
        printf("    nothing breaks in %zu states\n", result.states);
    fflush(stdout);
    return result.broken != NULL;
}

static int search_shard(bool small)
{
    int faults = 0;
    for (size_t i = 0; i < N_SCOPES; i++)
        if (!small || shard_scopes[i].small)
            faults += !search_scope(&shard_scopes[i]);
    for (enum shard_guard guard = 0; guard < N_GUARDS; guard++) {
        struct shard_model model = {.scope = shard_scopes[shard_guards[guard].scope]};
        struct search_model search = shard_search(&model);
        model.without[guard] = true;
        faults += !search_without(&search, shard_guards[guard].text, model.scope.name);
    }
    return faults;
}

static int search_publisher(bool small)
{
    static const struct publisher_model models[] = {{.nonces = 2, .lates = 1, .losses = 1},
                                                    {.nonces = 3, .losses = 1, .ready = true}};
    static const char *const names[] = {"publisher", "three publishers"};
    int faults = 0;
    for (size_t i = small; i < 2; i++) {
        struct search_model search = publisher_search(&models[i]);
        struct search_result result = search_run(&search, LIMIT, true);
        faults += !tell_result(names[i], &result);
    }
    for (enum publisher_guard guard = 0; guard < N_PUBLISHER_GUARDS; guard++) {
        size_t i = guard == PUBLISHER_GUARD_TIME;
        struct publisher_model model = models[i];
        struct search_model search = publisher_search(&model);
        model.without[guard] = true;
        faults += !search_without(&search, publisher_guards[guard], names[i]);
    }
    return faults;
}

int main(int argc, char **argv)
{
    bool small = argc > 1 && strcmp(argv[1], "--small") == 0;
    bool publisher = argc > 1 && strcmp(argv[1], "publisher") == 0;
    int faults = publisher ? 0 : search_shard(small);
    faults += search_publisher(small);
    return faults > 0;
}
