/* Lists of heaviest keys: exact ones to the letter, estimates within what the manual says of them. */
#include "judge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void key_print(int64_t user, char text[32])
{
    if (user < 0)
        snprintf(text, 32, "abc");
    else
        snprintf(text, 32, "u%" PRId64, user);
}

/* The true weight of a key, 0: it has none. */
static wide weight_of(const struct naive_window *window, const struct naive_cell *cell, const char *key)
{
    char text[32];

    for (size_t i = cell->first; i < cell->end; i++) {
        key_print(window->values[i].value, text);
        if (!strcmp(text, key))
            return window->values[i].weight;
    }
    return 0;
}

static bool is_listed(const struct kpid_snapshot *s, size_t n, int64_t user)
{
    char text[32];

    key_print(user, text);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s->ranks[i].key, text))
            return true;
    return false;
}

/* The heaviest key that is not among the first n of the list, of equal ones the first by its bytes. */
static const struct naive_value *heaviest_but(const struct kpid_snapshot *s, size_t n,
                                              const struct naive_window *window,
                                              const struct naive_cell *cell)
{
    const struct naive_value *best = NULL;
    char text[32], than[32] = "";

    for (size_t i = cell->first; i < cell->end; i++) {
        const struct naive_value *v = &window->values[i];
        if (is_listed(s, n, v->value))
            continue;
        key_print(v->value, text);
        if (best && (v->weight < best->weight || (v->weight == best->weight && strcmp(text, than) > 0)))
            continue;
        best = v;
        strcpy(than, text);
    }
    return best;
}

static const char *exact_list(const struct kpid_snapshot *s, const struct naive_window *window,
                              const struct naive_cell *cell, wide unit)
{
    for (size_t i = 0; i < s->n_ranks; i++) {
        const struct naive_value *v = heaviest_but(s, i, window, cell);
        struct figure value = {FIGURE_EXACT, v->weight * unit, 0, 0};
        char text[32];
        key_print(v->value, text);
        if (strcmp(text, s->ranks[i].key) != 0)
            return "another key";
        if (!figure_fits(&value, &s->ranks[i].value))
            return "another weight";
        if (s->ranks[i].error.approx != 0)
            return "an error where there is none";
    }
    return NULL;
}

static const char *estimated_list(struct judge *judge, const struct kpid_snapshot *s,
                                  const struct naive_window *window, const struct naive_cell *cell,
                                  double unit)
{
    for (size_t i = 0; i < s->n_ranks; i++) {
        wide weight = weight_of(window, cell, s->ranks[i].key);
        double value = s->ranks[i].value.approx, truth = (double)weight * unit;
        if (weight == 0)
            return "a key without weight";
        if (i > 0 && value > s->ranks[i - 1].value.approx)
            return "a list that is out of order";
        if (value < truth * (1 - 1e-12))
            return "a weight that is too low";
        judge->listed++;
        judge->beyond += value > (truth + s->ranks[i].error.approx) * (1 + 1e-12);
    }
    double least = s->n_ranks ? s->ranks[s->n_ranks - 1].value.approx : 0;
    for (size_t i = cell->first; i < cell->end; i++) {
        const struct naive_value *v = &window->values[i];
        if (v->weight * naive_measures[window->measure].top_keys <= cell->sum * 7 ||
            (double)v->weight * unit <= least)
            continue;
        judge->heavy++;
        judge->missing += !is_listed(s, s->n_ranks, v->value);
    }
    return NULL;
}

const char *judge_ranks(struct judge *judge, const struct kpid_snapshot *s, const struct naive_window *window,
                        unsigned row)
{
    const struct naive_measure *def = &naive_measures[window->measure];
    const struct naive_cell *cell = &window->cells[row];
    size_t keys = cell->end - cell->first;
    wide unit = window->measure == REFUNDS ? 1 : 1000000; /* millionths in one of a weight */

    if (s->n_ranks != (keys < (size_t)def->top_k ? keys : (size_t)def->top_k))
        return "another number of them";
    if (keys <= (size_t)def->top_keys)
        return exact_list(s, window, cell, unit);
    return estimated_list(judge, s, window, cell, (double)unit / 1e6);
}

/* Weights are beyond their bound with a probability of 2 %, and keys missing with one of 0.1 %. */
void judge_ranks_end(struct judge *judge)
{
    if (judge->beyond > judge->listed / 50 + 20)
        judge_fault(judge, "of %" PRIu64 " listed weights %" PRIu64 " are beyond their error", judge->listed,
                    judge->beyond);
    if (judge->missing > judge->heavy / 500 + 2)
        judge_fault(judge, "of %" PRIu64 " heavy keys %" PRIu64 " are on no list", judge->heavy,
                    judge->missing);
}
