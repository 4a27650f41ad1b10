/* retention: how many began; by day after it how many were in the cohort and how many returned, once that day is over
 * (matured), and as levels while it runs. The rules are in retention_rules.c. A cell is a pointer to as many days as
 * the measure has. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agg_part.h"
#include "retention_parts.h"

struct day {
    int64_t cohort, returned;
    int64_t open_cohort, open_returned; /* steps of levels */
};

struct block {
    size_t n;
    int64_t begun;
    struct day days[];
};

struct retention_cell {
    struct block *block; /* NULL: all is 0 */
};

/* A part is its kind * 4096 + its day; day 0 is the first that the measure has. */
enum { KIND = 4096 };
enum { KIND_RATE, KIND_COHORT, KIND_RETURNED, KIND_PROVISIONAL_RATE, KIND_PROVISIONAL_COHORT,
       KIND_PROVISIONAL_RETURNED, KIND_BEGUN };

static const char *const kinds[] = {
    [KIND_RATE] = "rate",
    [KIND_COHORT] = "cohort",
    [KIND_RETURNED] = "returned",
    [KIND_PROVISIONAL_RATE] = "provisional_rate",
    [KIND_PROVISIONAL_COHORT] = "provisional_cohort",
    [KIND_PROVISIONAL_RETURNED] = "provisional_returned",
};

static const char *const published[] = {"n", "cohort1", "returned1", "rate1", "cohort7", "returned7", "rate7",
                                        "cohort30", "returned30", "rate30", NULL};

static struct block *block_of(struct retention_cell *c, size_t n)
{
    if (!c->block) {
        c->block = kpid_zalloc(1, sizeof(*c->block) + n * sizeof(struct day));
        c->block->n = n;
    }
    return c->block;
}

static void retention_add(void *cell, const struct kpid_sample *sample, const struct kpid_agg_param *param)
{
    struct block *b = block_of(cell, param->n_steps);
    bool level = sample->kind == KPID_SAMPLE_LEVEL;

    if (sample->kind != KPID_SAMPLE_COUNT && !level)
        return; /* it has no durations */
    if (sample->part == RETENTION_BEGUN) {
        b->begun += sample->weight;
        return;
    }
    assert(sample->part < b->n);
    struct day *day = &b->days[sample->part];
    if (sample->value & RETENTION_COHORT)
        *(level ? &day->open_cohort : &day->cohort) += sample->weight;
    if (sample->value & RETENTION_RETURNED)
        *(level ? &day->open_returned : &day->returned) += sample->weight;
}

static void retention_merge(void *into, const void *from, const struct kpid_agg_param *param)
{
    const struct block *b = ((const struct retention_cell *)from)->block;
    (void)param;
    if (!b)
        return;
    struct block *a = block_of(into, b->n);
    a->begun += b->begun;
    for (size_t i = 0; i < b->n; i++) {
        a->days[i].cohort += b->days[i].cohort;
        a->days[i].returned += b->days[i].returned;
    }
}

static void retention_merge_level(void *into, const void *from)
{
    const struct block *b = ((const struct retention_cell *)from)->block;
    if (!b)
        return;
    struct block *a = block_of(into, b->n);
    for (size_t i = 0; i < b->n; i++) {
        a->days[i].open_cohort += b->days[i].open_cohort;
        a->days[i].open_returned += b->days[i].open_returned;
    }
}

static void retention_release(void *cell)
{
    struct retention_cell *c = cell;
    free(c->block);
    c->block = NULL;
}

static size_t retention_heap_bytes(const void *cell)
{
    const struct block *b = ((const struct retention_cell *)cell)->block;
    return b ? sizeof(*b) + b->n * sizeof(struct day) : 0;
}

static size_t retention_heap_max(const struct kpid_agg_param *param, size_t tracks)
{
    (void)tracks;
    return sizeof(struct block) + param->n_steps * sizeof(struct day);
}

static bool is_empty(const struct block *b)
{
    static const struct day none;
    for (size_t i = 0; b && i < b->n; i++)
        if (memcmp(&b->days[i], &none, sizeof none) != 0)
            return false;
    return !b || b->begun == 0;
}

static void retention_pack(const void *cell, struct kpid_buf *out)
{
    const struct block *b = ((const struct retention_cell *)cell)->block;
    bool empty = is_empty(b);

    kpid_pack_u64(out, empty ? 0 : b->n);
    if (empty)
        return;
    kpid_pack_i64(out, b->begun);
    for (size_t i = 0; i < b->n; i++) {
        kpid_pack_i64(out, b->days[i].cohort);
        kpid_pack_i64(out, b->days[i].returned);
        kpid_pack_i64(out, b->days[i].open_cohort);
        kpid_pack_i64(out, b->days[i].open_returned);
    }
}

static bool retention_unpack(void *cell, struct kpid_unpack *in)
{
    uint64_t n = kpid_unpack_u64(in);

    if (in->bad || n > KPID_WORDS_MAX)
        return false;
    if (n == 0)
        return true;
    struct block *b = block_of(cell, n);
    b->begun = kpid_unpack_i64(in);
    for (size_t i = 0; i < n; i++) {
        b->days[i].cohort = kpid_unpack_i64(in);
        b->days[i].returned = kpid_unpack_i64(in);
        b->days[i].open_cohort = kpid_unpack_i64(in);
        b->days[i].open_returned = kpid_unpack_i64(in);
    }
    return !in->bad;
}

/* ---- parts ---- */

static int retention_part(const char *name, size_t len)
{
    if (len == 0)
        return KIND_RATE * KIND;
    if (len == 1 && *name == 'n')
        return KIND_BEGUN * KIND;
    for (int kind = 0; kind < KIND_BEGUN; kind++) {
        size_t at = strlen(kinds[kind]);
        int day = 0;
        if (len <= at || len > at + 3 || memcmp(kinds[kind], name, at) != 0 || name[at] == '0')
            continue;
        for (; at < len && name[at] >= '0' && name[at] <= '9'; at++)
            day = day * 10 + (name[at] - '0');
        if (at == len)
            return kind * KIND + day;
    }
    return -1;
}

/* The place of a part's day, n_steps: the measure does not have that day. */
static size_t day_of(int part, const struct kpid_agg_param *param)
{
    size_t i = 0;
    while (part % KIND != 0 && i < param->n_steps && param->days[i] != part % KIND)
        i++;
    return i;
}

static bool retention_has_part(int part, const struct kpid_agg_param *param)
{
    return day_of(part, param) < param->n_steps;
}

static bool retention_ratio(int part, const struct kpid_agg_param *param, int *ret_a, int *ret_b)
{
    int kind = part / KIND, day = part % KIND ? part % KIND : param->days[0];
    if (kind != KIND_RATE && kind != KIND_PROVISIONAL_RATE)
        return false;
    *ret_a = (kind + KIND_RETURNED) * KIND + day;
    *ret_b = (kind + KIND_COHORT) * KIND + day;
    return true;
}

static enum kpid_figure retention_figure(int part)
{
    switch (part / KIND) {
    case KIND_COHORT:
    case KIND_RETURNED:
    case KIND_BEGUN: return KPID_FIGURE_COUNT;
    case KIND_PROVISIONAL_COHORT:
    case KIND_PROVISIONAL_RETURNED: return KPID_FIGURE_INSTANT;
    default: return KPID_FIGURE_OTHER;
    }
}

static struct kpid_number retention_read(const void *cell, int part, const struct kpid_agg_param *param)
{
    static const struct day none;
    const struct block *b = ((const struct retention_cell *)cell)->block;
    size_t i = day_of(part, param);
    const struct day *day = b && i < b->n ? &b->days[i] : &none;

    switch (part / KIND) {
    case KIND_RATE: return kpid_part_share(day->returned, day->cohort);
    case KIND_COHORT: return kpid_part_level(day->cohort);
    case KIND_RETURNED: return kpid_part_level(day->returned);
    case KIND_PROVISIONAL_RATE: return kpid_part_share(day->open_returned, day->open_cohort);
    case KIND_PROVISIONAL_COHORT: return kpid_part_level(day->open_cohort);
    case KIND_PROVISIONAL_RETURNED: return kpid_part_level(day->open_returned);
    default: return kpid_part_level(b ? b->begun : 0);
    }
}

static uint64_t retention_samples(const void *cell)
{
    const struct block *b = ((const struct retention_cell *)cell)->block;
    int64_t most = b ? b->begun : 0;
    for (size_t i = 0; b && i < b->n; i++)
        most = b->days[i].cohort > most ? b->days[i].cohort : most;
    return most > 0 ? (uint64_t)most : 0;
}

const struct kpid_agg kpid_agg_retention = {
    .name = "retention",
    .input = KPID_INPUT_NONE,
    .cell_bytes = sizeof(struct retention_cell),
    .event_ns = 150,
    .levels = true,
    .keyed = &kpid_keyed_retention,
    .add = retention_add,
    .merge = retention_merge,
    .merge_level = retention_merge_level,
    .release = retention_release,
    .heap_bytes = retention_heap_bytes,
    .heap_max = retention_heap_max,
    .pack = retention_pack,
    .unpack = retention_unpack,
    .part = retention_part,
    .has_part = retention_has_part,
    .part_names = "n, rate1, cohort1, returned1, provisional_rate1, provisional_cohort1, provisional_returned1; and of "
                  "its other days",
    .ratio = retention_ratio,
    .figure = retention_figure,
    .read = retention_read,
    .samples = retention_samples,
    .published = published,
};
