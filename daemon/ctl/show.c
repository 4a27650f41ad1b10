/* show: the newest figures as the public keys in Redis say them. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows of figures ---- */

struct table {
    const struct ctl *ctl;
    const struct kpid_kpi *kpi;
    const struct kpid_window *window;
    bool totals_only;
    size_t rows;
};

void ctl_figure_print(const struct kpid_kpi *kpi, const char *text, char *out, size_t size)
{
    char *end;
    double value = text ? strtod(text, &end) : 0;

    if (!text || end == text)
        snprintf(out, size, "-");
    else if (kpi->unit == KPID_UNIT_PERCENT)
        snprintf(out, size, "%.2f %%", value * 100);
    else if (kpi->unit == KPID_UNIT_DURATION && value >= 86400)
        snprintf(out, size, "%.1f d", value / 86400);
    else if (kpi->unit == KPID_UNIT_DURATION && value >= 3600)
        snprintf(out, size, "%.1f h", value / 3600);
    else if (kpi->unit == KPID_UNIT_DURATION && value >= 60)
        snprintf(out, size, "%.1f min", value / 60);
    else if (kpi->unit == KPID_UNIT_DURATION)
        snprintf(out, size, "%.1f s", value);
    else if (kpi->unit == KPID_UNIT_COUNT || value == (double)(long long)value)
        snprintf(out, size, "%.0f", value);
    else
        snprintf(out, size, "%.2f", value);
}

void ctl_row_print(const struct kpid_kpi *kpi, const struct kpid_window *window, const char *field, size_t field_len,
                   const char *json, size_t len)
{
    char a[64], b[64], c[64], d[64], e[64], value[64], target[64];
    const char *deviation = ctl_json_field(json, len, "deviation", c, sizeof(c));
    const char *status = ctl_json_field(json, len, "status", d, sizeof(d));
    const char *quality = ctl_json_field(json, len, "quality", e, sizeof(e));

    ctl_figure_print(kpi, ctl_json_field(json, len, "value", a, sizeof(a)), value, sizeof(value));
    ctl_figure_print(kpi, ctl_json_field(json, len, "expected", b, sizeof(b)), target, sizeof(target));
    if (deviation && strcmp(deviation, "null"))
        snprintf(c, sizeof(c), "%+.1f %%", strtod(deviation, NULL) * 100);
    else
        snprintf(c, sizeof(c), "-");
    printf("%-24.24s %-6.6s %-16.*s %14s %12s %10s  %-5s %s\n", kpi->name, window->name,
           (int)(field_len < 16 ? field_len : 16), field, value, target, c, status ? status : "", quality ? quality : "");
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

int ctl_by_field(const void *a, const void *b)
{
    const struct ctl_pair *x = a, *y = b;
    return compare_text(x->field->str, x->field->len, y->field->str, y->field->len);
}

struct ctl_pair *ctl_pairs_of(const struct kpid_reply *reply, int (*compare)(const void *, const void *), size_t *ret_n)
{
    size_t n = reply->kind == KPID_REPLY_ARRAY ? reply->n_items / 2 : 0;
    struct ctl_pair *pairs = kpid_zalloc(n + 1, sizeof(*pairs));

    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct ctl_pair){ &reply->items[2 * i], &reply->items[2 * i + 1] };
    qsort(pairs, n, sizeof(*pairs), compare);
    *ret_n = n;
    return pairs;
}

bool ctl_field_is_group(const struct kpid_reply *field)
{
    return field->len && *field->str != '@' && !memchr(field->str, '@', field->len);
}

static void each_snapshot(void *ctx, const struct kpid_reply *reply)
{
    struct table *t = ctx;
    size_t n;
    struct ctl_pair *pairs = ctl_pairs_of(reply, ctl_by_field, &n);

    for (size_t i = 0; i < n; i++) {
        const struct kpid_reply *field = pairs[i].field, *json = pairs[i].text;
        bool total = field->len == 1 && *field->str == '*';
        if (!ctl_field_is_group(field) || (t->totals_only && !total))
            continue;
        if (t->ctl->json)
            printf("%.*s\n", (int)json->len, json->str);
        else
            ctl_row_print(t->kpi, t->window, field->str, field->len, json->str, json->len);
        t->rows += !t->ctl->json;
    }
    free(pairs);
}

void ctl_snap_key(const struct ctl *ctl, const struct kpid_kpi *kpi, const struct kpid_window *window,
                  struct kpid_buf *key)
{
    kpid_buf_clear(key);
    kpid_buf_printf(key, "%s:snap:{%s:%s}", ctl->model->settings.redis.prefix, kpi->name, window->name);
}

const char ctl_no_figures[] = "kpictl: no figures yet; does kpid run, with this Redis and prefix?\n";
const char ctl_heading[] =
    "KPI                      window group                     value       target  deviation  state quality";

static bool show_all(struct ctl *ctl, struct ctl_remote *remote, const char *name, bool totals_only)
{
    struct kpid_buf key = KPID_BUF_INIT;
    size_t rows = 0;
    bool ok = true;

    for (size_t k = 0; ok && k < ctl->model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &ctl->model->kpis[k];
        if (name && strcmp(name, kpi->name))
            continue;
        for (size_t w = 0; ok && w < kpi->n_windows; w++) {
            struct table table = { ctl, kpi, &kpi->windows[w], totals_only, 0 };
            if (ctl->window && strcmp(ctl->window, kpi->windows[w].name))
                continue;
            ctl_snap_key(ctl, kpi, &kpi->windows[w], &key);
            ok = ctl_remote_ask(remote, each_snapshot, &table, "HGETALL", key.data, NULL);
            rows += table.rows;
        }
    }
    if (ok && !rows && !ctl->json)
        fputs(ctl_no_figures, stderr);
    kpid_buf_release(&key);
    return ok;
}

static bool has_window(const struct ctl *ctl, const char *name)
{
    for (size_t k = 0; k < ctl->model->n_kpis; k++)
        for (size_t w = 0; w < ctl->model->kpis[k].n_windows; w++)
            if ((!name || !strcmp(name, ctl->model->kpis[k].name)) &&
                !strcmp(ctl->window, ctl->model->kpis[k].windows[w].name))
                return true;
    return false;
}

int ctl_show(struct ctl *ctl)
{
    const char *name = ctl->n_args ? ctl->args[0] : NULL;
    struct ctl_remote *remote;

    if (name && !ctl_kpi_known(ctl, name))
        return CTL_FAILED;
    if (ctl->window && !has_window(ctl, name)) {
        fprintf(stderr, "kpictl: %s%s has %s window '%s'\n", name ? "KPI " : "no KPI", name ? name : "",
                name ? "no" : "a", ctl->window);
        return CTL_FAILED;
    }
    remote = ctl_remote_open(ctl);
    if (!remote)
        return CTL_FAILED;
    if (!ctl->json)
        puts(ctl_heading);
    bool ok = show_all(ctl, remote, name, !name);
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}
