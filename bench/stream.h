/*
 * Events of the generator's shop in memory, as a Kafka consumer would hand them over: by topic and partition of their
 * key, with offsets, and a batch of each partition in turn. The same seed gives the same events, in either encoding.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "kpid/flow/record.h"
#include "kpid/model.h"

struct kpid_stream {
    struct kpid_record *records;
    size_t n;
    char *bytes; /* keys and values; the records borrow */
    size_t n_bytes;
    uint64_t value_bytes;
};

struct kpid_stream_options {
    size_t n;          /* events */
    double rate;       /* a second of event time, at the busiest */
    int32_t partitions;
    bool msgpack;
};

/* Only topics that a source of the model reads. Returns, release with _release. */
void kpid_stream_make(struct kpid_stream *stream, const struct kpid_model *model,
                      const struct kpid_stream_options *options);
void kpid_stream_release(struct kpid_stream *stream);

#endif
