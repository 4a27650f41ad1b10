/*
 * Windows that late events corrected after they were final. Each gets the next revision number, which is kept with the
 * alert states under "~<KPI>|<window>|<start>" as long as the window can be corrected. An event corrects the window
 * that it lies in, and those whose figures look back at that one (`revenue @ 1w`).
 */
#include "evaluator.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct revision *x = a, *y = b;

    if (x->kpi != y->kpi)
        return x->kpi < y->kpi ? -1 : 1;
    if (x->window != y->window)
        return x->window < y->window ? -1 : 1;
    return x->start_ms < y->start_ms ? -1 : x->start_ms > y->start_ms;
}

static struct revision *push(struct revision **list, size_t *n, size_t *cap)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *list = kpid_realloc(*list, *cap * sizeof(**list));
    }
    return &(*list)[(*n)++];
}

/* ---- numbers ---- */

static void make_key(struct kpid_evaluator *ev, const struct revision *revision)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[revision->kpi];

    kpid_buf_clear(&ev->key);
    kpid_buf_printf(&ev->key, "~%s|%s|%lld", kpi->name, kpi->windows[revision->window].name,
                    (long long)revision->start_ms);
}

void kpid_revision_load(struct kpid_evaluator *ev, const char *key, size_t len, const void *bytes, size_t n)
{
    const char *first = memchr(key, '|', len);
    const char *second = first ? memchr(first + 1, '|', (size_t)(key + len - first - 1)) : NULL;
    struct kpid_unpack in;

    kpid_unpack_init(&in, bytes, n);
    struct revision found = { .number = (uint32_t)kpid_unpack_u64(&in) };
    found.end_ms = kpid_unpack_i64(&in);
    if (!second || in.bad)
        return;
    char *copy = kpid_strndup(key, len);
    copy[first - key] = copy[second - key] = '\0';
    int kpi = kpid_model_kpi_find(ev->model, copy + 1);
    found.start_ms = strtoll(copy + (second - key) + 1, NULL, 10);
    for (size_t w = 0; kpi >= 0 && w < ev->model->kpis[kpi].n_windows; w++)
        if (!strcmp(ev->model->kpis[kpi].windows[w].name, copy + (first - key) + 1)) {
            found.kpi = (uint32_t)kpi;
            found.window = (uint32_t)w;
            *push(&ev->revisions, &ev->n_revisions, &ev->cap_revisions) = found;
            qsort(ev->revisions, ev->n_revisions, sizeof(found), compare);
            break;
        }
    free(copy);
}

static void store_number(struct kpid_evaluator *ev, const struct revision *revision)
{
    make_key(ev, revision);
    kpid_buf_clear(&ev->bytes);
    kpid_pack_u64(&ev->bytes, revision->number);
    kpid_pack_i64(&ev->bytes, revision->end_ms);
    if (ev->sink->state)
        ev->sink->state(ev->ctx, ev->key.data, ev->key.len, ev->bytes.data, ev->bytes.len);
}

void kpid_revisions_again(struct kpid_evaluator *ev)
{
    for (size_t i = 0; i < ev->n_revisions; i++)
        store_number(ev, &ev->revisions[i]);
}

uint32_t kpid_revision_of(const struct kpid_evaluator *ev, uint32_t kpi, uint32_t window, int64_t start_ms)
{
    const struct revision wanted = { .kpi = kpi, .window = window, .start_ms = start_ms };
    const struct revision *found =
        ev->n_revisions ? bsearch(&wanted, ev->revisions, ev->n_revisions, sizeof(wanted), compare) : NULL;

    return found ? found->number : 0;
}

/* Gives each touched window its next number and writes it down. Both lists are sorted: one pass. */
static void number_all(struct kpid_evaluator *ev)
{
    size_t n_old = ev->n_revisions, at = 0;

    for (size_t i = 0; i < ev->n_touched; i++) {
        struct revision *touched = &ev->touched[i];
        while (at < n_old && compare(&ev->revisions[at], touched) < 0)
            at++;
        if (at < n_old && !compare(&ev->revisions[at], touched)) {
            touched->number = ++ev->revisions[at].number;
        } else {
            touched->number = 1;
            *push(&ev->revisions, &ev->n_revisions, &ev->cap_revisions) = *touched;
        }
        store_number(ev, touched);
    }
    if (ev->n_revisions != n_old)
        qsort(ev->revisions, ev->n_revisions, sizeof(*ev->revisions), compare);
}

/* Whether, at the end of the last round, some source of the window's KPI could still correct it. */
static bool is_open(const struct kpid_evaluator *ev, const struct revision *r)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[r->kpi];

    for (size_t s = 0; s < kpi->n_sources; s++) {
        int64_t released = ev->released_ms[kpi->sources[s]];
        if (released == KPID_NEVER || r->end_ms + ev->model->sources[kpi->sources[s]].allowed_lateness_ms > released)
            return true;
    }
    return false;
}

/* Numbers of windows that nothing can correct any more. */
static void forget(struct kpid_evaluator *ev)
{
    size_t kept = 0;

    for (size_t s = 0; s < ev->model->n_sources; s++)
        ev->released_ms[s] = ev->sources[s].released_ms;
    for (size_t i = 0; i < ev->n_revisions; i++) {
        if (is_open(ev, &ev->revisions[i])) {
            ev->revisions[kept++] = ev->revisions[i];
            continue;
        }
        make_key(ev, &ev->revisions[i]);
        if (ev->sink->state_delete)
            ev->sink->state_delete(ev->ctx, ev->key.data, ev->key.len);
    }
    ev->n_revisions = kept;
}

/* ---- which windows ---- */

struct finder {
    struct kpid_evaluator *ev;
    uint32_t source;
};

static void add_touched(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t start_ms, int64_t end_ms)
{
    if (end_ms > ev->kpis[k].progress[w].told_ms)
        return; /* what became final in this round has it already */
    *push(&ev->touched, &ev->n_touched, &ev->cap_touched) =
        (struct revision){ .kpi = k, .window = w, .start_ms = start_ms, .end_ms = end_ms };
}

/* The rolling windows of those kept that look `back_ms` back at a pane of the rung. */
static void add_rolling(struct kpid_evaluator *ev, uint32_t k, uint32_t w, const struct kpid_rung *rung,
                        int64_t pane_start_ms, int64_t back_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    int64_t length = window->length_ms, width = back_ms % length ? window->slide_ms : length;

    if (rung->kind != KPID_RUNG_FIXED || rung->width_ms != width)
        return;
    int64_t end = kpid_after_multiple(pane_start_ms + back_ms, length);
    add_touched(ev, k, w, end - length, end);
}

/* The calendar windows that look back at the period which begins at start_ms. The first and last day of a month that
 * is shorter than others may be looked at by several. */
static void add_calendar(struct kpid_evaluator *ev, uint32_t k, uint32_t w, struct kpid_shift shift, int64_t start_ms)
{
    const int64_t day_ms = 86400000;
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    int64_t least = start_ms + shift.ms + shift.months * 28 * day_ms - 2 * day_ms;
    int64_t most = start_ms + shift.ms + shift.months * 31 * day_ms + 4 * day_ms;
    int64_t start = kpid_zone_period_start(window->zone, window->period, least);

    while (start <= most) {
        int64_t end = kpid_zone_period_next(window->zone, window->period, start);
        struct kpid_stretch own = { start, end, end };
        if (kpid_window_earlier(window, shift, own).start_ms == start_ms)
            add_touched(ev, k, w, start, end);
        start = end;
    }
}

static bool same_window(const struct kpid_window *window, const struct kpid_rung *rung)
{
    if (window->kind == KPID_WINDOW_ROLLING)
        return rung->kind == KPID_RUNG_FIXED && rung->width_ms == window->length_ms;
    return window->kind == KPID_WINDOW_CALENDAR && rung->kind == KPID_RUNG_CALENDAR && rung->zone == window->zone &&
           !memcmp(&rung->period, &window->period, sizeof(rung->period));
}

/* Levels: every window that ends behind the touched instant. */
static void add_from(struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t from_ms)
{
    const struct kpid_window *window = &ev->model->kpis[k].windows[w];
    int64_t until = ev->kpis[k].progress[w].told_ms;

    if (window->kind == KPID_WINDOW_ROLLING) {
        for (int64_t end = kpid_after_multiple(from_ms, window->length_ms); end <= until; end += window->length_ms)
            add_touched(ev, k, w, end - window->length_ms, end);
    } else if (window->kind == KPID_WINDOW_CALENDAR) {
        int64_t start = kpid_zone_period_start(window->zone, window->period, from_ms);
        for (;;) {
            int64_t end = kpid_zone_period_next(window->zone, window->period, start);
            if (end > until)
                break;
            add_touched(ev, k, w, start, end);
            start = end;
        }
    }
}

/* What a touched pane of a ref's measure means to one window of its KPI. */
static void ref_touched(struct kpid_evaluator *ev, uint32_t k, uint32_t w, size_t i, uint16_t rung, int64_t start_ms,
                        int64_t end_ms)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpid_window *window = &kpi->windows[w];
    const struct kpid_measure *measure = &ev->model->measures[kpi->refs[i].measure];
    struct kpid_shift shift = kpi->refs[i].shift;

    if (rung == UINT16_MAX)
        add_from(ev, k, w, start_ms + (window->kind == KPID_WINDOW_ROLLING ? shift.ms : 0));
    else if (!kpid_shift_is(shift) && same_window(window, &measure->rungs[rung]))
        add_touched(ev, k, w, start_ms, end_ms);
    else if (kpid_shift_is(shift) && window->kind == KPID_WINDOW_ROLLING)
        add_rolling(ev, k, w, &measure->rungs[rung], start_ms, shift.ms);
    else if (kpid_shift_is(shift) && same_window(window, &measure->rungs[rung]))
        add_calendar(ev, k, w, shift, start_ms);
}

static void touched(void *ctx, size_t place, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    struct finder *f = ctx;
    struct kpid_evaluator *ev = f->ev;
    const struct kpid_model *model = ev->model;

    for (uint32_t k = 0; k < model->n_kpis; k++) {
        const struct kpi_plan *plan = &ev->kpis[k];
        for (size_t i = 0; i < model->kpis[k].n_refs; i++)
            for (uint32_t w = 0; plan->refs[i].source == f->source && plan->refs[i].place == place &&
                                 w < model->kpis[k].n_windows; w++)
                ref_touched(ev, k, w, i, rung, start_ms, end_ms);
    }
}

bool kpid_window_kept(const struct kpid_evaluator *ev, uint32_t k, uint32_t w, int64_t start_ms, int64_t end_ms)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[k];
    const struct kpi_plan *plan = &ev->kpis[k];

    for (size_t i = 0; i < kpi->n_refs; i++) {
        const struct kpid_evaluator_source *source = &ev->sources[plan->refs[i].source];
        struct kpid_stretch read = kpid_stretch_of(kpi, w, i, (struct kpid_stretch){ start_ms, end_ms, end_ms });
        if (!kpid_shards_keep(source->shards, source->n_shards, plan->refs[i].place, read.start_ms, read.boundary_ms))
            return false;
    }
    return true;
}

/* A correction by a clock with `negative: keep` can reach behind what is kept. Such a window stays as it was told: what
 * is left of its panes would say less. */
static bool is_kept(const struct kpid_evaluator *ev, const struct revision *r)
{
    if (!is_open(ev, r))
        return false;
    return kpid_window_kept(ev, r->kpi, r->window, r->start_ms, r->end_ms);
}

/* What is counted again passes through windows that are final: until it has come to its end they stay as they are. */
static bool is_rebuilding(const struct kpid_evaluator_source *source)
{
    for (size_t i = 0; i < source->n_shards; i++)
        if (kpid_shard_rebuilding(source->shards[i]))
            return true;
    return false;
}

/* A correction is told from all shards: until those that are missing are back, it waits. */
static bool is_whole(const struct kpid_evaluator *ev, uint32_t source)
{
    for (uint32_t k = 0; k < ev->model->n_kpis; k++) {
        const struct kpid_kpi *kpi = &ev->model->kpis[k];
        bool reads = false, whole = true;
        for (size_t i = 0; i < kpi->n_sources; i++) {
            const struct kpid_evaluator_source *of = &ev->sources[kpi->sources[i]];
            reads = reads || kpi->sources[i] == source;
            whole = whole && of->n_shards >= of->n_partitions;
        }
        if (reads && !whole)
            return false;
    }
    return true;
}

void kpid_revise(struct kpid_evaluator *ev)
{
    ev->n_touched = 0;
    for (uint32_t s = 0; s < ev->model->n_sources; s++) {
        ev->corrects[s] = !is_rebuilding(&ev->sources[s]) && is_whole(ev, s);
        if (!ev->corrects[s])
            continue;
        struct finder finder = { ev, s };
        for (size_t i = 0; i < ev->sources[s].n_shards; i++)
            kpid_shard_touched(ev->sources[s].shards[i], !ev->corrected[s], touched, &finder);
        ev->corrected[s] = true;
    }
    if (!ev->n_touched) {
        forget(ev);
        return;
    }
    qsort(ev->touched, ev->n_touched, sizeof(*ev->touched), compare);
    size_t kept = 0;
    for (size_t i = 0; i < ev->n_touched; i++)
        if ((!kept || compare(&ev->touched[kept - 1], &ev->touched[i])) && is_kept(ev, &ev->touched[i]))
            ev->touched[kept++] = ev->touched[i];
    ev->n_touched = kept;
    number_all(ev);
    for (size_t i = 0; i < ev->n_touched; i++) {
        const struct revision *r = &ev->touched[i];
        struct occasion o = { .kpi = r->kpi, .window = r->window, .start_ms = r->start_ms, .end_ms = r->end_ms,
                              .boundary_ms = r->end_ms, .final = true, .revision = r->number,
                              .places = KPID_PLACE_WINDOW | KPID_PLACE_HISTORY };
        if (r->end_ms == ev->kpis[r->kpi].progress[r->window].last_final_ms)
            o.places |= KPID_PLACE_FINAL;
        kpid_occasion_run(ev, &o);
        ev->stats.revisions++;
    }
    forget(ev);
}
