/* Groups that are known no more: their alerts end as no_data, and their fields go. */
#include "evaluator.h"

#include <stdlib.h>
#include <string.h>

struct finder {
    struct kpid_evaluator *ev;
    const struct occasion *occasion;
    size_t reader;
    struct gone next; /* of this evaluation */
};

static bool gone_has(const struct gone *gone, uint64_t hash)
{
    size_t mask = gone->cap - 1;

    for (size_t i = hash & mask; gone->cap && gone->at[i]; i = (i + 1) & mask)
        if (gone->at[i] == hash)
            return true;
    return false;
}

static void gone_add(struct gone *gone, uint64_t hash)
{
    if (gone->n * 2 >= gone->cap) {
        struct gone old = *gone;
        *gone = (struct gone){ .cap = old.cap ? old.cap * 2 : 16 };
        gone->at = kpid_zalloc(gone->cap, sizeof(*gone->at));
        for (size_t i = 0; i < old.cap; i++)
            if (old.at[i])
                gone_add(gone, old.at[i]);
        free(old.at);
    }
    size_t at = hash & (gone->cap - 1);
    while (gone->at[at])
        at = (at + 1) & (gone->cap - 1);
    gone->at[at] = hash;
    gone->n++;
}

/* One that a reader does not have; gone if none that names groups has it. Told once, until it comes back. */
static void visit(void *ctx, const char *packed, size_t len, uint64_t hash)
{
    struct finder *f = ctx;
    struct kpid_evaluator *ev = f->ev;
    const struct kpid_kpi *kpi = &ev->model->kpis[f->occasion->kpi];
    struct kpi_plan *plan = &ev->kpis[f->occasion->kpi];
    struct kpid_unpack in;

    for (size_t r = 0; r < plan->n_readers; r++)
        if (plan->names_groups[r] && kpid_gather_has(ev->gathers[r * 2 + 1], packed, len, hash))
            return;
    hash += !hash; /* 0 is an empty place */
    if (gone_has(&f->next, hash))
        return;
    gone_add(&f->next, hash);
    if (gone_has(&plan->progress[f->occasion->window].gone, hash))
        return;
    const char **values = kpid_zalloc(kpi->n_by + 1, sizeof(*values));
    kpid_unpack_init(&in, packed, len);
    for (size_t i = 0; i < kpi->n_by; i++) {
        size_t n;
        const char *value = kpid_unpack_bytes(&in, &n);
        values[i] = kpid_strndup(value ? value : "", n);
    }
    kpid_judge_end(ev, f->occasion, values);
    for (size_t i = 0; i < kpi->n_by; i++)
        free((char *)(uintptr_t)values[i]);
    free(values);
}

void kpid_gone_find(struct kpid_evaluator *ev, const struct occasion *o)
{
    const struct kpid_kpi *kpi = &ev->model->kpis[o->kpi];
    struct kpi_plan *plan = &ev->kpis[o->kpi];
    struct progress *progress = &plan->progress[o->window];
    struct finder f = { .ev = ev, .occasion = o };

    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct kpid_evaluator_source *source = &ev->sources[plan->refs[i].source];
        if (plan->refs[i].reader < f.reader)
            continue; /* seen */
        f.reader = plan->refs[i].reader + 1;
        kpid_gather_gone(ev->gathers[plan->refs[i].reader * 2 + 1], source->shards, source->n_shards, o->boundary_ms,
                         visit, &f);
    }
    free(progress->gone.at);
    progress->gone = f.next;
    /* States that were stored for groups which no shard knows any more: a rebuilt shard, for example. */
    if (!progress->swept)
        kpid_judge_sweep(ev, o);
    progress->swept = true;
}
