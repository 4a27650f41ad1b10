#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file_sink {
    struct kpid_sink sink;
    FILE *file;
    bool hex;
};

static void put_raw(FILE *file, const struct kpid_message *message)
{
    fputs("\"raw\":\"", file);
    for (size_t i = 0; i < message->value_size; i++) {
        if (message->value[i] == '"' || message->value[i] == '\\')
            fputc('\\', file);
        fputc(message->value[i], file); /* the encoder writes no control bytes */
    }
    fputs("\"}\n", file);
}

static void put_hex(FILE *file, const struct kpid_message *message)
{
    fputs("\"hex\":\"", file);
    for (size_t i = 0; i < message->value_size; i++)
        fprintf(file, "%02x", (unsigned char)message->value[i]);
    fputs("\"}\n", file);
}

static void send_message(struct kpid_sink *sink, const struct kpid_message *message)
{
    struct file_sink *self = (struct file_sink *)sink;
    const char *value = message->value;
    size_t size = message->value_size;
    fprintf(self->file, "{\"topic\":\"%s\",\"key\":\"%.*s\",", kpid_topic_name(message->topic),
            (int)message->key_size, message->key);
    if (self->hex)
        put_hex(self->file, message);
    else if (size > 0 && value[0] == '{' && value[size - 1] == '}')
        fprintf(self->file, "\"value\":%.*s}\n", (int)size, value);
    else
        put_raw(self->file, message);
}

static void flush_messages(struct kpid_sink *sink)
{
    (void)sink;
}

static bool close_file(struct kpid_sink *sink)
{
    struct file_sink *self = (struct file_sink *)sink;
    bool good = !ferror(self->file);
    good = fclose(self->file) == 0 && good;
    if (!good)
        fprintf(stderr, "kpid-generate: dump: %s\n", strerror(errno));
    free(self);
    return good;
}

struct kpid_sink *kpid_sink_file_open(const char *path, bool hex)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "kpid-generate: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    struct file_sink *self = malloc(sizeof *self);
    if (self == NULL)
        abort();
    *self = (struct file_sink){.sink = {.send = send_message, .flush = flush_messages, .close = close_file},
                               .file = file,
                               .hex = hex};
    return &self->sink;
}
