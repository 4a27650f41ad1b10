/* Intervals against values worked out independently: Garwood's by summing the Poisson distribution, Wilson's
 * by hand, normal quantiles by another implementation. */
#include "evaluate/confidence.h"
#include "test_evaluate_fixture.h"

#include <math.h>

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fmax(1e-9, fabs(b));
}

Test(confidence, normal_quantile)
{
    static const double rows[][2] = {
        {0.5, 0.0},
        {0.6, 0.2533471031357998},
        {0.9, 1.2815515655446008},
        {0.975, 1.9599639845400536},
        {0.995, 2.5758293035489},
        {0.9995, 3.2905267314919255},
        {0.9999999, 5.199337582290662},
        {1e-10, -6.361340902404056},
        {1e-12, -7.034483825301132},
        {1e-300, -37.0470962993612},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++)
        cr_expect(near(kpid_normal_quantile(rows[i][0]), rows[i][1], 1e-14), "%g", rows[i][0]);
}

Test(confidence, wilson)
{
    static const double rows[][5] = {
        {0, 10, 0.95, 0.0, 0.277532800},
        {10, 10, 0.95, 0.722467200, 1.0},
        {5, 10, 0.95, 0.236593091, 0.763406909},
        {1, 1, 0.95, 0.206549314, 1.0},
        {16, 500, 0.95, 0.019791514, 0.051344869},
        {320, 10000, 0.95, 0.028726158, 0.035633264},
        {320, 10000, 0.99, 0.027767740, 0.036852875},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_span span = kpid_interval_wilson(rows[i][0], rows[i][1], rows[i][2]);
        cr_expect(near(span.low, rows[i][3], 1e-7) && near(span.high, rows[i][4], 1e-7), "row %zu: %.9f %.9f",
                  i, span.low, span.high);
    }
}

Test(confidence, two_poisson)
{
    static const double rows[][4] = {
        {30, 20, 0.858094973, 2.622087379},
        {200, 100, 1.574085110, 2.541158655},
        {5, 0.5, 0.965751153, 103.546342903},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_span span = kpid_interval_two_poisson(rows[i][0], rows[i][1], 0.95);
        cr_expect(near(span.low, rows[i][2], 1e-8) && near(span.high, rows[i][3], 1e-7), "row %zu: %.9f %.9f",
                  i, span.low, span.high);
    }
}

Test(confidence, poisson)
{
    static const double rows[][4] = {
        {0, 0.95, 0, 3.688879454113936},
        {1, 0.95, 0.02531780798428984, 5.571643390938898},
        {2, 0.95, 0.24220927854396457, 7.224687667723961},
        {5, 0.95, 1.6234863901184204, 11.668332079322669},
        {10, 0.95, 4.795388696132429, 18.390356042017775},
        {0, 0.99, 0, 5.298317366548036},
        {10, 0.99, 3.716922131467101, 21.39782749965427},
    };
    static const double large[][4] = {
        {100, 0.95, 81.36399125091961, 121.62679379242628},
        {1000, 0.95, 938.9730184076548, 1063.9521360162976},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_span span = kpid_interval_poisson(rows[i][0], rows[i][1]);
        cr_expect(near(span.low, rows[i][2], 1e-9) && near(span.high, rows[i][3], 1e-9), "k %g: %.9f %.9f",
                  rows[i][0], span.low, span.high);
    }
    for (size_t i = 0; i < KPID_COUNT_OF(large); i++) {
        struct kpid_span span = kpid_interval_poisson(large[i][0], large[i][1]);
        cr_expect(near(span.low, large[i][2], 1e-4) && near(span.high, large[i][3], 1e-4), "k %g: %.9f %.9f",
                  large[i][0], span.low, span.high);
    }
    /* No jump where the exact interval ends. */
    struct kpid_span last = kpid_interval_poisson(20, 0.95), next = kpid_interval_poisson(21, 0.95);
    cr_expect(next.low - last.low > 0.7 && next.low - last.low < 0.9, "%g", next.low - last.low);
    cr_expect(next.high - last.high > 1.1 && next.high - last.high < 1.3, "%g", next.high - last.high);
}

/* Is the deviation of this snapshot more than chance? */
Test(confidence, of_snapshots)
{
    static const struct {
        enum kpid_figure figure;
        double confidence, value, numerator, denominator, variance, expected;
        uint64_t samples;
        bool significant;
    } rows[] = {
        {KPID_FIGURE_COUNT, 0.00, 0.020, 10, 500, -1, 0.032, 500, true},  /* confidence is off */
        {KPID_FIGURE_COUNT, 0.95, 0.020, 10, 500, -1, 0.032, 500, false}, /* Wilson 0.0109 .. 0.0364 */
        {KPID_FIGURE_COUNT, 0.95, 0.020, 100, 5000, -1, 0.032, 5000, true},
        {KPID_FIGURE_DISTINCT, 0.95, 1.5, 30, 20, -1, 2.6, 20, false}, /* above 1: two Poisson counts */
        {KPID_FIGURE_DISTINCT, 0.95, 1.5, 30, 20, -1, 2.7, 20, true},
        {KPID_FIGURE_COUNT, 0.95, 5, 0, 0, -1, 11, 5, false}, /* Poisson 1.62 .. 11.67 */
        {KPID_FIGURE_COUNT, 0.95, 5, 0, 0, -1, 12, 5, true},
        {KPID_FIGURE_DISTINCT, 0.95, 0, 0, 0, -1, 3.6, 0, false},
        {KPID_FIGURE_DISTINCT, 0.95, 0, 0, 0, -1, 3.7, 0, true},
        {KPID_FIGURE_MEAN, 0.95, 4.0, 0, 0, 4.0, 4.3, 100, false}, /* 4 +- 0.392 */
        {KPID_FIGURE_MEAN, 0.95, 4.0, 0, 0, 4.0, 4.4, 100, true},
        {KPID_FIGURE_MEAN, 0.95, 4.0, 0, 0, -1, 40, 1, false}, /* one observation: no spread */
        {KPID_FIGURE_MEAN, 0.95, 4.0, 0, 0, 0, 4.1, 5, true},
    };
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        bool ratio = rows[i].denominator > 0;
        fixture_formula(&f, ratio ? "a b /" : "a");
        f.refs[0].part = (int)rows[i].figure;
        f.rules[0].confidence = rows[i].confidence;
        struct kpid_snapshot snapshot = {
            .value = {.kind = KPID_NUMBER_DOUBLE, .approx = rows[i].value},
            .numerator = {.kind = KPID_NUMBER_DOUBLE, .approx = rows[i].numerator},
            .denominator = {.kind = KPID_NUMBER_DOUBLE, .approx = rows[i].denominator},
            .samples = rows[i].samples,
            .variance = rows[i].variance,
            .has_deviation = true,
            .expected = rows[i].expected};
        cr_expect_eq(kpid_confident(&f.model, &f.kpi, &f.rules[0], &snapshot), rows[i].significant, "row %zu",
                     i);
        snapshot.value.kind = KPID_NUMBER_NONE;
        cr_expect_eq(kpid_confident(&f.model, &f.kpi, &f.rules[0], &snapshot), rows[i].confidence == 0.0);
    }
    fixture_release(&f);
}
