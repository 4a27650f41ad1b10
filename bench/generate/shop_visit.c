#include "shop.h"

/* A visit with its order, if there is one. Times in ms; medians of lognormal waits. */

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60000,
    USERS = 400000,
    PAGE_MS = 16 * SECOND_MS,
    PAYMENT_MS = 40 * SECOND_MS,
    SHIPPING_MS = 35 * MINUTE_MS,
    DELIVERY_MS = 90 * MINUTE_MS,
    RETURN_MS = 180 * MINUTE_MS,
    GIVING_UP_MS = 30 * MINUTE_MS,
};

static const double channel_share[KPID_CHANNELS] = {0.43, 0.45, 0.12};
static const double region_share[KPID_REGIONS] = {0.20, 0.28, 0.35, 0.17};
/* Orders a visit, and what the region makes of it. */
static const double channel_conversion[KPID_CHANNELS] = {0.046, 0.042, 0.090};
static const double region_conversion[KPID_REGIONS] = {0.90, 1.00, 1.10, 0.92};
static const double region_price[KPID_REGIONS] = {1.05, 1.00, 1.10, 0.85};
static const double page_share[KPID_PAGES] = {0.28, 0.27, 0.15, 0.30, 0};

#define OUTAGE_LOSES      0.85 /* of the app's checkouts */
#define REGISTERS         0.04
#define FILLS_CART        0.11
#define ABANDONS_CHECKOUT 0.25 /* of the full carts that are not bought */
#define GOES_ON           0.58 /* to one more page */
#define BUYER_GOES_ON     0.75
#define PAGES_MAX         40
#define NEVER_PAID        0.035
#define CANCELLED         0.02
#define RETURNED          0.03
#define COMPLAINS         0.003 /* of the visits, as usual */
#define ANGER_FACTOR      7     /* and how many times that at the height of the incident */

static void happen_at(struct kpid_shop *shop, struct kpid_shop_event *event, enum kpid_event_type type,
                      int64_t at_ms)
{
    event->type = (uint8_t)type;
    event->ts_ms = at_ms;
    kpid_shop_happen(shop, event);
}

static int64_t wait_ms(struct kpid_shop *shop, double median_ms, double sigma)
{
    return 1 + (int64_t)kpid_random_lognormal(&shop->random, median_ms, sigma);
}

/* The order that a visit ends with, to its own end. */
static void place_order(struct kpid_shop *shop, const struct kpid_shop_event *visitor, int64_t at_ms)
{
    if (at_ms < shop->begin_ms)
        return;
    struct kpid_random *random = &shop->random;
    double euros = kpid_random_lognormal(random, 44 * region_price[visitor->region], 0.7);
    struct kpid_shop_event order = {
        .number = 100000 + shop->orders++,
        .related = visitor->number,
        .cents = 100 + (int32_t)(euros * 100),
        .channel = visitor->channel,
        .region = visitor->region,
    };
    happen_at(shop, &order, KPID_ORDER_CREATED, at_ms);
    if (kpid_random_chance(random, NEVER_PAID)) {
        happen_at(shop, &order, KPID_ORDER_CANCELLED, at_ms + wait_ms(shop, GIVING_UP_MS, 0.3));
        return;
    }
    at_ms += wait_ms(shop, PAYMENT_MS, 0.9);
    happen_at(shop, &order, KPID_ORDER_PAID, at_ms);
    if (kpid_random_chance(random, CANCELLED)) {
        happen_at(shop, &order, KPID_ORDER_CANCELLED, at_ms + wait_ms(shop, GIVING_UP_MS / 2, 0.5));
        return;
    }
    at_ms += wait_ms(shop, SHIPPING_MS, 0.5);
    happen_at(shop, &order, KPID_ORDER_SHIPPED, at_ms);
    at_ms += wait_ms(shop, DELIVERY_MS, 0.4);
    happen_at(shop, &order, KPID_ORDER_DELIVERED, at_ms);
    if (kpid_random_chance(random, RETURNED))
        happen_at(shop, &order, KPID_ORDER_RETURNED, at_ms + wait_ms(shop, RETURN_MS, 0.5));
}

/* Looks at pages and returns when that was over. */
static int64_t browse(struct kpid_shop *shop, struct kpid_shop_event *visitor, int64_t at_ms, bool buys)
{
    struct kpid_random *random = &shop->random;
    int pages = 0;
    do {
        visitor->detail = (uint8_t)kpid_random_pick(random, page_share, KPID_PAGES);
        happen_at(shop, visitor, KPID_PAGE_VIEWED, at_ms);
        at_ms += wait_ms(shop, PAGE_MS, 0.8);
    } while (++pages < PAGES_MAX && kpid_random_chance(random, buys ? BUYER_GOES_ON : GOES_ON));
    return at_ms;
}

static void fill_cart(struct kpid_shop *shop, struct kpid_shop_event *visitor, int64_t at_ms, bool buys)
{
    struct kpid_random *random = &shop->random;
    visitor->detail = KPID_PAGE_PRODUCT;
    happen_at(shop, visitor, KPID_CART_ADDED, at_ms);
    if (!buys && !kpid_random_chance(random, ABANDONS_CHECKOUT))
        return;
    at_ms += wait_ms(shop, PAGE_MS, 0.6);
    visitor->detail = KPID_PAGE_CART;
    happen_at(shop, visitor, KPID_CHECKOUT_STARTED, at_ms);
    at_ms += wait_ms(shop, 2 * PAGE_MS, 0.5);
    if (!buys)
        return;
    if (visitor->channel == KPID_CHANNEL_APP &&
        kpid_random_chance(random, OUTAGE_LOSES * kpid_shop_outage(shop, at_ms)))
        return;
    happen_at(shop, visitor, KPID_CHECKOUT_COMPLETED, at_ms);
    place_order(shop, visitor, at_ms);
}

void kpid_shop_visit(struct kpid_shop *shop, int64_t at_ms)
{
    struct kpid_random *random = &shop->random;
    double loyalty = kpid_random_unit(random);
    struct kpid_shop_event visitor = {
        /* Squared: low numbers come often, as regulars do. */
        .number = 1 + (uint64_t)(loyalty * loyalty * USERS),
        .related = kpid_random_mix(~(shop->salt + shop->visits++)) >> 16,
        .channel = (uint8_t)kpid_random_pick(random, channel_share, KPID_CHANNELS),
        .region = (uint8_t)kpid_random_pick(random, region_share, KPID_REGIONS),
    };
    bool buys =
        kpid_random_chance(random, channel_conversion[visitor.channel] * region_conversion[visitor.region]);
    happen_at(shop, &visitor, KPID_SESSION_STARTED, at_ms);
    if (kpid_random_chance(random, REGISTERS))
        happen_at(shop, &visitor, KPID_USER_REGISTERED, at_ms + wait_ms(shop, PAGE_MS, 0.5));
    int64_t end_ms = browse(shop, &visitor, at_ms + 50, buys);
    if (buys || kpid_random_chance(random, FILLS_CART))
        fill_cart(shop, &visitor, end_ms, buys);
    double anger = kpid_shop_anger(shop, at_ms);
    if (kpid_random_chance(random, COMPLAINS * (1 + (ANGER_FACTOR - 1) * anger)))
        kpid_shop_complain(shop, at_ms, visitor.channel);
}
