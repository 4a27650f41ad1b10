/* Which sketches go out with which windows, and that each is of its snapshot's very figure. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/evaluator.h"

#define MINUTE INT64_C(60000)
#define BEGIN  INT64_C(1774051200000) /* 2026-03-21T00:00:00Z */

static const char config[] =
    "sources: { s: { topics: [t], max_skew: off, group_ttl: 30d } }\n"
    "measures: { u: { from: s, distinct: user, hll: { windows: [10m, day], groups: true } } }\n"
    "kpis:\n  k: { formula: u, windows: [10m, day, all], by: [g], history_groups: 2 }\n"
    "  other: { formula: u, windows: [10m] }\n";

struct found {
    const struct kpid_model *model;
    size_t totals[3], groups[3], gone[3], of_others, compared;
    long long figures[256]; /* of the window at work's snapshots, by the group's letter, 0: the total */
    uint64_t samples[256];
    bool left[256]; /* readers are to have none of it */
};

static void take_sketch(void *ctx, uint32_t kpi, const struct kpid_sketch *sketch, const struct kpid_snapshot *snapshot,
                        const void *cell)
{
    struct found *found = ctx;
    const struct kpid_measure *measure = &found->model->measures[0];
    found->of_others += kpi != 0;
    cr_assert_eq(sketch->window, snapshot->window);
    cr_assert_eq(snapshot->boundary_ms, snapshot->end_ms);
    cr_assert(snapshot->window == 1 || snapshot->start_ms % (10 * MINUTE) == 0);
    if (!cell) {
        cr_assert(snapshot->group);
        found->left[(unsigned char)snapshot->group[0][0]] = true;
        found->gone[snapshot->window]++;
        return;
    }
    long long figure = (long long)measure->agg->read(cell, 0, &measure->param).exact.m;
    if (!snapshot->group) {
        memset(found->samples, 0, sizeof found->samples);
        memset(found->left, 0, sizeof found->left);
        found->figures[0] = figure;
    } else { /* they come behind the snapshots of all groups: two of them, and none that is left out is larger */
        unsigned char letter = (unsigned char)snapshot->group[0][0];
        size_t larger = 0;
        for (int c = 'a'; c < 'e'; c++)
            larger += found->samples[c] > found->samples[letter];
        cr_assert_lt(larger, 2);
        cr_assert_not(found->left[letter]);
        cr_assert_eq(figure, found->figures[letter]);
        found->compared++;
    }
    (snapshot->group ? found->groups : found->totals)[snapshot->window]++;
}

static void take_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct found *found = ctx;
    if (!(places & KPID_PLACE_WINDOW) || snapshot->kpi != 0 || snapshot->value.kind != KPID_NUMBER_EXACT)
        return;
    long long figure = (long long)snapshot->value.exact.m;
    if (!snapshot->group && snapshot->window < 2) {
        cr_assert_eq(figure, found->figures[0]);
        found->compared++;
    } else if (snapshot->group) {
        found->figures[(unsigned char)snapshot->group[0][0]] = figure;
        found->samples[(unsigned char)snapshot->group[0][0]] = snapshot->samples;
    }
}

Test(app_sketch, with_the_windows_that_are_kept)
{
    static const struct kpid_sink sink = {.snapshot = take_snapshot, .sketch = take_sketch};
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    struct kpid_model *model = kpid_config_parse("t.yaml", config, strlen(config), NULL, &faults, &n);
    cr_assert(model, "%s", faults.data);
    struct found found = {.model = model};
    struct kpid_decoder *decoder = kpid_decoder_new(&model->sources[0]);
    struct kpid_shard *shard = kpid_shard_new(model, 0, 0);
    struct kpid_evaluator *evaluator = kpid_evaluator_new(model, &sink, &found);
    for (int64_t i = 0; i < 2880; i++) { /* a day */
        char text[120];
        struct kpid_event event;
        enum kpid_reason reason;
        struct kpid_record record = {.offset = i, .timestamp_ms = KPID_NEVER};
        int len = snprintf(text, sizeof text, "{\"type\":\"e\",\"ts\":%lld,\"user\":%lld,\"g\":\"%c\"}",
                           (long long)(BEGIN + i * MINUTE / 2 + 1), (long long)(i * i % 301 / (i % 4 < 2 ? 20 : 1)), (char)('a' + i % 4)); /* c and d are the larger */
        cr_assert_eq(kpid_decode(decoder, text, (size_t)len, &event), KPID_REASON_NONE);
        cr_assert_eq(kpid_shard_take(shard, &record, &event, KPID_NEVER, &reason), KPID_CLASS_COUNTED);
    }
    struct kpid_evaluator_source view = {.shards = &shard, .n_shards = 1, .n_partitions = 1,
                                         .publish_ms = BEGIN + 1440 * MINUTE, .released_ms = BEGIN + 1440 * MINUTE};
    while (kpid_evaluator_run(evaluator, &view, true, false, 100000, KPID_NEVER)) {
    }
    cr_assert_eq(found.of_others, 0);
    cr_assert_geq(found.totals[0], 144);
    cr_assert_eq(found.groups[0], 2 * found.totals[0]); /* of four */
    cr_assert_eq(found.totals[1], 1);
    cr_assert_eq(found.groups[1], 2);
    cr_assert_eq(found.totals[2], 0);
    cr_assert_eq(found.compared, 3 * (found.totals[0] + found.totals[1]));
    cr_assert_eq(found.gone[0] + found.gone[1], 0, "nobody can have any of the small ones");

    /* Told again, which of the groups are the largest may have changed since. */
    struct kpid_evaluator *stored = kpid_evaluator_new(model, &sink, &found);
    size_t before = found.totals[0];
    kpid_evaluator_again(evaluator, &view, stored);
    cr_assert_gt(found.totals[0], before);
    cr_assert_eq(found.gone[0], 2 * (found.totals[0] - before));
    cr_assert_eq(found.gone[1], 2);
    kpid_evaluator_free(stored);
    kpid_evaluator_free(evaluator);
    kpid_shard_free(shard);
    kpid_decoder_free(decoder);
    kpid_model_free(model);
    kpid_buf_release(&faults);
}
