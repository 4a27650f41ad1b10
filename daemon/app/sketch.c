/*
 * Sketches that go out beside a window for Redis' own commands: the total's, and of the groups the largest,
 * as many as kpi:win keeps. A sketch takes 12 KiB, so the choice is made before anything is written: a heap
 * of as many groups, the least one on top. Cells and names are those of the window at work and hold until the
 * next one is gathered.
 */
#include "evaluator.h"

#include <stdlib.h>

struct pick {
    uint64_t samples;
    size_t seq;               /* in the order of groups: of equal ones the first stay */
    const char *const *group; /* NULL with `other` */
    const void *cell;
    bool other;
};

struct kpid_picks {
    struct pick *at; /* a heap */
    size_t n, cap;
};

static bool is_less(const struct pick *a, const struct pick *b)
{
    return a->samples != b->samples ? a->samples < b->samples : a->seq > b->seq;
}

static void sink_down(struct kpid_picks *picks, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < picks->n; child++)
            if (is_less(&picks->at[child], &picks->at[least]))
                least = child;
        if (least == at)
            return;
        struct pick moved = picks->at[at];
        picks->at[at] = picks->at[least];
        picks->at[least] = moved;
        at = least;
    }
}

/* True: *ret_out is none of the largest. */
static bool pick(struct kpid_picks *picks, size_t most, struct pick candidate, struct pick *ret_out)
{
    if (picks->n == most) {
        *ret_out = candidate;
        if (!most || is_less(&candidate, &picks->at[0]))
            return true;
        *ret_out = picks->at[0];
        picks->at[0] = candidate;
        sink_down(picks, 0);
        return true;
    }
    if (picks->n == picks->cap) {
        picks->cap = picks->cap ? picks->cap * 2 : 16;
        picks->at = kpid_realloc(picks->at, picks->cap * sizeof(*picks->at));
    }
    size_t at = picks->n++;
    while (at > 0 && is_less(&candidate, &picks->at[(at - 1) / 2])) {
        picks->at[at] = picks->at[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    picks->at[at] = candidate;
    return false;
}

static void tell(struct kpid_evaluator *ev, const struct occasion *o, const struct kpid_sketch *sketch,
                 const struct pick *pick, const void *cell)
{
    const struct kpid_snapshot snapshot = {.kpi = o->kpi,
                                           .window = o->window,
                                           .group = pick->group,
                                           .other = pick->other,
                                           .start_ms = o->start_ms,
                                           .end_ms = o->end_ms,
                                           .boundary_ms = o->boundary_ms,
                                           .samples = pick->samples};
    ev->sink->sketch(ev->ctx, o->kpi, sketch, &snapshot, cell);
}

/* ---- for occasion.c ---- */

static bool wants(const struct kpid_evaluator *ev, const struct occasion *o, size_t sketch)
{
    return ev->model->kpis[o->kpi].sketches[sketch].window == o->window && o->places & KPID_PLACE_WINDOW &&
           ev->sink->sketch && !o->visit;
}

void kpid_sketches_begin(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    struct kpi_plan *plan = &ev->kpis[o->kpi];

    if (kpi->n_sketches && !plan->picks)
        plan->picks = kpid_zalloc(kpi->n_sketches, sizeof(*plan->picks));
    for (size_t i = 0; i < kpi->n_sketches; i++)
        plan->picks[i].n = 0;
}

void kpid_sketches_take(struct kpid_evaluator *ev, const struct occasion *o,
                        const struct kpid_snapshot *snapshot)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    struct kpi_plan *plan = &ev->kpis[o->kpi];
    bool total = !snapshot->group && !snapshot->other;

    for (size_t i = 0; i < kpi->n_sketches; i++) {
        const void *cell = plan->cells[kpi->sketches[i].ref];
        if (!wants(ev, o, i))
            continue;
        if (total)
            ev->sink->sketch(ev->ctx, o->kpi, &kpi->sketches[i], snapshot, cell);
        struct pick candidate = {snapshot->samples, plan->progress[o->window].groups, snapshot->group, cell,
                                 snapshot->other},
                    out;
        /* Readers may have that of a group from before. */
        bool before = o->revision > 0 || o->places & KPID_PLACE_AGAIN;
        if (!total && kpi->sketches[i].groups &&
            pick(&plan->picks[i], kpi->history_groups, candidate, &out) && before)
            tell(ev, o, &kpi->sketches[i], &out, NULL);
    }
}

static int by_seq(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

void kpid_sketches_end(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];

    for (size_t i = 0; i < kpi->n_sketches; i++) {
        struct kpid_picks *picks = &ev->kpis[o->kpi].picks[i];
        if (picks->n)
            qsort(picks->at, picks->n, sizeof(*picks->at), by_seq);
        for (size_t k = 0; k < picks->n; k++)
            tell(ev, o, &kpi->sketches[i], &picks->at[k], picks->at[k].cell);
        picks->n = 0;
    }
}

void kpid_sketches_release(struct kpid_evaluator *ev, uint32_t kpi)
{
    for (size_t i = 0; ev->kpis[kpi].picks && i < ev->model->kpis[kpi].n_sketches; i++)
        free(ev->kpis[kpi].picks[i].at);
    free(ev->kpis[kpi].picks);
}
