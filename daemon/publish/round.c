/* Building a round: everything is rendered into the round's one buffer, and what is remembered are places in
 * it. */
#include "publisher.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kpid/hash.h"
#include "producer.h"

#define KEPT_BYTES (32u << 20) /* a round's buffer is not kept above this */

void kpid_round_clear(struct kpid_round *round)
{
    if (round->bytes.cap > KEPT_BYTES)
        kpid_buf_release(&round->bytes);
    kpid_buf_clear(&round->bytes);
    round->n_transitions = round->n_ops = round->n_values = round->at_value = 0;
    for (size_t i = 0; i < round->n_touched; i++) {
        round->snaps[round->touched[i]].n = 0;
        round->windows[round->touched[i]].n = 0;
    }
    round->n_touched = 0;
    round->n_entries = 0;
    round->alerts_done = round->unsure = false;
    for (size_t i = 0; i < round->n_batches; i++)
        free(round->batches[i]);
    round->n_batches = round->n_acknowledged = 0;
    round->at_slot = round->at_entry = 0;
    round->at_windows = false;
}

void kpid_round_release(struct kpid_round *round)
{
    kpid_round_clear(round);
    kpid_buf_release(&round->bytes);
    for (size_t i = 0; i < round->n_lists; i++) {
        free(round->snaps[i].entries);
        free(round->windows[i].entries);
    }
    free(round->snaps);
    free(round->windows);
    free(round->transitions);
    free(round->ops);
    free(round->touched);
    free(round->values);
    free(round->batches);
    *round = (struct kpid_round){0};
}

bool kpid_round_empty(const struct kpid_round *round)
{
    return round->n_transitions == 0 && round->n_ops == 0 && round->n_touched == 0 && round->n_values == 0;
}

/* Room for one more in a growing array of items of `size`. */
static void *grown(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 16;
    return kpid_realloc(items, *cap * size);
}

static struct kpid_piece piece_since(const struct kpid_round *round, size_t at)
{
    return (struct kpid_piece){at, round->bytes.len - at};
}

static struct kpid_piece piece_copy(struct kpid_round *round, const void *bytes, size_t len)
{
    size_t at = round->bytes.len;
    kpid_buf_add(&round->bytes, bytes, len);
    return piece_since(round, at);
}

/* ---- alerts ---- */

static struct kpid_alert_op *op_add(struct kpid_round *round, char kind)
{
    round->ops = grown(round->ops, round->n_ops, &round->cap_ops, sizeof *round->ops);
    struct kpid_alert_op *op = &round->ops[round->n_ops++];
    *op = (struct kpid_alert_op){.kind = kind};
    return op;
}

void kpid_round_state(struct kpid_publisher *publisher, const char *key, size_t key_len, const void *bytes,
                      size_t len)
{
    struct kpid_alert_op *op = op_add(&publisher->next, 's');
    op->key = piece_copy(&publisher->next, key, key_len);
    op->value = piece_copy(&publisher->next, bytes, len);
}

void kpid_round_state_delete(struct kpid_publisher *publisher, const char *key, size_t key_len)
{
    struct kpid_alert_op *op = op_add(&publisher->next, 'x');
    op->key = piece_copy(&publisher->next, key, key_len);
}

void kpid_round_final(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window, int64_t boundary_ms)
{
    struct kpid_slot *slot = kpid_publisher_slot(publisher, kpi, window);
    if (slot->final_ms == boundary_ms)
        return;
    int64_t before_ms = slot->final_ms;
    slot->final_ms = boundary_ms;
    struct kpid_alert_op *op = op_add(&publisher->next, 'f');
    op->key = piece_copy(&publisher->next, slot->tag, strlen(slot->tag));
    size_t at = publisher->next.bytes.len;
    kpid_buf_printf(&publisher->next.bytes, "%" PRId64 " %" PRId64, boundary_ms, before_ms);
    op->value = piece_since(&publisher->next, at);
}

/* __other__ is never judged, so a group of that name here is a group like any other. */
void kpid_round_transition(struct kpid_publisher *publisher, const struct kpid_transition *transition)
{
    struct kpid_round *round = &publisher->next;
    const struct kpid_kpi *kpi = &publisher->model->kpis[transition->kpi];
    const struct kpid_rule *rule = &kpi->rules[transition->rule];
    struct kpid_buf *bytes = &round->bytes;
    round->transitions =
        grown(round->transitions, round->n_transitions, &round->cap_transitions, sizeof *round->transitions);
    struct kpid_alert_op *op = &round->transitions[round->n_transitions++];
    *op = (struct kpid_alert_op){.kind = 't'};
    size_t at = bytes->len;
    kpid_buf_printf(bytes, "%s|%s|%s|", rule->name, kpi->name, kpi->windows[rule->window].name);
    kpid_group_field(bytes, transition->group, kpi->n_by, false);
    op->key = piece_since(round, at);
    at = bytes->len;
    kpid_transition_json(publisher->model, transition, bytes);
    op->value = piece_since(round, at);
    at = bytes->len;
    kpid_buf_printf(bytes, "%016" PRIx64 ":%s", transition->id, kpid_alert_state_name(transition->to));
    op->field = piece_since(round, at);
    op->id = (struct kpid_piece){at, 16};
    op->active =
        transition->id && (transition->to == KPID_ALERT_FIRING || transition->to == KPID_ALERT_NO_DATA ||
                           transition->to == KPID_ALERT_SUPPRESSED);
    op->notify = transition->notify && !transition->historic && publisher->producer &&
                 kpid_producer_has(publisher->producer, KPID_TOPIC_ALERTS);
}

/* ---- snapshots ---- */

static void lists_grow(struct kpid_round *round, size_t n)
{
    if (n <= round->n_lists)
        return;
    round->snaps = kpid_realloc(round->snaps, n * sizeof *round->snaps);
    round->windows = kpid_realloc(round->windows, n * sizeof *round->windows);
    memset(round->snaps + round->n_lists, 0, (n - round->n_lists) * sizeof *round->snaps);
    memset(round->windows + round->n_lists, 0, (n - round->n_lists) * sizeof *round->windows);
    round->n_lists = n;
}

static struct kpid_entry *entry_add(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window,
                                    bool windows)
{
    struct kpid_round *round = &publisher->next;
    uint32_t slot = (uint32_t)(kpid_publisher_slot(publisher, kpi, window) - publisher->slots);
    lists_grow(round, publisher->n_slots);
    if (round->snaps[slot].n == 0 && round->windows[slot].n == 0) {
        round->touched = grown(round->touched, round->n_touched, &round->cap_touched, sizeof *round->touched);
        round->touched[round->n_touched++] = slot;
    }
    struct kpid_list *list = windows ? &round->windows[slot] : &round->snaps[slot];
    list->entries = grown(list->entries, list->n, &list->cap, sizeof *list->entries);
    struct kpid_entry *entry = &list->entries[list->n++];
    *entry = (struct kpid_entry){.seq = round->n_entries++};
    return entry;
}

/* Which of the places hold for this window and group: history is of totals, `all` lies in kpi:snap only. */
static unsigned places_of(const struct kpid_window *window, bool total, unsigned places)
{
    if (window->kind == KPID_WINDOW_ALL || window->history == 0)
        places &= ~(unsigned)KPID_PLACE_WINDOW;
    if (window->kind == KPID_WINDOW_ALL || !total)
        places &= ~(unsigned)KPID_PLACE_HISTORY;
    return places;
}

void kpid_round_snapshot(struct kpid_publisher *publisher, const struct kpid_snapshot *snapshot,
                         int64_t as_of_ms, int64_t lag, unsigned places)
{
    struct kpid_round *round = &publisher->next;
    const struct kpid_kpi *kpi = &publisher->model->kpis[snapshot->kpi];
    bool total = !snapshot->other && (!snapshot->group || kpi->n_by == 0);
    places = places_of(&kpi->windows[snapshot->window], total, places);
    if (!(places & ~(unsigned)KPID_PLACE_AGAIN))
        return;
    struct kpid_entry entry = {.kafka = true,
                               .again = snapshot->revision > 0 || places & KPID_PLACE_AGAIN,
                               .revision = snapshot->revision,
                               .start_ms = snapshot->start_ms,
                               .samples = snapshot->samples};
    size_t at = round->bytes.len;
    kpid_group_field(&round->bytes, snapshot->group, kpi->n_by, snapshot->other);
    entry.field = piece_since(round, at);
    entry.field_hash = kpid_hash(round->bytes.data + at, entry.field.len, 0);
    at = round->bytes.len;
    kpid_snapshot_json(publisher->model, snapshot, as_of_ms, lag, &round->bytes);
    entry.json = piece_since(round, at);
    publisher->stats.snapshots++;

    /* Groups of a window stand in a list of their own: the largest of them are chosen when the round is sent.
     */
    unsigned now = total ? places : places & ~(unsigned)KPID_PLACE_WINDOW;
    if (now) {
        struct kpid_entry *added = entry_add(publisher, snapshot->kpi, snapshot->window, false);
        entry.seq = added->seq;
        entry.op = (uint8_t)now;
        *added = entry;
        entry.kafka = false;
    }
    if (!total && places & KPID_PLACE_WINDOW) {
        struct kpid_entry *added = entry_add(publisher, snapshot->kpi, snapshot->window, true);
        entry.seq = added->seq;
        entry.op = KPID_OP_WINDOW_GROUP;
        *added = entry;
    }
}

void kpid_round_meta(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window, int64_t as_of_ms,
                     int64_t watermark_ms, int64_t lag)
{
    struct kpid_round *round = &publisher->next;
    struct kpid_slot *slot = kpid_publisher_slot(publisher, kpi, window);
    const struct kpid_kpi *of = &publisher->model->kpis[kpi];
    size_t at = round->bytes.len;
    kpid_meta_json(of->windows[window].zone ? of->windows[window].zone : of->zone, as_of_ms, watermark_ms,
                   lag, &round->bytes);
    struct kpid_piece json = piece_since(round, at);
    const char *text = round->bytes.data + at;
    if (json.len == slot->meta.len && memcmp(text, slot->meta.data, json.len) == 0) {
        round->bytes.len = at;
        return;
    }
    kpid_buf_clear(&slot->meta);
    kpid_buf_add(&slot->meta, text, json.len);
    struct kpid_entry *entry = entry_add(publisher, kpi, window, false);
    entry->op = KPID_PLACE_NEWEST;
    entry->json = json;
    entry->field = piece_copy(round, "@meta", 5);
}

void kpid_round_group_delete(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window,
                             const char *const *group)
{
    struct kpid_round *round = &publisher->next;
    struct kpid_entry *entry = entry_add(publisher, kpi, window, false);
    size_t at = round->bytes.len;
    kpid_group_field(&round->bytes, group, publisher->model->kpis[kpi].n_by, false);
    entry->op = KPID_OP_DELETE;
    entry->kafka = true;
    entry->field = piece_since(round, at);
}

bool kpid_round_busy(const struct kpid_publisher *publisher)
{
    return publisher->busy;
}

size_t kpid_round_bytes(const struct kpid_publisher *publisher)
{
    return publisher->next.bytes.len + publisher->kept.bytes.len;
}
