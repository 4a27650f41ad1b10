/*
 * What has been decided but not yet sent: events in a binary heap, by (send_ms, serial). Pushing and popping
 * cost log2(n) moves; memory doubles when it is full and is 72 bytes an event.
 */
#ifndef KPID_GENERATE_QUEUE_H
#define KPID_GENERATE_QUEUE_H

#include "event.h"

struct kpid_queue {
    struct kpid_shop_event *events;
    size_t n, capacity;
};

/* An empty queue; cannot fail. */
void kpid_queue_init(struct kpid_queue *queue);
/* Frees what the queue holds. */
void kpid_queue_release(struct kpid_queue *queue);
/* Copies the event in; ends the program when memory does. */
void kpid_queue_push(struct kpid_queue *queue, const struct kpid_shop_event *event);
/* The next event, borrowed until the next call; NULL: empty. */
const struct kpid_shop_event *kpid_queue_peek(const struct kpid_queue *queue);
/* Takes the next event out of a queue that is not empty. */
void kpid_queue_pop(struct kpid_queue *queue, struct kpid_shop_event *ret);

#endif
