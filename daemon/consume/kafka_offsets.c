#include "kafka.h"

#include <stdlib.h>
#include <string.h>

/*
 * Offsets in the group, with a text beside each. They are witnesses for the day on which Redis has lost what lay
 * there; reading is never resumed from them. All requests are asynchronous, their answers come over the client's own
 * queue.
 */

#define ASK_MS 3000

/* A question under way; librdkafka hands it back as the opaque. */
struct kpid_asked {
    struct kpid_asked *next;
    uint32_t source;
    kpid_noted *done;
    void *ctx;
};

bool kpid_consumer_commit(struct kpid_consumer *consumer, const struct kpid_offset_note *notes, size_t n, bool urgent)
{
    if (consumer->fatal || n == 0 || (consumer->commits_out > 0 && !urgent))
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        const char *topic = consumer->sources[notes[i].source].topics[notes[i].topic].name;
        rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, topic, notes[i].partition);
        entry->offset = notes[i].offset;
        entry->metadata = kpid_strdup(notes[i].text); /* freed with the list */
        entry->metadata_size = strlen(notes[i].text);
    }
    rd_kafka_resp_err_t error = rd_kafka_commit_queue(consumer->client, list, consumer->control, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    consumer->commits_out += error == RD_KAFKA_RESP_ERR_NO_ERROR;
    consumer->commits_failed += error != RD_KAFKA_RESP_ERR_NO_ERROR;
    return true;
}

void kpid_consumer_commits(const struct kpid_consumer *consumer, uint64_t *ret_done, uint64_t *ret_failed)
{
    *ret_done = consumer->commits_done;
    *ret_failed = consumer->commits_failed;
}

/* A group in the middle of a change refuses what it will take a moment later. */
static bool is_passing(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS || error == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || error == RD_KAFKA_RESP_ERR__WAIT_COORD ||
           error == RD_KAFKA_RESP_ERR__NO_OFFSET;
}

void kpid_offsets_committed(struct kpid_consumer *consumer, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    consumer->commits_out -= consumer->commits_out > 0;
    consumer->commits_done += error == RD_KAFKA_RESP_ERR_NO_ERROR;
    consumer->commits_failed += error != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && !is_passing(error))
        kpid_consumer_fault(consumer, false, "the group's offsets, kept as a witness, can't be committed: %s",
                            rd_kafka_err2str(error));
}

static rd_kafka_topic_partition_list_t *places_list(const struct kpid_consumer_source *source)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->n_topics * source->partitions + 1);
    for (uint32_t t = 0; t < source->n_topics; t++)
        for (int32_t p = 0; p < source->partitions; p++)
            rd_kafka_topic_partition_list_add(list, source->topics[t].name, p);
    return list;
}

void kpid_consumer_noted(struct kpid_consumer *consumer, uint32_t source, kpid_noted *done, void *ctx)
{
    struct kpid_asked *asked = kpid_zalloc(1, sizeof *asked);
    *asked = (struct kpid_asked){consumer->asked, source, done, ctx};
    consumer->asked = asked;
    rd_kafka_topic_partition_list_t *list = places_list(&consumer->sources[source]);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(consumer->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    char text[256];
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, text, sizeof text);
    rd_kafka_AdminOptions_set_opaque(options, asked);
    rd_kafka_ListConsumerGroupOffsets_t *question =
        rd_kafka_ListConsumerGroupOffsets_new(consumer->model->settings.kafka.group, list);
    rd_kafka_ListConsumerGroupOffsets(consumer->client, &question, 1, options, consumer->control);
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The partitions in an answer; NULL: it is an error. */
static const rd_kafka_topic_partition_list_t *answer_list(rd_kafka_event_t *event, const char **ret_why)
{
    *ret_why = rd_kafka_event_error_string(event);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    size_t n = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &n);
    if (n != 1)
        return NULL;
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error != NULL) {
        *ret_why = rd_kafka_error_string(error);
        return NULL;
    }
    return rd_kafka_group_result_partitions(groups[0]);
}

static bool asked_unlink(struct kpid_consumer *consumer, struct kpid_asked *asked)
{
    for (struct kpid_asked **at = &consumer->asked; *at != NULL; at = &(*at)->next)
        if (*at == asked) {
            *at = asked->next;
            return true;
        }
    return false;
}

void kpid_offsets_noted(struct kpid_consumer *consumer, rd_kafka_event_t *event)
{
    struct kpid_asked *asked = rd_kafka_event_opaque(event);
    const char *why;
    const rd_kafka_topic_partition_list_t *list = answer_list(event, &why);
    if (!asked_unlink(consumer, asked))
        return;
    if (list == NULL)
        kpid_consumer_fault(consumer, false, "the group's offsets can't be read: %s", why);
    struct kpid_offset_note *notes = kpid_zalloc((list != NULL ? (size_t)list->cnt : 0) + 1, sizeof *notes);
    size_t n = 0;
    bool whole = list != NULL;
    for (int i = 0; whole && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        struct kpid_offset_note *note = &notes[n];
        struct kpid_slice name = {entry->topic, strlen(entry->topic)};
        whole = entry->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!whole || entry->offset < 0 ||
            kpid_topics_find(consumer, name, &note->source, &note->topic) == NULL)
            continue;
        note->partition = entry->partition;
        note->offset = entry->offset;
        /* librdkafka keeps metadata as text, but says its length alone. */
        note->text = entry->metadata_size > 0 ? kpid_strndup(entry->metadata, entry->metadata_size) : kpid_strdup("");
        n++;
    }
    asked->done(asked->ctx, whole ? notes : NULL, whole ? n : 0);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)notes[i].text);
    free(notes);
    free(asked);
}

void kpid_offsets_close(struct kpid_consumer *consumer)
{
    while (consumer->asked != NULL) {
        struct kpid_asked *next = consumer->asked->next;
        free(consumer->asked); /* nobody is called any more; librdkafka, if it still runs, gives back the pointer alone */
        consumer->asked = next;
    }
}
