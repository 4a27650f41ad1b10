/* `hll:` of a measure: sketches for PFCOUNT and PFMERGE, published with the first KPI that reads the measure there
 * (where groups are wanted, the first that has some): a window's sketches are of one KPI, and their groups of its fields. */
#include <string.h>

#include "settings.h"

static int ref_find(const struct kpid_kpi *kpi, uint32_t measure)
{
    for (size_t i = 0; i < kpi->n_refs; i++)
        if (kpi->refs[i].measure == measure && !kpid_shift_is(kpi->refs[i].shift))
            return (int)i;
    return -1;
}

/* The first KPI that has the window and reads the measure there, with groups if there is such a one and they are wanted;
 * -1: none has and does. */
static int kpi_find(const struct kpid_model *model, uint32_t measure, const char *name, bool groups)
{
    int first = -1;
    for (size_t k = 0; k < model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &model->kpis[k];
        int window = kpid_window_find(kpi, name);
        if (window < 0 || ref_find(kpi, measure) < 0 || kpi->windows[window].kind == KPID_WINDOW_ALL)
            continue;
        if (!groups || kpi->n_by > 0)
            return (int)k;
        first = first < 0 ? (int)k : first;
    }
    return first;
}

/* Publishes the measure with one KPI of a window; false: none has it and reads it. */
static bool window_add(struct kpid_model *model, uint32_t measure, const char *name, bool groups)
{
    int found = kpi_find(model, measure, name, groups);
    if (found < 0)
        return false;
    struct kpid_kpi *kpi = &model->kpis[found];
    int window = kpid_window_find(kpi, name), ref = ref_find(kpi, measure);
    for (size_t i = 0; i < kpi->n_sketches; i++)
        if (kpi->sketches[i].window == window && kpi->refs[kpi->sketches[i].ref].measure == measure)
            return true;
    kpi->sketches = kpid_realloc(kpi->sketches, (kpi->n_sketches + 1) * sizeof *kpi->sketches);
    kpi->sketches[kpi->n_sketches++] =
        (struct kpid_sketch){(uint16_t)window, (uint16_t)ref, groups && kpi->n_by > 0};
    return true;
}

static void windows_add_all(struct kpid_model *model, uint32_t measure, bool groups)
{
    for (size_t k = 0; k < model->n_kpis; k++)
        for (size_t w = 0; ref_find(&model->kpis[k], measure) >= 0 && w < model->kpis[k].n_windows; w++)
            (void)window_add(model, measure, model->kpis[k].windows[w].name, groups);
}

static void windows_load(struct kpid_loader *loader, uint32_t index, struct kpid_yaml *node, bool groups)
{
    struct kpid_yaml *one, **names;
    size_t n;
    if (!kpid_want_texts(loader, node, "hll", &one, &names, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        if (window_add(loader->model, index, names[i]->text, groups))
            continue;
        kpid_fault_add(&loader->faults, names[i]->place, "hll: no KPI reads measure `%s` in a window `%s`",
                       loader->model->measures[index].name, names[i]->text);
        kpid_fault_advise(&loader->faults, "name a rolling or calendar window of a KPI whose formula names the measure");
    }
}

static void measure_load(struct kpid_loader *loader, uint32_t index, struct kpid_yaml *node)
{
    struct kpid_yaml *windows = node;
    uint8_t groups = 1;
    if (!loader->model->measures[index].agg->redis) {
        kpid_fault_add(&loader->faults, node->place, "`%s` is no sketch that Redis knows",
                       loader->model->measures[index].agg->name);
        kpid_fault_advise(&loader->faults, "remove `hll:`: it belongs to `distinct`");
        return;
    }
    if (node->kind == KPID_YAML_MAP) {
        kpid_settings_check_keys(loader, "measures.*.hll", node, NULL);
        const struct kpid_yaml *by = kpid_yaml_get(node, "groups");
        if (by && !kpid_want_choice(loader, by, "groups", "true|false", &groups))
            return;
        groups = by ? groups : 1;
        windows = kpid_yaml_get(node, "windows");
    }
    if (!windows || (windows->kind == KPID_YAML_SCALAR && strcmp(windows->text, "true") == 0))
        windows_add_all(loader->model, index, groups == 0);
    else if (windows->kind != KPID_YAML_SCALAR || strcmp(windows->text, "false") != 0)
        windows_load(loader, index, windows, groups == 0);
}

void kpid_sketches_load(struct kpid_loader *loader, struct kpid_yaml *measures)
{
    for (size_t i = 0; measures && i < loader->model->n_measures; i++) {
        struct kpid_yaml *node = kpid_yaml_get(measures->items[i], "hll");
        if (node && loader->model->measures[i].agg)
            measure_load(loader, (uint32_t)i, node);
    }
}
