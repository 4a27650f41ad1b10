#include "kpid/store.h"

#include <string.h>

static bool must_encode(unsigned char c, bool first)
{
    if (c < 0x20 || c == 0x7f || (first && (c == '*' || c == '_')))
        return true;
    return strchr("%|:{}@", c) != NULL;
}

void kpid_key_encode(struct kpid_buf *buf, const char *text, size_t len)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (must_encode(c, i == 0)) {
            char escape[3] = {'%', HEX[c >> 4], HEX[c & 15]};
            kpid_buf_add(buf, escape, 3);
        } else {
            kpid_buf_add_char(buf, text[i]);
        }
    }
}
