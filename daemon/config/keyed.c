#include "keyed.h"

#include <assert.h>
#include <string.h>

static const struct kpid_keyed_row rows[] = {
    {.name = "clock", .section = "measures.*.clock", .key = "order_id", .load = kpid_clock_load,
     .print = kpid_clock_print, .lacks = kpid_clock_lacks, .release = kpid_clock_release},
    {.name = "session", .section = "measures.*.session", .key = "user_id", .load = kpid_session_load,
     .print = kpid_session_print},
    {.name = "funnel", .section = "measures.*.funnel", .key = "user_id", .load = kpid_funnel_load,
     .print = kpid_funnel_print},
    {.name = "retention", .section = "measures.*.retention", .key = "user_id", .load = kpid_retention_load,
     .print = kpid_retention_print},
};

const struct kpid_keyed_row *kpid_keyed_row_of(const struct kpid_measure *measure)
{
    size_t i = 0;
    while (strcmp(rows[i].name, measure->agg->name) != 0)
        assert(++i < KPID_COUNT_OF(rows));
    return &rows[i];
}

void kpid_keyed_words(struct kpid_measure *measure, size_t n)
{
    assert(n <= KPID_WORDS_MAX);
    measure->keyed.when = kpid_zalloc(n, sizeof *measure->keyed.when);
    measure->keyed.n_words = n;
}

void kpid_keyed_missing(struct kpid_loader *loader, const struct kpid_measure *measure,
                        const struct kpid_yaml *map, const char *what, const char *example)
{
    kpid_fault_add(&loader->faults, map->place, "the %s of `%s` has no `%s`", measure->agg->name,
                   measure->name, what);
    kpid_fault_advise(&loader->faults, "add %s: %s", what, example);
}

/* Events of one key meet only if the topics are keyed by it. */
static void key_check(struct kpid_loader *loader, const struct kpid_measure *measure,
                      const struct kpid_yaml *key)
{
    const struct kpid_source *source = &loader->model->sources[measure->source];
    if (!source->key || strcmp(source->key, key->text) == 0)
        return;
    kpid_fault_warn(&loader->faults, key->place, "the %s's key is `%s`, source `%s` is keyed by `%s`",
                    measure->agg->name, key->text, source->name, source->key);
    kpid_fault_advise(&loader->faults,
                      "events of one key may lie in different partitions and never meet: key the "
                      "topics by %s, or correct `key:` of the source",
                      key->text);
}

void kpid_keyed_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    const struct kpid_keyed_row *row = kpid_keyed_row_of(measure);
    const struct kpid_yaml *key = kpid_yaml_get(map, "key");
    kpid_settings_check_keys(loader, row->section, map, NULL);
    kpid_settings_read(loader, row->section, map, &measure->keyed);
    if (!key) {
        kpid_keyed_missing(loader, measure, map, "key", row->key);
    } else {
        kpid_expr_parse(loader, measure->source, key, KPID_WANT_FIELD, "key", &measure->keyed.key);
        if (key->kind == KPID_YAML_SCALAR)
            key_check(loader, measure, key);
    }
    row->load(loader, measure, map);
}

int kpid_keyed_part(const struct kpid_measure *measure, const char *name)
{
    const char *dot = strchr(name, '.');
    int part = measure->agg->part(name, strlen(name));
    if (part >= 0 || !measure->agg->keyed || !measure->agg->keyed->track)
        return part;
    size_t len = dot ? (size_t)(dot - name) : strlen(name);
    int track = measure->agg->keyed->track(&measure->keyed, name, len);
    if (track >= 0)
        part = measure->agg->part(dot ? dot + 1 : "", dot ? strlen(dot + 1) : 0);
    return track >= 0 && part >= 0 ? track * KPID_PART_TRACK + part : -1;
}

/* ---- groups ---- */

const char *kpid_keyed_group(const struct kpid_measure *measure, const char *item)
{
    if (!measure->agg || !measure->agg->keyed || !measure->agg->keyed->has_start)
        return item;
    return strncmp(item, "start.", 6) == 0 ? item + 6 : strncmp(item, "stop.", 5) == 0 ? item + 5 : item;
}

void kpid_keyed_groups_load(struct kpid_loader *loader, struct kpid_measure *measure, const struct kpid_yaml *by)
{
    measure->start_fields = kpid_zalloc(by->n + 1, sizeof *measure->start_fields);
    for (size_t i = 0; i < by->n; i++) {
        const char *item = by->items[i]->text, *name = kpid_keyed_group(measure, item);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(kpid_keyed_group(measure, by->items[j]->text), name) != 0)
                continue;
            kpid_fault_add(&loader->faults, by->items[i]->place, "group `%s` stands twice", name);
            kpid_fault_advise(&loader->faults, "remove one: it comes from the start or from the stop");
        }
        if (strncmp(item, "start.", 6) == 0 && name != item)
            measure->start_fields[measure->n_start_fields++] = kpid_strdup(name);
    }
}
