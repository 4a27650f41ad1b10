#include "run_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END_STEPS 60000

void run_trace(struct run *run, const char *format, ...)
{
    va_list args;
    if (!run->options->trace)
        return;
    va_start(args, format);
    printf("%6zu  ", run->step);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void run_fault(struct run *run, const char *format, ...)
{
    va_list args;
    if (run->failed)
        return;
    run->failed = true;
    if (run->options->quiet)
        return;
    va_start(args, format);
    fprintf(stderr, "seed %" PRIu64 ", step %zu: ", run->options->seed, run->step);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

/* ---- weather ---- */

static int64_t one_of(struct random *random, int64_t a, int64_t b, int64_t c)
{
    int64_t rates[] = {a, b, c};
    return rates[random_below(random, 3)];
}

static void weather_init(struct run *run)
{
    struct random *random = &run->random;
    run->weather = (struct weather){
        .kill = one_of(random, 0, 400, 100),
        .stop = one_of(random, 0, 200, 60),
        .snap = one_of(random, 0, 150, 40),
        .save = one_of(random, 60, 200, 400),
        .fall = one_of(random, 0, 300, 800),
        .empty = one_of(random, 0, 0, 800),
        .remove = one_of(random, 0, 0, 1000),
        .full = one_of(random, 0, 0, 300),
        .ask = one_of(random, 0, 0, 800),
        .move = one_of(random, 400, 100, 50),
        .zombie = one_of(random, 0, 2, 4),
        .ghost = one_of(random, 10, 30, 200),
    };
}

static bool comes(struct run *run, int64_t one_in)
{
    return one_in > 0 && random_below(&run->random, one_in) == 0;
}

/* ---- what befalls ---- */

static void befall(struct run *run, enum run_event event, const struct blob *key)
{
    static const char *const names[] = {"is saved", "falls back", "is emptied", "loses a key",
                                        "is looked at"};
    run_trace(run, "Redis %s %s", names[event], key ? key->bytes : "");
    if (run->options->mirror)
        run->options->mirror->befell(run->options->mirror->ctx, &run->server, event, key);
}

static void lose(struct run *run)
{
    run->losses++;
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
        run->stored[p] = -1;
    /* Connections end with a server; but a proxy may keep them open. */
    for (size_t i = 0; i < RUN_INSTANCES; i++)
        if (random_chance(&run->random, 3, 4))
            link_break(run->instances[i].link);
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
        check_partition(run, p, true);
}

/* kpictl shard reset. The figures that are counted anew are behind those that were there. */
static void ask(struct run *run)
{
    char key[64], nonce[33];
    int32_t p = (int32_t)random_below(&run->random, WORLD_PARTITIONS);
    const char *what = random_chance(&run->random, 1, 2) ? "keep" : "rebuild";
    snprintf(key, sizeof(key), RUN_KEY_FORMAT, p, "h");
    snprintf(nonce, sizeof(nonce), "%016" PRIx64 "%016" PRIx64, random_next(&run->random),
             random_next(&run->random));
    struct blob *words[] = {blob_new(key, strlen(key)), blob_new(nonce, 32), blob_new(what, strlen(what))};
    struct command command = {.script = kpid_store_reset_script, .n_keys = 1, .n = 3, .words = words};
    run_trace(run, "a person asks to %s partition %d", what, p);
    run->counts->asks++;
    run->losses++;
    run->stored[p] = -1;
    network_execute(run->network, &command);
    for (size_t i = 0; i < 3; i++)
        blob_free(words[i]);
}

static void befall_server(struct run *run)
{
    struct server *server = &run->server;
    if (comes(run, run->weather.save)) {
        server_save(server);
        befall(run, RUN_SAVE, NULL);
    }
    if (server->has_saved && comes(run, run->weather.fall)) {
        run->counts->falls++;
        server_fall(server);
        befall(run, RUN_FALL, NULL);
        lose(run);
    }
    if (comes(run, run->weather.empty)) {
        run->counts->empties++;
        server_empty(server);
        befall(run, RUN_EMPTY, NULL);
        lose(run);
    }
    if (server->now.n > 0 && comes(run, run->weather.remove)) {
        size_t i = (size_t)random_below(&run->random, (int64_t)server->now.n);
        run->counts->deleted++;
        run->server_lost_key = true;
        befall(run, RUN_DELETE, server->now.at[i].key);
        server_delete(server, i);
        lose(run);
    }
    if (server->now.n > 0 && comes(run, run->weather.ask))
        ask(run);
    if (comes(run, server->full ? 30 : run->weather.full)) {
        server->full = !server->full;
        run_trace(run, "Redis %s", server->full ? "is full" : "has room again");
    }
}

static void move_partition(struct run *run)
{
    int32_t p = (int32_t)random_below(&run->random, WORLD_PARTITIONS);
    size_t from = run->assigned[p], to = (size_t)random_below(&run->random, RUN_INSTANCES);
    run->assigned[p] = to;
    run_trace(run, "partition %d moves from %zu to %zu", p, from, to);
    if (from != to && !comes(run, run->weather.zombie)) /* else the old owner is not told */
        part_revoke(&run->instances[from].parts[p]);
    part_assign(&run->instances[to].parts[p]);
}

static void befall_instances(struct run *run)
{
    size_t i = (size_t)random_below(&run->random, RUN_INSTANCES);
    struct instance *instance = &run->instances[i];
    if (comes(run, run->weather.kill)) {
        run->counts->kills++;
        run->broke_off = true;
        run_trace(run, "%zu is killed", i);
        instance_kill(run, i);
        instance_start(run, i);
    }
    if (comes(run, run->weather.snap) && link_up(instance->link)) {
        run->counts->breaks++;
        run->broke_off = true;
        run_trace(run, "the connection of %zu breaks", i);
        link_break(instance->link);
    }
    if (comes(run, run->weather.stop)) {
        instance->stopped = (size_t)random_below(&run->random, 300);
        run_trace(run, "%zu stops for %zu steps", i, instance->stopped);
    }
    if (comes(run, run->weather.move))
        move_partition(run);
}

/* ---- a step ---- */

static bool be_haunted(struct run *run)
{
    bool any = network_haunt(run->network);
    run->counts->ghosts += any;
    return any;
}

static void haunt(struct run *run)
{
    if (comes(run, run->weather.ghost))
        be_haunted(run);
}

static void act(struct run *run)
{
    struct instance *instance = &run->instances[random_below(&run->random, RUN_INSTANCES)];
    struct part *part = &instance->parts[random_below(&run->random, WORLD_PARTITIONS)];
    int64_t dice = random_below(&run->random, 10);
    if (dice < 4) {
        link_execute(instance->link);
    } else if (instance->stopped > 0) {
        instance->stopped--;
    } else if (dice < 8) {
        link_answer(instance->link);
    } else if (!link_up(instance->link)) {
        if (random_chance(&run->random, 1, 4))
            link_open(instance->link);
    } else {
        part_act(part);
    }
}

static void produce(struct run *run)
{
    int32_t p = (int32_t)random_below(&run->random, WORLD_PARTITIONS);
    int64_t left = WORLD_EVENTS - run->produced[p];
    if (random_chance(&run->random, 1, 6) && left > 0)
        run->produced[p] += 1 + random_below(&run->random, left < 6 ? left : 6);
}

/* ---- the end ---- */

static bool is_over(const struct run *run)
{
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
        if (!part_done(&run->instances[run->assigned[p]].parts[p]))
            return false;
    return true;
}

static void calm(struct run *run)
{
    run->server.full = false;
    run_trace(run, "nothing befalls from here on");
    for (size_t i = 0; i < RUN_INSTANCES; i++) {
        run->instances[i].stopped = 0;
        for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
            if (run->assigned[p] != i)
                part_revoke(&run->instances[i].parts[p]);
    }
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        run->produced[p] = WORLD_EVENTS;
        part_assign(&run->instances[run->assigned[p]].parts[p]);
    }
}

static bool drain(struct run *run)
{
    bool any = false;
    for (size_t i = 0; i < RUN_INSTANCES; i++) {
        any |= link_execute(run->instances[i].link);
        any |= link_answer(run->instances[i].link);
    }
    any |= be_haunted(run);
    return any;
}

static void settle(struct run *run)
{
    for (size_t i = 0; i < END_STEPS && !run->failed && !is_over(run); i++, run->step++) {
        act(run);
        haunt(run);
    }
    if (!run->failed && !is_over(run))
        run_fault(run, "it does not come to an end");
    while (!run->failed && drain(run))
        continue;
}

static void finish(struct run *run)
{
    calm(run);
    settle(run);
    /* A page that Redis lost shows only to who loads it. */
    if (run->server_lost_key || random_chance(&run->random, 1, 2)) {
        run_trace(run, "all are started again");
        for (size_t i = 0; i < RUN_INSTANCES; i++) {
            instance_kill(run, i);
            instance_start(run, i);
        }
        settle(run);
    }
    if (!run->failed)
        check_end(run);
}

bool run_seed(struct world *world, const struct run_options *options, struct run_counts *counts)
{
    struct run run = {.world = world, .options = options, .counts = counts, .random = {options->seed}};
    run.server.broken = options->broken;
    run.set = (unsigned)(options->seed % WORLD_SETS);
    run.format = kpid_state_format();
    run.network = network_new(&run.server, &run.random, check_executed, &run);
    weather_init(&run);
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        run.assigned[p] = (size_t)p % RUN_INSTANCES;
        run.stored[p] = -1;
    }
    for (size_t i = 0; i < RUN_INSTANCES; i++)
        instance_start(&run, i);
    for (; run.step < options->steps && !run.failed; run.step++) {
        act(&run);
        produce(&run);
        befall_server(&run);
        befall_instances(&run);
        haunt(&run);
    }
    finish(&run);
    befall(&run, RUN_END, NULL);
    for (size_t i = 0; i < RUN_INSTANCES; i++)
        instance_kill(&run, i);
    network_free(run.network);
    server_release(&run.server);
    counts->seeds++;
    counts->steps += run.step;
    return !run.failed;
}
