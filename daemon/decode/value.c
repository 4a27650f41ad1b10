/* Tokens -> values: the envelope's rules and the kinds of fields, the same for both formats. */
#include "decoder.h"

#include "timestamp.h"
#include "kpid/utf8.h"

static void value_fault(struct kpid_value *value, enum kpid_reason reason)
{
    *value = (struct kpid_value){ .kind = KPID_FAULTY, .reason = (uint16_t)reason };
}

static void value_string(struct kpid_value *value, const char *str, size_t len)
{
    *value = (struct kpid_value){ .kind = KPID_STRING, .str = str, .len = (uint32_t)len };
}

static bool string_fits(const struct kpid_decoder *decoder, size_t len)
{
    return decoder->source->max_string_bytes == 0 || len <= decoder->source->max_string_bytes;
}

static bool is_number(uint8_t tag)
{
    return tag >= KPID_TAG_DECIMAL && tag <= KPID_TAG_FLOAT;
}

/* ---- envelope ----------------------------------------------------------------------------------------- */

static enum kpid_reason type_fill(struct kpid_decoder *decoder, const struct kpid_token *token,
                                  uint32_t *ret_id)
{
    struct kpid_value *value = &decoder->values[KPID_SLOT_TYPE];
    if (token->tag != KPID_TAG_STRING)
        return KPID_REASON_NO_TYPE;
    if (!string_fits(decoder, token->len))
        return KPID_REASON_TOO_LARGE;
    int32_t found = kpid_words_find(&decoder->types, token->str, token->len, token->str + token->len);
    if (found < 0) {
        value_string(value, token->str, token->len);
        *ret_id = KPID_TYPE_OTHER;
    } else {
        const struct kpid_type_name *name = &decoder->type_names[found];
        value_string(value, name->text, name->len);
        *ret_id = name->type_id;
    }
    return KPID_REASON_NONE;
}

static enum kpid_reason time_fill(struct kpid_decoder *decoder, const struct kpid_token *token,
                                  int64_t *ret_ms)
{
    int64_t ms;
    if (token->tag == KPID_TAG_NONE || token->tag == KPID_TAG_NULL)
        return KPID_REASON_NO_TIME;
    enum kpid_reason reason = kpid_time_read(token, decoder->source->fields[KPID_SLOT_TS].time_format, &ms);
    if (reason != KPID_REASON_NONE)
        return reason;
    if (ms < 0 || ms >= KPID_EVENT_TIME_END)
        return KPID_REASON_TIME_RANGE;
    decoder->values[KPID_SLOT_TS] = (struct kpid_value){ .kind = KPID_NUMBER, .number = ms };
    *ret_ms = ms;
    return KPID_REASON_NONE;
}

static bool is_integer(const char *text, size_t len)
{
    size_t i = len > 1 && text[0] == '-';
    if (i == len)
        return false;
    for (; i < len; i++)
        if ((unsigned)(text[i] - '0') > 9)
            return false;
    return true;
}

/* A string of any bytes, or an integer as its text: 7 and "7" are one id. */
static enum kpid_reason id_fill(struct kpid_decoder *decoder, const struct kpid_token *token)
{
    struct kpid_value *value = &decoder->values[KPID_SLOT_ID];
    const char *str = token->str;
    size_t len = token->len;
    switch (token->tag) {
    case KPID_TAG_NONE:
    case KPID_TAG_NULL: *value = (struct kpid_value){ .kind = KPID_ABSENT }; return KPID_REASON_NONE;
    case KPID_TAG_STRING:
    case KPID_TAG_BINARY: break;
    case KPID_TAG_TEXT:
    case KPID_TAG_DECIMAL:
    case KPID_TAG_NATURAL:
        len = kpid_token_text(token, decoder->texts[KPID_SLOT_ID], &str);
        if (!is_integer(str, len))
            return KPID_REASON_BAD_ID;
        if (len == 2 && str[0] == '-' && str[1] == '0') {
            str++;
            len--;
        }
        break;
    default: return KPID_REASON_BAD_ID;
    }
    if (!string_fits(decoder, len))
        return KPID_REASON_TOO_LARGE;
    value_string(value, str, len);
    return KPID_REASON_NONE;
}

/* ---- fields ------------------------------------------------------------------------------------------- */

/* False: the token is no number at all. */
static bool number_fill(const struct kpid_token *token, const struct kpid_field *field,
                        struct kpid_value *value, uint32_t *n_rounded)
{
    *value = (struct kpid_value){ .kind = KPID_NUMBER };
    switch (kpid_token_number(token, field->scale, field->round, &value->number)) {
    case KPID_DECIMAL_OK: return true;
    case KPID_DECIMAL_ROUNDED: (*n_rounded)++; return true;
    case KPID_DECIMAL_TOO_FINE: value_fault(value, KPID_REASON_TOO_FINE); return true;
    case KPID_DECIMAL_OVERFLOW: value_fault(value, KPID_REASON_TOO_LARGE); return true;
    default: return false;
    }
}

static void string_fill(const struct kpid_decoder *decoder, const struct kpid_token *token,
                        const struct kpid_field *field, struct kpid_value *value, uint32_t *n_rounded)
{
    struct kpid_token number = *token;
    number.tag = KPID_TAG_TEXT;
    if (!string_fits(decoder, token->len))
        value_fault(value, KPID_REASON_TOO_LARGE);
    else if (field->kind != KPID_FIELD_NUMBER || !number_fill(&number, field, value, n_rounded))
        value_string(value, token->str, token->len);
}

static void text_fill(struct kpid_decoder *decoder, const struct kpid_token *token, size_t slot)
{
    const char *str;
    size_t len = kpid_token_text(token, decoder->texts[slot], &str);
    if (len == 0 || !string_fits(decoder, len))
        value_fault(&decoder->values[slot], KPID_REASON_TOO_LARGE);
    else
        value_string(&decoder->values[slot], str, len);
}

static void field_time_fill(const struct kpid_token *token, const struct kpid_field *field,
                            struct kpid_value *value)
{
    int64_t ms;
    enum kpid_reason reason = kpid_time_read(token, field->time_format, &ms);
    if (reason != KPID_REASON_NONE)
        value_fault(value, reason);
    else
        *value = (struct kpid_value){ .kind = KPID_NUMBER, .number = ms };
}

static void field_fill(struct kpid_decoder *decoder, const struct kpid_token *token, size_t slot,
                       uint32_t *n_rounded)
{
    const struct kpid_field *field = &decoder->source->fields[slot];
    struct kpid_value *value = &decoder->values[slot];
    if (token->tag == KPID_TAG_NONE || token->tag == KPID_TAG_NULL) {
        *value = (struct kpid_value){ .kind = KPID_ABSENT };
    } else if (field->kind == KPID_FIELD_TIME) {
        field_time_fill(token, field, value);
    } else if (is_number(token->tag)) {
        if (field->kind == KPID_FIELD_STRING)
            text_fill(decoder, token, slot);
        else if (!number_fill(token, field, value, n_rounded))
            value_fault(value, KPID_REASON_WRONG_TYPE);
    } else if (token->tag == KPID_TAG_STRING) {
        string_fill(decoder, token, field, value, n_rounded);
    } else if (token->tag == KPID_TAG_BINARY) {
        value_fault(value, KPID_REASON_UTF8);
    } else if (token->tag == KPID_TAG_BOOL) {
        *value = (struct kpid_value){ .kind = KPID_BOOL, .boolean = token->boolean };
    } else {
        *value = (struct kpid_value){ .kind = KPID_OTHER };
    }
}

static const struct kpid_token *token_of(const struct kpid_keys *keys, size_t slot)
{
    const struct kpid_key_field *field = &keys->fields[slot];
    if (field->literal >= 0 && keys->tokens[field->literal].tag != KPID_TAG_NONE)
        return &keys->tokens[field->literal];
    return &keys->tokens[field->place];
}

enum kpid_reason kpid_event_fill(struct kpid_decoder *decoder, struct kpid_event *ret)
{
    const struct kpid_keys *keys = &decoder->keys;
    size_t n = decoder->source->n_fields;
    uint32_t type_id, n_rounded = 0;
    int64_t ts_ms;
    enum kpid_reason reason = type_fill(decoder, token_of(keys, KPID_SLOT_TYPE), &type_id);
    if (reason == KPID_REASON_NONE)
        reason = time_fill(decoder, token_of(keys, KPID_SLOT_TS), &ts_ms);
    if (reason == KPID_REASON_NONE)
        reason = id_fill(decoder, token_of(keys, KPID_SLOT_ID));
    if (reason != KPID_REASON_NONE)
        return reason;
    for (size_t i = KPID_SLOT_FREE; i < n; i++)
        field_fill(decoder, token_of(keys, i), i, &n_rounded);
    ret->ts_ms = ts_ms;
    ret->type_id = type_id;
    ret->n_rounded = n_rounded;
    ret->values = decoder->values;
    ret->n_values = n;
    ret->foresight.set = false;
    return KPID_REASON_NONE;
}
