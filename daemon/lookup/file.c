#include "file.h"

#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void kpid_lookup_file_init(struct kpid_lookup_file *file, const struct kpid_model *model,
                           const struct kpid_lookup *lookup)
{
    *file = (struct kpid_lookup_file){.model = model, .lookup = lookup, .fd = -1};
}

static void reading_end(struct kpid_lookup_file *file)
{
    if (file->csv)
        kpid_csv_release(file->csv);
    free(file->csv);
    free(file->places);
    kpid_table_free(file->next);
    if (file->fd >= 0)
        close(file->fd);
    file->csv = NULL;
    file->places = NULL;
    file->next = NULL;
    file->fd = -1;
}

void kpid_lookup_file_release(struct kpid_lookup_file *file)
{
    reading_end(file);
    kpid_table_free(file->table);
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

/* How much of a cell is shown: up to a control character, whole characters, at most 100 bytes. */
static int shown(const struct kpid_csv_cell *cell)
{
    size_t n = 0;
    while (n < cell->len && n < 100 && (unsigned char)cell->text[n] >= ' ')
        n++;
    while (n > 0 && n < cell->len && ((unsigned char)cell->text[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static int title_find(const struct kpid_csv_cell *cells, size_t n, const char *title)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i].len == strlen(title) && memcmp(cells[i].text, title, cells[i].len) == 0)
            return (int)i;
    return -1;
}

/* The titles that there are, for advice. */
static char *titles_of(const struct kpid_csv_cell *cells, size_t n)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "its header has ");
    for (size_t i = 0; i < n && i < 30; i++)
        kpid_buf_printf(&text, "%s%.*s", i ? ", " : "", shown(&cells[i]), cells[i].text);
    return kpid_buf_detach(&text, NULL);
}

static void titles_twice(struct kpid_lookup_file *file, const struct kpid_csv_cell *cells, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (cells[i].len == cells[j].len && memcmp(cells[i].text, cells[j].text, cells[i].len) == 0) {
                kpid_lookup_fault(&file->faults, file->lookup->file, cells[i].line, cells[i].column,
                                  "give each column a title of its own", "two columns are called `%.*s`",
                                  shown(&cells[i]), cells[i].text);
                break;
            }
}

/* A column that the configuration names and the file has not is a fault of either: told where it is named. */
static bool header_take(struct kpid_lookup_file *file, const struct kpid_csv_cell *cells, size_t n)
{
    const struct kpid_lookup *lookup = file->lookup;
    const char *config = file->model->path;
    char *titles = titles_of(cells, n);
    file->n_titles = n;
    titles_twice(file, cells, n);
    file->key = title_find(cells, n, lookup->key);
    if (file->key < 0)
        kpid_lookup_fault(&file->faults, config, lookup->line, lookup->at, titles, "%s has no column `%s`",
                          lookup->file, lookup->key);
    for (size_t i = 0; i < lookup->n_columns; i++) {
        const struct kpid_column *column = &lookup->columns[i];
        file->places[i] = title_find(cells, n, column->title);
        if (file->places[i] < 0)
            kpid_lookup_fault(&file->faults, config, column->line, column->column, titles, "%s has no column `%s`",
                              lookup->file, column->title);
    }
    free(titles);
    return file->faults.n == 0;
}

static bool cell_fault(struct kpid_lookup_file *file, const struct kpid_csv_cell *cell, const char *title,
                       const char *error)
{
    return kpid_lookup_fault(&file->faults, file->lookup->file, cell->line, cell->column,
                             "correct it, or leave it empty for no value; a column's type stands under `fields:`",
                             "%s: `%.*s` %s", title, shown(cell), cell->text, error);
}

static bool row_take(struct kpid_lookup_file *file, const struct kpid_csv_cell *cells)
{
    const struct kpid_lookup *lookup = file->lookup;
    const struct kpid_csv_cell *key = &cells[file->key];
    struct kpid_value values[KPID_FIELDS_MAX];
    uint32_t first;
    for (size_t i = 0; i < lookup->n_columns; i++) {
        const struct kpid_csv_cell *cell = &cells[file->places[i]];
        const char *error;
        values[i] = (struct kpid_value){.kind = KPID_ABSENT};
        if (!kpid_cell_read(&lookup->columns[i], cell->text, cell->len, &values[i], &error) &&
            !cell_fault(file, cell, lookup->columns[i].title, error))
            return false;
    }
    if (key->len == 0)
        return kpid_lookup_fault(&file->faults, lookup->file, key->line, key->column, "write a key, or remove the line",
                                 "the key is empty");
    if (kpid_table_rows(file->next) == lookup->max_rows) {
        kpid_lookup_fault(&file->faults, lookup->file, key->line, key->column,
                          "raise max_rows of the look-up, or shorten the file", "more rows than max_rows");
        return false;
    }
    if (kpid_table_add(file->next, key->text, key->len, values, key->line, &first))
        return true;
    char advice[64];
    snprintf(advice, sizeof(advice), "it is on line %u already; keep one", first);
    return kpid_lookup_fault(&file->faults, lookup->file, key->line, key->column, advice, "key `%.*s` comes twice",
                             shown(key), key->text);
}

static bool on_row(void *ctx, const struct kpid_csv_cell *cells, size_t n)
{
    struct kpid_lookup_file *file = ctx;
    if (!file->n_titles)
        return header_take(file, cells, n);
    if (n != file->n_titles) {
        char text[64];
        snprintf(text, sizeof(text), "%zu cells, and %zu in the header", n, file->n_titles);
        return kpid_lookup_fault(&file->faults, file->lookup->file, cells[0].line, cells[0].column,
                                 "every line has as many cells as the header; those with commas stand in quotes", "%s",
                                 text);
    }
    return row_take(file, cells);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static bool file_fault(struct kpid_lookup_file *file, const char *error, const char *advice)
{
    kpid_lookup_fault(&file->faults, file->model->path, file->lookup->line, file->lookup->at, advice, "%s: %s",
                      file->lookup->file, error);
    if (file->fd < 0)
        file->opened = file->seen; /* not again before it changes */
    file->broken = true;
    file->load_faults++;
    reading_end(file);
    return false;
}

bool kpid_lookup_file_begin(struct kpid_lookup_file *file, struct kpid_buf *out)
{
    const struct kpid_lookup *lookup = file->lookup;
    reading_end(file);
    file->faults = (struct kpid_lookup_faults){.out = out};
    file->n_titles = 0;
    file->fd = open(lookup->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &file->opened) != 0)
        return file_fault(file, strerror(errno), "name a readable file; a relative path begins at the configuration");
    if (!S_ISREG(file->opened.st_mode))
        return file_fault(file, "not a file", "name a readable file with a table");
    if ((uint64_t)file->opened.st_size > lookup->max_bytes)
        return file_fault(file, "it is larger than max_bytes", "raise max_bytes of the look-up, or shorten the file");
    file->next = kpid_table_new(lookup->n_columns);
    file->places = kpid_zalloc(lookup->n_columns + 1, sizeof(*file->places));
    file->csv = kpid_alloc(sizeof(*file->csv));
    kpid_csv_init(file->csv, on_row, file);
    return true;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum kpid_lookup_step refuse(struct kpid_lookup_file *file)
{
    file->seen = file->opened;
    file->broken = true;
    file->load_faults++;
    reading_end(file);
    return KPID_STEP_REFUSED;
}

static enum kpid_lookup_step finish(struct kpid_lookup_file *file, bool good)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0 || !same(&now, &file->opened)) {
        reading_end(file);
        return KPID_STEP_CHANGED;
    }
    if (good && !file->n_titles)
        kpid_lookup_fault(&file->faults, file->lookup->file, 1, 1, "begin with a line of titles", "the file is empty");
    if (!good && !file->csv->stopped)
        kpid_lookup_fault(&file->faults, file->lookup->file, file->csv->fault.line, file->csv->fault.column,
                          file->csv->fault.advice, "%s", file->csv->fault.message);
    if (file->faults.n > 0)
        return refuse(file);
    kpid_table_free(file->table);
    file->table = file->next;
    file->next = NULL;
    file->taken = file->seen = file->opened;
    file->broken = false;
    file->loads++;
    reading_end(file);
    return KPID_STEP_TAKEN;
}

enum kpid_lookup_step kpid_lookup_file_step(struct kpid_lookup_file *file)
{
    char piece[16384];
    for (size_t done = 0; done < KPID_LOOKUP_STEP_BYTES;) {
        ssize_t n = read(file->fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            file_fault(file, strerror(errno), "see that the file can be read");
            return KPID_STEP_REFUSED;
        }
        if (n == 0)
            return finish(file, kpid_csv_end(file->csv));
        if (!kpid_csv_feed(file->csv, piece, (size_t)n))
            return finish(file, false);
        done += (size_t)n;
    }
    return KPID_STEP_MORE;
}

bool kpid_lookup_file_reading(const struct kpid_lookup_file *file)
{
    return file->fd >= 0;
}

bool kpid_lookup_file_look(struct kpid_lookup_file *file)
{
    struct stat now;
    file->looked_errno = stat(file->lookup->file, &now) == 0 ? 0 : errno;
    if (file->looked_errno || kpid_lookup_file_reading(file))
        return false;
    bool still = same(&now, &file->seen), refused = file->broken && still && same(&now, &file->opened);
    file->seen = now;
    if (file->broken && same(&now, &file->taken))
        file->broken = false; /* the file of the table is back */
    return still && !refused && !same(&now, &file->taken);
}
