/* kpid-test-topic: makes, enlarges and deletes Kafka topics, and returns when the brokers have done it.
 *
 *     kpid-test-topic BROKERS NAME PARTITIONS [replicas=N] [key=value...]    create, with topic settings
 *     kpid-test-topic BROKERS --grow NAME PARTITIONS            raise the number of partitions
 *     kpid-test-topic BROKERS --deny|--allow topic|group NAME   nobody may read it, until everybody may
 *     kpid-test-topic BROKERS --delete NAME...
 *
 * Created means that every partition has a leader. Exit 0: done; 1: refused or too late, with the reason; 2:
 * bad use.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPERATION_TIMEOUT_MS = 20000, POLL_MS = 20 };

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "kpid-test-topic: %s: %s\n", what, why);
    return 1;
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Partitions of the topic that have a leader; 0 if there is no such topic, -1 if the brokers do not answer.
 */
static int count_led(rd_kafka_t *kafka, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, name, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(kafka, 0, topic, &metadata, 5000);
    rd_kafka_topic_destroy(topic);
    if (err)
        return -1;
    int led = 0;
    for (int i = 0; i < metadata->topic_cnt; i++)
        for (int j = 0; !metadata->topics[i].err && j < metadata->topics[i].partition_cnt; j++)
            led += metadata->topics[i].partitions[j].leader >= 0;
    rd_kafka_metadata_destroy(metadata);
    return led;
}

/* Polls until the topic has that many led partitions. */
static int await_led(rd_kafka_t *kafka, const char *name, int partitions)
{
    int64_t deadline_ms = now_ms() + OPERATION_TIMEOUT_MS;
    while (count_led(kafka, name) != partitions) {
        if (now_ms() > deadline_ms)
            return complain(name, "the brokers did not get there in time");
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return 0;
}

/* The results of whichever kind of event this is; borrowed from the event. */
static const rd_kafka_topic_result_t **results_of(rd_kafka_event_t *event, size_t *ret_count)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT: return rd_kafka_CreateTopics_result_topics(event, ret_count);
    case RD_KAFKA_EVENT_DELETETOPICS_RESULT: return rd_kafka_DeleteTopics_result_topics(event, ret_count);
    case RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT:
        return rd_kafka_CreatePartitions_result_topics(event, ret_count);
    default: *ret_count = 0; return NULL;
    }
}

/* Waits for the answer to the request that was sent with this queue. */
static int await_answer(rd_kafka_queue_t *queue)
{
    int code = 0;
    size_t count;
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, OPERATION_TIMEOUT_MS + 5000);
    if (!event)
        return complain("request", "no answer");
    if (rd_kafka_event_error(event))
        code = complain("request", rd_kafka_event_error_string(event));
    const rd_kafka_topic_result_t **results = results_of(event, &count);
    for (size_t i = 0; !code && i < count; i++)
        if (rd_kafka_topic_result_error(results[i]))
            code = complain(rd_kafka_topic_result_name(results[i]),
                            rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
    return code;
}

static int create(rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
                  char **args)
{
    char why[512];
    const char *name = args[0];
    int partitions = atoi(args[1]), replicas = 1;
    if (args[2] && strncmp(args[2], "replicas=", 9) == 0)
        replicas = atoi(args++[2] + 9);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replicas, why, sizeof(why));
    if (!topic)
        return complain(name, why);
    int code = 0;
    for (char **setting = args + 2; *setting && !code; setting++) {
        char *equals = strchr(*setting, '=');
        if (!equals) {
            code = complain(*setting, "not key=value");
            break;
        }
        *equals = '\0';
        rd_kafka_resp_err_t err = rd_kafka_NewTopic_set_config(topic, *setting, equals + 1);
        if (err)
            code = complain(*setting, rd_kafka_err2str(err));
    }
    if (!code) {
        rd_kafka_CreateTopics(kafka, &topic, 1, options, queue);
        code = await_answer(queue);
    }
    rd_kafka_NewTopic_destroy(topic);
    return code ? code : await_led(kafka, name, partitions);
}

static int grow(rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
                char **args)
{
    char why[512];
    int partitions = atoi(args[1]);
    rd_kafka_NewPartitions_t *request =
        rd_kafka_NewPartitions_new(args[0], (size_t)partitions, why, sizeof(why));
    if (!request)
        return complain(args[0], why);
    rd_kafka_CreatePartitions(kafka, &request, 1, options, queue);
    int code = await_answer(queue);
    rd_kafka_NewPartitions_destroy(request);
    return code ? code : await_led(kafka, args[0], partitions);
}

static int delete (rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
                   char **args)
{
    int code = 0;
    for (; *args && !code; args++) {
        rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(*args);
        rd_kafka_DeleteTopics(kafka, &topic, 1, options, queue);
        code = await_answer(queue);
        rd_kafka_DeleteTopic_destroy(topic);
        if (!code)
            code = await_led(kafka, *args, 0);
    }
    return code;
}

/* Deletes all records of a partition before an offset, as retention does. */
static int cut(rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
               char **args)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, args[0], atoi(args[1]))->offset = atoll(args[2]);
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(kafka, &request, 1, options, queue);
    int code = await_answer(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static rd_kafka_ResourceType_t resource_of(const char *kind)
{
    return strcmp(kind, "group") == 0 ? RD_KAFKA_RESOURCE_GROUP : RD_KAFKA_RESOURCE_TOPIC;
}

/* Nobody may read a topic, or be in a group; writing stays allowed, which another rule has to say then. */
static int deny(rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
                char **args)
{
    char why[512];
    bool is_group = strcmp(args[0], "group") == 0;
    const rd_kafka_AclOperation_t operations[] = {RD_KAFKA_ACL_OPERATION_READ,
                                                  is_group ? RD_KAFKA_ACL_OPERATION_DESCRIBE
                                                           : RD_KAFKA_ACL_OPERATION_WRITE};
    rd_kafka_AclBinding_t *rules[2];
    for (int i = 0; i < 2; i++) {
        rules[i] = rd_kafka_AclBinding_new(
            resource_of(args[0]), args[1], RD_KAFKA_RESOURCE_PATTERN_LITERAL, "User:*", "*", operations[i],
            i ? RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW : RD_KAFKA_ACL_PERMISSION_TYPE_DENY, why, sizeof(why));
        if (!rules[i])
            return complain(args[1], why);
    }
    rd_kafka_CreateAcls(kafka, rules, 2, options, queue);
    int code = await_answer(queue);
    rd_kafka_AclBinding_destroy_array(rules, 2);
    return code;
}

static int allow(rd_kafka_t *kafka, rd_kafka_queue_t *queue, const rd_kafka_AdminOptions_t *options,
                 char **args)
{
    char why[512];
    rd_kafka_AclBindingFilter_t *all = rd_kafka_AclBindingFilter_new(
        resource_of(args[0]), args[1], RD_KAFKA_RESOURCE_PATTERN_LITERAL, NULL, NULL,
        RD_KAFKA_ACL_OPERATION_ANY, RD_KAFKA_ACL_PERMISSION_TYPE_ANY, why, sizeof(why));
    if (!all)
        return complain(args[1], why);
    rd_kafka_DeleteAcls(kafka, &all, 1, options, queue);
    int code = await_answer(queue);
    rd_kafka_AclBinding_destroy(all);
    return code;
}

static int run(rd_kafka_t *kafka, int argc, char **argv)
{
    char why[512];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_ANY);
    int code = 2;
    if (rd_kafka_AdminOptions_set_request_timeout(options, OPERATION_TIMEOUT_MS, why, sizeof(why)) ||
        rd_kafka_AdminOptions_set_operation_timeout(options, OPERATION_TIMEOUT_MS, why, sizeof(why)))
        code = complain("options", why);
    else if (strcmp(argv[2], "--delete") == 0)
        code = delete (kafka, queue, options, argv + 3);
    else if (strcmp(argv[2], "--grow") == 0 && argc == 5)
        code = grow(kafka, queue, options, argv + 3);
    else if (strcmp(argv[2], "--cut") == 0 && argc == 6)
        code = cut(kafka, queue, options, argv + 3);
    else if (strcmp(argv[2], "--deny") == 0 && argc == 5)
        code = deny(kafka, queue, options, argv + 3);
    else if (strcmp(argv[2], "--allow") == 0 && argc == 5)
        code = allow(kafka, queue, options, argv + 3);
    else if (argv[2][0] != '-')
        code = create(kafka, queue, options, argv + 2);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: kpid-test-topic BROKERS NAME PARTITIONS [replicas=N] [key=value...]\n"
                        "       kpid-test-topic BROKERS --grow NAME PARTITIONS\n"
                        "       kpid-test-topic BROKERS --cut NAME PARTITION OFFSET\n"
                        "       kpid-test-topic BROKERS --deny|--allow topic|group NAME\n"
                        "       kpid-test-topic BROKERS --delete NAME...\n");
        return 2;
    }
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *kafka = NULL;
    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof(why)) == RD_KAFKA_CONF_OK)
        kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!kafka) {
        rd_kafka_conf_destroy(conf);
        return complain(argv[1], why);
    }
    int code = run(kafka, argc, argv);
    rd_kafka_destroy(kafka);
    return code;
}
