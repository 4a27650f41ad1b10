/*
 * One look at another owner's shard: header and live record; then, if the header is another one, the manifest's entries
 * of the pages that are missing here, and of one that is not: it has another name if the state was written as a whole
 * meanwhile. Then the pages, then the header again.
 */
#include "kpid/follow.h"

#include "store_internal.h"

#include "kpid/hash.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLLOWER_MAGIC    0x666f6c6cu
#define IDS_PER_COMMAND   1000

struct page_here {
    uint64_t id;
    char name[96];
};

struct page_due {
    struct kpid_entry_text at;
    struct kpid_page page;
};

struct kpid_follower {
    uint32_t magic;
    struct kpid_redis *redis;
    const struct kpid_follow_events *events;
    void *ctx;
    char *key, *header, *manifest, *record;
    size_t refs; /* the owner's one, and one for each answer that is due */
    bool freed, busy;
    uint64_t run; /* answers to an older look are nobody's */

    /* what was handed over */
    char nonce[33];
    uint64_t seq;
    struct page_here *here;
    size_t n_here;

    /* the look at work */
    struct kpid_follow_news news;
    struct kpid_buf meta, live;
    uint64_t *ids;       /* of the meta's pages */
    size_t n_ids;
    bool asked_first;    /* the first entry that was asked for is of a page that is here */
    struct page_due *due;
    size_t n_due, asked, answered, entries, flight_bytes;
};

struct way {
    struct kpid_follower *follower;
    uint64_t run;
    size_t number;
    void (*then)(struct kpid_follower *follower, const struct kpid_reply *reply, size_t number);
};

static void unref(struct kpid_follower *f)
{
    if (--f->refs > 0)
        return;
    free(f->key);
    free(f->header);
    free(f->manifest);
    free(f->record);
    free(f->here);
    f->magic = 0;
    free(f);
}

static void look_clear(struct kpid_follower *f)
{
    for (size_t i = 0; i < f->n_due; i++)
        free(f->due[i].page.bytes);
    free(f->due);
    free(f->ids);
    f->due = NULL;
    f->ids = NULL;
    f->n_due = f->n_ids = f->asked = f->answered = f->entries = f->flight_bytes = 0;
    kpid_buf_release(&f->meta);
    kpid_buf_release(&f->live);
}

static void on_answer(void *ctx, const struct kpid_reply *reply)
{
    struct way *way = ctx;
    struct kpid_follower *f = way->follower;

    assert(f->magic == FOLLOWER_MAGIC);
    if (!f->freed && way->run == f->run)
        way->then(f, reply, way->number);
    free(way);
    unref(f);
}

static void send(struct kpid_follower *f, const struct kpid_bulk *bulks, size_t n,
                 void (*then)(struct kpid_follower *, const struct kpid_reply *, size_t), size_t number)
{
    struct way *way = kpid_alloc(sizeof(*way));

    *way = (struct way){f, f->run, number, then};
    f->refs++;
    kpid_redis_send(f->redis, bulks, n, on_answer, way);
}

/* ---- the end of a look ---- */

static void forget(struct kpid_follower *f)
{
    f->nonce[0] = '\0';
    f->seq = 0;
    f->n_here = 0;
}

static void finish(struct kpid_follower *f, enum kpid_follow_status status)
{
    struct kpid_follow_news news = f->news;

    f->run++;
    f->busy = false;
    news.status = status;
    news.live = f->live.len ? f->live.data : NULL;
    news.live_len = f->live.len;
    f->refs++; /* the owner may free it */
    if (!f->events->news(f->ctx, &news) && !f->freed)
        forget(f);
    if (!f->freed)
        look_clear(f);
    unref(f);
}

static void hand_over(struct kpid_follower *f)
{
    struct kpid_page *pages = kpid_alloc((f->n_due + 1) * sizeof(*pages));
    size_t kept = f->news.whole ? 0 : f->n_here;

    f->here = kpid_realloc(f->here, (kept + f->n_due + 1) * sizeof(*f->here));
    for (size_t i = 0; i < f->n_due; i++) {
        pages[i] = f->due[i].page;
        f->here[kept + i].id = pages[i].id;
        memcpy(f->here[kept + i].name, f->due[i].at.name, sizeof(f->due[i].at.name));
    }
    f->n_here = kept + f->n_due;
    memcpy(f->nonce, f->news.nonce, sizeof(f->nonce));
    f->seq = f->news.seq;
    f->news.meta = f->meta.data;
    f->news.meta_len = f->meta.len;
    f->news.pages = pages;
    f->news.n_pages = f->n_due;
    finish(f, KPID_FOLLOW_NEW);
    free(pages);
}

/* ---- pages ---- */

/* The same owner, not gone back. After another one seqs and ids of pages that Redis lost may be there again, with other
 * content. */
static void on_still(struct kpid_follower *f, const struct kpid_reply *reply, size_t number)
{
    uint64_t seq;

    (void)number;
    if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 2 && reply->items[0].len == 32 &&
        memcmp(reply->items[0].str, f->news.nonce, 32) == 0 &&
        kpid_store_parse_u64(reply->items[1].str, reply->items[1].len, &seq) && seq >= f->news.seq)
        hand_over(f);
    else
        finish(f, KPID_FOLLOW_AGAIN);
}

static void ask_still(struct kpid_follower *f)
{
    struct kpid_bulk bulks[] = {KPID_BULK_STR("HMGET"), KPID_BULK_STR(f->header), KPID_BULK_STR("nonce"),
                                KPID_BULK_STR("seq")};
    send(f, bulks, KPID_COUNT_OF(bulks), on_still, 0);
}

static void ask_pages(struct kpid_follower *f);

static void on_page(struct kpid_follower *f, const struct kpid_reply *reply, size_t i)
{
    struct page_due *due = &f->due[i];

    if (reply->kind != KPID_REPLY_STR || reply->len != due->at.len ||
        kpid_hash(reply->str, reply->len, 0) != due->at.hash) {
        finish(f, KPID_FOLLOW_AGAIN);
        return;
    }
    due->page.bytes = kpid_strndup(reply->str, reply->len);
    due->page.len = reply->len;
    f->flight_bytes -= reply->len;
    f->answered++;
    ask_pages(f);
}

static void ask_pages(struct kpid_follower *f)
{
    struct kpid_buf key = KPID_BUF_INIT;

    while (f->asked < f->n_due) {
        const struct kpid_entry_text *at = &f->due[f->asked].at;
        if (f->asked > f->answered && f->flight_bytes + at->len > KPID_STORE_FLIGHT_BYTES)
            break;
        kpid_buf_clear(&key);
        kpid_buf_printf(&key, "%s:p:%s", f->key, at->name);
        struct kpid_bulk bulks[] = {KPID_BULK_STR("GET"), {key.data, key.len}};
        f->flight_bytes += at->len;
        send(f, bulks, 2, on_page, f->asked++);
    }
    kpid_buf_release(&key);
    if (f->answered == f->n_due)
        ask_still(f);
}

/* ---- the manifest ---- */

static void ask_entries(struct kpid_follower *f, bool whole);

/* Entries of due pages from `first` on; before them, if so asked, that of the first page that is here. */
static void on_entries(struct kpid_follower *f, const struct kpid_reply *reply, size_t first)
{
    size_t skip = f->asked_first && first == 0;

    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items < skip) {
        finish(f, KPID_FOLLOW_AGAIN);
        return;
    }
    if (skip) {
        struct kpid_entry_text known;
        if (!kpid_store_parse_entry(f->here[0].id, &reply->items[0], &known) ||
            strcmp(known.name, f->here[0].name) != 0) {
            f->run++;
            ask_entries(f, true);
            return;
        }
    }
    for (size_t i = skip; i < reply->n_items && first + i - skip < f->n_due; i++) {
        struct page_due *due = &f->due[first + i - skip];
        if (!kpid_store_parse_entry(due->page.id, &reply->items[i], &due->at) || due->at.seq > f->news.seq) {
            finish(f, KPID_FOLLOW_AGAIN);
            return;
        }
        f->entries++;
    }
    if (f->entries == f->n_due)
        ask_pages(f);
}

static void ask_entries(struct kpid_follower *f, bool whole)
{
    struct kpid_bulk bulks[3 + IDS_PER_COMMAND] = {KPID_BULK_STR("HMGET"), KPID_BULK_STR(f->manifest)};
    char texts[1 + IDS_PER_COMMAND][24];
    size_t from = whole ? 0 : f->n_here, done = 0;

    f->news.whole = whole;
    f->asked_first = !whole && f->n_here > 0;
    f->n_due = f->n_ids - from;
    free(f->due);
    f->due = kpid_zalloc(f->n_due + 1, sizeof(*f->due));
    for (size_t i = 0; i < f->n_due; i++)
        f->due[i].page.id = f->ids[from + i];
    if (f->n_due == 0 && !f->asked_first) {
        ask_still(f);
        return;
    }
    do {
        size_t n = 2, first = done;
        if (f->asked_first && done == 0) {
            snprintf(texts[0], sizeof(texts[0]), "%llu", (unsigned long long)f->here[0].id);
            bulks[n++] = KPID_BULK_STR(texts[0]);
        }
        for (; done < f->n_due && done - first < IDS_PER_COMMAND; done++) {
            char *text = texts[1 + done - first];
            snprintf(text, sizeof(texts[0]), "%llu", (unsigned long long)f->due[done].page.id);
            bulks[n++] = KPID_BULK_STR(text);
        }
        send(f, bulks, n, on_entries, first);
    } while (done < f->n_due);
}

/* Whether the pages that are here are the first ones of the meta's. */
static bool goes_on(const struct kpid_follower *f)
{
    if (strcmp(f->news.nonce, f->nonce) != 0 || f->news.seq < f->seq || f->n_ids < f->n_here)
        return false;
    for (size_t i = 0; i < f->n_here; i++)
        if (f->here[i].id != f->ids[i])
            return false;
    return true;
}

/* ---- the header ---- */

static void on_header(struct kpid_follower *f, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items != 4) {
        finish(f, KPID_FOLLOW_AGAIN);
        return;
    }
    const struct kpid_reply *nonce = &reply->items[0], *seq = &reply->items[1], *format = &reply->items[2];
    const struct kpid_reply *meta = &reply->items[3];
    if (nonce->len != 32 || !kpid_store_parse_u64(seq->str, seq->len, &f->news.seq) ||
        format->len != strlen(KPID_STORE_FORMAT_TEXT) || memcmp(format->str, KPID_STORE_FORMAT_TEXT, format->len) != 0) {
        finish(f, KPID_FOLLOW_ABSENT);
        return;
    }
    memcpy(f->news.nonce, nonce->str, 32);
    if (strcmp(f->news.nonce, f->nonce) == 0 && f->news.seq == f->seq) {
        finish(f, KPID_FOLLOW_SAME);
        return;
    }
    if (meta->len == 0 || !f->events->pages_of(f->ctx, meta->str, meta->len, &f->ids, &f->n_ids)) {
        finish(f, KPID_FOLLOW_ABSENT);
        return;
    }
    kpid_buf_add(&f->meta, meta->str, meta->len);
    ask_entries(f, !goes_on(f));
}

static void on_record(struct kpid_follower *f, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (reply->kind == KPID_REPLY_STR)
        kpid_buf_add(&f->live, reply->str, reply->len);
}

void kpid_follower_look(struct kpid_follower *f)
{
    assert(!f->busy);
    struct kpid_bulk record[] = {KPID_BULK_STR("GET"), KPID_BULK_STR(f->record)};
    struct kpid_bulk header[] = {KPID_BULK_STR("HMGET"),  KPID_BULK_STR(f->header), KPID_BULK_STR("nonce"),
                                 KPID_BULK_STR("seq"),    KPID_BULK_STR("format"),  KPID_BULK_STR("meta")};
    f->busy = true;
    f->news = (struct kpid_follow_news){0};
    /* The record first: one that speaks of a later header than the one that is found proves nothing. */
    send(f, record, KPID_COUNT_OF(record), on_record, 0);
    send(f, header, KPID_COUNT_OF(header), on_header, 0);
}

bool kpid_follower_busy(const struct kpid_follower *f)
{
    return f->busy;
}

const char *kpid_follower_key(const struct kpid_follower *f)
{
    return f->key;
}

/* ---- life ---- */

struct kpid_follower *kpid_follower_new(struct kpid_redis *redis, const struct kpid_store_name *name,
                                        const struct kpid_follow_events *events, void *ctx)
{
    struct kpid_follower *f = kpid_zalloc(1, sizeof(*f));

    *f = (struct kpid_follower){.magic = FOLLOWER_MAGIC, .redis = redis, .events = events, .ctx = ctx, .refs = 1};
    f->key = kpid_store_key_of(name);
    f->header = kpid_store_key_under(f->key, "h");
    f->manifest = kpid_store_key_under(f->key, "m");
    f->record = kpid_store_key_under(f->key, "l");
    return f;
}

void kpid_follower_free(struct kpid_follower *f)
{
    if (!f)
        return;
    assert(f->magic == FOLLOWER_MAGIC && !f->freed);
    f->freed = true;
    look_clear(f);
    unref(f);
}
