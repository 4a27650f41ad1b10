/* Boundaries that have become final, in order; runs at which nothing changes are one step. */
#include "evaluator.h"

int64_t kpid_after_multiple(int64_t t_ms, int64_t step_ms)
{
    int64_t rest = t_ms % step_ms;
    return t_ms - rest - (rest < 0 ? step_ms : 0) + step_ms;
}

static int64_t at_or_before_multiple(int64_t t_ms, int64_t step_ms)
{
    return kpid_after_multiple(t_ms, step_ms) - step_ms;
}

/* The same as kpid_shard_next_change for a ref that looks back_ms further back; where that is no multiple of the step
 * its boundaries lie between ours, and the change is looked for a step too early rather than too late. */
static int64_t shard_change(const struct kpid_shard *shard, size_t place, int64_t back_ms, int64_t after_ms,
                            int64_t step_ms, int64_t length_ms)
{
    int64_t next = kpid_shard_next_change(shard, place, after_ms - back_ms, step_ms, length_ms);

    if (next == KPID_FOREVER)
        return next;
    next += back_ms;
    if (back_ms % step_ms)
        next = at_or_before_multiple(next, step_ms);
    return next > after_ms ? next : kpid_after_multiple(after_ms, step_ms);
}

/* The first boundary > after.boundary_ms at which any figure of the KPI may change. */
static int64_t next_change(const struct kpid_evaluator *ev, uint32_t k, uint32_t w, struct kpid_stretch after,
                           int64_t step_ms, int64_t length_ms)
{
    int64_t after_ms = after.boundary_ms;
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpi_plan *plan = &ev->kpis[k];
    int64_t best = kpid_target_next_change(kpi, after.start_ms, after_ms);

    if (best != KPID_FOREVER)
        best = kpid_after_multiple(best - 1, step_ms);
    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct kpid_evaluator_source *source = &ev->sources[plan->refs[i].source];
        const struct kpid_source *def = &ev->model->sources[plan->refs[i].source];
        int64_t back = kpid_ref_back(kpi, w, i, after);
        for (size_t s = 0; s < source->n_shards && best > after_ms + step_ms; s++) {
            int64_t next = shard_change(source->shards[s], plan->refs[i].place, back, after_ms, step_ms, length_ms);
            if (next < best)
                best = next;
            next = shard_change(source->shards[s], ev->model->plans[plan->refs[i].source].n_measures, back, after_ms,
                                step_ms, def->silent_after_ms);
            if (next < best)
                best = next;
            next = kpi->n_by ? kpid_shard_next_gone(source->shards[s], plan->refs[i].grouping, after_ms) : KPID_FOREVER;
            if (next != KPID_FOREVER && kpid_after_multiple(next, step_ms) < best)
                best = kpid_after_multiple(next, step_ms);
        }
    }
    return best;
}

static bool spend(struct kpid_evaluator *ev)
{
    if (!ev->budget)
        return false;
    ev->budget--;
    return true;
}

/* The first end of a whole-length window in a run, of those that are kept at all. */
static int64_t first_kept(const struct kpid_window *window, int64_t boundary_ms, int64_t last_ms)
{
    int64_t oldest = last_ms - window->length_ms * ((int64_t)window->history + 1);

    return kpid_after_multiple((oldest > boundary_ms ? oldest : boundary_ms) - 1, window->length_ms);
}

/* Rolling boundaries in (final_ms, until_ms]; false: the budget ended. */
static bool roll(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t until_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    struct progress *progress = &ev->kpis[k].progress[w];
    int64_t boundary = kpid_after_multiple(progress->final_ms, window->slide_ms);

    while (boundary <= until_ms) {
        if (!spend(ev))
            return false;
        int64_t last = at_or_before_multiple(until_ms, window->slide_ms);
        struct kpid_stretch own = { boundary - window->length_ms, boundary, boundary };
        int64_t change = next_change(ev, k, w, own, window->slide_ms, window->length_ms);
        if (change != KPID_FOREVER && change - window->slide_ms < last)
            last = change - window->slide_ms;
        bool again = boundary <= progress->judged_ms;
        if (again && last > progress->judged_ms)
            last = at_or_before_multiple(progress->judged_ms, window->slide_ms);
        /* What its panes are left of would say less than what was told. */
        bool kept = !again || kpid_window_kept(ev, k, w, boundary - window->length_ms, boundary);
        if (last < boundary || !kept)
            last = boundary;
        struct occasion o = { .kpi = k, .window = w, .start_ms = boundary - window->length_ms, .end_ms = boundary,
                              .boundary_ms = boundary, .final = true, .judge = true, .again = again, .last_ms = last,
                              .step_ms = window->slide_ms, .length_ms = window->length_ms, .until_ms = until_ms,
                              .revision = again ? kpid_revision_of(ev, k, w, boundary - window->length_ms) : 0,
                              .places = KPID_PLACE_HISTORY | (again ? KPID_PLACE_AGAIN : 0) };
        /* The latest final that readers find never goes back. */
        if (!again || last + window->slide_ms > progress->judged_ms)
            o.places |= KPID_PLACE_FINAL;
        bool whole = boundary % window->length_ms == 0;
        /* In a run the multiples of the length have windows of their own to keep. */
        ev->stats.skipped_runs += last > boundary;
        if (whole && last == boundary)
            o.places |= KPID_PLACE_WINDOW;
        if (last >= progress->newest_ms) {
            o.places |= KPID_PLACE_NEWEST;
            progress->newest_ms = last;
        }
        if (kept)
            kpid_occasion_run(ev, &o);
        if (last > boundary)
            for (int64_t end = first_kept(window, boundary, last); end <= last; end += window->length_ms) {
                struct occasion one = { .kpi = k, .window = w, .start_ms = end - window->length_ms, .end_ms = end,
                                        .boundary_ms = end, .final = true,
                                        .revision = again ? kpid_revision_of(ev, k, w, end - window->length_ms) : 0,
                                        .places = KPID_PLACE_WINDOW | (again ? KPID_PLACE_AGAIN : 0) };
                if (!again || kpid_window_kept(ev, k, w, one.start_ms, end))
                    kpid_occasion_run(ev, &one);
            }
        ev->stats.finals++;
        progress->last_final_ms = last;
        progress->final_ms = last;
        boundary = last + window->slide_ms;
    }
    progress->final_ms = until_ms;
    return true;
}

static bool has_rule(const struct kpid_kpi *kpi, uint32_t window)
{
    for (size_t r = 0; r < kpi->n_rules; r++)
        if (kpi->rules[r].window == (int)window)
            return true;
    return false;
}

/* An open window (calendar period or `all`), judged at the grid in (final_ms, until_ms]. */
static bool judge_open(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t start_ms, int64_t end_ms,
                       int64_t until_ms)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    struct progress *progress = &ev->kpis[k].progress[w];

    if (!kpi->judge_open || !has_rule(kpi, w)) {
        if (until_ms < end_ms && until_ms > progress->final_ms)
            progress->final_ms = until_ms;
        return true;
    }
    if (progress->judged_ms > progress->final_ms)
        progress->final_ms = progress->judged_ms < until_ms ? progress->judged_ms : until_ms;
    int64_t boundary = kpid_after_multiple(progress->final_ms, kpi->judge_every_ms);
    while (boundary <= until_ms && boundary < end_ms) {
        if (!spend(ev))
            return false;
        int64_t last = at_or_before_multiple(until_ms < end_ms ? until_ms : end_ms - 1, kpi->judge_every_ms);
        struct kpid_stretch own = { start_ms, end_ms, boundary };
        int64_t change = next_change(ev, k, w, own, kpi->judge_every_ms, KPID_FOREVER);
        if (change != KPID_FOREVER && change - kpi->judge_every_ms < last)
            last = change - kpi->judge_every_ms;
        if (last < boundary)
            last = boundary;
        struct occasion o = { .kpi = k, .window = w, .start_ms = start_ms, .end_ms = end_ms, .boundary_ms = boundary,
                              .final = true, .judge = true, .last_ms = last, .step_ms = kpi->judge_every_ms,
                              .length_ms = KPID_FOREVER, .until_ms = until_ms < end_ms ? until_ms : end_ms };
        kpid_occasion_run(ev, &o);
        progress->final_ms = last;
        boundary = last + kpi->judge_every_ms;
    }
    if (until_ms < end_ms && until_ms > progress->final_ms)
        progress->final_ms = until_ms;
    return true;
}

static bool calendar(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t until_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    struct progress *progress = &ev->kpis[k].progress[w];

    for (;;) {
        int64_t start = kpid_zone_period_start(window->zone, window->period, progress->final_ms);
        int64_t end = kpid_zone_period_next(window->zone, window->period, progress->final_ms);
        if (!judge_open(ev, k, w, start, end, until_ms))
            return false;
        if (end > until_ms)
            return true;
        if (!spend(ev))
            return false;
        struct occasion o = { .kpi = k, .window = w, .start_ms = start, .end_ms = end, .boundary_ms = end,
                              .final = true, .judge = true, .again = end <= progress->judged_ms, .last_ms = end,
                              .step_ms = 1,
                              .places = KPID_PLACE_HISTORY | KPID_PLACE_WINDOW };
        if (o.again) {
            o.places |= KPID_PLACE_AGAIN;
            o.revision = kpid_revision_of(ev, k, w, start);
        }
        if (!o.again || kpid_zone_period_next(window->zone, window->period, end) > progress->judged_ms)
            o.places |= KPID_PLACE_FINAL;
        if (end >= progress->newest_ms) {
            o.places |= KPID_PLACE_NEWEST;
            progress->newest_ms = end;
        }
        if (!o.again || kpid_window_kept(ev, k, w, start, end))
            kpid_occasion_run(ev, &o);
        ev->stats.finals++;
        progress->last_final_ms = progress->final_ms = end;
    }
}

static bool since_ever(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t until_ms)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpid_window *window = &kpi->windows[w];
    struct progress *progress = &ev->kpis[k].progress[w];
    int64_t boundary = at_or_before_multiple(until_ms, kpi->judge_every_ms), before = progress->final_ms;

    if (!judge_open(ev, k, w, window->from_ms, KPID_FOREVER, until_ms))
        return false;
    if (boundary <= before)
        return true;
    if (!spend(ev))
        return false;
    struct occasion o = { .kpi = k, .window = w, .start_ms = window->from_ms, .end_ms = boundary,
                          .boundary_ms = boundary, .final = true, .places = KPID_PLACE_FINAL };
    if (boundary >= progress->newest_ms) {
        o.places |= KPID_PLACE_NEWEST;
        progress->newest_ms = boundary;
    }
    kpid_occasion_run(ev, &o);
    ev->stats.finals++;
    progress->last_final_ms = boundary;
    return true;
}

/* Earliest and latest event time of the KPI's sources. */
void kpid_span_of(const struct kpid_evaluator *ev, uint32_t k, int64_t *ret_first, int64_t *ret_last)
{
    *ret_first = KPID_FOREVER;
    *ret_last = KPID_NEVER;
    for (size_t i = 0; i < ev->model->kpis[k].n_sources; i++) {
        uint32_t at = ev->model->kpis[k].sources[i];
        for (size_t s = 0; s < ev->sources[at].n_shards; s++) {
            int64_t first = kpid_shard_first(ev->sources[at].shards[s]);
            if (first != KPID_NEVER && first < *ret_first)
                *ret_first = first;
            for (uint32_t t = 0; t < ev->model->sources[at].n_topics; t++) {
                int64_t highest = kpid_shard_highest(ev->sources[at].shards[s], t);
                if (highest > *ret_last)
                    *ret_last = highest;
            }
        }
    }
}

/* Whether time alone changes figures of the KPI: sessions end, attempts mature. */
static bool goes_on(const struct kpid_model *model, const struct kpid_kpi *kpi)
{
    for (size_t i = 0; i < kpi->n_refs; i++)
        if (model->measures[kpi->refs[i].measure].agg->keyed)
            return true;
    return false;
}

/* Where the last window with anything in it ends; where time alone changes figures, `all` goes on as far as the KPI's
 * other windows. */
static int64_t input_end(const struct kpid_model *model, const struct kpid_kpi *kpi, const struct kpid_window *window,
                         int64_t last_ms)
{
    int64_t end = kpid_after_multiple(last_ms, kpi->judge_every_ms);

    switch (window->kind) {
    case KPID_WINDOW_ROLLING: return kpid_after_multiple(last_ms, window->slide_ms) + window->length_ms - window->slide_ms;
    case KPID_WINDOW_CALENDAR: return kpid_zone_period_next(window->zone, window->period, last_ms);
    default:
        for (size_t w = 0; goes_on(model, kpi) && w < kpi->n_windows; w++) {
            const struct kpid_window *other = &kpi->windows[w];
            int64_t its = other->kind == KPID_WINDOW_ALL ? end : input_end(model, kpi, other, last_ms);
            end = its > end ? its : end;
        }
        return end;
    }
}

/* Whether the window itself is all there; of an earlier one that a KPI looks back at, its figures say if it is not. */
static bool panes_kept(const struct kpid_evaluator *ev, uint32_t k, int64_t start_ms, int64_t end_ms)
{
    for (size_t i = 0; i < ev->model->kpis[k].n_refs; i++) {
        const struct ref_plan *ref = &ev->kpis[k].refs[i];
        if (!kpid_shards_keep(ev->sources[ref->source].shards, ev->sources[ref->source].n_shards, ref->place, start_ms, end_ms))
            return false;
    }
    return true;
}

/* From where boundaries become final of which nobody knows whether they did. Usually the first event; where panes were
 * released (a KPI that is new, or progress that Redis lost), the earliest from which on all is there. */
static int64_t first_final(const struct kpid_evaluator *ev, uint32_t k, const struct kpid_window *window,
                           int64_t first_ms, int64_t until_ms)
{
    int64_t step = window->slide_ms, length = window->length_ms, boundary;

    if (window->kind == KPID_WINDOW_ALL)
        return first_ms;
    if (window->kind == KPID_WINDOW_CALENDAR) {
        int64_t start = kpid_zone_period_start(window->zone, window->period, first_ms);
        while (start < until_ms) {
            int64_t end = kpid_zone_period_next(window->zone, window->period, start);
            if (panes_kept(ev, k, start, end))
                break;
            start = end;
        }
        return start > first_ms ? start : first_ms;
    }
    boundary = kpid_after_multiple(first_ms, step);
    if (boundary > until_ms || panes_kept(ev, k, boundary - length, boundary))
        return first_ms;
    for (boundary = at_or_before_multiple(until_ms, step); boundary > first_ms; boundary -= step)
        if (!panes_kept(ev, k, boundary - length, boundary))
            return boundary;
    return first_ms;
}

bool kpid_finals(struct kpid_evaluator *ev, uint32_t k, uint32_t w, bool end_of_input)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpid_window *window = &kpi->windows[w];
    struct progress *progress = &ev->kpis[k].progress[w];
    int64_t until = kpid_kpi_watermark(ev, k), first, last;

    kpid_span_of(ev, k, &first, &last);
    if (last == KPID_NEVER)
        return true;
    if (end_of_input)
        until = input_end(ev->model, kpi, window, last);
    if (until != KPID_NEVER)
        until = kpid_kpi_reach(ev, k, until);
    if (until == KPID_NEVER || (progress->final_ms != KPID_NEVER && until <= progress->final_ms))
        return true;
    if (progress->final_ms == KPID_NEVER) {
        if (first >= until)
            return true;
        progress->final_ms = first_final(ev, k, window, first, until);
    }
    switch (window->kind) {
    case KPID_WINDOW_ROLLING: return roll(ev, k, w, until);
    case KPID_WINDOW_CALENDAR: return calendar(ev, k, w, until);
    default: return since_ever(ev, k, w, until);
    }
}
