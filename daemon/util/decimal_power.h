/* Powers of ten and magnitudes, for the decimal_*.c files only. */
#ifndef KPID_DECIMAL_POWER_H
#define KPID_DECIMAL_POWER_H

#include "kpid/macros.h"

#define KPID_POWER_LOW     19 /* 10^19 is the greatest power of ten in 64 bits */
#define KPID_POWER_MAX     38 /* 10^38 the greatest in 127 */
#define KPID_MAGNITUDE_MAX (~(kpid_u128)0 >> 1)

/* 10^exponent, exponent <= KPID_POWER_MAX. */
kpid_u128 kpid_power_of_ten(unsigned exponent);

static inline kpid_u128 kpid_magnitude(kpid_i128 m)
{
    return m < 0 ? -(kpid_u128)m : (kpid_u128)m;
}

#endif
