/*
 * One event of the shop before it is written out, and the words of its enumerations. Everything is a number,
 * so that what is waiting to be sent stays small (72 bytes an event).
 */
#ifndef KPID_GENERATE_EVENT_H
#define KPID_GENERATE_EVENT_H

#include <stddef.h>
#include <stdint.h>

enum kpid_event_topic { KPID_TOPIC_ORDERS, KPID_TOPIC_USERS, KPID_TOPIC_SERVICE, KPID_TOPICS };

enum kpid_event_type {
    KPID_ORDER_CREATED,
    KPID_ORDER_PAID,
    KPID_ORDER_SHIPPED,
    KPID_ORDER_DELIVERED,
    KPID_ORDER_CANCELLED,
    KPID_ORDER_RETURNED,
    KPID_SESSION_STARTED,
    KPID_PAGE_VIEWED,
    KPID_CART_ADDED,
    KPID_CHECKOUT_STARTED,
    KPID_CHECKOUT_COMPLETED,
    KPID_USER_REGISTERED,
    KPID_COMPLAINT_OPENED,
    KPID_COMPLAINT_REPLIED,
    KPID_COMPLAINT_WAITING,
    KPID_COMPLAINT_RESUMED,
    KPID_COMPLAINT_RESOLVED,
    KPID_COMPLAINT_REOPENED,
    KPID_SURVEY_ANSWERED,
    KPID_EVENT_TYPES
};

enum kpid_channel { KPID_CHANNEL_WEB, KPID_CHANNEL_APP, KPID_CHANNEL_STORE, KPID_CHANNELS };
enum kpid_region { KPID_REGION_NORTH, KPID_REGION_SOUTH, KPID_REGION_EAST, KPID_REGION_WEST, KPID_REGIONS };
enum kpid_page {
    KPID_PAGE_HOME,
    KPID_PAGE_CATEGORY,
    KPID_PAGE_SEARCH,
    KPID_PAGE_PRODUCT,
    KPID_PAGE_CART,
    KPID_PAGES
};
enum kpid_matter {
    KPID_MATTER_DELIVERY,
    KPID_MATTER_PAYMENT,
    KPID_MATTER_PRODUCT,
    KPID_MATTER_REFUND,
    KPID_MATTER_ACCOUNT,
    KPID_MATTERS
};

/* What is wrong with a message that should end in the dead letters. */
enum kpid_flaw {
    KPID_FLAW_NONE,
    KPID_FLAW_CUT,          /* ends in the middle */
    KPID_FLAW_NO_TYPE,      /* the member is missing */
    KPID_FLAW_BAD_TIME,     /* `ts` is a word */
    KPID_FLAW_NOT_AN_EVENT, /* neither JSON nor MessagePack */
    KPID_FLAWS
};

/* How a message differs from one that is sent once and at once. */
enum kpid_manner {
    KPID_MANNER_USUAL,
    KPID_MANNER_REPEAT,
    KPID_MANNER_BEHIND,
    KPID_MANNER_LATE,
    KPID_MANNERS
};

struct kpid_shop_event {
    int64_t send_ms;  /* when it reaches the broker: never before ts_ms */
    int64_t ts_ms;    /* when it happened */
    uint64_t serial;  /* order of making, settles equal send_ms */
    uint64_t id;      /* a repeat has that of the original */
    uint64_t number;  /* of the user, order or ticket: the key */
    uint64_t related; /* session of a user's event, customer of an order's, 0 of a ticket's */
    int32_t cents;    /* amount, of orders */
    int32_t score;    /* 1 to 5, of surveys */
    uint8_t type, channel, region, detail /* kpid_page or kpid_matter */, flaw, manner;
};

/* Names as they stand in the messages; borrowed, constant. */
const char *kpid_topic_name(enum kpid_event_topic topic);
const char *kpid_event_type_name(enum kpid_event_type type);
const char *kpid_channel_name(enum kpid_channel channel);
const char *kpid_region_name(enum kpid_region region);
const char *kpid_page_name(enum kpid_page page);
const char *kpid_matter_name(enum kpid_matter matter);
/* The topic on which a type travels. */
enum kpid_event_topic kpid_event_topic(enum kpid_event_type type);

enum { KPID_NAME_SIZE = 24 };
/* Writes the key of the message (user_id, order_id or ticket_id) and returns its length. */
size_t kpid_event_key(const struct kpid_shop_event *event, char key[KPID_NAME_SIZE]);

#endif
