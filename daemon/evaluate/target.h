/* How far a figure is from its target. */
#ifndef KPID_EVALUATE_TARGET_H
#define KPID_EVALUATE_TARGET_H

#include "kpid/model.h"

/* What was expected of `actual`: the span's edge that lies nearest to it (a constant target has one). */
double kpid_target_expected(struct kpid_span span, double actual);

/*
 * (actual - expected) / |expected|, signed so that negative is bad: `up` as it is, `down` with the sign
 * turned, `band` always negative outside; 0 inside the span. Of an expected 0 nothing is a fraction: 1 or -1
 * by the side, 0 when equal. Rounded to 12 decimals, so that a value lying exactly on a level is on it in
 * binary too.
 */
double kpid_target_deviation(enum kpid_direction direction, struct kpid_span span, double actual);

#endif
