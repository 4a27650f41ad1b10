/* Damage of every sort: the reason is right, nothing is read behind the bytes, and the decoder goes on. */
#include "test_decode_kit.h"

#include <criterion/criterion.h>

#define ENVELOPE "\"type\":\"order.paid\",\"ts\":1700000000000"

static struct pack pack;

static enum kpid_reason decode_text(struct kit *kit, const char *text)
{
    return kit_decode(kit, text, strlen(text));
}

Test(decode_fault, json)
{
    static const struct {
        const char *text;
        enum kpid_reason reason;
    } cases[] = {
        { "", KPID_REASON_EMPTY },
        { " ", KPID_REASON_FORMAT },
        { "[1]", KPID_REASON_FORMAT },
        { "x", KPID_REASON_FORMAT },
        { "\xef\xbb\xbf{}", KPID_REASON_FORMAT },
        { "{", KPID_REASON_SYNTAX },
        { "{\"type\"", KPID_REASON_SYNTAX },
        { "{\"type\":", KPID_REASON_SYNTAX },
        { "{" ENVELOPE, KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",,}", KPID_REASON_SYNTAX },
        { "{," ENVELOPE "}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE "]", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",1:2}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\" 1}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\"::1}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\":1 2}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE " \"any\":1}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\":\"a}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\":\"a\nb\"}", KPID_REASON_SYNTAX },
        { "{" ENVELOPE ",\"any\":\"\xff\"}", KPID_REASON_UTF8 },
        { "{" ENVELOPE ",\"\xc0\x80\":1}", KPID_REASON_UTF8 },
        { "{" ENVELOPE ",\"any\":\"\xed\xa0\x80\"}", KPID_REASON_UTF8 },
        { "{" ENVELOPE "}}", KPID_REASON_TRAILING },
        { "{" ENVELOPE "}1", KPID_REASON_TRAILING },
        { "{" ENVELOPE "} {}", KPID_REASON_TRAILING },
        { "{\"ts\":1}", KPID_REASON_NO_TYPE },
        { "{\"type\":null,\"ts\":1}", KPID_REASON_NO_TYPE },
        { "{\"type\":1,\"ts\":1}", KPID_REASON_NO_TYPE },
        { "{\"type\":{},\"ts\":1}", KPID_REASON_NO_TYPE },
        { "{\"type\":\"a\"}", KPID_REASON_NO_TIME },
        { "{\"type\":\"a\",\"ts\":null}", KPID_REASON_NO_TIME },
        { "{\"type\":\"a\",\"ts\":\"now\"}", KPID_REASON_BAD_TIME },
        { "{\"type\":\"a\",\"ts\":-1}", KPID_REASON_TIME_RANGE },
        { "{\"type\":\"a\",\"ts\":7289654400000}", KPID_REASON_TIME_RANGE },
        { "{\"type\":\"a\",\"ts\":1,\"id\":1.5}", KPID_REASON_BAD_ID },
        { "{\"type\":\"a\",\"ts\":1,\"id\":1e3}", KPID_REASON_BAD_ID },
        { "{\"type\":\"a\",\"ts\":1,\"id\":true}", KPID_REASON_BAD_ID },
        { "{\"type\":\"a\",\"ts\":1,\"id\":[]}", KPID_REASON_BAD_ID },
    };
    struct kit kit;
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_event before = kit.event;
        cr_assert_eq(decode_text(&kit, cases[i].text), cases[i].reason, "%s: %s", cases[i].text,
                     kpid_reason_name(decode_text(&kit, cases[i].text)));
        cr_assert_eq(memcmp(&before, &kit.event, sizeof(before)), 0);
        cr_assert_eq(decode_text(&kit, "{" ENVELOPE "}"), KPID_REASON_NONE);
    }
    kit_release(&kit);
}

/* A value is checked whether a field wants it ("any", "str") or not, alone or inside of a list. */
Test(decode_fault, json_values)
{
    static const char *const values[] = {
        "", "-", "+1", "01", "-01", "1.", ".5", "1.e3", "1e", "1e+", "0x10", "1_000", "1a", "1\"a\"", "--1",
        "1.5.2", "NaN", "Infinity", "tru", "true1", "truefalse", "nul", "nulll", "True", "fals", "'a'", "a",
        "\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
        "\"\\ud800\\\"", "[1,]", "[,1]", "[1 2]", "[", "[}", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{\"\\x\":1}", "\"a\"b", "\"a\"\"b\"", "1\x01",
    };
    static const char *const frames[] = {
        "{" ENVELOPE ",\"any\":%s}", "{" ENVELOPE ",\"str\":%s}", "{" ENVELOPE ",\"skip\":%s}",
        "{\"skip\":[%s,1]," ENVELOPE "}", "{\"skip\":{\"x\":%s , \"y\":2}," ENVELOPE "}",
    };
    struct kit kit;
    char text[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
        for (size_t j = 0; j < KPID_COUNT_OF(frames); j++) {
            snprintf(text, sizeof(text), frames[j], values[i]);
            cr_assert_eq(decode_text(&kit, text), KPID_REASON_SYNTAX, "%s: %s", text,
                         kpid_reason_name(decode_text(&kit, text)));
        }
    }
    cr_assert_eq(kit_decode(&kit, "{" ENVELOPE ",\"any\":1\0}", sizeof("{" ENVELOPE ",\"any\":1\0}") - 1),
                 KPID_REASON_SYNTAX);
    kit_release(&kit);
}

Test(decode_fault, depth)
{
    static const char *const keys[] = { "a", "skip" };
    struct kit kit;
    char text[2048];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t k = 0; k < KPID_COUNT_OF(keys); k++) {
        for (int list = 0; list < 2; list++) {
            for (int depth = 30; depth < 40; depth++) {
                size_t n = (size_t)sprintf(text, "{" ENVELOPE ",\"%s\":", keys[k]);
                for (int i = 1; i < depth; i++)
                    n += (size_t)sprintf(text + n, list ? "[" : i == depth - 1 ? "{" : "{\"b\":");
                for (int i = 1; i < depth; i++)
                    text[n++] = list ? ']' : '}';
                text[n++] = '}';
                text[n] = '\0';
                enum kpid_reason expected = depth <= 32 ? KPID_REASON_NONE : KPID_REASON_DEPTH;
                cr_assert_eq(kit_decode(&kit, text, n), expected, "%d %s", depth, text);
                pack.n = 0;
                pack_json(&pack, text);
                cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), expected, "packed %d", depth);
            }
        }
    }
    kit_release(&kit);
}

Test(decode_fault, msgpack)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum kpid_reason reason;
    } cases[] = {
        { "\x90", 1, KPID_REASON_FORMAT },
        { "\xc0", 1, KPID_REASON_FORMAT },
        { " \x80", 2, KPID_REASON_FORMAT },
        { "\x80", 1, KPID_REASON_NO_TYPE },
        { "\x80\x00", 2, KPID_REASON_TRAILING },
        { "\x81", 1, KPID_REASON_SYNTAX },
        { "\x81\xa1", 2, KPID_REASON_SYNTAX },
        { "\x81\xa1x\xc1", 4, KPID_REASON_SYNTAX },
        { "\x81\xa1x\xdf\xff\xff\xff\xff", 8, KPID_REASON_SYNTAX },
        { "\x81\xa1x\xdd\xff\xff\xff\xff\x01", 9, KPID_REASON_SYNTAX },
        { "\x81\xa1x\xdb\xff\xff\xff\xff\x01", 9, KPID_REASON_SYNTAX },
        { "\x81\xa1x\xc9\xff\xff\xff\xff\x01", 9, KPID_REASON_SYNTAX },
        { "\xdf\xff\xff\xff\xff\xa1x\x01", 8, KPID_REASON_SYNTAX },
        { "\xde\x00\x01\xa4type\xc0", 9, KPID_REASON_NO_TYPE },
        { "\xdf\x00\x00\x00\x01\xa4type\xa1x", 12, KPID_REASON_NO_TIME },
        { "\x81\xa4type\xa1\xff", 8, KPID_REASON_UTF8 },
        { "\x82\xa4type\xc4\x01\xff\xa2ts\x01", 13, KPID_REASON_NO_TYPE },
        { "\x82\xa4type\xa1x\xa2ts\xc3", 12, KPID_REASON_BAD_TIME },
        { "\x82\xa4type\xa1x\xa2ts\xc0", 12, KPID_REASON_NO_TIME },
        { "\x82\xa4type\xa1x\xa2ts\xff", 12, KPID_REASON_TIME_RANGE },
        { "\x82\xa4type\xa1x\xa2ts\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 20, KPID_REASON_TIME_RANGE },
        { "\x83\xa4type\xa1x\xa2ts\x01\xa2id\xc2", 16, KPID_REASON_BAD_ID },
        { "\x83\xa4type\xa1x\xa2ts\x01\xa2id\x80", 16, KPID_REASON_BAD_ID },
        { "\x83\xa4type\xa1x\xa2ts\x01\xa2id\xca\x3f\x80\x00\x00", 20, KPID_REASON_BAD_ID },
    };
    struct kit kit;
    kit_init(&kit);
    kit_open(&kit);
    cr_assert_eq(kpid_decode(kit.decoder, NULL, 0, &kit.event), KPID_REASON_EMPTY);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        enum kpid_reason reason = kit_decode(&kit, cases[i].bytes, cases[i].len);
        cr_assert_eq(reason, cases[i].reason, "%zu: %s", i, kpid_reason_name(reason));
    }
    kit_release(&kit);
}

/* A source that says its format takes no other. */
Test(decode_fault, format)
{
    struct kit kit;
    kit_init(&kit);
    pack_event(&pack, 0);
    for (uint8_t format = KPID_FORMAT_AUTO; format <= KPID_FORMAT_MSGPACK; format++) {
        kit.source.format = format;
        kit_open(&kit);
        cr_assert_eq(decode_text(&kit, "{" ENVELOPE "}"),
                     format == KPID_FORMAT_MSGPACK ? KPID_REASON_FORMAT : KPID_REASON_NONE);
        cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n),
                     format == KPID_FORMAT_JSON ? KPID_REASON_FORMAT : KPID_REASON_NONE);
    }
    kit_release(&kit);
}

/* max_string_bytes: the message's fault in its envelope, the field's elsewhere; 0 is no limit. */
Test(decode_fault, long_strings)
{
    static const struct {
        const char *key;
        enum kpid_reason reason;
        const char *shown;
    } cases[] = {
        { "type", KPID_REASON_TOO_LARGE, NULL }, { "id", KPID_REASON_TOO_LARGE, NULL },
        { "ts", KPID_REASON_BAD_TIME, NULL }, { "any", KPID_REASON_NONE, "faulty:too_large" },
        { "num", KPID_REASON_NONE, "faulty:too_large" }, { "skip", KPID_REASON_NONE, "-" },
    };
    struct kit kit;
    char text[512], shown[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        size_t slot = strcmp(cases[i].key, "num") == 0 ? KIT_NUM : KIT_ANY;
        for (int len = 64; len <= 65; len++) {
            snprintf(text, sizeof(text), "{" ENVELOPE ",\"%s\":\"%0*d\"}", cases[i].key, len, 7);
            for (int packed = 0; packed < 2; packed++) {
                pack.n = 0;
                pack_json(&pack, text);
                enum kpid_reason reason =
                    packed ? kit_decode(&kit, pack.bytes, pack.n) : decode_text(&kit, text);
                bool fits = len == 64 && cases[i].reason == KPID_REASON_TOO_LARGE;
                if (strcmp(cases[i].key, "ts") != 0)
                    cr_assert_eq(reason, fits ? KPID_REASON_NONE : cases[i].reason, "%s", text);
                if (len == 65 && cases[i].shown)
                    cr_assert_str_eq(kit_show(&kit, slot, shown), cases[i].shown, "%s: %s", text, shown);
            }
        }
    }
    kit.source.max_string_bytes = 0;
    kit_open(&kit);
    snprintf(text, sizeof(text), "{" ENVELOPE ",\"any\":\"%0*d\"}", 300, 7);
    cr_assert_eq(decode_text(&kit, text), KPID_REASON_NONE);
    cr_assert_eq(kit.event.values[KIT_ANY].len, 300);
    kit_release(&kit);
}

static const char sample[] =
    "{\"type\":\"OrderPaid\", \"ts\":\"2023-11-14T22:13:20.5Z\",\"id\":17,\"any\":12.34,\"num\":\"5\","
    "\"rnd\":1.005,\"str\":-7,\"when\":1700000000000,\"flag\":true,\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}},"
    "\"skip\":[1,{\"y\":null}],"
    "\"a_name_that_is_longer_than_sixteen\":\"\xe4\xbb\xb7\",\"twice\":false,\"long\":"
    "\"a string that has more than thirty-two bytes in it\",\"\":3,\"fine\":0.000000000000000001}";

/* Cut at every byte: never whole, always a reason that says so. */
Test(decode_fault, truncation)
{
    struct kit kit;
    kit_init(&kit);
    kit_open(&kit);
    pack.n = 0;
    pack_json(&pack, sample);
    cr_assert_eq(decode_text(&kit, sample), KPID_REASON_NONE);
    cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), KPID_REASON_NONE);
    for (size_t n = 1; n < sizeof(sample) - 1; n++)
        cr_assert_eq(kit_decode(&kit, sample, n), KPID_REASON_SYNTAX, "%zu", n);
    for (size_t n = 1; n < pack.n; n++)
        cr_assert_eq(kit_decode(&kit, pack.bytes, n), KPID_REASON_SYNTAX, "%zu", n);
    kit_release(&kit);
}

/* Every byte replaced by every other: whatever comes of it, the decoder then reads the whole one. */
Test(decode_fault, replaced_bytes)
{
    struct kit kit;
    char shown[256];
    kit_init(&kit);
    kit_open(&kit);
    pack.n = 0;
    pack_json(&pack, sample);
    for (int packed = 0; packed < 2; packed++) {
        size_t len = packed ? pack.n : sizeof(sample) - 1;
        uint8_t *bytes = malloc(len);
        memcpy(bytes, packed ? (const void *)pack.bytes : sample, len);
        for (size_t i = 0; i < len; i++) {
            uint8_t was = bytes[i];
            for (unsigned b = 0; b < 256; b++) {
                bytes[i] = (uint8_t)b;
                enum kpid_reason reason = kit_decode(&kit, bytes, len);
                cr_assert(reason < KPID_REASON_N);
            }
            bytes[i] = was;
        }
        cr_assert_eq(kit_decode(&kit, bytes, len), KPID_REASON_NONE);
        cr_assert_str_eq(kit_show(&kit, KIT_ACD, shown), "s:x");
        free(bytes);
    }
    kit_release(&kit);
}
