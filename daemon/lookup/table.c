#include "table.h"

#include "kpid/buf.h"
#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536

struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct row {
    const char *key;
    uint32_t len, line;
};

/* Places of numbers + 1 by hash, 0: free. */
struct index {
    uint32_t *places;
    size_t mask, n;
};

struct kpid_table {
    size_t n_columns;
    struct row *rows;
    uint32_t *cells;           /* n_columns of each row */
    size_t n_rows, cap_rows;
    struct kpid_value *values; /* each once */
    size_t n_values, cap_values;
    struct index keys, known;
    struct chunk *chunks;
    size_t bytes;
};

struct kpid_table *kpid_table_new(size_t n_columns)
{
    struct kpid_table *table = kpid_zalloc(1, sizeof(*table));
    table->n_columns = n_columns;
    table->bytes = sizeof(*table);
    return table;
}

void kpid_table_free(struct kpid_table *table)
{
    if (!table)
        return;
    for (struct chunk *chunk = table->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(table->rows);
    free(table->cells);
    free(table->values);
    free(table->keys.places);
    free(table->known.places);
    free(table);
}

/* Copies a text to where it does not move. */
static const char *text_keep(struct kpid_table *table, const char *text, size_t len)
{
    struct chunk *chunk = table->chunks;
    if (!chunk || len > chunk->size - chunk->used) {
        size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
        chunk = kpid_alloc(sizeof(*chunk) + size);
        *chunk = (struct chunk){.next = table->chunks, .size = size};
        table->chunks = chunk;
        table->bytes += sizeof(*chunk) + size;
    }
    char *to = chunk->bytes + chunk->used;
    memcpy(to, text, len);
    chunk->used += len;
    return to;
}

/* ---- the two indices: rows by key, values by content -------------------------------------------------- */

static uint64_t value_hash(const struct kpid_value *value)
{
    if (value->kind == KPID_STRING)
        return kpid_hash(value->str, value->len, 1);
    kpid_i128 number = value->kind == KPID_NUMBER ? value->number : value->kind == KPID_BOOL ? value->boolean : 0;
    return kpid_hash(&number, sizeof(number), value->kind);
}

static bool value_equals(const struct kpid_value *a, const struct kpid_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case KPID_STRING: return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    case KPID_NUMBER: return a->number == b->number;
    case KPID_BOOL: return a->boolean == b->boolean;
    default: return true;
    }
}

static uint64_t row_hash(const struct row *row)
{
    return kpid_hash(row->key, row->len, 0);
}

static void index_put(struct index *index, uint64_t hash, uint32_t number)
{
    size_t at = hash & index->mask;
    while (index->places[at])
        at = (at + 1) & index->mask;
    index->places[at] = number + 1;
    index->n++;
}

/* Makes room for one more; true: what was in it is to be put again. */
static bool index_grow(struct kpid_table *table, struct index *index)
{
    if (index->places && 2 * (index->n + 1) <= index->mask)
        return false;
    size_t size = index->places ? 2 * (index->mask + 1) : 64;
    table->bytes += (size - (index->places ? index->mask + 1 : 0)) * sizeof(*index->places);
    free(index->places);
    *index = (struct index){kpid_zalloc(size, sizeof(*index->places)), size - 1, 0};
    return true;
}

/* The number of a value, which is copied when it is new. */
static uint32_t value_keep(struct kpid_table *table, const struct kpid_value *value)
{
    struct index *known = &table->known;
    if (index_grow(table, known))
        for (uint32_t i = 0; i < table->n_values; i++)
            index_put(known, value_hash(&table->values[i]), i);
    uint64_t hash = value_hash(value);
    for (size_t at = hash & known->mask; known->places[at]; at = (at + 1) & known->mask)
        if (value_equals(&table->values[known->places[at] - 1], value))
            return known->places[at] - 1;
    if (table->n_values == table->cap_values) {
        table->cap_values = table->cap_values ? 2 * table->cap_values : 32;
        table->values = kpid_realloc(table->values, table->cap_values * sizeof(*table->values));
        table->bytes += (table->cap_values - table->n_values) * sizeof(*table->values);
    }
    struct kpid_value *kept = &table->values[table->n_values];
    *kept = *value;
    if (value->kind == KPID_STRING)
        kept->str = text_keep(table, value->str, value->len);
    index_put(known, hash, (uint32_t)table->n_values);
    return (uint32_t)table->n_values++;
}

/* ---- rows --------------------------------------------------------------------------------------------- */

uint32_t kpid_table_find(const struct kpid_table *table, const char *key, size_t len)
{
    const struct index *keys = &table->keys;
    if (!keys->places)
        return KPID_TABLE_NONE;
    for (size_t at = kpid_hash(key, len, 0) & keys->mask; keys->places[at]; at = (at + 1) & keys->mask) {
        const struct row *row = &table->rows[keys->places[at] - 1];
        if (row->len == len && memcmp(row->key, key, len) == 0)
            return keys->places[at] - 1;
    }
    return KPID_TABLE_NONE;
}

static void rows_grow(struct kpid_table *table)
{
    if (table->n_rows < table->cap_rows)
        return;
    size_t cap = table->cap_rows ? 2 * table->cap_rows : 64;
    table->rows = kpid_realloc(table->rows, cap * sizeof(*table->rows));
    table->cells = kpid_realloc(table->cells, cap * (table->n_columns + 1) * sizeof(*table->cells));
    table->bytes += (cap - table->cap_rows) * (sizeof(*table->rows) + (table->n_columns + 1) * sizeof(*table->cells));
    table->cap_rows = cap;
}

bool kpid_table_add(struct kpid_table *table, const char *key, size_t len, const struct kpid_value *values,
                    uint32_t line, uint32_t *ret_line)
{
    uint32_t there = kpid_table_find(table, key, len);
    if (there != KPID_TABLE_NONE) {
        *ret_line = table->rows[there].line;
        return false;
    }
    rows_grow(table);
    if (index_grow(table, &table->keys))
        for (uint32_t i = 0; i < table->n_rows; i++)
            index_put(&table->keys, row_hash(&table->rows[i]), i);
    struct row *row = &table->rows[table->n_rows];
    *row = (struct row){text_keep(table, key, len), (uint32_t)len, line};
    for (size_t i = 0; i < table->n_columns; i++)
        table->cells[table->n_rows * table->n_columns + i] = value_keep(table, &values[i]);
    index_put(&table->keys, row_hash(row), (uint32_t)table->n_rows++);
    return true;
}

const struct kpid_value *kpid_table_value(const struct kpid_table *table, uint32_t row, size_t column)
{
    return &table->values[table->cells[row * table->n_columns + column]];
}

size_t kpid_table_rows(const struct kpid_table *table)
{
    return table->n_rows;
}

size_t kpid_table_bytes(const struct kpid_table *table)
{
    return table->bytes;
}
