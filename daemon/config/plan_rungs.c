/*
 * The ladder of a measure. Rung 0 is as wide as the greatest step of which every boundary is a multiple at
 * which one of its windows may begin, end or be judged. Above it: a rung for each slide (the panes that
 * rolling windows are put together from), one for each length (whole windows, kept for late events), one for
 * each calendar period, one for each `all`. For windows 5m, 1h and day: 5 s, 1 min, 5 min, 1 h, day.
 *
 * A figure that looks back (`@`) makes panes stay: those that its window is put together from, for so much longer; of
 * a calendar window also panes of its judging step, as an open one is compared with a part of the earlier one; `all`
 * is merged so much later, as what was merged can't be told apart.
 */
#include <stdlib.h>
#include <string.h>

#include "formula.h"
#include "kpid/hash.h"
#include "plan.h"

#define DAY_MS INT64_C(86400000)

/* A window of a KPI that reads the measure. */
struct use {
    const struct kpid_window *window;
    int64_t earlier_ms; /* how far it looks back, 0: not */
    int64_t step_ms;    /* at whose multiples it is judged while it is open */
    bool odd;           /* rolling: it looks back by something else than its lengths */
};

struct ladder {
    struct kpid_model *model;
    struct kpid_measure *measure;
    struct use *uses;
    size_t n_uses;
    int64_t base_ms; /* width of rung 0 */
    bool *slide;     /* per rung: panes of rolling windows, or rung 0 */
};

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static struct use use_make(const struct kpid_kpi *kpi, const struct kpid_window *window, size_t measure)
{
    struct use use = {window, kpid_earlier_span(kpi, measure), kpi->judge_every_ms, false};
    for (size_t i = 0; window->kind == KPID_WINDOW_ROLLING && i < kpi->n_refs; i++)
        use.odd |= kpi->refs[i].measure == measure && kpi->refs[i].shift.ms % window->length_ms != 0;
    return use;
}

static void windows_collect(struct ladder *l, size_t measure)
{
    const struct kpid_model *model = l->model;
    for (size_t i = 0; i < model->n_kpis; i++) {
        const struct kpid_kpi *kpi = &model->kpis[i];
        if (!kpid_kpi_uses(kpi, measure))
            continue;
        l->uses = kpid_realloc(l->uses, (l->n_uses + kpi->n_windows + 1) * sizeof *l->uses);
        for (size_t j = 0; j < kpi->n_windows; j++) {
            const struct kpid_window *window = &kpi->windows[j];
            l->uses[l->n_uses++] = use_make(kpi, window, measure);
            if (window->kind == KPID_WINDOW_ROLLING)
                l->base_ms = gcd(l->base_ms, window->slide_ms);
            else
                l->base_ms = gcd(l->base_ms, kpi->judge_every_ms);
            if (window->kind == KPID_WINDOW_CALENDAR)
                l->base_ms = gcd(l->base_ms, kpid_zone_grain(window->zone));
            if (window->kind == KPID_WINDOW_ALL && window->from_ms != KPID_NEVER)
                l->base_ms = gcd(l->base_ms, window->from_ms);
        }
    }
    if (l->base_ms == 0)
        l->base_ms = KPID_JUDGE_MS;
}

/* What names a rung in stored state: not its parent, nor how long it is kept. */
static uint64_t rung_hash(const struct kpid_rung *rung)
{
    struct kpid_buf text = KPID_BUF_INIT;
    if (rung->kind == KPID_RUNG_FIXED)
        kpid_buf_printf(&text, "fixed %lld", (long long)rung->width_ms);
    else if (rung->kind == KPID_RUNG_CALENDAR)
        kpid_buf_printf(&text, "calendar %d %d %d %s", (int)rung->period.unit, rung->period.week_start,
                        rung->period.fiscal_month, rung->zone->name);
    else
        kpid_buf_printf(&text, "all %lld", (long long)rung->from_ms);
    uint64_t hash = kpid_hash(text.data, text.len, 0);
    kpid_buf_release(&text);
    return hash;
}

static void rung_add(struct ladder *l, struct kpid_rung rung, bool slide)
{
    struct kpid_measure *m = l->measure;
    m->rungs = kpid_realloc(m->rungs, (m->n_rungs + 1) * sizeof *m->rungs);
    l->slide = kpid_realloc(l->slide, (m->n_rungs + 1) * sizeof *l->slide);
    rung.hash = rung_hash(&rung);
    m->rungs[m->n_rungs] = rung;
    l->slide[m->n_rungs++] = slide;
}

/* ---- fixed
 * ---------------------------------------------------------------------------------------------------- */

static int width_compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Width of the panes of which a part of an earlier calendar window is made; 0: none is read. */
static int64_t part_width(const struct use *use)
{
    if (use->window->kind != KPID_WINDOW_CALENDAR || use->earlier_ms == 0)
        return 0;
    return gcd(use->step_ms, kpid_zone_grain(use->window->zone));
}

/* The widths in ascending order, each once. Returns their number. */
static size_t widths_collect(const struct ladder *l, int64_t *widths)
{
    size_t n = 0, unique = 0;
    widths[n++] = l->base_ms;
    for (size_t i = 0; i < l->n_uses; i++) {
        if (l->uses[i].window->kind == KPID_WINDOW_ROLLING) {
            widths[n++] = l->uses[i].window->slide_ms;
            widths[n++] = l->uses[i].window->length_ms;
        } else if (part_width(&l->uses[i])) {
            widths[n++] = part_width(&l->uses[i]);
        }
    }
    qsort(widths, n, sizeof *widths, width_compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || widths[i] != widths[unique - 1])
            widths[unique++] = widths[i];
    return unique;
}

static void keep_raise(int64_t *keep_ms, int64_t ms)
{
    *keep_ms = ms > *keep_ms ? ms : *keep_ms;
}

static void fixed_add(struct ladder *l, int64_t width_ms, int64_t lateness_ms)
{
    struct kpid_rung rung = {.kind = KPID_RUNG_FIXED, .width_ms = width_ms};
    int64_t earlier_ms = 0;
    bool slide = width_ms == l->base_ms;
    for (size_t i = 0; i < l->n_uses; i++) {
        const struct use *use = &l->uses[i];
        const struct kpid_window *window = use->window;
        if (part_width(use) == width_ms) {
            slide = true;
            keep_raise(&earlier_ms, kpid_window_longest(window) + use->earlier_ms + DAY_MS);
        }
        if (window->kind != KPID_WINDOW_ROLLING)
            continue;
        if (window->slide_ms == width_ms) {
            slide = true;
            keep_raise(&rung.keep_ms, window->length_ms);
            if (use->earlier_ms)
                keep_raise(&earlier_ms, window->length_ms + use->earlier_ms + (use->odd ? lateness_ms : 0));
        }
        if (window->length_ms == width_ms) {
            keep_raise(&rung.keep_ms, lateness_ms);
            if (use->earlier_ms)
                keep_raise(&earlier_ms, lateness_ms + use->earlier_ms);
        }
    }
    rung.earlier_ms = earlier_ms > rung.keep_ms ? earlier_ms - rung.keep_ms : 0;
    rung.keep_ms += rung.earlier_ms;
    rung_add(l, rung, slide);
}

/* The coarsest rung of slides that lies below and whose width divides `step`; rung 0 does always. */
static uint16_t parent_find(const struct ladder *l, int64_t step_ms)
{
    uint16_t parent = 0;
    for (uint16_t i = 1; i < l->measure->n_rungs; i++) {
        const struct kpid_rung *rung = &l->measure->rungs[i];
        if (rung->kind == KPID_RUNG_FIXED && l->slide[i] && rung->width_ms < step_ms &&
            step_ms % rung->width_ms == 0)
            parent = i;
    }
    return parent;
}

/* ---- calendar and all
 * ----------------------------------------------------------------------------------------- */

/* Settings that mean nothing to the unit are brought to one value, so that equal periods are one rung. */
static struct kpid_period period_normalise(struct kpid_period period)
{
    if (period.unit != KPID_CALENDAR_WEEK)
        period.week_start = 1;
    if (period.unit != KPID_CALENDAR_QUARTER && period.unit != KPID_CALENDAR_YEAR)
        period.fiscal_month = 1;
    return period;
}

/* The measure's rung of that kind, added if there is none; it is kept for whoever looks back furthest. */
static void rung_share(struct ladder *l, const struct kpid_rung *rung)
{
    uint64_t hash = rung_hash(rung);
    for (size_t i = 0; i < l->measure->n_rungs; i++) {
        struct kpid_rung *found = &l->measure->rungs[i];
        if (found->hash != hash)
            continue;
        keep_raise(&found->keep_ms, rung->keep_ms);
        keep_raise(&found->earlier_ms, rung->earlier_ms);
        keep_raise(&found->lag_ms, rung->lag_ms);
        return;
    }
    rung_add(l, *rung, false);
}

static void calendar_add(struct ladder *l, const struct use *use, int64_t lateness_ms)
{
    const struct kpid_window *window = use->window;
    int64_t grain = kpid_zone_grain(window->zone);
    struct kpid_rung rung = {.kind = KPID_RUNG_CALENDAR,
                             .period = period_normalise(window->period),
                             .zone = window->zone,
                             .earlier_ms = use->earlier_ms ? use->earlier_ms + DAY_MS : 0,
                             .parent = parent_find(l, grain)};
    for (uint16_t i = 1; i < l->measure->n_rungs;
         i++) /* a pane as wide as the grain itself divides it, too */
        if (l->measure->rungs[i].kind == KPID_RUNG_FIXED && l->slide[i] &&
            l->measure->rungs[i].width_ms == grain)
            rung.parent = i;
    rung.keep_ms = lateness_ms + rung.earlier_ms;
    rung_share(l, &rung);
}

static void all_add(struct ladder *l, const struct use *use)
{
    const struct kpid_window *window = use->window;
    struct kpid_rung rung = {.kind = KPID_RUNG_ALL,
                             .from_ms = window->from_ms,
                             .keep_ms = KPID_FOREVER,
                             .lag_ms = use->earlier_ms};
    for (uint16_t i = 1; i < l->measure->n_rungs; i++)
        if (l->measure->rungs[i].kind == KPID_RUNG_FIXED && l->slide[i] &&
            (window->from_ms == KPID_NEVER || window->from_ms % l->measure->rungs[i].width_ms == 0))
            rung.parent = i;
    rung_share(l, &rung);
}

void kpid_rungs_plan(struct kpid_model *model, size_t index)
{
    struct kpid_measure *measure = &model->measures[index];
    struct ladder l = {.model = model, .measure = measure};
    int64_t lateness_ms = model->sources[measure->source].allowed_lateness_ms;
    windows_collect(&l, index);
    int64_t *widths = kpid_zalloc(l.n_uses * 2 + 1, sizeof *widths);
    size_t n = widths_collect(&l, widths);
    for (size_t i = 0; i < n; i++)
        fixed_add(&l, widths[i], lateness_ms);
    for (size_t i = 1; i < n; i++)
        measure->rungs[i].parent = parent_find(&l, measure->rungs[i].width_ms);
    for (size_t i = 0; i < l.n_uses; i++)
        if (l.uses[i].window->kind == KPID_WINDOW_CALENDAR)
            calendar_add(&l, &l.uses[i], lateness_ms);
    for (size_t i = 0; i < l.n_uses; i++)
        if (l.uses[i].window->kind == KPID_WINDOW_ALL)
            all_add(&l, &l.uses[i]);
    free(widths);
    free(l.uses);
    free(l.slide);
}
