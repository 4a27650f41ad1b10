/* Hashes, see kpid/hash.h. xxhash is compiled in from its header, so that this library needs no other. */
#include "kpid/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t kpid_hash(const void *bytes, size_t len, uint64_t seed)
{
    return XXH64(bytes, len, seed);
}

static uint64_t load_le64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

uint64_t kpid_hash_murmur64a(const void *bytes, size_t len, uint64_t seed)
{
    const uint64_t multiplier = 0xc6a4a7935bd1e995ULL;
    const unsigned char *at = bytes, *tail = at + (len & ~(size_t)7);
    uint64_t hash = seed ^ (len * multiplier);

    for (; at != tail; at += 8) {
        uint64_t block = load_le64(at) * multiplier;
        block ^= block >> 47;
        hash = (hash ^ (block * multiplier)) * multiplier;
    }
    if ((len & 7) != 0) {
        uint64_t rest = 0;
        for (size_t i = 0; i < (len & 7); i++)
            rest |= (uint64_t)tail[i] << (8 * i);
        hash = (hash ^ rest) * multiplier;
    }
    hash = (hash ^ (hash >> 47)) * multiplier;
    return hash ^ (hash >> 47);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014) over a combination that isn't symmetric. */
uint64_t kpid_hash_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15ULL + ((b << 32) | (b >> 32)) + 0x632be59bd9b4e019ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}
