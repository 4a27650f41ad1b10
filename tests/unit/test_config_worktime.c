/* Working calendars: what the shipped ones say, each fault at its place, and where files are looked for. */
#include "test_config_kit.h"

#include <sys/stat.h>
#include <unistd.h>

#define HOUR_MS INT64_C(3600000)
#define SHIPPED KPID_SOURCE_DIR "/conf/calendars/"
#define CLOCK(calendar_)                                                                                     \
    "measures: { m: { from: s, clock: { key: k, start: type == \"a\", stop: type == \"b\", calendar: " calendar_      \
    " } } }\nkpis: { m: { formula: m.n, windows: [day] } }\n"
#define SOURCE "sources: { s: { topic: t } }\n"

static int64_t at(const char *text)
{
    int64_t ms = KPID_NEVER;
    cr_assert(kpid_time_parse(text, strlen(text), &ms), "%s", text);
    return ms;
}

static int64_t hours(const struct kpid_worktime *work, const char *from, const char *to)
{
    return kpid_worktime_between(work, at(from), at(to)) / HOUR_MS;
}

static struct kpid_model *shipped(const char *calendar)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_printf(&text, SOURCE CLOCK("%s.yaml"), calendar);
    struct kpid_model *model = kit_model("", text.data);
    kpid_buf_release(&text);
    cr_assert_eq(model->n_calendars, 1);
    cr_assert_eq(model->measures[0].keyed.clock.calendar, model->calendars[0]);
    return model;
}

Test(calendars, china_works_on_make_up_days)
{
    struct kpid_model *model = shipped(SHIPPED "cn-workdays");
    const struct kpid_worktime *cn = model->calendars[0];
    cr_assert_eq(cn->from_ms, at("2023-01-01T00:00:00+08:00"));
    cr_assert_eq(cn->to_ms, at("2027-01-01T00:00:00+08:00"));
    cr_assert_eq(hours(cn, "2026-02-14T00:00:00+08:00", "2026-02-15T00:00:00+08:00"), 8); /* Saturday, worked */
    cr_assert_eq(hours(cn, "2026-02-15T00:00:00+08:00", "2026-02-24T00:00:00+08:00"), 0);
    cr_assert_eq(hours(cn, "2026-02-28T00:00:00+08:00", "2026-03-01T00:00:00+08:00"), 8);
    cr_assert_eq(hours(cn, "2026-03-07T00:00:00+08:00", "2026-03-08T00:00:00+08:00"), 0); /* a plain Saturday */
    cr_assert_eq(hours(cn, "2025-10-01T00:00:00+08:00", "2025-10-09T00:00:00+08:00"), 0);
    /* Working days of the years as announced: 2026 has 365 - 104 weekend days - 19 weekdays off + 6 make-up days. */
    cr_assert_eq(hours(cn, "2026-01-01T00:00:00+08:00", "2027-01-01T00:00:00+08:00"), 8 * 248);
    cr_assert_eq(hours(cn, "2025-01-01T00:00:00+08:00", "2026-01-01T00:00:00+08:00"), 8 * 248);
    kpid_model_free(model);
}

Test(calendars, united_states_observes_holidays_on_weekdays)
{
    struct kpid_model *model = shipped(SHIPPED "us-federal");
    const struct kpid_worktime *us = model->calendars[0];
    cr_assert_eq(hours(us, "2026-07-03T00:00:00-04:00", "2026-07-04T00:00:00-04:00"), 0); /* the 4th is a Saturday */
    cr_assert_eq(hours(us, "2026-11-26T00:00:00-05:00", "2026-11-27T00:00:00-05:00"), 0);
    cr_assert_eq(hours(us, "2026-11-27T00:00:00-05:00", "2026-11-28T00:00:00-05:00"), 8);
    cr_assert_eq(kpid_worktime_between(us, at("2026-03-06T09:00:00-05:00"), at("2026-03-09T17:00:00-04:00")),
                 16 * HOUR_MS); /* the clocks changed between */
    cr_assert_eq(hours(us, "2026-01-01T00:00:00-05:00", "2027-01-01T00:00:00-05:00"), 8 * (261 - 11));
    kpid_model_free(model);
}

Test(calendars, brazil_and_every_hour)
{
    struct kpid_model *model = shipped(SHIPPED "br-national");
    const struct kpid_worktime *br = model->calendars[0];
    cr_assert_eq(hours(br, "2026-02-16T00:00:00-03:00", "2026-02-18T00:00:00-03:00"), 0);
    cr_assert_eq(hours(br, "2026-02-18T00:00:00-03:00", "2026-02-19T00:00:00-03:00"), 8);
    cr_assert_eq(hours(br, "2023-11-20T00:00:00-03:00", "2023-11-21T00:00:00-03:00"), 8); /* before the law */
    cr_assert_eq(hours(br, "2024-11-20T00:00:00-03:00", "2024-11-21T00:00:00-03:00"), 0);
    kpid_model_free(model);
    model = shipped(SHIPPED "24x7");
    const struct kpid_worktime *all = model->calendars[0];
    cr_assert_eq(all->n, 1);
    cr_assert_eq(kpid_worktime_between(all, 12345, 99999999), 99999999 - 12345);
    kpid_model_free(model);
}

#define OWN(rest) SOURCE "calendars:\n  own:\n    zone: Asia/Shanghai\n    years: 2025-2026\n" rest CLOCK("own")
#define WEEK      "    shifts: { mon-fri: 09:00-17:00 }\n"

Test(calendars, shifts_lists_spans_and_half_days)
{
    struct kpid_model *model =
        kit_model("", OWN("    shifts: { fri-mon: [00:00-01:00, 05:30-06:00], wed: 10:00-24:00 }\n"
                          "    holidays: { 2025-12-31..2026-01-02: x, 2026-06-01: y }\n"
                          "    workdays: { 2026-03-03: wed, 2026-03-04: 08:00-09:00, 2026-03-05: [08:00-09:00, 10:00-11:00] }\n"));
    const struct kpid_worktime *own = model->calendars[0];
    cr_assert_eq(kpid_worktime_between(own, at("2026-03-06T00:00:00+08:00"), at("2026-03-07T00:00:00+08:00")),
                 HOUR_MS * 3 / 2);
    cr_assert_eq(hours(own, "2026-03-03T00:00:00+08:00", "2026-03-04T00:00:00+08:00"), 14);
    cr_assert_eq(hours(own, "2026-03-04T00:00:00+08:00", "2026-03-05T00:00:00+08:00"), 1);
    cr_assert_eq(hours(own, "2026-03-05T00:00:00+08:00", "2026-03-06T00:00:00+08:00"), 2);
    cr_assert_eq(hours(own, "2026-03-10T00:00:00+08:00", "2026-03-11T00:00:00+08:00"), 0);
    cr_assert_eq(hours(own, "2025-12-31T00:00:00+08:00", "2026-01-03T00:00:00+08:00"), 0);
    kpid_model_free(model);
}

/* What is worked decides the hash, not how it is written; and the clock's hash has it. */
Test(calendars, hash_of_the_definition)
{
    static const char *const same[] = {
        OWN("    shifts: { mon-fri: 09:00-17:00 }\n    holidays: { 2025-01-01: a, 2026-01-01: b }\n"),
        OWN("    shifts: { fri: 09:00-17:00, mon-thu: [09:00-17:00] }\n    holidays: { 2026-01-01: c, 2025-01-01: d }\n"),
    };
    static const char *const other[] = {
        OWN("    shifts: { mon-fri: 09:00-17:00 }\n    holidays: { 2025-01-01: a, 2026-01-02: b }\n"),
        OWN("    shifts: { mon-fri: 09:00-17:01 }\n    holidays: { 2025-01-01: a, 2026-01-01: b }\n"),
        SOURCE CLOCK("~"),
    };
    struct kpid_model *a = kit_model("", same[0]), *b = kit_model("", same[1]);
    cr_assert_eq(a->calendars[0]->hash, b->calendars[0]->hash);
    cr_assert_eq(a->measures[0].hash, b->measures[0].hash);
    for (size_t i = 0; i < 2; i++) {
        struct kpid_model *model = kit_model("", other[i]);
        cr_assert_neq(model->measures[0].hash, a->measures[0].hash);
        kpid_model_free(model);
    }
    kpid_model_free(a);
    kpid_model_free(b);
}

Test(calendars, faults)
{
    static const struct fault_case cases[] = {
        {"calendars: []\n", 1, 12, "calendars must be a mapping", "key: value"},
        {"calendars: { 1x: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 } } }\n", 1, 14, "can't be the name of a calendar", "begin with a letter"},
        {"calendars: { a: [] }\n", 1, 17, "a calendar must be a mapping", "key: value"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, hollidays: {} } }\n", 1, 73, "unknown key `hollidays`", "did you mean `holidays`"},
        {"calendars: { a: { years: 2026, shifts: { mon: 09:00-10:00 } } }\n", 1, 17, "calendar `a` has no `zone`", "add zone:"},
        {"calendars: { a: { zone: UTC, shifts: { mon: 09:00-10:00 } } }\n", 1, 17, "calendar `a` has no `years`", "add years:"},
        {"calendars: { a: { zone: UTC, years: 2026 } }\n", 1, 17, "calendar `a` has no `shifts`", "mon-fri"},
        {"calendars: { a: { zone: UCT0, years: 2026, shifts: { mon: 09:00-10:00 } } }\n", 1, 25, "time zone `UCT0`", "IANA"},
        {"calendars: { a: { zone: UTC, years: 2026-2025, shifts: { mon: 09:00-10:00 } } }\n", 1, 37, "not a span of years", "2023-2026"},
        {"calendars: { a: { zone: UTC, years: 1969-2025, shifts: { mon: 09:00-10:00 } } }\n", 1, 37, "not a span of years", "1970"},
        {"calendars: { a: { zone: UTC, years: 2025-2101, shifts: { mon: 09:00-10:00 } } }\n", 1, 37, "not a span of years", "2100"},
        {"calendars: { a: { zone: UTC, years: 26, shifts: { mon: 09:00-10:00 } } }\n", 1, 37, "not a span of years", "2023-2026"},
        {"calendars: { a: { zone: UTC, years: 2025-, shifts: { mon: 09:00-10:00 } } }\n", 1, 37, "not a span of years", "2023-2026"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { monday: 09:00-10:00 } } }\n", 1, 53, "neither a weekday nor a span", "mon-fri"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon-fri: 09:00-10:00, wed: 10:00-11:00 } } }\n", 1, 75, "has its shifts already", "once"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 9-17 } } }\n", 1, 58, "`9-17` is not a shift", "09:00-18:00"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 22:00-06:00 } } }\n", 1, 58, "`22:00-06:00` is not a shift", "22:00-24:00"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-24:01 } } }\n", 1, 58, "is not a shift", "24:00"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: [09:00-12:00, 11:00-13:00] } } }\n", 1, 72, "begins before", "in their order"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: [00:00-01:00, 01:00-02:00, 02:00-03:00, 03:00-04:00, 04:00-05:00, 05:00-06:00, 06:00-07:00, 07:00-08:00, 08:00-09:00] } } }\n", 1, 58, "9 shifts on one day", "at most 8"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: [] } } }\n", 1, 51, "has no working time", "mon-fri"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, holidays: { 2026-02-30: x } } }\n", 1, 85, "neither a date nor a span", "2026-01-01"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, holidays: { 2026-02-03..2026-02-02: x } } }\n", 1, 85, "neither a date nor a span", "2026-01-01..2026-01-03"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, holidays: { 2027-01-01: x } } }\n", 1, 85, "outside the years", "2026-2026"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, holidays: { 2026-01-01..2026-01-03: x, 2026-01-03: y } } }\n", 1, 112, "2026-01-03 is named already, in line 1", "once"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, holidays: { 2026-01-03: x }, workdays: { 2026-01-03: mon } } }\n", 1, 114, "is named already", "as a holiday or as a workday"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, workdays: { 2026-01-03: tue } } }\n", 1, 97, "`tue` has no shifts", "write the shifts"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, workdays: { 2026-01-03: mom } } }\n", 1, 97, "weekday can't be `mom`", "did you mean `mon`"},
        {"calendars: { a: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 }, workdays: { 2026-01-03: } } }\n", 1, 97, "shifts must be one value", "one value"},
        {"calendars: { a: { zone: UTC, years: 2025-2026, shifts: { mon: 09:00-10:00 }, holidays: { 2025-01-01: x } } }\n", 1, 37, "no holiday in 2026", "leave it out"},
        {"calendars: { a: ./none.yaml }\n", 1, 17, "there is no calendar `./none.yaml`", "looked for ./none.yaml"},
        {SOURCE "measures: { m: { from: s, clock: { key: k, start: type == \"a\", stop: type == \"b\", calendar: none } } }\n", 2, 93, "there is no calendar `none`", "calendars/none.yaml"},
        {SOURCE "calendars: { office: { zone: UTC, years: 2026, shifts: { mon: 09:00-10:00 } } }\nmeasures: { m: { from: s, clock: { key: k, start: type == \"a\", stop: type == \"b\", calendar: ofice } } }\n", 3, 93, "there is no calendar `ofice`", "did you mean `office`"},
        {SOURCE "measures: { m: { from: s, clock: { key: k, start: type == \"a\", stop: type == \"b\", calendar: [] } } }\n", 2, 93, "calendar must be one value", "one value"},
    };
    kit_faults("", cases);
}

static void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file, "%s", path);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* Beside the configuration first, then where they are installed; faults of a calendar's file are its own, and count. */
Test(calendars, files)
{
    char folder[] = "/tmp/kpid-calendars-XXXXXX", path[256];
    cr_assert(mkdtemp(folder));
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    file_write(path, SOURCE CLOCK("one"));
    struct kpid_config_options options = {.calendars = folder};

    cr_assert_null(kpid_config_load(path, &options, &faults, &n));
    cr_assert_eq(n, 1);
    cr_assert(strstr(faults.data, "c.yaml:2:93: error: there is no calendar `one`"), "%s", faults.data);
    kpid_buf_clear(&faults);

    char installed[256], beside[256];
    snprintf(installed, sizeof installed, "%s/one.yaml", folder);
    file_write(installed, "zone: UTC\nyears: 2026\nshifts: { mon: 09:00-10:00 }\n");
    struct kpid_model *model = kpid_config_load(path, &options, &faults, &n);
    cr_assert(model, "%s", faults.data);
    cr_assert_eq(hours(model->calendars[0], "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"), 1);
    kpid_model_free(model);

    snprintf(beside, sizeof beside, "%s/calendars", folder);
    cr_assert_eq(mkdir(beside, 0700), 0);
    snprintf(beside, sizeof beside, "%s/calendars/one.yaml", folder);
    file_write(beside, "zone: UTC\nyears: 2026\nshifts: { mon: 9-10, tue: 9-10 }\nx: 1\n");
    kpid_buf_clear(&faults);
    cr_assert_null(kpid_config_load(path, &options, &faults, &n));
    cr_assert_eq(n, 3, "%s", faults.data);
    cr_assert(strstr(faults.data, "/calendars/one.yaml:3:16: error: `9-10` is not a shift\n    shifts: { mon: 9-10, "
                                  "tue: 9-10 }\n                   ^\n"), "%s", faults.data);
    cr_assert(strstr(faults.data, "/calendars/one.yaml:4:1: error: unknown key `x`"), "%s", faults.data);
    unlink(beside);
    *strrchr(beside, '/') = '\0';
    rmdir(beside);
    unlink(installed);
    unlink(path);
    rmdir(folder);
    kpid_buf_release(&faults);
}
