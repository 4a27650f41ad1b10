/* `join:` of a source: look-ups by a field of the event. Fields of a join are made when an expression or a group names
 * them; they are slots without a path, which the stage between decoder and engine fills. */
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "settings.h"
#include "text.h"

static struct kpid_join *join_find(const struct kpid_source *source, const char *name, size_t len)
{
    for (size_t i = 0; i < source->n_joins; i++)
        if (strlen(source->joins[i].name) == len && strncmp(source->joins[i].name, name, len) == 0)
            return &source->joins[i];
    return NULL;
}

/* "look-up customers, column tier, by customer.id": what a definition hash and explain know of the field. */
static char *origin_of(const struct kpid_lookup *lookup, const struct kpid_column *column, const struct kpid_field *key)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_printf(&text, "look-up %s, column %s, by ", lookup->name, column->title);
    for (size_t i = 0; i < key->n_path; i++)
        kpid_buf_printf(&text, "%s%s", i ? "." : "", key->path[i]);
    return kpid_buf_take(&text);
}

bool kpid_join_field(struct kpid_loader *loader, uint32_t source, const char *name, struct kpid_place place, int *ret)
{
    struct kpid_source *s = &loader->model->sources[source];
    const char *dot = strchr(name, '.');
    struct kpid_join *join = join_find(s, name, dot ? (size_t)(dot - name) : strlen(name));
    if (!join)
        return false;
    *ret = -1;
    if (!dot) {
        kpid_fault_add(&loader->faults, place, "`%s` is a look-up, not a field", name);
        kpid_fault_advise(&loader->faults, "name one of its fields: %s.%s", name,
                          loader->model->lookups[join->lookup].one_hash ? "value" : "FIELD");
        return true;
    }
    int column = kpid_lookup_column(loader, join->lookup, dot + 1, place);
    if (column < 0)
        return true;
    const struct kpid_lookup *lookup = &loader->model->lookups[join->lookup];
    const struct kpid_column *from = &lookup->columns[column];
    struct kpid_field *field = kpid_source_field_add(loader, source, name, NULL, true);
    field->kind = from->kind;
    field->scale = from->scale;
    field->origin = origin_of(lookup, from, &s->fields[join->key]);
    join->fields = kpid_realloc(join->fields, (join->n_fields + 1) * sizeof *join->fields);
    join->fields[join->n_fields++] = (struct kpid_joined){(uint16_t)(s->n_fields - 1), (uint16_t)column};
    *ret = (int)s->n_fields - 1;
    return true;
}

static int lookup_find(struct kpid_loader *loader, const struct kpid_yaml *node, const char *name)
{
    const struct kpid_model *model = loader->model;
    struct kpid_names names = {0};
    for (size_t i = 0; i < model->n_lookups; i++) {
        if (strcmp(model->lookups[i].name, name) == 0) {
            kpid_names_release(&names);
            return (int)i;
        }
        kpid_names_add(&names, model->lookups[i].name);
    }
    kpid_fault_add(&loader->faults, node->place, "there is no look-up `%s`", name);
    if (names.n > 0)
        kpid_fault_advise_names(&loader->faults, name, "look-ups", &names);
    else
        kpid_fault_advise(&loader->faults, "declare it: lookups: { %s: { file: FILE.csv, key: COLUMN } }", name);
    kpid_names_release(&names);
    return -1;
}

/* What stands before the dot must not stand there in a field of the event's own. */
static bool name_is_free(struct kpid_loader *loader, const struct kpid_source *source, const struct kpid_yaml *key)
{
    for (size_t i = 0; i < source->n_fields; i++) {
        const char *name = source->fields[i].name;
        if (strncmp(name, key->text, key->len) != 0 || (name[key->len] != '.' && name[key->len] != '\0'))
            continue;
        kpid_fault_add(&loader->faults, key->place, "field `%s` of the event and join `%s` have one name", name, key->text);
        kpid_fault_advise(&loader->faults, "give the join another: NAME: { lookup: %s, by: FIELD }", key->text);
        return false;
    }
    return true;
}

static void join_load(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *key,
                      const struct kpid_yaml *node)
{
    struct kpid_source *s = &loader->model->sources[source];
    const struct kpid_yaml *which = key, *by = node;
    if (!kpid_text_is_name(key->text, false)) {
        kpid_fault_add(&loader->faults, key->place, "`%.140s` can't be the name of a join", key->text);
        kpid_fault_advise(&loader->faults, "names begin with a letter and hold letters, digits and _");
        return;
    }
    if (node->kind == KPID_YAML_MAP) {
        const struct kpid_yaml *named = kpid_yaml_get(node, "lookup");
        kpid_settings_check_keys(loader, "sources.*.join.*", node, NULL);
        if (named && !kpid_want_text(loader, named, "lookup"))
            return;
        which = named ? named : key;
        by = kpid_yaml_get(node, "by");
    }
    int lookup = lookup_find(loader, which, which->text);
    if (!by) {
        kpid_fault_add(&loader->faults, node->place, "join `%s` does not say `by` which field", key->text);
        kpid_fault_advise(&loader->faults, "write %s: { lookup: %s, by: FIELD }", key->text, which->text);
        return;
    }
    if (lookup < 0 || !kpid_want_text(loader, by, "by") || !name_is_free(loader, s, key))
        return;
    const char *dot = strchr(by->text, '.');
    if (join_find(s, by->text, dot ? (size_t)(dot - by->text) : by->len)) {
        kpid_fault_add(&loader->faults, by->place, "`%s` comes from a look-up itself", by->text);
        kpid_fault_advise(&loader->faults, "join by a field of the event; put what is wanted into one table");
        return;
    }
    int slot = kpid_source_field(loader, source, by->text, by->place);
    if (slot < 0)
        return;
    s->joins = kpid_realloc(s->joins, (s->n_joins + 1) * sizeof *s->joins);
    s->joins[s->n_joins++] = (struct kpid_join){.name = kpid_strdup(key->text), .lookup = (uint32_t)lookup,
                                                .key = (uint16_t)slot};
}

void kpid_joins_load(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *map)
{
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "join"))
        return;
    for (size_t i = 0; i < map->n; i++)
        join_load(loader, source, map->keys[i], map->items[i]);
}

void kpid_joins_usage(struct kpid_loader *loader, const struct kpid_yaml *root)
{
    const struct kpid_model *model = loader->model;
    const struct kpid_yaml *lookups = kpid_yaml_get(root, "lookups"), *sources = kpid_yaml_get(root, "sources");
    bool *joined = kpid_zalloc(model->n_lookups + 1, sizeof *joined);
    for (size_t i = 0; i < model->n_sources; i++)
        for (size_t j = 0; j < model->sources[i].n_joins; j++) {
            const struct kpid_join *join = &model->sources[i].joins[j];
            joined[join->lookup] = true;
            if (join->n_fields > 0)
                continue;
            const struct kpid_yaml *map = kpid_yaml_get(sources->items[i], "join");
            kpid_fault_warn(&loader->faults, kpid_yaml_key(map, join->name)->place,
                            "nobody uses a field of join `%s`", join->name);
            kpid_fault_advise(&loader->faults, "name one in a measure or in `by`, such as %s.FIELD, or remove it",
                              join->name);
        }
    for (size_t i = 0; i < model->n_lookups; i++) {
        if (joined[i])
            continue;
        kpid_fault_warn(&loader->faults, lookups->keys[i]->place, "no source joins look-up `%s`",
                        model->lookups[i].name);
        kpid_fault_advise(&loader->faults, "add join: { %s: FIELD } to a source, or remove it",
                          model->lookups[i].name);
    }
    free(joined);
}
