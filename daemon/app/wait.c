/*
 * Events whose look-ups are not answered yet. They stand in a queue of their shard, in the order in which they came;
 * only the first is tried, so order stays whatever answers first, and what stands behind it is asked for ahead. A queue
 * that has reached `max_waiting` holds the shard's topic-partitions; other shards go on. Nothing here is committed: what
 * waits is read again after a restart.
 */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_BUDGET 8192 /* records of a shard a turn */

struct waiting_event {
    struct kpid_record record; /* its bytes stand behind it */
    size_t bytes;
    struct waiting_event *next;
    char data[];
};

static struct waiting_event *copy_of(const struct kpid_record *record)
{
    size_t bytes = sizeof(struct waiting_event) + record->key_len + record->value_len;
    struct waiting_event *event = kpid_alloc(bytes);

    event->record = *record;
    event->bytes = bytes;
    event->next = NULL;
    if (record->value) {
        memcpy(event->data, record->value, record->value_len);
        event->record.value = event->data;
    }
    if (record->key) {
        memcpy(event->data + record->value_len, record->key, record->key_len);
        event->record.key = event->data + record->value_len;
    }
    return event;
}

/* Asks for what stands behind the first, as far as can be. */
static void ask_ahead(struct daemon *d, struct slot_owner *slot)
{
    struct wait_queue *queue = &slot->waiting;
    struct kpid_event event;

    for (; queue->to_ask; queue->to_ask = queue->to_ask->next) {
        const struct kpid_record *record = &queue->to_ask->record;
        if (kpid_decode(d->sources[slot->source].decoder, record->value, record->value_len, &event) ==
                KPID_REASON_NONE &&
            !kpid_lookups_ask(d->lookups, slot->source, &event, d->mono_ms))
            return;
    }
}

void kpid_wait_add(struct slot_owner *slot, const struct kpid_record *record)
{
    struct daemon *d = slot->daemon;
    struct wait_queue *queue = &slot->waiting;
    struct waiting_event *event = copy_of(record);

    if (queue->last)
        queue->last->next = event;
    else
        queue->first = event;
    queue->last = event;
    queue->n++;
    queue->bytes += event->bytes;
    d->n_waiting++;
    if (!queue->to_ask && queue->first != event) {
        queue->to_ask = event;
        ask_ahead(d, slot);
    }
    if (!queue->full && queue->bytes >= d->model->sources[slot->source].max_waiting_bytes) {
        queue->full = true;
        kpid_hold_apply(slot);
    }
}

static void first_drop(struct slot_owner *slot)
{
    struct wait_queue *queue = &slot->waiting;
    struct waiting_event *event = queue->first;

    queue->first = event->next;
    if (!queue->first)
        queue->last = NULL;
    if (queue->to_ask == event)
        queue->to_ask = event->next;
    queue->n--;
    queue->bytes -= event->bytes;
    slot->daemon->n_waiting--;
    free(event);
}

void kpid_wait_clear(struct slot_owner *slot)
{
    while (slot->waiting.first)
        first_drop(slot);
    slot->waiting.full = false;
}

/* Takes what can be taken. True: some are left that could be taken at once. */
static bool drain(struct daemon *d, struct slot_owner *slot)
{
    struct wait_queue *queue = &slot->waiting;
    size_t left = DRAIN_BUDGET;

    while (queue->first && !slot->ahead[queue->first->record.topic] && left > 0 &&
           kpid_pipeline_take(slot, &queue->first->record)) {
        first_drop(slot);
        left--;
    }
    ask_ahead(d, slot);
    if (queue->full && queue->bytes < d->model->sources[slot->source].max_waiting_bytes / 2) {
        queue->full = false;
        kpid_hold_apply(slot);
    }
    return queue->first && left == 0;
}

void kpid_wait_drain(struct daemon *d)
{
    bool more = false;

    if (!d->n_waiting || d->stopping || !d->consumer)
        return;
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            if (slot && slot->state == SLOT_ACTIVE && slot->waiting.first)
                more = drain(d, slot) || more;
        }
    if (more)
        event_active(d->drain, EV_TIMEOUT, 0);
}
