/* The same window earlier: rolling, calendar, open and closed, over clock changes and short months. */
#include "test_evaluate_fixture.h"

/* A zone that goes from +1 h to +2 h at `change_ms`. */
static struct kpid_zone zone_make(int64_t *since_ms, int32_t *offset_s, int64_t change_ms)
{
    since_ms[0] = KPID_NEVER;
    since_ms[1] = change_ms;
    offset_s[0] = 3600;
    offset_s[1] = 7200;
    return (struct kpid_zone){.name = "Test", .since_ms = since_ms, .offset_s = offset_s, .n = 2};
}

static int64_t at(const char *text)
{
    int64_t ms = 0;
    cr_assert(kpid_time_parse(text, strlen(text), &ms), "%s", text);
    return ms;
}

static void stretch_check(const struct kpid_window *window, struct kpid_shift shift, const char *const of[3],
                          const char *const wanted[3])
{
    struct kpid_stretch own = {at(of[0]), at(of[1]), at(of[2])};
    struct kpid_stretch ret = kpid_window_earlier(window, shift, own);
    const int64_t found[] = {ret.start_ms, ret.end_ms, ret.boundary_ms};
    for (size_t i = 0; i < 3; i++) {
        char text[40];
        kpid_zone_print(window->zone, found[i], text);
        cr_expect_eq(found[i], at(wanted[i]), "%s: part %zu is %s, not %s", of[0], i, text, wanted[i]);
    }
}

#define CHECK(window, ms, months, a, b, c, x, y, z)                                                          \
    stretch_check(window, (struct kpid_shift){ms, months}, (const char *const[]){a, b, c},                  \
                  (const char *const[]){x, y, z})

Test(earlier, rolling_and_all)
{
    struct fixture f;
    fixture_init(&f);
    CHECK(&f.windows[0], 7 * DAY, 0, "2026-03-08T10:00:00Z", "2026-03-08T10:05:00Z", "2026-03-08T10:05:00Z",
          "2026-03-01T10:00:00Z", "2026-03-01T10:05:00Z", "2026-03-01T10:05:00Z");
    CHECK(&f.windows[2], HOUR, 0, "2026-01-01T00:00:00Z", "2026-03-08T10:05:00Z", "2026-03-08T10:05:00Z",
          "2026-01-01T00:00:00Z", "2026-03-08T09:05:00Z", "2026-03-08T09:05:00Z");
    CHECK(&f.windows[0], 0, 0, "2026-03-08T10:00:00Z", "2026-03-08T10:05:00Z", "2026-03-08T10:05:00Z",
          "2026-03-08T10:00:00Z", "2026-03-08T10:05:00Z", "2026-03-08T10:05:00Z");
    fixture_release(&f);
}

/* The 29th has 23 hours: begins at +1 h and ends at +2 h. */
Test(earlier, days_over_a_clock_change)
{
    int64_t since[2];
    int32_t offset[2];
    struct kpid_zone zone = zone_make(since, offset, at("2026-03-29T01:00:00Z"));
    struct kpid_window day = {.kind = KPID_WINDOW_CALENDAR, .period = {KPID_CALENDAR_DAY, 1, 1}, .zone = &zone};
    CHECK(&day, DAY, 0, "2026-03-30T00:00:00+02:00", "2026-03-31T00:00:00+02:00", "2026-03-30T10:00:00+02:00",
          "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-29T11:00:00+02:00");
    CHECK(&day, DAY, 0, "2026-03-30T00:00:00+02:00", "2026-03-31T00:00:00+02:00", "2026-03-30T23:30:00+02:00",
          "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-30T00:00:00+02:00"); /* at most all */
    CHECK(&day, DAY, 0, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-30T00:00:00+02:00",
          "2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-29T00:00:00+01:00"); /* all of 24 h */
    CHECK(&day, 7 * DAY, 0, "2026-04-01T00:00:00+02:00", "2026-04-02T00:00:00+02:00", "2026-04-01T00:05:00+02:00",
          "2026-03-25T00:00:00+01:00", "2026-03-26T00:00:00+01:00", "2026-03-25T00:05:00+01:00");
}

Test(earlier, months)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_window day = {.kind = KPID_WINDOW_CALENDAR, .period = {KPID_CALENDAR_DAY, 1, 1}, .zone = &f.zone};
    struct kpid_window month = {.kind = KPID_WINDOW_CALENDAR, .period = {KPID_CALENDAR_MONTH, 1, 1}, .zone = &f.zone};
    struct kpid_window year = {.kind = KPID_WINDOW_CALENDAR, .period = {KPID_CALENDAR_YEAR, 1, 4}, .zone = &f.zone};
    struct kpid_window week = {.kind = KPID_WINDOW_CALENDAR, .period = {KPID_CALENDAR_WEEK, 0, 1}, .zone = &f.zone};
    CHECK(&day, 0, 1, "2026-03-31T00:00:00Z", "2026-04-01T00:00:00Z", "2026-03-31T06:00:00Z",
          "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T06:00:00Z");
    CHECK(&day, 0, 12, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z",
          "2023-02-28T00:00:00Z", "2023-03-01T00:00:00Z", "2023-03-01T00:00:00Z");
    CHECK(&day, DAY, 1, "2026-03-31T00:00:00Z", "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z",
          "2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z"); /* months first */
    CHECK(&month, 0, 1, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-03-30T12:00:00Z",
          "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z");
    CHECK(&month, 0, 3, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-15T12:00:00Z",
          "2025-11-01T00:00:00Z", "2025-12-01T00:00:00Z", "2025-11-15T12:00:00Z");
    CHECK(&year, 0, 12, "2026-04-01T00:00:00Z", "2027-04-01T00:00:00Z", "2027-04-01T00:00:00Z",
          "2025-04-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z");
    CHECK(&week, 7 * DAY, 0, "2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-04T01:00:00Z",
          "2026-02-22T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-25T01:00:00Z");
    fixture_release(&f);
}
