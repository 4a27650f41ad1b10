/* The text that names a group in Redis and in stored state. */
#include <string.h>

#include "kpid/evaluate.h"

static bool needs_escape(unsigned char c, bool first)
{
    return c < 0x20 || c == 0x7f || c == '%' || c == '|' || c == '@' || (first && (c == '*' || c == '_'));
}

void kpid_group_field(struct kpid_buf *buf, const char *const *group, size_t n_by, bool other)
{
    if (other) {
        kpid_buf_add_str(buf, "__other__");
        return;
    }
    if (group == NULL || n_by == 0) {
        kpid_buf_add_char(buf, '*');
        return;
    }
    for (size_t i = 0; i < n_by; i++) {
        if (i > 0)
            kpid_buf_add_char(buf, '|');
        for (const char *at = group[i]; *at != '\0'; at++) {
            if (needs_escape((unsigned char)*at, at == group[i]))
                kpid_buf_printf(buf, "%%%02X", (unsigned char)*at);
            else
                kpid_buf_add_char(buf, *at);
        }
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool kpid_group_parse(const char *field, size_t len, size_t n_by, struct kpid_buf *bytes, const char **group)
{
    size_t n = 0;

    kpid_buf_clear(bytes);
    kpid_buf_reserve(bytes, len + 1); /* it does not move any more */
    group[n++] = bytes->data;
    for (size_t i = 0; i < len; i++) {
        if (field[i] == '|') {
            kpid_buf_add_char(bytes, '\0');
            if (n == n_by)
                return false;
            group[n++] = bytes->data + bytes->len;
        } else if (field[i] == '%') {
            int high = i + 2 < len ? hex_digit(field[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(field[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            kpid_buf_add_char(bytes, (char)(high * 16 + low));
            i += 2;
        } else {
            kpid_buf_add_char(bytes, field[i]);
        }
    }
    kpid_buf_add_char(bytes, '\0');
    return n == n_by;
}
