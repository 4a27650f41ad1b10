/*
 * kpid-bench-consume batch|poll BROKERS TOPIC...: the floor under a consumer of Kafka. Reads every message that the
 * topics hold now, from the beginning, and drops it; properties are librdkafka's own. `batch` takes up to 1,024 at a
 * time from librdkafka's queue, the cheapest way that there is; `poll` is what consumers are told to do, a call of
 * rd_kafka_consumer_poll() a message. Linked with jemalloc where kpid is.
 *
 * Prints one line of JSON. CPU is that of the whole process, librdkafka's threads and the kernel's work for it
 * included. Exit 0: everything was read; 1: not, with the reason; 2: bad use.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BATCH = 1024, WAIT_MS = 200, METADATA_MS = 15000, SILENCE_MS = 30000 };

struct consume {
    rd_kafka_t *client;
    bool poll;
    rd_kafka_topic_partition_list_t *partitions;
    int64_t wanted;
    uint64_t messages, bytes;
};

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "kpid-bench-consume: %s: %s\n", what, why);
    return false;
}

static bool client_open(struct consume *consume, const char *brokers)
{
    const char *settings[][2] = { { "bootstrap.servers", brokers },  { "group.id", "kpid-bench-consume" },
                                  { "enable.auto.commit", "false" }, { "enable.auto.offset.store", "false" },
                                  { "auto.offset.reset", "error" } };
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK) {
            rd_kafka_conf_destroy(conf);
            return complain(settings[i][0], why);
        }
    consume->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!consume->client) {
        rd_kafka_conf_destroy(conf);
        return complain("Kafka", why);
    }
    rd_kafka_poll_set_consumer(consume->client);
    return true;
}

/* All partitions of a topic, from the beginning to what is now the end. */
static bool topic_add(struct consume *consume, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consume->client, name, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(consume->client, 0, topic, &metadata, METADATA_MS);
    rd_kafka_topic_destroy(topic);
    if (error)
        return complain(name, rd_kafka_err2str(error));
    for (int p = 0; p < metadata->topics[0].partition_cnt && !error; p++) {
        int64_t low, high;
        error = rd_kafka_query_watermark_offsets(consume->client, name, p, &low, &high, METADATA_MS);
        if (error || low == high)
            continue;
        rd_kafka_topic_partition_list_add(consume->partitions, name, p)->offset = low;
        consume->wanted += high - low;
    }
    rd_kafka_metadata_destroy(metadata);
    return !error || complain(name, rd_kafka_err2str(error));
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static ssize_t take_some(struct consume *consume, rd_kafka_queue_t *queue, rd_kafka_message_t **messages)
{
    if (!consume->poll)
        return rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, BATCH);
    messages[0] = rd_kafka_consumer_poll(consume->client, WAIT_MS);
    return messages[0] != NULL;
}

static bool read_all(struct consume *consume)
{
    static rd_kafka_message_t *batch[BATCH];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consume->client);
    rd_kafka_resp_err_t error = rd_kafka_assign(consume->client, consume->partitions);
    int64_t heard_ms = now_ms();
    while (!error && (int64_t)consume->messages < consume->wanted && now_ms() - heard_ms < SILENCE_MS) {
        ssize_t n = take_some(consume, queue, batch);
        for (ssize_t i = 0; i < n; i++) {
            if (batch[i]->err && !error)
                error = batch[i]->err;
            consume->messages += !batch[i]->err;
            consume->bytes += batch[i]->err ? 0 : batch[i]->len;
            rd_kafka_message_destroy(batch[i]);
        }
        if (n > 0)
            heard_ms = now_ms();
    }
    rd_kafka_queue_destroy(queue);
    if (error)
        return complain("reading", rd_kafka_err2str(error));
    return (int64_t)consume->messages >= consume->wanted || complain("reading", "nothing comes any more");
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct consume consume = { 0 };
    struct rusage usage;
    if (argc < 4 || (strcmp(argv[1], "batch") && strcmp(argv[1], "poll"))) {
        fprintf(stderr, "usage: kpid-bench-consume batch|poll BROKERS TOPIC...\n");
        return 2;
    }
    consume.poll = !strcmp(argv[1], "poll");
    consume.partitions = rd_kafka_topic_partition_list_new(8);
    bool well = client_open(&consume, argv[2]);
    for (int i = 3; i < argc && well; i++)
        well = topic_add(&consume, argv[i]);
    int64_t began_ms = now_ms();
    well = well && read_all(&consume);
    double wall_s = (double)(now_ms() - began_ms) / 1e3;
    rd_kafka_topic_partition_list_destroy(consume.partitions);
    if (consume.client) {
        rd_kafka_consumer_close(consume.client);
        rd_kafka_destroy(consume.client);
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"user_s\":%.6f,\"system_s\":%.6f,\"wall_s\":%.3f}\n",
           consume.messages, consume.bytes, seconds(usage.ru_utime), seconds(usage.ru_stime), wall_s);
    return well ? 0 : 1;
}
