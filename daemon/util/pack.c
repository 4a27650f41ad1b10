/* The byte format of stored state, see kpid/pack.h. */
#include "kpid/pack.h"

#define VARINT_U64_MAX  10 /* bytes: 64 bits by 7 */
#define VARINT_U128_MAX 19 /* 128 bits by 7 */

void kpid_pack_u64(struct kpid_buf *buf, uint64_t value)
{
    kpid_buf_reserve(buf, VARINT_U64_MAX);
    char *at = buf->data + buf->len;
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(unsigned char)(value | 0x80);
    *at++ = (char)value;
    *at = '\0';
    buf->len = (size_t)(at - buf->data);
}

void kpid_pack_i64(struct kpid_buf *buf, int64_t value)
{
    kpid_pack_u64(buf, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void kpid_pack_i128(struct kpid_buf *buf, kpid_i128 value)
{
    kpid_u128 zigzag = ((kpid_u128)value << 1) ^ (value < 0 ? ~(kpid_u128)0 : 0);
    char bytes[VARINT_U128_MAX];
    size_t n = 0;
    for (; zigzag >= 0x80; zigzag >>= 7)
        bytes[n++] = (char)(unsigned char)((uint64_t)zigzag | 0x80);
    bytes[n++] = (char)zigzag;
    kpid_buf_add(buf, bytes, n);
}

void kpid_pack_fixed64(struct kpid_buf *buf, uint64_t value)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    kpid_buf_add(buf, bytes, sizeof(bytes));
}

void kpid_pack_bytes(struct kpid_buf *buf, const void *bytes, size_t len)
{
    kpid_pack_u64(buf, len);
    kpid_buf_add(buf, bytes, len);
}

void kpid_unpack_init(struct kpid_unpack *in, const void *bytes, size_t len)
{
    in->at = bytes;
    in->end = in->at != NULL ? in->at + len : NULL;
    in->bad = in->at == NULL && len > 0;
}

/* One varint of at most `bits` bits; more is a fault, as is the end of the input. */
static inline kpid_u128 unpack_varint(struct kpid_unpack *in, unsigned bits)
{
    kpid_u128 value = 0;
    if (in->bad)
        return 0;
    for (unsigned shift = 0; shift < bits && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        if (shift + 7 > bits && (byte & 0x7f) >> (bits - shift) != 0)
            break;
        value |= (kpid_u128)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->bad = true;
    return 0;
}

uint64_t kpid_unpack_u64(struct kpid_unpack *in)
{
    if (in->at < in->end && *in->at < 0x80 && !in->bad)
        return *in->at++;
    return (uint64_t)unpack_varint(in, 64);
}

int64_t kpid_unpack_i64(struct kpid_unpack *in)
{
    uint64_t zigzag = kpid_unpack_u64(in);
    return (int64_t)((zigzag >> 1) ^ ((zigzag & 1) != 0 ? UINT64_MAX : 0));
}

kpid_i128 kpid_unpack_i128(struct kpid_unpack *in)
{
    kpid_u128 zigzag = unpack_varint(in, 128);
    return (kpid_i128)((zigzag >> 1) ^ ((zigzag & 1) != 0 ? ~(kpid_u128)0 : 0));
}

uint64_t kpid_unpack_fixed64(struct kpid_unpack *in)
{
    if (in->bad || in->end - in->at < 8) {
        in->bad = true;
        return 0;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)in->at[i] << (8 * i);
    in->at += 8;
    return value;
}

const char *kpid_unpack_bytes(struct kpid_unpack *in, size_t *ret_len)
{
    uint64_t len = kpid_unpack_u64(in);
    *ret_len = 0;
    if (in->bad || len > (uint64_t)(in->end - in->at)) {
        in->bad = true;
        return NULL;
    }
    const char *bytes = (const char *)in->at;
    in->at += len;
    *ret_len = (size_t)len;
    return bytes;
}

bool kpid_unpack_done(const struct kpid_unpack *in)
{
    return !in->bad && in->at == in->end;
}
