/* MessagePack: what JSON has no word for. That both formats give the same is in test_decode_json.c. */
#include "test_decode_kit.h"

#include <criterion/criterion.h>

#include <math.h>

static struct pack pack;

static const char *decode_shown(struct kit *kit, size_t slot, char shown[256])
{
    cr_assert_eq(kit_decode(kit, pack.bytes, pack.n), KPID_REASON_NONE);
    return kit_show(kit, slot, shown);
}

/* Every width of integer that holds a value, and what a text field makes of it. */
Test(decode_msgpack, integers)
{
    static const int64_t values[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296,
                                      INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,
                                      -2147483649, INT64_MIN };
    struct kit kit;
    char shown[256], expected[64];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        for (unsigned width = 0; width < 8; width++) {
            int64_t value = values[i];
            unsigned bits = 8u << (width & 3);
            bool is_signed = width >= 4;
            int64_t half = bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
            if (is_signed ? value > half || value < -half - 1 : value < 0 || (value >> 1) > half)
                continue;
            for (size_t slot = KIT_ANY; slot <= KIT_STR; slot += KIT_STR - KIT_ANY) {
                pack_event(&pack, 1);
                pack_str(&pack, slot == KIT_ANY ? "any" : "str");
                pack_byte(&pack, (is_signed ? 0xd0 : 0xcc) + (width & 3));
                pack_big_endian(&pack, (uint64_t)value, (int)bits / 8);
                char kind = slot == KIT_ANY ? 'n' : 's';
                snprintf(expected, sizeof(expected), "%c:%lld", kind, (long long)value);
                cr_assert_str_eq(decode_shown(&kit, slot, shown), expected, "%s", shown);
            }
        }
    }
    kit_release(&kit);
}

Test(decode_msgpack, the_largest_integer)
{
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    pack_event(&pack, 2);
    pack_str(&pack, "fine"), pack_byte(&pack, 0xcf), pack_big_endian(&pack, UINT64_MAX, 8);
    pack_str(&pack, "id"), pack_byte(&pack, 0xcf), pack_big_endian(&pack, UINT64_MAX, 8);
    cr_assert_str_eq(decode_shown(&kit, KIT_FINE, shown), "n:18446744073709551615");
    cr_assert_str_eq(kit_show(&kit, KPID_SLOT_ID, shown), "s:18446744073709551615");
    kit_release(&kit);
}

/* A binary number is its shortest round-trip decimal; a float its own, not the double's. */
Test(decode_msgpack, reals)
{
    static const struct {
        double value;
        bool single;
        const char *number, *text;
    } cases[] = {
        { 0.1, false, "n:0.1", "s:0.1" },
        { 0.1, true, "n:0.1", "s:0.1" },
        { 12345.67, true, "n:12345.67", "s:12345.67" },
        { 16777216, true, "n:16777216", "s:16777216" },
        { 3.4028234663852886e38, true, "faulty:too_large", NULL },
        { 1.17549435e-38, true, "faulty:too_fine", NULL },
        { 0.30000000000000004, false, "n:0.30000000000000004", "s:0.30000000000000004" },
        { 9007199254740993.0, false, "n:9007199254740992", "s:9007199254740992" },
        { -2.5, false, "n:-2.5", "s:-2.5" },
        { 1e15, false, "n:1000000000000000", NULL },
        { (double)INFINITY, false, "faulty:too_large", "faulty:too_large" },
        { -(double)INFINITY, true, "faulty:too_large", "faulty:too_large" },
        { (double)NAN, false, "faulty:too_large", "faulty:too_large" },
        { (double)NAN, true, "faulty:too_large", "faulty:too_large" },
    };
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        pack_event(&pack, 2);
        for (int j = 0; j < 2; j++) {
            pack_str(&pack, j ? "str" : "fine");
            if (cases[i].single)
                pack_float(&pack, (float)cases[i].value);
            else
                pack_double(&pack, cases[i].value);
        }
        cr_assert_str_eq(decode_shown(&kit, KIT_FINE, shown), cases[i].number, "%zu: %s", i, shown);
        if (cases[i].text)
            cr_assert_str_eq(kit_show(&kit, KIT_STR, shown), cases[i].text, "%zu: %s", i, shown);
    }
    kit_release(&kit);
}

/* The fast way to a float's decimal against the plain one: the first %.Ng that reads back. */
Test(decode_msgpack, floats_are_shortest)
{
    struct kit kit;
    uint64_t seed = 7;
    kit_init(&kit);
    kit_open(&kit);
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        float value = (float)((double)(seed >> 36) / (i % 2 ? 1e9 : 16000));
        char text[64];
        for (int digits = 1; digits <= 9; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, (double)value);
            if (strtof(text, NULL) == value)
                break;
        }
        kpid_i128 expected;
        enum kpid_decimal_status status =
            kpid_decimal_parse(text, strlen(text), KPID_SCALE_MAX, false, &expected);
        cr_assert_eq(status, KPID_DECIMAL_OK);
        pack_event(&pack, 1);
        pack_str(&pack, "fine");
        pack_float(&pack, value);
        cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), KPID_REASON_NONE);
        cr_assert(kit.event.values[KIT_FINE].number == expected, "%s", text);
    }
    kit_release(&kit);
}

Test(decode_msgpack, bytes)
{
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    pack_event(&pack, 4);
    pack_str(&pack, "any");
    pack_byte(&pack, 0xc4), pack_byte(&pack, 3), pack_bytes(&pack, "abc", 3);
    pack_str(&pack, "str");
    pack_byte(&pack, 0xc4), pack_byte(&pack, 2), pack_bytes(&pack, "\xff\xfe", 2);
    pack_str(&pack, "id");
    pack_byte(&pack, 0xc4), pack_byte(&pack, 2), pack_bytes(&pack, "\xff\xfe", 2);
    pack_byte(&pack, 0xc4), pack_byte(&pack, 3), pack_bytes(&pack, "num", 3); /* also as a key */
    pack_byte(&pack, 0xd9), pack_byte(&pack, 2), pack_bytes(&pack, "42", 2);
    cr_assert_str_eq(decode_shown(&kit, KIT_ANY, shown), "s:abc");
    cr_assert_str_eq(kit_show(&kit, KIT_STR, shown), "faulty:utf8");
    cr_assert_str_eq(kit_show(&kit, KPID_SLOT_ID, shown), "s:\xff\xfe");
    cr_assert_str_eq(kit_show(&kit, KIT_NUM, shown), "n:42");
    kit_release(&kit);
}

/* Keys that are no strings match nothing, whatever they hold. */
Test(decode_msgpack, other_keys)
{
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    pack_event(&pack, 5);
    pack_int(&pack, 7), pack_int(&pack, 1);
    pack_byte(&pack, 0xc0), pack_map(&pack, 1), pack_str(&pack, "any"), pack_int(&pack, 2);
    pack_map(&pack, 1), pack_str(&pack, "any"), pack_int(&pack, 3); /* a map as a key, */
    pack_map(&pack, 1), pack_str(&pack, "b"), pack_int(&pack, 4);   /* and one as its value */
    pack_byte(&pack, 0x91), pack_str(&pack, "any"), pack_int(&pack, 5);
    pack_str(&pack, "a"), pack_map(&pack, 2), pack_byte(&pack, 0x80), pack_byte(&pack, 0x80);
    pack_str(&pack, "b"), pack_int(&pack, 6);
    cr_assert_str_eq(decode_shown(&kit, KIT_ANY, shown), "-");
    cr_assert_str_eq(kit_show(&kit, KIT_AB, shown), "n:6");
    cr_assert_str_eq(kit_show(&kit, KIT_NUM, shown), "-");
    kit_release(&kit);
}

Test(decode_msgpack, extensions)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *when, *any;
    } cases[] = {
        { "\xd6\xff\x65\x53\xf1\x00", 6, "n:1700000000000", "other" },
        { "\xd7\xff\x1d\xcd\x65\x00\x65\x53\xf1\x00", 10, "n:1700000000125", "other" },
        { "\xc7\x0c\xff\x1d\xcd\x65\x00\xff\xff\xff\xff\xff\xff\xff\xff", 15, "n:-500", "other" },
        { "\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x00\x00\x00\x00", 15, "faulty:bad_time", "other" },
        { "\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", 15, "faulty:time_range", "other" },
        { "\xd6\x01\x65\x53\xf1\x00", 6, "faulty:bad_time", "other" },
        { "\xd5\xff\x65\x53", 4, "faulty:bad_time", "other" },
        { "\xc7\x00\xff", 3, "faulty:bad_time", "other" },
    };
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        pack_event(&pack, 2);
        pack_str(&pack, "when"), pack_bytes(&pack, cases[i].bytes, cases[i].len);
        pack_str(&pack, "any"), pack_bytes(&pack, cases[i].bytes, cases[i].len);
        cr_assert_str_eq(decode_shown(&kit, KIT_WHEN, shown), cases[i].when, "%zu: %s", i, shown);
        cr_assert_str_eq(kit_show(&kit, KIT_ANY, shown), cases[i].any);
    }
    kit_release(&kit);
}
