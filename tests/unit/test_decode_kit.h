/*
 * What the decoder's tests share: a source with fields of every kind, a writer of MessagePack, and a printer
 * of values. Messages are decoded from the end of a block of their own: a sanitizer sees a read behind them.
 */
#ifndef TEST_DECODE_KIT_H
#define TEST_DECODE_KIT_H

#include "kpid/buf.h"
#include "kpid/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KIT_ANY = KPID_SLOT_FREE, KIT_NUM, KIT_RND, KIT_STR, KIT_WHEN, KIT_FLAG, KIT_AB, KIT_ACD, KIT_A, KIT_LONG,
    KIT_TWICE, KIT_TWICE_STR, KIT_EMPTY, KIT_FINE, KIT_N
};

struct kit {
    struct kpid_field fields[KIT_N];
    struct kpid_source source;
    struct kpid_decoder *decoder;
    struct kpid_event event;
    char *block; /* that the last message was decoded from */
};

static char *kit_types[] = { "", "order.created", "order.paid", "x" };
static struct kpid_pair kit_type_map[] = {
    { "OrderPaid", "order.paid" }, { "Other", "unknown.type" }, { "x", "order.created" }
};
static char *kit_paths[KIT_N][3] = {
    { "type" }, { "ts" }, { "id" }, { "any" }, { "num" }, { "rnd" }, { "str" }, { "when" }, { "flag" },
    { "a", "b" }, { "a", "c", "d" }, { "a" }, { "a_name_that_is_longer_than_sixteen" }, { "twice" },
    { "twice" }, { "" }, { "fine" },
};
static const uint8_t kit_kinds[KIT_N] = {
    [KPID_SLOT_TYPE] = KPID_FIELD_STRING, [KPID_SLOT_TS] = KPID_FIELD_TIME, [KIT_NUM] = KPID_FIELD_NUMBER,
    [KIT_STR] = KPID_FIELD_STRING, [KIT_WHEN] = KPID_FIELD_TIME, [KIT_FLAG] = KPID_FIELD_BOOL,
    [KIT_TWICE_STR] = KPID_FIELD_STRING,
};

/* Call kit_open after changing fields or source. */
static inline void kit_init(struct kit *kit)
{
    *kit = (struct kit){ 0 };
    for (size_t i = 0; i < KIT_N; i++) {
        kit->fields[i] = (struct kpid_field){ .path = kit_paths[i], .kind = kit_kinds[i], .scale = 6 };
        while (kit->fields[i].n_path < 3 && kit_paths[i][kit->fields[i].n_path])
            kit->fields[i].n_path++;
    }
    kit->fields[KPID_SLOT_TS].scale = kit->fields[KIT_WHEN].scale = 0;
    kit->fields[KIT_NUM].scale = kit->fields[KIT_RND].scale = 2;
    kit->fields[KIT_FINE].scale = KPID_SCALE_MAX;
    kit->fields[KIT_RND].round = true;
    kit->source = (struct kpid_source){
        .fields = kit->fields, .n_fields = KIT_N, .types = kit_types, .n_types = KPID_COUNT_OF(kit_types),
        .type_map = kit_type_map, .n_type_map = KPID_COUNT_OF(kit_type_map), .max_string_bytes = 64,
    };
}

static inline void kit_open(struct kit *kit)
{
    kpid_decoder_free(kit->decoder);
    kit->decoder = kpid_decoder_new(&kit->source);
}

static inline void kit_release(struct kit *kit)
{
    kpid_decoder_free(kit->decoder);
    free(kit->block);
    *kit = (struct kit){ 0 };
}

static inline enum kpid_reason kit_decode(struct kit *kit, const void *bytes, size_t len)
{
    free(kit->block);
    kit->block = malloc(len + 1);
    char *at = kit->block + 1; /* ends where the block does */
    if (len > 0)
        memcpy(at, bytes, len);
    return kpid_decode(kit->decoder, at, len, &kit->event);
}

/* "n:1.5", "s:text", "b:true", "-", "other", "faulty:too_fine". */
static inline const char *kit_show(const struct kit *kit, size_t slot, char text[256])
{
    const struct kpid_value *value = &kit->event.values[slot];
    char number[KPID_DECIMAL_TEXT];
    switch (value->kind) {
    case KPID_ABSENT: return "-";
    case KPID_BOOL: return value->boolean ? "b:true" : "b:false";
    case KPID_NUMBER:
        kpid_decimal_print((struct kpid_decimal){ value->number, kit->fields[slot].scale }, number);
        snprintf(text, 256, "n:%s", number);
        return text;
    case KPID_STRING: snprintf(text, 256, "s:%.*s", (int)value->len, value->str); return text;
    case KPID_OTHER: return "other";
    default: snprintf(text, 256, "faulty:%s", kpid_reason_name(value->reason)); return text;
    }
}

/* ---- MessagePack -------------------------------------------------------------------------------------- */

struct pack {
    uint8_t bytes[16384];
    size_t n;
};

static inline void pack_byte(struct pack *pack, unsigned byte)
{
    pack->bytes[pack->n++] = (uint8_t)byte;
}

static inline void pack_big_endian(struct pack *pack, uint64_t value, int n)
{
    for (int i = n - 1; i >= 0; i--)
        pack_byte(pack, (unsigned)(value >> (8 * i)) & 0xff);
}

static inline void pack_bytes(struct pack *pack, const char *bytes, size_t len)
{
    memcpy(pack->bytes + pack->n, bytes, len);
    pack->n += len;
}

static inline void pack_map(struct pack *pack, unsigned n)
{
    pack_byte(pack, 0x80 | n);
}

static inline void pack_str_len(struct pack *pack, const char *str, size_t len)
{
    if (len < 32) {
        pack_byte(pack, 0xa0 | (unsigned)len);
    } else {
        pack_byte(pack, 0xda);
        pack_big_endian(pack, len, 2);
    }
    pack_bytes(pack, str, len);
}

static inline void pack_str(struct pack *pack, const char *str)
{
    pack_str_len(pack, str, strlen(str));
}

static inline void pack_double(struct pack *pack, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    pack_byte(pack, 0xcb);
    pack_big_endian(pack, bits, 8);
}

static inline void pack_float(struct pack *pack, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    pack_byte(pack, 0xca);
    pack_big_endian(pack, bits, 4);
}

static inline void pack_int(struct pack *pack, int64_t value)
{
    if (value >= -32 && value <= 127) {
        pack_byte(pack, (unsigned)value & 0xff);
        return;
    }
    int width = value == (int8_t)value ? 0 : value == (int16_t)value ? 1 : value == (int32_t)value ? 2 : 3;
    pack_byte(pack, 0xd0 + (unsigned)width);
    pack_big_endian(pack, (uint64_t)value, 1 << width);
}

/* Type, ts and n further items that the caller packs. */
static inline void pack_event(struct pack *pack, unsigned n)
{
    pack->n = 0;
    pack_map(pack, n + 2);
    pack_str(pack, "type");
    pack_str(pack, "order.paid");
    pack_str(pack, "ts");
    pack_int(pack, 1700000000000);
}

/* ---- JSON to MessagePack, for texts without escapes --------------------------------------------------- */

static inline const char *pack_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* Numbers without point and exponent become integers if they fit, others doubles. Returns where it ends. */
static inline const char *pack_json(struct pack *pack, const char *p)
{
    p = pack_space(p);
    if (*p == '{' || *p == '[') {
        bool map = *p == '{';
        pack_byte(pack, map ? 0xdf : 0xdd);
        size_t at = pack->n, n = 0;
        pack->n += 4;
        for (p = pack_space(p + 1); *p != '}' && *p != ']'; n++) {
            p = pack_space(pack_json(pack, p));
            if (map)
                p = pack_space(pack_json(pack, p + 1));
            if (*p == ',')
                p = pack_space(p + 1);
        }
        size_t end = pack->n;
        pack->n = at;
        pack_big_endian(pack, n, 4);
        pack->n = end;
        return p + 1;
    }
    if (*p == '"') {
        const char *end = strchr(p + 1, '"');
        pack_str_len(pack, p + 1, (size_t)(end - p - 1));
        return end + 1;
    }
    if (*p == 't' || *p == 'f' || *p == 'n') {
        pack_byte(pack, *p == 't' ? 0xc3 : *p == 'f' ? 0xc2 : 0xc0);
        return p + (*p == 'f' ? 5 : 4);
    }
    size_t len = strspn(p, "+-.0123456789eE");
    if (memchr(p, '.', len) || memchr(p, 'e', len) || memchr(p, 'E', len) || len > 18)
        pack_double(pack, strtod(p, NULL));
    else
        pack_int(pack, strtoll(p, NULL, 10));
    return p + len;
}

#endif
