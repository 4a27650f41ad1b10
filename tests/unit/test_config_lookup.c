/* Look-ups and joins: what they become, and every fault. */
#include "test_config_kit.h"

#include "kpid/lookup.h"

#define LOOKUPS                                                                                                    \
    "lookups: { customers: { file: customers.csv, key: id, fields: { limit: number, since: time, vip: bool, rate: " \
    "{ type: number, scale: 2, column: \"Rate %\" } } }, agents: { redis: \"ref:agents:{}\", missing: none }, "      \
    "tiers: { redis: ref:tiers } }\n"
#define SOURCE                                                                                                \
    "sources: { orders: { topics: [orders], fields: { who: customer.id }, join: { customers: who, tiers: who," \
    " seller: { lookup: agents, by: agent_id } } } }\n"
#define KPIS "kpis: { k: { formula: m, windows: [1m], by: [tiers.value] } }\n"

static const struct kpid_field *field_of(const struct kpid_source *source, const char *name)
{
    for (size_t i = 0; i < source->n_fields; i++)
        if (strcmp(source->fields[i].name, name) == 0)
            return &source->fields[i];
    cr_assert_fail("no field %s", name);
    return NULL;
}

Test(config_lookup, model)
{
    struct kpid_model *model =
        kit_model(LOOKUPS SOURCE KPIS, "measures: { m: { from: orders, where: customers.vip == true and seller.team == \"a\" and "
                                       "customers.since < ts, sum: customers.limit * customers.rate } }\n");
    const struct kpid_source *source = &model->sources[0];
    cr_assert_eq(model->n_lookups, 3);
    const struct kpid_lookup *customers = &model->lookups[0], *agents = &model->lookups[1], *tiers = &model->lookups[2];
    cr_assert(customers->kind == KPID_LOOKUP_FILE && agents->kind == KPID_LOOKUP_REDIS);
    cr_assert_str_eq(customers->file, "customers.csv");
    cr_assert_str_eq(customers->columns[3].title, "Rate %");
    cr_assert(!agents->one_hash && tiers->one_hash);
    cr_assert(agents->refresh_ms == 600000 && agents->refresh_missing_ms == 60000 && agents->timeout_ms == 5000);
    cr_assert_str_eq(agents->missing, "none");
    cr_assert_null(tiers->missing);
    cr_assert_eq(source->n_joins, 3);
    cr_assert_str_eq(source->joins[2].name, "seller");
    cr_assert_eq(source->joins[2].lookup, 1);
    cr_assert_str_eq(source->fields[source->joins[2].key].name, "agent_id");
    cr_assert_eq(source->joins[0].n_fields, 4);
    const struct kpid_field *limit = field_of(source, "customers.limit");
    cr_assert(limit->n_path == 0 && limit->kind == KPID_FIELD_NUMBER && limit->scale == 6);
    cr_assert_str_eq(limit->origin, "look-up customers, column limit, by customer.id");
    cr_assert_eq(field_of(source, "customers.rate")->scale, 2);
    cr_assert_eq(field_of(source, "customers.since")->kind, KPID_FIELD_TIME);
    cr_assert_eq(field_of(source, "tiers.value")->kind, KPID_FIELD_STRING);
    kpid_model_free(model);
}

/* Another table, column or key is another measure; another address of the same table is not. */
Test(config_lookup, definition)
{
    static const char *const measure = "measures: { m: { from: orders, where: customers.tag == \"a\", count: } }\n"
                                       "kpis: { k: { formula: m, windows: [1m] } }\n";
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {"lookups: { customers: { file: a.csv, key: id } }\nsources: { orders: { topics: [o], join: { customers: who } } }\n", true},
        {"lookups: { customers: { file: b.csv, key: no } }\nsources: { orders: { topics: [o], join: { customers: who } } }\n", true},
        {"lookups: { customers: { file: a.csv, key: id } }\nsources: { orders: { topics: [o], join: { customers: whom } } }\n", false},
        {"lookups: { people: { file: a.csv, key: id } }\nsources: { orders: { topics: [o], join: { customers: { lookup: people, by: who } } } }\n", false},
        {"lookups: { customers: { file: a.csv, key: id, fields: { tag: { column: Tag } } } }\nsources: { orders: { topics: [o], join: { customers: who } } }\n", false},
        {"sources: { orders: { topics: [o] } }\n", false},
    };
    uint64_t first = 0;
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_model *model = kit_model(cases[i].text, measure);
        if (i == 0)
            first = model->measures[0].hash;
        cr_assert_eq(model->measures[0].hash == first, cases[i].same, "%s", cases[i].text);
        kpid_model_free(model);
    }
}

Test(config_lookup, faults_of_lookups)
{
    static const struct fault_case cases[] = {
        {"lookups: [a]\n", 1, 10, "lookups must be a mapping", "key: value"},
        {"lookups: { a: x }\n", 1, 15, "a must be a mapping", "key: value"},
        {"lookups: { a-b: { file: a.csv, key: id } }\n", 1, 12, "`a-b` can't be the name of a look-up", "letter"},
        {"lookups: { a: { fiel: a.csv, redis: x } }\n", 1, 17, "unknown key `fiel`", "did you mean `file`?"},
        {"lookups: { a: { key: id } }\n", 1, 15, "neither `file` nor `redis`", "write { file:"},
        {"lookups: { a: { file: a.csv, key: id, redis: x } }\n", 1, 39, "both `file` and `redis`", "keep one"},
        {"lookups: { a: { file: a.csv } }\n", 1, 15, "which column is the `key`", "add key: COLUMN"},
        {"lookups: { a: { file: a.csv, key: id, refresh: 1m } }\n", 1, 39, "`refresh` belongs to look-ups in Redis", "remove"},
        {"lookups: { a: { file: a.csv, key: id, when_down: wait } }\n", 1, 39, "`when_down` belongs to look-ups in Redis", "remove"},
        {"lookups: { a: { redis: x, key: id } }\n", 1, 27, "`key` belongs to look-ups in files", "remove"},
        {"lookups: { a: { redis: x, max_rows: 1 } }\n", 1, 27, "`max_rows` belongs to look-ups in files", "remove"},
        {"lookups: { a: { redis: \"x:{}:{}\" } }\n", 1, 27, "`{}` stands twice", "one place"},
        {"lookups: { a: { redis: x, url: localhost } }\n", 1, 32, "url begins neither with redis://", "redis://[user"},
        {"lookups: { a: { redis: x, timeout: 1 } }\n", 1, 36, "timeout: `1` is not a duration", "500ms"},
        {"lookups: { a: { redis: x, timeout: 1ms } }\n", 1, 36, "timeout: 1ms is out of range", "10ms"},
        {"lookups: { a: { redis: x, max_keys: 0 } }\n", 1, 37, "max_keys: 0 is out of range", "from 1"},
        {"lookups: { a: { redis: x, when_down: hope } }\n", 1, 38, "when_down can't be `hope`", "wait"},
        {"lookups: { a: { redis: x, fields: { value: text } } }\n", 1, 44, "type can't be `text`", "string"},
        {"lookups: { a: { redis: x, fields: { tag: string } } }\n", 1, 37, "one value a key, and no `tag`", "fields: { value: number }"},
        {"lookups: { a: { redis: \"x:{}\", fields: [b] } }\n", 1, 40, "fields must be a mapping", "key: value"},
        {"lookups: { a: { redis: \"x:{}\", fields: { b-c: string } } }\n", 1, 42, "`b-c` can't be the name of a field", "column:"},
        {"lookups: { a: { redis: \"x:{}\", fields: { b: { typ: string } } } }\n", 1, 47, "unknown key `typ`", "did you mean `type`?"},
        {"lookups: { a: { redis: \"x:{}\", fields: { b: { scale: 2 } } } }\n", 1, 54, "`b` is not a number", "type: number"},
        {"lookups: { a: { redis: \"x:{}\", fields: { b: { type: number, scale: 19 } } } }\n", 1, 68, "from 0 to 18", "digits only"},
        {"lookups: { a: { file: \"${KPID_TEST_NO_SUCH}\", key: id } }\n", 1, 24, "`KPID_TEST_NO_SUCH` is not set", ":-default"},
    };
    kit_faults("", cases);
}

Test(config_lookup, faults_of_joins)
{
    static const char *const before = "lookups: { customers: { file: c.csv, key: id }, tiers: { redis: t } }\n";
    static const struct fault_case cases[] = {
        {"sources: { o: { topics: [o], join: [customers] } }\n", 1, 36, "join must be a mapping", "key: value"},
        {"sources: { o: { topics: [o], join: { customer: who } } }\n", 1, 38, "no look-up `customer`", "did you mean `customers`?"},
        {"sources: { o: { topics: [o], join: { customers: } } }\n", 1, 49, "by must be one value, not empty", "one value"},
        {"sources: { o: { topics: [o], join: { customers: [a] } } }\n", 1, 49, "by must be one value, not a list", "one value"},
        {"sources: { o: { topics: [o], join: { buyer: { lookup: people, by: who } } } }\n", 1, 55, "no look-up `people`", "known look-ups: customers, tiers"},
        {"sources: { o: { topics: [o], join: { buyer: { lookup: customers } } } }\n", 1, 45, "does not say `by` which field", "by: FIELD"},
        {"sources: { o: { topics: [o], join: { buyer: { lookup: customers, bye: who, by: a } } } }\n", 1, 66, "unknown key `bye`", "did you mean `by`?"},
        {"sources: { o: { topics: [o], join: { a.b: { lookup: customers, by: who } } } }\n", 1, 38, "`a.b` can't be the name of a join", "letter"},
        {"sources: { o: { topics: [o], fields: { customers.id: { type: string } }, join: { customers: who } } }\n", 1, 82, "have one name", "give the join another"},
        {"sources: { o: { topics: [o], join: { customers: who, tiers: customers.tag } } }\n", 1, 61, "comes from a look-up itself", "one table"},
        {"sources: { o: { topics: [o], join: { customers: who } } }\nmeasures: { m: { from: o, where: customers == \"a\", count: } }\n", 2, 34, "`customers` is a look-up, not a field", "customers.FIELD"},
        {"sources: { o: { topics: [o], join: { tiers: who } } }\nmeasures: { m: { from: o, distinct: tiers.name } }\n", 2, 37, "one value a key, and no `name`", "called value"},
        {"sources: { o: { topics: [o], join: { customers: who } } }\nmeasures: { m: { from: o, sum: customers.limit } }\n", 2, 32, "takes a number, not a text", "limit: number"},
    };
    kit_faults(before, cases);
    static const struct fault_case none[] = {
        {"sources: { o: { topics: [o], join: { customers: who } } }\n", 1, 38, "no look-up `customers`", "declare it: lookups:"},
    };
    kit_faults("", none);
}

Test(config_lookup, warnings)
{
    static const struct fault_case cases[] = {
        {"lookups: { a: { redis: x } }\n" KIT_SOURCES, 1, 12, "no source joins look-up `a`", "join: { a: FIELD }"},
        {"lookups: { a: { redis: x } }\nsources: { o: { topics: [o], join: { a: who } } }\n", 2, 38, "nobody uses a field of join `a`", "a.FIELD"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        kit_fault("", &cases[i], "warning");
}

/* A relative file lies beside the configuration. */
Test(config_lookup, where_the_file_lies)
{
    static const char text[] = "lookups: { a: { file: ref/a.csv, key: id }, b: { file: /srv/b.csv, key: id } }\n";
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    struct kpid_model *model = kpid_config_parse("/etc/kpid/kpid.yaml", text, strlen(text), NULL, &faults, &n);
    cr_assert(model);
    cr_assert_str_eq(model->lookups[0].file, "/etc/kpid/ref/a.csv");
    cr_assert_str_eq(model->lookups[1].file, "/srv/b.csv");
    kpid_model_free(model);
    kpid_buf_release(&faults);
}
