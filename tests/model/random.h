/* Random numbers of a seed: SplitMix64 (Steele, Lea, Flood 2014). Equal seeds give equal numbers on every machine. */
#ifndef KPID_MODEL_RANDOM_H
#define KPID_MODEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A number in [0, below), below > 0. */
static inline int64_t random_below(struct random *random, int64_t below)
{
    return (int64_t)(random_next(random) % (uint64_t)below);
}

/* True `times` times in `of`. */
static inline bool random_chance(struct random *random, int64_t times, int64_t of)
{
    return random_below(random, of) < times;
}

#endif
