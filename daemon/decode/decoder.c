/* Dispatch: which reader, then tokens to values. See kpid/decode.h. */
#include "decoder.h"

#include "json.h"
#include "kpid/buf.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(KPID_JSON_KEPT >= KPID_DECODE_KEPT, "a JSON event's strings stand in the copy");

static int32_t type_find(const struct kpid_source *source, const char *name)
{
    for (size_t i = 1; i < source->n_types; i++)
        if (strcmp(source->types[i], name) == 0)
            return (int32_t)i;
    return KPID_TYPE_OTHER;
}

static void type_add(struct kpid_decoder *decoder, const char *word, const char *name)
{
    int32_t next = (int32_t)decoder->types.n;
    if (kpid_words_add(&decoder->types, word, strlen(word), next) != next)
        return;
    decoder->type_names[next] = (struct kpid_type_name){
        .text = name,
        .len = (uint32_t)strlen(name),
        .type_id = (uint32_t)type_find(decoder->source, name),
    };
}

/* The words of the map come first: a word that is mapped and also one of ours means what the map says. */
static void types_init(struct kpid_decoder *decoder)
{
    const struct kpid_source *source = decoder->source;
    decoder->type_names = kpid_zalloc(source->n_type_map + source->n_types + 1, sizeof(*decoder->type_names));
    for (size_t i = 0; i < source->n_type_map; i++)
        type_add(decoder, source->type_map[i].key, source->type_map[i].value);
    for (size_t i = 1; i < source->n_types; i++)
        type_add(decoder, source->types[i], source->types[i]);
}

struct kpid_decoder *kpid_decoder_new(const struct kpid_source *source)
{
    assert(source->n_fields >= KPID_SLOT_FREE && source->n_fields <= KPID_FIELDS_MAX);
    struct kpid_decoder *decoder = kpid_zalloc(1, sizeof(*decoder));
    decoder->source = source;
    kpid_keys_init(&decoder->keys, source);
    types_init(decoder);
    for (size_t i = 0; i < KPID_DECODE_KEPT; i++) {
        decoder->kept[i].values = kpid_zalloc(source->n_fields, sizeof(*decoder->values));
        decoder->kept[i].texts = kpid_zalloc(source->n_fields, sizeof(*decoder->texts));
    }
    decoder->json = source->format == KPID_FORMAT_MSGPACK ? NULL : kpid_json_new();
    return decoder;
}

void kpid_decoder_free(struct kpid_decoder *decoder)
{
    if (!decoder)
        return;
    kpid_keys_release(&decoder->keys);
    kpid_words_release(&decoder->types);
    kpid_json_free(decoder->json);
    free(decoder->type_names);
    for (size_t i = 0; i < KPID_DECODE_KEPT; i++) {
        free(decoder->kept[i].values);
        free(decoder->kept[i].texts);
    }
    free(decoder);
}

/* What the first byte begins. A JSON text may have white space before; no MessagePack map begins with it. */
static uint8_t format_of(const char *bytes, size_t len)
{
    size_t i = 0;
    while (i < len && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\n' || bytes[i] == '\r'))
        i++;
    uint8_t first = i < len ? (uint8_t)bytes[i] : 0;
    if (first == '{')
        return KPID_FORMAT_JSON;
    bool map = (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
    return i == 0 && map ? KPID_FORMAT_MSGPACK : KPID_FORMAT_AUTO;
}

enum kpid_reason kpid_decode(struct kpid_decoder *decoder, const void *bytes, size_t len,
                             struct kpid_event *ret)
{
    if (len == 0)
        return KPID_REASON_EMPTY;
    uint8_t wanted = decoder->source->format, format = format_of(bytes, len);
    if (format == KPID_FORMAT_AUTO || (wanted != KPID_FORMAT_AUTO && wanted != format))
        return KPID_REASON_FORMAT;
    if (len > KPID_JSON_SIZE_MAX)
        return KPID_REASON_TOO_LARGE;
    unsigned turn = decoder->turn++ % KPID_DECODE_KEPT;
    decoder->values = decoder->kept[turn].values;
    decoder->texts = decoder->kept[turn].texts;
    kpid_keys_clear(&decoder->keys);
    enum kpid_reason reason = format == KPID_FORMAT_JSON ? kpid_json_read(decoder, bytes, len)
                                                         : kpid_msgpack_read(decoder, bytes, len);
    return reason == KPID_REASON_NONE ? kpid_event_fill(decoder, ret) : reason;
}
