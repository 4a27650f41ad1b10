#include "keys.h"

#include "kpid/buf.h"

#include <stdlib.h>

static int32_t child_add(struct kpid_keys *keys, int32_t parent, const char *key)
{
    int32_t next = (int32_t)keys->n_nodes;
    int32_t child = kpid_words_add(&keys->nodes[parent].children, key, strlen(key), next);
    if (child == next)
        keys->nodes[keys->n_nodes++] = (struct kpid_key_node){ .place = -1, .nested = parent != 0 };
    return child;
}

/* Gives the node a token if it has none yet: two fields may read the same key. */
static int32_t node_take(struct kpid_keys *keys, int32_t i, bool text)
{
    struct kpid_key_node *node = &keys->nodes[i];
    node->text |= text;
    if (node->place < 0)
        node->place = (int32_t)keys->n_tokens++;
    return node->place;
}

static int32_t literal_add(struct kpid_keys *keys, const struct kpid_field *field, bool text)
{
    struct kpid_buf key = KPID_BUF_INIT;
    for (size_t i = 0; i < field->n_path; i++) {
        if (i > 0)
            kpid_buf_add_char(&key, '.');
        kpid_buf_add_str(&key, field->path[i]);
    }
    size_t len;
    char *dotted = kpid_buf_detach(&key, &len);
    keys->dotted[keys->n_dotted++] = dotted;
    return node_take(keys, child_add(keys, 0, dotted), text);
}

void kpid_keys_init(struct kpid_keys *keys, const struct kpid_source *source)
{
    size_t n_nodes = 1;
    for (size_t i = 0; i < source->n_fields; i++)
        n_nodes += source->fields[i].n_path + 1;
    *keys = (struct kpid_keys){
        .nodes = kpid_zalloc(n_nodes, sizeof(*keys->nodes)),
        .n_nodes = 1,
        .fields = kpid_zalloc(source->n_fields, sizeof(*keys->fields)),
        .tokens = kpid_zalloc(2 * source->n_fields, sizeof(*keys->tokens)),
        .dotted = kpid_zalloc(source->n_fields, sizeof(*keys->dotted)),
    };
    keys->nodes[0].place = -1;
    for (size_t i = 0; i < source->n_fields; i++) {
        const struct kpid_field *field = &source->fields[i];
        if (field->n_path == 0) { /* a join fills it: a token that no key sets */
            keys->fields[i] = (struct kpid_key_field){ .place = (int32_t)keys->n_tokens++, .literal = -1 };
            continue;
        }
        bool text = field->kind == KPID_FIELD_STRING || i == KPID_SLOT_ID;
        int32_t node = 0;
        for (size_t j = 0; j < field->n_path; j++)
            node = child_add(keys, node, field->path[j]);
        keys->fields[i].place = node_take(keys, node, text);
        keys->fields[i].literal = field->n_path > 1 ? literal_add(keys, field, text) : -1;
    }
}

void kpid_keys_release(struct kpid_keys *keys)
{
    for (size_t i = 0; i < keys->n_nodes; i++)
        kpid_words_release(&keys->nodes[i].children);
    for (size_t i = 0; i < keys->n_dotted; i++)
        free(keys->dotted[i]);
    free(keys->nodes);
    free(keys->fields);
    free(keys->tokens);
    free(keys->dotted);
    *keys = (struct kpid_keys){ 0 };
}

void kpid_keys_clear(struct kpid_keys *keys)
{
    memset(keys->tokens, 0, keys->n_tokens * sizeof(*keys->tokens));
    keys->nested = false;
    keys->n_found = 0;
}

void kpid_keys_clear_below(struct kpid_keys *keys, const struct kpid_key_node *node)
{
    const struct kpid_words *children = &node->children;
    if (children->n == 0)
        return;
    for (uint32_t i = 0; i <= children->mask; i++) {
        if (!children->places[i].text)
            continue;
        const struct kpid_key_node *child = &keys->nodes[children->places[i].number];
        if (child->place >= 0)
            keys->tokens[child->place].tag = KPID_TAG_NONE;
        kpid_keys_clear_below(keys, child);
    }
}

const struct kpid_key_node *kpid_keys_look(struct kpid_keys *keys, struct kpid_key_guess *guess,
                                           const struct kpid_key_node *node, const char *key, size_t len)
{
    int32_t i = kpid_words_find(&node->children, key, len, key + len);
    const struct kpid_key_node *child = i < 0 ? NULL : &keys->nodes[i];
    if (len <= 16)
        *guess = (struct kpid_key_guess){ .head = kpid_word_head(key, len, key + len),
                                          .tail = kpid_word_tail(key, len),
                                          .len = len,
                                          .parent = node,
                                          .child = child };
    return child;
}
