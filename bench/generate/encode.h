/*
 * An event as the bytes of a message: a JSON object or a MessagePack map. Flaws are put in here. Pure.
 */
#ifndef KPID_GENERATE_ENCODE_H
#define KPID_GENERATE_ENCODE_H

#include "event.h"

enum { KPID_MESSAGE_SIZE = 512 }; /* no message is longer */

/* Writes the message into `out` and returns its length. */
typedef size_t kpid_encode(const struct kpid_shop_event *event, char out[KPID_MESSAGE_SIZE]);
kpid_encode kpid_encode_json;
kpid_encode kpid_encode_msgpack; /* the amount is a float64 */

#endif
