/* Hashes: xxh64 (state, checksums, groups, ids) and murmur64A (HyperLogLog, as Redis computes it). */
#ifndef KPID_HASH_H
#define KPID_HASH_H

#include "kpid/macros.h"

uint64_t kpid_hash(const void *bytes, size_t len, uint64_t seed);         /* xxh64 */
uint64_t kpid_hash_murmur64a(const void *bytes, size_t len, uint64_t seed); /* Appleby's MurmurHash64A */
uint64_t kpid_hash_mix(uint64_t a, uint64_t b);                           /* combines two hashes, order matters */

#endif
