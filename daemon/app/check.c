/*
 * Before anything of a restored shard is counted: is the log that Kafka has the one that the state was counted from?
 *
 *   state for the topic                the record before the next offset is fetched and compared (the witness)
 *   state, and a later commit's note   Redis lost the end of it: nothing is corrected until that is counted again
 *   none, and a note in Kafka's group  the state was lost: counted again from where reading once began
 *   none, and no note                  the first start, at the place that `start` says; a partition that came later is
 *                                      read from its beginning
 *
 * Where the answer is not to be had (a leader that is away), the shard waits and asks again; nothing is assumed.
 */
#include "daemon.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *topic_name(const struct slot_owner *slot, uint32_t topic)
{
    return slot->daemon->model->sources[slot->source].topics[topic];
}

/* ---- the end ---- */

static void unlink_check(struct log_check *check)
{
    for (struct log_check **at = &check->daemon->checks; *at; at = &(*at)->next)
        if (*at == check) {
            *at = check->next;
            break;
        }
    kpid_buf_release(&check->why);
    free(check);
}

void kpid_check_forget(struct slot_owner *slot)
{
    if (!slot->check)
        return;
    slot->check->slot = NULL;
    slot->check = NULL;
}

void kpid_check_close(struct daemon *d)
{
    while (d->checks)
        unlink_check(d->checks);
}

static void agreed(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;

    kpid_watermark_restored(&d->sources[slot->source].watermark, slot->shard);
    if (slot->lost || slot->anew) {
        d->n.rebuilds++;
        kpid_log(d, KPID_LOG_WARNING, "shard %s/%d is counted again from offset %" PRId64,
                 d->model->sources[slot->source].name, slot->partition, kpid_shard_next_offset(slot->shard, 0));
    }
    kpid_log(d, KPID_LOG_INFO, "shard %s/%d restored, next offset %" PRId64, d->model->sources[slot->source].name,
             slot->partition, kpid_shard_next_offset(slot->shard, 0));
    slot->lost = slot->anew = slot->keep = false;
    slot->retry_after_ms = 0;
    kpid_owner_start(slot);
}

static void conclude(struct log_check *check)
{
    struct slot_owner *slot = check->slot;
    struct daemon *d = check->daemon;
    bool again = check->again, mismatch = check->mismatch;
    struct kpid_buf why = check->why;
    struct topic_check *first = NULL;

    check->why = (struct kpid_buf)KPID_BUF_INIT;
    for (uint32_t t = 0; slot && t < d->model->sources[slot->source].n_topics && !first; t++)
        if (check->topics[t].jump_to >= 0)
            first = &check->topics[t];
    uint32_t topic = first ? first->topic : 0;
    int64_t jump_to = first ? first->jump_to : -1;
    if (slot)
        slot->check = NULL;
    unlink_check(check);
    if (slot && again) {
        kpid_owner_check_later(slot);
    } else if (slot && mismatch) {
        kpid_mismatch(slot, topic, jump_to, why.data);
    } else if (slot) {
        kpid_complain_over(d, &d->log_silent, "logs can be compared again");
        agreed(slot);
    }
    kpid_buf_release(&why);
}

/* One answer less is due. */
static void answered(struct log_check *check)
{
    if (--check->waiting == 0)
        conclude(check);
}

static void not_known(struct topic_check *topic, enum kpid_log_look look)
{
    struct log_check *check = topic->check;
    const struct slot_owner *slot = check->slot;

    check->again = true;
    kpid_complain(check->daemon, &check->daemon->log_silent, "shard %s/%d waits: %s of topic %s",
                  check->daemon->model->sources[slot->source].name, slot->partition,
                  look == KPID_LOG_MISSING ? "there is no such partition" : "no answer from the leader",
                  topic_name(slot, topic->topic));
}

/* ---- a topic that was read before ---- */

static void disagree(struct topic_check *topic, int64_t jump_to, const char *what, int64_t at)
{
    struct log_check *check = topic->check;

    if (!check->mismatch)
        kpid_buf_printf(&check->why, "topic %s: %s %" PRId64, topic_name(check->slot, topic->topic), what, at);
    check->mismatch = true;
    topic->jump_to = jump_to;
}

static void on_witness(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct topic_check *topic = ctx;
    struct slot_owner *slot = topic->check->slot;
    int64_t offset;
    uint64_t hash;

    if (slot && kpid_shard_witness(slot->shard, topic->topic, &offset, &hash)) {
        int64_t next = offset + 1;
        if (look == KPID_LOG_RECORD && kpid_record_hash(record) != hash)
            disagree(topic, next, "another record than the one that was counted is at offset", offset);
        else if (look == KPID_LOG_BEYOND)
            disagree(topic, end_offset < next ? end_offset : next, "the log ends before what was counted, at offset",
                     end_offset);
        else if (look == KPID_LOG_GONE)
            kpid_shard_witness_gone(slot->shard, topic->topic);
        else if (look != KPID_LOG_RECORD)
            not_known(topic, look);
    }
    answered(topic->check);
}

/* ---- a topic without state ---- */

static void on_end(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct topic_check *topic = ctx;
    struct slot_owner *slot = topic->check->slot;

    if (slot && (look == KPID_LOG_RECORD || look == KPID_LOG_BEYOND))
        kpid_shard_rebuild(slot->shard, topic->topic, record ? record->offset : end_offset);
    else if (slot)
        not_known(topic, look);
    answered(topic->check);
}

static void refetch(struct topic_check *topic, int64_t offset, kpid_refetched *done)
{
    const struct slot_owner *slot = topic->check->slot;

    topic->check->waiting++;
    kpid_consumer_refetch(topic->check->daemon->consumer, slot->source, topic->topic, slot->partition, offset, done,
                          topic);
}

static void begin_at(struct topic_check *topic, int64_t offset)
{
    struct slot_owner *slot = topic->check->slot;

    if (kpid_shard_next_offset(slot->shard, topic->topic) < 0)
        kpid_shard_begin(slot->shard, topic->topic, offset);
    if (topic->rebuild_to == KPID_FOREVER)
        refetch(topic, KPID_OFFSET_END, on_end);
    else if (topic->rebuild_to >= 0)
        kpid_shard_rebuild(slot->shard, topic->topic, topic->rebuild_to);
}

static void on_begin(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct topic_check *topic = ctx;

    if (topic->check->slot && (look == KPID_LOG_RECORD || look == KPID_LOG_BEYOND))
        begin_at(topic, record ? record->offset : end_offset);
    else if (topic->check->slot)
        not_known(topic, look);
    answered(topic->check);
}

static const struct kpid_offset_note *note_find(const struct kpid_offset_note *notes, size_t n,
                                                const struct slot_owner *slot, uint32_t topic)
{
    for (size_t i = 0; i < n; i++)
        if (notes[i].partition == slot->partition && notes[i].topic == topic)
            return &notes[i];
    return NULL;
}

static void begin_topic(struct topic_check *topic, const struct kpid_offset_note *note)
{
    struct slot_owner *slot = topic->check->slot;
    const struct kpid_source *source = &topic->check->daemon->model->sources[slot->source];
    uint32_t first = kpid_shard_first_partitions(slot->shard);
    int64_t begin = note ? kpid_note_parse(note->text).begin : -1;

    if (slot->anew || (slot->lost && !note)) {
        topic->rebuild_to = KPID_FOREVER;
        begin = -1;
    } else if (note && slot->restored) {
        begin = note->offset; /* the figures hold what was read while the configuration named it before */
    } else if (note) {
        topic->rebuild_to = note->offset;
        slot->lost = true;
    }
    if (begin >= 0)
        begin_at(topic, begin);
    else if (topic->rebuild_to < 0 && source->start == KPID_START_LATEST && (uint32_t)slot->partition < first)
        refetch(topic, KPID_OFFSET_END, on_begin);
    else
        refetch(topic, KPID_OFFSET_BEGINNING, on_begin);
}

/* Redis fell back behind a commit whose figures readers may have: the little that was counted again so far must not
 * correct them. */
static void catch_up(struct slot_owner *slot, uint32_t topic, const struct kpid_offset_note *note)
{
    struct daemon *d = slot->daemon;
    uint64_t seq = note ? kpid_note_parse(note->text).seq : 0, found = kpid_store_seq(slot->store) - 1;

    if (seq <= found || !slot->restored || slot->keep || !kpid_shard_catch_up(slot->shard, topic, note->offset))
        return;
    kpid_log(d, KPID_LOG_WARNING,
             "shard %s/%d fell back: Kafka's group knows of commit %" PRIu64 ", Redis has %" PRIu64
             "; nothing is corrected until topic %s is counted again up to offset %" PRId64,
             d->model->sources[slot->source].name, slot->partition, seq, found, topic_name(slot, topic), note->offset);
}

static uint32_t first_partitions(const struct slot_owner *slot, const struct kpid_offset_note *notes, size_t n)
{
    uint32_t first = 0;

    for (size_t i = 0; i < n; i++) {
        struct group_note note = kpid_note_parse(notes[i].text);
        if (note.first_partitions && (!first || note.first_partitions < first))
            first = note.first_partitions;
    }
    return first ? first : (uint32_t)slot->daemon->sources[slot->source].n_partitions;
}

/* ---- the beginning ---- */

static void look(struct log_check *check, const struct kpid_offset_note *notes, size_t n)
{
    struct slot_owner *slot = check->slot;
    const struct kpid_source *source = &check->daemon->model->sources[slot->source];
    bool lost = slot->lost;
    int64_t offset;
    uint64_t hash;

    for (uint32_t t = 0; t < source->n_topics; t++) {
        const struct kpid_offset_note *note = note_find(notes, n, slot, t);
        if (kpid_shard_next_offset(slot->shard, t) < 0) {
            begin_topic(&check->topics[t], note);
            continue;
        }
        catch_up(slot, t, note);
        if (kpid_shard_witness(slot->shard, t, &offset, &hash))
            refetch(&check->topics[t], offset, on_witness);
    }
    if (slot->lost && !lost)
        kpid_log(check->daemon, KPID_LOG_ERROR,
                 "shard %s/%d: Redis has no state, but Kafka's group knows that there was some: counting again",
                 source->name, slot->partition);
}

static void on_notes(void *ctx, const struct kpid_offset_note *notes, size_t n)
{
    struct log_check *check = ctx;
    struct slot_owner *slot = check->slot;

    if (slot && notes) {
        if (!kpid_shard_first_partitions(slot->shard))
            kpid_shard_set_first_partitions(slot->shard, first_partitions(slot, notes, n));
        look(check, notes, n);
    } else {
        check->again = true;
    }
    answered(check);
}

void kpid_check_begin(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    size_t n_topics = d->model->sources[slot->source].n_topics;
    struct log_check *check = kpid_zalloc(1, sizeof(*check) + n_topics * sizeof(check->topics[0]));

    *check = (struct log_check){ .daemon = d, .slot = slot, .next = d->checks, .waiting = 1 };
    d->checks = check;
    slot->check = check;
    slot->state = SLOT_CHECKING;
    for (uint32_t t = 0; t < n_topics; t++)
        check->topics[t] = (struct topic_check){ .check = check, .topic = t, .rebuild_to = -1, .jump_to = -1 };
    kpid_shard_set_partitions(slot->shard, (uint32_t)d->sources[slot->source].n_partitions);
    kpid_consumer_noted(d->consumer, slot->source, on_notes, check);
}

/* ---- while reading ---- */

void kpid_check_range(void *ctx, uint32_t source, uint32_t topic, int32_t partition, int64_t offset, int64_t low,
                      int64_t high)
{
    struct daemon *d = ctx;
    struct slot_owner *slot = kpid_owner_find(d, source, partition);
    struct kpid_buf why = KPID_BUF_INIT;

    if (!slot || slot->state != SLOT_ACTIVE)
        return;
    if (offset > high) {
        kpid_buf_printf(&why, "topic %s: the log ends before what was counted, at offset %" PRId64,
                        topic_name(slot, topic), high);
        kpid_mismatch(slot, topic, high, why.data);
        kpid_buf_release(&why);
        return;
    }
    if (offset < low) {
        kpid_log(d, KPID_LOG_ERROR,
                 "shard %s/%d: topic %s no longer has offsets %" PRId64 " to %" PRId64 ": their events are in no figure",
                 d->model->sources[source].name, partition, topic_name(slot, topic), offset, low - 1);
        kpid_shard_jump(slot->shard, topic, low);
    }
    kpid_owner_start(slot);
}
