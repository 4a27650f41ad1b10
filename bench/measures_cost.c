/*
 * What one more measure costs an event: the difference to a configuration without it, in turns over the same events. On a
 * machine with other work nearly every pass is disturbed somewhere, so it is taken in parts of about a millisecond: the
 * least that each part took in any round, added up, is what an undisturbed pass takes. Medians and maxima are of whole
 * passes.
 */
#include "measures.h"
#include "rig.h"

#include "kpid/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 16, USERS = 20000, TICKS = 10, PARTS = 8 /* a tick */ };

struct kind {
    const char *name, *measure;
    const char *part; /* of the measure, that its KPI reads */
};

/* Every event matters to each of them, but for the one that looks and passes by. */
static const struct kind kinds[] = {
    {"count", "count: ", ""},
    {"count, where it does not hold", "where: amount < 0, count: ", ""},
    {"count, where it does", "where: amount >= 0, count: ", ""},
    {"sum", "sum: amount", ""},
    {"min", "min: amount", ""},
    {"mean", "mean: amount", ""},
    {"last", "last: amount", ""},
    {"distinct", "distinct: user", ""},
    {"quantiles", "quantiles: amount", ".p90"},
    {"top, counted", "top: { key: user, keys: 1000 }", ""},
    {"top, summed", "top: { key: user, sum: amount, keys: 1000 }", ""},
    {"clock", "clock: { key: key, start: 'type == \"start\"', stop: 'type in [\"stop\", \"step\"]' }", ""},
    {"clock, deadline and due",
     "clock: { key: key, start: 'type == \"start\"', stop: 'type in [\"stop\", \"step\"]', deadline: 1m, "
     "due: 20s }",
     ""},
    {"clock, oldest", "clock: { key: key, start: 'type == \"start\"', stop: 'type in [\"stop\", \"step\"]' }",
     ".oldest"},
    {"clock, working time",
     "clock: { key: key, start: 'type == \"start\"', stop: 'type in [\"stop\", \"step\"]', deadline: 1m, "
     "calendar: office }",
     ""},
    {"session", "session: { key: user, gap: 30s }", ""},
    {"funnel",
     "funnel: { key: key, within: 1m, steps: ['type == \"start\"', 'type == \"step\"', 'type == \"stop\"'] }",
     ""},
    {"retention", "retention: { key: user, start: 'type == \"start\"', return: 'type != \"start\"' }", ""},
};

/* A start, a step and a stop of each key, its keys a second apart; 1,000 events a second. */
static void events_make(struct kpid_rig_event *events, size_t n)
{
    uint64_t random = 1;

    for (size_t i = 0; i < n; i++) {
        static const uint8_t types[] = {RIG_START, RIG_STEP, RIG_STOP};
        size_t turn = i / 1000, at = i % 1000;
        events[i] =
            (struct kpid_rig_event){.ts_ms = RIG_BEGIN_MS + (int64_t)i,
                                    .type = types[turn % 3],
                                    .key = (uint32_t)(turn / 3 * 1000 + at),
                                    .has_id = true,
                                    .group = (uint32_t)(at % GROUPS),
                                    .user = kpid_rig_random(&random, 1 + kpid_rig_random(&random, USERS)),
                                    .amount = kpid_rig_random(&random, 100000)};
    }
}

static void rig_of(struct kpid_rig *rig, const struct kind *kind)
{
    struct kpid_buf measures = KPID_BUF_INIT, kpis = KPID_BUF_INIT;

    kpid_buf_add_str(&measures,
                     "  base: { from: s, where: 'type in [\"start\", \"step\", \"stop\"]', count: }\n");
    kpid_buf_add_str(&kpis, "  base: { formula: base, by: [g], windows: [1m] }\n");
    if (kind) {
        kpid_buf_printf(&measures, "  m: { from: s, %s }\n", kind->measure);
        kpid_buf_printf(&kpis, "  m: { formula: m%s, by: [g], windows: [1m] }\n", kind->part);
    }
    kpid_rig_init(rig, "", measures.data, kpis.data);
    kpid_buf_release(&measures);
    kpid_buf_release(&kpis);
}

/* Apart, so that a profiler can be told to count this alone. */
__attribute__((noinline)) static void take_measured(struct kpid_rig *rig, const struct kpid_rig_event *events,
                                                    size_t n)
{
    for (size_t i = 0; i < n; i++)
        kpid_rig_take(rig, &events[i]);
}

/* The second half of the events is measured, in ten pieces with unmeasured upkeep between them. least: ns of each part. */
static struct kpid_cost pass(struct kpid_meter *meter, const struct kind *kind, const struct kpid_rig_event *events,
                             size_t n, double least[TICKS * PARTS])
{
    struct kpid_rig rig;
    struct kpid_cost cost = {0};
    size_t part = n / (2 * TICKS * PARTS), tick = part * PARTS;

    rig_of(&rig, kind);
    for (size_t at = 0; at < 2 * TICKS; at++) {
        for (size_t i = at * tick; at < TICKS && i < (at + 1) * tick; i++)
            kpid_rig_take(&rig, &events[i]);
        for (size_t p = 0; at >= TICKS && p < PARTS; p++) {
            double before = cost.ns, *seen = &least[(at - TICKS) * PARTS + p];
            kpid_meter_start(meter);
            take_measured(&rig, events + at * tick + p * part, part);
            kpid_meter_stop(meter, &cost);
            if (*seen == 0 || cost.ns - before < *seen)
                *seen = cost.ns - before;
        }
        kpid_rig_upkeep(&rig);
    }
    kpid_rig_release(&rig);
    return (struct kpid_cost){cost.ns / (double)(tick * TICKS), cost.instructions / (double)(tick * TICKS)};
}

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

const char *kpid_bench_kind(size_t k)
{
    return k < KINDS ? kinds[k].name : NULL;
}

void kpid_bench_one(const char *name, size_t n)
{
    struct kpid_rig_event *events = kpid_zalloc(n, sizeof(*events));
    const struct kind *kind = NULL;
    struct kpid_meter meter;

    for (size_t k = 0; k < KINDS; k++)
        if (!strcmp(kinds[k].name, name))
            kind = &kinds[k];
    events_make(events, n);
    kpid_meter_open(&meter);
    double least[TICKS * PARTS] = {0};
    pass(&meter, kind, events, n, least);
    kpid_meter_close(&meter);
    free(events);
}

void kpid_bench_cost(size_t rounds, size_t n)
{
    static struct kpid_cost costs[KINDS + 1][KPID_SPREAD_MAX];
    static double least[KINDS + 1][TICKS * PARTS];
    struct kpid_rig_event *events = kpid_zalloc(n, sizeof(*events));
    struct kpid_meter meter;
    double ns[KPID_SPREAD_MAX], counts[KPID_SPREAD_MAX];

    events_make(events, n);
    kpid_meter_open(&meter);
    for (size_t round = 0; round < rounds; round++)
        for (size_t k = 0; k <= KINDS; k++)
            costs[k][round] = pass(&meter, k ? &kinds[k - 1] : NULL, events, n, least[k]);
    printf("%-32s %22s %8s\n", "one more measure, an event", "ns of CPU", "instr.");
    printf("%-32s %6s %6s %8s %8s\n", "", "least", "median", "max", "");
    for (size_t k = 0; k <= KINDS; k++) {
        double sum = 0;
        for (size_t p = 0; p < TICKS * PARTS; p++)
            sum += least[k][p] - (k ? least[0][p] : 0);
        for (size_t round = 0; round < rounds; round++) {
            ns[round] = costs[k][round].ns - (k ? costs[0][round].ns : 0);
            counts[round] = costs[k][round].instructions - (k ? costs[0][round].instructions : 0);
        }
        struct kpid_spread time = kpid_spread_of(ns, rounds);
        printf("%-32s %6.0f %6.0f %8.0f %8.0f\n", k ? kinds[k - 1].name : "(an event with one count)",
               sum / (double)(n / (2 * TICKS * PARTS) * TICKS * PARTS), time.median, time.max,
               kpid_spread_of(counts, rounds).median);
    }
    printf("%zu rounds of %zu events, the second half of each measured; 1 shard, %d groups, windows of 1 "
           "minute\n\n",
           rounds, n, GROUPS);
    kpid_meter_close(&meter);
    free(events);
}
