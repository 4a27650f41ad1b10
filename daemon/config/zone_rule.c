#include "zone_rule.h"

#include <ctype.h>
#include <string.h>

#include "kpid/zone.h"

static bool number_read(const char **at, int max, int *ret)
{
    int value = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > max)
            return false;
    }
    *ret = value;
    return true;
}

/* "EST" or "<+0330>" */
static bool name_skip(const char **at)
{
    const char *begin = *at;
    if (*begin == '<') {
        const char *end = strchr(begin, '>');
        if (!end)
            return false;
        *at = end + 1;
        return true;
    }
    while (isalpha((unsigned char)**at))
        (*at)++;
    return *at - begin >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool time_read(const char **at, int32_t *ret_s)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes = 0, seconds = 0;
    *at += **at == '-' || **at == '+';
    if (!number_read(at, 167, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!number_read(at, 59, &minutes))
            return false;
    }
    if (**at == ':') {
        (*at)++;
        if (!number_read(at, 59, &seconds))
            return false;
    }
    *ret_s = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool month_date_read(const char **at, struct kpid_zone_date *ret)
{
    if (!number_read(at, 12, &ret->month) || ret->month < 1 || *(*at)++ != '.')
        return false;
    if (!number_read(at, 5, &ret->week) || ret->week < 1 || *(*at)++ != '.')
        return false;
    return number_read(at, 6, &ret->day);
}

/* ,date[/time] */
static bool date_read(const char **at, struct kpid_zone_date *ret)
{
    if (*(*at)++ != ',')
        return false;
    ret->time_s = 7200;
    if (**at == 'M' || **at == 'J') {
        ret->kind = *(*at)++;
        if (ret->kind == 'M' ? !month_date_read(at, ret) : !number_read(at, 365, &ret->day) || ret->day < 1)
            return false;
    } else {
        ret->kind = 'N';
        if (!number_read(at, 365, &ret->day))
            return false;
    }
    if (**at != '/')
        return true;
    (*at)++;
    return time_read(at, &ret->time_s);
}

bool kpid_zone_rule_parse(const char *text, struct kpid_zone_rule *ret)
{
    struct kpid_zone_rule rule = {0};
    const char *at = text;
    if (!name_skip(&at) || !time_read(&at, &rule.standard_s))
        return false;
    rule.standard_s = -rule.standard_s; /* POSIX counts west of Greenwich */
    rule.summer_s = rule.standard_s + 3600;
    if (*at) {
        rule.has_summer = true;
        if (!name_skip(&at))
            return false;
        if (*at && *at != ',') {
            if (!time_read(&at, &rule.summer_s))
                return false;
            rule.summer_s = -rule.summer_s;
        }
        if (!date_read(&at, &rule.begin) || !date_read(&at, &rule.end) || *at)
            return false;
    }
    *ret = rule;
    return true;
}

static bool leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t day_of(const struct kpid_zone_date *date, int64_t year)
{
    if (date->kind == 'J')
        return kpid_civil_days(year, 1, 1) + date->day - 1 + (leap(year) && date->day >= 60);
    if (date->kind == 'N')
        return kpid_civil_days(year, 1, 1) + date->day;
    int64_t first = kpid_civil_days(year, (unsigned)date->month, 1);
    int weekday = (int)((first + 4) % 7); /* 1970-01-01 was a Thursday */
    int64_t day = first + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
    int64_t next = date->month == 12 ? kpid_civil_days(year + 1, 1, 1)
                                     : kpid_civil_days(year, (unsigned)date->month + 1, 1);
    return day < next ? day : day - 7; /* week 5 is the last one */
}

int64_t kpid_zone_rule_begin(const struct kpid_zone_rule *rule, int64_t year)
{
    return day_of(&rule->begin, year) * 86400 + rule->begin.time_s - rule->standard_s;
}

int64_t kpid_zone_rule_end(const struct kpid_zone_rule *rule, int64_t year)
{
    return day_of(&rule->end, year) * 86400 + rule->end.time_s - rule->summer_s;
}
