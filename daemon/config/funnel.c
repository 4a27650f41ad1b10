/* `funnel:` of a measure. */
#include <inttypes.h>
#include <stdio.h>

#include "keyed.h"

static void steps_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    struct kpid_yaml *steps = kpid_yaml_get(map, "steps");
    if (!steps) {
        kpid_keyed_missing(loader, measure, map, "steps",
                           "[ type == \"cart.added\", type == \"checkout.completed\" ]");
        return;
    }
    if (steps->kind != KPID_YAML_LIST || steps->n < 2 || steps->n > KPID_WORDS_MAX) {
        kpid_fault_add(&loader->faults, steps->place, "steps must be a list of 2 to %d conditions", KPID_WORDS_MAX);
        kpid_fault_advise(&loader->faults, "write steps: [ type == \"cart.added\", type == \"checkout.completed\" ]");
        return;
    }
    kpid_keyed_words(measure, steps->n);
    measure->param.n_steps = (uint8_t)steps->n;
    for (size_t i = 0; i < steps->n; i++) {
        char name[24];
        snprintf(name, sizeof name, "step %u", (unsigned)(i + 1));
        kpid_expr_parse(loader, measure->source, steps->items[i], KPID_WANT_CONDITION, name, &measure->keyed.when[i]);
    }
}

void kpid_funnel_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    const struct kpid_yaml *order = kpid_yaml_get(map, "order"), *again = kpid_yaml_get(map, "again");
    uint8_t index;
    if (!kpid_yaml_key(map, "within"))
        kpid_keyed_missing(loader, measure, map, "within", "30m");
    steps_load(loader, measure, map);
    if (order && kpid_want_choice(loader, order, "order", "strict|free", &index))
        measure->keyed.funnel.free = index == 1;
    if (again && kpid_want_choice(loader, again, "again", "expired|completed", &index))
        measure->keyed.funnel.again = index == 1;
}

void kpid_funnel_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out)
{
    kpid_buf_printf(out, "funnel %" PRId64 " %d %d\n", spec->funnel.within_ms, spec->funnel.free, spec->funnel.again);
}
