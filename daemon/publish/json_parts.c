#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void kpid_json_key(struct kpid_buf *out, const char *name)
{
    if (out->len && out->data[out->len - 1] != '{')
        kpid_buf_add_char(out, ',');
    kpid_buf_add_char(out, '"');
    kpid_buf_add_str(out, name);
    kpid_buf_add(out, "\":", 2);
}

void kpid_json_str(struct kpid_buf *out, const char *name, const char *text)
{
    kpid_json_key(out, name);
    if (text)
        kpid_buf_add_json(out, text, strlen(text));
    else
        kpid_buf_add(out, "null", 4);
}

void kpid_json_int(struct kpid_buf *out, const char *name, int64_t value)
{
    char text[24];
    kpid_json_key(out, name);
    kpid_buf_add(out, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void kpid_json_uint(struct kpid_buf *out, const char *name, uint64_t value)
{
    char text[24];
    kpid_json_key(out, name);
    kpid_buf_add(out, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void kpid_json_time(struct kpid_buf *out, const char *name, const struct kpid_zone *zone, int64_t t_ms)
{
    kpid_json_key(out, name);
    bool known = t_ms != KPID_NEVER && t_ms != KPID_FOREVER;
    if (known) {
        struct kpid_zone utc = {0};
        if (!zone)
            kpid_zone_utc(&utc);
        char text[40];
        size_t len = kpid_zone_print(zone ? zone : &utc, t_ms, text);
        kpid_buf_add_char(out, '"');
        kpid_buf_add(out, text, len);
        kpid_buf_add_char(out, '"');
        if (!zone)
            kpid_zone_release(&utc);
    } else {
        kpid_buf_add(out, "null", 4);
    }
    kpid_buf_add(out, ",\"", 2);
    kpid_buf_add_str(out, name);
    kpid_buf_add(out, "_ms\":", 5);
    if (known)
        kpid_buf_printf(out, "%" PRId64, t_ms);
    else
        kpid_buf_add(out, "null", 4);
}
