/*
 * The connection from the inside. One struct, these files:
 *   redis.c          open, close, and handing replies out
 *   redis_send.c     encoding and sending
 *   redis_ring.c     calls in the order of their answers
 *   redis_connect.c  the life of a connection: connect, lose, back off, the reply timeout
 *   redis_greet.c    what is said at each connect: AUTH, SELECT, PING, role, maxmemory-policy
 *   redis_libevent.c hiredis' readable and writable on the loop
 *   sentinel.c       where the master is; the connections to the sentinels are structs of the same kind
 *   cluster*.c       a cluster: no connection of its own, but one of the same kind for each master
 * hiredis answers in order, so that a ring of calls is all that is kept. A connection that is given up is first
 * detached (ac->data = NULL): whatever hiredis still says about it afterwards is nobody's.
 */
#ifndef KPID_STORE_REDIS_INTERNAL_H
#define KPID_STORE_REDIS_INTERNAL_H

#include "kpid/redis.h"
#include "redis_url.h"

#include <hiredis/async.h>

#define KPID_REDIS_MAGIC           0x72656469u
#define KPID_REDIS_BACKOFF_MIN_MS  100
#define KPID_REDIS_BACKOFF_MAX_MS  5000
#define KPID_REDIS_PLAIN_TIMEOUT_MS 2000 /* of connections on which only others are asked about */
#define KPID_REDIS_SCRATCH_BYTES   (1u << 16) /* the encoding buffer is not kept above this */

struct event;

/* A command that may have to be sent again: encoded, and, of an EVALSHA, the script for EVAL and where in the command
 * its arguments begin. */
struct kpid_redis_retry {
    struct kpid_buf command;
    size_t rest_at, n_bulks;
    const char *text; /* NULL: no script */
};

struct kpid_redis_call {
    kpid_redis_done *done;
    void *ctx;
    int64_t sent_ms;
    struct kpid_redis_retry *retry; /* owned, or NULL */
};

struct kpid_redis_ring {
    struct kpid_redis_call *calls;
    size_t head, n, cap;
};

struct kpid_redis {
    uint32_t magic;
    struct event_base *base;
    struct kpid_redis_url url;
    int64_t timeout_ms;
    bool only_reads;
    bool allow_eviction;
    bool plain; /* asked about others only: neither role nor policy matter, and no database */
    struct kpid_sentinel *sentinel; /* NULL: the place is fixed */
    struct kpid_cluster *cluster;   /* NULL: one server; else nothing of the connection below is used */
    struct kpid_redis_events events;
    void *ctx;

    redisAsyncContext *ac; /* NULL: not connected, and not trying */
    bool up, closing, closed;
    unsigned busy; /* depth of callbacks that will look at this struct again */
    struct kpid_redis_ring pending; /* sent, in the order of their replies */
    struct kpid_redis_ring failed;  /* to be answered with KPID_REPLY_DOWN on a later turn */
    struct kpid_buf scratch;        /* a command being encoded */
    struct kpid_buf why;            /* why it is down */
    struct kpid_buf told;           /* the reason that events.down was last called with */
    struct kpid_buf warning;

    char replid[41], replid_found[41]; /* of the data, when it was last up, and as the server says now; "": unknown */
    uint64_t losses;

    int64_t heard_ms; /* when bytes last moved */
    int64_t backoff_ms;
    struct event *reconnect_timer, *timeout_timer, *failed_timer;
};

/* redis_ring.c */
void kpid_redis_ring_push(struct kpid_redis_ring *ring, struct kpid_redis_call call);
struct kpid_redis_call kpid_redis_ring_pop(struct kpid_redis_ring *ring);

/* redis.c */
/* Takes url. options->url is not looked at. */
struct kpid_redis *kpid_redis_open_at(struct event_base *base, struct kpid_redis_url url, bool plain,
                                      const struct kpid_redis_options *options,
                                      const struct kpid_redis_events *events, void *ctx);
/* One of the other side's connections: host and port copied, the rest as in `like`. */
struct kpid_redis *kpid_redis_open_other(const struct kpid_redis *like, const char *host, int port, const char *user,
                                         const char *password, bool plain, const struct kpid_redis_events *events,
                                         void *ctx);
int64_t kpid_redis_now_ms(void); /* monotonic */
void kpid_redis_enter(struct kpid_redis *redis);
void kpid_redis_leave(struct kpid_redis *redis); /* frees it when it was closed meanwhile */
/* Sends while connecting too; the connection must exist. */
void kpid_redis_enqueue(struct kpid_redis *redis, const struct kpid_buf *command, struct kpid_redis_call call);
void kpid_redis_on_failed(int fd, short what, void *arg);
void kpid_redis_fail_pending(struct kpid_redis *redis);
/* Answers KPID_REPLY_DOWN on a later turn; frees call.retry. */
void kpid_redis_fail_later(struct kpid_redis *redis, struct kpid_redis_call call);

/* redis_send.c */
/* As kpid_redis_send, of what was encoded before. */
void kpid_redis_send_encoded(struct kpid_redis *redis, const struct kpid_buf *command, kpid_redis_done *done,
                             void *ctx);
struct kpid_redis_retry *kpid_redis_encode(const struct kpid_bulk *bulks, size_t n);
struct kpid_redis_retry *kpid_redis_encode_script(struct kpid_script *script, const struct kpid_bulk *keys,
                                                  size_t n_keys, const struct kpid_bulk *args, size_t n_args);
/* The same call as EVAL with the text. */
void kpid_redis_encode_whole(struct kpid_buf *buf, const struct kpid_redis_retry *retry);
void kpid_redis_retry_free(struct kpid_redis_retry *retry);
void kpid_redis_greet_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done);

/* redis_connect.c */
void kpid_redis_connect_later(struct kpid_redis *redis, int64_t after_ms);
void kpid_redis_on_connect_timer(int fd, short what, void *arg);
void kpid_redis_on_timeout(int fd, short what, void *arg);
void kpid_redis_watch(struct kpid_redis *redis); /* arms the reply timeout */
/* Gives the connection up. drop: hiredis is to free it; otherwise hiredis is already doing so. */
void kpid_redis_lose(struct kpid_redis *redis, const char *why, bool drop);
/* Tells the caller that it is down, unless it was so already for the same reason. redis->why is set. */
void kpid_redis_tell_down(struct kpid_redis *redis, bool was_up);
void kpid_redis_tell_up(struct kpid_redis *redis);

/* redis_greet.c */
void kpid_redis_greet(struct kpid_redis *redis);

/* sentinel.c */
/* Asks the sentinels that redis->url names, from now on. */
struct kpid_sentinel *kpid_sentinel_open(struct kpid_redis *redis);
void kpid_sentinel_close(struct kpid_sentinel *sentinel);
void kpid_sentinel_free(struct kpid_sentinel *sentinel); /* closed before */
/* Sets host and port of redis->url. false: nobody knows; why gets a text. */
bool kpid_sentinel_find(struct kpid_sentinel *sentinel, struct kpid_buf *why);

/* cluster.c */
struct kpid_cluster *kpid_cluster_open(struct kpid_redis *redis);
void kpid_cluster_close(struct kpid_cluster *cluster);
void kpid_cluster_free(struct kpid_cluster *cluster); /* closed before */

/* cluster_call.c: as the functions of kpid/redis.h, of a cluster that is up */
void kpid_cluster_send(struct kpid_cluster *cluster, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done,
                       void *ctx);
void kpid_cluster_eval(struct kpid_cluster *cluster, struct kpid_script *script, const struct kpid_bulk *keys,
                       size_t n_keys, const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done, void *ctx);
size_t kpid_cluster_pending(const struct kpid_cluster *cluster);
size_t kpid_cluster_pending_bytes(const struct kpid_cluster *cluster);

/* redis_libevent.c */
bool kpid_redis_attach(redisAsyncContext *ac, struct event_base *base);

/* redis_reply.c */
/* Calls done with a view of raw: strings are borrowed, only arrays need room of their own. */
void kpid_redis_hand_out(const redisReply *raw, kpid_redis_done *done, void *ctx);

#endif
