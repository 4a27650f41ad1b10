/* clang-format off: a table */
/*
 * The order of commits.
 *
 * A commit is sent as `doubt` and stays there until Redis has said what became of it. If the answer is lost,
 * nobody knows whether it was executed, or is still to be: a command on a connection that was given up may
 * run any time later. So nothing is assumed. The content and its seq are kept, and the next call of
 * kpid_store_commit, whatever it brings, reads the header first:
 *
 *   header found              what it means                  what is done
 *   ours, the doubt's seq     it arrived                     go on from it
 *   ours, the seq before it   it did not arrive, or not yet  send the very same content with the same seq (*)
 *   ours, any other seq       Redis lost a suffix            BEHIND: a whole state must follow
 *   none                      Redis lost everything          BEHIND: written only if it is still absent
 *   another nonce             another owner                  OTHER
 *
 * (*) If the late one wins the race, ours is refused with the doubt's seq found: it arrived.
 *
 * A refusal brings the header along and is judged by the same table. What was lost with a suffix can't come
 * back: a late commit builds on a seq that is not there any more, and new commits get seqs above every one
 * ever used.
 *
 * A commit that comes while an earlier one is in doubt waits as `next`, and several become one: ids of pages
 * are unique, pages hold absolute values, the newest meta counts. So after DOWN nothing is lost, and the
 * caller repeats nothing. A whole state (reset) makes everything before it superfluous, but a doubt is still
 * resolved first; a whole state that is itself in doubt may be sent again on any header of ours.
 */
/* clang-format on */
#include "store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void kpid_doubt_release(struct kpid_store_doubt *doubt)
{
    for (size_t i = 0; doubt->pages && i < doubt->commit.n_pages; i++)
        free(doubt->pages[i].key);
    free(doubt->pages);
    kpid_commit_release(&doubt->commit);
    memset(doubt, 0, sizeof(*doubt));
}

static void drop_all(struct kpid_store *store)
{
    kpid_doubt_release(&store->doubt);
    kpid_commit_release(&store->next);
    store->has_next = false;
}

static void finish(struct kpid_store *store, enum kpid_store_status status)
{
    kpid_store_done *done = store->done;
    store->done = NULL;
    kpid_store_forget(store, KPID_TASK_WRITE);
    if (status == KPID_STORE_OK && store->unswept)
        kpid_store_sweep(store);
    done(store->done_ctx, status);
}

void kpid_commit_down(struct kpid_store *store)
{
    finish(store, KPID_STORE_DOWN);
}

static void append(void **list, size_t *n, const void *more, size_t n_more, size_t size)
{
    if (n_more == 0)
        return;
    *list = kpid_realloc(*list, (*n + n_more) * size);
    memcpy((char *)*list + *n * size, more, n_more * size);
    *n += n_more;
}

/* Takes more. */
static void merge(struct kpid_commit *into, struct kpid_commit *more)
{
    void *pages = into->pages, *dropped = into->dropped;
    append(&pages, &into->n_pages, more->pages, more->n_pages, sizeof(*into->pages));
    append(&dropped, &into->n_dropped, more->dropped, more->n_dropped, sizeof(*into->dropped));
    into->pages = pages;
    into->dropped = dropped;
    kpid_buf_clear(&into->meta);
    kpid_buf_add(&into->meta, more->meta.data, more->meta.len);
    more->n_pages = 0; /* their bytes have moved */
    kpid_commit_release(more);
}

static void take_commit(struct kpid_store *store, struct kpid_commit *commit)
{
    if (store->has_next && !commit->reset) {
        merge(&store->next, commit);
    } else {
        kpid_commit_release(&store->next);
        store->next = *commit;
        memset(commit, 0, sizeof(*commit));
    }
    store->has_next = true;
}

/* Writes what is there, oldest first; the end when nothing is left. */
static void go_on(struct kpid_store *store)
{
    if (store->doubt.set && store->has_next && store->next.reset)
        kpid_doubt_release(&store->doubt);
    if (!store->doubt.set && store->has_next) {
        store->doubt.set = true;
        store->doubt.seq = ++store->last_seq;
        store->doubt.commit = store->next;
        memset(&store->next, 0, sizeof(store->next));
        store->has_next = false;
    }
    if (store->doubt.set)
        kpid_write_doubt(store);
    else
        finish(store, KPID_STORE_OK);
}

/* The doubt is in Redis. */
static void settle(struct kpid_store *store)
{
    const struct kpid_commit *commit = &store->doubt.commit;
    store->seq = store->doubt.seq;
    store->absent = false;
    if (commit->reset)
        store->need_reset = false;
    if (commit->reset || commit->n_dropped > 0 || store->doubt.page_bytes > KPID_STAGE_BYTES)
        store->unswept = true;
    kpid_doubt_release(&store->doubt);
}

void kpid_commit_acknowledged(struct kpid_store *store)
{
    settle(store);
    go_on(store);
}

static void let_go(struct kpid_store *store)
{
    kpid_write_abandon(store);
    drop_all(store);
    store->owned = false;
    kpid_store_set_error(store, "another owner has taken the shard");
    finish(store, KPID_STORE_OTHER);
}

/* Redis does not hold what this process built on. */
static void fall_behind(struct kpid_store *store, const struct kpid_store_found *found)
{
    store->absent = found->absent;
    if (!found->absent) {
        store->seq = found->seq;
        if (found->seq > store->last_seq)
            store->last_seq = found->seq;
    }
    store->need_reset = true;
}

static void want_whole(struct kpid_store *store, const char *why)
{
    kpid_write_abandon(store);
    drop_all(store);
    kpid_store_set_error(store, why);
    finish(store, KPID_STORE_BEHIND);
}

void kpid_commit_lost(struct kpid_store *store)
{
    store->need_reset = true;
    want_whole(store, "the manifest has not as many pages as the header says");
}

static void judge(struct kpid_store *store, const struct kpid_store_found *found)
{
    if (!store->owned || (!found->absent && (!found->mine || !found->numbered))) {
        let_go(store);
        return;
    }
    if (!found->absent && store->doubt.set && found->seq == store->doubt.seq)
        settle(store);
    else if (found->absent != store->absent || (!found->absent && found->seq != store->seq))
        fall_behind(store, found);
    bool whole = (store->has_next && store->next.reset) || (store->doubt.set && store->doubt.commit.reset &&
                                                            (found->absent || store->doubt.seq > found->seq));
    if (store->need_reset && !whole) {
        want_whole(store, store->absent ? "the header is gone" : "Redis holds an older state, or none");
        return;
    }
    go_on(store);
}

void kpid_commit_refused(struct kpid_store *store, const struct kpid_store_found *found)
{
    if (++store->tries >= KPID_STORE_TRIES) {
        kpid_store_set_error(store, "the header moved at each attempt");
        finish(store, KPID_STORE_DOWN);
        return;
    }
    judge(store, found);
}

static void on_header(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items < 2) {
        kpid_store_explain(store, reply);
        finish(store, KPID_STORE_DOWN);
        return;
    }
    struct kpid_store_found found = kpid_store_found_of(store, &reply->items[0], &reply->items[1]);
    judge(store, &found);
}

void kpid_store_commit(struct kpid_store *store, struct kpid_commit *commit, kpid_store_done *done, void *ctx)
{
    assert(!store->done && !store->load && done);
    store->done = done;
    store->done_ctx = ctx;
    store->tries = 0;
    kpid_store_set_error(store, "");
    if (commit)
        take_commit(store, commit);
    if (store->doubt.set || store->need_reset || !store->owned || !store->has_next)
        kpid_store_ask_header(store, KPID_TASK_WRITE, on_header);
    else
        go_on(store);
}

size_t kpid_store_held_bytes(const struct kpid_store *store)
{
    const struct kpid_commit *held[] = {&store->doubt.commit, &store->next};
    size_t bytes = 0;
    for (size_t i = 0; i < KPID_COUNT_OF(held); i++) {
        bytes += held[i]->meta.len;
        for (size_t j = 0; j < held[i]->n_pages; j++)
            bytes += held[i]->pages[j].len;
    }
    return bytes;
}
