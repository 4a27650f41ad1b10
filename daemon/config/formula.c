/* Names of formulas -> measures and parts; KPIs inlined. */
#include "formula.h"
#include "keyed.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 4096
#define DEPTH_MAX 64

struct resolver {
    struct kpid_loader *loader;
    struct kpid_formula_text *texts;
    uint32_t path[DEPTH_MAX]; /* KPIs on the way, for cycles */
    size_t depth;
};

static struct kpid_place place_of(struct resolver *r, const struct kpid_formula_text *text,
                                  const struct kpid_formula_leaf *leaf)
{
    return kpid_yaml_place_in(&r->loader->tree, text->node, leaf->at);
}

static void unknown_name(struct resolver *r, const struct kpid_formula_text *text,
                         const struct kpid_formula_leaf *leaf, const char *name)
{
    const struct kpid_model *model = r->loader->model;
    struct kpid_names names = {0};
    for (size_t i = 0; i < model->n_measures; i++)
        kpid_names_add(&names, model->measures[i].name);
    for (size_t i = 0; i < model->n_kpis; i++)
        if (kpid_model_measure_find(model, model->kpis[i].name) < 0)
            kpid_names_add(&names, model->kpis[i].name);
    kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "there is no measure or KPI `%s`", name);
    kpid_fault_advise_names(&r->loader->faults, name, "measures and KPIs", &names);
    kpid_names_release(&names);
}

/* The key that a measure needs for one of its parts to say anything, and has not; NULL: none. */
static const char *lacks_for(const struct kpid_measure *measure, int part)
{
    return measure->agg->keyed && kpid_keyed_row_of(measure)->lacks ? kpid_keyed_row_of(measure)->lacks(measure, part)
                                                                     : NULL;
}

static bool part_resolve(struct resolver *r, const struct kpid_formula_text *text,
                         struct kpid_formula_leaf *leaf, const char *part)
{
    const struct kpid_measure *measure = &r->loader->model->measures[leaf->measure];
    if (!measure->agg)
        return false; /* has its own fault */
    leaf->part = part ? kpid_keyed_part(measure, part) : 0;
    const char *lacks = leaf->part >= 0 ? lacks_for(measure, leaf->part) : NULL;
    if (lacks) {
        kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "part `%s` says nothing: measure `%s` has no `%s`",
                       part, measure->name, lacks);
        kpid_fault_advise(&r->loader->faults, "add %s: DURATION to it", lacks);
        return false;
    }
    if (leaf->part >= 0 && (!measure->agg->has_part || measure->agg->has_part(leaf->part, &measure->param)))
        return true;
    kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "measure `%s` (%s) has no part `%s`",
                   measure->name, measure->agg->name, part);
    kpid_fault_advise(&r->loader->faults, "its parts are: %s", measure->agg->part_names);
    return false;
}

static bool name_resolve(struct resolver *r, const struct kpid_formula_text *text,
                         struct kpid_formula_leaf *leaf)
{
    const struct kpid_model *model = r->loader->model;
    char *name = kpid_strndup(text->node->text + leaf->at, leaf->len);
    char *part = strchr(name, '.');
    if (part)
        *part++ = '\0';
    bool good;
    leaf->measure = kpid_model_measure_find(model, name);
    leaf->kpi = leaf->measure < 0 && !part ? kpid_model_kpi_find(model, name) : -1;
    if (leaf->measure >= 0) {
        good = part_resolve(r, text, leaf, part);
    } else if (leaf->kpi >= 0) {
        good = true;
    } else if (part && kpid_model_kpi_find(model, name) >= 0) {
        good = false;
        kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "KPI `%s` has no parts", name);
        kpid_fault_advise(&r->loader->faults, "name a measure's part, or write `%s` alone", name);
    } else {
        good = false;
        unknown_name(r, text, leaf, name);
    }
    free(name);
    return good;
}

static bool cycle_fault(struct resolver *r, const struct kpid_formula_text *text,
                        const struct kpid_formula_leaf *leaf, size_t from)
{
    struct kpid_buf path = KPID_BUF_INIT;
    for (size_t i = from; i < r->depth; i++)
        kpid_buf_printf(&path, "%s -> ", r->loader->model->kpis[r->path[i]].name);
    kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "KPIs go round in a circle: %s%s", path.data,
                   r->loader->model->kpis[leaf->kpi].name);
    kpid_fault_advise(&r->loader->faults,
                      "one of them must be made of measures alone; a measure of the same name "
                      "goes before a KPI");
    kpid_buf_release(&path);
    return false;
}

static bool text_check(struct resolver *r, uint32_t kpi);

/* The KPI behind a name, checked before this one. */
static bool kpi_check(struct resolver *r, const struct kpid_formula_text *text,
                      const struct kpid_formula_leaf *leaf)
{
    for (size_t i = 0; i < r->depth; i++)
        if (r->path[i] == (uint32_t)leaf->kpi)
            return cycle_fault(r, text, leaf, i);
    if (r->depth == DEPTH_MAX) {
        kpid_fault_add(&r->loader->faults, place_of(r, text, leaf), "KPIs of KPIs, more than %d deep",
                       DEPTH_MAX);
        kpid_fault_advise(&r->loader->faults, "make it of measures");
        return false;
    }
    return text_check(r, (uint32_t)leaf->kpi);
}

/* Resolves every name of a KPI's formula, and those of the KPIs below. */
static bool text_check(struct resolver *r, uint32_t kpi)
{
    struct kpid_formula_text *text = &r->texts[kpi];
    if (text->visit == 2 || !text->good)
        return text->good;
    text->visit = 1;
    r->path[r->depth++] = kpi;
    for (size_t i = 0; i < text->n; i++) {
        struct kpid_formula_leaf *leaf = &text->leaves[i];
        if (leaf->op != KPID_F_REF)
            continue;
        if (!name_resolve(r, text, leaf) || (leaf->kpi >= 0 && !kpi_check(r, text, leaf)))
            text->good = false;
    }
    r->depth--;
    text->visit = 2;
    return text->good;
}

/* ---- building
 * ------------------------------------------------------------------------------------------------ */

static uint16_t ref_add(struct kpid_kpi *kpi, const struct kpid_formula_text *text,
                        const struct kpid_formula_leaf *leaf, int part, struct kpid_shift shift)
{
    for (size_t i = 0; i < kpi->n_refs; i++)
        if (kpi->refs[i].measure == (uint32_t)leaf->measure && kpi->refs[i].part == part &&
            kpid_shift_equal(kpi->refs[i].shift, shift))
            return (uint16_t)i;
    kpi->refs = kpid_realloc(kpi->refs, (kpi->n_refs + 1) * sizeof *kpi->refs);
    kpi->refs[kpi->n_refs] = (struct kpid_ref){.measure = (uint32_t)leaf->measure,
                                               .part = part,
                                               .shift = shift,
                                               .name = kpid_strndup(text->node->text + leaf->at, leaf->len)};
    return (uint16_t)kpi->n_refs++;
}

static int node_add(struct kpid_kpi *kpi, struct kpid_formula_node node)
{
    if (kpi->n_formula == NODES_MAX)
        return -1;
    if ((kpi->n_formula & (kpi->n_formula - 1)) == 0)
        kpi->formula =
            kpid_realloc(kpi->formula, (kpi->n_formula ? kpi->n_formula * 2 : 1) * sizeof *kpi->formula);
    kpi->formula[kpi->n_formula] = node;
    return (int)kpi->n_formula++;
}

/* A measure's part; one that is a ratio of two others is divided here, so that both travel with the figure. */
static int emit_ref(struct resolver *r, struct kpid_kpi *kpi, const struct kpid_formula_text *text,
                    const struct kpid_formula_leaf *leaf, struct kpid_shift shift)
{
    const struct kpid_measure *measure = &r->loader->model->measures[leaf->measure];
    struct kpid_formula_node ref = {.op = KPID_F_REF, .a = -1, .b = -1}, ratio = {.op = KPID_F_DIV};
    int upper, lower;
    if (!measure->agg->ratio || !measure->agg->ratio(leaf->part, &measure->param, &upper, &lower)) {
        ref.ref = ref_add(kpi, text, leaf, leaf->part, shift);
        return node_add(kpi, ref);
    }
    ref.ref = ref_add(kpi, text, leaf, upper, shift);
    ratio.a = (int16_t)node_add(kpi, ref);
    ref.ref = ref_add(kpi, text, leaf, lower, shift);
    ratio.b = (int16_t)node_add(kpi, ref);
    return ratio.a < 0 || ratio.b < 0 ? -1 : node_add(kpi, ratio);
}

/* Writes what lies below a leaf into the KPI's formula, `shift` earlier; its index, -1: too large. */
static int emit(struct resolver *r, struct kpid_kpi *kpi, const struct kpid_formula_text *text, int index,
                struct kpid_shift shift)
{
    const struct kpid_formula_leaf *leaf = &text->leaves[index];
    if (leaf->op == KPID_F_REF && leaf->kpi >= 0) {
        const struct kpid_formula_text *other = &r->texts[leaf->kpi];
        return emit(r, kpi, other, (int)other->n - 1, shift);
    }
    if (leaf->op == KPID_LEAF_EARLIER) {
        shift.ms += leaf->shift.ms;
        shift.months += leaf->shift.months;
        return emit(r, kpi, text, leaf->a, shift);
    }
    if (leaf->op == KPID_F_REF)
        return emit_ref(r, kpi, text, leaf, shift);
    int a = leaf->a >= 0 ? emit(r, kpi, text, leaf->a, shift) : -1;
    if (leaf->a >= 0 && a < 0)
        return -1; /* at once: KPIs of KPIs could double at each level */
    int b = leaf->b >= 0 ? emit(r, kpi, text, leaf->b, shift) : -1;
    if (leaf->b >= 0 && b < 0)
        return -1;
    return node_add(kpi, (struct kpid_formula_node){
                             .op = leaf->op, .a = (int16_t)a, .b = (int16_t)b, .number = leaf->number});
}

/* The name of the measure that a formula is, whatever part of it and however early; NULL: it is more than one. */
static const struct kpid_formula_leaf *only_measure(const struct resolver *r, const struct kpid_formula_text *text)
{
    const struct kpid_formula_leaf *leaf = &text->leaves[text->n - 1];
    while (leaf->op == KPID_LEAF_EARLIER)
        leaf = &text->leaves[leaf->a];
    if (leaf->op != KPID_F_REF)
        return NULL;
    return leaf->kpi >= 0 ? only_measure(r, &r->texts[leaf->kpi]) : leaf;
}

/* Parts that are published beside a KPI that is one measure: of the track that it is. */
static void parts_add(const struct kpid_model *model, struct kpid_kpi *kpi, const struct kpid_formula_leaf *only)
{
    if (!only)
        return;
    uint32_t measure = (uint32_t)only->measure;
    const struct kpid_agg *agg = model->measures[measure].agg;
    int track = only->part - kpid_part_plain(agg, only->part);
    for (size_t i = 0; agg->published && agg->published[i]; i++) {
        const char *name = agg->published[i];
        int part = track + agg->part(name, strlen(name)), aged = agg->aged ? agg->aged(part) : -1;
        if (agg->has_part && !agg->has_part(part, &model->measures[measure].param))
            continue;
        if (lacks_for(&model->measures[measure], part))
            continue;
        if (aged >= 0 && !(model->measures[measure].keyed.aged >> aged & 1))
            continue; /* nobody asks for it, so it is not kept */
        size_t at = kpi->n_refs + kpi->n_parts++;
        kpi->refs = kpid_realloc(kpi->refs, (at + 1) * sizeof *kpi->refs);
        kpi->refs[at] = (struct kpid_ref){
            .measure = measure, .part = part, .shift = kpi->refs[0].shift, .name = kpid_strdup(name)};
    }
}

static bool has_ref(const struct kpid_kpi *kpi, int index)
{
    const struct kpid_formula_node *node = &kpi->formula[index];
    return node->op == KPID_F_REF || (node->a >= 0 && has_ref(kpi, node->a)) ||
           (node->b >= 0 && has_ref(kpi, node->b));
}

static void sources_add(const struct kpid_model *model, struct kpid_kpi *kpi)
{
    kpi->sources = kpid_zalloc(model->n_sources + 1, sizeof *kpi->sources);
    for (uint32_t source = 0; source < model->n_sources; source++)
        for (size_t i = 0; i < kpi->n_refs; i++)
            if (model->measures[kpi->refs[i].measure].source == source) {
                kpi->sources[kpi->n_sources++] = source;
                break;
            }
}

static void kpi_build(struct resolver *r, uint32_t index)
{
    const struct kpid_model *model = r->loader->model;
    struct kpid_kpi *kpi = &r->loader->model->kpis[index];
    const struct kpid_formula_text *text = &r->texts[index];
    if (emit(r, kpi, text, (int)text->n - 1, (struct kpid_shift){0}) < 0) {
        kpid_fault_add(&r->loader->faults, text->node->place, "formula: it is too long with the KPIs in it");
        kpid_fault_advise(&r->loader->faults, "make it of measures");
        return;
    }
    if (kpi->n_refs == 0) {
        kpid_fault_add(&r->loader->faults, text->node->place, "formula: it names no measure");
        kpid_fault_advise(&r->loader->faults, "a KPI needs at least one measure");
        return;
    }
    parts_add(model, kpi, only_measure(r, text));
    sources_add(model, kpi);
    const struct kpid_formula_node *root = &kpi->formula[kpi->n_formula - 1];
    if (root->op == KPID_F_DIV && has_ref(kpi, root->b)) {
        kpi->numerator = root->a;
        kpi->denominator = root->b;
    }
}

/* Which tracks of a keyed measure some KPI asks the oldest of. */
static void ages_find(const struct resolver *r, const struct kpid_formula_text *text)
{
    for (size_t i = 0; text->good && i < text->n; i++) {
        const struct kpid_formula_leaf *leaf = &text->leaves[i];
        if (leaf->op != KPID_F_REF || leaf->kpi >= 0)
            continue;
        struct kpid_measure *measure = &r->loader->model->measures[leaf->measure];
        int track = measure->agg->aged ? measure->agg->aged(leaf->part) : -1;
        if (track >= 0)
            measure->keyed.aged |= 1u << track;
    }
}

void kpid_formulas_resolve(struct kpid_loader *loader, struct kpid_formula_text *texts)
{
    struct kpid_model *model = loader->model;
    struct resolver r = {.loader = loader, .texts = texts};
    for (uint32_t i = 0; i < model->n_kpis; i++)
        text_check(&r, i);
    for (uint32_t i = 0; i < model->n_kpis; i++)
        ages_find(&r, &texts[i]);
    for (uint32_t i = 0; i < model->n_kpis; i++) {
        model->kpis[i].numerator = model->kpis[i].denominator = -1;
        if (texts[i].good && texts[i].n > 0)
            kpi_build(&r, i);
    }
}
