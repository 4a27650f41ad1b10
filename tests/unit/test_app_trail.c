/* What a shard remembers of the logs that it is counted from, through cuts and loads. */
#include "kpid/decode.h"
#include "kpid/flow/snapshot.h"
#include "kpid/shard.h"

#include "test_config_kit.h"

#define MINUTE 60000
#define START  (INT64_C(28333333) * MINUTE)

struct rig {
    struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_shard *shard;
};

static struct rig rig_make(void)
{
    struct rig rig = {kit_model("sources: { s: { topics: [a, b], out_of_order: 10s, allowed_lateness: 5m, dedup_horizon: 6m } }\n"
                                "measures: { n: { from: s, count: } }\n",
                                "kpis: { n: { formula: n, windows: [1m, all] } }\n"),
                      NULL, NULL};
    rig.decoder = kpid_decoder_new(&rig.model->sources[0]);
    rig.shard = kpid_shard_new(rig.model, 0, 0);
    return rig;
}

static void rig_free(struct rig *rig)
{
    kpid_shard_free(rig->shard);
    kpid_decoder_free(rig->decoder);
    kpid_model_free(rig->model);
}

static enum kpid_class take(struct rig *rig, uint32_t topic, int64_t offset, int64_t ts_ms, const char *id)
{
    char text[128];
    struct kpid_event event;
    enum kpid_reason reason;
    snprintf(text, sizeof text, "{\"type\":\"x\",\"ts\":%lld%s%s%s}", (long long)ts_ms, id ? ",\"id\":\"" : "",
             id ? id : "", id ? "\"" : "");
    struct kpid_record record = {.topic = topic, .offset = offset, .timestamp_ms = ts_ms, .value = text,
                                 .value_len = strlen(text)};
    cr_assert_eq(kpid_decode(rig->decoder, text, strlen(text), &event), KPID_REASON_NONE);
    return kpid_shard_take(rig->shard, &record, &event, KPID_NEVER, &reason);
}

/* As after a restart: what was cut is all that is known. */
static void reload(struct rig *rig)
{
    struct kpid_commit commit;
    const char *why = NULL;
    kpid_shard_cut(rig->shard, true, &commit);
    struct kpid_shard *next = kpid_shard_new(rig->model, 0, 0);
    cr_assert(kpid_shard_load(next, commit.meta.data, commit.meta.len, commit.pages, commit.n_pages, &why), "%s", why);
    kpid_commit_release(&commit);
    kpid_shard_free(rig->shard);
    rig->shard = next;
}

static uint32_t reasons(struct rig *rig, int64_t start_ms, int64_t end_ms)
{
    struct kpid_gather *gather = kpid_gather_new();
    const struct kpid_gather_row *rows;
    uint32_t found;
    kpid_gather_window(gather, &rig->shard, 1, 0, 0, start_ms, end_ms, &rows, &found);
    kpid_gather_free(gather);
    return found;
}

Test(trail, a_witness_is_of_the_last_record_or_not_there)
{
    struct rig rig = rig_make();
    int64_t offset;
    uint64_t hash;
    cr_assert_eq(kpid_shard_began_at(rig.shard, 0), -1);
    kpid_shard_begin(rig.shard, 0, 17);
    cr_assert(kpid_shard_dirty(rig.shard));
    cr_assert(!kpid_shard_witness(rig.shard, 0, &offset, &hash));
    take(&rig, 0, 20, START, NULL);
    kpid_shard_set_witness(rig.shard, 0, 19, 1); /* another record's */
    cr_assert(!kpid_shard_witness(rig.shard, 0, &offset, &hash));
    kpid_shard_set_witness(rig.shard, 0, 20, UINT64_MAX);
    reload(&rig);
    cr_assert(kpid_shard_witness(rig.shard, 0, &offset, &hash));
    cr_assert(offset == 20 && hash == UINT64_MAX);
    cr_assert_eq(kpid_shard_began_at(rig.shard, 0), 17);
    cr_assert_eq(kpid_shard_next_offset(rig.shard, 0), 21);
    cr_assert(!kpid_shard_witness(rig.shard, 1, &offset, &hash));
    take(&rig, 0, 21, START, NULL);
    cr_assert(!kpid_shard_witness(rig.shard, 0, &offset, &hash), "it is of an older record now");
    rig_free(&rig);
}

Test(trail, windows_over_a_lost_range_say_so)
{
    struct rig rig = rig_make();
    struct kpid_ledger ledger;
    take(&rig, 0, 0, START, NULL);
    take(&rig, 0, 1, START + 2 * MINUTE, NULL);
    cr_assert_eq(reasons(&rig, START, START + MINUTE), 0);
    kpid_shard_jump(rig.shard, 0, 50);
    kpid_shard_jump(rig.shard, 0, 60); /* again, before a record came */
    reload(&rig);
    kpid_shard_ledger(rig.shard, 0, &ledger);
    cr_assert_eq(ledger.lost_range, 58);
    cr_assert_eq(ledger.in, 2);
    cr_assert_eq(kpid_shard_next_offset(rig.shard, 0), 60);
    /* It is not known yet how far it reaches. */
    cr_assert_eq(reasons(&rig, START + 9 * MINUTE, START + 10 * MINUTE), KPID_QR(LOST_RANGE));
    cr_assert_eq(take(&rig, 0, 60, START - 30 * MINUTE, NULL), KPID_CLASS_LATE);
    cr_assert_eq(take(&rig, 0, 61, START + 5 * MINUTE, NULL), KPID_CLASS_COUNTED);
    reload(&rig);
    /* From the clock, 10 s behind the newest event, to the first record after the gap. */
    cr_assert_eq(reasons(&rig, START, START + MINUTE), 0);
    cr_assert_eq(reasons(&rig, START + MINUTE, START + 2 * MINUTE), KPID_QR(LOST_RANGE));
    cr_assert_eq(reasons(&rig, START + 4 * MINUTE, START + 5 * MINUTE), KPID_QR(LOST_RANGE));
    cr_assert_eq(reasons(&rig, START + 5 * MINUTE, START + 6 * MINUTE), KPID_QR(LOST_RANGE));
    cr_assert_eq(reasons(&rig, START + 6 * MINUTE, START + 7 * MINUTE), 0);
    cr_assert_eq(reasons(&rig, KPID_NEVER, START + 7 * MINUTE), KPID_QR(LOST_RANGE));
    /* Back: nothing is lost that the log still has, but something is missing all the same. */
    kpid_shard_jump(rig.shard, 0, 10);
    kpid_shard_ledger(rig.shard, 0, &ledger);
    cr_assert_eq(ledger.lost_range, 58);
    cr_assert_eq(kpid_shard_next_offset(rig.shard, 0), 10);
    /* However many, they stay bounded and none is forgotten. */
    for (int64_t i = 0; i < 100; i++) {
        kpid_shard_jump(rig.shard, 0, 100 + 2 * i);
        take(&rig, 0, 100 + 2 * i, START + (10 + i) * MINUTE, NULL);
    }
    reload(&rig);
    cr_assert_eq(reasons(&rig, START + 108 * MINUTE, START + 109 * MINUTE), KPID_QR(LOST_RANGE));
    cr_assert_eq(reasons(&rig, START + 111 * MINUTE, START + 112 * MINUTE), 0);
    rig_free(&rig);
}

Test(trail, what_is_counted_again_is_rebuilt_until_all_topics_are_there)
{
    struct rig rig = rig_make();
    kpid_shard_begin(rig.shard, 0, 0);
    kpid_shard_begin(rig.shard, 1, 5);
    kpid_shard_rebuild(rig.shard, 0, 2);
    kpid_shard_rebuild(rig.shard, 1, 8);
    take(&rig, 0, 0, START, NULL);
    take(&rig, 0, 1, START + MINUTE, NULL);
    reload(&rig);
    cr_assert(kpid_shard_rebuilding(rig.shard));
    cr_assert_eq(reasons(&rig, START + 9 * MINUTE, START + 10 * MINUTE), KPID_QR(REBUILT));
    take(&rig, 1, 5, START, NULL);
    cr_assert(kpid_shard_rebuilding(rig.shard));
    kpid_shard_rebuild_end(rig.shard, 1); /* records up to 8 are gone, compacted */
    cr_assert(!kpid_shard_rebuilding(rig.shard));
    reload(&rig);
    cr_assert(!kpid_shard_rebuilding(rig.shard));
    cr_assert_eq(reasons(&rig, START, START + MINUTE), KPID_QR(REBUILT));
    cr_assert_eq(reasons(&rig, START + MINUTE, START + 2 * MINUTE), KPID_QR(REBUILT));
    cr_assert_eq(reasons(&rig, START + 2 * MINUTE, START + 3 * MINUTE), 0);
    /* Nothing there to count again: over at once. */
    rig_free(&rig);
    rig = rig_make();
    kpid_shard_begin(rig.shard, 0, 3);
    kpid_shard_rebuild(rig.shard, 0, 3);
    cr_assert(!kpid_shard_rebuilding(rig.shard));
    cr_assert_eq(reasons(&rig, START, START + MINUTE), 0);
    rig_free(&rig);
}

Test(trail, what_fell_back_is_counted_again_and_then_as_it_was)
{
    struct rig rig = rig_make();
    kpid_shard_begin(rig.shard, 0, 0);
    kpid_shard_begin(rig.shard, 1, 5);
    take(&rig, 0, 0, START, NULL);
    take(&rig, 0, 1, START + MINUTE, NULL);
    take(&rig, 1, 5, START, NULL);
    cr_assert_not(kpid_shard_catch_up(rig.shard, 0, 2)); /* it is there */
    cr_assert_not(kpid_shard_rebuilding(rig.shard));
    cr_assert(kpid_shard_catch_up(rig.shard, 0, 4));
    cr_assert(kpid_shard_catch_up(rig.shard, 1, 7));
    cr_assert_not(kpid_shard_catch_up(rig.shard, 0, 4));
    reload(&rig);
    cr_assert(kpid_shard_rebuilding(rig.shard));
    take(&rig, 0, 2, START + MINUTE, NULL);
    take(&rig, 0, 3, START + MINUTE, NULL);
    cr_assert(kpid_shard_rebuilding(rig.shard), "the other topic is not there yet");
    take(&rig, 1, 6, START + MINUTE, NULL);
    cr_assert_not(kpid_shard_rebuilding(rig.shard));
    reload(&rig);
    cr_assert_not(kpid_shard_rebuilding(rig.shard));
    cr_assert_eq(reasons(&rig, START, START + MINUTE), 0);
    /* What is being rebuilt stays so, whatever fell back meanwhile. */
    kpid_shard_rebuild(rig.shard, 0, 6);
    cr_assert(kpid_shard_catch_up(rig.shard, 0, 7));
    take(&rig, 0, 4, START + MINUTE, NULL);
    take(&rig, 0, 5, START + MINUTE, NULL);
    cr_assert(kpid_shard_rebuilding(rig.shard));
    take(&rig, 0, 6, START + MINUTE, NULL);
    cr_assert_not(kpid_shard_rebuilding(rig.shard));
    cr_assert_eq(reasons(&rig, START, START + MINUTE), KPID_QR(REBUILT));
    rig_free(&rig);
}

Test(trail, more_partitions_are_told_until_the_marks_have_gone)
{
    struct rig rig = rig_make();
    kpid_shard_set_partitions(rig.shard, 4);
    kpid_shard_set_first_partitions(rig.shard, 4);
    take(&rig, 0, 0, START, NULL);
    kpid_shard_set_partitions(rig.shard, 4);
    reload(&rig);
    cr_assert_eq(kpid_shard_first_partitions(rig.shard), 4);
    kpid_shard_set_partitions(rig.shard, 6);
    cr_assert_eq(reasons(&rig, START, START + MINUTE), 0, "events without ids were never told apart");
    take(&rig, 0, 1, START + MINUTE, "a");
    reload(&rig);
    cr_assert_eq(reasons(&rig, START, START + MINUTE), KPID_QR(REPARTITIONED));
    cr_assert_eq(reasons(&rig, START - MINUTE, START), 0, "it was before");
    cr_assert_eq(reasons(&rig, START + 5 * MINUTE, START + 6 * MINUTE), KPID_QR(REPARTITIONED));
    cr_assert_eq(reasons(&rig, START + 6 * MINUTE, START + 7 * MINUTE), 0);
    rig_free(&rig);
}
