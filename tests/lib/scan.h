/* A scanner for lines of JSON that finds the members of an object and the exact bytes of each value.
 *
 * For the test tools only: it separates, it does not validate. What it hands out are spans of the text
 * itself, so that a value can be sent byte for byte as it stands in the line. Nothing is allocated; all calls
 * are O(bytes).
 */
#ifndef KPID_TESTS_SCAN_H
#define KPID_TESTS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of the text; borrowed from the line, valid as long as that. */
struct kpid_span {
    const char *at;
    size_t size;
};

/* A place in an object. `fault` is set when the text is not an object as it should be. */
struct kpid_scan {
    const char *at;
    const char *end;
    bool fault;
};

/* Starts on the text (borrowed), which should hold one JSON object. */
void kpid_scan_init(struct kpid_scan *scan, struct kpid_span text);

/* Next member: the name without its quotes (escapes left as they are), and the value's exact text. Returns
 * false at the end of the object and on a fault. */
bool kpid_scan_next(struct kpid_scan *scan, struct kpid_span *ret_name, struct kpid_span *ret_value);

/* Is the value a JSON string? */
bool kpid_span_is_string(struct kpid_span value);

/* Is the span exactly this text? */
bool kpid_span_equal(struct kpid_span span, const char *text);

/* A plain decimal integer. Returns false, and leaves *ret alone, for anything else, fractions and overflow
 * included. */
bool kpid_span_integer(struct kpid_span value, int64_t *ret);

/* Writes what a JSON string (quotes included) stands for into `out`, which the caller makes at least
 * value.size bytes; UTF-16 escapes become UTF-8. Returns false on a bad escape. */
bool kpid_span_unescape(struct kpid_span value, char *out, size_t *ret_size);

#endif
