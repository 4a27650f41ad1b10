#include "resp.h"

#include <string.h>

/* Writes e.g. "$12\r\n". printf would be half of the cost of a short command. */
static void add_prefix(struct kpid_buf *buf, char kind, size_t value)
{
    char text[24];
    size_t at = sizeof(text);
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text[--at] = kind;
    kpid_buf_add(buf, text + at, sizeof(text) - at);
}

void kpid_resp_add_count(struct kpid_buf *buf, size_t n)
{
    add_prefix(buf, '*', n);
}

void kpid_resp_add_bulk(struct kpid_buf *buf, const void *bytes, size_t len)
{
    add_prefix(buf, '$', len);
    if (len > 0)
        kpid_buf_add(buf, bytes, len);
    kpid_buf_add(buf, "\r\n", 2);
}

void kpid_resp_add_bulks(struct kpid_buf *buf, const struct kpid_bulk *bulks, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += bulks[i].len + 24;
    kpid_buf_reserve(buf, total);
    for (size_t i = 0; i < n; i++)
        kpid_resp_add_bulk(buf, bulks[i].bytes, bulks[i].len);
}
