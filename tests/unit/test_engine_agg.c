/* Aggregations: merging in any order is adding everything to one cell, bit for bit; what each figure means. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "kpid/agg.h"
#include "kpid/hash.h"

#define CELL_WORDS 64

struct cell {
    _Alignas(8) uint64_t words[CELL_WORDS];
};

static uint64_t state;

static uint64_t draw(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return kpid_hash_mix(state, 1);
}

static struct kpid_agg_param param_of(uint8_t scale, bool duration)
{
    struct kpid_agg_param param = {.scale = scale, .duration = duration, .n_steps = 3, .days = {1, 7, 30},
                                   .top_k = 5, .top_keys = 50};
    kpid_quantile_scale_init(&param.quantile, 0.01);
    return param;
}

static const struct kpid_agg *agg_named(const char *name)
{
    const struct kpid_agg *agg = kpid_agg_find(name, strlen(name));
    cr_assert_not_null(agg, "%s", name);
    cr_assert(agg->cell_bytes <= sizeof(struct cell) && agg->cell_bytes % 8 == 0, "%s", name);
    return agg;
}

static bool same_bytes(const struct kpid_agg *agg, const struct cell *a, const struct cell *b)
{
    struct kpid_buf x = KPID_BUF_INIT, y = KPID_BUF_INIT;
    agg->pack(a, &x);
    agg->pack(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    kpid_buf_release(&x);
    kpid_buf_release(&y);
    return same;
}

static void cell_release(const struct kpid_agg *agg, struct cell *cell)
{
    static const struct cell zero;
    if (agg->release != NULL) {
        agg->release(cell);
        cr_assert_eq(memcmp(cell, &zero, agg->cell_bytes), 0);
    }
}

static struct kpid_number read_part(const struct kpid_agg *agg, const struct cell *cell, const char *part,
                                    const struct kpid_agg_param *param)
{
    int number = agg->part(part, strlen(part));
    cr_assert_geq(number, 0, "%s.%s", agg->name, part);
    return agg->read(cell, number, param);
}

static void expect(const struct kpid_agg *agg, const struct cell *cell, const char *part,
                   const struct kpid_agg_param *param, const char *want)
{
    char text[KPID_DECIMAL_TEXT] = "none";
    struct kpid_number number = read_part(agg, cell, part, param);
    if (number.kind == KPID_NUMBER_EXACT)
        kpid_decimal_print(number.exact, text);
    else if (number.kind == KPID_NUMBER_DOUBLE)
        kpid_double_print(number.approx, text);
    else if (number.kind == KPID_NUMBER_OVERFLOW)
        strcpy(text, "overflow");
    cr_assert_str_eq(text, want, "%s.%s is %s, not %s", agg->name, part, text, want);
}

static struct kpid_sample sample_make(int shape)
{
    static const char keys[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789";
    struct kpid_sample sample = {.hash = draw() % 5000, .ts_ms = (int64_t)(draw() % 50), .topic = (uint32_t)(draw() % 3),
                                 .partition = (uint32_t)(draw() % 3), .offset = (int64_t)draw() / 4, .weight = 1};
    sample.key = keys + sample.hash % 50;
    sample.key_len = 1 + (uint32_t)(sample.hash % 4);
    switch (shape) {
    case 0: sample.value = (kpid_i128)(draw() % 2000) - 700; break;
    case 1: sample.value = (kpid_i128)draw() * (draw() % 2 != 0 ? 1 : -1); break;
    default: /* sums that leave 127 bits and come back, squares that can't be added */
        sample.value = ((kpid_i128)(draw() >> 1) << 64 | draw()) * (draw() % 2 != 0 ? 1 : -1);
    }
    return sample;
}

Test(agg, merging_in_any_order_is_adding_to_one)
{
    for (size_t a = 0; kpid_agg_at(a) != NULL; a++) {
        const struct kpid_agg *agg = agg_named(kpid_agg_at(a)->name);
        struct kpid_agg_param param = param_of(2, false);
        if (agg->levels)
            continue; /* the clock's own test */
        for (int shape = 0; shape < 3; shape++) {
            struct cell whole = {0}, parts[5] = {0}, left = {0}, right = {0}, half = {0};
            state = 17 + (uint64_t)shape;
            for (int i = 0; i < 4000; i++) {
                struct kpid_sample sample = sample_make(shape);
                agg->add(&whole, &sample, &param);
                agg->add(&parts[1 + draw() % 4], &sample, &param); /* parts[0] stays empty */
            }
            for (int k = 0; k < 5; k++)
                agg->merge(&left, &parts[k], &param);
            agg->merge(&half, &parts[4], &param);
            agg->merge(&half, &parts[2], &param);
            agg->merge(&right, &parts[3], &param);
            agg->merge(&right, &parts[0], &param);
            agg->merge(&right, &parts[1], &param);
            agg->merge(&right, &half, &param);
            cr_assert(same_bytes(agg, &whole, &left), "%s shape %d", agg->name, shape);
            cr_assert(same_bytes(agg, &whole, &right), "%s shape %d", agg->name, shape);
            cr_assert(agg->samples(&whole) == 4000 || strcmp(agg->name, "distinct") == 0);

            struct cell *all[] = {&whole, &left, &right, &half, &parts[0], &parts[1], &parts[2], &parts[3], &parts[4]};
            for (size_t k = 0; k < KPID_COUNT_OF(all); k++)
                cell_release(agg, all[k]);
        }
    }
}

Test(agg, packs_and_notices_what_is_cut_short)
{
    for (size_t a = 0; kpid_agg_at(a) != NULL; a++) {
        const struct kpid_agg *agg = kpid_agg_at(a);
        struct kpid_agg_param param = param_of(0, false);
        for (int n = 0; n <= 2000; n = n * 10 + 2) {
            struct cell cell = {0};
            struct kpid_buf buf = KPID_BUF_INIT;
            struct kpid_unpack in;
            state = 3;
            for (int i = 0; i < n; i++) {
                struct kpid_sample sample = sample_make(0);
                sample.kind = agg->levels ? KPID_SAMPLE_DURATION : KPID_SAMPLE_EVENT;
                sample.part = (uint8_t)(i % 3);
                agg->add(&cell, &sample, &param);
            }
            agg->pack(&cell, &buf);
            struct cell back = {0};
            kpid_unpack_init(&in, buf.data, buf.len);
            cr_assert(agg->unpack(&back, &in), "%s %d", agg->name, n);
            cr_assert(kpid_unpack_done(&in) && same_bytes(agg, &cell, &back), "%s %d", agg->name, n);
            cell_release(agg, &back);
            for (size_t cut = 0; cut < buf.len; cut += 1 + cut / 9) {
                back = (struct cell){0};
                kpid_unpack_init(&in, buf.data, cut);
                cr_assert_not(agg->unpack(&back, &in), "%s %d cut at %zu of %zu", agg->name, n, cut, buf.len);
                cell_release(agg, &back);
            }
            kpid_buf_release(&buf);
            cell_release(agg, &cell);
        }
    }
}

Test(agg, names_its_parts)
{
    static const struct {
        const char *agg, *part;
        int number; /* -2: any, but there is one */
        int figure;
    } cases[] = {
        {"count", "", 0, KPID_FIGURE_COUNT},      {"count", "n", -2, KPID_FIGURE_COUNT},  {"count", "mean", -1, 0},
        {"sum", "", 0, KPID_FIGURE_SUM},          {"sum", "n", -2, KPID_FIGURE_COUNT},    {"min", "", 0, KPID_FIGURE_OTHER},
        {"max", "", 0, KPID_FIGURE_OTHER},        {"max", "p50", -1, 0},                  {"mean", "", 0, KPID_FIGURE_MEAN},
        {"mean", "sum", -2, KPID_FIGURE_SUM},     {"mean", "n", -2, KPID_FIGURE_COUNT},   {"mean", "variance", -2, KPID_FIGURE_OTHER},
        {"mean", "var", -2, KPID_FIGURE_OTHER},   {"last", "", 0, KPID_FIGURE_OTHER},     {"distinct", "", 0, KPID_FIGURE_DISTINCT},
        {"quantiles", "", 0, KPID_FIGURE_OTHER},  {"quantiles", "p50", 1500, KPID_FIGURE_OTHER},
        {"quantiles", "p99.9", 1999, KPID_FIGURE_OTHER}, {"quantiles", "p0.1", 1001, KPID_FIGURE_OTHER},
        {"quantiles", "p100", 2000, KPID_FIGURE_OTHER},  {"quantiles", "p1", 1010, KPID_FIGURE_OTHER},
        {"quantiles", "p0", -1, 0},               {"quantiles", "p", -1, 0},              {"quantiles", "p101", -1, 0},
        {"quantiles", "p05", -1, 0},              {"quantiles", "p99.", -1, 0},           {"quantiles", "p99.99", -1, 0},
        {"quantiles", "p100.1", -1, 0},           {"quantiles", "p.5", -1, 0},            {"quantiles", "p5x", -1, 0},
        {"quantiles", "P50", -1, 0},              {"quantiles", "p0.0", -1, 0},           {"quantiles", "mean", -2, KPID_FIGURE_OTHER},
        {"clock", "", 0, KPID_FIGURE_MEAN},       {"clock", "mean", 0, KPID_FIGURE_MEAN}, {"clock", "n", -2, KPID_FIGURE_COUNT},
        {"clock", "met", -2, KPID_FIGURE_COUNT},  {"clock", "missed", -2, KPID_FIGURE_COUNT},
        {"clock", "open", -2, KPID_FIGURE_INSTANT}, {"clock", "breached", -2, KPID_FIGURE_INSTANT},
        {"clock", "met_rate", -2, KPID_FIGURE_OTHER}, {"clock", "p90", 1900, KPID_FIGURE_OTHER}, {"clock", "oldest", -2, KPID_FIGURE_AGE},
        {"clock", "due", -2, KPID_FIGURE_INSTANT}, {"clock", "eldest", -1, 0},
        {"session", "", 0, KPID_FIGURE_COUNT},    {"session", "n", 0, KPID_FIGURE_COUNT}, {"session", "ended", -2, KPID_FIGURE_COUNT},
        {"session", "mean", -2, KPID_FIGURE_MEAN}, {"session", "open", -2, KPID_FIGURE_INSTANT},
        {"session", "events", -2, KPID_FIGURE_SUM}, {"session", "bounce_rate", -2, KPID_FIGURE_OTHER},
        {"session", "p90", 1900, KPID_FIGURE_OTHER}, {"session", "steps", -1, 0},
        {"funnel", "", 0, KPID_FIGURE_OTHER},     {"funnel", "rate", 0, KPID_FIGURE_OTHER}, {"funnel", "rate2", -2, KPID_FIGURE_OTHER},
        {"funnel", "rate1", -1, 0},               {"funnel", "pass", -1, 0},              {"funnel", "pass12", -2, KPID_FIGURE_OTHER},
        {"funnel", "step1", -2, KPID_FIGURE_COUNT}, {"funnel", "step13", -1, 0},          {"funnel", "step01", -1, 0},
        {"funnel", "step", -1, 0},                {"funnel", "step0", -1, 0},             {"funnel", "reached1", -2, KPID_FIGURE_COUNT},
        {"funnel", "provisional1", -2, KPID_FIGURE_INSTANT}, {"funnel", "provisional_rate2", -2, KPID_FIGURE_OTHER},
        {"funnel", "provisional_rate", -2, KPID_FIGURE_OTHER}, {"funnel", "provisional_rate1", -1, 0},
        {"funnel", "time2.p90", -2, KPID_FIGURE_OTHER}, {"funnel", "time2.sum", -2, KPID_FIGURE_SUM},
        {"funnel", "time1.p90", -1, 0},           {"funnel", "time2", -1, 0},             {"funnel", "time2.", -1, 0},
        {"retention", "", 0, KPID_FIGURE_OTHER},  {"retention", "n", -2, KPID_FIGURE_COUNT}, {"retention", "rate7", 7, KPID_FIGURE_OTHER},
        {"retention", "cohort30", -2, KPID_FIGURE_COUNT}, {"retention", "provisional_returned1", -2, KPID_FIGURE_INSTANT},
        {"retention", "rate", -1, 0},             {"retention", "rate07", -1, 0},         {"retention", "rate1000", -1, 0},
        {"retention", "rate7x", -1, 0},           {"retention", "p50", -1, 0},
        {"funnel", "p99.9", -2, KPID_FIGURE_OTHER}, {"funnel", "variance", -1, 0},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        const struct kpid_agg *agg = agg_named(cases[i].agg);
        int number = agg->part(cases[i].part, strlen(cases[i].part));
        cr_assert(cases[i].number == -2 ? number > -1 : number == cases[i].number, "%s.%s: %d", cases[i].agg,
                  cases[i].part, number);
        if (number >= 0)
            cr_assert_eq((int)agg->figure(number), cases[i].figure, "%s.%s", cases[i].agg, cases[i].part);
    }
    cr_assert_null(kpid_agg_find("average", 7));
    cr_assert_null(kpid_agg_find("coun", 4));
    cr_assert_null(kpid_agg_find("", 0));
    for (size_t a = 0; kpid_agg_at(a) != NULL; a++) {
        const struct kpid_agg *agg = kpid_agg_at(a);
        for (const char *const *part = agg->published; part != NULL && *part != NULL; part++)
            cr_assert_geq(agg->part(*part, strlen(*part)), 0, "%s.%s", agg->name, *part);
    }
}

Test(agg, cells_keep_to_the_budget)
{
    cr_assert_eq(agg_named("count")->cell_bytes, 8);
    cr_assert_leq(agg_named("sum")->cell_bytes, 32);
}

/* What explain says of a cell holds, with values over the whole range, and keys as long and as many as can be. */
Test(agg, cells_never_hold_more_than_they_say)
{
    for (size_t a = 0; kpid_agg_at(a) != NULL; a++) {
        const struct kpid_agg *agg = agg_named(kpid_agg_at(a)->name);
        struct kpid_agg_param param = param_of(2, false);
        size_t most = 0, max = agg->heap_max ? agg->heap_max(&param, 1) : 0;
        struct cell cell = {0}, other = {0};
        char key[KPID_TOP_KEY_BYTES];
        cr_assert_eq(agg->heap_max != NULL, agg->heap_bytes != NULL, "%s", agg->name);
        cr_assert_gt(agg->event_ns, 0, "%s", agg->name);
        state = 5;
        for (int i = 0; agg->heap_max && i < 200000; i++) {
            struct kpid_sample sample = {.value = (kpid_i128)(draw() >> (2 + draw() % 62)) + 1, .weight = 1, .hash = draw(),
                                         .offset = i, .key = key, .key_len = sizeof(key)};
            if (agg->levels) { /* durations of each step or track */
                sample.kind = KPID_SAMPLE_DURATION;
                sample.part = (uint8_t)(strcmp(agg->name, "funnel") == 0 ? draw() % param.n_steps : 0);
            }
            if (draw() % 2)
                sample.value = -sample.value;
            if (strcmp(agg->name, "top") == 0)
                sample.value = sample.value < 0 ? -sample.value : sample.value;
            memset(key, 'k', sizeof(key));
            memcpy(key, &sample.hash, sizeof(sample.hash));
            agg->add(i % 5 ? &cell : &other, &sample, &param);
            if (i % 20000 == 19999)
                agg->merge(&cell, &other, &param);
            size_t bytes = agg->heap_bytes(&cell);
            most = bytes > most ? bytes : most;
        }
        cr_assert_leq(most, max, "%s holds %zu bytes, and says %zu", agg->name, most, max);
        cr_assert(most * 4 >= max || agg->levels, "%s holds %zu bytes at the most, and says %zu", agg->name, most, max);
        cell_release(agg, &cell);
        cell_release(agg, &other);
    }
}

Test(agg, nothing_is_zero_or_none)
{
    static const struct {
        const char *agg, *want;
    } cases[] = {{"count", "0"}, {"sum", "0"},      {"min", "none"},      {"max", "none"},  {"mean", "none"},
                 {"last", "none"}, {"distinct", "0"}, {"quantiles", "none"}, {"clock", "none"},
                 {"session", "0"}, {"funnel", "none"}, {"retention", "none"}};
    struct kpid_agg_param param = param_of(6, false);
    struct cell cell = {0};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        const struct kpid_agg *agg = agg_named(cases[i].agg);
        expect(agg, &cell, "", &param, cases[i].want);
        cr_assert_eq(agg->samples(&cell), 0);
        if (agg->variance != NULL)
            cr_assert(agg->variance(&cell, &param) < 0);
    }
    expect(agg_named("quantiles"), &cell, "min", &param, "none");
    expect(agg_named("clock"), &cell, "met_rate", &param, "none");
}

static void add_values(const struct kpid_agg *agg, struct cell *cell, const int64_t *values, size_t n,
                       const struct kpid_agg_param *param)
{
    for (size_t i = 0; i < n; i++) {
        struct kpid_sample sample = {.value = values[i], .ts_ms = (int64_t)i, .weight = 1};
        agg->add(cell, &sample, param);
    }
}

Test(agg, reads_figures_in_their_unit)
{
    static const int64_t values[] = {1050, -250, 4000, 0, 1200}; /* at scale 2: 10.5 -2.5 40 0 12 */
    static const struct {
        const char *agg, *part, *plain, *seconds;
    } cases[] = {{"sum", "", "60", "0.06"},          {"sum", "n", "5", "5"},         {"min", "", "-2.5", "-0.0025"},
                 {"max", "", "40", "0.04"},          {"mean", "", "12", "0.012"},    {"mean", "sum", "60", "0.06"},
                 {"last", "", "12", "0.012"},        {"quantiles", "n", "5", "5"},   {"quantiles", "min", "-2.5", "-0.0025"},
                 {"quantiles", "max", "40", "0.04"}, {"quantiles", "sum", "60", "0.06"}, {"quantiles", "mean", "12", "0.012"},
                 {"quantiles", "p100", "40", "0.04"}, {"quantiles", "p1", "-2.5", "-0.0025"}, {"quantiles", "p40", "0", "0"}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        const struct kpid_agg *agg = agg_named(cases[i].agg);
        struct kpid_agg_param plain = param_of(2, false), seconds = param_of(2, true);
        struct cell cell = {0};
        add_values(agg, &cell, values, KPID_COUNT_OF(values), &plain);
        expect(agg, &cell, cases[i].part, &plain, cases[i].plain);
        expect(agg, &cell, cases[i].part, &seconds, cases[i].seconds);
        cell_release(agg, &cell);
    }
    const struct kpid_agg *agg = agg_named("quantiles");
    struct kpid_agg_param plain = param_of(2, false);
    struct cell cell = {0};
    add_values(agg, &cell, values, KPID_COUNT_OF(values), &plain);
    cr_assert(fabs(read_part(agg, &cell, "p50", &plain).approx - 10.5) <= 0.105);
    cr_assert_eq(read_part(agg, &cell, "", &plain).approx, read_part(agg, &cell, "p50", &plain).approx);
    cell_release(agg, &cell);
}

Test(agg, variance_is_that_of_two_passes)
{
    const struct kpid_agg *agg = agg_named("mean");
    static const double offsets[] = {0, 1e6, -3e12, 4e15};
    for (size_t o = 0; o < KPID_COUNT_OF(offsets); o++) {
        struct kpid_agg_param param = param_of(3, false);
        struct cell cell = {0};
        double values[500], mean = 0, squares = 0;
        state = o;
        for (size_t i = 0; i < KPID_COUNT_OF(values); i++) {
            values[i] = (double)(draw() % 1000);
            struct kpid_sample sample = {.value = (kpid_i128)(values[i] + offsets[o]), .weight = 1};
            agg->add(&cell, &sample, &param);
            mean += values[i] / 500;
        }
        for (size_t i = 0; i < KPID_COUNT_OF(values); i++)
            squares += (values[i] - mean) * (values[i] - mean);
        double want = squares / 499 / 1e6, got = agg->variance(&cell, &param);
        cr_assert(fabs(got - want) < 1e-9 * want, "offset %g: %g for %g", offsets[o], got, want);
        cr_assert_eq(read_part(agg, &cell, "variance", &param).approx, got);
    }
    struct kpid_agg_param param = param_of(0, false);
    static const int64_t equal[] = {7, 7, 7, 7}, one[] = {5};
    struct cell same = {0}, single = {0}, giant = {0};
    add_values(agg, &same, equal, 4, &param);
    add_values(agg, &single, one, 1, &param);
    cr_assert_eq(agg->variance(&same, &param), 0);
    cr_assert_lt(agg->variance(&single, &param), 0);
    expect(agg, &single, "variance", &param, "none");
    struct kpid_sample sample = {.value = (kpid_i128)1 << 70, .weight = 1};
    agg->add(&giant, &sample, &param);
    agg->add(&giant, &sample, &param);
    cr_assert_lt(agg->variance(&giant, &param), 0);
    cr_assert_eq(read_part(agg, &giant, "", &param).approx, ldexp(1, 70));
}

/* A sum that leaves 127 bits says so, and can be told again when it comes back. */
Test(agg, overflow_depends_on_the_total_only)
{
    const struct kpid_agg *agg = agg_named("sum");
    struct kpid_agg_param param = param_of(0, false);
    struct cell a = {0}, b = {0};
    struct kpid_sample most = {.value = (kpid_i128)(~(kpid_u128)0 >> 1), .weight = 1}, one = {.value = 1, .weight = 1};
    struct kpid_sample minus = {.value = -1, .weight = 1};
    agg->add(&a, &most, &param);
    expect(agg, &a, "", &param, "170141183460469231731687303715884105727");
    agg->add(&a, &one, &param);
    expect(agg, &a, "", &param, "overflow");
    expect(agg, &a, "n", &param, "2");
    agg->merge(&b, &a, &param);
    expect(agg, &b, "", &param, "overflow");
    agg->add(&b, &minus, &param);
    expect(agg, &b, "", &param, "170141183460469231731687303715884105727");
    struct cell c = {0};
    struct kpid_sample least = {.value = -most.value, .weight = 1};
    agg->add(&c, &least, &param);
    expect(agg, &c, "", &param, "-170141183460469231731687303715884105727");
    agg->add(&c, &minus, &param);
    expect(agg, &c, "", &param, "overflow");
    agg->merge(&c, &a, &param);
    expect(agg, &c, "", &param, "0");
    const struct kpid_agg *mean = agg_named("mean");
    struct cell d = {0};
    mean->add(&d, &most, &param);
    mean->add(&d, &most, &param);
    expect(mean, &d, "", &param, "overflow");
}

Test(agg, last_goes_by_time_topic_partition_offset)
{
    const struct kpid_agg *agg = agg_named("last");
    struct kpid_agg_param param = param_of(0, false);
    static const struct {
        int64_t ts_ms;
        uint32_t topic, partition;
        int64_t offset;
    } order[] = {{1, 9, 9, 99}, {2, 0, 0, 5}, {2, 0, 0, 6}, {2, 0, 1, 0}, {2, 1, 0, 0}, {3, 0, 0, 0}};
    for (size_t i = 0; i < KPID_COUNT_OF(order); i++) {
        for (size_t j = 0; j < KPID_COUNT_OF(order); j++) {
            struct cell cell = {0};
            size_t both[] = {i, j}, greater = i > j ? i : j;
            for (size_t k = 0; k < 2; k++) {
                size_t at = both[k];
                struct kpid_sample sample = {.value = (kpid_i128)at, .ts_ms = order[at].ts_ms, .topic = order[at].topic,
                                             .partition = order[at].partition, .offset = order[at].offset, .weight = 1};
                agg->add(&cell, &sample, &param);
            }
            char want[4] = {(char)('0' + greater)};
            expect(agg, &cell, "", &param, want);
        }
    }
}
