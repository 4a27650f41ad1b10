/* Is it UTF-8? After RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef KPID_UTF8_H
#define KPID_UTF8_H

#include "kpid/macros.h"

#include <string.h>

/* The whole check, for text that is not plain ASCII. */
bool kpid_utf8_check(const char *text, size_t len);

static inline bool kpid_utf8_valid(const char *text, size_t len)
{
    uint64_t high = 0, word;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, text + i, 8);
        high |= word;
    }
    if (len >= 8) { /* the rest, with some bytes once more */
        memcpy(&word, text + len - 8, 8);
        high |= word;
    } else {
        for (; i < len; i++)
            high |= (uint8_t)text[i];
    }
    return (high & 0x8080808080808080u) == 0 || kpid_utf8_check(text, len);
}

#endif
