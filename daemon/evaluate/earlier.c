/*
 * The same window earlier (`revenue @ 1w`). A rolling window moves by event time, `all` ends so much earlier; a
 * calendar window moves by days and months of its zone: the day a month before 31 March is the last of February. An
 * open calendar window is compared with as much of the earlier one as has passed of itself, a closed one with all of
 * it.
 */
#include "kpid/evaluate.h"

#define DAY_MS INT64_C(86400000)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static unsigned month_days(int64_t year, unsigned month)
{
    int64_t next = month == 12 ? kpid_civil_days(year + 1, 1, 1) : kpid_civil_days(year, month + 1, 1);
    return (unsigned)(next - kpid_civil_days(year, month, 1));
}

/* The civil day that lies the shift before `day`. */
static int64_t day_earlier(int64_t day, struct kpid_shift shift)
{
    int64_t year;
    unsigned month, month_day;
    if (shift.months) {
        kpid_civil_from_days(day, &year, &month, &month_day);
        int64_t index = year * 12 + (month - 1) - shift.months;
        year = floor_div(index, 12);
        month = (unsigned)(index - year * 12) + 1;
        unsigned last = month_days(year, month);
        day = kpid_civil_days(year, month, month_day < last ? month_day : last);
    }
    return day - shift.ms / DAY_MS;
}

/* Midday of the period's first civil day names the period, whatever the clock does at midnight. */
static int64_t period_start_earlier(const struct kpid_window *window, struct kpid_shift shift, int64_t start_ms)
{
    int64_t local_ms = start_ms + kpid_zone_offset(window->zone, start_ms) * INT64_C(1000);
    int64_t day = day_earlier(floor_div(local_ms, DAY_MS), shift);
    int64_t midday_ms = day * DAY_MS + DAY_MS / 2;
    midday_ms -= kpid_zone_offset(window->zone, midday_ms) * INT64_C(1000);
    return kpid_zone_period_start(window->zone, window->period, midday_ms);
}

struct kpid_stretch kpid_window_earlier(const struct kpid_window *window, struct kpid_shift shift,
                                        struct kpid_stretch of)
{
    struct kpid_stretch ret = of;
    if (!kpid_shift_is(shift))
        return ret;
    if (window->kind == KPID_WINDOW_CALENDAR) {
        ret.start_ms = period_start_earlier(window, shift, of.start_ms);
        ret.end_ms = kpid_zone_period_next(window->zone, window->period, ret.start_ms);
        ret.boundary_ms = ret.start_ms + (of.boundary_ms - of.start_ms);
        if (of.boundary_ms >= of.end_ms || ret.boundary_ms > ret.end_ms)
            ret.boundary_ms = ret.end_ms;
        return ret;
    }
    ret.end_ms -= shift.ms;
    ret.boundary_ms -= shift.ms;
    if (window->kind == KPID_WINDOW_ROLLING)
        ret.start_ms -= shift.ms;
    return ret;
}
