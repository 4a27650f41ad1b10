/* Sessions against a recount of all events, in any order of arrival, over restarts and forgetting. */
#include "keyed_rig.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define T0     (INT64_C(1700000000000) / HOUR * HOUR)
#define GAP    (30 * MINUTE)

static const char config[] =
    "sources: { users: { topics: [users], out_of_order: 10s, allowed_lateness: 2h } }\n"
    "measures: { visits: { from: users, where: type == \"page.viewed\", session: { key: user_id, gap: 30m } } }\n"
    "kpis: { visits: { formula: visits, windows: [{ rolling: 1h, slide: 1m }, all] },\n"
    "        visits_of: { formula: visits, by: [channel], windows: [{ rolling: 1h, slide: 1m }, all] } }\n";

static void view(struct rig *rig, int user, int64_t ts_ms, const char *channel)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"type\":\"page.viewed\",\"id\":\"%lld\",\"ts\":%lld,\"user_id\":\"u%d\",\"channel\":\"%s\"}",
             (long long)rig->offset, (long long)ts_ms, user, channel);
    cr_assert_eq(rig_take(rig, json), KPID_CLASS_COUNTED);
}

Test(session, counts_where_it_begins_and_where_it_ends)
{
    struct rig rig = rig_new(config);
    view(&rig, 1, T0 + 50 * MINUTE, "web");
    view(&rig, 1, T0 + 70 * MINUTE, "app");
    view(&rig, 1, T0 + 75 * MINUTE, "app");
    view(&rig, 2, T0 + 55 * MINUTE, "app");
    rig_expect(&rig, NULL, "n", T0, T0 + HOUR, "2");
    rig_expect(&rig, NULL, "open", T0, T0 + HOUR, "2");
    rig_expect(&rig, NULL, "ended", T0, T0 + HOUR, "0");
    rig_expect(&rig, NULL, "p50", T0, T0 + HOUR, "none");
    rig_expect(&rig, NULL, "n", T0 + HOUR, T0 + 2 * HOUR, "0");
    rig_expect(&rig, NULL, "open", T0 + 25 * MINUTE, T0 + 85 * MINUTE + MINUTE, "1"); /* u2's gap ran out at 85 */
    rig_expect(&rig, NULL, "ended", T0 + HOUR, T0 + 2 * HOUR, "2");
    rig_expect(&rig, NULL, "max", T0 + HOUR, T0 + 2 * HOUR, "1500");
    rig_expect(&rig, NULL, "events", T0 + HOUR, T0 + 2 * HOUR, "4");
    rig_expect(&rig, NULL, "events_mean", T0 + HOUR, T0 + 2 * HOUR, "2");
    rig_expect(&rig, NULL, "bounces", T0 + HOUR, T0 + 2 * HOUR, "1");
    rig_expect(&rig, NULL, "bounce_rate", T0 + HOUR, T0 + 2 * HOUR, "0.5");
    rig_expect(&rig, NULL, "open", T0 + HOUR, T0 + 2 * HOUR, "0");
    rig_expect(&rig, "web", "max", T0 + HOUR, T0 + 2 * HOUR, "1500"); /* of its first event */
    rig_expect(&rig, "app", "bounces", T0 + HOUR, T0 + 2 * HOUR, "1");
    rig_free(&rig);
}

Test(session, an_event_at_the_gap_belongs_to_it)
{
    struct rig rig = rig_new(config);
    view(&rig, 1, T0, "web");
    view(&rig, 1, T0 + GAP, "web");
    view(&rig, 1, T0 + 2 * GAP + 1, "web");
    rig_expect(&rig, NULL, "n", T0, T0 + 2 * HOUR, "2");
    rig_expect(&rig, NULL, "ended", T0, T0 + 2 * HOUR, "2");
    rig_expect(&rig, NULL, "max", T0, T0 + 2 * HOUR, "1800");
    rig_expect(&rig, NULL, "min", T0, T0 + 2 * HOUR, "0");
    rig_free(&rig);
}

Test(session, a_late_event_joins_two)
{
    struct rig rig = rig_new(config);
    view(&rig, 1, T0, "web");
    view(&rig, 1, T0 + 40 * MINUTE, "app");
    view(&rig, 9, T0 + 100 * MINUTE, "web");
    rig_expect(&rig, NULL, "n", T0, T0 + HOUR, "2");
    rig_expect(&rig, NULL, "ended", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "2");
    rig_expect(&rig, NULL, "max", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "0");
    view(&rig, 1, T0 + 20 * MINUTE, "app");
    rig_expect(&rig, NULL, "n", T0, T0 + HOUR, "1");
    rig_expect(&rig, NULL, "ended", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "1");
    rig_expect(&rig, NULL, "max", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "2400");
    rig_expect(&rig, NULL, "min", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "2400");
    rig_expect(&rig, NULL, "events", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "3");
    rig_expect(&rig, "app", "n", T0, T0 + HOUR, "0");
    view(&rig, 1, T0 - 5 * MINUTE, "shop"); /* it began earlier, and by another channel */
    rig_expect(&rig, "web", "n", T0 - HOUR, T0 + HOUR, "0");
    rig_expect(&rig, "shop", "max", T0 + 20 * MINUTE, T0 + 80 * MINUTE, "2700");
    rig_free(&rig);
}

Test(session, a_long_one_costs_what_a_short_one_does)
{
    struct rig rig = rig_new(config);
    struct kpid_shard_stats one, many;
    view(&rig, 1, T0, "web");
    kpid_shard_stats(rig.shard, &one);
    uint64_t cells, bytes, after, absent;
    kpid_shard_measure_stats(rig.shard, 0, &cells, &bytes, &absent);
    for (int i = 1; i < 5000; i++)
        view(&rig, 1, T0 + i * 10, "web");
    kpid_shard_stats(rig.shard, &many);
    kpid_shard_measure_stats(rig.shard, 0, &cells, &after, &absent);
    cr_assert_eq(many.keys, 1);
    cr_assert_eq(after, bytes);
    rig_expect(&rig, NULL, "events", T0, T0 + HOUR, "5000");
    rig_free(&rig);
}

/* ---- any order ---- */

#define USERS  20
#define EVENTS 3000

static const char *const channels[] = {"web", "app", "shop"};

struct visit {
    int user;
    int64_t ts_ms;
    const char *channel;
};

static void visits_draw(struct rig *rig, struct visit *visits, int64_t span_ms)
{
    for (int i = 0; i < EVENTS; i++)
        visits[i] = (struct visit){(int)rig_draw(rig, USERS), T0 + (int64_t)rig_draw(rig, (unsigned)(span_ms / 1000)) * 1000,
                                   channels[rig_draw(rig, 3)]};
}

static int by_user(const void *a, const void *b)
{
    const struct visit *x = a, *y = b;
    if (x->user != y->user)
        return x->user - y->user;
    return x->ts_ms < y->ts_ms ? -1 : x->ts_ms > y->ts_ms;
}

static int by_time(const void *a, const void *b)
{
    const struct visit *x = a, *y = b;
    return x->ts_ms < y->ts_ms ? -1 : x->ts_ms > y->ts_ms;
}

/* Sessions that began in a window, from the events alone. */
static int recount_begun(const struct visit *visits, int64_t start_ms, int64_t end_ms)
{
    int n = 0;
    for (int i = 0; i < EVENTS; i++) {
        bool first = i == 0 || visits[i].user != visits[i - 1].user || visits[i].ts_ms - visits[i - 1].ts_ms > GAP;
        n += first && visits[i].ts_ms >= start_ms && visits[i].ts_ms < end_ms;
    }
    return n;
}

static int recount_bounces(const struct visit *visits, int64_t start_ms, int64_t end_ms)
{
    int n = 0;
    for (int i = 0; i < EVENTS; i++) {
        bool first = i == 0 || visits[i].user != visits[i - 1].user || visits[i].ts_ms - visits[i - 1].ts_ms > GAP;
        bool last = i == EVENTS - 1 || visits[i].user != visits[i + 1].user || visits[i + 1].ts_ms - visits[i].ts_ms > GAP;
        n += first && last && visits[i].ts_ms + GAP >= start_ms && visits[i].ts_ms + GAP < end_ms;
    }
    return n;
}

Test(session, is_the_same_in_any_order_and_equals_a_recount)
{
    struct rig rig = rig_new(config);
    static struct visit visits[EVENTS], sorted[EVENTS];
    const int64_t span = 100 * MINUTE; /* all within allowed_lateness */
    struct kpid_buf want = KPID_BUF_INIT;

    visits_draw(&rig, visits, span);
    /* few users need long pauses: leave out what lies in every other stretch of a user's time */
    for (int i = 0; i < EVENTS; i++)
        if ((visits[i].ts_ms - T0) / (35 * MINUTE) % 2 == visits[i].user % 2)
            visits[i].ts_ms = T0 + visits[i].user * 4 * MINUTE + (visits[i].ts_ms % 3) * 1000;
    memcpy(sorted, visits, sizeof sorted);
    qsort(sorted, EVENTS, sizeof *sorted, by_user);
    for (int order = 0; order < 20; order++) {
        for (int i = EVENTS - 1; i > 0; i--) {
            unsigned k = rig_draw(&rig, (unsigned)i + 1);
            struct visit swap = visits[i];
            visits[i] = visits[k];
            visits[k] = swap;
        }
        if (order == 1)
            qsort(visits, EVENTS, sizeof *visits, by_time);
        rig_clear(&rig);
        for (int i = 0; i < EVENTS; i++) {
            view(&rig, visits[i].user, visits[i].ts_ms, visits[i].channel);
            if (rig_draw(&rig, 500) == 0)
                rig_restart(&rig);
            if (rig_draw(&rig, 300) == 0) /* somebody looks at a window that is not over yet */
                kpid_shard_elapse(rig.shard, T0 + rig_draw(&rig, 240) * MINUTE);
        }
        struct kpid_buf got = KPID_BUF_INIT;
        for (int64_t b = T0 + MINUTE; b <= T0 + 4 * HOUR; b += 7 * MINUTE)
            for (uint16_t g = 0; g < 2; g++) {
                struct kpid_buf one = rig_bytes(&rig, 0, g, b - HOUR, b);
                kpid_buf_add(&got, one.data, one.len);
                kpid_buf_release(&one);
            }
        if (order == 0) {
            want = got;
            continue;
        }
        cr_assert(got.len == want.len && memcmp(got.data, want.data, got.len) == 0, "order %d differs", order);
        kpid_buf_release(&got);
    }
    for (int64_t b = T0 + HOUR; b <= T0 + 4 * HOUR; b += 10 * MINUTE) {
        char text[32];
        snprintf(text, sizeof text, "%d", recount_begun(sorted, b - HOUR, b));
        rig_expect(&rig, NULL, "n", b - HOUR, b, text);
        snprintf(text, sizeof text, "%d", recount_bounces(sorted, b - HOUR, b));
        rig_expect(&rig, NULL, "bounces", b - HOUR, b, text);
    }
    kpid_buf_release(&want);
    rig_free(&rig);
}

Test(session, is_released_once_nothing_can_change_it)
{
    struct rig rig = rig_new(config);
    struct kpid_shard_stats stats;
    for (int i = 0; i < 2000; i++) {
        view(&rig, i, T0 + i * MINUTE, "web");
        if (i % 40 == 0)
            view(&rig, 9999, T0 + i * MINUTE, "app"); /* always the same one, a session each time */
        if (i % 10 == 0)
            rig_advance(&rig, T0 + i * MINUTE);
    }
    rig_expect(&rig, NULL, "n", KPID_NEVER, T0 + 2000 * MINUTE, "2050");
    rig_expect(&rig, "app", "n", KPID_NEVER, T0 + 2000 * MINUTE, "50");
    rig_expect(&rig, "app", "bounces", KPID_NEVER, T0 + 2000 * MINUTE, "50");
    rig_expect(&rig, NULL, "open", KPID_NEVER, T0 + 2000 * MINUTE, "30");
    kpid_shard_stats(rig.shard, &stats);
    /* gap, lateness, and the time between two sweeps */
    cr_assert_lt(stats.keys, 30 + 120 + 30, "%llu keys", (unsigned long long)stats.keys);
    rig_free(&rig);
}
