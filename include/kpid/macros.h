/* Small annotations shared by every header. No state, no functions. */
#ifndef KPID_MACROS_H
#define KPID_MACROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KPID_MUST_CHECK __attribute__((warn_unused_result))
#define KPID_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define KPID_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Times are int64_t milliseconds since the Unix epoch, UTC; "no time" is KPID_NEVER, below every time. */
#define KPID_NEVER   INT64_MIN
#define KPID_FOREVER INT64_MAX

__extension__ typedef __int128 kpid_i128;
__extension__ typedef unsigned __int128 kpid_u128;

#endif
