/*
 * Exact decimals: a 128-bit mantissa and a decimal scale; value = m / 10^scale.
 *
 * Every amount is read from its token into one of these and never passes through a binary double. Arithmetic
 * checks for overflow and says so; nothing wraps and nothing saturates. Pure values, nothing to free.
 */
#ifndef KPID_DECIMAL_H
#define KPID_DECIMAL_H

#include "kpid/macros.h"

#define KPID_SCALE_MAX    18
#define KPID_DECIMAL_TEXT 48 /* bytes that hold any printed decimal, with its NUL */

struct kpid_decimal {
    kpid_i128 m;
    uint8_t scale;
};

enum kpid_decimal_status {
    KPID_DECIMAL_OK = 0,
    KPID_DECIMAL_ROUNDED,  /* only with round: more digits than the scale holds, rounded half to even */
    KPID_DECIMAL_TOO_FINE, /* more non-zero digits than the scale holds, and rounding is off */
    KPID_DECIMAL_OVERFLOW, /* does not fit in 127 bits at that scale */
    KPID_DECIMAL_SYNTAX    /* not a number in JSON's grammar (a leading '+' and leading zeros are accepted) */
};

/* Reads text[0..len) (JSON number grammar, exponent included) into a mantissa at `scale`.
 * *ret is set on OK and ROUNDED only. */
enum kpid_decimal_status kpid_decimal_parse(const char *text, size_t len, uint8_t scale, bool round,
                                            kpid_i128 *ret) KPID_MUST_CHECK;

/* The decimal nearest to a finite double: its shortest round-trip decimal, brought to `scale`.
 * Not finite: SYNTAX. */
enum kpid_decimal_status kpid_decimal_from_double(double value, uint8_t scale, bool round,
                                                  kpid_i128 *ret) KPID_MUST_CHECK;

/* An integer times 10^scale. OVERFLOW or OK. */
enum kpid_decimal_status kpid_decimal_from_int(int64_t value, uint8_t scale, kpid_i128 *ret) KPID_MUST_CHECK;

/* m at scale `from` brought to scale `to`: exact upwards, rounded half to even downwards.
 * False on overflow, *ret untouched. */
bool kpid_decimal_rescale(kpid_i128 m, uint8_t from, uint8_t to, kpid_i128 *ret) KPID_MUST_CHECK;

/* a / b rounded half to even at `scale`; b != 0. False on overflow. */
bool kpid_decimal_divide(struct kpid_decimal a, struct kpid_decimal b, uint8_t scale, kpid_i128 *ret) KPID_MUST_CHECK;

/* -1, 0, 1; exact for any pair of scales, also where rescaling would overflow. */
int kpid_decimal_compare(struct kpid_decimal a, struct kpid_decimal b);

/* Prints without exponent, without trailing zeros after the point, "-0" never. Returns the length without NUL. */
size_t kpid_decimal_print(struct kpid_decimal d, char text[KPID_DECIMAL_TEXT]);

double kpid_decimal_to_double(struct kpid_decimal d);

/* Shortest text that reads back as the same double ("%.17g" at worst). text holds 32 bytes. Returns the length. */
size_t kpid_double_print(double value, char text[32]);

#endif
