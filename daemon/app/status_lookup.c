/* What operators are told of look-ups. */
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>

static const struct lookup_metric {
    const char *name, *type, *help;
    size_t offset;
} metrics[] = {
#define LOOKUP_METRIC(name, type, member, help) { name, type, help, offsetof(struct kpid_lookup_stats, member) }
    LOOKUP_METRIC("kpid_lookup_entries", "gauge", entries, "Rows of the file, or keys that are cached."),
    LOOKUP_METRIC("kpid_lookup_bytes", "gauge", bytes, "Memory of the table or the cache."),
    LOOKUP_METRIC("kpid_lookup_hits_total", "counter", hits, "Events whose key was found."),
    LOOKUP_METRIC("kpid_lookup_misses_total", "counter", misses, "Events whose key is not in the table."),
    LOOKUP_METRIC("kpid_lookup_no_key_total", "counter", no_key, "Events without the field that holds the key."),
    LOOKUP_METRIC("kpid_lookup_late_total", "counter", late, "Events that went on after timeout without an answer."),
    LOOKUP_METRIC("kpid_lookup_down_total", "counter", down, "Events that went on without a connection."),
    LOOKUP_METRIC("kpid_lookup_failed_total", "counter", failed, "Events whose question Redis refused."),
    LOOKUP_METRIC("kpid_lookup_faulty_total", "counter", faulty, "Values that their column's type can't hold."),
    LOOKUP_METRIC("kpid_lookup_asked_total", "counter", asked, "Questions to Redis."),
    LOOKUP_METRIC("kpid_lookup_refreshed_total", "counter", refreshed, "Questions that renew an answer."),
    LOOKUP_METRIC("kpid_lookup_asking", "gauge", asking, "Questions without an answer yet."),
    LOOKUP_METRIC("kpid_lookup_evicted_total", "counter", evicted, "Keys that left the cache for others."),
    LOOKUP_METRIC("kpid_lookup_loads_total", "counter", loads, "Files that were taken."),
    LOOKUP_METRIC("kpid_lookup_load_faults_total", "counter", load_faults, "Files that were refused."),
#undef LOOKUP_METRIC
};

static void states(const struct daemon *d, const struct kpid_lookup_stats *stats, struct kpid_buf *body)
{
    const struct kpid_model *model = d->model;

    kpid_metric_family(body, "kpid_lookup_ok", "gauge",
                       "1: connected, or the file that lies there is in use; 0: not, or it was refused or is gone.");
    for (size_t i = 0; i < model->n_lookups; i++)
        kpid_metric_sample(body, "kpid_lookup_ok",
                           model->lookups[i].kind == KPID_LOOKUP_FILE ? !stats[i].broken : stats[i].up, "lookup",
                           model->lookups[i].name, NULL);
    kpid_metric_family(body, "kpid_lookup_age_seconds", "gauge", "Since the file that is in use was written.");
    for (size_t i = 0; i < model->n_lookups; i++)
        if (stats[i].written_ms != KPID_NEVER)
            kpid_metric_sample(body, "kpid_lookup_age_seconds", (double)(kpid_now_wall() - stats[i].written_ms) / 1000,
                               "lookup", model->lookups[i].name, NULL);
    kpid_metric_family(body, "kpid_waiting_events", "gauge", "Events that wait for a look-up, or behind one that does.");
    for (size_t s = 0; s < model->n_sources; s++) {
        size_t n = 0;
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            n += d->sources[s].slots[p] ? d->sources[s].slots[p]->waiting.n : 0;
        if (model->sources[s].n_joins)
            kpid_metric_sample(body, "kpid_waiting_events", (double)n, "source", model->sources[s].name, NULL);
    }
}

void kpid_status_lookups(const struct daemon *d, struct kpid_buf *body)
{
    const struct kpid_model *model = d->model;

    if (!model->n_lookups)
        return;
    struct kpid_lookup_stats *stats = kpid_zalloc(model->n_lookups, sizeof(*stats));
    for (size_t i = 0; i < model->n_lookups; i++)
        kpid_lookups_stats(d->lookups, i, &stats[i]);
    for (size_t m = 0; m < KPID_COUNT_OF(metrics); m++) {
        kpid_metric_family(body, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < model->n_lookups; i++)
            kpid_metric_sample(body, metrics[m].name,
                               (double)*(const uint64_t *)(const void *)((const char *)&stats[i] + metrics[m].offset),
                               "lookup", model->lookups[i].name, NULL);
    }
    states(d, stats, body);
    free(stats);
}

void kpid_status_lookups_line(const struct daemon *d, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < d->model->n_lookups && len < size; i++) {
        const struct kpid_lookup *lookup = &d->model->lookups[i];
        struct kpid_lookup_stats stats;
        kpid_lookups_stats(d->lookups, i, &stats);
        bool file = lookup->kind == KPID_LOOKUP_FILE;
        if (file ? stats.broken : !stats.up)
            len += (size_t)snprintf(text + len, size - len, ", look-up %s %s", lookup->name, file ? "broken" : "down");
    }
    if (d->n_waiting && len < size)
        snprintf(text + len, size - len, ", %zu events wait for look-ups", d->n_waiting);
}
