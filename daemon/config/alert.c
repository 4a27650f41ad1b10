/* `alert:` of a KPI: warn and crit, for each window that is judged. */
#include <stdlib.h>
#include <string.h>

#include "formula.h"
#include "settings.h"

static void deviation_fault(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what)
{
    kpid_fault_add(&loader->faults, node->place, "%s: a level must be negative", what);
    kpid_fault_advise(&loader->faults,
                      "deviations are signed so that negative is bad, whatever the direction: write -10 %%");
}

/* A negative percentage; 0 if it is not there or faulty. */
static double level_load(struct kpid_loader *loader, const struct kpid_yaml *map, const char *key)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, key);
    double level;
    if (!node || !kpid_want_percent(loader, node, key, &level))
        return 0;
    if (level < 0)
        return level;
    deviation_fault(loader, node, key);
    return 0;
}

static double clear_load(struct kpid_loader *loader, const struct kpid_yaml *map, double warn, double crit)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "clear");
    double least = warn < 0 ? warn : crit, clear = least / 2;
    if (!node || !kpid_want_percent(loader, node, "clear", &clear))
        return least / 2;
    if (clear > least)
        return clear;
    kpid_fault_add(&loader->faults, node->place, "clear must be above the level at which it fires");
    kpid_fault_advise(&loader->faults, "write a level nearer to zero, such as half of `warn`");
    return least / 2;
}

static void confidence_load(struct kpid_loader *loader, const struct kpid_kpi *kpi,
                            const struct kpid_yaml *map, struct kpid_rule *rule)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "confidence");
    double value;
    if (!node || !kpid_want_percent(loader, node, "confidence", &value))
        return;
    if (value < 0.5 || value > 0.9999) {
        kpid_fault_add(&loader->faults, node->place, "confidence: %s is out of range", node->text);
        kpid_fault_advise(&loader->faults, "write a value from 50 %% to 99.99 %%, such as 95 %%");
    } else if (!kpid_formula_has_interval(loader->model, kpi)) {
        kpid_fault_add(&loader->faults, node->place, "confidence: no interval is known for this formula");
        kpid_fault_advise(&loader->faults,
                          "it holds for ratios of counts or distinct counts, for counts and for means; "
                          "use `min_samples` here");
    } else {
        rule->confidence = value;
    }
}

static void while_load(struct kpid_loader *loader, const struct kpid_kpi *kpi, struct kpid_yaml *map,
                       struct kpid_rule *rule)
{
    struct kpid_yaml *node = kpid_yaml_get(map, "suppress_while"), *one, **items;
    const struct kpid_model *model = loader->model;
    size_t n;
    if (!node || !kpid_want_texts(loader, node, "suppress_while", &one, &items, &n))
        return;
    rule->while_firing = kpid_zalloc(n + 1, sizeof *rule->while_firing);
    for (size_t i = 0; i < n; i++) {
        int other = kpid_model_kpi_find(model, items[i]->text);
        if (other < 0) {
            struct kpid_names names = {0};
            for (size_t j = 0; j < model->n_kpis; j++)
                kpid_names_add(&names, model->kpis[j].name);
            kpid_fault_add(&loader->faults, items[i]->place, "there is no KPI `%s`", items[i]->text);
            kpid_fault_advise_names(&loader->faults, items[i]->text, "KPIs", &names);
            kpid_names_release(&names);
        } else if (&model->kpis[other] == kpi) {
            kpid_fault_add(&loader->faults, items[i]->place, "an alert can't be suppressed by itself");
            kpid_fault_advise(&loader->faults, "name another KPI");
        } else {
            rule->while_firing[rule->n_while_firing++] = (uint32_t)other;
        }
    }
}

static void quiet_load(struct kpid_loader *loader, const struct kpid_yaml *map, struct kpid_rule *rule)
{
    const struct kpid_yaml *list = kpid_yaml_get(map, "quiet");
    if (!list)
        return;
    if (list->kind != KPID_YAML_LIST) {
        kpid_fault_add(&loader->faults, list->place, "quiet must be a list, not %s",
                       kpid_yaml_kind_name(list));
        kpid_fault_advise(&loader->faults,
                          "write quiet: [{ from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z }]");
        return;
    }
    rule->quiet = kpid_zalloc(list->n + 1, sizeof *rule->quiet);
    for (size_t i = 0; i < list->n; i++) {
        const struct kpid_yaml *item = list->items[i];
        struct kpid_quiet span;
        if (!kpid_want_map(loader, item, "quiet"))
            continue;
        kpid_settings_check_keys(loader, "kpis.*.alert.quiet.*", item, NULL);
        const struct kpid_yaml *from = kpid_yaml_get(item, "from"), *to = kpid_yaml_get(item, "to");
        if (!from || !to) {
            kpid_fault_add(&loader->faults, item->place, "quiet: a span needs both `from` and `to`");
            kpid_fault_advise(&loader->faults,
                              "write { from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z }");
        } else if (kpid_want_time(loader, from, "from", &span.from_ms) &&
                   kpid_want_time(loader, to, "to", &span.to_ms)) {
            if (span.from_ms < span.to_ms) {
                rule->quiet[rule->n_quiet++] = span;
            } else {
                kpid_fault_add(&loader->faults, from->place, "quiet: from is not before to");
                kpid_fault_advise(&loader->faults, "write the earlier instant as from");
            }
        }
    }
}

/* Duration or off. */
static int64_t no_data_load(struct kpid_loader *loader, const struct kpid_yaml *map)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "no_data");
    int64_t ms = KPID_FOREVER;
    if (!node || (node->kind == KPID_YAML_SCALAR && strcmp(node->text, "off") == 0))
        return KPID_FOREVER;
    return kpid_want_duration(loader, node, "no_data", &ms) ? ms : KPID_FOREVER;
}

/* What warn and crit have in common. */
static struct kpid_rule common_load(struct kpid_loader *loader, const struct kpid_kpi *kpi,
                                    struct kpid_yaml *map)
{
    struct kpid_rule rule = {.no_data_ms = no_data_load(loader, map)};
    const struct kpid_yaml *hold = kpid_yaml_get(map, "for"), *least = kpid_yaml_get(map, "min_samples");
    if (hold && !kpid_want_duration(loader, hold, "for", &rule.for_ms))
        rule.for_ms = 0;
    if (least && !kpid_want_count(loader, least, "min_samples", 0, UINT64_C(1) << 53, &rule.min_samples))
        rule.min_samples = 0;
    confidence_load(loader, kpi, map, &rule);
    while_load(loader, kpi, map, &rule);
    quiet_load(loader, map, &rule);
    return rule;
}

static void rule_add(struct kpid_kpi *kpi, const struct kpid_rule *common, const char *name, int window,
                     double fire, double clear)
{
    struct kpid_rule rule = *common;
    rule.name = kpid_strdup(name);
    rule.window = window;
    rule.fire = fire;
    rule.clear = clear;
    rule.while_firing = kpid_zalloc(common->n_while_firing + 1, sizeof *rule.while_firing);
    rule.quiet = kpid_zalloc(common->n_quiet + 1, sizeof *rule.quiet);
    if (common->n_while_firing)
        memcpy(rule.while_firing, common->while_firing, common->n_while_firing * sizeof *rule.while_firing);
    if (common->n_quiet)
        memcpy(rule.quiet, common->quiet, common->n_quiet * sizeof *rule.quiet);
    kpi->rules = kpid_realloc(kpi->rules, (kpi->n_rules + 1) * sizeof *kpi->rules);
    kpi->rules[kpi->n_rules++] = rule;
}

static void rules_add(struct kpid_kpi *kpi, const struct kpid_rule *common, int window, double warn,
                      double crit, double clear)
{
    if (warn < 0)
        rule_add(kpi, common, "warn", window, warn, clear);
    if (crit < 0)
        rule_add(kpi, common, "crit", window, crit, clear);
}

/* True if some row of the target can hold for the window. */
static bool has_target(const struct kpid_kpi *kpi, int window)
{
    for (size_t i = 0; i < kpi->n_targets; i++)
        if (kpi->targets[i].window < 0 || kpi->targets[i].window == window)
            return true;
    return false;
}

static void windows_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *map,
                         const struct kpid_rule *common, double warn, double crit, double clear)
{
    struct kpid_yaml *node = kpid_yaml_get(map, "windows"), *one, **items;
    size_t n;
    if (!node) {
        if (kpi->n_targets > 0 && !has_target(kpi, 0)) {
            kpid_fault_add(&loader->faults, map->place, "the alert judges window `%s`, which has no target",
                           kpi->windows[0].name);
            kpid_fault_advise(&loader->faults, "give it a target, or name `windows:` under alert:");
        }
        rules_add(kpi, common, 0, warn, crit, clear);
        return;
    }
    if (!kpid_want_texts(loader, node, "windows", &one, &items, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        int window = kpid_window_find(kpi, items[i]->text);
        if (window >= 0 && (kpi->n_targets == 0 || has_target(kpi, window))) {
            rules_add(kpi, common, window, warn, crit, clear);
            continue;
        }
        struct kpid_names names = {0};
        for (size_t j = 0; j < kpi->n_windows; j++)
            if (window < 0 || has_target(kpi, (int)j))
                kpid_names_add(&names, kpi->windows[j].name);
        kpid_fault_add(&loader->faults, items[i]->place, "KPI `%s` has no %s `%s`", kpi->name,
                       window < 0 ? "window" : "target for window", items[i]->text);
        kpid_fault_advise_names(&loader->faults, items[i]->text,
                                window < 0 ? "windows of the KPI" : "windows with a target", &names);
        kpid_names_release(&names);
    }
}

void kpid_rules_load(struct kpid_loader *loader, uint32_t index, struct kpid_yaml *map)
{
    struct kpid_kpi *kpi = &loader->model->kpis[index];
    if (!kpid_want_map(loader, map, "alert"))
        return;
    kpid_settings_check_keys(loader, "kpis.*.alert", map, NULL);
    double warn = level_load(loader, map, "warn"), crit = level_load(loader, map, "crit");
    if (!kpid_yaml_get(map, "warn") && !kpid_yaml_get(map, "crit")) {
        kpid_fault_add(&loader->faults, map->place, "the alert has neither `warn` nor `crit`");
        kpid_fault_advise(&loader->faults, "add warn: -10 %%");
    }
    if (warn < 0 && crit < 0 && crit >= warn) {
        kpid_fault_add(&loader->faults, kpid_yaml_get(map, "crit")->place, "crit is not below warn");
        kpid_fault_advise(&loader->faults, "crit is the graver level: write a lower one, such as -20 %%");
    }
    if (kpi->n_targets == 0) {
        kpid_fault_add(&loader->faults, map->place, "KPI `%s` has an alert but no target", kpi->name);
        kpid_fault_advise(&loader->faults, "add target:, from which the deviation is measured");
    }
    double clear = clear_load(loader, map, warn, crit);
    struct kpid_rule common = common_load(loader, kpi, map);
    windows_load(loader, kpi, map, &common, warn, crit, clear);
    free(common.while_firing);
    free(common.quiet);
}
