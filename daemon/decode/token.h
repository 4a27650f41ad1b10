/*
 * What both readers make of a value before its field's kind is applied: a tag and a borrowed or immediate
 * content, 16 bytes. The readers only collect tokens (the last of a key wins at no cost); value.c turns the
 * tokens that were left into values, so that JSON and MessagePack can't differ.
 */
#ifndef KPID_DECODE_TOKEN_H
#define KPID_DECODE_TOKEN_H

#include "kpid/decimal.h"

enum kpid_tag {
    KPID_TAG_NONE, /* the key did not come */
    KPID_TAG_NULL,
    KPID_TAG_BOOL,    /* boolean */
    KPID_TAG_DECIMAL, /* integer / 10^frac */
    KPID_TAG_TEXT,    /* str, len: a number as written, JSON's grammar */
    KPID_TAG_NATURAL, /* natural, above INT64_MAX */
    KPID_TAG_DOUBLE,  /* real */
    KPID_TAG_FLOAT,   /* single */
    KPID_TAG_STRING,  /* str, len: UTF-8 */
    KPID_TAG_BINARY,  /* str, len: not UTF-8 */
    KPID_TAG_MAP,
    KPID_TAG_LIST,
    KPID_TAG_EXT /* str, len: MessagePack extension, its type byte first */
};

struct kpid_token {
    union {
        const char *str;
        int64_t integer;
        uint64_t natural;
        double real;
        float single;
        bool boolean;
    };
    uint32_t len;
    uint8_t tag;  /* enum kpid_tag */
    uint8_t frac; /* digits after the point, at most 18 */
};

/* The number in a DECIMAL, TEXT, NATURAL, DOUBLE or FLOAT token at `scale`; exact, binary numbers by their
 * shortest round-trip decimal. Statuses as kpid_decimal_parse; not finite: OVERFLOW. *ret is set on OK and
 * ROUNDED only. */
enum kpid_decimal_status kpid_token_number(const struct kpid_token *token, uint8_t scale, bool round,
                                           kpid_i128 *ret) KPID_MUST_CHECK;

/* The same numbers as text: a TEXT token's own bytes (borrowed), else written to `text`. Returns the length,
 * 0 for a number that is not finite. */
size_t kpid_token_text(const struct kpid_token *token, char text[KPID_DECIMAL_TEXT], const char **ret);

#endif
