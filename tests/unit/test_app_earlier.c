/*
 * Figures that look back (`m - m @ 1d`), in every kind of window, against a plain count of the events: with late
 * events, silent spans, groups that come and go, and a clock change. Each figure must hold when it is published, and
 * what is published last of each window must hold at the end: corrections reach the windows that look back.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/evaluator.h"

#define MINUTE  INT64_C(60000)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define BEGIN   INT64_C(1774051200000) /* 2026-03-21T00:00:00Z; Berlin's clocks go forward on the 29th */
#define MINUTES (22 * 1440)
#define GROUPS  3
#define KEPT    (1 << 16)

static const char config[] =
    "zone: Europe/Berlin\n"
    "sources: { s: { topics: [t], out_of_order: 20m, allowed_lateness: %dh, max_skew: off, silent_after: 10m,"
    " group_ttl: 30d } }\n"
    "measures: { m: { from: s, count: , by: [g] }, v: { from: s, sum: x, by: [g] } }\n"
    "kpis:\n"
    "  rolling: { formula: m - m @ 25m, windows: [{ rolling: 10m, slide: 1m }], by: [g] }\n"
    "  whole: { formula: v @ 20m + m, windows: [{ rolling: 10m, slide: 1m }], by: [g] }\n"
    "  day: { formula: m - m @ 1d, windows: [day], by: [g] }\n"
    "  week: { formula: day @ 1w, windows: [day], by: [g] }\n"
    "  ever: { formula: v - v @ 5h, windows: [all], by: [g] }\n";

struct tree { /* Fenwick: sums over minutes */
    int64_t at[MINUTES + 1];
};

struct kept {
    uint32_t kpi, group, revision;
    int64_t start_ms, end_ms;
    struct kpid_number value;
    bool used;
};

struct rig {
    struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_shard *shards[2];
    struct kpid_evaluator *evaluator;
    struct tree counts[GROUPS + 1], sums[GROUPS + 1]; /* [GROUPS]: the total */
    int64_t first_ms[GROUPS + 1];
    struct kept *kept;
    uint64_t checked, revised, checked_open;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void tree_add(struct tree *tree, int64_t minute, int64_t value)
{
    for (int64_t i = minute + 1; i <= MINUTES; i += i & -i)
        tree->at[i] += value;
}

static int64_t tree_below(const struct tree *tree, int64_t ms)
{
    int64_t sum = 0, i = (ms - BEGIN) / MINUTE;
    if (ms <= BEGIN)
        return 0;
    for (i = i < MINUTES ? i : MINUTES; i > 0; i -= i & -i)
        sum += tree->at[i];
    return sum;
}

static int64_t range(const struct tree *tree, int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? tree_below(tree, to_ms) - tree_below(tree, from_ms) : 0;
}

/* A count or sum of nothing is nothing where the source did not live. False: nothing. */
static bool figure(const struct rig *rig, const struct tree *trees, size_t group, struct kpid_stretch at,
                   int64_t silent_ms, int64_t *ret)
{
    *ret = range(&trees[group], at.start_ms, at.boundary_ms);
    if (range(&rig->counts[group], at.start_ms, at.boundary_ms) > 0)
        return true;
    int64_t from_ms = silent_ms == KPID_FOREVER ? BEGIN : at.boundary_ms - silent_ms;
    return range(&rig->counts[GROUPS], from_ms, at.boundary_ms) > 0;
}

static int64_t civil(const struct rig *rig, int64_t start_ms, int64_t days)
{
    const struct kpid_window *window = &rig->model->kpis[2].windows[0];
    int64_t noon_ms = start_ms + DAY / 2 - days * DAY;
    return kpid_zone_period_start(window->zone, window->period, noon_ms);
}

/* The stretch so many days earlier, worked out apart from the code that is tested. */
static struct kpid_stretch days_back(const struct rig *rig, struct kpid_stretch at, int64_t days)
{
    struct kpid_stretch ret = {.start_ms = civil(rig, at.start_ms, days), .end_ms = civil(rig, at.start_ms, days - 1)};
    ret.boundary_ms = ret.start_ms + at.boundary_ms - at.start_ms;
    if (at.boundary_ms == at.end_ms || ret.boundary_ms > ret.end_ms)
        ret.boundary_ms = ret.end_ms;
    return ret;
}

static struct kpid_stretch ms_back(struct kpid_stretch at, int64_t ms)
{
    return (struct kpid_stretch){at.start_ms == BEGIN ? BEGIN : at.start_ms - ms, at.end_ms - ms, at.boundary_ms - ms};
}

static bool expected(const struct rig *rig, uint32_t kpi, size_t group, struct kpid_stretch at, int64_t *ret)
{
    int64_t a, b = 0;
    struct kpid_stretch day = days_back(rig, at, 1);
    bool good;
    switch (kpi) {
    case 0:
        good = figure(rig, rig->counts, group, at, 10 * MINUTE, &a) &&
               figure(rig, rig->counts, group, ms_back(at, 25 * MINUTE), 10 * MINUTE, &b);
        *ret = a - b;
        return good;
    case 1:
        good = figure(rig, rig->counts, group, at, 10 * MINUTE, &a) &&
               figure(rig, rig->sums, group, ms_back(at, 20 * MINUTE), 10 * MINUTE, &b);
        *ret = a * 1000000 + b; /* at the scale of the sum */
        return good;
    case 2:
    case 3:
        if (kpi == 3) {
            at = days_back(rig, at, 7);
            day = days_back(rig, at, 1);
        }
        good = figure(rig, rig->counts, group, at, at.end_ms - at.start_ms, &a) &&
               figure(rig, rig->counts, group, day, day.end_ms - day.start_ms, &b);
        *ret = a - b;
        return good;
    default:
        good = figure(rig, rig->sums, group, at, KPID_FOREVER, &a) &&
               figure(rig, rig->sums, group, ms_back(at, 5 * HOUR), KPID_FOREVER, &b);
        *ret = a - b;
        return good;
    }
}

static void value_check(const struct rig *rig, uint32_t kpi, size_t group, struct kpid_stretch at,
                        const struct kpid_number *value, const char *when)
{
    int64_t wanted = 0;
    bool good = expected(rig, kpi, group, at, &wanted);
    bool has = value->kind == KPID_NUMBER_EXACT;
    cr_assert_eq(has, good, "%s: KPI %s group %zu [%lld, %lld) of %lld: %s", when, rig->model->kpis[kpi].name, group,
                 (long long)at.start_ms, (long long)at.boundary_ms, (long long)at.end_ms, has ? "a value" : "none");
    if (has)
        cr_assert_eq((int64_t)value->exact.m, wanted, "%s: KPI %s group %zu [%lld, %lld) of %lld: %lld, not %lld", when,
                     rig->model->kpis[kpi].name, group, (long long)at.start_ms, (long long)at.boundary_ms,
                     (long long)at.end_ms, (long long)value->exact.m, (long long)wanted);
}

static void keep(struct rig *rig, const struct kpid_snapshot *s, size_t group)
{
    uint64_t hash = ((uint64_t)s->start_ms / MINUTE * 31 + s->kpi * 7 + group) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = hash >> 48;; i = (i + 1) % KEPT) {
        struct kept *kept = &rig->kept[i];
        if (kept->used && (kept->kpi != s->kpi || kept->group != group || kept->start_ms != s->start_ms))
            continue;
        *kept = (struct kept){s->kpi, (uint32_t)group, s->revision, s->start_ms, s->end_ms, s->value, true};
        return;
    }
}

static void snapshot_take(void *ctx, const struct kpid_snapshot *s, unsigned places)
{
    struct rig *rig = ctx;
    size_t group = s->group ? (size_t)(s->group[0][0] - 'a') : GROUPS;
    struct kpid_stretch at = {s->start_ms == KPID_NEVER ? BEGIN : s->start_ms, s->end_ms, s->boundary_ms};
    cr_assert_eq(s->reasons & KPID_QR_PARTIAL, 0);
    value_check(rig, s->kpi, group, at, &s->value, s->revision ? "revision" : s->final ? "final" : "provisional");
    if (places & KPID_PLACE_WINDOW)
        keep(rig, s, group);
    rig->checked++;
    rig->revised += s->revision > 0;
    rig->checked_open += s->boundary_ms < s->end_ms;
}

static const struct kpid_sink sink = {.snapshot = snapshot_take};

static void event_take(struct rig *rig, int64_t ts_ms, size_t group, int64_t x, int64_t offset)
{
    char text[160];
    struct kpid_event event;
    enum kpid_reason reason;
    struct kpid_record record = {.partition = (int32_t)(offset % 2), .offset = offset / 2, .timestamp_ms = KPID_NEVER};
    int len = snprintf(text, sizeof text, "{\"type\":\"e\",\"ts\":%lld,\"id\":\"%lld\",\"g\":\"%c\",\"x\":%lld}",
                       (long long)ts_ms, (long long)offset, (char)('a' + group), (long long)x);
    cr_assert_eq(kpid_decode(rig->decoder, text, (size_t)len, &event), KPID_REASON_NONE);
    enum kpid_class class = kpid_shard_take(rig->shards[record.partition], &record, &event, KPID_NEVER, &reason);
    if (class != KPID_CLASS_COUNTED)
        return;
    int64_t minute = (ts_ms - BEGIN) / MINUTE;
    for (size_t i = 0; i < 2; i++) {
        tree_add(&rig->counts[i ? GROUPS : group], minute, 1);
        tree_add(&rig->sums[i ? GROUPS : group], minute, x * 1000000);
    }
}

static void round_run(struct rig *rig, bool end)
{
    int64_t lowest = KPID_FOREVER;
    for (size_t i = 0; i < 2; i++) {
        bool idle;
        int64_t clock = kpid_shard_watermark(rig->shards[i], NULL, &idle);
        lowest = clock < lowest ? clock : lowest;
    }
    struct kpid_evaluator_source view = {.shards = rig->shards,
                                         .n_shards = 2,
                                         .n_partitions = 2,
                                         .publish_ms = lowest,
                                         .released_ms = lowest};
    while (kpid_evaluator_run(rig->evaluator, &view, end, !end, 1000, KPID_NEVER)) {
    }
    kpid_evaluator_advance(rig->evaluator, &view);
}

static struct kpid_model *model_parse(const char *text)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    struct kpid_model *model = kpid_config_parse("t.yaml", text, strlen(text), NULL, &faults, &n);
    cr_assert(model, "%s", faults.data);
    kpid_buf_release(&faults);
    return model;
}

static void rig_open(struct rig *rig, int lateness_h)
{
    struct kpid_buf text = KPID_BUF_INIT;
    memset(rig, 0, sizeof *rig);
    kpid_buf_printf(&text, config, lateness_h);
    rig->model = model_parse(text.data);
    kpid_buf_release(&text);
    rig->decoder = kpid_decoder_new(&rig->model->sources[0]);
    for (int32_t i = 0; i < 2; i++)
        rig->shards[i] = kpid_shard_new(rig->model, 0, i);
    rig->evaluator = kpid_evaluator_new(rig->model, &sink, rig);
    rig->kept = kpid_zalloc(KEPT, sizeof *rig->kept);
}

static void rig_close(struct rig *rig)
{
    kpid_evaluator_free(rig->evaluator);
    for (size_t i = 0; i < 2; i++)
        kpid_shard_free(rig->shards[i]);
    kpid_decoder_free(rig->decoder);
    kpid_model_free(rig->model);
    free(rig->kept);
}

/* Every window that readers find says what the events taken so far say. */
static void kept_check(const struct rig *rig, size_t *ret_kept, size_t *ret_revised)
{
    *ret_kept = *ret_revised = 0;
    for (size_t i = 0; i < KEPT; i++) {
        const struct kept *k = &rig->kept[i];
        struct kpid_stretch at = {k->start_ms, k->end_ms, k->end_ms};
        if (!k->used)
            continue;
        value_check(rig, k->kpi, k->group, at, &k->value, "kept");
        ++*ret_kept;
        *ret_revised += k->revision > 0;
    }
}

static void run(int lateness_h)
{
    size_t kept, revised, rounds = 0;
    struct rig *rig = kpid_zalloc(1, sizeof *rig);
    uint64_t state = 20260321;
    int64_t now = BEGIN + 90 * MINUTE, offset = 0;
    rig_open(rig, lateness_h);
    while (now < BEGIN + 20 * DAY) {
        now += (int64_t)(random_next(&state) % (uint64_t)(4 * MINUTE));
        if (random_next(&state) % 400 == 0)
            now += (int64_t)(random_next(&state) % (uint64_t)(9 * HOUR)); /* silence */
        int64_t ts = now;
        uint64_t late = random_next(&state) % 100;
        if (late < 20)
            ts -= (int64_t)(random_next(&state) % (uint64_t)(late < 3 ? lateness_h * HOUR : 15 * MINUTE));
        ts = ts < BEGIN ? BEGIN : ts;
        ts += ts % MINUTE == 0; /* at no boundary, where "in" and "at" differ */
        /* one group is gone in the second week */
        size_t group = random_next(&state) % (now - BEGIN > 7 * DAY && now - BEGIN < 14 * DAY ? 2 : GROUPS);
        event_take(rig, ts, group, (int64_t)(random_next(&state) % 1000) - 200, offset++);
        if (random_next(&state) % 20 != 0)
            continue;
        round_run(rig, false);
        if (++rounds % 20 == 0)
            kept_check(rig, &kept, &revised);
    }
    round_run(rig, false);
    round_run(rig, true);
    kept_check(rig, &kept, &revised);
    cr_log_info("%llu figures, %llu of revisions, %llu of open windows; %zu windows kept, %zu of them corrected",
                (unsigned long long)rig->checked, (unsigned long long)rig->revised,
                (unsigned long long)rig->checked_open, kept, revised);
    cr_assert_gt(kept, 5000);
    cr_assert_gt(revised, 100);
    cr_assert_gt(rig->checked_open, 500);
    rig_close(rig);
    free(rig);
}

Test(app_earlier, every_window_against_a_plain_count)
{
    run(3);
}

/* Events so late that they correct days whose next day is final too. */
Test(app_earlier, late_by_days)
{
    run(50);
}

/* ---- a configuration that looks further back than the one before ---- */

#define SOURCE "sources: { s: { topics: [t], max_skew: off } }\nmeasures: { m: { from: s, count: } }\n"

static void reload_visit(void *ctx, const struct kpid_snapshot *snapshot)
{
    *(struct kpid_snapshot *)ctx = *snapshot;
}

static struct kpid_snapshot peek(const struct kpid_model *model, struct kpid_shard *shard, uint32_t window,
                                 int64_t start_ms, int64_t boundary_ms)
{
    struct kpid_snapshot ret = {0};
    struct kpid_evaluator *evaluator = kpid_evaluator_new(model, &(struct kpid_sink){0}, NULL);
    struct kpid_evaluator_source view = {
        .shards = &shard, .n_shards = 1, .n_partitions = 1, .publish_ms = boundary_ms, .released_ms = boundary_ms};
    kpid_evaluator_peek(evaluator, &view, 0, window, start_ms, boundary_ms, boundary_ms, reload_visit, &ret);
    kpid_evaluator_free(evaluator);
    return ret;
}

Test(app_earlier, panes_that_are_gone)
{
    struct kpid_model *before = model_parse(SOURCE "kpis: { k: { formula: m, windows: [10m, all] } }\n");
    struct kpid_model *after = model_parse(SOURCE "kpis: { k: { formula: m - m @ 5h, windows: [10m, all] } }\n");
    struct kpid_shard *shard = kpid_shard_new(before, 0, 0), *loaded = kpid_shard_new(after, 0, 0);
    struct kpid_decoder *decoder = kpid_decoder_new(&before->sources[0]);
    const char *why;
    for (int64_t i = 0; i < 1440; i++) {
        char text[80];
        struct kpid_event event;
        enum kpid_reason reason;
        struct kpid_record record = {.offset = i, .timestamp_ms = KPID_NEVER};
        int len = snprintf(text, sizeof text, "{\"type\":\"e\",\"ts\":%lld}", (long long)(BEGIN + i * MINUTE + 1));
        cr_assert_eq(kpid_decode(decoder, text, (size_t)len, &event), KPID_REASON_NONE);
        cr_assert_eq(kpid_shard_take(shard, &record, &event, KPID_NEVER, &reason), KPID_CLASS_COUNTED);
    }
    int64_t end = BEGIN + DAY;
    kpid_shard_advance(shard, &end, end);
    struct kpid_commit commit;
    kpid_shard_cut(shard, true, &commit);
    cr_assert(kpid_shard_load(loaded, commit.meta.data, commit.meta.len, commit.pages, commit.n_pages, &why), "%s", why);
    struct kpid_snapshot s = peek(after, loaded, 0, end - 10 * MINUTE, end);
    cr_assert((s.reasons & KPID_QR(NOT_KEPT)) && s.quality == KPID_QUALITY_PARTIAL && !s.final);
    s = peek(after, loaded, 1, KPID_NEVER, end);
    cr_assert((s.reasons & KPID_QR(NOT_KEPT)) && s.quality == KPID_QUALITY_PARTIAL && !s.final);
    s = peek(before, shard, 0, end - 10 * MINUTE, end);
    cr_assert(s.reasons == 0 && s.final && s.value.exact.m == 10);
    kpid_commit_release(&commit);
    kpid_decoder_free(decoder);
    kpid_shard_free(shard);
    kpid_shard_free(loaded);
    kpid_model_free(before);
    kpid_model_free(after);
}
