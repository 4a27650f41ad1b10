/*
 * A look-up's CSV file: read as a whole into a new table, which takes the old one's place only if nothing is wrong with
 * it and the file stayed the same while it was read. What changes is noticed by a look at its inode, size and time once
 * a tick, and read once it has kept still for a tick, a piece a turn, so that the loop is never held up.
 */
#ifndef KPID_LOOKUP_FILE_H
#define KPID_LOOKUP_FILE_H

#include "csv.h"
#include "faults.h"
#include "table.h"

#include "kpid/model.h"

#include <sys/stat.h>

#define KPID_LOOKUP_STEP_BYTES ((size_t)256 << 10)

struct kpid_lookup_file {
    const struct kpid_model *model; /* borrowed */
    const struct kpid_lookup *lookup;
    struct kpid_table *table;       /* NULL until the first is whole */
    struct stat taken, seen;        /* of the table's file; at the last look */
    int looked_errno;               /* of the last look, 0: there is a file */
    bool broken;                    /* what lies there now was refused */
    uint64_t loads, load_faults;
    /* while a file is read */
    struct kpid_table *next;
    int fd;
    struct stat opened;
    struct kpid_csv *csv;
    struct kpid_lookup_faults faults;
    size_t n_titles;                /* cells of the header, 0: not read yet */
    int key;                        /* the key's place in a line */
    int *places;                    /* of each column */
};

enum kpid_lookup_step { KPID_STEP_MORE, KPID_STEP_TAKEN, KPID_STEP_REFUSED, KPID_STEP_CHANGED };

void kpid_lookup_file_init(struct kpid_lookup_file *file, const struct kpid_model *model,
                           const struct kpid_lookup *lookup);
void kpid_lookup_file_release(struct kpid_lookup_file *file);

/* Begins to read; faults go to `out`, borrowed until the end. False: it can't be opened, a fault says why. */
bool kpid_lookup_file_begin(struct kpid_lookup_file *file, struct kpid_buf *out) KPID_MUST_CHECK;
/* Reads a piece. MORE: call again. CHANGED: somebody wrote meanwhile, nothing was taken; begin again later. */
enum kpid_lookup_step kpid_lookup_file_step(struct kpid_lookup_file *file);
bool kpid_lookup_file_reading(const struct kpid_lookup_file *file);
/* Looks whether another file lies there. True: it does, and has kept still since the last look: begin. */
bool kpid_lookup_file_look(struct kpid_lookup_file *file);

#endif
