/* From exact decimals to text and doubles, see kpid/decimal.h. */
#include "kpid/decimal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decimal_power.h"

#define PRINT_SCALE_MAX 40                   /* sign, "0.", so many digits and a NUL still fit in the text */
#define DOUBLE_EXACT    ((kpid_i128)1 << 53) /* integers up to here are doubles */
#define POWER_EXACT     22                   /* as are powers of ten up to here */

/* Writes the digits backwards, ending before `end`; at least `least` of them. Returns the first. */
static char *digits_print(char *end, kpid_u128 magnitude, unsigned least)
{
    char *p = end;
    while (magnitude > UINT64_MAX) {
        uint64_t low = (uint64_t)(magnitude % 1000000000000000000ULL);
        magnitude /= 1000000000000000000ULL;
        for (unsigned i = 0; i < 18; i++, low /= 10)
            *--p = (char)('0' + low % 10);
    }
    for (uint64_t low = (uint64_t)magnitude; low > 0; low /= 10)
        *--p = (char)('0' + low % 10);
    while ((size_t)(end - p) < least)
        *--p = '0';
    return p;
}

size_t kpid_decimal_print(struct kpid_decimal d, char text[KPID_DECIMAL_TEXT])
{
    assert(d.scale <= PRINT_SCALE_MAX);
    char digits[64], *end = digits + sizeof(digits);
    char *first = digits_print(end, kpid_magnitude(d.m), d.scale + 1U);
    size_t n = (size_t)(end - first), n_part = d.scale, n_whole = n - n_part;
    while (n_part > 0 && first[n_whole + n_part - 1] == '0')
        n_part--;

    size_t len = 0;
    if (d.m < 0)
        text[len++] = '-';
    memcpy(text + len, first, n_whole);
    len += n_whole;
    if (n_part > 0) {
        text[len++] = '.';
        memcpy(text + len, first + n_whole, n_part);
        len += n_part;
    }
    text[len] = '\0';
    return len;
}

double kpid_decimal_to_double(struct kpid_decimal d)
{
    if (d.scale == 0)
        return (double)d.m;
    if (d.m <= DOUBLE_EXACT && d.m >= -DOUBLE_EXACT && d.scale <= POWER_EXACT)
        return (double)d.m / (double)kpid_power_of_ten(d.scale); /* both exact: rounded once */
    char text[KPID_DECIMAL_TEXT];
    kpid_decimal_print(d, text);
    return strtod(text, NULL);
}

size_t kpid_double_print(double value, char text[32])
{
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    assert(n > 0 && n < 32);
    return (size_t)n;
}
