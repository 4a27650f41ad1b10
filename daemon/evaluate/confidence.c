/* Confidence of a deviation, see confidence.h for formulas and papers. */
#include "confidence.h"

#include <assert.h>
#include <math.h>

#include "formula.h"

#define EXACT_MAX 20.0 /* Poisson counts whose interval is worked out exactly */

/* c[0] + c[1] x + ... + c[7] x^7 */
static double polynomial(const double c[8], double x)
{
    double sum = c[7];
    for (int i = 6; i >= 0; i--)
        sum = sum * x + c[i];
    return sum;
}

double kpid_normal_quantile(double p)
{
    static const double a[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[8] = {1.0,
                                4.2313330701600911252e1,
                                6.8718700749205790830e2,
                                5.3941960214247511077e3,
                                2.1213794301586595867e4,
                                3.9307895800092710610e4,
                                2.8729085735721942674e4,
                                5.2264952788528545610e3};
    static const double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                5.76949722146069140550e0,  3.64784832476320460504e0,
                                1.27045825245236838258e0,  2.41780725177450611770e-1,
                                2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[8] = {1.0,
                                2.05319162663775882187e0,
                                1.67638483018380384940e0,
                                6.89767334985100004550e-1,
                                1.48103976427480074590e-1,
                                1.51986665636164571966e-2,
                                5.47593808499534494600e-4,
                                1.05075007164441684324e-9};
    static const double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                1.78482653991729133580e0,  2.96560571828504891230e-1,
                                2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[8] = {1.0,
                                5.99832206555887937690e-1,
                                1.36929880922735805310e-1,
                                1.48753612908506148525e-2,
                                7.86869131145613259100e-4,
                                1.84631831751005468180e-5,
                                1.42151175831644588870e-7,
                                2.04426310338993978564e-15};
    assert(p > 0.0 && p < 1.0);
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(a, r) / polynomial(b, r);
    }
    double r = sqrt(-log(q < 0.0 ? p : 1.0 - p));
    double x = r <= 5.0 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6)
                        : polynomial(e, r - 5.0) / polynomial(f, r - 5.0);
    return q < 0.0 ? -x : x;
}

static double two_sided(double confidence)
{
    return kpid_normal_quantile(0.5 + confidence / 2.0);
}

struct kpid_span kpid_interval_wilson(double k, double n, double confidence)
{
    double z = two_sided(confidence), share = k / n, z2n = z * z / n;
    double centre = share + z2n / 2.0;
    double half = z * sqrt(fmax(0.0, share * (1.0 - share)) / n + z2n / (4.0 * n));
    return (struct kpid_span){.low = fmax(0.0, (centre - half) / (1.0 + z2n)),
                              .high = fmin(1.0, (centre + half) / (1.0 + z2n))};
}

struct kpid_span kpid_interval_two_poisson(double k, double n, double confidence)
{
    struct kpid_span share = kpid_interval_wilson(k, k + n, confidence);
    return (struct kpid_span){.low = share.low / (1.0 - share.low),
                              .high = share.high < 1.0 ? share.high / (1.0 - share.high) : INFINITY};
}

/* Half the chi-square quantile at normal quantile z with 2 * m degrees of freedom. */
static double half_chi_square(double m, double z)
{
    double root = 1.0 - 1.0 / (9.0 * m) + z / (3.0 * sqrt(m));
    return root > 0.0 ? m * root * root * root : 0.0;
}

/* P(X <= k) of a Poisson count with that mean. */
static double poisson_below(int k, double mean)
{
    double term = exp(-mean), sum = term;
    for (int i = 1; i <= k; i++) {
        term *= mean / i;
        sum += term;
    }
    return sum;
}

/* The mean at which P(X <= k) is p, by halving: it falls as the mean grows. */
static double poisson_mean(int k, double p)
{
    double low = 0.0, high = 16.0;
    while (poisson_below(k, high) > p)
        high *= 2.0;
    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2.0;
        if (poisson_below(k, middle) > p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct kpid_span kpid_interval_poisson(double k, double confidence)
{
    double z = two_sided(confidence), tail = (1.0 - confidence) / 2.0;
    if (k > EXACT_MAX)
        return (struct kpid_span){.low = half_chi_square(k, -z), .high = half_chi_square(k + 1.0, z)};
    int count = (int)k;
    return (struct kpid_span){.low = count > 0 ? poisson_mean(count - 1, 1.0 - tail) : 0.0,
                              .high = poisson_mean(count, tail)};
}

struct kpid_span kpid_interval_normal(double mean, double variance, double n, double confidence)
{
    double half = two_sided(confidence) * sqrt(variance / n);
    return (struct kpid_span){.low = mean - half, .high = mean + half};
}

static bool outside(struct kpid_span interval, double expected)
{
    return expected < interval.low || expected > interval.high;
}

bool kpid_confident(const struct kpid_model *model, const struct kpid_kpi *kpi, const struct kpid_rule *rule,
                    const struct kpid_snapshot *snapshot)
{
    if (!(rule->confidence > 0.0))
        return true;
    if (!kpid_number_holds(&snapshot->value) || !snapshot->has_deviation)
        return false;
    double value = snapshot->value.approx;
    if (kpi->numerator >= 0) {
        double k = snapshot->numerator.approx, n = snapshot->denominator.approx;
        if (!(k >= 0.0) || !(n > 0.0))
            return false;
        return outside(k <= n ? kpid_interval_wilson(k, n, rule->confidence)
                              : kpid_interval_two_poisson(k, n, rule->confidence),
                       snapshot->expected);
    }
    assert(kpi->n_refs > 0);
    const struct kpid_ref *ref = &kpi->refs[0];
    if (model->measures[ref->measure].agg->figure(ref->part) != KPID_FIGURE_MEAN)
        return outside(kpid_interval_poisson(fmax(0.0, value), rule->confidence), snapshot->expected);
    if (snapshot->variance < 0.0 || snapshot->samples < 2)
        return false; /* one observation has no spread to compare with */
    return outside(
        kpid_interval_normal(value, snapshot->variance, (double)snapshot->samples, rule->confidence),
        snapshot->expected);
}
