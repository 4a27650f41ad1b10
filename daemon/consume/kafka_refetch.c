#define _GNU_SOURCE
#include "kafka.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Single records once more, through a second handle without a group, made when it is first needed. A
 * topic-partition answers one request at a time, different ones at once. Each is given up when its
 * topic-partition has not answered for 5 s.
 */

#define GIVE_UP_MS 5000
#define LOOK_MS    200

struct request {
    struct request *next;
    uint32_t source, topic;
    int32_t partition;
    int64_t offset, since_ms;
    bool running;
    bool asks_end; /* the offset is not in the log: where the log ends says on which side */
    kpid_refetched *done;
    void *ctx;
};

struct kpid_refetcher {
    uint64_t magic;
    struct kpid_consumer *consumer;
    rd_kafka_t *client; /* NULL: could not be made, every request is answered with NULL */
    rd_kafka_queue_t *queue;
    int pipe[2];
    struct event *wake, *timer;
    struct request *first, **last;
};

#define REFETCHER_MAGIC UINT64_C(0x6b7069642d726566)

static rd_kafka_topic_t *handle_get(struct kpid_refetcher *refetcher, const struct request *request)
{
    const struct kpid_source *source = &refetcher->consumer->model->sources[request->source];
    return rd_kafka_topic_new(refetcher->client, source->topics[request->topic], NULL);
}

static bool same_place(const struct request *a, const struct request *b)
{
    return a->source == b->source && a->topic == b->topic && a->partition == b->partition;
}

static void stop(struct kpid_refetcher *refetcher, struct request *request)
{
    if (!request->running)
        return;
    rd_kafka_topic_t *handle = handle_get(refetcher, request);
    rd_kafka_consume_stop(handle, request->partition);
    rd_kafka_topic_destroy(handle);
    request->running = false;
}

/* Starts what may run: the first request of every topic-partition. */
static void start_ready(struct kpid_refetcher *refetcher)
{
    for (struct request *request = refetcher->first; request != NULL && refetcher->client != NULL;
         request = request->next) {
        bool earlier = request->running;
        for (struct request *other = refetcher->first; other != request && !earlier; other = other->next)
            earlier = same_place(request, other);
        if (earlier)
            continue;
        rd_kafka_topic_t *handle = handle_get(refetcher, request);
        request->running =
            handle != NULL &&
            rd_kafka_consume_start_queue(handle, request->partition,
                                         request->asks_end ? RD_KAFKA_OFFSET_END : request->offset,
                                         refetcher->queue) == 0;
        if (handle != NULL)
            rd_kafka_topic_destroy(handle); /* librdkafka keeps one of its own while it reads */
    }
}

/* Takes the request off the list and answers it. */
static void answer(struct kpid_refetcher *refetcher, struct request *request, enum kpid_log_look look,
                   const struct kpid_record *record, int64_t end_offset)
{
    int64_t now_ms = kpid_now_ms();
    stop(refetcher, request);
    struct request **place = &refetcher->first;
    while (*place != request)
        place = &(*place)->next;
    *place = request->next;
    if (refetcher->last == &request->next)
        refetcher->last = place;
    for (struct request *other = refetcher->first; other != NULL && look != KPID_LOG_SILENT; other = other->next)
        if (same_place(request, other))
            other->since_ms = now_ms;
    request->done(request->ctx, look, record, end_offset);
    free(request);
}

static struct request *request_find(const struct kpid_refetcher *refetcher, const rd_kafka_message_t *message)
{
    const struct kpid_source *sources = refetcher->consumer->model->sources;
    for (struct request *request = refetcher->first; request != NULL && message->rkt != NULL;
         request = request->next)
        if (request->running && request->partition == message->partition &&
            strcmp(rd_kafka_topic_name(message->rkt), sources[request->source].topics[request->topic]) == 0)
            return request;
    return NULL;
}

/* The log's end is known: an offset before it that the log does not have is gone. */
static void end_take(struct kpid_refetcher *refetcher, struct request *request, int64_t end_offset)
{
    bool beyond = request->offset < 0 || request->offset >= end_offset;
    answer(refetcher, request, beyond ? KPID_LOG_BEYOND : KPID_LOG_GONE, NULL, beyond ? end_offset : -1);
}

/* True: the message is a record that is to be looked at. */
static bool is_record(struct kpid_refetcher *refetcher, struct request *request,
                      const rd_kafka_message_t *message)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (!request->asks_end)
            return message->offset >= request->offset || request->offset < 0;
        end_take(refetcher, request, message->offset);
        return false;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: end_take(refetcher, request, message->offset); return false;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        stop(refetcher, request); /* start_ready goes on with it */
        request->asks_end = true;
        return false;
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        answer(refetcher, request, KPID_LOG_MISSING, NULL, -1);
        return false;
    default: return false; /* it may pass */
    }
}

static void message_take(struct kpid_refetcher *refetcher, const rd_kafka_message_t *message)
{
    struct request *request = request_find(refetcher, message);
    if (request == NULL || !is_record(refetcher, request, message))
        return;
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    struct kpid_record record = {
        .source = request->source,
        .topic = request->topic,
        .partition = request->partition,
        .offset = message->offset,
        .timestamp_ms = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? timestamp_ms : KPID_NEVER,
        .log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len,
    };
    bool is_it = request->offset < 0 || message->offset == request->offset;
    answer(refetcher, request, is_it ? KPID_LOG_RECORD : KPID_LOG_GONE, is_it ? &record : NULL, -1);
}

static void queue_drain(struct kpid_refetcher *refetcher)
{
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consume_queue(refetcher->queue, 0)) != NULL) {
        message_take(refetcher, message);
        rd_kafka_message_destroy(message);
    }
}

static void on_wake(int fd, short what, void *arg)
{
    struct kpid_refetcher *refetcher = arg;
    assert(refetcher->magic == REFETCHER_MAGIC);
    char unused[64];
    (void)what;
    while (read(fd, unused, sizeof unused) > 0)
        ;
    queue_drain(refetcher);
    start_ready(refetcher);
}

static void on_timer(int fd, short what, void *arg)
{
    struct kpid_refetcher *refetcher = arg;
    assert(refetcher->magic == REFETCHER_MAGIC);
    (void)fd, (void)what;
    if (refetcher->client != NULL) {
        rd_kafka_poll(refetcher->client, 0);
        queue_drain(refetcher); /* a queue that is full, if only of what concerns nobody, is not fetched for */
    }
    int64_t give_up_ms = refetcher->client != NULL ? kpid_now_ms() - GIVE_UP_MS : KPID_FOREVER;
    for (struct request *request = refetcher->first; request != NULL;) {
        if (request->since_ms > give_up_ms) {
            request = request->next;
            continue;
        }
        answer(refetcher, request, KPID_LOG_SILENT, NULL, -1);
        request = refetcher->first; /* the owner may have added to the list */
    }
    start_ready(refetcher);
    if (refetcher->first != NULL)
        event_add(refetcher->timer, &(struct timeval){0, LOOK_MS * 1000});
}

static bool client_open(struct kpid_refetcher *refetcher, struct kpid_buf *error)
{
    rd_kafka_conf_t *conf = kpid_kafka_conf_new(&refetcher->consumer->model->settings, true, error);
    char text[256] = "";
    if (conf == NULL)
        return false;
    if (pipe2(refetcher->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        kpid_buf_add_str(error, strerror(errno));
        rd_kafka_conf_destroy(conf);
        return false;
    }
    refetcher->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (refetcher->client == NULL) {
        kpid_buf_add_str(error, text);
        rd_kafka_conf_destroy(conf);
        close(refetcher->pipe[0]);
        close(refetcher->pipe[1]);
        return false;
    }
    refetcher->queue = rd_kafka_queue_new(refetcher->client);
    rd_kafka_queue_io_event_enable(refetcher->queue, refetcher->pipe[1], "", 1);
    refetcher->wake =
        event_new(refetcher->consumer->base, refetcher->pipe[0], EV_READ | EV_PERSIST, on_wake, refetcher);
    event_add(refetcher->wake, NULL);
    return true;
}

static struct kpid_refetcher *refetcher_open(struct kpid_consumer *consumer)
{
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_refetcher *refetcher = kpid_zalloc(1, sizeof *refetcher);
    refetcher->magic = REFETCHER_MAGIC;
    refetcher->consumer = consumer;
    refetcher->last = &refetcher->first;
    refetcher->timer = event_new(consumer->base, -1, 0, on_timer, refetcher);
    if (!client_open(refetcher, &error))
        kpid_consumer_fault(consumer, false, "records can't be fetched again: %s", error.data);
    kpid_buf_release(&error);
    return refetcher;
}

void kpid_consumer_refetch(struct kpid_consumer *consumer, uint32_t source, uint32_t topic, int32_t partition,
                           int64_t offset, kpid_refetched *done, void *ctx)
{
    if (consumer->refetcher == NULL)
        consumer->refetcher = refetcher_open(consumer);
    struct kpid_refetcher *refetcher = consumer->refetcher;
    struct request *request = kpid_zalloc(1, sizeof *request);
    *request = (struct request){.source = source,
                                .topic = topic,
                                .partition = partition,
                                .offset = offset,
                                .since_ms = kpid_now_ms(),
                                .done = done,
                                .ctx = ctx};
    *refetcher->last = request;
    refetcher->last = &request->next;
    event_add(refetcher->timer, &(struct timeval){0, 0});
}

bool kpid_refetcher_close(struct kpid_consumer *consumer, int64_t deadline_ms)
{
    struct kpid_refetcher *refetcher = consumer->refetcher;
    bool ended = true;
    if (refetcher == NULL)
        return ended;
    for (struct request *request; (request = refetcher->first) != NULL;) {
        stop(refetcher, request);
        refetcher->first = request->next;
        free(request); /* the owner, on his way out, is not called any more */
    }
    event_free(refetcher->timer);
    if (refetcher->client != NULL) {
        event_free(refetcher->wake);
        rd_kafka_queue_io_event_enable(refetcher->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(refetcher->queue);
        ended = kpid_kafka_destroy(refetcher->client, deadline_ms);
        close(refetcher->pipe[0]);
        close(refetcher->pipe[1]);
    }
    free(refetcher);
    consumer->refetcher = NULL;
    return ended;
}
