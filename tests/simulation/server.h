/*
 * A Redis of memory, as far as a shard's store needs it: six commands, and what the store's three scripts do,
 * told in C and compared with a real server by the replay. It can be saved, fall back to what was saved, be
 * emptied, lose a key, and refuse writes as a full one does.
 */
#ifndef KPID_SIMULATION_SERVER_H
#define KPID_SIMULATION_SERVER_H

#include "kpid/redis.h"

/* Bytes that are shared and never change. */
struct blob {
    size_t refs, len;
    char bytes[];
};
struct blob *blob_new(const void *bytes, size_t len);
struct blob *blob_ref(struct blob *blob);
void blob_free(struct blob *blob); /* NULL is allowed */
bool blob_is(const struct blob *blob, const void *bytes, size_t len);

/* A command, or a script with its keys and arguments. */
struct command {
    const char *script; /* text; NULL: a plain command */
    size_t n_keys, n;
    struct blob **words; /* keys first */
};
void command_release(struct command *command);

enum value_kind { VALUE_STRING, VALUE_HASH, VALUE_SET };
struct field {
    struct blob *name, *value; /* of a set: no value */
};
struct value {
    struct blob *key;
    enum value_kind kind;
    struct blob *string;
    struct field *fields;
    size_t n, cap;
};
struct values {
    struct value *at;
    size_t n, cap;
};

/* What a script leaves out, to see that the simulation notices. */
#define SERVER_BREAKS(X)                                                                                     \
    X(NONE, "")                                                                                              \
    X(NONCE, "a commit does not compare the nonce")                                                          \
    X(SEQ, "a commit does not compare the seq")                                                              \
    X(TAKE, "a takeover does not compare the header")                                                        \
    X(LENGTH, "staged pages are not looked for")                                                             \
    X(SWEEP, "a sweep does not ask the manifest")                                                            \
    X(PAGES, "a commit does not look whether the manifest is whole")                                         \
    X(WHOLE, "a whole state leaves older pages in the manifest")
enum server_break {
#define X(name, text) BREAK_##name,
    SERVER_BREAKS(X)
#undef X
        BREAK_N
};

struct server {
    enum server_break broken;
    struct values now, saved;
    bool has_saved, full; /* full: refuses writes */
    uint64_t writes;      /* commands that may have changed something */
};

void server_release(struct server *server);
/* Executes it as a whole. The answer is owned: reply_free. */
struct kpid_reply *server_execute(struct server *server, const struct command *command);
void reply_free(struct kpid_reply *reply);

void server_save(struct server *server);
void server_fall(struct server *server);             /* back to what was saved; what was saved stays */
void server_empty(struct server *server);            /* and there is nothing to fall back to */
void server_delete(struct server *server, size_t i); /* the i-th key */

struct value *server_find(struct server *server, const char *key, size_t len);
struct blob *value_get(const struct value *value, const char *name,
                       size_t len); /* NULL: no such field; borrowed */

/* server_script.c: the three scripts. */
struct kpid_reply *server_eval(struct server *server, const struct command *command);
/* For them. */
struct value *server_make(struct server *server, struct blob *key, enum value_kind kind);
void server_unlink(struct server *server, const struct blob *key);
void value_put(struct value *value, struct blob *name, struct blob *field_value);          /* takes neither */
void value_take(struct server *server, struct value *value, const void *name, size_t len); /* HDEL, SREM */
void value_set(struct value *value, struct blob *string);
struct kpid_reply *reply_array(size_t n);
struct kpid_reply *reply_int(int64_t integer);
struct kpid_reply *reply_error(const char *text);
void reply_fill(const struct kpid_reply *array, size_t i, const struct blob *blob); /* NULL: nil */
void reply_fill_text(const struct kpid_reply *array, size_t i, const char *text, size_t len);

#endif
