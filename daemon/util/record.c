#include "kpid/flow/record.h"

#include "kpid/hash.h"

uint64_t kpid_record_hash(const struct kpid_record *record)
{
    /* Lengths first: what moves from the key to the value, or is NULL and not empty, is another record. */
    const int64_t head[] = { record->timestamp_ms, record->key ? (int64_t)record->key_len : -1,
                             record->value ? (int64_t)record->value_len : -1 };
    uint64_t hash = kpid_hash(head, sizeof(head), 0);

    if (record->key)
        hash = kpid_hash(record->key, record->key_len, hash);
    return record->value ? kpid_hash(record->value, record->value_len, hash) : hash;
}
