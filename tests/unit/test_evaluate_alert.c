/*
 * The alert machine, as scenarios. A step is "<minute>:<what>": a number is the deviation in percent; x no
 * data, ? too few samples, p a boundary that is not final, g a figure without a target; a leading ! says that
 * an alert named in while_firing fires. Expected are all transitions, "<minute> <from>><to>", with a * where
 * someone is notified.
 */
#include "test_evaluate_fixture.h"

#include <math.h>

struct scenario {
    const char *name;
    int64_t for_minutes, no_data_minutes;
    int64_t quiet_from, quiet_to; /* in minutes; both 0: none */
    const char *steps, *expected;
};

static struct kpid_snapshot snapshot_of(const char *what, int64_t boundary_ms)
{
    struct kpid_snapshot s = {.start_ms = boundary_ms - 5 * MINUTE,
                              .end_ms = boundary_ms,
                              .boundary_ms = boundary_ms,
                              .value = {.kind = KPID_NUMBER_DOUBLE, .approx = 1.0},
                              .samples = 1000,
                              .final = true,
                              .has_target = true,
                              .has_deviation = true,
                              .variance = -1.0};
    switch (*what) {
    case 'x':
        s.value.kind = KPID_NUMBER_NONE;
        s.has_deviation = false;
        s.quality = KPID_QUALITY_NO_DATA;
        break;
    case '?':
        s.samples = 9;
        s.deviation = -0.5;
        s.quality = KPID_QUALITY_INSUFFICIENT;
        break;
    case 'p':
        s.final = false;
        s.deviation = -0.5;
        s.quality = KPID_QUALITY_PARTIAL;
        break;
    case 'g': s.has_target = s.has_deviation = false; break;
    default: s.deviation = nearbyint(strtod(what, NULL) * 1e10) / 1e12;
    }
    return s;
}

static void transition_print(struct kpid_buf *log, const struct kpid_transition *t)
{
    kpid_buf_printf(log, "%s%lld %s>%s%s", log->len > 0 ? ", " : "", (long long)(t->at_ms / MINUTE),
                    kpid_alert_state_name(t->from), kpid_alert_state_name(t->to), t->notify ? "*" : "");
}

static void scenario_play(struct fixture *f, const struct scenario *scenario, struct kpid_buf *log)
{
    struct kpid_quiet quiet = {scenario->quiet_from * MINUTE, scenario->quiet_to * MINUTE};
    struct kpid_rule *rule = &f->rules[0];
    struct kpid_alert alert;
    struct kpid_transition transitions[KPID_TRANSITIONS_MAX];
    rule->for_ms = scenario->for_minutes * MINUTE;
    rule->no_data_ms = scenario->no_data_minutes > 0 ? scenario->no_data_minutes * MINUTE : KPID_FOREVER;
    rule->min_samples = 10;
    rule->quiet = &quiet;
    rule->n_quiet = quiet.to_ms > 0 ? 1 : 0;
    kpid_alert_init(&alert);
    for (const char *at = scenario->steps; *at != '\0'; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        int64_t boundary_ms = strtol(at, NULL, 10) * MINUTE;
        const char *what = strchr(at, ':') + 1;
        struct kpid_judgement judgement = {
            .last_ms = boundary_ms, .step_ms = MINUTE, .while_firing = *what == '!'};
        struct kpid_snapshot snapshot = snapshot_of(what + (*what == '!'), boundary_ms);
        size_t n = kpid_alert_judge(&f->model, 0, 0, &alert, &snapshot, &judgement, transitions);
        cr_assert_leq(n, 1u);
        for (size_t i = 0; i < n; i++)
            transition_print(log, &transitions[i]);
    }
}

static const struct scenario scenarios[] = {
    {.name = "quiet life", .for_minutes = 5, .steps = "0:0 1:3 2:-9.9", .expected = ""},
    {.name = "fires after `for`, clears above clear",
     .for_minutes = 5,
     .steps = "0:-3 1:-12 2:-12 5:-11 6:-10 7:-8 8:-5 9:-4.9 10:0",
     .expected = "1 ok>pending, 6 pending>firing*, 9 firing>resolved*"},
    {.name = "recovers in time",
     .for_minutes = 5,
     .steps = "1:-12 5:-12 6:-9 7:-12 11:-12 12:-12",
     .expected = "1 ok>pending, 6 pending>ok, 7 ok>pending, 12 pending>firing*"},
    {.name = "no `for`",
     .steps = "1:-12 2:-8 3:0 4:-12",
     .expected = "1 ok>firing*, 3 firing>resolved*, 4 resolved>firing*"},
    {.name = "resolved behaves as ok",
     .for_minutes = 2,
     .steps = "0:-12 2:-12 3:0 4:0 5:-12 6:0 7:0",
     .expected = "0 ok>pending, 2 pending>firing*, 3 firing>resolved*, 5 resolved>pending, 6 pending>ok"},
    {.name = "too few samples are not judged",
     .for_minutes = 2,
     .steps = "0:? 1:-12 2:? 3:? 4:-12 5:? 6:0",
     .expected = "1 ok>pending, 4 pending>firing*, 6 firing>resolved*"},
    {.name = "no target: not judged",
     .for_minutes = 2,
     .steps = "0:-12 1:g 2:-12 3:g 4:0",
     .no_data_minutes = 1,
     .expected = "0 ok>pending, 2 pending>firing*, 4 firing>resolved*"},
    {.name = "what is not final is not judged", .for_minutes = 0, .steps = "0:p 1:0 2:p 3:p", .expected = ""},
    {.name = "missing data resolves nothing",
     .steps = "0:-12 1:x 2:x 3:-8 4:0",
     .expected = "0 ok>firing*, 4 firing>resolved*"},
    {.name = "no_data of ok",
     .no_data_minutes = 3,
     .steps = "0:0 1:x 2:x 3:x 4:x 5:0 6:0",
     .expected = "3 ok>no_data, 5 no_data>ok"},
    {.name = "never any data",
     .no_data_minutes = 3,
     .steps = "0:x 1:x 2:x 3:x 4:x 5:-12",
     .expected = "3 ok>no_data, 5 no_data>firing*"},
    {.name = "no_data of pending",
     .for_minutes = 6,
     .no_data_minutes = 3,
     .steps = "0:-12 3:x 5:-12 6:-12",
     .expected = "0 ok>pending, 3 pending>no_data, 5 no_data>pending, 6 pending>firing*"},
    {.name = "no_data of firing, then firing",
     .no_data_minutes = 3,
     .steps = "0:-12 3:x 4:x 5:-12 6:0",
     .expected = "0 ok>firing*, 3 firing>no_data*, 5 no_data>firing*, 6 firing>resolved*"},
    {.name = "no_data of firing, then clear",
     .no_data_minutes = 3,
     .steps = "0:-12 3:x 4:x 5:0",
     .expected = "0 ok>firing*, 3 firing>no_data*, 5 no_data>resolved*"},
    {.name = "few samples end no_data, but judge nothing",
     .no_data_minutes = 3,
     .steps = "0:-12 3:x 4:? 5:x 6:x 7:x",
     .expected = "0 ok>firing*, 3 firing>no_data*, 4 no_data>firing*, 7 firing>no_data*"},
    {.name = "no_data of resolved holds nothing",
     .no_data_minutes = 3,
     .steps = "0:-12 1:0 4:x 5:0",
     .expected = "0 ok>firing*, 1 firing>resolved*, 4 resolved>no_data, 5 no_data>ok"},
    {.name = "quiet span hides a new alert",
     .for_minutes = 2,
     .quiet_from = 3,
     .quiet_to = 6,
     .steps = "2:-12 3:-12 4:-12 5:-12 6:-12 7:-12 8:0",
     .expected = "2 ok>pending, 4 pending>suppressed, 7 suppressed>firing*, 8 firing>resolved*"},
    {.name = "who was not told of it hears nothing of its end",
     .quiet_from = 3,
     .quiet_to = 6,
     .steps = "2:0 4:-12 5:0 6:0 7:0",
     .expected = "4 ok>suppressed, 5 suppressed>resolved"},
    {.name = "quiet span in the middle repeats nothing",
     .quiet_from = 3,
     .quiet_to = 6,
     .steps = "2:-12 3:-12 4:-12 6:-12 7:-12 8:0",
     .expected = "2 ok>firing*, 4 firing>suppressed, 7 suppressed>firing, 8 firing>resolved*"},
    {.name = "who was told hears of the end",
     .quiet_from = 3,
     .quiet_to = 6,
     .steps = "2:-12 4:-12 5:0 8:0",
     .expected = "2 ok>firing*, 4 firing>suppressed, 5 suppressed>resolved*"},
    {.name = "in a quiet span silence is expected",
     .no_data_minutes = 2,
     .quiet_from = 3,
     .quiet_to = 6,
     .steps = "3:-12 4:x 5:x 6:x 7:x 8:-12",
     .expected = "3 ok>firing*, 4 firing>suppressed, 7 suppressed>no_data*, 8 no_data>firing*"},
    {.name = "while another fires",
     .steps = "0:!0 1:!-12 2:!-12 3:-12 4:!-12 5:!0",
     .expected = "1 ok>suppressed, 3 suppressed>firing*, 4 firing>suppressed, 5 suppressed>resolved*"},
    {.name = "`for` goes on while another fires",
     .for_minutes = 3,
     .steps = "0:-12 1:!-12 2:!-12 3:-12",
     .expected = "0 ok>pending, 3 pending>firing*"},
    {.name = "no boundary twice",
     .steps = "5:-12 4:0 5:0 6:0",
     .expected = "5 ok>firing*, 6 firing>resolved*"},
};

Test(alert, scenarios)
{
    struct fixture f;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    for (size_t i = 0; i < KPID_COUNT_OF(scenarios); i++) {
        struct kpid_buf log = KPID_BUF_INIT;
        kpid_buf_add_str(&log, "");
        scenario_play(&f, &scenarios[i], &log);
        cr_expect_str_eq(log.data, scenarios[i].expected, "%s:\n  %s\n  %s", scenarios[i].name, log.data,
                         scenarios[i].expected);
        kpid_buf_release(&log);
    }
    fixture_release(&f);
}

/* A level crossed 60 times in four hours: hysteresis and `for` leave at most two notifications. */
Test(alert, few_notifications)
{
    static const struct {
        const char *name;
        int64_t for_minutes;
        double bad, good;          /* deviations of the swing */
        int64_t first_ms, half_ms; /* first time below, then each half swing */
        unsigned notified;
    } rows[] = {
        {"about the level, slow start", 5, -0.12, -0.08, 10 * MINUTE, 4 * MINUTE, 2},
        {"about the level", 5, -0.12, -0.08, 4 * MINUTE, 4 * MINUTE, 0},
        {"about the level, no `for`", 0, -0.12, -0.08, 4 * MINUTE, 4 * MINUTE, 2},
        {"across both levels", 5, -0.30, 0.20, 4 * MINUTE, 4 * MINUTE, 0},
        {"across both levels, slow start", 5, -0.30, 0.20, 10 * MINUTE, 4 * MINUTE, 2},
    };
    struct fixture f;
    fixture_init(&f);
    f.kpi.n_rules = 1;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        struct kpid_alert alert;
        unsigned notified = 0, crossings = 0;
        double before = 0.0;
        kpid_alert_init(&alert);
        f.rules[0].for_ms = rows[i].for_minutes * MINUTE;
        for (int64_t t = 0; t <= 4 * HOUR + 20 * MINUTE; t += MINUTE) {
            struct kpid_transition transitions[KPID_TRANSITIONS_MAX];
            struct kpid_snapshot snapshot = snapshot_of("0", t);
            struct kpid_judgement judgement = {.last_ms = t};
            bool below = t < rows[i].first_ms || (t - rows[i].first_ms) / rows[i].half_ms % 2 == 1;
            snapshot.deviation = t > 4 * HOUR + 10 * MINUTE ? 0.0 : below ? rows[i].bad : rows[i].good;
            crossings += (snapshot.deviation <= -0.1) != (before <= -0.1);
            before = snapshot.deviation;
            size_t n = kpid_alert_judge(&f.model, 0, 0, &alert, &snapshot, &judgement, transitions);
            for (size_t k = 0; k < n; k++)
                notified += transitions[k].notify;
        }
        cr_expect_geq(crossings, 60u, "%s: %u crossings", rows[i].name, crossings);
        cr_expect_eq(notified, rows[i].notified, "%s: %u notifications", rows[i].name, notified);
    }
    fixture_release(&f);
}

/* Chance is quiet: the same deviation fires only once the numbers are large enough. */
Test(alert, confidence)
{
    struct fixture f;
    struct kpid_alert alert;
    struct kpid_transition transitions[KPID_TRANSITIONS_MAX];
    fixture_init(&f);
    fixture_formula(&f, "a b /");
    f.kpi.n_rules = 1;
    f.rules[0].confidence = 0.95;
    kpid_alert_init(&alert);
    for (int i = 0; i < 2; i++) {
        int64_t t = i * MINUTE;
        struct kpid_snapshot s = snapshot_of("-37.5", t);
        struct kpid_judgement judgement = {.last_ms = t};
        s.value.approx = 0.02;
        s.numerator = (struct kpid_number){.kind = KPID_NUMBER_DOUBLE, .approx = i == 0 ? 10 : 100};
        s.denominator = (struct kpid_number){.kind = KPID_NUMBER_DOUBLE, .approx = i == 0 ? 500 : 5000};
        s.expected = 0.032;
        cr_expect_eq(kpid_alert_judge(&f.model, 0, 0, &alert, &s, &judgement, transitions), (size_t)i);
    }
    cr_expect_eq(transitions[0].to, KPID_ALERT_FIRING);
    fixture_release(&f);
}
