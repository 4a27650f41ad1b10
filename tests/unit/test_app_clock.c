/* Clocks with marks, pauses, reopenings, deadlines and oblivion against a walk through all events at every instant that
 * is asked for, in any order of arrival and over restarts. */
#include "keyed_rig.h"

#define HOUR     INT64_C(3600000)
#define T0       INT64_C(1767225600000) /* 2026-01-01T00:00Z, a Thursday */
#define SPAN     (220 * HOUR)
#define DEADLINE (6 * HOUR)
#define REPLY    (3 * HOUR)
#define DUE      (2 * HOUR)
#define FORGET   (40 * HOUR)
#define TICKETS  12
#define EVENTS   10 /* of a ticket */

static const char config[] =
    "sources: { s: { topics: [s], out_of_order: 10s, allowed_lateness: 30d, max_skew: off } }\n"
    "%s"
    "measures: { c: { from: s, clock: { key: k, start: type == \"a\", pause: type == \"p\", resume: type == \"q\","
    " reopen: type == \"o\", stops: { r: { when: type == \"r\", deadline: 3h } }, stop: type == \"d\","
    " cancel: type == \"c\", deadline: 6h, due: 2h, forget_after: 40h%s } } }\n"
    "kpis: { all: { formula: c.oldest + c.r.oldest, windows: [{ rolling: 1h, slide: 1h }, all] },\n"
    "        by: { formula: c.oldest + c.r.oldest, by: [region], windows: [{ rolling: 1h, slide: 1h }, all] } }\n";
static const char types[] = "apqordc"; /* in the order of equal times */

struct happening {
    int64_t ts_ms;
    int ticket, word;
};

struct state {
    int64_t open[2], breached[2], due[2], oldest[2]; /* of the clock, and to the mark */
};

static struct happening happenings[TICKETS * EVENTS];

/* ---- by hand ---- */

struct ticket {
    bool started, paused, open[2], crossed[2];
    int64_t opened_ms, since_ms, elapsed_ms;
};

static void cross(struct ticket *t, int64_t until_ms)
{
    for (int k = 0; k < 2; k++)
        if (t->open[k] && !t->paused && t->since_ms + ((k ? REPLY : DEADLINE) - t->elapsed_ms) < until_ms)
            t->crossed[k] = true;
}

static void apply(struct ticket *t, const struct happening *h)
{
    cross(t, h->ts_ms);
    switch (types[h->word]) {
    case 'a':
    case 'o':
        if (types[h->word] == 'a' ? t->started : !t->started || t->open[0])
            return;
        *t = (struct ticket){.started = true, .open = {true, true}, .opened_ms = h->ts_ms, .since_ms = h->ts_ms};
        break;
    case 'p':
        if (!t->open[0] || t->paused)
            return;
        t->elapsed_ms += h->ts_ms - t->since_ms;
        t->paused = true;
        break;
    case 'q':
        if (!t->open[0] || !t->paused)
            return;
        t->since_ms = h->ts_ms;
        t->paused = false;
        break;
    case 'r': t->open[1] = false; break;
    default: t->open[0] = t->open[1] = false; break;
    }
}

static int compare_happenings(const void *a, const void *b)
{
    const struct happening *x = a, *y = b;
    if (x->ticket != y->ticket)
        return x->ticket - y->ticket;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    return x->word - y->word;
}

/* What is true just before `at_ms` comes; the happenings are in order. parity: of tickets that count, -1: all. */
static struct state recount(int64_t at_ms, int parity)
{
    struct state ret = {.oldest = {KPID_FOREVER, KPID_FOREVER}};
    size_t n = TICKETS * EVENTS;
    for (size_t from = 0, to; from < n; from = to) {
        struct ticket t = {0};
        for (to = from + 1; to < n && happenings[to].ticket == happenings[from].ticket &&
                            happenings[to].ts_ms - happenings[to - 1].ts_ms <= FORGET;)
            to++;
        if (parity >= 0 && happenings[from].ticket % 2 != parity)
            continue;
        for (size_t i = from; i < to && happenings[i].ts_ms < at_ms; i++)
            apply(&t, &happenings[i]);
        if (happenings[to - 1].ts_ms + FORGET < at_ms)
            continue;
        cross(&t, at_ms);
        for (int k = 0; k < 2; k++) {
            if (!t.open[k])
                continue;
            int64_t rest = (k ? REPLY : DEADLINE) - t.elapsed_ms - (at_ms - t.since_ms);
            ret.open[k]++;
            ret.breached[k] += t.crossed[k];
            ret.due[k] += !t.crossed[k] && !t.paused && rest < DUE;
            if (t.opened_ms < ret.oldest[k])
                ret.oldest[k] = t.opened_ms;
        }
    }
    return ret;
}

/* ---- by the engine ---- */

/* A part of the clock (track 0) or of the mark (1); exact figures only. */
static int64_t figure(struct rig *rig, const char *group, int track, const char *part, int64_t at_ms)
{
    const struct kpid_gather_row *rows;
    uint32_t reasons;
    const struct kpid_measure *def = &rig->model->measures[0];
    size_t n = kpid_gather_window(rig->gather, &rig->shard, 1, 0, group ? 1 : 0, at_ms - HOUR, at_ms, &rows, &reasons);
    for (size_t i = 0; i < n; i++) {
        if (group && (!rows[i].group || strcmp(rows[i].group[0], group) != 0))
            continue;
        int number = def->agg->part(part, strlen(part)) + track * KPID_PART_TRACK;
        struct kpid_number got = def->agg->read(rows[i].cell, number, &def->param);
        cr_assert_eq(got.kind, KPID_NUMBER_EXACT, "%s", part);
        return (int64_t)got.exact.m;
    }
    return 0;
}

static void happen(struct rig *rig, const struct happening *h)
{
    char json[256];
    snprintf(json, sizeof json, "{\"type\":\"%c\",\"id\":\"%lld\",\"ts\":%lld,\"k\":\"%d\",\"region\":\"%s\"}",
             types[h->word], (long long)rig->offset, (long long)h->ts_ms, h->ticket, h->ticket % 2 ? "north" : "south");
    cr_assert_eq(rig_take(rig, json), KPID_CLASS_COUNTED);
}

static struct rig rig_of(const char *calendars, const char *more)
{
    char text[2048];
    snprintf(text, sizeof text, config, calendars, more);
    return rig_new(text);
}

static void draw_happenings(struct rig *rig)
{
    for (int i = 0; i < TICKETS * EVENTS; i++) {
        int ticket = i / EVENTS, word = (int)rig_draw(rig, 7);
        int64_t begin = ticket * (SPAN / 2 / TICKETS), step = rig_draw(rig, 8) ? 5 * HOUR : 60 * HOUR;
        int64_t before = i % EVENTS ? happenings[i - 1].ts_ms : T0 + begin;
        happenings[i] = (struct happening){before + 1 + rig_draw(rig, (unsigned)step), ticket, i % EVENTS ? word : 0};
    }
}

static void shuffle(struct rig *rig, struct happening *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t at = rig_draw(rig, (unsigned)i);
        struct happening swap = list[at];
        list[at] = list[i - 1];
        list[i - 1] = swap;
    }
}

Test(clock, levels_and_ages_are_those_of_a_recount)
{
    static const char *const groups[] = {NULL, "south", "north"};
    struct rig rig = rig_of("", "");
    for (int round = 0; round < 25; round++) {
        rig_clear(&rig);
        draw_happenings(&rig);
        shuffle(&rig, happenings, TICKETS * EVENTS);
        for (int i = 0; i < TICKETS * EVENTS; i++) {
            happen(&rig, &happenings[i]);
            if (rig_draw(&rig, 20) == 0)
                kpid_shard_elapse(rig.shard, T0 + (int64_t)rig_draw(&rig, 300) * HOUR);
            if (rig_draw(&rig, 60) == 0)
                rig_restart(&rig);
        }
        qsort(happenings, TICKETS * EVENTS, sizeof *happenings, compare_happenings);
        for (int i = 0; i < 60; i++) {
            int64_t at = T0 + (int64_t)rig_draw(&rig, 320) * HOUR;
            int g = (int)rig_draw(&rig, 3);
            struct state want = recount(at, g - 1);
            for (int k = 0; k < 2; k++) {
                int64_t age = want.oldest[k] == KPID_FOREVER ? 0 : at - want.oldest[k];
                cr_assert_eq(figure(&rig, groups[g], k, "open", at), want.open[k], "round %d hour %d", round, i);
                cr_assert_eq(figure(&rig, groups[g], k, "breached", at), want.breached[k]);
                cr_assert_eq(figure(&rig, groups[g], k, "due", at), want.due[k]);
                cr_assert_eq(figure(&rig, groups[g], k, "oldest", at), age);
            }
        }
    }
    rig_free(&rig);
}

/* In working time and with all figures: the same bytes as of the events in order, in one go. */
Test(clock, any_order_of_arrival_gives_the_same)
{
    struct rig rig = rig_of("calendars: { w: { zone: America/New_York, years: 2025-2026, shifts: { mon-fri: [09:00-12:00, "
                            "13:00-17:00], sat: 22:00-24:00 } } }\n",
                            ", calendar: w");
    for (int round = 0; round < 12; round++) {
        struct kpid_buf want[40], got;
        int64_t ages[40];
        draw_happenings(&rig);
        for (int pass = 0; pass < 3; pass++) {
            rig_clear(&rig);
            if (pass)
                shuffle(&rig, happenings, TICKETS * EVENTS);
            for (int i = 0; i < TICKETS * EVENTS; i++) {
                happen(&rig, &happenings[i]);
                if (pass && rig_draw(&rig, 15) == 0)
                    kpid_shard_elapse(rig.shard, T0 + (int64_t)rig_draw(&rig, 300) * HOUR);
                if (pass && rig_draw(&rig, 60) == 0)
                    rig_restart(&rig);
            }
            for (int i = 0; i < 40; i++) {
                int64_t at = T0 + (i + 1) * 7 * HOUR;
                got = rig_bytes(&rig, 0, (uint16_t)(i % 2), at - HOUR, at);
                if (!pass) {
                    want[i] = got;
                    ages[i] = figure(&rig, NULL, i % 2, "oldest", at);
                    continue;
                }
                cr_assert(got.len == want[i].len && memcmp(got.data, want[i].data, got.len) == 0,
                          "round %d pass %d window %d", round, pass, i);
                cr_assert_eq(figure(&rig, NULL, i % 2, "oldest", at), ages[i]);
                kpid_buf_release(&got);
            }
        }
        for (int i = 0; i < 40; i++)
            kpid_buf_release(&want[i]);
    }
    rig_free(&rig);
}

/* What is forgotten is gone from the ages too, and a figure that only time changes is not passed over. */
Test(clock, oldest_changes_with_every_boundary)
{
    struct rig rig = rig_of("", "");
    happen(&rig, &(struct happening){T0 + HOUR / 2, 1, 0});
    cr_assert_eq(kpid_shard_next_change(rig.shard, 0, T0, HOUR, HOUR), T0 + HOUR);
    for (int hour = 1; hour < 40; hour++)
        cr_assert_eq(kpid_shard_next_change(rig.shard, 0, T0 + hour * HOUR, HOUR, HOUR), T0 + (hour + 1) * HOUR);
    cr_assert_eq(figure(&rig, NULL, 0, "oldest", T0 + 40 * HOUR), 40 * HOUR - HOUR / 2);
    cr_assert_eq(figure(&rig, NULL, 0, "oldest", T0 + 41 * HOUR), 0);
    cr_assert_gt(kpid_shard_next_change(rig.shard, 0, T0 + 42 * HOUR, HOUR, HOUR), T0 + 42 * HOUR);
    happen(&rig, &(struct happening){T0 + 60 * 24 * HOUR, 2, 0});
    rig_advance(&rig, T0 + 59 * 24 * HOUR);
    struct kpid_shard_stats stats;
    kpid_shard_stats(rig.shard, &stats);
    cr_assert_eq(stats.keys, 1, "the first one is forgotten");
    cr_assert_eq(figure(&rig, "north", 0, "oldest", T0 + 59 * 24 * HOUR), 0);
    rig_free(&rig);
}

/* Behind the last year of the calendar nothing is known: refused and counted, and no deadline passes there. */
Test(clock, outside_of_the_calendar)
{
    struct rig rig = rig_of("calendars: { w: { zone: UTC, years: 2025-2026, shifts: { mon-fri: 09:00-17:00 } } }\n",
                            ", calendar: w");
    struct kpid_shard_stats stats;
    int64_t end = T0 + 365 * 24 * HOUR;
    happen(&rig, &(struct happening){end - 8 * HOUR, 1, 0}); /* 31 December 16:00: an hour is left of the year */
    kpid_shard_elapse(rig.shard, end + HOUR);
    cr_assert_eq(rig_take(&rig, "{\"type\":\"d\",\"id\":\"x\",\"ts\":1798761600000,\"k\":\"1\"}"), KPID_CLASS_REFUSED);
    kpid_shard_stats(rig.shard, &stats);
    cr_assert_eq(stats.uncovered, 1);
    cr_assert_eq(stats.undated, 2, "its deadline and its mark's");
    cr_assert_eq(figure(&rig, NULL, 0, "open", end), 1);
    cr_assert_eq(figure(&rig, NULL, 0, "oldest", end), HOUR);
    cr_assert_eq(figure(&rig, NULL, 0, "missed", end), 0);
    rig_expect(&rig, NULL, "oldest", end, end + HOUR, "none");
    rig_expect(&rig, NULL, "missed", end, end + HOUR, "0");
    rig_free(&rig);
}
