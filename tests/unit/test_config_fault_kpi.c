/* Faults of KPIs, their formulas, windows, targets and alerts. */
#include "test_config_kit.h"

#define BEFORE KIT_SOURCES KIT_MEASURES
/* `kpis: { k: { formula: ` is 23 characters wide. */
#define FORMULA(text) "kpis: { k: { formula: " text ", windows: [5m] } }\n"
/* `kpis: { k: { formula: revenue / orders, windows: ` is 50 characters wide. */
#define WINDOWS(text) "kpis: { k: { formula: revenue / orders, windows: " text " } }\n"

Test(config_fault, kpis)
{
    static const struct fault_case cases[] = {
        {"kpis: [a]\n", 1, 7, "kpis must be a mapping", "key: value"},
        {"kpis: { a: b }\n", 1, 12, "a must be a mapping", "key: value"},
        {"kpis: { a-b: { formula: orders, windows: [5m] } }\n", 1, 9, "`a-b` can't be the name of a KPI",
         "letters"},
        {"kpis: { a: { windows: [5m] } }\n", 1, 12, "KPI `a` has no formula", "add formula"},
        {"kpis: { a: { formula: orders } }\n", 1, 12, "KPI `a` has no windows", "windows: [5m, 1h, day]"},
        {"kpis: { a: { formula: orders, windows: [] } }\n", 1, 40, "KPI `a` has no windows",
         "windows: [5m, 1h, day]"},
        {"kpis: { a: { formula: orders, window: [5m], windows: [5m] } }\n", 1, 31, "unknown key `window`",
         "did you mean `windows`?"},
        {"kpis: { a: { formula: orders, windows: [5m], title: [a] } }\n", 1, 53, "title must be one value",
         "one value"},
        {"kpis: { a: { formula: orders, windows: [5m], title: { en: [a] } } }\n", 1, 59,
         "title must be one value", "one value"},
        {"kpis: { a: { formula: orders, windows: [5m], title: { zh: } } }\n", 1, 59,
         "title must be one value, not empty", "one value"},
        {"kpis: { a: { formula: orders, windows: [5m], title: { fr: a } } }\n", 1, 55, "unknown key `fr`",
         "en, zh"},
        {"kpis: { a: { formula: orders, windows: [5m], unit: prcent } }\n", 1, 52, "unit can't be `prcent`",
         "did you mean `percent`?"},
        {"kpis: { a: { formula: orders, windows: [5m], unit: money } }\n", 1, 52, "unit can't be `money`",
         "EUR"},
        {"kpis: { a: { formula: orders, windows: [5m], direction: left } }\n", 1, 57,
         "direction can't be `left`", "up, down, band"},
        {"kpis: { a: { formula: orders, windows: [5m], dimension: x } }\n", 1, 57, "dimension can't be `x`",
         "financial"},
        {"kpis: { a: { formula: orders, windows: [5m], owner: [x] } }\n", 1, 53, "owner must be one value",
         "one value"},
        {"kpis: { a: { formula: orders, windows: [5m], history_groups: -1 } }\n", 1, 62,
         "`-1` is not a whole number from 0 to 1000000", "digits"},
        {"kpis: { a: { formula: orders, windows: [5m], zone: Europe/Berlim } }\n", 1, 52, "no such zone",
         "`Europe/Berlin`"},
        {"kpis: { a: { formula: orders, windows: [5m], week_start: mo } }\n", 1, 58,
         "week_start can't be `mo`", "mon"},
        {"kpis: { a: { formula: orders, windows: [5m], fiscal_year_start: 13 } }\n", 1, 65,
         "`13` is not a month", "1 to 12"},
        {"kpis: { a: { formula: orders, windows: [5m], by: channel } }\n", 1, 50, "by must be a list",
         "[channel"},
        {"kpis: { a: { formula: orders, windows: [5m], by: [[a]] } }\n", 1, 51, "by must be one value",
         "one value"},
        {"kpis: { a: { formula: orders, windows: [5m], by: [channel, channel] } }\n", 1, 60,
         "group `channel` stands twice", "remove one"},
        {"kpis: { a: { formula: orders, windows: [5m], by: [chanel] } }\n", 1, 51,
         "measure `orders` can't be grouped by `chanel`", "did you mean `channel`?"},
        {"kpis: { a: { formula: processing.n, windows: [5m], by: [start.channel] } }\n", 1, 57,
         "fields of the event that stops it", "by: [start.channel] in the measure"},
        {"kpis: { a: { formula: processing.n, windows: [5m], by: [stop.channel] } }\n", 1, 57,
         "fields of the event that stops it", "by: [channel]"},
    };
    kit_faults(BEFORE, cases);
}

#define CLOCKS                                                                                               \
    "sources: { s: { topic: t } }\nmeasures: { c: { from: s, by: [start.a, b, stop.d], clock: { key: k, start: " \
    "type == \"a\", stop: type == \"b\", deadline: 2h, stops: { reply: type == \"c\" } } } }\n"

Test(config_fault, parts_and_groups_of_clocks)
{
    static const struct fault_case cases[] = {
        {"kpis: { a: { formula: c.due, windows: [5m] } }\n", 1, 23, "part `due` says nothing: measure `c` has no `due`",
         "add due: DURATION"},
        {"kpis: { a: { formula: c.reply.due, windows: [5m] } }\n", 1, 23, "measure `c` has no `deadline`",
         "add deadline: DURATION"},
        {"kpis: { a: { formula: c.rely.n, windows: [5m] } }\n", 1, 23, "has no part `rely.n`", "its parts are: n, met"},
        {"kpis: { a: { formula: c.reply.m, windows: [5m] } }\n", 1, 23, "has no part `reply.m`", "its parts are: n, met"},
        {"kpis: { a: { formula: c.n, windows: [5m], by: [a, b] } }\n", 1, 47, "some of these groups from its start",
         "one of the two"},
        {"kpis: { a: { formula: c.n, windows: [5m], by: [e] } }\n", 1, 48, "can't be grouped by `e`", "groups of the "
         "measure: a, b, d"},
    };
    kit_faults(CLOCKS, cases);
}

Test(config_fault, formulas)
{
    static const struct fault_case cases[] = {
        {FORMULA("[a]"), 1, 23, "formula must be one value, not a list", "one value"},
        {FORMULA("ordrs / visitors"), 1, 23, "there is no measure or KPI `ordrs`", "did you mean `orders`?"},
        {FORMULA("orders / vistors"), 1, 32, "there is no measure or KPI `vistors`",
         "did you mean `visitors`?"},
        {FORMULA("processing.p9x"), 1, 23, "measure `processing` (clock) has no part `p9x`",
         "its parts are: n"},
        {FORMULA("orders.p90"), 1, 23, "measure `orders` (count) has no part `p90`", "its parts are: n"},
        {FORMULA("k.p90"), 1, 23, "KPI `k` has no parts", "`k` alone"},
        {FORMULA("orders +"), 1, 31, "formula: it ends too early", "missing"},
        {FORMULA("(orders"), 1, 30, "formula: it ends too early", "missing"},
        {FORMULA("orders visitors"), 1, 30, "formula: this is not expected here", "parentheses"},
        {FORMULA("(orders visitors)"), 1, 31, "formula: this is not expected here", "parentheses"},
        {FORMULA("orders ^ 2"), 1, 30, "formula: this character means nothing here", "measures"},
        {FORMULA("orders @"), 1, 31, "`@` needs how long ago", "@ 1w"},
        {FORMULA("orders @ visitors"), 1, 32, "`@` needs how long ago", "@ 1w"},
        {FORMULA("orders @ 0d"), 1, 32, "of more than 0", "@ 36h"},
        {FORMULA("orders @ 3654d"), 1, 32, "at most 10 years", "@ 1 year"},
        {FORMULA("orders @ 11 years"), 1, 32, "at most 10 years", "@ 1 year"},
        {FORMULA("orders @ 18446744073709551615 months"), 1, 32, "at most 10 years", "@ 1 year"},
        {FORMULA("orders @ 99999999999999999999999999999999999999 days"), 1, 32, "at most 10 years", "@ 1 year"},
        {FORMULA("orders @ 1 fortnight"), 1, 32, "`@` needs how long ago", "quarters"},
        {FORMULA("orders @ 1.5 days"), 1, 32, "`@` needs how long ago", "@ 36h"},
        {FORMULA("orders / (7 @ 1w)"), 1, 35, "a number is the same at all times", "behind a measure"},
        {FORMULA("orders @ 1 month"), 1, 23, "`@ 1 months`: window `5m` does not move by months", "@ 4w"},
        {FORMULA("orders @ 7s"), 1, 23, "`@ 7s`: window `5m` does not move by that", "multiple of its slide"},
        {FORMULA("\"sum(orders, visitors)\""), 1, 24, "there is no such function", "min(a, b)"},
        {FORMULA("\"min(orders)\""), 1, 34, "formula: this is not expected here", "min()"},
        {FORMULA("\"min(orders, visitors\""), 1, 44, "formula: it ends too early", "missing"},
        {FORMULA("\"abs(orders, visitors)\""), 1, 34, "formula: this is not expected here", "abs()"},
        {FORMULA("orders * 48h"), 1, 32, "durations can't stand in a formula", "seconds"},
        {FORMULA("orders * 12345678901234567890123"), 1, 32, "too many digits", "18 digits"},
        {FORMULA("1 + 2"), 1, 23, "it names no measure", "at least one"},
        {FORMULA("((((((((((((((((((((((((((((((((orders))))))))))))))))))))))))))))))))"), 1, 55,
         "deeper than 32 levels", "split it"},
        {FORMULA("k + orders"), 1, 23, "KPIs go round in a circle: k -> k", "measures alone"},
        {"kpis:\n  a: { formula: b + 1, windows: [5m] }\n  b: { formula: 2 * c, windows: [5m] }\n"
         "  c: { formula: a, windows: [5m] }\n",
         4, 17, "KPIs go round in a circle: a -> b -> c -> a", "measures alone"},
    };
    kit_faults(BEFORE, cases);
}

Test(config_fault, sketches)
{
    static const struct fault_case cases[] = {
        {"measures: { n: { from: users, count: , hll: true } }\nkpis: { k: { formula: n, windows: [5m] } }\n", 1, 45,
         "`count` is no sketch that Redis knows", "remove `hll:`"},
        {"measures: { n: { from: users, distinct: a, hll: [day] } }\nkpis: { k: { formula: n, windows: [5m] } }\n", 1, 50,
         "no KPI reads measure `n` in a window `day`", "name a rolling or calendar window"},
        {"measures: { n: { from: users, distinct: a, hll: all } }\nkpis: { k: { formula: n, windows: [all] } }\n", 1, 49,
         "no KPI reads measure `n` in a window `all`", "rolling or calendar"},
        {"measures: { n: { from: users, distinct: a, hll: { group: true } } }\nkpis: { k: { formula: n, windows: [5m] } }\n",
         1, 51, "unknown key `group`", "did you mean `groups`?"},
        {"measures: { n: { from: users, distinct: a, hll: { groups: 5 } } }\nkpis: { k: { formula: n, windows: [5m] } }\n", 1,
         59, "groups can't be `5`", "true, false"},
    };
    kit_faults(KIT_SOURCES, cases);
}

/* Each kind of window moves by its own steps. */
Test(config_fault, windows_that_look_back)
{
    static const struct {
        const char *shift, *window, *fault; /* NULL: none */
    } cases[] = {
        {"1w", "day", NULL},
        {"24h", "day", NULL},
        {"1 month", "day", NULL},
        {"1 year @ 1d", "day", NULL},
        {"36h", "day", "`@ 1d12h`: window `day` moves by whole days"},
        {"52 weeks", "week", NULL},
        {"1d", "week", "`@ 1d`: window `week` moves by whole weeks"},
        {"1 year", "week", "`@ 12 months`: window `week` moves by whole weeks"},
        {"1 quarter", "month", NULL},
        {"4w", "month", "`@ 4w`: window `month` moves by whole months"},
        {"2 quarters", "quarter", NULL},
        {"1 month", "quarter", "moves by whole quarters"},
        {"10 years", "year", NULL},
        {"10 years @ 1 year", "year", "looks back further than 10 years"},
        {"1 month @ 1w", "year", "`@ 1 months @ 1w`: window `year` moves by whole years"},
        {"1h", "all", NULL},
        {"30s", "all", "window `all` does not move by that"},
        {"1 month", "all", "window `all` does not move by months"},
        {"90m", "{ rolling: 1h, slide: 30m }", NULL},
        {"45m", "{ rolling: 1h, slide: 30m }", "does not move by that"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "kpis: { k: { formula: orders - j @ %s, windows: [%s] }, j: { formula: orders, windows: "
                 "[1m] } }\n", cases[i].shift, cases[i].window);
        struct kit kit = kit_parse(BEFORE, text);
        cr_expect_eq(kit.n, cases[i].fault ? 1u : 0u, "%s\n%s", text, kit.faults.data);
        cr_expect(!cases[i].fault || strstr(kit.faults.data, cases[i].fault), "%s\n%s", text, kit.faults.data);
        kpid_model_free(kit.model);
        kpid_buf_release(&kit.faults);
    }
}

Test(config_fault, formulas_too_large)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "kpis:\n  k:\n    windows: [5m]\n    formula: orders");
    for (int i = 0; i < 600; i++)
        kpid_buf_add_str(&text, " + orders");
    struct fault_case leaves = {text.data, 4, 14 + 7 + 9 * 511, "formula: it is too long", "other KPIs"};
    kit_fault(BEFORE, &leaves, "error");
    kpid_buf_release(&text);

    kpid_buf_add_str(&text, "kpis:\n  k0: { formula: orders + orders, windows: [5m] }\n");
    for (int i = 1; i < 40; i++)
        kpid_buf_printf(&text, "  k%d: { formula: k%d + k%d, windows: [5m] }\n", i, i - 1, i - 1);
    struct kit kit = kit_parse(BEFORE, text.data);
    cr_assert_null(kit.model);
    cr_assert(strstr(kit.faults.data, "t.yaml:15:19: error: formula: it is too long with the KPIs in it"),
              "%s", kit.faults.data);
    cr_assert(strstr(kit.faults.data, "advice: make it of measures"));
    kpid_buf_release(&kit.faults);
    kpid_buf_release(&text);

    kpid_buf_add_str(&text, "kpis:\n");
    for (int i = 0; i < 70; i++)
        kpid_buf_printf(&text, "  k%d: { formula: k%d, windows: [5m] }\n", i, i + 1);
    kpid_buf_add_str(&text, "  k70: { formula: orders, windows: [5m] }\n");
    struct fault_case deep = {text.data, 65, 19, "KPIs of KPIs, more than 64 deep", "make it of measures"};
    kit_fault(BEFORE, &deep, "error");
    kpid_buf_release(&text);
}

Test(config_fault, windows)
{
    static const struct fault_case cases[] = {
        {WINDOWS("[5x]"), 1, 51, "`5x` is not a window", "did you mean `5m`?"},
        {WINDOWS("[dy]"), 1, 51, "`dy` is not a window", "did you mean `day`?"},
        {WINDOWS("[100s]"), 1, 51, "slide 1s666ms does not divide 1m40s",
         "the nearest slide that does is 2s: write { rolling: 1m40s, slide: 2s }"},
        {WINDOWS("[{ rolling: 1h, slide: 7m }]"), 1, 73, "slide 7m does not divide 1h",
         "nearest slide that does is 6m40s"},
        {WINDOWS("[{ rolling: 1h, slide: 0s }]"), 1, 73, "slide 0s does not divide", "1s"},
        {WINDOWS("[100ms]"), 1, 51, "a window of 100ms", "from 1s to 366d"},
        {WINDOWS("[367d]"), 1, 51, "a window of 52w3d", "calendar window"},
        {WINDOWS("[{ rolling: 24h, slide: 500ms }]"), 1, 74, "too many panes", "at most 100000"},
        {WINDOWS("[{ rolling: x }]"), 1, 62, "rolling: `x` is not a duration", "500ms"},
        {WINDOWS("[{ rolling: 1h, slide: x }]"), 1, 73, "slide: `x` is not a duration", "500ms"},
        {WINDOWS("[{ calendar: dya }]"), 1, 63, "calendar can't be `dya`", "did you mean `day`?"},
        {WINDOWS("[{ all: , from: 2026 }]"), 1, 66, "from: `2026` is not an instant", "2026-01-01T00:00:00Z"},
        {WINDOWS("[{ all: , from: \"2026-01-01T00:00:01Z\" }]"), 1, 66, "is not a full minute", "00 seconds"},
        {WINDOWS("[{ rolling: 1h, lenght: 1h }]"), 1, 66, "unknown key `lenght`", "rolling"},
        {WINDOWS("[{ rolling: 1h, calendar: day }]"), 1, 51, "a window is of one kind", "{ rolling: 1h }"},
        {WINDOWS("[{ history: 5 }]"), 1, 51, "a window of no kind", "{ rolling: 1h }"},
        {WINDOWS("[{ calendar: day, slide: 1h }]"), 1, 68,
         "`slide` means nothing to a window of kind `calendar`", "`rolling`"},
        {WINDOWS("[{ rolling: 1h, zone: UTC }]"), 1, 66, "`zone` means nothing to a window of kind `rolling`",
         "`calendar`"},
        {WINDOWS("[{ rolling: 1h, history: -1 }]"), 1, 75, "history: `-1` is not a whole number", "digits"},
        {WINDOWS("[{ rolling: 1h, name: a b }]"), 1, 72, "`a b` can't be the name of a window", "letters"},
        {WINDOWS("[{ rolling: 1h, name: [a] }]"), 1, 72, "name must be one value", "one value"},
        {WINDOWS("[{ calendar: day, zone: X/Y }]"), 1, 74, "time zone `X/Y`", "IANA"},
        {WINDOWS("[1h, { rolling: 1h, slide: 1h }]"), 1, 55, "two windows of the name `1h`", "name: hourly"},
        {WINDOWS("[[1h]]"), 1, 51, "window must be one value, not a list", "one value"},
    };
    kit_faults(BEFORE, cases);
}

#define KPI(rest)                                                                                            \
    "kpis:\n  k:\n    formula: revenue / orders\n    windows: [5m, 1h]\n    direction: down\n" rest
#define COUNT(rest)   "kpis:\n  k:\n    formula: orders\n    windows: [5m, 1h]\n    by: [channel]\n" rest
#define PERCENT(rest) KPI("    unit: percent\n" rest)
#define ROW(rest)     COUNT("    target:\n      - { window: 5m, value: 1, " rest " }\n")

Test(config_fault, targets)
{
    static const struct fault_case cases[] = {
        {PERCENT("    target: 3\n"), 7, 13, "target: `3` is not a percentage", "3.2 %"},
        {PERCENT("    target: 30m\n"), 7, 13, "target: `30m` is not a percentage", "3.2 %"},
        {KPI("    unit: duration\n    target: 30\n"), 7, 13, "target: `30` is not a duration", "1h30m"},
        {KPI("    target: 3 %\n"), 6, 13, "target: `3 %` is not a number", "unit: percent"},
        {KPI("    target: [1, 2]\n"), 6, 13, "a band, but the KPI's direction is not band",
         "direction: band"},
        {KPI("    target: [1]\n"), 6, 13, "a band needs both `low` and `high`", "[10, 20]"},
        {KPI("    target: { low: 1 }\n"), 6, 13, "a band needs both `low` and `high`", "[10, 20]"},
        {KPI("    target: { low: 2, high: 1 }\n"), 6, 20, "low is not below high", "lower end first"},
        {KPI("    target: { low: a, high: 2 }\n"), 6, 20, "target: `a` is not a number", "number"},
        {KPI("    target: { 5m: 1, 2h: 2 }\n"), 6, 22, "KPI `k` has no window `2h`",
         "windows of the KPI: 5m, 1h"},
        {KPI("    target: { 5m: }\n"), 6, 19, "target must be one value, not empty", "one value"},
        {COUNT("    target: 5\n"), 6, 13, "a count or sum needs a target for each window",
         "{ 5m: 100, 1h: 1000 }"},
        {COUNT("    target: [{ value: 5 }]\n"), 6, 14, "a count or sum needs a target for each window",
         "window: 5m"},
        {KPI("    target: [{ }]\n"), 6, 14, "a row without a value", "value: 100"},
        {KPI("    target: [{ value: 1 }, 2]\n"), 6, 28, "row of the target must be a mapping", "key: value"},
        {ROW("low: 1, high: 2"), 7, 30, "both a value and a band", "keep `value`"},
        {ROW("vlaue: 1"), 7, 33, "unknown key `vlaue`", "`value`"},
        {COUNT("    target: [{ window: 6m, value: 1 }]\n"), 6, 24, "KPI `k` has no window `6m`",
         "did you mean `5m`?"},
        {ROW("group: web"), 7, 40, "group is neither a mapping nor total", "field: value"},
        {ROW("group: { chanel: web }"), 7, 42, "KPI `k` is not grouped by `chanel`",
         "did you mean `channel`?"},
        {ROW("group: { channel: [a] }"), 7, 51, "channel must be one value", "one value"},
        {ROW("weekdays: [mon, tuesday]"), 7, 49, "weekday can't be `tuesday`", "tue"},
        {ROW("hours: 8-20"), 7, 40, "hours: `8-20` is not a span of the day", "08:00-20:00"},
        {ROW("hours: \"08:00-25:00\""), 7, 40, "is not a span of the day", "22:00-06:00"},
        {ROW("hours: [1]"), 7, 40, "hours must be one value", "one value"},
        {ROW("from: yesterday"), 7, 39, "from: `yesterday` is not an instant", "2026-01-01"},
        {ROW("to: 2026-01-01T00:00:00Z, from: 2026-01-01T00:00:00Z"), 7, 65, "from is not before to",
         "earlier"},
    };
    kit_faults(BEFORE, cases);
    static const struct fault_case band = {"kpis: { k: { formula: orders, windows: [5m], direction: band, "
                                           "target: { low: 1, high: 2, hihg: 3 } } }\n",
                                           1, 90, "unknown key `hihg`", "`high`"};
    kit_fault(BEFORE, &band, "error");
}

#define ALERT(rest) KPI("    target: 5\n    alert: { " rest " }\n")

Test(config_fault, alerts)
{
    static const struct fault_case cases[] = {
        {KPI("    alert: { warn: -10 % }\n"), 6, 12, "KPI `k` has an alert but no target", "add target:"},
        {KPI("    target: 5\n    alert: x\n"), 7, 12, "alert must be a mapping", "key: value"},
        {ALERT("for: 5m"), 7, 12, "neither `warn` nor `crit`", "warn: -10 %"},
        {ALERT("warn: 10 %"), 7, 20, "warn: a level must be negative", "-10 %"},
        {ALERT("warn: -10"), 7, 20, "warn: `-10` is not a percentage", "-10 %"},
        {ALERT("warn: -10 %, crit: -5 %"), 7, 33, "crit is not below warn", "-20 %"},
        {ALERT("warn: -10 %, clear: -12 %"), 7, 34, "clear must be above the level", "half of `warn`"},
        {ALERT("warn: -10 %, clear: x"), 7, 34, "clear: `x` is not a percentage", "%"},
        {ALERT("warn: -10 %, fro: 5m"), 7, 27, "unknown key `fro`", "did you mean `for`?"},
        {ALERT("warn: -10 %, for: 5"), 7, 32, "for: `5` is not a duration", "5m"},
        {ALERT("warn: -10 %, min_samples: x"), 7, 40, "min_samples: `x` is not a whole number", "digits"},
        {ALERT("warn: -10 %, no_data: never"), 7, 36, "no_data: `never` is not a duration", "5m"},
        {ALERT("warn: -10 %, confidence: 95 %"), 7, 39, "no interval is known for this formula",
         "`min_samples`"},
        {ALERT("warn: -10 %, confidence: 5 %"), 7, 39, "confidence: 5 % is out of range", "95 %"},
        {ALERT("warn: -10 %, windows: [2h]"), 7, 37, "KPI `k` has no window `2h`",
         "windows of the KPI: 5m, 1h"},
        {ALERT("warn: -10 %, suppress_while: [x]"), 7, 44, "there is no KPI `x`", "known KPIs: k"},
        {ALERT("warn: -10 %, suppress_while: [k]"), 7, 44, "can't be suppressed by itself", "another KPI"},
        {ALERT("warn: -10 %, quiet: x"), 7, 34, "quiet must be a list", "quiet: [{ from"},
        {ALERT("warn: -10 %, quiet: [x]"), 7, 35, "quiet must be a mapping", "key: value"},
        {ALERT("warn: -10 %, quiet: [{ from: 2026-01-01T00:00:00Z }]"), 7, 35, "needs both `from` and `to`",
         "{ from"},
        {ALERT("warn: -10 %, quiet: [{ from: 2026-01-01T00:00:00Z, to: 2025-01-01T00:00:00Z }]"), 7, 43,
         "quiet: from is not before to", "earlier"},
        {KPI("    target: { 1h: 5 }\n    alert: { warn: -10 % }\n"), 7, 12,
         "the alert judges window `5m`, which has no target", "`windows:`"},
        {KPI("    target: { 1h: 5 }\n    alert: { warn: -10 %, windows: [5m] }\n"), 7, 37,
         "KPI `k` has no target for window `5m`", "windows with a target: 1h"},
    };
    kit_faults(BEFORE, cases);
}

/* Where an interval exists, and where not. */
Test(config_fault, confidence)
{
    static const struct {
        const char *formula;
        bool good;
    } cases[] = {
        {"orders", true},
        {"visitors", true},
        {"orders / visitors", true},
        {"mean_price", true},
        {"processing.missed / (processing.met + processing.missed)", true},
        {"processing.mean", true},
        {"revenue", false},
        {"revenue / orders", false},
        {"low", false},
        {"spread", false},
        {"processing.p90", false},
        {"processing.open", false},
        {"(orders - visitors) / orders", false},
        {"orders + visitors", false},
        {"orders @ 1h", true},
        {"(orders / visitors) @ 1h", true},
        {"orders / orders @ 1h", false},
        {"\"max(orders, visitors)\"", false},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "kpis: { k: { formula: %s, unit: number, windows: [5m], target: 5, alert: { warn: -10 %%, "
                 "confidence: 95 %% } } }\n",
                 cases[i].formula);
        struct kit kit = kit_parse(BEFORE, text);
        cr_assert_eq(kit.n, cases[i].good ? 0u : 1u, "%s\n%s", cases[i].formula, kit.faults.data);
        kpid_model_free(kit.model);
        kpid_buf_release(&kit.faults);
    }
}
