/* Zones and calendar periods, see kpid/zone.h. */
#include "kpid/zone.h"

#include <stdlib.h>

#include "kpid/buf.h"

#define DAY_MS          86400000LL
#define MINUTE_MS       60000LL
#define GRAIN_MAX_MS    (15 * MINUTE_MS)
#define OFFSET_BOUND_MS (36 * 60 * MINUTE_MS) /* no offset is as far from UTC as that */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

void kpid_zone_utc(struct kpid_zone *zone)
{
    zone->name = kpid_strdup("UTC");
    zone->since_ms = kpid_alloc(sizeof(*zone->since_ms));
    zone->offset_s = kpid_alloc(sizeof(*zone->offset_s));
    zone->since_ms[0] = KPID_NEVER;
    zone->offset_s[0] = 0;
    zone->n = 1;
}

void kpid_zone_release(struct kpid_zone *zone)
{
    free(zone->name);
    free(zone->since_ms);
    free(zone->offset_s);
    *zone = (struct kpid_zone){0};
}

/* The interval that t lies in: the last one that begins at or before it. */
static size_t interval_find(const struct kpid_zone *zone, int64_t t_ms)
{
    size_t low = 0, high = zone->n;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (zone->since_ms[mid] <= t_ms)
            low = mid;
        else
            high = mid;
    }
    return low;
}

int32_t kpid_zone_offset(const struct kpid_zone *zone, int64_t t_ms)
{
    return zone->offset_s[interval_find(zone, t_ms)];
}

static int64_t local_day(const struct kpid_zone *zone, int64_t t_ms)
{
    return floor_div(t_ms + kpid_zone_offset(zone, t_ms) * 1000LL, DAY_MS);
}

int64_t kpid_zone_instant(const struct kpid_zone *zone, int64_t local_ms)
{
    size_t i = interval_find(zone, local_ms - OFFSET_BOUND_MS);
    for (;; i++) {
        int64_t t = local_ms - zone->offset_s[i] * 1000LL;
        if (t < zone->since_ms[i])
            t = zone->since_ms[i];
        if (i + 1 == zone->n || t < zone->since_ms[i + 1])
            return t;
    }
}

static int64_t day_start(const struct kpid_zone *zone, int64_t day)
{
    return kpid_zone_instant(zone, day * DAY_MS);
}

/* Months before `month` since the year (or quarter of `length` months) that begins with `first`. */
static unsigned months_into(unsigned month, unsigned first, unsigned length)
{
    return (month + 12 - first) % length;
}

/* First civil day of the period that `day` lies in, and of the next one. */
static void period_days(struct kpid_period period, int64_t day, int64_t *ret_first, int64_t *ret_next)
{
    int64_t year;
    unsigned month, month_day, length = 0, first = period.fiscal_month >= 1 ? period.fiscal_month : 1;

    switch (period.unit) {
    case KPID_CALENDAR_DAY:
        *ret_first = day;
        *ret_next = day + 1;
        return;
    case KPID_CALENDAR_WEEK: /* 1970-01-01 was a Thursday, day 4 of its week */
        *ret_first = day - (day + 4 - period.week_start - 7 * floor_div(day + 4 - period.week_start, 7));
        *ret_next = *ret_first + 7;
        return;
    case KPID_CALENDAR_MONTH: length = 1; break;
    case KPID_CALENDAR_QUARTER: length = 3; break;
    case KPID_CALENDAR_YEAR: length = 12; break;
    }
    kpid_civil_from_days(day, &year, &month, &month_day);
    int64_t index = year * 12 + (month - 1) - months_into(month, first, length);
    *ret_first = kpid_civil_days(floor_div(index, 12), (unsigned)(index - 12 * floor_div(index, 12)) + 1, 1);
    index += length;
    *ret_next = kpid_civil_days(floor_div(index, 12), (unsigned)(index - 12 * floor_div(index, 12)) + 1, 1);
}

/* Where a clock set back repeats a midnight, the civil day jumps back too; the period has begun all the same.
 */
static void period_find(const struct kpid_zone *zone, struct kpid_period period, int64_t t_ms,
                        int64_t *ret_start, int64_t *ret_next)
{
    int64_t first, next;
    period_days(period, local_day(zone, t_ms), &first, &next);
    *ret_next = day_start(zone, next);
    while (*ret_next <= t_ms) {
        period_days(period, next, &first, &next);
        *ret_next = day_start(zone, next);
    }
    *ret_start = day_start(zone, first);
}

int64_t kpid_zone_period_start(const struct kpid_zone *zone, struct kpid_period period, int64_t t_ms)
{
    int64_t start, next;
    period_find(zone, period, t_ms, &start, &next);
    return start;
}

int64_t kpid_zone_period_next(const struct kpid_zone *zone, struct kpid_period period, int64_t t_ms)
{
    int64_t start, next;
    period_find(zone, period, t_ms, &start, &next);
    return next;
}

static int64_t divisor_common(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t kpid_zone_grain(const struct kpid_zone *zone)
{
    int64_t grain = GRAIN_MAX_MS;
    for (size_t i = interval_find(zone, 0); i < zone->n; i++) {
        int64_t since = zone->since_ms[i];
        grain = divisor_common(grain, zone->offset_s[i] * 1000LL);
        if (i == 0 || since < 0)
            continue;
        /* A clock set forward over midnight: that day begins with the change itself. */
        int64_t before = since + zone->offset_s[i - 1] * 1000LL, after = since + zone->offset_s[i] * 1000LL;
        if (after > before && floor_div(after, DAY_MS) > floor_div(before - 1, DAY_MS))
            grain = divisor_common(grain, since);
    }
    return grain;
}
