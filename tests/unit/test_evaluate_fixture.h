/*
 * A model of one KPI, made by hand, for the tests of daemon/evaluate. Formulas come in reverse Polish
 * notation: "a b / 2 *", with refs a, b, c ..., numbers, + - * /, < for min, > for max, ~ for a sign turned, | for abs. The one measure's
 * aggregation is a stand-in whose part number is the kind of figure.
 */
#ifndef TEST_EVALUATE_FIXTURE_H
#define TEST_EVALUATE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/evaluate.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct fixture {
    struct kpid_model model;
    struct kpid_kpi kpi;
    struct kpid_measure measure;
    struct kpid_agg agg;
    struct kpid_zone zone;
    struct kpid_window windows[3]; /* rolling "5m", calendar "day", "all" */
    struct kpid_ref refs[8];
    struct kpid_formula_node nodes[32];
    struct kpid_rule rules[2];
};

static inline enum kpid_figure fixture_figure(int part)
{
    return (enum kpid_figure)part;
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    kpid_zone_utc(&f->zone);
    f->agg.figure = fixture_figure;
    f->measure.agg = &f->agg;
    f->windows[0] = (struct kpid_window){.name = "5m",
                                         .kind = KPID_WINDOW_ROLLING,
                                         .length_ms = 5 * MINUTE,
                                         .slide_ms = MINUTE,
                                         .zone = &f->zone};
    f->windows[1] = (struct kpid_window){.name = "day", .kind = KPID_WINDOW_CALENDAR, .zone = &f->zone};
    f->windows[2] = (struct kpid_window){.name = "all", .kind = KPID_WINDOW_ALL, .zone = &f->zone};
    f->kpi = (struct kpid_kpi){.name = "conversion",
                               .formula = f->nodes,
                               .refs = f->refs,
                               .numerator = -1,
                               .denominator = -1,
                               .windows = f->windows,
                               .n_windows = 3,
                               .zone = &f->zone,
                               .rules = f->rules};
    f->model = (struct kpid_model){.measures = &f->measure, .n_measures = 1, .kpis = &f->kpi, .n_kpis = 1};
    f->rules[0] =
        (struct kpid_rule){.name = "warn", .fire = -0.1, .clear = -0.05, .no_data_ms = KPID_FOREVER};
    f->rules[1] =
        (struct kpid_rule){.name = "crit", .fire = -0.2, .clear = -0.15, .no_data_ms = KPID_FOREVER};
}

static inline void fixture_release(struct fixture *f)
{
    kpid_zone_release(&f->zone);
}

/* "-12.50": -1250 at scale 2. */
static inline struct kpid_decimal decimal_of(const char *text)
{
    struct kpid_decimal d = {0, 0};
    bool negative = *text == '-', point = false;
    for (text += negative; *text != '\0'; text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        d.m = d.m * 10 + (*text - '0');
        d.scale = (uint8_t)(d.scale + point);
    }
    d.m = negative ? -d.m : d.m;
    return d;
}

/* "12.50" exact, "~0.5" a double, "none", "overflow". */
static inline struct kpid_number number_of(const char *text)
{
    struct kpid_number number = {.kind = KPID_NUMBER_NONE};
    if (strcmp(text, "overflow") == 0) {
        number.kind = KPID_NUMBER_OVERFLOW;
    } else if (*text == '~') {
        number.kind = KPID_NUMBER_DOUBLE;
        number.approx = strtod(text + 1, NULL);
    } else if (strcmp(text, "none") != 0) {
        number.kind = KPID_NUMBER_EXACT;
        number.exact = decimal_of(text);
        number.approx = kpid_decimal_to_double(number.exact);
    }
    return number;
}

/* The other way round; `text` holds 64 bytes. */
static inline const char *number_text(const struct kpid_number *number, char text[64])
{
    switch (number->kind) {
    case KPID_NUMBER_NONE: return "none";
    case KPID_NUMBER_OVERFLOW: return "overflow";
    case KPID_NUMBER_EXACT: kpid_decimal_print(number->exact, text); return text;
    case KPID_NUMBER_DOUBLE: break;
    }
    snprintf(text, 64, "~%.12g", number->approx);
    return text;
}

static inline void fixture_formula(struct fixture *f, const char *rpn)
{
    char copy[256], *save = NULL;
    int stack[32], depth = 0;
    size_t n = 0;
    snprintf(copy, sizeof(copy), "%s", rpn);
    f->kpi.n_refs = 0;
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        struct kpid_formula_node node = {.a = -1, .b = -1};
        static const char words[] = "+-*/<>";
        static const uint8_t ops[] = {KPID_F_ADD, KPID_F_SUB, KPID_F_MUL, KPID_F_DIV, KPID_F_MIN, KPID_F_MAX};
        const char *op = strchr(words, word[0]);
        if (op != NULL && word[1] == '\0') {
            node.op = ops[op - words];
            node.b = (int16_t)stack[--depth];
            node.a = (int16_t)stack[--depth];
        } else if (word[0] == '~' || word[0] == '|') {
            node.op = word[0] == '~' ? KPID_F_NEG : KPID_F_ABS;
            node.a = (int16_t)stack[--depth];
        } else if (word[0] >= 'a' && word[0] <= 'h') {
            node.op = KPID_F_REF;
            node.ref = (uint16_t)(word[0] - 'a');
            if (node.ref >= f->kpi.n_refs)
                f->kpi.n_refs = node.ref + 1u;
        } else {
            node.op = KPID_F_NUMBER;
            node.number = decimal_of(word);
        }
        f->nodes[n] = node;
        stack[depth++] = (int)n++;
    }
    cr_assert_eq(depth, 1, "%s", rpn);
    f->kpi.n_formula = n;
    bool ratio = f->nodes[n - 1].op == KPID_F_DIV;
    f->kpi.numerator = ratio ? f->nodes[n - 1].a : -1;
    f->kpi.denominator = ratio ? f->nodes[n - 1].b : -1;
}

static inline struct kpid_reading reading_of(enum kpid_figure figure, const char *value, uint64_t samples,
                                             bool alive)
{
    return (struct kpid_reading){.value = number_of(value),
                                 .samples = samples,
                                 .variance = -1.0,
                                 .figure = (uint8_t)figure,
                                 .alive = alive};
}

#endif
