#include "event.h"

#include <stdio.h>

static const char *const topics[KPID_TOPICS] = {"orders", "users", "service"};
static const char *const types[KPID_EVENT_TYPES] = {
    [KPID_ORDER_CREATED] = "order.created",
    [KPID_ORDER_PAID] = "order.paid",
    [KPID_ORDER_SHIPPED] = "order.shipped",
    [KPID_ORDER_DELIVERED] = "order.delivered",
    [KPID_ORDER_CANCELLED] = "order.cancelled",
    [KPID_ORDER_RETURNED] = "order.returned",
    [KPID_SESSION_STARTED] = "session.started",
    [KPID_PAGE_VIEWED] = "page.viewed",
    [KPID_CART_ADDED] = "cart.added",
    [KPID_CHECKOUT_STARTED] = "checkout.started",
    [KPID_CHECKOUT_COMPLETED] = "checkout.completed",
    [KPID_USER_REGISTERED] = "user.registered",
    [KPID_COMPLAINT_OPENED] = "complaint.opened",
    [KPID_COMPLAINT_REPLIED] = "complaint.replied",
    [KPID_COMPLAINT_WAITING] = "complaint.waiting",
    [KPID_COMPLAINT_RESUMED] = "complaint.resumed",
    [KPID_COMPLAINT_RESOLVED] = "complaint.resolved",
    [KPID_COMPLAINT_REOPENED] = "complaint.reopened",
    [KPID_SURVEY_ANSWERED] = "survey.answered",
};
static const char *const channels[KPID_CHANNELS] = {"web", "app", "store"};
static const char *const regions[KPID_REGIONS] = {"north", "south", "east", "west"};
static const char *const pages[KPID_PAGES] = {"home", "category", "search", "product", "cart"};
static const char *const matters[KPID_MATTERS] = {"delivery", "payment", "product", "refund", "account"};

const char *kpid_topic_name(enum kpid_event_topic topic)
{
    return topics[topic];
}

const char *kpid_event_type_name(enum kpid_event_type type)
{
    return types[type];
}

const char *kpid_channel_name(enum kpid_channel channel)
{
    return channels[channel];
}

const char *kpid_region_name(enum kpid_region region)
{
    return regions[region];
}

const char *kpid_page_name(enum kpid_page page)
{
    return pages[page];
}

const char *kpid_matter_name(enum kpid_matter matter)
{
    return matters[matter];
}

enum kpid_event_topic kpid_event_topic(enum kpid_event_type type)
{
    if (type <= KPID_ORDER_RETURNED)
        return KPID_TOPIC_ORDERS;
    return type <= KPID_USER_REGISTERED ? KPID_TOPIC_USERS : KPID_TOPIC_SERVICE;
}

size_t kpid_event_key(const struct kpid_shop_event *event, char key[KPID_NAME_SIZE])
{
    static const char letters[KPID_TOPICS] = {'o', 'u', 't'};
    char letter = letters[kpid_event_topic(event->type)];
    return (size_t)snprintf(key, KPID_NAME_SIZE, "%c%llu", letter, (unsigned long long)event->number);
}
