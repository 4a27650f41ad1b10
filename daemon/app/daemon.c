/* Opens and closes everything; signals, stopping, reloading. */
#include "daemon.h"
#include "kpid.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define STOP_WITHIN_MS  3500
#define SERVE_BUDGET    8192 /* records a turn, so that timers are never starved */

/* ---- callbacks ---- */

static void on_partitions(void *ctx, uint32_t source, int32_t n)
{
    struct daemon *d = ctx;
    struct source_state *state = &d->sources[source];

    if (n <= state->n_partitions)
        return;
    state->slots = kpid_realloc(state->slots, (size_t)n * sizeof(*state->slots));
    state->active = kpid_realloc(state->active, (size_t)n * sizeof(*state->active));
    state->idle = kpid_realloc(state->idle, (size_t)n * sizeof(*state->idle));
    state->foreign = kpid_realloc(state->foreign, (size_t)n * sizeof(*state->foreign));
    for (int32_t p = state->n_partitions; p < n; p++) {
        state->slots[p] = NULL;
        state->foreign[p] = NULL;
    }
    for (int32_t p = 0; p < state->n_partitions; p++)
        if (state->slots[p] && state->slots[p]->state == SLOT_ACTIVE)
            kpid_shard_set_partitions(state->slots[p]->shard, (uint32_t)n);
    kpid_log(d, KPID_LOG_INFO, "source %s has %d partitions", d->model->sources[source].name, n);
    state->n_partitions = n;
}

static void on_ready(void *ctx)
{
    struct daemon *d = ctx;
    event_active(d->serve, EV_TIMEOUT, 0);
}

static void on_fault(void *ctx, const char *text, bool fatal)
{
    struct daemon *d = ctx;

    if (!fatal) {
        kpid_complain(d, &d->fault, "kafka: %s", text);
        return;
    }
    kpid_log(d, KPID_LOG_ERROR, "kafka: %s", text);
    d->failed = true;
    kpid_daemon_finish(d);
}

static void on_redis_up(void *ctx)
{
    struct daemon *d = ctx;

    kpid_log(d, KPID_LOG_NOTICE, "redis: connected");
    kpid_owner_doubt(d);
    kpid_company_connected(d);
    if (d->tick)
        event_active(d->tick, EV_TIMEOUT, 0);
}

static void on_redis_down(void *ctx, const char *why)
{
    struct daemon *d = ctx;
    kpid_log(d, KPID_LOG_WARNING, "redis: %s", why);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    kpid_round_tick(ctx);
}

static void clocks_read(struct daemon *d)
{
    d->wall_ms = d->model->settings.clock == KPID_CLOCK_EVENTS ? KPID_NEVER : kpid_now_wall();
    d->mono_ms = kpid_now_mono();
}

/* Back-pressure, if anything was taken. */
static void after_taking(struct daemon *d, uint64_t taken_before)
{
    if (d->taken == taken_before)
        return;
    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        if (!d->sources[s].was_read)
            continue;
        d->sources[s].was_read = false;
        d->sources[s].moved_ms = kpid_now_mono();
        kpid_time_of_source(d, s);
        if (d->model->sources[s].max_skew_ms != KPID_FOREVER)
            kpid_hold_skew(d, s);
    }
    if (d->uncommitted >= d->model->settings.redis.max_uncommitted)
        kpid_hold_update(d);
}

static void on_serve(evutil_socket_t fd, short what, void *ctx)
{
    struct daemon *d = ctx;

    (void)fd;
    (void)what;
    if (!d->consumer || d->stopping)
        return;
    uint64_t before = d->taken;
    clocks_read(d);
    kpid_consumer_serve(d->consumer, SERVE_BUDGET);
    after_taking(d, before);
}

/* Answers of look-ups are there, or events wait that may go on. */
static void on_drain(evutil_socket_t fd, short what, void *ctx)
{
    struct daemon *d = ctx;
    uint64_t before = d->taken;

    (void)fd;
    (void)what;
    clocks_read(d);
    kpid_wait_drain(d);
    after_taking(d, before);
}

static void on_answered(void *ctx)
{
    on_drain(-1, 0, ctx);
}

static void on_told(void *ctx, enum kpid_told kind, const char *text)
{
    struct daemon *d = ctx;

    if (kind == KPID_TOLD_REPEATED)
        kpid_complain(d, &d->lookup, "%s", text);
    else
        kpid_log(d, kind == KPID_TOLD_FAULT ? KPID_LOG_WARNING : KPID_LOG_NOTICE, "%s", text);
}

static void reload(struct daemon *d)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    struct kpid_model *next = kpid_config_load(d->path, NULL, &faults, &n);
    struct kpid_lookups *lookups = next ? kpid_lookups_load(next, &faults, &n) : NULL;
    if (!lookups) {
        kpid_model_free(next);
        d->n.reload_faults++;
        kpid_log(d, KPID_LOG_ERROR, "reload refused, the old configuration stays: %zu faults\n%s", n,
                 faults.data ? faults.data : "");
    } else if (d->stopping && !d->reloading) {
        kpid_lookups_free(lookups);
        kpid_model_free(next);
    } else {
        kpid_overrides_apply(d->overrides, next);
        kpid_log(d, KPID_LOG_NOTICE, "reload: %s", d->path);
        kpid_lookups_free(d->next_lookups); /* of an earlier one that is still under way */
        kpid_model_free(d->next_model);
        d->next_model = next;
        d->next_lookups = lookups;
        kpid_daemon_stop(d, true);
    }
    kpid_buf_release(&faults);
}

/* What is not read here stays pending, and comes again when the daemon is open again after a reload. */
static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    struct daemon *d = ctx;
    struct signalfd_siginfo info;

    (void)what;
    while (!d->finished && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload(d);
            continue;
        }
        kpid_log(d, KPID_LOG_NOTICE, "stopping");
        sd_notify(0, "STOPPING=1");
        kpid_daemon_stop(d, false);
    }
}

/* ---- stopping ---- */

void kpid_daemon_finish(struct daemon *d)
{
    d->finished = true;
    event_base_loopbreak(d->base);
}

void kpid_daemon_stop(struct daemon *d, bool reload)
{
    if (d->stopping && d->reloading == reload)
        return;
    d->stopping = true;
    d->reloading = reload;
    d->stop_by_ms = kpid_now_mono() + STOP_WITHIN_MS;
    struct timeval within = { STOP_WITHIN_MS / 1000, STOP_WITHIN_MS % 1000 * 1000 };
    evtimer_add(d->deadline, &within);
    kpid_hold_update(d);
    event_active(d->tick, EV_TIMEOUT, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    struct daemon *d = ctx;

    (void)fd;
    (void)what;
    kpid_log(d, KPID_LOG_WARNING, "stopping without the last commit: what it held is read again after the start");
    kpid_daemon_finish(d);
}

/* ---- opening ---- */

static bool fail(struct daemon *d, const char *what, struct kpid_buf *error)
{
    kpid_log(d, KPID_LOG_ERROR, "%s: %s", what, error->data ? error->data : "failed");
    kpid_buf_release(error);
    return false;
}

static int level_of(const char *name)
{
    static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

    for (size_t i = 0; name && i < KPID_COUNT_OF(names); i++)
        if (!strcmp(name, names[i]))
            return KPID_LOG_ERROR + (int)i;
    return KPID_LOG_INFO;
}

static bool open_events(struct daemon *d)
{
    struct timeval tick = { d->model->settings.tick_ms / 1000, d->model->settings.tick_ms % 1000 * 1000 };

    d->tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
    d->serve = event_new(d->base, -1, 0, on_serve, d);
    d->drain = event_new(d->base, -1, 0, on_drain, d);
    d->deadline = evtimer_new(d->base, on_deadline, d);
    d->signal_fd = signalfd(-1, d->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    d->signal = d->signal_fd < 0 ? NULL : event_new(d->base, d->signal_fd, EV_READ | EV_PERSIST, on_signal, d);
    if (!d->signal || event_add(d->signal, NULL))
        return false;
    return d->tick && d->serve && d->drain && d->deadline && !event_add(d->tick, &tick);
}

static bool open_redis(struct daemon *d, struct kpid_buf *error)
{
    static const struct kpid_redis_events events = { on_redis_up, on_redis_down };
    struct kpid_redis_options options = { d->model->settings.redis.url, d->model->settings.redis.timeout_ms,
                                          d->model->settings.redis.allow_eviction, false };

    d->redis = kpid_redis_open(d->base, &options, &events, d, error);
    return d->redis != NULL;
}

static bool open_lookups(struct daemon *d, struct kpid_buf *error)
{
    static const struct kpid_lookups_events events = { on_answered, on_told };

    return kpid_lookups_open(d->lookups, d->base, NULL, &events, d, error);
}

static bool open_consumer(struct daemon *d, struct kpid_buf *error)
{
    static const struct kpid_consumer_events events = { .assigned = kpid_owner_assigned,
                                                        .revoked = kpid_owner_revoked,
                                                        .record = kpid_pipeline_record,
                                                        .ahead = kpid_pipeline_ahead,
                                                        .ready = on_ready,
                                                        .fault = on_fault,
                                                        .partitions = on_partitions,
                                                        .out_of_range = kpid_check_range };

    d->consumer = kpid_consumer_open(d->model, d->base, &events, d, error);
    return d->consumer != NULL;
}

static bool wants_producer(const struct kpid_model *model)
{
    return model->settings.publish.snapshots || model->settings.publish.alerts || model->settings.publish.dead_letters;
}

bool kpid_daemon_open(struct daemon *d)
{
    struct kpid_buf error = KPID_BUF_INIT;
    const struct kpid_model *model = d->model;

    d->signal_fd = -1;
    d->log_level = level_of(model->settings.log_level);
    d->base = event_base_new();
    if (!d->base || !open_events(d))
        return fail(d, "event loop", &error);
    d->views = kpid_zalloc(model->n_sources + 1, sizeof(*d->views));
    d->sources = kpid_zalloc(model->n_sources + 1, sizeof(*d->sources));
    for (size_t s = 0; s < model->n_sources; s++) {
        d->sources[s].decoder = kpid_decoder_new(&model->sources[s]);
        kpid_watermark_init(&d->sources[s].watermark);
        kpid_watermark_init(&d->sources[s].newest);
        d->sources[s].moved_ms = kpid_now_mono();
        d->sources[s].released_at_cut_ms = KPID_NEVER;
    }
    if (!open_redis(d, &error))
        return fail(d, "redis", &error);
    if (!open_lookups(d, &error))
        return fail(d, "look-ups", &error);
    d->publisher = kpid_publisher_new(d->base, d->redis, d->model);
    kpid_company_open(d);
    if (wants_producer(model)) {
        d->producer = kpid_producer_open(d->model, d->base, &error);
        if (!d->producer)
            return fail(d, "kafka producer", &error);
        kpid_publisher_set_producer(d->publisher, d->producer);
    }
    if (!kpid_status_open(d, &error))
        return fail(d, "http", &error);
    if (!open_consumer(d, &error))
        return fail(d, "kafka", &error);
    sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
    kpid_buf_release(&error);
    return true;
}

void kpid_daemon_close(struct daemon *d)
{
    for (size_t s = 0; d->sources && s < d->model->n_sources; s++) {
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            kpid_owner_free(d->sources[s].slots[p]);
        kpid_decoder_free(d->sources[s].decoder);
    }
    if (d->consumer && !kpid_consumer_close(d->consumer))
        d->left_behind = true;
    kpid_foreign_close(d);
    kpid_check_close(d);
    kpid_letters_close(d);
    if (d->http)
        kpid_http_close(d->http);
    kpid_evaluator_free(d->evaluator);
    kpid_evaluator_free(d->loading);
    kpid_evaluator_free(d->former);
    kpid_company_close(d);
    kpid_publisher_free(d->publisher);
    if (d->producer)
        kpid_producer_close(d->producer); /* reports what became of dead letters on their way */
    if (d->redis)
        kpid_redis_close(d->redis);
    kpid_lookups_free(d->lookups);
    for (size_t s = 0; d->sources && s < d->model->n_sources; s++) {
        free(d->sources[s].slots);
        free(d->sources[s].active);
        free(d->sources[s].idle);
        free(d->sources[s].foreign);
    }
    free(d->sources);
    free(d->views);
    if (d->signal)
        event_free(d->signal);
    if (d->signal_fd >= 0)
        close(d->signal_fd);
    if (d->tick)
        event_free(d->tick);
    if (d->serve)
        event_free(d->serve);
    if (d->drain)
        event_free(d->drain);
    if (d->deadline)
        event_free(d->deadline);
    if (d->base)
        event_base_free(d->base);
}
