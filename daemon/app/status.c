/* What is told to operators: /metrics, /healthz, /readyz, systemd's STATUS and watchdog. */
#include "daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

int64_t kpid_status_lag(const struct daemon *d, bool *ret_known)
{
    int64_t lag = 0, now = kpid_now_mono();
    struct kpid_consumer_status status;

    *ret_known = true;
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
                int64_t one;
                if (d->company.any && !d->sources[s].slots[p] && !d->publisher_ready)
                    continue; /* its owner's to tell */
                if (d->sources[s].foreign[p] && !kpid_owner_has(d, s, p))
                    one = kpid_foreign_lag(d->sources[s].foreign[p], t);
                else
                    one = d->consumer && kpid_consumer_status(d->consumer, s, t, p, now, &status) ? status.lag : -1;
                if (one < 0)
                    *ret_known = false;
                else
                    lag += one;
            }
    return lag + (int64_t)d->n_waiting;
}

static size_t count_shards(const struct daemon *d, size_t *ret_active, size_t *ret_held)
{
    size_t n = 0;

    *ret_active = *ret_held = 0;
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            n += d->sources[s].slots[p] != NULL;
            *ret_active += d->sources[s].slots[p] && d->sources[s].slots[p]->state == SLOT_ACTIVE;
            *ret_held += d->sources[s].slots[p] && d->sources[s].slots[p]->state == SLOT_HELD;
        }
    return n;
}

/* ---- pages ---- */

static void ledger_metrics(const struct daemon *d, struct kpid_buf *body)
{
    struct kpid_ledger ledger;

    kpid_metric_family(body, "kpid_events_total", "counter", "Events by the class of the ledger they are in.");
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
            uint64_t classes[KPID_CLASS_N] = { 0 };
            for (size_t i = 0; i < d->sources[s].n_active; i++) {
                kpid_shard_ledger(d->sources[s].active[i], t, &ledger);
                for (int c = 0; c < KPID_CLASS_N; c++)
                    classes[c] += ledger.classes[c];
            }
            for (int c = 0; c < KPID_CLASS_N; c++)
                kpid_metric_sample(body, "kpid_events_total", (double)classes[c], "source", d->model->sources[s].name,
                                   "topic", d->model->sources[s].topics[t], "class",
                                   kpid_class_name((enum kpid_class)c), NULL);
        }
    kpid_metric_family(body, "kpid_dead_letters_total", "counter", "Events that went to the dead letters, by reason.");
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int r = 1; r < KPID_REASON_N; r++) {
            uint64_t n = 0;
            for (size_t i = 0; i < d->sources[s].n_active; i++)
                for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
                    kpid_shard_ledger(d->sources[s].active[i], t, &ledger);
                    n += ledger.reasons[r];
                }
            kpid_metric_sample(body, "kpid_dead_letters_total", (double)n, "source", d->model->sources[s].name, "reason",
                               kpid_reason_name((enum kpid_reason)r), NULL);
        }
}

static void source_metrics(const struct daemon *d, struct kpid_buf *body)
{
    int64_t now = kpid_now_mono();

    kpid_metric_family(body, "kpid_watermark_seconds", "gauge", "Event time up to which the source is complete.");
    for (size_t s = 0; s < d->model->n_sources; s++)
        if (d->sources[s].watermark.publish_ms != KPID_NEVER)
            kpid_metric_sample(body, "kpid_watermark_seconds", (double)d->sources[s].watermark.publish_ms / 1000, "source",
                               d->model->sources[s].name, NULL);
    kpid_metric_family(body, "kpid_stale", "gauge", "Whether the source has lag and stands, or is older than max_age.");
    for (size_t s = 0; s < d->model->n_sources; s++)
        kpid_metric_sample(body, "kpid_stale", d->sources[s].stale, "source", d->model->sources[s].name, NULL);
    kpid_metric_family(body, "kpid_consumer_lag_records", "gauge", "Records between what was read and the log's end.");
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
                struct kpid_consumer_status status;
                char partition[16];
                snprintf(partition, sizeof(partition), "%d", p);
                if (d->consumer && kpid_consumer_status(d->consumer, s, t, p, now, &status) && status.lag >= 0)
                    kpid_metric_sample(body, "kpid_consumer_lag_records", (double)status.lag, "source",
                                       d->model->sources[s].name, "topic", d->model->sources[s].topics[t], "partition",
                                       partition, NULL);
            }
}

static const struct state_metric {
    const char *name, *type, *help;
    size_t offset;
} state_metrics[] = {
#define STATE_METRIC(name, type, member, help) { name, type, help, offsetof(struct kpid_shard_stats, member) }
    STATE_METRIC("kpid_state_bytes", "gauge", state_bytes, "Memory of the shards' state."),
    STATE_METRIC("kpid_state_log_bytes", "gauge", log_bytes, "Bytes of state pages in Redis."),
    STATE_METRIC("kpid_state_cells", "gauge", cells, "Cells in panes."),
    STATE_METRIC("kpid_state_panes", "gauge", panes, "Panes."),
    STATE_METRIC("kpid_groups", "gauge", groups, "Known groups."),
    STATE_METRIC("kpid_groups_refused_total", "counter", groups_refused, "Events of groups beyond max_groups."),
    STATE_METRIC("kpid_keys", "gauge", keys, "Keys of clocks, sessions and funnels in memory."),
    STATE_METRIC("kpid_keys_refused_total", "counter", keys_refused, "Events of keys beyond max_keys, or beyond what a key keeps."),
    STATE_METRIC("kpid_clocks_forgotten_total", "counter", keys_forgotten, "Open clocks that were forgotten."),
    STATE_METRIC("kpid_clocks_negative_total", "counter", negatives, "Negative durations that were dropped."),
    STATE_METRIC("kpid_uncovered_total", "counter", uncovered, "Events that a clock refused, outside of the years of its calendar."),
    STATE_METRIC("kpid_undated_deadlines", "gauge", undated, "Running clocks whose deadline lies behind the years of their calendar."),
    STATE_METRIC("kpid_absent_total", "counter", absent, "Measures left untouched for an absent field."),
    STATE_METRIC("kpid_dedup_marks", "gauge", dedup_marks, "Marks of event ids."),
    STATE_METRIC("kpid_dedup_cut_total", "counter", dedup_cut, "Marks that went before their horizon."),
#undef STATE_METRIC
};

static void shard_metrics(const struct daemon *d, struct kpid_buf *body)
{
    for (size_t m = 0; m < KPID_COUNT_OF(state_metrics); m++) {
        kpid_metric_family(body, state_metrics[m].name, state_metrics[m].type, state_metrics[m].help);
        for (size_t s = 0; s < d->model->n_sources; s++) {
            uint64_t sum = 0;
            for (size_t i = 0; i < d->sources[s].n_active; i++) {
                struct kpid_shard_stats stats;
                kpid_shard_stats(d->sources[s].active[i], &stats);
                sum += *(const uint64_t *)(const void *)((const char *)&stats + state_metrics[m].offset);
            }
            kpid_metric_sample(body, state_metrics[m].name, (double)sum, "source", d->model->sources[s].name, NULL);
        }
    }
}

static void simple(struct kpid_buf *body, const char *name, const char *type, const char *help, double value)
{
    kpid_metric_family(body, name, type, help);
    kpid_metric_sample(body, name, value, NULL);
}

/* What became of the logs that are read. */
static void log_metrics(const struct daemon *d, struct kpid_buf *body, size_t held)
{
    uint64_t lost = 0, gone = 0, noted = 0, not_noted = 0;

    for (size_t s = 0; s < d->model->n_sources; s++)
        for (size_t i = 0; i < d->sources[s].n_active; i++)
            for (uint32_t t = 0; t < d->model->sources[s].n_topics; t++) {
                struct kpid_ledger ledger;
                kpid_shard_ledger(d->sources[s].active[i], t, &ledger);
                lost += ledger.lost_range;
                gone += ledger.witness_gone;
            }
    if (d->consumer)
        kpid_consumer_commits(d->consumer, &noted, &not_noted);
    simple(body, "kpid_shards_held", "gauge", "Shards whose log is not the one that was counted.", (double)held);
    simple(body, "kpid_log_mismatches_total", "counter", "Logs found not to be the one that was counted.",
           (double)d->n.mismatches);
    simple(body, "kpid_lost_offsets_total", "counter", "Offsets that logs no longer had when they were to be read.",
           (double)lost);
    simple(body, "kpid_witness_gone_total", "counter", "Restarts that found no record to compare the log by.",
           (double)gone);
    simple(body, "kpid_rebuilds_total", "counter", "Shards that were counted again because their state was lost.",
           (double)d->n.rebuilds);
    simple(body, "kpid_group_notes_total", "counter", "Commits of offsets to Kafka's group, as a witness.",
           (double)noted);
    simple(body, "kpid_group_notes_failed_total", "counter", "Such commits that failed.", (double)not_noted);
}

static int metrics_page(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    struct daemon *d = ctx;
    struct kpid_publish_stats publish = { 0 };
    struct kpid_evaluator_stats evaluated = { 0 };
    size_t active, held, shards = count_shards(d, &active, &held);

    kpid_time_update(d);
    *ret_type = "text/plain; version=0.0.4; charset=utf-8";
    ledger_metrics(d, body);
    source_metrics(d, body);
    shard_metrics(d, body);
    kpid_status_lookups(d, body);
    kpid_publisher_stats(d->publisher, &publish);
    if (d->evaluator)
        kpid_evaluator_stats(d->evaluator, &evaluated);
    simple(body, "kpid_shards", "gauge", "Shards assigned to this instance.", (double)shards);
    simple(body, "kpid_shards_active", "gauge", "Shards that are restored and read.", (double)active);
    log_metrics(d, body, held);
    simple(body, "kpid_redis_up", "gauge", "Whether Redis is connected and accepted.", kpid_redis_up(d->redis));
    simple(body, "kpid_publisher", "gauge", "Whether this instance publishes.", d->publisher_ready);
    simple(body, "kpid_instances", "gauge", "Instances that live, this one among them.", (double)d->company.n_living);
    simple(body, "kpid_shards_followed", "gauge", "Shards of other instances that this one evaluates.",
           (double)kpid_foreign_count(d));
    simple(body, "kpid_clock_skew_seconds", "gauge", "This machine's clock against that of Redis.",
           (double)d->company.skew_ms / 1000);
    simple(body, "kpid_refetched_total", "counter", "Records below the next offset, dropped.", (double)d->refetched);
    simple(body, "kpid_evaluations_total", "counter", "Snapshots worked out.", (double)evaluated.evaluations);
    simple(body, "kpid_finals_total", "counter", "Boundaries that became final.", (double)evaluated.finals);
    simple(body, "kpid_revisions_total", "counter", "Final windows corrected by late events.",
           (double)evaluated.revisions);
    simple(body, "kpid_alerts_firing", "gauge", "Alerts that fire.", (double)evaluated.alerts_firing);
    simple(body, "kpid_alerts_pending", "gauge", "Alerts whose condition holds, not yet for long enough.",
           (double)evaluated.alerts_pending);
    simple(body, "kpid_rounds_total", "counter", "Rounds published.", (double)publish.rounds);
    simple(body, "kpid_snapshots_total", "counter", "Snapshots published.", (double)publish.snapshots);
    simple(body, "kpid_transitions_total", "counter", "Alert transitions published.", (double)publish.transitions);
    simple(body, "kpid_publish_refused_total", "counter", "Writes that Redis refused to an older writer.",
           (double)publish.refused);
    simple(body, "kpid_commit_bytes_total", "counter", "Bytes of state that commits wrote, headers included.",
           (double)d->n.commit_bytes);
    simple(body, "kpid_commit_changed_bytes_total", "counter", "The part of them that had changed.",
           (double)d->n.commit_changed_bytes);
    simple(body, "kpid_outbox_entries", "gauge", "Alert notifications not yet confirmed.", (double)publish.outbox);
    simple(body, "kpid_letters_sent_total", "counter", "Dead letters delivered.", (double)d->n.letters_sent);
    simple(body, "kpid_letters_failed_total", "counter", "Dead letters to be sent again.", (double)d->n.letters_failed);
    simple(body, "kpid_letters_lost_total", "counter", "Dead letters sent without their bytes.",
           (double)d->n.letters_lost);
    simple(body, "kpid_letters_waiting_total", "counter", "Times that a dead letter waited for a silent leader.",
           (double)d->n.letters_waiting);
    simple(body, "kpid_reloads_total", "counter", "Configurations taken.", (double)d->n.reloads);
    simple(body, "kpid_reload_faults_total", "counter", "Configurations refused.", (double)d->n.reload_faults);
    return 200;
}

static int health_page(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    struct daemon *d = ctx;

    (void)ret_type;
    if (d->failed) {
        kpid_buf_add_str(body, "failed\n");
        return 503;
    }
    kpid_buf_add_str(body, "ok\n");
    return 200;
}

static int ready_page(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    struct daemon *d = ctx;
    size_t active, held, shards = count_shards(d, &active, &held);
    bool ready = kpid_redis_up(d->redis) && (d->publisher_ready || d->company.elsewhere) &&
                 (shards || d->company.any) && active == shards;

    char lookups[256];

    (void)ret_type;
    kpid_status_lookups_line(d, lookups, sizeof(lookups));
    kpid_buf_printf(body, "%s: redis %s, shards %zu of %zu, held %zu, publisher %s%s\n", ready ? "ready" : "not ready",
                    kpid_redis_up(d->redis) ? "up" : "down", active, shards, held, d->publisher_ready ? "yes" : d->company.elsewhere ? "elsewhere" : "no", lookups);
    return ready ? 200 : 503;
}

bool kpid_status_open(struct daemon *d, struct kpid_buf *error)
{
    if (!d->model->settings.http.listen)
        return true;
    d->http = kpid_http_open(d->base, d->model->settings.http.listen, error);
    if (!d->http)
        return false;
    kpid_http_route(d->http, "/metrics", metrics_page, d);
    kpid_http_route(d->http, "/healthz", health_page, d);
    kpid_http_route(d->http, "/readyz", ready_page, d);
    return true;
}

/* ---- systemd ---- */

/* The watchdog is fed by work that was done, or by the known absence of work; not by the loop merely turning. */
static bool progressed(struct daemon *d, int64_t lag, bool lag_known)
{
    bool moved = d->taken != d->last_watchdog_taken;
    bool nothing_to_do = lag_known && lag == 0;
    bool waits_for_others = !kpid_redis_up(d->redis) || !lag_known || d->held_all || d->n_waiting;

    d->last_watchdog_taken = d->taken;
    return moved || nothing_to_do || waits_for_others;
}

void kpid_status_tell(struct daemon *d)
{
    int64_t now = kpid_now_mono();
    bool known;

    if (now < d->notified_ms + 1000)
        return;
    d->notified_ms = now;
    int64_t lag = kpid_status_lag(d, &known);
    size_t active, held, shards = count_shards(d, &active, &held);
    char lookups[256], held_text[64] = "", lag_text[32] = "not known";
    kpid_status_lookups_line(d, lookups, sizeof(lookups));
    if (progressed(d, lag, known))
        sd_notify(0, "WATCHDOG=1");
    if (held)
        snprintf(held_text, sizeof(held_text), " (%zu HELD, see the log)", held);
    if (known)
        snprintf(lag_text, sizeof(lag_text), "%" PRId64, lag);
    sd_notifyf(0, "STATUS=redis %s, shards %zu of %zu%s, lag %s, %" PRIu64 " events taken%s",
               kpid_redis_up(d->redis) ? "up" : "down", active, shards, held_text, lag_text, d->taken, lookups);
}
