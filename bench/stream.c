#include "stream.h"

#include "generate/encode.h"
#include "generate/shop.h"
#include "kpid/buf.h"
#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 512,            /* events of one partition in a row, about */
    STEP_MS = 1000,
    SEED = 20260301
};
#define BEGIN_MS INT64_C(1772323200000) /* 2026-03-01, midnight UTC */

struct making {
    struct kpid_stream *stream;
    const struct kpid_model *model;
    const struct kpid_stream_options *options;
    kpid_encode *encode;
    int64_t *offsets; /* next, by topic of the shop and partition */
};

static bool source_of(const struct kpid_model *model, const char *topic, uint32_t *ret_source, uint32_t *ret_topic)
{
    for (uint32_t s = 0; s < model->n_sources; s++)
        for (uint32_t t = 0; t < model->sources[s].n_topics; t++)
            if (strcmp(model->sources[s].topics[t], topic) == 0) {
                *ret_source = s;
                *ret_topic = t;
                return true;
            }
    return false;
}

static void take(void *ctx, const struct kpid_shop_event *event)
{
    struct making *making = ctx;
    struct kpid_stream *stream = making->stream;
    enum kpid_event_topic topic = kpid_event_topic(event->type);
    struct kpid_record record = { .timestamp_ms = event->ts_ms };

    if (stream->n == making->options->n ||
        !source_of(making->model, kpid_topic_name(topic), &record.source, &record.topic))
        return;
    char *at = stream->bytes + stream->n_bytes;
    record.key = at;
    record.key_len = kpid_event_key(event, at);
    record.value = at + record.key_len;
    record.value_len = making->encode(event, at + record.key_len);
    stream->n_bytes += record.key_len + record.value_len;
    stream->value_bytes += record.value_len;
    record.partition = (int32_t)(kpid_hash(at, record.key_len, 0) % (uint64_t)making->options->partitions);
    record.offset = making->offsets[(int32_t)topic * making->options->partitions + record.partition]++;
    stream->records[stream->n++] = record;
}

static int compare(const void *a, const void *b)
{
    const struct kpid_record *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->topic != y->topic)
        return x->topic < y->topic ? -1 : 1;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

void kpid_stream_make(struct kpid_stream *stream, const struct kpid_model *model,
                      const struct kpid_stream_options *options)
{
    struct making making = { .stream = stream, .model = model, .options = options,
                             .encode = options->msgpack ? kpid_encode_msgpack : kpid_encode_json };
    struct kpid_shop shop;
    size_t stride = BATCH * (size_t)(KPID_TOPICS * options->partitions);

    *stream = (struct kpid_stream){ .records = kpid_zalloc(options->n, sizeof(*stream->records)),
                                    .bytes = kpid_alloc(options->n * (KPID_MESSAGE_SIZE + KPID_NAME_SIZE)) };
    making.offsets = kpid_zalloc((size_t)(KPID_TOPICS * options->partitions), sizeof(*making.offsets));
    kpid_shop_init(&shop, SEED, BEGIN_MS, options->rate);
    for (int64_t now = BEGIN_MS; stream->n < options->n; now += STEP_MS)
        kpid_shop_advance(&shop, now + STEP_MS, take, &making);
    kpid_shop_release(&shop);
    free(making.offsets);
    for (size_t at = 0; at < stream->n; at += stride)
        qsort(stream->records + at, stream->n - at < stride ? stream->n - at : stride, sizeof(*stream->records), compare);
}

void kpid_stream_release(struct kpid_stream *stream)
{
    free(stream->bytes);
    free(stream->records);
}
