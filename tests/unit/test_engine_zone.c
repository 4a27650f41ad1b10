/* Zones and calendar periods over hand-made tables of real changes. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/zone.h"

#define HOUR_MS 3600000LL
#define DAY_MS  (24 * HOUR_MS)

#define ZONE(name_, offsets_, ...)                                                                                     \
    static int64_t name_##_since[] = {KPID_NEVER, __VA_ARGS__};                                                        \
    static struct kpid_zone name_ = {NULL, name_##_since, offsets_, KPID_COUNT_OF(name_##_since)}

static int32_t new_york_offsets[] = {-14400, -18000, -14400, -18000, -14400, -18000};
ZONE(new_york, new_york_offsets, 1762063200000, 1772953200000, 1793512800000, 1805007600000, 1825567200000);
static int32_t sao_paulo_offsets[] = {-10800, -7200, -10800, -7200, -10800}; /* midnights that do not exist */
ZONE(sao_paulo, sao_paulo_offsets, 1508036400000, 1518919200000, 1541300400000, 1550368800000);
static int32_t st_johns_offsets[] = {-12600, -9000, -12600, -9000, -12600}; /* midnights that happen twice */
ZONE(st_johns, st_johns_offsets, 1236483060000, 1257042660000, 1268537460000, 1289097060000);
static int32_t apia_offsets[] = {-36000, -39600, -36000, 50400, 46800}; /* a day that does not exist */
ZONE(apia, apia_offsets, 1301752800000, 1316872800000, 1325239200000, 1333202400000);
static int32_t kolkata_offsets[] = {19800, 23400, 19800, 23400, 19800};
ZONE(kolkata, kolkata_offsets, -891581400000, -872058600000, -862637400000, -764145000000);
static int32_t monrovia_offsets[] = {-2670, 0};
ZONE(monrovia, monrovia_offsets, 63593070000);

static struct kpid_zone utc(void)
{
    struct kpid_zone zone;
    kpid_zone_utc(&zone);
    return zone;
}

static int64_t at(const char *text)
{
    int64_t ms = KPID_NEVER;
    cr_assert(kpid_time_parse(text, strlen(text), &ms), "%s", text);
    return ms;
}

Test(zone, finds_the_offset_on_both_sides_of_a_change)
{
    for (size_t i = 1; i < new_york.n; i++) {
        cr_assert_eq(kpid_zone_offset(&new_york, new_york.since_ms[i] - 1), new_york.offset_s[i - 1]);
        cr_assert_eq(kpid_zone_offset(&new_york, new_york.since_ms[i]), new_york.offset_s[i]);
    }
    cr_assert_eq(kpid_zone_offset(&new_york, INT64_MIN), -14400);
    cr_assert_eq(kpid_zone_offset(&new_york, INT64_MAX), -18000);
    cr_assert_eq(kpid_zone_offset(&kolkata, at("1942-01-01T00:00:00Z")), 23400);
    cr_assert_eq(kpid_zone_offset(&kolkata, at("2026-01-01T00:00:00Z")), 19800);
}

Test(zone, starts_periods)
{
    static const struct {
        struct kpid_zone *zone;
        struct kpid_period period;
        const char *t, *start, *next;
    } cases[] = {
        {&new_york, {KPID_CALENDAR_DAY, 1, 1}, "2026-03-08T12:00:00-04:00", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
        {&new_york, {KPID_CALENDAR_DAY, 1, 1}, "2026-11-01T01:30:00-05:00", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
        {&new_york, {KPID_CALENDAR_WEEK, 1, 1}, "2026-03-08T23:59:59.999-04:00", "2026-03-02T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
        {&new_york, {KPID_CALENDAR_WEEK, 0, 1}, "2026-03-08T00:00:00-05:00", "2026-03-08T00:00:00-05:00", "2026-03-15T00:00:00-04:00"},
        {&new_york, {KPID_CALENDAR_WEEK, 6, 1}, "2026-03-06T23:00:00-05:00", "2026-02-28T00:00:00-05:00", "2026-03-07T00:00:00-05:00"},
        {&new_york, {KPID_CALENDAR_MONTH, 1, 1}, "2026-03-31T23:00:00-04:00", "2026-03-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00"},
        {&new_york, {KPID_CALENDAR_QUARTER, 1, 1}, "2026-02-28T00:00:00-05:00", "2026-01-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00"},
        {&new_york, {KPID_CALENDAR_QUARTER, 1, 2}, "2026-01-31T00:00:00-05:00", "2025-11-01T00:00:00-04:00", "2026-02-01T00:00:00-05:00"},
        {&new_york, {KPID_CALENDAR_YEAR, 1, 1}, "2026-12-31T23:59:59-05:00", "2026-01-01T00:00:00-05:00", "2027-01-01T00:00:00-05:00"},
        {&kolkata, {KPID_CALENDAR_YEAR, 1, 4}, "2026-03-31T23:59:59+05:30", "2025-04-01T00:00:00+05:30", "2026-04-01T00:00:00+05:30"},
        {&kolkata, {KPID_CALENDAR_DAY, 1, 1}, "1941-10-01T12:00:00+06:30", "1941-10-01T00:00:00+05:30", "1941-10-02T00:00:00+06:30"},
        {&sao_paulo, {KPID_CALENDAR_DAY, 1, 1}, "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
        {&sao_paulo, {KPID_CALENDAR_DAY, 1, 1}, "2018-11-03T23:59:59-03:00", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},
        {&apia, {KPID_CALENDAR_DAY, 1, 1}, "2011-12-29T12:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
        {&st_johns, {KPID_CALENDAR_DAY, 1, 1}, "2009-10-31T23:30:00-03:30", "2009-11-01T00:00:00-02:30", "2009-11-02T00:00:00-03:30"},
        {&monrovia, {KPID_CALENDAR_DAY, 1, 1}, "1972-01-07T12:00:00Z", "1972-01-07T00:44:30Z", "1972-01-08T00:00:00Z"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        int64_t t = at(cases[i].t);
        cr_assert_eq(kpid_zone_period_start(cases[i].zone, cases[i].period, t), at(cases[i].start), "row %zu", i);
        cr_assert_eq(kpid_zone_period_next(cases[i].zone, cases[i].period, t), at(cases[i].next), "row %zu", i);
    }
}

/* Periods tile the time: each begins where the one before ended, and holds all its instants. */
Test(zone, periods_tile_the_time)
{
    struct kpid_zone *zones[] = {&new_york, &sao_paulo, &st_johns, &apia, &kolkata, &monrovia};
    for (size_t z = 0; z < KPID_COUNT_OF(zones); z++) {
        int64_t begin = zones[z]->since_ms[1] - 40 * DAY_MS, end = zones[z]->since_ms[zones[z]->n - 1] + 40 * DAY_MS;
        for (int unit = KPID_CALENDAR_DAY; unit <= KPID_CALENDAR_YEAR; unit++) {
            struct kpid_period period = {(enum kpid_calendar)unit, (uint8_t)(z % 7), (uint8_t)(z + 1)};
            int64_t next = kpid_zone_period_next(zones[z], period, begin), start = KPID_NEVER;
            for (int64_t t = begin; t < end; t += 7 * 60 * 1000 + 13) {
                if (t >= next) {
                    start = next;
                    next = kpid_zone_period_next(zones[z], period, start);
                    cr_assert_eq(kpid_zone_period_start(zones[z], period, start), start);
                    cr_assert_eq(kpid_zone_period_start(zones[z], period, start - 1) < start, true);
                }
                if (start == KPID_NEVER)
                    continue;
                cr_assert_eq(kpid_zone_period_start(zones[z], period, t), start);
                cr_assert_eq(kpid_zone_period_next(zones[z], period, t), next);
            }
        }
    }
}

Test(zone, days_have_23_24_and_25_hours)
{
    struct kpid_period day = {KPID_CALENDAR_DAY, 1, 1};
    int seen[3] = {0};
    int64_t t = kpid_zone_period_start(&new_york, day, at("2026-01-01T12:00:00Z"));
    for (int i = 0; i < 365; i++) {
        int64_t next = kpid_zone_period_next(&new_york, day, t), hours = (next - t) / HOUR_MS;
        cr_assert(hours >= 23 && hours <= 25);
        seen[hours - 23]++;
        t = next;
    }
    cr_assert(seen[0] == 1 && seen[1] == 363 && seen[2] == 1);
    cr_assert_eq(t, at("2027-01-01T00:00:00-05:00"));
}

Test(zone, grain_divides_every_start)
{
    struct kpid_zone plain = utc();
    cr_assert_eq(kpid_zone_grain(&plain), 15 * 60000);
    cr_assert_eq(kpid_zone_grain(&new_york), 15 * 60000);
    cr_assert_eq(kpid_zone_grain(&kolkata), 15 * 60000);
    cr_assert_eq(kpid_zone_grain(&monrovia), 30000);
    static int32_t kathmandu_offsets[] = {20700}; /* 5:45 */
    struct kpid_zone kathmandu = {NULL, plain.since_ms, kathmandu_offsets, 1};
    cr_assert_eq(kpid_zone_grain(&kathmandu), 15 * 60000);
    static int32_t odd_offsets[] = {1200}; /* 0:20, as Amsterdam until 1940 */
    struct kpid_zone odd = {NULL, plain.since_ms, odd_offsets, 1};
    cr_assert_eq(kpid_zone_grain(&odd), 5 * 60000);

    struct kpid_period day = {KPID_CALENDAR_DAY, 1, 1};
    for (int64_t t = 0; t < 800 * DAY_MS; t = kpid_zone_period_next(&monrovia, day, t))
        cr_assert_eq(kpid_zone_period_start(&monrovia, day, t) % 30000, 0);
    kpid_zone_release(&plain);
    cr_assert(plain.name == NULL && plain.n == 0);
}

Test(zone, prints)
{
    struct kpid_zone plain = utc();
    static const struct {
        struct kpid_zone *zone;
        int64_t t;
        const char *text;
    } cases[] = {{&new_york, 1772953200000 - 7200000, "2026-03-08T00:00:00-05:00"},
                 {&new_york, 1772953200000, "2026-03-08T03:00:00-04:00"},
                 {&kolkata, 1, "1970-01-01T05:30:00.001+05:30"},
                 {&monrovia, 0, "1969-12-31T23:16:00-00:44"},
                 {NULL, 0, "1970-01-01T00:00:00Z"},
                 {NULL, -1, "1969-12-31T23:59:59.999Z"},
                 {NULL, 253402300799999, "9999-12-31T23:59:59.999Z"}};
    char text[40];
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        size_t len = kpid_zone_print(cases[i].zone != NULL ? cases[i].zone : &plain, cases[i].t, text);
        cr_assert_str_eq(text, cases[i].text);
        cr_assert_eq(len, strlen(text));
        int64_t back;
        cr_assert(kpid_time_parse(text, len, &back) && back == cases[i].t);
    }
    cr_assert_lt(kpid_zone_print(&plain, INT64_MIN, text), 40);
    cr_assert_lt(kpid_zone_print(&kolkata, INT64_MAX, text), 40);
    kpid_zone_release(&plain);
}

Test(civil, walks_through_days_one_by_one)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = kpid_civil_days(1, 1, 1);
    for (int64_t year = 1; year <= 2400; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned day = 1; day <= lengths[month - 1] + (month == 2 && leap); day++, days++) {
                int64_t y;
                unsigned m, d;
                cr_assert_eq(kpid_civil_days(year, month, day), days);
                kpid_civil_from_days(days, &y, &m, &d);
                cr_assert(y == year && m == month && d == day);
            }
        }
    }
    cr_assert_eq(kpid_civil_days(1970, 1, 1), 0);
    cr_assert_eq(kpid_civil_days(2000, 3, 1), 11017);
}

Test(time, parses_rfc_3339)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"1970-01-01 00:00:00z", 0},
                {"2026-11-23T09:00:00.123+08:00", 1795395600123},
                {"2026-11-23t01:00:00.1239999999999Z", 1795395600123},
                {"2026-11-23T01:00:00.5Z", 1795395600500},
                {"2026-11-22T19:30:00-05:30", 1795395600000},
                {"2016-12-31T23:59:60Z", 1483228800000},
                {"2024-02-29T00:00:00Z", 1709164800000},
                {"0001-01-01T00:00:00Z", -62135596800000},
                {"9999-12-31T23:59:59.999Z", 253402300799999}};
    for (size_t i = 0; i < KPID_COUNT_OF(good); i++)
        cr_assert_eq(at(good[i].text), good[i].ms, "%s", good[i].text);
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-23",
                                      "2026-11-23T09:00:00",
                                      "2026-11-23T09:00Z",
                                      "2026-11-23T09:00:00.Z",
                                      "2026-11-23T09:00:00+0800",
                                      "2026-11-23T09:00:00+08",
                                      "2026-11-23T09:00:00Zx",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T00:00:00+24:00",
                                      "0000-01-01T00:00:00Z",
                                      "-2026-01-01T00:00:00Z",
                                      "2026/01/01T00:00:00Z",
                                      "2026-1-01T00:00:00Z"};
    for (size_t i = 0; i < KPID_COUNT_OF(bad); i++) {
        int64_t ms = 42;
        cr_assert_not(kpid_time_parse(bad[i], strlen(bad[i]), &ms), "%s", bad[i]);
        cr_assert_eq(ms, 42);
    }
}
