/* Civil dates and RFC 3339, see kpid/zone.h. Dates after Howard Hinnant, "chrono-compatible low-level date
 * algorithms": a year begins in March, so that the leap day is its last, and 400 years are one era. */
#include "kpid/zone.h"

#include <stdio.h>
#include <string.h>

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define ERA_DAYS   146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

int64_t kpid_civil_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

void kpid_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += EPOCH_DAYS;
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t day_of_era = days - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (unsigned)(month_from_march + (month_from_march < 10 ? 3 : -9));
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

size_t kpid_zone_print(const struct kpid_zone *zone, int64_t t_ms, char text[40])
{
    /* RFC 3339 has no seconds of offset (local mean times have): cut there, so that the instant stays right.
     */
    int64_t minutes = kpid_zone_offset(zone, t_ms) / 60, year;
    unsigned month, day;
    int64_t days = t_ms / DAY_MS, rest = t_ms % DAY_MS + minutes * MINUTE_MS;
    while (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    days += rest / DAY_MS;
    rest %= DAY_MS;
    kpid_civil_from_days(days, &year, &month, &day);

    char fraction[8] = "";
    if (rest % SECOND_MS != 0)
        snprintf(fraction, sizeof(fraction), ".%03u", (unsigned)(rest % SECOND_MS) % 1000);
    unsigned shift = (unsigned)(minutes < 0 ? -minutes : minutes);
    int n = snprintf(text, 40, "%04lld-%02u-%02uT%02u:%02u:%02u%s", (long long)year, month, day,
                     (unsigned)(rest / HOUR_MS), (unsigned)(rest / MINUTE_MS % 60),
                     (unsigned)(rest / SECOND_MS % 60), fraction);
    if (minutes == 0)
        n += snprintf(text + n, 40 - (size_t)n, "Z");
    else
        n += snprintf(text + n, 40 - (size_t)n, "%c%02u:%02u", minutes < 0 ? '-' : '+', shift / 60 % 100,
                      shift % 60);
    return (size_t)n;
}

/* `n` digits at text[*at]; false if they aren't there. */
static bool digits_take(const char *text, size_t len, size_t *at, unsigned n, unsigned *ret)
{
    unsigned value = 0;
    if (len - *at < n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        unsigned digit = (unsigned)(unsigned char)text[*at + i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *at += n;
    *ret = value;
    return true;
}

static bool char_take(const char *text, size_t len, size_t *at, const char *one_of)
{
    if (*at == len || text[*at] == '\0' || strchr(one_of, text[*at]) == NULL)
        return false;
    ++*at;
    return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool fraction_take(const char *text, size_t len, size_t *at, unsigned *ret_ms)
{
    size_t begin = *at;
    unsigned ms = 0, digit;
    while (*at < len && (digit = (unsigned)(unsigned char)text[*at] - '0') <= 9) {
        unsigned place = (unsigned)(*at - begin);
        ms += place == 0 ? digit * 100 : place == 1 ? digit * 10 : place == 2 ? digit : 0;
        ++*at;
    }
    *ret_ms = ms;
    return *at > begin;
}

/* 'Z' or +hh:mm to the end of the text. */
static bool offset_take(const char *text, size_t len, size_t *at, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (char_take(text, len, at, "Zz"))
        return *at == len;
    unsigned hours, minutes;
    bool west = *at < len && text[*at] == '-';
    if (!char_take(text, len, at, "+-") || !digits_take(text, len, at, 2, &hours) ||
        !char_take(text, len, at, ":") || !digits_take(text, len, at, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    int64_t offset = hours * HOUR_MS + minutes * MINUTE_MS;
    *ret_ms = west ? -offset : offset;
    return *at == len;
}

bool kpid_time_parse(const char *text, size_t len, int64_t *ret_ms)
{
    size_t at = 0;
    unsigned year, month, day, hour, minute, second, ms = 0;
    int64_t offset_ms;
    if (!digits_take(text, len, &at, 4, &year) || !char_take(text, len, &at, "-") ||
        !digits_take(text, len, &at, 2, &month) || !char_take(text, len, &at, "-") ||
        !digits_take(text, len, &at, 2, &day) || !char_take(text, len, &at, "Tt ") ||
        !digits_take(text, len, &at, 2, &hour) || !char_take(text, len, &at, ":") ||
        !digits_take(text, len, &at, 2, &minute) || !char_take(text, len, &at, ":") ||
        !digits_take(text, len, &at, 2, &second))
        return false;
    if (char_take(text, len, &at, ".") && !fraction_take(text, len, &at, &ms))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
        minute > 59 || second > 60 || !offset_take(text, len, &at, &offset_ms)) /* 60: a leap second */
        return false;
    *ret_ms = kpid_civil_days(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS +
              second * SECOND_MS + ms - offset_ms;
    return true;
}
