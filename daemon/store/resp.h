/* Redis' wire format, as far as commands need it: an array of length-prefixed strings, binary-safe. */
#ifndef KPID_STORE_RESP_H
#define KPID_STORE_RESP_H

#include "kpid/redis.h"

void kpid_resp_add_count(struct kpid_buf *buf, size_t n);                     /* "*n" */
void kpid_resp_add_bulk(struct kpid_buf *buf, const void *bytes, size_t len); /* "$len", the bytes; copies */
void kpid_resp_add_bulks(struct kpid_buf *buf, const struct kpid_bulk *bulks, size_t n);

#endif
