#include "scan.h"

#include <string.h>

#define DEEPEST 128

void kpid_scan_init(struct kpid_scan *scan, const char *text, size_t len)
{
    *scan = (struct kpid_scan){.at = text, .end = text + len};
}

static bool fail(struct kpid_scan *scan, const char *fault)
{
    if (scan->fault == NULL)
        scan->fault = fault;
    return false;
}

char kpid_scan_peek(struct kpid_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r' || *scan->at == '\n'))
        scan->at++;
    return scan->at < scan->end ? *scan->at : 0;
}

static bool take(struct kpid_scan *scan, char c, const char *fault)
{
    if (scan->fault != NULL || kpid_scan_peek(scan) != c)
        return fail(scan, fault);
    scan->at++;
    return true;
}

bool kpid_scan_object(struct kpid_scan *scan)
{
    return take(scan, '{', "an object is expected");
}

bool kpid_scan_member(struct kpid_scan *scan, bool *first, struct kpid_slice *ret_name)
{
    if (scan->fault != NULL)
        return false;
    if (kpid_scan_peek(scan) == '}') {
        scan->at++;
        return false;
    }
    if (!*first && !take(scan, ',', "a comma or a closing brace is expected"))
        return false;
    *first = false;
    struct kpid_slice name;
    if (!kpid_scan_string(scan, &name) || !take(scan, ':', "a colon is expected"))
        return false;
    *ret_name = name;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escape_skip(struct kpid_scan *scan)
{
    if (++scan->at == scan->end)
        return fail(scan, "the text ends inside a string");
    if (*scan->at == 'u') {
        if (scan->end - scan->at < 5)
            return fail(scan, "the text ends inside a string");
        for (int i = 1; i <= 4; i++)
            if (!is_hex(scan->at[i]))
                return fail(scan, "\\u wants four hexadecimal digits");
        scan->at += 5;
        return true;
    }
    if (strchr("\"\\/bfnrt", *scan->at) == NULL || *scan->at == '\0')
        return fail(scan, "no such escape in a string");
    scan->at++;
    return true;
}

bool kpid_scan_string(struct kpid_scan *scan, struct kpid_slice *ret)
{
    if (!take(scan, '"', "a string is expected"))
        return false;
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at != '"') {
        if (*scan->at == '\\') {
            if (!escape_skip(scan))
                return false;
        } else if ((unsigned char)*scan->at < 0x20) {
            return fail(scan, "a control character in a string");
        } else {
            scan->at++;
        }
    }
    if (scan->at == scan->end)
        return fail(scan, "the text ends inside a string");
    *ret = (struct kpid_slice){start, (size_t)(scan->at - start)};
    scan->at++;
    return true;
}

static bool digits(struct kpid_scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start || fail(scan, "a digit is expected");
}

static bool number_skip(struct kpid_scan *scan)
{
    if (*scan->at == '-')
        scan->at++;
    if (scan->at < scan->end && *scan->at == '0')
        scan->at++;
    else if (!digits(scan))
        return false;
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        if (!digits(scan))
            return false;
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        return digits(scan);
    }
    return true;
}

bool kpid_scan_int(struct kpid_scan *scan, int64_t *ret)
{
    char c = kpid_scan_peek(scan);
    if (scan->fault != NULL || !(c == '-' || (c >= '0' && c <= '9')))
        return fail(scan, "a whole number is expected");
    const char *start = scan->at;
    if (!number_skip(scan))
        return false;
    bool negative = *start == '-';
    int64_t value = 0;
    for (const char *at = start + negative; at < scan->at; at++) {
        if (*at < '0' || *at > '9')
            return fail(scan, "a whole number is expected");
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value)) /* downwards: INT64_MIN fits */
            return fail(scan, "a number is too large");
    }
    if (!negative && __builtin_sub_overflow(INT64_C(0), value, &value))
        return fail(scan, "a number is too large");
    *ret = value;
    return true;
}

static bool word_skip(struct kpid_scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return fail(scan, "a value is expected");
    scan->at += len;
    return true;
}

static bool value_skip(struct kpid_scan *scan, int depth);

static bool array_skip(struct kpid_scan *scan, int depth)
{
    scan->at++;
    if (kpid_scan_peek(scan) == ']') {
        scan->at++;
        return true;
    }
    do {
        if (!value_skip(scan, depth))
            return false;
    } while (kpid_scan_peek(scan) == ',' && scan->at++);
    return take(scan, ']', "a comma or a closing bracket is expected");
}

static bool object_skip(struct kpid_scan *scan, int depth)
{
    bool first = true;
    struct kpid_slice name;
    scan->at++;
    while (kpid_scan_member(scan, &first, &name))
        if (!value_skip(scan, depth))
            return false;
    return scan->fault == NULL;
}

static bool value_skip(struct kpid_scan *scan, int depth)
{
    struct kpid_slice unused;
    if (depth == DEEPEST)
        return fail(scan, "nested too deep");
    char c = kpid_scan_peek(scan);
    switch (c) {
    case '{': return object_skip(scan, depth + 1);
    case '[': return array_skip(scan, depth + 1);
    case '"': return kpid_scan_string(scan, &unused);
    case 't': return word_skip(scan, "true");
    case 'f': return word_skip(scan, "false");
    case 'n': return word_skip(scan, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return number_skip(scan);
        return fail(scan, "a value is expected");
    }
}

bool kpid_scan_value(struct kpid_scan *scan, struct kpid_slice *ret)
{
    if (scan->fault != NULL)
        return false;
    kpid_scan_peek(scan);
    const char *start = scan->at;
    if (!value_skip(scan, 0))
        return false;
    *ret = (struct kpid_slice){start, (size_t)(scan->at - start)};
    return true;
}

bool kpid_scan_end(struct kpid_scan *scan)
{
    if (scan->fault != NULL)
        return false;
    kpid_scan_peek(scan);
    return scan->at == scan->end || fail(scan, "something follows the value");
}

bool kpid_slice_is(struct kpid_slice slice, const char *text)
{
    return strlen(text) == slice.len && memcmp(slice.at, text, slice.len) == 0;
}

static uint32_t hex4(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static void utf8_add(struct kpid_buf *buf, uint32_t code)
{
    char out[4];
    size_t n = 0;
    if (code < 0x80) {
        out[n++] = (char)code;
    } else if (code < 0x800) {
        out[n++] = (char)(0xc0 | code >> 6);
        out[n++] = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        out[n++] = (char)(0xe0 | code >> 12);
        out[n++] = (char)(0x80 | (code >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (code & 0x3f));
    } else {
        out[n++] = (char)(0xf0 | code >> 18);
        out[n++] = (char)(0x80 | (code >> 12 & 0x3f));
        out[n++] = (char)(0x80 | (code >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (code & 0x3f));
    }
    kpid_buf_add(buf, out, n);
}

/* `at` stands on the u; moves it behind the escape. */
static bool unicode_add(struct kpid_buf *buf, const char **at, const char *end)
{
    uint32_t code = hex4(*at + 1);
    *at += 5;
    if (code >= 0xdc00 && code < 0xe000)
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
            return false;
        uint32_t low = hex4(*at + 2);
        if (low < 0xdc00 || low >= 0xe000)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    utf8_add(buf, code);
    return true;
}

bool kpid_slice_unescape(struct kpid_slice slice, struct kpid_buf *buf)
{
    static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const char *at = slice.at, *end = slice.at + slice.len;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape != NULL ? escape : end;
        kpid_buf_add(buf, at, (size_t)(stop - at));
        if (escape == NULL)
            break;
        at = escape + 1;
        if (*at == 'u') {
            if (!unicode_add(buf, &at, end))
                return false;
            continue;
        }
        const char *letter = strchr(letters, *at);
        kpid_buf_add_char(buf, letter != NULL ? bytes[letter - letters] : *at);
        at++;
    }
    return true;
}
