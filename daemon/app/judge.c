/* States of alerts by key, and what a snapshot does to them. Key: rule|KPI|window|group field. */
#include "evaluator.h"

#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

struct slot *kpid_slot_find(const struct slots *slots, const char *key, size_t len)
{
    uint64_t hash = kpid_hash(key, len, 0);

    if (!slots->cap)
        return NULL;
    for (size_t at = hash & (slots->cap - 1); slots->at[at].key; at = (at + 1) & (slots->cap - 1))
        if (slots->at[at].hash == hash && slots->at[at].len == len && !memcmp(slots->at[at].key, key, len))
            return &slots->at[at];
    return NULL;
}

static struct slot *slot_place(struct slots *slots, uint64_t hash)
{
    size_t at = hash & (slots->cap - 1);

    while (slots->at[at].key)
        at = (at + 1) & (slots->cap - 1);
    return &slots->at[at];
}

static void slots_resize(struct slots *slots, size_t cap)
{
    struct slots old = *slots;

    slots->at = kpid_zalloc(cap, sizeof(*slots->at));
    slots->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.at[i].key)
            *slot_place(slots, old.at[i].hash) = old.at[i];
    free(old.at);
}

static struct slot *slot_make(struct slots *slots, const char *key, size_t len)
{
    struct slot *slot = kpid_slot_find(slots, key, len);

    if (slot)
        return slot;
    if ((slots->n + 1) * 2 > slots->cap)
        slots_resize(slots, slots->cap ? slots->cap * 2 : 64);
    uint64_t hash = kpid_hash(key, len, 0);
    slot = slot_place(slots, hash);
    slot->key = kpid_strndup(key, len);
    slot->len = (uint32_t)len;
    slot->hash = hash;
    kpid_alert_init(&slot->alert);
    slots->n++;
    return slot;
}

static void slot_drop(struct slots *slots, struct slot *slot)
{
    free(slot->key);
    memset(slot, 0, sizeof(*slot));
    slots->n--;
    slots_resize(slots, slots->cap); /* rare: a group went */
}

void kpid_judge_release(struct kpid_evaluator *ev)
{
    for (size_t i = 0; i < ev->alerts.cap; i++)
        free(ev->alerts.at[i].key);
    free(ev->alerts.at);
}

/* ---- keys ---- */

static void make_key(struct kpid_evaluator *ev, uint32_t kpi, const struct kpid_rule *rule,
                     const char *const *group, bool other)
{
    const struct kpid_kpi *def = &ev->model->kpis[kpi];

    kpid_buf_clear(&ev->key);
    kpid_buf_printf(&ev->key, "%s|%s|%s|", rule->name, def->name, def->windows[rule->window].name);
    kpid_group_field(&ev->key, group, def->n_by, other);
}

void kpid_evaluator_load_state(struct kpid_evaluator *ev, const char *key, size_t key_len, const void *bytes,
                               size_t len)
{
    struct kpid_unpack in;
    struct kpid_alert alert;

    if (key_len > 1 && key[0] == '~') {
        kpid_revision_load(ev, key, key_len, bytes, len);
        return;
    }
    kpid_unpack_init(&in, bytes, len);
    if (kpid_alert_unpack(&alert, &in))
        slot_make(&ev->alerts, key, key_len)->alert = alert;
}

/* ---- judging ---- */

static bool fires(struct kpid_evaluator *ev, uint32_t kpi, const char *const *group, bool same_by)
{
    const struct kpid_kpi *def = &ev->model->kpis[kpi];

    for (size_t r = 0; r < def->n_rules; r++) {
        make_key(ev, kpi, &def->rules[r], NULL, false);
        const struct slot *slot = kpid_slot_find(&ev->alerts, ev->key.data, ev->key.len);
        if (slot && slot->alert.state == KPID_ALERT_FIRING)
            return true;
        if (!group || !same_by)
            continue;
        make_key(ev, kpi, &def->rules[r], group, false);
        slot = kpid_slot_find(&ev->alerts, ev->key.data, ev->key.len);
        if (slot && slot->alert.state == KPID_ALERT_FIRING)
            return true;
    }
    return false;
}

static bool same_by(const struct kpid_kpi *a, const struct kpid_kpi *b)
{
    if (a->n_by != b->n_by)
        return false;
    for (size_t i = 0; i < a->n_by; i++)
        if (strcmp(a->by[i], b->by[i]))
            return false;
    return true;
}

static bool held_back(struct kpid_evaluator *ev, uint32_t kpi, const struct kpid_rule *rule, const char *const *group)
{
    for (size_t i = 0; i < rule->n_while_firing; i++) {
        uint32_t other = rule->while_firing[i];
        if (other != kpi && fires(ev, other, group, same_by(&ev->model->kpis[kpi], &ev->model->kpis[other])))
            return true;
    }
    return false;
}

void kpid_judge_tell(struct kpid_evaluator *ev, uint32_t kpi, struct slot *slot, struct kpid_transition *steps, size_t n)
{
    int64_t max_age = KPID_FOREVER;

    for (size_t i = 0; i < ev->model->kpis[kpi].n_sources; i++) {
        int64_t age = ev->model->sources[ev->model->kpis[kpi].sources[i]].max_age_ms;
        if (age < max_age)
            max_age = age;
    }
    for (size_t i = 0; i < n; i++) {
        steps[i].historic = ev->now_ms != KPID_NEVER && max_age != KPID_FOREVER &&
                            steps[i].at_ms < ev->now_ms - max_age;
        if (ev->sink->transition)
            ev->sink->transition(ev->ctx, &steps[i]);
    }
    kpid_buf_clear(&ev->bytes);
    kpid_alert_pack(&slot->alert, &ev->bytes);
    if (ev->sink->state)
        ev->sink->state(ev->ctx, slot->key, slot->len, ev->bytes.data, ev->bytes.len);
}

static bool is_other_state(const struct kpid_alert *a, const struct kpid_alert *b, bool with_data_ms)
{
    return a->state != b->state || a->held != b->held || a->told != b->told || a->since_ms != b->since_ms ||
           a->id != b->id || (with_data_ms && a->data_ms != b->data_ms);
}

void kpid_judge(struct kpid_evaluator *ev, const struct occasion *o, const struct kpid_snapshot *snapshot)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    struct kpid_transition steps[KPID_TRANSITIONS_MAX];

    if (snapshot->other)
        return; /* whatever exceeds max_groups is no group to be judged */
    for (uint32_t r = 0; r < kpi->n_rules; r++) {
        const struct kpid_rule *rule = &kpi->rules[r];
        if (rule->window != (int)o->window)
            continue;
        struct kpid_judgement judgement = { o->last_ms, o->step_ms, held_back(ev, o->kpi, rule, snapshot->group) };
        make_key(ev, o->kpi, rule, snapshot->group, false);
        struct slot *slot = slot_make(&ev->alerts, ev->key.data, ev->key.len);
        struct kpid_alert before = slot->alert;
        slot->round = ev->round;
        size_t n;
        /* A run over many quiet spans may have more steps than fit: the next call goes on where this one stopped. */
        while ((n = kpid_alert_judge(ev->model, o->kpi, r, &slot->alert, snapshot, &judgement, steps)) ==
               KPID_TRANSITIONS_MAX)
            kpid_judge_tell(ev, o->kpi, slot, steps, n);
        /* judged_ms moves at every boundary; the window's own progress tells it, so it alone is not stored. data_ms
         * matters after a restart only to rules that have no_data. */
        if (n || is_other_state(&before, &slot->alert, rule->no_data_ms != KPID_FOREVER))
            kpid_judge_tell(ev, o->kpi, slot, steps, n);
    }
}

static void end_one(struct kpid_evaluator *ev, const struct occasion *o, uint32_t rule, struct slot *slot,
                    const char *const *group)
{
    struct kpid_transition steps[KPID_TRANSITIONS_MAX];
    size_t n = kpid_alert_end(ev->model, o->kpi, rule, &slot->alert, group, o->boundary_ms, steps);

    for (size_t i = 0; i < n && ev->sink->transition; i++)
        ev->sink->transition(ev->ctx, &steps[i]);
    if (ev->sink->state_delete)
        ev->sink->state_delete(ev->ctx, slot->key, slot->len);
    slot_drop(&ev->alerts, slot);
}

/* The group is gone: its alerts of this window end, its fields are deleted. */
void kpid_judge_end(struct kpid_evaluator *ev, const struct occasion *o, const char *const *group)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];

    for (uint32_t r = 0; r < kpi->n_rules; r++) {
        if (kpi->rules[r].window != (int)o->window)
            continue;
        make_key(ev, o->kpi, &kpi->rules[r], group, false);
        struct slot *slot = kpid_slot_find(&ev->alerts, ev->key.data, ev->key.len);
        if (slot)
            end_one(ev, o, r, slot, group);
    }
    if (ev->sink->group_delete)
        ev->sink->group_delete(ev->ctx, o->kpi, o->window, group);
}

/* The same for every stored state of this window whose group was not judged this round. */
void kpid_judge_sweep(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    const char **group = kpid_zalloc(kpi->n_by + 1, sizeof(*group));
    struct kpid_buf bytes = KPID_BUF_INIT;

    for (uint32_t r = 0; r < kpi->n_rules; r++) {
        if (kpi->rules[r].window != (int)o->window)
            continue;
        make_key(ev, o->kpi, &kpi->rules[r], NULL, false);
        size_t prefix = ev->key.len - 1;
        char *head = kpid_strndup(ev->key.data, prefix);
        for (size_t i = 0; i < ev->alerts.cap; i++) {
            const struct slot *slot = &ev->alerts.at[i];
            if (!slot->key || slot->round == ev->round || slot->len <= prefix || memcmp(slot->key, head, prefix) ||
                !strcmp(slot->key + prefix, "*") ||
                !kpid_group_parse(slot->key + prefix, slot->len - prefix, kpi->n_by, &bytes, group))
                continue;
            kpid_judge_end(ev, o, group);
            i = SIZE_MAX; /* the table was laid out anew */
        }
        free(head);
    }
    kpid_buf_release(&bytes);
    free(group);
}

void kpid_evaluator_stats(const struct kpid_evaluator *ev, struct kpid_evaluator_stats *ret)
{
    *ret = ev->stats;
    ret->alerts_firing = ret->alerts_pending = 0;
    for (size_t i = 0; i < ev->alerts.cap; i++) {
        ret->alerts_firing += ev->alerts.at[i].key && ev->alerts.at[i].alert.state == KPID_ALERT_FIRING;
        ret->alerts_pending += ev->alerts.at[i].key && ev->alerts.at[i].alert.state == KPID_ALERT_PENDING;
    }
}
