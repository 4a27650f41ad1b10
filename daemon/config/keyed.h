/* How the kinds of keyed measures (kpid/keyed.h) are read, one row each. */
#ifndef KPID_CONFIG_KEYED_H
#define KPID_CONFIG_KEYED_H

#include "expression.h"
#include "settings.h"

struct kpid_keyed_row {
    const char *name;    /* of the aggregation */
    const char *section; /* of settings, "measures.*.clock" */
    const char *key;     /* an example of a key, for advice */
    /* Reads what is the kind's own into measure->keyed; `key` and plain settings are there already. */
    void (*load)(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
    /* Adds what makes it another measure to the text of the definition hash; expressions are there already. */
    void (*print)(const struct kpid_keyed_spec *spec, struct kpid_buf *out);
};

/* Reads the mapping of a keyed measure. */
void kpid_keyed_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
/* The row of a keyed measure's kind. */
const struct kpid_keyed_row *kpid_keyed_row_of(const struct kpid_measure *measure);
/* Room for n conditions; they must stay where they are. */
void kpid_keyed_words(struct kpid_measure *measure, size_t n);
/* A fault: a key of the mapping is missing. */
void kpid_keyed_missing(struct kpid_loader *loader, const struct kpid_measure *measure, const struct kpid_yaml *map,
                        const char *what, const char *example);

/* The kinds, one file each. */
void kpid_clock_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
void kpid_clock_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out);
void kpid_session_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
void kpid_session_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out);
void kpid_funnel_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
void kpid_funnel_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out);

#endif
