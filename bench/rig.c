#include "rig.h"

#include "kpid/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum field { GROUP, KEY, USER, AMOUNT, FIELDS };

static const char *const names[FIELDS] = {"g", "key", "user", "amount"};
const char *const kpid_rig_types[RIG_TYPES] = {"other", "start", "stop", "step"};

void kpid_rig_init(struct kpid_rig *rig, const char *source, const char *measures, const char *kpis)
{
    struct kpid_buf text = KPID_BUF_INIT, faults = KPID_BUF_INIT;
    size_t n;

    kpid_buf_printf(
        &text,
        "clock: events\nhttp: { listen: off }\n"
        "calendars: { office: { zone: Asia/Shanghai, years: 2026, shifts: { mon-sun: [\"08:00-12:00\", "
        "\"13:00-18:00\"] } } }\n"
        "sources:\n  s: { topics: [s], out_of_order: 0s, allowed_lateness: 1m, max_future: 10s, max_skew: "
        "off, "
        "group_ttl: 520w, fields: { amount: { scale: 2 } }%s }\nmeasures:\n%skpis:\n%s",
        source, measures, kpis);
    *rig = (struct kpid_rig){.model = kpid_config_parse("bench", text.data, text.len, NULL, &faults, &n),
                             .highest_ms = KPID_NEVER};
    if (!rig->model) {
        fprintf(stderr, "%s\n%s\n", text.data, faults.data);
        exit(1);
    }
    kpid_buf_release(&text);
    kpid_buf_release(&faults);
    rig->shard = kpid_shard_new(rig->model, 0, 0);
    const struct kpid_source *def = &rig->model->sources[0];
    rig->values = kpid_zalloc(def->n_fields, sizeof(*rig->values));
    for (int f = 0; f < FIELDS; f++) {
        rig->slots[f] = -1;
        for (size_t i = 0; i < def->n_fields; i++)
            if (!strcmp(def->fields[i].name, names[f]))
                rig->slots[f] = (int)i;
    }
}

void kpid_rig_release(struct kpid_rig *rig)
{
    kpid_shard_free(rig->shard);
    kpid_model_free(rig->model);
    free(rig->values);
}

static void put_text(struct kpid_rig *rig, int slot, const char *text, size_t len)
{
    if (slot < 0)
        return;
    rig->values[slot].kind = KPID_STRING;
    rig->values[slot].str = text;
    rig->values[slot].len = (uint32_t)len;
}

/* `text` has room for the name, eight digits and a NUL. Returns its length. */
static size_t name_print(char *text, const char *prefix, uint32_t number)
{
    size_t len = strlen(prefix);

    memcpy(text, prefix, len);
    for (int digit = 7; digit >= 0; digit--, number /= 10)
        text[len + (size_t)digit] = (char)('0' + number % 10);
    return len + 8;
}

struct texts {
    char group[16], key[24], user[16], id[16];
};

static struct kpid_event fill(struct kpid_rig *rig, const struct kpid_rig_event *event, struct texts *texts)
{
    const struct kpid_source *def = &rig->model->sources[0];
    struct kpid_event ret = {.ts_ms = event->ts_ms, .values = rig->values, .n_values = def->n_fields};

    for (uint32_t t = 1; t < def->n_types && !ret.type_id; t++)
        if (!strcmp(def->types[t], kpid_rig_types[event->type]))
            ret.type_id = t;
    rig->values[KPID_SLOT_TS].kind = KPID_NUMBER;
    rig->values[KPID_SLOT_TS].number = event->ts_ms;
    rig->values[KPID_SLOT_ID].kind = KPID_ABSENT;
    if (event->has_id)
        put_text(rig, KPID_SLOT_ID, texts->id, name_print(texts->id, "e", (uint32_t)rig->offset));
    put_text(rig, rig->slots[GROUP], texts->group, name_print(texts->group, "g", event->group));
    if (rig->slots[KEY] >= 0)
        put_text(rig, rig->slots[KEY], texts->key, name_print(texts->key, "key-", event->key)); /* 12 bytes */
    if (rig->slots[USER] >= 0)
        put_text(rig, rig->slots[USER], texts->user, name_print(texts->user, "u", event->user));
    if (rig->slots[AMOUNT] >= 0) {
        rig->values[rig->slots[AMOUNT]].kind = KPID_NUMBER;
        rig->values[rig->slots[AMOUNT]].number = event->amount;
    }
    return ret;
}

void kpid_rig_fill(struct kpid_rig *rig, const struct kpid_rig_event *event)
{
    struct texts texts;
    struct kpid_event filled = fill(rig, event, &texts);

    rig->checksum += filled.type_id + rig->values[rig->slots[GROUP]].len;
}

void kpid_rig_take(struct kpid_rig *rig, const struct kpid_rig_event *event)
{
    struct texts texts;
    struct kpid_event filled = fill(rig, event, &texts);
    struct kpid_record record = {.offset = rig->offset, .timestamp_ms = KPID_NEVER};
    enum kpid_reason reason;

    rig->checksum += kpid_shard_take(rig->shard, &record, &filled, KPID_NEVER, &reason);
    rig->offset++;
    if (event->ts_ms > rig->highest_ms)
        rig->highest_ms = event->ts_ms;
}

void kpid_rig_upkeep(struct kpid_rig *rig)
{
    size_t n = rig->model->n_measures;
    int64_t *progress_ms = kpid_zalloc(n, sizeof(*progress_ms));
    struct kpid_commit commit;

    for (size_t m = 0; m < n; m++)
        progress_ms[m] = rig->highest_ms;
    kpid_shard_elapse(rig->shard, rig->highest_ms);
    kpid_shard_cut(rig->shard, false, &commit);
    kpid_commit_release(&commit);
    kpid_shard_advance(rig->shard, progress_ms, rig->highest_ms);
    for (size_t m = 0; m < n; m++)
        kpid_shard_watch(rig->shard, m, rig->highest_ms);
    kpid_shard_touched_clear(rig->shard);
    free(progress_ms);
}
