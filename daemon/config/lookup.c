/* `lookups:` tables that events are joined with, and their columns. */
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "settings.h"
#include "text.h"

static const char *const file_keys[] = {"key", "max_rows"};
static const char *const redis_keys[] = {"url", "refresh", "refresh_missing", "timeout", "when_down", "max_keys"};

#define MINUTE_MS INT64_C(60000)

/* ---- columns
 * ------------------------------------------------------------------------------------------------ */

static struct kpid_column *column_add(struct kpid_lookup *lookup, const char *name, const char *title,
                                      struct kpid_place place)
{
    lookup->columns = kpid_realloc(lookup->columns, (lookup->n_columns + 1) * sizeof *lookup->columns);
    struct kpid_column *column = &lookup->columns[lookup->n_columns++];
    *column = (struct kpid_column){.name = kpid_strdup(name),
                                   .title = kpid_strdup(title),
                                   .kind = KPID_FIELD_STRING,
                                   .line = place.line,
                                   .column = place.column};
    return column;
}

int kpid_lookup_column(struct kpid_loader *loader, uint32_t index, const char *name, struct kpid_place place)
{
    struct kpid_lookup *lookup = &loader->model->lookups[index];
    for (size_t i = 0; i < lookup->n_columns; i++)
        if (strcmp(lookup->columns[i].name, name) == 0)
            return (int)i;
    if (lookup->one_hash && strcmp(name, "value") != 0) {
        kpid_fault_add(&loader->faults, place, "look-up `%s` has one value a key, and no `%s`", lookup->name, name);
        kpid_fault_advise(&loader->faults,
                          "its field is called value; several fields need a hash for each key: redis: \"PREFIX:{}\"");
        return -1;
    }
    if (lookup->n_columns == KPID_FIELDS_MAX) {
        kpid_fault_add(&loader->faults, place, "look-up `%s` has more than %d fields", lookup->name, KPID_FIELDS_MAX);
        kpid_fault_advise(&loader->faults, "use fewer of its fields");
        return -1;
    }
    column_add(lookup, name, name, place);
    return (int)lookup->n_columns - 1;
}

/* A kind by the word in `type`: other words than a source's fields have. */
static bool kind_want(struct kpid_loader *loader, const struct kpid_yaml *node, uint8_t *ret)
{
    static const uint8_t kinds[] = {KPID_FIELD_STRING, KPID_FIELD_NUMBER, KPID_FIELD_TIME, KPID_FIELD_BOOL};
    uint8_t index;
    if (!kpid_want_choice(loader, node, "type", "string|number|time|bool", &index))
        return false;
    *ret = kinds[index];
    return true;
}

static void column_options(struct kpid_loader *loader, struct kpid_column *column, const struct kpid_yaml *map)
{
    const struct kpid_yaml *type = kpid_yaml_get(map, "type"), *digits = kpid_yaml_get(map, "scale");
    uint64_t scale = 0;
    kpid_settings_check_keys(loader, "lookups.*.fields.*", map, NULL);
    if (type && !kind_want(loader, type, &column->kind))
        return;
    column->scale = column->kind == KPID_FIELD_NUMBER ? KPID_LOOKUP_SCALE : 0;
    if (digits && column->kind != KPID_FIELD_NUMBER) {
        kpid_fault_add(&loader->faults, digits->place, "`%s` is not a number, so it has no digits", column->name);
        kpid_fault_advise(&loader->faults, "add `type: number`, or remove `scale`");
    } else if (digits && kpid_want_count(loader, digits, "scale", 0, KPID_SCALE_MAX, &scale)) {
        column->scale = (uint8_t)scale;
    }
}

static void column_load(struct kpid_loader *loader, struct kpid_lookup *lookup, const struct kpid_yaml *key,
                        const struct kpid_yaml *node)
{
    const struct kpid_yaml *title = node->kind == KPID_YAML_MAP ? kpid_yaml_get(node, "column") : NULL;
    if (!kpid_text_is_name(key->text, false)) {
        kpid_fault_add(&loader->faults, key->place, "`%.140s` can't be the name of a field", key->text);
        kpid_fault_advise(&loader->faults, "expressions read letters, digits and _; for another title write "
                                           "NAME: { column: \"TITLE\" }");
        return;
    }
    if (title && !kpid_want_text(loader, title, "column"))
        title = NULL;
    struct kpid_column *column = column_add(lookup, key->text, title ? title->text : key->text, key->place);
    if (node->kind == KPID_YAML_MAP)
        column_options(loader, column, node);
    else if (kpid_want_text(loader, node, key->text) && kind_want(loader, node, &column->kind))
        column->scale = column->kind == KPID_FIELD_NUMBER ? KPID_LOOKUP_SCALE : 0;
    if (lookup->one_hash && strcmp(key->text, "value") != 0) {
        kpid_fault_add(&loader->faults, key->place, "look-up `%s` has one value a key, and no `%s`", lookup->name,
                       key->text);
        kpid_fault_advise(&loader->faults, "declare value, such as fields: { value: number }");
    }
}

/* ---- where the table lies
 * ----------------------------------------------------------------------------------- */

/* Keys that belong to the other kind of look-up. */
static void strangers_check(struct kpid_loader *loader, const struct kpid_yaml *map, const char *const *keys, size_t n,
                            const char *what)
{
    for (size_t i = 0; i < n; i++) {
        const struct kpid_yaml *key = kpid_yaml_key(map, keys[i]);
        if (!key)
            continue;
        kpid_fault_add(&loader->faults, key->place, "`%s` belongs to look-ups in %s", keys[i], what);
        kpid_fault_advise(&loader->faults, "remove the key");
    }
}

static void file_load(struct kpid_loader *loader, struct kpid_lookup *lookup, const struct kpid_yaml *map)
{
    lookup->kind = KPID_LOOKUP_FILE;
    strangers_check(loader, map, redis_keys, KPID_COUNT_OF(redis_keys), "Redis");
    if (!lookup->key && !kpid_yaml_get(map, "key")) {
        kpid_fault_add(&loader->faults, map->place, "look-up `%s` does not say which column is the `key`",
                       lookup->name);
        kpid_fault_advise(&loader->faults, "add key: COLUMN, as the file's header calls it");
    }
    const char *slash = strrchr(loader->model->path, '/');
    if (!lookup->file || lookup->file[0] == '/' || !slash)
        return;
    struct kpid_buf path = KPID_BUF_INIT;
    kpid_buf_add(&path, loader->model->path, (size_t)(slash + 1 - loader->model->path));
    kpid_buf_add_str(&path, lookup->file);
    free(lookup->file);
    lookup->file = kpid_buf_take(&path);
}

static void redis_load(struct kpid_loader *loader, struct kpid_lookup *lookup, const struct kpid_yaml *map)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "redis"), *url = kpid_yaml_get(map, "url");
    lookup->kind = KPID_LOOKUP_REDIS;
    strangers_check(loader, map, file_keys, KPID_COUNT_OF(file_keys), "files");
    const char *hole = lookup->pattern ? strstr(lookup->pattern, "{}") : NULL;
    lookup->one_hash = !hole;
    if (hole && strstr(hole + 2, "{}")) {
        kpid_fault_add(&loader->faults, kpid_yaml_place_in(&loader->tree, node, (size_t)(hole - lookup->pattern)),
                       "`{}` stands twice");
        kpid_fault_advise(&loader->faults, "the key goes to one place: kpi-ref:agents:{}");
    }
    if (url && lookup->url)
        kpid_redis_url_check(loader, url, "url", lookup->url);
    if (!kpid_yaml_get(map, "refresh_missing"))
        lookup->refresh_missing_ms = lookup->refresh_ms < MINUTE_MS ? lookup->refresh_ms : MINUTE_MS;
}

static void place_load(struct kpid_loader *loader, struct kpid_lookup *lookup, const struct kpid_yaml *map)
{
    const struct kpid_yaml *file = kpid_yaml_get(map, "file"), *redis = kpid_yaml_get(map, "redis");
    if (file && redis) {
        kpid_fault_add(&loader->faults, kpid_yaml_key(map, "redis")->place, "look-up `%s` has both `file` and `redis`",
                       lookup->name);
        kpid_fault_advise(&loader->faults, "keep one; make a second look-up for the other");
    } else if (file) {
        file_load(loader, lookup, map);
    } else if (redis) {
        redis_load(loader, lookup, map);
    } else {
        kpid_fault_add(&loader->faults, map->place, "look-up `%s` has neither `file` nor `redis`", lookup->name);
        kpid_fault_advise(&loader->faults, "write { file: customers.csv, key: customer_id } or { redis: \"PREFIX:{}\" }");
    }
}

static void lookup_load(struct kpid_loader *loader, struct kpid_lookup *lookup, const struct kpid_yaml *key,
                        struct kpid_yaml *map)
{
    lookup->name = kpid_strdup(key->text);
    lookup->line = key->place.line;
    lookup->at = key->place.column;
    kpid_want_name(loader, key, false, "look-up");
    if (!kpid_want_map(loader, map, key->text))
        return;
    kpid_settings_check_keys(loader, "lookups.*", map, NULL);
    kpid_settings_read(loader, "lookups.*", map, lookup);
    if (lookup->missing && strcmp(lookup->missing, "absent") == 0) {
        free(lookup->missing);
        lookup->missing = NULL;
    }
    place_load(loader, lookup, map);
    const struct kpid_yaml *fields = kpid_yaml_get(map, "fields");
    if (fields && !kpid_yaml_is_null(fields) && kpid_want_map(loader, fields, "fields"))
        for (size_t i = 0; i < fields->n && i < KPID_FIELDS_MAX; i++)
            column_load(loader, lookup, fields->keys[i], fields->items[i]);
}

void kpid_lookups_config(struct kpid_loader *loader, const struct kpid_yaml *map)
{
    struct kpid_model *model = loader->model;
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "lookups"))
        return;
    model->lookups = kpid_zalloc(map->n + 1, sizeof *model->lookups);
    for (size_t i = 0; i < map->n; i++)
        lookup_load(loader, &model->lookups[model->n_lookups++], map->keys[i], map->items[i]);
}
