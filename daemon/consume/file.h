/* What file.c, file_lines.c and file_frames.c share: a window over the bytes of the file and who numbers
 * records. */
#ifndef KPID_CONSUME_FILE_H
#define KPID_CONSUME_FILE_H

#include "kpid/consume.h"

#include "scan.h"

#define KPID_FILE_LONGEST ((size_t)16 << 20) /* of a line or a frame */

enum kpid_file_kind { KPID_FILE_UNKNOWN, KPID_FILE_LINES, KPID_FILE_PLAIN, KPID_FILE_FRAMES };
enum kpid_file_got { KPID_FILE_RECORD, KPID_FILE_SKIPPED, KPID_FILE_END, KPID_FILE_DAMAGED };

/* A topic that some source reads. */
struct kpid_file_topic {
    const char *name; /* borrowed from the model */
    uint32_t source, topic;
    int64_t *next_offset; /* a number per partition of kpid_file.partitions */
    int32_t round_robin;
    const char *const *key_path; /* of the field that the source is keyed by, for plain events; borrowed */
    size_t n_key_path;
};

struct kpid_file {
    int fd;
    char *path;
    enum kpid_file_kind kind;
    struct kpid_file_topic *topics;
    size_t n_topics;
    const struct kpid_file_topic *plain; /* whose events plain lines are, NULL: lines name theirs */
    int32_t partitions;

    char *bytes; /* the window: [at, len) is not used up yet */
    size_t at, len, cap;
    bool at_eof;
    uint64_t position; /* line or frame, from 1 */
    uint64_t read, total, skipped;
    struct kpid_buf key, raw; /* what had to be unescaped */
};

/* Reads more behind what is in the window. False: the end of the file, or an error (then `error` is not
 * empty). */
bool kpid_file_fill(struct kpid_file *file, struct kpid_buf *error);
struct kpid_file_topic *kpid_file_topic_find(const struct kpid_file *file, struct kpid_slice name);
/* Fills in source, topic, partition (by key, unless one is given: >= 0) and offset of a line's record. */
void kpid_file_number(const struct kpid_file *file, struct kpid_file_topic *topic, int32_t partition,
                      struct kpid_record *record);
/* Adds "<path>:<line>: <text>", or the frame, and returns KPID_FILE_DAMAGED. */
enum kpid_file_got kpid_file_damaged(const struct kpid_file *file, struct kpid_buf *error, const char *text);

enum kpid_file_got kpid_file_line(struct kpid_file *file, struct kpid_record *record, struct kpid_buf *error);
enum kpid_file_got kpid_file_frame(struct kpid_file *file, struct kpid_record *record,
                                   struct kpid_buf *error);

#endif
