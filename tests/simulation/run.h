/*
 * One seed: several instances of the store and the engine, a network, a server of memory and logs, driven
 * through a random schedule. All that is random comes from the seed, so that a schedule that fails can be run
 * again.
 */
#ifndef KPID_SIMULATION_RUN_H
#define KPID_SIMULATION_RUN_H

#include "world.h"
#include "network.h"

#define RUN_INSTANCES 3

struct run_counts {
    uint64_t seeds, steps, commits, checks, takeovers, kills, breaks, ghosts, refused, staged, falls, empties,
        deleted, asks, behind, damaged, down, letters, left_behind,
        follows;
};

struct run_options {
    uint64_t seed;
    size_t steps;
    bool trace, quiet;
    enum server_break broken;
    /* Sees every command after it was executed, and what befalls the server; NULL: nobody does. */
    const struct run_mirror *mirror;
};

enum run_event { RUN_SAVE, RUN_FALL, RUN_EMPTY, RUN_DELETE, RUN_END };
struct run_mirror {
    void (*executed)(void *ctx, struct server *server, const struct command *command,
                     const struct kpid_reply *reply);
    void (*befell)(void *ctx, struct server *server, enum run_event event, const struct blob *key);
    void *ctx;
};

/* Runs it. Returns whether all went well; else the first fault was told on stderr. Adds to counts. */
bool run_seed(struct world *world, const struct run_options *options, struct run_counts *counts);

#endif
