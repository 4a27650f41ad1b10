/*
 * Nothing is allocated for an event: decoder, look-up and engine, for each kind of measure, once its groups,
 * keys and panes are there. What does grow with an event (a key's further items, a mark, a new pane) is
 * state, and not looked at here. malloc, calloc and realloc of all that is linked in go through the counters
 * below; shared libraries' own do not.
 */
#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/lookup.h"
#include "kpid/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);

static unsigned long allocations;

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    allocations++;
    return __real_realloc(at, size);
}

/* ---- what is measured ---- */

#define STEPS "['type == \"a\"', 'type == \"b\"', 'type == \"c\"']"

static const struct {
    const char *name, *measure, *part;
} kinds[] = {
    {"count", "count: ", ""},
    {"sum, where",
     "where: amount > 0 and teams.name != \"none\" and lower(g) != \"x\", sum: amount * 2 - 0.5", ""},
    {"min", "min: amount", ""},
    {"max", "max: amount", ""},
    {"mean", "mean: amount / 3", ""},
    {"last", "last: amount", ""},
    {"distinct", "distinct: user", ""},
    {"quantiles", "quantiles: amount", ".p99"},
    {"top", "top: user", ""},
    {"top, summed", "top: { key: user, sum: amount }", ""},
    {"clock", "clock: { key: user, start: 'type == \"a\"', stop: 'type == \"c\"', deadline: 10m, due: 1m }",
     ""},
    {"clock, oldest",
     "clock: { key: user, start: 'type == \"a\"', stops: { m: 'type == \"b\"' }, stop: 'type == \"c\"' }",
     ".oldest"},
    {"session", "session: { key: user, gap: 30m }", ""},
    {"funnel", "funnel: { key: user, within: 1h, steps: " STEPS " }", ""},
    {"retention", "retention: { key: user, start: 'type == \"a\"', return: 'type == \"b\"' }", ""},
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

struct rig {
    struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_lookups *lookups;
    struct kpid_shard *shard;
    int64_t offset;
};

static void rig_init(struct rig *rig, size_t kind, const char *table)
{
    struct kpid_buf text = KPID_BUF_INIT, faults = KPID_BUF_INIT;
    size_t n;

    kpid_buf_printf(&text,
                    "clock: events\nhttp: { listen: off }\nlookups: { teams: { file: %s, key: who } }\n"
                    "sources: { s: { topics: [s], max_skew: off, join: { teams: user } } }\nmeasures:\n  m: "
                    "{ from: s, %s }\n"
                    "kpis:\n  k: { formula: m%s, by: [g, teams.name], windows: [1h, day] }\n",
                    table, kinds[kind].measure, kinds[kind].part);
    rig->model = kpid_config_parse("test_alloc", text.data, text.len, NULL, &faults, &n);
    if (!rig->model)
        fail(faults.data);
    rig->lookups = kpid_lookups_load(rig->model, &faults, &n);
    if (!rig->lookups)
        fail(faults.data);
    rig->decoder = kpid_decoder_new(&rig->model->sources[0]);
    rig->shard = kpid_shard_new(rig->model, 0, 0);
    rig->offset = 0;
    kpid_buf_release(&text);
    kpid_buf_release(&faults);
}

static void rig_release(struct rig *rig)
{
    kpid_shard_free(rig->shard);
    kpid_lookups_free(rig->lookups);
    kpid_decoder_free(rig->decoder);
    kpid_model_free(rig->model);
}

static void take(struct rig *rig, const char *text, size_t len)
{
    struct kpid_record record = {
        .offset = rig->offset++, .timestamp_ms = KPID_NEVER, .value = text, .value_len = len};
    struct kpid_event event;
    enum kpid_reason reason = kpid_decode(rig->decoder, text, len, &event);

    if (reason != KPID_REASON_NONE || !kpid_lookups_join(rig->lookups, 0, &event, 0))
        fail("an event is not taken");
    kpid_shard_ahead(rig->shard, &record, &event);
    if (kpid_shard_take(rig->shard, &record, &event, KPID_NEVER, &reason) == KPID_CLASS_MALFORMED)
        fail("an event is malformed");
}

/* Three events of each of 50 users, always the same: as JSON, and as MessagePack where `msgpack`. */
static void pass(struct rig *rig, bool msgpack)
{
    char text[256];

    for (int i = 0; i < 150; i++) {
        int user = i / 3, ts = i, amount = 10 + i % 7, len;
        if (msgpack)
            len = snprintf(text, sizeof(text),
                           "\x85\xa4type\xa1%c\xa2ts\xcf%c%c%c%c%c%c%c%c\xa4user\xa3u%02d\xa1g\xa2g%d\xa6"
                           "amount%c",
                           "abc"[i % 3], 0, 0, 1, 0x9c, 0xa7, 0x2a, 0x3c, ts, user, user % 4, amount);
        else
            len = snprintf(text, sizeof(text),
                           "{\"type\":\"%c\",\"ts\":%lld,\"user\":\"u%02d\",\"g\":\"g%d\",\"amount\":%d,"
                           "\"more\":[{\"x\":1.5}]}",
                           "abc"[i % 3], 0x19ca72a3c00LL + ts, user, user % 4, amount);
        take(rig, text, (size_t)len);
    }
}

int main(void)
{
    char path[] = "/tmp/kpid-alloc-XXXXXX";
    int fd = mkstemp(path), failed = 0;
    FILE *table = fd >= 0 ? fdopen(fd, "w") : NULL;
    size_t n = sizeof(kinds) / sizeof(*kinds);

    if (!table)
        fail("no temporary file");
    fprintf(table, "who,name\n");
    for (int user = 0; user < 40; user++)
        fprintf(table, "u%02d,team %d\n", user, user % 3);
    fclose(table);
    for (size_t kind = 0; kind < n; kind++) {
        struct rig rig;
        rig_init(&rig, kind, path);
        for (int i = 0; i < 4; i++)
            pass(&rig, i % 2);
        unsigned long before = allocations;
        for (int i = 0; i < 100; i++)
            pass(&rig, i % 2);
        unsigned long during = allocations - before;
        if (before == 0) /* the counters work */
            fail("nothing was ever allocated");
        if (during) {
            failed++;
            fprintf(stderr, "%s: %lu allocations in 15000 events\n", kinds[kind].name, during);
        }
        rig_release(&rig);
    }
    unlink(path);
    printf("%zu passed, %d failed, 0 skipped\n", n - (size_t)failed, failed);
    return failed ? 1 : 0;
}
