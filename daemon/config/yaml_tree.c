#include "yaml_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 32
#define NODES_MAX 200000

struct anchor {
    char *name;
    struct kpid_yaml *node;
};

/* One open list or map; `key` waits for its value. */
struct level {
    struct kpid_yaml *node, *key;
    char *anchor;
};

struct builder {
    struct kpid_yaml_tree *tree;
    struct kpid_faults *faults;
    struct level levels[DEPTH_MAX];
    size_t depth;
    struct anchor *anchors;
    size_t n_anchors;
    bool broken;
};

static struct kpid_yaml *node_new(struct builder *b, enum kpid_yaml_kind kind, const yaml_mark_t *mark)
{
    struct kpid_yaml_tree *tree = b->tree;
    if (tree->n_all == tree->cap_all) {
        tree->cap_all = tree->cap_all ? tree->cap_all * 2 : 256;
        tree->all = kpid_realloc(tree->all, tree->cap_all * sizeof(struct kpid_yaml *));
    }
    struct kpid_yaml *node = kpid_zalloc(1, sizeof *node);
    node->kind = (uint8_t)kind;
    node->place = (struct kpid_place){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
    tree->all[tree->n_all++] = node;
    return node;
}

static void refuse(struct builder *b, struct kpid_place place, const char *message, const char *advice)
{
    kpid_fault_add(b->faults, place, "%s", message);
    kpid_fault_advise(b->faults, "%s", advice);
    b->broken = true;
}

static void grow(struct kpid_yaml *node)
{
    if (node->n < node->cap)
        return;
    node->cap = node->cap ? node->cap * 2 : 8;
    node->items = kpid_realloc(node->items, node->cap * sizeof *node->items);
    if (node->kind == KPID_YAML_MAP)
        node->keys = kpid_realloc(node->keys, node->cap * sizeof *node->keys);
}

static void map_add(struct builder *b, struct kpid_yaml *map, struct kpid_yaml *key, struct kpid_yaml *value)
{
    const struct kpid_yaml *first = kpid_yaml_key(map, key->text);
    if (first) {
        kpid_fault_add(b->faults, key->place, "duplicate key `%s`", key->text);
        kpid_fault_advise(b->faults, "it stands in line %u already: join the two or remove one",
                          first->place.line);
        return;
    }
    grow(map);
    map->keys[map->n] = key;
    map->items[map->n++] = value;
}

/* Hangs a finished node under the innermost open one. */
static void attach(struct builder *b, struct kpid_yaml *node)
{
    if (b->depth == 0) {
        b->tree->root = node;
        return;
    }
    struct level *level = &b->levels[b->depth - 1];
    if (level->node->kind == KPID_YAML_LIST) {
        grow(level->node);
        level->node->items[level->node->n++] = node;
    } else if (level->key) {
        struct kpid_yaml *key = level->key;
        level->key = NULL;
        map_add(b, level->node, key, node);
    } else if (node->kind != KPID_YAML_SCALAR) {
        refuse(b, node->place, "a key must be a word, not a list or a mapping", "write `key: value`");
    } else {
        level->key = node;
    }
}

static void anchor_add(struct builder *b, char *name, struct kpid_yaml *node)
{
    if (!name)
        return;
    b->anchors = kpid_realloc(b->anchors, (b->n_anchors + 1) * sizeof *b->anchors);
    b->anchors[b->n_anchors++] = (struct anchor){name, node};
}

static void alias_add(struct builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = b->n_anchors; i-- > 0;)
        if (strcmp(b->anchors[i].name, name) == 0) {
            attach(b, b->anchors[i].node);
            return;
        }
    struct kpid_place place = {(uint32_t)event->start_mark.line + 1, (uint32_t)event->start_mark.column + 1};
    refuse(b, place, "there is no finished anchor of this name above",
           "an alias `*name` repeats what `&name` marked earlier in the file");
}

static void scalar_add(struct builder *b, const yaml_event_t *event)
{
    struct kpid_yaml *node = node_new(b, KPID_YAML_SCALAR, &event->start_mark);
    node->text = kpid_strndup((const char *)event->data.scalar.value, event->data.scalar.length);
    node->len = event->data.scalar.length;
    switch (event->data.scalar.style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: node->style = '\''; break;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: node->style = '"'; break;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE: node->style = '|'; break;
    default: node->style = 0;
    }
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length)) {
        refuse(b, node->place, "a NUL character in a value", "remove the \\0");
        return;
    }
    if (event->data.scalar.anchor)
        anchor_add(b, kpid_strdup((const char *)event->data.scalar.anchor), node);
    attach(b, node);
}

static void open_add(struct builder *b, enum kpid_yaml_kind kind, const yaml_event_t *event,
                     const yaml_char_t *anchor)
{
    struct kpid_yaml *node = node_new(b, kind, &event->start_mark);
    if (b->depth == DEPTH_MAX) {
        refuse(b, node->place, "nested deeper than 32 levels",
               "no setting is nested that deep: check the indentation");
        return;
    }
    b->levels[b->depth++] = (struct level){node, NULL, anchor ? kpid_strdup((const char *)anchor) : NULL};
}

static void close_top(struct builder *b)
{
    struct level *level = &b->levels[--b->depth];
    anchor_add(b, level->anchor, level->node);
    attach(b, level->node);
}

/* False: the stream is over. */
static bool event_take(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_STREAM_END_EVENT: return false;
    case YAML_DOCUMENT_START_EVENT:
        if (b->tree->root) {
            struct kpid_place place = {(uint32_t)event->start_mark.line + 1, 1};
            refuse(b, place, "a second YAML document", "one file holds one configuration: remove the `---`");
        }
        break;
    case YAML_SCALAR_EVENT: scalar_add(b, event); break;
    case YAML_ALIAS_EVENT: alias_add(b, event); break;
    case YAML_SEQUENCE_START_EVENT:
        open_add(b, KPID_YAML_LIST, event, event->data.sequence_start.anchor);
        break;
    case YAML_MAPPING_START_EVENT: open_add(b, KPID_YAML_MAP, event, event->data.mapping_start.anchor); break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_top(b); break;
    default: break;
    }
    if (!b->broken && b->tree->n_all > NODES_MAX)
        refuse(b, (struct kpid_place){(uint32_t)event->start_mark.line + 1, 1}, "too many values",
               "a configuration holds at most 200,000 values");
    return !b->broken;
}

/* What YAML takes for its own inside of { } and [ ] is the usual trap with expressions. */
static const char *syntax_advice(const yaml_parser_t *parser)
{
    const char *context = parser->context ? parser->context : "",
               *problem = parser->problem ? parser->problem : "";
    if (strstr(context, "flow") || strstr(problem, "flow"))
        return "inside of { } an expression that holds a comma, a bracket or a leading quote must stand in "
               "single "
               "quotes: where: 'type in [\"a\", \"b\"]'; else look for a missing comma or closing bracket";
    if (strstr(problem, "mapping values are not allowed"))
        return "a value that holds `: ` must stand in single quotes; else check the indentation of this line";
    if (strstr(problem, "did not find expected key") || strstr(context, "block"))
        return "check the indentation; an expression that begins with a quote must stand in single quotes as "
               "a "
               "whole: where: '\"a\" == type'";
    if (strstr(problem, "cannot start any token"))
        return "indent with spaces, not tabs; a value that begins with @ ` or % must stand in quotes";
    if (strstr(context, "quoted scalar"))
        return "close the quote; inside of single quotes write '' for one quote";
    return "the file is not YAML here: check indentation, quotes and brackets";
}

static void syntax_fault(const yaml_parser_t *parser, const char *text, size_t len,
                         struct kpid_faults *faults)
{
    struct kpid_place place = {(uint32_t)parser->problem_mark.line + 1,
                               (uint32_t)parser->problem_mark.column + 1};
    if (parser->error == YAML_READER_ERROR) {
        size_t end = parser->problem_offset < len ? parser->problem_offset : len, begin = end;
        place = (struct kpid_place){1, 1};
        for (size_t i = 0; i < end; i++)
            place.line += text[i] == '\n';
        while (begin > 0 && text[begin - 1] != '\n')
            begin--;
        for (size_t i = begin; i < end; i++)
            place.column += ((unsigned char)text[i] & 0xC0) != 0x80;
        kpid_fault_add(faults, place, "not readable: %s", parser->problem);
        kpid_fault_advise(faults, "save the file as UTF-8 text without control characters");
        return;
    }
    kpid_fault_add(faults, place, "YAML: %s%s%s", parser->context ? parser->context : "",
                   parser->context ? ": " : "", parser->problem ? parser->problem : "damaged");
    kpid_fault_advise(faults, "%s", syntax_advice(parser));
}

/* Bytes where nodes begin: marks count characters, so the text is walked once by lines. */
static void bytes_find(struct kpid_yaml_tree *tree)
{
    size_t *lines = kpid_alloc(sizeof *lines), n = 1;
    lines[0] = tree->len >= 3 && memcmp(tree->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (size_t i = 0; i < tree->len; i++)
        if (tree->text[i] == '\n') {
            if ((n & (n - 1)) == 0)
                lines = kpid_realloc(lines, n * 2 * sizeof *lines);
            lines[n++] = i + 1;
        }
    struct kpid_place place = {1,
                               1}; /* of `at`: nodes come in order, so the walk goes on from the last one */
    size_t at = lines[0];
    for (size_t i = 0; i < tree->n_all; i++) {
        struct kpid_yaml *node = tree->all[i];
        if (node->place.line > n) {
            node->at = tree->len;
            continue;
        }
        if (node->place.line != place.line || node->place.column < place.column) {
            place = (struct kpid_place){node->place.line, 1};
            at = lines[place.line - 1];
        }
        for (; place.column < node->place.column && at < tree->len; place.column++)
            do
                at++;
            while (at < tree->len && ((unsigned char)tree->text[at] & 0xC0) == 0x80);
        node->at = at;
    }
    free(lines);
}

void kpid_yaml_tree_init(struct kpid_yaml_tree *tree, const char *text, size_t len,
                         struct kpid_faults *faults)
{
    *tree = (struct kpid_yaml_tree){.text = text, .len = len};
    struct builder b = {.tree = tree, .faults = faults};
    yaml_parser_t parser;
    yaml_event_t event;
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    bool more = true;
    while (more) {
        if (!yaml_parser_parse(&parser, &event)) {
            syntax_fault(&parser, text, len, faults);
            b.broken = true;
            break;
        }
        more = event_take(&b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    for (size_t i = 0; i < b.depth; i++)
        free(b.levels[i].anchor);
    for (size_t i = 0; i < b.n_anchors; i++)
        free(b.anchors[i].name);
    free(b.anchors);
    bytes_find(tree);
    if (b.broken)
        tree->root = NULL;
}

void kpid_yaml_tree_release(struct kpid_yaml_tree *tree)
{
    for (size_t i = 0; i < tree->n_all; i++) {
        free(tree->all[i]->text);
        free(tree->all[i]->keys);
        free(tree->all[i]->items);
        free(tree->all[i]);
    }
    free(tree->all);
    *tree = (struct kpid_yaml_tree){0};
}

static ptrdiff_t find(const struct kpid_yaml *map, const char *key)
{
    if (map && map->kind == KPID_YAML_MAP)
        for (size_t i = 0; i < map->n; i++)
            if (strcmp(map->keys[i]->text, key) == 0)
                return (ptrdiff_t)i;
    return -1;
}

struct kpid_yaml *kpid_yaml_get(const struct kpid_yaml *map, const char *key)
{
    ptrdiff_t i = find(map, key);
    return i < 0 ? NULL : map->items[i];
}

struct kpid_yaml *kpid_yaml_key(const struct kpid_yaml *map, const char *key)
{
    ptrdiff_t i = find(map, key);
    return i < 0 ? NULL : map->keys[i];
}

bool kpid_yaml_is_null(const struct kpid_yaml *node)
{
    return node->kind == KPID_YAML_SCALAR && node->style == 0 &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *kpid_yaml_kind_name(const struct kpid_yaml *node)
{
    return node->kind == KPID_YAML_MAP ? "a mapping" : node->kind == KPID_YAML_LIST ? "a list" : "a value";
}
