/*
 * Where messages go: a Kafka, embedded or not, or a file of lines. Faults are said on standard error.
 */
#ifndef KPID_GENERATE_SINK_H
#define KPID_GENERATE_SINK_H

#include "event.h"
#include "options.h"

#include <stdbool.h>

struct kpid_message {
    enum kpid_event_topic topic;
    int64_t ts_ms;
    const char *key, *value; /* borrowed */
    size_t key_size, value_size;
};

struct kpid_sink {
    /* Sends or queues a copy. */
    void (*send)(struct kpid_sink *sink, const struct kpid_message *message);
    /* Returns when all that was sent is where it should be, or lost and counted in `failed`. */
    void (*flush)(struct kpid_sink *sink);
    /* Flushes, ends an embedded Kafka, frees. False: something was lost. */
    bool (*close)(struct kpid_sink *sink);
    uint64_t failed;
};

/* options->brokers NULL: an embedded Kafka. Makes the topics. NULL: said why. Returns, end with its close. */
struct kpid_sink *kpid_sink_kafka_open(const struct kpid_options *options);
/* The address of the Kafka. Borrowed until close. */
const char *kpid_sink_kafka_address(const struct kpid_sink *sink);

/* path "-": standard output. Values that are no JSON go into "raw", or with `hex` all into "hex". NULL: said
 * why. */
struct kpid_sink *kpid_sink_file_open(const char *path, bool hex);

#endif
