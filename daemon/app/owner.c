/* The life of a shard in this instance: assigned, acquired and restored, active, committed, let go. */
#include "daemon.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HELD_LOOK_MS 60000
#define ASK_EVERY_MS 5000

static void acquire(struct slot_owner *slot);

struct slot_owner *kpid_owner_find(const struct daemon *d, uint32_t source, int32_t partition)
{
    return partition < d->sources[source].n_partitions ? d->sources[source].slots[partition] : NULL;
}

bool kpid_owner_has(const struct daemon *d, uint32_t source, int32_t partition)
{
    const struct slot_owner *slot = kpid_owner_find(d, source, partition);

    return slot && slot->state == SLOT_ACTIVE;
}

/* ---- from assigned to active ---- */

void kpid_owner_start(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    const struct kpid_source *source = &d->model->sources[slot->source];
    int64_t *offsets = kpid_alloc(source->n_topics * sizeof(*offsets));

    for (uint32_t t = 0; t < source->n_topics; t++) {
        offsets[t] = kpid_shard_next_offset(slot->shard, t);
        assert(offsets[t] >= 0);
        slot->cut_offsets[t] = offsets[t];
    }
    /* A publisher may still go by what a former owner told; until it speaks of this one, all may be corrections. */
    slot->cut_clock_ms = KPID_FOREVER;
    slot->claim_seq = kpid_store_seq(slot->store) - 1;
    slot->cut_restored = kpid_shard_cuts(slot->shard);
    slot->state = SLOT_ACTIVE;
    kpid_time_again(d, slot->source);
    kpid_wait_clear(slot);
    for (uint32_t t = 0; t < source->n_topics; t++)
        slot->held[t] = slot->ahead[t] = false; /* starting releases them */
    kpid_consumer_start(d->consumer, slot->source, slot->partition, offsets);
    free(offsets);
}

static void later(struct slot_owner *slot, enum slot_state state)
{
    slot->state = state;
    slot->retry_after_ms = slot->retry_after_ms ? slot->retry_after_ms * 2 : 200;
    if (slot->retry_after_ms > 5000)
        slot->retry_after_ms = 5000;
    slot->retry_ms = kpid_now_mono() + slot->retry_after_ms;
}

static void retry_later(struct slot_owner *slot)
{
    later(slot, SLOT_WAITING);
}

static void empty_shard(struct slot_owner *slot)
{
    kpid_shard_free(slot->shard);
    slot->shard = kpid_shard_new(slot->daemon->model, slot->source, slot->partition);
    slot->restored = slot->touch_then = false;
    slot->touch_seq = slot->claim_seq = 0;
    slot->cut_done = slot->cut_sent = slot->noted_cut = slot->cut_restored = 0;
}

void kpid_owner_check_later(struct slot_owner *slot)
{
    /* What was begun on half an answer is begun again. */
    if (slot->lost || slot->anew)
        empty_shard(slot);
    later(slot, SLOT_CHECKING);
}

static void drop_and_check(struct slot_owner *slot)
{
    slot->anew_then = false;
    slot->anew = slot->whole = true;
    empty_shard(slot);
    kpid_check_begin(slot);
}

void kpid_owner_anew(struct slot_owner *slot)
{
    kpid_wait_clear(slot);
    kpid_consumer_let_go(slot->daemon->consumer, slot->source, slot->partition);
    if (slot->committing)
        slot->anew_then = true;
    else
        drop_and_check(slot);
}

static bool is_newer(const struct daemon *d, const void *meta, size_t meta_len)
{
    return kpid_meta_format(meta, meta_len) > d->company.format;
}

static void loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                   const struct kpid_page *pages, size_t n_pages)
{
    struct slot_owner *slot = ctx;
    struct daemon *d = slot->daemon;
    const char *name = d->model->sources[slot->source].name, *why = "";

    if (status == KPID_STORE_FORMAT || (status == KPID_STORE_OK && meta_len && is_newer(d, meta, meta_len))) {
        kpid_log(d, KPID_LOG_ERROR, "shard %s/%d was written by a newer version (%s%s); this one ends: it would lose what "
                 "it can't read", name, slot->partition, kpid_store_error(slot->store),
                 status == KPID_STORE_OK ? "the format of its state" : "");
        d->failed = true;
        kpid_daemon_finish(d);
        return;
    }
    if (status != KPID_STORE_OK && status != KPID_STORE_DAMAGED) {
        kpid_log(d, KPID_LOG_WARNING, "shard %s/%d can't be acquired: %s", name, slot->partition,
                 kpid_store_error(slot->store));
        retry_later(slot);
        return;
    }
    empty_shard(slot);
    slot->restored = status == KPID_STORE_OK && meta_len > 0;
    if (slot->restored && !kpid_shard_load(slot->shard, meta, meta_len, pages, n_pages, &why)) {
        empty_shard(slot);
        status = KPID_STORE_DAMAGED;
    }
    slot->whole = slot->lost = status == KPID_STORE_DAMAGED;
    slot->keep = slot->restored && kpid_store_reset(slot->store) == KPID_STORE_RESET_KEEP;
    slot->retry_after_ms = 0;
    slot->committing = slot->held_commit = false;
    if (status == KPID_STORE_DAMAGED)
        kpid_log(d, KPID_LOG_ERROR, "shard %s/%d: its state in Redis is lost (%s%s); rebuilding from Kafka", name,
                 slot->partition, kpid_store_error(slot->store), why);
    else if (!slot->restored)
        kpid_log(d, KPID_LOG_INFO, "shard %s/%d has no state yet", name, slot->partition);
    if (kpid_store_reset(slot->store) == KPID_STORE_RESET_REBUILD)
        kpid_owner_anew(slot);
    else
        kpid_check_begin(slot);
}

static void acquire(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    const struct kpid_settings *settings = &d->model->settings;
    const char *cluster = settings->kafka.cluster ? settings->kafka.cluster : kpid_consumer_cluster(d->consumer);
    uint8_t nonce[16];

    if (!kpid_redis_up(d->redis) || !*cluster) {
        slot->state = SLOT_WAITING;
        return;
    }
    if (!slot->store) {
        struct kpid_store_name name = { settings->redis.prefix, cluster, settings->kafka.group,
                                        d->model->sources[slot->source].name, slot->partition };
        slot->store = kpid_store_new(d->redis, &name);
    }
    if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce)) {
        retry_later(slot);
        return;
    }
    slot->state = SLOT_ACQUIRING;
    kpid_store_acquire(slot->store, nonce, loaded, slot);
}

void kpid_owner_assigned(void *ctx, uint32_t source, int32_t partition)
{
    struct daemon *d = ctx;
    struct source_state *state = &d->sources[source];
    size_t n_topics = d->model->sources[source].n_topics;

    assert(partition >= 0 && partition < state->n_partitions);
    kpid_owner_free(state->slots[partition]);
    struct slot_owner *slot = kpid_zalloc(1, sizeof(*slot));
    *slot = (struct slot_owner){ .daemon = d, .source = source, .partition = partition, .state = SLOT_WAITING };
    slot->held = kpid_zalloc(n_topics, sizeof(*slot->held));
    slot->ahead = kpid_zalloc(n_topics, sizeof(*slot->ahead));
    slot->idle = kpid_zalloc(n_topics, sizeof(*slot->idle));
    slot->cut_offsets = kpid_zalloc(n_topics, sizeof(*slot->cut_offsets));
    state->slots[partition] = slot;
    acquire(slot);
}

void kpid_owner_free(struct slot_owner *slot)
{
    if (!slot)
        return;
    slot->daemon->sources[slot->source].slots[slot->partition] = NULL;
    kpid_check_forget(slot);
    if (slot->committing && slot->daemon->commits_out)
        slot->daemon->commits_out--;
    kpid_wait_clear(slot);
    kpid_store_free(slot->store);
    kpid_shard_free(slot->shard);
    free(slot->held);
    free(slot->ahead);
    free(slot->idle);
    free(slot->cut_offsets);
    free(slot);
}

static void let_go(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    uint32_t source = slot->source;
    int32_t partition = slot->partition;

    kpid_owner_free(slot);
    kpid_consumer_let_go(d->consumer, source, partition);
    kpid_round_lost(d);
}

void kpid_owner_revoked(void *ctx, uint32_t source, int32_t partition)
{
    struct daemon *d = ctx;
    struct slot_owner *slot = kpid_owner_find(d, source, partition);

    if (!slot) {
        kpid_consumer_let_go(d->consumer, source, partition);
        return;
    }
    kpid_log(d, KPID_LOG_NOTICE, "shard %s/%d is taken away", d->model->sources[source].name, partition);
    slot->leaving = true;
    if (slot->state != SLOT_ACTIVE || (!slot->committing && !kpid_owner_commit(slot)))
        let_go(slot);
}

/* ---- held ---- */

static void hold_now(struct slot_owner *slot)
{
    slot->hold_then = false;
    slot->state = SLOT_HELD;
    slot->retry_ms = kpid_now_mono() + HELD_LOOK_MS;
    kpid_shard_free(slot->shard);
    slot->shard = NULL;
}

void kpid_owner_hold(struct slot_owner *slot)
{
    kpid_wait_clear(slot);
    kpid_consumer_let_go(slot->daemon->consumer, slot->source, slot->partition);
    if (slot->committing || kpid_owner_commit(slot))
        slot->hold_then = true;
    else
        hold_now(slot);
}

static void polled(void *ctx, enum kpid_store_status status)
{
    struct slot_owner *slot = ctx;

    slot->polling = false;
    if (status == KPID_STORE_OTHER || status == KPID_STORE_BEHIND) {
        slot->state = SLOT_WAITING; /* a person decided, another owner took it, or all is lost: acquiring tells */
        slot->retry_ms = 0;
    }
}

/* A look at the header every second, and at the log itself now and then. */
static void held(struct slot_owner *slot, int64_t now_ms)
{
    if (slot->polling || !kpid_redis_up(slot->daemon->redis))
        return;
    if (now_ms >= slot->retry_ms) {
        slot->state = SLOT_WAITING;
        return;
    }
    slot->polling = true;
    kpid_store_commit(slot->store, NULL, polled, slot);
}

/* Waiting shards whose time has come; called every tick and when Redis is back. */
void kpid_owner_retry(struct daemon *d)
{
    int64_t now = kpid_now_mono();

    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            if (slot && slot->state == SLOT_HELD)
                held(slot, now);
            if (slot && slot->state == SLOT_WAITING && now >= slot->retry_ms)
                acquire(slot);
            else if (slot && slot->state == SLOT_CHECKING && !slot->check && now >= slot->retry_ms && !slot->anew_then)
                kpid_check_begin(slot);
        }
}

/* ---- commits ---- */

/* A connection is new: what Redis has is asked at once, of shards and of {alert}. */
void kpid_owner_doubt(struct daemon *d)
{
    d->publisher_doubt = d->publisher_ready;
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; d->sources && p < d->sources[s].n_partitions; p++)
            if (d->sources[s].slots[p])
                d->sources[s].slots[p]->asked_ms = KPID_NEVER / 2;
}

static void lose(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;

    kpid_log(d, KPID_LOG_ERROR, "shard %s/%d has another owner: %s; dropping its memory and acquiring again",
             d->model->sources[slot->source].name, slot->partition, kpid_store_error(slot->store));
    kpid_consumer_let_go(d->consumer, slot->source, slot->partition);
    kpid_wait_clear(slot);
    kpid_check_forget(slot);
    kpid_shard_free(slot->shard);
    slot->shard = NULL;
    slot->hold_then = slot->anew_then = slot->held_commit = slot->touch_then = false;
    slot->touch_seq = slot->claim_seq = 0;
    retry_later(slot);
    kpid_round_lost(d);
}

static void committed(void *ctx, enum kpid_store_status status)
{
    struct slot_owner *slot = ctx;
    struct daemon *d = slot->daemon;

    slot->committing = false;
    if (d->commits_out)
        d->commits_out--;
    switch (status) {
    case KPID_STORE_OK:
        slot->held_commit = false;
        slot->asked_ms = kpid_now_mono();
        slot->cut_done = slot->cut_sent;
        if (slot->touch_then)
            slot->touch_seq = kpid_store_seq(slot->store);
        slot->touch_then = false;
        break;
    case KPID_STORE_BEHIND:
        kpid_log(d, KPID_LOG_WARNING, "shard %s/%d: Redis lost what was committed; writing the whole state",
                 d->model->sources[slot->source].name, slot->partition);
        slot->whole = true;
        slot->held_commit = slot->touch_then = false;
        slot->touch_seq = 0;
        d->publisher_doubt = d->publisher_ready;
        break;
    case KPID_STORE_OTHER:
        if (slot->leaving) { /* Kafka took it away while the commit was under way: it is not to be acquired again */
            kpid_log(d, KPID_LOG_NOTICE, "shard %s/%d was committed too late: %s",
                     d->model->sources[slot->source].name, slot->partition, kpid_store_error(slot->store));
            let_go(slot);
        } else {
            lose(slot);
        }
        return;
    default:
        slot->held_commit = true;
        kpid_complain(d, &d->redis_down, "shard %s/%d is not committed: %s", d->model->sources[slot->source].name,
                      slot->partition, kpid_store_error(slot->store));
        break;
    }
    if (slot->leaving) {
        if (status == KPID_STORE_OK)
            kpid_notes_send(d, true);
        let_go(slot);
        return;
    }
    if (slot->anew_then)
        drop_and_check(slot);
    else if (slot->hold_then && !slot->held_commit && !slot->whole && !kpid_owner_commit(slot))
        hold_now(slot);
    if (!d->commits_out)
        kpid_round_committed(d);
}

static void count_commit(struct daemon *d, const struct kpid_commit *commit)
{
    d->n.commit_bytes += commit->meta.len;
    for (size_t i = 0; i < commit->n_pages; i++)
        d->n.commit_bytes += commit->pages[i].len;
    d->n.commit_changed_bytes += commit->changed_bytes;
}

/* What others may make of this commit. */
static void note_cut(struct slot_owner *slot)
{
    bool idle;

    for (uint32_t t = 0; t < slot->daemon->model->sources[slot->source].n_topics; t++)
        slot->cut_offsets[t] = kpid_shard_next_offset(slot->shard, t);
    /* Boundaries before the clock may become final by it: from now on events behind it are corrections. */
    slot->cut_clock_ms = kpid_shard_watermark(slot->shard, NULL, &idle);
    kpid_shard_watch_all(slot->shard, slot->cut_clock_ms);
    if (slot->daemon->company.elsewhere && !slot->touch_seq && kpid_shard_has_touches(slot->shard)) {
        kpid_shard_touched(slot->shard, false, NULL, NULL);
        slot->touch_then = true;
    }
}

/* Cuts and commits if there is anything to write; false: there is not. */
bool kpid_owner_commit(struct slot_owner *slot)
{
    struct daemon *d = slot->daemon;
    struct kpid_commit commit;

    if (slot->state != SLOT_ACTIVE || slot->committing)
        return false;
    if (slot->held_commit) {
        slot->committing = true;
        d->commits_out++;
        kpid_store_commit(slot->store, NULL, committed, slot);
        return true;
    }
    /* What all instances can read. Before any was heard of: what the former owner wrote, else the oldest. */
    if (d->company.agreed || !slot->restored)
        kpid_shard_set_format(slot->shard, d->company.agreed);
    if (!slot->whole && !kpid_shard_dirty(slot->shard)) {
        if (kpid_now_mono() - slot->asked_ms < ASK_EVERY_MS)
            return false;
        /* Nothing to write: does Redis still have what it acknowledged? */
        slot->asked_ms = kpid_now_mono();
        slot->cut_sent = slot->cut_done;
        slot->committing = true;
        d->commits_out++;
        kpid_store_commit(slot->store, NULL, committed, slot);
        return true;
    }
    kpid_witness_take(slot);
    note_cut(slot);
    kpid_shard_cut(slot->shard, slot->whole, &commit);
    count_commit(d, &commit);
    slot->whole = false;
    slot->cut_sent = kpid_shard_cuts(slot->shard);
    slot->committing = true;
    d->commits_out++;
    kpid_store_commit(slot->store, &commit, committed, slot);
    return true;
}
