/*
 * MessagePack -> tokens: msgpack-c's unpack template (https://github.com/msgpack/msgpack-c, specification
 * https://github.com/msgpack/msgpack/blob/master/spec.md) with callbacks that make tagged words of values.
 * Nothing is allocated: a container's announced length is only counted down while bytes are there.
 *
 * The template calls back when a container starts, without its key, and for each item after its value. So
 * when a map starts, its key is looked up in the template's own stack, one entry below the one that it was
 * given. Strings that a field takes must be UTF-8, as all strings of a JSON text; others are not looked at.
 * Keys that are not strings match nothing.
 */
#include "decoder.h"

#include "kpid/utf8.h"

#define MSGPACK_EMBED_STACK_SIZE KPID_DECODE_DEPTH
#include <msgpack/unpack_define.h>

/* The template names the first two; they are the values of msgpack/unpack.h. The third is ours. */
enum { MSGPACK_UNPACK_PARSE_ERROR = -1, MSGPACK_UNPACK_NOMEM_ERROR = -2, UNPACK_UTF8_ERROR = -3 };

struct unpack_user {
    struct kpid_keys *keys;
    const char *end; /* of the message */
};

/* A value on its way through the template: plain words, so that the compiler can keep them in registers. */
struct unpack_item {
    uint64_t word; /* as the tag says: an integer, a double's or float's bits, an address, a map's key node */
    uint32_t len;
    uint32_t tag; /* enum kpid_tag */
};

#define msgpack_unpack_struct(name)    struct unpack_template##name
#define msgpack_unpack_func(ret, name) static __attribute__((unused)) ret unpack_template##name
#define msgpack_unpack_callback(name)  unpack_on##name
#define msgpack_unpack_object          struct unpack_item
#define msgpack_unpack_user            struct unpack_user

/* ---- scalars ---------------------------------------------------------------------------------------------
 */

static inline int unpack_set(struct unpack_item *ret, enum kpid_tag tag, uint64_t word, uint32_t len)
{
    ret->word = word;
    ret->len = len;
    ret->tag = tag;
    return 0;
}

#define UNPACK_ON_INTEGER(name, type) \
    static inline int unpack_on##name(struct unpack_user *user, type n, struct unpack_item *ret) \
    { \
        (void)user; \
        return unpack_set(ret, KPID_TAG_DECIMAL, (uint64_t)(int64_t)n, 0); \
    }
UNPACK_ON_INTEGER(_uint8, uint8_t)
UNPACK_ON_INTEGER(_uint16, uint16_t)
UNPACK_ON_INTEGER(_uint32, uint32_t)
UNPACK_ON_INTEGER(_int8, int8_t)
UNPACK_ON_INTEGER(_int16, int16_t)
UNPACK_ON_INTEGER(_int32, int32_t)
UNPACK_ON_INTEGER(_int64, int64_t)

static inline int unpack_on_uint64(struct unpack_user *user, uint64_t n, struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, n <= INT64_MAX ? KPID_TAG_DECIMAL : KPID_TAG_NATURAL, n, 0);
}

static inline int unpack_on_float(struct unpack_user *user, float value, struct unpack_item *ret)
{
    (void)user;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return unpack_set(ret, KPID_TAG_FLOAT, bits, 0);
}

static inline int unpack_on_double(struct unpack_user *user, double value, struct unpack_item *ret)
{
    (void)user;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return unpack_set(ret, KPID_TAG_DOUBLE, bits, 0);
}

static inline int unpack_on_nil(struct unpack_user *user, struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, KPID_TAG_NULL, 0, 0);
}

static inline int unpack_on_true(struct unpack_user *user, struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, KPID_TAG_BOOL, 1, 0);
}

static inline int unpack_on_false(struct unpack_user *user, struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, KPID_TAG_BOOL, 0, 0);
}

/* Of an empty one the template's `bytes` may be any address, or none. */
static inline int unpack_on_str(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, KPID_TAG_STRING, (uintptr_t)(len > 0 ? bytes : base), len);
}

static inline int unpack_on_bin(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct unpack_item *ret)
{
    (void)user;
    return unpack_set(ret, KPID_TAG_BINARY, (uintptr_t)(len > 0 ? bytes : base), len);
}

/* The type byte is counted; a length of 2^32 - 1 wraps to none at all. */
static inline int unpack_on_ext(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct unpack_item *ret)
{
    (void)user, (void)base;
    return len == 0 ? MSGPACK_UNPACK_PARSE_ERROR : unpack_set(ret, KPID_TAG_EXT, (uintptr_t)bytes, len);
}

/* ---- containers ------------------------------------------------------------------------------------------
 */

static int unpack_on_map(struct unpack_user *user, unsigned n, struct unpack_item *ret);
static int unpack_on_map_item(struct unpack_user *user, struct unpack_item *map, struct unpack_item key,
                              struct unpack_item value);

static inline struct unpack_item unpack_on_root(struct unpack_user *user)
{
    (void)user;
    return (struct unpack_item){ .tag = KPID_TAG_NONE };
}

static inline int unpack_on_array(struct unpack_user *user, unsigned n, struct unpack_item *ret)
{
    (void)user, (void)n;
    return unpack_set(ret, KPID_TAG_LIST, 0, 0);
}

static inline int unpack_on_array_item(struct unpack_user *user, struct unpack_item *list,
                                       struct unpack_item item)
{
    (void)user, (void)list, (void)item;
    return 0;
}

#include <msgpack/unpack_template.h>

static inline const struct kpid_key_node *node_find(const struct unpack_user *user,
                                                    const struct unpack_item *map, uint64_t key, uint32_t len,
                                                    uint32_t tag)
{
    const struct kpid_key_node *node = (const struct kpid_key_node *)(uintptr_t)map->word;
    if (map->tag != KPID_TAG_MAP || !node || (tag != KPID_TAG_STRING && tag != KPID_TAG_BINARY))
        return NULL;
    return kpid_keys_find(user->keys, node, (const char *)(uintptr_t)key, len, user->end);
}

/* `ret` is the first member of the map's entry in the stack of the context whose first member is `user`. */
static int unpack_on_map(struct unpack_user *user, unsigned n, struct unpack_item *ret)
{
    (void)n;
    const struct unpack_template_context *context = (const struct unpack_template_context *)user;
    const struct unpack_template_stack *entry = (const struct unpack_template_stack *)ret;
    const struct kpid_key_node *node = NULL;
    if (entry == context->stack) {
        node = &user->keys->nodes[0];
    } else if (entry[-1].ct == MSGPACK_CT_MAP_VALUE) {
        const struct unpack_item *key = &entry[-1].map_key;
        node = node_find(user, &entry[-1].obj, key->word, key->len, key->tag);
        if (node)
            kpid_keys_take(user->keys, node);
    }
    if (node && node->children.n == 0)
        node = NULL;
    return unpack_set(ret, KPID_TAG_MAP, (uintptr_t)node, 0);
}

/* An item as a token. */
static int token_set(struct kpid_token *token, uint64_t word, uint32_t len, uint32_t tag)
{
    const char *str = (const char *)(uintptr_t)word;
    token->tag = (uint8_t)tag;
    token->frac = 0;
    token->len = len;
    switch (tag) {
    case KPID_TAG_STRING:
        if (!kpid_utf8_valid(str, len))
            return UNPACK_UTF8_ERROR;
        token->str = str;
        break;
    case KPID_TAG_BINARY:
        if (kpid_utf8_valid(str, len))
            token->tag = KPID_TAG_STRING;
        token->str = str;
        break;
    case KPID_TAG_EXT: token->str = str; break;
    case KPID_TAG_BOOL: token->boolean = word != 0; break;
    default:
        token->natural = word;
        break; /* the bits are those of integer, natural, real or, in front, single */
    }
    return 0;
}

static inline int unpack_on_map_item(struct unpack_user *user, struct unpack_item *map,
                                     struct unpack_item key, struct unpack_item value)
{
    const struct kpid_key_node *node = node_find(user, map, key.word, key.len, key.tag);
    if (!node)
        return 0;
    if (value.tag == KPID_TAG_MAP) { /* was taken when it began */
        if (node->place >= 0)
            user->keys->tokens[node->place].tag = KPID_TAG_MAP;
        return 0;
    }
    struct kpid_token *token = kpid_keys_take(user->keys, node);
    return token ? token_set(token, value.word, value.len, value.tag) : 0;
}

enum kpid_reason kpid_msgpack_read(struct kpid_decoder *decoder, const char *bytes, size_t len)
{
    struct unpack_template_context context;
    size_t off = 0;
    context.user = (struct unpack_user){ .keys = &decoder->keys, .end = bytes + len };
    unpack_template_init(&context);
    int status = unpack_template_execute(&context, bytes, len, &off);
    if (status == UNPACK_UTF8_ERROR)
        return KPID_REASON_UTF8;
    if (status == MSGPACK_UNPACK_NOMEM_ERROR)
        return KPID_REASON_DEPTH;
    if (status <= 0)
        return KPID_REASON_SYNTAX;
    return off == len ? KPID_REASON_NONE : KPID_REASON_TRAILING;
}
