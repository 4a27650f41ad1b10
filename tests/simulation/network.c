#include "network.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct call {
    struct call *next;
    kpid_redis_done *done;
    void *ctx;
    struct command command;
    struct kpid_reply *reply; /* NULL: not executed */
};

struct kpid_redis {
    struct network *network;
    struct call *first, *last;
    bool up;
};

struct ghost {
    struct command *commands;
    size_t n, at;
};

struct network {
    struct server *server;
    struct random *random;
    network_watch *watch;
    void *ctx;
    struct ghost *ghosts;
    size_t n_ghosts;
};

struct network *network_new(struct server *server, struct random *random, network_watch *watch, void *ctx)
{
    struct network *network = kpid_zalloc(1, sizeof(*network));
    *network = (struct network){.server = server, .random = random, .watch = watch, .ctx = ctx};
    return network;
}

static void ghost_release(struct ghost *ghost)
{
    for (size_t i = 0; i < ghost->n; i++)
        command_release(&ghost->commands[i]);
    free(ghost->commands);
}

void network_free(struct network *network)
{
    for (size_t i = 0; i < network->n_ghosts; i++)
        ghost_release(&network->ghosts[i]);
    free(network->ghosts);
    free(network);
}

static struct kpid_reply *execute(struct network *network, const struct command *command)
{
    struct kpid_reply *reply = server_execute(network->server, command);
    network->watch(network->ctx, command, reply);
    return reply;
}

void network_execute(struct network *network, const struct command *command)
{
    reply_free(execute(network, command));
}

bool network_haunt(struct network *network)
{
    if (network->n_ghosts == 0)
        return false;
    size_t i = (size_t)random_below(network->random, (int64_t)network->n_ghosts);
    struct ghost *ghost = &network->ghosts[i];
    reply_free(execute(network, &ghost->commands[ghost->at++]));
    if (ghost->at == ghost->n) {
        ghost_release(ghost);
        *ghost = network->ghosts[--network->n_ghosts];
    }
    return true;
}

/* ---- one connection ---- */

struct kpid_redis *link_new(struct network *network)
{
    struct kpid_redis *link = kpid_zalloc(1, sizeof(*link));
    link->network = network;
    return link;
}

bool link_up(const struct kpid_redis *link)
{
    return link->up;
}

void link_open(struct kpid_redis *link)
{
    link->up = true;
}

static struct kpid_reply *down(void)
{
    struct kpid_reply *reply = reply_error("the connection was lost");
    reply->kind = KPID_REPLY_DOWN;
    return reply;
}

void link_break(struct kpid_redis *link)
{
    struct network *network = link->network;
    struct ghost ghost = {0};
    size_t n = 0;
    link->up = false;
    for (const struct call *call = link->first; call; call = call->next)
        n += call->reply == NULL;
    size_t kept = (size_t)random_below(network->random, (int64_t)n + 1);
    ghost.commands = kpid_zalloc(n + 1, sizeof(*ghost.commands));
    for (struct call *call = link->first; call; call = call->next) {
        if (!call->reply && ghost.n < kept) {
            ghost.commands[ghost.n++] = call->command;
            call->command = (struct command){0};
        }
        reply_free(call->reply);
        call->reply = down();
    }
    if (kept == 0) {
        free(ghost.commands);
        return;
    }
    network->ghosts = kpid_realloc(network->ghosts, (network->n_ghosts + 1) * sizeof(ghost));
    network->ghosts[network->n_ghosts++] = ghost;
}

bool link_execute(struct kpid_redis *link)
{
    struct call *call = link->first;
    while (call && call->reply)
        call = call->next;
    if (!call)
        return false;
    call->reply = execute(link->network, &call->command);
    return true;
}

bool link_answer(struct kpid_redis *link)
{
    struct call *call = link->first;
    if (!call || !call->reply)
        return false;
    link->first = call->next;
    if (!link->first)
        link->last = NULL;
    call->done(call->ctx, call->reply);
    reply_free(call->reply);
    command_release(&call->command);
    free(call);
    return true;
}

void link_free(struct kpid_redis *link)
{
    link_break(link);
    while (link_answer(link))
        continue;
    free(link);
}

/* ---- what the store calls ---- */

static void call_add(struct kpid_redis *link, const char *script, const struct kpid_bulk *keys, size_t n_keys,
                     const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done, void *ctx)
{
    struct call *call = kpid_zalloc(1, sizeof(*call));
    call->done = done;
    call->ctx = ctx;
    call->command = (struct command){.script = script, .n_keys = n_keys, .n = n_keys + n_args};
    call->command.words = kpid_zalloc(n_keys + n_args, sizeof(*call->command.words));
    for (size_t i = 0; i < n_keys + n_args; i++) {
        const struct kpid_bulk *bulk = i < n_keys ? &keys[i] : &args[i - n_keys];
        call->command.words[i] = blob_new(bulk->bytes, bulk->len);
    }
    if (!link->up)
        call->reply = down();
    if (link->last)
        link->last->next = call;
    else
        link->first = call;
    link->last = call;
}

void kpid_redis_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done,
                     void *ctx)
{
    call_add(redis, NULL, NULL, 0, bulks, n, done, ctx);
}

void kpid_redis_eval(struct kpid_redis *redis, struct kpid_script *script, const struct kpid_bulk *keys,
                     size_t n_keys, const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done,
                     void *ctx)
{
    call_add(redis, script->text, keys, n_keys, args, n_args, done, ctx);
}

void kpid_redis_explain(const struct kpid_reply *reply, struct kpid_buf *buf)
{
    if (reply->str)
        kpid_buf_add(buf, reply->str, reply->len);
    else
        kpid_buf_add_str(buf, "an unexpected answer");
}

bool kpid_redis_error_is(const struct kpid_reply *reply, const char *code)
{
    return reply->kind == KPID_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}
