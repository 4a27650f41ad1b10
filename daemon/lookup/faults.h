/* Faults of a look-up's file, as the configuration's own: place, message, advice. At most 20 a file are told. */
#ifndef KPID_LOOKUP_FAULTS_H
#define KPID_LOOKUP_FAULTS_H

#include "kpid/buf.h"

#define KPID_LOOKUP_FAULTS_MAX 20

struct kpid_lookup_faults {
    struct kpid_buf *out; /* borrowed */
    size_t n;
};

/* Appends one fault. Returns false once there are so many that nobody reads on. */
bool kpid_lookup_fault(struct kpid_lookup_faults *faults, const char *path, uint32_t line, uint32_t column,
                       const char *advice, const char *format, ...) KPID_PRINTF(6, 7);

#endif
