/*
 * Times as messages carry them -> ms since the epoch: integers of ms, s, us or ns (finer ones are cut down to
 * the ms), seconds with a fraction, RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339), any of these in a
 * string, MessagePack's timestamp extension under every format. Allocates nothing.
 */
#ifndef KPID_DECODE_TIMESTAMP_H
#define KPID_DECODE_TIMESTAMP_H

#include "kpid/flow/reason.h"
#include "token.h"

#define KPID_EVENT_TIME_END 7289654400000 /* 2201-01-01, the first time that is out of range for an event */
#define KPID_FIELD_TIME_MIN (-62135596800000) /* 0001-01-01 */
#define KPID_FIELD_TIME_END 253402300800000   /* 10000-01-01 */

/* `format` is an enum kpid_time_format. NONE: *ret_ms is set. BAD_TIME: not a time in that format.
 * TIME_RANGE: one, but not in the years 1 to 9999. */
enum kpid_reason kpid_time_read(const struct kpid_token *token, uint8_t format,
                                int64_t *ret_ms) KPID_MUST_CHECK;

/* "2026-11-23T09:00:00.123+08:00"; t, z and a space are accepted, a fraction of any length is cut to ms,
 * second 60 is the next minute's first. Never reads behind text[len). */
bool kpid_rfc3339_read(const char *text, size_t len, int64_t *ret_ms) KPID_MUST_CHECK;

#endif
