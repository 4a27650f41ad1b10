/*
 * MessagePack -> tokens: msgpack-c's unpack template (https://github.com/msgpack/msgpack-c, specification
 * https://github.com/msgpack/msgpack/blob/master/spec.md) with callbacks that make 16-byte tokens of values.
 * Nothing is allocated: a container's announced length is only counted down while bytes are there.
 *
 * The template calls back when a container starts, without its key, and for each item after its value. So
 * when a map starts, its key is looked up in the template's own stack, one entry below the one that it was
 * given. Strings that a field takes must be UTF-8, as all strings of a JSON text; others are not looked at.
 * Keys that are not strings match nothing.
 */
#include "decoder.h"

#include "utf8.h"

#define MSGPACK_EMBED_STACK_SIZE KPID_DECODE_DEPTH
#include <msgpack/unpack_define.h>

/* The template names the first two; they are the values of msgpack/unpack.h. The third is ours. */
enum { MSGPACK_UNPACK_PARSE_ERROR = -1, MSGPACK_UNPACK_NOMEM_ERROR = -2, UNPACK_UTF8_ERROR = -3 };

struct unpack_user {
    struct kpid_keys *keys;
    const char *end; /* of the message */
};

#define msgpack_unpack_struct(name)    struct unpack_template##name
#define msgpack_unpack_func(ret, name) static __attribute__((unused)) ret unpack_template##name
#define msgpack_unpack_callback(name)  unpack_on##name
#define msgpack_unpack_object          struct kpid_token
#define msgpack_unpack_user            struct unpack_user

/* ---- scalars ------------------------------------------------------------------------------------------ */

static inline int unpack_on_integer(int64_t n, struct kpid_token *ret)
{
    *ret = (struct kpid_token){ .tag = KPID_TAG_DECIMAL, .integer = n };
    return 0;
}

#define UNPACK_ON_INTEGER(name, type) \
    static inline int unpack_on##name(struct unpack_user *user, type n, struct kpid_token *ret) \
    { \
        (void)user; \
        return unpack_on_integer(n, ret); \
    }
UNPACK_ON_INTEGER(_uint8, uint8_t)
UNPACK_ON_INTEGER(_uint16, uint16_t)
UNPACK_ON_INTEGER(_uint32, uint32_t)
UNPACK_ON_INTEGER(_int8, int8_t)
UNPACK_ON_INTEGER(_int16, int16_t)
UNPACK_ON_INTEGER(_int32, int32_t)
UNPACK_ON_INTEGER(_int64, int64_t)

static inline int unpack_on_uint64(struct unpack_user *user, uint64_t n, struct kpid_token *ret)
{
    (void)user;
    if (n <= INT64_MAX)
        return unpack_on_integer((int64_t)n, ret);
    *ret = (struct kpid_token){ .tag = KPID_TAG_NATURAL, .natural = n };
    return 0;
}

static inline int unpack_on_float(struct unpack_user *user, float value, struct kpid_token *ret)
{
    (void)user;
    *ret = (struct kpid_token){ .tag = KPID_TAG_FLOAT, .single = value };
    return 0;
}

static inline int unpack_on_double(struct unpack_user *user, double value, struct kpid_token *ret)
{
    (void)user;
    *ret = (struct kpid_token){ .tag = KPID_TAG_DOUBLE, .real = value };
    return 0;
}

static inline int unpack_on_nil(struct unpack_user *user, struct kpid_token *ret)
{
    (void)user;
    *ret = (struct kpid_token){ .tag = KPID_TAG_NULL };
    return 0;
}

static inline int unpack_on_true(struct unpack_user *user, struct kpid_token *ret)
{
    (void)user;
    *ret = (struct kpid_token){ .tag = KPID_TAG_BOOL, .boolean = true };
    return 0;
}

static inline int unpack_on_false(struct unpack_user *user, struct kpid_token *ret)
{
    (void)user;
    *ret = (struct kpid_token){ .tag = KPID_TAG_BOOL, .boolean = false };
    return 0;
}

/* For an empty one the template's position may be any, so it is not kept. */
static inline int unpack_on_bytes(enum kpid_tag tag, const char *bytes, unsigned len, struct kpid_token *ret)
{
    *ret = (struct kpid_token){ .tag = (uint8_t)tag, .str = len > 0 ? bytes : "", .len = len };
    return 0;
}

static inline int unpack_on_str(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct kpid_token *ret)
{
    (void)user, (void)base;
    return unpack_on_bytes(KPID_TAG_STRING, bytes, len, ret);
}

static inline int unpack_on_bin(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct kpid_token *ret)
{
    (void)user, (void)base;
    return unpack_on_bytes(KPID_TAG_BINARY, bytes, len, ret);
}

/* The type byte is counted; a length of 2^32 - 1 wraps to none at all. */
static inline int unpack_on_ext(struct unpack_user *user, const char *base, const char *bytes, unsigned len,
                                struct kpid_token *ret)
{
    (void)user, (void)base;
    return len == 0 ? MSGPACK_UNPACK_PARSE_ERROR : unpack_on_bytes(KPID_TAG_EXT, bytes, len, ret);
}

/* ---- containers --------------------------------------------------------------------------------------- */

static int unpack_on_map(struct unpack_user *user, unsigned n, struct kpid_token *ret);
static int unpack_on_map_item(struct unpack_user *user, struct kpid_token *map, struct kpid_token key,
                              struct kpid_token value);

static inline struct kpid_token unpack_on_root(struct unpack_user *user)
{
    (void)user;
    return (struct kpid_token){ .tag = KPID_TAG_NONE };
}

static inline int unpack_on_array(struct unpack_user *user, unsigned n, struct kpid_token *ret)
{
    (void)user, (void)n;
    *ret = (struct kpid_token){ .tag = KPID_TAG_LIST };
    return 0;
}

static inline int unpack_on_array_item(struct unpack_user *user, struct kpid_token *list,
                                       struct kpid_token item)
{
    (void)user, (void)list, (void)item;
    return 0;
}

#include <msgpack/unpack_template.h>

static inline const struct kpid_key_node *node_find(const struct unpack_user *user,
                                                    const struct kpid_token *map,
                                                    const struct kpid_token *key)
{
    if (map->tag != KPID_TAG_MAP || !map->node ||
        (key->tag != KPID_TAG_STRING && key->tag != KPID_TAG_BINARY))
        return NULL;
    return kpid_keys_find(user->keys, map->node, key->str, key->len, user->end);
}

/* `ret` is the first member of the map's entry in the stack of the context whose first member is `user`. */
static int unpack_on_map(struct unpack_user *user, unsigned n, struct kpid_token *ret)
{
    (void)n;
    const struct unpack_template_context *context = (const struct unpack_template_context *)user;
    const struct unpack_template_stack *entry = (const struct unpack_template_stack *)ret;
    const struct kpid_key_node *node = NULL;
    if (entry == context->stack)
        node = &user->keys->nodes[0];
    else if (entry[-1].ct == MSGPACK_CT_MAP_VALUE)
        node = node_find(user, &entry[-1].obj, &entry[-1].map_key);
    if (node && node->children.n == 0)
        node = NULL;
    if (node)
        kpid_keys_clear_below(user->keys, node);
    *ret = (struct kpid_token){ .tag = KPID_TAG_MAP, .node = node };
    return 0;
}

static int unpack_on_map_item(struct unpack_user *user, struct kpid_token *map, struct kpid_token key,
                              struct kpid_token value)
{
    const struct kpid_key_node *node = node_find(user, map, &key);
    if (!node)
        return 0;
    if (node->children.n > 0 && value.tag != KPID_TAG_MAP)
        kpid_keys_clear_below(user->keys, node);
    if (node->place < 0)
        return 0;
    if (value.tag == KPID_TAG_STRING && !kpid_utf8_valid(value.str, value.len))
        return UNPACK_UTF8_ERROR;
    if (value.tag == KPID_TAG_BINARY && kpid_utf8_valid(value.str, value.len))
        value.tag = KPID_TAG_STRING;
    user->keys->tokens[node->place] = value;
    return 0;
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
