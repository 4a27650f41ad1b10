#include "publisher.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kpid/store.h"
#include "producer.h"

#define DAY_MS     ((int64_t)86400000)
#define TTL_MAX_MS (36525 * DAY_MS)

/* ---- slots ---- */

static int64_t nominal_length(const struct kpid_window *window)
{
    static const int64_t days[] = {[KPID_CALENDAR_DAY] = 1,
                                   [KPID_CALENDAR_WEEK] = 7,
                                   [KPID_CALENDAR_MONTH] = 31,
                                   [KPID_CALENDAR_QUARTER] = 92,
                                   [KPID_CALENDAR_YEAR] = 366};
    if (window->kind == KPID_WINDOW_CALENDAR)
        return days[window->period.unit] * DAY_MS;
    return window->length_ms;
}

/* A window's hash is not touched again once the next one began, so its time to live spans the history twice;
 * as a rule it falls out of kpi:wins long before. The other keys are refreshed with every write. */
static int64_t win_ttl(const struct kpid_window *window, int64_t ttl_ms)
{
    int64_t length_ms = nominal_length(window), periods = 2 * ((int64_t)window->history + 1);
    if (length_ms > TTL_MAX_MS / periods || ttl_ms > TTL_MAX_MS)
        return TTL_MAX_MS;
    return ttl_ms + periods * length_ms;
}

struct kpid_slot *kpid_publisher_slot_named(struct kpid_publisher *publisher, const char *tag, size_t len)
{
    for (size_t i = 0; i < publisher->n_slots; i++) {
        if (strlen(publisher->slots[i].tag) == len && memcmp(publisher->slots[i].tag, tag, len) == 0)
            return &publisher->slots[i];
    }
    return NULL;
}

/* Takes the tag. */
static struct kpid_slot *slot_add(struct kpid_publisher *publisher, char *tag)
{
    if (publisher->n_slots == publisher->cap_slots) {
        publisher->cap_slots = publisher->cap_slots ? publisher->cap_slots * 2 : 16;
        publisher->slots = kpid_realloc(publisher->slots, publisher->cap_slots * sizeof *publisher->slots);
    }
    struct kpid_slot *slot = &publisher->slots[publisher->n_slots++];
    *slot = (struct kpid_slot){.tag = tag, .final_ms = KPID_NEVER};
    return slot;
}

uint32_t kpid_publisher_values_slot(struct kpid_publisher *publisher, const char *tag, size_t len)
{
    struct kpid_slot *slot = kpid_publisher_slot_named(publisher, tag, len);
    if (!slot)
        slot = slot_add(publisher, kpid_strndup(tag, len));
    return (uint32_t)(slot - publisher->slots);
}

static uint32_t slot_for(struct kpid_publisher *publisher, const struct kpid_kpi *kpi,
                         const struct kpid_window *window)
{
    struct kpid_buf tag = KPID_BUF_INIT, label = KPID_BUF_INIT;
    kpid_key_encode(&tag, kpi->name, strlen(kpi->name));
    kpid_buf_add_char(&tag, ':');
    kpid_key_encode(&tag, window->name, strlen(window->name));
    struct kpid_slot *slot = kpid_publisher_slot_named(publisher, tag.data, tag.len);
    if (!slot) {
        slot = slot_add(publisher, kpid_buf_detach(&tag, NULL));
        kpid_buf_printf(&label, "%s|%s|", kpi->name, window->name);
        slot->label = kpid_buf_detach(&label, NULL);
    }
    kpid_buf_release(&tag);
    int64_t ttl_ms = publisher->model->settings.snapshot_ttl_ms;
    bool expires = ttl_ms > 0 && ttl_ms != KPID_FOREVER;
    slot->history = window->history;
    slot->history_groups = kpi->history_groups;
    slot->ttl_ms = !expires ? 0 : ttl_ms < TTL_MAX_MS ? ttl_ms : TTL_MAX_MS;
    slot->win_ttl_ms = expires ? win_ttl(window, ttl_ms) : 0;
    return (uint32_t)(slot - publisher->slots);
}

static void slots_map(struct kpid_publisher *publisher)
{
    const struct kpid_model *model = publisher->model;
    size_t n = 0;
    free(publisher->slot_base);
    publisher->slot_base = kpid_zalloc(model->n_kpis + 1, sizeof *publisher->slot_base);
    for (size_t i = 0; i < model->n_kpis; i++) {
        publisher->slot_base[i] = (uint32_t)n;
        n += model->kpis[i].n_windows;
    }
    free(publisher->slot_of);
    publisher->slot_of = kpid_zalloc(n + 1, sizeof *publisher->slot_of);
    for (size_t i = 0; i < model->n_kpis; i++) {
        for (size_t s = 0; s < model->kpis[i].n_sketches; s++) {
            const char *name = model->measures[model->kpis[i].refs[model->kpis[i].sketches[s].ref].measure].name;
            struct kpid_buf tag = KPID_BUF_INIT;
            kpid_key_encode(&tag, name, strlen(name));
            kpid_publisher_values_slot(publisher, tag.data, tag.len);
            kpid_buf_release(&tag);
        }
        for (size_t w = 0; w < model->kpis[i].n_windows; w++) {
            uint32_t slot = slot_for(publisher, &model->kpis[i], &model->kpis[i].windows[w]);
            publisher->slot_of[publisher->slot_base[i] + w] = slot;
        }
    }
}

struct kpid_slot *kpid_publisher_slot(struct kpid_publisher *publisher, uint32_t kpi, uint32_t window)
{
    assert(kpi < publisher->model->n_kpis && window < publisher->model->kpis[kpi].n_windows);
    return &publisher->slots[publisher->slot_of[publisher->slot_base[kpi] + window]];
}

/* ---- life cycle ---- */

struct kpid_publisher *kpid_publisher_new(struct event_base *base, struct kpid_redis *redis,
                                          const struct kpid_model *model)
{
    struct kpid_publisher *publisher = kpid_zalloc(1, sizeof *publisher);
    publisher->magic = KPID_PUBLISHER_MAGIC;
    publisher->base = base;
    publisher->redis = redis;
    publisher->model = model;
    publisher->prefix = kpid_strdup(model->settings.redis.prefix);
    publisher->later = event_new(base, -1, 0, kpid_publisher_later, publisher);
    publisher->retry = event_new(base, -1, 0, kpid_notices_retry, publisher);
    assert(publisher->later && publisher->retry);
    for (int i = 0; i < KPID_SCRIPT_N; i++)
        publisher->scripts[i].text = kpid_script_text((enum kpid_script_name)i);
    slots_map(publisher);
    return publisher;
}

static void publisher_destroy(struct kpid_publisher *publisher)
{
    kpid_round_release(&publisher->next);
    kpid_round_release(&publisher->kept);
    for (size_t i = 0; i < publisher->n_slots; i++) {
        free(publisher->slots[i].tag);
        free(publisher->slots[i].label);
        kpid_buf_release(&publisher->slots[i].meta);
    }
    free(publisher->slots);
    free(publisher->slot_of);
    free(publisher->slot_base);
    kpid_acquisition_free(publisher->acquisition);
    free(publisher->prefix);
    free(publisher->holder);
    free(publisher->parts);
    free(publisher->bulks);
    kpid_buf_release(&publisher->scratch);
    publisher->magic = 0;
    free(publisher);
}

void kpid_publisher_free(struct kpid_publisher *publisher)
{
    if (!publisher)
        return;
    kpid_notices_let_go(publisher);
    event_free(publisher->later);
    event_free(publisher->retry);
    publisher->dead = true;
    if (publisher->calls == 0)
        publisher_destroy(publisher);
}

bool kpid_publisher_answered(struct kpid_publisher *publisher)
{
    assert(publisher->magic == KPID_PUBLISHER_MAGIC && publisher->calls > 0);
    publisher->calls--;
    if (!publisher->dead)
        return true;
    if (publisher->calls == 0)
        publisher_destroy(publisher);
    return false;
}

void kpid_publisher_let_go(struct kpid_publisher *publisher)
{
    publisher->owner = false;
    kpid_round_clear(&publisher->next);
    kpid_round_clear(&publisher->kept);
    kpid_notices_let_go(publisher);
    for (size_t i = 0; i < publisher->n_slots; i++) {
        publisher->slots[i].final_ms = KPID_NEVER;
        kpid_buf_clear(&publisher->slots[i].meta);
    }
}

void kpid_publisher_set_model(struct kpid_publisher *publisher, const struct kpid_model *model)
{
    publisher->model = model;
    slots_map(publisher);
    if (publisher->owner)
        kpid_publisher_write_index(publisher);
}

void kpid_publisher_set_producer(struct kpid_publisher *publisher, struct kpid_producer *producer)
{
    publisher->producer = producer;
}

void kpid_publisher_write_index(struct kpid_publisher *publisher)
{
    const struct kpid_model *model = publisher->model;
    struct kpid_buf text = KPID_BUF_INIT;
    size_t *ends = kpid_zalloc(model->n_kpis + 1, sizeof *ends);
    for (size_t i = 0; i < model->n_kpis; i++) {
        kpid_index_json(&model->kpis[i], &text);
        ends[i + 1] = text.len;
    }
    struct kpid_buf key = KPID_BUF_INIT;
    kpid_buf_printf(&key, "%s:index", publisher->prefix);
    kpid_part_add(publisher, key.data, key.len);
    for (size_t i = 0; i < model->n_kpis; i++) {
        kpid_part_add_str(publisher, model->kpis[i].name);
        kpid_part_add(publisher, text.data + ends[i], ends[i + 1] - ends[i]);
    }
    kpid_parts_eval(publisher, KPID_SCRIPT_INDEX, 1, NULL, NULL);
    kpid_buf_release(&key);
    kpid_buf_release(&text);
    free(ends);
}

void kpid_publisher_stats(const struct kpid_publisher *publisher, struct kpid_publish_stats *ret)
{
    *ret = publisher->stats;
    ret->outbox = publisher->n_notices;
    if (publisher->producer)
        kpid_producer_counts(publisher->producer, &ret->kafka_sent, &ret->kafka_failed);
}
