/* hiredis on the loop. Unlike hiredis' own adapter it notes when bytes moved, which is what the reply timeout
 * asks. */
#include "redis_internal.h"

#include <assert.h>
#include <event2/event.h>
#include <hiredis/sds.h>
#include <stdlib.h>

#define POLL_MAGIC 0x706f6c6cu

struct poll {
    uint32_t magic;
    redisAsyncContext *ac;
    struct event *readable, *writable;
};

static struct poll *poll_of(void *arg)
{
    struct poll *poll = arg;
    assert(poll->magic == POLL_MAGIC);
    return poll;
}

static void note_progress(const redisAsyncContext *ac)
{
    struct kpid_redis *redis = ac->data;
    if (redis)
        redis->heard_ms = kpid_redis_now_ms();
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct poll *poll = poll_of(arg);
    note_progress(poll->ac);
    redisAsyncHandleRead(poll->ac);
}

/* A write counts as progress only in the middle of a long one: a stopped server takes short ones for a while.
 */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct poll *poll = poll_of(arg);
    struct kpid_redis *redis = poll->ac->data;
    if (redis && kpid_redis_pending_bytes(redis) > KPID_REDIS_SCRATCH_BYTES)
        note_progress(poll->ac);
    redisAsyncHandleWrite(poll->ac);
}

static void add_read(void *arg)
{
    event_add(poll_of(arg)->readable, NULL);
}

static void del_read(void *arg)
{
    event_del(poll_of(arg)->readable);
}

static void add_write(void *arg)
{
    event_add(poll_of(arg)->writable, NULL);
}

static void del_write(void *arg)
{
    event_del(poll_of(arg)->writable);
}

static void cleanup(void *arg)
{
    struct poll *poll = poll_of(arg);
    event_free(poll->readable);
    event_free(poll->writable);
    poll->magic = 0;
    free(poll);
}

bool kpid_redis_attach(redisAsyncContext *ac, struct event_base *base)
{
    struct poll *poll = kpid_zalloc(1, sizeof(*poll));
    poll->magic = POLL_MAGIC;
    poll->ac = ac;
    poll->readable = event_new(base, ac->c.fd, EV_READ | EV_PERSIST, on_readable, poll);
    poll->writable = event_new(base, ac->c.fd, EV_WRITE | EV_PERSIST, on_writable, poll);
    assert(poll->readable && poll->writable);
    ac->ev.data = poll;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    return event_add(poll->readable, NULL) == 0 && event_add(poll->writable, NULL) == 0;
}
