/* `clock:` of a measure. */
#include <string.h>

#include "expression.h"
#include "settings.h"
#include "worktime.h"

static const char *const words[KPID_CLOCK_WORDS] = {
    [KPID_CLOCK_START] = "start",   [KPID_CLOCK_PAUSE] = "pause", [KPID_CLOCK_RESUME] = "resume",
    [KPID_CLOCK_REOPEN] = "reopen", [KPID_CLOCK_STOP] = "stop",   [KPID_CLOCK_CANCEL] = "cancel",
};

static void missing(struct kpid_loader *loader, const struct kpid_measure *measure,
                    const struct kpid_yaml *map, const char *what, const char *example)
{
    kpid_fault_add(&loader->faults, map->place, "the clock of `%s` has no `%s`", measure->name, what);
    kpid_fault_advise(&loader->faults, "add %s: %s", what, example);
}

/* Events of one key meet only if the topics are keyed by it. */
static void key_check(struct kpid_loader *loader, const struct kpid_measure *measure,
                      const struct kpid_yaml *key)
{
    const struct kpid_source *source = &loader->model->sources[measure->source];
    if (!source->key || strcmp(source->key, key->text) == 0)
        return;
    kpid_fault_warn(&loader->faults, key->place, "the clock's key is `%s`, source `%s` is keyed by `%s`",
                    key->text, source->name, source->key);
    kpid_fault_advise(&loader->faults,
                      "events of one key may lie in different partitions and never meet: key the "
                      "topics by %s, or correct `key:` of the source",
                      key->text);
}

static void resume_check(struct kpid_loader *loader, const struct kpid_yaml *map)
{
    const struct kpid_yaml *key = kpid_yaml_key(map, "resume");
    if (!key || kpid_yaml_get(map, "pause"))
        return;
    kpid_fault_add(&loader->faults, key->place, "`resume` without `pause`");
    kpid_fault_advise(&loader->faults, "add pause: CONDITION, or remove `resume`");
}

void kpid_clock_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    struct kpid_clock_spec *clock = &measure->clock;
    kpid_settings_check_keys(loader, "measures.*.clock", map, NULL);
    kpid_settings_read(loader, "measures.*.clock", map, clock);
    const struct kpid_yaml *key = kpid_yaml_get(map, "key"), *negative = kpid_yaml_get(map, "negative");
    if (!key) {
        missing(loader, measure, map, "key", "order_id");
    } else {
        kpid_expr_parse(loader, measure->source, key, KPID_WANT_FIELD, "key", &clock->key);
        if (key->kind == KPID_YAML_SCALAR)
            key_check(loader, measure, key);
    }
    for (size_t i = 0; i < KPID_CLOCK_WORDS; i++) {
        const struct kpid_yaml *node = kpid_yaml_get(map, words[i]);
        if (node)
            kpid_expr_parse(loader, measure->source, node, KPID_WANT_CONDITION, words[i], &clock->when[i]);
        else if (i == KPID_CLOCK_START || i == KPID_CLOCK_STOP)
            missing(loader, measure, map, words[i],
                    i == KPID_CLOCK_START ? "type == \"order.created\"" : "type == \"order.shipped\"");
    }
    resume_check(loader, map);
    const struct kpid_yaml *calendar = kpid_yaml_get(map, "calendar");
    if (calendar)
        clock->calendar = kpid_calendar_want(loader, calendar);
    uint8_t index;
    if (negative && kpid_want_choice(loader, negative, "negative", "drop|keep", &index))
        clock->keep_negative = index == 1;
}
