/*
 * Distinct count: HyperLogLog with p = 14 (16,384 registers of 6 bits, standard error 0.81 %), hashed with
 * murmur64A and laid out as Redis does, so that a dense sketch of ours is a value PFCOUNT and PFMERGE take. Up to
 * 1,536 different hashes it is a sorted-enough set of 8-byte hashes and exact.
 * Papers: Flajolet et al. 2007; Heule, Nunkesser, Hall 2013; Ertl, "New cardinality estimation algorithms for
 * HyperLogLog sketches", 2017 (the estimator).
 *
 * The sketch is a function of the set of what was added: order of adding and merging makes no difference, bit for
 * bit. A zeroed struct is an empty sketch and owns nothing.
 */
#ifndef KPID_HLL_H
#define KPID_HLL_H

#include "kpid/buf.h"
#include "kpid/pack.h"

#define KPID_HLL_EXACT_MAX 1536
#define KPID_HLL_SEED      0xadc83b19ULL

struct kpid_hll {
    uint64_t *hashes;   /* while sparse: open-addressing set, 0 kept apart */
    uint8_t *registers; /* once dense: 12,288 bytes, Redis' packing */
    uint32_t used, cap;
    bool has_zero;
};

void kpid_hll_release(struct kpid_hll *hll);
bool kpid_hll_add(struct kpid_hll *hll, uint64_t hash); /* true if the sketch changed */
void kpid_hll_merge(struct kpid_hll *into, const struct kpid_hll *from);
uint64_t kpid_hll_estimate(const struct kpid_hll *hll);
bool kpid_hll_exact(const struct kpid_hll *hll);
size_t kpid_hll_bytes(const struct kpid_hll *hll); /* heap bytes held */
#define KPID_HLL_BYTES_MAX 14080 /* of heap, just before it becomes registers, which are 12,288 */
void kpid_hll_pack(const struct kpid_hll *hll, struct kpid_buf *out); /* canonical: equal sets give equal bytes */
bool kpid_hll_unpack(struct kpid_hll *ret, struct kpid_unpack *in) KPID_MUST_CHECK;

/* Appends the sketch as a value of Redis: header "HYLL", dense, and the registers. The header's cached cardinality is
 * our own figure, which PFCOUNT of this one key gives as it is; PFMERGE works with the registers. */
void kpid_hll_redis(const struct kpid_hll *hll, struct kpid_buf *out);

#endif
