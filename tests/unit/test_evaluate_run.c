/* Alerts over runs of equal boundaries, over restarts, and at the end of a group. */
#include "test_evaluate_fixture.h"

#define STEPS     100000
#define QUIET_MAX 6

/* xorshift64*: the same sequence everywhere. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static int64_t random_below(uint64_t *state, int64_t n)
{
    return (int64_t)(random_next(state) % (uint64_t)n);
}

static struct kpid_snapshot snapshot_random(uint64_t *state, int64_t boundary_ms)
{
    static const double deviations[] = {-0.3, -0.12, -0.1, -0.07, -0.05, 0.0, 0.2};
    struct kpid_snapshot s = {.boundary_ms = boundary_ms,
                              .end_ms = boundary_ms,
                              .final = true,
                              .has_deviation = true,
                              .value = {.kind = KPID_NUMBER_DOUBLE, .approx = 1.0},
                              .variance = -1.0};
    s.samples = random_below(state, 6) == 0 ? 5 : 50;
    s.deviation = deviations[random_below(state, KPID_COUNT_OF(deviations))];
    switch (random_below(state, 12)) {
    case 0:
    case 1:
    case 2:
        s.value.kind = KPID_NUMBER_NONE;
        s.has_deviation = false;
        break;
    case 3: s.final = false; break;
    case 4: s.has_deviation = false; break;
    default: break;
    }
    return s;
}

static void rule_random(uint64_t *state, struct kpid_rule *rule, struct kpid_quiet quiet[QUIET_MAX],
                        int64_t from_ms)
{
    static const int64_t spans[] = {0, MINUTE, 90000, 5 * MINUTE, 12 * MINUTE + 1};
    rule->for_ms = spans[random_below(state, KPID_COUNT_OF(spans))];
    rule->no_data_ms = spans[1 + random_below(state, 4)];
    if (random_below(state, 4) == 0)
        rule->no_data_ms = KPID_FOREVER;
    rule->min_samples = 10;
    rule->quiet = quiet;
    rule->n_quiet = (size_t)random_below(state, QUIET_MAX + 1);
    for (size_t i = 0; i < rule->n_quiet; i++) {
        quiet[i].from_ms = from_ms + random_below(state, 8 * HOUR) / 30000 * 30000;
        quiet[i].to_ms = quiet[i].from_ms + random_below(state, 30 * MINUTE);
    }
}

static void log_add(struct kpid_buf *log, const struct kpid_transition *transitions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kpid_buf_printf(log, "%lld %d>%d since %lld id %llx %d\n", (long long)transitions[i].at_ms,
                        transitions[i].from, transitions[i].to, (long long)transitions[i].since_ms,
                        (unsigned long long)transitions[i].id, transitions[i].notify);
}

static size_t judge_all(const struct fixture *f, struct kpid_alert *alert,
                        const struct kpid_snapshot *snapshot, const struct kpid_judgement *judgement,
                        struct kpid_buf *log)
{
    struct kpid_transition transitions[KPID_TRANSITIONS_MAX];
    size_t n, sum = 0;
    do {
        n = kpid_alert_judge(&f->model, 0, 0, alert, snapshot, judgement, transitions);
        log_add(log, transitions, n);
        sum += n;
    } while (n == KPID_TRANSITIONS_MAX);
    return sum;
}

static struct kpid_alert stored_and_loaded(const struct kpid_alert *alert)
{
    struct kpid_buf bytes = KPID_BUF_INIT;
    struct kpid_unpack in;
    struct kpid_alert loaded;
    kpid_alert_pack(alert, &bytes);
    kpid_unpack_init(&in, bytes.data, bytes.len);
    cr_assert(kpid_alert_unpack(&loaded, &in) && kpid_unpack_done(&in));
    kpid_buf_release(&bytes);
    return loaded;
}

static bool same(const struct kpid_alert *a, const struct kpid_alert *b)
{
    return a->state == b->state && a->held == b->held && a->told == b->told && a->since_ms == b->since_ms &&
           a->judged_ms == b->judged_ms && a->data_ms == b->data_ms && a->id == b->id;
}

/* Random snapshots in random runs; the one alert sees runs, and restarts now and then, going over the last
 * run again; the other sees each boundary. */
Test(run, equals_each_boundary)
{
    struct fixture f;
    struct kpid_alert by_run, by_boundary;
    struct kpid_quiet quiet[QUIET_MAX];
    struct kpid_buf runs = KPID_BUF_INIT, boundaries = KPID_BUF_INIT;
    uint64_t state = 20260302;
    int64_t t = 7 * MINUTE, transitions = 0;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    kpid_alert_init(&by_run);
    kpid_alert_init(&by_boundary);
    for (int steps = 0, round = 0; steps < STEPS; round++) {
        if (round % 50 == 0)
            rule_random(&state, &f.rules[0], quiet, t);
        int64_t n = random_below(&state, 3) == 0 ? 1 : 1 + random_below(&state, 40);
        struct kpid_snapshot snapshot = snapshot_random(&state, t);
        struct kpid_judgement judgement = {.last_ms = t + (n - 1) * MINUTE, .step_ms = MINUTE};
        judgement.while_firing = random_below(&state, 5) == 0;
        kpid_buf_clear(&runs);
        kpid_buf_clear(&boundaries);
        judge_all(&f, &by_run, &snapshot, &judgement, &runs);
        for (int64_t i = 0; i < n; i++) {
            struct kpid_snapshot one = snapshot;
            struct kpid_judgement at = {.last_ms = t + i * MINUTE, .while_firing = judgement.while_firing};
            one.boundary_ms = at.last_ms;
            transitions += (int64_t)judge_all(&f, &by_boundary, &one, &at, &boundaries);
        }
        cr_assert_eq(runs.len, boundaries.len, "round %d:\n%s---\n%s", round, runs.data, boundaries.data);
        cr_assert(runs.len == 0 || memcmp(runs.data, boundaries.data, runs.len) == 0, "round %d:\n%s---\n%s",
                  round, runs.data, boundaries.data);
        cr_assert(same(&by_run, &by_boundary), "round %d", round);
        if (random_below(&state, 10) == 0) {
            by_run = stored_and_loaded(&by_run);
            if (snapshot.final)
                cr_assert_eq(judge_all(&f, &by_run, &snapshot, &judgement, &runs), 0u, "judged twice");
            cr_assert(same(&by_run, &by_boundary), "round %d", round);
        }
        t += n * MINUTE;
        steps += (int)n;
    }
    cr_expect_gt(transitions, STEPS / 40, "%lld", (long long)transitions);
    kpid_buf_release(&runs);
    kpid_buf_release(&boundaries);
    fixture_release(&f);
}

/* More transitions than one call gives: a firing alert over 20 quiet spans. */
Test(run, more_than_fit)
{
    struct fixture f;
    struct kpid_alert alert;
    struct kpid_quiet quiet[20];
    struct kpid_buf log = KPID_BUF_INIT;
    uint64_t state = 1;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    for (int i = 0; i < 20; i++)
        quiet[i] = (struct kpid_quiet){(i + 1) * HOUR, (i + 1) * HOUR + 10 * MINUTE};
    f.rules[0].quiet = quiet;
    f.rules[0].n_quiet = 20;
    kpid_alert_init(&alert);
    struct kpid_snapshot snapshot = snapshot_random(&state, 0);
    snapshot.final = snapshot.has_deviation = true;
    snapshot.value.kind = KPID_NUMBER_DOUBLE;
    snapshot.samples = 50;
    snapshot.deviation = -0.2;
    struct kpid_judgement judgement = {.last_ms = DAY + 30000, .step_ms = MINUTE};
    cr_expect_eq(judge_all(&f, &alert, &snapshot, &judgement, &log), 41u, "%s", log.data);
    cr_expect_eq(alert.judged_ms, DAY, "the last boundary of the grid");
    kpid_buf_release(&log);
    fixture_release(&f);
}

static struct kpid_transition fire(struct fixture *f, struct kpid_alert *alert, const char *const *group,
                                   bool other, int64_t at_ms, double deviation)
{
    struct kpid_transition transitions[KPID_TRANSITIONS_MAX] = {{.id = 0}};
    struct kpid_judgement judgement = {.last_ms = at_ms};
    struct kpid_snapshot s = {.boundary_ms = at_ms,
                              .end_ms = at_ms,
                              .final = true,
                              .has_deviation = true,
                              .deviation = deviation,
                              .value = number_of("7"),
                              .samples = 70,
                              .expected = 10,
                              .group = group,
                              .other = other,
                              .variance = -1.0,
                              .reasons = KPID_QR(DEDUP_CUT)};
    cr_expect_leq(kpid_alert_judge(&f->model, 0, 0, alert, &s, &judgement, transitions), 1u);
    return transitions[0];
}

Test(run, identity)
{
    static const char *const web[] = {"web"}, *const app[] = {"app"};
    struct fixture f;
    struct kpid_alert alert, again, other;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    f.kpi.n_by = 1;
    f.rules[0].for_ms = 5 * MINUTE;
    kpid_alert_init(&alert);
    struct kpid_transition pending = fire(&f, &alert, web, false, 10 * MINUTE, -0.3);
    cr_expect(pending.to == KPID_ALERT_PENDING && pending.id == 0 && !pending.notify);
    cr_expect_eq(pending.since_ms, 10 * MINUTE);

    /* A restart in the middle: same id, same since. */
    again = stored_and_loaded(&alert);
    struct kpid_transition a = fire(&f, &alert, web, false, 15 * MINUTE, -0.3);
    struct kpid_transition b = fire(&f, &again, web, false, 15 * MINUTE, -0.3);
    cr_expect(a.to == KPID_ALERT_FIRING && a.id != 0 && a.id == b.id && a.since_ms == b.since_ms && a.notify);
    cr_expect(a.since_ms == 10 * MINUTE && a.at_ms == 15 * MINUTE && a.group == web && a.samples == 70);
    cr_expect(a.has_deviation && a.deviation == -0.3 && a.expected == 10 && a.value.exact.m == 7);
    cr_expect_eq(a.reasons, KPID_QR(DEDUP_CUT));
    struct kpid_transition end = fire(&f, &alert, web, false, 16 * MINUTE, 0.0);
    cr_expect(end.to == KPID_ALERT_RESOLVED && end.id == a.id && end.since_ms == a.since_ms);

    /* A later alert, another group, __other__, the total, another rule: other ids. */
    uint64_t ids[6] = {a.id};
    const char *const *groups[] = {NULL, web, app, web, NULL, web};
    for (int i = 1; i < 6; i++) {
        kpid_alert_init(&other);
        int64_t since_ms = (i == 1 ? 20 : 10) * MINUTE;
        f.rules[0].hash = i == 5 ? 77 : 0;
        fire(&f, &other, groups[i], i == 3, since_ms, -0.3);
        ids[i] = fire(&f, &other, groups[i], i == 3, since_ms + 5 * MINUTE, -0.3).id;
        for (int k = 0; k < i; k++)
            cr_expect_neq(ids[k], ids[i], "%d %d", k, i);
    }
    fixture_release(&f);
}

Test(run, end_of_group)
{
    static const char *const web[] = {"web"};
    static const struct {
        int64_t for_ms, fired_ms;
        double then;
        enum kpid_alert_state from;
        bool transition, notify;
    } rows[] = {
        {0, 10, -0.3, KPID_ALERT_FIRING, true, true},
        {100, 10, -0.3, KPID_ALERT_PENDING, true, false},
        {0, 10, 0.0, KPID_ALERT_RESOLVED, false, false},
        {0, 210, -0.3, KPID_ALERT_SUPPRESSED, true, false},
    };
    struct fixture f;
    struct kpid_quiet quiet = {200, 300};
    fixture_init(&f);
    f.kpi.n_rules = 1;
    f.kpi.n_by = 1;
    f.rules[0].quiet = &quiet;
    f.rules[0].n_quiet = 1;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_alert alert;
        struct kpid_transition ret[KPID_TRANSITIONS_MAX];
        f.rules[0].for_ms = rows[i].for_ms;
        kpid_alert_init(&alert);
        fire(&f, &alert, web, false, rows[i].fired_ms, -0.3);
        fire(&f, &alert, web, false, rows[i].fired_ms + 1, rows[i].then);
        cr_assert_eq(alert.state, rows[i].from, "row %zu", i);
        size_t n = kpid_alert_end(&f.model, 0, 0, &alert, web, 400, ret);
        cr_expect_eq(n, rows[i].transition ? 1u : 0u, "row %zu", i);
        if (n == 1)
            cr_expect(ret[0].from == rows[i].from && ret[0].to == KPID_ALERT_NO_DATA && ret[0].at_ms == 400 &&
                          ret[0].notify == rows[i].notify && ret[0].since_ms == rows[i].fired_ms &&
                          ret[0].value.kind == KPID_NUMBER_NONE && ret[0].group == web,
                      "row %zu", i);
        cr_expect(alert.id == 0 && alert.since_ms == KPID_NEVER && alert.held == KPID_ALERT_OK, "row %zu", i);
        cr_expect_eq(kpid_alert_end(&f.model, 0, 0, &alert, web, 500, ret), 0u, "row %zu", i);
    }
    fixture_release(&f);
}

/* Closed calendar windows are judged whatever the formula; open ones only when it does not grow with time. */
Test(run, open_calendar_window)
{
    struct fixture f;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    for (int open = 0; open < 2; open++) {
        struct kpid_alert alert;
        struct kpid_transition ret[KPID_TRANSITIONS_MAX];
        struct kpid_snapshot s = {.window = 1,
                                  .boundary_ms = HOUR,
                                  .end_ms = DAY,
                                  .final = true,
                                  .has_deviation = true,
                                  .deviation = -0.5,
                                  .value = number_of("7"),
                                  .variance = -1.0};
        struct kpid_judgement judgement = {.last_ms = HOUR};
        f.kpi.judge_open = open == 1;
        kpid_alert_init(&alert);
        cr_expect_eq(kpid_alert_judge(&f.model, 0, 0, &alert, &s, &judgement, ret), (size_t)open);
        judgement.last_ms = s.boundary_ms = DAY;
        cr_expect_eq(kpid_alert_judge(&f.model, 0, 0, &alert, &s, &judgement, ret), (size_t)!open);
        cr_expect_eq(alert.state, KPID_ALERT_FIRING);
    }
    fixture_release(&f);
}

Test(run, bytes_that_are_no_alert)
{
    struct kpid_alert alert, untouched;
    struct kpid_buf bytes = KPID_BUF_INIT;
    struct kpid_unpack in;
    kpid_alert_init(&alert);
    alert.state = KPID_ALERT_FIRING;
    kpid_alert_init(&untouched);
    kpid_alert_pack(&alert, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        kpid_unpack_init(&in, bytes.data, len);
        cr_expect(!kpid_alert_unpack(&untouched, &in), "%zu", len);
        cr_expect_eq(untouched.state, KPID_ALERT_OK);
    }
    for (size_t at = 0; at < 3; at++) { /* state, held, told */
        char kept = bytes.data[at];
        bytes.data[at] = 99;
        kpid_unpack_init(&in, bytes.data, bytes.len);
        cr_expect(!kpid_alert_unpack(&untouched, &in), "%zu", at);
        bytes.data[at] = kept;
    }
    kpid_buf_release(&bytes);
}
