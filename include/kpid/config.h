/* YAML -> model. Every fault of the file at once, each with file:line:column, the line, a caret and advice. */
#ifndef KPID_CONFIG_H
#define KPID_CONFIG_H

#include "kpid/buf.h"
#include "kpid/model.h"

struct kpid_config_options {
    const char *zoneinfo;    /* directory of TZif files; NULL = /usr/share/zoneinfo */
    const char *calendars;   /* directory of calendars looked for behind the configuration's own; NULL = the installed */
};

/* Reads `path`. Returns the model (owned, kpid_model_free), or NULL: `faults` then holds one text a fault, separated
 * by a blank line, in the order of the file, and *ret_faults their number. Warnings (also with a model) are in
 * `faults` too, with *ret_faults = 0. */
struct kpid_model *kpid_config_load(const char *path, const struct kpid_config_options *options,
                                    struct kpid_buf *faults, size_t *ret_faults) KPID_MUST_CHECK;

/* The same from memory; `name` stands for the path in messages. */
struct kpid_model *kpid_config_parse(const char *name, const char *text, size_t len,
                                     const struct kpid_config_options *options, struct kpid_buf *faults,
                                     size_t *ret_faults) KPID_MUST_CHECK;

/* Appends the table of all keys, one a line, in the order of the manual: key ("sources.*.out_of_order"), type, default,
 * range and help, separated by tabs. */
void kpid_config_describe(struct kpid_buf *out);

#endif
