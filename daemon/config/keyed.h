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
    /* The key without which a part says nothing, NULL: none is missing. NULL: no part needs one. */
    const char *(*lacks)(const struct kpid_measure *measure, int part);
    void (*release)(struct kpid_keyed_spec *spec); /* frees what `load` made; NULL: nothing */
};

/* Reads the mapping of a keyed measure. */
void kpid_keyed_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
/* The row of a keyed measure's kind. */
const struct kpid_keyed_row *kpid_keyed_row_of(const struct kpid_measure *measure);
/* Room for n conditions; they must stay where they are. */
void kpid_keyed_words(struct kpid_measure *measure, size_t n);
/* The part that a name behind the measure's name means, "p90" or, on a track, "reply.p90"; -1: there is none. */
int kpid_keyed_part(const struct kpid_measure *measure, const char *name);
/* The field that an item of a measure's `by` names: without start. and stop. where these say whose it is. */
const char *kpid_keyed_group(const struct kpid_measure *measure, const char *item);
/* Reads which groups of `by` (a list of texts) come from the event that starts it. */
void kpid_keyed_groups_load(struct kpid_loader *loader, struct kpid_measure *measure, const struct kpid_yaml *by);
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
const char *kpid_clock_lacks(const struct kpid_measure *measure, int part);
void kpid_clock_release(struct kpid_keyed_spec *spec);
void kpid_retention_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map);
void kpid_retention_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out);

#endif
