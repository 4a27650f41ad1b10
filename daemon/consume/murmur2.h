/* MurmurHash2 (Austin Appleby, 2008) with Kafka's seed: the partitioner of the Java client, of which the key
 * decides the partition. `kpid_murmur2_partition` is what DefaultPartitioner computes: positive part of the
 * hash mod n. */
#ifndef KPID_CONSUME_MURMUR2_H
#define KPID_CONSUME_MURMUR2_H

#include "kpid/macros.h"

uint32_t kpid_murmur2(const void *bytes, size_t len);
int32_t kpid_murmur2_partition(const void *key, size_t len, int32_t partitions);

#endif
