/* Retention against a recount of all events, by civil days of a zone, in any order of arrival, over restarts. */
#include "keyed_rig.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)
/* 2026-03-06 00:00 in New York, where 8 March has 23 hours */
#define T0   INT64_C(1772773200000)

static const char config[] =
    "sources: { users: { topics: [users], out_of_order: 10s, allowed_lateness: 40d } }\n"
    "kpis: { back: { formula: back, windows: [{ calendar: day, zone: America/New_York }, all] },\n"
    "        back_of: { formula: back, by: [channel], windows: [{ calendar: day, zone: America/New_York }, all] } }\n"
    "measures: { back: { from: users, retention: { key: user_id, start: type == \"user.registered\","
    " return: type == \"page.viewed\", days: [1, 3], zone: America/New_York } } }\n";

struct visit {
    int user;
    int64_t ts_ms;
    bool start;
    const char *channel;
};

static void take(struct rig *rig, const struct visit *v)
{
    char json[256];
    snprintf(json, sizeof json, "{\"type\":\"%s\",\"id\":\"%lld\",\"ts\":%lld,\"user_id\":\"u%d\",\"channel\":\"%s\"}",
             v->start ? "user.registered" : "page.viewed", (long long)rig->offset, (long long)v->ts_ms, v->user,
             v->channel);
    cr_assert_eq(rig_take(rig, json), KPID_CLASS_COUNTED);
}

/* Days of New York since 6 March: the third one is short. */
static int64_t day_from(int64_t day)
{
    return T0 + day * DAY - (day > 2 ? HOUR : 0);
}

static int64_t day_of(int64_t ts_ms)
{
    int64_t day = 0;
    while (ts_ms >= day_from(day + 1))
        day++;
    return day;
}

Test(retention, counts_a_cohort_on_the_day_that_it_is_asked)
{
    struct rig rig = rig_new(config);
    take(&rig, &(struct visit){1, day_from(1) + 23 * HOUR, true, "web"});
    take(&rig, &(struct visit){2, day_from(1) + HOUR, true, "app"});
    take(&rig, &(struct visit){2, day_from(1) + 2 * HOUR, false, "app"}); /* the same day: no return */
    take(&rig, &(struct visit){1, day_from(3) - 1, false, "x"});          /* the last ms of the short day */
    take(&rig, &(struct visit){2, day_from(3), false, "x"});              /* one ms later: its second day */
    take(&rig, &(struct visit){2, day_from(4) + HOUR, false, "x"});
    int64_t noon = day_from(2) + 12 * HOUR;
    rig_expect(&rig, NULL, "n", day_from(1), day_from(2), "2");
    rig_expect(&rig, NULL, "provisional_cohort1", day_from(2), noon, "2");
    rig_expect(&rig, NULL, "provisional_rate1", day_from(2), noon, "0");
    rig_expect(&rig, NULL, "cohort1", day_from(2), noon, "0");
    rig_expect(&rig, NULL, "rate1", day_from(2), noon, "none");
    rig_expect(&rig, NULL, "cohort1", day_from(2), day_from(3), "2");
    rig_expect(&rig, NULL, "returned1", day_from(2), day_from(3), "1");
    rig_expect(&rig, NULL, "", day_from(2), day_from(3), "0.5"); /* of the first of its days */
    rig_expect(&rig, "web", "rate1", day_from(2), day_from(3), "1");
    rig_expect(&rig, "app", "rate1", day_from(2), day_from(3), "0");
    rig_expect(&rig, NULL, "provisional_cohort1", day_from(3), day_from(3) + HOUR, "0");
    rig_expect(&rig, NULL, "cohort3", day_from(3), day_from(4), "0");
    rig_expect(&rig, NULL, "provisional_returned3", day_from(4), day_from(4) + 2 * HOUR, "1");
    rig_expect(&rig, NULL, "rate3", day_from(4), day_from(5), "0.5");
    rig_expect(&rig, NULL, "returned3", day_from(4), day_from(5), "1");
    rig_free(&rig);
}

Test(retention, a_late_registration_moves_the_days)
{
    struct rig rig = rig_new(config);
    take(&rig, &(struct visit){1, day_from(2) + HOUR, true, "web"});
    take(&rig, &(struct visit){1, day_from(3) + HOUR, false, "web"});
    rig_expect(&rig, NULL, "returned1", day_from(3), day_from(4), "1");
    take(&rig, &(struct visit){1, day_from(0) + HOUR, true, "web"});
    rig_expect(&rig, NULL, "cohort1", day_from(3), day_from(4), "0");
    rig_expect(&rig, NULL, "returned1", day_from(1), day_from(2), "0");
    rig_expect(&rig, NULL, "cohort1", day_from(1), day_from(2), "1");
    rig_expect(&rig, NULL, "returned3", day_from(3), day_from(4), "1");
    rig_free(&rig);
}

/* ---- a recount ---- */

#define USERS  15
#define EVENTS 600
#define DAYS   20

static struct visit visits[EVENTS];
static int cohorts[2][DAYS + 8], returns[2][DAYS + 8];

/* From marks of what each user did on which day alone. */
static void recount(void)
{
    static const int after[] = {1, 3};
    memset(cohorts, 0, sizeof cohorts);
    memset(returns, 0, sizeof returns);
    for (int u = 0; u < USERS; u++) {
        bool start[DAYS + 8] = {false}, back[DAYS + 8] = {false};
        for (int i = 0; i < EVENTS; i++)
            if (visits[i].user == u)
                (visits[i].start ? start : back)[day_of(visits[i].ts_ms)] = true;
        for (int day = 0; day < DAYS; day++) {
            if (!start[day])
                continue;
            for (int d = 0; d < 2; d++) {
                cohorts[d][day + after[d]]++;
                returns[d][day + after[d]] += back[day + after[d]];
            }
            day += 3;
        }
    }
}

Test(retention, is_the_same_in_any_order_and_equals_a_recount)
{
    static const char *const channels[] = {"web", "app", "shop"};
    struct rig rig = rig_new(config);
    struct kpid_buf want = KPID_BUF_INIT;
    for (int i = 0; i < EVENTS; i++)
        visits[i] = (struct visit){(int)rig_draw(&rig, USERS), T0 + rig_draw(&rig, DAYS * 24 - 1) * HOUR, i % 6 == 0,
                                   channels[rig_draw(&rig, 3)]};
    recount();
    for (int order = 0; order < 10; order++) {
        for (int i = EVENTS - 1; i > 0; i--) {
            unsigned k = rig_draw(&rig, (unsigned)i + 1);
            struct visit swap = visits[i];
            visits[i] = visits[k];
            visits[k] = swap;
        }
        rig_clear(&rig);
        for (int i = 0; i < EVENTS; i++) {
            take(&rig, &visits[i]);
            if (rig_draw(&rig, 200) == 0)
                rig_restart(&rig);
            if (rig_draw(&rig, 60) == 0)
                kpid_shard_elapse(rig.shard, T0 + rig_draw(&rig, DAYS * 24) * HOUR);
        }
        struct kpid_buf got = KPID_BUF_INIT;
        for (int day = 0; day < DAYS + 4; day++)
            for (uint16_t g = 0; g < 2; g++)
                for (int half = 0; half < 2; half++) {
                    struct kpid_buf one = rig_bytes(&rig, 0, g, day_from(day), day_from(day) + (half ? DAY : 9 * HOUR));
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
    for (int day = 0; day < DAYS + 4; day++)
        for (int d = 0; d < 2; d++) {
            char text[16];
            snprintf(text, sizeof text, "%d", cohorts[d][day]);
            rig_expect(&rig, NULL, d ? "cohort3" : "cohort1", day_from(day), day_from(day + 1), text);
            snprintf(text, sizeof text, "%d", returns[d][day]);
            rig_expect(&rig, NULL, d ? "returned3" : "returned1", day_from(day), day_from(day + 1), text);
        }
    kpid_buf_release(&want);
    rig_free(&rig);
}

Test(retention, keeps_what_is_asked_and_no_more)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", config);
    char *lateness = strstr(text, "40d");
    memcpy(lateness, "1d ", 3);
    struct rig rig = rig_new(text);
    struct kpid_shard_stats stats;
    for (int day = 0; day < 60; day++) {
        for (int u = 0; u < 10; u++) {
            take(&rig, &(struct visit){day * 10 + u, day_from(day) + u * HOUR, true, "web"});
            take(&rig, &(struct visit){u, day_from(day) + u * HOUR + 1, false, "app"}); /* comes every day */
        }
        rig_advance(&rig, day_from(day) + 9 * HOUR);
    }
    rig_expect(&rig, NULL, "cohort1", KPID_NEVER, day_from(60), "590");
    rig_expect(&rig, NULL, "cohort3", KPID_NEVER, day_from(60), "570");
    rig_expect(&rig, NULL, "returned1", KPID_NEVER, day_from(60), "10");
    kpid_shard_stats(rig.shard, &stats);
    /* so many days, lateness, and the time between two sweeps */
    cr_assert_lt(stats.keys, 10 * (3 + 2 + 1 + 1), "%llu keys", (unsigned long long)stats.keys);
    rig_free(&rig);
}
