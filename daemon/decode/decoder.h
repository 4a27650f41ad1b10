/* Inside of decode/: the decoder, and the two readers that fill its tokens from bytes. */
#ifndef KPID_DECODE_DECODER_H
#define KPID_DECODE_DECODER_H

#include "kpid/decode.h"

#include "keys.h"

struct kpid_json;

struct kpid_decoder {
    const struct kpid_source *source;
    struct kpid_keys keys;
    struct kpid_words types; /* a message's word for a type -> index into type_names */
    struct kpid_type_name *type_names;
    struct kpid_value *values;        /* one per field, of the event that is being filled */
    char (*texts)[KPID_DECIMAL_TEXT]; /* one per field: numbers that become strings */
    struct {
        struct kpid_value *values;
        char (*texts)[KPID_DECIMAL_TEXT];
    } kept[KPID_DECODE_KEPT]; /* in turn */
    unsigned turn;
    struct kpid_json *json;
};

struct kpid_type_name {
    const char *text;
    uint32_t len, type_id;
};

/* Deeper nesting is malformed; the message's own map is level 1. */
#define KPID_DECODE_DEPTH 32

/* A reader checks the whole message and leaves the tokens of the keys that the source names in
 * decoder->keys.tokens, which were cleared before. Strings point into the message or into the reader's copy.
 */
enum kpid_reason kpid_json_read(struct kpid_decoder *decoder, const char *bytes, size_t len) KPID_MUST_CHECK;
enum kpid_reason kpid_msgpack_read(struct kpid_decoder *decoder, const char *bytes,
                                   size_t len) KPID_MUST_CHECK;

/* Tokens -> event. A fault of type, time or id is the whole message's; other fields become KPID_FAULTY. */
enum kpid_reason kpid_event_fill(struct kpid_decoder *decoder, struct kpid_event *ret) KPID_MUST_CHECK;

#endif
