/* Faults of measures and their expressions: place inside the expression, message and advice. */
#include "test_config_kit.h"

static void where_faults(const struct fault_case *cases, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        struct kpid_buf text = KPID_BUF_INIT;
        kpid_buf_printf(&text, "measures:\n  m:\n    from: orders\n%s    %s: %s\n",
                        strcmp(key, "where") == 0 ? "    count:\n" : "", key, cases[i].snippet);
        struct fault_case one = cases[i];
        one.snippet = text.data;
        one.line = strcmp(key, "where") == 0 ? 5 : 4;
        kit_fault(KIT_SOURCES, &one, "error");
        kpid_buf_release(&text);
    }
}

/* Columns: `    where: ` is 11 characters wide. */
Test(config_fault, where_words)
{
    static const struct fault_case cases[] = {
        {"type = \"a\"", 0, 17, "where: `=` compares nothing", "write =="},
        {"gift && gift", 0, 17, "`&` and `|` are not known", "`and`, `or`"},
        {"gift and !gift", 0, 21, "`!` is not known", "write `not`"},
        {"type == \"a", 0, 20, "a quote is not closed", "two quotes"},
        {"a > 5x", 0, 16, "neither a number nor a duration", "48h"},
        {"a > 1.5h", 0, 16, "neither a number nor a duration", "whole numbers"},
        {"a. > 1", 0, 12, "a name can't end with a dot", "customer.id"},
        {"a ; b", 0, 14, "means nothing here", "operators"},
        {"a == ", 0, 16, "ends too early", "complete"},
        {"(a == 1", 0, 19, "ends too early", "closing bracket"},
        {"a == )", 0, 17, "`)` is not expected here", "conditions"},
        {"a == 1 b", 0, 19, "`b` is not expected here", "conditions"},
        {"and gift", 0, 12, "`and` is not expected here", "conditions"},
        {"a < b < c", 0, 18, "comparisons can't be chained", "a < b and b < c"},
        {"a in b", 0, 17, "`in` takes a list", "[\"web\", \"app\"]"},
        {"a in [b]", 0, 18, "a list holds numbers", "type in"},
        {"a in [-\"x\"]", 0, 19, "a list holds numbers", "type in"},
        {"a not b", 0, 18, "`b` is not expected here", "conditions"},
        {"exist(a)", 0, 12, "there is no function `exist`", "did you mean `exists`?"},
        {"exists(1)", 0, 19, "exists() takes a field", "exists(customer.id)"},
        {"starts_with(a)", 0, 25, "`)` is not expected here", "conditions"},
        {"day(ts, UTC) == 1", 0, 20, "takes its zone in quotes", "Asia/Shanghai"},
        {"day(ts, \"Asia/Shangai\") == 1", 0, 20, "time zone `Asia/Shangai`",
         "did you mean `Asia/Shanghai`?"},
        {"a > 1234567890123456789012345", 0, 16, "too many digits", "18 digits"},
        {"((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))", 0, 44, "deeper than 32",
         "split"},
    };
    where_faults(cases, KPID_COUNT_OF(cases), "where");
}

Test(config_fault, where_types)
{
    static const struct fault_case cases[] = {
        {"note == 1", 0, 17, "never equal", "texts in quotes"},
        {"type == 1", 0, 17, "never equal", "texts in quotes"},
        {"price < \"a\"", 0, 18, "have no order", "texts in quotes"},
        {"gift < gift", 0, 17, "true and false have no order", "=="},
        {"ts > 48h", 0, 15, "a time is compared with a duration", "subtract first"},
        {"note in [\"a\", 1]", 0, 26, "this item is never equal", "texts stand in quotes"},
        {"type in [1]", 0, 21, "this item is never equal", "texts stand in quotes"},
        {"note and gift", 0, 12, "`and` takes a condition, not a text", "write a comparison"},
        {"gift or 1", 0, 20, "`or` takes a condition, not a number", "write a comparison"},
        {"not price", 0, 16, "`not` takes a condition, not a number", "write a comparison"},
        {"price", 0, 12, "where takes a condition, not a number", "write a comparison"},
        {"note + 1 > 2", 0, 12, "`+` takes a number, not a text", "no quotes around numbers"},
        {"1 - note > 2", 0, 16, "`-` takes a number, not a text", "no quotes around numbers"},
        {"-note > 2", 0, 13, "`-` takes a number, not a text", "no quotes around numbers"},
        {"-ts > 2", 0, 12, "a time can't be negative", "subtract"},
        {"day(note) > 2", 0, 16, "day() takes a number, not a text", "holds a number"},
        {"starts_with(price, \"a\")", 0, 24, "starts_with() takes a text, not a number", "in quotes"},
        {"starts_with(note, 1)", 0, 30, "starts_with() takes a text, not a number", "in quotes"},
        {"lower(price) == \"a\"", 0, 18, "lower() takes a text, not a number", "in quotes"},
        {"ts + 5 > 1", 0, 15, "`+` can't join a time and a plain number", "x * 1ms"},
        {"ts + placed > 1", 0, 15, "`+` can't join a time and a time", "type: time"},
        {"(ts - placed) * 2h > 1", 0, 26, "`*` can't join a duration and a duration", "unit"},
        {"price / 2h > 1", 0, 18, "`/` can't join a plain number and a duration", "unit"},
        {"5 - ts > 1", 0, 14, "`-` can't join a plain number and a time", "unit"},
    };
    where_faults(cases, KPID_COUNT_OF(cases), "where");
}

Test(config_fault, values)
{
    static const struct fault_case sums[] = {
        {"note", 0, 10, "sum takes a number, not a text", "no quotes"},
        {"price > 1", 0, 16, "sum takes a number, not a condition", "holds a number"},
        {"", 0, 9, "sum must be one value, not empty", "one value"},
        {"[a]", 0, 10, "sum must be one value, not a list", "one value"},
    };
    where_faults(sums, KPID_COUNT_OF(sums), "sum");
    static const struct fault_case distinct[] = {
        {"lower(user_id)", 0, 15, "distinct: not a field", "name of one field"},
        {"a + b", 0, 17, "distinct: not a field", "name of one field"},
    };
    where_faults(distinct, KPID_COUNT_OF(distinct), "distinct");
}

Test(config_fault, long_chain)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "measures:\n  m:\n    from: orders\n    count:\n    where: a == 0");
    for (int i = 0; i < 40; i++)
        kpid_buf_add_str(&text, " or a == 1");
    kpid_buf_add_str(&text, "\n");
    struct fault_case chain = {text.data, 5, 0, "deeper than 32 levels", "`in [...]`"};
    chain.column = 12 + 7 + 10 * 30; /* the or that is one too many */
    kit_fault(KIT_SOURCES, &chain, "error");
    kpid_buf_release(&text);
    kpid_buf_add_str(&text, "measures:\n  m:\n    from: orders\n    count:\n    where: a in [0");
    for (int i = 0; i < 5000; i++)
        kpid_buf_add_str(&text, ",1");
    kpid_buf_add_str(&text, "]\n");
    struct fault_case list = {text.data, 5, 18 + 2 * 4095, "the expression is too long", "split the measure"};
    kit_fault(KIT_SOURCES, &list, "error");
    kpid_buf_release(&text);
}

/* Places are found through quotes, escapes, folded lines and blocks. */
Test(config_fault, places)
{
    static const struct fault_case cases[] = {
        {"measures:\n  m: { from: orders, count: , where: 'note == ''x'' and price == gift' }\n", 2, 63,
         "never equal", ""},
        {"measures:\n  m: { from: orders, count: , where: \"note == \\\"x\\\" and price == gift\" }\n", 2, 63,
         "never equal", ""},
        {"measures:\n  m: { from: orders, count: , where: \"note == '\\u5b57' and price == gift\" }\n", 2, 66,
         "never equal", ""},
        {"measures:\n  m:\n    from: orders\n    count:\n    where: note == \"字\"\n      and price == "
         "gift\n",
         6, 17, "never equal", ""},
        {"measures:\n  m:\n    from: orders\n    count:\n    where: |\n      note == \"x\"\n      and price "
         "== gift\n",
         7, 17, "never equal", ""},
        {"measures:\n  m:\n    from: orders\n    count:\n    where: >-\n      note == \"x\"\n      and price "
         "== gift\n",
         7, 17, "never equal", ""},
        {"measures:\n  m:\n    from: orders\n    count:\n    where: 'note == \"x\"\n\n      and price == "
         "gift'\n",
         7, 17, "never equal", ""},
        {"measures:\n  m: &a\n    from: orders\n    count:\n    where: price == gift\n  n: *a\n", 5, 18,
         "never equal", ""},
    };
    kit_faults(KIT_SOURCES, cases);
}

Test(config_fault, measures)
{
    static const struct fault_case cases[] = {
        {"measures: 1\n", 1, 11, "measures must be a mapping", "key: value"},
        {"measures: { a-b: { from: orders, count: } }\n", 1, 13, "`a-b` can't be the name of a measure",
         "letters"},
        {"measures: { a: [] }\n", 1, 16, "a must be a mapping, not a list", "key: value"},
        {"measures: { a: { count: } }\n", 1, 16, "measure `a` does not say `from` which source",
         "from: orders"},
        {"measures: { a: { from: , count: } }\n", 1, 24, "from must be one value", "one value"},
        {"measures: { a: { from: order, count: } }\n", 1, 24, "there is no source `order`",
         "did you mean `orders`?"},
        {"measures: { a: { from: orders } }\n", 1, 16, "measure `a` has no aggregation", "count:"},
        {"measures: { a: { from: orders, cuont: } }\n", 1, 32, "unknown key `cuont`",
         "did you mean `count`?"},
        {"measures: { a: { from: orders, count: , sum: price } }\n", 1, 41,
         "two aggregations, `count` and `sum`", "second measure"},
        {"measures: { a: { from: orders, count: x } }\n", 1, 39, "count: takes no value", "`where:`"},
        {"measures: { a: { from: orders, count: , by: channel } }\n", 1, 45, "by must be a list of fields",
         "[channel, region]"},
        {"measures: { a: { from: orders, count: , by: [[a]] } }\n", 1, 46, "by must be one value",
         "one value"},
        {"measures: { a: { from: orders, count: , error: 1 % } }\n", 1, 41, "has no quantiles, so no `error`",
         "remove the key"},
        {"measures: { a: { from: orders, quantiles: price, error: 1 } }\n", 1, 57, "`1` is not a percentage",
         "-10 %"},
        {"measures: { a: { from: orders, quantiles: price, error: 60 % } }\n", 1, 57, "60 % is out of range",
         "0.01 % to 20 %"},
        {"measures: { a: { from: orders, top: a + 1 } }\n", 1, 39, "top: not a field", "name of one field"},
        {"measures: { a: { from: orders, top: { sum: price } } }\n", 1, 37, "the top of `a` has no `key`",
         "add key: product_id"},
        {"measures: { a: { from: orders, top: { key: k, sum: note } } }\n", 1, 52, "sum", "number"},
        {"measures: { a: { from: orders, top: { key: k, k: 101 } } }\n", 1, 50, "k: `101` is not a whole number from 1 to 100",
         "digits"},
        {"measures: { a: { from: orders, top: { key: k, keys: 5 } } }\n", 1, 53, "from 10 to 10000", "digits"},
        {"measures: { a: { from: orders, top: { key: k, k: 20, keys: 15 } } }\n", 1, 37,
         "lists more keys than it keeps", "lower k"},
        {"measures: { a: { from: orders, top: { key: k, by: x } } }\n", 1, 47, "unknown key `by`", "sum"},
        {"measures: { a: { from: orders, clock: x } }\n", 1, 39, "clock must be a mapping", "key: value"},
        {"measures: { a: { from: orders, clock: { start: gift, stop: gift } } }\n", 1, 39, "has no `key`",
         "order_id"},
        {"measures: { a: { from: orders, clock: { key: k, stop: gift } } }\n", 1, 39, "has no `start`",
         "created"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift } } }\n", 1, 39, "has no `stop`",
         "shipped"},
        {"measures: { a: { from: orders, clock: { key: k + 1, start: gift, stop: gift } } }\n", 1, 48,
         "key: not a field", "name of one field"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, resume: gift } } }\n", 1,
         74, "`resume` without `pause`", "add pause"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, due: 2h } } }\n", 1, 74,
         "`due` without `deadline`", "add deadline"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: gift } } }\n", 1, 81,
         "stops must be a mapping", "key: value"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { met: gift } } } }\n", 1,
         83, "`met` is a part of every clock", "another name"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { p90: gift } } } }\n", 1,
         83, "`p90` is a part of every clock", "another name"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { 1st: gift } } } }\n", 1,
         83, "can't be the name of a stop", "begin with a letter"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { b: { deadline: 2h } } } } "
         "}\n", 1, 86, "has no `when`", "add when"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { b: { when: gift, "
         "deadline: 0s } } } } }\n", 1, 110, "deadline: 0s is out of range", "above 0"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { b: { wen: gift, when: "
         "gift } } } } }\n", 1, 88, "unknown key `wen`", "`when`"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, stops: { b1: gift, b2: gift, b3: "
         "gift, b4: gift, b5: gift, b6: gift, b7: gift } } } }\n", 1, 143, "more than 6 stops", "second clock"},
        {"measures: { a: { from: orders, by: [start.channel, channel], clock: { key: k, start: gift, stop: gift } } }\n",
         1, 52, "group `channel` stands twice", "from the start or from the stop"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, negative: no } } }\n", 1,
         84, "negative can't be `no`", "drop, keep"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, deadlin: 2h } } }\n", 1,
         74, "unknown key `deadlin`", "`deadline`"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, deadline: 2 } } }\n", 1,
         84, "deadline: `2` is not a duration", "or none"},
        {"measures: { a: { from: orders, clock: { key: k, start: gift, stop: gift, forget_after: x } } }\n",
         1, 88, "`x` is not a duration", "or never"},
        {"measures: { a: { from: orders, clock: { key: k, start: price, stop: gift } } }\n", 1, 56,
         "start takes a condition, not a number", "comparison"},
        {"measures: { a: { from: orders, session: { gap: 30m } } }\n", 1, 41, "the session of `a` has no `key`",
         "user_id"},
        {"measures: { a: { from: orders, session: { key: k } } }\n", 1, 41, "the session of `a` has no `gap`",
         "add gap: 30m"},
        {"measures: { a: { from: orders, session: { key: k, gap: 0s } } }\n", 1, 56, "gap: 0s is out of range",
         "from 1ms to"},
        {"measures: { a: { from: orders, session: { key: k, gap: 30m, start: gift } } }\n", 1, 61,
         "unknown key `start`", "keys here: key, gap, max_keys"},
        {"measures: { a: { from: orders, retention: { key: k, return: gift } } }\n", 1, 43,
         "the retention of `a` has no `start`", "user.registered"},
        {"measures: { a: { from: orders, retention: { key: k, start: gift } } }\n", 1, 43,
         "the retention of `a` has no `return`", "page.viewed"},
        {"measures: { a: { from: orders, retention: { key: k, start: gift, return: gift, days: [7, 1] } } }\n", 1, 86,
         "days must be 1 to 12 rising numbers", "write days: [1, 7, 30]"},
        {"measures: { a: { from: orders, retention: { key: k, start: gift, return: gift, days: [0] } } }\n", 1, 87,
         "days: `0` is not a whole number from 1 to 366", "digits"},
        {"measures: { a: { from: orders, retention: { key: k, start: gift, return: gift, zone: Mars } } }\n", 1, 86,
         "there is no such zone", "Asia/Shanghai"},
        {"measures: { a: { from: orders, funnel: { key: k, steps: [gift, gift] } } }\n", 1, 40,
         "the funnel of `a` has no `within`", "add within: 30m"},
        {"measures: { a: { from: orders, funnel: { key: k, within: 1h } } }\n", 1, 40,
         "the funnel of `a` has no `steps`", "add steps: ["},
        {"measures: { a: { from: orders, funnel: { key: k, within: 1h, steps: [gift] } } }\n", 1, 69,
         "steps must be a list of 2 to 12 conditions", "write steps: ["},
        {"measures: { a: { from: orders, funnel: { key: k, within: 1h, steps: [gift, price] } } }\n", 1, 76,
         "step 2 takes a condition, not a number", "comparison"},
        {"measures: { a: { from: orders, funnel: { key: k, within: 1h, steps: [gift, gift], order: loose } } }\n", 1,
         90, "order can't be `loose`", "strict, free"},
        {"measures: { a: { from: orders, funnel: { key: k, within: 1h, steps: [gift, gift], again: no } } }\n", 1, 90,
         "again can't be `no`", "expired, completed"},
        {"measures: { a: { from: orders, session: } }\n", 1, 41, "session must be a mapping", "key: value"},
    };
    kit_faults(KIT_SOURCES, cases);
    static const struct fault_case none[] = {
        {"measures: { a: { from: orders, count: } }\n", 1, 24, "there is no source `orders`",
         "there are no sources; declare one first"},
    };
    kit_faults("", none);
}

Test(config_fault, warnings)
{
    static const struct fault_case unused = {"measures: { a: { from: orders, count: } }\n", 1, 13,
                                             "no KPI uses measure `a`", "remove it"};
    kit_fault(KIT_SOURCES, &unused, "warning");
    static const struct fault_case key = {"sources: { s: { topic: t, key: other } }\nmeasures: { a: { from: "
                                          "s, clock: { key: k, start: x, stop: y } } }\n"
                                          "kpis: { k: { formula: a.p50, windows: [5m] } }\n",
                                          2, 41, "the clock's key is `k`, source `s` is keyed by `other`",
                                          "never meet"};
    kit_fault("", &key, "warning");
}
