/*
 * Rows by key, built once from a file and then only read. Equal cells are kept once: a row is a number a column and the
 * key, so that a table of a million customers with a tag costs about 40 bytes a row and the text of its key. A look-up
 * is one probe of a hash table (linear probing, at most half full).
 */
#ifndef KPID_LOOKUP_TABLE_H
#define KPID_LOOKUP_TABLE_H

#include "kpid/flow/event.h"

struct kpid_table;

/* An empty table of rows of n_columns. Returns, free with _free. */
struct kpid_table *kpid_table_new(size_t n_columns);
void kpid_table_free(struct kpid_table *table);

/* Adds a row; copies key and texts of values. False: the key is there already, and *ret_line is the line of its row. */
bool kpid_table_add(struct kpid_table *table, const char *key, size_t len, const struct kpid_value *values,
                    uint32_t line, uint32_t *ret_line) KPID_MUST_CHECK;

/* The row of a key, KPID_TABLE_NONE: there is none. */
#define KPID_TABLE_NONE UINT32_MAX
uint32_t kpid_table_find(const struct kpid_table *table, const char *key, size_t len);
/* Borrowed from the table. */
const struct kpid_value *kpid_table_value(const struct kpid_table *table, uint32_t row, size_t column);

size_t kpid_table_rows(const struct kpid_table *table);
size_t kpid_table_bytes(const struct kpid_table *table);

#endif
