/*
 * One decoded event: the envelope and the fields that the configuration names, by slot. Strings are borrowed from
 * the decoder and from the message (kpid/decode.h says how long); nothing here is owned.
 */
#ifndef KPID_FLOW_EVENT_H
#define KPID_FLOW_EVENT_H

#include "kpid/flow/reason.h"
#include "kpid/macros.h"

enum kpid_kind {
    KPID_ABSENT, /* not there, or null */
    KPID_BOOL,
    KPID_NUMBER, /* number: mantissa at the field's scale (a time field: ms, scale 0) */
    KPID_STRING,
    KPID_OTHER,  /* a map or a list */
    KPID_FAULTY  /* a token that its field can't hold: `reason` says why; malformed only for who computes with it */
};

struct kpid_value {
    union {
        kpid_i128 number;
        const char *str;
        bool boolean;
    };
    uint32_t len; /* of str */
    uint16_t reason;
    uint8_t kind;
};

/* Slots that every source has; the configuration's other fields follow. */
enum { KPID_SLOT_TYPE, KPID_SLOT_TS, KPID_SLOT_ID, KPID_SLOT_FREE };

#define KPID_FIELDS_MAX 128
#define KPID_TYPE_OTHER 0 /* type_id of a type that no expression names */

/* Hashes that kpid_shard_ahead worked out for the event when it was still to come. */
struct kpid_foresight {
    uint64_t id_hash, key_hash;
    const char *key;          /* the bytes that key_hash is of, NULL: no measure takes a key from it */
    uint32_t key_len;
    bool set;
};

struct kpid_event {
    int64_t ts_ms;
    uint32_t type_id;         /* index into kpid_source.types */
    uint32_t n_rounded;       /* fields that were rounded because they say round: half_even */
    struct kpid_value *values; /* one per field of the source; borrowed from the decoder */
    size_t n_values;
    struct kpid_foresight foresight;
};

#endif
