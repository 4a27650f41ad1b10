/*
 * JSON -> tokens: one pass over the starts that simdjson found (json.h). The grammar of RFC 8259 is checked
 * for every token, also in what is skipped, so damage anywhere is seen; only keys and strings that have
 * escapes are written to, in the copy, where a string can only get shorter.
 *
 * The end of a string is the last byte before the next token that is not white space: no scan for the quote.
 */
#include "decoder.h"

#include "json.h"
#include "json_unescape.h"

#include <string.h>

struct walk {
    char *text;
    const char *end;    /* of what may be read: a few zero bytes behind the document */
    const uint32_t *at; /* next token; behind the last: the document's length, where a zero byte is */
    bool escapes;       /* there is a backslash somewhere */
    struct kpid_keys *keys;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A number or word ends at the next token, or at white space; else it has a tail that belongs to nothing. */
static bool ends_at(const struct walk *walk, const char *p)
{
    return p == walk->text + *walk->at || is_space(*p);
}

/* A string token: its bytes without quotes, unescaped. False: an escape is wrong. */
static inline bool string_next(struct walk *walk, const char **ret, size_t *ret_len)
{
    char *begin = walk->text + *walk->at++ + 1, *end = walk->text + *walk->at - 1;
    while (*end != '"')
        end--;
    size_t len = (size_t)(end - begin);
    if (walk->escapes) {
        const char *first = memchr(begin, '\\', len);
        if (first)
            len = kpid_json_unescape(begin, len, first);
        if (len == SIZE_MAX)
            return false;
    }
    *ret = begin;
    *ret_len = len;
    return true;
}

static inline const char *digits_read(const char *p, uint64_t *m)
{
    for (; (unsigned)(*p - '0') <= 9; p++)
        *m = *m * 10 + (uint64_t)(*p - '0'); /* wraps in long ones, which don't use it */
    return p;
}

/* text: the number is wanted as it was written. */
static enum kpid_reason number_next(struct walk *walk, bool text, struct kpid_token *ret)
{
    const char *begin = walk->text + *walk->at++, *digits = begin + (*begin == '-');
    uint64_t m = 0;
    const char *p = digits_read(digits, &m);
    size_t n = (size_t)(p - digits), frac = 0;
    if (n == 0 || (n > 1 && *digits == '0'))
        return KPID_REASON_SYNTAX;
    if (*p == '.') {
        const char *part = ++p;
        p = digits_read(p, &m);
        frac = (size_t)(p - part);
        if (frac == 0)
            return KPID_REASON_SYNTAX;
    }
    bool plain = n + frac <= 18 && !text;
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        const char *exponent = p;
        p = digits_read(p, &m);
        if (p == exponent)
            return KPID_REASON_SYNTAX;
        plain = false;
    }
    if (!ends_at(walk, p))
        return KPID_REASON_SYNTAX;
    if (!plain) {
        *ret = (struct kpid_token){ .tag = KPID_TAG_TEXT, .str = begin, .len = (uint32_t)(p - begin) };
        return KPID_REASON_NONE;
    }
    *ret = (struct kpid_token){ .tag = KPID_TAG_DECIMAL, .frac = (uint8_t)frac };
    ret->integer = *begin == '-' ? -(int64_t)m : (int64_t)m;
    return KPID_REASON_NONE;
}

static enum kpid_reason word_next(struct walk *walk, const char *word, size_t len, struct kpid_token *ret)
{
    const char *begin = walk->text + *walk->at++;
    if (memcmp(begin, word, len) != 0 || !ends_at(walk, begin + len))
        return KPID_REASON_SYNTAX;
    uint8_t tag = *word == 'n' ? KPID_TAG_NULL : KPID_TAG_BOOL;
    *ret = (struct kpid_token){ .tag = tag, .boolean = *word == 't' };
    return KPID_REASON_NONE;
}

static enum kpid_reason value_next(struct walk *walk, const struct kpid_key_node *node, unsigned depth);

static enum kpid_reason list_next(struct walk *walk, unsigned depth)
{
    if (depth > KPID_DECODE_DEPTH)
        return KPID_REASON_DEPTH;
    walk->at++;
    if (walk->text[*walk->at] == ']') {
        walk->at++;
        return KPID_REASON_NONE;
    }
    for (;;) {
        enum kpid_reason reason = value_next(walk, NULL, depth);
        if (reason != KPID_REASON_NONE)
            return reason;
        char c = walk->text[*walk->at];
        if (c != ',' && c != ']')
            return KPID_REASON_SYNTAX;
        walk->at++;
        if (c == ']')
            return KPID_REASON_NONE;
    }
}

/* An object; node: where its keys are looked up, NULL: nowhere. */
static enum kpid_reason map_next(struct walk *walk, const struct kpid_key_node *node, unsigned depth)
{
    if (depth > KPID_DECODE_DEPTH)
        return KPID_REASON_DEPTH;
    walk->at++;
    if (walk->text[*walk->at] == '}') {
        walk->at++;
        return KPID_REASON_NONE;
    }
    for (;;) {
        const char *key;
        size_t len;
        if (walk->text[*walk->at] != '"' || !string_next(walk, &key, &len) || walk->text[*walk->at] != ':')
            return KPID_REASON_SYNTAX;
        walk->at++;
        const struct kpid_key_node *child =
            node ? kpid_keys_find(walk->keys, node, key, len, walk->end) : NULL;
        enum kpid_reason reason = value_next(walk, child, depth);
        if (reason != KPID_REASON_NONE)
            return reason;
        char c = walk->text[*walk->at];
        if (c != ',' && c != '}')
            return KPID_REASON_SYNTAX;
        walk->at++;
        if (c == '}')
            return KPID_REASON_NONE;
    }
}

/* The value of a key in `node` (NULL: of no interest) at the level `depth` of its container. */
static enum kpid_reason value_next(struct walk *walk, const struct kpid_key_node *node, unsigned depth)
{
    struct kpid_token unwanted, *ret = node ? kpid_keys_take(walk->keys, node) : NULL;
    const char *str;
    size_t len;
    if (!ret)
        ret = &unwanted;
    switch (walk->text[*walk->at]) {
    case '"':
        if (!string_next(walk, &str, &len))
            return KPID_REASON_SYNTAX;
        *ret = (struct kpid_token){ .tag = KPID_TAG_STRING, .str = str, .len = (uint32_t)len };
        return KPID_REASON_NONE;
    case '{':
        *ret = (struct kpid_token){ .tag = KPID_TAG_MAP };
        return map_next(walk, node && node->children.n > 0 ? node : NULL, depth + 1);
    case '[': *ret = (struct kpid_token){ .tag = KPID_TAG_LIST }; return list_next(walk, depth + 1);
    case 't': return word_next(walk, "true", 4, ret);
    case 'f': return word_next(walk, "false", 5, ret);
    case 'n': return word_next(walk, "null", 4, ret);
    case '-':
    case '0' ... '9': return number_next(walk, node && node->text, ret);
    default: return KPID_REASON_SYNTAX;
    }
}

enum kpid_reason kpid_json_read(struct kpid_decoder *decoder, const char *bytes, size_t len)
{
    struct kpid_json_tokens tokens;
    enum kpid_json_status status = kpid_json_scan(decoder->json, bytes, len, &tokens);
    if (status != KPID_JSON_OK)
        return status == KPID_JSON_UTF8 ? KPID_REASON_UTF8 : KPID_REASON_SYNTAX;
    struct walk walk = {
        .text = tokens.text,
        .end = tokens.text + len + 8,
        .at = tokens.starts,
        .escapes = memchr(tokens.text, '\\', len) != NULL,
        .keys = &decoder->keys,
    };
    if (walk.text[*walk.at] != '{')
        return KPID_REASON_SYNTAX;
    enum kpid_reason reason = map_next(&walk, &decoder->keys.nodes[0], 1);
    if (reason != KPID_REASON_NONE)
        return reason;
    return walk.at == tokens.starts + tokens.n ? KPID_REASON_NONE : KPID_REASON_TRAILING;
}
