/*
 * Heavy keys: the heaviest of many, by number of events or by the sum of a value, with an error bound; and the weight of
 * each.
 *
 * Panes and shards meet in any order, so the sketch is a function of the set of events alone. That rules out the usual
 * lists (Misra-Gries, Space-Saving: what they drop depends on the order). Two parts that do not:
 *
 *  - Weights: up to `keys` different keys exactly; beyond, a Count-Min sketch (Cormode, Muthukrishnan 2005), ROWS rows
 *    of as many counters as a power of two holds `keys`. Counters add up, so merging is exact. An estimate is never too
 *    low, and too high by more than e / width of the total with a probability of e^-4 at the most.
 *  - Names: a bottom-k sample of keys (Cohen, Kaplan 2007). Every event draws an exponential rank of rate = its weight
 *    from a hash of its topic, partition and offset; a key's rank is its least, so that of `keys` kept keys each is in
 *    with a chance that grows with its weight. Least of least is order-free. A key of share p is missed with a
 *    probability of about e^(-p keys): never seen from 2 % on with 1,000 keys.
 *
 * It changes from exact to estimates with the keys + 1st different key and never earlier. Between two uses up to
 * twice the keys are held; what is told, merged or stored is the canonical part.
 */
#ifndef KPID_ENGINE_HEAVY_H
#define KPID_ENGINE_HEAVY_H

#include "kpid/buf.h"
#include "kpid/pack.h"

struct kpid_heavy_key {
    char *key;
    uint32_t len;
    uint64_t hash;
    double rank;
    kpid_u128 weight; /* while exact */
};

struct kpid_heavy {
    struct kpid_heavy_key *at;
    uint32_t n, cap;
    uint32_t *index, index_cap; /* position + 1 by hash */
    uint32_t keys;              /* that are kept at least */
    uint32_t width;             /* of a row; 0: exact */
    kpid_u128 *counters;        /* rows * width */
    double limit;               /* keys of a greater rank are not among the least */
    size_t key_bytes;
};

/* Keeps at least so many keys. Released by _free, which takes NULL. */
struct kpid_heavy *kpid_heavy_new(uint32_t keys);
void kpid_heavy_free(struct kpid_heavy *heavy);
/* An event of a key; the event's own hash draws its rank. `weight` is above 0. */
void kpid_heavy_add(struct kpid_heavy *heavy, const char *key, uint32_t len, kpid_u128 weight, uint64_t event);
void kpid_heavy_merge(struct kpid_heavy *into, const struct kpid_heavy *from);
/* Heap bytes held, and the most that so many keys ever hold. */
size_t kpid_heavy_bytes(const struct kpid_heavy *heavy);
size_t kpid_heavy_bytes_max(uint32_t keys);
/* The canonical part; NULL packs as no key. False: damaged, and *ret owns what was read. */
void kpid_heavy_pack(const struct kpid_heavy *heavy, struct kpid_buf *out);
bool kpid_heavy_unpack(struct kpid_heavy **ret, struct kpid_unpack *in) KPID_MUST_CHECK;
/* Writes the `max` heaviest keys in order and returns how many; lets go of what is not canonical.
 * Cost: keys * max in the worst case, mostly one comparison a key. */
size_t kpid_heavy_first(struct kpid_heavy *heavy, const struct kpid_heavy_key **ret, kpid_u128 *ret_weights, size_t max);
/* How much too high a weight may be, of which all weigh `total`. */
kpid_i128 kpid_heavy_error(const struct kpid_heavy *heavy, kpid_i128 total);

#endif
