/* Faults of the file itself, of settings and of sources: place, message and advice. */
#include "test_config_kit.h"

Test(config_fault, yaml)
{
    static const struct fault_case cases[] = {
        {"tick: 1s\ntick: 2s\n", 2, 1, "duplicate key `tick`", "line 1"},
        {"sources: { a: { topics: [a] }\n", 2, 1, "YAML: while parsing a flow mapping",
         "missing comma or closing"},
        {"measures: { m: { from: s, count: , where: type in [\"a\", \"b\"] } }\n", 1, 51, "flow",
         "must stand in single quotes: where: 'type in"},
        {"a:\n  where: \"x\" == type\n", 2, 14, "did not find expected key", "begins with a quote"},
        {"a: b: c\n", 1, 5, "mapping values are not allowed", "single quotes"},
        {"a:\n\tb: 1\n", 2, 1, "cannot start any token", "spaces, not tabs"},
        {"a: 'b\n", 2, 1, "quoted scalar", "close the quote"},
        {"tick: 1s\n--- \ntick: 2s\n", 2, 1, "a second YAML document", "remove the `---`"},
        {"? [a]\n: b\n", 1, 3, "a key must be a word", "key: value"},
        {"tick: *none\n", 1, 7, "no finished anchor", "alias"},
        {"instance: \"a\\0b\"\n", 1, 11, "a NUL character", "remove"},
        {"instance: a\x01\n", 1, 12, "not readable", "UTF-8"},
        {"tick: 1s\n名: \xff\n", 2, 4, "not readable", "UTF-8"},
        {"- a\n", 1, 1, "the configuration must be a mapping, not a list", "key: value"},
        {"tick: 1s\r\ntick: 2s\r\n", 2, 1, "duplicate key `tick`", "line 1"},
        {"a: ]\n", 1, 4, "YAML", "indentation"},
    };
    kit_faults("", cases);
}

Test(config_fault, yaml_too_deep)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "a: ");
    for (int i = 0; i < 40; i++)
        kpid_buf_add_char(&text, '[');
    for (int i = 0; i < 40; i++)
        kpid_buf_add_char(&text, ']');
    struct fault_case deep = {text.data, 1, 35, "deeper than 32 levels", "indentation"};
    kit_fault("", &deep, "error");
    kpid_buf_release(&text);
}

Test(config_fault, yaml_too_many)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "a: [");
    for (int i = 0; i < 200001; i++)
        kpid_buf_add_str(&text, "a,");
    kpid_buf_add_str(&text, "a]\n");
    struct fault_case many = {text.data, 1, 1, "too many values", "200,000"};
    kit_fault("", &many, "error");
    kpid_buf_release(&text);
}

Test(config_fault, settings)
{
    static const struct fault_case cases[] = {
        {"instnace: a\n", 1, 1, "unknown key `instnace`", "did you mean `instance`?"},
        {"kafka: { broker: a }\n", 1, 10, "unknown key `broker`", "did you mean `brokers`?"},
        {"zebra: 1\n", 1, 1, "unknown key `zebra`", "known keys here: instance, clock"},
        {"kafka: [a]\n", 1, 8, "kafka must be a mapping, not a list", "key: value"},
        {"redis: 1\n", 1, 8, "redis must be a mapping, not a value", "key: value"},
        {"instance: [a]\n", 1, 11, "instance must be one value, not a list", "one value"},
        {"instance:\n", 1, 10, "instance must be one value, not empty", "remove the key"},
        {"tick: 1x\n", 1, 7, "tick: `1x` is not a duration", "500ms"},
        {"tick: 1\n", 1, 7, "tick: `1` is not a duration", "500ms"},
        {"tick: 1ms\n", 1, 7, "tick: 1ms is out of range", "from 10ms to 1m (default 1s)"},
        {"clock: wal\n", 1, 8, "clock can't be `wal`", "did you mean `wall`?"},
        {"log_level: noisy\n", 1, 12, "log_level can't be `noisy`", "known words: error, warning"},
        {"redis: { allow_eviction: maybe }\n", 1, 26, "`maybe` is not true or false", "true or false"},
        {"redis: { max_commit_bytes_s: 3xB }\n", 1, 30, "`3xB` is not a size", "64KiB"},
        {"redis: { max_commit_bytes_s: 1KiB }\n", 1, 30, "out of range", "from 64KiB"},
        {"redis: { max_uncommitted: many }\n", 1, 27, "`many` is not a whole number", "digits"},
        {"redis: { url: http://x }\n", 1, 15, "begins neither with redis://", "redis://"},
        {"http: { listen: 9464 }\n", 1, 17, "`9464` is not an address and port", "127.0.0.1:9464"},
        {"http: { listen: \"a:70000\" }\n", 1, 17, "is not an address and port", "or off"},
        {"zone: Asia/Kolkatta\n", 1, 7, "time zone `Asia/Kolkatta`: there is no such zone",
         "did you mean `Asia/Kolkata`?"},
        {"zone: ../../etc/passwd\n", 1, 7, "there is no such zone", "IANA"},
        {"zone: zone.tab\n", 1, 7, "not a sound TZif file", "IANA"},
        {"kafka: { properties: { group.id: x } }\n", 1, 24, "kpid sets the property `group.id` itself",
         "remove it"},
        {"kafka: { properties: [a] }\n", 1, 22, "properties must be a mapping", "key: value"},
        {"kafka: { properties: { a: [1] } }\n", 1, 27, "a must be one value", "one value"},
        {"kafka: { brokers: \"x${KPID_NOT_SET}\" }\n", 1, 21,
         "environment variable `KPID_NOT_SET` is not set", "${KPID_NOT_SET:-default}"},
        {"kafka: { brokers: \"x${A\" }\n", 1, 21, "`${` is not closed", "${NAME}"},
        {"kafka: { brokers: \"x${1-}\" }\n", 1, 21, "`1-` can't be the name of an environment variable",
         "${NAME}"},
        {"publish: { alerts: { format: json } }\n", 1, 20, "publish.alerts has no topic", "topic: NAME"},
        {"publish: { alerts: { topic: a, format: xml } }\n", 1, 40, "format can't be `xml`",
         "known words: json"},
        {"publish: { snapshots: [a] }\n", 1, 23, "snapshots must be a mapping, not a list", "key: value"},
        {"publish: { snapshots: { topik: a, topic: b } }\n", 1, 25, "unknown key `topik`",
         "did you mean `topic`?"},
    };
    kit_faults("", cases);
}

Test(config_fault, sources)
{
    static const struct fault_case cases[] = {
        {"sources: [a]\n", 1, 10, "sources must be a mapping", "key: value"},
        {"sources: { a: b }\n", 1, 15, "a must be a mapping", "key: value"},
        {"sources: { 1a: { topics: [a] } }\n", 1, 12, "`1a` can't be the name of a source",
         "begin with a letter"},
        {"sources: { a: { } }\n", 1, 15, "source `a` has no topic", "topics: [NAME]"},
        {"sources: { a: { topics: [] } }\n", 1, 25, "source `a` has no topic", "topics: [NAME]"},
        {"sources: { a: { topics: [a, a] } }\n", 1, 29, "topic `a` stands twice", "remove one"},
        {"sources: { a: { topics: [a b] } }\n", 1, 26, "`a b` can't be the name of a topic", "Kafka allows"},
        {"sources: { a: { topics: [[a]] } }\n", 1, 26, "topics must be one value, not a list", "one value"},
        {"sources: { a: { topics: [a], topic: b } }\n", 1, 30, "both `topic` and `topics`", "remove `topic`"},
        {"sources: { a: { topic: t }, b: { topic: t } }\n", 1, 29, "both read topic `t`", "one source"},
        {"sources: { a: { topic: t, formt: json } }\n", 1, 27, "unknown key `formt`",
         "did you mean `format`?"},
        {"sources: { a: { topic: t, format: xml } }\n", 1, 35, "format can't be `xml`",
         "auto, json, msgpack"},
        {"sources: { a: { topic: t, type: a..b } }\n", 1, 33, "type: `a..b` is not a path", "dots"},
        {"sources: { a: { topic: t, time: { path: x, format: h } } }\n", 1, 52, "format can't be `h`",
         "rfc3339"},
        {"sources: { a: { topic: t, fields: [a] } }\n", 1, 35, "fields must be a mapping", "key: value"},
        {"sources: { a: { topic: t, fields: { a-b: c } } }\n", 1, 37, "`a-b` can't be the name of a field",
         "name: path"},
        {"sources: { a: { topic: t, fields: { ts: c } } }\n", 1, 37, "`ts` belongs to the envelope",
         "`time:`"},
        {"sources: { a: { topic: t, fields: { id: c } } }\n", 1, 37, "`id` belongs to the envelope", "`id:`"},
        {"sources: { a: { topic: t, fields: { f: .c } } }\n", 1, 40, "f: `.c` is not a path", "dots"},
        {"sources: { a: { topic: t, fields: { f: { typ: any } } } }\n", 1, 42, "unknown key `typ`", "`type`"},
        {"sources: { a: { topic: t, fields: { f: { type: int } } } }\n", 1, 48, "type can't be `int`",
         "number"},
        {"sources: { a: { topic: t, fields: { f: { scale: 19 } } } }\n", 1, 49,
         "`19` is not a whole number from 0 to 18", "digits"},
        {"sources: { a: { topic: t, fields: { f: { round: up } } } }\n", 1, 49, "round can't be `up`",
         "half_even"},
        {"sources: { a: { topic: t, fields: { f: { format: ms } } } }\n", 1, 50,
         "not a time, so it has no format", "type: time"},
        {"sources: { a: { topic: t, fields: { f: { type: bool, scale: 2 } } } }\n", 1, 61, "not a number",
         "type: number"},
        {"sources: { a: { topic: t, types: { x: [y] } } }\n", 1, 39, "x must be one value", "one value"},
        {"sources: { a: { topic: t, types: [x] } }\n", 1, 34, "types must be a mapping", "key: value"},
        {"sources: { a: { topic: t, max_skew: never } }\n", 1, 37, "`never` is not a duration", "or off"},
        {"sources: { a: { topic: t, dedup_horizon: 1h } }\n", 1, 42, "dedup_horizon is below",
         "at least 1h30s"},
        {"sources: { a: { topic: t, max_future: 1h } }\n", 1, 39,
         "max_future is not below allowed_lateness (1h)", "lower max_future"},
        {"sources: { a: { topic: t, allowed_lateness: 30s } }\n", 1, 45, "max_future is not below", "raise"},
        {"sources: { a: { topic: t, max_groups: 0 } }\n", 1, 39, "out of range", "default 10000"},
        {"sources: { a: { topic: t, max_string: 1KB5 } }\n", 1, 39, "is not a size", "64KiB"},
    };
    kit_faults("", cases);
}

Test(config_fault, too_many_fields)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "sources:\n  a:\n    topic: t\n    fields:\n");
    for (int i = 3; i < KPID_FIELDS_MAX + 1; i++)
        kpid_buf_printf(&text, "      f%d: x\n", i);
    struct fault_case declared = {text.data, 4 + KPID_FIELDS_MAX - 2, 7, "more than 128 fields",
                                  "only the fields"};
    kit_fault("", &declared, "error");
    text.len -= strlen("      f128: x\n");
    text.data[text.len] = '\0';
    kpid_buf_add_str(&text, "measures:\n  m: { from: a, sum: other }\n");
    struct fault_case used = {text.data, 4 + KPID_FIELDS_MAX - 3 + 2, 22, "more than 128 fields",
                              "second source"};
    kit_fault("", &used, "error");
    kpid_buf_release(&text);
}

Test(config_fault, file)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    cr_assert_null(kpid_config_load("/nonexistent/kpid.yaml", NULL, &faults, &n));
    cr_assert_eq(n, 1);
    cr_assert(strstr(faults.data, "/nonexistent/kpid.yaml:1:1: error: No such file"), "%s", faults.data);
    cr_assert(strstr(faults.data, "advice: "));
    kpid_buf_clear(&faults);
    cr_assert_null(kpid_config_load("/", NULL, &faults, &n));
    cr_assert(strstr(faults.data, "/:1:1: error: Is a directory"), "%s", faults.data);
    kpid_buf_release(&faults);
}
