/* Formulas over readings, see formula.h. */
#include "formula.h"

#include <assert.h>
#include <math.h>

static const struct kpid_number nothing = {.kind = KPID_NUMBER_NONE};
static const struct kpid_number overflow = {.kind = KPID_NUMBER_OVERFLOW};

bool kpid_number_holds(const struct kpid_number *number)
{
    return number->kind == KPID_NUMBER_EXACT || number->kind == KPID_NUMBER_DOUBLE;
}

static struct kpid_number exact_make(kpid_i128 m, uint8_t scale)
{
    struct kpid_number number = {.kind = KPID_NUMBER_EXACT, .exact = {m, scale}};
    number.approx = kpid_decimal_to_double(number.exact);
    return number;
}

/* Infinity is never published: a double beyond its range is an overflow too. */
static struct kpid_number double_make(double value)
{
    if (!isfinite(value))
        return overflow;
    return (struct kpid_number){.kind = KPID_NUMBER_DOUBLE, .approx = value};
}

static bool counts_nothing(const struct kpid_reading *reading)
{
    if (reading->samples != 0)
        return false;
    switch ((enum kpid_figure)reading->figure) {
    case KPID_FIGURE_COUNT:
    case KPID_FIGURE_DISTINCT:
    case KPID_FIGURE_SUM:
        /* A clock's missed deadlines are counted without a duration: what is not 0 is not nothing. */
        return reading->value.kind == KPID_NUMBER_EXACT && reading->value.exact.m == 0;
    case KPID_FIGURE_MEAN:
    case KPID_FIGURE_INSTANT:
    case KPID_FIGURE_AGE:
    case KPID_FIGURE_OTHER: break;
    }
    return false;
}

struct kpid_number kpid_reading_number(const struct kpid_reading *reading, uint32_t *reasons)
{
    struct kpid_number number = reading->value;
    if (number.kind == KPID_NUMBER_OVERFLOW)
        *reasons |= KPID_QR(OVERFLOW);
    if (!reading->alive && counts_nothing(reading))
        number = nothing;
    if (number.kind == KPID_NUMBER_NONE && !reading->alive)
        *reasons |= KPID_QR(SOURCE_SILENT);
    return number;
}

/* Literals lose their trailing zeros, so that 2.0 is the whole number 2. Figures of measures keep their
 * scale: whether a result is exact must not change from one value to the next. */
static struct kpid_number literal_number(struct kpid_decimal number)
{
    while (number.scale > 0 && number.m % 10 == 0) {
        number.m /= 10;
        number.scale--;
    }
    return exact_make(number.m, number.scale);
}

static struct kpid_number number_negate(struct kpid_number a)
{
    kpid_i128 m;
    if (a.kind == KPID_NUMBER_DOUBLE)
        return double_make(-a.approx);
    if (__builtin_sub_overflow((kpid_i128)0, a.exact.m, &m))
        return overflow;
    return exact_make(m, a.exact.scale);
}

static struct kpid_number number_add(struct kpid_number a, struct kpid_number b)
{
    if (a.kind == KPID_NUMBER_DOUBLE || b.kind == KPID_NUMBER_DOUBLE)
        return double_make(a.approx + b.approx);
    uint8_t scale = a.exact.scale > b.exact.scale ? a.exact.scale : b.exact.scale;
    kpid_i128 left, right, sum;
    if (!kpid_decimal_rescale(a.exact.m, a.exact.scale, scale, &left) ||
        !kpid_decimal_rescale(b.exact.m, b.exact.scale, scale, &right) ||
        __builtin_add_overflow(left, right, &sum))
        return overflow;
    return exact_make(sum, scale);
}

static struct kpid_number number_multiply(struct kpid_number a, struct kpid_number b)
{
    bool exact = a.kind == KPID_NUMBER_EXACT && b.kind == KPID_NUMBER_EXACT;
    if (!exact || (a.exact.scale != 0 && b.exact.scale != 0))
        return double_make(a.approx * b.approx);
    kpid_i128 product;
    if (__builtin_mul_overflow(a.exact.m, b.exact.m, &product))
        return overflow;
    return exact_make(product, (uint8_t)(a.exact.scale + b.exact.scale));
}

static struct kpid_number number_absolute(struct kpid_number a)
{
    bool negative = a.kind == KPID_NUMBER_EXACT ? a.exact.m < 0 : a.approx < 0;
    return negative ? number_negate(a) : a;
}

/* The lesser or greater of two; exact if both are, so that it doesn't depend on which one it is. */
static struct kpid_number number_choose(uint8_t op, struct kpid_number a, struct kpid_number b)
{
    bool exact = a.kind == KPID_NUMBER_EXACT && b.kind == KPID_NUMBER_EXACT;
    bool less = a.approx < b.approx;
    if (exact) {
        uint8_t scale = a.exact.scale > b.exact.scale ? a.exact.scale : b.exact.scale;
        kpid_i128 left, right;
        if (!kpid_decimal_rescale(a.exact.m, a.exact.scale, scale, &left) ||
            !kpid_decimal_rescale(b.exact.m, b.exact.scale, scale, &right))
            return overflow;
        less = left < right;
    }
    struct kpid_number chosen = less == (op == KPID_F_MIN) ? a : b;
    return exact ? chosen : double_make(chosen.approx);
}

static bool is_zero(const struct kpid_number *number)
{
    return number->kind == KPID_NUMBER_EXACT ? number->exact.m == 0 : number->approx == 0.0;
}

static struct kpid_number number_combine(uint8_t op, struct kpid_number a, struct kpid_number b,
                                         uint32_t *reasons)
{
    if (a.kind == KPID_NUMBER_OVERFLOW || b.kind == KPID_NUMBER_OVERFLOW)
        return overflow;
    if (op == KPID_F_DIV && (b.kind == KPID_NUMBER_NONE || is_zero(&b))) {
        *reasons |= KPID_QR(DIVISION);
        return nothing;
    }
    if (a.kind == KPID_NUMBER_NONE || b.kind == KPID_NUMBER_NONE)
        return nothing;
    switch ((enum kpid_formula_op)op) {
    case KPID_F_ADD: return number_add(a, b);
    case KPID_F_SUB: {
        struct kpid_number minus = number_negate(b);
        return kpid_number_holds(&minus) ? number_add(a, minus) : minus;
    }
    case KPID_F_MUL: return number_multiply(a, b);
    case KPID_F_MIN:
    case KPID_F_MAX: return number_choose(op, a, b);
    case KPID_F_DIV: break;
    case KPID_F_NUMBER:
    case KPID_F_REF:
    case KPID_F_ABS:
    case KPID_F_NEG: assert(false); /* not of two figures */
    }
    return double_make(a.approx / b.approx);
}

struct kpid_number kpid_formula_value(const struct kpid_kpi *kpi, int node,
                                      const struct kpid_reading *readings, uint32_t *reasons)
{
    assert(node >= 0 && (size_t)node < kpi->n_formula);
    const struct kpid_formula_node *at = &kpi->formula[node];
    struct kpid_number result;
    if (at->op == KPID_F_NUMBER)
        return literal_number(at->number);
    if (at->op == KPID_F_REF)
        return kpid_reading_number(&readings[at->ref], reasons);
    assert(at->a < node && at->b < node);
    result = kpid_formula_value(kpi, at->a, readings, reasons);
    if (at->op == KPID_F_NEG)
        result = kpid_number_holds(&result) ? number_negate(result) : result;
    else if (at->op == KPID_F_ABS)
        result = kpid_number_holds(&result) ? number_absolute(result) : result;
    else
        result = number_combine(at->op, result, kpid_formula_value(kpi, at->b, readings, reasons), reasons);
    if (result.kind == KPID_NUMBER_OVERFLOW)
        *reasons |= KPID_QR(OVERFLOW);
    return result;
}

static void samples_gather(const struct kpid_kpi *kpi, int node, const struct kpid_reading *readings,
                           uint64_t *smallest, bool *any)
{
    const struct kpid_formula_node *at = &kpi->formula[node];
    if (at->op == KPID_F_NUMBER)
        return;
    if (at->op == KPID_F_REF) {
        uint64_t samples = readings[at->ref].samples;
        if (!*any || samples < *smallest)
            *smallest = samples;
        *any = true;
        return;
    }
    samples_gather(kpi, at->a, readings, smallest, any);
    if (at->b >= 0)
        samples_gather(kpi, at->b, readings, smallest, any);
}

uint64_t kpid_formula_samples(const struct kpid_kpi *kpi, int node, const struct kpid_reading *readings)
{
    uint64_t smallest = 0;
    bool any = false;
    samples_gather(kpi, node, readings, &smallest, &any);
    return smallest;
}
