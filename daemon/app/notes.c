/*
 * Notes in Kafka's group: after each commit to Redis the offsets go there too, with the header's nonce and seq and with
 * the place where reading once began. Nothing is resumed from them. Whoever finds one where Redis has no state knows
 * that there was some, and from where to count again; whoever finds one of a later commit than Redis has, that it lost
 * the end, and up to where readers may have been told.
 */
#include "daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTE_FORMAT   "kpid 1"
#define NOTE_RETRY_MS 1000

struct group_note kpid_note_parse(const char *text)
{
    struct group_note note = { 0, -1, 0 };
    char nonce[33];
    uint64_t seq;
    int64_t begin;
    uint32_t partitions;

    if (sscanf(text, NOTE_FORMAT " %32[0-9a-f] %" SCNu64 " %" SCNd64 " %" SCNu32, nonce, &seq, &begin, &partitions) == 4)
        note = (struct group_note){ seq, begin < 0 ? -1 : begin, partitions };
    return note;
}

/* The last record of each topic, as far as it is what the state ends with. To be called before a cut. */
void kpid_witness_take(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    struct kpid_consumer_status status;

    for (uint32_t t = 0; t < d->model->sources[slot->source].n_topics; t++)
        if (kpid_consumer_status(d->consumer, slot->source, t, slot->partition, kpid_now_mono(), &status))
            kpid_shard_set_witness(slot->shard, t, status.last_offset, status.last_hash);
}

struct notes {
    struct kpid_offset_note *at;
    size_t n, cap;
};

static void add(struct notes *notes, const struct slot_owner *slot, uint32_t topic)
{
    int64_t next = kpid_shard_next_offset(slot->shard, topic);
    char text[128];

    if (next < 0)
        return;
    if (notes->n == notes->cap) {
        notes->cap = notes->cap ? notes->cap * 2 : 16;
        notes->at = kpid_realloc(notes->at, notes->cap * sizeof(*notes->at));
    }
    snprintf(text, sizeof(text), NOTE_FORMAT " %s %" PRIu64 " %" PRId64 " %" PRIu32, kpid_store_nonce(slot->store),
             kpid_store_seq(slot->store), kpid_shard_began_at(slot->shard, topic),
             kpid_shard_first_partitions(slot->shard));
    notes->at[notes->n++] = (struct kpid_offset_note){ slot->source, topic, slot->partition, next, kpid_strdup(text) };
}

/* Commits that failed since the last look are to be made again, but not at once. False: not yet. */
static bool try_again(struct daemon *d)
{
    uint64_t done, failed;

    kpid_consumer_commits(d->consumer, &done, &failed);
    if (failed == d->notes_failed)
        return true;
    if (!d->notes_retry_ms)
        d->notes_retry_ms = kpid_now_mono() + NOTE_RETRY_MS;
    if (kpid_now_mono() < d->notes_retry_ms)
        return false;
    d->notes_retry_ms = 0;
    d->notes_failed = failed;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            if (d->sources[s].slots[p])
                d->sources[s].slots[p]->noted_cut = 0;
    return true;
}

/* The offsets may be ahead of the commit by what was read since: they only say that there was state, and how far. */
void kpid_notes_send(struct daemon *d, bool urgent)
{
    struct notes notes = { 0 };
    bool sent;

    if (!try_again(d) && !urgent)
        return;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            const struct slot_owner *slot = d->sources[s].slots[p];
            if (!slot || slot->state != SLOT_ACTIVE || slot->noted_cut == slot->cut_done)
                continue;
            for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++)
                add(&notes, slot, t);
        }
    sent = kpid_consumer_commit(d->consumer, notes.at, notes.n, urgent);
    for (uint32_t s = 0; sent && s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            if (d->sources[s].slots[p])
                d->sources[s].slots[p]->noted_cut = d->sources[s].slots[p]->cut_done;
    for (size_t i = 0; i < notes.n; i++)
        free((char *)(uintptr_t)notes.at[i].text);
    free(notes.at);
}
