#include "queue.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

void kpid_queue_init(struct kpid_queue *queue)
{
    *queue = (struct kpid_queue){0};
}

void kpid_queue_release(struct kpid_queue *queue)
{
    free(queue->events);
    kpid_queue_init(queue);
}

static bool before(const struct kpid_shop_event *a, const struct kpid_shop_event *b)
{
    return a->send_ms != b->send_ms ? a->send_ms < b->send_ms : a->serial < b->serial;
}

void kpid_queue_push(struct kpid_queue *queue, const struct kpid_shop_event *event)
{
    if (queue->n == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 1024;
        queue->events = realloc(queue->events, queue->capacity * sizeof *queue->events);
        if (queue->events == NULL)
            abort();
    }
    size_t at = queue->n++;
    while (at > 0 && before(event, &queue->events[(at - 1) / 2])) {
        queue->events[at] = queue->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->events[at] = *event;
}

const struct kpid_shop_event *kpid_queue_peek(const struct kpid_queue *queue)
{
    return queue->n > 0 ? &queue->events[0] : NULL;
}

void kpid_queue_pop(struct kpid_queue *queue, struct kpid_shop_event *ret)
{
    assert(queue->n > 0);
    struct kpid_shop_event *events = queue->events;
    *ret = events[0];
    const struct kpid_shop_event last = events[--queue->n];
    size_t at = 0;
    for (size_t child = 1; child < queue->n; child = 2 * at + 1) {
        if (child + 1 < queue->n && before(&events[child + 1], &events[child]))
            child++;
        if (!before(&events[child], &last))
            break;
        events[at] = events[child];
        at = child;
    }
    events[at] = last;
}
