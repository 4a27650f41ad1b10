/* The older format of state: what it consists of, who follows it, and the ways from one to the other. */
#include "app_rig.h"

#include "kpid/pack.h"

struct kept {
    struct kpid_buf meta;
    struct kpid_page pages[64];
    size_t n;
    bool reset;
};

static void keep(struct kept *kept, struct kpid_shard *shard)
{
    struct kpid_commit commit;
    size_t n = 0;
    kpid_shard_cut(shard, false, &commit);
    kept->reset = commit.reset;
    for (size_t i = 0; i < kept->n; i++) {
        bool gone = commit.reset;
        for (size_t k = 0; k < commit.n_dropped; k++)
            gone |= commit.dropped[k] == kept->pages[i].id;
        if (gone)
            free(kept->pages[i].bytes);
        else
            kept->pages[n++] = kept->pages[i];
    }
    for (size_t i = 0; i < commit.n_pages; i++) {
        cr_assert(n < KPID_COUNT_OF(kept->pages));
        kept->pages[n++] = commit.pages[i];
    }
    kept->n = n;
    kpid_buf_clear(&kept->meta);
    kpid_buf_add(&kept->meta, commit.meta.data, commit.meta.len);
    commit.n_pages = 0; /* they are kept */
    kpid_commit_release(&commit);
}

static void kept_release(struct kept *kept)
{
    for (size_t i = 0; i < kept->n; i++)
        free(kept->pages[i].bytes);
    kpid_buf_release(&kept->meta);
}

static void expect_formats(const struct kept *kept, unsigned meta, unsigned newest_page)
{
    uint64_t *ids;
    size_t n, newest = 0;
    cr_assert_eq(kpid_meta_format(kept->meta.data, kept->meta.len), meta);
    for (size_t i = 0; i < kept->n; i++) {
        uint64_t format = kpid_meta_format(kept->pages[i].bytes, kept->pages[i].len);
        newest = format > newest ? format : newest;
    }
    cr_assert_eq(newest, newest_page);
    cr_assert(kpid_meta_pages(kept->meta.data, kept->meta.len, &ids, &n), "who follows knows what to fetch");
    cr_assert(n > 0 && n < kept->n, "all but the marks of ids");
    for (size_t i = 0, k = 0; i < n; i++) {
        while (k < kept->n && kept->pages[k].id != ids[i])
            k++;
        cr_assert_lt(k, kept->n);
    }
    free(ids);
}

static struct kpid_shard *loaded(const struct rig *rig, const struct kept *kept)
{
    struct kpid_shard *shard = kpid_shard_new(rig->model, 0, 0);
    const char *why = "";
    cr_assert(kpid_shard_load(shard, kept->meta.data, kept->meta.len, kept->pages, kept->n, &why), "%s", why);
    return shard;
}

/* From here on the rig's shard is the one that was stored. */
static void restart(struct rig *rig, const struct kept *kept)
{
    kpid_shard_free(rig->shard);
    rig->shard = loaded(rig, kept);
}

static void open_two(struct rig *rig)
{
    rig_open(rig,
             "sources: { s: { topics: [a], out_of_order: 10s, allowed_lateness: 5m, id: ts, dedup_horizon: "
             "10m } }\n"
             "measures: { n: { from: s, count: }, d: { from: s, distinct: ts } }\n",
             "kpis: { n: { formula: n, windows: [1m] }, d: { formula: d, windows: [1m], by: [type] } }\n");
}

Test(format, both_ways_and_no_page_is_newer_than_its_header)
{
    struct rig rig;
    struct kept kept = {0};
    open_two(&rig);
    cr_assert_eq(kpid_shard_format(rig.shard), kpid_state_format());
    kpid_shard_set_format(rig.shard, 4);
    rig_take(&rig, START + 1000);
    keep(&kept, rig.shard);
    expect_formats(&kept, 4, 4);
    restart(&rig, &kept);
    cr_assert_eq(kpid_shard_format(rig.shard), 4, "until somebody says otherwise");
    rig_take(&rig, START + 2000);
    keep(&kept, rig.shard);
    expect_formats(&kept, 4, 4);

    /* Newer from here on: what is there stays as it is. */
    size_t before = kept.n;
    kpid_shard_set_format(rig.shard, 5);
    cr_assert_not(kpid_shard_dirty(rig.shard), "a newer format is no reason to write");
    rig_take(&rig, START + 3000);
    keep(&kept, rig.shard);
    expect_formats(&kept, 5, 5);
    cr_assert_not(kept.reset);
    cr_assert_gt(kept.n, before);
    cr_assert_eq(kpid_meta_format(kept.pages[0].bytes, kept.pages[0].len), 4);
    restart(&rig, &kept);
    cr_assert_eq(kpid_shard_format(rig.shard), 5);

    /* And back: all of it, though no event came. */
    cr_assert_not(kpid_shard_dirty(rig.shard));
    kpid_shard_set_format(rig.shard, 4);
    cr_assert(kpid_shard_dirty(rig.shard), "who needs the older one waits for it");
    keep(&kept, rig.shard);
    cr_assert(kept.reset);
    expect_formats(&kept, 4, 4);
    restart(&rig, &kept);
    cr_assert_eq(kpid_shard_next_offset(rig.shard, 0), 3);
    cr_assert_not(kpid_shard_dirty(rig.shard));

    kpid_shard_set_format(rig.shard, 1);
    cr_assert_eq(kpid_shard_format(rig.shard), 4, "there is none that is older");
    kpid_shard_set_format(rig.shard, 99);
    cr_assert_eq(kpid_shard_format(rig.shard), kpid_state_format());
    kept_release(&kept);
    rig_close(&rig);
}

static void count(void *ctx, size_t measure_index, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    (void)measure_index;
    (void)rung;
    (void)start_ms;
    (void)end_ms;
    ++*(unsigned *)ctx;
}

/* As a publisher does: evaluates, and tells once all is published. */
static unsigned told(struct kpid_shard *copy)
{
    unsigned n = 0;
    kpid_shard_touched(copy, false, count, &n);
    kpid_shard_touched_clear(copy);
    return n;
}

static void follow(struct kpid_shard *copy, const struct kept *kept, size_t from)
{
    const char *why = "";
    cr_assert(
        kpid_shard_follow(copy, kept->meta.data, kept->meta.len, kept->pages + from, kept->n - from, &why),
        "%s", why);
}

/* Numbers tell a copy which corrections it has told; the older format has none, so none may be passed over
 * there. */
Test(format, corrections_are_told_again_where_they_have_no_numbers)
{
    for (unsigned format = 4; format <= 5; format++) {
        struct rig rig;
        struct kept kept = {0};
        rig_open(&rig,
                 "sources: { s: { topics: [a], out_of_order: 10s, allowed_lateness: 50m } }\n"
                 "measures: { n: { from: s, count: } }\n",
                 "kpis: { n: { formula: n, windows: [1m] } }\n");
        struct kpid_shard *copy = kpid_shard_copy_new(rig.model, 0, 0);
        kpid_shard_set_format(rig.shard, format);
        kpid_shard_watch_all(rig.shard, KPID_NEVER);
        kpid_shard_watch(rig.shard, 0, START + 20 * MINUTE);
        rig_take(&rig, START + 30 * MINUTE);
        rig_take(&rig, START + 1 * MINUTE);
        rig_take(&rig, START + 2 * MINUTE);
        keep(&kept, rig.shard);
        follow(copy, &kept, 0);
        unsigned two = told(copy);
        cr_assert_gt(two, 0);
        cr_assert_eq(told(copy), 0, "nothing is new in the same commit");

        size_t from = kept.n;
        rig_take(&rig, START + 3 * MINUTE);
        keep(&kept, rig.shard);
        follow(copy, &kept, from);
        cr_assert_eq(told(copy), format == 5 ? two / 2 : two + two / 2);

        /* The owner drops what was told, and notes as many others: they are not taken for those. */
        kpid_shard_touched(rig.shard, false, NULL, NULL);
        kpid_shard_touched_clear(rig.shard);
        for (int i = 4; i < 7; i++)
            rig_take(&rig, START + i * MINUTE);
        from = kept.n;
        keep(&kept, rig.shard);
        unsigned n = 0;
        kpid_shard_touched(copy, true, count, &n); /* a round is under way meanwhile */
        follow(copy, &kept, from);
        kpid_shard_touched_clear(copy);
        cr_assert_eq(told(copy), two + two / 2);
        kpid_shard_free(copy);
        kept_release(&kept);
        rig_close(&rig);
    }
}

static void earliest(void *ctx, size_t measure_index, uint16_t rung, int64_t start_ms, int64_t end_ms)
{
    (void)measure_index;
    (void)rung;
    (void)end_ms;
    if (start_ms < *(int64_t *)ctx)
        *(int64_t *)ctx = start_ms;
}

/* Of a level all from the earliest change on is corrected, which is one note; but not one that somebody may have
 * read in what was restored. */
Test(format, a_note_that_was_restored_is_not_changed)
{
    struct rig rig;
    struct kept kept = {0};
    rig_open(&rig,
             "sources: { s: { topics: [a], out_of_order: 10s, allowed_lateness: 50m } }\n"
             "measures: { c: { from: s, clock: { key: ts, start: type == \"x\", stop: type == \"y\" } } }\n",
             "kpis: { c: { formula: c.open, windows: [1m] } }\n");
    rig_take(&rig, START + 30 * MINUTE);
    rig_take(&rig, START + 9 * MINUTE);
    keep(&kept, rig.shard);
    restart(&rig, &kept);
    struct kpid_shard *copy = kpid_shard_copy_new(rig.model, 0, 0);
    follow(copy, &kept, 0);
    cr_assert_gt(told(copy), 0);
    rig_take(&rig, START + 3 * MINUTE);
    size_t from = kept.n;
    keep(&kept, rig.shard);
    follow(copy, &kept, from);
    int64_t from_ms = KPID_FOREVER;
    kpid_shard_touched(copy, false, earliest, &from_ms);
    cr_assert_eq(from_ms, START + 3 * MINUTE);
    kpid_shard_free(copy);
    kept_release(&kept);
    rig_close(&rig);
}
