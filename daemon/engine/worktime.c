#include "kpid/worktime.h"

#include <assert.h>
#include <stdlib.h>

#include "kpid/buf.h"

void kpid_worktime_release(struct kpid_worktime *work)
{
    free(work->name);
    free(work->spans);
    *work = (struct kpid_worktime){0};
}

void kpid_worktime_add(struct kpid_worktime *work, int64_t start_ms, int64_t end_ms)
{
    struct kpid_work_span *last = work->n ? &work->spans[work->n - 1] : NULL;

    if (start_ms < work->from_ms)
        start_ms = work->from_ms;
    if (end_ms > work->to_ms)
        end_ms = work->to_ms;
    if (start_ms >= end_ms)
        return;
    if (last && start_ms <= last->end_ms) {
        assert(start_ms >= last->start_ms);
        if (end_ms > last->end_ms)
            last->end_ms = end_ms;
        return;
    }
    if (work->n == work->cap) {
        work->cap = work->cap ? work->cap * 2 : 64;
        work->spans = kpid_realloc(work->spans, work->cap * sizeof(*work->spans));
        last = work->n ? &work->spans[work->n - 1] : NULL;
    }
    int64_t before = last ? last->before_ms + (last->end_ms - last->start_ms) : 0;
    work->spans[work->n++] = (struct kpid_work_span){ start_ms, end_ms, before };
}

bool kpid_worktime_covers(const struct kpid_worktime *work, int64_t t_ms)
{
    return t_ms >= work->from_ms && t_ms < work->to_ms;
}

/* Work in [from, t). */
static int64_t work_before(const struct kpid_worktime *work, int64_t t_ms)
{
    size_t low = 0, high = work->n; /* spans below `low` begin at or before t */

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (work->spans[mid].start_ms <= t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return 0;
    const struct kpid_work_span *span = &work->spans[low - 1];
    return span->before_ms + (t_ms < span->end_ms ? t_ms : span->end_ms) - span->start_ms;
}

int64_t kpid_worktime_between(const struct kpid_worktime *work, int64_t a_ms, int64_t b_ms)
{
    return work_before(work, b_ms) - work_before(work, a_ms);
}

int64_t kpid_worktime_after(const struct kpid_worktime *work, int64_t t_ms, int64_t work_ms)
{
    if (work_ms == 0)
        return t_ms;
    int64_t start = work_before(work, t_ms);
    size_t low = 0, high = work->n; /* spans below `low` hold less than the work before them and the wanted one */

    if (work_ms > INT64_MAX - start)
        return KPID_FOREVER;
    int64_t wanted = start + work_ms;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct kpid_work_span *span = &work->spans[mid];
        if (span->before_ms + (span->end_ms - span->start_ms) < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == work->n)
        return KPID_FOREVER;
    return work->spans[low].start_ms + (wanted - work->spans[low].before_ms);
}
