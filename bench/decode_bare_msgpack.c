/* See decode_bare.h. */
#include "decode_bare.h"

#include <msgpack/unpack_define.h>

enum { MSGPACK_UNPACK_PARSE_ERROR = -1, MSGPACK_UNPACK_NOMEM_ERROR = -2 };

struct bare_value {
    uint64_t content;
    uint32_t len, tag;
};

struct bare_user {
    uint64_t sum;
};

#define msgpack_unpack_struct(name)    struct bare_template##name
#define msgpack_unpack_func(ret, name) static __attribute__((unused)) ret bare_template##name
#define msgpack_unpack_callback(name)  bare_on##name
#define msgpack_unpack_object          struct bare_value
#define msgpack_unpack_user            struct bare_user

#define BARE_NUMBER(name, type) \
    static inline int bare_on##name(struct bare_user *user, type value, struct bare_value *ret) \
    { \
        (void)user; \
        *ret = (struct bare_value){ .content = (uint64_t)value, .tag = 1 }; \
        return 0; \
    }
BARE_NUMBER(_uint8, uint8_t)
BARE_NUMBER(_uint16, uint16_t)
BARE_NUMBER(_uint32, uint32_t)
BARE_NUMBER(_uint64, uint64_t)
BARE_NUMBER(_int8, int8_t)
BARE_NUMBER(_int16, int16_t)
BARE_NUMBER(_int32, int32_t)
BARE_NUMBER(_int64, int64_t)
BARE_NUMBER(_float, float)
BARE_NUMBER(_double, double)
BARE_NUMBER(_array, unsigned)
BARE_NUMBER(_map, unsigned)

#define BARE_WORD(name) \
    static inline int bare_on##name(struct bare_user *user, struct bare_value *ret) \
    { \
        (void)user; \
        *ret = (struct bare_value){ .tag = 2 }; \
        return 0; \
    }
BARE_WORD(_nil)
BARE_WORD(_true)
BARE_WORD(_false)

#define BARE_BYTES(name) \
    static inline int bare_on##name(struct bare_user *user, const char *base, const char *bytes, \
                                    unsigned len, struct bare_value *ret) \
    { \
        (void)user, (void)base; \
        *ret = (struct bare_value){ .content = (uintptr_t)bytes, .len = len, .tag = 3 }; \
        return 0; \
    }
BARE_BYTES(_str)
BARE_BYTES(_bin)
BARE_BYTES(_ext)

static inline struct bare_value bare_on_root(struct bare_user *user)
{
    (void)user;
    return (struct bare_value){ 0 };
}

static inline int bare_on_array_item(struct bare_user *user, struct bare_value *list, struct bare_value item)
{
    (void)list;
    user->sum += item.tag;
    return 0;
}

static inline int bare_on_map_item(struct bare_user *user, struct bare_value *map, struct bare_value key,
                                   struct bare_value value)
{
    (void)map;
    user->sum += key.len + value.tag + value.len;
    return 0;
}

#include <msgpack/unpack_template.h>

uint64_t bare_msgpack(const char *bytes, size_t len)
{
    struct bare_template_context context;
    size_t off = 0;
    context.user = (struct bare_user){ 0 };
    bare_template_init(&context);
    if (bare_template_execute(&context, bytes, len, &off) <= 0)
        return 0;
    return context.user.sum;
}
