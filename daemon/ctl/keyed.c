/* Keyed measures in what explain says: what a clock runs by, a session ends with, and so on. */
#include "ctl.h"

#include <stdio.h>

static void deadline_print(const char *name, int64_t deadline_ms, const struct kpid_keyed_spec *spec)
{
    printf("    %s", name);
    if (deadline_ms == KPID_FOREVER) {
        printf(": no deadline\n");
        return;
    }
    printf(": deadline ");
    ctl_ms_print(deadline_ms);
    if (spec->clock.due_ms != KPID_FOREVER) {
        printf(", due ");
        ctl_ms_print(spec->clock.due_ms);
        printf(" before");
    }
    printf("\n");
}

static void clock_print(const struct kpid_keyed_spec *spec)
{
    const struct kpid_worktime *calendar = spec->clock.calendar;

    deadline_print("stop", spec->clock.deadline_ms, spec);
    for (size_t i = 0; i < spec->clock.n_marks; i++)
        deadline_print(spec->clock.marks[i].name, spec->clock.marks[i].deadline_ms, spec);
    if (calendar) {
        char from[40], to[40];
        kpid_zone_print(calendar->zone, calendar->from_ms, from);
        kpid_zone_print(calendar->zone, calendar->to_ms, to);
        printf("    working time of %s, known from %.10s until %.10s; events outside are refused and counted\n",
               calendar->name, from, to);
    }
    if (spec->clock.forget_after_ms == KPID_FOREVER) {
        printf("    never forgotten\n");
        return;
    }
    printf("    forgotten ");
    ctl_ms_print(spec->clock.forget_after_ms);
    printf(" after the last event of a key\n");
}

static void session_print(const struct kpid_keyed_spec *spec)
{
    printf("    a session ends ");
    ctl_ms_print(spec->session.gap_ms);
    printf(" after its last event\n");
}

static void funnel_print(const struct kpid_keyed_spec *spec)
{
    for (size_t i = 0; i < spec->n_words; i++)
        printf("    step%zu: %s\n", i + 1, spec->when[i].text);
    printf("    steps %s; an attempt matures ", spec->funnel.free ? "behind the first in any order" : "in this order");
    ctl_ms_print(spec->funnel.within_ms);
    printf(" after its first step%s\n", spec->funnel.again ? "; the next may begin behind the last step" : "");
}

static void retention_print(const struct kpid_keyed_spec *spec)
{
    printf("    start: %s\n    return: %s\n    on day", spec->when[0].text, spec->when[1].text);
    for (size_t i = 0; i < spec->retention.n_days; i++)
        printf(" %u", spec->retention.days[i]);
    printf(" after it, %s; counted when that day is over\n", spec->retention.zone->name);
}

void ctl_keyed_print(const struct kpid_measure *measure)
{
    const struct kpid_keyed *kind = measure->agg->keyed;

    if (!kind)
        return;
    printf("    key %s\n", measure->keyed.key.text);
    if (kind == &kpid_keyed_clock)
        clock_print(&measure->keyed);
    else if (kind == &kpid_keyed_session)
        session_print(&measure->keyed);
    else if (kind == &kpid_keyed_funnel)
        funnel_print(&measure->keyed);
    else if (kind == &kpid_keyed_retention)
        retention_print(&measure->keyed);
}
