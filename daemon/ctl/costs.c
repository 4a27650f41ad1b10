/* What explain says a measure costs: an event, its cells, its keys, and the bounds of all that. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

/* Beside its items and its own bytes a key takes so much of tables and allocator, and more where time alone
 * can change it; an opening of which the oldest is asked, so much a grouping (as seen by bench/measures.c).
 */
enum { KEY_BYTES = 40, TIMER_BYTES = 13, OPENING_BYTES = 48, SKETCH_BYTES = 12304 };

/* Panes of a rung that span so much; a day is the shortest period. */
static double panes_in(const struct kpid_rung *rung, int64_t ms)
{
    static const double days[] = {1, 7, 28, 90, 365};

    return (double)ms /
           (rung->kind == KPID_RUNG_FIXED ? (double)rung->width_ms : days[rung->period.unit] * 86400000);
}

/* Panes that a group can have at the most; *ret_back: how many of them because figures look back. */
static double panes_of(const struct kpid_measure *measure, double *ret_back)
{
    double panes = 0;

    *ret_back = 0;
    for (size_t r = 0; r < measure->n_rungs; r++) {
        const struct kpid_rung *rung = &measure->rungs[r];
        if (rung->kind == KPID_RUNG_ALL) {
            panes += 1 + panes_in(&measure->rungs[rung->parent], rung->lag_ms);
            *ret_back += panes_in(&measure->rungs[rung->parent], rung->lag_ms);
        } else {
            panes += panes_in(rung, rung->keep_ms) + 2;
            *ret_back += panes_in(rung, rung->earlier_ms);
        }
    }
    return panes;
}

/* A size in the largest unit that says it in few digits. */
static void size_print(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    for (; bytes >= 1000 && unit + 1 < KPID_COUNT_OF(units); unit++)
        bytes /= 1024;
    printf("%.3g %s", bytes, units[unit]);
}

static size_t tracks_of(const struct kpid_measure *measure)
{
    return measure->agg->keyed == &kpid_keyed_clock ? 1 + measure->keyed.clock.n_marks : 1;
}

static size_t sketch_max(const struct kpid_measure *measure)
{
    return measure->agg->heap_max ? measure->agg->heap_max(&measure->param, tracks_of(measure)) : 0;
}

/* Groups of a shard in all groupings, the total and __other__ included. */
static double groups_of(const struct kpid_model *model, const struct kpid_measure *measure)
{
    size_t levels = measure->n_groupings - 1;

    return 1 + (double)levels * ((double)model->sources[measure->source].max_groups + 1);
}

/* Whether the passing of time can change what a key says. */
static bool has_timer(const struct kpid_measure *measure)
{
    const struct kpid_keyed_spec *spec = &measure->keyed;

    return measure->agg->keyed != &kpid_keyed_clock || spec->clock.deadline_ms != KPID_FOREVER ||
           spec->clock.forget_after_ms != KPID_FOREVER;
}

static size_t item_bytes(const struct kpid_measure *measure)
{
    return measure->agg->keyed->width * sizeof(int64_t) + (measure->n_groupings - 1) * sizeof(uint32_t);
}

static size_t key_bytes(const struct kpid_measure *measure)
{
    return KEY_BYTES + (has_timer(measure) ? TIMER_BYTES : 0) + item_bytes(measure) +
           (measure->keyed.aged ? measure->n_groupings * OPENING_BYTES : 0);
}

static void keys_print(const struct kpid_measure *measure)
{
    printf("    keys: at most %u a shard; about %zu bytes and the key itself for each, and %zu more %s "
           "behind the first",
           measure->keyed.max_keys, key_bytes(measure), item_bytes(measure), measure->agg->keyed->item);
    if (measure->keyed.aged)
        printf("; %zu of them an opening, for the oldest", measure->n_groupings * OPENING_BYTES);
    printf("; ");
    size_print((double)key_bytes(measure) * measure->keyed.max_keys);
    printf(" at most with one of each\n");
}

void ctl_costs_print(const struct kpid_model *model, const struct kpid_measure *measure)
{
    const struct kpid_source *source = &model->sources[measure->source];
    double back, panes = panes_of(measure, &back), cell = (double)measure->agg->cell_bytes;

    printf("    state: a cell is %zu bytes", measure->agg->cell_bytes);
    if (sketch_max(measure)) {
        printf(" and what it holds, at most ");
        size_print((double)sketch_max(measure));
    }
    printf("; at most %.0f cells a group and shard, %u groups\n", panes, source->max_groups);
    printf("    bound: a shard full of them would take ");
    size_print(panes * groups_of(model, measure) * (cell + (double)sketch_max(measure)));
    printf("; from ");
    size_print((double)source->max_state_bytes);
    printf(" of all measures on new groups go to __other__\n");
    if (back > 0)
        printf(
            "    of these cells %.0f a group and shard (%.0f bytes) are there for figures that look back\n",
            back, back * cell);
    if (measure->agg->keyed)
        keys_print(measure);
    printf("    cost: about %u ns an event that it counts%s (bench/README.md says of which machine)\n",
           (unsigned)measure->agg->event_ns, measure->keyed.aged ? ", and as much again for the oldest" : "");
}

void ctl_sketch_print(const struct kpid_model *model, const struct kpid_kpi *kpi,
                      const struct kpid_sketch *sketch)
{
    const struct kpid_window *window = &kpi->windows[sketch->window];
    double kept =
        (window->history ? window->history : 1) * (sketch->groups ? 1.0 + kpi->history_groups : 1.0);

    printf("    sketch:  PFCOUNT %s:hll:{%s}:%s:<start ms>%s (12 KiB each, ", model->settings.redis.prefix,
           model->measures[kpi->refs[sketch->ref].measure].name, window->name,
           sketch->groups ? "[:<group>]" : "");
    size_print(kept * SKETCH_BYTES);
    printf(" at most)\n");
}

/* A measure that is read twice is told once. */
static bool told_before(const struct kpid_kpi *kpi, size_t ref)
{
    for (size_t k = 0; k < ref; k++)
        if (kpi->refs[k].measure == kpi->refs[ref].measure)
            return true;
    return false;
}

void ctl_costs_json(const struct kpid_model *model, const struct kpid_kpi *kpi, struct kpid_buf *out)
{
    const char *separator = "";

    kpid_buf_add_str(out, ",\"costs\":[");
    for (size_t i = 0; i < kpi->n_refs; i++) {
        const struct kpid_measure *measure = &model->measures[kpi->refs[i].measure];
        double back;
        if (told_before(kpi, i))
            continue;
        kpid_buf_printf(out, "%s{\"measure\":", separator);
        kpid_buf_add_json(out, measure->name, strlen(measure->name));
        kpid_buf_printf(out,
                        ",\"kind\":\"%s\",\"event_ns\":%u,\"cell_bytes\":%zu,\"held_bytes_max\":%zu,"
                        "\"cells_max\":%.0f,\"groups_max\":%u",
                        measure->agg->name, (unsigned)measure->agg->event_ns, measure->agg->cell_bytes,
                        sketch_max(measure), panes_of(measure, &back),
                        model->sources[measure->source].max_groups);
        if (measure->agg->keyed)
            kpid_buf_printf(out, ",\"keys_max\":%u,\"key_bytes\":%zu,\"item_bytes\":%zu",
                            measure->keyed.max_keys, key_bytes(measure), item_bytes(measure));
        kpid_buf_add_char(out, '}');
        separator = ",";
    }
    kpid_buf_add_char(out, ']');
}
