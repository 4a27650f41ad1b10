/* top: exact while small, within its law beyond, one cell for one set of events in whatever order it came. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/agg.h"

#define EVENTS 120000
#define KEYS   30000
#define CELL   256

struct event {
    uint32_t key;
    int64_t weight;
};

struct stream {
    struct event at[EVENTS];
    int64_t total[KEYS];
};

static const struct kpid_agg *agg(void)
{
    return kpid_agg_find("top", 3);
}

static struct kpid_agg_param param_of(uint32_t keys, bool sum)
{
    return (struct kpid_agg_param){.top_k = 20, .top_keys = keys, .top_sum = sum};
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static double random_fraction(uint64_t *state)
{
    return (double)(random_next(state) >> 11) / 9007199254740992.0;
}

/* Zipf by inversion of the continuous law: good enough for a heavy head and a long tail. */
static uint32_t key_draw(uint64_t *state, bool zipf)
{
    double u = random_fraction(state);
    return zipf ? (uint32_t)pow((double)KEYS, u) - 1 : (uint32_t)(u * KEYS);
}

static void event_add(void *cell, const struct stream *stream, size_t i, const struct kpid_agg_param *param)
{
    char key[24];
    struct kpid_sample sample = {.value = stream->at[i].weight,
                                 .partition = (uint32_t)(i % 7),
                                 .offset = (int64_t)i,
                                 .weight = 1,
                                 .key = key};
    sample.key_len = (uint32_t)snprintf(key, sizeof key, "key-%u", stream->at[i].key);
    agg()->add(cell, &sample, param);
}

static struct stream *stream_make(bool zipf, uint64_t seed)
{
    struct stream *stream = kpid_zalloc(1, sizeof *stream);
    for (size_t i = 0; i < EVENTS; i++)
        stream->at[i] = (struct event){key_draw(&seed, zipf), (int64_t)(random_next(&seed) % 1000)};
    return stream;
}

static uint32_t key_of(const struct kpid_rank *rank)
{
    return (uint32_t)strtoul(rank->key + 4, NULL, 10);
}

static int64_t exact(const struct kpid_number *number)
{
    cr_assert_eq(number->kind, KPID_NUMBER_EXACT);
    return (int64_t)number->exact.m;
}

/* Lines of the list against the true sums; returns how many are too high by more than the error. */
static size_t law_check(void *cell, const struct stream *stream, const struct kpid_agg_param *param, int64_t total)
{
    struct kpid_rank ranks[KPID_TOP_MAX];
    size_t n = agg()->ranks(cell, param, ranks), beyond = 0;
    struct kpid_number error = agg()->read(cell, agg()->part("error", 5), param);
    cr_assert_eq(n, 20);
    for (size_t i = 0; i < n; i++) {
        int64_t value = exact(&ranks[i].value), wanted = stream->total[key_of(&ranks[i])];
        cr_assert_eq(exact(&ranks[i].error), exact(&error));
        cr_assert_geq(value, wanted, "%s: %lld below %lld", ranks[i].key, (long long)value, (long long)wanted);
        beyond += value > wanted + exact(&error);
        cr_assert(i == 0 || exact(&ranks[i - 1].value) >= value);
    }
    /* Whoever is heavier than the last line by more than the error is on the list. */
    for (uint32_t key = 0; key < KEYS; key++) {
        bool listed = false;
        if (stream->total[key] * 100 < total * 2 || stream->total[key] <= exact(&ranks[n - 1].value))
            continue;
        for (size_t i = 0; i < n; i++)
            listed |= key_of(&ranks[i]) == key;
        cr_assert(listed, "key-%u of %lld is missing", key, (long long)stream->total[key]);
    }
    return beyond;
}

static void law_run(bool zipf, bool sum)
{
    static const size_t checkpoints[] = {5000, 20000, 60000, EVENTS};
    struct kpid_agg_param param = param_of(1000, sum);
    struct stream *stream = stream_make(zipf, 20260301 + zipf + 2 * sum);
    uint64_t cell[CELL / 8] = {0};
    size_t next = 0, beyond = 0;
    int64_t total = 0;
    for (size_t i = 0; i < EVENTS; i++) {
        int64_t weight = sum ? stream->at[i].weight : 1;
        event_add(cell, stream, i, &param);
        stream->total[stream->at[i].key] += weight;
        total += weight;
        if (i + 1 != checkpoints[next])
            continue;
        next++;
        beyond += law_check(cell, stream, &param, total);
        struct kpid_number whole = agg()->read(cell, agg()->part("sum", 3), &param);
        cr_assert_eq(exact(&whole), total);
    }
    cr_log_info("%s, %s: %zu of 80 lines beyond the error; %zu bytes", zipf ? "Zipf" : "uniform", sum ? "sum" : "count",
                beyond, agg()->heap_bytes(cell));
    cr_assert_leq(beyond, 5); /* 2 % are allowed to each */
    cr_assert_leq(agg()->heap_bytes(cell), 300000);
    agg()->release(cell);
    free(stream);
}

Test(agg_top, law)
{
    law_run(true, false);
    law_run(true, true);
    law_run(false, false);
    law_run(false, true);
}

Test(agg_top, exact_while_small)
{
    struct kpid_agg_param param = param_of(1000, true);
    struct stream *stream = stream_make(true, 7);
    uint64_t cell[CELL / 8] = {0};
    struct kpid_rank ranks[KPID_TOP_MAX];
    for (size_t i = 0; i < 20000; i++) {
        stream->at[i].key %= 1000;
        event_add(cell, stream, i, &param);
        stream->total[stream->at[i].key] += stream->at[i].weight;
    }
    size_t n = agg()->ranks(cell, &param, ranks);
    cr_assert_eq(n, 20);
    for (size_t i = 0; i < n; i++)
        cr_assert(exact(&ranks[i].value) == stream->total[key_of(&ranks[i])] && exact(&ranks[i].error) == 0);
    for (uint32_t key = 0, heavier = 0; key < 1000; key++) {
        heavier += stream->total[key] > exact(&ranks[19].value);
        cr_assert_lt(heavier, 20);
    }
    agg()->release(cell);
    free(stream);
}

/* ---- one set of events, one cell ---- */

static void packed(const void *cell, struct kpid_buf *out)
{
    kpid_buf_clear(out);
    agg()->pack(cell, out);
}

static bool same(const struct kpid_buf *a, const struct kpid_buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Events in random order over random cells, some of them stored and read again, merged in random order. */
static void order_run(uint32_t keys, size_t n_events, uint64_t seed)
{
    enum { CELLS = 6 };
    struct kpid_agg_param param = param_of(keys, true);
    struct stream *stream = stream_make(true, 11);
    uint64_t whole[CELL / 8] = {0}, cells[CELLS][CELL / 8] = {{0}};
    struct kpid_buf one = KPID_BUF_INIT, other = KPID_BUF_INIT;
    size_t *order = kpid_zalloc(n_events, sizeof *order), left = CELLS;
    for (size_t i = 0; i < n_events; i++) {
        size_t j = random_next(&seed) % (i + 1);
        order[i] = order[j];
        order[j] = i;
        event_add(whole, stream, i, &param);
    }
    for (size_t i = 0; i < n_events; i++)
        event_add(cells[random_next(&seed) % CELLS], stream, order[i], &param);
    for (size_t i = 0; i < CELLS; i += 2) {
        struct kpid_unpack in;
        packed(cells[i], &one);
        agg()->release(cells[i]);
        kpid_unpack_init(&in, one.data, one.len);
        cr_assert(agg()->unpack(cells[i], &in) && kpid_unpack_done(&in));
        packed(cells[i], &other);
        cr_assert(same(&one, &other));
    }
    for (; left > 1; left--) {
        size_t into = random_next(&seed) % left, from;
        while ((from = random_next(&seed) % left) == into) {
        }
        agg()->merge(cells[into], cells[from], &param);
        agg()->release(cells[from]);
        memmove(cells[from], cells[left - 1], CELL); /* the last one moves to the free place */
        memset(cells[left - 1], 0, CELL);
    }
    packed(whole, &one);
    packed(cells[0], &other);
    cr_assert(same(&one, &other), "%u keys, %zu events: %zu and %zu bytes", keys, n_events, one.len, other.len);
    agg()->release(whole);
    agg()->release(cells[0]);
    kpid_buf_release(&one);
    kpid_buf_release(&other);
    free(order);
    free(stream);
}

Test(agg_top, a_function_of_the_set)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        order_run(1000, 300, seed);
        order_run(50, 3000, seed);
        order_run(200, 10000, seed);
    }
}

Test(agg_top, weights)
{
    struct kpid_agg_param param = {.scale = 2, .top_k = 3, .top_keys = 10, .top_sum = true};
    static const struct {
        const char *key;
        int64_t value;
    } events[] = {{"b", 250}, {"a", 250}, {"c", -400}, {"d", 0}, {"b", 50}, {"", 100}, {"z", 100}};
    uint64_t cell[CELL / 8] = {0};
    struct kpid_rank ranks[KPID_TOP_MAX];
    char text[KPID_DECIMAL_TEXT];
    cr_assert_eq(agg()->ranks(cell, &param, ranks), 0);
    cr_assert_eq(agg()->read(cell, agg()->part("share", 5), &param).kind, KPID_NUMBER_NONE);
    for (size_t i = 0; i < KPID_COUNT_OF(events); i++) {
        struct kpid_sample sample = {.value = events[i].value, .offset = (int64_t)i, .weight = 1, .key = events[i].key,
                                     .key_len = (uint32_t)strlen(events[i].key)};
        agg()->add(cell, &sample, &param);
    }
    cr_assert_eq(agg()->ranks(cell, &param, ranks), 3);
    cr_assert_str_eq(ranks[0].key, "b");
    cr_assert_str_eq(ranks[1].key, "a");
    cr_assert_str_eq(ranks[2].key, ""); /* of equals the first */
    kpid_decimal_print(ranks[0].value.exact, text);
    cr_assert_str_eq(text, "3");
    static const struct {
        const char *part;
        int64_t m;
    } wanted[] = {{"", 300}, {"n", 6}, {"sum", 750}, {"keys", 4}, {"error", 0}, {"negative", 1}};
    for (size_t i = 0; i < KPID_COUNT_OF(wanted); i++) {
        int part = agg()->part(wanted[i].part, strlen(wanted[i].part));
        struct kpid_number number = agg()->read(cell, part, &param);
        cr_assert_eq(exact(&number), wanted[i].m, "%s", wanted[i].part);
    }
    cr_assert_float_eq(agg()->read(cell, agg()->part("share", 5), &param).approx, 0.4, 1e-12);
    cr_assert_eq(agg()->samples(cell), 6);
    agg()->release(cell);
}

Test(agg_top, bytes_that_are_no_cell)
{
    struct kpid_agg_param param = param_of(50, false);
    struct stream *stream = stream_make(true, 3);
    uint64_t cell[CELL / 8] = {0}, read[CELL / 8] = {0};
    struct kpid_buf bytes = KPID_BUF_INIT;
    struct kpid_unpack in;
    for (size_t i = 0; i < 2000; i++)
        event_add(cell, stream, i, &param);
    packed(cell, &bytes);
    for (size_t len = 0; len < bytes.len; len += 1 + bytes.len / 300) {
        kpid_unpack_init(&in, bytes.data, len);
        cr_assert(!agg()->unpack(read, &in), "%zu", len);
        agg()->release(read);
    }
    agg()->release(cell);
    kpid_buf_release(&bytes);
    free(stream);
}
