/* Corrections are told once all shards of their source are there, and their owners keep the notes of them
 * until then. */
#include "app_rig.h"

static void round_of(struct rig *rig, size_t n_partitions)
{
    rig_view(rig, START + 2 * MINUTE, false);
    rig->source.n_partitions = n_partitions;
    kpid_evaluator_run(rig->evaluator, &rig->source, false, true, 100000, KPID_NEVER);
}

Test(correct, waits_for_missing_shards_and_says_that_it_did_not_look)
{
    struct rig rig;
    rig_open(&rig,
             "sources: { s: { topics: [a], out_of_order: 0s, allowed_lateness: 5m } }\n"
             "measures: { n: { from: s, count: } }\n",
             "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 1m }] } }\n");
    for (int64_t i = 1; i < minute_of(START); i++) /* one too few */
        rig_take(&rig, START + i);
    for (int64_t i = 0; i < minute_of(START + MINUTE); i++)
        rig_take(&rig, START + MINUTE + i);
    rig_take(&rig, START + 2 * MINUTE);
    round_of(&rig, 1);
    cr_assert_eq(rig.windows, 2);
    cr_assert_eq(rig.wrong, 1);
    cr_assert(kpid_evaluator_corrects(rig.evaluator, 0));
    kpid_evaluator_advance(rig.evaluator, &rig.source);
    rig_take(&rig, START);
    kpid_shard_touched(rig.shard, false, NULL, NULL); /* as a follower does for who published before */
    round_of(&rig, 2);
    cr_assert_eq(rig.windows, 0, "from one shard of two it would say less than was told");
    cr_assert_not(kpid_evaluator_corrects(rig.evaluator, 0));
    kpid_evaluator_advance(rig.evaluator, &rig.source);
    cr_assert(kpid_shard_has_touches(rig.shard));
    round_of(&rig, 2);
    kpid_evaluator_advance(rig.evaluator, &rig.source);
    round_of(&rig, 1);
    cr_assert_eq(rig.windows, 1);
    cr_assert_eq(rig.wrong, 0);
    cr_assert_eq(rig.first_window_ms, START);
    cr_assert(kpid_evaluator_corrects(rig.evaluator, 0));
    kpid_evaluator_advance(rig.evaluator, &rig.source);
    cr_assert_not(kpid_shard_has_touches(rig.shard));
    rig_close(&rig);
}
