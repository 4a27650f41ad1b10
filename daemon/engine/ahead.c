/*
 * Looking ahead. Of millions of marks and keys the ones that an event needs are in no cache, and each costs as much as
 * all the rest of the event; but which ones these are is known from its id and key alone. So whoever has several events
 * at hand shows each a little before its turn, and memory answers while others are counted: first the places of its
 * mark and in the indices of keys; when the next event is shown, the key that is found there.
 */
#include "core.h"

#include "kpid/hash.h"

bool kpid_shard_id_hash(const struct kpid_record *record, const struct kpid_event *event, uint64_t *ret)
{
    const struct kpid_value *id = &event->values[KPID_SLOT_ID];

    if (id->kind != KPID_STRING || id->len == 0)
        return false;
    *ret = event->foresight.set ? event->foresight.id_hash : kpid_hash(id->str, id->len, record->topic);
    return true;
}

/* The key that the event shown before names. */
static void fetch_coming(const struct kpid_shard *shard)
{
    const struct kpid_candidate *candidates = shard->plan->by_type[shard->coming.type_id];

    for (size_t i = 0; i < shard->plan->n_by_type[shard->coming.type_id]; i++) {
        const struct kpid_keys *keys = shard->measures[candidates[i].place].keys;
        if (keys)
            kpid_keys_prefetch_block(keys, shard->coming.key_hash);
    }
}

/* The key of the first measure that has one: most are keyed alike. False: it is no field's text. */
static bool foresee_key(const struct kpid_shard *shard, const struct kpid_measure *def, struct kpid_event *event)
{
    char text[KPID_DECIMAL_TEXT];
    const char *bytes;
    size_t len;
    bool absent = false;

    if (kpid_shard_bytes(shard, &def->keyed.key, event, text, &bytes, &len, &absent) != KPID_REASON_NONE || absent ||
        bytes == text)
        return false;
    event->foresight.key = bytes;
    event->foresight.key_len = (uint32_t)len;
    event->foresight.key_hash = kpid_hash(bytes, len, 0);
    return true;
}

void kpid_shard_ahead(struct kpid_shard *shard, const struct kpid_record *record, struct kpid_event *event)
{
    const struct kpid_candidate *candidates = shard->plan->by_type[event->type_id];
    struct kpid_foresight *foresight = &event->foresight;

    *foresight = (struct kpid_foresight){ 0 };
    if (kpid_shard_id_hash(record, event, &foresight->id_hash))
        kpid_dedup_prefetch(shard->dedup, foresight->id_hash);
    if (shard->coming.set)
        fetch_coming(shard);
    for (size_t i = 0; i < shard->plan->n_by_type[event->type_id]; i++) {
        const struct kpid_measure_state *m = &shard->measures[candidates[i].place];
        if (!m->keys)
            continue;
        if (!foresight->key && !foresee_key(shard, m->def, event))
            break;
        kpid_keys_prefetch(m->keys, foresight->key_hash);
    }
    shard->coming.set = foresight->key != NULL;
    shard->coming.key_hash = foresight->key_hash;
    shard->coming.type_id = event->type_id;
    foresight->set = true;
}
