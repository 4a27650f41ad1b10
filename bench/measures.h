/* The tables of kpid-bench-measures. */
#ifndef BENCH_MEASURES_H
#define BENCH_MEASURES_H

#include <stddef.h>

/* What one more measure costs an event, by kind (measures_cost.c). */
void kpid_bench_cost(size_t rounds, size_t events);
/* What a look-up in a file costs an event (measures_join.c). */
void kpid_bench_join(size_t rounds, size_t events);
/* The name of a kind, NULL: there are no more; and one pass over the events with it (any other name:
 * without), for a profiler. */
const char *kpid_bench_kind(size_t index);
void kpid_bench_one(const char *name, size_t events);
/* What state takes in memory and packed, by kind (measures_state.c). */
void kpid_bench_state(size_t keys);
/* What an event costs with more windows, and with more groups (measures_growth.c). */
void kpid_bench_growth(size_t rounds, size_t events);

#endif
