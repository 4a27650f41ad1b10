/* CSV: what RFC 4180 allows, in pieces of any size, and the place of everything it does not. */
#include <criterion/criterion.h>
#include <string.h>

#include "lookup/csv.h"

/* Cells as text: [a|b] a line, in pieces of `size` bytes. Returns whether all was good. */
struct reading {
    struct kpid_csv csv;
    struct kpid_buf rows;
    size_t stop_after;
};

static bool on_row(void *ctx, const struct kpid_csv_cell *cells, size_t n)
{
    struct reading *reading = ctx;
    kpid_buf_add_char(&reading->rows, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            kpid_buf_add_char(&reading->rows, '|');
        kpid_buf_add(&reading->rows, cells[i].text, cells[i].len);
    }
    kpid_buf_add_char(&reading->rows, ']');
    return --reading->stop_after > 0;
}

static bool read_all(struct reading *reading, const char *text, size_t len, size_t size)
{
    *reading = (struct reading){.stop_after = SIZE_MAX};
    kpid_csv_init(&reading->csv, on_row, reading);
    kpid_buf_add_str(&reading->rows, "");
    for (size_t at = 0; at < len; at += size)
        if (!kpid_csv_feed(&reading->csv, text + at, len - at < size ? len - at : size))
            return false;
    return kpid_csv_end(&reading->csv);
}

static void release(struct reading *reading)
{
    kpid_csv_release(&reading->csv);
    kpid_buf_release(&reading->rows);
}

Test(lookup_csv, what_is_allowed)
{
    static const struct {
        const char *text, *rows;
    } cases[] = {
        {"", ""},
        {"a", "[a]"},
        {"a,b\n1,2\n", "[a|b][1|2]"},
        {"a,b\r\n1,2\r\n", "[a|b][1|2]"},
        {"a,b\n1,2", "[a|b][1|2]"},
        {",\n,\n", "[|][|]"},
        {"a,\n", "[a|]"},
        {"a,", "[a|]"},
        {"\"a\"", "[a]"},
        {"\"\"\n", "[]"},
        {"\"a,b\",\"c\"\"d\"\n\"e\nf\",\"\"\n", "[a,b|c\"d][e\nf|]"},
        {"\"\"\"\"\n", "[\"]"},
        {"\"a\"\r\n\"b\"", "[a][b]"},
        {" a , b \n", "[ a | b ]"},
        {"\xef\xbb\xbf" "a,b\n", "[a|b]"},
        {"\xef\xbb\xbf\"a\",b\n", "[a|b]"},
        {"客户,b\n", "[客户|b]"},
        {"'a','b'\n", "['a'|'b']"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        for (size_t size = 1; size < 9; size++) {
            struct reading reading;
            cr_assert(read_all(&reading, cases[i].text, strlen(cases[i].text), size), "%s: %s", cases[i].text,
                      reading.csv.fault.message);
            cr_assert_str_eq(reading.rows.data, cases[i].rows);
            release(&reading);
        }
}

Test(lookup_csv, what_is_not)
{
    static const struct {
        const char *text;
        size_t len; /* 0: up to the NUL */
        uint32_t line, column;
        const char *message;
    } cases[] = {
        {"a,b\nx,y\"z\n", 0, 2, 4, "a quote within a cell"},
        {"a,b\n\"x\"y,z\n", 0, 2, 4, "follows the closing quote"},
        {"a,b\n1,\"2\n3,4\n", 0, 2, 3, "not closed"},
        {"a,b\n\"1\n2\",\"3\n", 0, 3, 4, "not closed"},
        {"a\rb\n", 0, 1, 2, "carriage return"},
        {"a\r", 0, 1, 2, "carriage return"},
        {"a,b\n\n1,2\n", 0, 2, 1, "an empty line"},
        {"a,b\r\n\r\n1,2\r\n", 0, 2, 1, "an empty line"},
        {"\n", 0, 1, 1, "an empty line"},
        {"a,b\n1,\xff\n", 0, 2, 3, "not UTF-8"},
        {"a,\xc3", 0, 1, 3, "not UTF-8"},
        {"\xef\xbb" "a", 0, 1, 1, "not UTF-8"},
        {"a,b\n1,\0002\n", 9, 2, 3, "NUL"},
        {"客户,\"客户\"x\n", 0, 1, 8, "follows the closing quote"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        for (size_t size = 1; size < 9; size++) {
            struct reading reading;
            size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
            cr_assert_not(read_all(&reading, cases[i].text, len, size), "%s", cases[i].text);
            cr_assert(strstr(reading.csv.fault.message, cases[i].message), "%s: %s", cases[i].text,
                      reading.csv.fault.message);
            cr_assert_gt(strlen(reading.csv.fault.advice), 5);
            cr_assert(reading.csv.fault.line == cases[i].line && reading.csv.fault.column == cases[i].column,
                      "%s: at %u:%u", cases[i].text, reading.csv.fault.line, reading.csv.fault.column);
            release(&reading);
        }
}

Test(lookup_csv, bounds)
{
    struct kpid_buf text = KPID_BUF_INIT;
    struct reading reading;
    for (size_t i = 0; i < KPID_CSV_CELL_MAX; i++)
        kpid_buf_add_char(&text, 'a');
    cr_assert(read_all(&reading, text.data, text.len, 4096));
    release(&reading);
    kpid_buf_add_char(&text, 'a');
    cr_assert_not(read_all(&reading, text.data, text.len, 4096));
    cr_assert(strstr(reading.csv.fault.message, "65,536"));
    release(&reading);
    kpid_buf_clear(&text);
    for (size_t i = 1; i < KPID_CSV_CELLS_MAX; i++)
        kpid_buf_add_char(&text, ',');
    cr_assert(read_all(&reading, text.data, text.len, 4096));
    release(&reading);
    kpid_buf_add_char(&text, ',');
    cr_assert_not(read_all(&reading, text.data, text.len, 4096));
    cr_assert(strstr(reading.csv.fault.message, "1,024"));
    release(&reading);
    kpid_buf_release(&text);
}

Test(lookup_csv, stops_when_told)
{
    struct reading reading = {.stop_after = 2};
    kpid_csv_init(&reading.csv, on_row, &reading);
    cr_assert_not(kpid_csv_feed(&reading.csv, "a\nb\nc\n", 6));
    cr_assert(reading.csv.stopped);
    cr_assert_str_eq(reading.rows.data, "[a][b]");
    release(&reading);
}
