/* The clock's cell against a list of durations: adding, taking back, settling, narrowing, levels. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/agg.h"
#include "engine/clock_parts.h"

#define N_MAX 4000

struct cell {
    _Alignas(8) uint64_t words[64];
};

static const struct kpid_agg *agg;
static struct kpid_agg_param param;
static uint64_t state;

static void clock_setup(void)
{
    agg = kpid_agg_find("clock", 5);
    cr_assert(agg != NULL && agg->cell_bytes <= sizeof(struct cell) && agg->levels);
    param = (struct kpid_agg_param){.duration = true};
    kpid_quantile_scale_init(&param.quantile, 0.01);
}

TestSuite(clock_cell, .init = clock_setup);

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % below;
}

static void give(struct cell *cell, enum kpid_sample_kind kind, uint8_t part, int64_t value, int32_t weight)
{
    struct kpid_sample sample = {.value = value, .weight = weight, .part = part, .kind = kind};
    agg->add(cell, &sample, &param);
}

static bool same_bytes(const struct cell *a, const struct cell *b)
{
    struct kpid_buf x = KPID_BUF_INIT, y = KPID_BUF_INIT;
    agg->pack(a, &x);
    agg->pack(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    kpid_buf_release(&x);
    kpid_buf_release(&y);
    return same;
}

static struct kpid_number read_part(const struct cell *cell, const char *part)
{
    return agg->read(cell, agg->part(part, strlen(part)), &param);
}

static void expect(const struct cell *cell, const char *part, const char *want)
{
    char text[KPID_DECIMAL_TEXT] = "none";
    struct kpid_number number = read_part(cell, part);
    if (number.kind == KPID_NUMBER_EXACT)
        kpid_decimal_print(number.exact, text);
    else if (number.kind == KPID_NUMBER_DOUBLE)
        kpid_double_print(number.approx, text);
    cr_assert_str_eq(text, want, "%s is %s, not %s", part, text, want);
}

Test(clock_cell, gives_seconds)
{
    struct cell cell = {0};
    give(&cell, KPID_SAMPLE_DURATION, 0, 1500, 1);
    give(&cell, KPID_SAMPLE_DURATION, 0, 500, 1);
    give(&cell, KPID_SAMPLE_DURATION, 0, 4000, 1);
    give(&cell, KPID_SAMPLE_COUNT, CLOCK_MET, 0, 1);
    give(&cell, KPID_SAMPLE_COUNT, CLOCK_MET, 0, 1);
    give(&cell, KPID_SAMPLE_COUNT, CLOCK_MISSED, 0, 1);
    give(&cell, KPID_SAMPLE_COUNT, CLOCK_MISSED, 0, 1);
    give(&cell, KPID_SAMPLE_COUNT, CLOCK_MISSED, 0, -1);
    give(&cell, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 0, -1);
    give(&cell, KPID_SAMPLE_LEVEL, CLOCK_BREACHED, 0, 1);
    static const char *const wants[][2] = {{"n", "3"},      {"", "2"},      {"mean", "2"},   {"sum", "6"},
                                           {"min", "0.5"},  {"max", "4"},   {"met", "2"},    {"missed", "1"},
                                           {"open", "-1"},  {"breached", "1"}, {"p1", "0.5"}, {"p100", "4"},
                                           {"variance", "3.25"}};
    for (size_t i = 0; i < KPID_COUNT_OF(wants); i++)
        expect(&cell, wants[i][0], wants[i][1]);
    cr_assert_eq(read_part(&cell, "met_rate").approx, 2.0 / 3);
    cr_assert_eq(agg->samples(&cell), 3);
    double p50 = read_part(&cell, "p50").approx;
    cr_assert(p50 >= 1.485 && p50 <= 1.515);
    agg->release(&cell);
}

Test(clock_cell, levels_merge_on_their_own)
{
    struct cell a = {0}, b = {0}, sum = {0};
    give(&a, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 0, 1);
    give(&a, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 0, 1);
    give(&a, KPID_SAMPLE_COUNT, CLOCK_MET, 0, 1);
    give(&b, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 0, -1);
    give(&b, KPID_SAMPLE_LEVEL, CLOCK_BREACHED, 0, 1);
    agg->merge(&sum, &a, &param);
    agg->merge(&sum, &b, &param);
    expect(&sum, "open", "0");
    expect(&sum, "met", "1");
    agg->merge_level(&sum, &a);
    agg->merge_level(&sum, &b);
    expect(&sum, "open", "1");
    expect(&sum, "breached", "1");
    expect(&sum, "met", "1");
}

/* Random durations come, go and settle in three cells that are merged; a fresh cell with what stands must be equal,
 * bit for bit, once stale cells were narrowed and widened again. */
Test(clock_cell, taking_back_leaves_no_trace)
{
    static int64_t values[N_MAX];
    static enum { STANDS, GONE, SETTLED } fate[N_MAX];
    for (int round = 0; round < 40; round++) {
        struct cell cells[3] = {0}, fresh = {0}, merged = {0};
        int n = 0, stale = 0;
        unsigned spread = round % 2 == 0 ? 40 : 1000000; /* few values: the same minimum stands several times */
        state = 1000 + (uint64_t)round;
        for (int step = 0; step < N_MAX; step++) {
            unsigned dice = draw(10);
            int k = n > 0 ? (int)draw((unsigned)n) : 0;
            if (n == 0 || dice < 5) {
                values[n] = (int64_t)draw(spread) - (int64_t)spread / 10;
                fate[n] = STANDS;
                give(&cells[n % 3], KPID_SAMPLE_DURATION, 0, values[n], 1);
                n++;
            } else if (dice < 9 && fate[k] == STANDS) {
                fate[k] = GONE;
                give(&cells[k % 3], KPID_SAMPLE_DURATION, 0, values[k], -1);
            } else if (fate[k] == STANDS && round % 4 < 2) {
                fate[k] = SETTLED;
                give(&cells[k % 3], KPID_SAMPLE_SETTLE, 0, values[k], 1);
            }
        }
        for (int c = 0; c < 3; c++) {
            if (!agg->stale(&cells[c]))
                continue;
            stale++;
            agg->narrow(&cells[c]);
            cr_assert_not(agg->stale(&cells[c]));
            for (int i = c; i < n; i += 3) {
                if (fate[i] == STANDS)
                    give(&cells[c], KPID_SAMPLE_WIDEN, 0, values[i], 1);
            }
        }
        for (int i = 0; i < n; i++) {
            if (fate[i] != GONE)
                give(&fresh, KPID_SAMPLE_DURATION, 0, values[i], 1);
            if (fate[i] == SETTLED)
                give(&fresh, KPID_SAMPLE_SETTLE, 0, values[i], 1);
        }
        for (int c = 2; c >= 0; c--)
            agg->merge(&merged, &cells[c], &param);
        cr_assert(same_bytes(&fresh, &merged), "round %d", round);
        cr_assert(stale > 0, "the test must take a minimum back");
        for (int c = 0; c < 3; c++)
            agg->release(&cells[c]);
        agg->release(&fresh);
        agg->release(&merged);
    }
}

Test(clock_cell, an_empty_cell_is_empty_again)
{
    struct cell cell = {0}, zero = {0};
    give(&cell, KPID_SAMPLE_DURATION, 0, 70, 1);
    give(&cell, KPID_SAMPLE_DURATION, 0, -30, 1);
    give(&cell, KPID_SAMPLE_DURATION, 0, 70, -1);
    cr_assert(agg->stale(&cell));
    give(&cell, KPID_SAMPLE_DURATION, 0, -30, -1);
    cr_assert_not(agg->stale(&cell));
    cr_assert_eq(memcmp(&cell, &zero, agg->cell_bytes), 0);
    give(&cell, KPID_SAMPLE_DURATION, 0, 0, 1);
    expect(&cell, "min", "0");
    expect(&cell, "p50", "0");
    agg->release(&cell);
}

Test(clock_cell, stores_what_it_holds)
{
    struct cell cell = {0}, back = {0};
    for (int i = 1; i < 50; i++)
        give(&cell, KPID_SAMPLE_DURATION, 0, 10 * i, 1);
    give(&cell, KPID_SAMPLE_SETTLE, 0, 200, 1);
    give(&cell, KPID_SAMPLE_DURATION, 0, 10, -1);
    give(&cell, KPID_SAMPLE_LEVEL, CLOCK_OPEN, 0, -1);
    cr_assert(agg->stale(&cell));
    struct kpid_buf buf = KPID_BUF_INIT;
    struct kpid_unpack in;
    agg->pack(&cell, &buf);
    kpid_unpack_init(&in, buf.data, buf.len);
    cr_assert(agg->unpack(&back, &in) && kpid_unpack_done(&in));
    cr_assert(same_bytes(&cell, &back) && agg->stale(&back));
    agg->narrow(&back);
    expect(&back, "min", "0.2");
    expect(&back, "max", "0.2");
    expect(&back, "open", "-1");
    kpid_buf_release(&buf);
    agg->release(&cell);
    agg->release(&back);
}
