/* Good snippets and what the model holds then. */
#include <math.h>

#include "kpid/zone.h"
#include "test_config_kit.h"

#define BEFORE KIT_SOURCES KIT_MEASURES
#define SECOND INT64_C(1000)
#define MINUTE INT64_C(60000)
#define HOUR   INT64_C(3600000)
#define DAY    INT64_C(86400000)

Test(config_model, empty)
{
    struct kpid_model *model = kit_model("", "");
    cr_assert_eq(model->n_sources + model->n_measures + model->n_kpis, 0);
    cr_assert_str_eq(model->settings.instance, "kpid");
    kpid_model_free(model);
    model = kit_model("", "kafka:\nredis:\nsources:\nmeasures:\nkpis:\n# nothing\n");
    kpid_model_free(model);
    kpid_model_free(NULL);
}

Test(config_model, default_settings)
{
    struct kpid_model *model = kit_model("", "sources: { s: { topic: t } }\n");
    const struct kpid_settings *s = &model->settings;
    cr_assert_str_eq(s->kafka.brokers, "127.0.0.1:9092");
    cr_assert_str_eq(s->kafka.group, "kpid");
    cr_assert_null(s->kafka.instance_id);
    cr_assert_null(s->kafka.cluster);
    cr_assert_str_eq(s->redis.url, "redis://127.0.0.1:6379");
    cr_assert_str_eq(s->redis.prefix, "kpi");
    cr_assert_not(s->redis.allow_eviction);
    cr_assert_eq(s->redis.timeout_ms, 5 * SECOND);
    cr_assert_eq(s->redis.max_commit_bytes_s, 32u << 20);
    cr_assert_eq(s->redis.max_uncommitted, 1000000);
    cr_assert_null(s->publish.dead_letters);
    cr_assert_str_eq(s->http.listen, "127.0.0.1:9464");
    cr_assert_eq(s->tick_ms, SECOND);
    cr_assert_eq(s->clock, KPID_CLOCK_WALL);
    cr_assert_str_eq(s->log_level, "info");
    cr_assert(s->log_cap == 10000 && s->history_cap == 10000 && s->snapshot_ttl_ms == 30 * DAY);
    const struct kpid_source *source = &model->sources[0];
    cr_assert_eq(source->out_of_order_ms, 30 * SECOND);
    cr_assert_eq(source->allowed_lateness_ms, HOUR);
    cr_assert_eq(source->idle_timeout_ms, 10 * SECOND);
    cr_assert_eq(source->max_future_ms, MINUTE);
    cr_assert_eq(source->max_skew_ms, HOUR);
    cr_assert_eq(source->dedup_horizon_ms, HOUR + 30 * SECOND);
    cr_assert_eq(source->dedup_bytes, 128u << 20);
    cr_assert_eq(source->silent_after_ms, 10 * MINUTE);
    cr_assert_eq(source->stale_after_ms, MINUTE);
    cr_assert_eq(source->max_age_ms, 15 * MINUTE);
    cr_assert_eq(source->max_groups, 10000);
    cr_assert_eq(source->group_ttl_ms, DAY);
    cr_assert_eq(source->max_state_bytes, 1u << 30);
    cr_assert_eq(source->max_outbox, 10000);
    cr_assert_eq(source->max_string_bytes, 65536);
    cr_assert_eq(source->max_pending, 1000);
    cr_assert(source->start == KPID_START_EARLIEST && source->format == KPID_FORMAT_AUTO);
    cr_assert_str_eq(source->fields[KPID_SLOT_TYPE].path[0], "type");
    cr_assert_str_eq(source->fields[KPID_SLOT_TS].path[0], "ts");
    cr_assert_str_eq(source->fields[KPID_SLOT_ID].path[0], "id");
    cr_assert_eq(source->fields[KPID_SLOT_TS].kind, KPID_FIELD_TIME);
    kpid_model_free(model);
}

Test(config_model, settings)
{
    setenv("KPID_TEST_HOST", "broker", 1);
    setenv("KPID_TEST_EMPTY", "", 1);
    struct kpid_model *model = kit_model(
        "",
        "instance: one\nclock: events\ntick: 500ms\nlog_level: debug\nzone: Asia/Shanghai\n"
        "kafka: { brokers: \"${KPID_TEST_HOST}:1,${KPID_TEST_EMPTY:-other}:${KPID_TEST_NONE:-2}$\", group: "
        "g, "
        "instance_id: i, cluster: c,\n"
        "  properties: { fetch.min.bytes: 1, sasl.password: \"a${KPID_TEST_HOST}\" } }\n"
        "redis: { url: unix:/tmp/r, prefix: p, allow_eviction: true, timeout: 1s, max_commit_bytes_s: 1MB, "
        "max_uncommitted: 7 }\n"
        "publish: { snapshots: s, alerts: { topic: a, format: msgpack }, dead_letters: d }\n"
        "http: { listen: off }\nhistory: { alerts: 1, finals: 2, ttl: 3d }\n");
    const struct kpid_settings *s = &model->settings;
    cr_assert_str_eq(s->instance, "one");
    cr_assert_eq(s->clock, KPID_CLOCK_EVENTS);
    cr_assert_eq(s->tick_ms, 500);
    cr_assert_str_eq(s->log_level, "debug");
    cr_assert_str_eq(s->kafka.brokers, "broker:1,other:2$");
    cr_assert_str_eq(s->kafka.instance_id, "i");
    cr_assert_eq(s->kafka.n_properties, 2);
    cr_assert_str_eq(s->kafka.properties[0].key, "fetch.min.bytes");
    cr_assert_str_eq(s->kafka.properties[1].value, "abroker");
    cr_assert_str_eq(s->redis.url, "unix:/tmp/r");
    cr_assert(s->redis.allow_eviction && s->redis.max_commit_bytes_s == 1000000 &&
              s->redis.max_uncommitted == 7);
    cr_assert_str_eq(s->publish.snapshots, "s");
    cr_assert_eq(s->publish.snapshots_encoding, KPID_ENCODE_JSON);
    cr_assert_str_eq(s->publish.alerts, "a");
    cr_assert_eq(s->publish.alerts_encoding, KPID_ENCODE_MSGPACK);
    cr_assert_str_eq(s->publish.dead_letters, "d");
    cr_assert_null(s->http.listen);
    cr_assert(s->log_cap == 1 && s->history_cap == 2 && s->snapshot_ttl_ms == 3 * DAY);
    kpid_model_free(model);
}

Test(config_model, sources)
{
    struct kpid_model *model = kit_model(
        "", "sources:\n  shop:\n    topics: [carts, payments]\n    key: order_id\n    format: json\n    "
            "start: latest\n"
            "    type: meta.kind\n    time: { path: meta.at, format: s }\n    id: meta.uuid\n"
            "    types: { OrderPaid: order.paid }\n"
            "    fields:\n      amount: { path: order.total, type: number, scale: 2, round: half_even }\n"
            "      customer: order.customer.id\n      placed: { type: time, format: rfc3339 }\n"
            "    max_skew: off\n    dedup_horizon: 2d\n    dedup_bytes: 1GB\n"
            "measures: { m: { from: shop, where: type == \"order.paid\" and region.code == \"n\", sum: "
            "amount } }\n"
            "kpis: { k: { formula: m, windows: [5m], by: [customer] } }\n");
    const struct kpid_source *s = &model->sources[0];
    cr_assert_eq(kpid_model_source_find(model, "shop"), 0);
    cr_assert_eq(kpid_model_source_find(model, "none"), -1);
    cr_assert_eq(s->n_topics, 2);
    cr_assert_str_eq(s->topics[1], "payments");
    cr_assert_str_eq(s->key, "order_id");
    cr_assert(s->format == KPID_FORMAT_JSON && s->start == KPID_START_LATEST);
    cr_assert_eq(s->fields[KPID_SLOT_TYPE].n_path, 2);
    cr_assert_str_eq(s->fields[KPID_SLOT_TYPE].path[1], "kind");
    cr_assert_str_eq(s->fields[KPID_SLOT_TS].path[1], "at");
    cr_assert_eq(s->fields[KPID_SLOT_TS].time_format, KPID_TIME_FORMAT_S);
    cr_assert_str_eq(s->fields[KPID_SLOT_ID].path[1], "uuid");
    cr_assert_eq(s->n_type_map, 1);
    cr_assert_str_eq(s->type_map[0].value, "order.paid");
    cr_assert_eq(s->n_fields, 7);
    const struct kpid_field *amount = &s->fields[3], *customer = &s->fields[4], *placed = &s->fields[5];
    cr_assert_str_eq(amount->name, "amount");
    cr_assert(amount->kind == KPID_FIELD_NUMBER && amount->scale == 2 && amount->round &&
              amount->n_path == 2);
    cr_assert(customer->kind == KPID_FIELD_ANY && customer->scale == 6 && customer->n_path == 3);
    cr_assert(placed->kind == KPID_FIELD_TIME && placed->time_format == KPID_TIME_FORMAT_RFC3339);
    cr_assert_str_eq(placed->path[0], "placed");
    cr_assert_str_eq(s->fields[6].name, "region.code");
    cr_assert_str_eq(s->fields[6].path[1], "code");
    cr_assert_eq(s->max_skew_ms, KPID_FOREVER);
    cr_assert_eq(s->dedup_horizon_ms, 2 * DAY);
    cr_assert_eq(s->dedup_bytes, 1000000000);
    kpid_model_free(model);
}

Test(config_model, measures)
{
    struct kpid_model *model = kit_model(
        KIT_SOURCES,
        "measures:\n  q: { from: orders, quantiles: price, error: 2 % }\n"
        "  d: { from: users, distinct: user.id }\n"
        "  c:\n    from: orders\n    where: gift\n"
        "    clock: { key: order_id, start: type == \"a\", stop: type == \"b\", pause: type == \"c\", "
        "resume: type == \"d\",\n"
        "             cancel: type == \"e\", reopen: type == \"f\", deadline: 48h, negative: keep, "
        "forget_after: never,\n"
        "             max_keys: 5 }\n"
        "  e: { from: orders, clock: { key: order_id, start: type == \"a\", stop: type == \"b\" } }\n");
    const struct kpid_measure *m = model->measures;
    cr_assert_eq(kpid_model_measure_find(model, "e"), 3);
    cr_assert_eq(kpid_model_measure_find(model, "x"), -1);
    cr_assert_str_eq(m[0].agg->name, "quantiles");
    cr_assert_float_eq(m[0].param.quantile.error, 0.02, 1e-12);
    cr_assert_eq(m[0].param.scale, 2);
    cr_assert_eq(m[1].source, 1);
    cr_assert(m[1].value.n == 1 && m[1].value.nodes[0].op == KPID_OP_FIELD);
    cr_assert(m[2].agg->keyed && m[2].param.duration && m[2].param.scale == 0);
    cr_assert(m[2].keyed.clock.deadline_ms == 48 * HOUR && m[2].keyed.clock.forget_after_ms == KPID_FOREVER);
    cr_assert(m[2].keyed.clock.keep_negative && m[2].keyed.max_keys == 5);
    for (size_t i = 0; i < KPID_CLOCK_WORDS; i++)
        cr_assert_eq(m[2].keyed.when[i].n == 0, i >= KPID_CLOCK_MARK && i < KPID_CLOCK_STOP, "word %zu", i);
    cr_assert_str_eq(m[2].keyed.when[KPID_CLOCK_STOP].text, "(type == \"b\")");
    cr_assert_str_eq(m[2].where.text, "gift");
    cr_assert(m[3].keyed.clock.deadline_ms == KPID_FOREVER && m[3].keyed.clock.forget_after_ms == 30 * DAY);
    cr_assert(!m[3].keyed.clock.keep_negative && m[3].keyed.max_keys == 1000000 &&
              m[3].keyed.when[KPID_CLOCK_PAUSE].n == 0);
    cr_assert_float_eq(m[3].param.quantile.error, 0.01, 1e-12);
    kpid_model_free(model);
}

Test(config_model, top)
{
    struct kpid_model *model = kit_model(
        KIT_SOURCES, "measures:\n  a: { from: orders, top: product }\n"
                     "  b: { from: orders, top: { key: product, sum: price * 2, k: 3, keys: 50 } }\n"
                     "  c: { from: orders, top: { key: product, sum: ts - placed } }\n"
                     "kpis: { k: { formula: b, windows: [5m, day], by: [channel] }, s: { formula: b.share, windows: [day] },"
                     " x: { formula: a + c, windows: [5m] } }\n");
    const struct kpid_measure *m = model->measures;
    cr_assert(m[0].param.top_k == 10 && m[0].param.top_keys == 1000 && !m[0].param.top_sum && m[0].weight.n == 0);
    cr_assert(m[1].param.top_k == 3 && m[1].param.top_keys == 50 && m[1].param.top_sum && m[1].weight.n == 3);
    cr_assert(m[0].param.scale == 0 && m[1].param.scale == 2 && m[2].param.duration);
    cr_assert(m[0].hash != m[1].hash && model->kpis[0].n_parts == 5);
    cr_assert(!model->kpis[0].judge_open && model->kpis[1].judge_open);
    kpid_model_free(model);
}

/* Sketches go with the first KPI that reads the measure in the window; never with one that reads it earlier only. */
Test(config_model, sketches)
{
    struct kpid_model *model = kit_model(
        KIT_SOURCES, "measures:\n  a: { from: users, distinct: user_id, hll: true }\n"
                     "  b: { from: users, distinct: page, hll: [day, 5m] }\n"
                     "  c: { from: users, distinct: page, hll: { windows: day, groups: true } }\n"
                     "  d: { from: users, distinct: page, hll: false }\n"
                     "kpis:\n  x: { formula: a @ 1d, windows: [day] }\n"
                     "  y: { formula: a / b, windows: [day, all] }\n"
                     "  z: { formula: a + b + c + d, windows: [5m, day], by: [channel] }\n");
    const struct kpid_kpi *k = model->kpis;
    cr_assert_eq(k[0].n_sketches, 0);
    cr_assert_eq(k[1].n_sketches, 2);
    cr_assert(k[1].sketches[0].window == 0 && k[1].sketches[0].ref == 0 && !k[1].sketches[0].groups);
    cr_assert(k[1].sketches[1].window == 0 && k[1].sketches[1].ref == 1);
    cr_assert_eq(k[2].n_sketches, 3);
    cr_assert(k[2].sketches[0].window == 0 && k[2].sketches[0].ref == 0 && !k[2].sketches[0].groups);
    cr_assert(k[2].sketches[1].window == 0 && k[2].sketches[1].ref == 1);
    cr_assert(k[2].sketches[2].window == 1 && k[2].sketches[2].ref == 2 && k[2].sketches[2].groups);
    kpid_model_free(model);
}

/* Where groups are wanted, they are of the first KPI that has some; one window's sketches are never of two KPIs. */
Test(config_model, sketches_of_groups)
{
    struct kpid_model *model = kit_model(
        KIT_SOURCES, "measures:\n  a: { from: users, distinct: user_id, hll: { groups: true } }\n"
                     "kpis:\n  x: { formula: a, windows: [5m, day] }\n"
                     "  y: { formula: a, windows: [day, week], by: [channel] }\n"
                     "  z: { formula: a, windows: [day, week], by: [page] }\n");
    const struct kpid_kpi *k = model->kpis;
    cr_assert_eq(k[0].n_sketches, 1);
    cr_assert(k[0].sketches[0].window == 0 && !k[0].sketches[0].groups);
    cr_assert_eq(k[1].n_sketches, 2);
    cr_assert(k[1].sketches[0].groups && k[1].sketches[1].groups);
    cr_assert_eq(k[2].n_sketches, 0);
    kpid_model_free(model);
}

Test(config_model, kpi)
{
    struct kpid_model *model = kit_model(
        BEFORE,
        "kpis:\n  conversion:\n    title: { en: Conversion, zh: 转化率 }\n    formula: orders / visitors\n"
        "    unit: percent\n    direction: down\n    windows: [5m, 1h, day]\n    by: [channel]\n"
        "    owner: a@b\n    dimension: customer\n    target: 3.2 %\n    history_groups: 7\n"
        "    alert: { warn: -10 %, crit: -20%, for: 5m, clear: -4 %, min_samples: 500, confidence: 95 %,\n"
        "             windows: [5m, day], no_data: 15m, suppress_while: [other],\n"
        "             quiet: [{ from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z }] }\n"
        "  other: { title: Other, formula: orders, windows: [1h] }\n");
    const struct kpid_kpi *k = &model->kpis[0];
    cr_assert_str_eq(k->title_zh, "转化率");
    cr_assert_str_eq(k->title_en, "Conversion");
    cr_assert_str_eq(k->formula_text, "orders / visitors");
    cr_assert(k->unit == KPID_UNIT_PERCENT && k->direction == KPID_DOWN && k->history_groups == 7);
    cr_assert_str_eq(k->unit_text, "percent");
    cr_assert_str_eq(k->dimension, "customer");
    cr_assert(k->n_formula == 3 && k->numerator == 0 && k->denominator == 1 &&
              k->formula[2].op == KPID_F_DIV);
    cr_assert(k->n_refs == 2 && k->n_parts == 0 && k->n_sources == 2 && k->sources[0] == 0 &&
              k->sources[1] == 1);
    cr_assert(k->n_by == 1 && k->n_windows == 3 && k->judge_every_ms == 5000 && k->judge_open);
    cr_assert_eq(k->n_targets, 1);
    cr_assert_float_eq(k->targets[0].span.low, 0.032, 1e-12);
    cr_assert(k->targets[0].window == -1 && k->targets[0].weekdays == 0x7f &&
              k->targets[0].minute_to == 1440);
    cr_assert_str_eq(k->targets[0].text, "3.2 %");
    cr_assert_eq(k->n_rules, 4);
    cr_assert_str_eq(k->rules[0].name, "warn");
    cr_assert_str_eq(k->rules[1].name, "crit");
    cr_assert(k->rules[0].window == 0 && k->rules[2].window == 2);
    cr_assert_float_eq(k->rules[1].fire, -0.2, 1e-12);
    cr_assert_float_eq(k->rules[1].clear, -0.04, 1e-12);
    cr_assert(k->rules[0].for_ms == 5 * MINUTE && k->rules[0].no_data_ms == 15 * MINUTE);
    cr_assert(k->rules[0].min_samples == 500 && fabs(k->rules[0].confidence - 0.95) < 1e-12);
    cr_assert(k->rules[3].n_while_firing == 1 && k->rules[3].while_firing[0] == 1);
    cr_assert(k->rules[3].n_quiet == 1 && k->rules[3].quiet[0].to_ms - k->rules[3].quiet[0].from_ms == DAY);
    cr_assert_neq(k->rules[0].hash, k->rules[1].hash);
    k = &model->kpis[1];
    cr_assert_str_eq(k->title_zh, "Other");
    cr_assert(k->unit == KPID_UNIT_COUNT && !k->judge_open && k->history_groups == 1000 &&
              k->numerator == -1);
    cr_assert_eq(kpid_model_kpi_find(model, "other"), 1);
    cr_assert_eq(kpid_model_kpi_find(model, "none"), -1);
    kpid_model_free(model);
}

Test(config_model, alert_defaults)
{
    struct kpid_model *model = kit_model(
        BEFORE,
        "kpis:\n  a: { formula: revenue / orders, windows: [1h, 5m], target: 5, alert: { warn: -10 % } }\n"
        "  b: { formula: revenue / orders, windows: [5m], target: 5, alert: { crit: -10 %, no_data: off } "
        "}\n");
    const struct kpid_rule *rule = &model->kpis[0].rules[0];
    cr_assert(model->kpis[0].n_rules == 1 && rule->window == 0 && rule->for_ms == 0 &&
              rule->min_samples == 0);
    cr_assert(rule->no_data_ms == KPID_FOREVER && rule->confidence <= 0 && fabs(rule->clear + 0.05) < 1e-12);
    cr_assert_str_eq(model->kpis[1].rules[0].name, "crit");
    cr_assert_float_eq(model->kpis[1].rules[0].clear, -0.05, 1e-12);
    cr_assert_eq(model->kpis[0].judge_every_ms, 5000);
    kpid_model_free(model);
}

/* `@` binds to what stands before it, goes into KPIs, and adds up; equal figures are read once. */
Test(config_model, formulas_that_look_back)
{
    struct kpid_model *model =
        kit_model(BEFORE, "kpis:\n"
                          "  a: { formula: -revenue @ 1w + orders, windows: [day] }\n"
                          "  b: { formula: a @ 2 weeks / (revenue + orders) @ 1 month @ 1d, windows: [day] }\n"
                          "  c: { formula: processing.p90 @ 1h - processing.p90 @ 60m, windows: [5m, 1h] }\n"
                          "  d: { formula: \"max(orders, visitors, 3) - min(abs(-orders), 2)\", windows: [5m, day] }\n"
                          "  e: { formula: revenue @ 1 year / revenue, windows: [month] }\n"
                          "  f: { formula: processing @ 1d, windows: [5m] }\n");
    const struct kpid_kpi *k = model->kpis;
    cr_assert(k[0].n_refs == 2 && k[0].refs[0].shift.ms == 7 * DAY && !kpid_shift_is(k[0].refs[1].shift));
    cr_assert_eq(k[1].n_refs, 4);
    cr_assert(k[1].refs[0].shift.ms == 21 * DAY && k[1].refs[1].shift.ms == 14 * DAY);
    cr_assert(k[1].refs[2].shift.ms == DAY && k[1].refs[2].shift.months == 1 && k[1].refs[3].shift.months == 1);
    cr_assert(k[1].numerator >= 0 && k[1].judge_open && k[1].judge_every_ms == 5 * 60000);
    cr_assert(k[2].n_refs == 1 && k[2].refs[0].shift.ms == HOUR && k[2].judge_every_ms == 5000);
    static const uint8_t ops[] = {KPID_F_REF, KPID_F_REF, KPID_F_MAX,    KPID_F_NUMBER, KPID_F_MAX, KPID_F_REF,
                                  KPID_F_NEG, KPID_F_ABS, KPID_F_NUMBER, KPID_F_MIN,    KPID_F_SUB};
    cr_assert_eq(k[3].n_formula, KPID_COUNT_OF(ops));
    for (size_t i = 0; i < KPID_COUNT_OF(ops); i++)
        cr_assert_eq(k[3].formula[i].op, ops[i], "%zu", i);
    cr_assert(!k[3].judge_open && k[3].judge_every_ms == 5000);
    cr_assert(k[4].refs[0].shift.months == 12 && k[4].judge_every_ms == 15 * 60000);
    cr_assert_gt(k[5].n_parts, 0);
    for (size_t i = 0; i < k[5].n_parts; i++)
        cr_assert_eq(k[5].refs[k[5].n_refs + i].shift.ms, DAY);
    cr_assert_neq(k[0].hash, k[1].hash);
    kpid_model_free(model);
}

Test(config_model, formulas)
{
    struct kpid_model *model =
        kit_model(BEFORE, "kpis:\n"
                          "  a: { formula: 1 - b / 2.50, windows: [5m] }\n"
                          "  b: { formula: (revenue + orders) / visitors, windows: [5m] }\n"
                          "  orders: { formula: orders, windows: [5m] }\n"
                          "  p: { formula: processing, windows: [5m] }\n"
                          "  n: { formula: -revenue / 1000, windows: [5m] }\n");
    const struct kpid_kpi *a = &model->kpis[0], *p = &model->kpis[3], *n = &model->kpis[4];
    static const uint8_t ops[] = {KPID_F_NUMBER, KPID_F_REF,    KPID_F_REF, KPID_F_ADD, KPID_F_REF,
                                  KPID_F_DIV,    KPID_F_NUMBER, KPID_F_DIV, KPID_F_SUB};
    cr_assert_eq(a->n_formula, KPID_COUNT_OF(ops));
    for (size_t i = 0; i < KPID_COUNT_OF(ops); i++) {
        cr_assert_eq(a->formula[i].op, ops[i]);
        cr_assert(a->formula[i].a < (int)i && a->formula[i].b < (int)i);
    }
    cr_assert(a->formula[6].number.m == 25 && a->formula[6].number.scale == 1);
    cr_assert_eq(a->numerator, -1);
    cr_assert(a->judge_open && a->n_refs == 3 && a->n_sources == 2);
    cr_assert_str_eq(a->formula_text, "1 - b / 2.50");
    cr_assert_eq(model->kpis[2].n_formula, 1);
    cr_assert_str_eq(p->refs[0].name, "processing");
    cr_assert_gt(p->n_parts, 0);
    for (size_t i = 0; i < p->n_parts; i++)
        cr_assert_geq(p->refs[p->n_refs + i].part, 0);
    cr_assert(n->numerator == -1 && !n->judge_open && n->formula[1].op == KPID_F_NEG);
    kpid_model_free(model);
}

Test(config_model, judged_while_open)
{
    static const struct {
        const char *formula;
        bool open;
        uint8_t unit;
    } cases[] = {
        {"orders", false, KPID_UNIT_COUNT},
        {"revenue", false, KPID_UNIT_NUMBER},
        {"visitors", false, KPID_UNIT_COUNT},
        {"mean_price", true, KPID_UNIT_NUMBER},
        {"low", false, KPID_UNIT_NUMBER},
        {"spread.p90", true, KPID_UNIT_NUMBER},
        {"spread.max", false, KPID_UNIT_NUMBER},
        {"processing.p90", true, KPID_UNIT_DURATION},
        {"processing.open", true, KPID_UNIT_COUNT},
        {"processing.missed", false, KPID_UNIT_COUNT},
        {"revenue / orders", true, KPID_UNIT_NUMBER},
        {"revenue / 1000", false, KPID_UNIT_NUMBER},
        {"mean_price * orders", false, KPID_UNIT_NUMBER},
        {"100 * orders / visitors", true, KPID_UNIT_NUMBER},
        {"mean_price - low", false, KPID_UNIT_NUMBER},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "kpis: { k: { formula: %s, windows: [5m, day] } }\n", cases[i].formula);
        struct kpid_model *model = kit_model(BEFORE, text);
        cr_assert_eq(model->kpis[0].judge_open, cases[i].open, "%s", cases[i].formula);
        cr_assert_eq(model->kpis[0].unit, cases[i].unit, "%s", cases[i].formula);
        kpid_model_free(model);
    }
}

Test(config_model, windows)
{
    struct kpid_model *model = kit_model(
        BEFORE, "zone: Europe/Berlin\nkpis:\n  k:\n    formula: orders\n    week_start: sun\n    "
                "fiscal_year_start: apr\n"
                "    windows:\n      - 5m\n      - { rolling: 1h, slide: 1h, history: 6000, name: hourly }\n "
                "     - 90s\n"
                "      - week\n      - { calendar: month, zone: Asia/Kolkata, history: 60 }\n      - year\n"
                "      - all\n      - { all: , from: \"2026-01-01T00:00:00Z\", name: since }\n"
                "  other: { formula: orders, windows: day, zone: UTC }\n");
    const struct kpid_window *w = model->kpis[0].windows;
    cr_assert_eq(model->kpis[0].n_windows, 8);
    cr_assert_str_eq(w[0].name, "5m");
    cr_assert(w[0].kind == KPID_WINDOW_ROLLING && w[0].length_ms == 5 * MINUTE && w[0].slide_ms == 5000);
    cr_assert_eq(w[0].history, 120);
    cr_assert_str_eq(w[0].zone->name, "Europe/Berlin");
    cr_assert_str_eq(w[1].name, "hourly");
    cr_assert(w[1].slide_ms == HOUR && w[1].history == 6000);
    cr_assert_eq(w[2].slide_ms, 1500);
    cr_assert(w[3].kind == KPID_WINDOW_CALENDAR && w[3].period.unit == KPID_CALENDAR_WEEK);
    cr_assert(w[3].period.week_start == 0 && w[3].period.fiscal_month == 4 && w[3].history == 400);
    cr_assert_str_eq(w[4].name, "month");
    cr_assert_str_eq(w[4].zone->name, "Asia/Kolkata");
    cr_assert_eq(w[4].history, 60);
    cr_assert_str_eq(w[6].name, "all");
    cr_assert(w[6].kind == KPID_WINDOW_ALL && w[6].from_ms == KPID_NEVER && w[6].history == 0);
    cr_assert_eq(w[7].from_ms, INT64_C(1767225600000));
    cr_assert_eq(model->kpis[0].judge_every_ms, 1500);
    cr_assert_eq(model->kpis[1].n_windows, 1);
    cr_assert_eq(model->kpis[1].judge_every_ms, MINUTE);
    cr_assert_str_eq(model->kpis[1].windows[0].zone->name, "UTC");
    cr_assert_eq(model->n_zones, 3);
    kpid_model_free(model);
}

Test(config_model, targets)
{
    struct kpid_model *model = kit_model(
        BEFORE,
        "kpis:\n"
        "  a: { formula: processing.p90, windows: [5m], direction: down, target: 30m }\n"
        "  b: { formula: mean_price, windows: [5m, 1h], direction: band, target: { low: 10, high: 20 } }\n"
        "  c: { formula: mean_price, windows: [5m], direction: band, target: [-1.5, 2e3] }\n"
        "  d: { formula: orders, windows: [5m, day], target: { 5m: 100, day: 30000 } }\n"
        "  e: { formula: orders, windows: [5m], target: 100 }\n"
        "  f: { formula: revenue, windows: [5m], unit: EUR, target: 0.50 }\n"
        "  g:\n    formula: orders\n    windows: [5m, day]\n    by: [channel, region]\n    direction: band\n "
        "   target:\n"
        "      - { window: 5m, group: { region: north }, from: 2026-01-01T00:00:00Z, to: "
        "2027-01-01T00:00:00Z,\n"
        "          weekdays: [mon, tue], hours: \"08:00-20:30\", value: 7 }\n"
        "      - { window: day, weekdays: sun, hours: 22:00-06:00, low: 1, high: 2 }\n"
        "      - { window: day, group: { }, value: [3, 4] }\n"
        "  h: { formula: orders / visitors, windows: [5m], unit: percent, target: 0.25 }\n");
    cr_assert_float_eq(model->kpis[0].targets[0].span.high, 1800, 1e-9);
    const struct kpid_target_row *row = &model->kpis[1].targets[0];
    cr_assert_float_eq(row->span.low, 10, 1e-9);
    cr_assert_float_eq(row->span.high, 20, 1e-9);
    cr_assert_str_eq(row->text, "10 .. 20");
    cr_assert_float_eq(model->kpis[2].targets[0].span.low, -1.5, 1e-9);
    cr_assert_float_eq(model->kpis[2].targets[0].span.high, 2000, 1e-9);
    cr_assert(model->kpis[3].n_targets == 2 && model->kpis[3].targets[1].window == 1);
    cr_assert_eq(model->kpis[4].targets[0].window, -1);
    cr_assert(model->kpis[5].unit == KPID_UNIT_MONEY);
    cr_assert_str_eq(model->kpis[5].unit_text, "EUR");
    row = model->kpis[6].targets;
    cr_assert_eq(model->kpis[6].n_targets, 3);
    cr_assert(row[0].window == 0 && row[0].group && !row[0].group[0]);
    cr_assert_str_eq(row[0].group[1], "north");
    cr_assert(row[0].weekdays == 6 && row[0].minute_from == 480 && row[0].minute_to == 1230);
    cr_assert_eq(row[0].to_ms - row[0].from_ms, 365 * DAY);
    cr_assert(row[1].weekdays == 1 && row[1].minute_from == 1320 && row[1].minute_to == 360 && !row[1].group);
    cr_assert(row[2].group && !row[2].group[0] && !row[2].group[1]);
    cr_assert_float_eq(model->kpis[7].targets[0].span.low, 0.25, 1e-12);
    kpid_model_free(model);
}

/* An alias repeats what an anchor marked. */
Test(config_model, aliases)
{
    struct kpid_model *model = kit_model(
        BEFORE, "kpis:\n  a: { formula: revenue / orders, windows: &w [5m, 1h], target: 5, alert: "
                "&a { warn: -10 % } }\n"
                "  b: { formula: orders / revenue, windows: *w, target: &t 5, alert: *a }\n"
                "  c: { formula: orders / visitors, windows: *w, fiscal_year_start: 4, target: *t }\n");
    cr_assert_eq(model->kpis[1].n_windows, 2);
    cr_assert_eq(model->kpis[1].n_rules, 1);
    cr_assert_float_eq(model->kpis[2].targets[0].span.low, 5, 1e-9);
    cr_assert_eq(model->kpis[2].windows[0].period.fiscal_month, 4);
    kpid_model_free(model);
}
