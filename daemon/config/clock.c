/* `clock:` of a measure. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "keyed.h"
#include "worktime.h"

static const char *const words[KPID_CLOCK_WORDS] = {
    [KPID_CLOCK_START] = "start",   [KPID_CLOCK_PAUSE] = "pause", [KPID_CLOCK_RESUME] = "resume",
    [KPID_CLOCK_REOPEN] = "reopen", [KPID_CLOCK_STOP] = "stop",   [KPID_CLOCK_CANCEL] = "cancel",
}; /* stops with a name have their own place */

/* ---- stops with a name ---- */

/* A condition, or { when, deadline }. */
static void mark_load(struct kpid_loader *loader, struct kpid_measure *measure, size_t index, struct kpid_yaml *node)
{
    int64_t *deadline_ms = &measure->keyed.clock.marks[index].deadline_ms;
    struct kpid_yaml *when = node;
    *deadline_ms = KPID_FOREVER;
    if (node->kind == KPID_YAML_MAP) {
        kpid_settings_check_keys(loader, "measures.*.clock.stops.*", node, NULL);
        const struct kpid_yaml *deadline = kpid_yaml_get(node, "deadline");
        when = kpid_yaml_get(node, "when");
        if (!when)
            kpid_keyed_missing(loader, measure, node, "when", "type == \"complaint.replied\"");
        if (deadline && kpid_want_duration(loader, deadline, "deadline", deadline_ms) && *deadline_ms < 1) {
            kpid_fault_add(&loader->faults, deadline->place, "deadline: %s is out of range", deadline->text);
            kpid_fault_advise(&loader->faults, "write a duration above 0");
        }
    }
    if (when)
        kpid_expr_parse(loader, measure->source, when, KPID_WANT_CONDITION, "when",
                        &measure->keyed.when[KPID_CLOCK_MARK + index]);
}

static void marks_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "stops"))
        return;
    if (map->n > KPID_CLOCK_MARKS) {
        kpid_fault_add(&loader->faults, map->keys[KPID_CLOCK_MARKS]->place, "more than %d stops with a name",
                       KPID_CLOCK_MARKS);
        kpid_fault_advise(&loader->faults, "make a second clock");
    }
    for (size_t i = 0; i < map->n && i < KPID_CLOCK_MARKS; i++) {
        const struct kpid_yaml *key = map->keys[i];
        kpid_want_name(loader, key, false, "stop");
        if (measure->agg->part(key->text, key->len) >= 0) {
            kpid_fault_add(&loader->faults, key->place, "`%s` is a part of every clock, so no stop can have that name",
                           key->text);
            kpid_fault_advise(&loader->faults, "give the stop another name, such as reply");
        }
        measure->keyed.clock.marks[i].name = kpid_strdup(key->text);
        measure->keyed.clock.n_marks = i + 1;
        mark_load(loader, measure, i, map->items[i]);
    }
}

/* ---- the clock ---- */

static void resume_check(struct kpid_loader *loader, const struct kpid_yaml *map)
{
    const struct kpid_yaml *key = kpid_yaml_key(map, "resume");
    if (!key || kpid_yaml_get(map, "pause"))
        return;
    kpid_fault_add(&loader->faults, key->place, "`resume` without `pause`");
    kpid_fault_advise(&loader->faults, "add pause: CONDITION, or remove `resume`");
}

static bool has_deadline(const struct kpid_keyed_spec *spec, size_t track)
{
    return (track ? spec->clock.marks[track - 1].deadline_ms : spec->clock.deadline_ms) != KPID_FOREVER;
}

static void due_check(struct kpid_loader *loader, const struct kpid_keyed_spec *spec, const struct kpid_yaml *map)
{
    const struct kpid_yaml *key = kpid_yaml_key(map, "due");
    bool any = false;
    for (size_t track = 0; track <= spec->clock.n_marks; track++)
        any |= has_deadline(spec, track);
    if (!key || any || kpid_yaml_get(map, "deadline"))
        return;
    kpid_fault_add(&loader->faults, key->place, "`due` without `deadline`");
    kpid_fault_advise(&loader->faults, "add deadline: DURATION, or remove `due`");
}

const char *kpid_clock_lacks(const struct kpid_measure *measure, int part)
{
    const struct kpid_keyed_spec *spec = &measure->keyed;
    bool due = part % KPID_PART_TRACK == measure->agg->part("due", 3);
    if (due && !has_deadline(spec, (size_t)part / KPID_PART_TRACK))
        return "deadline";
    return due && spec->clock.due_ms == KPID_FOREVER ? "due" : NULL;
}

void kpid_clock_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    const struct kpid_yaml *negative = kpid_yaml_get(map, "negative");
    kpid_keyed_words(measure, KPID_CLOCK_WORDS);
    marks_load(loader, measure, kpid_yaml_get(map, "stops"));
    for (size_t i = 0; i < KPID_CLOCK_WORDS; i++) {
        if (!words[i])
            continue;
        const struct kpid_yaml *node = kpid_yaml_get(map, words[i]);
        if (node)
            kpid_expr_parse(loader, measure->source, node, KPID_WANT_CONDITION, words[i], &measure->keyed.when[i]);
        else if (i == KPID_CLOCK_START || i == KPID_CLOCK_STOP)
            kpid_keyed_missing(loader, measure, map, words[i],
                               i == KPID_CLOCK_START ? "type == \"order.created\"" : "type == \"order.shipped\"");
    }
    resume_check(loader, map);
    due_check(loader, &measure->keyed, map);
    const struct kpid_yaml *calendar = kpid_yaml_get(map, "calendar");
    if (calendar)
        measure->keyed.clock.calendar = kpid_calendar_want(loader, calendar);
    uint8_t index;
    if (negative && kpid_want_choice(loader, negative, "negative", "drop|keep", &index))
        measure->keyed.clock.keep_negative = index == 1;
}

void kpid_clock_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out)
{
    kpid_buf_printf(out, "clock %" PRId64 " %" PRId64 " %" PRId64 " %d\n", spec->clock.deadline_ms,
                    spec->clock.due_ms, spec->clock.forget_after_ms, spec->clock.keep_negative);
    for (size_t i = 0; i < spec->clock.n_marks; i++)
        kpid_buf_printf(out, "stop %s %" PRId64 "\n", spec->clock.marks[i].name, spec->clock.marks[i].deadline_ms);
    if (spec->clock.calendar)
        kpid_buf_printf(out, "calendar %" PRIx64 "\n", spec->clock.calendar->hash);
}

void kpid_clock_release(struct kpid_keyed_spec *spec)
{
    for (size_t i = 0; i < spec->clock.n_marks; i++)
        free(spec->clock.marks[i].name);
}
