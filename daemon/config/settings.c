#include "settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* ---- storing by table
 * ---------------------------------------------------------------------------------------- */

static void store_integer(const struct kpid_setting *setting, void *base, uint64_t value)
{
    void *at = (char *)base + setting->offset;
    switch (setting->width) {
    case 1: *(uint8_t *)at = (uint8_t)value; break;
    case 4: *(uint32_t *)at = (uint32_t)value; break;
    default: assert(setting->width == 8); memcpy(at, &value, 8);
    }
}

static void store_text(const struct kpid_setting *setting, void *base, char *text)
{
    memcpy((char *)base + setting->offset, &text, sizeof text);
}

/* Reads the text as the setting's type. False: it is none; true: *ret holds. */
static bool integer_read(const struct kpid_setting *setting, const char *text, uint64_t *ret)
{
    int64_t ms;
    uint8_t index;
    switch (setting->type) {
    case KPID_SETTING_DURATION:
        if (setting->words && strcmp(text, setting->words) == 0) {
            *ret = (uint64_t)KPID_FOREVER;
            return true;
        }
        if (!kpid_text_duration(text, &ms))
            return false;
        *ret = (uint64_t)ms;
        return true;
    case KPID_SETTING_SIZE: return kpid_text_size(text, ret);
    case KPID_SETTING_COUNT: return kpid_text_count(text, ret);
    case KPID_SETTING_BOOL:
        if (!kpid_text_choice(text, "false|true", &index))
            return false;
        *ret = index;
        return true;
    case KPID_SETTING_CHOICE:
        if (!kpid_text_choice(text, setting->words, &index))
            return false;
        *ret = index;
        return true;
    default: return false;
    }
}

static void bound_print(const struct kpid_setting *setting, int64_t value, char text[64])
{
    if (setting->type == KPID_SETTING_DURATION)
        kpid_text_print_duration(value, text);
    else if (setting->type == KPID_SETTING_SIZE && value >= 1024 && value % 1024 == 0)
        snprintf(text, 64, "%" PRId64 "KiB", value / 1024);
    else
        snprintf(text, 64, "%" PRId64, value);
}

static void range_fault(struct kpid_loader *loader, const struct kpid_setting *setting,
                        const struct kpid_yaml *node)
{
    char low[64], high[64];
    bound_print(setting, setting->min, low);
    bound_print(setting, setting->max, high);
    kpid_fault_add(&loader->faults, node->place, "%s: %s is out of range", setting->key, node->text);
    kpid_fault_advise(&loader->faults, "write a value from %s to %s (default %s)", low, high,
                      setting->initial ? setting->initial : "none");
}

static void type_fault(struct kpid_loader *loader, const struct kpid_setting *setting,
                       const struct kpid_yaml *node)
{
    static const char *const kinds[] = {
        [KPID_SETTING_BOOL] = "true or false",
        [KPID_SETTING_DURATION] = "a duration",
        [KPID_SETTING_SIZE] = "a size",
        [KPID_SETTING_COUNT] = "a whole number",
    };
    static const char *const examples[] = {
        [KPID_SETTING_BOOL] = "true or false",
        [KPID_SETTING_DURATION] = "500ms, 30s, 5m, 48h, 30d, 1w or 1h30m",
        [KPID_SETTING_SIZE] = "64KiB, 128MiB, 1GiB or 1GB",
        [KPID_SETTING_COUNT] = "digits only, such as 1000",
    };
    kpid_fault_add(&loader->faults, node->place, "%s: `%s` is not %s", setting->key, node->text,
                   kinds[setting->type]);
    kpid_fault_advise(&loader->faults, "write %s%s%s", examples[setting->type], setting->words ? " or " : "",
                      setting->words ? setting->words : "");
}

static void value_read(struct kpid_loader *loader, const struct kpid_setting *setting,
                       const struct kpid_yaml *node, void *base)
{
    uint64_t value;
    uint8_t index;
    if (!kpid_want_text(loader, node, setting->key))
        return;
    if (setting->type == KPID_SETTING_TEXT) {
        store_text(setting, base, kpid_strdup(node->text));
    } else if (setting->type == KPID_SETTING_ENV) {
        store_text(setting, base, kpid_env_expand(loader, node));
    } else if (setting->type == KPID_SETTING_CHOICE) {
        if (kpid_want_choice(loader, node, setting->key, setting->words, &index))
            store_integer(setting, base, index);
    } else if (!integer_read(setting, node->text, &value)) {
        type_fault(loader, setting, node);
    } else if (setting->max > 0 && value != (uint64_t)KPID_FOREVER &&
               (value < (uint64_t)setting->min || value > (uint64_t)setting->max)) {
        range_fault(loader, setting, node);
    } else {
        store_integer(setting, base, value);
    }
}

static void default_store(const struct kpid_setting *setting, void *base)
{
    uint64_t value = 0;
    if (!setting->initial || setting->initial[0] == '=')
        return;
    if (setting->type == KPID_SETTING_TEXT || setting->type == KPID_SETTING_ENV) {
        store_text(setting, base, kpid_strdup(setting->initial));
        return;
    }
    bool good = integer_read(setting, setting->initial, &value);
    assert(good); /* the table's own fault */
    store_integer(setting, base, value);
}

void kpid_settings_read(struct kpid_loader *loader, const char *section, const struct kpid_yaml *map,
                        void *base)
{
    const struct kpid_setting *setting;
    for (size_t i = 0; (setting = kpid_setting_at(i)); i++) {
        if (strcmp(setting->section, section) != 0 || setting->width == 0)
            continue;
        const struct kpid_yaml *node = kpid_yaml_get(map, setting->key);
        bool text = setting->type == KPID_SETTING_TEXT || setting->type == KPID_SETTING_ENV;
        if (!node || !text)
            default_store(setting, base); /* also under a faulty value, so that later checks are quiet */
        if (node)
            value_read(loader, setting, node, base);
    }
}

static bool name_listed(const struct kpid_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0)
            return true;
    return false;
}

void kpid_settings_check_keys(struct kpid_loader *loader, const char *section, const struct kpid_yaml *map,
                              const struct kpid_names *more)
{
    struct kpid_names names = {0};
    const struct kpid_setting *setting;
    for (size_t i = 0; (setting = kpid_setting_at(i)); i++)
        if (strcmp(setting->section, section) == 0)
            kpid_names_add(&names, setting->key);
    for (size_t i = 0; more && i < more->n; i++)
        if (!name_listed(&names, more->at[i]))
            kpid_names_add(&names, more->at[i]);
    for (size_t i = 0; i < map->n; i++) {
        if (name_listed(&names, map->keys[i]->text))
            continue;
        kpid_fault_add(&loader->faults, map->keys[i]->place, "unknown key `%s`", map->keys[i]->text);
        kpid_fault_advise_names(&loader->faults, map->keys[i]->text, "keys here", &names);
    }
    kpid_names_release(&names);
}

void kpid_config_describe(struct kpid_buf *out)
{
    static const char *const types[] = {
        [KPID_SETTING_TEXT] = "text",       [KPID_SETTING_ENV] = "text with ${NAME}",
        [KPID_SETTING_BOOL] = "true|false", [KPID_SETTING_DURATION] = "duration",
        [KPID_SETTING_SIZE] = "size",       [KPID_SETTING_COUNT] = "number",
        [KPID_SETTING_CHOICE] = NULL,       [KPID_SETTING_HAND] = NULL,
    };
    const struct kpid_setting *setting;
    for (size_t i = 0; (setting = kpid_setting_at(i)); i++) {
        const char *initial = setting->initial ? setting->initial : "";
        const char *type = types[setting->type];
        char low[64] = "", high[64] = "";
        if (setting->max > 0 && setting->max < INT64_MAX / 8) {
            bound_print(setting, setting->min, low);
            bound_print(setting, setting->max, high);
        }
        kpid_buf_printf(out, "%s%s%s\t%s%s%s\t%s\t%s%s%s\t%s\n", setting->section,
                        *setting->section ? "." : "", setting->key, type ? type : setting->words,
                        type && setting->words ? " or " : "", type && setting->words ? setting->words : "",
                        initial + (*initial == '='), low, *low ? " .. " : "", high, setting->help);
    }
}
