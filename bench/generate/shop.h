/*
 * The shop: visitors come by the calendar, look at pages, fill carts, some order; orders are paid, shipped,
 * delivered, cancelled, returned; some customers complain and are answered. What a visitor or an order will
 * do is decided when it begins, and its events wait in a queue until their time. The time is an argument; the
 * same seed and the same calls give the same events.
 *
 * The incident: from incident_from_ms to incident_to_ms checkouts in the app fail at the payment, so orders
 * fall while visits go on, and complaints come in several times as often and are answered more slowly.
 *
 * Real streams are never clean: some messages are sent twice, some come behind others, some much too late,
 * some cannot be read. Shares stand in shop.c.
 */
#ifndef KPID_GENERATE_SHOP_H
#define KPID_GENERATE_SHOP_H

#include "queue.h"
#include "random.h"

struct kpid_shop {
    struct kpid_random random;
    struct kpid_queue queue;
    double visits_per_ms; /* at the busiest */
    double visits_per_ms_now;
    int64_t begin_ms;
    int64_t now_ms; /* everything before it has been handed out */
    int64_t next_visit_ms;
    int64_t minute;                           /* for which visits_per_ms_now holds */
    int64_t incident_from_ms, incident_to_ms; /* equal: none */
    uint64_t visits, orders, tickets, serial, salt;
};

/* The events of a shop from begin_ms on, about `rate` a second at its busiest. Its first visitors have come
 * before that, so that visits and orders are in balance from the first minute; no order and no complaint is
 * older. */
void kpid_shop_init(struct kpid_shop *shop, uint64_t seed, int64_t begin_ms, double rate);
/* Frees what is waiting. */
void kpid_shop_release(struct kpid_shop *shop);
/* Sets the incident; call it before the first advance. */
void kpid_shop_incident(struct kpid_shop *shop, int64_t from_ms, int64_t to_ms);

/* Hands out, in the order of sending, all events to be sent before until_ms. The event is borrowed for the
 * call. */
typedef void kpid_shop_send(void *ctx, const struct kpid_shop_event *event);
void kpid_shop_advance(struct kpid_shop *shop, int64_t until_ms, kpid_shop_send *send, void *ctx);

/* ---- among the files of the shop ---- */

/* How bad it is at a time: 0 as usual, 1 in the middle of the incident. It sets in at once for the app's
 * checkout; complaints follow over ten minutes and fade over twenty. */
double kpid_shop_outage(const struct kpid_shop *shop, int64_t at_ms);
double kpid_shop_anger(const struct kpid_shop *shop, int64_t at_ms);
/* Lets an event happen: gives it id and manner and queues it. Sets id, serial, send_ms; copies. */
void kpid_shop_happen(struct kpid_shop *shop, const struct kpid_shop_event *event);
/* A visit that begins now, with what follows from it. */
void kpid_shop_visit(struct kpid_shop *shop, int64_t at_ms);
/* A customer of this channel who complains now, with what follows from it. */
void kpid_shop_complain(struct kpid_shop *shop, int64_t at_ms, enum kpid_channel channel);

#endif
