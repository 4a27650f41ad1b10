/* `retention:` of a measure. */
#include <inttypes.h>

#include "keyed.h"

#define DAYS_MAX 366

static void days_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    static const uint16_t usual[] = {1, 7, 30};
    struct kpid_yaml *node = kpid_yaml_get(map, "days"), *one, **items;
    size_t n = KPID_COUNT_OF(usual);
    uint16_t *days = measure->keyed.retention.days;
    for (size_t i = 0; i < n; i++)
        days[i] = usual[i];
    if (node && kpid_want_texts(loader, node, "days", &one, &items, &n)) {
        bool rising = n >= 1 && n <= KPID_WORDS_MAX;
        for (size_t i = 0; i < n && rising; i++) {
            uint64_t day = 0;
            if (!kpid_want_count(loader, items[i], "days", 1, DAYS_MAX, &day))
                return;
            rising = i == 0 || day > days[i - 1];
            days[i] = (uint16_t)day;
        }
        if (!rising) {
            kpid_fault_add(&loader->faults, node->place, "days must be 1 to %d rising numbers", KPID_WORDS_MAX);
            kpid_fault_advise(&loader->faults, "write days: [1, 7, 30]");
            return;
        }
    }
    measure->keyed.retention.n_days = measure->param.n_steps = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        measure->param.days[i] = days[i];
}

void kpid_retention_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    static const char *const words[] = {"start", "return"};
    static const char *const examples[] = {"type == \"user.registered\"", "type == \"page.viewed\""};
    const struct kpid_yaml *zone = kpid_yaml_get(map, "zone");
    kpid_keyed_words(measure, KPID_COUNT_OF(words));
    for (size_t i = 0; i < KPID_COUNT_OF(words); i++) {
        const struct kpid_yaml *node = kpid_yaml_get(map, words[i]);
        if (node)
            kpid_expr_parse(loader, measure->source, node, KPID_WANT_CONDITION, words[i], &measure->keyed.when[i]);
        else
            kpid_keyed_missing(loader, measure, map, words[i], examples[i]);
    }
    measure->keyed.retention.zone = zone ? kpid_zone_want(loader, zone) : loader->zone;
    days_load(loader, measure, map);
}

void kpid_retention_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out)
{
    kpid_buf_printf(out, "retention %s", spec->retention.zone->name);
    for (size_t i = 0; i < spec->retention.n_days; i++)
        kpid_buf_printf(out, " %d", spec->retention.days[i]);
    kpid_buf_add_char(out, '\n');
}
