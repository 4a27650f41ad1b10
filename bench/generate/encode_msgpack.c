#include "encode.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What is needed of https://github.com/msgpack/msgpack/blob/master/spec.md */

struct bytes {
    unsigned char *at;
    size_t len;
    unsigned members;
};

static void put_byte(struct bytes *bytes, unsigned byte)
{
    assert(bytes->len < KPID_MESSAGE_SIZE);
    bytes->at[bytes->len++] = (unsigned char)byte;
}

static void put_be64(struct bytes *bytes, unsigned head, uint64_t value)
{
    put_byte(bytes, head);
    for (int shift = 56; shift >= 0; shift -= 8)
        put_byte(bytes, (unsigned)(value >> shift) & 0xff);
}

static void put_text(struct bytes *bytes, const char *text)
{
    size_t len = strlen(text);
    assert(len < 32);
    put_byte(bytes, 0xa0 | (unsigned)len);
    for (size_t i = 0; i < len; i++)
        put_byte(bytes, (unsigned char)text[i]);
}

static void member_text(struct bytes *bytes, const char *name, const char *text)
{
    put_text(bytes, name);
    put_text(bytes, text);
    bytes->members++;
}

static void member_number(struct bytes *bytes, const char *name, char letter, uint64_t number)
{
    char text[KPID_NAME_SIZE];
    snprintf(text, sizeof text, letter == 's' ? "s%012llx" : "u%llu", (unsigned long long)number);
    member_text(bytes, name, text);
}

static void member_float(struct bytes *bytes, const char *name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_text(bytes, name);
    put_be64(bytes, 0xcb, bits);
    bytes->members++;
}

static void put_own(struct bytes *bytes, const struct kpid_shop_event *event)
{
    char key[KPID_NAME_SIZE];
    kpid_event_key(event, key);
    member_text(bytes, "channel", kpid_channel_name(event->channel));
    switch (kpid_event_topic(event->type)) {
    case KPID_TOPIC_ORDERS:
        member_text(bytes, "order_id", key);
        member_number(bytes, "customer_id", 'u', event->related);
        member_text(bytes, "region", kpid_region_name(event->region));
        member_float(bytes, "amount", event->cents / 100.0);
        member_text(bytes, "currency", "EUR");
        break;
    case KPID_TOPIC_USERS:
        member_text(bytes, "user_id", key);
        member_number(bytes, "session_id", 's', event->related);
        if (event->type != KPID_SESSION_STARTED && event->type != KPID_USER_REGISTERED)
            member_text(bytes, "page", kpid_page_name(event->detail));
        break;
    default:
        member_text(bytes, "ticket_id", key);
        member_text(bytes, "topic", kpid_matter_name(event->detail));
        if (event->type != KPID_SURVEY_ANSWERED)
            break;
        put_text(bytes, "score");
        put_byte(bytes, (unsigned)event->score);
        bytes->members++;
        break;
    }
}

size_t kpid_encode_msgpack(const struct kpid_shop_event *event, char out[KPID_MESSAGE_SIZE])
{
    struct bytes bytes = {.at = (unsigned char *)out};
    char id[KPID_NAME_SIZE];
    put_byte(&bytes, event->flaw == KPID_FLAW_NOT_AN_EVENT ? 0xc1 : 0x80); /* 0xc1 is never used */
    if (event->flaw != KPID_FLAW_NO_TYPE)
        member_text(&bytes, "type", kpid_event_type_name(event->type));
    snprintf(id, sizeof id, "%016llx", (unsigned long long)event->id);
    member_text(&bytes, "id", id);
    if (event->flaw == KPID_FLAW_BAD_TIME) {
        member_text(&bytes, "ts", "yesterday");
    } else {
        put_text(&bytes, "ts");
        put_be64(&bytes, 0xcf, (uint64_t)event->ts_ms);
        bytes.members++;
    }
    put_own(&bytes, event);
    assert(bytes.members < 16);
    if (event->flaw != KPID_FLAW_NOT_AN_EVENT)
        bytes.at[0] |= (unsigned char)bytes.members;
    return event->flaw == KPID_FLAW_CUT ? bytes.len / 2 : bytes.len;
}
