#include "shop.h"

#include "calendar.h"

#include <assert.h>

/* Found by counting a long dump; kpid_shop_init divides the asked rate by it. */
#define EVENTS_PER_VISIT 4.0

/* Shares of the messages. */
#define REPEAT_SHARE 0.002
#define BEHIND_SHARE 0.01
#define LATE_SHARE   0.00004
#define FLAWED_SHARE 0.0001

enum {
    MINUTE_MS = 60000,
    WARM_UP_MS = 20 * MINUTE_MS,
    BEHIND_MAX_MS = 25000,        /* within an out_of_order of 30 s */
    LATE_MIN_MS = 70 * MINUTE_MS, /* beyond an allowed_lateness of 1 h */
    LATE_MAX_MS = 110 * MINUTE_MS,
    ANGER_RISES_MS = 10 * MINUTE_MS,
    ANGER_FADES_MS = 20 * MINUTE_MS,
};

void kpid_shop_init(struct kpid_shop *shop, uint64_t seed, int64_t begin_ms, double rate)
{
    *shop = (struct kpid_shop){
        .visits_per_ms = rate / EVENTS_PER_VISIT / 1000,
        .begin_ms = begin_ms,
        .now_ms = begin_ms,
        .next_visit_ms = begin_ms - WARM_UP_MS,
        .minute = -1,
        .salt = kpid_random_mix(seed) & ~UINT64_C(0xffffffffff),
    };
    kpid_random_init(&shop->random, seed);
    kpid_queue_init(&shop->queue);
}

void kpid_shop_release(struct kpid_shop *shop)
{
    kpid_queue_release(&shop->queue);
}

void kpid_shop_incident(struct kpid_shop *shop, int64_t from_ms, int64_t to_ms)
{
    shop->incident_from_ms = from_ms;
    shop->incident_to_ms = to_ms;
}

double kpid_shop_outage(const struct kpid_shop *shop, int64_t at_ms)
{
    return at_ms >= shop->incident_from_ms && at_ms < shop->incident_to_ms ? 1 : 0;
}

double kpid_shop_anger(const struct kpid_shop *shop, int64_t at_ms)
{
    if (shop->incident_from_ms == shop->incident_to_ms || at_ms < shop->incident_from_ms)
        return 0;
    double risen = (double)(at_ms - shop->incident_from_ms) / ANGER_RISES_MS;
    double faded = (double)(at_ms - shop->incident_to_ms) / ANGER_FADES_MS;
    if (faded > 0)
        return faded < 1 ? 1 - faded : 0;
    return risen < 1 ? risen : 1;
}

static void queue(struct kpid_shop *shop, struct kpid_shop_event event, int64_t delay_ms)
{
    event.send_ms = event.ts_ms + delay_ms;
    event.serial = shop->serial++;
    kpid_queue_push(&shop->queue, &event);
}

void kpid_shop_happen(struct kpid_shop *shop, const struct kpid_shop_event *happened)
{
    struct kpid_random *random = &shop->random;
    struct kpid_shop_event event = *happened;
    if (event.ts_ms < shop->begin_ms)
        return;
    event.id = kpid_random_mix(shop->salt + shop->serial);
    int64_t delay_ms = 0;
    if (event.type == KPID_PAGE_VIEWED && kpid_random_chance(random, LATE_SHARE)) {
        event.manner = KPID_MANNER_LATE;
        delay_ms = kpid_random_range(random, LATE_MIN_MS, LATE_MAX_MS);
    } else if (kpid_random_chance(random, BEHIND_SHARE)) {
        event.manner = KPID_MANNER_BEHIND;
        delay_ms = kpid_random_range(random, 1000, BEHIND_MAX_MS);
    }
    queue(shop, event, delay_ms);
    if (event.manner != KPID_MANNER_LATE && kpid_random_chance(random, REPEAT_SHARE)) {
        event.manner = KPID_MANNER_REPEAT;
        queue(shop, event, delay_ms + kpid_random_range(random, 100, BEHIND_MAX_MS));
    }
    /* A flawed message comes on top, so that no order loses a step by it. */
    if (kpid_random_chance(random, FLAWED_SHARE)) {
        event.manner = KPID_MANNER_USUAL;
        event.flaw = (uint8_t)kpid_random_range(random, 1, KPID_FLAWS - 1);
        event.id = kpid_random_mix(shop->salt + shop->serial);
        queue(shop, event, 0);
    }
}

static void schedule_visit(struct kpid_shop *shop)
{
    int64_t minute = shop->next_visit_ms / MINUTE_MS;
    if (minute != shop->minute) {
        shop->minute = minute;
        shop->visits_per_ms_now = shop->visits_per_ms * kpid_calendar_busyness(shop->next_visit_ms);
    }
    /* Rounded to the nearest, so that the mean stays right at high rates. */
    double gap_ms = kpid_random_exponential(&shop->random, 1 / shop->visits_per_ms_now);
    shop->next_visit_ms += (int64_t)(gap_ms + 0.5);
}

void kpid_shop_advance(struct kpid_shop *shop, int64_t until_ms, kpid_shop_send *send, void *ctx)
{
    assert(until_ms >= shop->now_ms);
    for (;;) {
        const struct kpid_shop_event *next = kpid_queue_peek(&shop->queue);
        bool visit = shop->next_visit_ms < until_ms && (next == NULL || shop->next_visit_ms <= next->send_ms);
        if (visit) {
            int64_t at_ms = shop->next_visit_ms;
            schedule_visit(shop);
            kpid_shop_visit(shop, at_ms);
        } else if (next != NULL && next->send_ms < until_ms) {
            struct kpid_shop_event event;
            kpid_queue_pop(&shop->queue, &event);
            send(ctx, &event);
        } else {
            break;
        }
    }
    shop->now_ms = until_ms;
}
