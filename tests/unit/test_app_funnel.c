/* Funnels against a recount of all events, in any order of arrival, over restarts, with steps that one event shares. */
#include "keyed_rig.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define T0     (INT64_C(1700000000000) / HOUR * HOUR)
#define WITHIN (30 * MINUTE)
#define STEPS  3

static const char head[] =
    "sources: { users: { topics: [users], out_of_order: 10s, allowed_lateness: 6h } }\n"
    "kpis: { rate: { formula: buy, windows: [{ rolling: 1h, slide: 1m }, all] },\n"
    "        rate_of: { formula: buy, by: [channel], windows: [{ rolling: 1h, slide: 1m }, all] } }\n"
    "measures: { buy: { from: users, funnel: { key: user_id, within: 30m, steps: [ a == 1, b == 1, c == 1 ]";

static struct rig funnel_new(const char *more)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s } } }\n", head, more);
    return rig_new(text);
}

struct visit {
    int user;
    int64_t ts_ms;
    unsigned steps; /* bits */
    const char *channel;
};

static void take(struct rig *rig, const struct visit *v)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"type\":\"x\",\"id\":\"%lld\",\"ts\":%lld,\"user_id\":\"u%d\",\"channel\":\"%s\",\"a\":%u,\"b\":%u,\"c\":%u}",
             (long long)rig->offset, (long long)v->ts_ms, v->user, v->channel, v->steps & 1, v->steps >> 1 & 1,
             v->steps >> 2 & 1);
    cr_assert_eq(rig_take(rig, json), KPID_CLASS_COUNTED);
}

static void step(struct rig *rig, int user, int64_t ts_ms, unsigned steps, const char *channel)
{
    take(rig, &(struct visit){user, ts_ms, steps, channel});
}

Test(funnel, keeps_matured_and_open_attempts_apart)
{
    struct rig rig = funnel_new("");
    step(&rig, 1, T0, 1, "web");
    step(&rig, 1, T0 + 2 * MINUTE, 2, "app");
    step(&rig, 2, T0 + 5 * MINUTE, 1, "app");
    step(&rig, 1, T0 + 10 * MINUTE, 4, "app");
    step(&rig, 2, T0 + 36 * MINUTE, 2, "app"); /* too late */
    int64_t b = T0 + 20 * MINUTE;
    rig_expect(&rig, NULL, "step1", b - HOUR, b, "0");
    rig_expect(&rig, NULL, "rate", b - HOUR, b, "none");
    rig_expect(&rig, NULL, "provisional1", b - HOUR, b, "2");
    rig_expect(&rig, NULL, "provisional2", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "provisional_rate", b - HOUR, b, "0.5");
    rig_expect(&rig, NULL, "reached1", b - HOUR, b, "2");
    rig_expect(&rig, NULL, "reached3", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "max", b - HOUR, b, "600");
    rig_expect(&rig, NULL, "time2.max", b - HOUR, b, "120");
    rig_expect(&rig, NULL, "provisional3", T0 - 55 * MINUTE, T0 + 5 * MINUTE, "0"); /* as of then */
    b = T0 + 31 * MINUTE; /* the first one's time has run out */
    rig_expect(&rig, NULL, "step1", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "step3", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "rate", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "provisional1", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "provisional_rate", b - HOUR, b, "0");
    b = T0 + HOUR;
    rig_expect(&rig, NULL, "rate", b - HOUR, b, "0.5");
    rig_expect(&rig, NULL, "rate2", b - HOUR, b, "0.5");
    rig_expect(&rig, NULL, "pass3", b - HOUR, b, "1");
    rig_expect(&rig, NULL, "provisional_rate", b - HOUR, b, "none");
    rig_expect(&rig, "web", "rate", b - HOUR, b, "1"); /* by the field of its first step */
    rig_expect(&rig, "app", "rate", b - HOUR, b, "0");
    rig_free(&rig);
}

Test(funnel, a_late_first_step_moves_the_attempt)
{
    struct rig rig = funnel_new("");
    step(&rig, 1, T0, 1, "web");
    step(&rig, 1, T0 + 28 * MINUTE, 6, "web");
    step(&rig, 1, T0 + 29 * MINUTE, 4, "web");
    rig_expect(&rig, NULL, "step3", T0, T0 + HOUR, "1");
    rig_expect(&rig, NULL, "max", T0, T0 + HOUR, "1740");
    step(&rig, 1, T0 - 5 * MINUTE, 1, "shop"); /* now the time is over before the other steps */
    rig_expect(&rig, NULL, "step1", T0, T0 + HOUR, "1");
    rig_expect(&rig, NULL, "step3", T0, T0 + HOUR, "0");
    rig_expect(&rig, NULL, "max", T0, T0 + HOUR, "none");
    rig_expect(&rig, "shop", "step1", T0, T0 + HOUR, "1");
    rig_expect(&rig, "web", "step1", T0, T0 + HOUR, "0");
    rig_free(&rig);
}

Test(funnel, an_event_serves_one_step)
{
    struct rig rig = funnel_new("");
    step(&rig, 1, T0, 7, "web");
    rig_expect(&rig, NULL, "reached2", T0, T0 + HOUR, "0");
    step(&rig, 1, T0, 7, "web");
    rig_expect(&rig, NULL, "reached2", T0, T0 + HOUR, "1");
    rig_expect(&rig, NULL, "reached3", T0, T0 + HOUR, "0");
    step(&rig, 1, T0 + MINUTE, 3, "web"); /* again, and nothing new */
    rig_expect(&rig, NULL, "reached3", T0, T0 + HOUR, "0");
    step(&rig, 1, T0, 7, "web");
    rig_expect(&rig, NULL, "reached3", T0, T0 + HOUR, "1");
    rig_free(&rig);
}

Test(funnel, free_takes_steps_in_any_order_and_again_begins_behind_the_last)
{
    struct rig rig = funnel_new(", order: free");
    step(&rig, 1, T0, 1, "web");
    step(&rig, 1, T0 + MINUTE, 4, "web");
    step(&rig, 1, T0 + 2 * MINUTE, 2, "web");
    rig_expect(&rig, NULL, "rate3", T0, T0 + HOUR, "1");
    rig_free(&rig);
    rig = funnel_new(", again: completed");
    for (int i = 0; i < 3; i++)
        for (int s = 0; s < 3; s++)
            step(&rig, 1, T0 + (i * 3 + s) * MINUTE, 1u << s, "web");
    rig_expect(&rig, NULL, "step1", T0, T0 + HOUR, "3");
    rig_expect(&rig, NULL, "step3", T0, T0 + HOUR, "3");
    rig_free(&rig);
}

/* ---- a recount ---- */

#define USERS  12
#define EVENTS 1200

struct attempt {
    int64_t start_ms, at[STEPS]; /* of steps, -1: not reached */
};

static int by_item(const void *a, const void *b)
{
    const struct visit *x = a, *y = b;
    if (x->user != y->user)
        return x->user - y->user;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    return x->steps < y->steps ? -1 : x->steps > y->steps;
}

/* Attempts of one user's events, which are in order. */
static int recount_user(const struct visit *v, int n, bool free_order, bool again, struct attempt *ret)
{
    bool used[EVENTS] = {false};
    int found = 0, from = 0;
    for (;;) {
        while (from < n && !(v[from].steps & 1))
            from++;
        if (from >= n)
            return found;
        struct attempt a = {v[from].ts_ms, {v[from].ts_ms, -1, -1}};
        int last = from, first = from;
        used[from] = true;
        while (first > 0 && v[first - 1].ts_ms == a.start_ms && !used[first - 1])
            first--;
        for (int k = 1; k < STEPS && !free_order; k++) {
            int i = first;
            while (i < n && !(v[i].ts_ms >= a.at[k - 1] && !used[i] && v[i].steps >> k & 1))
                i++;
            if (i == n || v[i].ts_ms > a.start_ms + WITHIN)
                break;
            used[i] = true;
            a.at[k] = v[i].ts_ms;
            last = i > last ? i : last;
        }
        for (int i = first; i < n && free_order && v[i].ts_ms <= a.start_ms + WITHIN; i++)
            for (int k = 1; k < STEPS && !used[i]; k++)
                if (a.at[k] < 0 && v[i].steps >> k & 1) {
                    used[i] = true;
                    a.at[k] = v[i].ts_ms;
                    last = i > last ? i : last;
                }
        ret[found++] = a;
        if (again && a.at[1] >= 0 && a.at[2] >= 0) {
            from = last + 1;
            continue;
        }
        while (from < n && v[from].ts_ms <= a.start_ms + WITHIN)
            from++;
    }
}

static int recount(struct visit *v, bool free_order, bool again, struct attempt *ret)
{
    int found = 0;
    qsort(v, EVENTS, sizeof *v, by_item);
    for (int from = 0, to; from < EVENTS; from = to) {
        for (to = from; to < EVENTS && v[to].user == v[from].user; to++)
            ;
        found += recount_user(v + from, to - from, free_order, again, ret + found);
    }
    return found;
}

static void compare(struct rig *rig, const struct attempt *a, int n)
{
    for (int64_t b = T0 + MINUTE; b <= T0 + 6 * HOUR; b += 11 * MINUTE)
        for (int k = 0; k < STEPS; k++) {
            int matured = 0, reached = 0, open = 0;
            char part[16], want[16];
            for (int i = 0; i < n; i++) {
                int64_t end = a[i].start_ms + WITHIN;
                if (a[i].at[k] < 0)
                    continue;
                matured += end >= b - HOUR && end < b;
                reached += a[i].at[k] >= b - HOUR && a[i].at[k] < b;
                open += a[i].at[k] < b && end >= b;
            }
            snprintf(want, sizeof want, "%d", matured);
            snprintf(part, sizeof part, "step%d", k + 1);
            rig_expect(rig, NULL, part, b - HOUR, b, want);
            snprintf(want, sizeof want, "%d", reached);
            snprintf(part, sizeof part, "reached%d", k + 1);
            rig_expect(rig, NULL, part, b - HOUR, b, want);
            snprintf(want, sizeof want, "%d", open);
            snprintf(part, sizeof part, "provisional%d", k + 1);
            rig_expect(rig, NULL, part, b - HOUR, b, want);
        }
}

static struct kpid_buf all_bytes(struct rig *rig)
{
    struct kpid_buf out = KPID_BUF_INIT;
    for (int64_t b = T0 + MINUTE; b <= T0 + 6 * HOUR; b += 7 * MINUTE)
        for (uint16_t g = 0; g < 2; g++) {
            struct kpid_buf one = rig_bytes(rig, 0, g, b - HOUR, b);
            kpid_buf_add(&out, one.data, one.len);
            kpid_buf_release(&one);
        }
    return out;
}

static void orders(const char *more, bool free_order, bool again, int n_orders)
{
    static struct visit visits[EVENTS], sorted[EVENTS];
    static struct attempt attempts[EVENTS];
    static const char *const channels[] = {"web", "app", "shop"};
    struct rig rig = funnel_new(more);
    struct kpid_buf want = KPID_BUF_INIT;
    for (int i = 0; i < EVENTS; i++) {
        static const unsigned steps[] = {1, 1, 1, 2, 2, 4, 4, 3, 6, 5, 7};
        visits[i] = (struct visit){(int)rig_draw(&rig, USERS), T0 + rig_draw(&rig, 5 * 60) * MINUTE,
                                   steps[rig_draw(&rig, KPID_COUNT_OF(steps))], channels[rig_draw(&rig, 3)]};
    }
    memcpy(sorted, visits, sizeof sorted);
    int n = recount(sorted, free_order, again, attempts);
    cr_assert_gt(n, 50);
    for (int order = 0; order < n_orders; order++) {
        for (int i = EVENTS - 1; i > 0; i--) {
            unsigned k = rig_draw(&rig, (unsigned)i + 1);
            struct visit swap = visits[i];
            visits[i] = visits[k];
            visits[k] = swap;
        }
        rig_clear(&rig);
        for (int i = 0; i < EVENTS; i++) {
            take(&rig, &visits[i]);
            if (rig_draw(&rig, 400) == 0)
                rig_restart(&rig);
            if (rig_draw(&rig, 100) == 0) /* somebody looks at a window that is not over yet */
                kpid_shard_elapse(rig.shard, T0 + rig_draw(&rig, 360) * MINUTE);
        }
        struct kpid_buf got = all_bytes(&rig);
        if (order == 0) {
            compare(&rig, attempts, n);
            want = got;
            continue;
        }
        cr_assert(got.len == want.len && memcmp(got.data, want.data, got.len) == 0, "order %d differs", order);
        kpid_buf_release(&got);
    }
    kpid_buf_release(&want);
    rig_free(&rig);
}

Test(funnel, fifty_orders_of_arrival_give_one_result)
{
    orders("", false, false, 50);
}

Test(funnel, and_so_does_each_kind)
{
    orders(", again: completed", false, true, 8);
    orders(", order: free", true, false, 8);
    orders(", order: free, again: completed", true, true, 8);
}

/* What is open becomes what has matured, and nothing else does. */
Test(funnel, provisional_and_matured_rates_agree_once_the_time_has_run_out)
{
    struct rig rig = funnel_new("");
    char open[STEPS][32], rate[32];
    for (int i = 0; i < 400; i++) {
        step(&rig, i, T0 + i * 100, 1, "web");
        if (i % 2 == 0)
            step(&rig, i, T0 + i * 200 + 5000, 2, "web");
        if (i % 8 == 0)
            step(&rig, i, T0 + i * 300 + 9000, 4, "web");
    }
    int64_t b = T0 + 5 * MINUTE; /* nobody's time is over, and everybody has done what he does */
    for (int k = 0; k < STEPS; k++) {
        char part[16];
        snprintf(part, sizeof part, "provisional%d", k + 1);
        strcpy(open[k], rig_read(&rig, 0, NULL, part, b - HOUR, b));
    }
    strcpy(rate, rig_read(&rig, 0, NULL, "provisional_rate", b - HOUR, b));
    cr_assert_str_eq(rate, "0.125");
    rig_expect(&rig, NULL, "rate", b - HOUR, b, "none");
    b = T0 + 40 * MINUTE;
    for (int k = 0; k < STEPS; k++) {
        char part[16];
        snprintf(part, sizeof part, "step%d", k + 1);
        rig_expect(&rig, NULL, part, b - HOUR, b, open[k]);
    }
    rig_expect(&rig, NULL, "rate", b - HOUR, b, rate);
    rig_expect(&rig, NULL, "provisional_rate", b - HOUR, b, "none");
    rig_free(&rig);
}

Test(funnel, is_released_once_nothing_can_change_it)
{
    struct rig rig = funnel_new("");
    struct kpid_shard_stats stats;
    uint64_t cells, bytes, absent;
    for (int i = 0; i < 3000; i++) {
        step(&rig, i, T0 + i * MINUTE, 1, "web");
        step(&rig, i, T0 + i * MINUTE, i % 3 ? 2 : 4, "web");
        step(&rig, 9999, T0 + i * MINUTE, 1, "app"); /* always the same one */
        if (i % 10 == 0)
            rig_advance(&rig, T0 + i * MINUTE);
    }
    int64_t b = T0 + 3000 * MINUTE;
    rig_expect(&rig, NULL, "reached1", KPID_NEVER, b, "3097"); /* every 31 minutes once */
    rig_expect(&rig, NULL, "step2", KPID_NEVER, b, "1980");
    rig_expect(&rig, "app", "provisional1", KPID_NEVER, b, "1");
    kpid_shard_stats(rig.shard, &stats);
    /* time, lateness, and the time between two sweeps */
    cr_assert_lt(stats.keys, 30 + 360 + 60, "%llu keys", (unsigned long long)stats.keys);
    kpid_shard_measure_stats(rig.shard, 0, &cells, &bytes, &absent);
    cr_assert_lt(bytes, 400000, "%llu bytes", (unsigned long long)bytes);
    rig_free(&rig);
}
