/* alerts: which are active, and the last transitions. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

    ctl_figure_print(kpi, ctl_json_field(json, len, "value", text, sizeof(text)), value, sizeof(value));
    ctl_figure_print(kpi, ctl_json_field(json, len, "expected", text, sizeof(text)), target, sizeof(target));
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
    size_t most, n;
};

static void put_alert(struct alert_list *list, const struct kpid_reply *json)
{
    if (list->n++ >= list->most)
        return;
    if (list->ctl->json) {
        printf("%.*s\n", (int)json->len, json->str);
    } else {
        if (list->n == 1)
            printf(alert_heading, list->time);
        print_alert(list->ctl, json->str, json->len, list->time);
    }
}

/* Oldest first, then by rule, KPI and group. */
static int by_since(const void *a, const void *b)
{
    const struct ctl_pair *x = a, *y = b;
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
    struct ctl_pair *pairs = ctl_pairs_of(reply, by_since, &n);

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

bool ctl_alerts_print(const struct ctl *ctl, struct ctl_remote *remote, size_t most, int entries)
{
    struct alert_list active = { ctl, "since", most, 0 }, log = { ctl, "at", SIZE_MAX, 0 };
    struct kpid_buf key = KPID_BUF_INIT;
    char count[16];

    kpid_buf_printf(&key, "%s:{alert}:active", ctl->model->settings.redis.prefix);
    if (!ctl->json)
        puts("active alerts:");
    bool ok = ctl_remote_ask(remote, each_active, &active, "HGETALL", key.data, NULL);
    if (!active.n && !ctl->json)
        puts("  none");
    if (active.n > most && !ctl->json)
        printf("  and %zu more\n", active.n - most);
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
    bool ok = ctl_alerts_print(ctl, remote, SIZE_MAX, ctl->log_entries);
    ctl_remote_close(remote);
    return ok ? CTL_OK : CTL_FAILED;
}
