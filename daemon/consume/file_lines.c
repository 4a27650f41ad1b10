#include "file.h"

#include <string.h>

/*
 * Lines of JSON. An enveloped line names its topic and carries the event as `value`, whose bytes are handed
 * over exactly as written, or as `raw`, a string that is unescaped, so that an event that is no JSON can be
 * written down. A plain line is the event itself and is handed over unread, whatever it is: who decodes it
 * judges it.
 */

/* The next line that is not blank, without its end. */
static enum kpid_file_got line_next(struct kpid_file *file, struct kpid_slice *ret, struct kpid_buf *error)
{
    size_t seen = 0; /* bytes of the window known to hold no end of line */
    for (;;) {
        const char *start = file->bytes + file->at;
        size_t have = file->len - file->at;
        const char *stop = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;
        seen = have;
        if (stop == NULL && have <= KPID_FILE_LONGEST && kpid_file_fill(file, error))
            continue;
        if (error->len > 0)
            return KPID_FILE_DAMAGED;
        if (stop == NULL && have == 0)
            return KPID_FILE_END;
        start = file->bytes + file->at;
        size_t len = stop != NULL ? (size_t)(stop - start) : have;
        file->position++;
        if (len > KPID_FILE_LONGEST)
            return kpid_file_damaged(file, error, "the line is longer than 16 MiB");
        file->at += len + (stop != NULL);
        seen = 0;
        if (len > 0 && start[len - 1] == '\r')
            len--;
        struct kpid_scan scan;
        kpid_scan_init(&scan, start, len);
        if (kpid_scan_peek(&scan) == 0 && scan.at == scan.end)
            continue;
        *ret = (struct kpid_slice){start, len};
        return KPID_FILE_RECORD;
    }
}

/* A key is a string, or a number as written, or null for none. False: anything else. */
static bool key_set(struct kpid_file *file, struct kpid_slice value, struct kpid_record *record)
{
    if (kpid_slice_is(value, "null"))
        return true;
    record->key = value.at;
    record->key_len = value.len;
    if (value.at[0] != '"')
        return value.at[0] == '-' || (value.at[0] >= '0' && value.at[0] <= '9');
    struct kpid_slice inside = {value.at + 1, value.len - 2};
    record->key = inside.at;
    record->key_len = inside.len;
    if (memchr(inside.at, '\\', inside.len) == NULL)
        return true;
    kpid_buf_clear(&file->key);
    if (!kpid_slice_unescape(inside, &file->key))
        return false;
    record->key = file->key.data;
    record->key_len = file->key.len;
    return true;
}

/* Finds the key of a plain event by the path of its field; an event that can't be read has none. */
static void plain_key_find(struct kpid_file *file, struct kpid_slice line, struct kpid_record *record)
{
    struct kpid_slice inner = line;
    for (size_t depth = 0; depth < file->plain->n_key_path; depth++) {
        struct kpid_scan scan;
        struct kpid_slice name, value;
        bool first = true, found = false;
        kpid_scan_init(&scan, inner.at, inner.len);
        if (!kpid_scan_object(&scan))
            return;
        while (!found && kpid_scan_member(&scan, &first, &name) && kpid_scan_value(&scan, &value))
            found = kpid_slice_is(name, file->plain->key_path[depth]);
        if (!found)
            return;
        inner = value;
    }
    if (inner.at == line.at || !key_set(file, inner, record)) {
        record->key = NULL;
        record->key_len = 0;
    }
}

enum { TOPIC, KEY, VALUE, RAW, PARTITION, TIMESTAMP, MEMBERS };
static const char *const member_names[MEMBERS] = {"topic", "key", "value", "raw", "partition", "timestamp"};

/* Cuts an envelope into its members; those that are not there stay empty. Returns what is wrong, or NULL. */
static const char *envelope_cut(struct kpid_slice line, struct kpid_slice *members)
{
    struct kpid_scan scan;
    struct kpid_slice name, value;
    bool first = true;
    kpid_scan_init(&scan, line.at, line.len);
    if (!kpid_scan_object(&scan))
        return scan.fault;
    while (kpid_scan_member(&scan, &first, &name) && kpid_scan_value(&scan, &value)) {
        for (int i = 0; i < MEMBERS; i++) {
            if (!kpid_slice_is(name, member_names[i]))
                continue;
            if (members[i].at != NULL)
                return "a member stands twice";
            members[i] = value;
        }
    }
    return kpid_scan_end(&scan) ? NULL : scan.fault;
}

static bool whole_number(struct kpid_slice slice, int64_t *ret)
{
    struct kpid_scan scan;
    kpid_scan_init(&scan, slice.at, slice.len);
    return kpid_scan_int(&scan, ret) && kpid_scan_end(&scan);
}

static const char *payload_set(struct kpid_file *file, const struct kpid_slice *members,
                               struct kpid_record *record)
{
    struct kpid_slice value = members[VALUE], raw = members[RAW];
    if ((value.at == NULL) == (raw.at == NULL))
        return "either \"value\" or \"raw\" is expected";
    if (value.at != NULL) {
        if (kpid_slice_is(value, "null"))
            return NULL; /* a record without value */
        record->value = value.at;
        record->value_len = value.len;
        return NULL;
    }
    if (raw.at[0] != '"')
        return "\"raw\" is not a string";
    kpid_buf_clear(&file->raw);
    kpid_buf_reserve(&file->raw, raw.len);
    if (!kpid_slice_unescape((struct kpid_slice){raw.at + 1, raw.len - 2}, &file->raw))
        return "half a surrogate pair in \"raw\"";
    record->value = file->raw.data;
    record->value_len = file->raw.len;
    return NULL;
}

/* Returns what is wrong, or NULL. */
static const char *envelope_read(struct kpid_file *file, const struct kpid_slice *members,
                                 struct kpid_record *record, struct kpid_file_topic **ret_topic)
{
    int64_t partition = -1;
    struct kpid_slice topic = members[TOPIC];
    if (topic.at == NULL || topic.at[0] != '"')
        return "\"topic\" is missing or not a string";
    const char *wrong = payload_set(file, members, record);
    if (wrong != NULL)
        return wrong;
    if (members[KEY].at != NULL && !key_set(file, members[KEY], record))
        return "\"key\" is neither a string nor a number nor null";
    if (members[TIMESTAMP].at != NULL && !whole_number(members[TIMESTAMP], &record->timestamp_ms))
        return "\"timestamp\" is not a whole number of milliseconds";
    if (members[PARTITION].at != NULL &&
        (!whole_number(members[PARTITION], &partition) || partition < 0 || partition >= file->partitions))
        return "\"partition\" is not a number below the number of partitions";
    *ret_topic = kpid_file_topic_find(file, (struct kpid_slice){topic.at + 1, topic.len - 2});
    if (*ret_topic != NULL)
        kpid_file_number(file, *ret_topic, (int32_t)partition, record);
    return NULL;
}

enum kpid_file_got kpid_file_line(struct kpid_file *file, struct kpid_record *record, struct kpid_buf *error)
{
    struct kpid_slice line = {0};
    enum kpid_file_got got = line_next(file, &line, error);
    if (got != KPID_FILE_RECORD)
        return got;
    if (file->kind == KPID_FILE_PLAIN) {
        record->value = line.at;
        record->value_len = line.len;
        plain_key_find(file, line, record);
        kpid_file_number(file, &file->topics[file->plain - file->topics], -1, record);
        return KPID_FILE_RECORD;
    }
    struct kpid_slice members[MEMBERS] = {0};
    struct kpid_file_topic *topic = NULL;
    const char *wrong = envelope_cut(line, members);
    if (wrong == NULL)
        wrong = envelope_read(file, members, record, &topic);
    if (wrong != NULL)
        return kpid_file_damaged(file, error, wrong);
    return topic != NULL ? KPID_FILE_RECORD : KPID_FILE_SKIPPED;
}
