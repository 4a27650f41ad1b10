/* Look-ups and the joins of sources with them. */
#ifndef KPID_CONFIG_LOOKUP_H
#define KPID_CONFIG_LOOKUP_H

#include "loader.h"

#define KPID_LOOKUP_SCALE 6 /* digits of a look-up's numbers that say nothing else */

void kpid_lookups_config(struct kpid_loader *loader, const struct kpid_yaml *map);
/* Index of a column by the name that expressions use, made when it is new; -1: a fault at `place`. */
int kpid_lookup_column(struct kpid_loader *loader, uint32_t lookup, const char *name, struct kpid_place place);

/* `join:` of a source, once its fields are known. */
void kpid_joins_load(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *map);
/* A name that no field of the source has yet: whether a join provides it. Then *ret is its new slot, or -1 with a
 * fault at `place`. */
bool kpid_join_field(struct kpid_loader *loader, uint32_t source, const char *name, struct kpid_place place, int *ret);
/* Warnings about look-ups and joins that nobody uses. */
void kpid_joins_usage(struct kpid_loader *loader, const struct kpid_yaml *root);

#endif
