/*
 * Distinct count, see kpid/hll.h.
 *
 * Dense: register i lies at bit 6 * i of 12,288 bytes, least significant bits first, as in a Redis value
 * behind its 16-byte header. The low 14 bits of a hash choose the register; it keeps the greatest 1 + number
 * of trailing zeros of the other 50 bits.
 *
 * Sparse: the hashes themselves, in an open-addressing table whose home slots follow the hash's order, so
 * that it is nearly sorted. It becomes dense with the 1,537th different hash and never earlier, which makes
 * the sketch a function of the set.
 *
 * The estimator is Ertl's (2017, algorithm 6, "improved raw"): from the histogram of register values,
 * corrected by sigma for registers at 0 and by tau for those at their maximum; no bias table, no switch to
 * linear counting.
 */
#include "kpid/hll.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REGISTERS      16384
#define REGISTER_BYTES (REGISTERS * 6 / 8)
#define INDEX_BITS     14
#define RANK_BITS      (64 - INDEX_BITS)
#define RANK_MAX       (RANK_BITS + 1)
#define ALPHA_INFINITE 0.721347520444481703680 /* 1 / (2 ln 2) */
#define CAP_FIRST      4
#define CAP_LAST       1760 /* holds KPID_HLL_EXACT_MAX at 7/8 */
_Static_assert(CAP_LAST * sizeof(uint64_t) == KPID_HLL_BYTES_MAX, "what explain says of it");

#define PACK_SPARSE 0
#define PACK_DENSE  1

void kpid_hll_release(struct kpid_hll *hll)
{
    free(hll->hashes);
    free(hll->registers);
    *hll = (struct kpid_hll){0};
}

static unsigned register_get(const uint8_t *registers, unsigned index)
{
    unsigned bit = index * 6, byte = bit / 8, shift = bit % 8;
    unsigned two = registers[byte] | (shift > 2 ? (unsigned)registers[byte + 1] << 8 : 0);
    return (two >> shift) & 63;
}

static void register_set(uint8_t *registers, unsigned index, unsigned rank)
{
    unsigned bit = index * 6, byte = bit / 8, shift = bit % 8;
    registers[byte] = (uint8_t)((registers[byte] & ~(63U << shift)) | (rank << shift));
    if (shift > 2) {
        unsigned spill = 8 - shift;
        registers[byte + 1] = (uint8_t)((registers[byte + 1] & ~(63U >> spill)) | (rank >> spill));
    }
}

static bool dense_add(uint8_t *registers, uint64_t hash)
{
    unsigned index = (unsigned)(hash & (REGISTERS - 1));
    unsigned rank = (unsigned)__builtin_ctzll((hash >> INDEX_BITS) | (1ULL << RANK_BITS)) + 1;
    if (register_get(registers, index) >= rank)
        return false;
    register_set(registers, index, rank);
    return true;
}

static void dense_make(struct kpid_hll *hll)
{
    uint8_t *registers = kpid_zalloc(1, REGISTER_BYTES);
    for (uint32_t i = 0; i < hll->cap; i++) {
        if (hll->hashes[i] != 0)
            dense_add(registers, hll->hashes[i]);
    }
    if (hll->has_zero)
        dense_add(registers, 0);
    kpid_hll_release(hll);
    hll->registers = registers;
}

/* The slot that holds the hash, or the empty one where it belongs. */
static uint32_t slot_find(const uint64_t *hashes, uint32_t cap, uint64_t hash)
{
    uint32_t slot = (uint32_t)(((hash >> 32) * cap) >> 32);
    while (hashes[slot] != 0 && hashes[slot] != hash)
        slot = slot + 1 == cap ? 0 : slot + 1;
    return slot;
}

static uint32_t cap_after(uint32_t cap)
{
    return cap == 0 ? CAP_FIRST : cap * 2 < CAP_LAST ? cap * 2 : CAP_LAST;
}

static void sparse_rehash(struct kpid_hll *hll, uint32_t cap)
{
    uint64_t *hashes = kpid_zalloc(cap, sizeof(*hashes));
    for (uint32_t i = 0; i < hll->cap; i++) {
        if (hll->hashes[i] != 0)
            hashes[slot_find(hashes, cap, hll->hashes[i])] = hll->hashes[i];
    }
    free(hll->hashes);
    hll->hashes = hashes;
    hll->cap = cap;
}

static uint32_t sparse_count(const struct kpid_hll *hll)
{
    return hll->used + (hll->has_zero ? 1 : 0);
}

static bool sparse_full(const struct kpid_hll *hll)
{
    return hll->used + 1 > hll->cap - (hll->cap + 7) / 8; /* at most 7/8, and never quite full */
}

bool kpid_hll_add(struct kpid_hll *hll, uint64_t hash)
{
    if (hll->registers != NULL)
        return dense_add(hll->registers, hash);
    uint32_t slot = hll->cap > 0 ? slot_find(hll->hashes, hll->cap, hash) : 0;
    if (hash == 0 ? hll->has_zero : hll->cap > 0 && hll->hashes[slot] == hash)
        return false;
    if (sparse_count(hll) == KPID_HLL_EXACT_MAX) {
        dense_make(hll);
        dense_add(hll->registers, hash);
        return true;
    }
    if (hash == 0) {
        hll->has_zero = true;
        return true;
    }
    if (sparse_full(hll)) {
        sparse_rehash(hll, cap_after(hll->cap));
        slot = slot_find(hll->hashes, hll->cap, hash);
    }
    hll->hashes[slot] = hash;
    hll->used++;
    return true;
}

/* Six-bit fields that stand in the low half of twelve bits each: the greater of two, four of them at once. The bit above
 * a field is set, a field subtracted, and where the bit stays nothing had to be borrowed: the first is no less. */
#define FIELDS  0x00003f03f03f03fULL
#define BORROWS 0x000040040040040ULL

static uint64_t fields_max(uint64_t x, uint64_t y)
{
    uint64_t stays = ((x | BORROWS) - y) & BORROWS;
    uint64_t keep = stays - (stays >> 6);
    return (x & keep) | (y & ~keep & FIELDS);
}

static uint64_t six_bytes(const uint8_t *at)
{
    uint32_t low;
    uint16_t high;
    memcpy(&low, at, sizeof low);
    memcpy(&high, at + sizeof low, sizeof high);
    return le32toh(low) | (uint64_t)le16toh(high) << 32;
}

static void six_bytes_put(uint8_t *at, uint64_t value)
{
    uint32_t low = htole32((uint32_t)value);
    uint16_t high = htole16((uint16_t)(value >> 32));
    memcpy(at, &low, sizeof low);
    memcpy(at + sizeof low, &high, sizeof high);
}

/* Eight registers are six bytes: those at even places and those at odd ones are compared apart. */
static void dense_merge(uint8_t *into, const uint8_t *from)
{
    for (unsigned i = 0; i < REGISTER_BYTES; i += 6) {
        uint64_t a = six_bytes(into + i), b = six_bytes(from + i);
        uint64_t even = fields_max(a & FIELDS, b & FIELDS);
        uint64_t odd = fields_max(a >> 6 & FIELDS, b >> 6 & FIELDS);
        six_bytes_put(into + i, even | odd << 6);
    }
}

static void hll_copy(struct kpid_hll *into, const struct kpid_hll *from)
{
    *into = *from;
    if (from->registers != NULL) {
        into->registers = kpid_alloc(REGISTER_BYTES);
        memcpy(into->registers, from->registers, REGISTER_BYTES);
    } else if (from->cap > 0) {
        into->hashes = kpid_alloc(from->cap * sizeof(*into->hashes));
        memcpy(into->hashes, from->hashes, from->cap * sizeof(*into->hashes));
    }
}

static void sparse_merge(struct kpid_hll *into, const struct kpid_hll *from)
{
    if (into->registers == NULL && into->cap < from->cap)
        sparse_rehash(into, from->cap);
    for (uint32_t i = 0; i < from->cap; i++) {
        if (from->hashes[i] != 0)
            kpid_hll_add(into, from->hashes[i]);
    }
    if (from->has_zero)
        kpid_hll_add(into, 0);
}

void kpid_hll_merge(struct kpid_hll *into, const struct kpid_hll *from)
{
    if (into->registers == NULL && sparse_count(into) == 0) {
        kpid_hll_release(into);
        hll_copy(into, from);
    } else if (from->registers == NULL) {
        sparse_merge(into, from);
    } else {
        if (into->registers == NULL)
            dense_make(into);
        dense_merge(into->registers, from->registers);
    }
}

static double sigma(double x)
{
    double power = 1, z = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = z;
        z += x * power;
        power += power;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    double power = 1, z = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = z;
        power *= 0.5;
        z -= (1 - x) * (1 - x) * power;
    } while (z != before);
    return z / 3;
}

uint64_t kpid_hll_estimate(const struct kpid_hll *hll)
{
    if (hll->registers == NULL)
        return sparse_count(hll);
    uint32_t histogram[64] = {0};
    const uint8_t *at = hll->registers;
    for (unsigned i = 0; i < REGISTER_BYTES; i += 3) {
        uint32_t four = at[i] | (uint32_t)at[i + 1] << 8 | (uint32_t)at[i + 2] << 16;
        histogram[four & 63]++;
        histogram[four >> 6 & 63]++;
        histogram[four >> 12 & 63]++;
        histogram[four >> 18]++;
    }
    double m = REGISTERS;
    double z = m * tau((m - histogram[RANK_MAX]) / m);
    for (unsigned rank = RANK_BITS; rank >= 1; rank--)
        z = (z + histogram[rank]) * 0.5;
    z += m * sigma(histogram[0] / m);
    return (uint64_t)llround(ALPHA_INFINITE * m * m / z);
}

bool kpid_hll_exact(const struct kpid_hll *hll)
{
    return hll->registers == NULL;
}

size_t kpid_hll_bytes(const struct kpid_hll *hll)
{
    return hll->registers != NULL ? REGISTER_BYTES : hll->cap * sizeof(uint64_t);
}

/* Insertion: home slots follow the hashes' order, so hardly any is out of its place. */
static void hashes_sort(uint64_t *hashes, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t hash = hashes[i];
        size_t at = i;
        for (; at > 0 && hashes[at - 1] > hash; at--)
            hashes[at] = hashes[at - 1];
        hashes[at] = hash;
    }
}

void kpid_hll_pack(const struct kpid_hll *hll, struct kpid_buf *out)
{
    if (hll->registers != NULL) {
        kpid_pack_u64(out, PACK_DENSE);
        kpid_buf_add(out, hll->registers, REGISTER_BYTES);
        return;
    }
    uint64_t sorted[KPID_HLL_EXACT_MAX];
    size_t n = 0;
    if (hll->has_zero)
        sorted[n++] = 0;
    for (uint32_t i = 0; i < hll->cap; i++) {
        if (hll->hashes[i] != 0)
            sorted[n++] = hll->hashes[i];
    }
    hashes_sort(sorted, n);
    kpid_pack_u64(out, PACK_SPARSE);
    kpid_pack_u64(out, n);
    for (size_t i = 0; i < n; i++)
        kpid_pack_fixed64(out, sorted[i]);
}

static bool dense_unpack(struct kpid_hll *hll, struct kpid_unpack *in)
{
    if (in->bad || in->end - in->at < REGISTER_BYTES)
        return false;
    for (unsigned i = 0; i < REGISTERS; i++) {
        if (register_get(in->at, i) > RANK_MAX)
            return false;
    }
    hll->registers = kpid_alloc(REGISTER_BYTES);
    memcpy(hll->registers, in->at, REGISTER_BYTES);
    in->at += REGISTER_BYTES;
    return true;
}

bool kpid_hll_unpack(struct kpid_hll *ret, struct kpid_unpack *in)
{
    struct kpid_hll hll = {0};
    uint64_t kind = kpid_unpack_u64(in);
    bool good = !in->bad && kind <= PACK_DENSE;
    if (good && kind == PACK_DENSE) {
        good = dense_unpack(&hll, in);
    } else if (good) {
        uint64_t n = kpid_unpack_u64(in), before = 0;
        good = !in->bad && n <= KPID_HLL_EXACT_MAX;
        for (uint64_t i = 0; good && i < n; i++) {
            uint64_t hash = kpid_unpack_fixed64(in);
            good = !in->bad && (i == 0 || hash > before);
            before = hash;
            if (good)
                kpid_hll_add(&hll, hash);
        }
    }
    if (!good) {
        in->bad = true;
        kpid_hll_release(&hll);
        return false;
    }
    *ret = hll;
    return true;
}

void kpid_hll_redis(const struct kpid_hll *hll, struct kpid_buf *out)
{
    static const char header[8] = "HYLL"; /* encoding 0: dense; three bytes not used */
    struct kpid_hll dense = {0};
    uint64_t figure = kpid_hll_estimate(hll);
    kpid_buf_add(out, header, sizeof header);
    for (unsigned i = 0; i < 8; i++)
        kpid_buf_add_char(out, (char)(figure >> 8 * i & 0xff));
    if (!hll->registers) {
        dense.registers = kpid_zalloc(1, REGISTER_BYTES);
        kpid_hll_merge(&dense, hll);
    }
    kpid_buf_add(out, hll->registers ? hll->registers : dense.registers, REGISTER_BYTES);
    kpid_hll_release(&dense);
}
