#include "calendar.h"

#include <time.h>

/* At each full hour. The night keeps a third, so that windows of five minutes have something to say at any
 * time. */
static const double day_curve[24] = {
    0.52, 0.42, 0.36, 0.33, 0.33, 0.35, 0.42, 0.52, 0.62, 0.70, 0.75, 0.79,
    0.82, 0.80, 0.77, 0.75, 0.76, 0.80, 0.87, 0.95, 1.00, 0.97, 0.85, 0.68,
};
static const double weekday_factor[7] = {0.97, 0.85, 0.84, 0.85, 0.88, 0.94, 1.00}; /* from Sunday */

double kpid_calendar_busyness(int64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    double into_hour = (local.tm_min * 60 + local.tm_sec) / 3600.0;
    double here = day_curve[local.tm_hour], next = day_curve[(local.tm_hour + 1) % 24];
    return (here + (next - here) * into_hour) * weekday_factor[local.tm_wday];
}
