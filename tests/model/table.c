#include "table.h"

#include "world.h"

#include "kpid/lookup.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
    const struct kpid_model *model;
    struct event_base *base;
    struct kpid_lookups *lookups;
    unsigned version;
};

static void fail(const char *what)
{
    fprintf(stderr, "the table of the look-up: %s\n", what);
    exit(1);
}

/* A new file takes the old one's place, so that it is never seen half. */
static void write_version(const struct table *table)
{
    struct kpid_buf text = KPID_BUF_INIT, next = KPID_BUF_INIT;
    const char *path = table->model->lookups[0].file;

    world_teams_write(table->version, &text);
    kpid_buf_printf(&next, "%s.next", path);
    FILE *file = fopen(next.data, "w");
    if (!file || fwrite(text.data, 1, text.len, file) != text.len || fclose(file) != 0 ||
        rename(next.data, path) != 0)
        fail("it can't be written");
    kpid_buf_release(&text);
    kpid_buf_release(&next);
}

static void on_answered(void *ctx)
{
    (void)ctx;
}

static void on_told(void *ctx, enum kpid_told kind, const char *text)
{
    (void)ctx;
    if (kind != KPID_TOLD_NEWS)
        fail(text);
}

struct table *table_new(const struct kpid_model *model)
{
    static const struct kpid_lookups_events events = {on_answered, on_told};
    struct table *table = kpid_zalloc(1, sizeof(*table));
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;

    assert(model->n_lookups == 1);
    table->model = model;
    write_version(table);
    table->base = event_base_new();
    table->lookups = kpid_lookups_load(model, &faults, &n);
    if (!table->lookups || !kpid_lookups_open(table->lookups, table->base, NULL, &events, table, &faults))
        fail(faults.data);
    kpid_buf_release(&faults);
    return table;
}

void table_free(struct table *table)
{
    kpid_lookups_free(table->lookups);
    event_base_free(table->base);
    free(table);
}

unsigned table_version(const struct table *table)
{
    return table->version;
}

void table_change(struct table *table)
{
    struct kpid_lookup_stats before, now;

    kpid_lookups_stats(table->lookups, 0, &before);
    table->version++;
    write_version(table);
    do {
        kpid_lookups_tick(table->lookups);
        event_base_loop(table->base, EVLOOP_NONBLOCK);
        kpid_lookups_stats(table->lookups, 0, &now);
    } while (now.loads == before.loads);
}

void table_join(struct table *table, uint32_t source, const struct kpid_event *event)
{
    if (!kpid_lookups_join(table->lookups, source, event, 0))
        fail("an event waits for a file");
}
