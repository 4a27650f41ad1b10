/* JSON strings into a buffer, see kpid/buf.h. RFC 8259 section 7, RFC 3629 (UTF-8, its table of legal bytes).
 */
#include "kpid/buf.h"

/* Length of the UTF-8 sequence that begins at s, 0 when it is none (overlong, surrogate, cut short, >
 * U+10FFFF). */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t need = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (need == 0 || need > left)
        return 0;
    unsigned char low = 0x80, high = 0xbf;
    switch (s[0]) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return need;
}

static void json_escape(struct kpid_buf *buf, unsigned char c)
{
    switch (c) {
    case '"': kpid_buf_add(buf, "\\\"", 2); break;
    case '\\': kpid_buf_add(buf, "\\\\", 2); break;
    case '\b': kpid_buf_add(buf, "\\b", 2); break;
    case '\f': kpid_buf_add(buf, "\\f", 2); break;
    case '\n': kpid_buf_add(buf, "\\n", 2); break;
    case '\r': kpid_buf_add(buf, "\\r", 2); break;
    case '\t': kpid_buf_add(buf, "\\t", 2); break;
    default: kpid_buf_printf(buf, "\\u%04x", (unsigned)c); break;
    }
}

void kpid_buf_add_json(struct kpid_buf *buf, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t begin = 0, i = 0; /* [begin, i) is plain and not copied yet */
    kpid_buf_add_char(buf, '"');
    while (i < len) {
        size_t step = utf8_length(s + i, len - i);
        if (step > 1 || (step == 1 && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')) {
            i += step;
            continue;
        }
        kpid_buf_add(buf, text + begin, i - begin);
        if (step == 0)
            kpid_buf_add(buf, "\xef\xbf\xbd", 3);
        else
            json_escape(buf, s[i]);
        begin = ++i;
    }
    if (i > begin)
        kpid_buf_add(buf, text + begin, i - begin);
    kpid_buf_add_char(buf, '"');
}
