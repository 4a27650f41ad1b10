/*
 * simdjson behind C: its first stage finds where each token of a document starts, with the SIMD kernel that
 * fits the processor, and checks UTF-8. The tokens are walked in json_read.c, which checks the whole grammar;
 * simdjson's own second stages either build a tree (dom) or leave skipped values unchecked (on-demand).
 *
 * After KPID_JSON_OK it is certain that all bytes are UTF-8, that every quote has its partner, that strings
 * hold no control characters, and that each of `{ } [ ] : ,` outside strings and each first byte of anything
 * else outside strings that is not white space is in `starts`, in ascending order. Nothing else is: not which
 * tokens follow each other, not what numbers, words and escapes look like.
 *
 * (Langdale, Lemire: "Parsing Gigabytes of JSON per Second", VLDB Journal 28, 2019.)
 */
#ifndef KPID_DECODE_JSON_H
#define KPID_DECODE_JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KPID_JSON_SIZE_MAX ((size_t)1 << 30)
#define KPID_JSON_KEPT     4 /* copies: KPID_DECODE_KEPT */

struct kpid_json;

enum kpid_json_status { KPID_JSON_OK, KPID_JSON_SYNTAX, KPID_JSON_UTF8 };

struct kpid_json_tokens {
    char *text;             /* copy of the document, may be written to; at least 8 zero bytes follow. Valid
                               until KPID_JSON_KEPT calls later, `starts` until the next one */
    const uint32_t *starts; /* n offsets into it, then its length */
    size_t n;
};

/* Returns, free with _free (takes NULL). Memory follows the largest documents seen: 8 bytes a byte. */
struct kpid_json *kpid_json_new(void);
void kpid_json_free(struct kpid_json *json);

/* Copies bytes[0..len), len <= KPID_JSON_SIZE_MAX, and indexes the copy. *ret is set on OK, borrowed as it
 * says. Allocates only when a document is larger than all before; out of memory aborts. */
enum kpid_json_status kpid_json_scan(struct kpid_json *json, const char *bytes, size_t len,
                                     struct kpid_json_tokens *ret);

#ifdef __cplusplus
}
#endif

#endif
