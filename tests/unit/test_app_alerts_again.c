/* What alerts went through and Redis lost is told again, once, under the old ids; what it still has is not.
 */
#include "app_rig.h"

#define SOURCES                                                                                              \
    "sources: { s: { topics: [a], out_of_order: 0s, allowed_lateness: 5m, dedup_horizon: 5m } }\n"           \
    "measures: { n: { from: s, count: } }\n"
#define KPIS                                                                                                 \
    "kpis: { n: { formula: n, windows: [{ rolling: 1m }], target: { 1m: 10 }, "                              \
    "alert: { crit: -50 %, clear: -20 %, for: 0s } } }\n"
#define KEY "crit|n|1m|*"

static char told[256];
static unsigned deleted, stored_states;

static void on_transition(void *ctx, const struct kpid_transition *step)
{
    (void)ctx;
    cr_assert_eq(step->kpi, 0);
    cr_assert_null(step->group);
    size_t len = strlen(told);
    snprintf(told + len, sizeof told - len, "%s%llu %s%s@%lld", len ? ", " : "", (unsigned long long)step->id,
             kpid_alert_state_name(step->to), step->notify ? "!" : "",
             (long long)(step->since_ms - START) / MINUTE);
}

static void on_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    cr_assert(key_len == strlen(KEY) && !memcmp(key, KEY, key_len));
    stored_states++;
}

static void on_delete(void *ctx, const char *key, size_t key_len)
{
    (void)ctx;
    (void)key;
    (void)key_len;
    deleted++;
}

static const struct kpid_sink sink = {
    .transition = on_transition, .state = on_state, .state_delete = on_delete};

struct known {
    enum kpid_alert_state state, held, told;
    uint64_t id;   /* 0: there is none */
    int64_t since; /* minutes */
};

static void load(struct kpid_evaluator *evaluator, const struct known *known)
{
    struct kpid_buf bytes = KPID_BUF_INIT;
    struct kpid_alert alert;
    if (!known->id)
        return;
    kpid_alert_init(&alert);
    alert.state = (uint8_t)known->state;
    alert.held = (uint8_t)known->held;
    alert.told = (uint8_t)known->told;
    alert.id = known->id;
    alert.since_ms = START + known->since * MINUTE;
    alert.judged_ms = START + 20 * MINUTE;
    kpid_alert_pack(&alert, &bytes);
    kpid_evaluator_load_state(evaluator, KEY, strlen(KEY), bytes.data, bytes.len);
    kpid_buf_release(&bytes);
}

/* `until`: Redis has what was final up to that minute, -1: nothing. */
static const char *again(struct known now, struct known was, int64_t until)
{
    struct rig rig;
    rig_open(&rig, SOURCES, KPIS);
    struct kpid_evaluator *known = kpid_evaluator_new(rig.model, &sink, NULL);
    struct kpid_evaluator *stored = kpid_evaluator_new(rig.model, &sink, NULL);
    load(known, &now);
    load(stored, &was);
    if (until >= 0)
        kpid_evaluator_load_final(stored, "n:1m", 4, START + until * MINUTE, START + until * MINUTE);
    told[0] = '\0';
    deleted = stored_states = 0;
    rig_view(&rig, START + 20 * MINUTE, false);
    kpid_evaluator_again(known, &rig.source, stored);
    kpid_evaluator_free(known);
    kpid_evaluator_free(stored);
    rig_close(&rig);
    cr_assert_eq(stored_states, now.id != 0);
    cr_assert_eq(deleted, !now.id && was.id);
    return told;
}

static const struct known none, firing = {KPID_ALERT_FIRING, KPID_ALERT_OK, KPID_ALERT_FIRING, 7, 10},
                                resolved = {KPID_ALERT_RESOLVED, KPID_ALERT_OK, KPID_ALERT_OK, 7, 10},
                                pending = {KPID_ALERT_PENDING, KPID_ALERT_OK, KPID_ALERT_OK, 7, 10},
                                next = {KPID_ALERT_FIRING, KPID_ALERT_OK, KPID_ALERT_FIRING, 8, 15},
                                next_pending = {KPID_ALERT_PENDING, KPID_ALERT_OK, KPID_ALERT_OK, 8, 15},
                                hushed = {KPID_ALERT_SUPPRESSED, KPID_ALERT_FIRING, KPID_ALERT_FIRING, 7, 10},
                                never_told = {KPID_ALERT_SUPPRESSED, KPID_ALERT_FIRING, KPID_ALERT_OK, 7, 10},
                                silent = {KPID_ALERT_NO_DATA, KPID_ALERT_FIRING, KPID_ALERT_NO_DATA, 7, 10};

Test(alerts_again, what_redis_still_has_is_not_told_twice)
{
    cr_assert_str_eq(again(firing, firing, 12), "");
    cr_assert_str_eq(again(resolved, resolved, 12), "");
    cr_assert_str_eq(again(hushed, hushed, 12), "");
}

Test(alerts_again, a_beginning_and_an_end_that_were_lost)
{
    cr_assert_str_eq(again(firing, none, 9), "7 firing!@10");
    cr_assert_str_eq(again(firing, pending, 10), "7 firing!@10");
    cr_assert_str_eq(again(resolved, firing, 12), "7 resolved!@10");
    cr_assert_str_eq(again(resolved, none, 9), "7 firing!@10, 7 resolved!@10");
    cr_assert_str_eq(again(resolved, pending, 10), "7 firing!@10, 7 resolved!@10");
    cr_assert_str_eq(again(next, firing, 12), "7 resolved!@10, 8 firing!@15");
    cr_assert_str_eq(again(next, resolved, 14), "8 firing!@15");
    cr_assert_str_eq(again(next_pending, firing, 12), "7 resolved!@10");
}

Test(alerts_again, what_covers_an_alert_is_a_step_of_its_own)
{
    cr_assert_str_eq(again(hushed, firing, 12), "7 suppressed@10");
    cr_assert_str_eq(again(hushed, none, 9), "7 firing!@10, 7 suppressed@10");
    cr_assert_str_eq(again(never_told, none, 9), "7 suppressed@10");
    cr_assert_str_eq(again(silent, firing, 12), "7 no_data!@10");
    cr_assert_str_eq(again(silent, none, 9), "7 firing!@10, 7 no_data!@10");
    cr_assert_str_eq(again(firing, hushed, 12), "7 firing@10");
}

Test(alerts_again, of_an_empty_redis_what_fires_is_told_and_what_was_over_is_not)
{
    cr_assert_str_eq(again(firing, none, -1), "7 firing!@10");
    cr_assert_str_eq(again(resolved, none, -1), "");
    cr_assert_str_eq(again(resolved, none, 11), "", "it began before what Redis has, and was over");
}

Test(alerts_again, an_alert_that_ended_with_its_group)
{
    cr_assert_str_eq(again(none, firing, 12), "7 no_data!@10");
    cr_assert_str_eq(again(none, resolved, 12), "");
}
