/* The simulation: see tests/README.md. */
#include "../lib/redis.h"
#include "mirror.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    struct run_options run;
    uint64_t seeds;
    bool broken, redis;
};

static const char *const breaks[] = {
#define X(name, text) text,
    SERVER_BREAKS(X)
#undef X
};

static void usage(void)
{
    fprintf(stderr,
            "test_simulation [--seed FIRST] [--seeds N] [--steps N] [--trace] [--broken | --redis]\n");
    exit(2);
}

static void read_options(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0)
            options->run.trace = true;
        else if (strcmp(argv[i], "--broken") == 0)
            options->broken = true;
        else if (strcmp(argv[i], "--redis") == 0)
            options->redis = true;
        else if (strcmp(argv[i], "--seed") == 0 && more)
            options->run.seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0 && more)
            options->seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--steps") == 0 && more)
            options->run.steps = strtoull(argv[++i], NULL, 10);
        else
            usage();
    }
}

static void tell(const struct run_counts *n)
{
    printf("%" PRIu64 " seeds, %" PRIu64 " steps: %" PRIu64 " commits (%" PRIu64 " staged), %" PRIu64
           " takeovers, %" PRIu64 " kills, %" PRIu64 " connections broken, %" PRIu64
           " late commands, %" PRIu64 " falls, %" PRIu64 " emptied, %" PRIu64 " keys deleted, %" PRIu64
           " resets\n",
           n->seeds, n->steps, n->commits, n->staged, n->takeovers, n->kills, n->breaks, n->ghosts, n->falls,
           n->empties, n->deleted, n->asks);
    printf("found another owner %" PRIu64 " times, Redis behind %" PRIu64 ", down %" PRIu64
           ", state lost %" PRIu64 "; %" PRIu64 " dead letters; %" PRIu64
           " pages left behind; compared with the recount %" PRIu64 " times, and "
           "%" PRIu64 " times by who follows\n",
           n->refused, n->behind, n->down, n->damaged, n->letters, n->left_behind, n->checks, n->follows);
}

/* With each guard taken out of the scripts some seed must fail. Returns how many go unnoticed. */
static uint64_t try_breaks(struct world *world, const struct options *options)
{
    uint64_t unnoticed = 0;
    for (enum server_break broken = BREAK_NONE + 1; broken < BREAK_N; broken++) {
        struct run_options run = options->run;
        struct run_counts counts = {0};
        run.broken = broken;
        run.quiet = true;
        while (counts.seeds < options->seeds && run_seed(world, &run, &counts))
            run.seed++;
        bool noticed = counts.seeds < options->seeds;
        unnoticed += !noticed;
        printf("%s: %s, %" PRIu64 " seeds\n", breaks[broken], noticed ? "noticed" : "not noticed",
               counts.seeds);
        fflush(stdout);
    }
    return unnoticed;
}

static uint64_t run_all(struct world *world, struct options *options)
{
    struct run_counts counts = {0};
    struct timespec begin, end;
    uint64_t faults = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < options->seeds; i++, options->run.seed++)
        faults += !run_seed(world, &options->run, &counts);
    clock_gettime(CLOCK_MONOTONIC, &end);
    tell(&counts);
    double s = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%" PRIu64 " seeds failed; %.0f seeds a minute\n", faults, (double)counts.seeds * 60 / s);
    return faults;
}

/* Beside a real server. */
static uint64_t run_mirrored(struct world *world, struct options *options, struct mirror *mirror)
{
    uint64_t commands, keys, differences, faults;
    options->run.mirror = mirror_hooks(mirror);
    faults = run_all(world, options);
    mirror_counts(mirror, &commands, &keys, &differences);
    printf("beside Redis: %" PRIu64 " commands and %" PRIu64 " keys compared, %" PRIu64 " differences\n",
           commands, keys, differences);
    return faults + differences;
}

int main(int argc, char **argv)
{
    struct options options = {.run = {.seed = 1, .steps = 1500}, .seeds = 1};
    struct mirror *mirror = NULL;
    uint64_t faults;
    read_options(&options, argc, argv);
    if (options.redis && !(mirror = mirror_new())) {
        printf("skipped: redis-server is not installed\n");
        return TEST_SKIPPED;
    }
    struct world *world = world_new();
    if (mirror)
        faults = run_mirrored(world, &options, mirror);
    else
        faults = options.broken ? try_breaks(world, &options) : run_all(world, &options);
    world_free(world);
    if (mirror)
        mirror_free(mirror);
    return faults > 0;
}
