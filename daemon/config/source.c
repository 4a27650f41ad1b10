/* `sources:` topics, envelope, fields, limits. */
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "settings.h"
#include "text.h"

#define TIME_FORMATS  "auto|ms|s|us|ns|rfc3339"
#define SCALE_DEFAULT 6

char **kpid_path_split(const char *dotted, size_t *ret_n)
{
    size_t n = 1;
    for (const char *at = dotted; *at; at++)
        n += *at == '.';
    char **path = kpid_zalloc(n, sizeof *path);
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(dotted, ".");
        path[i] = kpid_strndup(dotted, len);
        dotted += len + 1;
    }
    *ret_n = n;
    return path;
}

/* A dotted path without empty parts. */
static bool path_want(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what)
{
    if (!kpid_want_text(loader, node, what))
        return false;
    if (node->text[0] != '.' && node->text[node->len - 1] != '.' && !strstr(node->text, ".."))
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s: `%s` is not a path", what, node->text);
    kpid_fault_advise(&loader->faults,
                      "write keys from the root of the event, separated by dots: customer.id");
    return false;
}

struct kpid_field *kpid_source_field_add(struct kpid_loader *loader, uint32_t source, const char *name,
                                         const char *path, bool declared)
{
    struct kpid_source *s = &loader->model->sources[source];
    size_t n = s->n_fields + 1;
    s->fields = kpid_realloc(s->fields, n * sizeof *s->fields);
    loader->declared[source] = kpid_realloc(loader->declared[source], n * sizeof(bool));
    struct kpid_field *field = &s->fields[s->n_fields];
    *field = (struct kpid_field){.name = kpid_strdup(name), .kind = KPID_FIELD_ANY, .scale = SCALE_DEFAULT};
    if (path)
        field->path = kpid_path_split(path, &field->n_path);
    loader->declared[source][s->n_fields++] = declared;
    return field;
}

int kpid_source_field(struct kpid_loader *loader, uint32_t source, const char *name, struct kpid_place place)
{
    const struct kpid_source *s = &loader->model->sources[source];
    int joined;
    for (size_t i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return (int)i;
    if (s->n_fields == KPID_FIELDS_MAX) {
        kpid_fault_add(&loader->faults, place, "source `%s` has more than %d fields", s->name,
                       KPID_FIELDS_MAX);
        kpid_fault_advise(&loader->faults, "use fewer fields in its measures, or declare a second source");
        return -1;
    }
    if (kpid_join_field(loader, source, name, place, &joined))
        return joined;
    kpid_source_field_add(loader, source, name, name, false);
    return (int)s->n_fields - 1;
}

uint32_t kpid_source_type(struct kpid_source *source, const char *name)
{
    for (size_t i = 1; i < source->n_types; i++)
        if (strcmp(source->types[i], name) == 0)
            return (uint32_t)i;
    source->types = kpid_realloc(source->types, (source->n_types + 1) * sizeof *source->types);
    source->types[source->n_types] = kpid_strdup(name);
    return (uint32_t)source->n_types++;
}

/* ---- topics
 * -------------------------------------------------------------------------------------------------- */

static bool topic_is_good(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 249 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static void topic_add(struct kpid_loader *loader, struct kpid_source *source, const struct kpid_yaml *node)
{
    for (size_t i = 0; i < source->n_topics; i++)
        if (strcmp(source->topics[i], node->text) == 0) {
            kpid_fault_add(&loader->faults, node->place, "topic `%s` stands twice", node->text);
            kpid_fault_advise(&loader->faults, "remove one");
            return;
        }
    if (!topic_is_good(node->text)) {
        kpid_fault_add(&loader->faults, node->place, "`%s` can't be the name of a topic", node->text);
        kpid_fault_advise(&loader->faults, "Kafka allows letters, digits, . _ and -, at most 249 of them");
        return;
    }
    source->topics[source->n_topics++] = kpid_strdup(node->text);
}

static void topics_load(struct kpid_loader *loader, struct kpid_source *source, struct kpid_yaml *map)
{
    struct kpid_yaml *many = kpid_yaml_get(map, "topics"), *one = kpid_yaml_get(map, "topic"), *single,
                     **items;
    size_t n;
    if (many && one) {
        kpid_fault_add(&loader->faults, kpid_yaml_key(map, "topic")->place, "both `topic` and `topics`");
        kpid_fault_advise(&loader->faults, "keep `topics: [a, b]` and remove `topic`");
    }
    struct kpid_yaml *node = many ? many : one;
    if (!node || (node->kind == KPID_YAML_LIST && node->n == 0)) {
        kpid_fault_add(&loader->faults, node ? node->place : map->place, "source `%s` has no topic",
                       source->name);
        kpid_fault_advise(&loader->faults, "write topics: [NAME]");
        return;
    }
    if (!kpid_want_texts(loader, node, "topics", &single, &items, &n))
        return;
    source->topics = kpid_zalloc(n, sizeof *source->topics);
    for (size_t i = 0; i < n; i++)
        topic_add(loader, source, items[i]);
}

/* ---- fields
 * -------------------------------------------------------------------------------------------------- */

/* Paths of type, time and id, and the format of the time. */
static void envelope_load(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *map)
{
    static const struct {
        const char *key, *name;
    } envelope[] = {{"type", "type"}, {"time", "ts"}, {"id", "id"}};
    for (size_t i = 0; i < KPID_COUNT_OF(envelope); i++) {
        const struct kpid_yaml *node = kpid_yaml_get(map, envelope[i].key), *path = node;
        uint8_t format = KPID_TIME_AUTO;
        if (node && i == KPID_SLOT_TS && node->kind == KPID_YAML_MAP) {
            kpid_settings_check_keys(loader, "sources.*.time", node, NULL);
            path = kpid_yaml_get(node, "path");
            const struct kpid_yaml *word = kpid_yaml_get(node, "format");
            if (word && !kpid_want_choice(loader, word, "format", TIME_FORMATS, &format))
                format = KPID_TIME_AUTO;
        }
        bool good = path && path_want(loader, path, envelope[i].key);
        struct kpid_field *field =
            kpid_source_field_add(loader, source, envelope[i].name, good ? path->text : envelope[i].name, true);
        if (i == KPID_SLOT_TS) {
            field->kind = KPID_FIELD_TIME;
            field->time_format = format;
            field->scale = 0;
        } else if (i == KPID_SLOT_TYPE) {
            field->kind = KPID_FIELD_STRING;
        }
    }
}

static void field_options(struct kpid_loader *loader, struct kpid_field *field, const struct kpid_yaml *map)
{
    uint64_t scale;
    uint8_t index;
    const struct kpid_yaml *type = kpid_yaml_get(map, "type"), *format = kpid_yaml_get(map, "format");
    const struct kpid_yaml *digits = kpid_yaml_get(map, "scale"), *round = kpid_yaml_get(map, "round");
    kpid_settings_check_keys(loader, "sources.*.fields.*", map, NULL);
    if (type && kpid_want_choice(loader, type, "type", "any|number|string|time|bool", &index))
        field->kind = index;
    if (format && kpid_want_choice(loader, format, "format", TIME_FORMATS, &index))
        field->time_format = index;
    if (digits && kpid_want_count(loader, digits, "scale", 0, KPID_SCALE_MAX, &scale))
        field->scale = (uint8_t)scale;
    if (round && kpid_want_choice(loader, round, "round", "half_even", &index))
        field->round = true;
    bool time = field->kind == KPID_FIELD_TIME, number = field->kind == KPID_FIELD_NUMBER;
    if (format && !time) {
        kpid_fault_add(&loader->faults, format->place, "field `%s` is not a time, so it has no format",
                       field->name);
        kpid_fault_advise(&loader->faults, "add `type: time`, or remove `format`");
    }
    const struct kpid_yaml *exact = digits ? digits : round;
    if (exact && !number && field->kind != KPID_FIELD_ANY) {
        kpid_fault_add(&loader->faults, exact->place, "field `%s` is not a number, so it has no digits",
                       field->name);
        kpid_fault_advise(&loader->faults, "add `type: number`, or remove `scale` and `round`");
    }
    if (time)
        field->scale = 0;
}

static bool field_name_is_good(const char *name)
{
    for (bool begin = true; *name; name++) {
        if (!(begin ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
                    : strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.")))
            return false;
        begin = *name == '.';
        if (begin && !name[1])
            return false;
    }
    return true;
}

static void field_load(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *key,
                       const struct kpid_yaml *node)
{
    struct kpid_source *s = &loader->model->sources[source];
    if (key->len == 0 || !field_name_is_good(key->text)) {
        kpid_fault_add(&loader->faults, key->place, "`%s` can't be the name of a field", key->text);
        kpid_fault_advise(&loader->faults,
                          "expressions read letters, digits and _, with dots between; map other "
                          "names with `name: path`");
        return;
    }
    for (size_t i = 0; i < KPID_SLOT_FREE; i++)
        if (strcmp(s->fields[i].name, key->text) == 0) {
            kpid_fault_add(&loader->faults, key->place, "`%s` belongs to the envelope", key->text);
            kpid_fault_advise(&loader->faults, "map it with `%s:` beside `fields:`",
                              i == KPID_SLOT_TS ? "time" : key->text);
            return;
        }
    if (s->n_fields == KPID_FIELDS_MAX) {
        kpid_fault_add(&loader->faults, key->place, "source `%s` has more than %d fields", s->name,
                       KPID_FIELDS_MAX);
        kpid_fault_advise(&loader->faults, "declare only the fields that measures use");
        return;
    }
    const struct kpid_yaml *path = node->kind == KPID_YAML_MAP ? kpid_yaml_get(node, "path") : node;
    bool good = path && path_want(loader, path, key->text);
    bool declared = node->kind == KPID_YAML_MAP && kpid_yaml_get(node, "type");
    struct kpid_field *field = kpid_source_field_add(loader, source, key->text, good ? path->text : key->text, declared);
    if (node->kind == KPID_YAML_MAP)
        field_options(loader, field, node);
}

static void type_map_load(struct kpid_loader *loader, struct kpid_source *source, const struct kpid_yaml *map)
{
    const struct kpid_yaml *types = kpid_yaml_get(map, "types");
    if (!types || kpid_yaml_is_null(types) || !kpid_want_map(loader, types, "types"))
        return;
    source->type_map = kpid_zalloc(types->n + 1, sizeof *source->type_map);
    for (size_t i = 0; i < types->n; i++)
        if (kpid_want_text(loader, types->items[i], types->keys[i]->text))
            source->type_map[source->n_type_map++] =
                (struct kpid_pair){kpid_strdup(types->keys[i]->text), kpid_strdup(types->items[i]->text)};
}

/* ---- the source
 * ------------------------------------------------------------------------------------------------ */

static void limits_check(struct kpid_loader *loader, struct kpid_source *source, const struct kpid_yaml *map)
{
    int64_t least = source->allowed_lateness_ms + source->out_of_order_ms;
    char text[64];
    const struct kpid_yaml *horizon = kpid_yaml_get(map, "dedup_horizon"),
                           *future = kpid_yaml_get(map, "max_future");
    kpid_text_print_duration(least, text);
    if (!horizon) {
        source->dedup_horizon_ms = least;
    } else if (source->dedup_horizon_ms < least) {
        kpid_fault_add(&loader->faults, horizon->place,
                       "dedup_horizon is below allowed_lateness + out_of_order");
        kpid_fault_advise(&loader->faults,
                          "a repeat could be counted again; write at least %s, or remove the key", text);
    }
    if (source->max_future_ms < source->allowed_lateness_ms)
        return;
    const struct kpid_yaml *lateness = kpid_yaml_get(map, "allowed_lateness");
    const struct kpid_yaml *node = future ? future : lateness ? lateness : map;
    kpid_text_print_duration(source->allowed_lateness_ms, text);
    kpid_fault_add(&loader->faults, node->place, "max_future is not below allowed_lateness (%s)", text);
    kpid_fault_advise(&loader->faults,
                      "one event of the future would make present ones late: lower max_future or "
                      "raise allowed_lateness");
}

static void source_load(struct kpid_loader *loader, uint32_t index, const struct kpid_yaml *key,
                        struct kpid_yaml *map)
{
    struct kpid_source *source = &loader->model->sources[index];
    source->types = kpid_zalloc(1, sizeof *source->types);
    source->types[0] = kpid_strdup("");
    source->n_types = 1;
    source->name = kpid_strdup(key->text);
    bool good = kpid_want_map(loader, map, key->text);
    envelope_load(loader, index, map);
    if (!good)
        return;
    kpid_settings_check_keys(loader, "sources.*", map, NULL);
    kpid_settings_read(loader, "sources.*", map, source);
    topics_load(loader, source, map);
    type_map_load(loader, source, map);
    const struct kpid_yaml *fields = kpid_yaml_get(map, "fields");
    if (fields && !kpid_yaml_is_null(fields) && kpid_want_map(loader, fields, "fields"))
        for (size_t i = 0; i < fields->n; i++)
            field_load(loader, index, fields->keys[i], fields->items[i]);
    kpid_joins_load(loader, index, kpid_yaml_get(map, "join"));
    limits_check(loader, source, map);
}

/* A topic belongs to one source: its offsets are committed there. */
static void shared_topics_check(struct kpid_loader *loader, const struct kpid_yaml *map, uint32_t index)
{
    const struct kpid_model *model = loader->model;
    const struct kpid_source *source = &model->sources[index];
    for (uint32_t i = 0; i < index; i++)
        for (size_t j = 0; j < model->sources[i].n_topics; j++)
            for (size_t k = 0; k < source->n_topics; k++)
                if (strcmp(model->sources[i].topics[j], source->topics[k]) == 0) {
                    kpid_fault_add(&loader->faults, map->keys[index]->place,
                                   "sources `%s` and `%s` both read topic `%s`", model->sources[i].name,
                                   source->name, source->topics[k]);
                    kpid_fault_advise(&loader->faults,
                                      "read a topic in one source and let its measures filter");
                }
}

void kpid_sources_load(struct kpid_loader *loader, struct kpid_yaml *map)
{
    struct kpid_model *model = loader->model;
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "sources"))
        return;
    model->sources = kpid_zalloc(map->n + 1, sizeof *model->sources);
    loader->declared = kpid_zalloc(map->n + 1, sizeof *loader->declared);
    for (uint32_t i = 0; i < map->n; i++) {
        model->n_sources++;
        kpid_want_name(loader, map->keys[i], true, "source");
        source_load(loader, i, map->keys[i], map->items[i]);
        shared_topics_check(loader, map, i);
    }
}
