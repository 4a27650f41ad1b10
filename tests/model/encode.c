/* An event as the bytes of a message. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static const char *const text_of[] = { "", "", "null", "\"abc\"", "{\"a\":1}", "1.0000001" };

/* ---- JSON ---- */

static void json_amount(int64_t millionths, struct kpid_buf *out)
{
    bool negative = millionths < 0;
    uint64_t m = negative ? -(uint64_t)millionths : (uint64_t)millionths;

    kpid_buf_printf(out, "%s%llu.%06llu", negative ? "-" : "", (unsigned long long)(m / 1000000),
                    (unsigned long long)(m % 1000000));
}

/* The name of a field; true: its sound value must follow. */
static bool json_name(const char *name, uint8_t how, struct kpid_buf *out)
{
    if (how == ABSENT)
        return false;
    kpid_buf_printf(out, ",\"%s\":", name);
    if (how != SOUND)
        kpid_buf_add(out, text_of[how], strlen(text_of[how]));
    return how == SOUND;
}

static void json_channel(const struct event *e, struct kpid_buf *out)
{
    const char *name = world_channels[e->channel];
    bool bare = !strcmp(name, "7.5") || !strcmp(name, "true"); /* a group may be a number or a truth value */

    if (*name && json_name("channel", e->channel_how, out))
        kpid_buf_printf(out, bare ? "%s" : "\"%s\"", name);
}

static void json_encode(const struct event *e, struct kpid_buf *out)
{
    size_t begin = out->len;

    kpid_buf_printf(out, "{\"x\":[1,{\"type\":\"no\"}]");
    if (e->broken != NO_TYPE)
        kpid_buf_printf(out, ",\"type\":\"%s\"", world_types[e->type]);
    if (e->broken == BAD_TIME)
        kpid_buf_printf(out, ",\"ts\":\"yesterday\"");
    else if (e->broken != NO_TIME)
        kpid_buf_printf(out, ",\"ts\":%lld", (long long)e->ts_ms);
    if (e->id)
        kpid_buf_printf(out, ",\"id\":\"e%u\"", e->id);
    if (json_name("amount", e->amount_how, out))
        json_amount(e->amount, out);
    if (json_name("qty", e->qty_how, out))
        kpid_buf_printf(out, "%u", e->qty);
    if (json_name("user", e->user_how, out))
        kpid_buf_printf(out, "\"u%u\"", e->user);
    if (json_name("due", e->due_how, out))
        kpid_buf_printf(out, "%lld", (long long)e->due_ms);
    if (json_name("ticket", e->ticket_how, out))
        kpid_buf_printf(out, "%u", e->ticket);
    json_channel(e, out);
    if (*world_regions[e->region])
        kpid_buf_printf(out, ",\"region\":\"%s\"", world_regions[e->region]);
    kpid_buf_printf(out, "}%s", e->broken == TRAILING ? " x" : "");
    if (e->broken == CUT_SHORT)
        out->len = begin + (out->len - begin) / 2;
}

/* ---- MessagePack ---- */

static void pack_byte(struct kpid_buf *out, unsigned byte)
{
    kpid_buf_add_char(out, (char)byte);
}

static void pack_str(struct kpid_buf *out, const char *text)
{
    size_t len = strlen(text);

    if (len > 31)
        pack_byte(out, 0xd9);
    pack_byte(out, len > 31 ? (unsigned)len : 0xa0 | (unsigned)len);
    kpid_buf_add(out, text, len);
}

static void pack_int(struct kpid_buf *out, int64_t value)
{
    pack_byte(out, 0xd3);
    for (int shift = 56; shift >= 0; shift -= 8)
        pack_byte(out, (unsigned)((uint64_t)value >> shift) & 0xff);
}

static void pack_double(struct kpid_buf *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    pack_byte(out, 0xcb);
    for (int shift = 56; shift >= 0; shift -= 8)
        pack_byte(out, (unsigned)(bits >> shift) & 0xff);
}

/* The name of a field and, if it is spoilt, its value; *n counts pairs. True: its sound value must follow. */
static bool pack_name(const char *name, uint8_t how, struct kpid_buf *out, unsigned *n)
{
    if (how == ABSENT)
        return false;
    ++*n;
    pack_str(out, name);
    switch (how) {
    case NULLED: pack_byte(out, 0xc0); break;
    case TEXT: pack_str(out, "abc"); break;
    case MAP: pack_byte(out, 0x80); break;
    case FINE: pack_double(out, 1.0000001); break;
    default: break;
    }
    return how == SOUND;
}

static void pack_channel(const struct event *e, struct kpid_buf *out, unsigned *n)
{
    const char *name = world_channels[e->channel];

    if (!*name || !pack_name("channel", e->channel_how, out, n))
        return;
    if (!strcmp(name, "7.5"))
        pack_double(out, 7.5);
    else if (!strcmp(name, "true"))
        pack_byte(out, 0xc3);
    else
        pack_str(out, name);
}

static void pack_head(const struct event *e, struct kpid_buf *out, unsigned *n)
{
    char text[32];

    if (e->broken != NO_TYPE && pack_name("type", SOUND, out, n))
        pack_str(out, world_types[e->type]);
    if (e->broken != NO_TIME && pack_name("ts", SOUND, out, n)) {
        if (e->broken == BAD_TIME)
            pack_str(out, "yesterday");
        else
            pack_int(out, e->ts_ms);
    }
    if (e->id && pack_name("id", SOUND, out, n)) {
        snprintf(text, sizeof(text), "e%u", e->id);
        pack_str(out, text);
    }
}

static void pack_encode(const struct event *e, struct kpid_buf *out)
{
    size_t begin = out->len;
    unsigned n = 0;
    char text[32];

    pack_byte(out, 0x80);
    pack_head(e, out, &n);
    if (pack_name("amount", e->amount_how, out, &n)) {
        if (e->amount % 1000000 == 0)
            pack_int(out, e->amount / 1000000);
        else
            pack_double(out, (double)e->amount / 1e6);
    }
    if (pack_name("qty", e->qty_how, out, &n))
        pack_byte(out, e->qty);
    if (pack_name("user", e->user_how, out, &n)) {
        snprintf(text, sizeof(text), "u%u", e->user);
        pack_str(out, text);
    }
    if (pack_name("due", e->due_how, out, &n))
        pack_int(out, e->due_ms);
    if (pack_name("ticket", e->ticket_how, out, &n))
        pack_int(out, e->ticket);
    pack_channel(e, out, &n);
    if (*world_regions[e->region] && pack_name("region", SOUND, out, &n))
        pack_str(out, world_regions[e->region]);
    out->data[begin] = (char)(0x80 | n);
    if (e->broken == TRAILING)
        pack_byte(out, 0xc0);
    if (e->broken == CUT_SHORT)
        out->len = begin + (out->len - begin) / 2;
}

void world_encode(const struct event *event, bool msgpack, struct kpid_buf *out)
{
    if (event->broken == EMPTY)
        return;
    if (msgpack)
        pack_encode(event, out);
    else
        json_encode(event, out);
}
