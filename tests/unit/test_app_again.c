/* What Redis lost is told again from memory, as far as panes are kept, and what is not kept is never told as nothing. */
#include "app_rig.h"

#define SOURCES "sources: { s: { topics: [a], out_of_order: 0s, allowed_lateness: 5m, dedup_horizon: 5m } }\n" \
                "measures: { n: { from: s, count: } }\n"
#define KPIS    "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 10s, history: 100 }, day] } }\n"
#define MINUTES 60

/* An hour of events, round by round, until the last minute is final. */
static void minutes_run(struct rig *rig, int64_t first, int64_t last)
{
    for (int64_t at = START + first * MINUTE; at <= START + last * MINUTE; at += MINUTE) {
        for (int64_t i = 0; i < minute_of(at); i++)
            rig_take(rig, at + i);
        rig_round(rig, at, false);
        cr_assert_eq(rig->wrong, 0);
    }
}

static void hour_run(struct rig *rig)
{
    rig_open(rig, SOURCES, KPIS);
    minutes_run(rig, 0, MINUTES);
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

#define LOST 3

/* The shard is back at an older commit. */
static void state_lose(struct rig *rig)
{
    kpid_shard_free(rig->shard);
    rig->shard = kpid_shard_new(rig->model, 0, 0);
    rig->offset = 0;
    for (int64_t m = 0; m <= MINUTES - LOST; m++)
        for (int64_t i = 0; i < minute_of(START + m * MINUTE); i++)
            rig_take(rig, START + m * MINUTE + i);
}

static void catch_up(struct rig *rig)
{
    for (int64_t m = MINUTES - LOST + 1; m <= MINUTES; m++) {
        for (int64_t i = 0; i < minute_of(START + m * MINUTE); i++)
            rig_take(rig, START + m * MINUTE + i);
        rig_round(rig, START + m * MINUTE, false);
        cr_assert_eq(rig->wrong, 0, "not the whole of a window was told: %u", rig->wrong);
        cr_assert_eq(rig->first_window_ms, START + (m - 1) * MINUTE);
        cr_assert_eq(kpid_evaluator_telling(rig->evaluator), m < MINUTES);
    }
}

/* Figures of the last minutes are not whole, and are told as they become so. */
Test(again, what_the_state_fell_behind_is_told_when_it_has_caught_up)
{
    struct rig rig;
    hour_run(&rig);
    struct kpid_evaluator *stored = kpid_evaluator_new(rig.model, rig_sink(), &rig);
    state_lose(&rig);
    rig_view(&rig, START + (MINUTES - LOST) * MINUTE, false);
    kpid_evaluator_again(rig.evaluator, &rig.source, stored);
    cr_assert_eq(rig.wrong, 0);
    cr_assert_gt(rig.windows, 0);
    cr_assert_eq(rig.last_window_ms, START + (MINUTES - LOST - 1) * MINUTE);
    catch_up(&rig);
    kpid_evaluator_free(stored);
    rig_close(&rig);
}

/* In a cluster what was final may be left while a shard's state is not. */
Test(again, finals_that_were_loaded_go_back_to_the_shards_in_doubt)
{
    struct rig rig;
    hour_run(&rig);
    kpid_evaluator_free(rig.evaluator);
    rig.evaluator = kpid_evaluator_new(rig.model, rig_sink(), &rig);
    const int64_t until = START + MINUTES * MINUTE;
    kpid_evaluator_load_final(rig.evaluator, "n:1m", 4, until, until);
    kpid_evaluator_load_final(rig.evaluator, "n:day", 5, until, until);
    kpid_evaluator_doubt(rig.evaluator);
    state_lose(&rig);
    rig_view(&rig, START + (MINUTES - LOST) * MINUTE, false);
    rig.source.n_partitions = 2; /* another shard is not there yet */
    kpid_evaluator_run(rig.evaluator, &rig.source, false, true, 100000, KPID_NEVER);
    cr_assert_not(kpid_evaluator_telling(rig.evaluator));
    rig_round(&rig, START + (MINUTES - LOST) * MINUTE, false);
    cr_assert(kpid_evaluator_telling(rig.evaluator));
    cr_assert_eq(rig.wrong, 0);
    catch_up(&rig);
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

/* Who takes over does not know whether readers have the minutes up to MINUTES: they were judged, at least. */
static void take_over(struct rig *rig, int64_t told_ms)
{
    kpid_evaluator_free(rig->evaluator);
    rig->evaluator = kpid_evaluator_new(rig->model, rig_sink(), rig);
    kpid_evaluator_load_final(rig->evaluator, "n:1m", 4, START + MINUTES * MINUTE, told_ms);
}

Test(again, the_latest_final_never_goes_back)
{
    struct rig rig;
    rig_open(&rig, SOURCES, KPIS);
    minutes_run(&rig, 0, MINUTES - 1);
    rig_take(&rig, START + MINUTES * MINUTE);
    take_over(&rig, START + (MINUTES - 1) * MINUTE);
    rig_round(&rig, START + (MINUTES - 1) * MINUTE + 30000, false);
    cr_assert(kpid_evaluator_telling(rig.evaluator));
    cr_assert_gt(rig.again, 0);
    cr_assert_eq(rig.latest_final_ms, 0, "what readers have may be newer");
    rig_round(&rig, START + MINUTES * MINUTE, false);
    cr_assert_not(kpid_evaluator_telling(rig.evaluator));
    cr_assert_eq(rig.latest_final_ms, START + MINUTES * MINUTE);
    cr_assert_eq(rig.windows, 1);
    cr_assert_eq(rig.wrong, 0);
    rig_close(&rig);
}

/* Nothing happened in a minute and a half, the panes of its beginning are gone, and its end is to be told. */
Test(again, of_a_run_without_change_what_is_kept_is_told)
{
    struct rig rig;
    rig_open(&rig, SOURCES, "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 10s, history: 100 }] } }\n");
    minutes_run(&rig, 0, 40);
    rig_take(&rig, START + 60 * MINUTE);
    rig_round(&rig, START + 58 * MINUTE, false);
    cr_assert_eq(rig.latest_final_ms, START + 58 * MINUTE);
    take_over(&rig, START + 51 * MINUTE);
    rig_round(&rig, START + 60 * MINUTE, false);
    cr_assert_eq(rig.latest_final_ms, START + 60 * MINUTE);
    rig_close(&rig);
}
