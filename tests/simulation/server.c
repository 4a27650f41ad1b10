#include "server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- blobs and commands ---- */

struct blob *blob_new(const void *bytes, size_t len)
{
    struct blob *blob = kpid_alloc(sizeof(*blob) + len + 1);
    blob->refs = 1;
    blob->len = len;
    if (len)
        memcpy(blob->bytes, bytes, len);
    blob->bytes[len] = '\0';
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    blob->refs++;
    return blob;
}

void blob_free(struct blob *blob)
{
    if (blob && --blob->refs == 0)
        free(blob);
}

bool blob_is(const struct blob *blob, const void *bytes, size_t len)
{
    return blob->len == len && memcmp(blob->bytes, bytes, len) == 0;
}

void command_release(struct command *command)
{
    for (size_t i = 0; i < command->n; i++)
        blob_free(command->words[i]);
    free(command->words);
    *command = (struct command){0};
}

/* ---- values ---- */

static void value_release(struct value *value)
{
    blob_free(value->key);
    blob_free(value->string);
    for (size_t i = 0; i < value->n; i++) {
        blob_free(value->fields[i].name);
        blob_free(value->fields[i].value);
    }
    free(value->fields);
    *value = (struct value){0};
}

static void values_release(struct values *values)
{
    for (size_t i = 0; i < values->n; i++)
        value_release(&values->at[i]);
    free(values->at);
    *values = (struct values){0};
}

static struct values values_copy(const struct values *from)
{
    struct values to = {.n = from->n, .cap = from->n, .at = kpid_zalloc(from->n + 1, sizeof(*to.at))};
    for (size_t i = 0; i < from->n; i++) {
        const struct value *value = &from->at[i];
        struct value *copy = &to.at[i];
        *copy =
            (struct value){.key = blob_ref(value->key), .kind = value->kind, .n = value->n, .cap = value->n};
        if (value->string)
            copy->string = blob_ref(value->string);
        copy->fields = kpid_zalloc(value->n + 1, sizeof(*copy->fields));
        for (size_t f = 0; f < value->n; f++) {
            copy->fields[f].name = blob_ref(value->fields[f].name);
            copy->fields[f].value = value->fields[f].value ? blob_ref(value->fields[f].value) : NULL;
        }
    }
    return to;
}

void server_release(struct server *server)
{
    values_release(&server->now);
    values_release(&server->saved);
}

void server_save(struct server *server)
{
    values_release(&server->saved);
    server->saved = values_copy(&server->now);
    server->has_saved = true;
}

void server_fall(struct server *server)
{
    values_release(&server->now);
    server->now = values_copy(&server->saved);
}

void server_empty(struct server *server)
{
    values_release(&server->now);
    values_release(&server->saved);
    server->has_saved = false;
}

struct value *server_find(struct server *server, const char *key, size_t len)
{
    for (size_t i = 0; i < server->now.n; i++)
        if (blob_is(server->now.at[i].key, key, len))
            return &server->now.at[i];
    return NULL;
}

void server_delete(struct server *server, size_t i)
{
    value_release(&server->now.at[i]);
    server->now.at[i] = server->now.at[--server->now.n];
}

void server_unlink(struct server *server, const struct blob *key)
{
    struct value *value = server_find(server, key->bytes, key->len);
    if (value)
        server_delete(server, (size_t)(value - server->now.at));
}

struct value *server_make(struct server *server, struct blob *key, enum value_kind kind)
{
    struct values *values = &server->now;
    struct value *value = server_find(server, key->bytes, key->len);
    if (value) {
        assert(value->kind == kind);
        return value;
    }
    if (values->n == values->cap) {
        values->cap = values->cap ? 2 * values->cap : 32;
        values->at = kpid_realloc(values->at, values->cap * sizeof(*values->at));
    }
    value = &values->at[values->n++];
    *value = (struct value){.key = blob_ref(key), .kind = kind};
    return value;
}

static struct field *field_of(const struct value *value, const void *name, size_t len)
{
    for (size_t i = 0; i < value->n; i++)
        if (blob_is(value->fields[i].name, name, len))
            return &value->fields[i];
    return NULL;
}

struct blob *value_get(const struct value *value, const char *name, size_t len)
{
    struct field *field = value ? field_of(value, name, len) : NULL;
    return field ? field->value : NULL;
}

void value_put(struct value *value, struct blob *name, struct blob *field_value)
{
    struct field *field = field_of(value, name->bytes, name->len);
    if (field_value)
        blob_ref(field_value);
    if (field) {
        blob_free(field->value);
        field->value = field_value;
        return;
    }
    if (value->n == value->cap) {
        value->cap = value->cap ? 2 * value->cap : 8;
        value->fields = kpid_realloc(value->fields, value->cap * sizeof(*value->fields));
    }
    value->fields[value->n++] = (struct field){blob_ref(name), field_value};
}

void value_take(struct server *server, struct value *value, const void *name, size_t len)
{
    struct field *field = field_of(value, name, len);
    if (!field)
        return;
    blob_free(field->name);
    blob_free(field->value);
    *field = value->fields[--value->n];
    if (value->n == 0)
        server_delete(server, (size_t)(value - server->now.at));
}

void value_set(struct value *value, struct blob *string)
{
    blob_ref(string);
    blob_free(value->string);
    value->string = string;
}

/* ---- answers ---- */

static struct kpid_reply *reply_new(enum kpid_reply_kind kind)
{
    struct kpid_reply *reply = kpid_zalloc(1, sizeof(*reply));
    reply->kind = kind;
    return reply;
}

struct kpid_reply *reply_array(size_t n)
{
    struct kpid_reply *reply = reply_new(KPID_REPLY_ARRAY);
    reply->items = kpid_zalloc(n + 1, sizeof(*reply->items));
    reply->n_items = n;
    return reply;
}

struct kpid_reply *reply_int(int64_t integer)
{
    struct kpid_reply *reply = reply_new(KPID_REPLY_INT);
    reply->integer = integer;
    return reply;
}

static void fill(struct kpid_reply *reply, enum kpid_reply_kind kind, const char *text, size_t len)
{
    reply->kind = kind;
    reply->str = kpid_strndup(text, len);
    reply->len = len;
}

struct kpid_reply *reply_error(const char *text)
{
    struct kpid_reply *reply = reply_new(KPID_REPLY_ERROR);
    fill(reply, KPID_REPLY_ERROR, text, strlen(text));
    return reply;
}

static struct kpid_reply *item_of(const struct kpid_reply *array, size_t i)
{
    assert(i < array->n_items);
    return (struct kpid_reply *)(uintptr_t)&array->items[i];
}

void reply_fill_text(const struct kpid_reply *array, size_t i, const char *text, size_t len)
{
    fill(item_of(array, i), KPID_REPLY_STR, text, len);
}

void reply_fill(const struct kpid_reply *array, size_t i, const struct blob *blob)
{
    if (blob)
        reply_fill_text(array, i, blob->bytes, blob->len);
    else
        item_of(array, i)->kind = KPID_REPLY_NIL;
}

static void reply_release(const struct kpid_reply *reply)
{
    for (size_t i = 0; i < reply->n_items; i++)
        reply_release(&reply->items[i]);
    free((void *)(uintptr_t)reply->items);
    free((void *)(uintptr_t)reply->str);
}

void reply_free(struct kpid_reply *reply)
{
    if (reply)
        reply_release(reply);
    free(reply);
}

/* ---- commands ---- */

static bool is_word(const struct command *command, const char *word)
{
    return blob_is(command->words[0], word, strlen(word));
}

static struct kpid_reply *hmget(struct server *server, const struct command *command)
{
    struct value *value = server_find(server, command->words[1]->bytes, command->words[1]->len);
    struct kpid_reply *reply = reply_array(command->n - 2);
    for (size_t i = 2; i < command->n; i++)
        reply_fill(reply, i - 2, value_get(value, command->words[i]->bytes, command->words[i]->len));
    return reply;
}

static struct kpid_reply *hgetall(struct server *server, const struct command *command)
{
    struct value *value = server_find(server, command->words[1]->bytes, command->words[1]->len);
    struct kpid_reply *reply = reply_array(value ? 2 * value->n : 0);
    for (size_t i = 0; value && i < value->n; i++) {
        reply_fill(reply, 2 * i, value->fields[i].name);
        reply_fill(reply, 2 * i + 1, value->fields[i].value);
    }
    return reply;
}

static struct kpid_reply *get(struct server *server, const struct command *command)
{
    struct value *value = server_find(server, command->words[1]->bytes, command->words[1]->len);
    struct kpid_reply *reply = reply_new(KPID_REPLY_NIL);
    if (value)
        fill(reply, KPID_REPLY_STR, value->string->bytes, value->string->len);
    return reply;
}

static struct kpid_reply *srandmember(struct server *server, const struct command *command)
{
    struct value *value = server_find(server, command->words[1]->bytes, command->words[1]->len);
    size_t most = (size_t)atoi(command->words[2]->bytes), n = value ? value->n : 0;
    struct kpid_reply *reply = reply_array(n < most ? n : most);
    for (size_t i = 0; i < reply->n_items; i++)
        reply_fill(reply, i, value->fields[i].name);
    return reply;
}

static struct kpid_reply *sadd(struct server *server, const struct command *command)
{
    struct value *value = server_make(server, command->words[1], VALUE_SET);
    size_t before = value->n;
    for (size_t i = 2; i < command->n; i++)
        value_put(value, command->words[i], NULL);
    return reply_int((int64_t)(value->n - before));
}

static struct kpid_reply *set(struct server *server, const struct command *command)
{
    struct kpid_reply *reply = reply_new(KPID_REPLY_STATUS);
    value_set(server_make(server, command->words[1], VALUE_STRING), command->words[2]);
    fill(reply, KPID_REPLY_STATUS, "OK", 2);
    return reply;
}

struct kpid_reply *server_execute(struct server *server, const struct command *command)
{
    bool writes = command->script || is_word(command, "SADD") || is_word(command, "SET");
    if (writes && server->full)
        return reply_error("OOM command not allowed when used memory > 'maxmemory'.");
    server->writes += writes;
    if (command->script)
        return server_eval(server, command);
    if (is_word(command, "HMGET"))
        return hmget(server, command);
    if (is_word(command, "HGETALL"))
        return hgetall(server, command);
    if (is_word(command, "GET"))
        return get(server, command);
    if (is_word(command, "SRANDMEMBER"))
        return srandmember(server, command);
    if (is_word(command, "SADD"))
        return sadd(server, command);
    assert(is_word(command, "SET"));
    return set(server, command);
}
