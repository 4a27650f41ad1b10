/* kpid-test-produce: sends events from lines of JSON to Kafka, fast, and waits until the brokers have them.
 *
 *     kpid-test-produce BROKERS [--default-partitioner NAME | --transactional ID] < events.jsonl
 *
 * A line is {"topic": "...", "key": "...", "value": ANY} with, instead of `value`, `raw` (a string, sent as
 * the text it stands for) or `hex` (a string of hexadecimal digits: any bytes), and optionally `partition`
 * (an integer). A `value` is sent as the exact bytes that stand in the line, never written anew, and its
 * member `ts`, if that is an integer, becomes the Kafka timestamp in ms. Without `key`, or with null, the
 * message has no key.
 *
 * With --transactional there are also the lines begin, commit, abort and flush; each is answered by "ok" once
 * it is done. An end of input within a transaction leaves it open.
 *
 * Prints "produced N". Exit 0: all N lines are acknowledged by all replicas; 1: something was not; 2: bad
 * use.
 */
#include "scan.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Patience with brokers that stand still, as those of a busy machine do for a minute now and then. What
 * belongs to a transaction can't have more than the broker gives that. */
#define PATIENCE    "600000"
#define TRANSACTION "60000"

enum { FLUSH_TIMEOUT_MS = 60000, PATIENCE_MS = 600000, TOPIC_SIZE = 256 };

struct counts {
    uint64_t acknowledged;
    uint64_t failed;
};

/* One line taken apart. The buffers are as large as the line and reused; the spans point into them or the
 * line. */
struct message {
    char topic[TOPIC_SIZE];
    char *key;
    char *decoded;
    size_t capacity;
    struct kpid_span key_span;
    struct kpid_span payload;
    int32_t partition;
    int64_t timestamp_ms;
};

static void delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct counts *counts = opaque;
    (void)kafka;
    if (!message->err) {
        counts->acknowledged++;
        return;
    }
    if (counts->failed++ == 0)
        fprintf(stderr, "kpid-test-produce: %s: %s\n", rd_kafka_topic_name(message->rkt),
                rd_kafka_err2str(message->err));
}

/* Takes the error. */
static bool is_done(rd_kafka_error_t *error)
{
    if (!error)
        return true;
    fprintf(stderr, "kpid-test-produce: %s\n", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

static rd_kafka_t *producer_new(const char *brokers, const char *partitioner, const char *id,
                                struct counts *counts)
{
    const char *settings[][2] = {
        {id ? "transactional.id" : "client.id", id ? id : "kpid-test-produce"},
        {"bootstrap.servers", brokers},
        {"partitioner", partitioner},
        {"enable.idempotence", "true"},
        {"linger.ms", "5"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "500000"},
        {"message.timeout.ms", id ? TRANSACTION : PATIENCE},
        {"socket.timeout.ms", id ? TRANSACTION : "10000"}, /* what was not answered is asked again */
        {"topic.metadata.propagation.max.ms", "1000"},
        {"queue.buffering.max.kbytes", "524288"},
        {"log_level", "3"},
    };
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "kpid-test-produce: %s\n", why);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_conf_set_opaque(conf, counts);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!kafka) {
        fprintf(stderr, "kpid-test-produce: %s\n", why);
        rd_kafka_conf_destroy(conf);
    } else if (id && !is_done(rd_kafka_init_transactions(kafka, FLUSH_TIMEOUT_MS))) {
        rd_kafka_destroy(kafka);
        return NULL;
    }
    return kafka;
}

/* The member `ts` of the event, or 0 (librdkafka then puts the present time). */
static int64_t event_time(struct kpid_span event)
{
    struct kpid_scan scan;
    struct kpid_span name, value;
    int64_t ts = 0;
    kpid_scan_init(&scan, event);
    while (kpid_scan_next(&scan, &name, &value))
        if (kpid_span_equal(name, "ts") && kpid_span_integer(value, &ts))
            break;
    return ts;
}

static bool decode_hex(struct kpid_span text, char *out, size_t *ret_size)
{
    if (!kpid_span_is_string(text) || text.size % 2)
        return false;
    size_t size = text.size / 2 - 1;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {text.at[1 + 2 * i], text.at[2 + 2 * i], 0};
        char *end;
        unsigned long byte = strtoul(pair, &end, 16);
        if (end != pair + 2)
            return false;
        out[i] = (char)byte;
    }
    *ret_size = size;
    return true;
}

static bool take_key(struct message *message, struct kpid_span value)
{
    if (kpid_span_equal(value, "null"))
        return true;
    message->key_span = value;
    if (!kpid_span_is_string(value))
        return true;
    message->key_span.at = message->key;
    return kpid_span_unescape(value, message->key, &message->key_span.size);
}

/* One member of the line. False if it cannot be understood; names we do not know are passed over. */
static bool take_member(struct message *message, struct kpid_span name, struct kpid_span value)
{
    size_t size;
    int64_t number;
    if (kpid_span_equal(name, "topic")) {
        if (value.size > TOPIC_SIZE || !kpid_span_unescape(value, message->topic, &size))
            return false;
        message->topic[size] = '\0';
        return true;
    }
    if (kpid_span_equal(name, "key"))
        return take_key(message, value);
    if (kpid_span_equal(name, "value")) {
        message->payload = value;
        message->timestamp_ms = event_time(value);
        return true;
    }
    if (kpid_span_equal(name, "raw") || kpid_span_equal(name, "hex")) {
        message->payload.at = message->decoded;
        return name.at[0] == 'r' ? kpid_span_unescape(value, message->decoded, &message->payload.size)
                                 : decode_hex(value, message->decoded, &message->payload.size);
    }
    if (kpid_span_equal(name, "partition")) {
        if (!kpid_span_integer(value, &number) || number < 0 || number > INT32_MAX)
            return false;
        message->partition = (int32_t)number;
    }
    return true;
}

static bool message_parse(struct message *message, struct kpid_span line)
{
    struct kpid_scan scan;
    struct kpid_span name, value;
    if (message->capacity < line.size) {
        message->capacity = line.size * 2;
        message->key = realloc(message->key, message->capacity);
        message->decoded = realloc(message->decoded, message->capacity);
        if (!message->key || !message->decoded)
            abort();
    }
    message->topic[0] = '\0';
    message->key_span = message->payload = (struct kpid_span){0};
    message->partition = RD_KAFKA_PARTITION_UA;
    message->timestamp_ms = 0;
    kpid_scan_init(&scan, line);
    while (kpid_scan_next(&scan, &name, &value))
        if (!take_member(message, name, value))
            return false;
    return !scan.fault && message->topic[0] && message->payload.at;
}

/* Queues the message (copied), waiting for room as long as that takes. */
static rd_kafka_resp_err_t message_send(rd_kafka_t *kafka, const struct message *message)
{
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            kafka, RD_KAFKA_V_TOPIC(message->topic), RD_KAFKA_V_PARTITION(message->partition),
            RD_KAFKA_V_KEY(message->key_span.at, message->key_span.size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->payload.at, message->payload.size),
            RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_END);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return err;
        rd_kafka_poll(kafka, 20);
    }
}

enum step { STEP_NONE, STEP_DONE, STEP_FAILED };

/* A line that is no message. */
static enum step take_step(rd_kafka_t *kafka, const char *line)
{
    bool done;
    if (strcmp(line, "begin\n") == 0)
        done = is_done(rd_kafka_begin_transaction(kafka));
    else if (strcmp(line, "commit\n") == 0)
        done = is_done(rd_kafka_commit_transaction(kafka, FLUSH_TIMEOUT_MS));
    else if (strcmp(line, "abort\n") == 0)
        done = is_done(rd_kafka_abort_transaction(kafka, FLUSH_TIMEOUT_MS));
    else if (strcmp(line, "flush\n") == 0)
        done = rd_kafka_flush(kafka, FLUSH_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    else
        return STEP_NONE;
    printf(done ? "ok\n" : "failed\n");
    fflush(stdout);
    return done ? STEP_DONE : STEP_FAILED;
}

/* Sends all of standard input. Returns the number of lines, or -1 after a line that is not to be sent. */
static int64_t send_lines(rd_kafka_t *kafka, bool transactional)
{
    struct message message = {0};
    char *line = NULL;
    size_t line_capacity = 0;
    ssize_t size;
    int64_t lines = 0;
    while (lines >= 0 && (size = getline(&line, &line_capacity, stdin)) >= 0) {
        if (size == 0 || line[0] == '\n')
            continue;
        enum step step = transactional ? take_step(kafka, line) : STEP_NONE;
        if (step == STEP_FAILED)
            lines = -1;
        if (step != STEP_NONE)
            continue;
        const char *fault = "not a line that can be sent";
        bool good = message_parse(&message, (struct kpid_span){line, (size_t)size});
        if (good) {
            rd_kafka_resp_err_t err = message_send(kafka, &message);
            good = !err;
            fault = rd_kafka_err2str(err);
        }
        lines++;
        if (!good) {
            fprintf(stderr, "kpid-test-produce: line %lld: %s\n", (long long)lines, fault);
            lines = -1;
        }
        rd_kafka_poll(kafka, 0);
    }
    free(line);
    free(message.key);
    free(message.decoded);
    return lines;
}

int main(int argc, char **argv)
{
    const char *partitioner = "murmur2_random", *id = NULL;
    if (argc == 4 && strcmp(argv[2], "--default-partitioner") == 0) {
        partitioner = argv[3];
    } else if (argc == 4 && strcmp(argv[2], "--transactional") == 0) {
        id = argv[3];
    } else if (argc != 2) {
        fprintf(stderr, "usage: kpid-test-produce BROKERS [--default-partitioner NAME | --transactional ID] "
                        "< events.jsonl\n");
        return 2;
    }
    struct counts counts = {0};
    rd_kafka_t *kafka = producer_new(argv[1], partitioner, id, &counts);
    if (!kafka)
        return 2;
    int64_t lines = send_lines(kafka, id != NULL);
    if (!id)
        rd_kafka_flush(kafka, PATIENCE_MS);
    printf("produced %llu\n", (unsigned long long)counts.acknowledged);
    bool whole = lines >= 0 && counts.acknowledged == (uint64_t)lines;
    if (!whole)
        fprintf(stderr, "kpid-test-produce: %llu failed\n", (unsigned long long)counts.failed);
    rd_kafka_destroy(kafka);
    return whole ? 0 : 1;
}
