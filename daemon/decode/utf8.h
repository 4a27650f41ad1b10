/* Is it UTF-8? After RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef KPID_DECODE_UTF8_H
#define KPID_DECODE_UTF8_H

#include "kpid/macros.h"

bool kpid_utf8_valid(const char *text, size_t len);

#endif
