/* The wiring of a record: consume -> decode -> look-ups -> engine. What follows happens a tick at a time, in round.c. */
#include "daemon.h"

#include <assert.h>

_Static_assert(KPID_CONSUMER_AHEAD < KPID_DECODE_KEPT, "the event at work is one more");

static struct slot_owner *active(struct daemon *d, const struct kpid_record *record)
{
    struct source_state *source = &d->sources[record->source];
    struct slot_owner *slot = record->partition < source->n_partitions ? source->slots[record->partition] : NULL;

    return slot && slot->state == SLOT_ACTIVE ? slot : NULL;
}

/* Decoded, its memory on the way. Where look-ups may keep events waiting, others are decoded in between: not there. */
void kpid_pipeline_ahead(void *ctx, const struct kpid_record *record)
{
    struct daemon *d = ctx;

    assert(d->magic == KPID_DAEMON_MAGIC);
    if (!record) {
        d->ahead.n = 0;
        return;
    }
    struct slot_owner *slot = active(d, record);
    if (!slot || d->model->sources[record->source].n_joins ||
        !kpid_shard_wants(slot->shard, record->topic, record->offset))
        return;
    assert(d->ahead.n < KPID_DECODE_KEPT);
    struct ahead_record *ahead = &d->ahead.at[(d->ahead.first + d->ahead.n++) % KPID_DECODE_KEPT];
    ahead->offset = record->offset;
    ahead->reason = kpid_decode(d->sources[record->source].decoder, record->value, record->value_len, &ahead->event);
    if (ahead->reason == KPID_REASON_NONE)
        kpid_shard_ahead(slot->shard, record, &ahead->event);
}

/* What was decoded of a record before its turn, NULL: nothing. Those that were passed over are forgotten. */
static struct ahead_record *ahead_take(struct daemon *d, const struct kpid_record *record)
{
    while (d->ahead.n > 0) {
        struct ahead_record *ahead = &d->ahead.at[d->ahead.first];
        if (ahead->offset > record->offset)
            break;
        d->ahead.first = (d->ahead.first + 1) % KPID_DECODE_KEPT;
        d->ahead.n--;
        if (ahead->offset == record->offset)
            return ahead;
    }
    return NULL;
}

bool kpid_pipeline_take(struct slot_owner *slot, const struct kpid_record *record)
{
    struct daemon *d = slot->daemon;
    struct ahead_record now, *ahead = ahead_take(d, record);
    enum kpid_class class = KPID_CLASS_MALFORMED;

    if (!ahead) {
        ahead = &now;
        now.reason = kpid_decode(d->sources[record->source].decoder, record->value, record->value_len, &now.event);
    }
    enum kpid_reason reason = ahead->reason;
    if (reason == KPID_REASON_NONE && d->model->sources[record->source].n_joins &&
        !kpid_lookups_join(d->lookups, record->source, &ahead->event, d->mono_ms))
        return false;
    if (reason == KPID_REASON_NONE)
        class = kpid_shard_take(slot->shard, record, &ahead->event, d->wall_ms, &reason);
    else
        kpid_shard_refuse(slot->shard, record, reason);
    if (class <= KPID_CLASS_LATE)
        kpid_letters_keep(d, record);
    d->sources[record->source].was_read = true;
    d->taken++;
    d->uncommitted++;
    return true;
}

void kpid_pipeline_record(void *ctx, const struct kpid_record *record)
{
    struct daemon *d = ctx;

    assert(d->magic == KPID_DAEMON_MAGIC);
    struct slot_owner *slot = active(d, record);
    if (!slot)
        return;
    if (!kpid_shard_wants(slot->shard, record->topic, record->offset)) {
        d->refetched++;
        return;
    }
    if (slot->waiting.first || !kpid_pipeline_take(slot, record))
        kpid_wait_add(slot, record);
}
