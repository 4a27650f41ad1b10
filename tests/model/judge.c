#include "judge.h"

#include "kpid/flow/snapshot.h"
#include "kpid/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_MS (INT64_C(6) * 3600 * 1000) /* windows above are looked at now and then while they are open */

void judge_init(struct judge *judge, struct naive *naive, uint64_t seed, const char *label)
{
    memset(judge, 0, sizeof(*judge));
    judge->naive = naive;
    judge->model = naive->model;
    judge->random.state = seed;
    judge->label = label;
    judge->totals = kpid_zalloc(PLACES_MAX, sizeof(*judge->totals));
    judge->groups = kpid_zalloc(PLACES_MAX, sizeof(*judge->groups));
}

void judge_release(struct judge *judge)
{
    for (int i = 0; i < PLACES_MAX; i++) {
        naive_window_release(&judge->totals[i]);
        naive_window_release(&judge->groups[i]);
    }
    free(judge->totals);
    free(judge->groups);
    free(judge->sayings);
}

void judge_fault(struct judge *judge, const char *format, ...)
{
    va_list args;

    if (judge->faults++ >= FAULTS_SHOWN)
        return;
    va_start(args, format);
    fprintf(stderr, "%s: ", judge->label);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

/* Two reports of one KPI and part are enough. */
static bool known_fault(struct judge *judge, const char *part)
{
    uint64_t hash = kpid_hash(part, strlen(part), judge->head.kpi) | 1;
    int n = 0;

    for (int i = 0; i < FAULTS_SHOWN; i++)
        n += judge->shown[i] == hash;
    if (n < 2)
        judge->shown[judge->faults % FAULTS_SHOWN] = hash;
    return n >= 2;
}

static void wrong(struct judge *judge, const char *part, unsigned row, bool total, const char *expected, const char *got)
{
    const struct kpid_kpi *kpi = &judge->model->kpis[judge->head.kpi];
    const struct kpid_window *window = &kpi->windows[judge->head.window];
    struct kpid_buf group = KPID_BUF_INIT;
    char start[40] = "ever", end[40] = "ever", boundary[40];

    if (known_fault(judge, part)) {
        judge->silent++;
        return;
    }
    if (judge->head.start_ms != KPID_NEVER)
        kpid_zone_print(window->zone, judge->head.start_ms, start);
    if (judge->head.end_ms != KPID_FOREVER)
        kpid_zone_print(window->zone, judge->head.end_ms, end);
    kpid_zone_print(window->zone, judge->head.boundary_ms, boundary);
    naive_row_print(total ? 0 : judge->by, row, &group);
    judge_fault(judge, "%s %s [%s, %s) at %s%s, group \"%s\", %s: expected %s, got %s", kpi->name, window->name, start,
                end, boundary, judge->head.final ? judge->head.revision ? ", revised" : ", final" : "",
                group.len ? group.data : "", part, expected, got);
    kpid_buf_release(&group);
}

static void compare(struct judge *judge, const char *part, unsigned row, bool total, const struct figure *figure,
                    const struct kpid_number *number)
{
    struct kpid_buf expected = KPID_BUF_INIT, got = KPID_BUF_INIT;

    judge->figures++;
    if (figure_fits(figure, number))
        return;
    figure_print(figure, &expected);
    figure_print_number(number, &got);
    wrong(judge, part, row, total, expected.data, got.data);
    kpid_buf_release(&expected);
    kpid_buf_release(&got);
}

/* ---- the occasion ---- */

/* Position of a ref's measure, so much earlier, among those of the occasion. */
static size_t place_of(const struct judge *judge, const struct kpid_ref *ref)
{
    enum measure measure = judge->naive->measures[ref->measure];
    size_t place = 0;

    while (place < judge->n_measures &&
           (judge->measures[place] != measure || !kpid_shift_equal(judge->shifts[place], ref->shift)))
        place++;
    return place;
}

/* The window so much earlier. A calendar window moves by one of its own length: to the one that ends where it begins. */
static struct kpid_stretch earlier(const struct judge *judge, struct kpid_shift shift, const struct kpid_snapshot *s)
{
    const struct kpid_window *window = &judge->model->kpis[s->kpi].windows[s->window];
    struct kpid_stretch own = { s->start_ms, s->end_ms, s->boundary_ms };

    if (!kpid_shift_is(shift))
        return own;
    if (window->kind == KPID_WINDOW_ROLLING)
        return (struct kpid_stretch){ own.start_ms - shift.ms, own.end_ms - shift.ms, own.boundary_ms - shift.ms };
    assert(window->kind == KPID_WINDOW_CALENDAR && window->period.unit == KPID_CALENDAR_DAY && shift.ms == 86400000);
    int64_t start = kpid_zone_period_start(window->zone, window->period, own.start_ms - 1), end = own.start_ms;
    int64_t boundary = start + (own.boundary_ms - own.start_ms);
    if (own.boundary_ms == own.end_ms || boundary > end)
        boundary = end;
    return (struct kpid_stretch){ start, end, boundary };
}

/* Dear windows are looked at by chance while they are open; each is looked at when it can't change any more. */
static bool worth_checking(struct judge *judge, const struct kpid_snapshot *s, unsigned places)
{
    int64_t length = s->boundary_ms - (s->start_ms == KPID_NEVER ? judge->naive->world->begin_ms : s->start_ms);

    if (places && judge->share && !random_chance(&judge->random, 1, judge->share))
        return false;
    if (length <= LONG_MS || places == 0)
        return true;
    if (length <= 4 * LONG_MS + 3600000 && places & KPID_PLACE_WINDOW)
        return random_chance(&judge->random, 1, 2);
    return random_chance(&judge->random, LONG_MS, 24 * length);
}

static void count_measure(struct judge *judge, const struct kpid_ref *ref, const struct kpid_snapshot *s)
{
    enum measure measure = judge->naive->measures[ref->measure];
    struct kpid_stretch stretch = earlier(judge, ref->shift, s);

    for (size_t track = 0; track < naive_tracks(measure); track++) {
        enum measure m = (enum measure)(measure + track);
        size_t place = judge->n_measures++;
        assert(place < PLACES_MAX);
        judge->measures[place] = m;
        judge->shifts[place] = ref->shift;
        judge->stretches[place] = stretch;
        naive_window_count(judge->naive, m, 0, stretch.start_ms, stretch.boundary_ms, &judge->totals[place]);
        if (judge->by)
            naive_window_count(judge->naive, m, judge->by, stretch.start_ms, stretch.boundary_ms, &judge->groups[place]);
    }
}

static void begin(struct judge *judge, const struct kpid_snapshot *s, unsigned places)
{
    const struct kpid_kpi *kpi = &judge->model->kpis[s->kpi];

    judge->on = true;
    judge->head = *s;
    judge->places = places;
    judge->hash = 0;
    judge->by = 0;
    judge->n_measures = 0;
    memset(judge->seen, 0, sizeof(judge->seen));
    judge->checks = worth_checking(judge, s, places);
    judge->passed_over += !judge->checks;
    judge->by = naive_by(judge->naive->measures[kpi->refs[0].measure], kpi->by, kpi->n_by);
    assert(kpi->n_refs <= REFS_MAX);
    bool only_earlier = true;
    for (size_t i = 0; judge->checks && i < kpi->n_refs; i++) {
        only_earlier = only_earlier && kpid_shift_is(kpi->refs[i].shift);
        if (place_of(judge, &kpi->refs[i]) == judge->n_measures)
            count_measure(judge, &kpi->refs[i], s);
    }
    for (size_t i = 0; i < judge->n_measures; i++)
        judge->names_groups[i] = only_earlier || !kpid_shift_is(judge->shifts[i]);
}

static bool is_alive(const struct judge *judge, enum source source, const struct kpid_stretch *s)
{
    const struct kpid_snapshot *head = &judge->head;
    int64_t silent = judge->model->sources[source].silent_after_ms;

    switch (judge->model->kpis[head->kpi].windows[head->window].kind) {
    case KPID_WINDOW_ALL: return naive_alive(judge->naive, source, KPID_NEVER, s->boundary_ms);
    case KPID_WINDOW_CALENDAR:
        if (s->end_ms - s->start_ms > silent)
            silent = s->end_ms - s->start_ms;
        break;
    default: break;
    }
    return naive_alive(judge->naive, source, s->boundary_ms - silent, s->boundary_ms);
}

/* The part that a ref reads; *ret_track is where its window is to be found. */
static const char *part_of(const struct judge *judge, const struct kpid_ref *ref, size_t *ret_track)
{
    static const char *const counts[] = { "step1", "step2", "step3", "provisional1", "provisional2", "provisional3",
                                          "cohort1", "returned1", "cohort2", "returned2", "cohort5", "returned5",
                                          "provisional_cohort1", "provisional_returned1" };
    const struct kpid_measure *def = &judge->model->measures[ref->measure];
    enum measure measure = judge->naive->measures[ref->measure];
    const char *dot = strchr(ref->name, '.'), *part = dot && strncmp(ref->name, "time", 4) != 0 ? dot + 1 : ref->name;

    *ret_track = 0;
    if (!strcmp(part, def->name))
        part = "";
    if (naive_measures[measure].shape == SHAPE_CLOCK && naive_tracks(measure) > 1) {
        *ret_track = (size_t)ref->part / KPID_PART_TRACK;
        const char *mark = *ret_track ? naive_measures[measure + *ret_track].mark : "";
        if (*mark && strncmp(part, mark, strlen(mark)) == 0)
            part += strlen(mark) + (part[strlen(mark)] == '.');
    }
    /* A rate in a formula is two counts under one name. */
    for (size_t i = 0; def->agg->ratio && i < KPID_COUNT_OF(counts); i++)
        if (def->agg->part(counts[i], strlen(counts[i])) == ref->part)
            return counts[i];
    return part;
}

static void check_samples(struct judge *judge, const struct kpid_snapshot *s, const struct naive_window *window,
                          unsigned row, bool total)
{
    const struct naive_cell *cell = &window->cells[row];
    char expected[32], got[32];

    if (naive_measures[window->measure].shape == SHAPE_DISTINCT)
        return;
    enum shape shape = naive_measures[window->measure].shape;
    if (shape == SHAPE_FUNNEL || shape == SHAPE_RETENTION)
        return; /* they differ from part to part; what hangs on them is whether nothing is 0 */
    int64_t samples = shape == SHAPE_SESSION ? cell->begun : cell->n;
    if (s->samples != (uint64_t)samples) {
        snprintf(expected, sizeof(expected), "%" PRId64, samples);
        snprintf(got, sizeof(got), "%" PRIu64, s->samples);
        wrong(judge, "samples", row, total, expected, got);
    }
    bool mean = naive_measures[window->measure].shape == SHAPE_MEAN;
    if (!mean || cell->n < 2)
        return;
    double mean_of = (double)cell->sum / (double)cell->n, n = (double)cell->n;
    double variance = ((double)cell->squares - mean_of * (double)cell->sum) / (n - 1) / 1e12;
    double room = 1e-9 * ((double)cell->squares / (n - 1) / 1e12);
    if (s->variance >= variance - room && s->variance <= variance + room)
        return;
    /* Values of more than 63 bits at 12 digits, and squares of more than 127, have no variance. */
    double largest = fmax(fabs((double)cell->min), fabs((double)cell->max)) * 1e6;
    if (s->variance < 0 && (largest > 9.2e18 || (double)cell->squares * 1e12 > 1.7e38))
        return;
    snprintf(expected, sizeof(expected), "%.12g", variance);
    snprintf(got, sizeof(got), "%.12g", s->variance);
    wrong(judge, "variance", row, total, expected, got);
}

static void check_quality(struct judge *judge, const struct kpid_snapshot *s, unsigned row, bool total)
{
    bool other = false, any = s->value.kind == KPID_NUMBER_EXACT || s->value.kind == KPID_NUMBER_DOUBLE;
    uint32_t never = KPID_QR_PARTIAL | KPID_QR(DEDUP_CUT) | KPID_QR(OVERFLOW);
    enum kpid_quality quality = !any ? KPID_QUALITY_NO_DATA : s->final ? KPID_QUALITY_OK : KPID_QUALITY_PROVISIONAL;

    for (size_t i = 0; !total && i < judge->n_measures; i++)
        other |= judge->groups[i].cells[ROW_OTHER].n > 0;
    if (s->reasons & never || (other && !(s->reasons & KPID_QR(OTHER_GROUP))))
        wrong(judge, "reasons", row, total, other ? "other_group" : "none of them", "others");
    if (s->quality != quality)
        wrong(judge, "quality", row, total, kpid_quality_name(quality), kpid_quality_name(s->quality));
}

static void check(struct judge *judge, const struct kpid_snapshot *s, unsigned row, bool total)
{
    const struct kpid_kpi *kpi = &judge->model->kpis[s->kpi];
    const struct naive_window *windows = total ? judge->totals : judge->groups;
    const struct naive_window *samples_of = windows;
    struct figure refs[REFS_MAX];

    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        const struct kpid_ref *ref = &kpi->refs[i];
        size_t track;
        const char *part = part_of(judge, ref, &track);
        size_t place = place_of(judge, ref) + track;
        const struct naive_window *window = &windows[place];
        bool alive = is_alive(judge, naive_measures[window->measure].source, &judge->stretches[place]);
        struct figure figure = figure_of(window, row, part, alive);
        samples_of = i == 0 ? window : samples_of;
        if (i < kpi->n_refs)
            refs[i] = figure;
        else
            compare(judge, ref->name, row, total, &figure, &s->parts[i - kpi->n_refs]);
    }
    struct figure value = figure_formula(kpi, refs);
    compare(judge, "value", row, total, &value, &s->value);
    if (kpi->n_refs == 1)
        check_samples(judge, s, samples_of, row, total);
    const char *fault = naive_measures[windows->measure].shape == SHAPE_TOP ? judge_ranks(judge, s, windows, row) : NULL;
    if (fault)
        wrong(judge, "list", row, total, "the heaviest keys", fault);
    check_quality(judge, s, row, total);
}

/* ---- the hash of what a window says: rows with anything in them, in any order ---- */

static bool is_empty(const struct kpid_number *number)
{
    return number->kind == KPID_NUMBER_NONE || number->approx == 0;
}

/* Whether nothing is 0 or no data hangs on other events of the source, which do not make a revision. */
static uint64_t hash_number(uint64_t hash, const struct kpid_number *number)
{
    uint64_t bits;

    if (is_empty(number))
        return kpid_hash_mix(hash, 0);
    memcpy(&bits, &number->approx, sizeof(bits));
    hash = kpid_hash_mix(hash, number->kind);
    if (number->kind == KPID_NUMBER_EXACT)
        return kpid_hash_mix(kpid_hash_mix(hash, (uint64_t)number->exact.m), number->exact.scale);
    return number->kind == KPID_NUMBER_DOUBLE ? kpid_hash_mix(hash, bits) : hash;
}

static void add_hash(struct judge *judge, const struct kpid_snapshot *s, unsigned row, bool total)
{
    const struct kpid_kpi *kpi = &judge->model->kpis[s->kpi];
    uint64_t hash = kpid_hash_mix(total, row);
    bool empty = s->samples == 0 && (kpi->n_refs > 1 || is_empty(&s->value));

    hash = hash_number(hash, &s->value);
    for (size_t i = 0; i < kpi->n_parts; i++) {
        empty = empty && is_empty(&s->parts[i]);
        hash = hash_number(hash, &s->parts[i]);
    }
    for (size_t i = 0; i < s->n_ranks; i++) {
        hash = kpid_hash_mix(hash, kpid_hash(s->ranks[i].key, strlen(s->ranks[i].key), 0));
        hash = hash_number(hash_number(hash, &s->ranks[i].value), &s->ranks[i].error);
    }
    if (!empty)
        judge->hash += hash;
}

/* ---- what windows said ---- */

static struct saying *saying_find(struct saying *at, size_t cap, uint32_t kpi, uint32_t window, int64_t start_ms)
{
    size_t i = kpid_hash_mix(kpid_hash_mix(kpi, window), (uint64_t)start_ms) & (cap - 1);

    while (at[i].used && (at[i].kpi != kpi || at[i].window != window || at[i].start_ms != start_ms))
        i = (i + 1) & (cap - 1);
    return &at[i];
}

static struct saying *saying_make(struct judge *judge, const struct kpid_snapshot *s)
{
    if (judge->n_sayings * 2 >= judge->cap_sayings) {
        size_t cap = judge->cap_sayings ? judge->cap_sayings * 2 : 1024;
        struct saying *grown = kpid_zalloc(cap, sizeof(*grown));
        for (size_t i = 0; i < judge->cap_sayings; i++)
            if (judge->sayings[i].used)
                *saying_find(grown, cap, judge->sayings[i].kpi, judge->sayings[i].window, judge->sayings[i].start_ms) =
                    judge->sayings[i];
        free(judge->sayings);
        judge->sayings = grown;
        judge->cap_sayings = cap;
    }
    struct saying *saying = saying_find(judge->sayings, judge->cap_sayings, s->kpi, s->window, s->start_ms);
    if (!saying->used) {
        *saying = (struct saying){ .kpi = s->kpi, .window = s->window, .start_ms = s->start_ms, .end_ms = s->end_ms,
                                   .used = true };
        judge->n_sayings++;
    }
    return saying;
}

static void say(struct judge *judge)
{
    const struct kpid_snapshot *s = &judge->head;
    struct saying *saying = saying_make(judge, s);

    if (s->revision && saying->crashes == judge->crashes && s->revision != saying->revision + 1)
        judge_fault(judge, "%s %s: revision %u follows %u", judge->model->kpis[s->kpi].name,
                    judge->model->kpis[s->kpi].windows[s->window].name, s->revision, saying->revision);
    saying->hash = judge->hash;
    saying->revision = s->revision;
    saying->crashes = judge->crashes;
}

/* ---- interface ---- */

/* Whether a group was known before the boundary of what names the KPI's groups. */
static bool is_known(const struct judge *judge, unsigned row)
{
    for (size_t i = 0; i < judge->n_measures; i++)
        for (int p = 0; judge->names_groups[i] && p < PARTITIONS; p++)
            if (judge->naive->known_ms[naive_measures[judge->measures[i]].source][p][naive_by_known(judge->by)][row] <
                judge->stretches[i].boundary_ms)
                return true;
    return false;
}

static void check_rows(struct judge *judge)
{
    for (unsigned row = 0; judge->by && row < naive_rows(judge->by); row++) {
        bool content = false, known = is_known(judge, row);
        /* A run of boundaries at which no figure changes has the zeros that were known at its beginning. */
        bool wants_zeros = known && (judge->places == 0 || judge->head.revision) && row != ROW_OTHER;
        for (size_t i = 0; i < judge->n_measures; i++) {
            const struct naive_cell *cell = &judge->groups[i].cells[row];
            content |= judge->names_groups[i] && (cell->n || cell->met || cell->missed || cell->open || cell->breached || cell->begun);
        }
        if ((content || wants_zeros) && !judge->seen[row])
            wrong(judge, "the group itself", row, false, content ? "figures" : "zeros", "nothing");
        if (judge->seen[row] && !content && !known)
            wrong(judge, "the group itself", row, false, "nothing: it is not known yet", "zeros");
    }
}

void judge_flush(struct judge *judge)
{
    if (!judge->on)
        return;
    judge->on = false;
    judge->windows++;
    if (judge->checks)
        check_rows(judge);
    if (judge->places & KPID_PLACE_WINDOW)
        say(judge);
}

void judge_snapshot(struct judge *judge, const struct kpid_snapshot *s, unsigned places)
{
    bool total = !s->group && !s->other;
    int row = 0;

    if (total) {
        judge_flush(judge);
        begin(judge, s, places);
    } else if (!s->other) {
        row = naive_row_find(judge->by, s->group);
    }
    judge->snapshots++;
    if (row < 0 || (!total && judge->seen[row])) {
        judge_fault(judge, "%s: a group that can't be: %s", judge->model->kpis[s->kpi].name, s->group[0]);
        return;
    }
    if (!total)
        judge->seen[row] = true;
    if (judge->checks)
        check(judge, s, (unsigned)row, total);
    add_hash(judge, s, (unsigned)row, total);
}

static void visit(void *ctx, const struct kpid_snapshot *snapshot)
{
    judge_snapshot(ctx, snapshot, 0);
}

void judge_window(struct judge *judge, struct kpid_evaluator *evaluator, const struct kpid_evaluator_source *views,
                  uint32_t kpi, uint32_t window, int64_t start_ms, int64_t end_ms, int64_t boundary_ms)
{
    judge_flush(judge);
    kpid_evaluator_peek(evaluator, views, kpi, window, start_ms, end_ms, boundary_ms, visit, judge);
    judge_flush(judge);
    if (!judge->cap_sayings)
        return;
    const struct saying *saying = saying_find(judge->sayings, judge->cap_sayings, kpi, window, start_ms);
    if (saying->used && saying->hash != judge->hash)
        wrong(judge, "everything", 0, true, "what readers were told last", "something else: a revision is missing");
    else if (!saying->used) /* before the first boundary, or never published: kept for the comparison of runs */
        saying_make(judge, &judge->head)->hash = judge->hash;
}

/* Of a run of windows with nothing new in them, only the last ones are told. */
static bool has_events(const struct judge *judge, const struct saying *saying)
{
    const struct kpid_kpi *kpi = &judge->model->kpis[saying->kpi];
    size_t n = 0;

    for (size_t i = 0; i < kpi->n_sources; i++)
        n += naive_events_between(judge->naive, (enum source)kpi->sources[i], saying->start_ms, saying->end_ms - 1);
    return n > 0;
}

void judge_compare(struct judge *a, const struct judge *b)
{
    for (size_t i = 0; i < a->cap_sayings; i++) {
        const struct saying *x = &a->sayings[i];
        const struct kpid_kpi *kpi = &a->model->kpis[x->kpi];
        bool differs = false;
        char start[40];
        /* A start far behind its stop changes a window that one run may have released and the other not. What a look-up
         * says is as of when it was asked. */
        for (size_t r = 0; x->used && r < kpi->n_refs; r++)
            differs |= naive_measures[a->naive->measures[kpi->refs[r].measure]].keep_negative ||
                       naive_measures[a->naive->measures[kpi->refs[r].measure]].joined;
        if (!x->used || differs)
            continue;
        const struct saying *y = saying_find(b->sayings, b->cap_sayings, x->kpi, x->window, x->start_ms);
        if (y->used ? x->hash == y->hash : !has_events(a, x))
            continue;
        kpid_zone_print(kpi->windows[x->window].zone, x->start_ms, start);
        judge_fault(a, "%s %s from %s: %s", kpi->name, kpi->windows[x->window].name, start,
                    y->used ? "another interleaving says something else" : "another interleaving says nothing");
    }
}
