/* What the commands of kpictl share. Private to ctl. */
#ifndef KPID_CTL_H
#define KPID_CTL_H

#include "kpid/config.h"
#include "kpid/lookup.h"
#include "kpid/redis.h"

struct ctl {
    const char *config, *redis_url, *topic, *window;
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
