#include "token.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t power_of_10[KPID_SCALE_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

/* A mantissa below 2^63 with at most 18 digits after the point; scaled up it stays below 2^127. */
static enum kpid_decimal_status decimal_number(int64_t m, uint8_t frac, uint8_t scale, bool round,
                                               kpid_i128 *ret)
{
    while (frac > scale && m % 10 == 0) {
        m /= 10;
        frac--;
    }
    if (frac <= scale) {
        *ret = (kpid_i128)m * power_of_10[scale - frac];
        return KPID_DECIMAL_OK;
    }
    if (!round)
        return KPID_DECIMAL_TOO_FINE;
    return kpid_decimal_rescale(m, frac, scale, ret) ? KPID_DECIMAL_ROUNDED : KPID_DECIMAL_OVERFLOW;
}

/*
 * Doubles that were written with few digits, as amounts are. Below 10^15 every decimal has a double of its
 * own, so if m / 10^scale, rounded once because both are exact, gives the double back, it is the decimal that
 * was written (Clinger, "How to Read Floating Point Numbers Accurately", 1990).
 */
static inline bool short_double(double value, uint8_t scale, kpid_i128 *ret)
{
    double power = (double)power_of_10[scale], product = value * power;
    if (!(fabs(product) < 1e15))
        return false;
    int64_t m = (int64_t)(product + (product < 0 ? -0.5 : 0.5));
    if ((double)m / power != value)
        return false;
    *ret = m;
    return true;
}

/*
 * Floats that were written with few digits, as most are: the first r / 10^k that reads back as the same float
 * is its shortest decimal. r is the nearest integer to an exact product, and as long as it has 7 digits the
 * quotient stays clear of the midpoints between floats, so that rounding it twice (to double, to float) does
 * no harm.
 */
static bool short_float(float value, int64_t *ret_m, uint8_t *ret_frac)
{
    for (uint8_t k = 0; k <= 12; k++) {
        double power = (double)power_of_10[k];
        double r = nearbyint((double)value * power);
        if (fabs(r) >= 1e7)
            return false;
        if ((float)(r / power) == value) {
            *ret_m = (int64_t)r;
            *ret_frac = k;
            return true;
        }
    }
    return false;
}

/* The shortest text that reads back as the same float. Returns its length. */
static size_t float_print(float value, char text[KPID_DECIMAL_TEXT])
{
    int n = 0;
    for (int digits = 6; digits <= 9; digits++) {
        n = snprintf(text, KPID_DECIMAL_TEXT, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return (size_t)n;
}

enum kpid_decimal_status kpid_token_number(const struct kpid_token *token, uint8_t scale, bool round,
                                           kpid_i128 *ret)
{
    char text[KPID_DECIMAL_TEXT];
    int64_t m;
    uint8_t frac;
    switch (token->tag) {
    case KPID_TAG_DECIMAL: return decimal_number(token->integer, token->frac, scale, round, ret);
    case KPID_TAG_TEXT: return kpid_decimal_parse(token->str, token->len, scale, round, ret);
    case KPID_TAG_NATURAL: *ret = (kpid_i128)token->natural * power_of_10[scale]; return KPID_DECIMAL_OK;
    case KPID_TAG_DOUBLE:
        if (short_double(token->real, scale, ret))
            return KPID_DECIMAL_OK;
        if (!isfinite(token->real))
            return KPID_DECIMAL_OVERFLOW;
        return kpid_decimal_from_double(token->real, scale, round, ret);
    case KPID_TAG_FLOAT:
        if (!isfinite(token->single))
            return KPID_DECIMAL_OVERFLOW;
        if (short_float(token->single, &m, &frac))
            return decimal_number(m, frac, scale, round, ret);
        return kpid_decimal_parse(text, float_print(token->single, text), scale, round, ret);
    default: return KPID_DECIMAL_SYNTAX;
    }
}

size_t kpid_token_text(const struct kpid_token *token, char text[KPID_DECIMAL_TEXT], const char **ret)
{
    *ret = text;
    switch (token->tag) {
    case KPID_TAG_DECIMAL:
        return kpid_decimal_print((struct kpid_decimal){ token->integer, token->frac }, text);
    case KPID_TAG_TEXT: *ret = token->str; return token->len;
    case KPID_TAG_NATURAL: return kpid_decimal_print((struct kpid_decimal){ token->natural, 0 }, text);
    case KPID_TAG_DOUBLE: return isfinite(token->real) ? kpid_double_print(token->real, text) : 0;
    case KPID_TAG_FLOAT: return isfinite(token->single) ? float_print(token->single, text) : 0;
    default: return 0;
    }
}
