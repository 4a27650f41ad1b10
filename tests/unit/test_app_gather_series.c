/* Windows of a series, put together from what they share, against the same windows each gathered alone. */
#include "keyed_rig.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define T0     (INT64_C(1700000000000) / (24 * HOUR) * (24 * HOUR))

static const char config[] =
    "sources: { shop: { topics: [shop], out_of_order: 10s, allowed_lateness: 1h, fields: { amount: { path: amount, type: number, scale: 2 } } } }\n"
    "measures:\n"
    "  n: { from: shop, count: }\n"
    "  sum: { from: shop, sum: amount }\n"
    "  least: { from: shop, min: amount }\n"
    "  mean: { from: shop, mean: amount }\n"
    "  last: { from: shop, last: amount }\n"
    "  users: { from: shop, distinct: user }\n"
    "  amounts: { from: shop, quantiles: amount }\n"
    "  clocks: { from: shop, clock: { key: user, start: type == \"a\", stop: type == \"b\", pause: type == \"c\", deadline: 3m } }\n"
    "  visits: { from: shop, session: { key: user, gap: 2m } }\n"
    "kpis:\n"
    "  n: { formula: n, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  sum: { formula: sum, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  least: { formula: least, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  mean: { formula: mean, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  last: { formula: last, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  users: { formula: users, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  amounts: { formula: amounts.p90, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  clocks: { formula: clocks.p90, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n"
    "  visits: { formula: visits, by: [channel], windows: [{ rolling: 10m, slide: 10s }, { rolling: 1h, slide: 1m }, day] }\n";

enum { MEASURES = 9, GROUPINGS = 2 };

struct pair {
    struct rig alone, series;
};

static void take(struct pair *pair, int64_t ts_ms, unsigned channels)
{
    char json[256];
    unsigned draw = rig_draw(&pair->alone, 1000000);
    snprintf(json, sizeof json,
             "{\"type\":\"%c\",\"id\":\"%lld\",\"ts\":%lld,\"user\":\"u%u\",\"channel\":\"c%u\",\"amount\":%u.%02u}",
             "abc"[draw % 3], (long long)pair->alone.offset, (long long)ts_ms, draw / 3 % 40, draw / 7 % channels,
             draw % 900, draw % 100);
    cr_assert_eq(rig_take(&pair->alone, json), rig_take(&pair->series, json));
}

static void compare(struct pair *pair, size_t measure, uint16_t grouping, int64_t start_ms, int64_t boundary_ms)
{
    struct kpid_buf want = rig_bytes(&pair->alone, measure, grouping, start_ms, boundary_ms);
    struct kpid_buf got = rig_bytes(&pair->series, measure, grouping, start_ms, boundary_ms);
    cr_assert(want.len == got.len && memcmp(want.data, got.data, want.len) == 0,
              "measure %zu by %u, [%lld, %lld): %zu bytes, not %zu", measure, grouping, (long long)(start_ms - T0),
              (long long)(boundary_ms - T0), got.len, want.len);
    kpid_buf_release(&want);
    kpid_buf_release(&got);
}

/* All windows of one length with boundaries in (from, to]; some boundaries are passed over, as runs are. */
static void compare_all(struct pair *pair, int64_t step_ms, int64_t length_ms, int64_t from_ms, int64_t to_ms)
{
    for (size_t measure = 0; measure < MEASURES; measure++)
        for (uint16_t grouping = 0; grouping < GROUPINGS; grouping++)
            for (int64_t at_ms = from_ms + step_ms; at_ms <= to_ms; at_ms += step_ms) {
                if (rig_draw(&pair->alone, 4) != 0)
                    continue;
                kpid_gather_series(pair->series.gather, step_ms, length_ms, to_ms);
                compare(pair, measure, grouping, length_ms == KPID_FOREVER ? T0 : at_ms - length_ms, at_ms);
            }
}

static void run(unsigned channels, unsigned events_a_minute)
{
    struct pair pair = {rig_new(config), rig_new(config)};
    int64_t final_ms = T0;
    for (int64_t minute = 0; minute < 80; minute += 20) {
        for (unsigned i = 0; i < 20 * events_a_minute; i++) {
            int64_t ts_ms = T0 + minute * MINUTE + i * 20 * MINUTE / (20 * events_a_minute);
            int64_t back_ms = rig_draw(&pair.alone, 20) == 0 ? 15 * MINUTE : 9 * SECOND;
            ts_ms -= rig_draw(&pair.alone, (unsigned)back_ms);
            take(&pair, ts_ms < T0 ? T0 : ts_ms, channels);
        }
        int64_t to_ms = T0 + (minute + 19) * MINUTE;
        compare_all(&pair, 10 * SECOND, 10 * MINUTE, final_ms, to_ms);
        compare_all(&pair, MINUTE, HOUR, final_ms, to_ms);
        compare_all(&pair, 10 * SECOND, KPID_FOREVER, final_ms, to_ms);
        kpid_gather_forget(pair.series.gather);
        rig_advance(&pair.alone, to_ms);
        rig_advance(&pair.series, to_ms);
        final_ms = to_ms;
    }
    rig_free(&pair.alone);
    rig_free(&pair.series);
}

Test(gather_series, windows_are_those_gathered_alone)
{
    run(5, 12);
}

Test(gather_series, more_groups_than_are_kept)
{
    run(400, 30);
}

/* An event behind a boundary that was gathered belongs to the windows that follow, also without a _forget. */
Test(gather_series, an_event_behind_what_is_kept)
{
    struct pair pair = {rig_new(config), rig_new(config)};
    for (int i = 0; i < 300; i++)
        take(&pair, T0 + i * 4 * SECOND, 3);
    for (int64_t at_ms = T0 + 12 * MINUTE; at_ms <= T0 + 19 * MINUTE; at_ms += 10 * SECOND) {
        kpid_gather_series(pair.series.gather, 10 * SECOND, 10 * MINUTE, T0 + 19 * MINUTE);
        compare(&pair, 0, 1, at_ms - 10 * MINUTE, at_ms);
        if (rig_draw(&pair.alone, 4) == 0)
            take(&pair, at_ms - 2 * MINUTE, 3);
    }
    rig_free(&pair.alone);
    rig_free(&pair.series);
}
