/* show, top and alerts: what the public keys in Redis say. */
#include "ctl.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- rows of figures ---- */

struct table {
    const struct ctl *ctl;
    const struct kpid_kpi *kpi;
    const struct kpid_window *window;
    bool totals_only;
    size_t rows;
};

/* A figure as a person reads it: percentages and durations in their own words. */
static void print_figure(const struct kpid_kpi *kpi, const char *text, char *out, size_t size)
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

static void print_row(struct table *t, const struct kpid_reply *field, const struct kpid_reply *json)
{
    char a[64], b[64], c[64], d[64], e[64], value[64], target[64];
    const char *deviation = ctl_json_field(json->str, json->len, "deviation", c, sizeof(c));
    const char *status = ctl_json_field(json->str, json->len, "status", d, sizeof(d));
    const char *quality = ctl_json_field(json->str, json->len, "quality", e, sizeof(e));

    print_figure(t->kpi, ctl_json_field(json->str, json->len, "value", a, sizeof(a)), value, sizeof(value));
    print_figure(t->kpi, ctl_json_field(json->str, json->len, "expected", b, sizeof(b)), target, sizeof(target));
    if (deviation && strcmp(deviation, "null"))
        snprintf(c, sizeof(c), "%+.1f %%", strtod(deviation, NULL) * 100);
    else
        snprintf(c, sizeof(c), "-");
    printf("%-24.24s %-6.6s %-16.*s %14s %12s %10s  %-5s %s\n", t->kpi->name, t->window->name,
           (int)(field->len < 16 ? field->len : 16), field->str, value, target, c, status ? status : "", quality ? quality : "");
    t->rows++;
}

static void each_snapshot(void *ctx, const struct kpid_reply *reply)
{
    struct table *t = ctx;

    for (size_t i = 0; reply->kind == KPID_REPLY_ARRAY && i + 1 < reply->n_items; i += 2) {
        const struct kpid_reply *field = &reply->items[i], *json = &reply->items[i + 1];
        bool total = field->len == 1 && *field->str == '*';
        if (!field->len || *field->str == '@' || memchr(field->str, '@', field->len) || (t->totals_only && !total))
            continue;
        if (t->ctl->json)
            printf("%.*s\n", (int)json->len, json->str);
        else
            print_row(t, field, json);
    }
}

static void encoded_key(struct kpid_buf *key, const struct ctl *ctl, const struct kpid_kpi *kpi,
                        const struct kpid_window *window)
{
    kpid_buf_clear(key);
    kpid_buf_printf(key, "%s:snap:{%s:%s}", ctl->model->settings.redis.prefix, kpi->name, window->name);
}

static const char heading[] =
    "KPI                      window group                     value       target  deviation  state quality";

static bool show_all(struct ctl *ctl, struct ctl_remote *remote, const char *name, bool totals_only, bool first_window)
{
    struct kpid_buf key = KPID_BUF_INIT;
    bool ok = true;

    for (size_t k = 0; ok && k < ctl->model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &ctl->model->kpis[k];
        if (name && strcmp(name, kpi->name))
            continue;
        for (size_t w = 0; ok && w < kpi->n_windows && !(first_window && w); w++) {
            struct table table = { ctl, kpi, &kpi->windows[w], totals_only, 0 };
            if (ctl->window && strcmp(ctl->window, kpi->windows[w].name))
                continue;
            encoded_key(&key, ctl, kpi, &kpi->windows[w]);
            ok = ctl_remote_ask(remote, each_snapshot, &table, "HGETALL", key.data, NULL);
        }
    }
    kpid_buf_release(&key);
    return ok;
}

int ctl_show(struct ctl *ctl)
{
    const char *name = ctl->n_args ? ctl->args[0] : NULL;
    struct ctl_remote *remote;

    if (name && kpid_model_kpi_find(ctl->model, name) < 0) {
        fprintf(stderr, "kpictl: there is no KPI '%s' in %s\n", name, ctl->config);
        return CTL_FAILED;
    }
    remote = ctl_remote_open(ctl);
    if (!remote)
        return CTL_FAILED;
    if (!ctl->json)
        puts(heading);
    bool ok = show_all(ctl, remote, name, !name, false);
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}

/* ---- alerts ---- */

static void print_alert(const char *json, size_t len)
{
    char state[32], kpi[64], window[32], group[96], since[48], rule[32], id[32], value[48];

    printf("%-10s %-5s %-24s %-6s %-28s value %-12s since %s  %s\n",
           ctl_json_field(json, len, "state", state, sizeof(state)) ? state : "?",
           ctl_json_field(json, len, "rule", rule, sizeof(rule)) ? rule : "?",
           ctl_json_field(json, len, "kpi", kpi, sizeof(kpi)) ? kpi : "?",
           ctl_json_field(json, len, "window", window, sizeof(window)) ? window : "?",
           ctl_json_field(json, len, "group", group, sizeof(group)) && strcmp(group, "null") ? group : "*",
           ctl_json_field(json, len, "value", value, sizeof(value)) ? value : "?",
           ctl_json_field(json, len, "since", since, sizeof(since)) ? since : "?",
           ctl_json_field(json, len, "id", id, sizeof(id)) ? id : "?");
}

struct alert_list {
    bool json;
    size_t n;
};

static void put_alert(struct alert_list *list, const struct kpid_reply *json)
{
    list->n++;
    if (list->json)
        printf("%.*s\n", (int)json->len, json->str);
    else
        print_alert(json->str, json->len);
}

static void each_active(void *ctx, const struct kpid_reply *reply)
{
    for (size_t i = 0; reply->kind == KPID_REPLY_ARRAY && i + 1 < reply->n_items; i += 2)
        put_alert(ctx, &reply->items[i + 1]);
}

/* A stream entry: [id, [field, value …]]; the JSON is the value that begins an object. */
static void each_entry(void *ctx, const struct kpid_reply *reply)
{
    for (size_t i = 0; reply->kind == KPID_REPLY_ARRAY && i < reply->n_items; i++) {
        const struct kpid_reply *entry = &reply->items[i];
        if (entry->n_items < 2)
            continue;
        for (size_t f = 1; f < entry->items[1].n_items; f += 2)
            if (entry->items[1].items[f].len && entry->items[1].items[f].str[0] == '{')
                put_alert(ctx, &entry->items[1].items[f]);
    }
}

static bool show_alerts(struct ctl *ctl, struct ctl_remote *remote, int entries)
{
    struct alert_list active = { ctl->json, 0 }, log = { ctl->json, 0 };
    struct kpid_buf key = KPID_BUF_INIT;
    char count[16];

    kpid_buf_printf(&key, "%s:{alert}:active", ctl->model->settings.redis.prefix);
    if (!ctl->json)
        puts("active alerts:");
    bool ok = ctl_remote_ask(remote, each_active, &active, "HGETALL", key.data, NULL);
    if (!active.n && !ctl->json)
        puts("  none");
    if (ok && entries) {
        kpid_buf_clear(&key);
        kpid_buf_printf(&key, "%s:{alert}:log", ctl->model->settings.redis.prefix);
        snprintf(count, sizeof(count), "%d", entries);
        if (!ctl->json)
            puts("last transitions, newest first:");
        ok = ctl_remote_ask(remote, each_entry, &log, "XREVRANGE", key.data, "+", "-", "COUNT", count, NULL);
        if (!log.n && !ctl->json)
            puts("  none");
    }
    kpid_buf_release(&key);
    return ok;
}

int ctl_alerts(struct ctl *ctl)
{
    struct ctl_remote *remote = ctl_remote_open(ctl);

    if (!remote)
        return CTL_FAILED;
    bool ok = show_alerts(ctl, remote, ctl->log_entries);
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}

/* ---- top ---- */

int ctl_top(struct ctl *ctl)
{
    struct ctl_remote *remote = ctl_remote_open(ctl);
    bool live = !ctl->once && !ctl->json && isatty(STDOUT_FILENO), ok = remote != NULL;

    while (ok) {
        struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
        if (live)
            fputs("\033[H\033[2J", stdout);
        if (!ctl->json)
            puts(heading);
        ok = show_all(ctl, remote, NULL, true, true);
        if (!ctl->json)
            putchar('\n');
        ok = ok && show_alerts(ctl, remote, ctl->json ? 0 : 5);
        if (live)
            puts("\nEnter ends it.");
        fflush(stdout);
        if (!live || (poll(&input, 1, 1000) > 0 && getchar() != 0))
            break;
    }
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}
