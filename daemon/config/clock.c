/* `clock:` of a measure. */
#include <inttypes.h>
#include <string.h>

#include "keyed.h"
#include "worktime.h"

static const char *const words[KPID_CLOCK_WORDS] = {
    [KPID_CLOCK_START] = "start",   [KPID_CLOCK_PAUSE] = "pause", [KPID_CLOCK_RESUME] = "resume",
    [KPID_CLOCK_REOPEN] = "reopen", [KPID_CLOCK_STOP] = "stop",   [KPID_CLOCK_CANCEL] = "cancel",
};

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
    const struct kpid_yaml *negative = kpid_yaml_get(map, "negative");
    kpid_keyed_words(measure, KPID_CLOCK_WORDS);
    for (size_t i = 0; i < KPID_CLOCK_WORDS; i++) {
        const struct kpid_yaml *node = kpid_yaml_get(map, words[i]);
        if (node)
            kpid_expr_parse(loader, measure->source, node, KPID_WANT_CONDITION, words[i], &measure->keyed.when[i]);
        else if (i == KPID_CLOCK_START || i == KPID_CLOCK_STOP)
            kpid_keyed_missing(loader, measure, map, words[i],
                               i == KPID_CLOCK_START ? "type == \"order.created\"" : "type == \"order.shipped\"");
    }
    resume_check(loader, map);
    const struct kpid_yaml *calendar = kpid_yaml_get(map, "calendar");
    if (calendar)
        measure->keyed.clock.calendar = kpid_calendar_want(loader, calendar);
    uint8_t index;
    if (negative && kpid_want_choice(loader, negative, "negative", "drop|keep", &index))
        measure->keyed.clock.keep_negative = index == 1;
}

void kpid_clock_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out)
{
    kpid_buf_printf(out, "clock %" PRId64 " %" PRId64 " %d\n", spec->clock.deadline_ms,
                    spec->clock.forget_after_ms, spec->clock.keep_negative);
    if (spec->clock.calendar)
        kpid_buf_printf(out, "calendar %" PRIx64 "\n", spec->clock.calendar->hash);
}
