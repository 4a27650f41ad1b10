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

/* A hash gives its fields in any order: pairs of field and text, sorted for people. Returns, free with free. */
struct pair {
    const struct kpid_reply *field, *text;
};

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int by_field(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return compare_text(x->field->str, x->field->len, y->field->str, y->field->len);
}

static struct pair *pairs_of(const struct kpid_reply *reply, int (*compare)(const void *, const void *), size_t *ret_n)
{
    size_t n = reply->kind == KPID_REPLY_ARRAY ? reply->n_items / 2 : 0;
    struct pair *pairs = kpid_zalloc(n + 1, sizeof(*pairs));

    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){ &reply->items[2 * i], &reply->items[2 * i + 1] };
    qsort(pairs, n, sizeof(*pairs), compare);
    *ret_n = n;
    return pairs;
}

static void each_snapshot(void *ctx, const struct kpid_reply *reply)
{
    struct table *t = ctx;
    size_t n;
    struct pair *pairs = pairs_of(reply, by_field, &n);

    for (size_t i = 0; i < n; i++) {
        const struct kpid_reply *field = pairs[i].field, *json = pairs[i].text;
        bool total = field->len == 1 && *field->str == '*';
        if (!field->len || *field->str == '@' || memchr(field->str, '@', field->len) || (t->totals_only && !total))
            continue;
        if (t->ctl->json)
            printf("%.*s\n", (int)json->len, json->str);
        else
            print_row(t, field, json);
    }
    free(pairs);
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
    size_t rows = 0;
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
            rows += table.rows;
        }
    }
    if (ok && !rows && !ctl->json)
        fprintf(stderr, "kpictl: no figures yet; does kpid run, with this Redis and prefix?\n");
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
        puts(heading);
    bool ok = show_all(ctl, remote, name, !name, false);
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}

/* ---- alerts ---- */

static const char alert_heading[] =
    "  state      rule  KPI                      window group                           value       target  %s\n";

/* {"channel":"web","region":"north"} as channel=web region=north; null is the total. */
static void print_group(const char *json, char *out, size_t size)
{
    size_t n = 0;
    bool quoted = false;

    for (json++; *json && n + 1 < size; json++) {
        if (*json == '"')
            quoted = !quoted;
        else if (quoted)
            out[n++] = *json == '\\' && json[1] ? *++json : *json;
        else if (*json != '}')
            out[n++] = *json == ':' ? '=' : ' ';
    }
    out[n] = '\0';
}

static void print_alert(const struct ctl *ctl, const char *json, size_t len, const char *time)
{
    char state[32], name[64], window[32], group[128], at[48], rule[32], text[64], value[64], target[64];
    const struct kpid_kpi unknown = { .unit = KPID_UNIT_NUMBER };
    int index = ctl_json_field(json, len, "kpi", name, sizeof(name)) ? kpid_model_kpi_find(ctl->model, name) : -1;
    const struct kpid_kpi *kpi = index < 0 ? &unknown : &ctl->model->kpis[index];

    print_figure(kpi, ctl_json_field(json, len, "value", text, sizeof(text)), value, sizeof(value));
    print_figure(kpi, ctl_json_field(json, len, "expected", text, sizeof(text)), target, sizeof(target));
    if (ctl_json_field(json, len, "group", text, sizeof(text)) && *text == '{')
        print_group(text, group, sizeof(group));
    else
        snprintf(group, sizeof(group), "*");
    printf("  %-10s %-5s %-24s %-6s %-24s %12s %12s  %s\n",
           ctl_json_field(json, len, "state", state, sizeof(state)) ? state : "?",
           ctl_json_field(json, len, "rule", rule, sizeof(rule)) ? rule : "?", index < 0 ? "?" : kpi->name,
           ctl_json_field(json, len, "window", window, sizeof(window)) ? window : "?", group, value, target,
           ctl_json_field(json, len, time, at, sizeof(at)) ? at : "?");
}

struct alert_list {
    const struct ctl *ctl;
    const char *time; /* the member that stands in the last column */
    size_t n;
};

static void put_alert(struct alert_list *list, const struct kpid_reply *json)
{
    if (list->ctl->json) {
        printf("%.*s\n", (int)json->len, json->str);
    } else {
        if (!list->n)
            printf(alert_heading, list->time);
        print_alert(list->ctl, json->str, json->len, list->time);
    }
    list->n++;
}

/* Oldest first, then by rule, KPI and group. */
static int by_since(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    char since[2][48] = { "", "" }, rest[2][256] = { "", "" };
    const struct kpid_reply *texts[] = { x->text, y->text };

    for (size_t i = 0; i < 2; i++) {
        static const char *const names[] = { "kpi", "window", "rule", "group" };
        ctl_json_field(texts[i]->str, texts[i]->len, "since_ms", since[i], sizeof(since[i]));
        for (size_t k = 0, at = 0; k < KPID_COUNT_OF(names) && at + 1 < sizeof(rest[i]); k++, at = strlen(rest[i]))
            ctl_json_field(texts[i]->str, texts[i]->len, names[k], rest[i] + at, sizeof(rest[i]) - at);
    }
    int order = strcmp(since[0], since[1]);
    return order ? order : strcmp(rest[0], rest[1]);
}

static void each_active(void *ctx, const struct kpid_reply *reply)
{
    size_t n;
    struct pair *pairs = pairs_of(reply, by_since, &n);

    for (size_t i = 0; i < n; i++)
        put_alert(ctx, pairs[i].text);
    free(pairs);
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
    struct alert_list active = { ctl, "since", 0 }, log = { ctl, "at", 0 };
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
