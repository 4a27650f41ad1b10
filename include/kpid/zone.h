/*
 * Time zones and calendar periods, pure. A zone is a table of UTC offsets that the configuration loader read from a
 * TZif file (RFC 8536), with the footer's rule already unrolled to the end of the year 2100. Periods are half-open:
 * [start, end). A day in a zone with a clock change has 23 or 25 hours; a midnight that does not exist begins at the
 * first instant of that civil day.
 */
#ifndef KPID_ZONE_H
#define KPID_ZONE_H

#include "kpid/macros.h"

struct kpid_zone {
    char *name;            /* IANA name */
    int64_t *since_ms;     /* n instants, ascending; offset i holds from since_ms[i] on; since_ms[0] = KPID_NEVER */
    int32_t *offset_s;     /* seconds east of UTC */
    size_t n;
};

enum kpid_calendar {
    KPID_CALENDAR_DAY,
    KPID_CALENDAR_WEEK,
    KPID_CALENDAR_MONTH,
    KPID_CALENDAR_QUARTER,
    KPID_CALENDAR_YEAR
};

struct kpid_period {
    enum kpid_calendar unit;
    uint8_t week_start;   /* 0 Sunday .. 6 Saturday; default 1 */
    uint8_t fiscal_month; /* 1..12: the month a year (and its quarters) begins with; default 1 */
};

/* The zone "UTC" without a file: fills `zone` with one entry; _release frees what a zone owns. */
void kpid_zone_utc(struct kpid_zone *zone);
void kpid_zone_release(struct kpid_zone *zone);

int32_t kpid_zone_offset(const struct kpid_zone *zone, int64_t t_ms);
/* The first instant at which the zone's clocks show `local_ms` (ms since 1970-01-01 00:00 as they count) or later: the
 * first of two where a clock set back shows it twice, the end of the gap where it was set forward over it. */
int64_t kpid_zone_instant(const struct kpid_zone *zone, int64_t local_ms);
/* Start of the period that t lies in, and of the next one. */
int64_t kpid_zone_period_start(const struct kpid_zone *zone, struct kpid_period period, int64_t t_ms);
int64_t kpid_zone_period_next(const struct kpid_zone *zone, struct kpid_period period, int64_t t_ms);
/* The largest step, in ms, of which every start of every period since 1970 is a multiple (at most 15 min). */
int64_t kpid_zone_grain(const struct kpid_zone *zone);
/* RFC 3339 with the zone's offset (Z at offset 0) and ms where not zero, e.g. 2026-03-08T00:00:00-05:00; text holds
 * 40 bytes. Returns the length. */
size_t kpid_zone_print(const struct kpid_zone *zone, int64_t t_ms, char text[40]);

/* Proleptic Gregorian calendar (Hinnant's algorithms): days since 1970-01-01. */
int64_t kpid_civil_days(int64_t year, unsigned month, unsigned day);
void kpid_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

/* RFC 3339 ("2026-11-23T09:00:00.123+08:00", 'Z', space for 'T', fraction of any length, cut to ms).
 * False if it is not one or is out of range (years 1..9999); *ret_ms untouched then. */
bool kpid_time_parse(const char *text, size_t len, int64_t *ret_ms) KPID_MUST_CHECK;

#endif
