#include "meter.h"

#include <assert.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void kpid_meter_open(struct kpid_meter *meter)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE,
                                    .size = sizeof(attr),
                                    .config = PERF_COUNT_HW_INSTRUCTIONS,
                                    .exclude_kernel = 1,
                                    .exclude_hv = 1 };
    *meter = (struct kpid_meter){ .fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) };
}

void kpid_meter_close(struct kpid_meter *meter)
{
    if (meter->fd >= 0)
        close(meter->fd);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t instructions(const struct kpid_meter *meter)
{
    uint64_t n;
    return meter->fd >= 0 && read(meter->fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

void kpid_meter_start(struct kpid_meter *meter)
{
    meter->instructions = instructions(meter);
    meter->ns = cpu_ns();
}

void kpid_meter_stop(struct kpid_meter *meter, struct kpid_cost *cost)
{
    cost->ns += (double)(cpu_ns() - meter->ns);
    cost->instructions += (double)(instructions(meter) - meter->instructions);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct kpid_spread kpid_spread_of(const double *values, size_t n)
{
    double sorted[KPID_SPREAD_MAX];
    assert(n >= 1 && n <= KPID_SPREAD_MAX);
    memcpy(sorted, values, n * sizeof(*values));
    qsort(sorted, n, sizeof(*sorted), compare);
    return (struct kpid_spread){ sorted[0], sorted[n / 2], sorted[n - 1] };
}
