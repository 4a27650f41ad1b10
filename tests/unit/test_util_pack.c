/* The byte format: what was written is read back, and damage is noticed at every byte. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/pack.h"

Test(pack, reads_back_what_was_written)
{
    static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, 1ULL << 63, UINT64_MAX };
    struct kpid_buf buf = KPID_BUF_INIT;
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        kpid_pack_u64(&buf, values[i]);
        kpid_pack_i64(&buf, (int64_t)values[i]);
        kpid_pack_i64(&buf, -(int64_t)(values[i] >> 1));
        kpid_pack_i128(&buf, (kpid_i128)(((kpid_u128)values[i] << 64) | values[i]));
        kpid_pack_i128(&buf, -(kpid_i128)values[i]);
        kpid_pack_fixed64(&buf, values[i]);
        kpid_pack_bytes(&buf, "abc", i % 4);
    }
    struct kpid_unpack in;
    kpid_unpack_init(&in, buf.data, buf.len);
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        cr_assert_eq(kpid_unpack_u64(&in), values[i]);
        cr_assert_eq(kpid_unpack_i64(&in), (int64_t)values[i]);
        cr_assert_eq(kpid_unpack_i64(&in), -(int64_t)(values[i] >> 1));
        cr_assert(kpid_unpack_i128(&in) == (kpid_i128)(((kpid_u128)values[i] << 64) | values[i]));
        cr_assert(kpid_unpack_i128(&in) == -(kpid_i128)values[i]);
        cr_assert_eq(kpid_unpack_fixed64(&in), values[i]);
        size_t len;
        const char *bytes = kpid_unpack_bytes(&in, &len);
        cr_assert(len == i % 4 && memcmp(bytes, "abc", len) == 0);
        cr_assert_eq(kpid_unpack_done(&in), i + 1 == KPID_COUNT_OF(values));
    }
    kpid_unpack_u64(&in);
    cr_assert(in.bad && !kpid_unpack_done(&in));
    kpid_buf_release(&buf);
}

Test(pack, small_numbers_take_one_byte)
{
    struct kpid_buf buf = KPID_BUF_INIT;
    kpid_pack_u64(&buf, 127);
    kpid_pack_i64(&buf, -64);
    kpid_pack_i128(&buf, 63);
    cr_assert_eq(buf.len, 3);
    cr_assert_eq(memcmp(buf.data, "\x7f\x7f\x7e", 3), 0);
    kpid_buf_clear(&buf);
    kpid_pack_u64(&buf, 300);
    kpid_pack_fixed64(&buf, 0x0102030405060708ULL);
    cr_assert(buf.len == 10 && memcmp(buf.data, "\xac\x02\x08\x07\x06\x05\x04\x03\x02\x01", 10) == 0);
    kpid_buf_release(&buf);
}

Test(pack, notices_what_is_cut_short_or_too_long)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = { { "", 0 }, { "\x80", 1 }, { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 },
                { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 11 } };
    for (size_t i = 0; i < KPID_COUNT_OF(bad); i++) {
        struct kpid_unpack in;
        kpid_unpack_init(&in, bad[i].bytes, bad[i].len);
        cr_assert_eq(kpid_unpack_u64(&in), 0, "row %zu", i);
        cr_assert(in.bad);
        cr_assert_eq(kpid_unpack_fixed64(&in), 0);
        size_t len = 9;
        cr_assert_null(kpid_unpack_bytes(&in, &len));
        cr_assert_eq(len, 0);
        cr_assert_not(kpid_unpack_done(&in));
    }
    struct kpid_unpack in;
    size_t len = 9;
    kpid_unpack_init(&in, "\x05" "abcd", 5);
    cr_assert_null(kpid_unpack_bytes(&in, &len));
    cr_assert(in.bad && len == 0);
    kpid_unpack_init(&in, "1234567", 7);
    cr_assert_eq(kpid_unpack_fixed64(&in), 0);
    cr_assert(in.bad);
    kpid_unpack_init(&in, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x04", 19);
    cr_assert(kpid_unpack_i128(&in) == 0 && in.bad);
}
