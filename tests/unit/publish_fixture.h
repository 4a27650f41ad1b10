/*
 * A model made by hand for the tests of daemon/publish: "conversion", a ratio by channel and region with
 * targets, a rule and three windows, in Asia/Shanghai; "revenue", exact and without groups, in UTC.
 */
#ifndef PUBLISH_FIXTURE_H
#define PUBLISH_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kpid/publish.h"

#define NOON   INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define MINUTE INT64_C(60000)

enum { CONVERSION, REVENUE };
enum { W_5M, W_DAY, W_ALL };

struct fixture {
    struct kpid_model model;
    struct kpid_kpi kpis[2];
    struct kpid_window windows[3], revenue_windows[1];
    struct kpid_ref refs[4];
    struct kpid_rule rules[2];
    struct kpid_target_row targets[1];
    struct kpid_zone shanghai, utc;
    char *by[2];
};

static inline void fixture_init(struct fixture *f)
{
    static int64_t since[] = {KPID_NEVER};
    static int32_t offset[] = {8 * 3600};
    memset(f, 0, sizeof(*f));
    f->shanghai = (struct kpid_zone){"Asia/Shanghai", since, offset, 1};
    kpid_zone_utc(&f->utc);
    f->windows[W_5M] = (struct kpid_window){.name = "5m",
                                            .kind = KPID_WINDOW_ROLLING,
                                            .length_ms = 5 * MINUTE,
                                            .slide_ms = MINUTE,
                                            .zone = &f->shanghai,
                                            .history = 3};
    f->windows[W_DAY] = (struct kpid_window){.name = "day",
                                             .kind = KPID_WINDOW_CALENDAR,
                                             .period = {KPID_CALENDAR_DAY, 1, 1},
                                             .zone = &f->shanghai,
                                             .history = 400};
    f->windows[W_ALL] = (struct kpid_window){
        .name = "all", .kind = KPID_WINDOW_ALL, .from_ms = KPID_NEVER, .zone = &f->shanghai};
    f->revenue_windows[0] = (struct kpid_window){.name = "5m",
                                                 .kind = KPID_WINDOW_ROLLING,
                                                 .length_ms = 5 * MINUTE,
                                                 .slide_ms = MINUTE,
                                                 .zone = &f->utc,
                                                 .history = 120};
    f->refs[0].name = "orders";
    f->refs[1].name = "visitors";
    f->refs[2].name = "p50";
    f->refs[3].name = "p90";
    f->rules[0] = (struct kpid_rule){.name = "warn", .window = W_5M};
    f->rules[1] = (struct kpid_rule){.name = "crit", .window = W_DAY};
    f->targets[0] = (struct kpid_target_row){.window = -1, .text = "3.2 %"};
    f->by[0] = "channel";
    f->by[1] = "region";
    f->kpis[CONVERSION] = (struct kpid_kpi){.name = "conversion",
                                            .title_en = "Conversion rate",
                                            .title_zh = "转化率",
                                            .owner = "ops@example.com",
                                            .dimension = "customer",
                                            .unit_text = "%",
                                            .formula_text = "orders / visitors",
                                            .unit = KPID_UNIT_PERCENT,
                                            .direction = KPID_UP,
                                            .refs = f->refs,
                                            .n_refs = 2,
                                            .n_parts = 2,
                                            .by = f->by,
                                            .n_by = 2,
                                            .windows = f->windows,
                                            .n_windows = 3,
                                            .zone = &f->shanghai,
                                            .targets = f->targets,
                                            .n_targets = 1,
                                            .rules = f->rules,
                                            .n_rules = 2,
                                            .history_groups = 2,
                                            .hash = 0x0123456789abcdef};
    f->kpis[REVENUE] = (struct kpid_kpi){.name = "revenue",
                                         .title_en = "Revenue",
                                         .owner = "finance@example.com",
                                         .unit_text = "CNY",
                                         .formula_text = "revenue",
                                         .unit = KPID_UNIT_MONEY,
                                         .windows = f->revenue_windows,
                                         .n_windows = 1,
                                         .zone = &f->utc,
                                         .history_groups = 2,
                                         .hash = 0xfeedULL};
    f->model = (struct kpid_model){.kpis = f->kpis, .n_kpis = 2};
    f->model.settings.instance = "test";
    f->model.settings.redis.prefix = "kpi";
    f->model.settings.log_cap = 10000;
    f->model.settings.history_cap = 200;
    f->model.settings.snapshot_ttl_ms = 3600000;
}

static inline void fixture_release(struct fixture *f)
{
    kpid_zone_release(&f->utc);
}

static inline struct kpid_number exact(int64_t mantissa, uint8_t scale)
{
    struct kpid_number number = {.kind = KPID_NUMBER_EXACT, .exact = {mantissa, scale}};
    number.approx = kpid_decimal_to_double(number.exact);
    return number;
}

static inline struct kpid_number approx(double value)
{
    return (struct kpid_number){.kind = KPID_NUMBER_DOUBLE, .approx = value};
}

/* 38 orders of 1,900 visitors: 2 %, in the five minutes that begin `n` windows after NOON. */
static inline struct kpid_snapshot snapshot_of(const char *const *group, int n)
{
    static const struct kpid_number none[2];
    int64_t start_ms = NOON - NOON % (5 * MINUTE) + n * 5 * MINUTE;
    return (struct kpid_snapshot){.kpi = CONVERSION,
                                  .window = W_5M,
                                  .group = group,
                                  .start_ms = start_ms,
                                  .end_ms = start_ms + 5 * MINUTE,
                                  .boundary_ms = start_ms + 5 * MINUTE,
                                  .value = approx(0.02),
                                  .numerator = exact(38, 0),
                                  .denominator = exact(1900, 0),
                                  .samples = 1938,
                                  .parts = none,
                                  .final = true,
                                  .has_target = true,
                                  .target_low = 0.032,
                                  .target_high = 0.032,
                                  .expected = 0.032,
                                  .has_deviation = true,
                                  .deviation = -0.375,
                                  .status = KPID_STATUS_CRIT,
                                  .quality = KPID_QUALITY_OK,
                                  .variance = -1,
                                  .watermark_ms = start_ms + 5 * MINUTE + 250};
}

static inline struct kpid_transition transition_of(const char *const *group, enum kpid_alert_state from,
                                                   enum kpid_alert_state to, uint64_t id)
{
    return (struct kpid_transition){.id = id,
                                    .kpi = CONVERSION,
                                    .rule = 0,
                                    .from = from,
                                    .to = to,
                                    .since_ms = NOON,
                                    .at_ms = NOON + 5 * MINUTE,
                                    .group = group,
                                    .notify = true,
                                    .value = approx(0.02),
                                    .has_deviation = true,
                                    .expected = 0.032,
                                    .deviation = -0.375,
                                    .samples = 1938,
                                    .reasons = KPID_QR(OTHER_GROUP)};
}

#endif
