/* Targets: which row of the table holds, until when, and the deviation from it. */
#include "target.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kpid/evaluate.h"

#define MINUTE_MS     INT64_C(60000)
#define DAY_MS        INT64_C(86400000)
#define MINUTES_A_DAY 1440
#define EVERY_DAY     0x7f
#define EPOCH_WEEKDAY 4 /* 1970-01-01 was a Thursday */

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return a % b < 0 ? quotient - 1 : quotient;
}

static bool any_hour(const struct kpid_target_row *row)
{
    return row->minute_from == 0 && row->minute_to >= MINUTES_A_DAY;
}

static bool group_fits(const struct kpid_kpi *kpi, const struct kpid_target_row *row,
                       const char *const *group)
{
    if (row->total)
        return group == NULL;
    if (row->group == NULL)
        return true;
    if (group == NULL)
        return false;
    for (size_t i = 0; i < kpi->n_by; i++)
        if (row->group[i] != NULL && strcmp(row->group[i], group[i]) != 0)
            return false;
    return true;
}

/* Weekday and hours, of the civil time at the window's start. Hours from > to run over midnight. */
static bool civil_fits(const struct kpid_kpi *kpi, const struct kpid_target_row *row, int64_t start_ms)
{
    if ((row->weekdays & EVERY_DAY) == EVERY_DAY && any_hour(row))
        return true;
    if (start_ms == KPID_NEVER || start_ms == KPID_FOREVER)
        return false;
    int64_t local_ms = start_ms + kpid_zone_offset(kpi->zone, start_ms) * INT64_C(1000);
    int64_t day = floor_div(local_ms, DAY_MS);
    int weekday = (int)(((day + EPOCH_WEEKDAY) % 7 + 7) % 7);
    if ((row->weekdays & (1u << weekday)) == 0)
        return false;
    int minute = (int)((local_ms - day * DAY_MS) / MINUTE_MS);
    if (row->minute_from <= row->minute_to)
        return minute >= row->minute_from && minute < row->minute_to;
    return minute >= row->minute_from || minute < row->minute_to;
}

const struct kpid_target_row *kpid_target_find(const struct kpid_kpi *kpi, uint32_t window,
                                               const char *const *group, int64_t start_ms,
                                               int64_t boundary_ms)
{
    for (size_t i = 0; i < kpi->n_targets; i++) {
        const struct kpid_target_row *row = &kpi->targets[i];
        if ((row->window < 0 || (uint32_t)row->window == window) && boundary_ms > row->from_ms &&
            boundary_ms <= row->to_ms && group_fits(kpi, row, group) && civil_fits(kpi, row, start_ms))
            return row;
    }
    return NULL;
}

static void earlier(int64_t *ret, int64_t candidate)
{
    if (candidate < *ret)
        *ret = candidate;
}

/* ms from civil time `local_ms` to the next time that the clock shows `minute`, more than 0. */
static int64_t until_minute(int64_t local_ms, int minute)
{
    int64_t in_day = local_ms - floor_div(local_ms, DAY_MS) * DAY_MS;
    int64_t wait = minute % MINUTES_A_DAY * MINUTE_MS - in_day;
    return wait > 0 ? wait : wait + DAY_MS;
}

/* ms from `start_ms` to the next time that weekday or hours of some row begin or end. A change of the zone's
 * offset moves the clock by itself, so it counts as a change, and what lies behind it needs no working out.
 */
static int64_t civil_wait(const struct kpid_kpi *kpi, int64_t start_ms)
{
    int64_t wait = KPID_FOREVER;
    if (start_ms == KPID_NEVER || start_ms == KPID_FOREVER)
        return wait;
    int64_t local_ms = start_ms + kpid_zone_offset(kpi->zone, start_ms) * INT64_C(1000);
    for (size_t i = 0; i < kpi->n_targets; i++) {
        const struct kpid_target_row *row = &kpi->targets[i];
        if ((row->weekdays & EVERY_DAY) != EVERY_DAY)
            earlier(&wait, until_minute(local_ms, 0));
        if (!any_hour(row)) {
            earlier(&wait, until_minute(local_ms, row->minute_from));
            earlier(&wait, until_minute(local_ms, row->minute_to));
        }
    }
    if (wait == KPID_FOREVER)
        return wait;
    for (size_t i = 0; i < kpi->zone->n; i++)
        if (kpi->zone->since_ms[i] > start_ms) {
            earlier(&wait, kpi->zone->since_ms[i] - start_ms);
            break;
        }
    return wait;
}

int64_t kpid_target_next_change(const struct kpid_kpi *kpi, int64_t start_ms, int64_t boundary_ms)
{
    int64_t next = KPID_FOREVER, wait = civil_wait(kpi, start_ms);
    if (wait != KPID_FOREVER)
        next = boundary_ms + wait;
    for (size_t i = 0; i < kpi->n_targets; i++) {
        const struct kpid_target_row *row = &kpi->targets[i];
        if (row->from_ms >= boundary_ms && row->from_ms != KPID_FOREVER)
            earlier(&next, row->from_ms + 1);
        if (row->to_ms >= boundary_ms && row->to_ms != KPID_FOREVER)
            earlier(&next, row->to_ms + 1);
    }
    return next;
}

double kpid_target_expected(struct kpid_span span, double actual)
{
    if (actual <= span.low)
        return span.low;
    if (actual >= span.high)
        return span.high;
    return actual - span.low <= span.high - actual ? span.low : span.high;
}

double kpid_target_deviation(enum kpid_direction direction, struct kpid_span span, double actual)
{
    if (actual >= span.low && actual <= span.high)
        return 0.0;
    double expected = kpid_target_expected(span, actual);
    double deviation = actual > expected ? 1.0 : -1.0;
    if (expected != 0.0)
        deviation = (actual - expected) / fabs(expected);
    if (direction == KPID_DOWN)
        deviation = -deviation;
    else if (direction == KPID_BAND)
        deviation = -fabs(deviation);
    if (fabs(deviation) < 1e3)
        deviation = nearbyint(deviation * 1e12) / 1e12;
    return fmax(-DBL_MAX, fmin(DBL_MAX, deviation));
}
