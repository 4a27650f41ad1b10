/* A source that stands marks the newest snapshots for readers; finals are what they are, and go on being judged. */
#include "kpid/decode.h"
#include "kpid/evaluator.h"

#include "test_config_kit.h"

#define MINUTE 60000
#define START  (INT64_C(28333333) * MINUTE)

struct rig {
    struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_shard *shard;
    struct kpid_evaluator *evaluator;
    struct kpid_evaluator_source source;
    unsigned newest, finals; /* snapshots of the last round */
    enum kpid_quality newest_quality, final_quality;
    int64_t offset;
};

static void put_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct rig *rig = ctx;
    if (snapshot->final) {
        rig->finals++;
        rig->final_quality = snapshot->quality;
    } else if (places & KPID_PLACE_NEWEST) {
        rig->newest++;
        rig->newest_quality = snapshot->quality;
    }
}

static const struct kpid_sink sink = {.snapshot = put_snapshot};

static void take(struct rig *rig, int64_t ts_ms)
{
    char text[64];
    struct kpid_event event;
    enum kpid_reason reason;
    snprintf(text, sizeof text, "{\"type\":\"x\",\"ts\":%lld}", (long long)ts_ms);
    struct kpid_record record = {.offset = rig->offset++, .value = text, .value_len = strlen(text)};
    cr_assert_eq(kpid_decode(rig->decoder, text, strlen(text), &event), KPID_REASON_NONE);
    cr_assert_eq(kpid_shard_take(rig->shard, &record, &event, KPID_NEVER, &reason), KPID_CLASS_COUNTED);
}

static void round_run(struct rig *rig, int64_t watermark_ms, bool stale)
{
    rig->newest = rig->finals = 0;
    rig->source = (struct kpid_evaluator_source){.shards = &rig->shard, .n_shards = 1, .n_partitions = 1,
                                                 .publish_ms = watermark_ms, .released_ms = watermark_ms,
                                                 .stale = stale};
    kpid_evaluator_run(rig->evaluator, &rig->source, false, true, 1000, KPID_NEVER);
    kpid_evaluator_advance(rig->evaluator, &rig->source);
}

Test(stale, the_newest_is_marked_and_unmarked_and_a_final_never)
{
    struct rig rig = {kit_model("sources: { s: { topics: [a], out_of_order: 10s, allowed_lateness: 5m } }\n"
                                "measures: { n: { from: s, count: } }\n",
                                "kpis: { n: { formula: n, windows: [{ rolling: 1m, slide: 1m }] } }\n"),
                      .offset = 0};
    rig.decoder = kpid_decoder_new(&rig.model->sources[0]);
    rig.shard = kpid_shard_new(rig.model, 0, 0);
    rig.evaluator = kpid_evaluator_new(rig.model, &sink, &rig);
    take(&rig, START + 20000);
    round_run(&rig, START + 10000, false);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_PROVISIONAL);
    round_run(&rig, START + 10000, false);
    cr_assert_eq(rig.newest, 0, "nothing changed");
    round_run(&rig, START + 10000, true);
    cr_assert_eq(rig.newest, 1, "told once, though no event came");
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_STALE);
    round_run(&rig, START + 10000, true);
    cr_assert_eq(rig.newest, 0);
    /* Catch-up: a window becomes final while its source is stale. */
    take(&rig, START + 80000);
    round_run(&rig, START + 70000, true);
    cr_assert_eq(rig.finals, 1);
    cr_assert_eq(rig.final_quality, KPID_QUALITY_OK);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_STALE);
    round_run(&rig, START + 70000, false);
    cr_assert_eq(rig.newest, 1);
    cr_assert_eq(rig.newest_quality, KPID_QUALITY_PROVISIONAL);
    kpid_evaluator_free(rig.evaluator);
    kpid_shard_free(rig.shard);
    kpid_decoder_free(rig.decoder);
    kpid_model_free(rig.model);
}
