/* What follows from a formula: how it grows with its window, its unit, whether an interval is defined. */
#include <string.h>

#include "formula.h"

static const struct kpid_measure *measure_of(const struct kpid_model *model, const struct kpid_kpi *kpi,
                                             const struct kpid_formula_node *node)
{
    return &model->measures[kpi->refs[node->ref].measure];
}

static enum kpid_figure figure_of(const struct kpid_model *model, const struct kpid_kpi *kpi,
                                  const struct kpid_formula_node *node)
{
    return measure_of(model, kpi, node)->agg->figure(kpi->refs[node->ref].part);
}

/* Min and max, whether as a measure of their own or as a part. */
static bool is_extreme(const struct kpid_agg *agg, int part)
{
    static const char *const words[] = {"min", "max"};
    for (size_t i = 0; i < KPID_COUNT_OF(words); i++)
        if ((part == 0 && strcmp(agg->name, words[i]) == 0) ||
            (part > 0 && agg->part(words[i], 3) == kpid_part_plain(agg, part)))
            return true;
    return false;
}

static enum kpid_growth ref_growth(const struct kpid_model *model, const struct kpid_kpi *kpi,
                                   const struct kpid_formula_node *node)
{
    switch (figure_of(model, kpi, node)) {
    case KPID_FIGURE_COUNT:
    case KPID_FIGURE_DISTINCT:
    case KPID_FIGURE_SUM: return KPID_GROWTH_SUM;
    case KPID_FIGURE_MEAN:
    case KPID_FIGURE_INSTANT:
    case KPID_FIGURE_AGE: return KPID_GROWTH_LEVEL;
    default:
        return is_extreme(measure_of(model, kpi, node)->agg, kpi->refs[node->ref].part) ? KPID_GROWTH_EXTREME
                                                                                        : KPID_GROWTH_LEVEL;
    }
}

static enum kpid_growth node_growth(const struct kpid_model *model, const struct kpid_kpi *kpi, int index)
{
    const struct kpid_formula_node *node = &kpi->formula[index];
    if (node->op == KPID_F_NUMBER)
        return KPID_GROWTH_NONE;
    if (node->op == KPID_F_REF)
        return ref_growth(model, kpi, node);
    enum kpid_growth a = node_growth(model, kpi, node->a);
    if (node->op == KPID_F_NEG || node->op == KPID_F_ABS)
        return a;
    enum kpid_growth b = node_growth(model, kpi, node->b);
    if (node->op == KPID_F_DIV)
        return b == KPID_GROWTH_NONE ? a : KPID_GROWTH_LEVEL;
    return a > b ? a : b;
}

enum kpid_growth kpid_formula_growth(const struct kpid_model *model, const struct kpid_kpi *kpi)
{
    return kpi->n_refs > 0 ? node_growth(model, kpi, (int)kpi->n_formula - 1) : KPID_GROWTH_NONE;
}

static bool is_count(const struct kpid_model *model, const struct kpid_kpi *kpi, int index)
{
    const struct kpid_formula_node *node = &kpi->formula[index];
    if (node->op == KPID_F_ADD)
        return is_count(model, kpi, node->a) && is_count(model, kpi, node->b);
    if (node->op != KPID_F_REF)
        return false;
    enum kpid_figure figure = figure_of(model, kpi, node);
    return figure == KPID_FIGURE_COUNT || figure == KPID_FIGURE_DISTINCT;
}

/* A count against that of a week ago is no share of it: their chances are not those of one window. */
static bool one_time(const struct kpid_kpi *kpi)
{
    for (size_t i = 1; i < kpi->n_refs; i++)
        if (!kpid_shift_equal(kpi->refs[i].shift, kpi->refs[0].shift))
            return false;
    return true;
}

bool kpid_formula_has_interval(const struct kpid_model *model, const struct kpid_kpi *kpi)
{
    int root = (int)kpi->n_formula - 1;
    if (kpi->n_refs == 0 || !one_time(kpi))
        return false;
    if (kpi->formula[root].op == KPID_F_REF)
        return is_count(model, kpi, root) || figure_of(model, kpi, &kpi->formula[root]) == KPID_FIGURE_MEAN;
    return kpi->numerator >= 0 && is_count(model, kpi, kpi->numerator) &&
           is_count(model, kpi, kpi->denominator);
}

enum kpid_unit kpid_formula_unit(const struct kpid_model *model, const struct kpid_kpi *kpi)
{
    const struct kpid_formula_node *root = &kpi->formula[kpi->n_formula - 1];
    if (kpi->n_refs == 0 || root->op != KPID_F_REF)
        return KPID_UNIT_NUMBER;
    switch (figure_of(model, kpi, root)) {
    case KPID_FIGURE_COUNT:
    case KPID_FIGURE_DISTINCT:
    case KPID_FIGURE_INSTANT: return KPID_UNIT_COUNT;
    default: return measure_of(model, kpi, root)->param.duration ? KPID_UNIT_DURATION : KPID_UNIT_NUMBER;
    }
}
