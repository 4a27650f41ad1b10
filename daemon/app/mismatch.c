/* A log that is not the one that was counted: what happens then is the configuration's word, or a person's. */
#include "daemon.h"

void kpid_mismatch(struct slot_owner *slot, uint32_t topic, int64_t jump_to, const char *why)
{
    struct daemon *d = slot->daemon;
    const struct kpid_source *source = &d->model->sources[slot->source];
    unsigned what = slot->keep ? KPID_MISMATCH_KEEP : source->on_log_mismatch;

    d->n.mismatches++;
    switch (what) {
    case KPID_MISMATCH_KEEP:
        kpid_log(d, KPID_LOG_ERROR, "shard %s/%d: %s; its figures are kept, and reading goes on at offset %lld",
                 source->name, slot->partition, why, (long long)jump_to);
        kpid_shard_jump(slot->shard, topic, jump_to);
        /* Other topics may disagree as well. */
        kpid_check_begin(slot);
        break;
    case KPID_MISMATCH_REBUILD:
        kpid_log(d, KPID_LOG_ERROR, "shard %s/%d: %s; the whole log is counted again", source->name, slot->partition,
                 why);
        kpid_owner_anew(slot);
        break;
    default:
        kpid_complain(d, &d->mismatch,
                      "shard %s/%d HOLDS: %s. Its figures stand still until `kpictl shard reset %s/%d` says how to go on",
                      source->name, slot->partition, why, source->name, slot->partition);
        kpid_owner_hold(slot);
        break;
    }
}
