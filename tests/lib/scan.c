#include "scan.h"

#include <string.h>

static void skip_space(struct kpid_scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at)
        scan->at++;
}

/* Past the closing quote, or `end` if there is none. `at` is on the opening one. */
static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return end;
}

/* Past the value that starts at `at`. */
static const char *value_end(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = string_end(at, end);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at;
            depth--;
            at++;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            return at;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            return at;
    }
    return at;
}

void kpid_scan_init(struct kpid_scan *scan, struct kpid_span text)
{
    *scan = (struct kpid_scan){.at = text.at, .end = text.at + text.size};
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != '{')
        scan->fault = true;
    else
        scan->at++;
}

bool kpid_scan_next(struct kpid_scan *scan, struct kpid_span *ret_name, struct kpid_span *ret_value)
{
    if (scan->fault)
        return false;
    skip_space(scan);
    if (scan->at < scan->end && *scan->at == ',') {
        scan->at++;
        skip_space(scan);
    }
    if (scan->at < scan->end && *scan->at == '}')
        return false;
    scan->fault = true;
    if (scan->at == scan->end || *scan->at != '"')
        return false;
    const char *name = scan->at + 1;
    scan->at = string_end(scan->at, scan->end);
    size_t name_size = (size_t)(scan->at - name) - 1;
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != ':')
        return false;
    scan->at++;
    skip_space(scan);
    const char *value = scan->at;
    scan->at = value_end(value, scan->end);
    if (scan->at == value || scan->at == scan->end)
        return false;
    scan->fault = false;
    *ret_name = (struct kpid_span){name, name_size};
    *ret_value = (struct kpid_span){value, (size_t)(scan->at - value)};
    return true;
}

bool kpid_span_is_string(struct kpid_span value)
{
    return value.size >= 2 && value.at[0] == '"' && value.at[value.size - 1] == '"';
}

bool kpid_span_equal(struct kpid_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.at, text, span.size) == 0;
}

bool kpid_span_integer(struct kpid_span value, int64_t *ret)
{
    bool negative = value.size > 0 && value.at[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == value.size || value.size - i > 18)
        return false;
    int64_t number = 0;
    for (; i < value.size; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        number = number * 10 + (value.at[i] - '0');
    }
    *ret = negative ? -number : number;
    return true;
}

static bool hex4(const char *at, const char *end, uint32_t *ret)
{
    uint32_t number = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef";
        char lower = (char)(at[i] >= 'A' && at[i] <= 'F' ? at[i] - 'A' + 'a' : at[i]);
        const char *digit = lower ? strchr(digits, lower) : NULL;
        if (!digit)
            return false;
        number = number * 16 + (uint32_t)(digit - digits);
    }
    *ret = number;
    return true;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* `*at` is behind the "\u"; a surrogate pair is read whole. */
static bool unicode_escape(const char **at, const char *end, char **out)
{
    uint32_t code;
    if (!hex4(*at, end, &code))
        return false;
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low;
        if (hex4(*at + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *at += 6;
        }
    }
    *out = put_utf8(*out, code);
    return true;
}

bool kpid_span_unescape(struct kpid_span value, char *out, size_t *ret_size)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (!kpid_span_is_string(value))
        return false;
    const char *at = value.at + 1;
    const char *end = value.at + value.size - 1;
    char *start = out;
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        if (++at == end)
            return false;
        char c = *at++;
        const char *simple = c ? strchr(from, c) : NULL;
        if (simple)
            *out++ = to[simple - from];
        else if (c != 'u' || !unicode_escape(&at, end, &out))
            return false;
    }
    *ret_size = (size_t)(out - start);
    return true;
}
