/* Times: the formats, as numbers and as strings, in both encodings; RFC 3339 to the letter. */
#include "test_decode_kit.h"

#include "decode/timestamp.h"

#include <criterion/criterion.h>

static const char bad[] = "faulty:bad_time", range[] = "faulty:time_range";

Test(decode_time, formats)
{
    static const struct {
        uint8_t format;
        const char *token, *expected;
    } cases[] = {
        { KPID_TIME_AUTO, "1700000000123", "n:1700000000123" },
        { KPID_TIME_AUTO, "1700000000123.0", "n:1700000000123" },
        { KPID_TIME_AUTO, "1700000000123.5", bad },
        { KPID_TIME_AUTO, "\"1700000000123\"", "n:1700000000123" },
        { KPID_TIME_AUTO, "\"2023-11-14T22:13:20.123Z\"", "n:1700000000123" },
        { KPID_TIME_AUTO, "\"2023-11-14\"", bad },
        { KPID_TIME_AUTO, "\"\"", bad },
        { KPID_TIME_AUTO, "-1", "n:-1" },
        { KPID_TIME_AUTO, "{}", bad },
        { KPID_TIME_FORMAT_MS, "1700000000123", "n:1700000000123" },
        { KPID_TIME_FORMAT_MS, "1.700000000123e12", "n:1700000000123" },
        { KPID_TIME_FORMAT_MS, "\"2023-11-14T22:13:20Z\"", bad },
        { KPID_TIME_FORMAT_MS, "253402300800000", range },
        { KPID_TIME_FORMAT_MS, "1e300", range },
        { KPID_TIME_FORMAT_S, "1700000000", "n:1700000000000" },
        { KPID_TIME_FORMAT_S, "1700000000.123", "n:1700000000123" },
        { KPID_TIME_FORMAT_S, "1700000000.123999", "n:1700000000123" },
        { KPID_TIME_FORMAT_S, "\"1700000000.5\"", "n:1700000000500" },
        { KPID_TIME_FORMAT_S, "-0.0005", "n:-1" },
        { KPID_TIME_FORMAT_S, "1.7e9", "n:1700000000000" },
        { KPID_TIME_FORMAT_S, "9223372036854775", range },
        { KPID_TIME_FORMAT_S, "922337203685477580", range },
        { KPID_TIME_FORMAT_US, "1700000000123999", "n:1700000000123" },
        { KPID_TIME_FORMAT_US, "-1", "n:-1" },
        { KPID_TIME_FORMAT_US, "0.5", bad },
        { KPID_TIME_FORMAT_US, "\"1700000000123000\"", "n:1700000000123" },
        { KPID_TIME_FORMAT_NS, "170000000012399999", "n:170000000012" },
        { KPID_TIME_FORMAT_NS, "\"1700000000123999999\"", "n:1700000000123" },
        { KPID_TIME_FORMAT_NS, "1700000000123456768.0", "n:1700000000123" },
        { KPID_TIME_FORMAT_RFC3339, "\"2023-11-14T22:13:20Z\"", "n:1700000000000" },
        { KPID_TIME_FORMAT_RFC3339, "\"1700000000123\"", bad },
        { KPID_TIME_FORMAT_RFC3339, "1700000000123", bad },
    };
    static struct pack pack;
    struct kit kit;
    char text[256], shown[256];
    kit_init(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kit.fields[KIT_WHEN].time_format = cases[i].format;
        kit_open(&kit);
        snprintf(text, sizeof(text), "{\"type\":\"a\",\"ts\":1,\"when\":%s}", cases[i].token);
        cr_assert_eq(kit_decode(&kit, text, strlen(text)), KPID_REASON_NONE);
        cr_assert_str_eq(kit_show(&kit, KIT_WHEN, shown), cases[i].expected, "%zu %s: %s", i, text, shown);
        pack.n = 0;
        pack_json(&pack, text);
        cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), KPID_REASON_NONE);
        kit_show(&kit, KIT_WHEN, shown);
        cr_assert_str_eq(shown, cases[i].expected, "%zu packed %s: %s", i, text, shown);
    }
    kit_release(&kit);
}

/* The time of an event is bounded more tightly than other times. */
Test(decode_time, event_range)
{
    static const struct {
        const char *token;
        enum kpid_reason reason;
    } cases[] = {
        { "0", KPID_REASON_NONE },
        { "-1", KPID_REASON_TIME_RANGE },
        { "\"1970-01-01T00:00:00Z\"", KPID_REASON_NONE },
        { "\"1969-12-31T23:59:59.999Z\"", KPID_REASON_TIME_RANGE },
        { "\"2200-12-31T23:59:59.999Z\"", KPID_REASON_NONE },
        { "\"2201-01-01T00:00:00Z\"", KPID_REASON_TIME_RANGE },
        { "7289654399999", KPID_REASON_NONE },
        { "7289654400000", KPID_REASON_TIME_RANGE },
        { "9223372036854775807", KPID_REASON_TIME_RANGE },
        { "1e30", KPID_REASON_TIME_RANGE },
        { "1e-3", KPID_REASON_BAD_TIME },
        { "null", KPID_REASON_NO_TIME },
        { "false", KPID_REASON_BAD_TIME },
        { "[1]", KPID_REASON_BAD_TIME },
    };
    static struct pack pack;
    struct kit kit;
    char text[256];
    kit_init(&kit);
    kit_open(&kit);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        snprintf(text, sizeof(text), "{\"type\":\"a\",\"ts\":%s}", cases[i].token);
        cr_assert_eq(kit_decode(&kit, text, strlen(text)), cases[i].reason, "%s", text);
        pack.n = 0;
        pack_json(&pack, text);
        cr_assert_eq(kit_decode(&kit, pack.bytes, pack.n), cases[i].reason, "packed %s", text);
    }
    kit_release(&kit);
}

Test(decode_time, rfc3339)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:00z", 0 },
        { "1970-01-01 00:00:00Z", 0 },
        { "2000-02-29T12:00:00Z", 951825600000 },
        { "2024-02-29T23:59:59.999999999Z", 1709251199999 },
        { "2026-11-23T09:00:00.123+08:00", 1795395600123 },
        { "2026-11-22T20:00:00.1-05:00", 1795395600100 },
        { "2026-11-23T06:45:00.12+05:45", 1795395600120 },
        { "2016-12-31T23:59:60Z", 1483228800000 },
        { "1985-04-12T23:20:50.52Z", 482196050520 },
        { "0001-01-01T00:00:00Z", KPID_FIELD_TIME_MIN },
        { "9999-12-31T23:59:59.999Z", KPID_FIELD_TIME_END - 1 },
        { "1970-01-01T00:00:00-00:00", 0 },
        { "1969-12-31T23:59:59.001Z", -999 },
    };
    static const char *const wrong[] = {
        "", "1970", "1970-01-01", "1970-01-01T00:00Z", "1970-01-01T00:00:00", "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00,5Z", "1970-01-01T00:00:00+0800", "1970-01-01T00:00:00+08",
        "1970-01-01T00:00:00Zz", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+08:60",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z", "1970-00-01T00:00:00Z", "1970-13-01T00:00:00Z", "1970-01-00T00:00:00Z",
        "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "0000-01-01T00:00:00Z",
        "197a-01-01T00:00:00Z", "1970/01/01T00:00:00Z", "1970-01-01_00:00:00Z", "+970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.5", " 1970-01-01T00:00:00Z", "1970-01-01T00:00:00.123456",
        "1970-01-01T00-00:00Z",
    };
    int64_t ms;
    for (size_t i = 0; i < KPID_COUNT_OF(good); i++) {
        cr_assert(kpid_rfc3339_read(good[i].text, strlen(good[i].text), &ms), "%s", good[i].text);
        cr_assert_eq(ms, good[i].ms, "%s: %lld", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < KPID_COUNT_OF(wrong); i++)
        cr_assert_not(kpid_rfc3339_read(wrong[i], strlen(wrong[i]), &ms), "%s", wrong[i]);
}
