/* One message as a source delivered it. All pointers are borrowed until the callback that got it returns. */
#ifndef KPID_FLOW_RECORD_H
#define KPID_FLOW_RECORD_H

#include "kpid/macros.h"

struct kpid_record {
    uint32_t source;    /* index into kpid_model.sources */
    uint32_t topic;     /* index into kpid_source.topics */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;  /* the record's own timestamp, KPID_NEVER if it has none */
    bool log_append_time;  /* the timestamp was set by the broker */
    const void *key, *value;
    size_t key_len, value_len;
};

/* xxh64 over timestamp, key and value: tells whether a log still holds, at an offset, the record that was read there. */
uint64_t kpid_record_hash(const struct kpid_record *record);

#endif
