/*
 * The byte format of stored state: little-endian base-128 varints (zig-zag for signed), length-prefixed bytes.
 * Writing appends to a kpid_buf and can't fail. Reading works over borrowed bytes with a sticky error: after the
 * first fault every read returns 0 and `bad` stays true, so a reader checks once at its end.
 */
#ifndef KPID_PACK_H
#define KPID_PACK_H

#include "kpid/buf.h"

void kpid_pack_u64(struct kpid_buf *buf, uint64_t value);
void kpid_pack_i64(struct kpid_buf *buf, int64_t value);
void kpid_pack_i128(struct kpid_buf *buf, kpid_i128 value);
void kpid_pack_fixed64(struct kpid_buf *buf, uint64_t value); /* 8 bytes, for hashes and doubles' bits */
void kpid_pack_bytes(struct kpid_buf *buf, const void *bytes, size_t len);

struct kpid_unpack {
    const uint8_t *at, *end;
    bool bad;
};

void kpid_unpack_init(struct kpid_unpack *in, const void *bytes, size_t len);
uint64_t kpid_unpack_u64(struct kpid_unpack *in);
int64_t kpid_unpack_i64(struct kpid_unpack *in);
kpid_i128 kpid_unpack_i128(struct kpid_unpack *in);
uint64_t kpid_unpack_fixed64(struct kpid_unpack *in);
/* Borrowed from the input; NULL and *ret_len = 0 when bad. */
const char *kpid_unpack_bytes(struct kpid_unpack *in, size_t *ret_len);
bool kpid_unpack_done(const struct kpid_unpack *in); /* all read and not bad */

#endif
