#include "file.h"

#include "murmur2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)256 << 10)

static void topic_init(struct kpid_file_topic *topic, const struct kpid_source *source, uint32_t s,
                       uint32_t t, int32_t partitions)
{
    *topic = (struct kpid_file_topic){
        .name = source->topics[t],
        .source = s,
        .topic = t,
        .next_offset = kpid_zalloc((size_t)partitions, sizeof(int64_t)),
    };
    for (size_t f = 0; source->key != NULL && f < source->n_fields; f++) {
        if (strcmp(source->fields[f].name, source->key) != 0)
            continue;
        topic->key_path = (const char *const *)source->fields[f].path;
        topic->n_key_path = source->fields[f].n_path;
    }
}

static void topics_init(struct kpid_file *file, const struct kpid_model *model)
{
    size_t n = 0;
    for (size_t s = 0; s < model->n_sources; s++)
        n += model->sources[s].n_topics;
    file->topics = kpid_zalloc(n, sizeof *file->topics);
    for (size_t s = 0; s < model->n_sources; s++)
        for (size_t t = 0; t < model->sources[s].n_topics; t++)
            topic_init(&file->topics[file->n_topics++], &model->sources[s], (uint32_t)s, (uint32_t)t,
                       file->partitions);
}

struct kpid_file_topic *kpid_file_topic_find(const struct kpid_file *file, struct kpid_slice name)
{
    for (size_t i = 0; i < file->n_topics; i++)
        if (kpid_slice_is(name, file->topics[i].name))
            return &file->topics[i];
    return NULL;
}

struct kpid_file *kpid_file_open(const char *path, const struct kpid_model *model,
                                 const struct kpid_file_options *options, struct kpid_buf *error)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0 || (S_ISDIR(stat.st_mode) && (errno = EISDIR) != 0)) {
        kpid_buf_printf(error, "%s: %s", path, strerror(errno));
        if (fd >= 0 && !standard)
            close(fd);
        return NULL;
    }
    struct kpid_file *file = kpid_zalloc(1, sizeof *file);
    file->fd = fd;
    file->path = kpid_strdup(standard ? "standard input" : path);
    file->partitions = options != NULL && options->partitions > 0 ? options->partitions : 1;
    file->total = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
    topics_init(file, model);
    if (options != NULL && options->topic != NULL) {
        struct kpid_slice name = {options->topic, strlen(options->topic)};
        file->plain = kpid_file_topic_find(file, name);
        if (file->plain == NULL) {
            kpid_buf_printf(error, "no source reads the topic \"%s\"", options->topic);
            kpid_file_close(file);
            return NULL;
        }
    }
    return file;
}

void kpid_file_close(struct kpid_file *file)
{
    if (file == NULL)
        return;
    if (file->fd != STDIN_FILENO)
        close(file->fd);
    for (size_t i = 0; i < file->n_topics; i++)
        free(file->topics[i].next_offset);
    free(file->topics);
    free(file->bytes);
    free(file->path);
    kpid_buf_release(&file->key);
    kpid_buf_release(&file->raw);
    free(file);
}

static void window_make_room(struct kpid_file *file)
{
    if (file->at > 0) {
        memmove(file->bytes, file->bytes + file->at, file->len - file->at);
        file->len -= file->at;
        file->at = 0;
    }
    if (file->cap - file->len < READ_SIZE) {
        file->cap = file->cap == 0 ? 2 * READ_SIZE : 2 * file->cap;
        file->bytes = kpid_realloc(file->bytes, file->cap);
    }
}

bool kpid_file_fill(struct kpid_file *file, struct kpid_buf *error)
{
    if (file->at_eof)
        return false;
    window_make_room(file);
    ssize_t n;
    do {
        n = read(file->fd, file->bytes + file->len, file->cap - file->len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        kpid_buf_printf(error, "%s: %s", file->path, strerror(errno));
    if (n <= 0) {
        file->at_eof = true;
        return false;
    }
    file->len += (size_t)n;
    file->read += (uint64_t)n;
    return true;
}

enum kpid_file_got kpid_file_damaged(const struct kpid_file *file, struct kpid_buf *error, const char *text)
{
    if (error->len == 0)
        kpid_buf_printf(error, "%s:%s%llu: %s", file->path, file->kind == KPID_FILE_FRAMES ? " frame " : "",
                        (unsigned long long)file->position, text);
    return KPID_FILE_DAMAGED;
}

void kpid_file_number(const struct kpid_file *file, struct kpid_file_topic *topic, int32_t partition,
                      struct kpid_record *record)
{
    if (partition < 0 && record->key != NULL) {
        partition = kpid_murmur2_partition(record->key, record->key_len, file->partitions);
    } else if (partition < 0) {
        partition = topic->round_robin;
        topic->round_robin = (topic->round_robin + 1) % file->partitions;
    }
    record->source = topic->source;
    record->topic = topic->topic;
    record->partition = partition;
    record->offset = topic->next_offset[partition]++;
}

/* The first byte tells: the head of a MessagePack array, or else text. */
static bool kind_find(struct kpid_file *file, struct kpid_buf *error)
{
    while (file->at == file->len)
        if (!kpid_file_fill(file, error))
            return false;
    unsigned char first = (unsigned char)file->bytes[file->at];
    if ((first >= 0x90 && first <= 0x9f) || first == 0xdc || first == 0xdd)
        file->kind = KPID_FILE_FRAMES;
    else
        file->kind = file->plain != NULL ? KPID_FILE_PLAIN : KPID_FILE_LINES;
    return true;
}

long kpid_file_serve(struct kpid_file *file, size_t budget,
                     void (*record)(void *ctx, const struct kpid_record *), void *ctx, struct kpid_buf *error)
{
    long n = 0;
    if (file->kind == KPID_FILE_UNKNOWN && !kind_find(file, error))
        return error->len > 0 ? -1 : 0;
    while ((size_t)n < budget) {
        struct kpid_record got = {.timestamp_ms = KPID_NEVER};
        enum kpid_file_got what = file->kind == KPID_FILE_FRAMES ? kpid_file_frame(file, &got, error)
                                                                 : kpid_file_line(file, &got, error);
        if (what == KPID_FILE_DAMAGED)
            return -1;
        if (what == KPID_FILE_END)
            break;
        if (what == KPID_FILE_SKIPPED) {
            file->skipped++;
            continue;
        }
        record(ctx, &got);
        n++;
    }
    return n;
}

void kpid_file_progress(const struct kpid_file *file, uint64_t *ret_read, uint64_t *ret_total,
                        uint64_t *ret_skipped)
{
    *ret_read = file->read;
    *ret_total = file->total;
    *ret_skipped = file->skipped;
}
