/*
 * The random model test: see tests/README.md. Two interleavings of one random world are read by the engine, compared with
 * the naive model as they go and with each other at the end.
 */
#include "run.h"

#include "kpid/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_NAME "KPID_MODEL_TABLE" /* as model.yaml names the file of its look-up */

struct options {
    const char *config;
    uint64_t seed;
    size_t events;
    int interleavings;
};

static const struct kpid_model *load(const char *path)
{
    struct kpid_config_options options = { 0 };
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    const struct kpid_model *model = kpid_config_load(path, &options, &faults, &n);

    if (!model)
        fprintf(stderr, "%s\n", faults.data);
    kpid_buf_release(&faults);
    size_t named = 0;
    for (int m = 0; m < MEASURES; m++)
        named += naive_measures[m].name != NULL;
    if (model && (model->n_measures != named || model->n_sources != SOURCES)) {
        fprintf(stderr, "%s and naive_measure.c do not say the same\n", path);
        exit(1);
    }
    return model;
}

static uint64_t one_seed(const struct kpid_model *model, const struct options *options)
{
    bool wall = options->seed % 2 == 0;
    struct run *runs[2] = { NULL, NULL };
    struct world world;
    uint64_t faults = 0;
    char labels[2][64];

    world_init(&world, options->seed, options->events, wall ? 1200000 : 10800000);
    for (int i = 0; i < options->interleavings; i++) {
        snprintf(labels[i], sizeof(labels[i]), "seed %" PRIu64 ", interleaving %d", options->seed, i + 1);
        runs[i] = run_new(model, &world, options->seed * 2 + (uint64_t)i, wall, i > 0, i * 4, labels[i]);
        run_all(runs[i]);
        struct judge *judge = run_judge(runs[i]);
        judge_ranks_end(judge);
        printf("%s: %zu events, %" PRIu64 " windows, %" PRIu64 " snapshots, %" PRIu64 " figures compared, %" PRIu64
               " windows passed over, %" PRIu64 " faults\n", labels[i], world.n_events, judge->windows, judge->snapshots,
               judge->figures, judge->passed_over, judge->faults + judge->silent);
        printf("    weights of keys: %" PRIu64 " estimated, %" PRIu64 " of them beyond their error; of %" PRIu64
               " that must be listed %" PRIu64 " are not; the look-up's table was changed %u times\n", judge->listed,
               judge->beyond, judge->heavy, judge->missing, run_changes(runs[i]));
        fflush(stdout);
        faults += judge->faults + judge->silent;
        run_shed(runs[i]);
    }
    if (runs[1]) {
        uint64_t before = run_judge(runs[0])->faults;
        judge_compare(run_judge(runs[0]), run_judge(runs[1]));
        faults += run_judge(runs[0])->faults - before;
    }
    for (int i = 0; i < options->interleavings; i++)
        run_free(runs[i]);
    world_release(&world);
    return faults;
}

int main(int argc, char **argv)
{
    struct options options = { KPID_SOURCE_DIR "/tests/model/model.yaml", 1, 1000000, 2 };
    uint64_t seeds = 1, faults = 0;

    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--seed"))
            options.seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--seeds"))
            seeds = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--events"))
            options.events = (size_t)strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--interleavings"))
            options.interleavings = argv[i + 1][0] == '1' ? 1 : 2;
        else
            argc = 0;
    if (argc % 2 == 0 || options.events < 1000) {
        fprintf(stderr, "usage: test_model [--seed N] [--seeds HOW-MANY] [--events N] [--interleavings 1|2]\n");
        return 2;
    }
    char table[] = "/tmp/kpid-model-XXXXXX";
    int fd = mkstemp(table);
    if (fd < 0) {
        perror(table);
        return 1;
    }
    close(fd);
    setenv(TABLE_NAME, table, 1);
    const struct kpid_model *model = load(options.config);
    if (!model) {
        unlink(table);
        return 1;
    }
    for (uint64_t i = 0; i < seeds; i++, options.seed++)
        faults += one_seed(model, &options);
    unlink(table);
    kpid_model_free((struct kpid_model *)(uintptr_t)model);
    if (faults)
        fprintf(stderr, "%" PRIu64 " faults\n", faults);
    return faults ? 1 : 0;
}
