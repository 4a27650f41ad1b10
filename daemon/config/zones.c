/* Zones of the model: each is loaded once. zones[0] is UTC. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"

const struct kpid_zone *kpid_zone_want(struct kpid_loader *loader, const struct kpid_yaml *node)
{
    if (!kpid_want_text(loader, node, "zone"))
        return NULL;
    return kpid_zone_named(loader, node->text, node->place);
}

/* Names that lie where the missing one would, for advice: "Asia/Kolkatta" is looked for among Asia's. */
static void neighbours_add(const char *zoneinfo, const char *name, struct kpid_names *names)
{
    const char *slash = strrchr(name, '/');
    int prefix = slash && !strstr(name, "..") ? (int)(slash - name) : 0;
    char path[1024];
    if ((size_t)snprintf(path, sizeof path, "%s/%.*s", zoneinfo, prefix, name) >= sizeof path)
        return;
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        struct kpid_buf full = KPID_BUF_INIT;
        kpid_buf_printf(&full, "%.*s%s%s", prefix, name, prefix ? "/" : "", entry->d_name);
        kpid_names_add(names, kpid_buf_take(&full));
    }
    closedir(dir);
}

static void zone_fault(struct kpid_loader *loader, const char *name, struct kpid_place place,
                       const char *error)
{
    struct kpid_names names = {0};
    neighbours_add(loader->zoneinfo, name, &names);
    const char *near = kpid_names_nearest(&names, name);
    kpid_fault_add(&loader->faults, place, "time zone `%s`: %s", name, error);
    kpid_fault_advise(&loader->faults,
                      "%s%s%swrite an IANA name such as UTC, Europe/Berlin or Asia/Shanghai; the "
                      "system must have the package tzdata",
                      near ? "did you mean `" : "", near ? near : "", near ? "`? " : "");
    for (size_t i = 0; i < names.n; i++)
        free((char *)names.at[i]);
    kpid_names_release(&names);
}

const struct kpid_zone *kpid_zone_named(struct kpid_loader *loader, const char *name, struct kpid_place place)
{
    struct kpid_model *model = loader->model;
    for (size_t i = 0; i < model->n_zones; i++)
        if (strcmp(model->zones[i]->name, name) == 0)
            return model->zones[i];
    struct kpid_zone *zone = kpid_zalloc(1, sizeof *zone);
    const char *error;
    if (!kpid_zone_read(loader->zoneinfo, name, zone, &error)) {
        free(zone);
        zone_fault(loader, name, place, error);
        return NULL;
    }
    model->zones = kpid_realloc(model->zones, (model->n_zones + 1) * sizeof(struct kpid_zone *));
    model->zones[model->n_zones++] = zone;
    return zone;
}
