/* `target:` a constant, a band, a mapping by window, or a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar_words.h"
#include "formula.h"
#include "settings.h"
#include "text.h"

#define MINUTES_A_DAY 1440
#define EVERY_DAY     0x7f

/* ---- values
 * -------------------------------------------------------------------------------------------------- */

static bool value_fault(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                        const char *advice)
{
    kpid_fault_add(&loader->faults, node->place, "target: `%s` is not %s", node->text, what);
    kpid_fault_advise(&loader->faults, "%s", advice);
    return false;
}

/* In the KPI's base unit: a fraction, seconds, or the number itself. */
static bool value_want(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *node,
                       double *ret)
{
    int64_t ms;
    double value;
    if (!kpid_want_text(loader, node, "target"))
        return false;
    bool negative = node->text[0] == '-';
    if (kpi->unit == KPID_UNIT_PERCENT) {
        bool fraction = kpid_text_number(node->text, &value) && value >= -1 && value <= 1;
        if (!fraction && !kpid_text_percent(node->text, &value))
            return value_fault(loader, node, "a percentage", "the unit is percent: write it as 3.2 %");
    } else if (kpi->unit == KPID_UNIT_DURATION) {
        if (kpid_text_duration(node->text + negative, &ms))
            value = (negative ? -1.0 : 1.0) * (double)ms / 1000;
        else if (!kpid_text_number(node->text, &value) || value > 0 || value < 0)
            return value_fault(loader, node, "a duration",
                               "the unit is duration: write it as 30m, 48h or 1h30m");
    } else if (!kpid_text_number(node->text, &value)) {
        return value_fault(loader, node, "a number",
                           "write a number; % and durations need `unit: percent` or "
                           "`unit: duration`");
    }
    *ret = value;
    return true;
}

static bool band_want(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *node,
                      const struct kpid_yaml *low, const struct kpid_yaml *high, struct kpid_target_row *row)
{
    if (!low || !high) {
        kpid_fault_add(&loader->faults, node->place, "target: a band needs both `low` and `high`");
        kpid_fault_advise(&loader->faults, "write { low: 10, high: 20 } or [10, 20]");
        return false;
    }
    if (!value_want(loader, kpi, low, &row->span.low) || !value_want(loader, kpi, high, &row->span.high))
        return false;
    if (row->span.low >= row->span.high) {
        kpid_fault_add(&loader->faults, low->place, "target: low is not below high");
        kpid_fault_advise(&loader->faults, "write the lower end first");
        return false;
    }
    if (kpi->direction != KPID_BAND) {
        kpid_fault_add(&loader->faults, node->place, "target: a band, but the KPI's direction is not band");
        kpid_fault_advise(&loader->faults, "add direction: band, or give one value");
        return false;
    }
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_printf(&text, "%s .. %s", low->text, high->text);
    row->text = kpid_buf_take(&text);
    return true;
}

/* "3.2 %", [lo, hi] or { low, high } */
static bool span_want(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *node,
                      struct kpid_target_row *row)
{
    if (node->kind == KPID_YAML_LIST)
        return band_want(loader, kpi, node, node->n == 2 ? node->items[0] : NULL,
                         node->n == 2 ? node->items[1] : NULL, row);
    if (node->kind == KPID_YAML_MAP) {
        kpid_settings_check_keys(loader, "kpis.*.target", node, NULL);
        return band_want(loader, kpi, node, kpid_yaml_get(node, "low"), kpid_yaml_get(node, "high"), row);
    }
    if (!value_want(loader, kpi, node, &row->span.low))
        return false;
    row->span.high = row->span.low;
    row->text = kpid_strdup(node->text);
    return true;
}

/* ---- rows
 * ---------------------------------------------------------------------------------------------------- */

static void window_fault(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *node)
{
    struct kpid_names names = {0};
    for (size_t i = 0; i < kpi->n_windows; i++)
        kpid_names_add(&names, kpi->windows[i].name);
    kpid_fault_add(&loader->faults, node->place, "KPI `%s` has no window `%s`", kpi->name, node->text);
    kpid_fault_advise_names(&loader->faults, node->text, "windows of the KPI", &names);
    kpid_names_release(&names);
}

static void group_load(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *map,
                       struct kpid_target_row *row)
{
    struct kpid_names names = {0};
    if (map->kind == KPID_YAML_SCALAR) {
        row->total = map->text != NULL && strcmp(map->text, "total") == 0;
        if (!row->total) {
            kpid_fault_add(&loader->faults, map->place, "group is neither a mapping nor total");
            kpid_fault_advise(&loader->faults, "write { field: value, ... }, or total for what is no group's");
        }
        return;
    }
    if (!kpid_want_map(loader, map, "group"))
        return;
    for (size_t j = 0; j < kpi->n_by; j++)
        kpid_names_add(&names, kpi->by[j]);
    row->group = kpid_zalloc(kpi->n_by + 1, sizeof *row->group);
    for (size_t i = 0; i < map->n; i++) {
        size_t at = 0;
        while (at < kpi->n_by && strcmp(kpi->by[at], map->keys[i]->text) != 0)
            at++;
        if (at == kpi->n_by) {
            kpid_fault_add(&loader->faults, map->keys[i]->place, "KPI `%s` is not grouped by `%s`", kpi->name,
                           map->keys[i]->text);
            kpid_fault_advise_names(&loader->faults, map->keys[i]->text, "groups of the KPI", &names);
        } else if (kpid_want_text(loader, map->items[i], map->keys[i]->text)) {
            row->group[at] = kpid_strdup(map->items[i]->text);
        }
    }
    kpid_names_release(&names);
}

static void weekdays_load(struct kpid_loader *loader, struct kpid_yaml *node, struct kpid_target_row *row)
{
    struct kpid_yaml *one, **items;
    size_t n;
    uint8_t day, days = 0;
    if (!kpid_want_texts(loader, node, "weekdays", &one, &items, &n))
        return;
    for (size_t i = 0; i < n; i++)
        if (kpid_weekday_want(loader, items[i], &day))
            days |= (uint8_t)(1u << day);
    if (days)
        row->weekdays = days;
}

/* "08:00-20:00"; 24:00 is the end of the day. */
static void hours_load(struct kpid_loader *loader, const struct kpid_yaml *node, struct kpid_target_row *row)
{
    unsigned h[2], m[2];
    int end = 0;
    if (!kpid_want_text(loader, node, "hours"))
        return;
    if (sscanf(node->text, "%2u:%2u-%2u:%2u%n", &h[0], &m[0], &h[1], &m[1], &end) == 4 &&
        end == (int)node->len && strspn(node->text, "0123456789:-") == node->len && m[0] < 60 && m[1] < 60 &&
        h[0] * 60 + m[0] < MINUTES_A_DAY && h[1] * 60 + m[1] <= MINUTES_A_DAY &&
        h[0] * 60 + m[0] != h[1] * 60 + m[1]) {
        row->minute_from = (uint16_t)(h[0] * 60 + m[0]);
        row->minute_to = (uint16_t)(h[1] * 60 + m[1]);
        return;
    }
    kpid_fault_add(&loader->faults, node->place, "hours: `%s` is not a span of the day", node->text);
    kpid_fault_advise(&loader->faults, "write \"08:00-20:00\"; a span over midnight is \"22:00-06:00\"");
}

static struct kpid_target_row *row_add(struct kpid_kpi *kpi)
{
    kpi->targets = kpid_realloc(kpi->targets, (kpi->n_targets + 1) * sizeof *kpi->targets);
    kpi->targets[kpi->n_targets] = (struct kpid_target_row){.window = -1,
                                                            .from_ms = KPID_NEVER,
                                                            .to_ms = KPID_FOREVER,
                                                            .weekdays = EVERY_DAY,
                                                            .minute_to = MINUTES_A_DAY};
    return &kpi->targets[kpi->n_targets++];
}

static void span_load(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *map,
                      struct kpid_target_row *row)
{
    const struct kpid_yaml *from = kpid_yaml_get(map, "from"), *to = kpid_yaml_get(map, "to");
    const struct kpid_yaml *value = kpid_yaml_get(map, "value");
    const struct kpid_yaml *low = kpid_yaml_get(map, "low"), *high = kpid_yaml_get(map, "high");
    bool good = (!from || kpid_want_time(loader, from, "from", &row->from_ms)) &&
                (!to || kpid_want_time(loader, to, "to", &row->to_ms));
    if (good && row->from_ms >= row->to_ms) {
        kpid_fault_add(&loader->faults, from ? from->place : map->place, "target: from is not before to");
        kpid_fault_advise(&loader->faults, "write the earlier instant as from");
    }
    if (value && (low || high)) {
        kpid_fault_add(&loader->faults, value->place, "target: both a value and a band");
        kpid_fault_advise(&loader->faults, "keep `value`, or `low` and `high`");
    } else if (value) {
        (void)!span_want(loader, kpi, value, row);
    } else if (low || high) {
        (void)!band_want(loader, kpi, map, low, high, row);
    } else {
        kpid_fault_add(&loader->faults, map->place, "target: a row without a value");
        kpid_fault_advise(&loader->faults, "add value: 100, or low: and high:");
    }
}

static void table_row_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *map)
{
    if (!kpid_want_map(loader, map, "row of the target"))
        return;
    kpid_settings_check_keys(loader, "kpis.*.target.*", map, NULL);
    struct kpid_target_row *row = row_add(kpi);
    const struct kpid_yaml *window = kpid_yaml_get(map, "window"), *group = kpid_yaml_get(map, "group");
    struct kpid_yaml *weekdays = kpid_yaml_get(map, "weekdays"), *hours = kpid_yaml_get(map, "hours");
    if (window && kpid_want_text(loader, window, "window")) {
        row->window = kpid_window_find(kpi, window->text);
        if (row->window < 0)
            window_fault(loader, kpi, window);
    }
    if (group)
        group_load(loader, kpi, group, row);
    if (weekdays)
        weekdays_load(loader, weekdays, row);
    if (hours)
        hours_load(loader, hours, row);
    span_load(loader, kpi, map, row);
    if (!window && kpi->n_windows > 1 && kpid_formula_growth(loader->model, kpi) == KPID_GROWTH_SUM) {
        kpid_fault_add(&loader->faults, map->place, "target: a count or sum needs a target for each window");
        kpid_fault_advise(&loader->faults, "add `window: %s` to the row", kpi->windows[0].name);
    }
}

static void by_window_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *map)
{
    for (size_t i = 0; i < map->n; i++) {
        int window = kpid_window_find(kpi, map->keys[i]->text);
        if (window < 0) {
            window_fault(loader, kpi, map->keys[i]);
            continue;
        }
        struct kpid_target_row *row = row_add(kpi);
        row->window = window;
        (void)!span_want(loader, kpi, map->items[i], row);
    }
}

void kpid_targets_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *node)
{
    bool band = node->kind == KPID_YAML_MAP && (kpid_yaml_get(node, "low") || kpid_yaml_get(node, "high"));
    if (node->kind == KPID_YAML_MAP && !band) {
        by_window_load(loader, kpi, node);
        return;
    }
    if (node->kind == KPID_YAML_LIST && (node->n == 0 || node->items[0]->kind == KPID_YAML_MAP)) {
        for (size_t i = 0; i < node->n; i++)
            table_row_load(loader, kpi, node->items[i]);
        return;
    }
    if (kpi->n_windows > 1 && kpid_formula_growth(loader->model, kpi) == KPID_GROWTH_SUM) {
        kpid_fault_add(&loader->faults, node->place, "target: a count or sum needs a target for each window");
        kpid_fault_advise(&loader->faults, "write target: { %s: 100, %s: 1000 }", kpi->windows[0].name,
                          kpi->windows[1].name);
        return;
    }
    (void)!span_want(loader, kpi, node, row_add(kpi));
}
