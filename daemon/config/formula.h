/*
 * Formulas of KPIs. Parsed one by one, then other KPIs are put in their place (cycles are faults) and what is
 * left names measures and their parts only.
 */
#ifndef KPID_CONFIG_FORMULA_H
#define KPID_CONFIG_FORMULA_H

#include "lexer.h"
#include "loader.h"

#define KPID_LEAF_EARLIER 255 /* `a @ shift`; is gone once the formula is built */

struct kpid_formula_leaf { /* a node of one formula, before names are resolved */
    uint8_t op;            /* enum kpid_formula_op; KPID_F_REF: a name; KPID_LEAF_EARLIER */
    int16_t a, b;
    size_t at, len; /* in the text */
    struct kpid_decimal number;
    struct kpid_shift shift; /* KPID_LEAF_EARLIER */
    int measure, part, kpi; /* what the name means; -1 = not that */
};

struct kpid_formula_text {
    const struct kpid_yaml *node;
    struct kpid_formula_leaf *leaves;
    size_t n, cap;
    bool good;
    uint8_t visit; /* 0 new, 1 on the way, 2 done */
};

/* How a figure behaves when its window grows. */
enum kpid_growth {
    KPID_GROWTH_NONE,    /* a plain number */
    KPID_GROWTH_LEVEL,   /* ratio, mean, quantile, instant: may be judged in an open window */
    KPID_GROWTH_EXTREME, /* min, max */
    KPID_GROWTH_SUM      /* counts and sums: the target belongs to a window */
};

/* Parses node's text; names stay unresolved. */
void kpid_formula_parse(struct kpid_loader *loader, const struct kpid_yaml *node,
                        struct kpid_formula_text *ret);
/* Resolves, inlines and stores the formulas of all KPIs; texts[i] belongs to KPI i. */
void kpid_formulas_resolve(struct kpid_loader *loader, struct kpid_formula_text *texts);

enum kpid_growth kpid_formula_growth(const struct kpid_model *model, const struct kpid_kpi *kpi);
/* A confidence interval is defined: a ratio of counts, a count, a mean; not of figures of different times. */
bool kpid_formula_has_interval(const struct kpid_model *model, const struct kpid_kpi *kpi);
/* The unit that follows from the formula. */
enum kpid_unit kpid_formula_unit(const struct kpid_model *model, const struct kpid_kpi *kpi);

/* Reads how long ago: a duration, or a number and a unit (`2 weeks`, `1 month`); false: it is none, or out of range. */
bool kpid_shift_read(struct kpid_lexer *lexer, struct kpid_shift *ret) KPID_MUST_CHECK;
/* What follows where the formula looks back: faults for windows that can't, and coarser steps for open calendar
 * windows, whose earlier panes are kept at that width. After the windows are loaded; `node`: the formula. */
void kpid_earlier_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *node);
/* The furthest that the KPI looks back for this measure, in ms; never too little, for months too much. 0: it does
 * not. */
int64_t kpid_earlier_span(const struct kpid_kpi *kpi, size_t measure);

#endif
