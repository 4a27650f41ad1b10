/* The oldest open span of a group against a list of all. */
#include <criterion/criterion.h>

#include "engine/spans.h"

#define N_MAX 600

struct span {
    int64_t begin, end;
    uint32_t gid, track;
};

static struct span list[N_MAX];
static size_t n;
static uint64_t state = 5;

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % below;
}

static void compare_all(const struct kpid_spans *spans)
{
    for (uint32_t gid = 0; gid < 3; gid++)
        for (uint32_t track = 0; track < 2; track++)
            for (int64_t at = -1; at < 110; at += 1 + draw(4)) {
                int64_t want = KPID_FOREVER, got = 0;
                for (size_t i = 0; i < n; i++)
                    if (list[i].gid == gid && list[i].track == track && list[i].begin < at && list[i].end >= at &&
                        list[i].begin < want)
                        want = list[i].begin;
                bool any = kpid_spans_oldest(spans, 1, gid, track, at, &got);
                cr_assert_eq(any, want != KPID_FOREVER);
                cr_assert(!any || got == want, "group %u track %u at %lld", gid, track, (long long)at);
            }
}

Test(spans, find_the_oldest)
{
    struct kpid_spans *spans = kpid_spans_new(2, 2);
    for (int step = 0; step < 20000; step++) {
        bool add = n == 0 || (n < N_MAX && draw(100) < (step / 2000 % 2 ? 35 : 65)); /* grows and shrinks */
        if (add) {
            struct span span = {.begin = draw(100), .gid = draw(3), .track = draw(2)};
            span.end = draw(4) ? span.begin + draw(20) : KPID_FOREVER;
            kpid_spans_add(spans, 1, span.gid, span.track, span.begin, span.end, 1);
            list[n++] = span;
        } else {
            size_t at = draw((unsigned)n);
            kpid_spans_add(spans, 1, list[at].gid, list[at].track, list[at].begin, list[at].end, -1);
            list[at] = list[--n];
        }
        if (step % 97 == 0)
            compare_all(spans);
    }
    cr_assert_eq(kpid_spans_gids(spans, 1), 3);
    cr_assert_eq(kpid_spans_gids(spans, 0), 0);
    while (n > 0) {
        n--;
        kpid_spans_add(spans, 1, list[n].gid, list[n].track, list[n].begin, list[n].end, -1);
    }
    compare_all(spans);
    size_t bytes = kpid_spans_bytes(spans);
    for (int i = 0; i < 300; i++) /* freed nodes are used again */
        kpid_spans_add(spans, 1, 0, 0, i, KPID_FOREVER, 1);
    cr_assert_eq(kpid_spans_bytes(spans), bytes);
    kpid_spans_free(spans);
}
