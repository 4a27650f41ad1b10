/* A run from the inside: run.c drives it, instance.c is what the daemon does, check.c looks. */
#ifndef KPID_SIMULATION_RUN_INTERNAL_H
#define KPID_SIMULATION_RUN_INTERNAL_H

#include "run.h"

#include "kpid/store.h"
#include "kpid/watermark.h"

#define RUN_KEY_FORMAT "kpi:s:{c:g:shop:%d}:%s" /* partition, suffix */

enum part_state { PART_NONE, PART_WAITING, PART_ACQUIRING, PART_ACTIVE };

/* What an instance has of one partition. */
struct part {
    struct instance *instance;
    int32_t partition;
    enum part_state state;
    struct kpid_store *store;
    struct kpid_shard *shard;
    bool committing, held, whole, leaving;
    uint64_t cut_sent, cut_done;
    struct kpid_follower *follower; /* of who has it instead */
    struct kpid_shard *copy;
    char copy_nonce[33];
    int64_t released_ms; /* as of the cut that is under way */
};

struct instance {
    struct run *run;
    struct kpid_redis *link;
    struct part parts[WORLD_PARTITIONS];
    struct kpid_watermark watermark;
    size_t stopped; /* steps for which it does not get to run */
};

/* How often what happens: each of so many steps, 0: never. */
struct weather {
    int64_t kill, stop, snap, save, fall, empty, remove, full, ask, move, zombie, ghost;
};

struct run {
    struct world *world;
    const struct run_options *options;
    struct run_counts *counts;
    struct random random;
    struct weather weather;
    unsigned set;
    unsigned format; /* that is agreed to be written */
    struct server server;
    struct network *network;
    struct instance instances[RUN_INSTANCES];
    size_t assigned[WORLD_PARTITIONS]; /* the instance that Kafka means to have it */
    int64_t produced[WORLD_PARTITIONS];
    bool delivered[WORLD_PARTITIONS][WORLD_EVENTS];
    int64_t stored[WORLD_PARTITIONS]; /* the offset last seen in Redis */
    uint64_t losses;
    bool failed, server_lost_key, broke_off; /* broke_off: a process or a connection, with commands under way */
    size_t step;
};

__attribute__((format(printf, 2, 3))) void run_trace(struct run *run, const char *format, ...);
__attribute__((format(printf, 2, 3))) void run_fault(struct run *run, const char *format, ...);

/* instance.c */
void instance_start(struct run *run, size_t i);
void instance_kill(struct run *run, size_t i);
void part_assign(struct part *part);
void part_revoke(struct part *part);
/* Something that an instance does of its own accord. False: there was nothing to do. */
bool part_act(struct part *part);
bool part_done(const struct part *part); /* everything is counted and committed */

/* follow.c */
void follow_act(struct part *part);
void follow_free(struct part *part);

/* check.c */
void check_executed(void *ctx, const struct command *command, const struct kpid_reply *reply);
void check_partition(struct run *run, int32_t partition, bool always);
void check_shard(struct run *run, int32_t partition, struct kpid_shard *shard, const char *where);
void check_end(struct run *run);

#endif
