/*
 * funnel: by step how many attempts have got so far; those whose time has run out (matured) and those that are still
 * open (a level) apart, and the time from the first step. The rules are in funnel_rules.c. They hand in
 *   DURATION  part = step, value = time since the first step (of the first step 0)
 *   LEVEL     value = steps, as bits
 *   COUNT     value = steps that an attempt had reached when its time ran out
 * A cell is a pointer to as many steps as the measure has; the durations of a step stand apart, since most panes of a
 * busy funnel see no conversion.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agg_durations.h"

struct step {
    int64_t matured, reached;
    int64_t open;                   /* steps of a level */
    struct kpid_durations *time;    /* NULL: none; of the first step always */
};

struct block {
    size_t n;
    struct step steps[];
};

struct funnel_cell {
    struct block *block; /* NULL: all is 0 */
};

/* A part is its kind * 16 + its step, and a figure of a time is (step + 1) * 4096 + its number. Of rates and times step
 * 0 means the last: the first has neither. */
enum { TIME = 4096 };
enum { KIND_RATE, KIND_STEP, KIND_PASS, KIND_REACHED, KIND_PROVISIONAL, KIND_PROVISIONAL_RATE, KIND_N };

static const char *const kinds[KIND_N] = {
    [KIND_RATE] = "rate",       [KIND_STEP] = "step",
    [KIND_PASS] = "pass",       [KIND_REACHED] = "reached",
    [KIND_PROVISIONAL] = "provisional", [KIND_PROVISIONAL_RATE] = "provisional_rate",
};

static const struct kpid_part_name time_parts[] = {{"mean", KPID_DURATION_MEAN},
                                                   {"min", KPID_DURATION_MIN},
                                                   {"max", KPID_DURATION_MAX},
                                                   {"sum", KPID_DURATION_SUM},
                                                   {NULL, -1}};

static const char *const published[] = {
    "step1", "step2", "step3", "step4", "step5", "step6", "step7", "step8", "step9", "step10", "step11", "step12",
    "rate2", "rate3", "rate4", "rate5", "rate6", "rate7", "rate8", "rate9", "rate10", "rate11", "rate12",
    "provisional1", "provisional2", "provisional3", "provisional4", "provisional5", "provisional6", "provisional7",
    "provisional8", "provisional9", "provisional10", "provisional11", "provisional12",
    "provisional_rate", "mean", "p50", "p90", "p99", NULL};

/* ---- cells ---- */

static struct block *block_of(struct funnel_cell *c, size_t n)
{
    if (!c->block) {
        c->block = kpid_zalloc(1, sizeof(*c->block) + n * sizeof(struct step));
        c->block->n = n;
    }
    return c->block;
}

static struct kpid_durations *time_of(struct step *step)
{
    if (!step->time)
        step->time = kpid_zalloc(1, sizeof(*step->time));
    return step->time;
}

static void funnel_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct block *b = block_of(cell, param->n_steps);

    assert(sample->kind != KPID_SAMPLE_EVENT && sample->part < b->n);
    switch (sample->kind) {
    case KPID_SAMPLE_COUNT:
    case KPID_SAMPLE_LEVEL:
        for (size_t i = 0; i < b->n; i++)
            if ((int64_t)sample->value >> i & 1)
                *(sample->kind == KPID_SAMPLE_COUNT ? &b->steps[i].matured : &b->steps[i].open) += sample->weight;
        break;
    case KPID_SAMPLE_DURATION: b->steps[sample->part].reached += sample->weight; /* fall through */
    default:
        if (sample->part > 0)
            kpid_durations_add(time_of(&b->steps[sample->part]), sample, param);
    }
}

static void funnel_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    const struct block *b = ((const struct funnel_cell *)from)->block;
    (void)param;
    if (!b)
        return;
    struct block *a = block_of(into, b->n);
    for (size_t i = 0; i < b->n; i++) {
        a->steps[i].matured += b->steps[i].matured;
        a->steps[i].reached += b->steps[i].reached;
        if (b->steps[i].time)
            kpid_durations_merge(time_of(&a->steps[i]), b->steps[i].time);
    }
}

static void funnel_merge_level(void *into, const void *from)
{
    const struct block *b = ((const struct funnel_cell *)from)->block;
    if (!b)
        return;
    struct block *a = block_of(into, b->n);
    for (size_t i = 0; i < b->n; i++)
        a->steps[i].open += b->steps[i].open;
}

static bool funnel_stale(const void *cell)
{
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    for (size_t i = 0; b && i < b->n; i++)
        if (b->steps[i].time && b->steps[i].time->stale)
            return true;
    return false;
}

/* Those of all steps: what still stands is handed in for all of them. */
static void funnel_narrow(void *cell)
{
    struct block *b = ((struct funnel_cell *)cell)->block;
    for (size_t i = 0; b && i < b->n; i++)
        if (b->steps[i].time)
            kpid_durations_narrow(b->steps[i].time);
}

static void funnel_release(void *cell)
{
    struct funnel_cell *c = cell;
    for (size_t i = 0; c->block && i < c->block->n; i++)
        if (c->block->steps[i].time) {
            kpid_durations_release(c->block->steps[i].time);
            free(c->block->steps[i].time);
        }
    free(c->block);
    c->block = NULL;
}

static size_t funnel_heap_bytes(const void *cell)
{
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    size_t bytes = b ? sizeof(*b) + b->n * sizeof(struct step) : 0;
    for (size_t i = 0; b && i < b->n; i++)
        if (b->steps[i].time)
            bytes += sizeof(struct kpid_durations) + kpid_quantile_bytes(&b->steps[i].time->sketch);
    return bytes;
}

static size_t funnel_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)tracks;
    return sizeof(struct block) + param->n_steps * sizeof(struct step) +
           (param->n_steps - 1u) * (sizeof(struct kpid_durations) + KPID_QUANTILE_BYTES_MAX);
}

/* As many steps as anything stands in: what was taken back leaves no trace. */
static size_t steps_in_use(const struct block *b)
{
    size_t n = b ? b->n : 0;
    while (n > 0 && !b->steps[n - 1].matured && !b->steps[n - 1].reached && !b->steps[n - 1].open)
        n--;
    return n;
}

static void funnel_pack(const void *cell, struct kpid_buf *out)
{
    static const struct kpid_durations none;
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    size_t n = steps_in_use(b);

    kpid_pack_u64(out, n);
    if (n > 0)
        kpid_pack_u64(out, b->n);
    for (size_t i = 0; i < n; i++) {
        kpid_pack_i64(out, b->steps[i].matured);
        kpid_pack_i64(out, b->steps[i].reached);
        kpid_pack_i64(out, b->steps[i].open);
        kpid_durations_pack(b->steps[i].time ? b->steps[i].time : &none, out);
    }
}

static bool funnel_unpack(void *cell, struct kpid_unpack *in)
{
    uint64_t used = kpid_unpack_u64(in), n = used ? kpid_unpack_u64(in) : 0;

    if (in->bad || used > n || n > KPID_WORDS_MAX)
        return false;
    for (size_t i = 0; i < used; i++) {
        struct step *step = &block_of(cell, n)->steps[i];
        step->matured = kpid_unpack_i64(in);
        step->reached = kpid_unpack_i64(in);
        step->open = kpid_unpack_i64(in);
        struct kpid_durations time = {0};
        if (!kpid_durations_unpack(&time, in)) {
            kpid_durations_release(&time);
            return false;
        }
        if (time.n)
            *time_of(step) = time;
    }
    return !in->bad;
}

/* ---- parts ---- */

/* The number at the end of a name, 1 .. KPID_WORDS_MAX; 0: it is none. */
static unsigned step_parse(const char *text, size_t len)
{
    unsigned n = 0;
    if (len < 1 || len > 2 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    return n <= KPID_WORDS_MAX ? n : 0;
}

/* time2.p90, or p90 of the last step. */
static int time_parse(const char *name, size_t len)
{
    unsigned step = 1;
    const char *point = len > 5 && memcmp(name, "time", 4) == 0 ? memchr(name, '.', len) : NULL;
    if (point) {
        step = step_parse(name + 4, (size_t)(point - name) - 4);
        len -= (size_t)(point + 1 - name);
        name = point + 1;
        if (step < 2)
            return -1;
    }
    int part = kpid_part_find(time_parts, true, name, len);
    return part < 0 ? -1 : (int)step * TIME + part;
}

static int funnel_part(const char *name, size_t len)
{
    if (len == 0)
        return KIND_RATE * 16;
    for (int kind = 0; kind < KIND_N; kind++) {
        size_t at = strlen(kinds[kind]);
        if (len < at || memcmp(kinds[kind], name, at) != 0)
            continue;
        if (len == at && (kind == KIND_RATE || kind == KIND_PROVISIONAL_RATE))
            return kind * 16;
        unsigned step = step_parse(name + at, len - at);
        if (step > (kind == KIND_STEP || kind == KIND_REACHED || kind == KIND_PROVISIONAL ? 0u : 1u))
            return kind * 16 + (int)step - 1;
    }
    return time_parse(name, len);
}

static bool is_rate(int part)
{
    int kind = part / 16;
    return part < TIME && (kind == KIND_RATE || kind == KIND_PASS || kind == KIND_PROVISIONAL_RATE);
}

/* The step that a part is of, from 0, of n. */
static size_t step_of(int part, size_t n)
{
    size_t step = (size_t)(part >= TIME ? part / TIME - 1 : part % 16);
    return step == 0 && (part >= TIME || is_rate(part)) ? n - 1 : step;
}

static bool funnel_has_part(int part, const struct kpid_agg_param *param)
{
    return step_of(part, param->n_steps) < param->n_steps;
}

static bool funnel_ratio(int part, const struct kpid_agg_param *param, int *ret_a, int *ret_b)
{
    int step = (int)step_of(part, param->n_steps), kind = part / 16;
    if (!is_rate(part))
        return false;
    int of = kind == KIND_PROVISIONAL_RATE ? KIND_PROVISIONAL : KIND_STEP;
    *ret_a = of * 16 + step;
    *ret_b = of * 16 + (kind == KIND_PASS ? step - 1 : 0);
    return true;
}

static enum kpid_figure funnel_figure(int part)
{
    if (part >= TIME)
        return part % TIME == KPID_DURATION_SUM ? KPID_FIGURE_SUM : KPID_FIGURE_OTHER;
    switch (part / 16) {
    case KIND_STEP:
    case KIND_REACHED: return KPID_FIGURE_COUNT;
    case KIND_PROVISIONAL: return KPID_FIGURE_INSTANT;
    default: return KPID_FIGURE_OTHER;
    }
}

static struct kpid_number time_read(const struct step *step, int figure, const struct kpid_agg_param *param)
{
    static const struct kpid_durations none;
    return kpid_durations_read(step && step->time ? step->time : &none, figure, param);
}

static struct kpid_number funnel_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    size_t i = step_of(part, param->n_steps);
    const struct step *step = b ? &b->steps[i] : NULL;
    int upper, lower;

    if (part >= TIME)
        return time_read(step, part % TIME, param);
    if (funnel_ratio(part, param, &upper, &lower)) {
        struct kpid_number x = funnel_read(cell, upper, param), y = funnel_read(cell, lower, param);
        return kpid_part_share((int64_t)x.exact.m, (int64_t)y.exact.m);
    }
    switch (part / 16) {
    case KIND_STEP: return kpid_part_level(step ? step->matured : 0);
    case KIND_REACHED: return kpid_part_level(step ? step->reached : 0);
    default: return kpid_part_level(step ? step->open : 0);
    }
}

static uint64_t funnel_samples(const void *cell)
{
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    return b && b->steps[0].matured > 0 ? (uint64_t)b->steps[0].matured : 0;
}

/* Of times those of that step, of what is open all that is; else all that have matured. */
static uint64_t funnel_part_samples(const void *cell, int part)
{
    const struct block *b = ((const struct funnel_cell *)cell)->block;
    int kind = part >= TIME ? KIND_N : part / 16;
    if (!b)
        return 0;
    size_t step = step_of(part, b->n);
    int64_t n = kind == KIND_N || kind == KIND_REACHED ? b->steps[step].reached
                : kind == KIND_PROVISIONAL || kind == KIND_PROVISIONAL_RATE ? b->steps[0].open
                                                                              : b->steps[0].matured;
    return n > 0 ? (uint64_t)n : 0;
}

const struct kpid_agg kpid_agg_funnel = {
    .name = "funnel",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct funnel_cell),
    .event_ns = 410,
    .levels = true,
    .keyed = &kpid_keyed_funnel,
    .add = funnel_add,
    .merge = funnel_merge,
    .merge_level = funnel_merge_level,
    .stale = funnel_stale,
    .narrow = funnel_narrow,
    .release = funnel_release,
    .heap_bytes = funnel_heap_bytes,
    .heap_max = funnel_heap_max,
    .pack = funnel_pack,
    .unpack = funnel_unpack,
    .part = funnel_part,
    .has_part = funnel_has_part,
    .part_names = "rate, rate2 .., pass2 .., step1 .., reached1 .., provisional1 .., provisional_rate, "
                  "provisional_rate2 .., mean, min, max, sum, pNN, time2.mean .., time2.pNN ..",
    .ratio = funnel_ratio,
    .figure = funnel_figure,
    .read = funnel_read,
    .samples = funnel_samples,
    .part_samples = funnel_part_samples,
    .published = published,
};
