/* SHA-1 (FIPS 180-4), only to name scripts as Redis does. Not for security. */
#ifndef KPID_STORE_SHA1_H
#define KPID_STORE_SHA1_H

#include "kpid/macros.h"

void kpid_sha1_hex(const void *bytes, size_t len, char ret[41]); /* lower case, NUL at the end */

#endif
