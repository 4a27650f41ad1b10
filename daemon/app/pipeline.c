/* The wiring of a record: consume -> decode -> engine. What follows happens a tick at a time, in round.c. */
#include "daemon.h"

#include <assert.h>

void kpid_pipeline_record(void *ctx, const struct kpid_record *record)
{
    struct daemon *d = ctx;
    struct source_state *source = &d->sources[record->source];
    struct slot_owner *slot = record->partition < source->n_partitions ? source->slots[record->partition] : NULL;
    struct kpid_event event;
    enum kpid_reason reason;
    enum kpid_class class = KPID_CLASS_MALFORMED;

    assert(d->magic == KPID_DAEMON_MAGIC);
    if (!slot || slot->state != SLOT_ACTIVE)
        return;
    if (!kpid_shard_wants(slot->shard, record->topic, record->offset)) {
        d->refetched++;
        return;
    }
    reason = kpid_decode(source->decoder, record->value, record->value_len, &event);
    if (reason == KPID_REASON_NONE)
        class = kpid_shard_take(slot->shard, record, &event, d->wall_ms, &reason);
    else
        kpid_shard_refuse(slot->shard, record, reason);
    if (class <= KPID_CLASS_LATE)
        kpid_letters_keep(d, record);
    source->was_read = true;
    d->taken++;
    d->uncommitted++;
}
