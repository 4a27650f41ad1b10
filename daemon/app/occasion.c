/* One evaluation: a KPI, a window, a boundary; the total and every group. */
#include "evaluator.h"

#include <string.h>

static const uint64_t zero_cell[64]; /* what a group that a measure does not know reads as */

struct kpid_stretch kpid_stretch_of(const struct kpid_kpi *kpi, uint32_t window, size_t ref, struct kpid_stretch of)
{
    return kpid_window_earlier(&kpi->windows[window], kpi->refs[ref].shift, of);
}

int64_t kpid_ref_back(const struct kpid_kpi *kpi, uint32_t window, size_t ref, struct kpid_stretch of)
{
    struct kpid_stretch earlier = kpid_stretch_of(kpi, window, ref, of);

    return kpi->windows[window].kind == KPID_WINDOW_CALENDAR ? of.start_ms - earlier.start_ms
                                                             : of.boundary_ms - earlier.boundary_ms;
}

/* Works out what each ref reads. */
static void place_stretches(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    struct kpid_stretch own = { o->start_ms, o->end_ms, o->boundary_ms };

    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++)
        ev->kpis[o->kpi].refs[i].stretch = kpid_stretch_of(kpi, o->window, i, own);
}

static uint32_t gather_all(struct kpid_evaluator *ev, const struct occasion *o, bool groups)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    const struct kpi_plan *plan = &ev->kpis[o->kpi];
    uint32_t reasons = 0, found;
    size_t done = 0;

    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct ref_plan *ref = &plan->refs[i];
        if (ref->reader < done)
            continue;
        done = ref->reader + 1;
        const struct kpid_evaluator_source *source = &ev->sources[ref->source];
        size_t slot = ref->reader * 2 + groups;
        if (o->length_ms)
            kpid_gather_series(ev->gathers[slot], o->step_ms, o->length_ms, o->until_ms);
        ev->rows[slot].n = kpid_gather_window(ev->gathers[slot], source->shards, source->n_shards, ref->place,
                                              groups ? ref->grouping : 0, ref->stretch.start_ms,
                                              ref->stretch.boundary_ms,
                                              &ev->rows[slot].rows, &found);
        ev->rows[slot].at = 0;
        reasons |= found | source->reasons;
        if (source->n_shards < source->n_partitions || (source->lagging && !o->final))
            reasons |= KPID_QR(SHARDS_MISSING);
    }
    return reasons;
}

static void read_ref(struct kpid_evaluator *ev, const struct occasion *o, size_t i, const void *cell)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    const struct kpid_measure *measure = &ev->model->measures[kpi->refs[i].measure];
    const struct kpid_source *source = &ev->model->sources[measure->source];
    const struct kpid_evaluator_source *shards = &ev->sources[measure->source];
    struct kpid_reading *reading = &ev->kpis[o->kpi].readings[i];
    const struct kpid_stretch *stretch = &ev->kpis[o->kpi].refs[i].stretch;
    int64_t silent = source->silent_after_ms;

    if (!cell)
        cell = zero_cell;
    ev->kpis[o->kpi].cells[i] = cell;
    if (i == 0 && ev->kpis[o->kpi].ranks)
        ev->kpis[o->kpi].n_ranks = measure->agg->ranks(cell, &measure->param, ev->kpis[o->kpi].ranks);
    reading->value = measure->agg->read(cell, kpi->refs[i].part, &measure->param);
    reading->samples = measure->agg->part_samples ? measure->agg->part_samples(cell, kpi->refs[i].part)
                                                  : measure->agg->samples(cell);
    reading->variance = measure->agg->part_variance
                            ? measure->agg->part_variance(cell, kpi->refs[i].part, &measure->param)
                        : measure->agg->variance ? measure->agg->variance(cell, &measure->param)
                                                 : -1;
    reading->figure = (uint8_t)measure->agg->figure(kpi->refs[i].part);
    switch (kpi->windows[o->window].kind) {
    case KPID_WINDOW_ALL: silent = KPID_FOREVER; break;
    case KPID_WINDOW_CALENDAR:
        if (silent < stretch->end_ms - stretch->start_ms)
            silent = stretch->end_ms - stretch->start_ms;
        break;
    default: break;
    }
    reading->alive =
        reading->samples || kpid_shards_alive(shards->shards, shards->n_shards, stretch->boundary_ms, silent);
}

static int compare_groups(const struct kpid_gather_row *a, const struct kpid_gather_row *b, size_t n_by)
{
    if (a->other != b->other)
        return a->other ? 1 : -1; /* as the gather sorts them: __other__ last */
    for (size_t i = 0; !a->other && i < n_by; i++) {
        int order = strcmp(a->group[i], b->group[i]);
        if (order)
            return order;
    }
    return 0;
}

static void finish(struct kpid_evaluator *ev, const struct occasion *o, const char *const *group, bool other,
                   uint32_t reasons)
{
    struct kpi_plan *plan = &ev->kpis[o->kpi];
    struct kpid_snapshot snapshot;
    struct kpid_instant instant = { o->start_ms, o->end_ms, o->boundary_ms, kpid_kpi_watermark(ev, o->kpi), o->final,
                                    o->revision, reasons };

    kpid_evaluate(ev->model, o->kpi, o->window, plan->readings, &instant, group, plan->parts, &snapshot);
    snapshot.other = other;
    snapshot.ranks = plan->ranks;
    snapshot.n_ranks = plan->n_ranks;
    if (o->stale && snapshot.quality == KPID_QUALITY_PROVISIONAL)
        snapshot.quality = KPID_QUALITY_STALE;
    ev->stats.evaluations++;
    plan->progress[o->window].groups++;
    if (o->visit) {
        o->visit(o->visit_ctx, &snapshot);
        return;
    }
    if (o->judge && !o->again)
        kpid_judge(ev, o, &snapshot);
    kpid_sketches_take(ev, o, &snapshot);
    if (o->places && ev->sink->snapshot) {
        if (o->judge && o->last_ms > snapshot.boundary_ms && snapshot.end_ms == snapshot.boundary_ms) {
            /* The run's last window is the one that readers find newest; its figures are the same. */
            snapshot.start_ms += o->last_ms - snapshot.boundary_ms;
            snapshot.end_ms = snapshot.boundary_ms = o->last_ms;
        }
        ev->sink->snapshot(ev->ctx, &snapshot, o->places);
    }
    plan->progress[o->window].touched = true;
}

/* The reader's row of a group, NULL: it has none. Rows are asked for in ascending order. */
static const void *row_cell(struct reader_rows *rows, const struct kpid_gather_row *group, size_t n_by)
{
    while (rows->at < rows->n && compare_groups(&rows->rows[rows->at], group, n_by) < 0)
        rows->at++;
    return rows->at < rows->n && !compare_groups(&rows->rows[rows->at], group, n_by) ? rows->rows[rows->at].cell : NULL;
}

/* The groups of all measures, in one order. What a group did earlier makes it no group of today. */
static void run_groups(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    const struct kpi_plan *plan = &ev->kpis[o->kpi];
    uint32_t reasons = gather_all(ev, o, true);

    for (;;) {
        const struct kpid_gather_row *least = NULL;
        for (size_t r = 0; r < plan->n_readers; r++) {
            struct reader_rows *rows = &ev->rows[r * 2 + 1];
            if (plan->names_groups[r] && rows->at < rows->n &&
                (!least || compare_groups(&rows->rows[rows->at], least, kpi->n_by) < 0))
                least = &rows->rows[rows->at];
        }
        if (!least)
            return;
        struct kpid_gather_row group = *least;
        for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++)
            read_ref(ev, o, i, row_cell(&ev->rows[plan->refs[i].reader * 2 + 1], &group, kpi->n_by));
        for (size_t r = 0; r < plan->n_readers; r++)
            ev->rows[r * 2 + 1].at += row_cell(&ev->rows[r * 2 + 1], &group, kpi->n_by) != NULL;
        finish(ev, o, group.group, group.other, group.other ? reasons | KPID_QR(OTHER_GROUP) : reasons);
    }
}

void kpid_occasion_run(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    const struct kpi_plan *plan = &ev->kpis[o->kpi];

    place_stretches(ev, o);
    uint32_t reasons = gather_all(ev, o, false);
    ev->kpis[o->kpi].progress[o->window].groups = 0;
    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct reader_rows *rows = &ev->rows[plan->refs[i].reader * 2];
        read_ref(ev, o, i, rows->n ? rows->rows[0].cell : NULL);
    }
    kpid_sketches_begin(ev, o);
    finish(ev, o, NULL, false, reasons);
    if (!kpi->n_by)
        return;
    run_groups(ev, o);
    kpid_sketches_end(ev, o);
    if (o->judge && !o->again)
        kpid_gone_find(ev, o);
}

int64_t kpid_kpi_watermark(const struct kpid_evaluator *ev, uint32_t kpi)
{
    int64_t lowest = KPID_FOREVER;

    for (size_t i = 0; i < ev->model->kpis[kpi].n_sources; i++) {
        int64_t watermark = ev->sources[ev->model->kpis[kpi].sources[i]].publish_ms;
        if (watermark < lowest)
            lowest = watermark;
    }
    return lowest == KPID_FOREVER ? KPID_NEVER : lowest;
}

/* Time alone changes cells of keyed measures, and in a copy only its owner lets it. */
int64_t kpid_kpi_reach(struct kpid_evaluator *ev, uint32_t k, int64_t boundary_ms)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    int64_t reach = boundary_ms;

    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct kpid_measure *measure = &ev->model->measures[kpi->refs[i].measure];
        const struct kpid_evaluator_source *source = &ev->sources[measure->source];
        if (!measure->agg->keyed)
            continue;
        if (boundary_ms > ev->wants_ms[measure->source])
            ev->wants_ms[measure->source] = boundary_ms;
        for (size_t s = 0; s < source->n_shards; s++)
            if (kpid_shard_is_copy(source->shards[s]) && kpid_shard_elapsed(source->shards[s]) < reach)
                reach = kpid_shard_elapsed(source->shards[s]);
    }
    return reach;
}
