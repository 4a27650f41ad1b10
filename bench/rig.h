/*
 * One shard of a configuration that a bench writes itself, and synthetic events for it: already decoded, so
 * that what is measured is the engine's share alone.
 */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include "meter.h"

#include "kpid/shard.h"

struct kpid_rig {
    struct kpid_model *model;
    struct kpid_shard *shard;
    struct kpid_value *values; /* of the event at work, by slot */
    int slots[8];              /* by enum field, -1: nothing names it */
    int64_t offset, highest_ms;
    uint64_t checksum;
};

/* What an event says. Texts are made of the numbers: g7, order-0000042. */
struct kpid_rig_event {
    int64_t ts_ms;
    uint32_t group, key, user;
    uint8_t type;   /* index into kpid_rig_types */
    int64_t amount; /* hundredths */
    bool has_id;    /* its id is then its offset */
};

enum { RIG_OTHER, RIG_START, RIG_STOP, RIG_STEP, RIG_TYPES };
extern const char *const kpid_rig_types[RIG_TYPES];
#define RIG_BEGIN_MS INT64_C(1772323200000) /* 2026-03-01, a Sunday, midnight UTC */

/* Loads a configuration: `source` is put into the source's mapping, `measures` and `kpis` are lines of
 * theirs, all in flow style. Ends the program if it has faults. Release it. */
void kpid_rig_init(struct kpid_rig *rig, const char *source, const char *measures, const char *kpis);
void kpid_rig_release(struct kpid_rig *rig);
/* Hands an event to the shard. */
void kpid_rig_take(struct kpid_rig *rig, const struct kpid_rig_event *event);
/* The same without the shard: what is not the engine's. */
void kpid_rig_fill(struct kpid_rig *rig, const struct kpid_rig_event *event);
/* What the daemon does with a shard once a tick: deadlines, packing what changed, merging and releasing. */
void kpid_rig_upkeep(struct kpid_rig *rig);

/* A number below n from a seed's sequence (SplitMix64). */
static inline uint32_t kpid_rig_random(uint64_t *state, uint32_t n)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % n);
}

#endif
