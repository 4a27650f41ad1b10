/*
 * Reading the pages of a shard that has just been taken over: manifest, pages in the order of their ids and a
 * bounded number of bytes at a time, then the header again. Whatever is wrong with a page is only reported as
 * damage if the header is still ours then: another owner may have removed pages meanwhile, and that is
 * nobody's loss.
 */
#include "store_internal.h"

#include "kpid/fault_point.h"
#include "kpid/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t id, hash;
    size_t len, name_at; /* name_at: in load->names, NUL at its end */
};

struct kpid_store_load {
    kpid_store_loaded *done;
    void *ctx;
    bool damaged;
    uint64_t max_seq, n_expected;
    struct kpid_buf meta, names;
    struct entry *entries;
    struct kpid_page *pages;
    size_t n, asked, answered, flight_bytes;
};

struct kpid_store_load *kpid_load_new(kpid_store_loaded *done, void *ctx)
{
    struct kpid_store_load *load = kpid_zalloc(1, sizeof(*load));
    load->done = done;
    load->ctx = ctx;
    return load;
}

void kpid_load_free(struct kpid_store_load *load)
{
    if (!load)
        return;
    for (size_t i = 0; load->pages && i < load->n; i++)
        free(load->pages[i].bytes);
    free(load->pages);
    free(load->entries);
    kpid_buf_release(&load->meta);
    kpid_buf_release(&load->names);
    free(load);
}

void kpid_load_finish(struct kpid_store *store, enum kpid_store_status status)
{
    struct kpid_store_load *load = store->load;
    KPID_FAULT_POINT("restore.finished");
    store->load = NULL;
    kpid_store_forget(store, KPID_TASK_LOAD);
    store->owned = status == KPID_STORE_OK || status == KPID_STORE_DAMAGED;
    store->need_reset = status == KPID_STORE_DAMAGED;
    if (status == KPID_STORE_OK) {
        kpid_store_sweep(store);
        load->done(load->ctx, status, load->meta.data, load->meta.len, load->pages, load->n);
    } else {
        load->done(load->ctx, status, NULL, 0, NULL, 0);
    }
    kpid_load_free(load); /* the store may be gone */
}

static void on_still_ours(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items < 2) {
        kpid_store_explain(store, reply);
        kpid_load_finish(store, KPID_STORE_DOWN);
        return;
    }
    struct kpid_store_found found = kpid_store_found_of(store, &reply->items[0], &reply->items[1]);
    if (!found.mine || !found.numbered || found.seq != store->seq) {
        kpid_store_set_error(store, "another owner took the shard while it was read");
        kpid_load_finish(store, KPID_STORE_OTHER);
    } else {
        kpid_load_finish(store, store->load->damaged ? KPID_STORE_DAMAGED : KPID_STORE_OK);
    }
}

void kpid_load_damaged(struct kpid_store *store, const char *why)
{
    if (store->load->damaged)
        return;
    store->load->damaged = true;
    kpid_store_forget(store, KPID_TASK_LOAD);
    kpid_store_set_error(store, why);
    kpid_store_ask_header(store, KPID_TASK_LOAD, on_still_ours);
}

static void damaged_page(struct kpid_store *store, const struct entry *entry, const char *what)
{
    struct kpid_buf why = KPID_BUF_INIT;
    kpid_buf_printf(&why, "page %s %s", store->load->names.data + entry->name_at, what);
    kpid_load_damaged(store, why.data);
    kpid_buf_release(&why);
}

static void ask_pages(struct kpid_store *store);

static void on_page(struct kpid_store *store, const struct kpid_reply *reply, size_t i)
{
    struct kpid_store_load *load = store->load;
    const struct entry *entry = &load->entries[i];
    if (reply->kind == KPID_REPLY_NIL || kpid_redis_error_is(reply, "WRONGTYPE")) {
        damaged_page(store, entry, "is missing");
        return;
    }
    if (reply->kind != KPID_REPLY_STR) {
        kpid_store_explain(store, reply);
        kpid_load_finish(store, KPID_STORE_DOWN);
        return;
    }
    if (reply->len != entry->len || kpid_hash(reply->str, reply->len, 0) != entry->hash) {
        damaged_page(store, entry, reply->len != entry->len ? "has another length" : "has another checksum");
        return;
    }
    load->pages[i] = (struct kpid_page){entry->id, kpid_strndup(reply->str, reply->len), reply->len};
    load->flight_bytes -= entry->len;
    load->answered++;
    ask_pages(store);
}

static void ask_pages(struct kpid_store *store)
{
    struct kpid_store_load *load = store->load;
    struct kpid_buf key = KPID_BUF_INIT;
    while (load->asked < load->n) {
        const struct entry *entry = &load->entries[load->asked];
        if (load->asked > load->answered && load->flight_bytes + entry->len > KPID_STORE_FLIGHT_BYTES)
            break;
        kpid_buf_clear(&key);
        kpid_buf_printf(&key, "%s:p:%s", store->key, load->names.data + entry->name_at);
        struct kpid_bulk bulks[] = {KPID_BULK_STR("GET"), {key.data, key.len}};
        load->flight_bytes += entry->len;
        kpid_store_send(store, KPID_TASK_LOAD, bulks, 2, on_page, load->asked++);
    }
    kpid_buf_release(&key);
    if (load->answered == load->n)
        kpid_store_ask_header(store, KPID_TASK_LOAD, on_still_ours);
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct entry *)a)->id, y = ((const struct entry *)b)->id;
    return (x > y) - (x < y);
}

static bool parse_hex(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    if (len != 16)
        return false;
    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr("0123456789abcdef", text[i], 16);
        if (!digit)
            return false;
        value = value << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    *ret = value;
    return true;
}

bool kpid_store_parse_entry(uint64_t id, const struct kpid_reply *text, struct kpid_entry_text *ret)
{
    char id_text[24];
    uint64_t len;
    if (text->kind != KPID_REPLY_STR)
        return false;
    size_t id_len = (size_t)snprintf(id_text, sizeof(id_text), "%" PRIu64, id);
    const char *end = text->str + text->len;
    const char *name_end = memchr(text->str, ' ', text->len);
    const char *len_end = name_end ? memchr(name_end + 1, ' ', (size_t)(end - name_end - 1)) : NULL;
    if (!len_end || !kpid_store_parse_u64(name_end + 1, (size_t)(len_end - name_end - 1), &len) ||
        !parse_hex(len_end + 1, (size_t)(end - len_end - 1), &ret->hash))
        return false;
    size_t name_len = (size_t)(name_end - text->str);
    size_t seq_at = id_len + 34; /* the name's dots stand at fixed places */
    if (name_len <= seq_at || name_len >= sizeof(ret->name) || memcmp(text->str, id_text, id_len) != 0 ||
        text->str[id_len] != '.' || text->str[seq_at - 1] != '.' ||
        !kpid_store_parse_u64(text->str + seq_at, name_len - seq_at, &ret->seq))
        return false;
    memcpy(ret->name, text->str, name_len);
    ret->name[name_len] = '\0';
    ret->len = (size_t)len;
    return true;
}

static bool parse_entry(struct kpid_store_load *load, const struct kpid_reply *id,
                        const struct kpid_reply *text)
{
    struct entry *entry = &load->entries[load->n];
    struct kpid_entry_text found;
    if (!kpid_store_parse_u64(id->str, id->len, &entry->id) || !kpid_store_parse_entry(entry->id, text, &found) ||
        found.seq > load->max_seq)
        return false;
    entry->hash = found.hash;
    entry->len = found.len;
    entry->name_at = load->names.len;
    kpid_buf_add(&load->names, found.name, strlen(found.name) + 1);
    load->n++;
    return true;
}

static void on_manifest(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    struct kpid_store_load *load = store->load;
    if (kpid_redis_error_is(reply, "WRONGTYPE")) {
        kpid_load_damaged(store, "the manifest is no hash");
        return;
    }
    if (reply->kind != KPID_REPLY_ARRAY) {
        kpid_store_explain(store, reply);
        kpid_load_finish(store, KPID_STORE_DOWN);
        return;
    }
    if (reply->n_items / 2 != load->n_expected) {
        kpid_load_damaged(store, "the manifest has not as many pages as the header says");
        return;
    }
    load->entries = kpid_zalloc(reply->n_items / 2, sizeof(*load->entries));
    for (size_t i = 0; i + 1 < reply->n_items; i += 2)
        if (!parse_entry(load, &reply->items[i], &reply->items[i + 1])) {
            load->n = 0;
            kpid_load_damaged(store, "the manifest has an entry that can't be right");
            return;
        }
    qsort(load->entries, load->n, sizeof(*load->entries), by_id);
    load->pages = kpid_zalloc(load->n, sizeof(*load->pages));
    ask_pages(store);
}

void kpid_load_begin(struct kpid_store *store, const struct kpid_reply *meta,
                     const struct kpid_reply *n_pages, uint64_t max_seq)
{
    struct kpid_store_load *load = store->load;
    kpid_buf_add(&load->meta, meta->str, meta->len);
    load->max_seq = max_seq;
    if (!kpid_store_parse_u64(n_pages->str, n_pages->len, &load->n_expected)) {
        kpid_load_damaged(store, "the header does not say how many pages there are");
        return;
    }
    struct kpid_bulk bulks[] = {KPID_BULK_STR("HGETALL"), KPID_BULK_STR(store->manifest)};
    kpid_store_send(store, KPID_TASK_LOAD, bulks, 2, on_manifest, 0);
}
