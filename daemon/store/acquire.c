/*
 * Taking a shard over. The header is read, and then moved to the new nonce by a script that names what was
 * read: from then on every commit of the previous owner is refused, those too that are still under way on a
 * dead connection. Only then are the pages read (restore.c). A header of a newer version is left as it is.
 */
#include "store_internal.h"

#include "kpid/fault_point.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void read_header(struct kpid_store *store);

static enum kpid_store_reset reset_of(const struct kpid_reply *word)
{
    if (word->len == 4 && memcmp(word->str, "keep", 4) == 0)
        return KPID_STORE_RESET_KEEP;
    return word->len > 0 ? KPID_STORE_RESET_REBUILD : KPID_STORE_RESET_NONE;
}

enum kpid_store_reset kpid_store_reset(const struct kpid_store *store)
{
    return store->reset;
}

static void on_taken(struct kpid_store *store, const struct kpid_reply *reply, bool broken)
{
    KPID_FAULT_POINT("acquire.answered");
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items == 0) {
        kpid_store_explain(store, reply);
        kpid_load_finish(store, KPID_STORE_DOWN);
        return;
    }
    if (reply->n_items == 4)
        store->reset = reset_of(&reply->items[3]);
    if (reply->items[0].len != 2 || reply->n_items < 4) {
        /* A live owner writes on until its header is taken: try again, but not for ever. */
        if (++store->tries < KPID_STORE_TRIES) {
            read_header(store);
            return;
        }
        kpid_store_set_error(store, "the header moved each time that it was to be taken over");
        kpid_load_finish(store, KPID_STORE_OTHER);
    } else if (broken) {
        kpid_load_damaged(store, "the header has no usable nonce, seq or format");
    } else {
        kpid_load_begin(store, &reply->items[1], &reply->items[2], store->seq - 1);
    }
}

static void on_taken_broken(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    on_taken(store, reply, true);
}

static void on_taken_whole(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    on_taken(store, reply, false);
}

static void take(struct kpid_store *store, const struct kpid_reply *nonce, const struct kpid_reply *seq,
                 const struct kpid_store_found *found, bool broken)
{
    char next[24];
    store->seq = found->numbered ? found->seq + 1 : 1;
    store->last_seq = store->seq;
    snprintf(next, sizeof(next), "%" PRIu64, store->seq);
    struct kpid_bulk keys[3];
    struct kpid_bulk args[] = {{nonce->str, nonce->len},
                               {seq->str, seq->len},
                               {store->nonce, 32},
                               KPID_BULK_STR(next),
                               KPID_BULK_STR(KPID_STORE_FORMAT_TEXT)};
    kpid_store_eval(store, KPID_TASK_LOAD, &store->acquire_script, keys, 3, args, KPID_COUNT_OF(args),
                    broken ? on_taken_broken : on_taken_whole);
    KPID_FAULT_POINT("acquire.sent");
}

static void on_header(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items != 3) {
        kpid_store_explain(store, reply);
        kpid_load_finish(store, KPID_STORE_DOWN);
        return;
    }
    const struct kpid_reply *nonce = &reply->items[0], *seq = &reply->items[1], *format = &reply->items[2];
    if (format->len > 0 && (format->len != strlen(KPID_STORE_FORMAT_TEXT) ||
                            memcmp(format->str, KPID_STORE_FORMAT_TEXT, format->len) != 0)) {
        kpid_buf_clear(&store->error);
        kpid_buf_printf(&store->error, "%s has format %.*s, this program reads " KPID_STORE_FORMAT_TEXT,
                        store->header, (int)(format->len < 20 ? format->len : 20), format->str);
        kpid_load_finish(store, KPID_STORE_FORMAT);
        return;
    }
    struct kpid_store_found found = kpid_store_found_of(store, nonce, seq);
    bool broken = found.absent ? format->len > 0 : nonce->len == 0 || !found.numbered || format->len == 0;
    take(store, nonce, seq, &found, broken);
}

static void read_header(struct kpid_store *store)
{
    kpid_store_ask_header(store, KPID_TASK_LOAD, on_header);
}

void kpid_store_acquire(struct kpid_store *store, const uint8_t nonce[16], kpid_store_loaded *done, void *ctx)
{
    assert(!store->load && !store->done);
    kpid_store_forget(store, KPID_TASK_LOAD);
    kpid_store_forget(store, KPID_TASK_WRITE);
    kpid_store_forget(store, KPID_TASK_SWEEP);
    kpid_doubt_release(&store->doubt);
    kpid_commit_release(&store->next);
    store->has_next = store->owned = store->absent = store->need_reset = store->sweeping = false;
    store->unswept = true;
    store->reset = KPID_STORE_RESET_NONE;
    store->tries = 0;
    for (size_t i = 0; i < 16; i++)
        snprintf(store->nonce + 2 * i, 3, "%02x", nonce[i]);
    kpid_store_set_error(store, "");
    store->load = kpid_load_new(done, ctx);
    read_header(store);
}

void kpid_store_cancel(struct kpid_store *store)
{
    kpid_store_forget(store, KPID_TASK_LOAD);
    kpid_load_free(store->load);
    store->load = NULL;
}
