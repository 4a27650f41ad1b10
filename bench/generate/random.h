/*
 * Random numbers that are the same on every machine for the same seed: xoshiro256** (Blackman and Vigna,
 * "Scrambled linear pseudorandom number generators", 2021), seeded by splitmix64. Not for secrets. Pure;
 * nothing can fail.
 */
#ifndef KPID_GENERATE_RANDOM_H
#define KPID_GENERATE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kpid_random {
    uint64_t word[4];
};

/* Puts the generator into the state that the seed stands for. */
void kpid_random_init(struct kpid_random *random, uint64_t seed);
/* 64 random bits. */
uint64_t kpid_random_bits(struct kpid_random *random);
/* Uniform in [0, 1). */
double kpid_random_unit(struct kpid_random *random);
/* Uniform in [low, high]. */
int64_t kpid_random_range(struct kpid_random *random, int64_t low, int64_t high);
/* True with this probability. */
bool kpid_random_chance(struct kpid_random *random, double probability);
/* Exponential with this mean. */
double kpid_random_exponential(struct kpid_random *random, double mean);
/* Lognormal with this median; sigma is the standard deviation of the logarithm. */
double kpid_random_lognormal(struct kpid_random *random, double median, double sigma);
/* An index, each with its weight; the weights add up to 1. */
unsigned kpid_random_pick(struct kpid_random *random, const double *weights, unsigned n);
/* A bijective mixing of 64 bits (the step of splitmix64): different inputs give different outputs. */
uint64_t kpid_random_mix(uint64_t value);

#endif
