#include "murmur2.h"

#define SEED       UINT32_C(0x9747b28c)
#define MULTIPLIER UINT32_C(0x5bd1e995)

uint32_t kpid_murmur2(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint32_t hash = SEED ^ (uint32_t)len;
    for (; len >= 4; len -= 4, at += 4) {
        uint32_t word =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        word *= MULTIPLIER;
        word ^= word >> 24;
        word *= MULTIPLIER;
        hash *= MULTIPLIER;
        hash ^= word;
    }
    if (len > 0) {
        for (size_t i = 0; i < len; i++)
            hash ^= (uint32_t)at[i] << (8 * i);
        hash *= MULTIPLIER;
    }
    hash ^= hash >> 13;
    hash *= MULTIPLIER;
    hash ^= hash >> 15;
    return hash;
}

int32_t kpid_murmur2_partition(const void *key, size_t len, int32_t partitions)
{
    return (int32_t)(kpid_murmur2(key, len) & UINT32_C(0x7fffffff)) % partitions;
}
