/* Intervals that keep chance quiet. All are two-sided at `confidence` (0.95: 2.5 % outside on each side). */
#ifndef KPID_EVALUATE_CONFIDENCE_H
#define KPID_EVALUATE_CONFIDENCE_H

#include "kpid/model.h"

/* Quantile of the standard normal distribution, 0 < p < 1. Wichura, Algorithm AS 241 (PPND16), Applied
 * Statistics 37 (1988): relative error about 1e-16. */
double kpid_normal_quantile(double p);

/* Share of k successes in n > 0 trials, 0 <= k <= n. Wilson, JASA 22 (1927): the score interval, which unlike
 * the normal one keeps its coverage for small n and for shares near 0 and 1. */
struct kpid_span kpid_interval_wilson(double k, double n, double confidence);

/* Ratio of the rates behind two Poisson counts, k / n, n > 0: given k + n, k is binomial with share rate / (1
 * + rate) (Przyborowski and Wilenski, Biometrika 31, 1940), whose interval is Wilson's. */
struct kpid_span kpid_interval_two_poisson(double k, double n, double confidence);

/* Mean of a Poisson count k >= 0. Garwood, Biometrika 28 (1936): the means at which k or less, or k or more,
 * have half of what is outside. Exact up to 20; above, half a chi-square quantile with 2k (low) and 2k + 2
 * (high) degrees of freedom by Wilson and Hilferty, PNAS 17 (1931), in constant time and within 0.1 % of it
 * (at 95 %). */
struct kpid_span kpid_interval_poisson(double k, double confidence);

/* Mean of n > 1 observations of sample variance `variance`: mean +- z * sqrt(variance / n). */
struct kpid_span kpid_interval_normal(double mean, double variance, double n, double confidence);

#endif
