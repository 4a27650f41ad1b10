/* The target table and deviations. */
#include "evaluate/target.h"
#include "test_evaluate_fixture.h"

#include <math.h>

#define ANY .window = -1, .from_ms = KPID_NEVER, .to_ms = KPID_FOREVER, .weekdays = 0x7f, .minute_to = 1440

/* 2026-03-02 is a Monday. */
static int64_t at(const char *text)
{
    int64_t ms = 0;
    cr_assert(kpid_time_parse(text, strlen(text), &ms), "%s", text);
    return ms;
}

static int found(const struct fixture *f, uint32_t window, const char *const *group, int64_t start_ms,
                 int64_t boundary_ms)
{
    const struct kpid_target_row *row = kpid_target_find(&f->kpi, window, group, start_ms, boundary_ms);
    return row == NULL ? -1 : (int)(row - f->kpi.targets);
}

Test(target, group_and_window)
{
    char *web_south[] = {"web", "south"}, *web[] = {"web", NULL}, *all[] = {NULL, NULL};
    struct kpid_target_row rows[] = {
        {.group = web_south, ANY},
        {.group = web, ANY},
        {.group = all,
         .window = 1,
         .from_ms = KPID_NEVER,
         .to_ms = KPID_FOREVER,
         .weekdays = 0x7f,
         .minute_to = 1440},
        {.window = 0, .from_ms = KPID_NEVER, .to_ms = KPID_FOREVER, .weekdays = 0x7f, .minute_to = 1440},
    };
    static const struct {
        const char *group[2];
        bool total;
        uint32_t window;
        int row;
    } cases[] = {
        {{"web", "south"}, false, 0, 0}, {{"web", "north"}, false, 0, 1},  {{"app", "north"}, false, 0, 3},
        {{"app", "north"}, false, 1, 2}, {{"app", "north"}, false, 2, -1}, {{NULL, NULL}, true, 0, 3},
        {{NULL, NULL}, true, 1, -1},     {{"", ""}, false, 1, 2},
    };
    struct fixture f;
    fixture_init(&f);
    f.kpi.n_by = 2;
    f.kpi.targets = rows;
    f.kpi.n_targets = KPID_COUNT_OF(rows);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        cr_expect_eq(found(&f, cases[i].window, cases[i].total ? NULL : cases[i].group, 0, 1), cases[i].row,
                     "%zu", i);
    cr_expect_eq(kpid_target_next_change(&f.kpi, 0, 1), KPID_FOREVER);
    f.kpi.n_targets = 0;
    cr_expect_eq(found(&f, 0, NULL, 0, 1), -1);
    fixture_release(&f);
}

Test(target, periods)
{
    struct kpid_target_row rows[] = {
        {.window = -1, .from_ms = 100, .to_ms = 200, .weekdays = 0x7f, .minute_to = 1440},
        {.window = -1, .from_ms = 200, .to_ms = KPID_FOREVER, .weekdays = 0x7f, .minute_to = 1440},
    };
    static const struct {
        int64_t boundary_ms;
        int row;
        int64_t next_ms;
    } cases[] = {{99, -1, 101}, {100, -1, 101}, {101, 0, 201}, {200, 0, 201}, {201, 1, KPID_FOREVER}};
    struct fixture f;
    fixture_init(&f);
    f.kpi.targets = rows;
    f.kpi.n_targets = KPID_COUNT_OF(rows);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        cr_expect_eq(found(&f, 0, NULL, 0, cases[i].boundary_ms), cases[i].row, "%zu", i);
        cr_expect_eq(kpid_target_next_change(&f.kpi, 0, cases[i].boundary_ms), cases[i].next_ms, "%zu", i);
    }
    fixture_release(&f);
}

/* Weekdays and hours in a zone that goes from +01:00 to +02:00 on Sunday 2026-03-29 at 01:00 UTC. */
Test(target, weekdays_and_hours)
{
    struct kpid_target_row rows[] = {
        {.window = -1,
         .from_ms = KPID_NEVER,
         .to_ms = KPID_FOREVER,
         .weekdays = 0x3e,
         .minute_from = 9 * 60,
         .minute_to = 17 * 60}, /* 0: Monday to Friday, 9 to 17 */
        {.window = -1,
         .from_ms = KPID_NEVER,
         .to_ms = KPID_FOREVER,
         .weekdays = 0x7f,
         .minute_from = 22 * 60,
         .minute_to = 6 * 60}, /* 1: nights */
        {.window = -1, .from_ms = KPID_NEVER, .to_ms = KPID_FOREVER, .weekdays = 0x41, .minute_to = 1440},
    };
    static const struct {
        const char *start;
        int row;
    } cases[] = {
        {"2026-03-02T08:59:59.999+01:00", -1}, {"2026-03-02T09:00:00+01:00", 0},
        {"2026-03-02T16:59:59+01:00", 0},      {"2026-03-02T17:00:00+01:00", -1},
        {"2026-03-02T22:00:00+01:00", 1},      {"2026-03-03T05:59:59+01:00", 1},
        {"2026-03-03T06:00:00+01:00", -1},     {"2026-03-07T12:00:00+01:00", 2},
        {"2026-03-08T12:00:00+01:00", 2},      {"2026-03-08T23:59:59+01:00", 1},
        {"2026-03-29T23:59:59+02:00", 1},      {"2026-03-30T09:00:00+02:00", 0},
        {"2026-03-30T08:30:00+02:00", -1},     {"1969-12-29T10:00:00+01:00", 0},
        {"1969-12-28T10:00:00+01:00", 2},
    };
    int64_t since_ms[] = {KPID_NEVER, at("2026-03-29T01:00:00Z")};
    int32_t offset_s[] = {3600, 7200};
    struct kpid_zone zone = {.since_ms = since_ms, .offset_s = offset_s, .n = 2};
    struct fixture f;
    fixture_init(&f);
    f.kpi.zone = &zone;
    f.kpi.targets = rows;
    f.kpi.n_targets = KPID_COUNT_OF(rows);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        cr_expect_eq(found(&f, 0, NULL, at(cases[i].start), 1), cases[i].row, "%s", cases[i].start);

    /* From change to change the row is the same, and the changes come often enough but not at every minute.
     */
    const int64_t length_ms = 5 * MINUTE, end_ms = at("2026-04-02T00:00:00Z");
    unsigned changes = 0;
    for (int64_t start_ms = at("2026-03-26T00:07:00Z"); start_ms < end_ms;) {
        int64_t next_ms = kpid_target_next_change(&f.kpi, start_ms, start_ms + length_ms) - length_ms;
        int row = found(&f, 0, NULL, start_ms, start_ms + length_ms);
        cr_assert_gt(next_ms, start_ms);
        for (int64_t t = start_ms; t < next_ms; t += MINUTE)
            cr_assert_eq(found(&f, 0, NULL, t, t + length_ms), row, "%lld", (long long)t);
        start_ms = next_ms;
        changes++;
    }
    cr_expect_lt(changes, 7u * 5u + 3u, "%u", changes);
    fixture_release(&f);
}

Test(target, deviation)
{
    static const struct {
        enum kpid_direction direction;
        double low, high, actual, expected, deviation;
    } rows[] = {
        {KPID_UP, 100, 100, 100, 100, 0},
        {KPID_UP, 100, 100, 90, 100, -0.1},
        {KPID_UP, 100, 100, 125, 100, 0.25},
        {KPID_UP, 0.032, 0.032, 0.0288, 0.032, -0.1},
        {KPID_UP, -100, -100, -110, -100, -0.1},
        {KPID_UP, -100, -100, -90, -100, 0.1},
        {KPID_DOWN, 100, 100, 90, 100, 0.1},
        {KPID_DOWN, 100, 100, 110, 100, -0.1},
        {KPID_DOWN, 3, 3, 3.3, 3, -0.1},
        {KPID_DOWN, -100, -100, -90, -100, -0.1},
        {KPID_BAND, 90, 110, 100, 90, 0},
        {KPID_BAND, 90, 110, 90, 90, 0},
        {KPID_BAND, 90, 110, 110, 110, 0},
        {KPID_BAND, 90, 110, 105, 110, 0},
        {KPID_BAND, 90, 110, 81, 90, -0.1},
        {KPID_BAND, 90, 110, 121, 110, -0.1},
        {KPID_BAND, -20, -10, -5, -10, -0.5},
        {KPID_BAND, 100, 100, 110, 100, -0.1},
        {KPID_UP, 90, 110, 81, 90, -0.1},
        {KPID_UP, 90, 110, 121, 110, 0.1},
        {KPID_DOWN, 90, 110, 121, 110, -0.1},
        {KPID_DOWN, 90, 110, 100, 90, 0},
        {KPID_UP, 0, 0, 5, 0, 1},
        {KPID_UP, 0, 0, -5, 0, -1},
        {KPID_UP, 0, 0, 0, 0, 0},
        {KPID_DOWN, 0, 0, 5, 0, -1},
        {KPID_DOWN, 0, 0, -0.5, 0, 1},
        {KPID_BAND, 0, 10, -1, 0, -1},
        {KPID_BAND, -10, 0, 1, 0, -1},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_span span = {rows[i].low, rows[i].high};
        cr_expect_eq(kpid_target_expected(span, rows[i].actual), rows[i].expected, "row %zu", i);
        double deviation = kpid_target_deviation(rows[i].direction, span, rows[i].actual);
        cr_expect_eq(deviation, rows[i].deviation, "row %zu: %.17g", i, deviation);
    }
    struct kpid_span tiny = {1e-300, 1e-300};
    cr_expect(isfinite(kpid_target_deviation(KPID_UP, tiny, 1e300)));
}
