/* From text and doubles to exact decimals, see kpid/decimal.h. */
#include "kpid/decimal.h"

#include <math.h>

#include "decimal_power.h"

#define DIGITS_FAST   18        /* so many digits fit in 64 bits, and times 10^19 in 127 */
#define EXPONENT_MAX  100000000 /* beyond, only the direction counts */
#define DIGITS_DOUBLE 1e15      /* decimals of up to 15 digits are told apart by doubles */

/* A number's text taken apart: value = digits * 10^(exponent - fraction). */
struct token {
    const char *whole, *part; /* digits before and after the point */
    size_t n_whole, n_part;
    int64_t exponent;
    uint64_t fast; /* the digits' value while there are at most DIGITS_FAST */
    bool negative;
};

static size_t digits_scan(const char **at, const char *end, uint64_t *value)
{
    const char *begin = *at, *p = begin;
    uint64_t v = *value;
    for (; p < end && (unsigned char)(*p - '0') <= 9; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    *value = v;
    *at = p;
    return (size_t)(p - begin);
}

static bool exponent_scan(const char **at, const char *end, int64_t *ret)
{
    bool negative = false;
    int64_t value = 0;
    const char *p = *at;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (p == end)
        return false;
    for (; p < end && (unsigned char)(*p - '0') <= 9; p++) {
        if (value < EXPONENT_MAX)
            value = value * 10 + (*p - '0');
    }
    *at = p;
    *ret = negative ? -value : value;
    return true;
}

/* Checks the grammar of the whole text. */
static bool token_scan(const char *text, size_t len, struct token *ret)
{
    const char *p = text, *end = text + len;
    *ret = (struct token){0};
    if (p < end && (*p == '-' || *p == '+'))
        ret->negative = *p++ == '-';
    ret->whole = p;
    ret->n_whole = digits_scan(&p, end, &ret->fast);
    if (ret->n_whole == 0)
        return false;
    ret->part = p;
    if (p < end && *p == '.') {
        ret->part = ++p;
        ret->n_part = digits_scan(&p, end, &ret->fast);
        if (ret->n_part == 0)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p == end || !exponent_scan(&p, end, &ret->exponent) || (unsigned char)(p[-1] - '0') > 9)
            return false;
    }
    return p == end;
}

static enum kpid_decimal_status sign_apply(kpid_u128 magnitude, bool negative, kpid_i128 *ret)
{
    if (magnitude > KPID_MAGNITUDE_MAX)
        return KPID_DECIMAL_OVERFLOW;
    *ret = negative ? -(kpid_i128)magnitude : (kpid_i128)magnitude;
    return KPID_DECIMAL_OK;
}

static unsigned digit_at(const struct token *token, size_t i)
{
    return (unsigned)((i < token->n_whole ? token->whole[i] : token->part[i - token->n_whole]) - '0');
}

/* Digit by digit: the first `keep` of them (more: zeros follow) are the mantissa, the others are cut off. */
static enum kpid_decimal_status token_value(const struct token *token, int64_t keep, bool round,
                                            kpid_i128 *ret)
{
    size_t n = token->n_whole + token->n_part;
    size_t kept = keep <= 0 ? 0 : (uint64_t)keep < n ? (size_t)keep : n;
    kpid_u128 magnitude = 0;

    for (size_t i = 0; i < kept; i++) {
        if (__builtin_mul_overflow(magnitude, (kpid_u128)10, &magnitude) ||
            __builtin_add_overflow(magnitude, (kpid_u128)digit_at(token, i), &magnitude))
            return KPID_DECIMAL_OVERFLOW;
    }
    for (int64_t zeros = keep - (int64_t)n; zeros > 0 && magnitude != 0; zeros--) {
        if (__builtin_mul_overflow(magnitude, (kpid_u128)10, &magnitude))
            return KPID_DECIMAL_OVERFLOW;
    }
    unsigned first = keep < 0 || kept == n ? 0 : digit_at(token, kept);
    bool more = false;
    for (size_t i = keep < 0 ? 0 : kept + 1; i < n && !more; i++)
        more = digit_at(token, i) != 0;
    if (magnitude > KPID_MAGNITUDE_MAX)
        return KPID_DECIMAL_OVERFLOW;
    if (first == 0 && !more)
        return sign_apply(magnitude, token->negative, ret);
    if (!round)
        return KPID_DECIMAL_TOO_FINE;
    if (first > 5 || (first == 5 && (more || (magnitude & 1) != 0)))
        magnitude++;
    enum kpid_decimal_status status = sign_apply(magnitude, token->negative, ret);
    return status == KPID_DECIMAL_OK ? KPID_DECIMAL_ROUNDED : status;
}

enum kpid_decimal_status kpid_decimal_parse(const char *text, size_t len, uint8_t scale, bool round,
                                            kpid_i128 *ret)
{
    struct token token;
    if (!token_scan(text, len, &token))
        return KPID_DECIMAL_SYNTAX;
    int64_t up = token.exponent - (int64_t)token.n_part + scale;
    size_t n = token.n_whole + token.n_part;
    if (n <= DIGITS_FAST && up >= 0 && up <= KPID_POWER_LOW)
        return sign_apply(token.fast * kpid_power_of_ten((unsigned)up), token.negative, ret);
    return token_value(&token, up + (int64_t)n, round, ret);
}

/* Tries m / 10^k for k = 0, 1 ... scale. A quotient of two exact doubles is rounded once, so if it gives the
 * value back, m / 10^k reads as this double; with at most 15 digits no other such decimal does. */
static bool double_try(double value, uint8_t scale, kpid_i128 *ret)
{
    double power = 1;
    for (unsigned k = 0; k <= scale && k <= KPID_SCALE_MAX; k++, power *= 10) {
        double m = nearbyint(value * power);
        if (fabs(m) >= DIGITS_DOUBLE)
            return false;
        if (m / power == value) {
            *ret = (kpid_i128)(int64_t)m * (kpid_i128)kpid_power_of_ten(scale - k);
            return true;
        }
    }
    return false;
}

enum kpid_decimal_status kpid_decimal_from_double(double value, uint8_t scale, bool round, kpid_i128 *ret)
{
    if (!isfinite(value))
        return KPID_DECIMAL_SYNTAX;
    if (scale <= KPID_SCALE_MAX && double_try(value, scale, ret))
        return KPID_DECIMAL_OK;
    char text[32];
    size_t len = kpid_double_print(value, text);
    return kpid_decimal_parse(text, len, scale, round, ret);
}
