/*
 * The state machine of an alert.
 *
 *   ok --met--> pending --met for `for`--> firing --clear--> resolved      met:   deviation <= fire, and
 * confident
 *    ^____________|                           resolved behaves as ok       clear: deviation > clear
 *      not met
 *
 * That machine moves at judged boundaries only and is kept under two covers, which change at every boundary:
 * firing inside a quiet span or below while_firing shows as suppressed; `no_data_ms` without data shows as
 * no_data (suppressed wins: in a maintenance window silence is expected). `held` is the machine's state while
 * covered.
 *
 * A run of equal boundaries can change state only at its first one and at a few known instants (the end of
 * `for`, of `no_data_ms`, edges of quiet spans), so it is walked from instant to instant. What is between
 * them changes nothing but judged_ms and data_ms.
 *
 * Notifications are owed by what the receiver was last told, not by states: an alert that was never told of
 * ends silently, and coming out from under a cover repeats nothing.
 */
#include <assert.h>

#include "formula.h"
#include "kpid/hash.h"

/* What one snapshot says to one rule; the same for every boundary of a run. */
struct verdict {
    const struct kpid_model *model;
    const struct kpid_kpi *kpi;
    const struct kpid_rule *rule;
    const struct kpid_snapshot *snapshot;
    bool data, judged, met, clear, while_firing;
};

void kpid_alert_init(struct kpid_alert *alert)
{
    *alert = (struct kpid_alert){.since_ms = KPID_NEVER, .judged_ms = KPID_NEVER, .data_ms = KPID_NEVER};
}

static struct verdict verdict_make(const struct kpid_model *model, const struct kpid_kpi *kpi,
                                   const struct kpid_rule *rule, const struct kpid_snapshot *snapshot,
                                   bool while_firing)
{
    struct verdict verdict = {
        .model = model, .kpi = kpi, .rule = rule, .snapshot = snapshot, .while_firing = while_firing};
    verdict.data = kpid_number_holds(&snapshot->value);
    verdict.judged = verdict.data && snapshot->has_deviation && snapshot->samples >= rule->min_samples;
    if (verdict.judged) {
        bool below = snapshot->deviation <= rule->fire;
        verdict.met = below && kpid_confident(model, kpi, rule, snapshot);
        verdict.clear = !below && snapshot->deviation > rule->clear;
    }
    return verdict;
}

static uint64_t alert_id(const struct verdict *verdict, int64_t since_ms)
{
    const struct kpid_kpi *kpi = verdict->kpi;
    const struct kpid_rule *rule = verdict->rule;
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_printf(&text, "%s|%016llx|%s|%s|", rule->name, (unsigned long long)rule->hash, kpi->name,
                    kpi->windows[verdict->snapshot->window].name);
    kpid_group_field(&text, verdict->snapshot->group, kpi->n_by, verdict->snapshot->other);
    kpid_buf_printf(&text, "|%lld", (long long)since_ms);
    uint64_t id = kpid_hash(text.data, text.len, 0);
    kpid_buf_release(&text);
    return id != 0 ? id : 1; /* 0 says that there is none */
}

/* Boundaries in (from, to], as in the target table: they stand for the events before them. */
static bool is_quiet(const struct kpid_rule *rule, int64_t at_ms)
{
    for (size_t i = 0; i < rule->n_quiet; i++)
        if (at_ms > rule->quiet[i].from_ms && at_ms <= rule->quiet[i].to_ms)
            return true;
    return false;
}

static bool is_covered(const struct kpid_alert *alert)
{
    return alert->state == KPID_ALERT_SUPPRESSED || alert->state == KPID_ALERT_NO_DATA;
}

/* a + b for a time and a span of at least 0; stays below KPID_FOREVER's meaning by ending there. */
static int64_t time_add(int64_t time_ms, int64_t span_ms)
{
    int64_t sum;
    return __builtin_add_overflow(time_ms, span_ms, &sum) ? KPID_FOREVER : sum;
}

/* One step of the machine below the covers. */
static uint8_t machine_step(const struct verdict *verdict, struct kpid_alert *alert, uint8_t state,
                            int64_t at_ms)
{
    if (state == KPID_ALERT_FIRING)
        return verdict->clear ? KPID_ALERT_RESOLVED : KPID_ALERT_FIRING;
    if (!verdict->met)
        return state == KPID_ALERT_PENDING ? KPID_ALERT_OK : state;
    if (state != KPID_ALERT_PENDING) {
        alert->since_ms = at_ms;
        alert->id = alert_id(verdict, at_ms);
    }
    return at_ms >= time_add(alert->since_ms, verdict->rule->for_ms) ? KPID_ALERT_FIRING : KPID_ALERT_PENDING;
}

/* Whether the step from `told` to the visible state is owed to the receiver, who is then told. */
static bool tell(struct kpid_alert *alert, uint8_t machine)
{
    uint8_t told = alert->told;
    if (alert->state == KPID_ALERT_FIRING)
        alert->told = KPID_ALERT_FIRING;
    else if (alert->state == KPID_ALERT_NO_DATA && machine == KPID_ALERT_FIRING && told != KPID_ALERT_OK)
        alert->told = KPID_ALERT_NO_DATA;
    else if (machine != KPID_ALERT_FIRING)
        alert->told = KPID_ALERT_OK;
    return alert->told != told;
}

static void transition_fill(struct kpid_transition *ret, const struct kpid_alert *alert, uint8_t from,
                            uint8_t machine, int64_t since_ms, int64_t at_ms)
{
    bool named = machine == KPID_ALERT_FIRING || machine == KPID_ALERT_RESOLVED;
    ret->id = named ? alert->id : 0;
    ret->from = (enum kpid_alert_state)from;
    ret->to = (enum kpid_alert_state)alert->state;
    ret->since_ms = since_ms;
    ret->at_ms = at_ms;
}

/* One boundary. Returns whether the visible state changed, and then fills *ret. */
static bool boundary_step(const struct verdict *verdict, struct kpid_alert *alert, int64_t at_ms,
                          struct kpid_transition *ret)
{
    const struct kpid_snapshot *snapshot = verdict->snapshot;
    uint8_t from = alert->state, machine = is_covered(alert) ? alert->held : alert->state;
    int64_t since_ms = alert->since_ms;
    if (verdict->data || alert->data_ms == KPID_NEVER)
        alert->data_ms = at_ms;
    if (verdict->judged)
        machine = machine_step(verdict, alert, machine, at_ms);
    bool silent = !verdict->data && verdict->rule->no_data_ms != KPID_FOREVER &&
                  at_ms >= time_add(alert->data_ms, verdict->rule->no_data_ms);
    bool hushed = machine == KPID_ALERT_FIRING && (verdict->while_firing || is_quiet(verdict->rule, at_ms));
    if (silent && machine == KPID_ALERT_RESOLVED)
        machine = KPID_ALERT_OK; /* what is over is not held */
    if (machine == KPID_ALERT_OK) {
        alert->since_ms = KPID_NEVER;
        alert->id = 0;
    }
    alert->state = hushed ? KPID_ALERT_SUPPRESSED : silent ? KPID_ALERT_NO_DATA : machine;
    alert->held = is_covered(alert) ? machine : KPID_ALERT_OK;
    if (alert->state == from)
        return false;
    *ret = (struct kpid_transition){.kpi = snapshot->kpi,
                                    .group = snapshot->group,
                                    .value = snapshot->value,
                                    .has_deviation = snapshot->has_deviation,
                                    .expected = snapshot->expected,
                                    .deviation = snapshot->deviation,
                                    .samples = snapshot->samples,
                                    .reasons = snapshot->reasons};
    /* A pending alert that goes back to ok names the one that it was. */
    transition_fill(ret, alert, from, machine, alert->since_ms != KPID_NEVER ? alert->since_ms : since_ms,
                    at_ms);
    ret->notify = tell(alert, machine);
    return true;
}

/* The first instant after `at_ms` at which the same snapshot may lead to another state. */
static int64_t instant_next(const struct verdict *verdict, const struct kpid_alert *alert, int64_t at_ms)
{
    const struct kpid_rule *rule = verdict->rule;
    int64_t next = KPID_FOREVER, candidate;
    uint8_t machine = is_covered(alert) ? alert->held : alert->state;
    if (machine == KPID_ALERT_PENDING && verdict->met)
        next = time_add(alert->since_ms, rule->for_ms);
    if (!verdict->data && rule->no_data_ms != KPID_FOREVER) {
        candidate = time_add(alert->data_ms, rule->no_data_ms);
        if (candidate > at_ms && candidate < next)
            next = candidate;
    }
    for (size_t i = 0; i < rule->n_quiet; i++) {
        candidate = rule->quiet[i].from_ms >= at_ms ? rule->quiet[i].from_ms : rule->quiet[i].to_ms;
        if (candidate >= at_ms && candidate < next)
            next = time_add(candidate, 1);
    }
    return next;
}

/* The first boundary of the grid at or after `time_ms`; KPID_FOREVER when that is beyond `last_ms`. */
static int64_t grid_next(int64_t at_ms, int64_t step_ms, int64_t time_ms, int64_t last_ms)
{
    if (time_ms > last_ms)
        return KPID_FOREVER;
    int64_t steps = (time_ms - at_ms + step_ms - 1) / step_ms;
    int64_t next = time_add(at_ms, steps * step_ms);
    return next > last_ms ? KPID_FOREVER : next;
}

/* The open part of a calendar window is judged only where the figure does not grow with time. */
static bool is_judgeable(const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot)
{
    if (!snapshot->final || snapshot->quality == KPID_QUALITY_PARTIAL)
        return false;
    return kpi->judge_open || kpi->windows[snapshot->window].kind != KPID_WINDOW_CALENDAR ||
           snapshot->boundary_ms >= snapshot->end_ms;
}

size_t kpid_alert_judge(const struct kpid_model *model, uint32_t kpi_index, uint32_t rule_index,
                        struct kpid_alert *alert, const struct kpid_snapshot *snapshot,
                        const struct kpid_judgement *judgement,
                        struct kpid_transition ret[KPID_TRANSITIONS_MAX])
{
    assert(kpi_index < model->n_kpis && rule_index < model->kpis[kpi_index].n_rules);
    const struct kpid_kpi *kpi = &model->kpis[kpi_index];
    const struct kpid_rule *rule = &kpi->rules[rule_index];
    int64_t at_ms = snapshot->boundary_ms;
    int64_t last_ms = judgement->last_ms > at_ms ? judgement->last_ms : at_ms;
    int64_t step_ms = last_ms > at_ms ? judgement->step_ms : 1;
    assert(step_ms > 0);
    last_ms -= (last_ms - at_ms) % step_ms;
    if (alert->judged_ms >= last_ms || !is_judgeable(kpi, snapshot))
        return 0;
    if (alert->judged_ms >= at_ms)
        at_ms = grid_next(at_ms, step_ms, alert->judged_ms + 1, last_ms);

    struct verdict verdict = verdict_make(model, kpi, rule, snapshot, judgement->while_firing);
    size_t n = 0;
    while (at_ms != KPID_FOREVER && n < KPID_TRANSITIONS_MAX) {
        if (boundary_step(&verdict, alert, at_ms, &ret[n])) {
            ret[n].rule = rule_index;
            n++;
        }
        at_ms = grid_next(at_ms, step_ms, instant_next(&verdict, alert, at_ms), last_ms);
        alert->judged_ms = at_ms == KPID_FOREVER ? last_ms : at_ms - step_ms;
        if (verdict.data)
            alert->data_ms = alert->judged_ms;
    }
    return n;
}

size_t kpid_alert_end(const struct kpid_model *model, uint32_t kpi_index, uint32_t rule_index,
                      struct kpid_alert *alert, const char *const *group, int64_t boundary_ms,
                      struct kpid_transition ret[KPID_TRANSITIONS_MAX])
{
    assert(kpi_index < model->n_kpis && rule_index < model->kpis[kpi_index].n_rules);
    uint8_t from = alert->state, machine = is_covered(alert) ? alert->held : from;
    size_t n = 0;
    if (from != KPID_ALERT_NO_DATA && (machine == KPID_ALERT_PENDING || machine == KPID_ALERT_FIRING)) {
        ret[n] = (struct kpid_transition){
            .kpi = kpi_index, .rule = rule_index, .group = group, .value = {.kind = KPID_NUMBER_NONE}};
        alert->state = KPID_ALERT_NO_DATA;
        transition_fill(&ret[n], alert, from, machine, alert->since_ms, boundary_ms);
        ret[n].notify = tell(alert, machine);
        n++;
    }
    int64_t judged_ms = alert->judged_ms;
    uint8_t state = alert->state == KPID_ALERT_RESOLVED ? KPID_ALERT_OK : alert->state;
    kpid_alert_init(alert);
    alert->state = state;
    alert->judged_ms = judged_ms > boundary_ms ? judged_ms : boundary_ms;
    return n;
}

void kpid_alert_pack(const struct kpid_alert *alert, struct kpid_buf *out)
{
    kpid_pack_u64(out, alert->state);
    kpid_pack_u64(out, alert->held);
    kpid_pack_u64(out, alert->told);
    kpid_pack_i64(out, alert->since_ms);
    kpid_pack_i64(out, alert->judged_ms);
    kpid_pack_i64(out, alert->data_ms);
    kpid_pack_fixed64(out, alert->id);
}

bool kpid_alert_unpack(struct kpid_alert *ret, struct kpid_unpack *in)
{
    uint64_t state = kpid_unpack_u64(in), held = kpid_unpack_u64(in), told = kpid_unpack_u64(in);
    struct kpid_alert alert = {.state = (uint8_t)state, .held = (uint8_t)held, .told = (uint8_t)told};
    alert.since_ms = kpid_unpack_i64(in);
    alert.judged_ms = kpid_unpack_i64(in);
    alert.data_ms = kpid_unpack_i64(in);
    alert.id = kpid_unpack_fixed64(in);
    if (in->bad || state >= KPID_ALERT_STATES || held > KPID_ALERT_RESOLVED ||
        (told != KPID_ALERT_OK && told != KPID_ALERT_FIRING && told != KPID_ALERT_NO_DATA))
        return false;
    *ret = alert;
    return true;
}
