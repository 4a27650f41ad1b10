/*
 * Collects the faults of one file, to be shown together: place, message, the line with a caret, advice. Every
 * fault says what to do. Copies what it is given; borrows `name` and `text`, which outlive it.
 */
#ifndef KPID_CONFIG_FAULT_H
#define KPID_CONFIG_FAULT_H

#include "kpid/buf.h"

struct kpid_place {
    uint32_t line, column; /* from 1; columns count characters */
};

struct kpid_fault {
    struct kpid_place place;
    char *message, *advice;
    size_t order; /* of finding: keeps the sort stable */
    bool warning;
};

struct kpid_faults {
    const char *name, *text; /* of the file */
    size_t len;
    struct kpid_fault *items;
    size_t n, cap, n_errors;
};

/* Names to choose from, for advice. Borrows the strings. */
struct kpid_names {
    const char **at;
    size_t n, cap;
};

void kpid_faults_init(struct kpid_faults *faults, const char *name, const char *text, size_t len);
void kpid_faults_release(struct kpid_faults *faults);

/* Adds an error or a warning; one of the _advise functions must follow. */
void kpid_fault_add(struct kpid_faults *faults, struct kpid_place place, const char *format, ...)
    KPID_PRINTF(3, 4);
void kpid_fault_warn(struct kpid_faults *faults, struct kpid_place place, const char *format, ...)
    KPID_PRINTF(3, 4);
/* The advice of the newest fault. */
void kpid_fault_advise(struct kpid_faults *faults, const char *format, ...) KPID_PRINTF(2, 3);
/* The same: "did you mean `x`?" if a name is near to `word`, and the names there are ("known measures: a,
 * b"). */
void kpid_fault_advise_names(struct kpid_faults *faults, const char *word, const char *what,
                             const struct kpid_names *names);

/* Prints all in the order of the file, equal ones once. Returns the number of errors printed. */
size_t kpid_faults_print(struct kpid_faults *faults, struct kpid_buf *out);

/* The text of a buffer, owned, never NULL; the buffer is empty then. */
char *kpid_buf_take(struct kpid_buf *buf);

void kpid_names_add(struct kpid_names *names, const char *name);
void kpid_names_release(struct kpid_names *names);
/* The name nearest to `word` by edits (a swap of neighbours is one), NULL if none is near. O(n * len^2). */
const char *kpid_names_nearest(const struct kpid_names *names, const char *word);

#endif
