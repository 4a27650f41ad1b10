/*
 * A strict scanner over one JSON text (RFC 8259) that reads forward and copies nothing: for the statistics
 * that librdkafka writes and for the lines of an event file. The error is sticky: after the first fault every
 * call returns false and `fault` says what was wrong at `at`. Strings are not checked for UTF-8: who decodes
 * the event does that.
 */
#ifndef KPID_CONSUME_SCAN_H
#define KPID_CONSUME_SCAN_H

#include "kpid/buf.h"

struct kpid_scan {
    const char *at, *end;
    const char *fault; /* static text, NULL while all is well */
};

/* Bytes inside the text, borrowed. A string without its quotes, escapes not yet resolved. */
struct kpid_slice {
    const char *at;
    size_t len;
};

void kpid_scan_init(struct kpid_scan *scan, const char *text, size_t len);
/* The next byte that is not white space, without taking it; 0 at the end. */
char kpid_scan_peek(struct kpid_scan *scan);
/* Takes `{`. */
bool kpid_scan_object(struct kpid_scan *scan);
/* Takes the next member's name and colon, or the closing brace (false, no fault). `first` starts true. */
bool kpid_scan_member(struct kpid_scan *scan, bool *first, struct kpid_slice *ret_name);
bool kpid_scan_string(struct kpid_scan *scan, struct kpid_slice *ret);
/* A number without fraction and exponent that fits. */
bool kpid_scan_int(struct kpid_scan *scan, int64_t *ret);
/* Any value; its exact bytes. At most 128 levels deep. */
bool kpid_scan_value(struct kpid_scan *scan, struct kpid_slice *ret);
/* Nothing but white space is left. */
bool kpid_scan_end(struct kpid_scan *scan);

bool kpid_slice_is(struct kpid_slice slice, const char *text);
/* Resolves the escapes of a string that was scanned and appends it as UTF-8. False: half a surrogate pair. */
bool kpid_slice_unescape(struct kpid_slice slice, struct kpid_buf *buf);

#endif
