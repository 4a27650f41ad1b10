#include "csv.h"

#include "kpid/utf8.h"

enum state {
    AT_CELL,   /* before the first character of a cell */
    IN_PLAIN,
    IN_QUOTES,
    AT_QUOTE,  /* behind a quote within quotes: the end, or the first half of one */
    AT_RETURN  /* behind CR */
};

static const unsigned char bom[] = {0xef, 0xbb, 0xbf};

static const char quote_advice[] = "put the cell in quotes and write each quote within it twice";

void kpid_csv_init(struct kpid_csv *csv, kpid_csv_row *row, void *ctx)
{
    *csv = (struct kpid_csv){.row = row, .ctx = ctx, .line = 1, .column = 1, .cell_line = 1, .cell_column = 1};
}

void kpid_csv_release(struct kpid_csv *csv)
{
    kpid_buf_release(&csv->text);
}

static bool fail(struct kpid_csv *csv, uint32_t line, uint32_t column, const char *message, const char *advice)
{
    csv->fault = (struct kpid_csv_fault){line, column, message, advice};
    return false;
}

static bool fail_here(struct kpid_csv *csv, const char *message, const char *advice)
{
    return fail(csv, csv->line, csv->column, message, advice);
}

static bool cell_begin(struct kpid_csv *csv)
{
    csv->state = AT_CELL;
    csv->cell_at = csv->text.len;
    csv->cell_line = csv->line;
    csv->cell_column = csv->column;
    return true;
}

static bool cell_end(struct kpid_csv *csv)
{
    size_t len = csv->text.len - csv->cell_at;
    if (csv->n_cells == KPID_CSV_CELLS_MAX)
        return fail(csv, csv->cell_line, csv->cell_column, "a line of more than 1,024 cells",
                    "split the table, or check its quotes");
    if (len > 0 && !kpid_utf8_valid(csv->text.data + csv->cell_at, len))
        return fail(csv, csv->cell_line, csv->cell_column, "the cell is not UTF-8", "save the file as UTF-8");
    csv->cells[csv->n_cells++] = (struct kpid_csv_cell){NULL, len, csv->cell_line, csv->cell_column};
    csv->cell_at = csv->text.len;
    return true;
}

/* The present line is complete: cells get their texts, which do not move any more. */
static bool row_end(struct kpid_csv *csv)
{
    if (!cell_end(csv))
        return false;
    if (csv->n_cells == 1 && csv->cells[0].len == 0 && csv->state == AT_CELL)
        return fail(csv, csv->cell_line, csv->cell_column, "an empty line", "remove it");
    const char *at = csv->text.data ? csv->text.data : "";
    for (size_t i = 0; i < csv->n_cells; i++) {
        csv->cells[i].text = at;
        at += csv->cells[i].len;
    }
    csv->stopped = !csv->row(csv->ctx, csv->cells, csv->n_cells);
    csv->n_cells = 0;
    kpid_buf_clear(&csv->text);
    return !csv->stopped;
}

static bool line_end(struct kpid_csv *csv)
{
    if (!row_end(csv))
        return false;
    csv->line++;
    csv->column = 1;
    return cell_begin(csv);
}

static bool keep(struct kpid_csv *csv, char c)
{
    if (csv->text.len - csv->cell_at == KPID_CSV_CELL_MAX)
        return fail(csv, csv->cell_line, csv->cell_column, "a cell of more than 65,536 bytes",
                    "shorten it, or check its quotes");
    kpid_buf_add_char(&csv->text, c);
    if (c == '\n') {
        csv->line++;
        csv->column = 1;
    } else {
        csv->column += ((unsigned char)c & 0xc0) != 0x80;
    }
    return true;
}

static bool comma(struct kpid_csv *csv)
{
    if (!cell_end(csv))
        return false;
    csv->column++;
    return cell_begin(csv);
}

/* What may follow a whole cell. */
static bool after_cell(struct kpid_csv *csv, char c)
{
    switch (c) {
    case ',': return comma(csv);
    case '\n': return line_end(csv);
    case '\r':
        if (csv->state == AT_CELL && csv->n_cells == 0)
            return fail_here(csv, "an empty line", "remove it");
        csv->state = AT_RETURN;
        csv->column++;
        return true;
    default: return fail_here(csv, "text follows the closing quote", quote_advice);
    }
}

static bool plain(struct kpid_csv *csv, char c)
{
    if (c == ',' || c == '\n' || c == '\r')
        return after_cell(csv, c);
    if (c == '"' && csv->state == AT_CELL) {
        csv->state = IN_QUOTES;
        csv->column++;
        return true;
    }
    if (c == '"')
        return fail_here(csv, "a quote within a cell that does not begin with one", quote_advice);
    csv->state = IN_PLAIN;
    return keep(csv, c);
}

static bool take(struct kpid_csv *csv, char c)
{
    if (c == '\0')
        return fail_here(csv, "a NUL character", "save the file as text in UTF-8");
    switch ((enum state)csv->state) {
    case AT_CELL:
    case IN_PLAIN: return plain(csv, c);
    case IN_QUOTES:
        if (c != '"')
            return keep(csv, c);
        csv->state = AT_QUOTE;
        csv->column++;
        return true;
    case AT_QUOTE:
        if (c != '"')
            return after_cell(csv, c);
        csv->state = IN_QUOTES;
        return keep(csv, c);
    default:
        if (c == '\n')
            return line_end(csv);
        return fail(csv, csv->line, csv->column - 1, "a carriage return without a line feed",
                    "end lines with LF or CRLF, and put cells that hold a line's end in quotes");
    }
}

bool kpid_csv_feed(struct kpid_csv *csv, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (csv->n_bom < sizeof(bom)) {
            if ((unsigned char)bytes[i] == bom[csv->n_bom]) {
                csv->n_bom++;
                continue;
            }
            if (csv->n_bom > 0)
                return fail(csv, 1, 1, "the cell is not UTF-8", "save the file as UTF-8");
            csv->n_bom = sizeof(bom);
        }
        if (!take(csv, bytes[i]))
            return false;
    }
    return true;
}

bool kpid_csv_end(struct kpid_csv *csv)
{
    switch ((enum state)csv->state) {
    case IN_QUOTES:
        return fail(csv, csv->cell_line, csv->cell_column, "the quote that begins here is not closed", quote_advice);
    case AT_RETURN:
        return fail(csv, csv->line, csv->column - 1, "a carriage return without a line feed",
                    "end lines with LF or CRLF");
    case AT_CELL:
        if (csv->n_cells == 0)
            return true;
        return row_end(csv);
    default: return row_end(csv);
    }
}
