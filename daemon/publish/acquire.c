/*
 * Taking {alert} over: read the header, set it by compare-and-set to the new nonce, then read states, finals
 * and the outbox in pieces. Each piece is read together with the header: anything but one's own (nonce, seq)
 * discards the load. Reading the header once more at the end would not do: {alert} may have been another's
 * while the first piece was read, and have fallen back to this header before the last one.
 *
 * A cursor means something only to the server that gave it. Where the slot has moved to another one, or a
 * replica took over, the hash is read from its beginning, which is no harm: (nonce, seq) names one content.
 */
#include "publisher.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "producer.h"

#define TRIES_MAX  3
#define SCAN_COUNT "2000"

static const char *const scanned[] = {"state", "final", "written", "outbox"};

struct kpid_acquisition {
    struct kpid_publisher_loaded loaded;
    void *ctx;
    struct kpid_buf found_nonce, found_seq;
    unsigned tries;
    size_t scan;             /* index into scanned */
    struct kpid_buf server; /* that the cursor is of; empty at the beginning of a hash */
};

static void header_read(struct kpid_publisher *publisher);
static void scan_next(struct kpid_publisher *publisher, const char *cursor, size_t len);

void kpid_acquisition_free(struct kpid_acquisition *acquisition)
{
    if (!acquisition)
        return;
    kpid_buf_release(&acquisition->found_nonce);
    kpid_buf_release(&acquisition->found_seq);
    kpid_buf_release(&acquisition->server);
    free(acquisition);
}

static void acquisition_end(struct kpid_publisher *publisher, enum kpid_publish_status status)
{
    struct kpid_acquisition *acquisition = publisher->acquisition;
    publisher->acquisition = NULL;
    publisher->owner = status == KPID_PUBLISH_OK;
    if (publisher->owner) {
        kpid_publisher_write_index(publisher);
        event_active(publisher->retry, EV_TIMEOUT, 0);
    } else {
        kpid_publisher_let_go(publisher);
    }
    struct kpid_publisher_loaded loaded = acquisition->loaded;
    void *ctx = acquisition->ctx;
    kpid_acquisition_free(acquisition);
    loaded.done(ctx, status);
}

bool kpid_publisher_lost(const struct kpid_publisher *publisher)
{
    return publisher->lost;
}

bool kpid_publisher_undisturbed(const struct kpid_publisher *publisher)
{
    return publisher->undisturbed;
}

static bool read_int(const struct kpid_reply *item, int64_t *ret)
{
    char text[24], *end;
    if (item->kind != KPID_REPLY_STR || item->len == 0 || item->len >= sizeof text)
        return false;
    memcpy(text, item->str, item->len);
    text[item->len] = '\0';
    *ret = strtoll(text, &end, 10);
    return *end == '\0';
}

bool kpid_final_parse(const char *bytes, size_t len, uint64_t told, struct kpid_final *ret)
{
    char text[80];
    uint64_t seq;
    int64_t before_ms;
    if (!bytes || len == 0 || len >= sizeof text)
        return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    int n = sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNu64, &ret->boundary_ms, &before_ms, &seq);
    ret->told_ms = n == 3 && seq > told ? before_ms : ret->boundary_ms;
    return n == 1 || n == 3;
}

static void found(struct kpid_publisher *publisher, const struct kpid_reply *key,
                  const struct kpid_reply *value)
{
    const struct kpid_acquisition *acquisition = publisher->acquisition;
    struct kpid_final final;
    switch (acquisition->scan) {
    case 0: acquisition->loaded.state(acquisition->ctx, key->str, key->len, value->str, value->len); break;
    case 1:
        if (kpid_final_parse(value->str, value->len, publisher->told, &final)) {
            struct kpid_slot *slot = kpid_publisher_slot_named(publisher, key->str, key->len);
            if (slot)
                slot->final_ms = final.boundary_ms;
            acquisition->loaded.final(acquisition->ctx, key->str, key->len, final.boundary_ms, final.told_ms);
        }
        break;
    case 2: kpid_stamp_found(publisher, key->str, key->len, value->str, value->len); break;
    default: kpid_notice_add(publisher, key->str, key->len, value->str, value->len); break;
    }
}

static void on_scanned(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_publisher *publisher = ctx;
    if (!kpid_publisher_answered(publisher))
        return;
    struct kpid_acquisition *acquisition = publisher->acquisition;
    if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 1) { /* {0} */
        acquisition_end(publisher, KPID_PUBLISH_OTHER);
        return;
    }
    if (!kpid_reply_accepted(reply) || reply->n_items != 4 || reply->items[3].kind != KPID_REPLY_ARRAY) {
        acquisition_end(publisher, KPID_PUBLISH_DOWN);
        return;
    }
    const struct kpid_reply *server = &reply->items[1], *cursor = &reply->items[2], *pairs = &reply->items[3];
    bool first = acquisition->server.len == 0;
    if (!first && (server->len != acquisition->server.len ||
                   memcmp(server->str, acquisition->server.data, server->len) != 0)) {
        kpid_buf_clear(&acquisition->server);
        kpid_notices_let_go(publisher);
        scan_next(publisher, "0", 1);
        return;
    }
    if (first)
        kpid_buf_add(&acquisition->server, server->str, server->len);
    for (size_t i = 0; i + 1 < pairs->n_items; i += 2)
        found(publisher, &pairs->items[i], &pairs->items[i + 1]);
    if (cursor->len == 1 && cursor->str[0] == '0') {
        acquisition->scan++;
        kpid_buf_clear(&acquisition->server);
        scan_next(publisher, "0", 1);
    } else {
        scan_next(publisher, cursor->str, cursor->len);
    }
}

static void on_compared(struct kpid_publisher *publisher, bool asked)
{
    acquisition_end(publisher, asked ? KPID_PUBLISH_OK : KPID_PUBLISH_DOWN);
}

static void scan_next(struct kpid_publisher *publisher, const char *cursor, size_t len)
{
    size_t scan = publisher->acquisition->scan;
    bool outbox = publisher->producer && kpid_producer_has(publisher->producer, KPID_TOPIC_ALERTS);
    if (scan == (outbox ? 4 : 3)) {
        kpid_stamps_compare(publisher, on_compared);
        return;
    }
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_alert_key(publisher, scanned[scan]);
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_part_add_uint(publisher, publisher->seq);
    kpid_part_add(publisher, cursor, len);
    kpid_part_add_str(publisher, SCAN_COUNT);
    kpid_parts_eval(publisher, KPID_SCRIPT_PIECE, 2, on_scanned, publisher);
}

static void on_taken(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_publisher *publisher = ctx;
    if (!kpid_publisher_answered(publisher))
        return;
    int64_t seq, term, told, again;
    if (kpid_reply_failed(reply)) {
        acquisition_end(publisher, KPID_PUBLISH_DOWN);
    } else if (kpid_reply_accepted(reply) && reply->n_items == 5 && read_int(&reply->items[1], &seq) &&
               read_int(&reply->items[2], &term) && read_int(&reply->items[3], &told) &&
               read_int(&reply->items[4], &again)) {
        publisher->behind = again != 0;
        publisher->telling_again = again != 0;
        publisher->taken_ms = term / 1000;
        publisher->told = (uint64_t)told;
        publisher->seq = (uint64_t)seq;
        publisher->term = (uint64_t)term;
        publisher->tick = 0;
        publisher->taken = true;
        publisher->heir = false;
        scan_next(publisher, "0", 1);
    } else if (reply->kind == KPID_REPLY_ARRAY && reply->n_items == 2) {
        acquisition_end(publisher, KPID_PUBLISH_BUSY);
    } else if (++publisher->acquisition->tries < TRIES_MAX) {
        header_read(publisher);
    } else {
        acquisition_end(publisher, KPID_PUBLISH_OTHER);
    }
}

static void keep(struct kpid_buf *buf, const struct kpid_reply *item)
{
    kpid_buf_clear(buf);
    if (item->kind == KPID_REPLY_STR)
        kpid_buf_add(buf, item->str, item->len);
}

static void on_header(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_publisher *publisher = ctx;
    if (!kpid_publisher_answered(publisher))
        return;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items != 2) {
        acquisition_end(publisher, KPID_PUBLISH_DOWN);
        return;
    }
    struct kpid_acquisition *acquisition = publisher->acquisition;
    keep(&acquisition->found_nonce, &reply->items[0]);
    keep(&acquisition->found_seq, &reply->items[1]);
    int64_t seq = 0;
    bool absent = acquisition->found_nonce.len == 0 && acquisition->found_seq.len == 0;
    publisher->undisturbed =
        absent || (acquisition->found_nonce.len == 32 &&
                   (memcmp(acquisition->found_nonce.data, publisher->last_nonce, 32) == 0 ||
                    memcmp(acquisition->found_nonce.data, publisher->tried_nonce, 32) == 0));
    publisher->lost = publisher->undisturbed &&
                      (absent || !read_int(&reply->items[1], &seq) || (uint64_t)seq < publisher->last_seq);
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_alert_key(publisher, "lease");
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_part_add(publisher, acquisition->found_nonce.data, acquisition->found_nonce.len);
    kpid_part_add(publisher, acquisition->found_seq.data, acquisition->found_seq.len);
    kpid_part_add_int(publisher, publisher->holder ? publisher->lease_ms : 0);
    kpid_part_add_str(publisher, publisher->holder ? publisher->holder : "");
    kpid_part_add_str(publisher, publisher->heir ? "1" : "0");
    kpid_part_add_str(publisher, publisher->last_nonce);
    kpid_part_add_str(publisher, publisher->tried_nonce);
    kpid_parts_eval(publisher, KPID_SCRIPT_ACQUIRE, 2, on_taken, publisher);
}

static void header_read(struct kpid_publisher *publisher)
{
    kpid_part_add_str(publisher, "HMGET");
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_str(publisher, "nonce");
    kpid_part_add_str(publisher, "seq");
    kpid_parts_send(publisher, on_header, publisher);
}

void kpid_publisher_acquire(struct kpid_publisher *publisher, const uint8_t nonce[16],
                            const struct kpid_publisher_loaded *loaded, void *ctx)
{
    static const char digits[] = "0123456789abcdef";
    assert(!publisher->busy && !publisher->acquisition);
    kpid_publisher_let_go(publisher);
    for (size_t i = 0; i < publisher->n_slots; i++)
        publisher->slots[i].noted = (struct kpid_stamp){0, 0};
    if (publisher->taken) {
        memcpy(publisher->last_nonce, publisher->nonce, sizeof publisher->nonce);
        publisher->last_seq = publisher->seq;
    }
    memcpy(publisher->tried_nonce, publisher->nonce, sizeof publisher->nonce);
    publisher->taken = false;
    for (size_t i = 0; i < 16; i++) {
        publisher->nonce[2 * i] = digits[nonce[i] >> 4];
        publisher->nonce[2 * i + 1] = digits[nonce[i] & 15];
    }
    publisher->nonce[32] = '\0';
    publisher->acquisition = kpid_zalloc(1, sizeof *publisher->acquisition);
    publisher->acquisition->loaded = *loaded;
    publisher->acquisition->ctx = ctx;
    header_read(publisher);
}
