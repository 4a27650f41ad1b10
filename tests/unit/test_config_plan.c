/* The plan: ladders, groupings, dispatch by type, limits, definition hashes. */
#include "kpid/zone.h"
#include "test_config_kit.h"

#define MINUTE INT64_C(60000)
#define HOUR   INT64_C(3600000)
#define DAY    INT64_C(86400000)

#define ONE(windows)                                                                                         \
    "measures: { m: { from: orders, where: type == \"a\", count: } }\n"                                      \
    "kpis: { k: { formula: m, windows: " windows " } }\n"

struct rung_case {
    uint8_t kind;
    int64_t width_ms, keep_ms;
    uint16_t parent;
};

static void rungs_check(const char *snippet, const struct rung_case *rungs, size_t n)
{
    struct kpid_model *model = kit_model(KIT_SOURCES, snippet);
    const struct kpid_measure *m = &model->measures[0];
    cr_assert_eq(m->n_rungs, n, "%s: %zu rungs", snippet, m->n_rungs);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(m->rungs[i].kind, rungs[i].kind, "%s: rung %zu", snippet, i);
        cr_assert_eq(m->rungs[i].width_ms, rungs[i].width_ms, "%s: rung %zu width %lld", snippet, i,
                     (long long)m->rungs[i].width_ms);
        cr_assert_eq(m->rungs[i].keep_ms, rungs[i].keep_ms, "%s: rung %zu keep %lld", snippet, i,
                     (long long)m->rungs[i].keep_ms);
        cr_assert_eq(m->rungs[i].parent, rungs[i].parent, "%s: rung %zu parent %d", snippet, i,
                     m->rungs[i].parent);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(m->rungs[i].hash, m->rungs[j].hash);
    }
    kpid_model_free(model);
}

#define RUNGS(snippet, ...)                                                                                  \
    do {                                                                                                     \
        static const struct rung_case cases[] = {__VA_ARGS__};                                               \
        rungs_check(snippet, cases, KPID_COUNT_OF(cases));                                                   \
    } while (0)

Test(config_plan, usual_windows)
{
    RUNGS(ONE("[5m, 1h, day]"), {KPID_RUNG_FIXED, 5000, 5 * MINUTE, 0}, {KPID_RUNG_FIXED, MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, 5 * MINUTE, HOUR, 1}, {KPID_RUNG_FIXED, HOUR, HOUR, 1},
          {KPID_RUNG_CALENDAR, 0, HOUR, 1});
}

Test(config_plan, one_window)
{
    RUNGS(ONE("[5m]"), {KPID_RUNG_FIXED, 5000, 5 * MINUTE, 0}, {KPID_RUNG_FIXED, 5 * MINUTE, HOUR, 0});
    RUNGS(ONE("[10s]"), {KPID_RUNG_FIXED, 1000, 10000, 0}, {KPID_RUNG_FIXED, 10000, HOUR, 0});
}

/* A slide as wide as the window: one rung is both, and keeps the longer of the two. */
Test(config_plan, tumbling)
{
    RUNGS(ONE("[{ rolling: 1h, slide: 1h }]"), {KPID_RUNG_FIXED, HOUR, HOUR, 0});
    RUNGS(ONE("[{ rolling: 2h, slide: 2h }]"), {KPID_RUNG_FIXED, 2 * HOUR, 2 * HOUR, 0});
    RUNGS(ONE("[{ rolling: 1m, slide: 1m }, { rolling: 1h, slide: 1m }]"), {KPID_RUNG_FIXED, MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, HOUR, HOUR, 0});
}

Test(config_plan, only_calendar)
{
    RUNGS(ONE("[day]"), {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0});
    RUNGS(ONE("[day, { calendar: day, zone: Asia/Kolkata, name: ist }, month]"),
          {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0},
          {KPID_RUNG_CALENDAR, 0, HOUR, 0});
}

/* Midnight in Kolkata is at half past the hour: panes of an hour are too wide for it, those of 15 minutes are
 * not. */
Test(config_plan, kolkata)
{
    RUNGS(ONE("[{ rolling: 12h, slide: 1h }, { calendar: day, zone: Asia/Kolkata }]"),
          {KPID_RUNG_FIXED, 15 * MINUTE, 0, 0}, {KPID_RUNG_FIXED, HOUR, 12 * HOUR, 0},
          {KPID_RUNG_FIXED, 12 * HOUR, HOUR, 1}, {KPID_RUNG_CALENDAR, 0, HOUR, 0});
    RUNGS(ONE("[{ rolling: 3h, slide: 15m }, { calendar: day, zone: Asia/Kolkata }]"),
          {KPID_RUNG_FIXED, 15 * MINUTE, 3 * HOUR, 0}, {KPID_RUNG_FIXED, 3 * HOUR, HOUR, 0},
          {KPID_RUNG_CALENDAR, 0, HOUR, 0});
}

/* Panes as wide as the grain of the zone fill its calendar cells. */
Test(config_plan, grain)
{
    RUNGS(ONE("[5m, { rolling: 3h, slide: 15m }, { calendar: day, zone: Asia/Kolkata }]"),
          {KPID_RUNG_FIXED, 5000, 5 * MINUTE, 0}, {KPID_RUNG_FIXED, 5 * MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, 15 * MINUTE, 3 * HOUR, 0}, {KPID_RUNG_FIXED, 3 * HOUR, HOUR, 2},
          {KPID_RUNG_CALENDAR, 0, HOUR, 2});
}

Test(config_plan, all)
{
    RUNGS(ONE("[all]"), {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_ALL, 0, KPID_FOREVER, 0});
    RUNGS(ONE("[5m, 1h, all]"), {KPID_RUNG_FIXED, 5000, 5 * MINUTE, 0}, {KPID_RUNG_FIXED, MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, 5 * MINUTE, HOUR, 1}, {KPID_RUNG_FIXED, HOUR, HOUR, 1},
          {KPID_RUNG_ALL, 0, KPID_FOREVER, 1});
    RUNGS(ONE("[24h, { all: , from: \"2026-01-01T00:01:00Z\" }]"), {KPID_RUNG_FIXED, MINUTE, 0, 0},
          {KPID_RUNG_FIXED, 24 * MINUTE, DAY, 0}, {KPID_RUNG_FIXED, DAY, HOUR, 1},
          {KPID_RUNG_ALL, 0, KPID_FOREVER, 0});
}

/* `@` keeps what its windows are put together from, and nothing else. */
#define BACK(formula, windows)                                                                               \
    "measures: { m: { from: orders, where: type == \"a\", count: } }\n"                                      \
    "kpis: { k: { formula: " formula ", windows: " windows " } }\n"

Test(config_plan, looking_back)
{
    RUNGS(BACK("m - m @ 10m", "[5m]"), {KPID_RUNG_FIXED, 5000, 15 * MINUTE, 0},
          {KPID_RUNG_FIXED, 5 * MINUTE, HOUR + 10 * MINUTE, 0});
    RUNGS(BACK("m - m @ 7m", "[5m]"), {KPID_RUNG_FIXED, 5000, HOUR + 12 * MINUTE, 0},
          {KPID_RUNG_FIXED, 5 * MINUTE, HOUR + 7 * MINUTE, 0});
    RUNGS(BACK("m - m @ 1w", "[day]"), {KPID_RUNG_FIXED, 5 * MINUTE, 9 * DAY + HOUR, 0},
          {KPID_RUNG_CALENDAR, 0, 8 * DAY + HOUR, 0});
    RUNGS(BACK("m - m @ 1 month", "[month]"), {KPID_RUNG_FIXED, 15 * MINUTE, 63 * DAY + HOUR, 0},
          {KPID_RUNG_CALENDAR, 0, 32 * DAY + HOUR, 0});
    RUNGS(BACK("m - m @ 2h", "[all]"), {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_ALL, 0, KPID_FOREVER, 0});
}

Test(config_plan, looking_back_beside_others)
{
    struct kpid_model *model =
        kit_model(KIT_SOURCES, "measures: { m: { from: orders, count: } }\n"
                               "kpis: { a: { formula: m, windows: [5m, day, all] }, b: { formula: m @ 1d, windows: [day] },"
                               " c: { formula: m @ 3h, windows: [all] } }\n");
    const struct kpid_measure *m = &model->measures[0];
    cr_assert_eq(m->n_rungs, 4);
    cr_assert(m->rungs[0].width_ms == 5000 && m->rungs[0].keep_ms == 5 * MINUTE && m->rungs[0].earlier_ms == 0);
    cr_assert(m->rungs[1].width_ms == 5 * MINUTE && m->rungs[1].keep_ms == 3 * DAY + HOUR);
    cr_assert_eq(m->rungs[1].earlier_ms, 3 * DAY);
    cr_assert(m->rungs[2].keep_ms == 2 * DAY + HOUR && m->rungs[2].earlier_ms == 2 * DAY && m->rungs[2].parent == 1);
    cr_assert(m->rungs[3].lag_ms == 3 * HOUR && m->rungs[3].kind == KPID_RUNG_ALL);
    cr_assert_eq(model->plans[0].longest_window_ms, 2 * DAY + HOUR);
    kpid_model_free(model);
}

/* Slides that do not divide each other: rung 0 divides both. */
Test(config_plan, odd_slides)
{
    RUNGS(ONE("[{ rolling: 1h, slide: 4m }, { rolling: 3h, slide: 6m }]"),
          {KPID_RUNG_FIXED, 2 * MINUTE, 0, 0}, {KPID_RUNG_FIXED, 4 * MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, 6 * MINUTE, 3 * HOUR, 0}, {KPID_RUNG_FIXED, HOUR, HOUR, 2},
          {KPID_RUNG_FIXED, 3 * HOUR, HOUR, 2});
}

/* The windows of all KPIs count, through published parts and inlined KPIs, too; an unused measure has one
 * rung. */
Test(config_plan, several_kpis)
{
    RUNGS("measures: { m: { from: orders, count: }, n: { from: orders, count: } }\n"
          "kpis: { a: { formula: m, windows: [5m] }, b: { formula: a / n, windows: [1h] } }\n",
          {KPID_RUNG_FIXED, 5000, 5 * MINUTE, 0}, {KPID_RUNG_FIXED, MINUTE, HOUR, 0},
          {KPID_RUNG_FIXED, 5 * MINUTE, HOUR, 1}, {KPID_RUNG_FIXED, HOUR, HOUR, 1});
    RUNGS("measures: { m: { from: orders, count: } }\n", {KPID_RUNG_FIXED, MINUTE, 0, 0});
}

/* Equal periods are one rung: the start of a week means nothing to a day. */
Test(config_plan, equal_periods)
{
    RUNGS(ONE("[day, { calendar: day, week_start: sun, fiscal_year_start: apr, name: other }]"),
          {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0});
    RUNGS(ONE("[week, { calendar: week, week_start: sun, name: us }, year, { calendar: year, "
              "fiscal_year_start: apr, "
              "name: fiscal }]"),
          {KPID_RUNG_FIXED, MINUTE, 0, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0},
          {KPID_RUNG_CALENDAR, 0, HOUR, 0}, {KPID_RUNG_CALENDAR, 0, HOUR, 0});
}

/* Every parent lies below, divides its child, and is no whole-length rung, over many sets of windows. */
Test(config_plan, ladders_hold)
{
    static const char *const pool[] = {"5m",
                                       "1h",
                                       "24h",
                                       "day",
                                       "week",
                                       "month",
                                       "all",
                                       "90s",
                                       "7d",
                                       "{ rolling: 10m, slide: 2m30s }",
                                       "{ rolling: 1h, slide: 1h, name: h }",
                                       "{ calendar: day, zone: Asia/Kathmandu, name: k }",
                                       "{ calendar: month, zone: America/New_York, name: n }"};
    for (unsigned set = 1; set < 1u << KPID_COUNT_OF(pool); set += 7) {
        struct kpid_buf text = KPID_BUF_INIT;
        kpid_buf_add_str(&text,
                         "measures: { m: { from: orders, count: } }\nkpis: { k: { formula: m, windows: [");
        for (size_t i = 0; i < KPID_COUNT_OF(pool); i++)
            if (set & 1u << i)
                kpid_buf_printf(&text, "%s, ", pool[i]);
        kpid_buf_add_str(&text, "] } }\n");
        struct kpid_model *model = kit_model(KIT_SOURCES, text.data);
        const struct kpid_measure *m = &model->measures[0];
        const struct kpid_kpi *k = &model->kpis[0];
        for (size_t i = 0; i < m->n_rungs; i++) {
            const struct kpid_rung *rung = &m->rungs[i], *parent = &m->rungs[rung->parent];
            cr_assert(i == 0 ? rung->parent == 0 : rung->parent < i);
            cr_assert_eq(parent->kind, KPID_RUNG_FIXED);
            if (rung->kind == KPID_RUNG_FIXED)
                cr_assert_eq(rung->width_ms % parent->width_ms, 0);
            if (rung->kind == KPID_RUNG_CALENDAR)
                cr_assert_eq(kpid_zone_grain(rung->zone) % parent->width_ms, 0);
        }
        for (size_t i = 0; i < k->n_windows; i++) { /* each window finds its slide and its whole */
            bool slide = k->windows[i].kind != KPID_WINDOW_ROLLING, whole = slide;
            for (size_t j = 0; j < m->n_rungs; j++)
                if (m->rungs[j].kind == KPID_RUNG_FIXED) {
                    slide |= m->rungs[j].width_ms == k->windows[i].slide_ms &&
                             m->rungs[j].keep_ms >= k->windows[i].length_ms;
                    whole |= m->rungs[j].width_ms == k->windows[i].length_ms && m->rungs[j].keep_ms >= HOUR;
                }
            cr_assert(slide && whole, "%s", text.data);
        }
        cr_assert_eq(k->judge_every_ms % m->rungs[0].width_ms, 0);
        kpid_model_free(model);
        kpid_buf_release(&text);
    }
}

Test(config_plan, groupings)
{
    struct kpid_model *model =
        kit_model(KIT_SOURCES KIT_MEASURES,
                  "kpis:\n  a: { formula: orders, windows: [5m], by: [channel] }\n"
                  "  b: { formula: orders, windows: [5m], by: [channel, region] }\n"
                  "  c: { formula: orders / visitors, windows: [5m], by: [channel] }\n"
                  "  d: { formula: mean_price + low + spread + processing.p90 + revenue, windows: [5m] }\n");
    const struct kpid_source_plan *orders = &model->plans[0], *users = &model->plans[1];
    const struct kpid_source *source = &model->sources[0];
    cr_assert_eq(orders->n_groupings, 3);
    cr_assert_eq(orders->groupings[0].n, 0);
    cr_assert_eq(orders->groupings[1].n, 1);
    cr_assert_str_eq(source->fields[orders->groupings[1].slots[0]].name, "channel");
    cr_assert_eq(orders->groupings[2].n, 2);
    cr_assert_str_eq(source->fields[orders->groupings[2].slots[1]].name, "region");
    cr_assert_eq(users->n_groupings, 2);
    const struct kpid_measure *m = &model->measures[kpid_model_measure_find(model, "orders")];
    cr_assert_eq(m->n_groupings, 3);
    cr_assert(m->groupings[0] == 0 && m->groupings[1] == 1 && m->groupings[2] == 2);
    m = &model->measures[kpid_model_measure_find(model, "visitors")];
    cr_assert_eq(m->n_groupings, 2);
    m = &model->measures[kpid_model_measure_find(model, "revenue")];
    cr_assert_eq(m->n_groupings, 1);
    kpid_model_free(model);
}

static const struct kpid_candidate *dispatched(const struct kpid_model *model, const char *type, const char *measure)
{
    const struct kpid_source *source = &model->sources[0];
    const struct kpid_source_plan *plan = &model->plans[0];
    uint32_t id = 0, index = (uint32_t)kpid_model_measure_find(model, measure);
    for (uint32_t i = 1; i < source->n_types; i++)
        if (strcmp(source->types[i], type) == 0)
            id = i;
    for (size_t i = 0; i < plan->n_by_type[id]; i++)
        if (plan->measures[plan->by_type[id][i].place] == index)
            return &plan->by_type[id][i];
    return NULL;
}

#define START (1u << KPID_CLOCK_START)
#define STOP  (1u << KPID_CLOCK_STOP)

Test(config_plan, dispatch)
{
    struct kpid_model *model =
        kit_model(KIT_SOURCES,
                  "measures:\n"
                  "  one: { from: orders, where: type == \"a\", count: }\n"
                  "  both: { from: orders, where: 'type in [\"a\", \"b\"] and price > 1', count: }\n"
                  "  either: { from: orders, where: type == \"a\" or type == \"c\", count: }\n"
                  "  other: { from: orders, where: type != \"a\", count: }\n"
                  "  any: { from: orders, where: type == \"a\" or price > 1, count: }\n"
                  "  every: { from: orders, count: }\n"
                  "  not: { from: orders, where: not (type == \"a\" or type == \"b\"), count: }\n"
                  "  unless: { from: orders, where: not (type == \"a\" and price > 1), count: }\n"
                  "  mixed: { from: orders, clock: { key: k, start: type == \"a\" and price > 1, stop: type == \"c\" } }\n"
                  "  none: { from: orders, where: type == \"a\" and type == \"b\", count: }\n"
                  "  clock: { from: orders, clock: { key: k, start: type == \"a\", stop: type == \"c\" } }\n"
                  "  users: { from: users, count: }\n");
    static const struct {
        const char *measure, *types;
        bool decided;           /* by the type alone: nothing is tested */
        uint32_t words[2], open; /* keyed: of `a` and of `c` */
    } cases[] = {{"one", "a", true, {0}, 0},        {"both", "ab", false, {0}, 0},
                 {"either", "ac", true, {0}, 0},    {"other", "bcz", true, {0}, 0},
                 {"any", "abcz", false, {0}, 0},    {"every", "abcz", true, {0}, 0},
                 {"none", "", true, {0}, 0},        {"not", "cz", true, {0}, 0},
                 {"unless", "abcz", false, {0}, 0}, {"clock", "ac", true, {START, STOP}, 0},
                 {"mixed", "ac", true, {0, STOP}, START}, {"users", "", true, {0}, 0}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        for (const char *type = "abcz"; *type; type++) {
            char name[2] = {*type, '\0'};
            const struct kpid_candidate *candidate = dispatched(model, name, cases[i].measure);
            cr_assert_eq(candidate != NULL, strchr(cases[i].types, *type) != NULL, "%s %s", cases[i].measure, name);
            if (candidate == NULL)
                continue;
            cr_assert_eq(candidate->outcome, cases[i].decided ? KPID_CANDIDATE_HOLDS : KPID_CANDIDATE_OPEN, "%s %s",
                         cases[i].measure, name);
            cr_assert(candidate->words == cases[i].words[*type == 'c'] && candidate->open == cases[i].open, "%s %s",
                      cases[i].measure, name);
        }
    cr_assert_eq(model->plans[0].n_measures, 11);
    cr_assert_eq(model->plans[1].n_measures, 1);
    kpid_model_free(model);
}

Test(config_plan, limits)
{
    struct kpid_model *model =
        kit_model(KIT_SOURCES KIT_MEASURES, "kpis:\n  a: { formula: orders, windows: [1h, 5m, week] }\n"
                                            "  b: { formula: visitors, windows: [day] }\n");
    cr_assert_eq(model->plans[0].tightest_slide_ms, 5000);
    cr_assert_eq(model->plans[0].longest_window_ms, 7 * DAY + HOUR);
    cr_assert_eq(model->plans[1].tightest_slide_ms, MINUTE);
    cr_assert_eq(model->plans[1].longest_window_ms, DAY + HOUR);
    kpid_model_free(model);
}

/* ---- definition hashes
 * --------------------------------------------------------------------------------------- */

static uint64_t measure_hash(const char *source, const char *measure)
{
    char text[1024];
    snprintf(text, sizeof text, "sources: { s: { topic: t, %s } }\nmeasures: { m: { from: s, %s } }\n",
             source, measure);
    struct kpid_model *model = kit_model("", text);
    uint64_t hash = model->measures[0].hash;
    kpid_model_free(model);
    return hash;
}

Test(config_plan, measure_hashes)
{
    uint64_t base = measure_hash("key: k", "where: ts - placed > 48h, sum: amount");
    cr_assert_eq(base, measure_hash("key: other", "sum: amount, where:  ( ts-placed ) > 2d"));
    cr_assert_eq(base, measure_hash("out_of_order: 5s", "where: ts - placed > 48h, sum: amount, by: [x]"));
    cr_assert_eq(base, measure_hash("fields: { x: y }", "where: ts - placed > 48h, sum: amount"));
    cr_assert_neq(base, measure_hash("key: k", "where: ts - placed > 47h, sum: amount"));
    cr_assert_neq(base, measure_hash("key: k", "where: ts - placed > 48h, max: amount"));
    cr_assert_neq(base, measure_hash("key: k", "where: ts - placed > 48h, sum: amount * 2"));
    cr_assert_neq(base, measure_hash("fields: { amount: total }", "where: ts - placed > 48h, sum: amount"));
    cr_assert_neq(base, measure_hash("time: at", "where: ts - placed > 48h, sum: amount"));
    uint64_t typed = measure_hash("types: { x: paid }", "where: type == \"paid\", count: ");
    cr_assert_eq(typed, measure_hash("types: { x: paid, y: other }", "where: type == \"paid\", count: "));
    cr_assert_neq(typed, measure_hash("types: { z: paid }", "where: type == \"paid\", count: "));
}

static uint64_t kpi_hash(const char *kpi, uint64_t *ret_rule, uint64_t *ret_model)
{
    char text[2048];
    snprintf(text, sizeof text, "kpis: { k: { %s } }\n", kpi);
    struct kpid_model *model = kit_model(KIT_SOURCES KIT_MEASURES, text);
    uint64_t hash = model->kpis[0].hash;
    *ret_rule = model->kpis[0].n_rules ? model->kpis[0].rules[0].hash : 0;
    *ret_model = model->hash;
    kpid_model_free(model);
    return hash;
}

Test(config_plan, kpi_hashes)
{
    uint64_t rule, model, other_rule, other_model;
    uint64_t base = kpi_hash("formula: revenue / orders, windows: [5m], target: 5, alert: { warn: -10 % }",
                             &rule, &model);
    cr_assert_eq(
        base,
        kpi_hash("formula: (revenue)/orders, windows: [5m], target: 6, title: x, alert: { warn: -10 % }",
                 &other_rule, &other_model));
    cr_assert_eq(rule, other_rule);
    cr_assert_neq(model, other_model);
    cr_assert_eq(base, kpi_hash("formula: revenue / orders, windows: [5m], target: 5, alert: { warn: -11 % }",
                                &other_rule, &other_model));
    cr_assert_neq(rule, other_rule);
    cr_assert_neq(base, kpi_hash("formula: orders / revenue, windows: [5m]", &other_rule, &other_model));
    cr_assert_neq(base, kpi_hash("formula: revenue / orders, windows: [10m]", &other_rule, &other_model));
}
