/* Settings of the Kafka producer. */
#ifndef KPID_PUBLISH_PRODUCER_CONF_H
#define KPID_PUBLISH_PRODUCER_CONF_H

#include <librdkafka/rdkafka.h>

#include "kpid/buf.h"
#include "kpid/model.h"

/* Returns, owned, free with rd_kafka_conf_destroy; NULL: `error` says which property is wrong. */
rd_kafka_conf_t *kpid_producer_conf(const struct kpid_settings *settings,
                                    struct kpid_buf *error) KPID_MUST_CHECK;

#endif
