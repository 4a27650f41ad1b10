/* Arithmetic of exact decimals, see kpid/decimal.h. */
#include "kpid/decimal.h"

#include "decimal_power.h"

kpid_u128 kpid_power_of_ten(unsigned exponent)
{
    static const uint64_t low[KPID_POWER_LOW + 1] = {1ULL,
                                                     10ULL,
                                                     100ULL,
                                                     1000ULL,
                                                     10000ULL,
                                                     100000ULL,
                                                     1000000ULL,
                                                     10000000ULL,
                                                     100000000ULL,
                                                     1000000000ULL,
                                                     10000000000ULL,
                                                     100000000000ULL,
                                                     1000000000000ULL,
                                                     10000000000000ULL,
                                                     100000000000000ULL,
                                                     1000000000000000ULL,
                                                     10000000000000000ULL,
                                                     100000000000000000ULL,
                                                     1000000000000000000ULL,
                                                     10000000000000000000ULL};
    if (exponent <= KPID_POWER_LOW)
        return low[exponent];
    return (kpid_u128)low[exponent - KPID_POWER_LOW] * low[KPID_POWER_LOW];
}

/* Gives a magnitude its sign back; false beyond 127 bits. */
static bool sign_apply(kpid_u128 magnitude, bool negative, kpid_i128 *ret)
{
    if (magnitude > KPID_MAGNITUDE_MAX)
        return false;
    *ret = negative ? -(kpid_i128)magnitude : (kpid_i128)magnitude;
    return true;
}

enum kpid_decimal_status kpid_decimal_from_int(int64_t value, uint8_t scale, kpid_i128 *ret)
{
    return kpid_decimal_rescale(value, 0, scale, ret) ? KPID_DECIMAL_OK : KPID_DECIMAL_OVERFLOW;
}

bool kpid_decimal_rescale(kpid_i128 m, uint8_t from, uint8_t to, kpid_i128 *ret)
{
    if (from == to || m == 0) {
        *ret = m;
        return true;
    }
    if (from < to) {
        unsigned up = (unsigned)(to - from);
        kpid_u128 magnitude;
        if (up > KPID_POWER_MAX ||
            __builtin_mul_overflow(kpid_magnitude(m), kpid_power_of_ten(up), &magnitude))
            return false;
        return sign_apply(magnitude, m < 0, ret);
    }
    unsigned down = (unsigned)(from - to);
    if (down > KPID_POWER_MAX) {
        *ret = 0;
        return true;
    }
    kpid_u128 divisor = kpid_power_of_ten(down), magnitude = kpid_magnitude(m);
    kpid_u128 quotient = magnitude / divisor, rest = magnitude % divisor;
    if (rest > divisor / 2 || (rest == divisor / 2 && (quotient & 1) != 0))
        quotient++;
    return sign_apply(quotient, m < 0, ret);
}

/* rest * 10 / divisor, a digit; *rest becomes the new rest. Needs rest < divisor <= 2^127: nothing here
 * leaves 128 bits, because every step is a doubling of what is below the divisor. */
static unsigned digit_next(kpid_u128 *rest, kpid_u128 divisor)
{
    unsigned digit = 0, twice = 0;
    kpid_u128 r = *rest, r2 = 0;
    for (unsigned step = 0; step < 3; step++) {
        r *= 2;
        digit *= 2;
        if (r >= divisor) {
            r -= divisor;
            digit++;
        }
        if (step == 0) {
            twice = digit;
            r2 = r;
        }
    }
    r += r2;
    digit += twice;
    if (r >= divisor) {
        r -= divisor;
        digit++;
    }
    *rest = r;
    return digit;
}

/* a / (b * 10^down), half to even, exact although b * 10^down may not fit. */
static kpid_u128 divide_down(kpid_u128 a, kpid_u128 b, unsigned down)
{
    if (down > KPID_POWER_MAX)
        return 0;
    kpid_u128 power = kpid_power_of_ten(down), whole = a / b;
    kpid_u128 quotient = whole / power, rest = whole % power;
    bool more = a % b != 0;
    if (rest > power / 2 || (rest == power / 2 && (more || (quotient & 1) != 0)))
        quotient++;
    return quotient;
}

bool kpid_decimal_divide(struct kpid_decimal a, struct kpid_decimal b, uint8_t scale, kpid_i128 *ret)
{
    bool negative = (a.m < 0) != (b.m < 0);
    kpid_u128 dividend = kpid_magnitude(a.m), divisor = kpid_magnitude(b.m);
    int up = (int)scale + b.scale - a.scale;
    if (up < 0)
        return sign_apply(divide_down(dividend, divisor, (unsigned)-up), negative, ret);

    kpid_u128 quotient, rest, scaled;
    if (up <= KPID_POWER_MAX && !__builtin_mul_overflow(dividend, kpid_power_of_ten((unsigned)up), &scaled)) {
        quotient = scaled / divisor;
        rest = scaled % divisor;
    } else {
        quotient = dividend / divisor;
        rest = dividend % divisor;
        for (; up > 0 && (quotient != 0 || rest != 0); up--) {
            unsigned digit = digit_next(&rest, divisor);
            if (__builtin_mul_overflow(quotient, (kpid_u128)10, &quotient) ||
                __builtin_add_overflow(quotient, (kpid_u128)digit, &quotient))
                return false;
        }
    }
    kpid_u128 other = divisor - rest;
    if (rest > other || (rest == other && (quotient & 1) != 0))
        quotient++;
    return sign_apply(quotient, negative, ret);
}

int kpid_decimal_compare(struct kpid_decimal a, struct kpid_decimal b)
{
    if (a.scale > b.scale)
        return -kpid_decimal_compare(b, a);
    kpid_i128 scaled;
    unsigned up = (unsigned)(b.scale - a.scale);
    if (up < KPID_POWER_LOW && (int64_t)a.m == a.m) { /* 63 bits by 60: nothing to check */
        a.m *= (int64_t)kpid_power_of_ten(up);
    } else if (a.m != 0) {
        /* What leaves 128 bits is further from zero than anything b can be. */
        if (up > KPID_POWER_MAX || __builtin_mul_overflow(a.m, (kpid_i128)kpid_power_of_ten(up), &scaled))
            return a.m < 0 ? -1 : 1;
        a.m = scaled;
    }
    return (a.m > b.m) - (a.m < b.m);
}
