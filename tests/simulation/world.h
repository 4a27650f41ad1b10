/*
 * What is counted: a model, and for each partition a log of real events as Kafka would hold it; and what
 * figures those give, counted by one shard without a break. There are a few sets of logs, kept over all seeds
 * of a run, so that the recount at each offset is made once.
 */
#ifndef KPID_SIMULATION_WORLD_H
#define KPID_SIMULATION_WORLD_H

#include "kpid/decode.h"
#include "kpid/shard.h"

#define WORLD_PARTITIONS 3
#define WORLD_EVENTS     120
#define WORLD_SETS       6

/* Hashes of figures; a window that is not kept any more has none (0). */
#define DIGEST_WORDS 96
struct digest {
    uint64_t words[DIGEST_WORDS];
};

struct world;
struct world *world_new(void);
void world_free(struct world *world);
const struct kpid_model *world_model(const struct world *world);

/* Gives the record at `offset` to the shard, as the daemon would: decoded, and dropped if it was counted
 * before. */
void world_feed(struct world *world, unsigned set, int32_t partition, int64_t offset,
                struct kpid_shard *shard);
/* Whether it must become a dead letter when it is read in order. */
bool world_is_dead(struct world *world, unsigned set, int32_t partition, int64_t offset);
/* The figures of a shard, and what they are at an offset. */
void world_digest(struct world *world, struct kpid_shard *shard, struct digest *ret);
const struct digest *world_recount(struct world *world, unsigned set, int32_t partition, int64_t offset);
/* NULL: equal, as far as both keep it; else what differs, a static text. */
const char *world_differs(struct world *world, const struct digest *a, const struct digest *b);

#endif
