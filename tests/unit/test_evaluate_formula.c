/* Formulas: what stays exact, what becomes a double, what has no value and why. */
#include "evaluate/formula.h"
#include "test_evaluate_fixture.h"

#define COUNT    KPID_FIGURE_COUNT
#define SUM      KPID_FIGURE_SUM
#define DISTINCT KPID_FIGURE_DISTINCT
#define MEAN     KPID_FIGURE_MEAN
#define INSTANT  KPID_FIGURE_INSTANT
#define OTHER    KPID_FIGURE_OTHER
#define MOST     "170141183460469231731687303715884105727" /* 2^127 - 1 */

struct row {
    const char *rpn;
    struct {
        enum kpid_figure figure;
        const char *value;
        uint64_t samples;
        bool silent;
    } in[3];
    const char *expected;
    uint32_t reasons;
    uint64_t samples;
};

static void rows_check(const struct row *rows, size_t n)
{
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < n; i++) {
        struct kpid_reading readings[3];
        uint32_t reasons = 0;
        char text[64];
        for (size_t r = 0; r < 3; r++)
            readings[r] = reading_of(rows[i].in[r].figure, rows[i].in[r].value ? rows[i].in[r].value : "none",
                                     rows[i].in[r].samples, !rows[i].in[r].silent);
        fixture_formula(&f, rows[i].rpn);
        int root = (int)f.kpi.n_formula - 1;
        struct kpid_number value = kpid_formula_value(&f.kpi, root, readings, &reasons);
        cr_expect_str_eq(number_text(&value, text), rows[i].expected, "row %zu %s: %s, not %s", i,
                         rows[i].rpn, number_text(&value, text), rows[i].expected);
        cr_expect_eq(reasons, rows[i].reasons, "row %zu %s: reasons %x", i, rows[i].rpn, reasons);
        uint64_t samples = kpid_formula_samples(&f.kpi, root, readings);
        cr_expect_eq(samples, rows[i].samples, "row %zu %s: samples %llu", i, rows[i].rpn,
                     (unsigned long long)samples);
        if (value.kind == KPID_NUMBER_EXACT)
            cr_expect_eq(value.approx, kpid_decimal_to_double(value.exact), "row %zu", i);
    }
    fixture_release(&f);
}

Test(formula, exact)
{
    static const struct row rows[] = {
        {"7", {{0}}, "7", 0, 0},
        {"2.500", {{0}}, "2.5", 0, 0},
        {"a", {{COUNT, "12", 12, false}}, "12", 0, 12},
        {"a b +", {{SUM, "0.10", 3, false}, {SUM, "0.2", 2, false}}, "0.3", 0, 2},
        {"a b -", {{SUM, "1", 3, false}, {SUM, "0.999999", 4, false}}, "0.000001", 0, 3},
        {"a 3 *", {{SUM, "0.10", 3, false}}, "0.3", 0, 3},
        {"2.0 a *", {{SUM, "0.15", 3, false}}, "0.3", 0, 3}, /* 2.0 is whole */
        {"a b *", {{COUNT, "3", 3, false}, {SUM, "1.10", 1, false}}, "3.3", 0, 1},
        {"a ~", {{SUM, "0.10", 1, false}}, "-0.1", 0, 1},
        {"0 a -", {{SUM, "-5", 1, false}}, "5", 0, 1},
        {"a b -", {{SUM, MOST, 1, false}, {SUM, MOST, 1, false}}, "0", 0, 1},
        {"a b + c -",
         {{COUNT, "9007199254740993", 9, false}, {COUNT, "1", 8, false}, {COUNT, "0", 0, false}},
         "9007199254740994",
         0,
         0}, /* beyond a double's 53 bits */
    };
    rows_check(rows, KPID_COUNT_OF(rows));
}

Test(formula, doubles)
{
    static const struct row rows[] = {
        {"a b /", {{COUNT, "32", 32, false}, {COUNT, "1000", 1000, false}}, "~0.032", 0, 32},
        {"a 2 /", {{COUNT, "4", 4, false}}, "~2", 0, 4}, /* a quotient is a double, also when it comes out */
        {"a 1.1 *", {{SUM, "0.10", 3, false}}, "~0.11", 0, 3},
        {"a 1.1 *", {{COUNT, "10", 10, false}}, "11", 0, 10},
        {"a b +", {{MEAN, "~0.25", 3, false}, {COUNT, "2", 2, false}}, "~2.25", 0, 2},
        {"a b -", {{COUNT, "2", 2, false}, {MEAN, "~0.25", 3, false}}, "~1.75", 0, 2},
        {"a ~", {{MEAN, "~0.25", 3, false}}, "~-0.25", 0, 3},
        {"a a *", {{SUM, "0.5", 1, false}}, "~0.25", 0, 1},
        {"1 a b / -", {{COUNT, "1", 1, false}, {COUNT, "4", 4, false}}, "~0.75", 0, 1},
    };
    rows_check(rows, KPID_COUNT_OF(rows));
}

Test(formula, functions)
{
    const uint32_t silent = KPID_QR(SOURCE_SILENT), why = KPID_QR(OVERFLOW);
    const struct row rows[] = {
        {"a b <", {{SUM, "0.10", 3, false}, {COUNT, "1", 2, false}}, "0.1", 0, 2},
        {"a b >", {{SUM, "0.10", 3, false}, {COUNT, "1", 2, false}}, "1", 0, 2},
        {"a b <", {{SUM, "-2.5", 3, false}, {SUM, "-2.50", 2, false}}, "-2.5", 0, 2},
        {"a b >", {{COUNT, "9007199254740993", 9, false}, {COUNT, "9007199254740992", 8, false}},
         "9007199254740993", 0, 8}, /* a double takes them for equal */
        {"a b <", {{COUNT, "9007199254740993", 9, false}, {COUNT, "9007199254740992", 8, false}},
         "9007199254740992", 0, 8},
        {"a b <", {{COUNT, "1", 1, false}, {MEAN, "~1.5", 2, false}}, "~1", 0, 1}, /* a double, whichever it is */
        {"a b >", {{COUNT, "1", 1, false}, {MEAN, "~1.5", 2, false}}, "~1.5", 0, 1},
        {"a |", {{SUM, "-0.10", 3, false}}, "0.1", 0, 3},
        {"a |", {{MEAN, "~-2", 3, false}}, "~2", 0, 3},
        {"a |", {{SUM, "0.10", 3, false}}, "0.1", 0, 3},
        {"a |", {{MEAN, "none", 0, false}}, "none", 0, 0},
        {"a b <", {{MEAN, "none", 0, false}, {COUNT, "2", 2, false}}, "none", 0, 0}, /* nothing is not least */
        {"a b >", {{COUNT, "0", 0, true}, {COUNT, "2", 2, false}}, "none", silent, 0},
        {"a b >", {{SUM, "overflow", 1, false}, {COUNT, "2", 2, false}}, "overflow", why, 1},
        {"a 0.5 >", {{SUM, MOST, 1, false}}, "overflow", why, 1}, /* aligning leaves 127 bits */
    };
    rows_check(rows, KPID_COUNT_OF(rows));
}

Test(formula, overflow)
{
    const uint32_t why = KPID_QR(OVERFLOW);
    const struct row rows[] = {
        {"a 1 +", {{SUM, MOST, 1, false}}, "overflow", why, 1},
        {"a 2 *", {{SUM, MOST, 1, false}}, "overflow", why, 1},
        {"a 0.5 +", {{SUM, MOST, 1, false}}, "overflow", why, 1}, /* aligning leaves 127 bits */
        {"a 2 /", {{SUM, "overflow", 1, false}}, "overflow", why, 1},
        {"a b +", {{SUM, "overflow", 1, false}, {MEAN, "none", 0, false}}, "overflow", why, 0},
        {"a b /", {{MEAN, "none", 0, false}, {SUM, "overflow", 1, false}}, "overflow", why, 0},
        {"a ~", {{SUM, "overflow", 1, false}}, "overflow", why, 1},
        {"a a *", {{MEAN, "~1e200", 1, false}}, "overflow", why, 1}, /* never infinity */
    };
    rows_check(rows, KPID_COUNT_OF(rows));
}

Test(formula, nothing)
{
    const uint32_t silent = KPID_QR(SOURCE_SILENT), division = KPID_QR(DIVISION);
    const struct row rows[] = {
        {"a", {{COUNT, "0", 0, false}}, "0", 0, 0},
        {"a", {{SUM, "0.00", 0, false}}, "0", 0, 0},
        {"a", {{DISTINCT, "0", 0, false}}, "0", 0, 0},
        {"a", {{COUNT, "0", 0, true}}, "none", silent, 0},
        {"a", {{SUM, "0.00", 0, true}}, "none", silent, 0},
        {"a", {{DISTINCT, "0", 0, true}}, "none", silent, 0},
        {"a", {{INSTANT, "0", 0, true}}, "0", 0, 0}, /* nothing open is a fact */
        {"a", {{COUNT, "3", 3, true}}, "3", 0, 3},   /* silent for a while, but counted before */
        {"a", {{COUNT, "2", 0, true}}, "2", 0, 0},   /* missed deadlines have no duration */
        {"a", {{SUM, "0", 2, true}}, "0", 0, 2},     /* +1 -1 is something */
        {"a", {{MEAN, "none", 0, false}}, "none", 0, 0},
        {"a", {{OTHER, "none", 0, true}}, "none", silent, 0},
        {"a b +", {{MEAN, "none", 0, false}, {COUNT, "2", 2, false}}, "none", 0, 0},
        {"a ~", {{MEAN, "none", 0, false}}, "none", 0, 0},
        {"a b /", {{COUNT, "0", 0, false}, {COUNT, "4", 4, false}}, "~0", 0, 0},
        {"a b /", {{COUNT, "0", 0, false}, {COUNT, "0", 0, false}}, "none", division, 0},
        {"a b /", {{COUNT, "5", 5, false}, {SUM, "0.00", 2, false}}, "none", division, 2},
        {"a b /", {{COUNT, "5", 5, false}, {MEAN, "~0", 2, false}}, "none", division, 2},
        {"a b /", {{COUNT, "5", 5, false}, {MEAN, "none", 0, false}}, "none", division, 0},
        {"a b /", {{COUNT, "5", 5, false}, {COUNT, "0", 0, true}}, "none", division | silent, 0},
        {"a b / 1 +", {{COUNT, "5", 5, false}, {COUNT, "0", 0, false}}, "none", division, 0},
    };
    rows_check(rows, KPID_COUNT_OF(rows));
}
