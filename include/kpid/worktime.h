/*
 * Working time of one calendar, pure: an ascending list of spans in which people work, made once from shifts, holidays
 * and a time zone (clock changes are in it: a shift over one is an hour shorter or longer). Each span carries the work
 * that lies before it, so every question is one binary search, O(log spans), without allocation.
 *
 * It is known for [from, to) only: nothing outside is guessed. Who asks tests kpid_worktime_covers first.
 */
#ifndef KPID_WORKTIME_H
#define KPID_WORKTIME_H

#include "kpid/zone.h"

struct kpid_work_span {
    int64_t start_ms, end_ms; /* [start, end), not empty */
    int64_t before_ms;        /* work in [from, start) */
};

struct kpid_worktime {
    char *name;
    const struct kpid_zone *zone; /* borrowed */
    int64_t from_ms, to_ms;       /* the years it states: [from, to) */
    struct kpid_work_span *spans; /* ascending, apart from each other */
    size_t n, cap;
    uint64_t hash;                /* of the definition */
};

/* Frees what it owns and leaves it empty. */
void kpid_worktime_release(struct kpid_worktime *work);

/* Appends [start, end): start is not below the start of the span before it; spans that touch or overlap become one, what
 * lies outside [from, to) is cut away. */
void kpid_worktime_add(struct kpid_worktime *work, int64_t start_ms, int64_t end_ms);

bool kpid_worktime_covers(const struct kpid_worktime *work, int64_t t_ms);

/* Working ms in [a, b), negative when b < a. Both covered, or b = to. */
int64_t kpid_worktime_between(const struct kpid_worktime *work, int64_t a_ms, int64_t b_ms);

/* The first instant, not before t, at which `work_ms` >= 0 have been worked since t (t is covered): for whole shifts the
 * end of a shift, not the start of the next one. KPID_FOREVER: the years covered end before. */
int64_t kpid_worktime_after(const struct kpid_worktime *work, int64_t t_ms, int64_t work_ms);

#endif
