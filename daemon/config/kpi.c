/* `kpis:` titles, units, groups; windows, targets and alerts have files of their own. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "formula.h"
#include "keyed.h"
#include "text.h"

#define HISTORY_GROUPS 1000

static void title_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *map)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "title"), *en = node, *zh = node;
    if (node && node->kind == KPID_YAML_MAP) {
        struct kpid_names names = {0};
        kpid_names_add(&names, "en");
        kpid_names_add(&names, "zh");
        kpid_settings_check_keys(loader, "kpis.*.title", node, &names);
        kpid_names_release(&names);
        en = kpid_yaml_get(node, "en");
        zh = kpid_yaml_get(node, "zh");
    }
    if (en && !kpid_want_text(loader, en, "title"))
        en = NULL;
    if (zh && zh != node && !kpid_want_text(loader, zh, "title"))
        zh = NULL;
    if (zh && zh->kind != KPID_YAML_SCALAR)
        zh = NULL;
    const char *text = en ? en->text : zh ? zh->text : kpi->name;
    kpi->title_en = kpid_strdup(text);
    kpi->title_zh = kpid_strdup(zh ? zh->text : text);
}

static bool is_currency(const char *text)
{
    return strlen(text) == 3 && isupper((unsigned char)text[0]) && isupper((unsigned char)text[1]) &&
           isupper((unsigned char)text[2]);
}

static void unit_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *map)
{
    static const char *const words[] = {[KPID_UNIT_NUMBER] = "number",
                                        [KPID_UNIT_PERCENT] = "percent",
                                        [KPID_UNIT_DURATION] = "duration",
                                        [KPID_UNIT_COUNT] = "count"};
    static const char order[] = "number|percent|duration|money|count";
    const struct kpid_yaml *node = kpid_yaml_get(map, "unit");
    uint8_t unit = (uint8_t)(kpi->n_refs > 0 ? kpid_formula_unit(loader->model, kpi) : KPID_UNIT_NUMBER);
    bool read = node && kpid_want_text(loader, node, "unit");
    if (read && is_currency(node->text)) {
        unit = KPID_UNIT_MONEY;
    } else if (read && (!kpid_text_choice(node->text, order, &unit) || unit == KPID_UNIT_MONEY)) {
        struct kpid_names names = {0};
        for (size_t i = 0; i < KPID_COUNT_OF(words); i++)
            if (words[i])
                kpid_names_add(&names, words[i]);
        kpid_names_add(&names, "EUR");
        kpid_names_add(&names, "CNY");
        kpid_fault_add(&loader->faults, node->place, "unit can't be `%s`", node->text);
        kpid_fault_advise_names(&loader->faults, node->text, "units", &names);
        kpid_names_release(&names);
        unit = KPID_UNIT_NUMBER;
    }
    kpi->unit = unit;
    kpi->unit_text = kpid_strdup(unit == KPID_UNIT_MONEY ? node->text : words[unit]);
}

/* ---- groups
 * -------------------------------------------------------------------------------------------------- */

static bool listed(const struct kpid_measure *measure, const struct kpid_yaml *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(kpid_keyed_group(measure, list->items[i]->text), text) == 0)
            return true;
    return false;
}

/* The field must be a group of each measure of the formula; makes it a field of their sources. */
static bool group_check(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *node)
{
    const struct kpid_model *model = loader->model;
    bool good = true;
    for (size_t i = 0; i < kpi->n_refs; i++) {
        const struct kpid_measure *measure = &model->measures[kpi->refs[i].measure];
        const struct kpid_yaml *allowed = loader->measure_by[kpi->refs[i].measure];
        if (allowed && !listed(measure, allowed, node->text)) {
            struct kpid_names names = {0};
            for (size_t j = 0; j < allowed->n; j++)
                kpid_names_add(&names, kpid_keyed_group(measure, allowed->items[j]->text));
            kpid_fault_add(&loader->faults, node->place, "measure `%s` can't be grouped by `%s`",
                           measure->name, node->text);
            kpid_fault_advise_names(&loader->faults, node->text, "groups of the measure", &names);
            kpid_names_release(&names);
            good = false;
        } else if (measure->agg->keyed &&
                   (strncmp(node->text, "start.", 6) == 0 || strncmp(node->text, "stop.", 5) == 0)) {
            kpid_fault_add(&loader->faults, node->place,
                           "a %s is grouped by fields of %s", measure->agg->name, measure->agg->keyed->grouped_by);
            kpid_fault_advise(&loader->faults, measure->agg->keyed->has_start && node->text[2] == 'a'
                                                   ? "write by: [%s], and by: [start.%s] in the measure"
                                                   : "write by: [%s]",
                              strchr(node->text, '.') + 1, strchr(node->text, '.') + 1);
            good = false;
        } else if (kpid_source_field(loader, measure->source, node->text, node->place) < 0) {
            good = false;
        }
    }
    return good;
}

/* The groups of one measure come from one event. */
static void ends_check(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_yaml *by)
{
    for (size_t i = 0; i < kpi->n_refs; i++) {
        const struct kpid_measure *measure = &loader->model->measures[kpi->refs[i].measure];
        size_t starts = 0;
        for (size_t j = 0; j < measure->n_start_fields; j++)
            for (size_t k = 0; k < kpi->n_by; k++)
                starts += strcmp(measure->start_fields[j], kpi->by[k]) == 0;
        if (starts == 0 || starts == kpi->n_by)
            continue;
        kpid_fault_add(&loader->faults, by->place, "`%s` has some of these groups from its start, others from its stop",
                       measure->name);
        kpid_fault_advise(&loader->faults, "take all groups of a KPI from one of the two, in `by` of the measure");
        return;
    }
}

static void by_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *map)
{
    struct kpid_yaml *by = kpid_yaml_get(map, "by");
    if (!by)
        return;
    if (by->kind != KPID_YAML_LIST) {
        kpid_fault_add(&loader->faults, by->place, "by must be a list of fields, not %s",
                       kpid_yaml_kind_name(by));
        kpid_fault_advise(&loader->faults, "write by: [channel, region]");
        return;
    }
    kpi->by = kpid_zalloc(by->n + 1, sizeof *kpi->by);
    for (size_t i = 0; i < by->n; i++) {
        struct kpid_yaml *node = by->items[i];
        if (!kpid_want_text(loader, node, "by"))
            continue;
        bool twice = false;
        for (size_t j = 0; j < kpi->n_by; j++)
            twice |= strcmp(kpi->by[j], node->text) == 0;
        if (twice) {
            kpid_fault_add(&loader->faults, node->place, "group `%s` stands twice", node->text);
            kpid_fault_advise(&loader->faults, "remove one");
        } else if (group_check(loader, kpi, node)) {
            kpi->by[kpi->n_by++] = kpid_strdup(node->text);
        }
    }
    ends_check(loader, kpi, by);
}

/* ---- the KPI
 * ------------------------------------------------------------------------------------------------- */

static char *text_load(struct kpid_loader *loader, const struct kpid_yaml *map, const char *key)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, key);
    return node && kpid_want_text(loader, node, key) ? kpid_strdup(node->text) : NULL;
}

static void words_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *map)
{
    const struct kpid_yaml *direction = kpid_yaml_get(map, "direction"),
                           *dimension = kpid_yaml_get(map, "dimension");
    const struct kpid_yaml *groups = kpid_yaml_get(map, "history_groups"), *zone = kpid_yaml_get(map, "zone");
    uint8_t index;
    uint64_t count;
    kpi->direction = KPID_UP;
    if (direction && kpid_want_choice(loader, direction, "direction", "up|down|band", &index))
        kpi->direction = index;
    if (dimension &&
        kpid_want_choice(loader, dimension, "dimension", "financial|customer|process|learning", &index))
        kpi->dimension = kpid_strdup(dimension->text);
    kpi->history_groups = HISTORY_GROUPS;
    if (groups && kpid_want_count(loader, groups, "history_groups", 0, 1000000, &count))
        kpi->history_groups = (uint32_t)count;
    kpi->zone = zone ? kpid_zone_want(loader, zone) : loader->zone;
    if (!kpi->zone)
        kpi->zone = loader->zone;
}

static void kpi_load(struct kpid_loader *loader, uint32_t index, struct kpid_yaml *map)
{
    struct kpid_kpi *kpi = &loader->model->kpis[index];
    kpid_settings_check_keys(loader, "kpis.*", map, NULL);
    title_load(loader, kpi, map);
    unit_load(loader, kpi, map);
    words_load(loader, kpi, map);
    kpi->owner = text_load(loader, map, "owner");
    by_load(loader, kpi, map);
    kpid_windows_load(loader, kpi, map);
    kpid_earlier_load(loader, kpi, kpid_yaml_get(map, "formula"));
    struct kpid_yaml *target = kpid_yaml_get(map, "target");
    if (target && kpi->n_windows > 0)
        kpid_targets_load(loader, kpi, target);
    kpi->judge_open = kpid_formula_growth(loader->model, kpi) == KPID_GROWTH_LEVEL;
}

static void formula_load(struct kpid_loader *loader, uint32_t index, struct kpid_yaml *key,
                         struct kpid_yaml *map, struct kpid_formula_text *text)
{
    struct kpid_kpi *kpi = &loader->model->kpis[index];
    kpi->name = kpid_strdup(key->text);
    kpi->numerator = kpi->denominator = -1;
    kpid_want_name(loader, key, false, "KPI");
    if (!kpid_want_map(loader, map, key->text))
        return;
    const struct kpid_yaml *node = kpid_yaml_get(map, "formula");
    if (!node) {
        kpid_fault_add(&loader->faults, map->place, "KPI `%s` has no formula", key->text);
        kpid_fault_advise(&loader->faults, "add formula: MEASURE, or MEASURE / MEASURE");
        return;
    }
    kpid_formula_parse(loader, node, text);
    kpi->formula_text = kpid_strdup(node->kind == KPID_YAML_SCALAR ? node->text : "");
}

void kpid_kpis_load(struct kpid_loader *loader, struct kpid_yaml *map)
{
    struct kpid_model *model = loader->model;
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "kpis"))
        return;
    model->kpis = kpid_zalloc(map->n + 1, sizeof *model->kpis);
    struct kpid_formula_text *texts = kpid_zalloc(map->n + 1, sizeof *texts);
    for (uint32_t i = 0; i < map->n; i++) {
        model->n_kpis++;
        formula_load(loader, i, map->keys[i], map->items[i], &texts[i]);
    }
    kpid_formulas_resolve(loader, texts);
    for (uint32_t i = 0; i < map->n; i++)
        if (map->items[i]->kind == KPID_YAML_MAP)
            kpi_load(loader, i, map->items[i]);
    for (uint32_t i = 0; i < map->n; i++) {
        struct kpid_yaml *alert = kpid_yaml_get(map->items[i], "alert");
        if (alert && model->kpis[i].n_windows > 0)
            kpid_rules_load(loader, i, alert);
        free(texts[i].leaves);
    }
    free(texts);
}
