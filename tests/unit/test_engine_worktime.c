/* Working time against a walk over every minute, in zones whose clocks change and whose shifts lie over the change. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/worktime.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static int64_t new_york_since[] = {KPID_NEVER, 1762063200000, 1772953200000, 1793512800000};
static int32_t new_york_offsets[] = {-14400, -18000, -14400, -18000};
static struct kpid_zone new_york = {"America/New_York", new_york_since, new_york_offsets, 4};

static int64_t at(const char *text)
{
    int64_t ms = KPID_NEVER;
    cr_assert(kpid_time_parse(text, strlen(text), &ms), "%s", text);
    return ms;
}

/* Days [first, end) of New York, each with the shifts given in minutes, `off` (bits by weekday, Sunday 0) without. */
static struct kpid_worktime calendar(int64_t first, int64_t end, const int (*shifts)[2], size_t n, unsigned off)
{
    struct kpid_worktime work = {.zone = &new_york};
    work.from_ms = kpid_zone_instant(&new_york, first * DAY_MS);
    work.to_ms = kpid_zone_instant(&new_york, end * DAY_MS);
    for (int64_t day = first; day < end; day++)
        for (size_t i = 0; i < n && !(off >> ((day + 4) % 7) & 1); i++)
            kpid_worktime_add(&work, kpid_zone_instant(&new_york, day * DAY_MS + shifts[i][0] * MINUTE_MS),
                              kpid_zone_instant(&new_york, day * DAY_MS + shifts[i][1] * MINUTE_MS));
    return work;
}

/* Does the minute that begins at t count? Asked of civil time alone, minute by minute. */
static bool minute_works(int64_t t_ms, const int (*shifts)[2], size_t n, unsigned off)
{
    int64_t local = t_ms + kpid_zone_offset(&new_york, t_ms) * INT64_C(1000);
    int64_t day = local / DAY_MS;
    int minute = (int)(local % DAY_MS / MINUTE_MS);
    if (off >> ((day + 4) % 7) & 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (minute >= shifts[i][0] && minute < shifts[i][1])
            return true;
    return false;
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Every minute of 40 days around a change: the work before each, and where each amount of work is reached. */
static void walk(const char *from, const int (*shifts)[2], size_t n, unsigned off)
{
    enum { DAYS = 40, MINUTES = DAYS * 1440 };
    static int64_t before[MINUTES + 120];
    int64_t first = at(from) / DAY_MS;
    struct kpid_worktime work = calendar(first, first + DAYS, shifts, n, off);
    size_t minutes = (size_t)((work.to_ms - work.from_ms) / MINUTE_MS);
    uint64_t random = 7;

    cr_assert_leq(minutes, MINUTES + 60);
    before[0] = 0;
    for (size_t i = 0; i < minutes; i++)
        before[i + 1] = before[i] + minute_works(work.from_ms + (int64_t)i * MINUTE_MS, shifts, n, off) * MINUTE_MS;
    for (size_t i = 0; i <= minutes; i++)
        cr_assert_eq(kpid_worktime_between(&work, work.from_ms, work.from_ms + (int64_t)i * MINUTE_MS), before[i],
                     "%s minute %zu", from, i);
    for (int i = 0; i < 20000; i++) {
        size_t a = random_next(&random) % minutes, b = random_next(&random) % (minutes + 1);
        int64_t start = work.from_ms + (int64_t)a * MINUTE_MS, wanted = before[b] - before[a];
        cr_assert_eq(kpid_worktime_between(&work, start, work.from_ms + (int64_t)b * MINUTE_MS), wanted);
        if (wanted <= 0)
            continue;
        size_t reached = a;
        while (before[reached] - before[a] < wanted)
            reached++;
        cr_assert_eq(kpid_worktime_after(&work, start, wanted), work.from_ms + (int64_t)reached * MINUTE_MS,
                     "%s from minute %zu, %lld ms", from, a, (long long)wanted);
    }
    cr_assert_eq(kpid_worktime_after(&work, work.from_ms, before[minutes] + 1), KPID_FOREVER);
    kpid_worktime_release(&work);
}

static const int office[][2] = {{540, 720}, {780, 1080}}; /* 09-12, 13-18 */
static const int nights[][2] = {{0, 360}, {1320, 1440}};  /* 00-06, 22-24: over both changes */
static const int always[][2] = {{0, 1440}};

Test(worktime, equals_a_walk_over_every_minute)
{
    static const char *const from[] = {"2026-02-20T00:00:00Z", "2026-10-15T00:00:00Z"}; /* forward, back */
    for (size_t i = 0; i < 2; i++) {
        walk(from[i], office, 2, 0x41); /* Saturday and Sunday off */
        walk(from[i], nights, 2, 0x02); /* Monday off */
        walk(from[i], always, 1, 0);
    }
}

Test(worktime, spans_that_touch_are_one)
{
    int64_t first = at("2026-03-01T00:00:00Z") / DAY_MS;
    struct kpid_worktime work = calendar(first, first + 20, always, 1, 0);
    cr_assert_eq(work.n, 1);
    cr_assert_eq(kpid_worktime_between(&work, work.from_ms, work.to_ms), work.to_ms - work.from_ms);
    cr_assert_eq(work.to_ms - work.from_ms, 20 * DAY_MS - HOUR_MS); /* a day of 23 hours is among them */
    kpid_worktime_release(&work);
}

Test(worktime, milliseconds_and_edges)
{
    int64_t first = at("2026-03-02T00:00:00Z") / DAY_MS; /* a Monday */
    struct kpid_worktime work = calendar(first, first + 7, office, 2, 0x41);
    int64_t nine = at("2026-03-02T09:00:00-05:00"), six = at("2026-03-02T18:00:00-05:00");

    cr_assert(kpid_worktime_covers(&work, work.from_ms) && kpid_worktime_covers(&work, work.to_ms - 1));
    cr_assert(!kpid_worktime_covers(&work, work.from_ms - 1) && !kpid_worktime_covers(&work, work.to_ms));
    cr_assert_eq(kpid_worktime_between(&work, nine + 7, nine + 19), 12);
    cr_assert_eq(kpid_worktime_between(&work, nine - 5, nine + 5), 5);
    cr_assert_eq(kpid_worktime_between(&work, nine + 5, nine - 5), -5);
    /* A whole day's work ends with the day, not with the next morning; nothing is reached at once. */
    cr_assert_eq(kpid_worktime_after(&work, nine - HOUR_MS, 8 * HOUR_MS), six);
    cr_assert_eq(kpid_worktime_after(&work, six + HOUR_MS, 8 * HOUR_MS), six + DAY_MS);
    cr_assert_eq(kpid_worktime_after(&work, six, 1), nine + DAY_MS + 1);
    cr_assert_eq(kpid_worktime_after(&work, six + 3, 0), six + 3);
    cr_assert_eq(kpid_worktime_after(&work, nine, INT64_MAX), KPID_FOREVER);
    /* Friday 17:30 + 1 h is Monday, which this calendar does not cover. */
    cr_assert_eq(kpid_worktime_after(&work, at("2026-03-06T17:30:00-05:00"), HOUR_MS), KPID_FOREVER);
    kpid_worktime_release(&work);
}

/* Civil times that a clock shows twice or never. */
Test(worktime, instants_of_civil_times)
{
    static const struct {
        const char *local, *instant;
    } cases[] = {
        {"2026-03-08T01:59:00Z", "2026-03-08T01:59:00-05:00"}, {"2026-03-08T02:30:00Z", "2026-03-08T03:00:00-04:00"},
        {"2026-03-08T03:00:00Z", "2026-03-08T03:00:00-04:00"}, {"2026-11-01T01:30:00Z", "2026-11-01T01:30:00-04:00"},
        {"2026-11-01T02:00:00Z", "2026-11-01T02:00:00-05:00"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        cr_assert_eq(kpid_zone_instant(&new_york, at(cases[i].local)), at(cases[i].instant), "%s", cases[i].local);
}
