/*
 * Formulas over readings. Exactness: + - min max abs of exact figures, and products in which one factor is a whole
 * number (scale 0: counts, integers), stay exact in 128 bits; what does not fit is OVERFLOW, never rounded. A
 * quotient, and anything with a double in it, is a double. Nothing stays nothing, and overflow beats it.
 */
#ifndef KPID_EVALUATE_FORMULA_H
#define KPID_EVALUATE_FORMULA_H

#include "kpid/evaluate.h"

/* A reading after the rules of SEMANTICS 5: nothing counted is 0 only while its source lives; instants always
 * hold. Adds to *reasons why there is nothing. */
struct kpid_number kpid_reading_number(const struct kpid_reading *reading, uint32_t *reasons);

/* Value of node `node` of the KPI's formula. Adds SOURCE_SILENT, DIVISION, OVERFLOW to *reasons. Recursion is
 * as deep as the formula, which the configuration loader bounds. */
struct kpid_number kpid_formula_value(const struct kpid_kpi *kpi, int node,
                                      const struct kpid_reading *readings, uint32_t *reasons);

/* The smallest number of samples behind the refs below `node`; 0 when there is no ref. */
uint64_t kpid_formula_samples(const struct kpid_kpi *kpi, int node, const struct kpid_reading *readings);

/* True: there is a figure (exact or double). */
bool kpid_number_holds(const struct kpid_number *number);

#endif
