/* A source that stands marks the newest snapshots for readers; finals are what they are, and go on being judged. */
#include "app_rig.h"

Test(stale, the_newest_is_marked_and_unmarked_and_a_final_never)
{
    struct rig rig;
    rig_open(&rig,
             "sources: { s: { topics: [a], out_of_order: 10s, allowed_lateness: 5m } }\n"
             "measures: { n: { from: s, count: } }\n",
             "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 1m }] } }\n");
    rig_take(&rig, START + 20000);
    rig_round(&rig, START + 10000, false);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_PROVISIONAL);
    rig_round(&rig, START + 10000, false);
    cr_assert_eq(rig.newest, 0, "nothing changed");
    rig_round(&rig, START + 10000, true);
    cr_assert_eq(rig.newest, 1, "told once, though no event came");
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_STALE);
    rig_round(&rig, START + 10000, true);
    cr_assert_eq(rig.newest, 0);
    /* Catch-up: a window becomes final while its source is stale. */
    rig_take(&rig, START + 80000);
    rig_round(&rig, START + 70000, true);
    cr_assert_eq(rig.finals, 1);
    cr_assert_eq(rig.final_quality, KPID_QUALITY_OK);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_STALE);
    rig_round(&rig, START + 70000, false);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_PROVISIONAL);
    rig_close(&rig);
}
