/*
 * One working calendar: shifts of the weekdays, days that are holidays, days that are worked otherwise, for the years it
 * states. A shift belongs to the day on which it begins and ends with it.
 */
#include "worktime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar_words.h"
#include "kpid/hash.h"
#include "settings.h"
#include "text.h"

#define DAY_MS        INT64_C(86400000)
#define MINUTE_MS     INT64_C(60000)
#define MINUTES_A_DAY 1440
#define SHIFTS_MAX    8
#define FIRST_YEAR    1970
#define LAST_YEAR     2100 /* zones are unrolled so far */

struct shifts {
    struct {
        uint16_t from, to; /* minutes of the day */
    } at[SHIFTS_MAX];
    size_t n;
};

/* Days that are not as their weekday is. */
struct exception {
    int64_t first, last; /* civil days */
    struct shifts shifts;
    bool holiday;
    uint32_t line;
};

struct reading {
    struct kpid_loader *loader;
    const char *name;
    int64_t first_year, last_year;
    int64_t first, end; /* civil days [first, end) */
    struct shifts week[7];
    bool week_known[7];
    struct exception *exceptions;
    size_t n;
    uint32_t *by_day; /* exception + 1 */
};

/* ---- shifts ---- */

static bool shift_read(const char *text, uint16_t *ret_from, uint16_t *ret_to)
{
    unsigned h[2], m[2];
    int end = 0;
    if (sscanf(text, "%2u:%2u-%2u:%2u%n", &h[0], &m[0], &h[1], &m[1], &end) != 4 || text[end] ||
        strspn(text, "0123456789:-") != (size_t)end || m[0] > 59 || m[1] > 59)
        return false;
    unsigned from = h[0] * 60 + m[0], to = h[1] * 60 + m[1];
    if (from >= to || to > MINUTES_A_DAY)
        return false;
    *ret_from = (uint16_t)from;
    *ret_to = (uint16_t)to;
    return true;
}

/* "09:00-18:00" or a list of such, ascending. */
static bool shifts_read(struct reading *r, struct kpid_yaml *node, struct shifts *ret)
{
    struct kpid_faults *faults = &r->loader->faults;
    struct kpid_yaml *one, **items;
    size_t n;
    if (!kpid_want_texts(r->loader, node, "shifts", &one, &items, &n))
        return false;
    if (n > SHIFTS_MAX) {
        kpid_fault_add(faults, node->place, "%zu shifts on one day", n);
        kpid_fault_advise(faults, "write at most %d", SHIFTS_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t from, to;
        if (!shift_read(items[i]->text, &from, &to)) {
            kpid_fault_add(faults, items[i]->place, "`%s` is not a shift", items[i]->text);
            kpid_fault_advise(faults, "write 09:00-18:00, the end behind the start and at most 24:00; a night is "
                                      "22:00-24:00 and, on the next day, 00:00-06:00");
            return false;
        }
        if (i > 0 && from < ret->at[i - 1].to) {
            kpid_fault_add(faults, items[i]->place, "shift `%s` begins before the one before it ends",
                           items[i]->text);
            kpid_fault_advise(faults, "write the shifts of a day in their order, apart from each other");
            return false;
        }
        ret->at[i].from = from;
        ret->at[i].to = to;
        ret->n = i + 1;
    }
    return true;
}

/* "mon" or "mon-fri"; a span may go over the end of the week. */
static bool weekdays_read(struct kpid_loader *loader, const struct kpid_yaml *key, uint8_t *ret_first,
                          uint8_t *ret_last)
{
    char *words = kpid_strdup(key->text), *dash = strchr(words, '-');
    if (dash)
        *dash = '\0';
    bool good = kpid_weekday_find(words, ret_first) && kpid_weekday_find(dash ? dash + 1 : words, ret_last);
    free(words);
    if (good)
        return true;
    kpid_fault_add(&loader->faults, key->place, "`%s` is neither a weekday nor a span of weekdays", key->text);
    kpid_fault_advise(&loader->faults, "write mon, or mon-fri; days that are not named are not worked");
    return false;
}

static void week_load(struct reading *r, struct kpid_yaml *map)
{
    for (size_t i = 0; i < map->n; i++) {
        uint8_t first, last;
        struct shifts shifts = {.n = 0};
        if (!weekdays_read(r->loader, map->keys[i], &first, &last) || !shifts_read(r, map->items[i], &shifts))
            continue;
        for (uint8_t day = first;; day = (uint8_t)((day + 1) % 7)) {
            if (r->week_known[day]) {
                kpid_fault_add(&r->loader->faults, map->keys[i]->place,
                               "`%s` names a day that has its shifts already", map->keys[i]->text);
                kpid_fault_advise(&r->loader->faults, "name each weekday once; several shifts of a day are a list");
                break;
            }
            r->week[day] = shifts;
            r->week_known[day] = true;
            if (day == last)
                break;
        }
    }
}

/* ---- dates ---- */

static bool date_read(const char *text, size_t len, int64_t *ret_day)
{
    char instant[32];
    int64_t ms;
    if (len != 10)
        return false;
    int n = snprintf(instant, sizeof instant, "%.10sT00:00:00Z", text);
    if (!kpid_time_parse(instant, (size_t)n, &ms))
        return false;
    *ret_day = ms / DAY_MS - (ms % DAY_MS < 0);
    return true;
}

/* "2026-01-01" or "2026-01-01..2026-01-03", in the years of the calendar, the first time that these days are named. */
static bool dates_read(struct reading *r, const struct kpid_yaml *key, int64_t *ret_first, int64_t *ret_last)
{
    struct kpid_faults *faults = &r->loader->faults;
    const char *dots = strstr(key->text, "..");
    size_t len = dots ? (size_t)(dots - key->text) : key->len;
    if (!date_read(key->text, len, ret_first) ||
        !date_read(dots ? dots + 2 : key->text, dots ? key->len - len - 2 : len, ret_last) ||
        *ret_last < *ret_first) {
        kpid_fault_add(faults, key->place, "`%s` is neither a date nor a span of dates", key->text);
        kpid_fault_advise(faults, "write 2026-01-01, or 2026-01-01..2026-01-03 with its last day");
        return false;
    }
    if (!r->by_day) /* the years are at fault */
        return false;
    if (*ret_first < r->first || *ret_last >= r->end) {
        kpid_fault_add(faults, key->place, "`%s` lies outside the years of the calendar", key->text);
        kpid_fault_advise(faults, "`years` says %lld-%lld: correct the date, or state the year and give all of it",
                          (long long)r->first_year, (long long)r->last_year);
        return false;
    }
    for (int64_t day = *ret_first; day <= *ret_last; day++) {
        uint32_t other = r->by_day[day - r->first];
        if (other == 0)
            continue;
        int64_t year;
        unsigned month, month_day;
        kpid_civil_from_days(day, &year, &month, &month_day);
        kpid_fault_add(faults, key->place, "%04lld-%02u-%02u is named already, in line %u", (long long)year, month,
                       month_day, r->exceptions[other - 1].line);
        kpid_fault_advise(faults, "name each day once, as a holiday or as a workday");
        return false;
    }
    return true;
}

static void exception_add(struct reading *r, struct exception exception)
{
    r->exceptions = kpid_realloc(r->exceptions, (r->n + 1) * sizeof *r->exceptions);
    r->exceptions[r->n++] = exception;
    for (int64_t day = exception.first; day <= exception.last; day++)
        r->by_day[day - r->first] = (uint32_t)r->n;
}

static void holidays_load(struct reading *r, struct kpid_yaml *map)
{
    for (size_t i = 0; i < map->n; i++) {
        struct exception holiday = {.holiday = true, .line = map->keys[i]->place.line};
        if (dates_read(r, map->keys[i], &holiday.first, &holiday.last))
            exception_add(r, holiday);
    }
}

/* A weekday whose shifts the day has, or the shifts themselves. */
static void workdays_load(struct reading *r, struct kpid_yaml *map)
{
    for (size_t i = 0; i < map->n; i++) {
        struct kpid_yaml *node = map->items[i];
        struct exception workday = {.line = map->keys[i]->place.line};
        bool like = node->kind == KPID_YAML_SCALAR && node->len > 0 && !strchr("0123456789", node->text[0]);
        uint8_t day;
        if (!dates_read(r, map->keys[i], &workday.first, &workday.last))
            continue;
        if (like && kpid_yaml_is_null(node))
            like = false;
        if (!like) {
            if (shifts_read(r, node, &workday.shifts))
                exception_add(r, workday);
        } else if (kpid_weekday_want(r->loader, node, &day)) {
            workday.shifts = r->week[day];
            if (workday.shifts.n == 0) {
                kpid_fault_add(&r->loader->faults, node->place, "`%s` has no shifts that this day could have",
                               node->text);
                kpid_fault_advise(&r->loader->faults, "name a weekday that is worked, or write the shifts");
                continue;
            }
            exception_add(r, workday);
        }
    }
}

/* ---- the calendar ---- */

static void years_load(struct reading *r, const struct kpid_yaml *node)
{
    unsigned first, last;
    int end = 0;
    if (!kpid_want_text(r->loader, node, "years"))
        return;
    int n = sscanf(node->text, "%4u%n-%4u%n", &first, &end, &last, &end);
    if (n == 1)
        last = first;
    if (n < 1 || node->text[end] || strspn(node->text, "0123456789-") != node->len || first < FIRST_YEAR ||
        last > LAST_YEAR || last < first) {
        kpid_fault_add(&r->loader->faults, node->place, "years: `%s` is not a span of years", node->text);
        kpid_fault_advise(&r->loader->faults, "write 2026, or 2023-2026, from %d to %d: the years whose days off "
                                              "are all here",
                          FIRST_YEAR, LAST_YEAR);
        return;
    }
    r->first_year = first;
    r->last_year = last;
    r->first = kpid_civil_days(first, 1, 1);
    r->end = kpid_civil_days((int64_t)last + 1, 1, 1);
    r->by_day = kpid_zalloc((size_t)(r->end - r->first), sizeof *r->by_day);
}

/* A year was added to `years`, and its days off were not: figures would be wrong in silence. */
static void every_year_check(struct reading *r, const struct kpid_yaml *years)
{
    bool any = false;
    for (size_t i = 0; i < r->n; i++)
        any |= r->exceptions[i].holiday;
    for (int64_t year = r->first_year; any && year <= r->last_year; year++) {
        int64_t begin = kpid_civil_days(year, 1, 1), end = kpid_civil_days(year + 1, 1, 1);
        bool found = false;
        for (size_t i = 0; i < r->n && !found; i++)
            found = r->exceptions[i].holiday && r->exceptions[i].last >= begin && r->exceptions[i].first < end;
        if (found)
            continue;
        kpid_fault_add(&r->loader->faults, years->place, "calendar `%s` has no holiday in %lld", r->name,
                       (long long)year);
        kpid_fault_advise(&r->loader->faults, "add the year's holidays and workdays, or leave it out of `years`");
    }
}

static void days_build(const struct reading *r, struct kpid_worktime *work)
{
    work->hash = kpid_hash(work->zone->name, strlen(work->zone->name), (uint64_t)r->first);
    work->hash = kpid_hash_mix(work->hash, (uint64_t)r->end);
    for (int64_t day = r->first; day < r->end; day++) {
        uint32_t exception = r->by_day[day - r->first];
        int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        const struct shifts *shifts = exception ? &r->exceptions[exception - 1].shifts : &r->week[weekday];
        for (size_t i = 0; i < shifts->n; i++) {
            int64_t from = day * DAY_MS + shifts->at[i].from * MINUTE_MS,
                    to = day * DAY_MS + shifts->at[i].to * MINUTE_MS;
            kpid_worktime_add(work, kpid_zone_instant(work->zone, from), kpid_zone_instant(work->zone, to));
            work->hash = kpid_hash_mix(kpid_hash_mix(work->hash, (uint64_t)from), (uint64_t)to);
        }
    }
}

static bool missing_check(struct reading *r, const struct kpid_yaml *map, const char *key, const char *example)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, key);
    if (node && !kpid_yaml_is_null(node))
        return false;
    kpid_fault_add(&r->loader->faults, map->place, "calendar `%s` has no `%s`", r->name, key);
    kpid_fault_advise(&r->loader->faults, "add %s: %s", key, example);
    return true;
}

static struct kpid_yaml *part_open(struct reading *r, const struct kpid_yaml *map, const char *key)
{
    struct kpid_yaml *node = kpid_yaml_get(map, key);
    return node && !kpid_yaml_is_null(node) && kpid_want_map(r->loader, node, key) ? node : NULL;
}

bool kpid_worktime_load(struct kpid_loader *loader, const char *name, struct kpid_yaml *map,
                        struct kpid_worktime *work)
{
    struct reading r = {.loader = loader, .name = name};
    size_t before = loader->faults.n_errors;
    if (!kpid_want_map(loader, map, "a calendar"))
        return false;
    kpid_settings_check_keys(loader, "calendars.*", map, NULL);
    if (!missing_check(&r, map, "zone", "Europe/Berlin"))
        work->zone = kpid_zone_want(loader, kpid_yaml_get(map, "zone"));
    if (!missing_check(&r, map, "years", "2026, or 2023-2026: the years whose days off are all here"))
        years_load(&r, kpid_yaml_get(map, "years"));
    struct kpid_yaml *shifts =
        missing_check(&r, map, "shifts", "{ mon-fri: 09:00-17:00 }") ? NULL : part_open(&r, map, "shifts");
    struct kpid_yaml *holidays = part_open(&r, map, "holidays"), *workdays = part_open(&r, map, "workdays");
    if (shifts)
        week_load(&r, shifts);
    if (holidays)
        holidays_load(&r, holidays);
    if (workdays)
        workdays_load(&r, workdays);
    if (loader->faults.n_errors == before)
        every_year_check(&r, kpid_yaml_get(map, "years"));
    if (loader->faults.n_errors == before) {
        work->name = kpid_strdup(name);
        work->from_ms = kpid_zone_instant(work->zone, r.first * DAY_MS);
        work->to_ms = kpid_zone_instant(work->zone, r.end * DAY_MS);
        days_build(&r, work);
        if (work->n == 0) {
            kpid_fault_add(&loader->faults, shifts->place, "calendar `%s` has no working time", name);
            kpid_fault_advise(&loader->faults, "write shifts: { mon-fri: 09:00-17:00 }");
        }
    }
    free(r.exceptions);
    free(r.by_day);
    if (loader->faults.n_errors == before)
        return true;
    kpid_worktime_release(work);
    return false;
}
