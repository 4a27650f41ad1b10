#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {
    /* descending */
    {"w", 7 * INT64_C(86400000)}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static bool digits_read(const char **at, uint64_t *ret)
{
    if (!isdigit((unsigned char)**at))
        return false;
    uint64_t value = 0;
    for (; isdigit((unsigned char)**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

bool kpid_text_duration(const char *text, int64_t *ret_ms)
{
    int64_t total = 0;
    size_t least = 0; /* units must descend */
    const char *at = text;
    do {
        uint64_t value;
        if (!digits_read(&at, &value))
            return false;
        size_t len = 0;
        while (isalpha((unsigned char)at[len]))
            len++;
        size_t i = least;
        while (i < KPID_COUNT_OF(units) &&
               !(strlen(units[i].name) == len && memcmp(units[i].name, at, len) == 0))
            i++;
        if (i == KPID_COUNT_OF(units) || value > (uint64_t)(INT64_MAX / 4 - total) / (uint64_t)units[i].ms)
            return false;
        total += (int64_t)value * units[i].ms;
        least = i + 1;
        at += len;
    } while (*at);
    *ret_ms = total;
    return true;
}

bool kpid_text_size(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } sizes[] = {
        {"", 1},      {"B", 1},     {"KiB", 1u << 10}, {"MiB", 1u << 20},  {"GiB", 1u << 30},
        {"kB", 1000}, {"KB", 1000}, {"MB", 1000000},   {"GB", 1000000000},
    };
    uint64_t value;
    const char *at = text;
    if (!digits_read(&at, &value))
        return false;
    while (*at == ' ')
        at++;
    for (size_t i = 0; i < KPID_COUNT_OF(sizes); i++)
        if (strcmp(at, sizes[i].name) == 0) {
            if (value > UINT64_MAX / 4 / sizes[i].bytes)
                return false;
            *ret_bytes = value * sizes[i].bytes;
            return true;
        }
    return false;
}

/* A decimal number at the beginning; *ret_end is behind it. No hex, no inf, no nan. */
static bool number_read(const char *text, double *ret, const char **ret_end)
{
    const char *at = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*at) && *at != '.')
        return false;
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
        return false;
    char *end;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value))
        return false;
    *ret = value;
    *ret_end = end;
    return true;
}

bool kpid_text_number(const char *text, double *ret)
{
    const char *end;
    double value;
    if (!number_read(text, &value, &end) || *end)
        return false;
    *ret = value;
    return true;
}

bool kpid_text_percent(const char *text, double *ret)
{
    const char *end;
    double value;
    if (!number_read(text, &value, &end))
        return false;
    while (*end == ' ')
        end++;
    if (strcmp(end, "%") != 0)
        return false;
    *ret = value / 100;
    return true;
}

bool kpid_text_count(const char *text, uint64_t *ret)
{
    uint64_t value;
    const char *at = text;
    if (!digits_read(&at, &value) || *at)
        return false;
    *ret = value;
    return true;
}

bool kpid_text_choice(const char *text, const char *words, uint8_t *ret)
{
    size_t len = strlen(text);
    uint8_t index = 0;
    for (const char *at = words;; index++) {
        size_t word = strcspn(at, "|");
        if (word == len && memcmp(at, text, len) == 0) {
            *ret = index;
            return true;
        }
        if (at[word] == '\0')
            return false;
        at += word + 1;
    }
}

bool kpid_text_is_name(const char *text, bool dots)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_' && !(dots && (*text == '.' || *text == '-')))
            return false;
    return true;
}

void kpid_text_print_duration(int64_t ms, char text[64])
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < KPID_COUNT_OF(units); i++) {
        int64_t n = ms / units[i].ms;
        if (n == 0)
            continue;
        len += (size_t)snprintf(text + len, 64 - len, "%" PRId64 "%s", n, units[i].name);
        ms -= n * units[i].ms;
    }
    if (len == 0)
        snprintf(text, 64, "0s");
}
