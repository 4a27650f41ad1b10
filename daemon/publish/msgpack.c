/*
 * JSON text -> MessagePack, for the Kafka topics. Only text that this folder made comes here, so one pass
 * with a depth cap does; maps and lists get 16-bit headers that are filled in when their end is reached.
 */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8

struct reader {
    const char *at, *end;
    struct kpid_buf *out;
};

static bool read_value(struct reader *in, unsigned depth);

static void add_be(struct kpid_buf *out, uint8_t tag, uint64_t value, unsigned bytes)
{
    char text[9];
    text[0] = (char)tag;
    for (unsigned i = 0; i < bytes; i++)
        text[1 + i] = (char)(value >> (8 * (bytes - 1 - i)));
    kpid_buf_add(out, text, bytes + 1);
}

static void add_text(struct kpid_buf *out, const char *text, size_t len)
{
    if (len < 32)
        kpid_buf_add_char(out, (char)(0xa0 | len));
    else if (len < 256)
        add_be(out, 0xd9, len, 1);
    else if (len < 65536)
        add_be(out, 0xda, len, 2);
    else
        add_be(out, 0xdb, len, 4);
    kpid_buf_add(out, text, len);
}

static void add_unsigned(struct kpid_buf *out, uint64_t value)
{
    if (value < 128)
        kpid_buf_add_char(out, (char)value);
    else if (value <= UINT32_MAX)
        add_be(out, 0xce, value, 4);
    else
        add_be(out, 0xcf, value, 8);
}

static void add_negative(struct kpid_buf *out, int64_t value)
{
    if (value >= -32)
        kpid_buf_add_char(out, (char)value);
    else
        add_be(out, 0xd3, (uint64_t)value, 8);
}

static bool read_number(struct reader *in)
{
    char text[64];
    size_t len = 0;
    while (in->at + len < in->end && strchr("+-.0123456789eE", in->at[len])) {
        if (len + 1 == sizeof text)
            return false;
        text[len] = in->at[len];
        len++;
    }
    if (!len)
        return false;
    text[len] = '\0';
    in->at += len;
    char *end;
    errno = 0;
    if (!strpbrk(text, ".eE")) {
        if (text[0] == '-') {
            int64_t value = strtoll(text, &end, 10);
            if (!errno && !*end) {
                add_negative(in->out, value);
                return true;
            }
        } else {
            uint64_t value = strtoull(text, &end, 10);
            if (!errno && !*end) {
                add_unsigned(in->out, value);
                return true;
            }
        }
    }
    double value = strtod(text, &end);
    if (*end)
        return false;
    char again[32];
    if (kpid_double_print(value, again) != len || memcmp(again, text, len) != 0) {
        add_text(in->out, text, len);
        return true;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_be(in->out, 0xcb, bits, 8);
    return true;
}

/* \uXXXX as kpid_buf_add_json writes it: control bytes, never a surrogate. */
static bool read_escape(struct reader *in, struct kpid_buf *text)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return false;
    const char *plain = *in->at ? strchr(from, *in->at) : NULL;
    if (plain) {
        kpid_buf_add_char(text, to[plain - from]);
        in->at++;
        return true;
    }
    if (*in->at != 'u' || in->end - in->at < 5)
        return false;
    char digits[5] = {in->at[1], in->at[2], in->at[3], in->at[4], '\0'};
    char *end;
    unsigned long code = strtoul(digits, &end, 16);
    if (*end || code >= 0x80)
        return false;
    kpid_buf_add_char(text, (char)code);
    in->at += 5;
    return true;
}

static bool read_string(struct reader *in)
{
    struct kpid_buf text = KPID_BUF_INIT;
    in->at++;
    bool good = true;
    while (good && in->at < in->end && *in->at != '"') {
        char c = *in->at++;
        if (c == '\\')
            good = read_escape(in, &text);
        else
            kpid_buf_add_char(&text, c);
    }
    if (in->at == in->end)
        good = false;
    if (good) {
        in->at++;
        add_text(in->out, text.len ? text.data : "", text.len);
    }
    kpid_buf_release(&text);
    return good;
}

static bool skip(struct reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool read_items(struct reader *in, char close, unsigned depth)
{
    bool map = close == '}';
    size_t header = in->out->len, n = 0;
    add_be(in->out, map ? 0xde : 0xdc, 0, 2);
    in->at++;
    if (skip(in, close))
        return true;
    do {
        if (map && (in->at == in->end || *in->at != '"' || !read_string(in) || !skip(in, ':')))
            return false;
        if (!read_value(in, depth + 1) || ++n > UINT16_MAX)
            return false;
    } while (skip(in, ','));
    in->out->data[header + 1] = (char)(n >> 8);
    in->out->data[header + 2] = (char)n;
    return skip(in, close);
}

static bool read_word(struct reader *in, const char *word, uint8_t tag)
{
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
        return false;
    in->at += len;
    kpid_buf_add_char(in->out, (char)tag);
    return true;
}

static bool read_value(struct reader *in, unsigned depth)
{
    if (in->at == in->end || depth > DEPTH_MAX)
        return false;
    switch (*in->at) {
    case '{': return read_items(in, '}', depth);
    case '[': return read_items(in, ']', depth);
    case '"': return read_string(in);
    case 'n': return read_word(in, "null", 0xc0);
    case 'f': return read_word(in, "false", 0xc2);
    case 't': return read_word(in, "true", 0xc3);
    default: return read_number(in);
    }
}

bool kpid_json_to_msgpack(const char *text, size_t len, struct kpid_buf *out)
{
    struct reader in = {text, text + len, out};
    size_t before = out->len;
    if (read_value(&in, 0) && in.at == in.end)
        return true;
    out->len = before;
    return false;
}
