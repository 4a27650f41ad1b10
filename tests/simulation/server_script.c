/* What the store's scripts do (daemon/store/[a-z]*_script.c), told in C in the same order. */
#include "server.h"
#include "kpid/store.h"
#include "store/scripts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct blob *arg(const struct command *command, size_t i) /* from 1, as in Lua */
{
    return command->words[command->n_keys + i - 1];
}

static struct blob *arg_ref(const struct command *command, size_t i)
{
    return command->words[command->n_keys + i - 1];
}

static struct value *key(struct server *server, const struct command *command, size_t i)
{
    return server_find(server, command->words[i - 1]->bytes, command->words[i - 1]->len);
}

static struct blob *header_get(const struct value *header, const char *name)
{
    return value_get(header, name, strlen(name));
}

/* A field equals the argument; a missing one equals ''. */
static bool equals(const struct blob *field, const struct blob *argument)
{
    return field ? blob_is(field, argument->bytes, argument->len) : argument->len == 0;
}

static void put_text(struct value *value, const char *name, const char *text)
{
    struct blob *field = blob_new(name, strlen(name)), *content = blob_new(text, strlen(text));
    value_put(value, field, content);
    blob_free(field);
    blob_free(content);
}

static void put(struct value *value, const char *name, struct blob *content)
{
    struct blob *field = blob_new(name, strlen(name));
    value_put(value, field, content);
    blob_free(field);
}

static struct blob *name_of(const struct blob *entry)
{
    const char *space = memchr(entry->bytes, ' ', entry->len);
    return blob_new(entry->bytes, space ? (size_t)(space - entry->bytes) : entry->len);
}

/* The names of all pages of the manifest become orphans, and it goes. */
static void let_manifest_go(struct server *server, const struct command *command)
{
    struct value *manifest = key(server, command, 2);
    if (!manifest)
        return;
    for (size_t i = 0; i < manifest->n; i++) {
        struct blob *name = name_of(manifest->fields[i].value);
        value_put(server_make(server, command->words[2], VALUE_SET), name, NULL);
        blob_free(name);
        manifest = key(server, command, 2); /* values may have moved */
    }
    server_unlink(server, command->words[1]);
}

static void fill_word(const struct kpid_reply *reply, size_t i, const char *word)
{
    reply_fill_text(reply, i, word, strlen(word));
}

static void fill_field(const struct kpid_reply *reply, size_t i, const struct blob *field)
{
    if (field)
        reply_fill(reply, i, field);
    else
        fill_word(reply, i, "");
}

static struct kpid_reply *word(const char *text)
{
    struct kpid_reply *reply = reply_array(1);
    fill_word(reply, 0, text);
    return reply;
}

static struct kpid_reply *acquire(struct server *server, const struct command *command)
{
    struct value *header = key(server, command, 1);
    bool found = equals(header_get(header, "nonce"), arg(command, 1)) &&
                 equals(header_get(header, "seq"), arg(command, 2));
    if (!found && server->broken != BREAK_TAKE)
        return word("refused");
    if (!header) {
        let_manifest_go(server, command);
        header = server_make(server, command->words[0], VALUE_HASH);
        put(header, "format", arg_ref(command, 5));
        put_text(header, "meta", "");
        put_text(header, "pages", "0");
    }
    put(header, "nonce", arg_ref(command, 3));
    put(header, "seq", arg_ref(command, 4));
    struct kpid_reply *reply = reply_array(4);
    fill_word(reply, 0, "ok");
    fill_field(reply, 1, header_get(header, "meta"));
    fill_field(reply, 2, header_get(header, "pages"));
    fill_field(reply, 3, header_get(header, "reset"));
    return reply;
}

static struct kpid_reply *refused(const struct value *header)
{
    struct kpid_reply *reply = reply_array(3);
    fill_word(reply, 0, "refused");
    fill_field(reply, 1, header_get(header, "nonce"));
    fill_field(reply, 2, header_get(header, "seq"));
    return reply;
}

/* The key of a staged page that is not there, or not whole; NULL: all are. */
static const struct blob *unstaged(struct server *server, const struct command *command, size_t n)
{
    for (size_t i = 1; i <= n; i++) {
        const struct value *page = key(server, command, 3 + i);
        if ((page ? page->string->len : 0) != (size_t)atoll(arg(command, 9 + 3 * i)->bytes))
            return command->words[3 + i - 1];
    }
    return NULL;
}

static void write_pages(struct server *server, const struct command *command, size_t n, bool staged)
{
    for (size_t i = 1; i <= n; i++) {
        size_t at = 7 + 3 * i;
        if (!staged)
            value_set(server_make(server, command->words[3 + i - 1], VALUE_STRING), arg_ref(command, at + 2));
        value_put(server_make(server, command->words[1], VALUE_HASH), arg_ref(command, at),
                  arg_ref(command, at + 1));
        struct blob *name = name_of(arg(command, at + 1));
        struct value *orphans = key(server, command, 3);
        if (staged && orphans)
            value_take(server, orphans, name->bytes, name->len);
        blob_free(name);
    }
}

static void drop_pages(struct server *server, const struct command *command, size_t n)
{
    for (size_t i = 10 + 3 * n; i <= command->n - command->n_keys; i++) {
        struct value *manifest = key(server, command, 2);
        struct blob *entry = value_get(manifest, arg(command, i)->bytes, arg(command, i)->len);
        if (!entry)
            continue;
        struct blob *name = name_of(entry);
        value_take(server, manifest, arg(command, i)->bytes, arg(command, i)->len);
        value_put(server_make(server, command->words[2], VALUE_SET), name, NULL);
        blob_free(name);
    }
}

static struct kpid_reply *commit(struct server *server, const struct command *command)
{
    struct value *header = key(server, command, 1);
    if (!equals(header_get(header, "nonce"), arg(command, 1)) && server->broken != BREAK_NONCE)
        return refused(header);
    if (!equals(header_get(header, "seq"), arg(command, 2)) && server->broken != BREAK_SEQ)
        return refused(header);
    bool reset = blob_is(arg(command, 7), "1", 1), staged = blob_is(arg(command, 8), "1", 1);
    size_t n = (size_t)atoll(arg(command, 9)->bytes);
    const struct blob *missing =
        staged && server->broken != BREAK_LENGTH ? unstaged(server, command, n) : NULL;
    if (missing) {
        struct kpid_reply *reply = reply_array(2);
        fill_word(reply, 0, "unstaged");
        reply_fill(reply, 1, missing);
        return reply;
    }
    const struct value *manifest = key(server, command, 2);
    const struct blob *pages = header_get(header, "pages");
    if (!reset && server->broken != BREAK_PAGES &&
        (!pages || (manifest ? manifest->n : 0) != (size_t)atoll(pages->bytes)))
        return word("lost");
    if (reset && server->broken != BREAK_WHOLE)
        let_manifest_go(server, command);
    write_pages(server, command, n, staged);
    drop_pages(server, command, n);
    char count[24];
    manifest = key(server, command, 2);
    snprintf(count, sizeof(count), "%zu", manifest ? manifest->n : 0);
    header = server_make(server, command->words[0], VALUE_HASH);
    put(header, "nonce", arg_ref(command, 3));
    put(header, "seq", arg_ref(command, 4));
    put(header, "format", arg_ref(command, 5));
    put(header, "meta", arg_ref(command, 6));
    put_text(header, "pages", count);
    value_take(server, header, "reset", 5);
    return word("ok");
}

static struct kpid_reply *sweep(struct server *server, const struct command *command)
{
    const struct blob *nonce = header_get(key(server, command, 1), "nonce");
    if (!nonce || !blob_is(nonce, arg(command, 1)->bytes, arg(command, 1)->len))
        return reply_int(0);
    for (size_t i = 4; i <= command->n_keys; i++) {
        const struct blob *id = arg(command, 2 * i - 6), *name = arg(command, 2 * i - 5);
        const struct blob *entry = value_get(key(server, command, 2), id->bytes, id->len);
        struct blob *found = entry ? name_of(entry) : NULL;
        if (!found || !blob_is(found, name->bytes, name->len) || server->broken == BREAK_SWEEP)
            server_unlink(server, command->words[i - 1]);
        blob_free(found);
        struct value *orphans = key(server, command, 3);
        if (orphans)
            value_take(server, orphans, name->bytes, name->len);
    }
    return reply_int(1);
}

static struct kpid_reply *ask(struct server *server, const struct command *command)
{
    struct value *header = key(server, command, 1);
    char seq[24];
    if (!header)
        return reply_int(0);
    const struct blob *found = header_get(header, "seq");
    snprintf(seq, sizeof(seq), "%lld", (found ? atoll(found->bytes) : 0) + 1);
    put_text(header, "seq", seq);
    put(header, "nonce", arg_ref(command, 1));
    put(header, "reset", arg_ref(command, 2));
    return reply_int(1);
}

struct kpid_reply *server_eval(struct server *server, const struct command *command)
{
    if (command->script == KPID_SCRIPT_ACQUIRE)
        return acquire(server, command);
    if (command->script == KPID_SCRIPT_COMMIT)
        return commit(server, command);
    if (command->script == kpid_store_reset_script)
        return ask(server, command);
    assert(command->script == KPID_SCRIPT_SWEEP);
    return sweep(server, command);
}
