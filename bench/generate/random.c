#include "random.h"

#include <math.h>

uint64_t kpid_random_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void kpid_random_init(struct kpid_random *random, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        random->word[i] = seed = kpid_random_mix(seed);
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t kpid_random_bits(struct kpid_random *random)
{
    uint64_t *word = random->word;
    uint64_t result = rotate(word[1] * 5, 7) * 9;
    uint64_t shifted = word[1] << 17;
    word[2] ^= word[0];
    word[3] ^= word[1];
    word[1] ^= word[2];
    word[0] ^= word[3];
    word[2] ^= shifted;
    word[3] = rotate(word[3], 45);
    return result;
}

double kpid_random_unit(struct kpid_random *random)
{
    return (double)(kpid_random_bits(random) >> 11) * 0x1p-53;
}

int64_t kpid_random_range(struct kpid_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)(kpid_random_unit(random) * (double)(high - low + 1));
}

bool kpid_random_chance(struct kpid_random *random, double probability)
{
    return kpid_random_unit(random) < probability;
}

double kpid_random_exponential(struct kpid_random *random, double mean)
{
    return -mean * log1p(-kpid_random_unit(random));
}

double kpid_random_lognormal(struct kpid_random *random, double median, double sigma)
{
    /* Box and Muller; the second variate is thrown away, so that no state is kept between calls. */
    double radius = sqrt(-2 * log1p(-kpid_random_unit(random)));
    double normal = radius * cos(2 * 3.14159265358979323846 * kpid_random_unit(random));
    return median * exp(sigma * normal);
}

unsigned kpid_random_pick(struct kpid_random *random, const double *weights, unsigned n)
{
    double left = kpid_random_unit(random);
    for (unsigned i = 0; i + 1 < n; i++) {
        if (left < weights[i])
            return i;
        left -= weights[i];
    }
    return n - 1;
}
