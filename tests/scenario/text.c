/* Times, durations and members of JSON texts. */
#include "scenario.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool duration_read(const char *text, int64_t *ret_ms)
{
    static const struct { const char *unit; int64_t ms; } units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
    };
    int64_t sum = 0;

    while (*text) {
        char *end;
        long long n = strtoll(text, &end, 10);
        size_t letters = strspn(end, "smhd"), i = 0;
        if (end == text)
            return false;
        while (i < KPID_COUNT_OF(units) &&
               (strlen(units[i].unit) != letters || strncmp(units[i].unit, end, letters)))
            i++;
        if (i == KPID_COUNT_OF(units))
            return false;
        sum += n * units[i].ms;
        text = end + letters;
    }
    *ret_ms = sum;
    return true;
}

/* The date alone, or with hours and minutes but without seconds or offset, made whole. */
static void complete(const char *text, char whole[64])
{
    const char *clock = strchr(text, 'T');
    const char *offset = clock ? strpbrk(clock, "Z+-") : NULL;
    size_t until = offset ? (size_t)(offset - text) : strlen(text);
    bool seconds = clock && until - (size_t)(clock - text) > 6;

    snprintf(whole, 64, "%.*s%s%s", (int)until, text, !clock ? "T00:00:00" : seconds ? "" : ":00", offset ? offset : "Z");
}

bool time_read(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    char whole[64], day[16];
    int64_t ms;

    if (strlen(text) > 40)
        return false;
    if (*text == '+' || *text == '-') {
        if (now_ms == KPID_NEVER || !duration_read(text + 1, &ms))
            return false;
        *ret_ms = *text == '+' ? now_ms + ms : now_ms - ms;
        return true;
    }
    if (isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) && text[2] == ':') {
        int64_t year;
        unsigned month, date;
        if (now_ms == KPID_NEVER)
            return false;
        kpid_civil_from_days(now_ms / 86400000, &year, &month, &date);
        snprintf(day, sizeof(day), "%04d-%02u-%02u", (int)year, month, date);
        char stamp[64];
        snprintf(stamp, sizeof(stamp), "%sT%s", day, text);
        complete(stamp, whole);
    } else {
        complete(text, whole);
    }
    return kpid_time_parse(whole, strlen(whole), ret_ms);
}

/* ---- JSON made by kpid: no white space between tokens ---- */

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return *at ? at + 1 : at;
}

static const char *skip_value(const char *at)
{
    unsigned depth = 0;

    do {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']') {
            if (!depth)
                return at;
            depth--;
        } else if (*at == ',' && !depth) {
            return at;
        }
        at++;
    } while (*at && (depth || (*at != ',' && *at != '}' && *at != ']')));
    return at;
}

static void add_value(struct kpid_buf *out, const char *at, const char *end)
{
    if (*at == '[') { /* names joined by commas */
        for (at++; at < end - 1; at++)
            if (*at != '"')
                kpid_buf_add_char(out, *at);
        kpid_buf_add_str(out, "");
    } else if (*at == '"') {
        kpid_buf_add(out, at + 1, (size_t)(end - at) - 2);
    } else {
        kpid_buf_add(out, at, (size_t)(end - at));
    }
}

bool json_member(const char *json, const char *path, struct kpid_buf *out)
{
    const char *dot = strchr(path, '.');
    size_t len = dot ? (size_t)(dot - path) : strlen(path);

    if (*json != '{')
        return false;
    for (const char *at = json + 1; *at == '"';) {
        const char *key = at + 1, *after = skip_string(at);
        const char *value = after + 1, *end = skip_value(value);
        if ((size_t)(after - key) == len + 1 && !memcmp(key, path, len)) {
            if (dot)
                return json_member(value, dot + 1, out);
            add_value(out, value, end);
            return true;
        }
        at = *end == ',' ? end + 1 : end;
    }
    return false;
}
