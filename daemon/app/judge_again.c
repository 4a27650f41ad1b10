/*
 * Alerts after Redis lost what was told of them: every state is stored again, and the steps that led from what Redis
 * still has to what is known are told again, under their ids and with their beginnings. What Redis did not lose is not
 * told twice. The instants of such steps are lost; they carry the last boundary that was judged.
 */
#include "evaluator.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 4

struct steps {
    struct kpid_transition at[STEPS_MAX];
    size_t n;
    int64_t at_ms;
};

static void add(struct steps *steps, const struct kpid_alert *alert, uint8_t from, uint8_t to, bool notify)
{
    steps->at[steps->n++] = (struct kpid_transition){ .id = alert->id, .from = (enum kpid_alert_state)from,
                                                      .to = (enum kpid_alert_state)to, .since_ms = alert->since_ms,
                                                      .at_ms = steps->at_ms, .notify = notify };
}

static bool fires(const struct kpid_alert *alert)
{
    return alert->id && (alert->state == KPID_ALERT_FIRING || alert->held == KPID_ALERT_FIRING);
}

/* It fires, and Redis does not know: it began, and what covers it came after. */
static void add_beginning(struct steps *steps, const struct kpid_alert *now)
{
    bool told = now->told != KPID_ALERT_OK;

    if (told || now->state == KPID_ALERT_FIRING)
        add(steps, now, KPID_ALERT_OK, KPID_ALERT_FIRING, told);
    if (now->state != KPID_ALERT_FIRING)
        add(steps, now, told ? KPID_ALERT_FIRING : KPID_ALERT_OK, now->state, now->told == KPID_ALERT_NO_DATA);
}

/* What was told between `was`, which is zeroed if Redis has nothing, and `now`. until_ms: Redis has all steps up to that
 * boundary, KPID_NEVER: it has lost everything, and then what was over is not told. */
static void find_steps(struct steps *steps, const struct kpid_alert *now, const struct kpid_alert *was, int64_t until_ms)
{
    bool same = now->id && now->id == was->id;

    if (fires(was) && same && fires(now)) {
        if (now->state != was->state)
            add(steps, now, was->state, now->state, now->told != was->told);
        return;
    }
    if (fires(was))
        add(steps, was, was->state, KPID_ALERT_RESOLVED, was->told != KPID_ALERT_OK);
    if (fires(now)) {
        add_beginning(steps, now);
    } else if (now->state == KPID_ALERT_RESOLVED && !(same && (fires(was) || was->state == KPID_ALERT_RESOLVED)) &&
               (same || (until_ms != KPID_NEVER && now->since_ms > until_ms))) {
        add(steps, now, KPID_ALERT_OK, KPID_ALERT_FIRING, true);
        add(steps, now, KPID_ALERT_FIRING, KPID_ALERT_RESOLVED, true);
    }
}

/* The KPI, rule and group of a state's key; false: another configuration's. */
static bool place_of(const struct kpid_evaluator *ev, const struct slot *slot, struct kpid_transition *ret,
                     struct kpid_buf *bytes, const char **group)
{
    struct kpid_buf head = KPID_BUF_INIT;
    bool found = false;

    for (uint32_t k = 0; k < ev->model->n_kpis && !found; k++) {
        const struct kpid_kpi *kpi = &ev->model->kpis[k];
        for (uint32_t r = 0; r < kpi->n_rules && !found; r++) {
            if (kpi->rules[r].window < 0)
                continue;
            kpid_buf_clear(&head);
            kpid_buf_printf(&head, "%s|%s|%s|", kpi->rules[r].name, kpi->name, kpi->windows[kpi->rules[r].window].name);
            if (slot->len <= head.len || memcmp(slot->key, head.data, head.len))
                continue;
            bool total = slot->len == head.len + 1 && slot->key[head.len] == '*';
            found = total ||
                    kpid_group_parse(slot->key + head.len, slot->len - head.len, kpi->n_by, bytes, group);
            ret->kpi = k;
            ret->rule = r;
            ret->group = total ? NULL : group;
        }
    }
    kpid_buf_release(&head);
    return found;
}

static void put(struct steps *steps, const struct kpid_transition *place)
{
    for (size_t i = 0; i < steps->n; i++) {
        steps->at[i].kpi = place->kpi;
        steps->at[i].rule = place->rule;
        steps->at[i].group = place->group;
    }
}

static void tell_known(struct kpid_evaluator *ev, const struct kpid_evaluator *other, struct slot *slot,
                       struct kpid_buf *bytes, const char **group)
{
    static const struct kpid_alert nothing;
    const struct slot *stored = kpid_slot_find(&other->alerts, slot->key, slot->len);
    struct steps steps = { .at_ms = slot->alert.judged_ms };
    struct kpid_transition place = { .id = 0 };

    if (place_of(ev, slot, &place, bytes, group)) {
        const struct progress *known =
            &other->kpis[place.kpi].progress[ev->model->kpis[place.kpi].rules[place.rule].window];
        find_steps(&steps, &slot->alert, stored ? &stored->alert : &nothing,
                   known->final_ms > known->judged_ms ? known->final_ms : known->judged_ms);
        put(&steps, &place);
    }
    kpid_judge_tell(ev, place.kpi, slot, steps.at, steps.n);
}

/* Its group was gone, and with it the alert. */
static void tell_gone(struct kpid_evaluator *ev, const struct slot *slot, struct kpid_buf *bytes, const char **group)
{
    const struct kpid_alert *was = &slot->alert;
    struct steps steps = { .at_ms = was->judged_ms };
    struct kpid_transition place = { .id = 0 };

    if (fires(was) && was->state != KPID_ALERT_NO_DATA && place_of(ev, slot, &place, bytes, group)) {
        add(&steps, was, was->state, KPID_ALERT_NO_DATA, was->told == KPID_ALERT_FIRING);
        put(&steps, &place);
        if (ev->sink->transition)
            ev->sink->transition(ev->ctx, &steps.at[0]);
    }
    if (ev->sink->state_delete)
        ev->sink->state_delete(ev->ctx, slot->key, slot->len);
}

void kpid_alerts_again(struct kpid_evaluator *ev, const struct kpid_evaluator *other)
{
    struct kpid_buf bytes = KPID_BUF_INIT;
    size_t n_by = 1;

    for (size_t k = 0; k < ev->model->n_kpis; k++)
        if (ev->model->kpis[k].n_by > n_by)
            n_by = ev->model->kpis[k].n_by;
    const char **group = kpid_zalloc(n_by + 1, sizeof(*group));
    for (size_t i = 0; i < ev->alerts.cap; i++)
        if (ev->alerts.at[i].key)
            tell_known(ev, other, &ev->alerts.at[i], &bytes, group);
    for (size_t i = 0; i < other->alerts.cap; i++) {
        const struct slot *slot = &other->alerts.at[i];
        if (slot->key && !kpid_slot_find(&ev->alerts, slot->key, slot->len))
            tell_gone(ev, slot, &bytes, group);
    }
    kpid_buf_release(&bytes);
    free(group);
}
