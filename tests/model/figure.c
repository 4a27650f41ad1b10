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

/* Since when the oldest open one is open, as its clock counts. */
static struct figure of_oldest(const struct naive_window *window, const struct naive_cell *cell)
{
    const struct naive_office *office = naive_measures[window->measure].office ? window->naive->office : NULL;

    if (cell->oldest_ms == KPID_FOREVER)
        return exact(0);
    if (!office)
        return exact((wide)(window->boundary_ms - cell->oldest_ms) * 1000);
    if (!naive_office_covers(office, window->boundary_ms - 1))
        return nothing;
    return exact((wide)naive_office_between(office, cell->oldest_ms, window->boundary_ms) * 1000);
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
    if (!strcmp(part, "oldest"))
        return of_oldest(window, cell);
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

/* A count of something of which `samples` tell whether there was anything at all. */
static struct figure counted(int64_t n, int64_t samples, bool alive)
{
    return n == 0 && samples == 0 && !alive ? nothing : exact((wide)n * 1000000);
}

static struct figure share(int64_t n, int64_t of)
{
    return of ? about((double)n / (double)of, 1e-12) : nothing;
}

/* The number behind a word, `none` if there is none; -1: the part begins otherwise. */
static int number_behind(const char *part, const char *word, int none)
{
    size_t len = strlen(word);

    if (strncmp(part, word, len) != 0 || (part[len] && (part[len] < '0' || part[len] > '9')))
        return -1;
    return part[len] ? atoi(part + len) : none;
}

/* `steps`: a window each. */
static struct figure of_funnel(const struct naive_window *steps, unsigned row, const char *part, bool alive)
{
    int last = (int)naive_tracks(steps->measure), step;
    const struct naive_cell *first = &steps[0].cells[row];

#define STEP(n) (&steps[(n)-1].cells[row])
    if ((step = number_behind(part, "step", 0)) > 0)
        return counted(STEP(step)->met, first->met, alive);
    if ((step = number_behind(part, "reached", 0)) > 0)
        return counted(STEP(step)->n, STEP(step)->n, alive);
    if ((step = number_behind(part, "provisional", 0)) > 0)
        return exact((wide)STEP(step)->open * 1000000);
    if ((step = *part ? number_behind(part, "rate", last) : last) > 0)
        return share(STEP(step)->met, first->met);
    if ((step = number_behind(part, "pass", 0)) > 1)
        return share(STEP(step)->met, STEP(step - 1)->met);
    if ((step = number_behind(part, "provisional_rate", last)) > 0)
        return share(STEP(step)->open, first->open);
    step = strncmp(part, "time", 4) == 0 ? atoi(part + 4) : last;
    return of_values(&steps[step - 1], STEP(step), strncmp(part, "time", 4) == 0 ? strchr(part, '.') + 1 : part, 1000,
                     alive);
#undef STEP
}

/* `days`: a window each. */
static struct figure of_retention(const struct naive_window *days, unsigned row, const char *part, bool alive)
{
    size_t n = naive_tracks(days->measure), d = 0;
    int64_t samples = days->cells[row].begun;
    int day = naive_measures[days->measure].days;

    for (size_t i = 0; i < n; i++)
        samples = days[i].cells[row].met > samples ? days[i].cells[row].met : samples;
    if (!strcmp(part, "n"))
        return counted(days->cells[row].begun, samples, alive);
    if (*part)
        day = atoi(part + strcspn(part, "123456789"));
    while (d < n - 1 && naive_measures[days->measure + d].days != day)
        d++;
    const struct naive_cell *cell = &days[d].cells[row];
    if (!*part || number_behind(part, "rate", 0) > 0)
        return share(cell->missed, cell->met);
    if (number_behind(part, "cohort", 0) > 0)
        return counted(cell->met, samples, alive);
    if (number_behind(part, "returned", 0) > 0)
        return counted(cell->missed, samples, alive);
    if (number_behind(part, "provisional_rate", 0) > 0)
        return share(cell->breached, cell->open);
    return exact((wide)(number_behind(part, "provisional_cohort", 0) > 0 ? cell->open : cell->breached) * 1000000);
}

/* What is not exact is for ranks.c, which looks at the whole list. */
static struct figure of_top(const struct naive_window *window, const struct naive_cell *cell, const char *part, bool alive)
{
    const struct naive_measure *def = &naive_measures[window->measure];
    wide unit = window->measure == REFUNDS ? 1 : 1000000, most = 0;
    double total = (double)(cell->sum * unit) / 1e6;
    bool is_exact = cell->end - cell->first <= (size_t)def->top_keys;

    for (size_t i = cell->first; i < cell->end; i++)
        most = window->values[i].weight > most ? window->values[i].weight : most;
    if (!strcmp(part, "n") || !strcmp(part, "negative"))
        return counted(*part == 'n' && part[1] ? cell->negative : cell->n, cell->n, alive);
    if (!strcmp(part, "keys"))
        return is_exact ? exact((wide)(cell->end - cell->first) * 1000000) : nothing;
    if (!strcmp(part, "sum"))
        return or_nothing(cell, cell->sum * unit, alive);
    if (!strcmp(part, "share"))
        return cell->sum == 0 ? nothing
               : is_exact     ? about((double)most / (double)cell->sum, 1e-12)
                              : (struct figure){ FIGURE_ABOUT, 0, 0, 1 };
    if (!strcmp(part, "error"))
        return is_exact ? or_nothing(cell, 0, alive)
                        : (struct figure){ FIGURE_ABOUT, 0, 0, 2.72 / def->top_keys * total + 3 * (double)unit / 1e6 };
    return is_exact ? or_nothing(cell, most * unit, alive) : (struct figure){ FIGURE_ABOUT, 0, 0, total };
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
    case SHAPE_FUNNEL: return of_funnel(window, row, part, alive);
    case SHAPE_RETENTION: return of_retention(window, row, part, alive);
    case SHAPE_TOP: return of_top(window, cell, part, alive);
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

/* The lesser or greater; exact if both are. */
static struct figure choose(uint8_t op, struct figure a, struct figure b)
{
    bool min = op == KPID_F_MIN;

    if (a.kind == FIGURE_NOTHING || b.kind == FIGURE_NOTHING)
        return nothing;
    if (a.kind == FIGURE_EXACT && b.kind == FIGURE_EXACT)
        return (a.millionths < b.millionths) == min ? a : b;
    return (struct figure){ FIGURE_ABOUT, 0, min ? fmin(a.low, b.low) : fmax(a.low, b.low),
                            min ? fmin(a.high, b.high) : fmax(a.high, b.high) };
}

static struct figure absolute(struct figure a)
{
    if (a.kind == FIGURE_EXACT)
        return exact(a.millionths < 0 ? -a.millionths : a.millionths);
    if (a.kind == FIGURE_ABOUT)
        return (struct figure){ FIGURE_ABOUT, 0, a.low <= 0 && a.high >= 0 ? 0 : fmin(fabs(a.low), fabs(a.high)),
                                fmax(fabs(a.low), fabs(a.high)) };
    return a;
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
    case KPID_F_ABS: return absolute(formula_node(kpi, node->a, refs));
    case KPID_F_MIN:
    case KPID_F_MAX: return choose(node->op, formula_node(kpi, node->a, refs), formula_node(kpi, node->b, refs));
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
