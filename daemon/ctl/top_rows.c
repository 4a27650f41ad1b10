/* Rows of top: read from the snapshot hashes, searched and sorted. */
#include "ctl.h"

#include "kpid/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

struct reading {
    struct ctl_rows *rows;
    const struct kpid_kpi *kpi;
    const struct kpid_window *window;
};

static double number_of(const struct kpid_reply *json, const char *name)
{
    char text[64], *end;
    const char *found = ctl_json_field(json->str, json->len, name, text, sizeof(text));
    double value = found ? strtod(found, &end) : 0;

    return found && end != found ? value : (double)NAN;
}

static int status_of(const struct kpid_reply *json)
{
    static const char *const words[] = {"none", "ok", "warn", "crit"};
    char text[16];
    const char *found = ctl_json_field(json->str, json->len, "status", text, sizeof(text));

    for (int i = 0; found && i < (int)KPID_COUNT_OF(words); i++)
        if (!strcmp(found, words[i]))
            return i;
    return -1;
}

/* The values of a group with blanks between them. Returns, free with free. */
static char *group_text(const struct kpid_kpi *kpi, const struct kpid_reply *field)
{
    struct kpid_buf bytes = KPID_BUF_INIT, text = KPID_BUF_INIT;
    const char **group = kpid_zalloc(kpi->n_by + 1, sizeof(*group));

    if (kpi->n_by && kpid_group_parse(field->str, field->len, kpi->n_by, &bytes, group))
        for (size_t i = 0; i < kpi->n_by; i++)
            kpid_buf_printf(&text, "%s%s", i ? " " : "", group[i]);
    else
        kpid_buf_add(&text, field->str, field->len);
    free(group);
    kpid_buf_release(&bytes);
    return kpid_buf_detach(&text, NULL);
}

static void each_hash(void *ctx, const struct kpid_reply *reply)
{
    const struct reading *reading = ctx;
    struct ctl_rows *rows = reading->rows;
    size_t n;
    struct ctl_pair *pairs = ctl_pairs_of(reply, ctl_by_field, &n);

    for (size_t i = 0; i < n; i++) {
        const struct kpid_reply *field = pairs[i].field, *json = pairs[i].text;
        if (!ctl_field_is_group(field))
            continue;
        if (rows->n == rows->cap) {
            rows->cap = rows->cap ? rows->cap * 2 : 64;
            rows->at = kpid_realloc(rows->at, rows->cap * sizeof(*rows->at));
        }
        rows->at[rows->n] = (struct ctl_row){.kpi = reading->kpi,
                                             .window = reading->window,
                                             .field = kpid_strndup(field->str, field->len),
                                             .field_len = field->len,
                                             .json = kpid_strndup(json->str, json->len),
                                             .json_len = json->len,
                                             .group = group_text(reading->kpi, field),
                                             .value = number_of(json, "value"),
                                             .deviation = number_of(json, "deviation"),
                                             .status = status_of(json),
                                             .order = rows->n,
                                             .total = field->len == 1 && *field->str == '*'};
        rows->n++;
    }
    free(pairs);
}

bool ctl_rows_read(struct ctl_rows *rows, const struct ctl *ctl, struct ctl_remote *remote)
{
    struct kpid_buf key = KPID_BUF_INIT;
    bool ok = true;

    ctl_rows_release(rows);
    for (size_t k = 0; ok && k < ctl->model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &ctl->model->kpis[k];
        size_t w = 0;
        while (ctl->window && w < kpi->n_windows && strcmp(ctl->window, kpi->windows[w].name))
            w++;
        if (w == kpi->n_windows)
            continue;
        struct reading reading = {rows, kpi, &kpi->windows[w]};
        ctl_snap_key(ctl, kpi, &kpi->windows[w], &key);
        ok = ctl_remote_ask(remote, each_hash, &reading, "HGETALL", key.data, NULL);
    }
    kpid_buf_release(&key);
    return ok;
}

void ctl_rows_release(struct ctl_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->at[i].field);
        free(rows->at[i].json);
        free(rows->at[i].group);
    }
    free(rows->at);
    *rows = (struct ctl_rows){0};
}

/* ---- searching ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool contains(const char *text, const char *what)
{
    for (; text && *text; text++) {
        size_t i = 0;
        while (what[i] && lower(text[i]) == lower(what[i]))
            i++;
        if (!what[i])
            return true;
    }
    return false;
}

bool ctl_row_matches(const struct ctl_row *row, const char *match)
{
    const struct kpid_kpi *kpi = row->kpi;

    if (!match || !*match)
        return row->total;
    return contains(kpi->name, match) || contains(kpi->title_en, match) || contains(kpi->title_zh, match) ||
           contains(kpi->owner, match) || contains(kpi->dimension, match) ||
           (!row->total && contains(row->group, match));
}

/* ---- sorting ---- */

static int by_text(const char *a, const char *b)
{
    if (!a || !b)
        return (!a) - (!b); /* what has none comes last */
    return strcmp(a, b);
}

/* Ascending, what has none last. */
static int by_number(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int by_deviation(const struct ctl_row *a, const struct ctl_row *b)
{
    return by_number(a->deviation, b->deviation);
}

static int by_status(const struct ctl_row *a, const struct ctl_row *b)
{
    return a->status != b->status ? b->status - a->status : by_deviation(a, b);
}

static int by_kpi(const struct ctl_row *a, const struct ctl_row *b)
{
    return by_text(a->kpi->name, b->kpi->name);
}

static int by_group(const struct ctl_row *a, const struct ctl_row *b)
{
    return by_text(a->group, b->group);
}

static int by_owner(const struct ctl_row *a, const struct ctl_row *b)
{
    return by_text(a->kpi->owner, b->kpi->owner);
}

static int by_value(const struct ctl_row *a, const struct ctl_row *b)
{
    return isnan(a->value) || isnan(b->value) ? by_number(a->value, b->value) : by_number(b->value, a->value);
}

static int by_config(const struct ctl_row *a, const struct ctl_row *b)
{
    return (a->order > b->order) - (a->order < b->order);
}

static const struct {
    const char *name;
    int (*compare)(const struct ctl_row *, const struct ctl_row *);
} sorts[] = {
    {"deviation", by_deviation}, {"status", by_status}, {"kpi", by_kpi},       {"group", by_group},
    {"owner", by_owner},         {"value", by_value},   {"config", by_config},
};

const char *ctl_sort_name(size_t index)
{
    return index < KPID_COUNT_OF(sorts) ? sorts[index].name : NULL;
}

int ctl_sort_find(const char *name)
{
    for (size_t i = 0; i < KPID_COUNT_OF(sorts); i++)
        if (!strcmp(sorts[i].name, name))
            return (int)i;
    return -1;
}

/* qsort hands nothing through: a stable merge of our own takes the order as an argument. */
static void merge_sort(struct ctl_row *at, struct ctl_row *scratch, size_t n, size_t sort, int sign)
{
    size_t half = n / 2, a = 0, b = half, to = 0;

    if (n < 2)
        return;
    merge_sort(at, scratch, half, sort, sign);
    merge_sort(at + half, scratch, n - half, sort, sign);
    while (a < half && b < n)
        scratch[to++] = sign * sorts[sort].compare(&at[a], &at[b]) <= 0 ? at[a++] : at[b++];
    while (a < half)
        scratch[to++] = at[a++];
    while (b < n)
        scratch[to++] = at[b++];
    memcpy(at, scratch, n * sizeof(*at));
}

void ctl_rows_sort(struct ctl_rows *rows, size_t sort, bool reverse)
{
    struct ctl_row *scratch = kpid_zalloc(rows->n + 1, sizeof(*scratch));

    merge_sort(rows->at, scratch, rows->n, (size_t)ctl_sort_find("config"), 1);
    merge_sort(rows->at, scratch, rows->n, sort, reverse ? -1 : 1);
    free(scratch);
}
