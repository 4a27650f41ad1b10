/*
 * kpid-bench-measures [--rounds N] [--events N] [--keys N] [cost | state | growth]: what measures cost, by
 * kind. Without a word all three tables. The events are synthetic and already decoded; one shard, no Kafka,
 * no Redis. `kinds` prints the names of the first table, `one NAME` makes one pass with that kind
 * (bench/instructions).
 */
#include "measures.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool option(const char *word, const char *name, const char *value, size_t *ret)
{
    if (strcmp(word, name) != 0 || !value)
        return false;
    *ret = strtoul(value, NULL, 10);
    return true;
}

int main(int argc, char **argv)
{
    size_t rounds = 15, events = 400000, keys = 1000000;
    const char *table = "", *one = NULL;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (option(argv[i], "--rounds", value, &rounds) || option(argv[i], "--events", value, &events) ||
            option(argv[i], "--keys", value, &keys))
            i++;
        else if (!strcmp(argv[i], "one") && value)
            one = argv[++i];
        else
            table = argv[i];
    }
    if (one && events >= 1000) {
        kpid_bench_one(one, events);
        return 0;
    }
    for (size_t k = 0; !strcmp(table, "kinds") && kpid_bench_kind(k); k++)
        puts(kpid_bench_kind(k));
    if (!strcmp(table, "kinds"))
        return 0;
    bool all = !*table,
         known = all || !strcmp(table, "cost") || !strcmp(table, "state") || !strcmp(table, "growth");
    if (!known || rounds < 1 || rounds > 1000 || events < 1000 || keys < 1000) {
        fprintf(stderr,
                "usage: kpid-bench-measures [--rounds N] [--events N] [--keys N] [cost | state | growth]\n");
        return 2;
    }
    if (all || !strcmp(table, "cost"))
        kpid_bench_cost(rounds, events);
    if (all || !strcmp(table, "cost"))
        kpid_bench_join(rounds, events);
    if (all || !strcmp(table, "growth"))
        kpid_bench_growth(rounds, events);
    if (all || !strcmp(table, "state"))
        kpid_bench_state(keys);
    return 0;
}
