/* The table of the look-up: a CSV file that is rewritten while events flow, and read by the stage as the
 * daemon does. */
#ifndef KPID_MODEL_TABLE_H
#define KPID_MODEL_TABLE_H

#include "kpid/flow/event.h"
#include "kpid/model.h"

struct table;

/* Writes its first version. Borrows the model. Returns, free with _free. */
struct table *table_new(const struct kpid_model *model);
void table_free(struct table *table);
unsigned table_version(const struct table *table);
/* Writes the next version and waits until it is read. */
void table_change(struct table *table);
/* Fills the joined fields of an event. */
void table_join(struct table *table, uint32_t source, const struct kpid_event *event);

#endif
