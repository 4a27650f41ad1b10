#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kpid/publish.h"

static const char *const unit_names[] = {"number", "percent", "duration", "money", "count"};
static const char *const direction_names[] = {"up", "down", "band"};

static void add_double(struct kpid_buf *out, const char *name, bool known, double value)
{
    kpid_json_key(out, name);
    if (known && isfinite(value)) {
        char text[32];
        kpid_buf_add(out, text, kpid_double_print(value, text));
    } else {
        kpid_buf_add(out, "null", 4);
    }
}

static void add_number(struct kpid_buf *out, const char *name, const struct kpid_number *number)
{
    if (number->kind == KPID_NUMBER_EXACT) {
        char text[KPID_DECIMAL_TEXT];
        kpid_json_key(out, name);
        kpid_buf_add(out, text, kpid_decimal_print(number->exact, text));
    } else {
        add_double(out, name, number->kind == KPID_NUMBER_DOUBLE, number->approx);
    }
}

static void add_bool(struct kpid_buf *out, const char *name, bool value)
{
    kpid_json_key(out, name);
    kpid_buf_add_str(out, value ? "true" : "false");
}

static void add_hash(struct kpid_buf *out, const char *name, uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    kpid_json_str(out, name, text);
}

/* Live figures below zero say that nothing is known. */
static void add_lag(struct kpid_buf *out, int64_t lag)
{
    if (lag >= 0)
        kpid_json_int(out, "lag", lag);
    else
        kpid_json_str(out, "lag", NULL);
}

static void add_reasons(struct kpid_buf *out, uint32_t reasons)
{
    kpid_json_key(out, "reasons");
    kpid_buf_add_char(out, '[');
    bool first = true;
    for (unsigned bit = 0; bit < KPID_QR_N; bit++) {
        if (!(reasons & (1u << bit)))
            continue;
        const char *name = kpid_quality_reason_name(bit);
        if (!first)
            kpid_buf_add_char(out, ',');
        kpid_buf_add_json(out, name, strlen(name));
        first = false;
    }
    kpid_buf_add_char(out, ']');
}

static void add_name(struct kpid_buf *out, const char *text)
{
    kpid_buf_add_json(out, text, strlen(text));
    kpid_buf_add_char(out, ':');
}

static void add_group(struct kpid_buf *out, const struct kpid_kpi *kpi, const char *const *group, bool other)
{
    kpid_json_key(out, "group");
    if ((!group && !other) || kpi->n_by == 0) {
        kpid_buf_add(out, "null", 4);
        return;
    }
    kpid_buf_add_char(out, '{');
    for (size_t i = 0; i < kpi->n_by; i++) {
        const char *value = other ? "__other__" : group[i] ? group[i] : "";
        if (i)
            kpid_buf_add_char(out, ',');
        add_name(out, kpi->by[i]);
        kpid_buf_add_json(out, value, strlen(value));
    }
    kpid_buf_add_char(out, '}');
}

static void add_ranks(struct kpid_buf *out, const struct kpid_rank *ranks, size_t n)
{
    kpid_json_key(out, "top");
    kpid_buf_add_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            kpid_buf_add_char(out, ',');
        kpid_buf_add_char(out, '{');
        kpid_json_str(out, "key", ranks[i].key);
        add_number(out, "value", &ranks[i].value);
        add_number(out, "error", &ranks[i].error);
        kpid_buf_add_char(out, '}');
    }
    kpid_buf_add_char(out, ']');
}

static void add_parts(struct kpid_buf *out, const struct kpid_kpi *kpi, const struct kpid_snapshot *snapshot)
{
    static const struct kpid_number none;
    const struct kpid_number *parts = snapshot->parts;
    kpid_json_key(out, "parts");
    kpid_buf_add_char(out, '{');
    for (size_t i = 0; i < kpi->n_parts; i++)
        add_number(out, kpi->refs[kpi->n_refs + i].name, parts ? &parts[i] : &none);
    if (snapshot->ranks)
        add_ranks(out, snapshot->ranks, snapshot->n_ranks);
    kpid_buf_add_char(out, '}');
}

static void add_target(struct kpid_buf *out, const struct kpid_snapshot *snapshot)
{
    kpid_json_key(out, "target");
    if (snapshot->has_target) {
        kpid_buf_add_char(out, '{');
        add_double(out, "low", true, snapshot->target_low);
        add_double(out, "high", true, snapshot->target_high);
        kpid_buf_add_char(out, '}');
    } else {
        kpid_buf_add(out, "null", 4);
    }
    add_double(out, "expected", snapshot->has_target, snapshot->expected);
    add_double(out, "deviation", snapshot->has_deviation, snapshot->deviation);
    kpid_json_str(out, "status", kpid_status_name(snapshot->status));
}

static void add_title(struct kpid_buf *out, const struct kpid_kpi *kpi)
{
    kpid_json_key(out, "title");
    kpid_buf_add_char(out, '{');
    kpid_json_str(out, "en", kpi->title_en);
    kpid_json_str(out, "zh", kpi->title_zh);
    kpid_buf_add_char(out, '}');
}

static const struct kpid_zone *zone_of(const struct kpid_kpi *kpi, const struct kpid_window *window)
{
    return window->zone ? window->zone : kpi->zone;
}

void kpid_snapshot_json(const struct kpid_model *model, const struct kpid_snapshot *snapshot,
                        int64_t as_of_ms, int64_t lag, struct kpid_buf *out)
{
    const struct kpid_kpi *kpi = &model->kpis[snapshot->kpi];
    const struct kpid_window *window = &kpi->windows[snapshot->window];
    const struct kpid_zone *zone = zone_of(kpi, window);
    kpid_buf_add_char(out, '{');
    kpid_json_int(out, "schema", KPID_SCHEMA_VERSION);
    kpid_json_str(out, "kpi", kpi->name);
    kpid_json_str(out, "window", window->name);
    add_group(out, kpi, snapshot->group, snapshot->other);
    kpid_json_time(out, "start", zone, snapshot->start_ms);
    kpid_json_time(out, "end", zone, snapshot->end_ms);
    kpid_json_time(out, "boundary", zone, snapshot->boundary_ms);
    add_number(out, "value", &snapshot->value);
    kpid_json_str(out, "unit", unit_names[kpi->unit]);
    add_number(out, "numerator", &snapshot->numerator);
    add_number(out, "denominator", &snapshot->denominator);
    kpid_json_uint(out, "samples", snapshot->samples);
    add_parts(out, kpi, snapshot);
    add_bool(out, "final", snapshot->final);
    kpid_json_uint(out, "revision", snapshot->revision);
    kpid_json_str(out, "quality", kpid_quality_name(snapshot->quality));
    add_reasons(out, snapshot->reasons);
    add_target(out, snapshot);
    add_hash(out, "definition", kpi->hash);
    kpid_json_time(out, "as_of", zone, as_of_ms);
    kpid_json_time(out, "watermark", zone, snapshot->watermark_ms);
    add_lag(out, lag);
    kpid_buf_add_char(out, '}');
}

void kpid_transition_json(const struct kpid_model *model, const struct kpid_transition *transition,
                          struct kpid_buf *out)
{
    const struct kpid_kpi *kpi = &model->kpis[transition->kpi];
    const struct kpid_rule *rule = &kpi->rules[transition->rule];
    const struct kpid_window *window = &kpi->windows[rule->window];
    const struct kpid_zone *zone = zone_of(kpi, window);
    kpid_buf_add_char(out, '{');
    kpid_json_int(out, "schema", KPID_SCHEMA_VERSION);
    add_hash(out, "id", transition->id);
    kpid_json_str(out, "rule", rule->name);
    kpid_json_str(out, "kpi", kpi->name);
    add_title(out, kpi);
    kpid_json_str(out, "owner", kpi->owner);
    kpid_json_str(out, "window", window->name);
    add_group(out, kpi, transition->group, false);
    kpid_json_str(out, "state", kpid_alert_state_name(transition->to));
    kpid_json_str(out, "from", kpid_alert_state_name(transition->from));
    kpid_json_time(out, "since", zone, transition->since_ms);
    kpid_json_time(out, "at", zone, transition->at_ms);
    add_number(out, "value", &transition->value);
    kpid_json_str(out, "unit", unit_names[kpi->unit]);
    add_double(out, "expected", transition->has_deviation, transition->expected);
    add_double(out, "deviation", transition->has_deviation, transition->deviation);
    kpid_json_uint(out, "samples", transition->samples);
    add_reasons(out, transition->reasons);
    add_bool(out, "historic", transition->historic);
    kpid_buf_add_char(out, '}');
}

static void begin_list(struct kpid_buf *out, const char *name)
{
    kpid_json_key(out, name);
    kpid_buf_add_char(out, '[');
}

static void add_item(struct kpid_buf *out, const char *text, size_t i)
{
    if (i)
        kpid_buf_add_char(out, ',');
    kpid_buf_add_json(out, text ? text : "", text ? strlen(text) : 0);
}

void kpid_index_json(const struct kpid_kpi *kpi, struct kpid_buf *out)
{
    kpid_buf_add_char(out, '{');
    kpid_json_int(out, "schema", KPID_SCHEMA_VERSION);
    kpid_json_str(out, "kpi", kpi->name);
    add_title(out, kpi);
    kpid_json_str(out, "unit", unit_names[kpi->unit]);
    kpid_json_str(out, "unit_text", kpi->unit_text);
    kpid_json_str(out, "direction", direction_names[kpi->direction]);
    kpid_json_str(out, "dimension", kpi->dimension);
    kpid_json_str(out, "owner", kpi->owner);
    kpid_json_str(out, "formula", kpi->formula_text);
    begin_list(out, "windows");
    for (size_t i = 0; i < kpi->n_windows; i++)
        add_item(out, kpi->windows[i].name, i);
    kpid_buf_add_char(out, ']');
    begin_list(out, "groups");
    for (size_t i = 0; i < kpi->n_by; i++)
        add_item(out, kpi->by[i], i);
    kpid_buf_add_char(out, ']');
    begin_list(out, "parts");
    for (size_t i = 0; i < kpi->n_parts; i++)
        add_item(out, kpi->refs[kpi->n_refs + i].name, i);
    kpid_buf_add_char(out, ']');
    begin_list(out, "targets");
    for (size_t i = 0; i < kpi->n_targets; i++)
        add_item(out, kpi->targets[i].text, i);
    kpid_buf_add_char(out, ']');
    begin_list(out, "rules");
    for (size_t i = 0; i < kpi->n_rules; i++)
        add_item(out, kpi->rules[i].name, i);
    kpid_buf_add_char(out, ']');
    kpid_json_str(out, "zone", kpi->zone ? kpi->zone->name : "UTC");
    add_hash(out, "definition", kpi->hash);
    kpid_buf_add_char(out, '}');
}

void kpid_meta_json(const struct kpid_zone *zone, int64_t as_of_ms, int64_t watermark_ms, int64_t lag,
                    struct kpid_buf *out)
{
    kpid_buf_add_char(out, '{');
    kpid_json_int(out, "schema", KPID_SCHEMA_VERSION);
    kpid_json_time(out, "as_of", zone, as_of_ms);
    kpid_json_time(out, "watermark", zone, watermark_ms);
    add_lag(out, lag);
    kpid_buf_add_char(out, '}');
}
