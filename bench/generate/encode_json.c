#include "encode.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct text {
    char *at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at + text->len, KPID_MESSAGE_SIZE - text->len, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < KPID_MESSAGE_SIZE - text->len);
    text->len += (size_t)n;
}

static void put_order(struct text *text, const struct kpid_shop_event *event, const char *key)
{
    put(text, ",\"order_id\":\"%s\",\"customer_id\":\"u%llu\",\"channel\":\"%s\",\"region\":\"%s\"", key,
        (unsigned long long)event->related, kpid_channel_name(event->channel),
        kpid_region_name(event->region));
    put(text, ",\"amount\":%d.%02d,\"currency\":\"EUR\"", event->cents / 100, event->cents % 100);
}

static void put_user(struct text *text, const struct kpid_shop_event *event, const char *key)
{
    put(text, ",\"user_id\":\"%s\",\"session_id\":\"s%012llx\",\"channel\":\"%s\"", key,
        (unsigned long long)event->related, kpid_channel_name(event->channel));
    if (event->type != KPID_SESSION_STARTED && event->type != KPID_USER_REGISTERED)
        put(text, ",\"page\":\"%s\"", kpid_page_name(event->detail));
}

static void put_ticket(struct text *text, const struct kpid_shop_event *event, const char *key)
{
    put(text, ",\"ticket_id\":\"%s\",\"channel\":\"%s\",\"topic\":\"%s\"", key,
        kpid_channel_name(event->channel), kpid_matter_name(event->detail));
    if (event->type == KPID_SURVEY_ANSWERED)
        put(text, ",\"score\":%d", event->score);
}

size_t kpid_encode_json(const struct kpid_shop_event *event, char out[KPID_MESSAGE_SIZE])
{
    struct text text = {out, 0};
    char key[KPID_NAME_SIZE];
    kpid_event_key(event, key);
    if (event->flaw == KPID_FLAW_NOT_AN_EVENT) {
        put(&text, "%s healthcheck ok", key);
        return text.len;
    }
    put(&text, "{");
    if (event->flaw != KPID_FLAW_NO_TYPE)
        put(&text, "\"type\":\"%s\",", kpid_event_type_name(event->type));
    put(&text, "\"id\":\"%016llx\",", (unsigned long long)event->id);
    if (event->flaw == KPID_FLAW_BAD_TIME)
        put(&text, "\"ts\":\"yesterday\"");
    else
        put(&text, "\"ts\":%lld", (long long)event->ts_ms);
    switch (kpid_event_topic(event->type)) {
    case KPID_TOPIC_ORDERS: put_order(&text, event, key); break;
    case KPID_TOPIC_USERS: put_user(&text, event, key); break;
    default: put_ticket(&text, event, key); break;
    }
    put(&text, "}");
    return event->flaw == KPID_FLAW_CUT ? text.len / 2 : text.len;
}
