/*
 * Enough of JSON and of JSON Schema (draft 2020-12) to hold what is published against conf/: type, const,
 * enum, required, properties, additionalProperties, items, pattern, minimum and $ref into $defs. A keyword
 * that is not known here is a failure, so that a schema can't say more than is checked.
 */
#ifndef TEST_JSON_SCHEMA_H
#define TEST_JSON_SCHEMA_H

#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A tree that is never freed: tests are short. */
struct json {
    enum json_type type;
    char *name; /* in an object */
    char *text; /* string, or digits */
    struct json *first, *next;
};

static inline struct json *json_fail(const char *why, const char *at)
{
    fprintf(stderr, "JSON: %s at: %.40s\n", why, at);
    return NULL;
}

/* The string that begins behind a quote; escapes but \u00XX are taken as they are. */
static inline char *json_string(const char **at)
{
    const char *p = *at;
    char *text = calloc(1, strlen(p) + 1), *to = text;
    while (*p && *p != '"') {
        if (*p == '\\' && p[1] == 'u') {
            *to++ = (char)strtol((char[]){p[4], p[5], 0}, NULL, 16);
            p += 6;
        } else if (*p == '\\') {
            *to++ = p[1] == 'n' ? '\n' : p[1] == 't' ? '\t' : p[1];
            p += 2;
        } else {
            *to++ = *p++;
        }
    }
    *at = *p ? p + 1 : p;
    return text;
}

static inline const char *json_space(const char *p)
{
    return p + strspn(p, " \n\r\t");
}

static inline struct json *json_value(const char **at);

static inline struct json *json_items(const char **at, struct json *into, char close)
{
    struct json **last = &into->first;
    *at = json_space(*at + 1);
    while (**at != close) {
        char *name = NULL;
        if (close == '}') {
            if (**at != '"')
                return json_fail("no name", *at);
            ++*at;
            name = json_string(at);
            *at = json_space(*at);
            if (*(*at)++ != ':')
                return json_fail("no colon", *at);
        }
        struct json *item = json_value(at);
        if (!item)
            return NULL;
        item->name = name;
        *last = item;
        last = &item->next;
        *at = json_space(*at);
        if (**at == ',')
            *at = json_space(*at + 1);
        else if (**at != close)
            return json_fail("no end", *at);
    }
    ++*at;
    return into;
}

static inline struct json *json_value(const char **at)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
    struct json *value = calloc(1, sizeof(*value));
    *at = json_space(*at);
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i].word);
        if (strncmp(*at, words[i].word, len) == 0) {
            value->type = words[i].type;
            *at += len;
            return value;
        }
    }
    if (**at == '{' || **at == '[') {
        value->type = **at == '{' ? JSON_OBJECT : JSON_ARRAY;
        return json_items(at, value, **at == '{' ? '}' : ']');
    }
    if (**at == '"') {
        ++*at;
        value->type = JSON_STRING;
        value->text = json_string(at);
        return value;
    }
    size_t len = strspn(*at, "+-.0123456789eE");
    if (!len)
        return json_fail("no value", *at);
    value->type = JSON_NUMBER;
    value->text = strndup(*at, len);
    *at += len;
    return value;
}

static inline struct json *json_parse(const char *text)
{
    struct json *value = json_value(&text);
    return value && *json_space(text) ? json_fail("more text", text) : value;
}

static inline struct json *json_get(const struct json *object, const char *name)
{
    for (struct json *item = object ? object->first : NULL; item; item = item->next) {
        if (item->name && strcmp(item->name, name) == 0)
            return item;
    }
    return NULL;
}

/* The text of a string or number below an object, "" if there is none. */
static inline const char *json_text(const struct json *object, const char *name)
{
    const struct json *item = json_get(object, name);
    return item && item->text ? item->text : "";
}

/* ---- the schema ---- */

static inline bool schema_fail(const char *path, const char *why)
{
    fprintf(stderr, "schema: %s: %s\n", path, why);
    return false;
}

static inline bool schema_type(const struct json *value, const char *name)
{
    switch (value->type) {
    case JSON_NULL: return strcmp(name, "null") == 0;
    case JSON_FALSE:
    case JSON_TRUE: return strcmp(name, "boolean") == 0;
    case JSON_NUMBER:
        return strcmp(name, "number") == 0 || (strcmp(name, "integer") == 0 && !strpbrk(value->text, ".eE"));
    case JSON_STRING: return strcmp(name, "string") == 0;
    case JSON_ARRAY: return strcmp(name, "array") == 0;
    case JSON_OBJECT: return strcmp(name, "object") == 0;
    }
    return false;
}

static inline bool json_same(const struct json *a, const struct json *b)
{
    return a->type == b->type && (!a->text || strcmp(a->text, b->text) == 0);
}

static inline bool schema_any(const struct json *list, const struct json *value, bool types)
{
    for (const struct json *item = list->first; item; item = item->next) {
        if (types ? schema_type(value, item->text) : json_same(item, value))
            return true;
    }
    return false;
}

static inline bool schema_holds(const struct json *root, const struct json *schema, const struct json *value,
                                const char *path);

static inline bool schema_members(const struct json *root, const struct json *schema,
                                  const struct json *value, const char *path)
{
    const struct json *properties = json_get(schema, "properties"),
                      *more = json_get(schema, "additionalProperties");
    const struct json *required = json_get(schema, "required");
    for (const struct json *name = required ? required->first : NULL; name; name = name->next) {
        if (!json_get(value, name->text))
            return schema_fail(name->text, "is required");
    }
    for (const struct json *item = value->first; item; item = item->next) {
        const struct json *of = json_get(properties, item->name);
        if (!of && more && more->type == JSON_FALSE)
            return schema_fail(item->name, "is not named in the schema");
        of = of ? of : more;
        if (of && of->type == JSON_OBJECT && !schema_holds(root, of, item, item->name))
            return schema_fail(path, "does not hold");
    }
    return true;
}

static inline bool schema_pattern(const char *pattern, const char *text)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
        return false;
    bool good = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return good;
}

static inline bool schema_keyword(const struct json *root, const struct json *word, const struct json *value,
                                  const char *path)
{
    const char *name = word->name;
    if (strcmp(name, "$ref") == 0)
        return schema_holds(root, json_get(json_get(root, "$defs"), word->text + strlen("#/$defs/")), value,
                            path);
    if (strcmp(name, "type") == 0)
        return word->text ? schema_type(value, word->text) : schema_any(word, value, true);
    if (strcmp(name, "const") == 0)
        return json_same(word, value);
    if (strcmp(name, "enum") == 0)
        return schema_any(word, value, false);
    if (strcmp(name, "pattern") == 0)
        return value->type != JSON_STRING || schema_pattern(word->text, value->text);
    if (strcmp(name, "minimum") == 0)
        return value->type != JSON_NUMBER || atof(value->text) >= atof(word->text);
    if (strcmp(name, "items") == 0) {
        for (const struct json *item = value->first; item; item = item->next) {
            if (value->type == JSON_ARRAY && !schema_holds(root, word, item, path))
                return false;
        }
        return true;
    }
    static const char *const others[] = {
        "$schema", "$defs", "title", "description", "required", "properties", "additionalProperties"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(name, others[i]) == 0)
            return true;
    }
    return schema_fail(name, "is a keyword that is not known here");
}

static inline bool schema_holds(const struct json *root, const struct json *schema, const struct json *value,
                                const char *path)
{
    if (!schema)
        return schema_fail(path, "$ref leads nowhere");
    for (const struct json *word = schema->first; word; word = word->next) {
        if (!schema_keyword(root, word, value, path)) {
            fprintf(stderr, "schema: %s: %s does not hold (%s)\n", path, word->name,
                    value->text ? value->text : "no text");
            return false;
        }
    }
    return value->type != JSON_OBJECT || schema_members(root, schema, value, path);
}

static inline char *file_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = calloc(1, 1 << 20);
    size_t len = fread(text, 1, (1 << 20) - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

/* Whether a text is JSON that the schema of that name in conf/ allows. */
static inline bool schema_allows(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/conf/%s.schema.json", KPID_SOURCE_DIR, name);
    char *schema_text = file_text(path);
    struct json *schema = schema_text ? json_parse(schema_text) : NULL;
    struct json *value = json_parse(text);
    return schema && value && schema_holds(schema, schema, value, name);
}

#endif
