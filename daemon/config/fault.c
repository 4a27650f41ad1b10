#include "fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 24
#define WORD_MAX    64

void kpid_faults_init(struct kpid_faults *faults, const char *name, const char *text, size_t len)
{
    *faults = (struct kpid_faults){.name = name, .text = text, .len = len};
}

void kpid_faults_release(struct kpid_faults *faults)
{
    for (size_t i = 0; i < faults->n; i++) {
        free(faults->items[i].message);
        free(faults->items[i].advice);
    }
    free(faults->items);
    *faults = (struct kpid_faults){.name = faults->name};
}

static char *print_args(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(len >= 0);
    char *text = kpid_alloc((size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

static void add(struct kpid_faults *faults, struct kpid_place place, bool warning, char *message)
{
    if (faults->n == faults->cap) {
        faults->cap = faults->cap ? faults->cap * 2 : 16;
        faults->items = kpid_realloc(faults->items, faults->cap * sizeof *faults->items);
    }
    faults->items[faults->n] =
        (struct kpid_fault){.place = place, .message = message, .order = faults->n, .warning = warning};
    faults->n++;
    faults->n_errors += !warning;
}

void kpid_fault_add(struct kpid_faults *faults, struct kpid_place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(faults, place, false, print_args(format, args));
    va_end(args);
}

void kpid_fault_warn(struct kpid_faults *faults, struct kpid_place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(faults, place, true, print_args(format, args));
    va_end(args);
}

void kpid_fault_advise(struct kpid_faults *faults, const char *format, ...)
{
    assert(faults->n > 0 && !faults->items[faults->n - 1].advice);
    va_list args;
    va_start(args, format);
    faults->items[faults->n - 1].advice = print_args(format, args);
    va_end(args);
}

void kpid_fault_advise_names(struct kpid_faults *faults, const char *word, const char *what,
                             const struct kpid_names *names)
{
    struct kpid_buf list = KPID_BUF_INIT;
    const char *near = kpid_names_nearest(names, word);
    if (near)
        kpid_buf_printf(&list, "did you mean `%s`? ", near);
    if (names->n == 0)
        kpid_buf_printf(&list, "there are no %s; declare one first", what);
    else
        kpid_buf_printf(&list, "known %s: ", what);
    for (size_t i = 0; i < names->n && i < NAMES_SHOWN; i++)
        kpid_buf_printf(&list, "%s%s", i ? ", " : "", names->at[i]);
    if (names->n > NAMES_SHOWN)
        kpid_buf_printf(&list, " and %zu more", names->n - NAMES_SHOWN);
    kpid_fault_advise(faults, "%s", list.data);
    kpid_buf_release(&list);
}

/* ---- printing
 * ----------------------------------------------------------------------------------------------- */

/* The line's bytes, without its end. */
static const char *line_find(const struct kpid_faults *faults, uint32_t line, size_t *ret_len)
{
    const char *at = faults->text, *end = faults->text + faults->len;
    for (uint32_t i = 1; i < line && at < end; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        at = next ? next + 1 : end;
    }
    const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (!stop)
        stop = end;
    if (stop > at && stop[-1] == '\r')
        stop--;
    *ret_len = (size_t)(stop - at);
    return at;
}

/* Pads to the caret: tabs stay tabs, ideographs and the like (lead byte of three and more bytes, but for
 * general punctuation) are two columns wide in terminals. */
static void caret_print(const char *line, size_t len, uint32_t column, struct kpid_buf *out)
{
    uint32_t seen = 1;
    for (size_t i = 0; i < len && seen < column; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c & 0xC0) == 0x80)
            continue;
        seen++;
        kpid_buf_add_str(out, c == '\t' ? "\t" : c >= 0xE3 ? "  " : " ");
    }
    for (; seen < column; seen++)
        kpid_buf_add_char(out, ' ');
    kpid_buf_add_str(out, "^\n");
}

static void fault_print(const struct kpid_faults *faults, const struct kpid_fault *fault,
                        struct kpid_buf *out)
{
    assert(fault->advice);
    if (out->len > 0)
        kpid_buf_add_char(out, '\n');
    kpid_buf_printf(out, "%s:%u:%u: %s: %s\n", faults->name, fault->place.line, fault->place.column,
                    fault->warning ? "warning" : "error", fault->message);
    size_t len;
    const char *line = line_find(faults, fault->place.line, &len);
    kpid_buf_add_str(out, "    ");
    for (size_t i = 0; i < len; i++) /* no control sequences to a terminal */
        kpid_buf_add_char(out, (unsigned char)line[i] < 0x20 && line[i] != '\t' ? '?' : line[i]);
    kpid_buf_add_str(out, "\n    ");
    caret_print(line, len, fault->place.column, out);
    kpid_buf_printf(out, "    advice: %s\n", fault->advice);
}

static int fault_compare(const void *left, const void *right)
{
    const struct kpid_fault *a = left, *b = right;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    if (a->place.column != b->place.column)
        return a->place.column < b->place.column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

size_t kpid_faults_print(struct kpid_faults *faults, struct kpid_buf *out)
{
    if (faults->n > 0)
        qsort(faults->items, faults->n, sizeof *faults->items, fault_compare);
    size_t errors = 0;
    for (size_t i = 0; i < faults->n; i++) {
        const struct kpid_fault *fault = &faults->items[i], *before = i ? fault - 1 : NULL;
        if (before && before->place.line == fault->place.line &&
            before->place.column == fault->place.column && strcmp(before->message, fault->message) == 0)
            continue;
        fault_print(faults, fault, out);
        errors += !fault->warning;
    }
    return errors;
}

/* ---- names
 * -------------------------------------------------------------------------------------------------- */

char *kpid_buf_take(struct kpid_buf *buf)
{
    size_t len;
    kpid_buf_add_str(buf, "");
    char *text = buf->data ? kpid_buf_detach(buf, &len) : NULL;
    return text ? text : kpid_strdup("");
}

void kpid_names_add(struct kpid_names *names, const char *name)
{
    if (names->n == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 16;
        names->at = kpid_realloc(names->at, names->cap * sizeof *names->at);
    }
    names->at[names->n++] = name;
}

void kpid_names_release(struct kpid_names *names)
{
    free(names->at);
    *names = (struct kpid_names){0};
}

/* Optimal string alignment: insert, delete, replace, swap neighbours; case counts nothing. */
static unsigned edits(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    unsigned row[3][WORD_MAX + 1];
    unsigned *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned)j;
    memcpy(before, last, sizeof row[0]);
    for (size_t i = 1; i <= n; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + ((a[i - 1] | 0x20) != (b[j - 1] | 0x20));
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

const char *kpid_names_nearest(const struct kpid_names *names, const char *word)
{
    size_t len = strlen(word);
    unsigned limit = len <= 2 ? 1 : len <= 5 ? 2 : 3, best = limit + 1;
    const char *ret = NULL;
    for (size_t i = 0; i < names->n; i++) {
        unsigned distance = edits(word, names->at[i]);
        if (distance < best && distance < strlen(names->at[i])) {
            best = distance;
            ret = names->at[i];
        }
    }
    return ret;
}
