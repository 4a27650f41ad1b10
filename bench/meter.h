/*
 * What a stretch of code costs this process: CPU time and, where the kernel lets us count (perf_event_open), the
 * instructions it ran in user mode. Time is noisy on a machine that is shared, instructions hardly are. And the
 * spread of what was measured more than once.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kpid_meter {
    int fd; /* of the counter, -1: no instructions can be counted */
    int64_t ns;
    uint64_t instructions;
};

struct kpid_cost {
    double ns, instructions; /* the latter 0 where they can't be counted */
};

void kpid_meter_open(struct kpid_meter *meter);
void kpid_meter_close(struct kpid_meter *meter);
void kpid_meter_start(struct kpid_meter *meter);
/* Adds what was spent since the start to *cost. */
void kpid_meter_stop(struct kpid_meter *meter, struct kpid_cost *cost);

struct kpid_spread {
    double min, median, max;
};

#define KPID_SPREAD_MAX 1000
/* Of n values, 1 to KPID_SPREAD_MAX. */
struct kpid_spread kpid_spread_of(const double *values, size_t n);

#endif
