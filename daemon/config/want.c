/* Reads single values; each fault says what was expected and how to write it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "text.h"

bool kpid_want_map(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what)
{
    if (node->kind == KPID_YAML_MAP)
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s must be a mapping, not %s", what,
                   kpid_yaml_is_null(node) ? "empty" : kpid_yaml_kind_name(node));
    kpid_fault_advise(&loader->faults, "write `key: value` lines, indented, or { key: value, ... }");
    return false;
}

bool kpid_want_text(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what)
{
    if (node->kind == KPID_YAML_SCALAR && !kpid_yaml_is_null(node) && node->len > 0)
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s must be one value, not %s", what,
                   node->kind == KPID_YAML_SCALAR ? "empty" : kpid_yaml_kind_name(node));
    kpid_fault_advise(&loader->faults, "write one value behind the colon, or remove the key");
    return false;
}

bool kpid_want_duration(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                        int64_t *ret_ms)
{
    if (!kpid_want_text(loader, node, what))
        return false;
    if (kpid_text_duration(node->text, ret_ms))
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s: `%s` is not a duration", what, node->text);
    kpid_fault_advise(&loader->faults,
                      "write whole numbers with a unit: 500ms, 30s, 5m, 48h, 30d, 1w, 1h30m");
    return false;
}

bool kpid_want_percent(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                       double *ret)
{
    if (!kpid_want_text(loader, node, what))
        return false;
    if (kpid_text_percent(node->text, ret))
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s: `%s` is not a percentage", what, node->text);
    kpid_fault_advise(&loader->faults, "write it with a percent sign, such as -10 %% or 3.2 %%");
    return false;
}

bool kpid_want_count(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what, uint64_t min,
                     uint64_t max, uint64_t *ret)
{
    uint64_t value;
    if (!kpid_want_text(loader, node, what))
        return false;
    if (kpid_text_count(node->text, &value) && value >= min && value <= max) {
        *ret = value;
        return true;
    }
    kpid_fault_add(&loader->faults, node->place,
                   "%s: `%s` is not a whole number from %" PRIu64 " to %" PRIu64, what, node->text, min, max);
    kpid_fault_advise(&loader->faults, "write digits only, such as %" PRIu64,
                      min > 0     ? min
                      : max < 500 ? max
                                  : 500);
    return false;
}

bool kpid_want_choice(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                      const char *words, uint8_t *ret)
{
    if (!kpid_want_text(loader, node, what))
        return false;
    if (kpid_text_choice(node->text, words, ret))
        return true;
    struct kpid_names names = {0};
    char *copy = kpid_strdup(words), *rest = copy;
    for (char *word; (word = strsep(&rest, "|"));)
        kpid_names_add(&names, word);
    kpid_fault_add(&loader->faults, node->place, "%s can't be `%s`", what, node->text);
    kpid_fault_advise_names(&loader->faults, node->text, "words", &names);
    kpid_names_release(&names);
    free(copy);
    return false;
}

bool kpid_want_time(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                    int64_t *ret_ms)
{
    if (!kpid_want_text(loader, node, what))
        return false;
    if (kpid_time_parse(node->text, node->len, ret_ms))
        return true;
    kpid_fault_add(&loader->faults, node->place, "%s: `%s` is not an instant", what, node->text);
    kpid_fault_advise(&loader->faults, "write date, time and offset, such as 2026-01-01T00:00:00Z");
    return false;
}

void kpid_want_name(struct kpid_loader *loader, const struct kpid_yaml *key, bool dots, const char *what)
{
    if (kpid_text_is_name(key->text, dots) && key->len <= 128)
        return;
    kpid_fault_add(&loader->faults, key->place, "`%.140s` can't be the name of a %s", key->text, what);
    kpid_fault_advise(&loader->faults,
                      "names begin with a letter and hold letters, digits%s, at most 128 of them",
                      dots ? ", _ . and -" : " and _");
}

bool kpid_want_texts(struct kpid_loader *loader, struct kpid_yaml *node, const char *what,
                     struct kpid_yaml **one, struct kpid_yaml ***ret, size_t *ret_n)
{
    if (node->kind != KPID_YAML_LIST) {
        if (!kpid_want_text(loader, node, what))
            return false;
        *one = node;
        *ret = one;
        *ret_n = 1;
        return true;
    }
    for (size_t i = 0; i < node->n; i++)
        if (!kpid_want_text(loader, node->items[i], what))
            return false;
    *ret = node->items;
    *ret_n = node->n;
    return true;
}

/* ---- environment
 * --------------------------------------------------------------------------------------------- */

/* One ${...}; `at` stands behind the brace. Returns the place behind its end, NULL: it has none. */
static const char *variable_add(struct kpid_loader *loader, const struct kpid_yaml *node, const char *at,
                                struct kpid_buf *out)
{
    const char *end = strchr(at, '}');
    struct kpid_place place = kpid_yaml_place_in(&loader->tree, node, (size_t)(at - 2 - node->text));
    if (!end) {
        kpid_fault_add(&loader->faults, place, "`${` is not closed");
        kpid_fault_advise(&loader->faults, "write ${NAME} or ${NAME:-default}");
        return NULL;
    }
    char *name = kpid_strndup(at, (size_t)(end - at));
    char *fallback = strstr(name, ":-");
    if (fallback) {
        *fallback = '\0';
        fallback += 2;
    }
    const char *value = kpid_text_is_name(name, false) ? getenv(name) : NULL;
    if (!kpid_text_is_name(name, false)) {
        kpid_fault_add(&loader->faults, place, "`%s` can't be the name of an environment variable", name);
        kpid_fault_advise(&loader->faults, "write ${NAME} or ${NAME:-default}");
    } else if ((!value || !*value) && fallback) {
        kpid_buf_add_str(out, fallback);
    } else if (!value) {
        kpid_fault_add(&loader->faults, place, "environment variable `%s` is not set", name);
        kpid_fault_advise(&loader->faults, "set it where kpid is started, or write ${%s:-default}", name);
    } else {
        kpid_buf_add_str(out, value);
    }
    free(name);
    return end + 1;
}

char *kpid_env_expand(struct kpid_loader *loader, const struct kpid_yaml *node)
{
    struct kpid_buf out = KPID_BUF_INIT;
    kpid_buf_reserve(&out, node->len);
    for (const char *at = node->text; *at;) {
        const char *next = strstr(at, "${");
        if (!next) {
            kpid_buf_add_str(&out, at);
            break;
        }
        kpid_buf_add(&out, at, (size_t)(next - at));
        at = variable_add(loader, node, next + 2, &out);
        if (!at)
            break;
    }
    return kpid_buf_take(&out);
}
