/*
 * Connections to the server of memory: kpid_redis_send and kpid_redis_eval as the store calls them. Nothing
 * moves by itself: who drives the simulation says when a command reaches the server, when an answer reaches
 * its caller, and when a connection breaks. What was under way on a broken one is a ghost: it may be executed
 * at any later time, in its order and in part, and nobody hears of it.
 */
#ifndef KPID_SIMULATION_NETWORK_H
#define KPID_SIMULATION_NETWORK_H

#include "server.h"
#include "../model/random.h"

struct network;

/* Called before and after the server executed something. */
typedef void network_watch(void *ctx, const struct command *command, const struct kpid_reply *reply);

struct network *network_new(struct server *server, struct random *random, network_watch *watch, void *ctx);
void network_free(struct network *network);

struct kpid_redis *link_new(struct network *network);
void link_free(struct kpid_redis *link); /* what is due is answered with DOWN */
bool link_up(const struct kpid_redis *link);
void link_open(struct kpid_redis *link);
void link_break(struct kpid_redis *link);
/* The next command reaches the server; the next answer reaches its caller. False: there is none. */
bool link_execute(struct kpid_redis *link);
bool link_answer(struct kpid_redis *link);
/* A command of somebody else reaches the server at once. */
void network_execute(struct network *network, const struct command *command);
/* A command of some ghost is executed. False: there is none. */
bool network_haunt(struct network *network);

#endif
