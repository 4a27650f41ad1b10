/* What the commands of kpictl share. Private to ctl. */
#ifndef KPID_CTL_H
#define KPID_CTL_H

#include "kpid/config.h"
#include "kpid/lookup.h"
#include "kpid/redis.h"

struct ctl {
    const char *config, *redis_url, *topic, *window, *sort, *match;
    int partitions, log_entries;
    bool json, once, quiet, keep, rebuild;
    char **args;
    int n_args;
    struct kpid_model *model;
};

/* Exit codes of all commands. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_FAULTS = 3 };

int ctl_check(struct ctl *ctl);
int ctl_explain(struct ctl *ctl);
int ctl_show(struct ctl *ctl);
int ctl_top(struct ctl *ctl);
int ctl_alerts(struct ctl *ctl);
int ctl_ledger(struct ctl *ctl);
int ctl_lag(struct ctl *ctl);
int ctl_replay(struct ctl *ctl);
int ctl_shard(struct ctl *ctl);
int ctl_instances(struct ctl *ctl);

/* explain.c: false after saying which KPIs there are. */
bool ctl_kpi_known(const struct ctl *ctl, const char *name);

/* remote.c: Redis, one command at a time. */
struct ctl_remote;
struct ctl_remote *ctl_remote_open(const struct ctl *ctl); /* NULL: said why on standard error */
void ctl_remote_close(struct ctl_remote *remote);
/* Returns false after saying why. `each` gets the reply, borrowed. Words are NUL-terminated, NULL ends them. */
typedef void ctl_reply(void *ctx, const struct kpid_reply *reply);
bool ctl_remote_ask(struct ctl_remote *remote, ctl_reply *each, void *ctx, ...) __attribute__((sentinel));

/* show.c: a figure as a person reads it: percentages and durations in their own words. */
void ctl_figure_print(const struct kpid_kpi *kpi, const char *text, char *out, size_t size);
/* One line of the newest figures below ctl_heading; `field` names the group. */
void ctl_row_print(const struct kpid_kpi *kpi, const struct kpid_window *window, const char *field, size_t field_len,
                   const char *json, size_t len);
extern const char ctl_heading[], ctl_no_figures[];
void ctl_snap_key(const struct ctl *ctl, const struct kpid_kpi *kpi, const struct kpid_window *window,
                  struct kpid_buf *key);
/* A hash gives its fields in any order: pairs of field and text, sorted for people. Returns, free with free. */
struct ctl_pair {
    const struct kpid_reply *field, *text;
};
struct ctl_pair *ctl_pairs_of(const struct kpid_reply *reply, int (*compare)(const void *, const void *), size_t *ret_n);
int ctl_by_field(const void *a, const void *b);
/* Whether a field of a snapshot hash is a group's newest figure, or the total's. */
bool ctl_field_is_group(const struct kpid_reply *field);

/* alerts.c: at most so many active ones, and so many transitions. False after saying why. */
bool ctl_alerts_print(const struct ctl *ctl, struct ctl_remote *remote, size_t most, int entries);

/* top_rows.c: the newest figures as rows that can be searched and sorted. */
struct ctl_row {
    const struct kpid_kpi *kpi;
    const struct kpid_window *window;
    char *field, *json;    /* owned */
    size_t field_len, json_len;
    char *group;           /* owned: values as they are, for the search */
    double value, deviation; /* NAN: none */
    int status;            /* the gravest is highest, -1: none */
    size_t order;          /* of the configuration */
    bool total;
};
struct ctl_rows {
    const struct ctl *ctl;
    struct ctl_row *at;
    size_t n, cap;
};
/* Reads the newest figures of each KPI: of the window that was asked for, else its first. False after saying why. */
bool ctl_rows_read(struct ctl_rows *rows, const struct ctl *ctl, struct ctl_remote *remote);
void ctl_rows_release(struct ctl_rows *rows);
/* What rows can be sorted by: names as --sort takes them, NULL past the end; -1: there is none of that name. */
const char *ctl_sort_name(size_t index);
int ctl_sort_find(const char *name);
void ctl_rows_sort(struct ctl_rows *rows, size_t sort, bool reverse);
/* Whether a row is wanted: a KPI, title, owner, dimension or group with the text in it, in small letters or capitals; of an empty
 * text the totals. */
bool ctl_row_matches(const struct ctl_row *row, const char *match);

/* tables.c: look-ups of the configuration. Both give an exit code, and say why when it is not CTL_OK. */
struct ctl_tables;
int ctl_tables_load(const struct ctl *ctl, struct kpid_lookups **ret); /* only what can be known without Redis */
int ctl_tables_open(const struct ctl *ctl, struct ctl_tables **ret);
void ctl_tables_close(struct ctl_tables *tables);
/* Fills an event's joined fields; waits for answers. */
void ctl_tables_join(struct ctl_tables *tables, uint32_t source, const struct kpid_event *event);

/* joins.c: look-ups in what explain says, as lines and as a member of its JSON. */
void ctl_joins_print(const struct kpid_model *model, const struct kpid_source *source);
void ctl_joins_json(const struct kpid_model *model, const struct kpid_kpi *kpi, struct kpid_buf *out);

/* costs.c: what a measure costs, as lines and as a member of the JSON; and what a KPI's sketches in Redis do. */
void ctl_costs_print(const struct kpid_model *model, const struct kpid_measure *measure);
void ctl_costs_json(const struct kpid_model *model, const struct kpid_kpi *kpi, struct kpid_buf *out);
void ctl_sketch_print(const struct kpid_model *model, const struct kpid_kpi *kpi, const struct kpid_sketch *sketch);

/* keyed.c: key and clock of a keyed measure in what explain says; nothing for others. */
void ctl_keyed_print(const struct kpid_measure *measure);
/* explain.c: a duration in the largest unit that it is a multiple of. */
void ctl_ms_print(int64_t ms);

/* All keys that match; appended, release with ctl_names_release. */
struct ctl_names {
    char **at;
    size_t n;
};
bool ctl_remote_scan(struct ctl_remote *remote, const char *pattern, struct ctl_names *names);
void ctl_names_release(struct ctl_names *names);

/* json.c: a field of a flat look at an object's text; strings are unescaped as far as a terminal needs. NULL: absent.
 * Writes to `text`. */
const char *ctl_json_field(const char *json, size_t len, const char *name, char *text, size_t size);

/* pages.c: GET from the daemon's HTTP address; false after saying why. */
bool ctl_http_get(const struct ctl *ctl, const char *path, struct kpid_buf *body);

#endif
