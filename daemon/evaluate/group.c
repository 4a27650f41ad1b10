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
