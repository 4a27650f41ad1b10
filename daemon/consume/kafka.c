#define _GNU_SOURCE
#include "kafka.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SAY_AGAIN_MS 30000
#define CLOSE_MS     1900 /* in all; of these, for leaving the group: */
#define LEAVE_MS     1400
#define JOIN_MS      1000 /* and for joining it first, where that is under way */

int64_t kpid_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void kpid_consumer_fault(struct kpid_consumer *consumer, bool fatal, const char *format, ...)
{
    char text[sizeof consumer->said];
    int64_t now_ms = kpid_now_ms();
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!fatal && strcmp(text, consumer->said) == 0 && now_ms < consumer->said_ms + SAY_AGAIN_MS)
        return;
    memcpy(consumer->said, text, sizeof text);
    consumer->said_ms = now_ms;
    consumer->fatal = consumer->fatal || fatal;
    consumer->events.fault(consumer->ctx, text, fatal);
}

void kpid_consumer_pump(struct kpid_consumer *consumer)
{
    /* A timer, not event_active: the loop looks at its other events in between. */
    event_add(consumer->pump, &(struct timeval){0, 0});
}

/* ---- the client's own queue
 * --------------------------------------------------------------------------------- */

static void on_error(struct kpid_consumer *consumer, rd_kafka_event_t *event)
{
    char text[512];
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t error = rd_kafka_fatal_error(consumer->client, text, sizeof text);
        kpid_consumer_fault(consumer, true, "%s: %s", rd_kafka_err2name(error), text);
        return;
    }
    kpid_consumer_fault(consumer, false, "%s", rd_kafka_event_error_string(event));
}

static void on_log(struct kpid_consumer *consumer, rd_kafka_event_t *event)
{
    const char *facility, *text;
    int level;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0)
        return;
    /* What happens to connections comes as an error, too. */
    if (level <= LOG_WARNING && strcmp(facility, "FAIL") != 0 && strcmp(facility, "ERROR") != 0)
        kpid_consumer_fault(consumer, false, "%s: %s", facility, text);
}

static void control_serve(struct kpid_consumer *consumer)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(consumer->control, 0)) != NULL) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_REBALANCE: kpid_group_rebalance(consumer, event); break;
        case RD_KAFKA_EVENT_ERROR: on_error(consumer, event); break;
        case RD_KAFKA_EVENT_LOG: on_log(consumer, event); break;
        case RD_KAFKA_EVENT_OFFSET_COMMIT: kpid_offsets_committed(consumer, event); break;
        case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT: kpid_offsets_noted(consumer, event); break;
        case RD_KAFKA_EVENT_STATS: {
            const char *json = rd_kafka_event_stats(event);
            kpid_statistics_read(consumer, json, strlen(json));
            break;
        }
        default: break;
        }
        rd_kafka_event_destroy(event);
    }
}

/* ---- events of the loop
 * ------------------------------------------------------------------------------------- */

static struct kpid_consumer *checked(void *arg)
{
    struct kpid_consumer *consumer = arg;
    assert(consumer->magic == KPID_CONSUMER_MAGIC);
    return consumer;
}

static void ready_say(struct kpid_consumer *consumer)
{
    if (consumer->n_ring > 0 && !consumer->hold_all && !consumer->fatal)
        consumer->events.ready(consumer->ctx);
}

static void on_wake(int fd, short what, void *arg)
{
    struct kpid_consumer *consumer = checked(arg);
    uint32_t slots[512];
    bool control = !consumer->watched;
    consumer->watched = true;
    ssize_t n;
    (void)what;
    while ((n = read(fd, slots, sizeof slots)) > 0) {
        for (size_t i = 0; i < (size_t)n / sizeof *slots; i++) {
            if (slots[i] == KPID_CONTROL_SLOT)
                control = true;
            else if (slots[i] < consumer->n_slots)
                kpid_feed_wake(consumer->slots[slots[i]]);
        }
    }
    if (control)
        control_serve(consumer);
    ready_say(consumer);
}

static void on_pump(int fd, short what, void *arg)
{
    struct kpid_consumer *consumer = checked(arg);
    (void)fd, (void)what;
    kpid_group_apply(consumer);
    ready_say(consumer);
}

static void on_metadata_timer(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    kpid_topics_ask(checked(arg));
}

static void on_revoke_timer(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    kpid_group_overdue(checked(arg));
}

static void on_range_timer(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    kpid_feed_ranges_find(checked(arg));
}

/* ---- opening and closing
 * ------------------------------------------------------------------------------------ */

static bool client_open(struct kpid_consumer *consumer, struct kpid_buf *error)
{
    static const uint32_t control_slot = KPID_CONTROL_SLOT;
    char text[512] = "";
    rd_kafka_conf_t *conf = kpid_kafka_conf_new(&consumer->model->settings, false, error);
    if (conf == NULL)
        return false;
    int silence_ms = 2 * kpid_kafka_conf_fetch_wait_ms(conf) + KPID_STATISTICS_MS;
    consumer->silence_ms = silence_ms > 2000 ? silence_ms : 2000;
    consumer->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (consumer->client == NULL) {
        kpid_buf_add_str(error, text);
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_set_log_queue(consumer->client, NULL);
    rd_kafka_poll_set_consumer(consumer->client);
    consumer->control = rd_kafka_queue_get_consumer(consumer->client);
    rd_kafka_queue_io_event_enable(consumer->control, consumer->pipe[1], &control_slot, sizeof control_slot);
    /* What came before that is told by nobody. */
    return write(consumer->pipe[1], &control_slot, sizeof control_slot) == (ssize_t)sizeof control_slot;
}

static void loop_open(struct kpid_consumer *consumer)
{
    struct event_base *base = consumer->base;
    consumer->wake = event_new(base, consumer->pipe[0], EV_READ | EV_PERSIST, on_wake, consumer);
    consumer->pump = event_new(base, -1, 0, on_pump, consumer);
    consumer->metadata_timer = event_new(base, -1, 0, on_metadata_timer, consumer);
    consumer->revoke_timer = event_new(base, -1, 0, on_revoke_timer, consumer);
    consumer->range_timer = event_new(base, -1, 0, on_range_timer, consumer);
    event_add(consumer->wake, NULL);
    event_add(consumer->metadata_timer, &(struct timeval){0, 0});
    event_active(consumer->wake, EV_READ,
                 0); /* a queue that had something before it was watched never wakes us */
}

struct kpid_consumer *kpid_consumer_open(const struct kpid_model *model, struct event_base *base,
                                         const struct kpid_consumer_events *events, void *ctx,
                                         struct kpid_buf *error)
{
    struct kpid_consumer *consumer = kpid_zalloc(1, sizeof *consumer);
    consumer->magic = KPID_CONSUMER_MAGIC;
    consumer->model = model;
    consumer->base = base;
    consumer->events = *events;
    consumer->ctx = ctx;
    consumer->cluster = kpid_strdup("");
    if (pipe2(consumer->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        kpid_buf_printf(error, "pipe: %s", strerror(errno));
        free(consumer->cluster);
        free(consumer);
        return NULL;
    }
    if (!client_open(consumer, error) || !kpid_topics_open(consumer, error)) {
        kpid_consumer_close(consumer);
        return NULL;
    }
    loop_open(consumer);
    return consumer;
}

/* librdkafka before 2.3 ends the process when a client is destroyed that has joined its group and was not yet told what
 * is its (confluentinc/librdkafka issue 4312). How far joining is can't be asked without a race: whoever has subscribed
 * and was told nothing may be at it. */
#define WELL_SINCE 0x020300ff

static bool is_joining(const struct kpid_consumer *consumer)
{
    bool subscribed = false;
    for (uint32_t s = 0; s < consumer->n_sources; s++)
        subscribed = subscribed || consumer->sources[s].subscribed;
    return subscribed && !consumer->was_assigned && rd_kafka_version() < WELL_SINCE;
}

/* Takes one event of a consumer on its way out; what it is given, it gives back. */
static void last_event(struct kpid_consumer *consumer, rd_kafka_queue_t *queue, int64_t left_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, left_ms < 20 ? (int)left_ms : 20);
    if (event == NULL)
        return;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE) {
        rd_kafka_assign(consumer->client, NULL); /* closing: librdkafka takes any answer as this one */
        consumer->was_assigned = consumer->was_assigned ||
                                 rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    }
    rd_kafka_event_destroy(event);
}

/* Leaves the group as long as there is time for it. Rebalances on the way are answered with giving all back. */
static void group_leave(struct kpid_consumer *consumer, int64_t deadline_ms)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->client, queue);
    int64_t left_ms;
    while (error == NULL && !rd_kafka_consumer_closed(consumer->client) &&
           (left_ms = deadline_ms - kpid_now_ms()) > 0)
        last_event(consumer, queue, left_ms);
    if (error != NULL)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
}

static void *destroy_run(void *client)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

/* What must not be destroyed goes on saying things that nobody reads, and would keep them. */
static void *ignore_run(void *client)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
    for (;;)
        rd_kafka_event_destroy(rd_kafka_queue_poll(queue, -1));
    return NULL;
}

/* Runs it on a thread; false: it has not ended in time and is left behind. */
static bool thread_run(void *(*run)(void *client), rd_kafka_t *client, int64_t deadline_ms)
{
    pthread_t thread;
    struct timespec until;
    int64_t left_ms = deadline_ms - kpid_now_ms();
    if (pthread_create(&thread, NULL, run, client) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (left_ms > 0 ? left_ms : 0) % 1000 * 1000000;
    until.tv_sec += (left_ms > 0 ? left_ms : 0) / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    bool ended = pthread_timedjoin_np(thread, NULL, &until) == 0;
    if (!ended)
        pthread_detach(thread);
    return ended;
}

bool kpid_kafka_destroy(rd_kafka_t *client, int64_t deadline_ms)
{
    return thread_run(destroy_run, client, deadline_ms);
}

/* False: something of it is left behind. */
static bool client_close(struct kpid_consumer *consumer, int64_t start_ms)
{
    int64_t left_ms;
    rd_kafka_queue_io_event_enable(consumer->control, -1, NULL, 0);
    while (is_joining(consumer) && (left_ms = start_ms + JOIN_MS - kpid_now_ms()) > 0)
        last_event(consumer, consumer->control, left_ms);
    rd_kafka_queue_destroy(consumer->control);
    group_leave(consumer, start_ms + LEAVE_MS);
    kpid_topics_close(consumer);
    if (is_joining(consumer))
        return thread_run(ignore_run, consumer->client, 0);
    return kpid_kafka_destroy(consumer->client, start_ms + CLOSE_MS);
}

static void loop_close(struct kpid_consumer *consumer)
{
    struct event *events[] = {consumer->wake, consumer->pump, consumer->metadata_timer,
                              consumer->revoke_timer, consumer->range_timer};
    for (size_t i = 0; i < KPID_COUNT_OF(events); i++)
        if (events[i] != NULL)
            event_free(events[i]);
}

static void sources_free(struct kpid_consumer *consumer)
{
    for (uint32_t s = 0; s < consumer->n_sources; s++) {
        for (int32_t p = 0; p < consumer->sources[s].n_claims; p++)
            free(consumer->sources[s].claims[p]);
        free(consumer->sources[s].claims);
        free(consumer->sources[s].topics);
    }
    free(consumer->sources);
}

bool kpid_consumer_close(struct kpid_consumer *consumer)
{
    if (consumer == NULL)
        return true;
    int64_t start_ms = kpid_now_ms();
    loop_close(consumer);
    bool ended = kpid_refetcher_close(consumer, start_ms + (CLOSE_MS - LEAVE_MS) / 2);
    for (uint32_t i = 0; i < consumer->n_slots; i++)
        kpid_feed_release(consumer->slots[i]);
    if (consumer->client != NULL)
        ended = client_close(consumer, start_ms) && ended;
    close(consumer->pipe[0]);
    close(consumer->pipe[1]);
    sources_free(consumer);
    kpid_offsets_close(consumer);
    free(consumer->slots);
    free(consumer->ring);
    free(consumer->brokers);
    free(consumer->cluster);
    free(consumer);
    return ended;
}

const char *kpid_consumer_cluster(const struct kpid_consumer *consumer)
{
    return consumer->cluster;
}
