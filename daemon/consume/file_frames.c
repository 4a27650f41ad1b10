#include "file.h"

#include <string.h>

/*
 * Recorded frames: MessagePack arrays [topic, partition, offset, timestamp ms, key, value], one after the
 * other. topic is a string; timestamp may be nil; key and value are binary, string or nil. Nothing is
 * allocated: key and value point into the window.
 */

struct frame {
    const unsigned char *at, *end;
    bool more;         /* the frame goes on behind the window */
    const char *fault; /* sticky */
};

static const unsigned char *take(struct frame *in, size_t n)
{
    if (in->fault != NULL || in->more)
        return NULL;
    if ((size_t)(in->end - in->at) < n) {
        in->more = true;
        return NULL;
    }
    const unsigned char *at = in->at;
    in->at += n;
    return at;
}

static uint64_t take_be(struct frame *in, size_t n)
{
    const unsigned char *at = take(in, n);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static unsigned take_head(struct frame *in)
{
    const unsigned char *at = take(in, 1);
    return at != NULL ? *at : 0;
}

static void wrong(struct frame *in, const char *fault)
{
    if (in->fault == NULL && !in->more)
        in->fault = fault;
}

static int64_t take_int(struct frame *in, const char *fault)
{
    unsigned head = take_head(in);
    if (head < 0x80)
        return (int64_t)head;
    if (head >= 0xe0)
        return (int8_t)head;
    if (head >= 0xcc && head <= 0xcf) {
        uint64_t value = take_be(in, (size_t)1 << (head - 0xcc));
        if (value <= INT64_MAX)
            return (int64_t)value;
    }
    switch (head) {
    case 0xd0: return (int8_t)take_be(in, 1);
    case 0xd1: return (int16_t)take_be(in, 2);
    case 0xd2: return (int32_t)take_be(in, 4);
    case 0xd3: return (int64_t)take_be(in, 8);
    default: wrong(in, fault); return 0;
    }
}

/* A string, binary, or nil (then NULL). */
static const char *take_bytes(struct frame *in, size_t *ret_len, const char *fault)
{
    static const char none[1] = "";
    unsigned head = take_head(in);
    size_t len = 0;
    if (head == 0xc0)
        return NULL;
    if (head >= 0xa0 && head <= 0xbf)
        len = head - 0xa0;
    else if (head >= 0xd9 && head <= 0xdb)
        len = take_be(in, (size_t)1 << (head - 0xd9));
    else if (head >= 0xc4 && head <= 0xc6)
        len = take_be(in, (size_t)1 << (head - 0xc4));
    else
        wrong(in, fault);
    const unsigned char *at = take(in, len);
    if (at == NULL)
        return NULL;
    *ret_len = len;
    return len > 0 ? (const char *)at : none;
}

static uint64_t take_array(struct frame *in)
{
    unsigned head = take_head(in);
    if (head >= 0x90 && head <= 0x9f)
        return head - 0x90;
    if (head == 0xdc)
        return take_be(in, 2);
    if (head == 0xdd)
        return take_be(in, 4);
    wrong(in, "no array begins here");
    return 0;
}

static void frame_read(struct frame *in, struct kpid_slice *topic, struct kpid_record *record)
{
    if (take_array(in) != 6)
        wrong(in, "not an array of six");
    topic->at = take_bytes(in, &topic->len, "the topic is not a string");
    if (topic->at == NULL)
        wrong(in, "the topic is not a string");
    int64_t partition = take_int(in, "the partition is not a whole number");
    if (partition < 0 || partition > INT32_MAX)
        wrong(in, "the partition is out of range");
    record->partition = (int32_t)partition;
    record->offset = take_int(in, "the offset is not a whole number");
    if (record->offset < 0)
        wrong(in, "the offset is negative");
    if (!in->more && in->fault == NULL && in->at < in->end && *in->at == 0xc0)
        in->at++;
    else
        record->timestamp_ms = take_int(in, "the timestamp is neither a whole number nor nil");
    record->key = take_bytes(in, &record->key_len, "the key is neither binary nor a string nor nil");
    record->value = take_bytes(in, &record->value_len, "the value is neither binary nor a string nor nil");
}

enum kpid_file_got kpid_file_frame(struct kpid_file *file, struct kpid_record *record, struct kpid_buf *error)
{
    file->position++;
    for (;;) {
        struct kpid_slice name = {NULL, 0};
        const unsigned char *start = (const unsigned char *)file->bytes + file->at;
        struct frame in = {.at = start, .end = (const unsigned char *)file->bytes + file->len};
        *record = (struct kpid_record){.timestamp_ms = KPID_NEVER};
        frame_read(&in, &name, record);
        if (in.fault != NULL)
            return kpid_file_damaged(file, error, in.fault);
        if (!in.more) {
            file->at += (size_t)(in.at - start);
            const struct kpid_file_topic *topic = kpid_file_topic_find(file, name);
            if (topic == NULL)
                return KPID_FILE_SKIPPED;
            record->source = topic->source;
            record->topic = topic->topic;
            return KPID_FILE_RECORD;
        }
        if (file->len - file->at > KPID_FILE_LONGEST)
            return kpid_file_damaged(file, error, "the frame is longer than 16 MiB");
        if (kpid_file_fill(file, error))
            continue;
        if (error->len == 0 && file->at == file->len)
            return KPID_FILE_END;
        return kpid_file_damaged(file, error, "the file ends inside the frame");
    }
}
