/* The producer, as the publisher uses it beside kpid/publish.h. */
#ifndef KPID_PUBLISH_PRODUCER_H
#define KPID_PUBLISH_PRODUCER_H

#include "kpid/publish.h"

enum kpid_topic_use { KPID_TOPIC_SNAPSHOTS, KPID_TOPIC_ALERTS, KPID_TOPIC_LETTERS, KPID_TOPIC_N };

bool kpid_producer_has(const struct kpid_producer *producer, enum kpid_topic_use use);
/* Sends JSON (copied; NULL: a tombstone) in the topic's encoding. done as kpid_producer_letter's; NULL: not
 * wanted. */
void kpid_producer_send(struct kpid_producer *producer, enum kpid_topic_use use, const void *key,
                        size_t key_len, const char *json, size_t len, kpid_letter_done *done, void *ctx);
void kpid_producer_counts(const struct kpid_producer *producer, uint64_t *ret_sent, uint64_t *ret_failed);

#endif
