#include "json_unescape.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\uXXXX" at p: the code unit, -1: it is not one. */
static int32_t unit_read(const char *p, const char *end)
{
    int32_t unit = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static char *utf8_write(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* "\uXXXX" or a surrogate pair of two; moves both pointers. */
static bool unicode_replace(const char **from, const char *end, char **to)
{
    int32_t unit = unit_read(*from, end);
    if (unit < 0)
        return false;
    *from += 6;
    if (unit < 0xd800 || unit > 0xdfff) {
        *to = utf8_write(*to, (uint32_t)unit);
        return true;
    }
    int32_t low = unit_read(*from, end);
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return false;
    *from += 6;
    *to = utf8_write(*to, 0x10000 + ((uint32_t)(unit - 0xd800) << 10 | (uint32_t)(low - 0xdc00)));
    return true;
}

static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

size_t kpid_json_unescape(char *text, size_t len, const char *first)
{
    const char *from = first, *end = text + len;
    char *to = text + (first - text);
    while (from < end) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        if (end - from < 2)
            return SIZE_MAX;
        if (from[1] == 'u') {
            if (!unicode_replace(&from, end, &to))
                return SIZE_MAX;
            continue;
        }
        char c = short_escape(from[1]);
        if (c == 0)
            return SIZE_MAX;
        *to++ = c;
        from += 2;
    }
    return (size_t)(to - text);
}
