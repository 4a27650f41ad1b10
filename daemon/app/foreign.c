/*
 * Shards of other instances, followed by the one that publishes: at every tick each is looked at, and a copy is brought
 * to what its owner has committed. Evaluation goes on when all have answered, at the next tick at the latest: what is not
 * there by then is as it was.
 */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

static bool pages_of(void *ctx, const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n)
{
    const struct foreign_shard *f = ctx;

    return kpid_meta_format(meta, meta_len) <= f->daemon->company.format && kpid_meta_pages(meta, meta_len, ret, ret_n);
}

static const char *name_of(const struct foreign_shard *f)
{
    return f->daemon->model->sources[f->source].name;
}

static void drop_copy(struct foreign_shard *f)
{
    kpid_shard_free(f->copy);
    f->copy = NULL;
    f->nonce[0] = '\0';
    f->seq = f->evaluated_seq = f->told_seq = 0;
}

/* Redis may have lost what was followed. */
static void follow_clock(struct foreign_shard *f, bool good)
{
    bool idle;
    int64_t clock_ms = good ? kpid_shard_watermark(f->copy, NULL, &idle) : KPID_NEVER;

    if (clock_ms < f->clock_ms)
        kpid_time_again(f->daemon, f->source);
    f->clock_ms = clock_ms;
}

/* Brings the copy to the news. False: they can't be read. */
static bool take(struct foreign_shard *f, const struct kpid_follow_news *news)
{
    struct daemon *d = f->daemon;
    struct kpid_shard *old = NULL;
    const char *why = "";

    if (news->whole || !f->copy) {
        old = f->copy;
        f->copy = kpid_shard_copy_new(d->model, f->source, f->partition);
        if (old && !strcmp(f->nonce, news->nonce))
            kpid_shard_copy_replaces(f->copy, old);
    }
    bool good = kpid_shard_follow(f->copy, news->meta, news->meta_len, news->pages, news->n_pages, &why);
    kpid_shard_free(old);
    if (strcmp(f->nonce, news->nonce))
        f->evaluated_seq = f->told_seq = 0;
    memcpy(f->nonce, news->nonce, sizeof(f->nonce));
    f->seq = news->seq;
    follow_clock(f, good);
    if (!good && !f->damaged)
        kpid_log(d, KPID_LOG_WARNING, "shard %s/%d of another instance can't be read: %s", name_of(f), f->partition, why);
    f->damaged = !good;
    if (!good)
        drop_copy(f);
    return good;
}

static bool any_busy(const struct daemon *d)
{
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            if (d->sources[s].foreign[p] && kpid_follower_busy(d->sources[s].foreign[p]->follower))
                return true;
    return false;
}

static bool on_news(void *ctx, const struct kpid_follow_news *news)
{
    struct foreign_shard *f = ctx;
    struct daemon *d = f->daemon;
    int64_t now = kpid_now_mono();
    bool good = true;

    if (news->status == KPID_FOLLOW_NEW)
        good = take(f, news);
    else if (news->status == KPID_FOLLOW_ABSENT)
        drop_copy(f);
    if (news->status != KPID_FOLLOW_AGAIN)
        f->looked_ms = now;
    if (kpid_live_read(f, news->live ? news->live : "", news->live_len))
        f->lived_ms = now;
    if (d->round == ROUND_READING && !any_busy(d))
        kpid_round_read(d);
    return good && news->status != KPID_FOLLOW_ABSENT;
}

/* ---- life ---- */

static void foreign_free(struct foreign_shard *f)
{
    if (!f)
        return;
    f->daemon->sources[f->source].foreign[f->partition] = NULL;
    kpid_follower_free(f->follower);
    kpid_shard_free(f->copy);
    free(f->idle);
    free(f->at_end);
    free(f->ends);
    free(f);
}

static struct foreign_shard *foreign_new(struct daemon *d, uint32_t source, int32_t partition, const char *cluster)
{
    static const struct kpid_follow_events events = { pages_of, on_news };
    const struct kpid_settings *settings = &d->model->settings;
    struct kpid_store_name name = { settings->redis.prefix, cluster, settings->kafka.group, d->model->sources[source].name,
                                    partition };
    struct foreign_shard *f = kpid_zalloc(1, sizeof(*f));
    size_t n_topics = d->model->sources[source].n_topics;

    *f = (struct foreign_shard){ .daemon = d, .source = source, .partition = partition,
                                 .clock_ms = KPID_NEVER, .lived_ms = KPID_NEVER / 2, .looked_ms = KPID_NEVER / 2 };
    f->idle = kpid_zalloc(n_topics, sizeof(*f->idle));
    f->at_end = kpid_zalloc(n_topics, sizeof(*f->at_end));
    f->ends = kpid_zalloc(n_topics, sizeof(*f->ends));
    f->follower = kpid_follower_new(d->redis, &name, &events, f);
    return f;
}

void kpid_foreign_close(struct daemon *d)
{
    for (uint32_t s = 0; d->sources && s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            foreign_free(d->sources[s].foreign[p]);
}

/* Follows what is not assigned to this instance. What has just been assigned is seen as it was until it is restored. */
static void choose(struct daemon *d, uint32_t s, int32_t p, const char *cluster)
{
    struct source_state *source = &d->sources[s];

    if (!d->company.any || !d->publisher_ready || kpid_owner_has(d, s, p))
        foreign_free(source->foreign[p]);
    else if (!source->foreign[p] && !source->slots[p])
        source->foreign[p] = foreign_new(d, s, p, cluster);
}

bool kpid_foreign_look(struct daemon *d)
{
    const struct kpid_settings *settings = &d->model->settings;
    const char *cluster = settings->kafka.cluster ? settings->kafka.cluster : kpid_consumer_cluster(d->consumer);

    if (!*cluster)
        return false;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            choose(d, s, p, cluster);
            if (d->sources[s].foreign[p] && !d->sources[s].slots[p] &&
                !kpid_follower_busy(d->sources[s].foreign[p]->follower))
                kpid_follower_look(d->sources[s].foreign[p]->follower);
        }
    return any_busy(d);
}

/* ---- what is made of them ---- */

bool kpid_foreign_lives(const struct foreign_shard *f)
{
    return f->copy && kpid_now_mono() - f->lived_ms < f->daemon->model->settings.live_timeout_ms;
}

void kpid_foreign_survey(struct daemon *d, uint32_t s, bool *ret_end)
{
    struct source_state *source = &d->sources[s];

    source->n_all = source->n_active;
    for (int32_t p = 0; p < source->n_partitions; p++) {
        const struct foreign_shard *f = source->foreign[p];
        if (!f || !f->copy || kpid_owner_has(d, s, p))
            continue;
        source->active[source->n_all] = f->copy;
        source->idle[source->n_all++] = f->idle;
        for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++)
            *ret_end = *ret_end && f->idle[t];
    }
}

int64_t kpid_foreign_slowest(const struct daemon *d, uint32_t s)
{
    int64_t slowest = KPID_FOREVER;

    for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
        const struct foreign_shard *f = d->sources[s].foreign[p];
        for (uint32_t t = 0; f && f->copy && t < d->model->sources[s].n_topics; t++) {
            int64_t highest = kpid_shard_highest(f->copy, t);
            if (highest != KPID_NEVER && highest < slowest && !f->at_end[t])
                slowest = highest;
        }
    }
    return slowest;
}

void kpid_foreign_evaluated(struct daemon *d)
{
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; kpid_evaluator_corrects(d->evaluator, s) && p < d->sources[s].n_partitions; p++)
            if (d->sources[s].foreign[p])
                d->sources[s].foreign[p]->evaluated_seq = d->sources[s].foreign[p]->seq;
}

void kpid_foreign_told(struct daemon *d)
{
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            if (d->sources[s].foreign[p])
                d->sources[s].foreign[p]->told_seq = d->sources[s].foreign[p]->evaluated_seq;
}

int64_t kpid_foreign_lag(const struct foreign_shard *f, uint32_t topic)
{
    int64_t next = f->copy ? kpid_shard_next_offset(f->copy, topic) : -1;

    if (next < 0 || f->ends[topic] < 0)
        return -1;
    return f->ends[topic] > next ? f->ends[topic] - next : 0;
}

size_t kpid_foreign_count(const struct daemon *d)
{
    size_t n = 0;

    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            n += d->sources[s].foreign[p] && d->sources[s].foreign[p]->copy;
    return n;
}
