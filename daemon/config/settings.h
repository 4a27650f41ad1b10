/*
 * Every key of the file, once: where it stands, its type, default, range, words and what it does. The loader
 * reads plain settings from this table, unknown keys are found with it, and the manual and the tests compare
 * with it (kpid_config_describe).
 */
#ifndef KPID_CONFIG_SETTINGS_H
#define KPID_CONFIG_SETTINGS_H

#include "loader.h"

enum kpid_setting_type {
    KPID_SETTING_TEXT,     /* char *; owned */
    KPID_SETTING_ENV,      /* the same, ${NAME} and ${NAME:-default} expanded */
    KPID_SETTING_BOOL,     /* true | false */
    KPID_SETTING_DURATION, /* int64_t ms; `words`: one word that means KPID_FOREVER */
    KPID_SETTING_SIZE,     /* bytes */
    KPID_SETTING_COUNT,
    KPID_SETTING_CHOICE, /* uint8_t: index into `words` */
    KPID_SETTING_HAND    /* read by code of its own; `words` names its type for people */
};

struct kpid_setting {
    const char *section; /* "", "kafka", "sources.*", "kpis.*.alert" … */
    const char *key;
    uint8_t type;
    uint8_t width;       /* bytes of the member */
    uint16_t offset;     /* of the member in the struct that the section fills */
    const char *initial; /* as it would be written; NULL = none; "=..." says how it follows from others */
    int64_t min, max;    /* of durations, sizes and counts; max 0 = none */
    const char *words;
    const char *help;
};

/* Walks the table; NULL past its end. */
const struct kpid_setting *kpid_setting_at(size_t index);

/* Reads all plain settings of a section into `base`; what is missing (all, when map is NULL) gets its
 * default. */
void kpid_settings_read(struct kpid_loader *loader, const char *section, const struct kpid_yaml *map,
                        void *base);
/* A fault for each key of the map that the section does not have; `more` (may be NULL) are allowed beside it.
 */
void kpid_settings_check_keys(struct kpid_loader *loader, const char *section, const struct kpid_yaml *map,
                              const struct kpid_names *more);

#endif
