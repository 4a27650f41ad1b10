/* kpid-generate: shop traffic for a demonstration, a replay or a bench. See options.c for what it can be
 * asked. */
#include "encode.h"
#include "options.h"
#include "pace.h"
#include "shop.h"
#include "sink.h"
#include "status.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

enum {
    STEP_MS = 30000,      /* of event time: the topics never stand further apart */
    HISTORY_TICK_MS = 20, /* wall */
    LIVE_TICK_MS = 200,
    STATUS_EVERY_MS = 200,
    SAY_EVERY_MS = 1000,
};

struct generator {
    const struct kpid_options *options;
    struct kpid_shop shop;
    struct kpid_sink *sink;
    kpid_encode *encode;
    struct kpid_status status;
    sigset_t signals;
    int64_t wrote_status_ms, said_ms;
    bool stop;
};

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps, unless a signal asks to stop. The signals are blocked, so no handler and no global is needed. */
static void doze(struct generator *self, int64_t ms)
{
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (sigtimedwait(&self->signals, NULL, &timeout) > 0)
        self->stop = true;
}

static void send_event(void *ctx, const struct kpid_shop_event *event)
{
    struct generator *self = ctx;
    char key[KPID_NAME_SIZE], value[KPID_MESSAGE_SIZE];
    struct kpid_message message = {
        .topic = kpid_event_topic(event->type),
        .ts_ms = event->ts_ms,
        .key = key,
        .value = value,
        .key_size = kpid_event_key(event, key),
        .value_size = self->encode(event, value),
    };
    self->sink->send(self->sink, &message);
    kpid_status_count(&self->status, event);
}

static void report(struct generator *self, bool now)
{
    int64_t now_ms = wall_ms();
    self->status.event_ms = self->shop.now_ms;
    self->status.failed = self->sink->failed;
    if (self->options->status_file != NULL && (now || now_ms - self->wrote_status_ms >= STATUS_EVERY_MS)) {
        self->wrote_status_ms = now_ms;
        self->stop = !kpid_status_write(&self->status, self->options->status_file) || self->stop;
    }
    if (self->options->verbose && (now || now_ms - self->said_ms >= SAY_EVERY_MS)) {
        self->said_ms = now_ms;
        kpid_status_say(&self->status);
    }
}

/* Sends all events before target_ms, in small steps. */
static void go_to(struct generator *self, int64_t target_ms)
{
    while (self->shop.now_ms < target_ms && !self->stop) {
        int64_t step_ms = self->shop.now_ms + STEP_MS;
        kpid_shop_advance(&self->shop, step_ms < target_ms ? step_ms : target_ms, send_event, self);
        self->sink->flush(self->sink);
        report(self, false);
        doze(self, 0);
    }
}

static void open_shop(struct generator *self, int64_t begin_ms, int64_t end_ms)
{
    const struct kpid_options *options = self->options;
    kpid_shop_init(&self->shop, options->seed, begin_ms, options->rate);
    if (options->incident_length_h > 0) {
        int64_t from_ms = end_ms - (int64_t)(options->incident_ago_h * 3600e3);
        kpid_shop_incident(&self->shop, from_ms, from_ms + (int64_t)(options->incident_length_h * 3600e3));
    }
    self->status.begin_ms = begin_ms;
    self->status.incident_from_ms = self->shop.incident_from_ms;
    self->status.incident_to_ms = self->shop.incident_to_ms;
}

static void run_dump(struct generator *self)
{
    int64_t end_ms = self->options->end_ms;
    open_shop(self, end_ms - (int64_t)(self->options->hours * 3600e3), end_ms);
    go_to(self, end_ms);
}

static void run_paced(struct generator *self)
{
    const struct kpid_options *options = self->options;
    struct kpid_pace pace;
    kpid_pace_init(&pace, wall_ms(), options->hours, options->seconds, options->keep ? -1 : options->live_s);
    open_shop(self, pace.begin_ms, pace.meets_ms);
    report(self, true);
    while (!self->stop) {
        go_to(self, kpid_pace_target(&pace, wall_ms()));
        self->status.phase = kpid_pace_phase(&pace, self->shop.now_ms);
        report(self, false);
        if (self->status.phase == KPID_PHASE_DONE)
            break;
        doze(self, self->status.phase == KPID_PHASE_LIVE ? LIVE_TICK_MS : HISTORY_TICK_MS);
    }
    report(self, true);
    while (options->brokers == NULL && !self->stop)
        doze(self, SAY_EVERY_MS);
}

static bool announce(const struct kpid_options *options, const char *address)
{
    char line[300];
    snprintf(line, sizeof line, "%s\n", address);
    if (options->bootstrap_file != NULL)
        return kpid_file_replace(options->bootstrap_file, line);
    return fputs(line, stdout) >= 0 && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct kpid_options options;
    enum kpid_options_result parsed = kpid_options_parse(&options, argc, argv, wall_ms());
    if (parsed != KPID_OPTIONS_GO)
        return parsed == KPID_OPTIONS_HELP ? 0 : 2;
    struct generator self = {
        .options = &options,
        .encode = options.msgpack ? kpid_encode_msgpack : kpid_encode_json,
    };
    sigemptyset(&self.signals);
    sigaddset(&self.signals, SIGTERM);
    sigaddset(&self.signals, SIGINT);
    sigprocmask(SIG_BLOCK, &self.signals, NULL); /* before there are threads, which inherit it */
    bool dump = options.dump_file != NULL;
    self.sink = dump ? kpid_sink_file_open(options.dump_file, options.msgpack)
                     : kpid_sink_kafka_open(&options);
    if (self.sink == NULL)
        return 1;
    if (dump || announce(&options, kpid_sink_kafka_address(self.sink)))
        (dump ? run_dump : run_paced)(&self);
    kpid_shop_release(&self.shop);
    return self.sink->close(self.sink) ? 0 : 1;
}
