/* `windows:` of a KPI. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar_words.h"
#include "settings.h"
#include "text.h"

#define SECOND_MS        INT64_C(1000)
#define MINUTE_MS        INT64_C(60000)
#define SLIDE_MIN_MS     INT64_C(100)
#define LENGTH_MAX_MS    (INT64_C(366) * 86400000)
#define SLIDES_MAX       100000
#define HISTORY_ROLLING  120
#define HISTORY_CALENDAR 400
#define CALENDAR_WORDS   "day|week|month|quarter|year"

/* What a KPI says for all its windows. */
struct defaults {
    const struct kpid_zone *zone;
    uint8_t week_start, fiscal_month;
};

int kpid_window_find(const struct kpid_kpi *kpi, const char *name)
{
    for (size_t i = 0; i < kpi->n_windows; i++)
        if (strcmp(kpi->windows[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The step that divides the length and is nearest to the wanted one; whole seconds if the length is. */
static int64_t nearest_slide(int64_t length_ms, int64_t wanted_ms)
{
    int64_t unit = length_ms % SECOND_MS == 0 ? SECOND_MS : 1, n = length_ms / unit, best = n;
    for (int64_t i = 1; i * i <= n; i++) {
        if (n % i != 0)
            continue;
        const int64_t pair[] = {i, n / i};
        for (size_t j = 0; j < 2; j++)
            if (pair[j] * unit >= SLIDE_MIN_MS &&
                llabs(pair[j] * unit - wanted_ms) < llabs(best * unit - wanted_ms))
                best = pair[j];
    }
    return best * unit;
}

/* Checks length and step; `node` is where a fault is shown. */
static bool rolling_check(struct kpid_loader *loader, const struct kpid_yaml *node, int64_t length_ms,
                          int64_t slide_ms)
{
    char length[64], slide[64], nearest[64];
    kpid_text_print_duration(length_ms, length);
    kpid_text_print_duration(slide_ms, slide);
    if (length_ms < SECOND_MS || length_ms > LENGTH_MAX_MS) {
        kpid_fault_add(&loader->faults, node->place, "a window of %s", length);
        kpid_fault_advise(&loader->faults,
                          "rolling windows are from 1s to 366d long; for longer ones take a calendar window");
        return false;
    }
    kpid_text_print_duration(nearest_slide(length_ms, slide_ms), nearest);
    if (slide_ms < SLIDE_MIN_MS || length_ms % slide_ms != 0) {
        kpid_fault_add(&loader->faults, node->place, "slide %s does not divide %s", slide, length);
        kpid_fault_advise(&loader->faults,
                          "the nearest slide that does is %s: write { rolling: %s, slide: %s }", nearest,
                          length, nearest);
        return false;
    }
    if (length_ms / slide_ms > SLIDES_MAX) {
        kpid_fault_add(&loader->faults, node->place, "a window of %s in steps of %s has too many panes",
                       length, slide);
        kpid_fault_advise(&loader->faults, "take a longer slide: at most %d of them make a window",
                          SLIDES_MAX);
        return false;
    }
    return true;
}

static bool rolling_load(struct kpid_loader *loader, const struct kpid_yaml *node,
                         const struct kpid_yaml *slide, struct kpid_window *window)
{
    if (!kpid_want_duration(loader, node, "rolling", &window->length_ms))
        return false;
    window->kind = KPID_WINDOW_ROLLING;
    window->slide_ms = window->length_ms / 60 > SECOND_MS ? window->length_ms / 60 : SECOND_MS;
    if (slide && !kpid_want_duration(loader, slide, "slide", &window->slide_ms))
        return false;
    window->history = HISTORY_ROLLING;
    return rolling_check(loader, slide ? slide : node, window->length_ms, window->slide_ms);
}

static bool calendar_load(struct kpid_loader *loader, const struct kpid_yaml *node,
                          struct kpid_window *window)
{
    uint8_t unit;
    if (!kpid_want_choice(loader, node, "calendar", CALENDAR_WORDS, &unit))
        return false;
    window->kind = KPID_WINDOW_CALENDAR;
    window->period.unit = unit;
    window->history = HISTORY_CALENDAR;
    return true;
}

static bool all_load(struct kpid_loader *loader, const struct kpid_yaml *from, struct kpid_window *window)
{
    window->kind = KPID_WINDOW_ALL;
    window->from_ms = KPID_NEVER;
    if (!from)
        return true;
    if (!kpid_want_time(loader, from, "from", &window->from_ms))
        return false;
    if (window->from_ms % MINUTE_MS == 0)
        return true;
    kpid_fault_add(&loader->faults, from->place, "from: `%s` is not a full minute", from->text);
    kpid_fault_advise(&loader->faults, "write an instant with 00 seconds");
    return false;
}

/* "5m", "day", "all" */
static bool word_load(struct kpid_loader *loader, const struct kpid_yaml *node, struct kpid_window *window)
{
    uint8_t unit;
    int64_t ms;
    if (!kpid_want_text(loader, node, "window"))
        return false;
    window->name = kpid_strdup(node->text);
    if (strcmp(node->text, "all") == 0)
        return all_load(loader, NULL, window);
    if (kpid_text_choice(node->text, CALENDAR_WORDS, &unit))
        return calendar_load(loader, node, window);
    if (kpid_text_duration(node->text, &ms))
        return rolling_load(loader, node, NULL, window);
    struct kpid_names names = {0};
    static const char *const words[] = {"5m", "1h", "24h", "day", "week", "month", "quarter", "year", "all"};
    for (size_t i = 0; i < KPID_COUNT_OF(words); i++)
        kpid_names_add(&names, words[i]);
    kpid_fault_add(&loader->faults, node->place, "`%s` is not a window", node->text);
    kpid_fault_advise_names(&loader->faults, node->text, "windows", &names);
    kpid_names_release(&names);
    return false;
}

/* Keys that belong to another kind of window. */
static void strangers_check(struct kpid_loader *loader, const struct kpid_yaml *map, const char *kind)
{
    static const struct {
        const char *key, *kind;
    } owners[] = {{"slide", "rolling"},
                  {"zone", "calendar"},
                  {"week_start", "calendar"},
                  {"fiscal_year_start", "calendar"},
                  {"from", "all"}};
    for (size_t i = 0; i < KPID_COUNT_OF(owners); i++) {
        const struct kpid_yaml *key = kpid_yaml_key(map, owners[i].key);
        if (!key || strcmp(owners[i].kind, kind) == 0)
            continue;
        kpid_fault_add(&loader->faults, key->place, "`%s` means nothing to a window of kind `%s`", key->text,
                       kind);
        kpid_fault_advise(&loader->faults, "remove it: it belongs to `%s`", owners[i].kind);
    }
}

static bool map_load(struct kpid_loader *loader, const struct kpid_yaml *map, struct kpid_window *window)
{
    static const char *const kinds[] = {"rolling", "calendar", "all"};
    size_t found = KPID_COUNT_OF(kinds), n = 0;
    kpid_settings_check_keys(loader, "kpis.*.windows.*", map, NULL);
    for (size_t i = 0; i < KPID_COUNT_OF(kinds); i++)
        if (kpid_yaml_key(map, kinds[i])) {
            found = i;
            n++;
        }
    if (n != 1) {
        kpid_fault_add(&loader->faults, map->place, n ? "a window is of one kind" : "a window of no kind");
        kpid_fault_advise(&loader->faults, "write one of { rolling: 1h }, { calendar: month }, { all: }");
        return false;
    }
    strangers_check(loader, map, kinds[found]);
    const struct kpid_yaml *node = kpid_yaml_get(map, kinds[found]), *name = kpid_yaml_get(map, "name");
    const struct kpid_yaml *history = kpid_yaml_get(map, "history");
    bool good = found == 0   ? rolling_load(loader, node, kpid_yaml_get(map, "slide"), window)
                : found == 1 ? calendar_load(loader, node, window)
                             : all_load(loader, kpid_yaml_get(map, "from"), window);
    if (!good)
        return false;
    uint64_t count;
    if (history && kpid_want_count(loader, history, "history", 0, 1000000, &count))
        window->history = (uint32_t)count;
    if (name && !kpid_want_text(loader, name, "name"))
        return false;
    window->name = kpid_strdup(name ? name->text : found == 2 ? "all" : node->text);
    if (name &&
        name->text[strspn(name->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")]) {
        kpid_fault_add(&loader->faults, name->place, "`%s` can't be the name of a window", name->text);
        kpid_fault_advise(&loader->faults, "names of windows hold letters, digits, _ . and -");
    }
    return true;
}

static void period_load(struct kpid_loader *loader, const struct kpid_yaml *node,
                        const struct defaults *defaults, struct kpid_window *window)
{
    const struct kpid_yaml *zone = kpid_yaml_get(node, "zone");
    window->zone = defaults->zone;
    window->period.week_start = defaults->week_start;
    window->period.fiscal_month = defaults->fiscal_month;
    kpid_week_start_read(loader, node, &window->period.week_start);
    kpid_fiscal_month_read(loader, node, &window->period.fiscal_month);
    if (!zone)
        return;
    const struct kpid_zone *named = kpid_zone_want(loader, zone);
    if (named)
        window->zone = named;
}

static void window_add(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *node,
                       const struct defaults *defaults)
{
    struct kpid_window window = {.from_ms = KPID_NEVER};
    bool good =
        node->kind == KPID_YAML_MAP ? map_load(loader, node, &window) : word_load(loader, node, &window);
    if (!good) {
        free(window.name);
        return;
    }
    period_load(loader, node, defaults, &window);
    if (kpid_window_find(kpi, window.name) >= 0) {
        kpid_fault_add(&loader->faults, node->place, "two windows of the name `%s`", window.name);
        kpid_fault_advise(
            &loader->faults,
            "remove one, or give it a name of its own: { rolling: 1h, slide: 1h, name: hourly }");
        free(window.name);
        return;
    }
    kpi->windows[kpi->n_windows++] = window;
}

void kpid_windows_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *map)
{
    struct kpid_yaml *node = kpid_yaml_get(map, "windows");
    struct defaults defaults = {kpi->zone, 1, 1};
    kpid_week_start_read(loader, map, &defaults.week_start);
    kpid_fiscal_month_read(loader, map, &defaults.fiscal_month);
    kpi->judge_every_ms = MINUTE_MS;
    bool list = node && node->kind == KPID_YAML_LIST;
    if (!node || (list && node->n == 0)) {
        kpid_fault_add(&loader->faults, node ? node->place : map->place, "KPI `%s` has no windows",
                       kpi->name);
        kpid_fault_advise(&loader->faults, "add windows: [5m, 1h, day]");
        return;
    }
    size_t n = list ? node->n : 1;
    kpi->windows = kpid_zalloc(n, sizeof *kpi->windows);
    for (size_t i = 0; i < n; i++)
        window_add(loader, kpi, list ? node->items[i] : node, &defaults);
    int64_t shortest = KPID_FOREVER;
    for (size_t i = 0; i < kpi->n_windows; i++) {
        const struct kpid_window *window = &kpi->windows[i];
        if (window->kind != KPID_WINDOW_ROLLING || window->length_ms >= shortest)
            continue;
        shortest = window->length_ms;
        kpi->judge_every_ms = window->slide_ms;
    }
}
