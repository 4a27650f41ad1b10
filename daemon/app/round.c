/*
 * One round: cut every shard and evaluate at that very cut; when all commits are acknowledged publish what was found;
 * when that is acknowledged bring the panes forward. So nothing is published that a crash could take back, and no pane
 * is released that a repeated round would need. One round is under way at a time; events are taken meanwhile.
 */
#include "daemon.h"

#include <sys/random.h>

#define EVALUATIONS_A_ROUND 5000

/* ---- findings -> publisher ---- */

static int64_t lag_now(const struct daemon *d)
{
    bool known;
    int64_t lag = kpid_status_lag(d, &known);
    return known ? lag : -1;
}

static void put_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct daemon *d = ctx;
    kpid_round_snapshot(d->publisher, snapshot, kpid_now_wall(), lag_now(d), places);
}

static void put_transition(void *ctx, const struct kpid_transition *transition)
{
    struct daemon *d = ctx;
    const struct kpid_kpi *kpi = &d->model->kpis[transition->kpi];

    if (transition->notify)
        kpid_log(d, KPID_LOG_NOTICE, "alert %016llx %s %s/%s: %s", (unsigned long long)transition->id,
                 kpid_alert_state_name(transition->to), kpi->name, kpi->rules[transition->rule].name,
                 transition->historic ? "historic, not sent" : "now");
    kpid_round_transition(d->publisher, transition);
}

static void put_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct daemon *d = ctx;
    kpid_round_state(d->publisher, key, key_len, bytes, len);
}

static void delete_state(void *ctx, const char *key, size_t key_len)
{
    struct daemon *d = ctx;
    kpid_round_state_delete(d->publisher, key, key_len);
}

static void put_final(void *ctx, uint32_t kpi, uint32_t window, int64_t progress_ms)
{
    struct daemon *d = ctx;
    kpid_round_final(d->publisher, kpi, window, progress_ms);
}

static void delete_group(void *ctx, uint32_t kpi, uint32_t window, const char *const *group)
{
    struct daemon *d = ctx;
    kpid_round_group_delete(d->publisher, kpi, window, group);
}

static void put_meta(void *ctx, uint32_t kpi, uint32_t window, int64_t watermark_ms)
{
    struct daemon *d = ctx;
    kpid_round_meta(d->publisher, kpi, window, kpid_now_wall(), watermark_ms, lag_now(d));
}

static void put_sketch(void *ctx, uint32_t kpi, const struct kpid_sketch *sketch, const struct kpid_snapshot *snapshot,
                       const void *cell)
{
    struct daemon *d = ctx;
    kpid_round_sketch(d->publisher, kpi, sketch, snapshot, cell);
}

const struct kpid_sink kpid_no_sink = { .snapshot = NULL };

static const struct kpid_sink sink = { .snapshot = put_snapshot, .transition = put_transition, .state = put_state,
                                       .state_delete = delete_state, .final = put_final, .group_delete = delete_group,
                                       .sketch = put_sketch, .meta = put_meta };

/* ---- ownership of {alert} ---- */

static void load_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct daemon *d = ctx;
    kpid_evaluator_load_state(d->loading, key, key_len, bytes, len);
}

static void load_final(void *ctx, const char *key, size_t key_len, int64_t boundary_ms, int64_t told_ms)
{
    struct daemon *d = ctx;
    kpid_evaluator_load_final(d->loading, key, key_len, boundary_ms, told_ms);
}

static void load_done(void *ctx, enum kpid_publish_status status)
{
    struct daemon *d = ctx;

    d->publisher_busy = false;
    d->company.elsewhere = status == KPID_PUBLISH_BUSY;
    if (status != KPID_PUBLISH_OK) {
        if (status == KPID_PUBLISH_BUSY && d->former) {
            kpid_evaluator_free(d->former);
            d->former = NULL;
        }
        kpid_evaluator_free(d->loading);
        d->loading = NULL;
        d->publisher_retry_ms = kpid_now_mono() + 500;
        return;
    }
    /* {alert} alone does not tell: in a cluster others may have lost something, and its header may have been the last
     * that a replica heard of. */
    bool replaced = kpid_redis_losses(d->redis) != d->redis_losses;
    d->redis_losses = kpid_redis_losses(d->redis);
    d->publisher_ready = true;
    kpid_company_owner(d);
    if (d->former && kpid_publisher_undisturbed(d->publisher)) {
        kpid_evaluator_free(d->evaluator);
        d->evaluator = d->former;
        d->former = NULL;
        bool again = kpid_publisher_lost(d->publisher) || replaced || kpid_publisher_behind(d->publisher);
        if (again || d->tell_again)
            kpid_round_again(d->publisher);
        if (!again || d->tell_again)
            return;
        d->tell_again = true; /* d->loading stays until then: what Redis still has */
        kpid_log(d, KPID_LOG_WARNING, "publishing: %s; all that is known is told again",
                 kpid_publisher_lost(d->publisher) ? "Redis lost what was told"
                                                   : "Redis was restarted or replaced and may have lost what was told");
        return;
    }
    /* Copies from before may be older than what another publisher has told, and the corrections in that are no longer in
     * what their owners commit now. */
    kpid_foreign_close(d);
    kpid_evaluator_free(d->former);
    kpid_evaluator_free(d->evaluator);
    d->former = NULL;
    d->tell_again = false;
    d->evaluator = d->loading;
    d->loading = NULL;
    if (replaced)
        kpid_evaluator_doubt(d->evaluator);
    kpid_log(d, KPID_LOG_INFO, "publishing: alert states restored");
    if (kpid_publisher_behind(d->publisher)) {
        kpid_round_again(d->publisher);
        d->tell_again = true;
        kpid_log(d, KPID_LOG_WARNING, "publishing: Redis lost figures that a former publisher had told; they are told again");
    }
}

/* Redis may have lost {alert}: who has it is asked, and what is known here is kept until that is answered. */
static void doubt_publisher(struct daemon *d)
{
    d->publisher_doubt = false;
    d->publisher_ready = false;
    if (d->evaluator) {
        kpid_evaluator_free(d->former);
        d->former = d->evaluator;
        d->evaluator = NULL;
    }
}

void kpid_round_publisher(struct daemon *d)
{
    static const struct kpid_publisher_loaded callbacks = { load_state, load_final, load_done };
    uint8_t nonce[16];

    if (d->publisher_ready || d->publisher_busy || kpid_round_busy(d->publisher) || !kpid_redis_up(d->redis) ||
        !kpid_company_may_publish(d) || kpid_now_mono() < d->publisher_retry_ms || getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return;
    d->publisher_busy = true;
    kpid_evaluator_free(d->loading);
    d->loading = kpid_evaluator_new(d->model, &sink, d);
    kpid_publisher_acquire(d->publisher, nonce, &callbacks, d);
}

/* A shard or {alert} is somebody else's: what was found no longer stands on what is stored. */
void kpid_round_lost(struct daemon *d)
{
    d->publisher_ready = false;
    kpid_evaluator_free(d->evaluator);
    kpid_evaluator_free(d->former);
    d->evaluator = d->former = NULL;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        kpid_time_again(d, s);
    if (d->round != ROUND_PUBLISHING)
        d->round = ROUND_IDLE;
}

/* ---- the round ---- */

static void over(struct daemon *d)
{
    d->round = ROUND_IDLE;
    d->last_round_ms = kpid_now_mono();
    if (d->stopping)
        event_active(d->tick, EV_TIMEOUT, 0);
    else if (d->more)
        event_active(d->tick, EV_TIMEOUT, 0);
}

static void advance(struct daemon *d)
{
    kpid_time_update(d);
    for (size_t s = 0; s < d->model->n_sources; s++)
        d->views[s].released_ms = d->sources[s].released_at_cut_ms;
    kpid_evaluator_advance(d->evaluator, d->views);
}

static void published(void *ctx, enum kpid_publish_status status)
{
    struct daemon *d = ctx;

    switch (status) {
    case KPID_PUBLISH_OK:
        if (d->evaluator && !kpid_evaluator_telling(d->evaluator) && !d->tell_again)
            kpid_round_told(d->publisher);
        if (d->evaluator)
            advance(d);
        kpid_foreign_told(d);
        over(d);
        break;
    case KPID_PUBLISH_DOWN: d->publish_retry_ms = kpid_now_mono() + 500; break;
    default:
        kpid_log(d, KPID_LOG_WARNING, "publishing: another instance took over, or Redis lost what was written; again");
        d->round = ROUND_IDLE;
        doubt_publisher(d);
        break;
    }
}

static bool commit_all(struct daemon *d, bool unfinished_only)
{
    bool any = false;

    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            if (!slot || (unfinished_only && !slot->held_commit && !slot->whole))
                continue;
            any |= kpid_owner_commit(slot);
        }
    return any;
}

static bool any_unfinished(const struct daemon *d)
{
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            const struct slot_owner *slot = d->sources[s].slots[p];
            if (slot && slot->state == SLOT_ACTIVE && (slot->held_commit || slot->whole || slot->committing))
                return true;
        }
    return false;
}

static void left(void *ctx)
{
    kpid_daemon_finish(ctx);
}

/* All answers to commits are there. */
void kpid_round_committed(struct daemon *d)
{
    if (d->round != ROUND_COMMITTING || d->commits_out || any_unfinished(d))
        return; /* the tick tries again what is unfinished */
    kpid_complain_over(d, &d->redis_down, "committing again");
    kpid_letters_send(d);
    kpid_notes_send(d, d->last_commit);
    if (d->last_commit) {
        d->round = ROUND_IDLE;
        kpid_company_leave(d, left);
        return;
    }
    kpid_live_write(d);
    if (!d->evaluated || !d->publisher_ready) {
        over(d);
        return;
    }
    d->round = ROUND_PUBLISHING;
    d->publish_retry_ms = 0;
    kpid_round_send(d->publisher, published, d);
}

static bool hangs_on_time(const struct kpid_model *model, uint32_t source)
{
    for (size_t i = 0; i < model->plans[source].n_measures; i++)
        if (model->measures[model->plans[source].measures[i]].agg->keyed)
            return true;
    return false;
}

/* Another instance evaluates: what time alone brings about is brought into the commit for it. */
static void elapse_all(struct daemon *d)
{
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (size_t i = 0; d->company.any && hangs_on_time(d->model, s) && i < d->sources[s].n_active; i++) {
            int64_t until = kpid_watermark_highest(&d->sources[s].active[i], 1, d->model->sources[s].n_topics);
            kpid_shard_elapse(d->sources[s].active[i],
                              until > d->sources[s].told_wants_ms ? until : d->sources[s].told_wants_ms);
        }
}

/* What Redis lost is told again from all shards: others' states have to come back first. */
static bool all_are_there(const struct daemon *d)
{
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        if (!d->views[s].n_partitions || d->views[s].n_shards < d->views[s].n_partitions)
            return false;
    return true;
}

/* False: nothing can be evaluated yet. A successor that is to tell figures again goes on until all shards are there: it
 * knows what was judged. */
static bool tell_again(struct daemon *d)
{
    if (!d->tell_again)
        return true;
    if (!all_are_there(d) && (d->company.any || !d->loading))
        return !d->loading;
    kpid_evaluator_again(d->evaluator, d->views, d->loading);
    d->tell_again = false;
    return true;
}

static void begin(struct daemon *d)
{
    int64_t now = d->model->settings.clock == KPID_CLOCK_EVENTS ? KPID_NEVER : kpid_now_wall();

    d->round = ROUND_COMMITTING;
    d->evaluated = d->more = false;
    d->uncommitted = 0;
    d->last_commit = d->stopping;
    bool unfinished = any_unfinished(d);
    kpid_time_update(d);
    for (size_t s = 0; s < d->model->n_sources; s++)
        d->sources[s].released_at_cut_ms = d->sources[s].watermark.released_ms;
    /* Evaluating elapses clocks' deadlines: that belongs to the cut as well, so it comes first. */
    if (d->evaluator && d->publisher_ready && !unfinished && !d->stopping && tell_again(d)) {
        d->more = kpid_evaluator_run(d->evaluator, d->views, d->end_of_input, true, EVALUATIONS_A_ROUND, now);
        d->evaluated = true;
        kpid_foreign_evaluated(d);
    } else if (!d->stopping) {
        elapse_all(d);
    }
    commit_all(d, false);
    if (!d->commits_out)
        kpid_round_committed(d);
}

void kpid_round_read(struct daemon *d)
{
    begin(d);
}

void kpid_round_tick(struct daemon *d)
{
    int64_t now = kpid_now_mono();

    kpid_owner_retry(d);
    kpid_company_tick(d);
    kpid_round_publisher(d);
    kpid_hold_update(d);
    kpid_lookups_tick(d->lookups);
    if (d->n_waiting)
        event_active(d->drain, EV_TIMEOUT, 0);
    kpid_status_tell(d);
    if (d->stopping && (!kpid_redis_up(d->redis) || now >= d->stop_by_ms)) {
        kpid_daemon_finish(d);
        return;
    }
    switch (d->round) {
    case ROUND_COMMITTING:
        if (!d->commits_out && kpid_redis_up(d->redis) && !commit_all(d, true))
            kpid_round_committed(d);
        break;
    case ROUND_PUBLISHING:
        if (d->publish_retry_ms && now >= d->publish_retry_ms && kpid_redis_up(d->redis)) {
            d->publish_retry_ms = 0;
            kpid_round_send(d->publisher, published, d);
        }
        break;
    default:
        if (d->publisher_doubt && d->publisher_ready && !kpid_round_busy(d->publisher))
            doubt_publisher(d);
        if (!kpid_redis_up(d->redis))
            break;
        if (kpid_foreign_look(d))
            d->round = ROUND_READING;
        else
            begin(d);
        break;
    case ROUND_READING:
        if (kpid_redis_up(d->redis))
            begin(d);
        break;
    }
}
