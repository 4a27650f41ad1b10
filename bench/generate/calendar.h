/*
 * How busy the shop is: a curve over the day (quiet at night, highest in the evening) times a factor of the
 * weekday, both by the local time zone. Between the hours it is straight, so it has no steps. At most 1.
 */
#ifndef KPID_GENERATE_CALENDAR_H
#define KPID_GENERATE_CALENDAR_H

#include <stdint.h>

/* Busyness at ms since the epoch, in (0, 1]. Calls localtime_r: once a minute of event time is enough. */
double kpid_calendar_busyness(int64_t at_ms);

#endif
