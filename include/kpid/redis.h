/*
 * Redis on the loop, one server, a master that Sentinel names, or a cluster: the only place that knows hiredis. Commands
 * are encoded here (RESP, length-prefixed; no printf-style formatting), pipelined, and answered in order. It connects,
 * reconnects with backoff (100 ms doubling to 5 s), authenticates, selects the database, and checks role and
 * maxmemory-policy at each connect. While it is down commands fail at once with KPID_REPLY_DOWN; nothing is queued behind
 * the caller's back. The program must ignore SIGPIPE: hiredis writes to sockets that the other side may have closed.
 *
 * Under Sentinel the sentinels are asked twice a second; the connection goes to the master that the newest
 * configuration names, and is given up when they name another one. What a failover lost is the callers' matter.
 *
 * In a cluster it is up while every slot has a master and all masters are connected and accepted. Commands of one slot
 * keep their order and are sent one at a time, so that none overtakes another one that is sent again; others are
 * pipelined. MOVED and ASK are followed, TRYAGAIN (a slot on its way) and CLUSTERDOWN tried again until the timeout:
 * none of these was executed. A command's slot is that of its first key; SCAN goes through all masters.
 */
#ifndef KPID_REDIS_H
#define KPID_REDIS_H

#include "kpid/buf.h"

struct event_base;
struct kpid_redis;

struct kpid_redis_options {
    const char *url;          /* redis://[user:password@]host[:port][/db], unix:/path,
                                 redis+sentinel://[user:password@]host[:port],.../name[/db][?sentinel=[user]:password],
                                 redis+cluster://[user:password@]host[:port],...; % escapes in each part */
    int64_t timeout_ms;       /* a reply that takes longer, with nothing heard meanwhile, drops the connection; 0: never */
    bool allow_eviction;      /* else maxmemory-policy allkeys-* is refused: down(why) */
    bool only_reads;          /* a replica will do */
};

struct kpid_redis_events {
    void (*up)(void *ctx);                      /* connected, authenticated, policy accepted */
    void (*down)(void *ctx, const char *why);   /* edge, and when the reason changes meanwhile; why is borrowed */
};

/* One bulk of a command, borrowed for the call. */
struct kpid_bulk {
    const void *bytes;
    size_t len;
};
#define KPID_BULK_STR(s) ((struct kpid_bulk){ (s), strlen(s) })

/* A reply, borrowed for the call. */
enum kpid_reply_kind { KPID_REPLY_STATUS, KPID_REPLY_ERROR, KPID_REPLY_INT, KPID_REPLY_STR, KPID_REPLY_NIL,
                       KPID_REPLY_ARRAY, KPID_REPLY_DOWN /* the connection was lost: it may have been executed;
                                                            str says why */ };
struct kpid_reply {
    enum kpid_reply_kind kind;
    int64_t integer;
    const char *str;
    size_t len;
    const struct kpid_reply *items;
    size_t n_items;
};
typedef void kpid_redis_done(void *ctx, const struct kpid_reply *reply);

/* NULL: the URL is wrong, `error` says how. Borrows base and events. Connects in the background. */
struct kpid_redis *kpid_redis_open(struct event_base *base, const struct kpid_redis_options *options,
                                   const struct kpid_redis_events *events, void *ctx,
                                   struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_redis_close(struct kpid_redis *redis); /* outstanding commands are answered with KPID_REPLY_DOWN first */
bool kpid_redis_up(const struct kpid_redis *redis);
/* How often since it was first up a master may have lost what it had acknowledged: it was restarted, or another one took
 * its place. It changes before `up` is called, and is never higher for a connection that was only lost. */
uint64_t kpid_redis_losses(const struct kpid_redis *redis);
const char *kpid_redis_warning(const struct kpid_redis *redis);  /* "" or what was found at the last connect; borrowed */
size_t kpid_redis_pending(const struct kpid_redis *redis);       /* commands not yet answered */
size_t kpid_redis_pending_bytes(const struct kpid_redis *redis); /* bytes not yet handed to the kernel */

/* Sends a command of n bulks (copied). done is called exactly once, never from within this call; NULL: not wanted.
 * When down, done gets KPID_REPLY_DOWN on a later turn of the loop. */
void kpid_redis_send(struct kpid_redis *redis, const struct kpid_bulk *bulks, size_t n, kpid_redis_done *done,
                     void *ctx);
/* EVALSHA with EVAL as the fall-back on NOSCRIPT; sha1 is worked out once a script. The text must outlive the call. Calls
 * of one script keep their order; one that had to fall back comes after what was sent meanwhile. */
struct kpid_script {
    const char *text;
    char sha[41]; /* "" until first used */
};
void kpid_redis_eval(struct kpid_redis *redis, struct kpid_script *script, const struct kpid_bulk *keys, size_t n_keys,
                     const struct kpid_bulk *args, size_t n_args, kpid_redis_done *done, void *ctx);

/* Appends a URL without user and passwords. */
void kpid_redis_url_show(const char *url, struct kpid_buf *buf);
/* Appends what an error reply, or KPID_REPLY_DOWN, means to a person: "Redis has reached its maxmemory: OOM ...". */
void kpid_redis_explain(const struct kpid_reply *reply, struct kpid_buf *buf);
/* An error with this code ("NOPERM"), directly or out of a script. */
bool kpid_redis_error_is(const struct kpid_reply *reply, const char *code);

#endif
