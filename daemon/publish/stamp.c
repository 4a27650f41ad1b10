/*
 * Figures lie in other slots than {alert}, in a cluster on other masters, and such a master may lose its last seconds in
 * the same moment in which the publisher dies. Then {alert} says that readers have what they have not, and its next owner
 * does not know better. So the last stamp (term, tick) of each slot, which stands beside what was written with it, is
 * noted in {alert} along with `told`, and compared by who takes over: where a lower one stands something was lost.
 *
 * That a stamp stands there says that all before it does too: a slot refuses what builds on a higher stamp than its own.
 * What is told again may break off half-way and leaves high stamps behind, so until all of it is told the header says
 * `again`.
 */
#include "publisher.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
    struct kpid_publisher *publisher;
    size_t slot;
};

static bool is_before(struct kpid_stamp a, struct kpid_stamp b)
{
    return a.term != b.term ? a.term < b.term : a.tick < b.tick;
}

static bool is_noted(const struct kpid_slot *slot)
{
    return !is_before(slot->noted, slot->acknowledged);
}

/* "term:tick", in a note "term:tick:until". */
static bool stamp_parse(const char *bytes, size_t len, struct kpid_stamp *ret, int64_t *ret_until_ms)
{
    char text[80];
    if (!bytes || len == 0 || len >= sizeof text)
        return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    return sscanf(text, "%" SCNu64 ":%" SCNu64 ":%" SCNd64, &ret->term, &ret->tick, ret_until_ms) >= 2;
}

void kpid_stamp_found(struct kpid_publisher *publisher, const char *tag, size_t tag_len, const char *bytes,
                      size_t len)
{
    struct kpid_slot *slot = kpid_publisher_slot_named(publisher, tag, tag_len);
    struct kpid_stamp stamp = {0, 0};
    int64_t until_ms = 0;
    if (!slot || !stamp_parse(bytes, len, &stamp, &until_ms))
        return;
    slot->noted = stamp;
    slot->expired = until_ms > 0 && until_ms <= publisher->taken_ms;
    if (is_before(slot->acknowledged, stamp))
        slot->acknowledged = stamp;
}

static void answered(struct kpid_publisher *publisher)
{
    if (--publisher->stamps_asked == 0)
        publisher->stamps_done(publisher, !publisher->stamps_failed);
}

static void on_stamp(void *ctx, const struct kpid_reply *reply)
{
    struct question question = *(struct question *)ctx;
    struct kpid_publisher *publisher = question.publisher;
    free(ctx);
    if (!kpid_publisher_answered(publisher))
        return;
    struct kpid_slot *slot = &publisher->slots[question.slot];
    struct kpid_stamp found = {0, 0};
    int64_t until_ms;
    if (kpid_reply_failed(reply)) {
        publisher->stamps_failed = true;
    } else {
        bool there = reply->kind == KPID_REPLY_STR && stamp_parse(reply->str, reply->len, &found, &until_ms);
        publisher->behind |= is_before(found, slot->acknowledged) && (there || !slot->expired);
        slot->acknowledged = found;
    }
    answered(publisher);
}

void kpid_stamps_compare(struct kpid_publisher *publisher,
                         void (*done)(struct kpid_publisher *publisher, bool asked))
{
    publisher->stamps_done = done;
    publisher->stamps_failed = false;
    publisher->stamps_asked = 1; /* this call */
    for (size_t i = 0; i < publisher->n_slots; i++) {
        const struct kpid_slot *slot = &publisher->slots[i];
        if (!slot->acknowledged.term)
            continue;
        struct question *question = kpid_alloc(sizeof *question);
        *question = (struct question){publisher, i};
        kpid_part_add_str(publisher, slot->label ? "HGET" : "GET");
        kpid_part_add_slot_key(publisher, slot->label ? "snap" : "hll", slot->tag);
        if (slot->label)
            kpid_part_add_str(publisher, "@writer");
        publisher->stamps_asked++;
        kpid_parts_send(publisher, on_stamp, question);
    }
    answered(publisher);
}

static bool all_noted(const struct kpid_publisher *publisher)
{
    for (size_t i = 0; i < publisher->n_slots; i++)
        if (!is_noted(&publisher->slots[i]))
            return false;
    return true;
}

static void note_all(struct kpid_publisher *publisher)
{
    for (size_t i = 0; i < publisher->n_slots; i++) {
        struct kpid_slot *slot = &publisher->slots[i];
        if (is_noted(slot))
            continue;
        slot->noted = slot->acknowledged;
        kpid_part_add_str(publisher, slot->tag);
        kpid_part_add_stamp(publisher, slot->noted);
        kpid_part_add_int(publisher, slot->ttl_ms);
    }
}

bool kpid_publisher_behind(const struct kpid_publisher *publisher)
{
    return publisher->behind;
}

void kpid_round_again(struct kpid_publisher *publisher)
{
    publisher->telling_again = true;
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_parts_eval(publisher, KPID_SCRIPT_AGAIN, 1, NULL, NULL);
}

void kpid_round_told(struct kpid_publisher *publisher)
{
    if (!publisher->owner || (publisher->told == publisher->seq && !publisher->telling_again &&
                              all_noted(publisher)))
        return;
    publisher->told = publisher->seq;
    publisher->telling_again = false;
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_alert_key(publisher, "written");
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_part_add_uint(publisher, publisher->told);
    note_all(publisher);
    kpid_parts_eval(publisher, KPID_SCRIPT_TOLD, 2, NULL, NULL);
}
