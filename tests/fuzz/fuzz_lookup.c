/*
 * CSV out of order: whatever the bytes, and in whatever pieces they come, the reader says the same; a fault lies within
 * the text and has advice; and what was good, written out again, is read as the same cells.
 *
 *     fuzz_lookup                  a fixed number of mutations, the same each time
 *     fuzz_lookup N SEED           N mutations from another seed
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/lookup/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What was read, written as CSV in which every cell has quotes. */
static bool row_write(void *ctx, const struct kpid_csv_cell *cells, size_t n)
{
    struct kpid_buf *out = ctx;
    for (size_t i = 0; i < n; i++) {
        assert(cells[i].line >= 1 && cells[i].column >= 1 && memchr(cells[i].text, '\0', cells[i].len) == NULL);
        kpid_buf_add_str(out, i ? ",\"" : "\"");
        for (size_t j = 0; j < cells[i].len; j++) {
            if (cells[i].text[j] == '"')
                kpid_buf_add_char(out, '"');
            kpid_buf_add_char(out, cells[i].text[j]);
        }
        kpid_buf_add_char(out, '"');
    }
    kpid_buf_add_char(out, '\n');
    return true;
}

static bool csv_read(struct kpid_csv *csv, const char *bytes, size_t len, size_t piece, struct kpid_buf *out)
{
    bool good = true;
    kpid_csv_init(csv, row_write, out);
    kpid_buf_add_str(out, "");
    for (size_t at = 0; good && at < len; at += piece)
        good = kpid_csv_feed(csv, bytes + at, len - at < piece ? len - at : piece);
    good = good && kpid_csv_end(csv);
    kpid_csv_release(csv);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct kpid_csv whole, pieces, again;
    struct kpid_buf a = KPID_BUF_INIT, b = KPID_BUF_INIT, c = KPID_BUF_INIT;
    bool good = csv_read(&whole, (const char *)bytes, len, len ? len : 1, &a);
    for (size_t piece = 1; piece < 8; piece++) {
        kpid_buf_clear(&b);
        bool same = csv_read(&pieces, (const char *)bytes, len, piece, &b);
        assert(same == good && a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
        assert(pieces.fault.line == whole.fault.line && pieces.fault.column == whole.fault.column &&
               pieces.fault.message == whole.fault.message);
    }
    if (good) {
        good = csv_read(&again, a.data, a.len, 4096, &c);
        assert(good && c.len == a.len && (c.len == 0 || memcmp(c.data, a.data, c.len) == 0));
    } else {
        assert(whole.fault.line >= 1 && whole.fault.column >= 1 && whole.fault.line <= len + 1 && *whole.fault.advice);
    }
    kpid_buf_release(&a);
    kpid_buf_release(&b);
    kpid_buf_release(&c);
    return 0;
}

#ifndef KPID_LIBFUZZER

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
    state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* Texts are drawn from the few pieces that decide something. */
static size_t text_draw(char *text, size_t size)
{
    static const char *const words[] = {"a", ",", "\"", "\"\"", "\n", "\r\n", "\r", "id", ",b", "\xef\xbb\xbf",
                                        "\xe5\xae\xa2", "\xff", "\xc3", "x\"y", "\"q,\n\"", " "};
    size_t len = 0;
    for (uint32_t n = random_below(24); n > 0 && len + 8 < size; n--) {
        const char *word = words[random_below(KPID_COUNT_OF(words))];
        memcpy(text + len, word, strlen(word));
        len += strlen(word);
    }
    if (len > 0 && random_below(20) == 0)
        text[random_below((uint32_t)len)] = (char)random_below(256);
    return len;
}

int main(int argc, char **argv)
{
    unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000;
    state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    for (unsigned long i = 0; i < inputs; i++) {
        char text[512];
        size_t len = text_draw(text, sizeof text);
        char *exact = malloc(len ? len : 1); /* a read behind its end is seen by the sanitizer */
        assert(exact);
        memcpy(exact, text, len);
        LLVMFuzzerTestOneInput((const uint8_t *)exact, len);
        free(exact);
    }
    printf("%lu inputs\n", inputs);
    return 0;
}

#endif
