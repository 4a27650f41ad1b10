/*
 * Live records: beside the header of each of its shards an owner says, once a tick, of which commit it speaks, and which
 * topics stood idle at exactly the offsets of that commit. So a publisher elsewhere knows that the owner lives, and what
 * a header can't say: that no more is to come for now.
 *
 *   1 <nonce> <seq>  then for each topic: <idle 0|1> <at its end 0|1> <next offset> <log's end, -1 not known>,
 *   then the instance's name
 *
 * Once a topic was called idle, a boundary may become final that is ahead of the shard's clock. Until the publisher has
 * said that it works on a later commit, every event that is taken may therefore be a correction.
 */
#include "daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "1"

static void write_one(struct daemon *d, struct slot_owner *slot, struct kpid_buf *key, struct kpid_buf *text)
{
    const struct kpid_source *source = &d->model->sources[slot->source];
    struct kpid_consumer_status status;
    bool claims = false;
    char ttl[24];

    kpid_buf_clear(key);
    kpid_buf_printf(key, "%s:l", kpid_store_key(slot->store));
    kpid_buf_clear(text);
    kpid_buf_printf(text, FORMAT " %s %" PRIu64, kpid_store_nonce(slot->store), kpid_store_seq(slot->store));
    for (uint32_t t = 0; t < source->n_topics; t++) {
        int64_t next = kpid_shard_next_offset(slot->shard, t), end = -1;
        bool known = kpid_consumer_status(d->consumer, slot->source, t, slot->partition, kpid_now_mono(), &status);
        bool settled = next == slot->cut_offsets[t] && !slot->waiting.n;
        bool idle = d->company.elsewhere && settled && slot->idle[t];
        bool at_end = settled && known && (status.at_end || status.lag == 0);
        if (known)
            end = status.end_offset;
        claims = claims || idle;
        kpid_buf_printf(text, " %d %d %" PRId64 " %" PRId64, idle, at_end, next, end);
    }
    kpid_buf_printf(text, " %s", d->company.name);
    if (claims) {
        slot->claim_seq = kpid_store_seq(slot->store);
        kpid_shard_watch_all(slot->shard, KPID_FOREVER);
    }
    snprintf(ttl, sizeof(ttl), "%" PRId64, d->model->settings.live_timeout_ms);
    struct kpid_bulk bulks[] = { KPID_BULK_STR("SET"), { key->data, key->len }, { text->data, text->len },
                                 KPID_BULK_STR("PX"), KPID_BULK_STR(ttl) };
    kpid_redis_send(d->redis, bulks, KPID_COUNT_OF(bulks), NULL, NULL);
}

/* After all commits of a round were acknowledged. */
void kpid_live_write(struct daemon *d)
{
    struct kpid_buf key = KPID_BUF_INIT, text = KPID_BUF_INIT;

    if (!d->company.any || !kpid_redis_up(d->redis))
        return;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            if (slot && slot->state == SLOT_ACTIVE && !slot->committing && !slot->held_commit)
                write_one(d, slot, &key, &text);
        }
    kpid_buf_release(&key);
    kpid_buf_release(&text);
}

/* Whether the owner of what is followed lives; fills what it told of that very commit. */
bool kpid_live_read(struct foreign_shard *f, const char *text, size_t len)
{
    size_t n_topics = f->daemon->model->sources[f->source].n_topics;
    char *copy = kpid_strndup(text, len), nonce[33];
    uint64_t seq;
    int read = 0;
    bool lives = sscanf(copy, FORMAT " %32[0-9a-f] %" SCNu64 "%n", nonce, &seq, &read) == 2 && !strcmp(nonce, f->nonce);
    const char *at = copy + read;

    for (uint32_t t = 0; t < n_topics; t++) {
        int idle = 0, at_end = 0;
        int64_t next = -1, end = -1;
        bool good = lives && sscanf(at, " %d %d %" SCNd64 " %" SCNd64 "%n", &idle, &at_end, &next, &end, &read) == 4;
        bool same = good && seq == f->seq && f->copy && next == kpid_shard_next_offset(f->copy, t);
        f->idle[t] = same && idle;
        f->at_end[t] = same && at_end;
        f->ends[t] = good ? end : -1;
        at += good ? read : 0;
    }
    free(copy);
    return lives;
}
