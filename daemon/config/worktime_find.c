/* Calendars by name: sections of the configuration and files of their own, each with its own faults. */
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "worktime.h"

static struct kpid_named_calendar *calendar_make(struct kpid_loader *loader, const char *name)
{
    loader->calendars = kpid_realloc(loader->calendars, (loader->n_calendars + 1) * sizeof *loader->calendars);
    struct kpid_named_calendar *calendar = &loader->calendars[loader->n_calendars++];
    *calendar = (struct kpid_named_calendar){.name = kpid_strdup(name)};
    return calendar;
}

/* Reads the mapping; the model keeps what comes of it. */
static const struct kpid_worktime *calendar_add(struct kpid_loader *loader, const char *name, struct kpid_yaml *map)
{
    struct kpid_model *model = loader->model;
    struct kpid_worktime *work = kpid_zalloc(1, sizeof *work);
    if (!kpid_worktime_load(loader, name, map, work)) {
        free(work);
        return NULL;
    }
    model->calendars = kpid_realloc(model->calendars, (model->n_calendars + 1) * sizeof *model->calendars);
    return model->calendars[model->n_calendars++] = work;
}

/* A file that could be read: its faults are its own, and count. */
static const struct kpid_worktime *text_load(struct kpid_loader *loader, const char *name, const char *path,
                                             const struct kpid_buf *text)
{
    struct kpid_loader own = {.model = loader->model, .zoneinfo = loader->zoneinfo, .zone = loader->zone};
    const struct kpid_worktime *work = NULL;
    kpid_faults_init(&own.faults, path, text->data ? text->data : "", text->len);
    kpid_yaml_tree_init(&own.tree, own.faults.text, text->len, &own.faults);
    if (own.tree.root)
        work = calendar_add(&own, name, own.tree.root);
    else if (own.faults.n_errors == 0) {
        kpid_fault_add(&own.faults, (struct kpid_place){1, 1}, "calendar `%s` is empty", name);
        kpid_fault_advise(&own.faults, "write zone, years and shifts; see kpid.yaml(5)");
    }
    if (loader->other_faults.len > 0 && own.faults.n > 0)
        kpid_buf_add_char(&loader->other_faults, '\n');
    loader->n_other_faults += kpid_faults_print(&own.faults, &loader->other_faults);
    kpid_yaml_tree_release(&own.tree);
    kpid_faults_release(&own.faults);
    return work;
}

/* False: there is no such file. */
static bool file_try(struct kpid_loader *loader, struct kpid_named_calendar *calendar, const char *path)
{
    struct kpid_buf text = KPID_BUF_INIT;
    const char *error;
    bool found = kpid_file_read(path, &text, &error);
    if (found)
        calendar->work = text_load(loader, calendar->name, path, &text);
    kpid_buf_release(&text);
    return found;
}

/* `name` from the folder that the configuration lies in. Owned. */
static char *beside(const struct kpid_loader *loader, const char *name)
{
    struct kpid_buf path = KPID_BUF_INIT;
    const char *slash = strrchr(loader->model->path, '/');
    if (name[0] != '/' && slash)
        kpid_buf_add(&path, loader->model->path, (size_t)(slash + 1 - loader->model->path));
    kpid_buf_add_str(&path, name);
    return kpid_buf_take(&path);
}

static bool is_path(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strchr(name, '/') || (dot && strcmp(dot, ".yaml") == 0);
}

static void nowhere_fault(struct kpid_loader *loader, const struct kpid_yaml *node, const char *path,
                          const char *installed)
{
    struct kpid_names names = {0};
    kpid_fault_add(&loader->faults, node->place, "there is no calendar `%s`", node->text);
    for (size_t i = 0; i < loader->n_calendars; i++)
        if (loader->calendars[i].section)
            kpid_names_add(&names, loader->calendars[i].name);
    const char *near = kpid_names_nearest(&names, node->text);
    kpid_fault_advise(&loader->faults, "%s%s%sname one of `calendars:`, or a file; looked for %s%s%s",
                      near ? "did you mean `" : "", near ? near : "", near ? "`? " : "", path,
                      installed ? " and " : "", installed ? installed : "");
    kpid_names_release(&names);
}

static const struct kpid_worktime *file_want(struct kpid_loader *loader, const struct kpid_yaml *node,
                                             struct kpid_named_calendar *calendar)
{
    struct kpid_buf name = KPID_BUF_INIT, installed = KPID_BUF_INIT;
    bool bare = !is_path(node->text);
    kpid_buf_printf(&name, bare ? "calendars/%s.yaml" : "%s", node->text);
    char *path = beside(loader, name.data);
    kpid_buf_printf(&installed, "%s/%s.yaml", loader->installed_calendars, node->text);
    if (!file_try(loader, calendar, path) && !(bare && file_try(loader, calendar, installed.data)))
        nowhere_fault(loader, node, path, bare ? installed.data : NULL);
    free(path);
    kpid_buf_release(&name);
    kpid_buf_release(&installed);
    return calendar->work;
}

static struct kpid_named_calendar *calendar_find(const struct kpid_loader *loader, const char *name)
{
    for (size_t i = 0; i < loader->n_calendars; i++)
        if (strcmp(loader->calendars[i].name, name) == 0)
            return &loader->calendars[i];
    return NULL;
}

const struct kpid_worktime *kpid_calendar_want(struct kpid_loader *loader, const struct kpid_yaml *node)
{
    if (!kpid_want_text(loader, node, "calendar"))
        return NULL;
    const struct kpid_named_calendar *known = calendar_find(loader, node->text);
    return known ? known->work : file_want(loader, node, calendar_make(loader, node->text));
}

void kpid_calendars_load(struct kpid_loader *loader, struct kpid_yaml *map)
{
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "calendars"))
        return;
    for (size_t i = 0; i < map->n; i++) {
        struct kpid_yaml *node = map->items[i];
        kpid_want_name(loader, map->keys[i], true, "calendar");
        struct kpid_named_calendar *calendar = calendar_make(loader, map->keys[i]->text);
        calendar->section = true;
        if (node->kind != KPID_YAML_SCALAR || kpid_yaml_is_null(node))
            calendar->work = calendar_add(loader, calendar->name, node);
        else
            file_want(loader, node, calendar);
    }
}
