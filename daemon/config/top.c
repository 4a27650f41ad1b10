/* `top:` of a measure: the heaviest keys, by number of events or by the sum of a value. */
#include "expression.h"
#include "settings.h"

#define LISTED_DEFAULT 10
#define KEYS_DEFAULT   1000
#define KEYS_MIN       10

static void count_load(struct kpid_loader *loader, const struct kpid_yaml *map, const char *key, uint64_t min, uint64_t max,
                       uint64_t *count)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, key);
    if (node && !kpid_want_count(loader, node, key, min, max, count))
        *count = min;
}

void kpid_top_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *node)
{
    struct kpid_yaml *key = node;
    uint64_t listed = LISTED_DEFAULT, keys = KEYS_DEFAULT;
    if (node->kind == KPID_YAML_MAP) {
        kpid_settings_check_keys(loader, "measures.*.top", node, NULL);
        key = kpid_yaml_get(node, "key");
        struct kpid_yaml *sum = kpid_yaml_get(node, "sum");
        measure->param.top_sum = sum != NULL;
        if (sum)
            kpid_expr_parse(loader, measure->source, sum, KPID_WANT_NUMBER, "sum", &measure->weight);
        count_load(loader, node, "k", 1, KPID_TOP_MAX, &listed);
        count_load(loader, node, "keys", KEYS_MIN, KPID_TOP_KEYS_MAX, &keys);
    }
    measure->param.top_k = (uint16_t)listed;
    measure->param.top_keys = (uint32_t)keys;
    if (!key) {
        kpid_fault_add(&loader->faults, node->place, "the top of `%s` has no `key`", measure->name);
        kpid_fault_advise(&loader->faults, "add key: product_id");
        return;
    }
    kpid_expr_parse(loader, measure->source, key, KPID_WANT_FIELD, "top", &measure->value);
    if (listed <= keys)
        return;
    kpid_fault_add(&loader->faults, node->place, "the top of `%s` lists more keys than it keeps", measure->name);
    kpid_fault_advise(&loader->faults, "raise keys, or lower k");
}
