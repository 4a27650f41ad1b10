/* One source in one shard, with an evaluator whose findings are counted. */
#ifndef KPID_TEST_APP_RIG_H
#define KPID_TEST_APP_RIG_H

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
    int64_t offset;
    /* of the last round */
    unsigned newest, finals, windows, again, wrong;
    enum kpid_quality newest_quality, final_quality;
    int64_t first_window_ms, last_window_ms;
    int64_t latest_final_ms; /* end of what readers find as the latest final, 0: it was not written */
};

/* Every minute has as many events as minute_of says; a window that says otherwise is wrong. */
static inline int64_t minute_of(int64_t start_ms)
{
    return 1 + (start_ms / MINUTE) % 5;
}

static inline void rig_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct rig *rig = ctx;
    if (snapshot->final) {
        rig->finals++;
        rig->final_quality = snapshot->quality;
    } else if (places & KPID_PLACE_NEWEST) {
        rig->newest++;
        rig->newest_quality = snapshot->quality;
    }
    if (places & KPID_PLACE_FINAL)
        rig->latest_final_ms = snapshot->end_ms;
    rig->again += (places & KPID_PLACE_AGAIN) != 0;
    if (!(places & KPID_PLACE_WINDOW))
        return;
    if (!rig->windows++)
        rig->first_window_ms = snapshot->start_ms;
    rig->last_window_ms = snapshot->start_ms;
    rig->wrong += snapshot->samples != (uint64_t)minute_of(snapshot->start_ms);
}

static inline const struct kpid_sink *rig_sink(void)
{
    static const struct kpid_sink sink = {.snapshot = rig_snapshot};
    return &sink;
}

static inline void rig_open(struct rig *rig, const char *before, const char *snippet)
{
    memset(rig, 0, sizeof *rig);
    rig->model = kit_model(before, snippet);
    rig->decoder = kpid_decoder_new(&rig->model->sources[0]);
    rig->shard = kpid_shard_new(rig->model, 0, 0);
    rig->evaluator = kpid_evaluator_new(rig->model, rig_sink(), rig);
}

static inline void rig_close(struct rig *rig)
{
    kpid_evaluator_free(rig->evaluator);
    kpid_shard_free(rig->shard);
    kpid_decoder_free(rig->decoder);
    kpid_model_free(rig->model);
}

static inline void rig_take(struct rig *rig, int64_t ts_ms)
{
    char text[64];
    struct kpid_event event;
    enum kpid_reason reason;
    snprintf(text, sizeof text, "{\"type\":\"x\",\"ts\":%lld}", (long long)ts_ms);
    struct kpid_record record = {.offset = rig->offset++, .value = text, .value_len = strlen(text)};
    cr_assert_eq(kpid_decode(rig->decoder, text, strlen(text), &event), KPID_REASON_NONE);
    cr_assert_eq(kpid_shard_take(rig->shard, &record, &event, KPID_NEVER, &reason), KPID_CLASS_COUNTED);
}

static inline void rig_view(struct rig *rig, int64_t watermark_ms, bool stale)
{
    rig->newest = rig->finals = rig->windows = rig->again = rig->wrong = 0;
    rig->latest_final_ms = 0;
    rig->source = (struct kpid_evaluator_source){.shards = &rig->shard, .n_shards = 1, .n_partitions = 1,
                                                 .publish_ms = watermark_ms, .released_ms = watermark_ms,
                                                 .stale = stale};
}

static inline void rig_round(struct rig *rig, int64_t watermark_ms, bool stale)
{
    rig_view(rig, watermark_ms, stale);
    kpid_evaluator_run(rig->evaluator, &rig->source, false, true, 100000, KPID_NEVER);
    kpid_evaluator_advance(rig->evaluator, &rig->source);
}

#endif
