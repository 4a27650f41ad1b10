/*
 * What state takes: bytes a key, mark or cell, in memory (as the allocator counts, and as the shard itself
 * does) and packed, as a commit of everything would write it. Keys have 12 bytes; what is said includes them.
 */
#include "measures.h"
#include "rig.h"

#include "kpid/buf.h"

#include <malloc.h>
#include <stdio.h>

struct kind {
    const char *name, *measure;
    const char *part, *by;
    bool ids;  /* what grows: ids; */
    int panes; /* groups, in so many panes; 0: keys */
};

#define CLOCK "clock: { key: key, start: 'type == \"start\"', stop: 'type == \"stop\"'"
#define STEPS "steps: ['type == \"start\"', 'type == \"stop\"']"

static const struct kind kinds[] = {
    {"open clock", CLOCK ", forget_after: never }", .part = "", .by = ""},
    {"open clock, forgotten after 30d", CLOCK " }", .part = "", .by = ""},
    {"the same, deadline, one grouping", CLOCK ", deadline: 1h }", .part = "", .by = "g"},
    {"the same, oldest", CLOCK ", deadline: 1h }", .part = ".oldest", .by = "g"},
    {"session", "session: { key: key, gap: 30m }", .part = "", .by = ""},
    {"session, one grouping", "session: { key: key, gap: 30m }", .part = "", .by = "g"},
    {"funnel, its first step", "funnel: { key: key, within: 1h, " STEPS " }", .part = "", .by = ""},
    {"retention, its start",
     "retention: { key: key, start: 'type == \"start\"', return: 'type == \"stop\"' }", .part = "", .by = ""},
    {"de-duplication mark", "count: ", .part = "", .by = "", .ids = true},
    {"group with one cell of a count", "count: ", .part = "", .by = "g", .panes = 1},
    {"one more cell of a count", "count: ", .part = "", .by = "g", .panes = 5},
    {"group with one cell of a sum", "sum: amount", .part = "", .by = "g", .panes = 1},
    {"one more cell of a sum", "sum: amount", .part = "", .by = "g", .panes = 5},
};

struct sizes {
    double allocated, counted, packed;
};

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void rig_of(struct kpid_rig *rig, const struct kind *kind)
{
    struct kpid_buf measures = KPID_BUF_INIT, kpis = KPID_BUF_INIT;

    kpid_buf_printf(&measures, "  m: { from: s, %s }\n", kind->measure);
    kpid_buf_printf(&kpis, "  k: { formula: m%s, by: [%s], windows: [{ rolling: 1h, slide: 1m }] }\n",
                    kind->part, kind->by);
    kpid_rig_init(rig, ", max_groups: 100000000, max_state_bytes: 8GiB, dedup_bytes: 1GiB", measures.data,
                  kpis.data);
    kpid_buf_release(&measures);
    kpid_buf_release(&kpis);
}

/* Cuts until nothing is dirty, so that no list of what changed is counted. Returns what a whole state weighs.
 */
static size_t packed(struct kpid_rig *rig)
{
    struct kpid_commit commit;
    size_t bytes = 0;

    kpid_shard_cut(rig->shard, false, &commit);
    kpid_commit_release(&commit);
    kpid_shard_cut(rig->shard, true, &commit);
    for (size_t i = 0; i < commit.n_pages; i++)
        bytes += commit.pages[i].len;
    kpid_commit_release(&commit);
    return bytes;
}

static struct sizes state_of(const struct kind *kind, size_t n, int panes)
{
    struct kpid_rig rig;
    struct kpid_shard_stats before, after;
    struct sizes ret;

    rig_of(&rig, kind);
    kpid_shard_stats(rig.shard, &before);
    size_t heap = allocated();
    for (int pane = 0; pane < panes; pane++)
        for (size_t i = 0; i < n; i++) {
            /* Keys come one after the other in an hour: those of one instant would share what is kept for the
             * oldest. */
            int64_t at = kind->panes || kind->ids ? 60000 * pane : (int64_t)(i * 3600000 / n);
            struct kpid_rig_event event = {.ts_ms = RIG_BEGIN_MS + at,
                                           .type = RIG_START,
                                           .key = (uint32_t)i,
                                           .has_id = kind->ids,
                                           .group = kind->panes ? (uint32_t)i : (uint32_t)(i % 16),
                                           .amount = 4200};
            kpid_rig_take(&rig, &event);
        }
    ret.packed = (double)packed(&rig);
    malloc_trim(0);
    ret.allocated = (double)(allocated() - heap);
    kpid_shard_stats(rig.shard, &after);
    ret.counted = (double)(after.state_bytes - before.state_bytes);
    kpid_rig_release(&rig);
    return ret;
}

void kpid_bench_state(size_t n)
{
    printf("%-34s %10s %10s %10s\n", "bytes each", "allocated", "counted", "packed");
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        struct sizes size = state_of(&kinds[k], n, kinds[k].panes ? kinds[k].panes : 1);
        double each = (double)n;
        if (kinds[k].panes > 1) { /* what the panes behind the first one add */
            struct sizes one = state_of(&kinds[k], n, 1);
            size.allocated -= one.allocated;
            size.counted -= one.counted;
            size.packed -= one.packed;
            each *= kinds[k].panes - 1;
        }
        printf("%-34s %10.1f %10.1f %10.1f\n", kinds[k].name, size.allocated / each, size.counted / each,
               size.packed / each);
    }
    printf("%zu of each; keys have 12 bytes, which are included, groups 9\n\n", n);
}
