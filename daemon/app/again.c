/*
 * What was told is told again, because Redis lost it and this process still knows: states of alerts, what is final, and
 * every window that readers would find and whose panes are all kept. Nothing is judged. Shards of which Redis lost a
 * part too, and whose owner did not live, have to catch up: what is final beyond them waits for the watermark and is
 * told then, as after a restart.
 */
#include "evaluator.h"

static void tell_window(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t start_ms, int64_t end_ms,
                        unsigned places)
{
    struct occasion o = { .kpi = k, .window = w, .start_ms = start_ms, .end_ms = end_ms, .boundary_ms = end_ms,
                          .final = true, .revision = kpid_revision_of(ev, k, w, start_ms),
                          .places = places | KPID_PLACE_AGAIN };

    kpid_occasion_run(ev, &o);
}

static void rolling(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t final_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    int64_t last = kpid_after_multiple(final_ms, window->length_ms) - window->length_ms;
    int64_t newest = kpid_after_multiple(final_ms, window->slide_ms) - window->slide_ms, first = last, begin, end_of;

    kpid_span_of(ev, k, &begin, &end_of);
    for (uint32_t n = 1; n < window->history && first - window->length_ms > begin &&
                         kpid_window_kept(ev, k, w, first - 2 * window->length_ms, first - window->length_ms); n++)
        first -= window->length_ms;
    for (int64_t end = first; end <= last; end += window->length_ms)
        if (end > begin && kpid_window_kept(ev, k, w, end - window->length_ms, end))
            tell_window(ev, k, w, end - window->length_ms, end, KPID_PLACE_WINDOW | KPID_PLACE_HISTORY);
    if (kpid_window_kept(ev, k, w, newest - window->length_ms, newest))
        tell_window(ev, k, w, newest - window->length_ms, newest, KPID_PLACE_FINAL | KPID_PLACE_NEWEST);
}

static void calendar(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t final_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    int64_t last = kpid_zone_period_start(window->zone, window->period, final_ms), first = last, begin, end_of;

    kpid_span_of(ev, k, &begin, &end_of);
    for (uint32_t n = 0; n < window->history && first > begin; n++) {
        int64_t before = kpid_zone_period_start(window->zone, window->period, first - 1);
        if (!kpid_window_kept(ev, k, w, before, first))
            break;
        first = before;
    }
    while (first < last) {
        int64_t end = kpid_zone_period_next(window->zone, window->period, first);
        unsigned places = KPID_PLACE_WINDOW | KPID_PLACE_HISTORY;
        tell_window(ev, k, w, first, end, end == last ? places | KPID_PLACE_FINAL : places);
        first = end;
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Goes back to where the figures are whole. */
static void fall_back(struct kpid_evaluator *ev)
{
    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (uint32_t w = 0; w < ev->model->kpis[k].n_windows; w++) {
            struct progress *progress = &ev->kpis[k].progress[w];
            int64_t until = kpid_kpi_watermark(ev, k);
            if (progress->final_ms <= until)
                continue;
            progress->judged_ms = later(progress->judged_ms, progress->final_ms);
            progress->final_ms = progress->told_ms = progress->newest_ms = until;
        }
}

void kpid_evaluator_doubt(struct kpid_evaluator *ev)
{
    ev->doubt = true;
}

void kpid_doubt_settle(struct kpid_evaluator *ev)
{
    for (uint32_t s = 0; s < ev->model->n_sources; s++)
        if (ev->sources[s].n_shards < ev->sources[s].n_partitions)
            return; /* what they are is not known yet */
    ev->doubt = false;
    fall_back(ev);
}

/* Who has loaded what was final has not evaluated it. What fell back is told as it comes. */
static void since_ever(struct kpid_evaluator *ev, uint32_t k, uint32_t w)
{
    const struct progress *progress = &ev->kpis[k].progress[w];
    int64_t last = progress->last_final_ms, step = ev->model->kpis[k].judge_every_ms;

    if (last == KPID_NEVER)
        last = kpid_after_multiple(progress->final_ms, step) - step;
    if (last <= progress->final_ms)
        tell_window(ev, k, w, ev->model->kpis[k].windows[w].from_ms, last, KPID_PLACE_FINAL | KPID_PLACE_NEWEST);
}

void kpid_evaluator_again(struct kpid_evaluator *ev, const struct kpid_evaluator_source *sources,
                          const struct kpid_evaluator *stored)
{
    ev->sources = sources;
    ev->round++;
    if (stored) {
        kpid_alerts_again(ev, stored);
        kpid_revisions_again(ev);
    }
    fall_back(ev);
    for (uint32_t k = 0; k < ev->model->n_kpis; k++)
        for (uint32_t w = 0; w < ev->model->kpis[k].n_windows; w++) {
            const struct kpid_window *window = &ev->model->kpis[k].windows[w];
            struct progress *progress = &ev->kpis[k].progress[w];
            progress->version = 0; /* the newest is told again, too */
            int64_t judged_ms = later(progress->final_ms, progress->judged_ms);
            if (judged_ms != KPID_NEVER && ev->sink->final)
                ev->sink->final(ev->ctx, k, w, judged_ms);
            if (progress->final_ms == KPID_NEVER)
                continue;
            if (window->kind == KPID_WINDOW_ROLLING)
                rolling(ev, k, w, progress->final_ms);
            else if (window->kind == KPID_WINDOW_CALENDAR)
                calendar(ev, k, w, progress->final_ms);
            else
                since_ever(ev, k, w);
        }
}
