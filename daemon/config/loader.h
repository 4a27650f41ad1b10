/* What the files of this folder share while one configuration is read. */
#ifndef KPID_CONFIG_LOADER_H
#define KPID_CONFIG_LOADER_H

#include "kpid/config.h"
#include "yaml_tree.h"

/* A calendar that was looked for; `work` NULL: it has faults. */
struct kpid_named_calendar {
    char *name;
    const struct kpid_worktime *work; /* of the model */
    bool section;                     /* named under `calendars:` */
};

struct kpid_parse; /* an expression between parsing and typing, see expression.h */

struct kpid_loader {
    struct kpid_faults faults;
    struct kpid_yaml_tree tree;
    struct kpid_model *model;
    const char *zoneinfo;
    const struct kpid_zone *zone; /* default of the instance */
    struct kpid_yaml **kpi_nodes; /* one per KPI: its mapping */
    struct kpid_parse **parses;   /* expressions that wait for types */
    size_t n_parses;
    bool **declared; /* per source and field: declared under `fields` (types are not inferred) */
    const struct kpid_yaml **measure_by; /* per measure: its `by`, or NULL */
    const char *installed_calendars;
    struct kpid_named_calendar *calendars;
    size_t n_calendars;
    struct kpid_buf other_faults; /* of other files, as text, and how many of them are errors */
    size_t n_other_faults;
};

/* ---- reading one value; each gives a fault and false when it is not what it should be
 * -------------------------- */

bool kpid_want_map(struct kpid_loader *loader, const struct kpid_yaml *node,
                   const char *what) KPID_MUST_CHECK;
/* A scalar that is not null. */
bool kpid_want_text(struct kpid_loader *loader, const struct kpid_yaml *node,
                    const char *what) KPID_MUST_CHECK;
bool kpid_want_duration(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                        int64_t *ret_ms) KPID_MUST_CHECK;
bool kpid_want_percent(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                       double *ret) KPID_MUST_CHECK;
bool kpid_want_count(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what, uint64_t min,
                     uint64_t max, uint64_t *ret) KPID_MUST_CHECK;
bool kpid_want_choice(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                      const char *words, uint8_t *ret) KPID_MUST_CHECK;
bool kpid_want_time(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what,
                    int64_t *ret_ms) KPID_MUST_CHECK;
/* Only a fault: reading goes on under the name. */
void kpid_want_name(struct kpid_loader *loader, const struct kpid_yaml *key, bool dots, const char *what);
/* The items of a list; a single scalar counts as a list of one. *ret points into the tree or to `one`. */
bool kpid_want_texts(struct kpid_loader *loader, struct kpid_yaml *node, const char *what,
                     struct kpid_yaml **one, struct kpid_yaml ***ret, size_t *ret_n) KPID_MUST_CHECK;
/* Text with ${NAME} and ${NAME:-default} filled in from the environment; owned; never NULL. */
char *kpid_env_expand(struct kpid_loader *loader, const struct kpid_yaml *node);

/* ---- the parts, in the order they are read
 * ------------------------------------------------------------------- */

void kpid_settings_load(struct kpid_loader *loader, struct kpid_yaml *root);
void kpid_sources_load(struct kpid_loader *loader, struct kpid_yaml *map);
void kpid_measures_load(struct kpid_loader *loader, struct kpid_yaml *map);
void kpid_kpis_load(struct kpid_loader *loader, struct kpid_yaml *map);
/* `hll:` of the measures: which windows of which KPIs publish sketches. After the KPIs. */
void kpid_sketches_load(struct kpid_loader *loader, struct kpid_yaml *measures);
void kpid_model_plan(struct kpid_loader *loader);
void kpid_model_hash(struct kpid_model *model);

/* `top: field` or `top: { key, sum, k, keys }`. */
void kpid_top_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *node);
void kpid_windows_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *map);
void kpid_targets_load(struct kpid_loader *loader, struct kpid_kpi *kpi, struct kpid_yaml *node);
void kpid_rules_load(struct kpid_loader *loader, uint32_t kpi, struct kpid_yaml *node);

/* ---- shared by them
 * ------------------------------------------------------------------------------------------ */

/* Slot of a field of the source by name; makes it with path = its dotted parts when it is not there. -1: too
 * many fields (a fault at `place`). */
int kpid_source_field(struct kpid_loader *loader, uint32_t source, const char *name, struct kpid_place place);
/* Adds a field; path NULL: a join fills it. `declared`: its type is not inferred. Borrowed until the next one. */
struct kpid_field *kpid_source_field_add(struct kpid_loader *loader, uint32_t source, const char *name,
                                         const char *path, bool declared);
/* A fault unless the text begins as the address of a Redis does. */
void kpid_redis_url_check(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what, const char *url);
/* The number of a type's name. */
uint32_t kpid_source_type(struct kpid_source *source, const char *name);
/* The zone of a name, loaded once; NULL: a fault at node. */
const struct kpid_zone *kpid_zone_want(struct kpid_loader *loader, const struct kpid_yaml *node);
const struct kpid_zone *kpid_zone_named(struct kpid_loader *loader, const char *name,
                                        struct kpid_place place);
/* Reads a TZif file (RFC 8536) into `zone`, its rule unrolled to 2100; false: `error` says why. */
bool kpid_zone_read(const char *zoneinfo, const char *name, struct kpid_zone *zone,
                    const char **error) KPID_MUST_CHECK;
/* The whole file, at most 16 MiB; false: `error` says why (borrowed until the next error). */
bool kpid_file_read(const char *path, struct kpid_buf *ret, const char **error) KPID_MUST_CHECK;
/* Splits a dotted path. Returns owned keys. */
char **kpid_path_split(const char *dotted, size_t *ret_n);
/* Index of a window of the KPI by name, -1: none. */
int kpid_window_find(const struct kpid_kpi *kpi, const char *name);

#endif
