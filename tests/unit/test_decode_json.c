/* JSON: every kind of field, exact decimals, nesting, duplicates, escapes; MessagePack gives the same. */
#include "test_decode_kit.h"

#include <criterion/criterion.h>

#define ENVELOPE "\"type\":\"order.paid\",\"ts\":1700000000000"

static enum kpid_reason decode_text(struct kit *kit, const char *text)
{
    return kit_decode(kit, text, strlen(text));
}

Test(decode_json, envelope)
{
    static const struct {
        const char *text, *type, *ts, *id;
        uint32_t type_id;
    } cases[] = {
        { "{\"type\":\"order.paid\",\"ts\":1700000000000,\"id\":\"a\"}",
          "s:order.paid", "n:1700000000000", "s:a", 2 },
        { " {\r\n\t\"id\" : 17 , \"ts\" : \"2023-11-14T22:13:20Z\" , \"type\" : \"order.created\" } \n",
          "s:order.created", "n:1700000000000", "s:17", 1 },
        { "{\"type\":\"OrderPaid\",\"ts\":\"1700000000000\",\"id\":-5}",
          "s:order.paid", "n:1700000000000", "s:-5", 2 },
        { "{\"type\":\"Other\",\"ts\":0,\"id\":null}", "s:unknown.type", "n:0", "-", 0 },
        { "{\"type\":\"x\",\"ts\":7289654399999}", "s:order.created", "n:7289654399999", "-", 1 },
        { "{\"type\":\"order.paidx\",\"ts\":1,\"id\":123456789012345678901234567890}", "s:order.paidx", "n:1",
          "s:123456789012345678901234567890", 0 },
        { "{\"type\":\"\",\"ts\":1,\"id\":\"\"}", "s:", "n:1", "s:", 0 },
        { "{\"type\":\"a\",\"ts\":1.7e12,\"id\":-0}", "s:a", "n:1700000000000", "s:0", 0 },
    };
    struct kit kit;
    char text[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        cr_assert_eq(decode_text(&kit, cases[i].text), KPID_REASON_NONE, "%s", cases[i].text);
        cr_assert_eq(kit.event.type_id, cases[i].type_id, "%s", cases[i].text);
        cr_assert_eq(kit.event.n_values, KIT_N);
        cr_assert_str_eq(kit_show(&kit, KPID_SLOT_TYPE, text), cases[i].type);
        cr_assert_str_eq(kit_show(&kit, KPID_SLOT_TS, text), cases[i].ts);
        cr_assert_str_eq(kit_show(&kit, KPID_SLOT_ID, text), cases[i].id);
        cr_assert_eq(kit.event.ts_ms, (int64_t)kit.event.values[KPID_SLOT_TS].number);
    }
    kit_release(&kit);
}

struct field_case {
    const char *items; /* after the envelope */
    size_t slot;
    const char *expected;
    bool json_only; /* a double can't hold it, or it has escapes */
};

static const struct field_case field_cases[] = {
    { "\"any\":0.1", KIT_ANY, "n:0.1", false },
    { "\"any\":1e3", KIT_ANY, "n:1000", false },
    { "\"any\":-0.00", KIT_ANY, "n:0", false },
    { "\"any\":1.25E-2", KIT_ANY, "n:0.0125", false },
    { "\"any\":-12.340000000", KIT_ANY, "n:-12.34", false },
    { "\"any\":12345678901234567890.123", KIT_ANY, "n:12345678901234567890.123", true },
    { "\"any\":123456789012345678", KIT_ANY, "n:123456789012345678", false },
    { "\"any\":0.0000001", KIT_ANY, "faulty:too_fine", false },
    { "\"any\":1e40", KIT_ANY, "faulty:too_large", false },
    { "\"any\":\"\"", KIT_ANY, "s:", false },
    { "\"any\":\"\xe4\xbb\xb7\"", KIT_ANY, "s:\xe4\xbb\xb7", false },
    { "\"any\":\"12\"", KIT_ANY, "s:12", false },
    { "\"any\":true", KIT_ANY, "b:true", false },
    { "\"any\":false", KIT_ANY, "b:false", false },
    { "\"any\":null", KIT_ANY, "-", false },
    { "\"any\":{}", KIT_ANY, "other", false },
    { "\"any\":[1,[2],{\"any\":3}]", KIT_ANY, "other", false },
    { "\"else\":1", KIT_ANY, "-", false },
    { "\"any\":\"a\\n\\t\\\"\\\\\\/\\u00e9\\ud83d\\ude00\\b\\f\\r\"", KIT_ANY,
      "s:a\n\t\"\\/\xc3\xa9\xf0\x9f\x98\x80\b\f\r", true },
    { "\"\\u0061\\u006ey\":7", KIT_ANY, "n:7", true },
    { "\"num\":\"12.50\"", KIT_NUM, "n:12.5", false },
    { "\"num\":\"-1e1\"", KIT_NUM, "n:-10", false },
    { "\"num\":\"12.505\"", KIT_NUM, "faulty:too_fine", false },
    { "\"num\":\"1e99\"", KIT_NUM, "faulty:too_large", false },
    { "\"num\":\"12 EUR\"", KIT_NUM, "s:12 EUR", false },
    { "\"num\":\"\"", KIT_NUM, "s:", false },
    { "\"num\":12.34", KIT_NUM, "n:12.34", false },
    { "\"num\":12.345", KIT_NUM, "faulty:too_fine", false },
    { "\"rnd\":12.345", KIT_RND, "n:12.34", false },
    { "\"rnd\":12.355", KIT_RND, "n:12.36", false },
    { "\"rnd\":-0.0051", KIT_RND, "n:-0.01", false },
    { "\"str\":1.50", KIT_STR, "s:1.50", true },
    { "\"str\":-17", KIT_STR, "s:-17", false },
    { "\"str\":0.5", KIT_STR, "s:0.5", false },
    { "\"str\":\"abc\"", KIT_STR, "s:abc", false },
    { "\"str\":true", KIT_STR, "b:true", false },
    { "\"when\":1700000000123", KIT_WHEN, "n:1700000000123", false },
    { "\"when\":\"2023-11-14T22:13:20.5+00:00\"", KIT_WHEN, "n:1700000000500", false },
    { "\"when\":\"1699-01-01 00:00:00Z\"", KIT_WHEN, "n:-8551872000000", false },
    { "\"when\":\"soon\"", KIT_WHEN, "faulty:bad_time", false },
    { "\"when\":true", KIT_WHEN, "faulty:bad_time", false },
    { "\"when\":[]", KIT_WHEN, "faulty:bad_time", false },
    { "\"when\":1.5", KIT_WHEN, "faulty:bad_time", false },
    { "\"when\":999999999999999", KIT_WHEN, "faulty:time_range", false },
    { "\"when\":null", KIT_WHEN, "-", false },
    { "\"flag\":true", KIT_FLAG, "b:true", false },
    { "\"flag\":1", KIT_FLAG, "n:1", false },
    { "\"a\":{\"b\":1}", KIT_AB, "n:1", false },
    { "\"a\":{\"b\":1}", KIT_A, "other", false },
    { "\"a\":{\"x\":[{\"b\":9}],\"c\":{\"d\":2},\"b\":1}", KIT_ACD, "n:2", false },
    { "\"a\":{\"x\":{\"b\":9},\"c\":{\"d\":2}}", KIT_AB, "-", false },
    { "\"a\":[{\"b\":1}]", KIT_AB, "-", false },
    { "\"a\":{\"c.d\":1}", KIT_ACD, "-", false },
    { "\"x\":{\"a\":{\"b\":1}}", KIT_AB, "-", false },
    { "\"x\":[{\"any\":1}],\"any\":2", KIT_ANY, "n:2", false },
    { "\"a.b\":2", KIT_AB, "n:2", false },
    { "\"a.b\":2,\"a\":{\"b\":1}", KIT_AB, "n:2", false },
    { "\"a\":{\"b\":1},\"a.b\":2", KIT_AB, "n:2", false },
    { "\"a\":{\"b\":1},\"a.b\":null", KIT_AB, "-", false },
    { "\"a.c.d\":3,\"a\":{\"c\":{\"d\":1}}", KIT_ACD, "n:3", false },
    { "\"any\":1,\"any\":2", KIT_ANY, "n:2", false },
    { "\"any\":1,\"any\":null", KIT_ANY, "-", false },
    { "\"any\":1e99,\"any\":\"x\"", KIT_ANY, "s:x", false },
    { "\"a\":{\"b\":1},\"a\":{\"c\":{\"d\":2}}", KIT_AB, "-", false },
    { "\"a\":{\"b\":1},\"a\":{\"c\":{\"d\":2}}", KIT_ACD, "n:2", false },
    { "\"a\":{\"b\":1},\"a\":{}", KIT_AB, "-", false },
    { "\"a\":{\"b\":1},\"a\":5", KIT_AB, "-", false },
    { "\"a\":{\"b\":1},\"a\":5", KIT_A, "n:5", false },
    { "\"a\":5,\"a\":{\"b\":1}", KIT_AB, "n:1", false },
    { "\"a\":{\"c\":{\"d\":1},\"c\":{}}", KIT_ACD, "-", false },
    { "\"a\":{\"b\":1,\"b\":{\"b\":2}}", KIT_AB, "other", false },
    { "\"a_name_that_is_longer_than_sixteen\":1", KIT_LONG, "n:1", false },
    { "\"a_name_that_is_LONGER_than_sixteen\":1", KIT_LONG, "-", false },
    { "\"twice\":42", KIT_TWICE, "n:42", false },
    { "\"twice\":42", KIT_TWICE_STR, "s:42", false },
    { "\"\":1", KIT_EMPTY, "n:1", false },
    { "\"fine\":0.000000000000000001", KIT_FINE, "n:0.000000000000000001", false },
    { "\"fine\":999999999999999999", KIT_FINE, "n:999999999999999999", false },
    { "\"fine\":-99999999999999999999.999999999999999999", KIT_FINE,
      "n:-99999999999999999999.999999999999999999", true },
};

Test(decode_json, fields_in_both_formats)
{
    static struct pack pack;
    struct kit kit;
    char text[512], shown[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(field_cases); i++) {
        const struct field_case *c = &field_cases[i];
        snprintf(text, sizeof(text), "{" ENVELOPE ",%s}", c->items);
        cr_assert_eq(decode_text(&kit, text), KPID_REASON_NONE, "%s", text);
        cr_assert_str_eq(kit_show(&kit, c->slot, shown), c->expected, "%s: %s", text, shown);
        snprintf(text, sizeof(text), " {\n%s , " ENVELOPE "\t}", c->items);
        cr_assert_eq(decode_text(&kit, text), KPID_REASON_NONE, "%s", text);
        cr_assert_str_eq(kit_show(&kit, c->slot, shown), c->expected, "%s: %s", text, shown);
        if (c->json_only)
            continue;
        pack.n = 0;
        pack_json(&pack, text);
        cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), KPID_REASON_NONE, "packed %s", text);
        cr_assert_str_eq(kit_show(&kit, c->slot, shown), c->expected, "packed %s: %s", text, shown);
    }
    kit_release(&kit);
}

Test(decode_json, rounding_is_counted)
{
    static const struct {
        const char *items;
        uint32_t n;
    } cases[] = {
        { "\"rnd\":1.25", 0 }, { "\"rnd\":1.250", 0 }, { "\"rnd\":1.255", 1 },
        { "\"rnd\":1.255,\"rnd\":1", 0 }, { "\"rnd\":1e-9", 1 }, { "\"rnd\":\"1.255\"", 0 },
    };
    struct kit kit;
    char text[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        snprintf(text, sizeof(text), "{" ENVELOPE ",%s}", cases[i].items);
        cr_assert_eq(decode_text(&kit, text), KPID_REASON_NONE);
        cr_assert_eq(kit.event.n_rounded, cases[i].n, "%s", text);
    }
    kit_release(&kit);
}

/* Strings hold NUL as any other character. */
Test(decode_json, nul)
{
    struct kit kit;
    kit_init(&kit);
    kit_open(&kit);
    cr_assert_eq(decode_text(&kit, "{" ENVELOPE ",\"any\":\"a\\u0000b\"}"), KPID_REASON_NONE);
    cr_assert_eq(kit.event.values[KIT_ANY].len, 3);
    cr_assert_eq(memcmp(kit.event.values[KIT_ANY].str, "a\0b", 3), 0);
    kit_release(&kit);
}

/* The buffer grows with a message, and smaller ones are read from it as before. */
Test(decode_json, large)
{
    enum { SIZE = 3000000 };
    struct kit kit;
    char shown[256], *text = malloc(SIZE + 200);
    kit_init(&kit);
    kit_open(&kit);
    for (size_t size = 10; size <= SIZE; size = size * 10 / 3) {
        size_t n = (size_t)sprintf(text, "{\"skipped\":\"");
        memset(text + n, 'x', size);
        n += size;
        n += (size_t)sprintf(text + n, "\"," ENVELOPE ",\"any\":%zu}", size);
        cr_assert_eq(kit_decode(&kit, text, n), KPID_REASON_NONE);
        cr_assert_eq((size_t)(kit.event.values[KIT_ANY].number / 1000000), size);
        cr_assert_eq(decode_text(&kit, "{" ENVELOPE ",\"any\":1}"), KPID_REASON_NONE);
        cr_assert_str_eq(kit_show(&kit, KIT_ANY, shown), "n:1");
    }
    free(text);
    kit_release(&kit);
}

/* Strings and numbers of an event stay while three more are decoded, also when these need larger copies. */
Test(decode_json, kept)
{
    struct kit kit;
    struct kpid_event events[KPID_DECODE_KEPT];
    char shown[256], large[9000], expected[32];
    kit_init(&kit);
    kit.source.max_string_bytes = sizeof large;
    kit_open(&kit);
    for (size_t i = 0; i < 2 * KPID_DECODE_KEPT; i++) {
        int len = snprintf(large, sizeof large, "{" ENVELOPE ",\"str\":\"\\u0061-%zu\",\"id\":%zu,\"long\":\"%0*d\"}", i, i,
                           (int)(1000 * i) + 1, 0);
        cr_assert_eq(kpid_decode(kit.decoder, large, (size_t)len, &events[i % KPID_DECODE_KEPT]), KPID_REASON_NONE);
        size_t oldest = i < KPID_DECODE_KEPT ? 0 : i - KPID_DECODE_KEPT + 1;
        for (size_t k = oldest; k <= i; k++) {
            kit.event = events[k % KPID_DECODE_KEPT];
            snprintf(expected, sizeof expected, "s:a-%zu", k);
            cr_assert_str_eq(kit_show(&kit, KIT_STR, shown), expected);
            snprintf(expected, sizeof expected, "s:%zu", k);
            cr_assert_str_eq(kit_show(&kit, KPID_SLOT_ID, shown), expected);
        }
    }
    kit_release(&kit);
}
