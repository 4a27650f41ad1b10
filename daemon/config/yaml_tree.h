/*
 * A YAML document as a tree that remembers where everything stood. Built on libyaml's events. An alias shares
 * the node of its anchor (which is complete by then, so there are no cycles). The tree owns its nodes; nodes
 * are borrowed until _release. Depth is bounded at 32, the number of nodes at 200,000.
 */
#ifndef KPID_CONFIG_YAML_TREE_H
#define KPID_CONFIG_YAML_TREE_H

#include "fault.h"

enum kpid_yaml_kind { KPID_YAML_SCALAR, KPID_YAML_LIST, KPID_YAML_MAP };

struct kpid_yaml {
    uint8_t kind; /* enum kpid_yaml_kind */
    char style;   /* scalar: 0 plain, ' or ", | block */
    struct kpid_place place;
    size_t at;  /* byte in the text where it begins */
    char *text; /* scalar: its value, no NUL inside */
    size_t len;
    struct kpid_yaml **keys;  /* map: n scalars, each once */
    struct kpid_yaml **items; /* map: n values; list: n items */
    size_t n, cap;
};

struct kpid_yaml_tree {
    const char *text;
    size_t len;
    struct kpid_yaml *root; /* NULL: the document is empty or damaged */
    struct kpid_yaml **all;
    size_t n_all, cap_all;
};

/* Reads text[0..len), borrowed until _release. Syntax errors and duplicate keys go to `faults`; after a
 * syntax error nothing is known of the rest and the root is NULL. */
void kpid_yaml_tree_init(struct kpid_yaml_tree *tree, const char *text, size_t len,
                         struct kpid_faults *faults);
void kpid_yaml_tree_release(struct kpid_yaml_tree *tree);

/* The value of a key, NULL: not there (or `map` is NULL or no map). */
struct kpid_yaml *kpid_yaml_get(const struct kpid_yaml *map, const char *key);
struct kpid_yaml *kpid_yaml_key(const struct kpid_yaml *map, const char *key); /* the key itself */
/* An empty plain scalar, ~ or null. */
bool kpid_yaml_is_null(const struct kpid_yaml *node);
/* Where the value's byte `offset` stood in the file: through quotes, escapes and folded lines. */
struct kpid_place kpid_yaml_place_in(const struct kpid_yaml_tree *tree, const struct kpid_yaml *node,
                                     size_t offset);
/* "a mapping", "a list", "a value": for messages. */
const char *kpid_yaml_kind_name(const struct kpid_yaml *node);

#endif
