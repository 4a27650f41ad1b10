/* From readings to a snapshot. */
#include <assert.h>
#include <string.h>

#include "formula.h"
#include "target.h"

/* Half a day's count lies below the day's target by nature: of an open calendar window only figures that
 * don't grow with time are held against it. */
static bool target_applies(const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot)
{
    return kpi->windows[snapshot->window].kind != KPID_WINDOW_CALENDAR ||
           snapshot->boundary_ms >= snapshot->end_ms || kpi->judge_open;
}

/* By the levels of the KPI's rules, also in windows that no rule judges; without a rule nobody said what is bad. */
static enum kpid_status status_find(const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot)
{
    enum kpid_status worst = kpi->n_rules ? KPID_STATUS_OK : KPID_STATUS_NONE;
    for (size_t i = 0; i < kpi->n_rules; i++) {
        const struct kpid_rule *rule = &kpi->rules[i];
        if (snapshot->deviation > rule->fire)
            continue;
        enum kpid_status status = strcmp(rule->name, "crit") == 0 ? KPID_STATUS_CRIT : KPID_STATUS_WARN;
        if (status > worst)
            worst = status;
    }
    return worst;
}

static void target_fill(const struct kpid_kpi *kpi, struct kpid_snapshot *ret)
{
    const struct kpid_target_row *row =
        kpid_target_find(kpi, ret->window, ret->group, ret->start_ms, ret->boundary_ms);
    if (row == NULL)
        return;
    bool holds = kpid_number_holds(&ret->value);
    ret->has_target = true;
    ret->target_low = row->span.low;
    ret->target_high = row->span.high;
    ret->expected = holds ? kpid_target_expected(row->span, ret->value.approx) : row->span.low;
    if (!holds || !target_applies(kpi, ret))
        return;
    ret->has_deviation = true;
    ret->deviation = kpid_target_deviation((enum kpid_direction)kpi->direction, row->span, ret->value.approx);
    ret->status = status_find(kpi, ret);
}

static bool too_few(const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot)
{
    for (size_t i = 0; i < kpi->n_rules; i++)
        if (kpi->rules[i].window >= 0 && (uint32_t)kpi->rules[i].window == snapshot->window &&
            snapshot->samples < kpi->rules[i].min_samples)
            return true;
    return false;
}

/* The gravest holds: what is missing tells more than that time is not up. */
static enum kpid_quality quality_find(const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot,
                                      bool passed)
{
    if ((snapshot->reasons & KPID_QR_PARTIAL) != 0)
        return KPID_QUALITY_PARTIAL;
    if (!kpid_number_holds(&snapshot->value))
        return KPID_QUALITY_NO_DATA;
    if (too_few(kpi, snapshot))
        return KPID_QUALITY_INSUFFICIENT;
    return passed ? KPID_QUALITY_OK : KPID_QUALITY_PROVISIONAL;
}

static void formula_fill(const struct kpid_kpi *kpi, const struct kpid_reading *readings,
                         struct kpid_snapshot *ret)
{
    int root = (int)kpi->n_formula - 1, below = root;
    ret->value = kpid_formula_value(kpi, root, readings, &ret->reasons);
    if (kpi->numerator >= 0 && kpi->denominator >= 0) {
        uint32_t known = 0; /* the root has already said why */
        ret->numerator = kpid_formula_value(kpi, kpi->numerator, readings, &known);
        ret->denominator = kpid_formula_value(kpi, kpi->denominator, readings, &known);
        below = kpi->denominator;
    }
    ret->samples = kpid_formula_samples(kpi, below, readings);
    ret->variance = -1.0;
    if (kpi->formula[root].op == KPID_F_REF) {
        const struct kpid_reading *reading = &readings[kpi->formula[root].ref];
        if (reading->figure == KPID_FIGURE_MEAN)
            ret->variance = reading->variance;
    }
}

void kpid_evaluate(const struct kpid_model *model, uint32_t kpi_index, uint32_t window,
                   const struct kpid_reading *readings, const struct kpid_instant *instant,
                   const char *const *group, struct kpid_number *parts, struct kpid_snapshot *ret)
{
    assert(kpi_index < model->n_kpis);
    const struct kpid_kpi *kpi = &model->kpis[kpi_index];
    assert(window < kpi->n_windows && kpi->n_formula > 0);
    *ret = (struct kpid_snapshot){.kpi = kpi_index,
                                  .window = window,
                                  .group = group,
                                  .start_ms = instant->start_ms,
                                  .end_ms = instant->end_ms,
                                  .boundary_ms = instant->boundary_ms,
                                  .watermark_ms = instant->watermark_ms,
                                  .revision = instant->revision,
                                  .reasons = instant->reasons};
    formula_fill(kpi, readings, ret);
    for (size_t i = 0; i < kpi->n_parts; i++) {
        uint32_t aside = 0; /* a part without a figure says nothing about the KPI's value */
        parts[i] = kpid_reading_number(&readings[kpi->n_refs + i], &aside);
    }
    ret->parts = kpi->n_parts > 0 ? parts : NULL;
    ret->final = instant->final && (ret->reasons & KPID_QR_PARTIAL) == 0;
    target_fill(kpi, ret);
    ret->quality = quality_find(kpi, ret, instant->final);
}
