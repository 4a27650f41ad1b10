/*
 * Cutting a kept round into batches: each is one call of the snapshots' script on one slot, with a tick of
 * its own, and stays as it is until it is acknowledged. Sorting and choosing happen here, slot by slot, as
 * the cursor gets there.
 */
#include "publisher.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "producer.h"

#define ENTRY_BYTES 100u /* of a command, beside JSON and field */
#define PRUNE_MAX   128u

static struct kpid_list *list_of(const struct kpid_round *round, uint32_t slot, bool windows)
{
    return windows ? &round->windows[slot] : &round->snaps[slot];
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_field(const void *left, const void *right)
{
    const struct kpid_entry *a = left, *b = right;
    int order = COMPARE(a->start_ms, b->start_ms);
    if (!order)
        order = COMPARE(a->field_hash, b->field_hash);
    return order ? order : COMPARE(a->seq, b->seq);
}

static int by_samples(const void *left, const void *right)
{
    const struct kpid_entry *a = left, *b = right;
    int order = COMPARE(a->start_ms, b->start_ms);
    if (!order)
        order = COMPARE(b->samples, a->samples);
    return order ? order : COMPARE(a->seq, b->seq);
}

static void reverse(struct kpid_entry *entries, size_t n)
{
    for (size_t i = 0; i + i + 1 < n; i++) {
        struct kpid_entry entry = entries[i];
        entries[i] = entries[n - 1 - i];
        entries[n - 1 - i] = entry;
    }
}

/* Of several snapshots of one group and window the last holds; of the groups of one window the largest are
 * kept. The others still go to Kafka where nothing else takes them there; and out of a window that readers may
 * have already, ahead of the largest, for which they make room. */
static void windows_choose(struct kpid_list *list, uint32_t most)
{
    qsort(list->entries, list->n, sizeof *list->entries, by_field);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct kpid_entry *entry = &list->entries[i], *next = entry + 1;
        bool last =
            i + 1 == list->n || next->start_ms != entry->start_ms || next->field_hash != entry->field_hash;
        if (last)
            list->entries[n++] = *entry;
    }
    qsort(list->entries, n, sizeof *list->entries, by_samples);
    size_t kept = 0;
    for (size_t i = 0, end; i < n; i = end) {
        struct kpid_entry *of_window = list->entries + kept;
        size_t n_largest = 0, n_other = 0;
        for (end = i; end < n && list->entries[end].start_ms == list->entries[i].start_ms; end++) {
            struct kpid_entry entry = list->entries[end];
            if (n_largest < most) {
                n_largest++;
            } else if (entry.again || entry.kafka) {
                entry.op = entry.again ? KPID_OP_DROP : KPID_OP_NOTHING;
                n_other++;
            } else {
                continue;
            }
            list->entries[kept++] = entry;
        }
        reverse(of_window, n_largest);
        reverse(of_window + n_largest, n_other);
        reverse(of_window, n_largest + n_other);
    }
    list->n = kept;
}

/* Moves the cursor to a list that still has entries; false: there is none. */
static bool cursor_settle(struct kpid_publisher *publisher, struct kpid_round *round)
{
    while (round->at_slot < round->n_touched) {
        uint32_t slot = round->touched[round->at_slot];
        struct kpid_list *list = list_of(round, slot, round->at_windows);
        if (round->at_windows && round->at_entry == 0 && list->n)
            windows_choose(list, publisher->slots[slot].history_groups);
        if (round->at_entry < list->n)
            return true;
        round->at_entry = 0;
        round->at_slot += round->at_windows;
        round->at_windows = !round->at_windows;
    }
    return false;
}

static struct kpid_batch *batch_keep(struct kpid_round *round, struct kpid_batch *batch)
{
    if (round->n_batches == round->cap_batches) {
        round->cap_batches = round->cap_batches ? round->cap_batches * 2 : 64;
        round->batches = kpid_realloc(round->batches, round->cap_batches * sizeof(struct kpid_batch *));
    }
    round->batches[round->n_batches++] = batch;
    return batch;
}

struct kpid_batch *kpid_round_cut(struct kpid_publisher *publisher, struct kpid_round *round)
{
    struct kpid_batch *batch = kpid_values_cut(publisher, round);
    if (batch)
        return batch_keep(round, batch);
    if (!cursor_settle(publisher, round))
        return NULL;
    batch = kpid_zalloc(1, sizeof *batch);
    batch->publisher = publisher;
    batch->slot = round->touched[round->at_slot];
    batch->windows = round->at_windows;
    batch->first = round->at_entry;
    batch->tick = ++publisher->tick;
    const struct kpid_list *list = list_of(round, batch->slot, batch->windows);
    while (round->at_entry < list->n && batch->n < KPID_BATCH_ENTRIES) {
        const struct kpid_entry *entry = &list->entries[round->at_entry];
        size_t bytes = ENTRY_BYTES + entry->field.len + entry->json.len;
        if (batch->n && batch->bytes + bytes > KPID_BATCH_BYTES)
            break;
        batch->bytes += bytes;
        batch->n++;
        round->at_entry++;
    }
    return batch_keep(round, batch);
}

const struct kpid_entry *kpid_batch_entries(const struct kpid_round *round, const struct kpid_batch *batch)
{
    return list_of(round, batch->slot, batch->windows)->entries + batch->first;
}

static bool in_window(const struct kpid_entry *entry)
{
    return (entry->op & (KPID_PLACE_WINDOW | KPID_OP_WINDOW_GROUP | KPID_OP_DROP)) != 0;
}

/* Adds the keys of the windows that the batch touches and notes in `numbers` which one each entry means.
 * Entries of one window stand together, so looking at the last few keys is enough; a key named twice does no
 * harm. */
static size_t win_keys_add(struct kpid_publisher *publisher, const struct kpid_batch *batch,
                           const struct kpid_entry *entries, uint16_t *numbers)
{
    size_t n_keys = 3;
    int64_t last_ms = 0;
    for (size_t i = 0; i < batch->n; i++) {
        numbers[i] = 0;
        if (!in_window(&entries[i]))
            continue;
        if (n_keys == 3 || entries[i].start_ms != last_ms) {
            kpid_part_add_win_key(publisher, publisher->slots[batch->slot].tag, entries[i].start_ms);
            last_ms = entries[i].start_ms;
            n_keys++;
        }
        numbers[i] = (uint16_t)n_keys;
    }
    return n_keys;
}

void kpid_batch_send(struct kpid_publisher *publisher, const struct kpid_batch *batch, kpid_redis_done *done,
                     void *ctx)
{
    const struct kpid_slot *slot = &publisher->slots[batch->slot];
    const struct kpid_entry *entries = kpid_batch_entries(&publisher->kept, batch);
    const char *bytes = publisher->kept.bytes.data;
    uint16_t numbers[KPID_BATCH_ENTRIES];
    kpid_part_add_slot_key(publisher, "snap", slot->tag);
    kpid_part_add_slot_key(publisher, "hist", slot->tag);
    kpid_part_add_slot_key(publisher, "wins", slot->tag);
    size_t n_keys = win_keys_add(publisher, batch, entries, numbers);
    kpid_part_add_uint(publisher, publisher->term);
    kpid_part_add_uint(publisher, batch->tick);
    kpid_part_add_int(publisher, slot->ttl_ms);
    kpid_part_add_int(publisher, slot->win_ttl_ms);
    kpid_part_add_uint(publisher, publisher->model->settings.history_cap);
    kpid_part_add_uint(publisher, slot->history_groups);
    kpid_part_add_uint(publisher, slot->history);
    kpid_part_add_stamp(publisher, slot->acknowledged);
    for (size_t i = 0; i < batch->n; i++) {
        const struct kpid_entry *entry = &entries[i];
        kpid_part_add_uint(publisher, entry->op);
        kpid_part_add_uint(publisher, numbers[i]);
        kpid_part_add(publisher, bytes + entry->field.at, entry->field.len);
        kpid_part_add_int(publisher, entry->start_ms);
        kpid_part_add_uint(publisher, entry->revision);
        bool unwritten = entry->op == KPID_OP_NOTHING || entry->op == KPID_OP_DROP;
        kpid_part_add(publisher, bytes + entry->json.at, unwritten ? 0 : entry->json.len);
    }
    kpid_parts_eval(publisher, KPID_SCRIPT_SNAPSHOTS, n_keys, done, ctx);
}

/* The reply names starts beyond the history. Their keys are known only now, so a second script, which
 * declares them, removes them; if it gets lost, the next reply names them again. */
void kpid_batch_prune(struct kpid_publisher *publisher, const struct kpid_batch *batch,
                      const struct kpid_reply *reply)
{
    const char *tag = publisher->slots[batch->slot].tag;
    size_t n = reply->n_items - 1;
    if (n == 0 || n > PRUNE_MAX)
        return;
    kpid_part_add_slot_key(publisher, "snap", tag);
    kpid_part_add_slot_key(publisher, "wins", tag);
    for (size_t i = 1; i <= n; i++) {
        char text[24];
        size_t len = reply->items[i].len < sizeof text ? reply->items[i].len : sizeof text - 1;
        memcpy(text, reply->items[i].str, len);
        text[len] = '\0';
        kpid_part_add_win_key(publisher, tag, strtoll(text, NULL, 10));
    }
    kpid_part_add_uint(publisher, publisher->term);
    for (size_t i = 1; i <= n; i++)
        kpid_part_add(publisher, reply->items[i].str, reply->items[i].len);
    kpid_parts_eval(publisher, KPID_SCRIPT_PRUNE, 2 + n, NULL, NULL);
}

/* What Redis has accepted goes to the topic: key "<kpi>|<window>|<group>"; a group that is gone is a
 * tombstone. */
void kpid_batch_produce(struct kpid_publisher *publisher, const struct kpid_batch *batch)
{
    struct kpid_producer *producer = publisher->producer;
    if (!producer || !kpid_producer_has(producer, KPID_TOPIC_SNAPSHOTS))
        return;
    const struct kpid_entry *entries = kpid_batch_entries(&publisher->kept, batch);
    const char *bytes = publisher->kept.bytes.data;
    struct kpid_buf key = KPID_BUF_INIT;
    for (size_t i = 0; i < batch->n; i++) {
        if (!entries[i].kafka)
            continue;
        kpid_buf_clear(&key);
        kpid_buf_add_str(&key, publisher->slots[batch->slot].label);
        kpid_buf_add(&key, bytes + entries[i].field.at, entries[i].field.len);
        const char *json = entries[i].op == KPID_OP_DELETE ? NULL : bytes + entries[i].json.at;
        kpid_producer_send(producer, KPID_TOPIC_SNAPSHOTS, key.data, key.len, json, entries[i].json.len, NULL,
                           NULL);
    }
    kpid_buf_release(&key);
}
