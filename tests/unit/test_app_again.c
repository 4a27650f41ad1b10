/* What Redis lost is told again from memory, as far as panes are kept, and what is not kept is never told as nothing. */
#include "app_rig.h"

#define SOURCES "sources: { s: { topics: [a], out_of_order: 0s, allowed_lateness: 5m, dedup_horizon: 5m } }\n" \
                "measures: { n: { from: s, count: } }\n"
#define KPIS    "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 10s, history: 100 }, day] } }\n"
#define MINUTES 60

/* An hour of events, round by round, until the last minute is final. */
static void hour_run(struct rig *rig)
{
    rig_open(rig, SOURCES, KPIS);
    for (int64_t at = START; at <= START + MINUTES * MINUTE; at += MINUTE) {
        for (int64_t i = 0; i < minute_of(at); i++)
            rig_take(rig, at + i);
        rig_round(rig, at, false);
        cr_assert_eq(rig->wrong, 0);
    }
}

Test(again, what_is_kept_is_told_again_and_nothing_else)
{
    struct rig rig;
    hour_run(&rig);
    struct kpid_evaluator *stored = kpid_evaluator_new(rig.model, rig_sink(), &rig);
    rig_view(&rig, START + MINUTES * MINUTE, false);
    kpid_evaluator_again(rig.evaluator, &rig.source, stored);
    cr_assert_eq(rig.wrong, 0);
    cr_assert_geq(rig.windows, 5, "whole windows of allowed_lateness are kept: %u", rig.windows);
    cr_assert_lt(rig.windows, MINUTES);
    cr_assert_eq(rig.last_window_ms, START + (MINUTES - 1) * MINUTE);
    cr_assert_gt(rig.again, rig.windows, "the newest final, too");
    /* The next round goes on where it was. */
    rig_take(&rig, START + (MINUTES + 1) * MINUTE);
    rig_round(&rig, START + (MINUTES + 1) * MINUTE, false);
    cr_assert_eq(rig.windows, 1);
    cr_assert_eq(rig.again, 0);
    kpid_evaluator_free(stored);
    rig_close(&rig);
}

Test(again, who_does_not_know_what_was_final_begins_where_panes_are_kept)
{
    struct rig rig;
    hour_run(&rig);
    kpid_evaluator_free(rig.evaluator);
    rig.evaluator = kpid_evaluator_new(rig.model, rig_sink(), &rig);
    rig_round(&rig, START + MINUTES * MINUTE, false);
    cr_assert_eq(rig.wrong, 0, "windows of released panes were told: %u of %u", rig.wrong, rig.windows);
    cr_assert_geq(rig.windows, 1);
    cr_assert_lt(rig.windows, MINUTES);
    cr_assert_eq(rig.last_window_ms, START + (MINUTES - 1) * MINUTE);
    rig_close(&rig);
}

Test(again, without_released_panes_it_begins_with_the_first_event)
{
    struct rig rig;
    rig_open(&rig, SOURCES, KPIS);
    for (int64_t i = 0; i < minute_of(START); i++)
        rig_take(&rig, START + i);
    rig_round(&rig, START + MINUTE, false);
    cr_assert_eq(rig.windows, 1);
    cr_assert_eq(rig.first_window_ms, START);
    cr_assert_eq(rig.wrong, 0);
    rig_close(&rig);
}
