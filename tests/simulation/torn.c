/*
 * One schedule by hand, since chance does not find it: while a follower reads, Redis falls back and another
 * owner takes the shard and commits, on the very seq and with the very ids of pages that were lost. What the
 * follower has of the one and reads of the other must not be handed over as one state.
 */
#include "network.h"

#include "kpid/follow.h"
#include "kpid/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct torn {
    struct server server;
    struct random random;
    struct network *network;
    struct kpid_redis *links[3];
    struct kpid_store *owners[2];
    struct kpid_follower *follower;
    enum kpid_store_status status;
    int looks, faults;
};

static const struct kpid_store_name name = {"kpi", "c", "g", "s", 0};

static void watch(void *ctx, const struct command *command, const struct kpid_reply *reply)
{
    (void)ctx;
    (void)command;
    (void)reply;
}

static void run(struct kpid_redis *link)
{
    bool more = true;
    while (more) {
        more = link_execute(link);
        more = link_answer(link) || more;
    }
}

/* ---- owners: each page says whose it is ---- */

static void on_loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                      const struct kpid_page *pages, size_t n_pages)
{
    struct torn *torn = ctx;
    (void)meta;
    (void)meta_len;
    (void)pages;
    (void)n_pages;
    torn->status = status;
}

static void on_committed(void *ctx, enum kpid_store_status status)
{
    struct torn *torn = ctx;
    torn->status = status;
}

static void acquire(struct torn *torn, int who)
{
    uint8_t nonce[16];
    memset(nonce, 'a' + who, sizeof(nonce));
    kpid_store_acquire(torn->owners[who], nonce, on_loaded, torn);
    run(torn->links[who]);
    assert(torn->status == KPID_STORE_OK);
}

/* `meta`: the ids of all pages, and before them whose they are; `id`: the new page, 0: none. */
static void commit(struct torn *torn, int who, const char *meta, uint64_t id)
{
    struct kpid_commit new = {0};
    kpid_buf_add_str(&new.meta, meta);
    if (id) {
        new.pages = kpid_zalloc(1, sizeof(*new.pages));
        new.n_pages = 1;
        new.pages[0] = (struct kpid_page){id, kpid_strndup(who ? "b" : "a", 1), 1};
    }
    kpid_store_commit(torn->owners[who], &new, on_committed, torn);
    run(torn->links[who]);
    assert(torn->status == KPID_STORE_OK);
}

/* ---- who follows ---- */

static bool pages_of(void *ctx, const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n)
{
    const char *text = meta;
    (void)ctx;
    *ret = kpid_zalloc(meta_len, sizeof(**ret));
    *ret_n = 0;
    for (size_t i = 1; i < meta_len; i++)
        (*ret)[(*ret_n)++] = (uint64_t)(text[i] - '0');
    return true;
}

/* The last page is of him whose meta it is. */
static bool on_news(void *ctx, const struct kpid_follow_news *news)
{
    struct torn *torn = ctx;
    torn->looks++;
    if (news->status != KPID_FOLLOW_NEW)
        return true;
    const struct kpid_page *last = &news->pages[news->n_pages - 1];
    const char *meta = news->meta;
    if (last->bytes[0] == meta[0])
        return true;
    torn->faults++;
    fprintf(stderr, "meta of %c with page %d of %c\n", meta[0], (int)last->id, last->bytes[0]);
    return true;
}

static void schedule(struct torn *torn)
{
    acquire(torn, 0);
    commit(torn, 0, "a1", 1); /* (a, 2) */
    server_save(&torn->server);
    commit(torn, 0, "a1", 0);  /* (a, 3): a dead letter was sent */
    commit(torn, 0, "a12", 2); /* (a, 4) */

    kpid_follower_look(torn->follower);
    for (int i = 0; i < 2; i++) { /* its live record and the header */
        link_execute(torn->links[2]);
        link_answer(torn->links[2]);
    }
    server_fall(&torn->server);
    acquire(torn, 1);          /* (b, 3) */
    commit(torn, 1, "b12", 2); /* (b, 4) */
    run(torn->links[2]);
    assert(torn->looks == 1);
    kpid_follower_look(torn->follower);
    run(torn->links[2]);
    assert(torn->looks == 2);
}

int main(void)
{
    static const struct kpid_follow_events events = {pages_of, on_news};
    struct torn torn = {.random = {1}};
    torn.network = network_new(&torn.server, &torn.random, watch, NULL);
    for (int i = 0; i < 3; i++) {
        torn.links[i] = link_new(torn.network);
        link_open(torn.links[i]);
    }
    for (int i = 0; i < 2; i++)
        torn.owners[i] = kpid_store_new(torn.links[i], &name);
    torn.follower = kpid_follower_new(torn.links[2], &name, &events, &torn);
    schedule(&torn);
    kpid_follower_free(torn.follower);
    for (int i = 0; i < 2; i++)
        kpid_store_free(torn.owners[i]);
    for (int i = 0; i < 3; i++)
        link_free(torn.links[i]);
    network_free(torn.network);
    server_release(&torn.server);
    return torn.faults > 0;
}
