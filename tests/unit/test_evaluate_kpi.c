/* From readings to snapshots: quality, samples, parts, target and status. */
#include "test_evaluate_fixture.h"

static struct kpid_target_row constant(double target)
{
    return (struct kpid_target_row){.window = -1,
                                    .from_ms = KPID_NEVER,
                                    .to_ms = KPID_FOREVER,
                                    .weekdays = 0x7f,
                                    .minute_to = 1440,
                                    .span = {target, target}};
}

static const struct kpid_instant final_instant = {.start_ms = 0,
                                                  .end_ms = 300000,
                                                  .boundary_ms = 300000,
                                                  .watermark_ms = 300500,
                                                  .final = true,
                                                  .revision = 2};

Test(kpi, quality)
{
    static const struct {
        const char *count;
        uint64_t samples;
        bool alive, final;
        uint32_t reasons;
        enum kpid_quality quality;
        bool ret_final;
        uint32_t ret_reasons;
    } rows[] = {
        {"600", 600, true, true, 0, KPID_QUALITY_OK, true, 0},
        {"600", 600, true, true, KPID_QR(DEDUP_CUT), KPID_QUALITY_OK, true, KPID_QR(DEDUP_CUT)},
        {"600", 600, true, false, 0, KPID_QUALITY_PROVISIONAL, false, 0},
        {"600", 600, true, true, KPID_QR(SHARDS_MISSING), KPID_QUALITY_PARTIAL, false,
         KPID_QR(SHARDS_MISSING)},
        {"600", 600, true, true, KPID_QR(BEGAN_BEFORE_MEASURE), KPID_QUALITY_PARTIAL, false,
         KPID_QR(BEGAN_BEFORE_MEASURE)},
        {"0", 0, false, true, 0, KPID_QUALITY_NO_DATA, true, KPID_QR(SOURCE_SILENT)},
        {"0", 0, false, false, 0, KPID_QUALITY_NO_DATA, false, KPID_QR(SOURCE_SILENT)},
        {"0", 0, false, true, KPID_QR(SHARDS_MISSING), KPID_QUALITY_PARTIAL, false,
         KPID_QR(SHARDS_MISSING) | KPID_QR(SOURCE_SILENT)},
        {"overflow", 600, true, true, 0, KPID_QUALITY_NO_DATA, true, KPID_QR(OVERFLOW)},
        {"499", 499, true, true, 0, KPID_QUALITY_INSUFFICIENT, true, 0},
        {"499", 499, true, false, 0, KPID_QUALITY_INSUFFICIENT, false, 0},
        {"0", 0, true, true, 0, KPID_QUALITY_INSUFFICIENT, true, 0},
        {"500", 500, true, true, 0, KPID_QUALITY_OK, true, 0},
    };
    struct fixture f;
    fixture_init(&f);
    fixture_formula(&f, "a");
    f.rules[0].min_samples = 500;
    f.rules[1].min_samples = 900;
    f.rules[1].window = 1; /* another window's rule has no say */
    f.kpi.n_rules = 2;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_reading reading =
            reading_of(KPID_FIGURE_COUNT, rows[i].count, rows[i].samples, rows[i].alive);
        struct kpid_instant instant = final_instant;
        struct kpid_snapshot snapshot;
        instant.final = rows[i].final;
        instant.reasons = rows[i].reasons;
        kpid_evaluate(&f.model, 0, 0, &reading, &instant, NULL, NULL, &snapshot);
        cr_expect_eq(snapshot.quality, rows[i].quality, "row %zu: %s", i,
                     kpid_quality_name(snapshot.quality));
        cr_expect_eq(snapshot.final, rows[i].ret_final, "row %zu", i);
        cr_expect_eq(snapshot.reasons, rows[i].ret_reasons, "row %zu: %x", i, snapshot.reasons);
        cr_expect(!snapshot.has_target && !snapshot.has_deviation && snapshot.status == KPID_STATUS_NONE);
    }
    fixture_release(&f);
}

Test(kpi, ratio)
{
    static const char *const group[] = {"web"};
    struct fixture f;
    struct kpid_snapshot s;
    struct kpid_target_row row = constant(0.032);
    char text[64];
    fixture_init(&f);
    fixture_formula(&f, "a b /");
    f.kpi.n_by = 1;
    f.kpi.n_rules = 2;
    f.kpi.targets = &row;
    f.kpi.n_targets = 1;
    const struct kpid_reading readings[] = {reading_of(KPID_FIGURE_COUNT, "27", 27, true),
                                            reading_of(KPID_FIGURE_DISTINCT, "1000", 4000, true)};
    kpid_evaluate(&f.model, 0, 0, readings, &final_instant, group, NULL, &s);
    cr_expect_str_eq(number_text(&s.value, text), "~0.027");
    cr_expect_str_eq(number_text(&s.numerator, text), "27");
    cr_expect_str_eq(number_text(&s.denominator, text), "1000");
    cr_expect_eq(s.samples, 4000, "the denominator's");
    cr_expect(s.has_target && s.has_deviation && s.expected == 0.032 && s.target_low == 0.032 &&
              s.target_high == 0.032);
    cr_expect_eq(s.deviation, -0.15625);
    cr_expect_eq(s.status, KPID_STATUS_WARN);
    cr_expect(s.group == group && s.kpi == 0 && s.window == 0 && !s.other && s.revision == 2);
    cr_expect(s.start_ms == 0 && s.end_ms == 300000 && s.boundary_ms == 300000 && s.watermark_ms == 300500);
    cr_expect(s.variance < 0 && s.parts == NULL);

    const struct kpid_reading none[] = {reading_of(KPID_FIGURE_COUNT, "0", 0, true),
                                        reading_of(KPID_FIGURE_DISTINCT, "0", 0, true)};
    kpid_evaluate(&f.model, 0, 0, none, &final_instant, group, NULL, &s);
    cr_expect_eq(s.quality, KPID_QUALITY_NO_DATA);
    cr_expect_eq(s.reasons, KPID_QR(DIVISION));
    cr_expect(s.has_target && !s.has_deviation && s.expected == 0.032 && s.status == KPID_STATUS_NONE);
    cr_expect_str_eq(number_text(&s.denominator, text), "0");
    fixture_release(&f);
}

Test(kpi, status)
{
    static const struct {
        const char *value;
        uint32_t window;
        enum kpid_status status;
    } rows[] = {
        {"100", 0, KPID_STATUS_OK},    {"91", 0, KPID_STATUS_OK},   {"90", 0, KPID_STATUS_WARN},
        {"81", 0, KPID_STATUS_WARN},   {"80", 0, KPID_STATUS_CRIT}, {"0", 0, KPID_STATUS_CRIT},
        {"none", 0, KPID_STATUS_NONE}, {"80", 2, KPID_STATUS_CRIT},
    };
    struct fixture f;
    struct kpid_target_row row = constant(100);
    fixture_init(&f);
    fixture_formula(&f, "a");
    f.kpi.n_rules = 2;
    f.kpi.targets = &row;
    f.kpi.n_targets = 1;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_reading reading = reading_of(KPID_FIGURE_OTHER, rows[i].value, 5, true);
        struct kpid_snapshot s;
        kpid_evaluate(&f.model, 0, rows[i].window, &reading, &final_instant, NULL, NULL, &s);
        cr_expect_eq(s.status, rows[i].status, "row %zu: %s", i, kpid_status_name(s.status));
    }
    /* Without a rule nobody said what is bad. */
    struct kpid_reading reading = reading_of(KPID_FIGURE_OTHER, "80", 5, true);
    struct kpid_snapshot s;
    f.kpi.n_rules = 0;
    kpid_evaluate(&f.model, 0, 0, &reading, &final_instant, NULL, NULL, &s);
    cr_expect_eq(s.status, KPID_STATUS_NONE, "%s", kpid_status_name(s.status));
    f.kpi.n_rules = 2;
    fixture_release(&f);
}

/* Half a day's revenue is not held against the day's target; its conversion is. */
Test(kpi, open_calendar_window)
{
    static const struct {
        bool judge_open;
        int64_t boundary_ms;
        bool has_deviation;
    } rows[] = {{false, 12 * HOUR, false}, {false, DAY, true}, {true, 12 * HOUR, true}, {true, DAY, true}};
    struct fixture f;
    struct kpid_target_row row = constant(100);
    fixture_init(&f);
    fixture_formula(&f, "a");
    f.kpi.targets = &row;
    f.kpi.n_targets = 1;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_reading reading = reading_of(KPID_FIGURE_SUM, "40.00", 5, true);
        struct kpid_instant instant = {
            .start_ms = 0, .end_ms = DAY, .boundary_ms = rows[i].boundary_ms, .final = true};
        struct kpid_snapshot s;
        f.kpi.judge_open = rows[i].judge_open;
        kpid_evaluate(&f.model, 0, 1, &reading, &instant, NULL, NULL, &s);
        cr_expect(s.has_target && s.expected == 100);
        cr_expect_eq(s.has_deviation, rows[i].has_deviation, "row %zu", i);
    }
    fixture_release(&f);
}

Test(kpi, parts_and_variance)
{
    struct fixture f;
    struct kpid_number parts[3];
    struct kpid_snapshot s;
    char text[64];
    fixture_init(&f);
    fixture_formula(&f, "a");
    f.kpi.n_parts = 3;
    struct kpid_reading readings[] = {
        reading_of(KPID_FIGURE_MEAN, "~2.5", 40, true), reading_of(KPID_FIGURE_OTHER, "1.50", 40, true),
        reading_of(KPID_FIGURE_OTHER, "none", 40, false), reading_of(KPID_FIGURE_SUM, "overflow", 40, true)};
    readings[0].variance = 6.25;
    kpid_evaluate(&f.model, 0, 0, readings, &final_instant, NULL, parts, &s);
    cr_expect_eq(s.parts, parts);
    cr_expect_str_eq(number_text(&parts[0], text), "1.5");
    cr_expect_str_eq(number_text(&parts[1], text), "none");
    cr_expect_str_eq(number_text(&parts[2], text), "overflow");
    cr_expect_eq(s.variance, 6.25);
    cr_expect_eq(s.samples, 40);
    cr_expect_eq(s.reasons, 0, "a part's troubles are its own");
    cr_expect_eq(s.quality, KPID_QUALITY_OK);
    fixture_formula(&f, "a 2 *");
    kpid_evaluate(&f.model, 0, 0, readings, &final_instant, NULL, parts, &s);
    cr_expect(s.variance < 0, "of one observation of the value: only of a bare mean");
    fixture_release(&f);
}
