/* A figure: nothing, an exact decimal, or a double. "Nothing" is a state of its own and never a value. */
#ifndef KPID_FLOW_NUMBER_H
#define KPID_FLOW_NUMBER_H

#include "kpid/decimal.h"

enum kpid_number_kind {
    KPID_NUMBER_NONE,    /* no data */
    KPID_NUMBER_EXACT,   /* `exact` holds */
    KPID_NUMBER_DOUBLE,  /* `approx` holds */
    KPID_NUMBER_OVERFLOW /* a sum left 127 bits: published as no data, and counted */
};

struct kpid_number {
    enum kpid_number_kind kind;
    struct kpid_decimal exact;
    double approx; /* set for EXACT too */
};

/* One line of a list of heaviest keys. The key is borrowed from the cell that it was read from. */
struct kpid_rank {
    const char *key;
    struct kpid_number value, error; /* the true value lies in [value - error, value]; see engine/heavy.h */
};

#endif
