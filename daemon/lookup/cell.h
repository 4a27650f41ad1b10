/* The text of one column in one row -> a value of an event. */
#ifndef KPID_LOOKUP_CELL_H
#define KPID_LOOKUP_CELL_H

#include "kpid/flow/event.h"
#include "kpid/model.h"

/* Reads text as the column's type; an empty text is absent. A string is borrowed from `text`. False: it is none, *ret
 * is untouched and *ret_error says why ("is not a number"; static). */
bool kpid_cell_read(const struct kpid_column *column, const char *text, size_t len, struct kpid_value *ret,
                    const char **ret_error) KPID_MUST_CHECK;

#endif
