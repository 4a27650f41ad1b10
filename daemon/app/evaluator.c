#include "evaluator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static uint16_t grouping_of(const struct kpid_model *model, uint32_t source, const struct kpid_kpi *kpi)
{
    const struct kpid_source_plan *plan = &model->plans[source];

    for (uint16_t g = 0; g < plan->n_groupings; g++) {
        const struct kpid_grouping *grouping = &plan->groupings[g];
        bool same = grouping->n == kpi->n_by;
        for (size_t i = 0; same && i < grouping->n; i++)
            same = !strcmp(model->sources[source].fields[grouping->slots[i]].name, kpi->by[i]);
        if (same)
            return g;
    }
    return 0;
}

static size_t place_of(const struct kpid_source_plan *plan, uint32_t measure)
{
    for (size_t i = 0; i < plan->n_measures; i++)
        if (plan->measures[i] == measure)
            return i;
    assert(false && "a measure stands in its source's plan");
    return 0;
}

static void plan_kpi(struct kpid_evaluator *ev, uint32_t k)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    struct kpi_plan *plan = &ev->kpis[k];
    size_t n = kpi->n_refs + kpi->n_parts;

    plan->refs = kpid_zalloc(n + 1, sizeof(*plan->refs));
    plan->readings = kpid_zalloc(n + 1, sizeof(*plan->readings));
    plan->parts = kpid_zalloc(kpi->n_parts + 1, sizeof(*plan->parts));
    if (kpi->n_formula == 1 && ev->model->measures[kpi->refs[0].measure].agg->ranks)
        plan->ranks = kpid_zalloc(KPID_TOP_MAX, sizeof(*plan->ranks));
    plan->cells = kpid_zalloc(n + 1, sizeof(void *));
    plan->progress = kpid_zalloc(kpi->n_windows, sizeof(*plan->progress));
    for (size_t w = 0; w < kpi->n_windows; w++)
        plan->progress[w] = (struct progress){ .final_ms = KPID_NEVER, .told_ms = KPID_NEVER,
                                               .last_final_ms = KPID_NEVER, .newest_ms = KPID_NEVER,
                                               .judged_ms = KPID_NEVER };
    for (size_t i = 0; i < n; i++) {
        uint32_t measure = kpi->refs[i].measure, source = ev->model->measures[measure].source;
        size_t reader = 0;
        while (reader < i && (kpi->refs[reader].measure != measure ||
                              !kpid_shift_equal(kpi->refs[reader].shift, kpi->refs[i].shift)))
            reader++;
        plan->refs[i] = (struct ref_plan){ source, place_of(&ev->model->plans[source], measure),
                                           grouping_of(ev->model, source, kpi),
                                           reader < i ? plan->refs[reader].reader : plan->n_readers++,
                                           { 0, 0, 0 } };
    }
    bool only_earlier = true;
    for (size_t i = 0; i < n; i++)
        only_earlier = only_earlier && kpid_shift_is(kpi->refs[i].shift);
    plan->names_groups = kpid_zalloc(plan->n_readers + 1, sizeof(*plan->names_groups));
    for (size_t i = 0; i < n; i++)
        plan->names_groups[plan->refs[i].reader] = only_earlier || !kpid_shift_is(kpi->refs[i].shift);
}

struct kpid_evaluator *kpid_evaluator_new(const struct kpid_model *model, const struct kpid_sink *sink, void *ctx)
{
    struct kpid_evaluator *ev = kpid_zalloc(1, sizeof(*ev));
    size_t readers = 1;

    ev->model = model;
    ev->sink = sink;
    ev->ctx = ctx;
    ev->kpis = kpid_zalloc(model->n_kpis + 1, sizeof(*ev->kpis));
    ev->released_ms = kpid_zalloc(model->n_sources + 1, sizeof(*ev->released_ms));
    ev->wants_ms = kpid_zalloc(model->n_sources + 1, sizeof(*ev->wants_ms));
    ev->corrects = kpid_zalloc(model->n_sources + 1, sizeof(*ev->corrects));
    ev->corrected = kpid_zalloc(model->n_sources + 1, sizeof(*ev->corrected));
    for (size_t s = 0; s < model->n_sources; s++)
        ev->released_ms[s] = ev->wants_ms[s] = KPID_NEVER;
    for (uint32_t k = 0; k < model->n_kpis; k++) {
        plan_kpi(ev, k);
        if (ev->kpis[k].n_readers > readers)
            readers = ev->kpis[k].n_readers;
    }
    ev->n_gathers = readers * 2;
    ev->gathers = kpid_zalloc(ev->n_gathers, sizeof(struct kpid_gather *));
    ev->rows = kpid_zalloc(ev->n_gathers, sizeof(*ev->rows));
    for (size_t i = 0; i < ev->n_gathers; i++)
        ev->gathers[i] = kpid_gather_new();
    return ev;
}

void kpid_evaluator_free(struct kpid_evaluator *ev)
{
    if (!ev)
        return;
    for (uint32_t k = 0; k < ev->model->n_kpis; k++) {
        free(ev->kpis[k].refs);
        free(ev->kpis[k].readings);
        free(ev->kpis[k].parts);
        free(ev->kpis[k].ranks);
        free(ev->kpis[k].cells);
        for (size_t w = 0; w < ev->model->kpis[k].n_windows; w++)
            free(ev->kpis[k].progress[w].gone.at);
        kpid_sketches_release(ev, k);
        free(ev->kpis[k].names_groups);
        free(ev->kpis[k].progress);
    }
    for (size_t i = 0; i < ev->n_gathers; i++)
        kpid_gather_free(ev->gathers[i]);
    kpid_judge_release(ev);
    free(ev->kpis);
    free(ev->gathers);
    free(ev->rows);
    free(ev->revisions);
    free(ev->touched);
    free(ev->released_ms);
    free(ev->wants_ms);
    free(ev->corrects);
    free(ev->corrected);
    kpid_buf_release(&ev->key);
    kpid_buf_release(&ev->bytes);
    free(ev);
}

static struct progress *progress_named(struct kpid_evaluator *ev, const char *key, size_t key_len)
{
    for (uint32_t k = 0; k < ev->model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &ev->model->kpis[k];
        size_t len = strlen(kpi->name);
        if (key_len <= len || key[len] != ':' || memcmp(key, kpi->name, len))
            continue;
        for (size_t w = 0; w < kpi->n_windows; w++)
            if (strlen(kpi->windows[w].name) == key_len - len - 1 &&
                !memcmp(kpi->windows[w].name, key + len + 1, key_len - len - 1))
                return &ev->kpis[k].progress[w];
    }
    return NULL;
}

void kpid_evaluator_load_final(struct kpid_evaluator *ev, const char *key, size_t key_len, int64_t progress_ms,
                               int64_t told_ms)
{
    struct progress *progress = progress_named(ev, key, key_len);

    if (!progress)
        return;
    progress->final_ms = told_ms < progress_ms ? told_ms : progress_ms;
    progress->judged_ms = told_ms < progress_ms ? progress_ms : KPID_NEVER;
}

bool kpid_evaluator_telling(const struct kpid_evaluator *ev)
{
    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (size_t w = 0; w < ev->model->kpis[k].n_windows; w++)
            if (ev->kpis[k].progress[w].final_ms < ev->kpis[k].progress[w].judged_ms)
                return true;
    return false;
}

/* ---- provisional ---- */

static uint64_t version_of(const struct kpid_evaluator *ev, uint32_t k)
{
    const struct kpi_plan *plan = &ev->kpis[k];
    uint64_t version = 1;

    for (size_t i = 0; i < ev->model->kpis[k].n_refs; i++)
        for (size_t s = 0; s < ev->sources[plan->refs[i].source].n_shards; s++)
            version += kpid_shard_version(ev->sources[plan->refs[i].source].shards[s], plan->refs[i].place);
    return version;
}

static int64_t newest_of(const struct kpid_evaluator *ev, uint32_t k)
{
    int64_t lag = 0, watermark = KPID_FOREVER;

    for (size_t i = 0; i < ev->model->kpis[k].n_sources; i++) {
        const struct kpid_evaluator_source *source = &ev->sources[ev->model->kpis[k].sources[i]];
        int64_t out_of_order = ev->model->sources[ev->model->kpis[k].sources[i]].out_of_order_ms;
        int64_t own = source->lagging ? source->newest_ms : source->publish_ms;
        if (out_of_order > lag)
            lag = out_of_order;
        if (own < watermark)
            watermark = own;
    }
    return watermark == KPID_NEVER || watermark == KPID_FOREVER ? KPID_NEVER : watermark + lag;
}

static bool is_stale(const struct kpid_evaluator *ev, uint32_t k)
{
    for (size_t i = 0; i < ev->model->kpis[k].n_sources; i++)
        if (ev->sources[ev->model->kpis[k].sources[i]].stale)
            return true;
    return false;
}

static void provisional(struct kpid_evaluator *ev, uint32_t k, uint32_t w)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpid_window *window = &kpi->windows[w];
    struct progress *progress = &ev->kpis[k].progress[w];
    int64_t newest = newest_of(ev, k);
    struct occasion o = { .kpi = k, .window = w, .places = KPID_PLACE_NEWEST,
                          .stale = is_stale(ev, k) };

    if (newest == KPID_NEVER)
        return;
    switch (window->kind) {
    case KPID_WINDOW_ROLLING:
        o.boundary_ms = o.end_ms = kpid_after_multiple(newest, window->slide_ms);
        o.start_ms = o.end_ms - window->length_ms;
        break;
    case KPID_WINDOW_CALENDAR:
        o.start_ms = kpid_zone_period_start(window->zone, window->period, newest);
        o.end_ms = kpid_zone_period_next(window->zone, window->period, newest);
        o.boundary_ms = kpid_after_multiple(newest, kpi->judge_every_ms);
        if (o.boundary_ms > o.end_ms)
            o.boundary_ms = o.end_ms;
        break;
    default:
        o.start_ms = window->from_ms;
        o.boundary_ms = o.end_ms = kpid_after_multiple(newest, kpi->judge_every_ms);
        break;
    }
    uint64_t version = version_of(ev, k);
    if (o.boundary_ms < progress->newest_ms || (progress->final_ms != KPID_NEVER && o.boundary_ms <= progress->final_ms) ||
        (o.boundary_ms == progress->newest_ms && version == progress->version && o.stale == progress->stale))
        return;
    if (kpid_kpi_reach(ev, k, o.boundary_ms) < o.boundary_ms)
        return;
    progress->newest_ms = o.boundary_ms;
    progress->version = version;
    progress->stale = o.stale;
    kpid_occasion_run(ev, &o);
}

/* ---- the round ---- */

/* What becomes final here is told to readers; from this very moment events behind it are corrections. */
void kpid_evaluator_watch(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources)
{
    for (uint32_t s = 0; s < ev->model->n_sources; s++)
        for (size_t place = 0; place < ev->model->plans[s].n_measures; place++) {
            int64_t furthest = KPID_NEVER;
            for (uint32_t k = 0; k < ev->model->n_kpis; k++)
                for (size_t i = 0; i < ev->model->kpis[k].n_refs; i++)
                    for (size_t w = 0; ev->kpis[k].refs[i].source == s && ev->kpis[k].refs[i].place == place &&
                                       w < ev->model->kpis[k].n_windows; w++) {
                        const struct progress *progress = &ev->kpis[k].progress[w];
                        if (progress->final_ms > furthest)
                            furthest = progress->final_ms;
                        if (progress->judged_ms > furthest)
                            furthest = progress->judged_ms;
                    }
            for (size_t i = 0; i < sources[s].n_shards; i++)
                kpid_shard_watch(sources[s].shards[i], place, furthest);
        }
}

bool kpid_evaluator_run(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources, bool end_of_input,
                        bool with_provisional, size_t budget, int64_t now_ms)
{
    bool more = false;

    ev->round++;
    ev->sources = sources;
    ev->now_ms = now_ms;
    ev->budget = budget;
    for (uint32_t s = 0; s < ev->model->n_sources; s++)
        ev->wants_ms[s] = KPID_NEVER;
    if (ev->doubt)
        kpid_doubt_settle(ev);
    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (uint32_t w = 0; w < ev->model->kpis[k].n_windows; w++) {
            struct progress *progress = &ev->kpis[k].progress[w];
            int64_t before = progress->final_ms;
            progress->touched = false;
            progress->told_ms = before;
            more |= !kpid_finals(ev, k, w, end_of_input);
            if (progress->final_ms != before && progress->final_ms > progress->judged_ms && ev->sink->final)
                ev->sink->final(ev->ctx, k, w, progress->final_ms);
        }
    for (size_t i = 0; i < ev->n_gathers; i++)
        kpid_gather_forget(ev->gathers[i]);
    kpid_revise(ev);
    kpid_evaluator_watch(ev, sources);
    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (uint32_t w = 0; w < ev->model->kpis[k].n_windows; w++) {
            if (with_provisional && !end_of_input)
                provisional(ev, k, w);
            if (ev->kpis[k].progress[w].touched && ev->sink->meta)
                ev->sink->meta(ev->ctx, k, w, kpid_kpi_watermark(ev, k));
        }
    return more;
}

/* Up to where a measure's panes may go, for one KPI that reads it: what is final and, with several sources, what none
 * of them corrects any more, since a correction from one wants the figures of all. */
static int64_t advance_limit(const struct kpid_evaluator *ev, uint32_t k, uint32_t source,
                             const struct kpid_evaluator_source *sources)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    int64_t limit = KPID_FOREVER, own = ev->model->sources[source].allowed_lateness_ms;

    for (size_t w = 0; w < kpi->n_windows; w++)
        if (ev->kpis[k].progress[w].final_ms < limit)
            limit = ev->kpis[k].progress[w].final_ms;
    for (size_t i = 0; i < kpi->n_sources; i++) {
        int64_t released = sources[kpi->sources[i]].released_ms;
        if (released != KPID_NEVER)
            released += own - ev->model->sources[kpi->sources[i]].allowed_lateness_ms;
        if (released < limit)
            limit = released;
    }
    return limit;
}

static void advance(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources, bool told)
{
    for (uint32_t s = 0; s < ev->model->n_sources; s++) {
        size_t n = ev->model->plans[s].n_measures;
        int64_t *progress = kpid_alloc((n + 1) * sizeof(*progress)), released = sources[s].released_ms;
        for (size_t i = 0; i < n; i++)
            progress[i] = released;
        for (uint32_t k = 0; k < ev->model->n_kpis; k++) {
            int64_t limit = advance_limit(ev, k, s, sources);
            for (size_t i = 0; i < ev->model->kpis[k].n_refs; i++) {
                const struct ref_plan *ref = &ev->kpis[k].refs[i];
                if (ref->source == s && limit < progress[ref->place])
                    progress[ref->place] = limit;
            }
        }
        for (size_t i = 0; i < sources[s].n_shards; i++) {
            if (told && ev->corrects[s])
                kpid_shard_touched_clear(sources[s].shards[i]);
            kpid_shard_advance(sources[s].shards[i], progress, released);
        }
        if (told && ev->corrects[s])
            ev->corrected[s] = false;
        free(progress);
    }
}

void kpid_evaluator_advance(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources)
{
    advance(ev, sources, true);
}

void kpid_evaluator_follow(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources)
{
    advance(ev, sources, false);
}

int64_t kpid_evaluator_wants(const struct kpid_evaluator *ev, uint32_t source)
{
    return ev->wants_ms[source];
}

bool kpid_evaluator_corrects(const struct kpid_evaluator *ev, uint32_t source)
{
    return ev->corrects[source];
}

uint64_t kpid_evaluator_pending(const struct kpid_evaluator *ev, uint32_t source, int64_t watermark_ms)
{
    int64_t slide = ev->model->plans[source].tightest_slide_ms, slowest = KPID_FOREVER;

    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (size_t i = 0; i < ev->model->kpis[k].n_sources; i++)
            for (size_t w = 0; ev->model->kpis[k].sources[i] == source && w < ev->model->kpis[k].n_windows; w++) {
                int64_t final = ev->kpis[k].progress[w].final_ms;
                if (final != KPID_NEVER && final < slowest)
                    slowest = final;
            }
    if (watermark_ms == KPID_NEVER || slowest == KPID_FOREVER || slowest >= watermark_ms || slide <= 0)
        return 0;
    return (uint64_t)((watermark_ms - slowest) / slide);
}

int64_t kpid_evaluator_progress(const struct kpid_evaluator *ev, uint32_t kpi, uint32_t window)
{
    return ev->kpis[kpi].progress[window].final_ms;
}

void kpid_evaluator_peek(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources, uint32_t kpi,
                         uint32_t window, int64_t start_ms, int64_t end_ms, int64_t boundary_ms,
                         void (*visit)(void *ctx, const struct kpid_snapshot *snapshot), void *ctx)
{
    struct occasion o = { .kpi = kpi, .window = window, .start_ms = start_ms, .end_ms = end_ms,
                          .boundary_ms = boundary_ms, .final = true, .visit = visit, .visit_ctx = ctx };
    ev->sources = sources;
    kpid_occasion_run(ev, &o);
}
