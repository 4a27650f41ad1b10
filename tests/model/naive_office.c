/* Civil days and working time of model.yaml's office, quarter of an hour by quarter, after the C library's
 * zones. */
#include "naive.h"

#include <stdlib.h>
#include <time.h>

#define QUARTER INT64_C(900000)
#define DAY     (96 * QUARTER)
#define ZONE    "America/New_York"

struct naive_office {
    int64_t begin_ms; /* a quarter */
    size_t n;
    int64_t *worked;        /* before each quarter */
    bool *works;            /* n, whether that quarter is worked */
    int *days;              /* of each quarter, days after the first one */
    int64_t from_ms, to_ms; /* the years that it covers, as far as they lie in [begin, end) */
};

static bool between(const struct tm *t, int from, int to)
{
    int minute = t->tm_hour * 60 + t->tm_min;
    return minute >= from && minute < to;
}

static bool works_like(int weekday, const struct tm *t)
{
    switch (weekday) {
    case 0: return between(t, 60, 300);
    case 5: return between(t, 480, 900);
    case 6: return false;
    default: return between(t, 480, 720) || between(t, 780, 1050);
    }
}

static bool works_at(const struct tm *t)
{
    int date = (t->tm_mon + 1) * 100 + t->tm_mday;

    if (t->tm_year != 126)
        return false;
    if (date == 302 || (date >= 310 && date <= 311))
        return false;
    if (date == 228)
        return works_like(1, t);
    if (date == 328)
        return between(t, 540, 720);
    return works_like(t->tm_wday, t);
}

struct naive_office *naive_office_new(int64_t begin_ms, int64_t end_ms)
{
    struct naive_office *office = kpid_zalloc(1, sizeof(*office));
    int mday = 0;

    setenv("TZ", ZONE, 1);
    tzset();
    office->begin_ms = begin_ms - begin_ms % QUARTER - 10 * DAY;
    office->n = (size_t)((end_ms - office->begin_ms) / QUARTER) + 100 * 96;
    office->worked = kpid_zalloc(office->n + 1, sizeof(*office->worked));
    office->works = kpid_zalloc(office->n, sizeof(*office->works));
    office->days = kpid_zalloc(office->n, sizeof(*office->days));
    office->from_ms = KPID_FOREVER;
    office->to_ms = office->begin_ms;
    for (size_t i = 0; i < office->n; i++) {
        time_t at = (time_t)((office->begin_ms + (int64_t)i * QUARTER) / 1000);
        struct tm t;
        localtime_r(&at, &t);
        office->works[i] = works_at(&t);
        office->worked[i + 1] = office->worked[i] + (office->works[i] ? QUARTER : 0);
        office->days[i] = i ? office->days[i - 1] + (t.tm_mday != mday) : 0;
        mday = t.tm_mday;
        if (t.tm_year != 126)
            continue;
        if (office->from_ms == KPID_FOREVER)
            office->from_ms = office->begin_ms + (int64_t)i * QUARTER;
        office->to_ms = office->begin_ms + (int64_t)(i + 1) * QUARTER;
    }
    return office;
}

void naive_office_free(struct naive_office *office)
{
    if (!office)
        return;
    free(office->worked);
    free(office->works);
    free(office->days);
    free(office);
}

bool naive_office_covers(const struct naive_office *office, int64_t ts_ms)
{
    return ts_ms >= office->from_ms && ts_ms < office->to_ms;
}

static int64_t worked_before(const struct naive_office *office, int64_t ts_ms)
{
    if (ts_ms >= office->begin_ms + (int64_t)office->n * QUARTER)
        return office->worked[office->n];
    size_t i = (size_t)((ts_ms - office->begin_ms) / QUARTER);
    return office->worked[i] + (office->works[i] ? (ts_ms - office->begin_ms) % QUARTER : 0);
}

int64_t naive_office_between(const struct naive_office *office, int64_t a_ms, int64_t b_ms)
{
    return worked_before(office, b_ms) - worked_before(office, a_ms);
}

int64_t naive_office_after(const struct naive_office *office, int64_t since_ms, int64_t work_ms)
{
    int64_t wanted = worked_before(office, since_ms) + work_ms;

    if (work_ms == 0)
        return since_ms;
    for (size_t i = (size_t)((since_ms - office->begin_ms) / QUARTER); i < office->n; i++)
        if (office->worked[i + 1] >= wanted)
            return office->begin_ms + (int64_t)i * QUARTER + (wanted - office->worked[i]);
    return KPID_FOREVER;
}

int naive_day(const struct naive_office *office, int64_t ts_ms)
{
    return office->days[(ts_ms - office->begin_ms) / QUARTER];
}

int64_t naive_day_start(const struct naive_office *office, int day)
{
    size_t low = 0, high = office->n - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (office->days[middle] < day)
            low = middle + 1;
        else
            high = middle;
    }
    return office->begin_ms + (int64_t)low * QUARTER;
}
