/*
 * CSV after RFC 4180, strictly: cells parted by commas, lines by LF or CRLF, quotes around cells that hold any of
 * these, quotes within doubled. A cell is UTF-8 without NUL, at most 64 KiB; a line has at most 1,024 cells; a mark of
 * byte order at the beginning is passed over. What is not CSV is a fault with its line and column (in characters, from
 * 1), never a guess. Bytes are pushed in pieces of any size; each line that is complete goes to `row`.
 */
#ifndef KPID_LOOKUP_CSV_H
#define KPID_LOOKUP_CSV_H

#include "kpid/buf.h"

#define KPID_CSV_CELL_MAX  65536
#define KPID_CSV_CELLS_MAX 1024

struct kpid_csv_cell {
    const char *text; /* borrowed for the call */
    size_t len;
    uint32_t line, column; /* where it begins */
};

/* False: nothing more is wanted. */
typedef bool kpid_csv_row(void *ctx, const struct kpid_csv_cell *cells, size_t n);

struct kpid_csv_fault {
    uint32_t line, column;
    const char *message, *advice; /* static */
};

struct kpid_csv {
    kpid_csv_row *row;
    void *ctx;
    uint8_t state, n_bom;
    bool stopped;
    uint32_t line, column; /* of the next character */
    struct kpid_buf text;  /* of the line's cells, one after the other */
    struct kpid_csv_cell cells[KPID_CSV_CELLS_MAX];
    size_t n_cells;        /* complete ones */
    size_t cell_at;        /* where the present one begins in `text` */
    uint32_t cell_line, cell_column;
    struct kpid_csv_fault fault;
};

void kpid_csv_init(struct kpid_csv *csv, kpid_csv_row *row, void *ctx);
void kpid_csv_release(struct kpid_csv *csv);

/* False: csv->fault says what is wrong, or `row` wanted no more (csv->stopped). Nothing may follow then. */
bool kpid_csv_feed(struct kpid_csv *csv, const char *bytes, size_t len) KPID_MUST_CHECK;
/* The same at the end of the file, whose last line need not end. */
bool kpid_csv_end(struct kpid_csv *csv) KPID_MUST_CHECK;

#endif
