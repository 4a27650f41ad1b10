/* JSON's escapes in strings (RFC 8259 section 7). */
#ifndef KPID_DECODE_JSON_UNESCAPE_H
#define KPID_DECODE_JSON_UNESCAPE_H

#include "kpid/macros.h"

/* Replaces escapes in text[0..len) in place; `first` is the first backslash. Returns the new length,
 * SIZE_MAX: an escape that JSON doesn't have, or half of a surrogate pair, which UTF-8 can't hold. */
size_t kpid_json_unescape(char *text, size_t len, const char *first);

#endif
