/* Marks against a naive set: expiry, cut, storage, jumps of time; a million operations with fixed seeds. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/dedup.h"
#include "kpid/hash.h"

#define IDS        60000
#define HORIZON_MS 6400LL /* slices of 100 ms */
#define WIDTH_MS   100LL
#define NONE       INT64_MIN

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return kpid_hash_mix(state, 5) % below;
}

static uint64_t hash_of(unsigned id)
{
    return kpid_hash_mix(id, 77);
}

/* For each id the greatest slice number it was marked in. */
struct model {
    int64_t slice[IDS];
    int64_t floor_ms;
};

static bool model_seen(const struct model *model, unsigned id)
{
    return model->slice[id] != NONE && (model->slice[id] + 1) * WIDTH_MS > model->floor_ms;
}

static void model_mark(struct model *model, unsigned id, int64_t ts_ms)
{
    int64_t slice = ts_ms / WIDTH_MS;
    if ((slice + 1) * WIDTH_MS <= model->floor_ms)
        return;
    if (!model_seen(model, id) || slice > model->slice[id])
        model->slice[id] = slice;
}

static struct model *model_new(void)
{
    struct model *model = kpid_alloc(sizeof(*model));
    for (unsigned id = 0; id < IDS; id++)
        model->slice[id] = NONE;
    model->floor_ms = NONE;
    return model;
}

static void compare_all(const struct kpid_dedup *dedup, const struct model *model)
{
    uint64_t n = 0;
    for (unsigned id = 0; id < IDS; id++) {
        n += model_seen(model, id);
        cr_assert_eq(kpid_dedup_seen(dedup, hash_of(id), KPID_NEVER), model_seen(model, id), "id %u", id);
    }
    struct kpid_dedup_stats stats;
    kpid_dedup_stats(dedup, &stats);
    cr_assert_eq(stats.marks, n);
}

Test(dedup, is_a_set_over_a_million_operations)
{
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 64 << 20);
    struct model *model = model_new();
    int64_t now = 1000000;
    state = 1;
    for (int i = 0; i < 1000000; i++) {
        unsigned id = (unsigned)draw(IDS);
        now += (int64_t)draw(i % 200000 < 100000 ? 2 : 5);
        cr_assert_eq(kpid_dedup_seen(dedup, hash_of(id), KPID_NEVER), model_seen(model, id), "step %d", i);
        if (draw(8) != 0) {
            int64_t ts = now - (int64_t)draw((uint64_t)HORIZON_MS + 1000);
            kpid_dedup_mark(dedup, hash_of(id), ts);
            model_mark(model, id, ts);
            cr_assert_eq(kpid_dedup_seen(dedup, hash_of(id), KPID_NEVER), model_seen(model, id), "step %d", i);
        }
        if (draw(50) == 0) {
            model->floor_ms = now - HORIZON_MS;
            kpid_dedup_expire(dedup, model->floor_ms);
        }
        if (i % 100000 == 99999)
            compare_all(dedup, model);
    }
    struct kpid_dedup_stats stats;
    kpid_dedup_stats(dedup, &stats);
    cr_assert(stats.cut == 0 && stats.effective_horizon_ms == HORIZON_MS);
    kpid_dedup_expire(dedup, now + WIDTH_MS);
    kpid_dedup_stats(dedup, &stats);
    cr_assert_eq(stats.marks, 0);
    free(model);
    kpid_dedup_free(dedup);
}

static void forget(void *ctx, int64_t slice_start_ms, const void *bytes, size_t len)
{
    (void)ctx, (void)slice_start_ms, (void)bytes, (void)len;
}

/* When full the oldest go: what is forgotten is older than all that is kept, and nothing is seen that never came. */
Test(dedup, cuts_the_oldest_when_full)
{
    size_t max_bytes = 400000;
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, max_bytes);
    struct model *model = model_new();
    struct kpid_dedup_stats stats;
    int64_t now = 50000;
    state = 2;
    for (unsigned i = 0; i < 300000; i++) {
        if (i % 10 == 0)
            now++;
        unsigned id = i % IDS;
        if (!kpid_dedup_seen(dedup, hash_of(id), KPID_NEVER)) {
            kpid_dedup_mark(dedup, hash_of(id), now);
            model_mark(model, id, now);
        }
        if (i % 1000 == 0)
            kpid_dedup_pack_new(dedup, false, forget, NULL); /* marks not yet stored count as bytes too */
        if (i % 5000 == 0) {
            kpid_dedup_stats(dedup, &stats);
            cr_assert_leq(stats.bytes, max_bytes + 10000);
            model->floor_ms = now - HORIZON_MS;
            kpid_dedup_expire(dedup, model->floor_ms);
            int64_t kept = INT64_MAX, lost = NONE;
            for (unsigned k = 0; k < IDS; k++) {
                bool seen = kpid_dedup_seen(dedup, hash_of(k), KPID_NEVER);
                cr_assert(!seen || model_seen(model, k));
                if (seen && model->slice[k] < kept)
                    kept = model->slice[k];
                if (!seen && model_seen(model, k) && model->slice[k] > lost)
                    lost = model->slice[k];
            }
            cr_assert_lt(lost, kept);
        }
    }
    kpid_dedup_stats(dedup, &stats);
    cr_assert_gt(stats.cut, 1000);
    cr_assert_gt(stats.marks, 10000);
    cr_assert(stats.effective_horizon_ms > 0 && stats.effective_horizon_ms < HORIZON_MS);
    free(model);
    kpid_dedup_free(dedup);
}

/* Even where a burst inside a single slice is more than fits. */
Test(dedup, survives_a_burst_beyond_its_bytes)
{
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 100000);
    struct kpid_dedup_stats stats;
    for (unsigned i = 0; i < 200000; i++) {
        kpid_dedup_mark(dedup, hash_of(i), 1000);
        cr_assert(kpid_dedup_seen(dedup, hash_of(i), KPID_NEVER));
    }
    kpid_dedup_stats(dedup, &stats);
    cr_assert_eq(stats.marks + stats.cut, 200000);
    cr_assert(stats.bytes <= 110000 && stats.effective_horizon_ms == 0);
    kpid_dedup_free(dedup);
}

struct stored {
    int64_t start_ms[4096];
    char *bytes[4096];
    size_t len[4096], n;
    uint64_t marks;
};

static void keep(void *ctx, int64_t slice_start_ms, const void *bytes, size_t len)
{
    struct stored *stored = ctx;
    cr_assert(stored->n < KPID_COUNT_OF(stored->len) && len < 65000);
    stored->start_ms[stored->n] = slice_start_ms;
    stored->bytes[stored->n] = kpid_strndup(bytes, len);
    stored->len[stored->n++] = len;
    stored->marks += len / 8;
}

static void stored_release(struct stored *stored)
{
    for (size_t i = 0; i < stored->n; i++)
        free(stored->bytes[i]);
    free(stored);
}

/* Packed bit by bit, old slices dropped as kpid_dedup_oldest allows; or all at once. Loaded twice, and backwards. */
Test(dedup, loads_what_it_packed)
{
    for (int all = 0; all < 2; all++) {
        struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 64 << 20), *back = kpid_dedup_new(HORIZON_MS, 64 << 20);
        struct model *model = model_new();
        struct stored *stored = kpid_zalloc(1, sizeof(*stored));
        int64_t now = 7000;
        uint64_t marked = 0;
        state = 3;
        for (int i = 0; i < 80000; i++) {
            unsigned id = (unsigned)draw(IDS);
            now += (int64_t)draw(4) == 0;
            if (!kpid_dedup_seen(dedup, hash_of(id), KPID_NEVER)) {
                int64_t ts = now - (int64_t)draw(2000);
                kpid_dedup_mark(dedup, hash_of(id), ts);
                model_mark(model, id, ts);
                marked += model_seen(model, id);
            }
            if (i % 500 == 0) {
                model->floor_ms = now - HORIZON_MS;
                kpid_dedup_expire(dedup, model->floor_ms);
            }
            if (i % 2000 == 1999 && !all)
                kpid_dedup_pack_new(dedup, false, keep, stored);
        }
        kpid_dedup_pack_new(dedup, all, keep, stored);
        if (!all)
            cr_assert_leq(stored->marks, marked + stored->n);
        size_t before = stored->n;
        kpid_dedup_pack_new(dedup, false, keep, stored);
        cr_assert_eq(stored->n, before, "nothing is packed twice");

        kpid_dedup_expire(back, model->floor_ms);
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < stored->n; i++) {
                size_t k = round == 0 ? i : stored->n - 1 - i;
                if (stored->start_ms[k] >= kpid_dedup_oldest(dedup))
                    cr_assert(kpid_dedup_load(back, stored->start_ms[k], stored->bytes[k], stored->len[k]));
            }
            compare_all(back, model);
        }
        cr_assert_eq(kpid_dedup_oldest(back), kpid_dedup_oldest(dedup));
        before = stored->n;
        kpid_dedup_pack_new(back, false, keep, stored);
        cr_assert_eq(stored->n, before, "what was loaded is stored already");
        stored_release(stored);
        free(model);
        kpid_dedup_free(dedup);
        kpid_dedup_free(back);
    }
}

/* Another horizon, other slices: no mark is lost before its time, and its stored slice is not dropped. */
Test(dedup, loads_slices_of_another_width)
{
    static const int64_t horizons[] = {640, 20000, 100};
    for (size_t h = 0; h < KPID_COUNT_OF(horizons); h++) {
        struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 1 << 20), *back = kpid_dedup_new(horizons[h], 1 << 20);
        struct stored *stored = kpid_zalloc(1, sizeof(*stored));
        for (unsigned id = 0; id < 3000; id++)
            kpid_dedup_mark(dedup, hash_of(id), 10000 + id);
        kpid_dedup_pack_new(dedup, false, keep, stored);
        for (size_t i = 0; i < stored->n; i++)
            cr_assert(kpid_dedup_load(back, stored->start_ms[i], stored->bytes[i], stored->len[i]));
        for (int64_t floor = 9900; floor <= 13000; floor += 37) {
            kpid_dedup_expire(back, floor);
            for (unsigned id = floor > 10000 ? (unsigned)(floor - 10000) : 0; id < 3000; id++)
                cr_assert(kpid_dedup_seen(back, hash_of(id), KPID_NEVER), "floor %d id %u", (int)floor, id);
            int64_t needed = floor < 10000 ? 10000 : floor / WIDTH_MS * WIDTH_MS; /* holds the mark at `floor` */
            cr_assert(floor > 12999 || kpid_dedup_oldest(back) <= needed, "floor %d", (int)floor);
        }
        kpid_dedup_expire(back, 20000 + 2 * horizons[h]);
        struct kpid_dedup_stats stats;
        kpid_dedup_stats(back, &stats);
        cr_assert_eq(stats.marks, 0);
        stored_release(stored);
        kpid_dedup_free(dedup);
        kpid_dedup_free(back);
    }
}

Test(dedup, refuses_damaged_bytes)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool good;
    } cases[] = {{"", 0, false},          {"\x64", 1, true},        {"\x64" "12345678", 9, true}, {"\x64" "1234567", 8, false},
                 {"\0" "12345678", 9, false}, {"\x80", 1, false}};
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 1 << 20);
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++)
        cr_assert_eq(kpid_dedup_load(dedup, 500, cases[i].bytes, cases[i].len), cases[i].good, "row %zu", i);
    kpid_dedup_free(dedup);
    kpid_dedup_free(NULL);
}

/* Far more slices than there are tags, then jumps of time, with so few marks that the sweep lags behind: a mark never
 * goes before its time, an expired tag never lends its slice's marks a second life. */
Test(dedup, keeps_its_word_when_time_jumps)
{
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 64 << 20);
    struct kpid_dedup_stats stats;
    for (unsigned id = 0; id < 100000; id++)
        kpid_dedup_mark(dedup, hash_of(id), 5000);
    for (unsigned k = 0; k < 3000; k++) { /* one mark a slice, nothing expires */
        kpid_dedup_mark(dedup, hash_of(200000 + k), 10000 + k * WIDTH_MS);
        cr_assert(kpid_dedup_seen(dedup, hash_of(0), KPID_NEVER));
    }
    for (unsigned k = 0; k < 3000; k++)
        cr_assert(kpid_dedup_seen(dedup, hash_of(200000 + k), KPID_NEVER));
    for (unsigned k = 0; k < 3000; k += 100) {
        kpid_dedup_expire(dedup, 10000 + k * WIDTH_MS);
        for (unsigned m = k; m < 3000; m++)
            cr_assert(kpid_dedup_seen(dedup, hash_of(200000 + m), KPID_NEVER), "%u at %u", m, k);
        cr_assert_not(kpid_dedup_seen(dedup, hash_of(0), KPID_NEVER));
    }
    int64_t now = 1000000;
    unsigned stretched = 0; /* marks kept longer than needed, because no tag was free */
    for (unsigned k = 0; k < 20000; k++) { /* every mark jumps past the horizon of the one before */
        now += 3 * HORIZON_MS;
        kpid_dedup_mark(dedup, hash_of(300000 + k), now);
        kpid_dedup_expire(dedup, now - HORIZON_MS);
        cr_assert(kpid_dedup_seen(dedup, hash_of(300000 + k), KPID_NEVER));
        cr_assert_not(kpid_dedup_seen(dedup, hash_of(k), KPID_NEVER), "%u", k);
        stretched += kpid_dedup_seen(dedup, hash_of(300000 + k - 1), KPID_NEVER);
    }
    kpid_dedup_stats(dedup, &stats);
    cr_assert_lt(stretched, 2000, "%u", stretched);
    cr_assert_leq(stats.marks, 2);
    cr_assert_lt(stats.bytes, 400000, "%zu", (size_t)stats.bytes); /* memory was given back */
    kpid_dedup_free(dedup);
}

Test(dedup, takes_at_most_twelve_bytes_a_mark)
{
    struct kpid_dedup *dedup = kpid_dedup_new(3600000, 64 << 20);
    struct kpid_dedup_stats stats;
    struct stored *stored = kpid_zalloc(1, sizeof(*stored));
    double worst = 0;
    for (unsigned id = 0; id < 2000000; id++) {
        kpid_dedup_mark(dedup, hash_of(id), 1000000 + id);
        if (id % 10000 == 0) { /* as a commit does */
            kpid_dedup_pack_new(dedup, false, keep, stored);
            kpid_dedup_stats(dedup, &stats);
            double bytes = (double)stats.bytes / (double)(stats.marks);
            if (id >= 500000 && bytes > worst)
                worst = bytes;
        }
    }
    cr_assert_leq(worst, 12.0, "%g", worst);
    kpid_dedup_stats(dedup, &stats);
    cr_assert(stats.marks == 2000000 && stats.cut == 0);
    stored_release(stored);
    kpid_dedup_free(dedup);
}

/* Room made in advance is only room: what is loaded is the same, whatever was said, within max_bytes. */
Test(dedup, loads_into_reserved_room)
{
    static const uint64_t said[] = {0, 1000, 300000, 310000, UINT64_MAX / 8};
    for (size_t i = 0; i < KPID_COUNT_OF(said); i++) {
        struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 8 << 20), *back = kpid_dedup_new(HORIZON_MS, 8 << 20);
        struct stored *stored = kpid_zalloc(1, sizeof(*stored));
        struct kpid_dedup_stats stats;
        for (unsigned id = 0; id < 300000; id++)
            kpid_dedup_mark(dedup, hash_of(id), 10000 + id / 100);
        kpid_dedup_pack_new(dedup, false, keep, stored);
        kpid_dedup_reserve(back, said[i]);
        kpid_dedup_stats(back, &stats);
        cr_assert_leq(stats.bytes, 8 << 20);
        cr_assert(said[i] != 300000 || stats.bytes > 300000 * 8);
        for (size_t k = 0; k < stored->n; k++)
            cr_assert(kpid_dedup_load(back, stored->start_ms[k], stored->bytes[k], stored->len[k]));
        kpid_dedup_reserve(back, 2 * said[i]); /* too late to matter */
        kpid_dedup_stats(back, &stats);
        cr_assert(stats.marks == 300000 && stats.cut == 0 && stats.bytes <= 300000 * (said[i] == 300000 ? 12 : 13), "%zu", (size_t)stats.bytes);
        for (unsigned id = 0; id < 300000; id++)
            cr_assert(kpid_dedup_seen(back, hash_of(id), KPID_NEVER), "id %u", id);
        stored_release(stored);
        kpid_dedup_free(dedup);
        kpid_dedup_free(back);
    }
}

/* Whether an id may come again must not hang on when somebody let marks expire. */
Test(dedup, expires_by_the_clock_of_who_asks)
{
    struct kpid_dedup *dedup = kpid_dedup_new(HORIZON_MS, 64 << 20);
    kpid_dedup_mark(dedup, hash_of(1), 10 * WIDTH_MS + 5);
    cr_assert(kpid_dedup_seen(dedup, hash_of(1), KPID_NEVER));
    cr_assert(kpid_dedup_seen(dedup, hash_of(1), 11 * WIDTH_MS - 1));
    cr_assert_not(kpid_dedup_seen(dedup, hash_of(1), 11 * WIDTH_MS));
    kpid_dedup_mark(dedup, hash_of(1), 20 * WIDTH_MS);
    cr_assert(kpid_dedup_seen(dedup, hash_of(1), 11 * WIDTH_MS));
    kpid_dedup_free(dedup);
}
