/* What the two files of the plan share. */
#ifndef KPID_CONFIG_PLAN_H
#define KPID_CONFIG_PLAN_H

#include "loader.h"

#define KPID_JUDGE_MS INT64_C(60000) /* step of KPIs without a rolling window */

/* The KPI's formula or its published parts read the measure. */
bool kpid_kpi_uses(const struct kpid_kpi *kpi, size_t measure);
/* The most ms that a window can be long; 0 for `all`. */
int64_t kpid_window_longest(const struct kpid_window *window);
/* The ladder of a measure, from the windows of all KPIs that use it. */
void kpid_rungs_plan(struct kpid_model *model, size_t measure);

#endif
