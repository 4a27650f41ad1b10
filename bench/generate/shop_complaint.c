#include "shop.h"

/* A complaint from its opening to the customer's verdict. The angrier the customers, the slower the desk. */

enum {
    MINUTE_MS = 60000,
    REPLY_MS = 5 * MINUTE_MS,
    WORK_MS = 14 * MINUTE_MS,
    CUSTOMER_MS = 12 * MINUTE_MS,
    REOPENING_MS = 20 * MINUTE_MS,
    SURVEY_MS = 8 * MINUTE_MS,
};

#define WAITS_FOR_CUSTOMER 0.25
#define REOPENED           0.06
#define ANSWERS_SURVEY     0.45
#define SLOWER_BY          1.5 /* times as long again, at the height of the incident */

static const double usual_matter[KPID_MATTERS] = {0.42, 0.13, 0.22, 0.15, 0.08};
static const double outage_matter[KPID_MATTERS] = {0.10, 0.74, 0.05, 0.07, 0.04};
static const double usual_score[5] = {0.03, 0.05, 0.12, 0.30, 0.50};
static const double outage_score[5] = {0.28, 0.24, 0.22, 0.16, 0.10};

static void happen_after(struct kpid_shop *shop, struct kpid_shop_event *ticket, enum kpid_event_type type,
                         double median_ms)
{
    ticket->type = (uint8_t)type;
    if (median_ms > 0)
        ticket->ts_ms += 1 + (int64_t)kpid_random_lognormal(&shop->random, median_ms, 0.6);
    kpid_shop_happen(shop, ticket);
}

void kpid_shop_complain(struct kpid_shop *shop, int64_t at_ms, enum kpid_channel channel)
{
    if (at_ms < shop->begin_ms)
        return;
    struct kpid_random *random = &shop->random;
    double anger = kpid_shop_anger(shop, at_ms);
    double slowness = 1 + SLOWER_BY * anger;
    bool outage = kpid_random_chance(random, anger);
    struct kpid_shop_event ticket = {
        .number = 50000 + shop->tickets++,
        .ts_ms = at_ms,
        .channel = (uint8_t)(outage ? KPID_CHANNEL_APP : channel),
        .detail = (uint8_t)kpid_random_pick(random, outage ? outage_matter : usual_matter, KPID_MATTERS),
    };
    happen_after(shop, &ticket, KPID_COMPLAINT_OPENED, 0);
    happen_after(shop, &ticket, KPID_COMPLAINT_REPLIED, REPLY_MS * slowness);
    if (kpid_random_chance(random, WAITS_FOR_CUSTOMER)) {
        happen_after(shop, &ticket, KPID_COMPLAINT_WAITING, WORK_MS / 2.0);
        happen_after(shop, &ticket, KPID_COMPLAINT_RESUMED, CUSTOMER_MS);
    }
    happen_after(shop, &ticket, KPID_COMPLAINT_RESOLVED, WORK_MS * slowness);
    if (kpid_random_chance(random, REOPENED)) {
        happen_after(shop, &ticket, KPID_COMPLAINT_REOPENED, REOPENING_MS);
        happen_after(shop, &ticket, KPID_COMPLAINT_RESOLVED, WORK_MS);
    }
    if (!kpid_random_chance(random, ANSWERS_SURVEY))
        return;
    ticket.score = 1 + (int32_t)kpid_random_pick(random, outage ? outage_score : usual_score, 5);
    happen_after(shop, &ticket, KPID_SURVEY_ANSWERED, SURVEY_MS);
}
