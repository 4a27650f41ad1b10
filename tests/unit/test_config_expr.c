/* Expressions: precedence, normal form, scales, dimensions, types. */
#include "test_config_kit.h"

static struct kpid_model *with(const char *key, const char *text)
{
    char snippet[1024];
    snprintf(snippet, sizeof snippet,
             "measures:\n  m:\n    from: orders\n%s    %s: %s\nkpis: { k: { formula: m, windows: [5m] } }\n",
             strcmp(key, "where") == 0 ? "    count:\n" : "", key, text);
    return kit_model(KIT_SOURCES, snippet);
}

Test(config_expr, normal_form)
{
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"a == 1 or b == 2 and c == 3", "((a == 1) or ((b == 2) and (c == 3)))"},
        {"not a == 1 and b == 2", "(not ((a == 1)) and (b == 2))"},
        {"not (a == 1 and b == 2)", "not (((a == 1) and (b == 2)))"},
        {"a + 2 * b - 3 > -c / 4", "(((a + (2 * b)) - 3) > (-(c) / 4))"},
        {"a - b - c > 0", "(((a - b) - c) > 0)"},
        {"a / b / c > 0", "(((a / b) / c) > 0)"},
        {"a * (b + c) >= 1.50", "((a * (b + c)) >= 1.5)"},
        {"a != -1e3", "(a != -1000)"},
        {"a < 1.25E-2", "(a < 0.0125)"},
        {"'\"x\" == type'", "(type == \"x\")"},
        {"type == 'x'", "(type == \"x\")"},
        {"type == \"a\\\"b\\\\c\"", "(type == \"a\\\"b\\\\c\")"},
        {"type in [\"a\", 'b']", "(type in [\"a\", \"b\"])"},
        {"a not in [1, -2, \"x\", true]", "not ((a in [1, -2, \"x\", true]))"},
        {"exists(customer.id)", "exists(customer.id)"},
        {"not exists(a)", "not (exists(a))"},
        {"starts_with(lower(note), \"ab\")", "starts_with(lower(note), \"ab\")"},
        {"day(ts) == day(placed)", "(day(ts, \"UTC\") == day(placed, \"UTC\"))"},
        {"day(ts, \"Asia/Shanghai\") > 20000", "(day(ts, \"Asia/Shanghai\") > 20000)"},
        {"ts - placed > 48h", "((ts - placed) > 172800000ms)"},
        {"ts - placed > 2d", "((ts - placed) > 172800000ms)"},
        {"ts - placed > 1h30m", "((ts - placed) > 5400000ms)"},
        {"gift", "gift"},
        {"gift == true", "(gift == true)"},
        {"a", "a"},
        {"true", "true"},
        {"((((a))))", "a"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_model *model = with("where", cases[i].text);
        cr_assert_str_eq(model->measures[0].where.text, cases[i].normal, "%s -> %s", cases[i].text,
                         model->measures[0].where.text);
        kpid_model_free(model);
    }
}

Test(config_expr, scales_and_dimensions)
{
    static const struct {
        const char *text;
        uint8_t scale, dimension;
    } cases[] = {
        {"price", 2, KPID_PLAIN},
        {"amount", 6, KPID_PLAIN},
        {"price + amount", 6, KPID_PLAIN},
        {"price * amount", 8, KPID_PLAIN},
        {"price * price", 4, KPID_PLAIN},
        {"amount * amount * amount * amount", 18, KPID_PLAIN},
        {"price / 3", 9, KPID_PLAIN},
        {"-price", 2, KPID_PLAIN},
        {"price - 1.005", 3, KPID_PLAIN},
        {"ts - placed", 0, KPID_DURATION_MS},
        {"ts - placed + 30s", 0, KPID_DURATION_MS},
        {"ts - 30s", 0, KPID_TIME_MS},
        {"30s + ts", 0, KPID_TIME_MS},
        {"(ts - placed) / 2", 9, KPID_DURATION_MS},
        {"(ts - placed) * 2", 0, KPID_DURATION_MS},
        {"2 * (ts - placed)", 0, KPID_DURATION_MS},
        {"(ts - placed) / 1h", 9, KPID_PLAIN},
        {"took_ms * 1ms", 6, KPID_DURATION_MS},
        {"day(ts) - day(placed)", 0, KPID_PLAIN},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_model *model = with("sum", cases[i].text);
        const struct kpid_measure *m = &model->measures[0];
        const struct kpid_node *root = &m->value.nodes[m->value.n - 1];
        cr_assert_eq(root->scale, cases[i].scale, "%s: scale %d", cases[i].text, root->scale);
        cr_assert_eq(root->dimension, cases[i].dimension, "%s: dimension %d", cases[i].text, root->dimension);
        cr_assert_eq(m->param.scale, root->scale);
        cr_assert_eq(m->param.duration, root->dimension == KPID_DURATION_MS);
        kpid_model_free(model);
    }
}

Test(config_expr, children_come_first)
{
    struct kpid_model *model =
        with("where", "not (a + b * 2 > 3 and type in [\"x\", \"y\"]) or starts_with(note, \"z\")");
    const struct kpid_expr *e = &model->measures[0].where;
    for (int i = 0; i < (int)e->n; i++) {
        cr_assert_lt(e->nodes[i].a, i);
        cr_assert_lt(e->nodes[i].b, i);
        for (int j = 0; j < e->nodes[i].list_n; j++)
            cr_assert_eq(e->nodes[e->nodes[i].list_first + j].op, KPID_OP_STRING);
    }
    kpid_model_free(model);
}

Test(config_expr, types_are_interned)
{
    struct kpid_model *model =
        with("where", "type == \"a\" or type != \"b\" or type in [\"c\", \"a\"] or note == \"a\"");
    const struct kpid_source *s = &model->sources[0];
    cr_assert_eq(s->n_types, 4);
    cr_assert_str_eq(s->types[0], "");
    cr_assert_str_eq(s->types[1], "a");
    cr_assert_str_eq(s->types[2], "b");
    cr_assert_str_eq(s->types[3], "c");
    const struct kpid_expr *e = &model->measures[0].where;
    size_t by_type = 0;
    for (size_t i = 0; i < e->n; i++) {
        by_type += e->nodes[i].by_type;
        if (e->nodes[i].op == KPID_OP_IN) {
            cr_assert_eq(e->nodes[e->nodes[i].list_first].type_id, 3);
            cr_assert_eq(e->nodes[e->nodes[i].list_first + 1].type_id, 1);
        }
    }
    cr_assert_eq(by_type, 3);
    kpid_model_free(model);
}

/* An undeclared field that is subtracted from a time is one, wherever else it stands and however far it goes.
 */
Test(config_expr, times_are_inferred)
{
    struct kpid_model *model =
        kit_model(KIT_SOURCES, "measures:\n  early: { from: orders, where: promised_ts > 0, count: }\n"
                               "  gap: { from: orders, sum: ts - promised_ts }\n"
                               "  more: { from: orders, sum: first_ts - promised_ts }\n"
                               "  took: { from: orders, sum: took }\n"
                               "kpis: { k: { formula: early + gap + more + took, windows: [5m] } }\n");
    const struct kpid_source *s = &model->sources[0];
    size_t found = 0;
    for (size_t i = KPID_SLOT_FREE; i < s->n_fields; i++)
        if (strstr(s->fields[i].name, "_ts")) {
            cr_assert_eq(s->fields[i].kind, KPID_FIELD_TIME);
            cr_assert_eq(s->fields[i].scale, 0);
            found++;
        } else if (strcmp(s->fields[i].name, "took") == 0) {
            cr_assert_eq(s->fields[i].kind, KPID_FIELD_ANY);
            cr_assert_eq(s->fields[i].scale, 6);
        }
    cr_assert_eq(found, 2);
    cr_assert(model->measures[1].param.duration && model->measures[2].param.duration);
    cr_assert_not(model->measures[3].param.duration);
    kpid_model_free(model);
}

/* What the parser makes is what the evaluator takes. */
Test(config_expr, evaluates)
{
    static const struct {
        const char *text;
        enum kpid_truth truth;
    } cases[] = {
        {"type == \"order.paid\"", KPID_TRUE},
        {"type != \"order.paid\"", KPID_FALSE},
        {"type in [\"a\", \"order.paid\"] and price > 9.99", KPID_TRUE},
        {"price * 2 == 20.00 and lower(note) == \"hello\"", KPID_TRUE},
        {"not starts_with(note, \"He\")", KPID_FALSE},
        {"ts - placed >= 1h and ts - placed < 1h1ms", KPID_TRUE},
        {"exists(missing)", KPID_FALSE},
        {"missing > 1", KPID_UNKNOWN},
        {"missing > 1 or gift", KPID_TRUE},
        {"day(ts, \"Asia/Tokyo\") - day(ts) == 1", KPID_TRUE},
        {"price not in [1, 10]", KPID_FALSE},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_model *model = with("where", cases[i].text);
        const struct kpid_source *s = &model->sources[0];
        struct kpid_value values[KPID_FIELDS_MAX] = {0};
        for (size_t j = 0; j < s->n_fields; j++) {
            const char *name = s->fields[j].name;
            if (strcmp(name, "type") == 0)
                values[j] = (struct kpid_value){.kind = KPID_STRING, .str = "order.paid", .len = 10};
            else if (strcmp(name, "note") == 0)
                values[j] = (struct kpid_value){.kind = KPID_STRING, .str = "Hello", .len = 5};
            else if (strcmp(name, "price") == 0)
                values[j] = (struct kpid_value){.kind = KPID_NUMBER, .number = 1000};
            else if (strcmp(name, "gift") == 0)
                values[j] = (struct kpid_value){.kind = KPID_BOOL, .boolean = true};
            else if (strcmp(name, "ts") == 0)
                values[j] = (struct kpid_value){.kind = KPID_NUMBER, .number = INT64_C(72000000)};
            else if (strcmp(name, "placed") == 0)
                values[j] = (struct kpid_value){.kind = KPID_NUMBER, .number = INT64_C(68400000)};
        }
        struct kpid_event event = {.values = values, .n_values = s->n_fields};
        for (uint32_t j = 1; j < s->n_types; j++)
            if (strcmp(s->types[j], "order.paid") == 0)
                event.type_id = j;
        bool mismatch = false;
        cr_assert_eq(kpid_expr_test(&model->measures[0].where, &event, &mismatch), cases[i].truth, "%s",
                     cases[i].text);
        cr_assert_not(mismatch, "%s", cases[i].text);
        kpid_model_free(model);
    }
}
