/*
 * librdkafka's producer on the loop. Delivery reports come through the main queue, which wakes the loop by an
 * eventfd; librdkafka writes to it only when the queue was empty, so it is drained, or the event activated
 * again. What can't be handed over at all fails on a later turn, like any other message. After a fatal error
 * of the idempotent producer the client is made anew: its messages fail, and whoever sent them sends them
 * again.
 */
#include "producer.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "producer_conf.h"

#define PRODUCER_MAGIC 0x6b70726fu
#define MESSAGE_MAGIC  0x6b6d7367u
#define EVENTS_A_TURN  64
#define REOPEN_S       1
#define FLUSH_MS       1000
#define PURGE_MS       500

/* One message that librdkafka has, or that failed before it got there. */
struct message {
    unsigned magic;
    struct messages *list;
    struct message *previous, *next;
    kpid_letter_done *done;
    void *ctx;
};

struct messages {
    struct message *first, *last;
    size_t n;
};

struct kpid_producer {
    unsigned magic;
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int fd;
    struct event *event, *reopen;
    char *topics[KPID_TOPIC_N];
    bool msgpack[KPID_TOPIC_N];
    struct messages sending, failed; /* failed: at once, not yet reported */
    uint64_t sent, lost;
    struct kpid_buf scratch;
};

/* ---- messages ---- */

static void list_append(struct messages *list, struct message *message)
{
    message->list = list;
    message->previous = list->last;
    message->next = NULL;
    *(list->last ? &list->last->next : &list->first) = message;
    list->last = message;
    list->n++;
}

static void list_remove(struct message *message)
{
    struct messages *list = message->list;
    *(message->previous ? &message->previous->next : &list->first) = message->next;
    *(message->next ? &message->next->previous : &list->last) = message->previous;
    list->n--;
}

static struct message *message_add(struct kpid_producer *producer, kpid_letter_done *done, void *ctx)
{
    struct message *message = kpid_zalloc(1, sizeof *message);
    *message = (struct message){.magic = MESSAGE_MAGIC, .done = done, .ctx = ctx};
    list_append(&producer->sending, message);
    return message;
}

static void message_end(struct kpid_producer *producer, struct message *message, bool delivered)
{
    assert(message->magic == MESSAGE_MAGIC);
    list_remove(message);
    *(delivered ? &producer->sent : &producer->lost) += 1;
    kpid_letter_done *done = message->done;
    void *ctx = message->ctx;
    message->magic = 0;
    free(message);
    if (done)
        done(ctx, delivered);
}

/* Reported on a later turn. */
static void message_fail(struct kpid_producer *producer, struct message *message)
{
    list_remove(message);
    list_append(&producer->failed, message);
    event_active(producer->event, EV_TIMEOUT, 0);
}

/* Ends what is in a list now, not what the callbacks add to it. */
static void messages_fail(struct kpid_producer *producer, struct messages *list)
{
    for (size_t n = list->n; n && list->first; n--)
        message_end(producer, list->first, false);
}

/* ---- events ---- */

static bool event_serve(struct kpid_producer *producer, int timeout_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(producer->queue, timeout_ms);
    if (!event)
        return false;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        const rd_kafka_message_t *report;
        while ((report = rd_kafka_event_message_next(event)))
            message_end(producer, report->_private, report->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_event_destroy(event);
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Serves events until librdkafka has no message left, at most so long. */
static void messages_wait(struct kpid_producer *producer, rd_kafka_t *rk, int64_t timeout_ms)
{
    int64_t until = now_ms() + timeout_ms, left;
    while (rd_kafka_outq_len(rk) > 0 && (left = until - now_ms()) > 0)
        event_serve(producer, (int)(left < 50 ? left : 50));
}

static bool client_open(struct kpid_producer *producer, struct kpid_buf *error)
{
    static const uint64_t one = 1; /* what an eventfd wants to be told */
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(producer->conf);
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!producer->rk) {
        rd_kafka_conf_destroy(conf);
        if (error)
            kpid_buf_printf(error, "kafka producer: %s", why);
        return false;
    }
    producer->queue = rd_kafka_queue_get_main(producer->rk);
    rd_kafka_queue_io_event_enable(producer->queue, producer->fd, &one, sizeof one);
    return true;
}

/* What is still under way fails; the callbacks find no client, so what they send fails too, a turn later. */
static void client_close(struct kpid_producer *producer)
{
    rd_kafka_t *rk = producer->rk;
    if (!rk)
        return;
    producer->rk = NULL;
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    messages_wait(producer, rk, PURGE_MS);
    rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(producer->queue);
    producer->queue = NULL;
    rd_kafka_destroy(rk);
    messages_fail(producer, &producer->sending);
}

static void reopen_later(struct kpid_producer *producer)
{
    struct timeval after = {.tv_sec = REOPEN_S};
    evtimer_add(producer->reopen, &after);
}

static void on_reopen(int fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct kpid_producer *producer = ctx;
    assert(producer->magic == PRODUCER_MAGIC);
    if (!client_open(producer, NULL))
        reopen_later(producer);
}

static void on_event(int fd, short what, void *ctx)
{
    (void)what;
    struct kpid_producer *producer = ctx;
    assert(producer->magic == PRODUCER_MAGIC);
    uint64_t count;
    ssize_t got = read(producer->fd, &count, sizeof count);
    (void)got;
    (void)fd;
    messages_fail(producer, &producer->failed);
    int budget = EVENTS_A_TURN;
    while (producer->rk && budget && event_serve(producer, 0))
        budget--;
    if (producer->rk && rd_kafka_fatal_error(producer->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_close(producer);
        reopen_later(producer);
    }
    if (budget == 0 || producer->failed.n)
        event_active(producer->event, EV_TIMEOUT, 0);
}

/* ---- life cycle ---- */

struct kpid_producer *kpid_producer_open(const struct kpid_model *model, struct event_base *base,
                                         struct kpid_buf *error)
{
    const struct kpid_settings *settings = &model->settings;
    rd_kafka_conf_t *conf = kpid_producer_conf(settings, error);
    if (!conf)
        return NULL;
    struct kpid_producer *producer = kpid_zalloc(1, sizeof *producer);
    producer->magic = PRODUCER_MAGIC;
    producer->conf = conf;
    const char *topics[KPID_TOPIC_N] = {settings->publish.snapshots, settings->publish.alerts,
                                        settings->publish.dead_letters};
    for (int i = 0; i < KPID_TOPIC_N; i++)
        producer->topics[i] = topics[i] ? kpid_strdup(topics[i]) : NULL;
    producer->msgpack[KPID_TOPIC_SNAPSHOTS] = settings->publish.snapshots_encoding == KPID_ENCODE_MSGPACK;
    producer->msgpack[KPID_TOPIC_ALERTS] = settings->publish.alerts_encoding == KPID_ENCODE_MSGPACK;
    producer->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(producer->fd >= 0);
    producer->event = event_new(base, producer->fd, EV_READ | EV_PERSIST, on_event, producer);
    producer->reopen = event_new(base, -1, 0, on_reopen, producer);
    assert(producer->event && producer->reopen);
    if (!client_open(producer, error)) {
        kpid_producer_close(producer);
        return NULL;
    }
    event_add(producer->event, NULL);
    return producer;
}

void kpid_producer_close(struct kpid_producer *producer)
{
    if (!producer)
        return;
    if (producer->rk)
        messages_wait(producer, producer->rk, FLUSH_MS);
    client_close(producer);
    messages_fail(producer, &producer->failed);
    while (producer->failed.n) { /* sent again by the callbacks just now: nobody waits for them any more */
        producer->failed.first->done = NULL;
        message_end(producer, producer->failed.first, false);
    }
    event_free(producer->event);
    event_free(producer->reopen);
    close(producer->fd);
    rd_kafka_conf_destroy(producer->conf);
    for (int i = 0; i < KPID_TOPIC_N; i++)
        free(producer->topics[i]);
    kpid_buf_release(&producer->scratch);
    producer->magic = 0;
    free(producer);
}

bool kpid_producer_has(const struct kpid_producer *producer, enum kpid_topic_use use)
{
    return producer->topics[use] != NULL;
}

/* ---- sending ---- */

void kpid_producer_send(struct kpid_producer *producer, enum kpid_topic_use use, const void *key,
                        size_t key_len, const char *json, size_t len, kpid_letter_done *done, void *ctx)
{
    struct message *message = message_add(producer, done, ctx);
    const void *value = json;
    if (json && producer->msgpack[use]) {
        kpid_buf_clear(&producer->scratch);
        if (!kpid_json_to_msgpack(json, len, &producer->scratch)) {
            message_fail(producer, message);
            return;
        }
        value = producer->scratch.data;
        len = producer->scratch.len;
    }
    if (!producer->rk || !producer->topics[use] ||
        rd_kafka_producev(producer->rk, RD_KAFKA_V_TOPIC(producer->topics[use]), RD_KAFKA_V_KEY(key, key_len),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? len : 0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(message),
                          RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
        message_fail(producer, message);
}

static void header_add(rd_kafka_headers_t *headers, const char *name, const char *text)
{
    rd_kafka_resp_err_t failed = rd_kafka_header_add(headers, name, -1, text, (ssize_t)strlen(text));
    assert(failed == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* The record's time is not handed on: an old one could make the letter fall to retention at once. */
void kpid_producer_letter(struct kpid_producer *producer, const struct kpid_record *record, const char *topic,
                          const char *reason, kpid_letter_done *done, void *ctx)
{
    struct message *message = message_add(producer, done, ctx);
    if (!producer->rk || !producer->topics[KPID_TOPIC_LETTERS]) {
        message_fail(producer, message);
        return;
    }
    char partition[16], offset[24];
    snprintf(partition, sizeof partition, "%" PRId32, record->partition);
    snprintf(offset, sizeof offset, "%" PRId64, record->offset);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    header_add(headers, "kpid.reason", reason);
    header_add(headers, "kpid.topic", topic);
    header_add(headers, "kpid.partition", partition);
    header_add(headers, "kpid.offset", offset);
    rd_kafka_resp_err_t failed = rd_kafka_producev(
        producer->rk, RD_KAFKA_V_TOPIC(producer->topics[KPID_TOPIC_LETTERS]),
        RD_KAFKA_V_KEY(record->key, record->key_len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value ? record->value_len : 0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(message),
        RD_KAFKA_V_END);
    if (failed) {
        rd_kafka_headers_destroy(headers); /* taken on success only */
        message_fail(producer, message);
    }
}

size_t kpid_producer_pending(const struct kpid_producer *producer)
{
    return producer->sending.n + producer->failed.n;
}

void kpid_producer_counts(const struct kpid_producer *producer, uint64_t *ret_sent, uint64_t *ret_failed)
{
    *ret_sent = producer->sent;
    *ret_failed = producer->lost;
}
