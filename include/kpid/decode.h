/*
 * Bytes -> event: MessagePack (msgpack-c's unpack template with callbacks of our own) and JSON (simdjson's
 * index of tokens behind decode/json.h, and a walk of our own), told apart by the first byte when the source
 * says `auto`. Only the fields that the source names are extracted; numbers are exact decimals at their
 * field's scale, times are ms. No allocation an event but when a JSON text is larger than all before; nesting
 * is bounded at 32. One decoder belongs to one source and one thread.
 *
 * The whole message is checked, also what is skipped: grammar, depth, trailing bytes; UTF-8 everywhere in
 * JSON, in MessagePack in the strings that fields take. Of a key that comes twice the last value counts. A
 * nested path also matches its dotted form as a key of the message itself, which wins. Only type, ts and id
 * make a message malformed by what they hold (too long a type or id: TOO_LARGE); a field's fault stays in its
 * value.
 */
#ifndef KPID_DECODE_H
#define KPID_DECODE_H

#include "kpid/flow/event.h"
#include "kpid/model.h"

struct kpid_decoder;

#define KPID_DECODE_KEPT 4 /* events of one decoder that are valid at a time */

/* Borrows the source, which must outlive the decoder. Returns, free with _free. */
struct kpid_decoder *kpid_decoder_new(const struct kpid_source *source);
void kpid_decoder_free(struct kpid_decoder *decoder);

/* Decodes one message. NONE: *ret is set and valid until KPID_DECODE_KEPT calls later (bytes must live as
 * long, strings may point into them). Any other reason: malformed, *ret is untouched. Never reads behind bytes[len). */
enum kpid_reason kpid_decode(struct kpid_decoder *decoder, const void *bytes, size_t len,
                             struct kpid_event *ret) KPID_MUST_CHECK;

#endif
