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

struct tally {
    size_t states, scopes, needed;
    int faults;
};

static void tell_result(const char *name, const struct search_result *result, struct tally *tally)
{
    printf("%-24s %8zu states, %9zu steps, at most %zu in a row: %s\n", name, result->states, result->steps,
           result->depth,
           result->broken ? result->broken
           : result->full ? "not all of them"
                          : "holds");
    fflush(stdout);
    tally->states += result->states;
    tally->scopes++;
    tally->faults += result->broken || result->full;
}

static void search_scope(const struct shard_scope *scope, struct tally *tally)
{
    struct shard_model model = {.scope = *scope};
    struct search_model search = shard_search(&model);
    struct search_result result = search_run(&search, LIMIT, true);
    tell_result(scope->name, &result, tally);
}

/* Without a guard something must break. */
static void search_without(const struct search_model *search, const char *guard, const char *scope,
                           struct tally *tally)
{
    printf("\nWithout: %s\n", guard);
    struct search_result result = search_run(search, LIMIT, true);
    if (result.broken)
        printf("    broken after %zu steps (%s, %zu states): %s\n", result.length, scope, result.states,
               result.broken);
    else
        printf("    nothing breaks in %zu states\n", result.states);
    fflush(stdout);
    tally->needed += result.broken != NULL;
    tally->faults += !result.broken;
}

static void search_shard(bool small, struct tally *tally)
{
    for (size_t i = 0; i < N_SCOPES; i++)
        if (!small || shard_scopes[i].small)
            search_scope(&shard_scopes[i], tally);
    for (enum shard_guard guard = 0; guard < N_GUARDS; guard++) {
        struct shard_model model = {.scope = shard_scopes[shard_guards[guard].scope]};
        struct search_model search = shard_search(&model);
        model.without[guard] = true;
        search_without(&search, shard_guards[guard].text, model.scope.name, tally);
    }
}

static void search_publisher(bool small, struct tally *tally)
{
    static const struct publisher_model models[] = {{.nonces = 2, .lates = 1, .losses = 1},
                                                    {.nonces = 3, .losses = 1, .ready = true}};
    static const char *const names[] = {"publisher", "three publishers"};
    for (size_t i = small; i < 2; i++) {
        struct search_model search = publisher_search(&models[i]);
        struct search_result result = search_run(&search, LIMIT, true);
        tell_result(names[i], &result, tally);
    }
    for (enum publisher_guard guard = 0; guard < N_PUBLISHER_GUARDS; guard++) {
        size_t i = guard == PUBLISHER_GUARD_TIME || guard >= PUBLISHER_GUARD_NOTED;
        struct publisher_model model = models[i];
        struct search_model search = publisher_search(&model);
        model.without[guard] = true;
        search_without(&search, publisher_guards[guard], names[i], tally);
    }
}

int main(int argc, char **argv)
{
    bool small = argc > 1 && strcmp(argv[1], "--small") == 0;
    struct tally tally = {0};
    search_shard(small, &tally);
    search_publisher(small, &tally);
    printf(
        "\n%zu states in %zu scopes, searched in full; %zu guards, without each of which something breaks\n",
        tally.states, tally.scopes, tally.needed);
    return tally.faults > 0;
}
