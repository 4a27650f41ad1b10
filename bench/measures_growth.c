/* What an event costs with more windows, and with more groups. */
#include "measures.h"
#include "rig.h"

#include "kpid/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { TICKS = 20 };

struct step {
    const char *name, *windows;
    uint32_t groups;
};

static const struct step steps[] = {
    {"1 window", "5m", 1000},
    {"4 windows", "5m, 1h, 24h, day", 1000},
    {"16 windows", "1m, 5m, 10m, 15m, 20m, 30m, 1h, 2h, 4h, 6h, 12h, 24h, day, week, month, quarter", 1000},
    {"1000 groups", "5m, 1h, day", 1000},
    {"10000 groups", "5m, 1h, day", 10000},
    {"100000 groups", "5m, 1h, day", 100000},
    {"1000000 groups", "5m, 1h, day", 1000000},
};

struct figures {
    double take, upkeep; /* ns an event; the latter with the former */
};

/* Every group is there before anything is measured. */
static struct figures pass(struct kpid_meter *meter, const struct step *step, size_t n)
{
    struct kpid_buf kpis = KPID_BUF_INIT;
    struct kpid_cost take = {0}, upkeep = {0};
    struct kpid_rig rig;
    uint64_t random = 1;

    kpid_buf_printf(&kpis, "  k: { formula: m, by: [g], windows: [%s] }\n", step->windows);
    kpid_rig_init(&rig, ", max_groups: 2000000, max_state_bytes: 8GiB", "  m: { from: s, sum: amount }\n",
                  kpis.data);
    kpid_buf_release(&kpis);
    struct kpid_rig_event event = {.ts_ms = RIG_BEGIN_MS, .amount = 4200};
    for (event.group = 0; event.group < step->groups; event.group++)
        kpid_rig_take(&rig, &event);
    kpid_rig_upkeep(&rig);
    for (size_t tick = 0; tick < TICKS; tick++) {
        kpid_meter_start(meter);
        for (size_t i = 0; i < n / TICKS; i++) {
            event.ts_ms = RIG_BEGIN_MS + 10000 + (int64_t)(tick * 30000 + i * 30000 / (n / TICKS));
            event.group = kpid_rig_random(&random, step->groups);
            kpid_rig_take(&rig, &event);
        }
        kpid_meter_stop(meter, &take);
        kpid_meter_start(meter);
        kpid_rig_upkeep(&rig);
        kpid_meter_stop(meter, &upkeep);
    }
    kpid_rig_release(&rig);
    return (struct figures){take.ns / (double)n, (take.ns + upkeep.ns) / (double)n};
}

void kpid_bench_growth(size_t rounds, size_t n)
{
    enum { STEPS = sizeof(steps) / sizeof(*steps) };
    static struct figures figures[STEPS][KPID_SPREAD_MAX];
    double take[KPID_SPREAD_MAX], upkeep[KPID_SPREAD_MAX], ratio[KPID_SPREAD_MAX];
    struct kpid_meter meter;

    n -= n % TICKS;
    kpid_meter_open(&meter);
    for (size_t round = 0; round < rounds; round++)
        for (size_t s = 0; s < STEPS; s++)
            figures[s][round] = pass(&meter, &steps[s], n);
    printf("%-20s %22s %24s %10s\n", "an event, one sum by", "ns of CPU", "with upkeep", "ratio");
    printf("%-20s %6s %6s %8s %7s %7s %8s %10s\n", "", "min", "median", "max", "min", "median", "max", "");
    for (size_t s = 0; s < STEPS; s++) {
        const struct figures *first = figures[steps[s].groups == 1000 && s < 3 ? 0 : 3];
        for (size_t round = 0; round < rounds; round++) {
            take[round] = figures[s][round].take;
            upkeep[round] = figures[s][round].upkeep;
            ratio[round] = take[round] / first[round].take;
        }
        struct kpid_spread a = kpid_spread_of(take, rounds), b = kpid_spread_of(upkeep, rounds);
        printf("%-20s %6.0f %6.0f %8.0f %7.0f %7.0f %8.0f %10.2f\n", steps[s].name, a.min, a.median, a.max,
               b.min, b.median, b.max, kpid_spread_of(ratio, rounds).median);
    }
    printf("%zu rounds of %zu events in 10 minutes of event time; the ratio is to the first row of its kind, "
           "without upkeep, "
           "which comes every 30 s\n\n",
           rounds, n);
    kpid_meter_close(&meter);
}
