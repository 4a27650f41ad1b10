/* The order in which a configuration is read: settings, look-ups, sources, calendars, measures, KPIs, plan. All faults are
 * collected; a model is given out only without any. */
#include "kpid/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expression.h"
#include "lookup.h"
#include "worktime.h"

#define FILE_MAX_BYTES (UINT64_C(16) << 20)

static void usage_check(struct kpid_loader *loader, const struct kpid_yaml *measures)
{
    const struct kpid_model *model = loader->model;
    for (size_t i = 0; i < model->n_measures; i++) {
        bool used = false;
        for (size_t j = 0; j < model->n_kpis; j++)
            for (size_t k = 0; k < model->kpis[j].n_refs; k++)
                used |= model->kpis[j].refs[k].measure == i;
        if (used)
            continue;
        kpid_fault_warn(&loader->faults, measures->keys[i]->place, "no KPI uses measure `%s`",
                        model->measures[i].name);
        kpid_fault_advise(&loader->faults, "name it in a formula, or remove it");
    }
}

static void root_load(struct kpid_loader *loader)
{
    struct kpid_yaml *root = loader->tree.root;
    if (root && (kpid_yaml_is_null(root) || !kpid_want_map(loader, root, "the configuration")))
        root = NULL;
    kpid_settings_load(loader, root);
    kpid_lookups_config(loader, kpid_yaml_get(root, "lookups"));
    kpid_sources_load(loader, kpid_yaml_get(root, "sources"));
    kpid_calendars_load(loader, kpid_yaml_get(root, "calendars"));
    kpid_measures_load(loader, kpid_yaml_get(root, "measures"));
    kpid_kpis_load(loader, kpid_yaml_get(root, "kpis"));
    kpid_sketches_load(loader, kpid_yaml_get(root, "measures"));
    if (loader->faults.n_errors + loader->n_other_faults > 0)
        return;
    usage_check(loader, kpid_yaml_get(root, "measures"));
    kpid_joins_usage(loader, root);
    kpid_model_plan(loader);
    if (loader->faults.n_errors == 0)
        kpid_model_hash(loader->model);
}

static void loader_release(struct kpid_loader *loader)
{
    kpid_parses_free(loader);
    for (size_t i = 0; loader->declared && i < loader->model->n_sources; i++)
        free(loader->declared[i]);
    free(loader->declared);
    free(loader->measure_by);
    for (size_t i = 0; i < loader->n_calendars; i++)
        free(loader->calendars[i].name);
    free(loader->calendars);
    kpid_buf_release(&loader->other_faults);
    kpid_yaml_tree_release(&loader->tree);
    kpid_faults_release(&loader->faults);
}

struct kpid_model *kpid_config_parse(const char *name, const char *text, size_t len,
                                     const struct kpid_config_options *options, struct kpid_buf *faults,
                                     size_t *ret_faults)
{
    struct kpid_loader loader = {0};
    struct kpid_model *model = kpid_zalloc(1, sizeof *model);
    loader.model = model;
    loader.zoneinfo = options && options->zoneinfo ? options->zoneinfo : "/usr/share/zoneinfo";
    loader.installed_calendars = options && options->calendars ? options->calendars : KPID_CALENDARS;
    model->path = kpid_strdup(name);
    model->zones = kpid_zalloc(1, sizeof(struct kpid_zone *));
    model->zones[0] = kpid_zalloc(1, sizeof *model->zones[0]);
    model->n_zones = 1;
    kpid_zone_utc(model->zones[0]);

    kpid_faults_init(&loader.faults, name, text, len);
    kpid_yaml_tree_init(&loader.tree, text, len, &loader.faults);
    if (loader.tree.root || loader.faults.n_errors == 0)
        root_load(&loader);
    *ret_faults = kpid_faults_print(&loader.faults, faults) + loader.n_other_faults;
    if (loader.faults.n > 0 && loader.other_faults.len > 0)
        kpid_buf_add_char(faults, '\n');
    kpid_buf_add(faults, loader.other_faults.data, loader.other_faults.len);
    loader_release(&loader);
    if (*ret_faults == 0)
        return model;
    kpid_model_free(model);
    return NULL;
}

static void file_fault(const char *path, const char *error, struct kpid_buf *faults, size_t *ret_faults)
{
    kpid_buf_printf(faults, "%s:1:1: error: %s\n    advice: name a readable file with a configuration\n",
                    path, error);
    *ret_faults = 1;
}

bool kpid_file_read(const char *path, struct kpid_buf *ret, const char **error)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        *error = strerror(errno);
        return false;
    }
    char chunk[16384];
    size_t n;
    while (ret->len <= FILE_MAX_BYTES && (n = fread(chunk, 1, sizeof chunk, file)) > 0)
        kpid_buf_add(ret, chunk, n);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    *error = failed ? strerror(failed) : "it is larger than 16 MiB";
    return !failed && ret->len <= FILE_MAX_BYTES;
}

struct kpid_model *kpid_config_load(const char *path, const struct kpid_config_options *options,
                                    struct kpid_buf *faults, size_t *ret_faults)
{
    struct kpid_buf text = KPID_BUF_INIT;
    const char *error;
    struct kpid_model *model = NULL;
    if (kpid_file_read(path, &text, &error))
        model = kpid_config_parse(path, text.data ? text.data : "", text.len, options, faults, ret_faults);
    else
        file_fault(path, error, faults, ret_faults);
    kpid_buf_release(&text);
    return model;
}
