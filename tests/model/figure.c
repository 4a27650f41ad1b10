/* What a cell of the naive model should look like when it is published. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct figure exact(wide millionths)
{
    double value = (double)millionths / 1e6;
    return (struct figure){ FIGURE_EXACT, millionths, value, value };
}

static struct figure about(double value, double relative)
{
    double room = fabs(value) * relative + 1e-12;
    return (struct figure){ FIGURE_ABOUT, 0, value - room, value + room };
}

static const struct figure nothing = { FIGURE_NOTHING, 0, 0, 0 };

/* Counts and sums of nothing: 0 while the source lives. */
static struct figure or_nothing(const struct naive_cell *cell, wide millionths, bool alive)
{
    return cell->n == 0 && millionths == 0 && !alive ? nothing : exact(millionths);
}

static struct figure distinct(const struct naive_window *window, const struct naive_cell *cell, bool alive)
{
    int64_t n = 0;

    for (size_t i = cell->first; i < cell->end; i++)
        n += i == cell->first || window->values[i].value != window->values[i - 1].value;
    if (n <= 1536)
        return or_nothing(cell, (wide)n * 1000000, alive);
    return about((double)n, 5 * 0.0081); /* five standard errors of HyperLogLog with 2^14 registers */
}

static struct figure percentile(const struct naive_window *window, const struct naive_cell *cell, double percent,
                                double unit)
{
    size_t rank = (size_t)ceil(percent / 100 * (double)cell->n - 1e-9);

    if (rank < 1)
        rank = 1;
    return about((double)window->values[cell->first + rank - 1].value / unit, 0.01);
}

/* min, max, mean, sum and pNN of the values that came in; `to`: millionths of the published unit in one of a value. */
static struct figure of_values(const struct naive_window *window, const struct naive_cell *cell, const char *part,
                               int64_t to, bool alive)
{
    double unit = 1e6 / (double)to;

    if (!strcmp(part, "sum"))
        return or_nothing(cell, cell->sum * to, alive);
    if (cell->n == 0)
        return nothing;
    if (!strcmp(part, "min"))
        return exact((wide)cell->min * to);
    if (!strcmp(part, "max"))
        return exact((wide)cell->max * to);
    if (!strcmp(part, "mean"))
        return about((double)cell->sum / (double)cell->n / unit, 1e-9);
    return percentile(window, cell, atof(part + 1), unit);
}

static struct figure of_clock(const struct naive_window *window, const struct naive_cell *cell, const char *part,
                              bool alive)
{
    if (!strcmp(part, "n"))
        return or_nothing(cell, (wide)cell->n * 1000000, alive);
    if (!strcmp(part, "met"))
        return or_nothing(cell, (wide)cell->met * 1000000, alive);
    if (!strcmp(part, "missed"))
        return or_nothing(cell, (wide)cell->missed * 1000000, alive);
    if (!strcmp(part, "open"))
        return exact((wide)cell->open * 1000000);
    if (!strcmp(part, "breached"))
        return exact((wide)cell->breached * 1000000);
    if (!strcmp(part, "due"))
        return exact((wide)cell->due * 1000000);
    if (!strcmp(part, "met_rate"))
        return cell->met + cell->missed ? about((double)cell->met / (double)(cell->met + cell->missed), 1e-12) : nothing;
    return of_values(window, cell, *part ? part : "mean", 1000, alive);
}

static struct figure of_session(const struct naive_window *window, const struct naive_cell *cell, const char *part,
                                bool alive)
{
    double ended = (double)cell->n;

    if (!*part || !strcmp(part, "n"))
        return cell->begun || alive ? exact((wide)cell->begun * 1000000) : nothing;
    if (!strcmp(part, "open"))
        return exact((wide)cell->open * 1000000);
    if (!strcmp(part, "ended"))
        return or_nothing(cell, (wide)cell->n * 1000000, alive);
    if (!strcmp(part, "events"))
        return or_nothing(cell, (wide)cell->said * 1000000, alive);
    if (!strcmp(part, "bounces"))
        return or_nothing(cell, (wide)cell->bounces * 1000000, alive);
    if (!strcmp(part, "events_mean"))
        return cell->n ? about((double)cell->said / ended, 1e-12) : nothing;
    if (!strcmp(part, "bounce_rate"))
        return cell->n ? about((double)cell->bounces / ended, 1e-12) : nothing;
    return of_values(window, cell, part, 1000, alive);
}

struct figure figure_of(const struct naive_window *window, unsigned row, const char *part, bool alive)
{
    const struct naive_measure *def = &naive_measures[window->measure];
    const struct naive_cell *cell = &window->cells[row];

    switch (def->shape) {
    case SHAPE_COUNT: return or_nothing(cell, (wide)cell->n * 1000000, alive);
    case SHAPE_SUM: return or_nothing(cell, cell->sum, alive);
    case SHAPE_MIN: return cell->n ? exact(cell->min) : nothing;
    case SHAPE_MAX: return cell->n ? exact(cell->max) : nothing;
    case SHAPE_LAST: return cell->n ? exact(cell->last) : nothing;
    case SHAPE_MEAN: return of_values(window, cell, "mean", 1, alive);
    case SHAPE_DISTINCT: return distinct(window, cell, alive);
    case SHAPE_QUANTILES:
        if (!strcmp(part, "n"))
            return or_nothing(cell, (wide)cell->n * 1000000, alive);
        return of_values(window, cell, *part ? part : "p50", def->duration ? 1000 : 1, alive);
    case SHAPE_SESSION: return of_session(window, cell, part, alive);
    default: return of_clock(window, cell, part, alive);
    }
}

/* ---- formulas ---- */

static struct figure combine(uint8_t op, struct figure a, struct figure b)
{
    bool both = a.kind == FIGURE_EXACT && b.kind == FIGURE_EXACT;

    if (a.kind == FIGURE_NOTHING || b.kind == FIGURE_NOTHING || (op == KPID_F_DIV && b.low <= 0 && b.high >= 0))
        return nothing;
    switch (op) {
    case KPID_F_ADD:
        return both ? exact(a.millionths + b.millionths)
                    : (struct figure){ FIGURE_ABOUT, 0, a.low + b.low, a.high + b.high };
    case KPID_F_SUB:
        return both ? exact(a.millionths - b.millionths)
                    : (struct figure){ FIGURE_ABOUT, 0, a.low - b.high, a.high - b.low };
    case KPID_F_MUL:
        if (both && (a.millionths % 1000000 == 0 || b.millionths % 1000000 == 0))
            return exact(a.millionths * b.millionths / 1000000);
        break;
    default: break;
    }
    double ends[4] = { a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high };
    if (op == KPID_F_DIV) {
        ends[0] = a.low / b.low, ends[1] = a.low / b.high, ends[2] = a.high / b.low, ends[3] = a.high / b.high;
    }
    struct figure result = { FIGURE_ABOUT, 0, ends[0], ends[0] };
    for (int i = 1; i < 4; i++) {
        result.low = fmin(result.low, ends[i]);
        result.high = fmax(result.high, ends[i]);
    }
    result.low -= fabs(result.low) * 1e-12;
    result.high += fabs(result.high) * 1e-12;
    return result;
}

static struct figure formula_node(const struct kpid_kpi *kpi, int at, const struct figure *refs)
{
    const struct kpid_formula_node *node = &kpi->formula[at];
    wide millionths = node->number.m * 1000000;

    switch (node->op) {
    case KPID_F_NUMBER:
        for (int i = 0; i < node->number.scale; i++)
            millionths /= 10;
        return exact(millionths);
    case KPID_F_REF: return refs[node->ref];
    case KPID_F_NEG: return combine(KPID_F_SUB, exact(0), formula_node(kpi, node->a, refs));
    default: return combine(node->op, formula_node(kpi, node->a, refs), formula_node(kpi, node->b, refs));
    }
}

struct figure figure_formula(const struct kpid_kpi *kpi, const struct figure *refs)
{
    return formula_node(kpi, (int)kpi->n_formula - 1, refs);
}

/* ---- comparing and printing ---- */

bool figure_fits(const struct figure *figure, const struct kpid_number *number)
{
    wide m = number->exact.m, millionths = figure->millionths;

    if (figure->kind == FIGURE_NOTHING)
        return number->kind == KPID_NUMBER_NONE;
    if (number->kind != KPID_NUMBER_EXACT && number->kind != KPID_NUMBER_DOUBLE)
        return false;
    if (figure->kind == FIGURE_ABOUT)
        return number->approx >= figure->low && number->approx <= figure->high;
    if (number->kind != KPID_NUMBER_EXACT)
        return false;
    for (int i = number->exact.scale; i < 6; i++)
        m *= 10;
    for (int i = 6; i < number->exact.scale; i++)
        millionths *= 10;
    return m == millionths;
}

void figure_print(const struct figure *figure, struct kpid_buf *out)
{
    if (figure->kind == FIGURE_NOTHING)
        kpid_buf_add_str(out, "no data");
    else if (figure->kind == FIGURE_EXACT)
        kpid_buf_printf(out, "%.17g exactly", (double)figure->millionths / 1e6);
    else
        kpid_buf_printf(out, "%.12g .. %.12g", figure->low, figure->high);
}

void figure_print_number(const struct kpid_number *number, struct kpid_buf *out)
{
    char text[KPID_DECIMAL_TEXT];

    if (number->kind == KPID_NUMBER_EXACT) {
        kpid_decimal_print(number->exact, text);
        kpid_buf_add_str(out, text);
    } else if (number->kind == KPID_NUMBER_DOUBLE) {
        kpid_buf_printf(out, "%.17g", number->approx);
    } else {
        kpid_buf_add_str(out, number->kind == KPID_NUMBER_NONE ? "no data" : "overflow");
    }
}
