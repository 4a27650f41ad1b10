/*
 * One commit on its way to Redis: a single script, or, above KPID_STAGE_BYTES, in three steps: the names of
 * its pages are put down as orphans, the pages are written, at most KPID_STORE_FLIGHT_BYTES of them under way
 * at a time, and the script finds them there. A commit that breaks off leaves names that the next acquisition
 * removes; one that is given up puts its names down again, since another owner may have swept them before the
 * pages were written. Only what a dead connection or process writes after that sweep is left behind for good,
 * and nothing reads it.
 */
#include "store_internal.h"

#include "kpid/fault_point.h"
#include "kpid/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_PER_COMMAND 512

static void name_pages(struct kpid_store *store)
{
    struct kpid_store_doubt *doubt = &store->doubt;
    struct kpid_buf key = KPID_BUF_INIT;
    size_t prefix = strlen(store->key) + 3;
    doubt->pages = kpid_zalloc(doubt->commit.n_pages, sizeof(*doubt->pages));
    for (size_t i = 0; i < doubt->commit.n_pages; i++) {
        const struct kpid_page *page = &doubt->commit.pages[i];
        struct kpid_store_page *named = &doubt->pages[i];
        kpid_buf_clear(&key);
        kpid_buf_printf(&key, "%s:p:%" PRIu64 ".%s.%" PRIu64, store->key, page->id, store->nonce, doubt->seq);
        named->key = kpid_strndup(key.data, key.len);
        named->name = named->key + prefix;
        snprintf(named->id, sizeof(named->id), "%" PRIu64, page->id);
        snprintf(named->len, sizeof(named->len), "%zu", page->len);
        int n = snprintf(named->entry, sizeof(named->entry), "%s %zu %016" PRIx64, named->name, page->len,
                         kpid_hash(page->bytes, page->len, 0));
        assert(n > 0 && (size_t)n < sizeof(named->entry));
        doubt->page_bytes += page->len;
    }
    kpid_buf_release(&key);
}

static bool is_staged(const struct kpid_store_doubt *doubt)
{
    return doubt->page_bytes > KPID_STAGE_BYTES;
}

static bool is_word(const struct kpid_reply *reply, const char *word)
{
    return reply->len == strlen(word) && memcmp(reply->str, word, reply->len) == 0;
}

static void on_committed(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    KPID_FAULT_POINT("commit.answered");
    if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 1 && is_word(&reply->items[0], "ok")) {
        kpid_commit_acknowledged(store);
    } else if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 1 && is_word(&reply->items[0], "lost")) {
        kpid_commit_lost(store);
    } else if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 3 &&
               is_word(&reply->items[0], "refused")) {
        struct kpid_store_found found = kpid_store_found_of(store, &reply->items[1], &reply->items[2]);
        kpid_commit_refused(store, &found);
    } else if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 2 &&
               is_word(&reply->items[0], "unstaged")) {
        kpid_store_set_error(store, "a page that was written for the commit is not there");
        kpid_commit_down(store);
    } else {
        kpid_store_explain(store, reply);
        kpid_commit_down(store);
    }
}

/* The arguments in the order of commit_script.c. Returns how many. */
static size_t fill_args(const struct kpid_store *store, char texts[4][24], struct kpid_bulk *args)
{
    const struct kpid_commit *commit = &store->doubt.commit;
    bool staged = is_staged(&store->doubt);
    size_t n = 0;
    snprintf(texts[0], 24, "%" PRIu64, store->seq);
    snprintf(texts[1], 24, "%" PRIu64, store->doubt.seq);
    snprintf(texts[2], 24, "%zu", commit->n_pages);
    args[n++] = KPID_BULK_STR(store->absent ? "" : store->nonce);
    args[n++] = KPID_BULK_STR(store->absent ? "" : texts[0]);
    args[n++] = KPID_BULK_STR(store->nonce);
    args[n++] = KPID_BULK_STR(texts[1]);
    args[n++] = KPID_BULK_STR(KPID_STORE_FORMAT_TEXT);
    args[n++] = (struct kpid_bulk){commit->meta.data, commit->meta.len};
    args[n++] = KPID_BULK_STR(commit->reset ? "1" : "0");
    args[n++] = KPID_BULK_STR(staged ? "1" : "0");
    args[n++] = KPID_BULK_STR(texts[2]);
    for (size_t i = 0; i < commit->n_pages; i++) {
        const struct kpid_store_page *named = &store->doubt.pages[i];
        args[n++] = KPID_BULK_STR(named->id);
        args[n++] = KPID_BULK_STR(named->entry);
        args[n++] = staged ? KPID_BULK_STR(named->len)
                           : (struct kpid_bulk){commit->pages[i].bytes, commit->pages[i].len};
    }
    return n;
}

static void send_script(struct kpid_store *store)
{
    const struct kpid_commit *commit = &store->doubt.commit;
    struct kpid_bulk *keys = kpid_alloc((3 + commit->n_pages) * sizeof(*keys));
    struct kpid_bulk *args = kpid_alloc((9 + 3 * commit->n_pages + commit->n_dropped) * sizeof(*args));
    char(*ids)[24] = kpid_alloc(commit->n_dropped * sizeof(*ids));
    char texts[4][24];
    size_t n_args = fill_args(store, texts, args);
    for (size_t i = 0; i < commit->n_dropped; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%" PRIu64, commit->dropped[i]);
        args[n_args++] = KPID_BULK_STR(ids[i]);
    }
    for (size_t i = 0; i < commit->n_pages; i++)
        keys[3 + i] = KPID_BULK_STR(store->doubt.pages[i].key);
    kpid_store_eval(store, KPID_TASK_WRITE, &store->commit_script, keys, 3 + commit->n_pages, args, n_args,
                    on_committed);
    KPID_FAULT_POINT("commit.sent");
    free(keys);
    free(args);
    free(ids);
}

/* false: Redis did not accept it, and the commit has failed. */
static bool accepted(struct kpid_store *store, const struct kpid_reply *reply)
{
    if (reply->kind != KPID_REPLY_ERROR && reply->kind != KPID_REPLY_DOWN)
        return true;
    kpid_store_explain(store, reply);
    kpid_commit_down(store);
    return false;
}

static void stage_more(struct kpid_store *store);

static void on_staged(struct kpid_store *store, const struct kpid_reply *reply, size_t bytes)
{
    if (!accepted(store, reply))
        return;
    store->stage_acks--;
    store->stage_flight -= bytes;
    if (store->staged < store->doubt.commit.n_pages)
        stage_more(store);
    else if (store->stage_acks == 0)
        send_script(store);
}

static void stage_more(struct kpid_store *store)
{
    const struct kpid_commit *commit = &store->doubt.commit;
    while (store->staged < commit->n_pages) {
        const struct kpid_page *page = &commit->pages[store->staged];
        if (store->stage_acks > 0 && store->stage_flight + page->len > KPID_STORE_FLIGHT_BYTES)
            return;
        struct kpid_bulk set[] = {KPID_BULK_STR("SET"),
                                  KPID_BULK_STR(store->doubt.pages[store->staged].key),
                                  {page->bytes, page->len}};
        store->staged++;
        store->stage_acks++;
        store->stage_flight += page->len;
        kpid_store_send(store, KPID_TASK_WRITE, set, 3, on_staged, page->len);
        KPID_FAULT_POINT("commit.staging");
    }
}

static void on_announced(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (accepted(store, reply) && --store->stage_acks == 0)
        stage_more(store);
}

/* Puts the names of the doubt's pages down as orphans. Returns how many answers are due. */
static size_t put_names_down(struct kpid_store *store, kpid_store_then *then)
{
    size_t n_pages = store->doubt.commit.n_pages, n_commands = 0;
    struct kpid_bulk bulks[2 + NAMES_PER_COMMAND] = {KPID_BULK_STR("SADD"), KPID_BULK_STR(store->orphans)};
    for (size_t begin = 0; begin < n_pages; begin += NAMES_PER_COMMAND) {
        size_t n = 2;
        for (size_t i = begin; i < n_pages && i < begin + NAMES_PER_COMMAND; i++)
            bulks[n++] = KPID_BULK_STR(store->doubt.pages[i].name);
        kpid_store_send(store, KPID_TASK_WRITE, bulks, n, then, 0);
        n_commands++;
    }
    return n_commands;
}

/* Names first: a page without a name in the set would never be found again. */
static void announce(struct kpid_store *store)
{
    store->staged = store->stage_flight = 0;
    store->stage_acks = put_names_down(store, on_announced);
}

static void on_nothing(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)store;
    (void)reply;
    (void)number;
}

void kpid_write_abandon(struct kpid_store *store)
{
    if (store->doubt.pages && is_staged(&store->doubt))
        put_names_down(store, on_nothing);
}

void kpid_write_doubt(struct kpid_store *store)
{
    if (!store->doubt.pages)
        name_pages(store);
    KPID_FAULT_POINT("commit.sending");
    if (is_staged(&store->doubt))
        announce(store);
    else
        send_script(store);
}
