/* Sessions, funnels and retention as the model has them, and their rates in formulas. */
#include "test_config_kit.h"

#define SOURCE "sources: { users: { topics: [users] } }\n"
#define FUNNEL(more)                                                                                                 \
    SOURCE "measures: { buy: { from: users, funnel: { key: user_id, within: 30m, steps: [ type == \"a\", type == "     \
           "\"b\", type == \"c\" ]" more " } } }\n"

static uint64_t hash_of(const char *text)
{
    struct kpid_model *model = kit_model(text, "");
    uint64_t hash = model->measures[0].hash;
    kpid_model_free(model);
    return hash;
}

Test(config_keyed, funnel)
{
    struct kpid_model *model = kit_model(FUNNEL(", order: free, again: completed"), "");
    const struct kpid_measure *m = &model->measures[0];
    cr_assert_str_eq(m->agg->name, "funnel");
    cr_assert(m->keyed.n_words == 3 && m->param.n_steps == 3 && m->param.duration);
    cr_assert(m->keyed.funnel.within_ms == 30 * 60000 && m->keyed.funnel.free && m->keyed.funnel.again);
    cr_assert_eq(m->keyed.max_keys, 1000000);
    /* events of types that no step names do not reach it */
    cr_assert_eq(model->plans[0].n_by_type[KPID_TYPE_OTHER], 0);
    kpid_model_free(model);
    uint64_t plain = hash_of(FUNNEL(""));
    cr_assert_eq(plain, hash_of(FUNNEL(", order: strict, again: expired, max_keys: 7")));
    cr_assert_neq(plain, hash_of(FUNNEL(", order: free")));
    cr_assert_neq(plain, hash_of(FUNNEL(", again: completed")));
}

Test(config_keyed, session)
{
    struct kpid_model *model = kit_model(
        SOURCE "measures: { s: { from: users, where: type == \"a\", session: { key: user_id, gap: 30m } } }\n", "");
    const struct kpid_measure *m = &model->measures[0];
    cr_assert(m->keyed.session.gap_ms == 30 * 60000 && m->keyed.n_words == 0);
    cr_assert_eq(model->plans[0].n_by_type[KPID_TYPE_OTHER], 0);
    kpid_model_free(model);
}

Test(config_keyed, retention)
{
    static const char base[] = SOURCE "measures: { back: { from: users, retention: { key: user_id, start: type == \"a\", "
                                      "return: type == \"b\"";
    char text[512];
    snprintf(text, sizeof text, "zone: Asia/Kolkata\n%s } } }\n", base);
    struct kpid_model *model = kit_model(text, "kpis: { k: { formula: back.rate7, windows: [day] } }\n");
    const struct kpid_measure *m = &model->measures[0];
    cr_assert(m->keyed.retention.n_days == 3 && m->keyed.retention.days[2] == 30 && m->param.days[1] == 7);
    cr_assert_str_eq(m->keyed.retention.zone->name, "Asia/Kolkata");
    cr_assert_eq(model->kpis[0].refs[1].part, m->agg->part("cohort7", 7));
    uint64_t hash = m->hash;
    kpid_model_free(model);
    snprintf(text, sizeof text, "%s, zone: Asia/Kolkata, days: [1, 7, 30] } } }\n", base);
    cr_assert_eq(hash, hash_of(text));
    snprintf(text, sizeof text, "%s } } }\n", base);
    cr_assert_neq(hash, hash_of(text));
    snprintf(text, sizeof text, "%s, zone: Asia/Kolkata, days: 7 } } }\n", base);
    cr_assert_neq(hash, hash_of(text));
    static const struct fault_case day = {"kpis: { k: { formula: back.rate7, windows: [day] } }\n", 1, 23,
                                          "measure `back` (retention) has no part `rate7`", "its other days"};
    snprintf(text, sizeof text, "%s, days: [1, 3] } } }\n", base);
    kit_fault(text, &day, "error");
}

Test(config_keyed, a_rate_is_a_division)
{
    struct kpid_model *model = kit_model(
        FUNNEL(""), "kpis: { one: { formula: buy, windows: [1h] }, two: { formula: buy.rate2, windows: [1h],"
                    " unit: percent, target: 10 %, alert: { warn: -10 %, confidence: 95 % } },"
                    " three: { formula: 1 - buy.pass3, windows: [1h] } }\n");
    const struct kpid_kpi *one = &model->kpis[0], *two = &model->kpis[1], *three = &model->kpis[2];
    const struct kpid_agg *agg = model->measures[0].agg;
    cr_assert(one->n_formula == 3 && one->formula[2].op == KPID_F_DIV && one->numerator == 0 && one->denominator == 1);
    cr_assert_eq(one->refs[0].part, agg->part("step3", 5));
    cr_assert_eq(one->refs[1].part, agg->part("step1", 5));
    cr_assert_eq(two->refs[0].part, agg->part("step2", 5));
    cr_assert(two->numerator >= 0 && two->n_rules == 1);
    cr_assert_eq(three->refs[1].part, agg->part("step2", 5));
    cr_assert(three->n_parts == 0 && one->n_parts > 0 && one->n_parts == two->n_parts);
    for (size_t i = 0; i < one->n_parts; i++)
        cr_assert_str_neq(one->refs[one->n_refs + i].name, "step4");
    kpid_model_free(model);
}

Test(config_keyed, faults)
{
    static const struct fault_case cases[] = {
        {"kpis: { k: { formula: buy.step4, windows: [1h] } }\n", 1, 23, "measure `buy` (funnel) has no part `step4`",
         "its parts are: rate"},
        {"kpis: { k: { formula: buy.time4.p50, windows: [1h] } }\n", 1, 23, "has no part `time4.p50`", "time2.pNN"},
        {"kpis: { k: { formula: buy.provisional_rate, windows: [1h], target: 0.1,"
         " alert: { warn: -10 %, confidence: 95 % } } }\n",
         1, 107, "confidence", "ratio"},
    };
    kit_faults(FUNNEL(""), cases);
}
