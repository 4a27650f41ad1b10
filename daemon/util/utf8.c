#include "kpid/utf8.h"

/* Length of the sequence at p, 0: none. */
static size_t sequence_length(const uint8_t *p, const uint8_t *end)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n;
    if (*p < 0x80)
        return 1;
    if (*p >= 0xc2 && *p <= 0xdf)
        n = 2;
    else if ((*p & 0xf0) == 0xe0)
        n = 3;
    else if (*p >= 0xf0 && *p <= 0xf4)
        n = 4;
    else
        return 0;
    if ((size_t)(end - p) < n)
        return 0;
    switch (*p) { /* the second byte rules out overlong forms, surrogates and what is too large */
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool kpid_utf8_check(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    while (p < end) {
        size_t n = sequence_length(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}
