/* The wiring of a record: consume -> decode -> look-ups -> engine. What follows happens a tick at a time, in round.c. */
#include "daemon.h"

#include <assert.h>

bool kpid_pipeline_take(struct slot_owner *slot, const struct kpid_record *record)
{
    struct daemon *d = slot->daemon;
    struct kpid_event event;
    enum kpid_class class = KPID_CLASS_MALFORMED;
    enum kpid_reason reason =
        kpid_decode(d->sources[record->source].decoder, record->value, record->value_len, &event);

    if (reason == KPID_REASON_NONE && d->model->sources[record->source].n_joins &&
        !kpid_lookups_join(d->lookups, record->source, &event, d->mono_ms))
        return false;
    if (reason == KPID_REASON_NONE)
        class = kpid_shard_take(slot->shard, record, &event, d->wall_ms, &reason);
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
    struct source_state *source = &d->sources[record->source];
    struct slot_owner *slot = record->partition < source->n_partitions ? source->slots[record->partition] : NULL;

    assert(d->magic == KPID_DAEMON_MAGIC);
    if (!slot || slot->state != SLOT_ACTIVE)
        return;
    if (!kpid_shard_wants(slot->shard, record->topic, record->offset)) {
        d->refetched++;
        return;
    }
    if (slot->waiting.first || !kpid_pipeline_take(slot, record))
        kpid_wait_add(slot, record);
}
