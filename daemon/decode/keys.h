/*
 * The paths of a source's fields as a trie of keys. A node that some field ends at has a place in the array
 * of tokens that the readers fill. A field with a nested path has a second place under the root, for a
 * message that has the dotted path literally as a key ("a.b"): where that came, it wins. A field without a path is
 * no part of the message and stays absent.
 */
#ifndef KPID_DECODE_KEYS_H
#define KPID_DECODE_KEYS_H

#include "kpid/model.h"
#include "token.h"
#include "words.h"

struct kpid_key_node {
    struct kpid_words children; /* numbers are indices into kpid_keys.nodes */
    int32_t place;              /* of its token, -1: no field ends here */
    bool text;                  /* a field wants a number as it was written */
    bool nested;                /* not a key of the message itself */
};

struct kpid_key_field {
    int32_t place;   /* of the field's token */
    int32_t literal; /* of the token under the dotted key, -1: the path is not nested */
};

/*
 * Who sends events sends their keys in the same order time and again, so the n-th key that is looked up in a
 * message is first compared with the n-th of the message before. Only keys of up to 16 bytes, which head and
 * tail hold whole.
 */
struct kpid_key_guess {
    uint64_t head, tail, len;
    const struct kpid_key_node *parent, *child; /* child NULL: the key is a stranger; parent NULL: no guess */
};

#define KPID_KEY_GUESSES 64

struct kpid_keys {
    struct kpid_key_node *nodes; /* [0] = the message itself */
    size_t n_nodes;
    struct kpid_key_field *fields; /* one per field of the source */
    struct kpid_token *tokens;     /* n_tokens places, of the message being decoded */
    size_t n_tokens;
    bool nested;      /* some token of a nested node was set */
    uint32_t n_found; /* keys that were looked up in this message */
    struct kpid_key_guess guesses[KPID_KEY_GUESSES];
    char **dotted; /* keys that were put together here */
    size_t n_dotted;
};

/* Borrows the source's keys. */
void kpid_keys_init(struct kpid_keys *keys, const struct kpid_source *source);
void kpid_keys_release(struct kpid_keys *keys);

/* All tokens NONE: before a message. */
void kpid_keys_clear(struct kpid_keys *keys);

/* Tokens below a node NONE again. */
void kpid_keys_clear_below(struct kpid_keys *keys, const struct kpid_key_node *node);

/* A value of the node's key begins: where its token goes, NULL: nowhere. The key may have come before, and
 * the last value wins as a whole, so what was found below the node is forgotten. */
static inline struct kpid_token *kpid_keys_take(struct kpid_keys *keys, const struct kpid_key_node *node)
{
    if (keys->nested && node->children.n > 0)
        kpid_keys_clear_below(keys, node);
    keys->nested |= node->nested;
    return node->place < 0 ? NULL : &keys->tokens[node->place];
}

/* The slow half of kpid_keys_find, which remembers what it found. */
const struct kpid_key_node *kpid_keys_look(struct kpid_keys *keys, struct kpid_key_guess *guess,
                                           const struct kpid_key_node *node, const char *key, size_t len);

/* The child of a node under a key, NULL: none. `end`: how far may be read. */
static inline const struct kpid_key_node *kpid_keys_find(struct kpid_keys *keys,
                                                         const struct kpid_key_node *node, const char *key,
                                                         size_t len, const char *end)
{
    struct kpid_key_guess *guess = &keys->guesses[keys->n_found++ % KPID_KEY_GUESSES];
    uint64_t head = kpid_word_head(key, len, end), tail = kpid_word_tail(key, len);
    if (((guess->head ^ head) | (guess->tail ^ tail) | (guess->len ^ len)) == 0 && guess->parent == node)
        return guess->child;
    return kpid_keys_look(keys, guess, node, key, len);
}

#endif
