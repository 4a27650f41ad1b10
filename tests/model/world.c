#include "world.h"

#include <stdlib.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define BEGIN  INT64_C(1771545600000) /* 2026-02-20: both clock changes of spring, and ends of months, follow */
#define SPAN   (45 * DAY)             /* for a million events */
#define PIECES 120

const char *const world_topics[TOPICS] = { "shop", "calls", "replies", "many" };
const char *const world_types[TYPES] = { "order.created", "order.paid", "order.refunded", "page.viewed",
                                         "ticket.opened", "ticket.waiting", "ticket.resumed", "ticket.reopened",
                                         "ticket.resolved", "ticket.cancelled", "else.where" };
const char *const world_channels[CHANNELS] = { "web", "app|1", "7.5", "true", "" };
const char *const world_regions[REGIONS] = { "north", "süd", "" };
const char *const world_teams[TEAMS] = { "red", "blue", "green", "unknown" };

/* ---- how event time goes on: straight pieces of busy hours, quiet days, and jumps ---- */

struct course {
    double share[PIECES + 1];    /* of the events, before each piece */
    int64_t at_ms[PIECES + 1];
};

static void course_init(struct course *course, struct random *random, int64_t span_ms)
{
    double events = 0, time = 0;

    for (int i = 0; i < PIECES; i++) {
        course->share[i] = events;
        course->at_ms[i] = (int64_t)time;
        int64_t dice = random_below(random, 20);
        if (dice < 5) { /* a jump */
            time += (double)(6 * HOUR + random_below(random, 30 * HOUR));
        } else if (dice < 6) { /* quiet */
            events += 0.3;
            time += (double)(HOUR + random_below(random, 2 * HOUR));
        } else if (dice < 10) { /* a rush */
            events += 12;
            time += (double)(MINUTE + random_below(random, 10 * MINUTE));
        } else {
            events += 8;
            time += (double)(5 * MINUTE + random_below(random, 20 * MINUTE));
        }
    }
    course->share[PIECES] = events;
    course->at_ms[PIECES] = (int64_t)time;
    for (int i = 0; i <= PIECES; i++) {
        course->share[i] /= events;
        course->at_ms[i] = BEGIN + (int64_t)((double)course->at_ms[i] * (double)span_ms / time);
    }
}

static int64_t course_at(const struct course *course, double share)
{
    int low = 0, high = PIECES;

    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (course->share[middle] <= share)
            low = middle;
        else
            high = middle;
    }
    double width = course->share[high] - course->share[low];
    double part = width > 0 ? (share - course->share[low]) / width : 1;
    return course->at_ms[low] + (int64_t)(part * (double)(course->at_ms[high] - course->at_ms[low]));
}

/* ---- one event ---- */

struct author {
    struct random random;
    const struct log *log;
    const struct course *course;
    int64_t future_ms, behind_ms; /* out_of_order + allowed_lateness of the source */
    int64_t highest_ms;
    uint32_t next_id;
};

static int64_t pick_time(struct author *a, int64_t base_ms)
{
    struct random *random = &a->random;
    int64_t dice = random_below(random, 1000);

    if (dice < 800)
        return base_ms - random_below(random, 25 * SECOND);
    if (dice < 930)
        return base_ms - random_below(random, 40 * MINUTE);
    if (dice < 965)
        return base_ms - random_below(random, 150 * MINUTE);
    if (dice < 972)
        return base_ms - random_below(random, 3 * DAY);
    if (dice < 980) /* to the millisecond where lateness begins */
        return a->highest_ms - a->behind_ms - 1 + random_below(random, 3);
    if (dice < 990)
        return base_ms - base_ms % (random_chance(random, 1, 2) ? HOUR : MINUTE) - random_below(random, 2);
    if (dice < 992)
        return base_ms + random_below(random, a->future_ms);
    return base_ms;
}

static uint8_t pick_type(struct random *random, enum topic topic)
{
    static const uint8_t shop[] = { CREATED, CREATED, PAID, PAID, PAID, REFUNDED, VIEWED, VIEWED, VIEWED, OPENED,
                                    WAITING, RESUMED, REOPENED, RESOLVED, RESOLVED, CANCELLED, STRANGE };
    static const uint8_t calls[] = { OPENED, OPENED, OPENED, REOPENED, VIEWED };
    static const uint8_t replies[] = { RESOLVED, RESOLVED, RESOLVED, CANCELLED, STRANGE };
    static const uint8_t many[] = { VIEWED, VIEWED, PAID, OPENED, RESOLVED };
    switch (topic) {
    case TOPIC_SHOP: return shop[random_below(random, sizeof(shop))];
    case TOPIC_CALLS: return calls[random_below(random, sizeof(calls))];
    case TOPIC_REPLIES: return replies[random_below(random, sizeof(replies))];
    default: return many[random_below(random, sizeof(many))];
    }
}

static int64_t pick_amount(struct random *random)
{
    int64_t dice = random_below(random, 100);

    if (dice < 3)
        return 0;
    if (dice < 50)
        return random_below(random, 100000) * 10000;                       /* 2 decimals */
    if (dice < 85)
        return (random_below(random, 2000000) - 1000000) * 1000;           /* 3 decimals, negative ones */
    if (dice < 98)
        return random_below(random, INT64_C(2000000000)) - 1000000000;     /* 6 */
    return (random_below(random, INT64_C(2000000)) - 1000000) * INT64_C(1000000000); /* large */
}

/* A few come again and again, so that there are heaviest ones. */
static uint32_t pick_user(struct random *random, enum topic topic)
{
    uint32_t regular = 0;

    if (topic == TOPIC_MANY)
        return (uint32_t)random_below(random, 1 + random_below(random, USERS));
    if (!random_chance(random, 1, 3))
        return (uint32_t)random_below(random, 1 + random_below(random, CUSTOMERS));
    while (regular < 30 && random_chance(random, 1, 2))
        regular++;
    return regular;
}

/* Tickets live for some hours, older ones come again now and then, most never finish. */
static uint32_t pick_ticket(struct author *a, int64_t base_ms)
{
    int64_t epoch = 1 + (base_ms - BEGIN) / (2 * HOUR), back = 0;

    while (back < 40 && random_chance(&a->random, 1, 3))
        back += 1 + random_below(&a->random, 3);
    epoch = epoch > back ? epoch - back : 1;
    return (uint32_t)((epoch * 64 + random_below(&a->random, 64)) * PARTITIONS + a->log->partition);
}

static uint8_t spoil(struct random *random, int times)
{
    if (!random_chance(random, times, 1000))
        return SOUND;
    return (uint8_t)(ABSENT + random_below(random, 5));
}

static struct event make_event(struct author *a, int64_t base_ms)
{
    struct random *random = &a->random;
    struct event e = { .ts_ms = pick_time(a, base_ms), .now_ms = base_ms + random_below(random, SECOND) };

    e.type = pick_type(random, a->log->topic);
    e.amount = pick_amount(random);
    e.due_ms = e.ts_ms + (random_below(random, 4 * HOUR) - HOUR) / (1 + random_below(random, 1000));
    e.id = random_chance(random, 1, 50) ? 0 : ++a->next_id;
    e.user = pick_user(random, a->log->topic);
    e.ticket = pick_ticket(a, base_ms);
    e.channel = (uint8_t)random_below(random, CHANNELS);
    e.region = (uint8_t)random_below(random, REGIONS);
    e.qty = (uint8_t)(1 + random_below(random, 5));
    e.amount_how = spoil(random, 20);
    e.qty_how = spoil(random, 60);
    e.user_how = spoil(random, 10);
    e.due_how = spoil(random, 20);
    e.ticket_how = spoil(random, 10);
    e.channel_how = random_chance(random, 2, 1000) ? MAP : SOUND;
    e.broken = random_chance(random, 5, 1000) ? (uint8_t)(CUT_SHORT + random_below(random, 6)) : WHOLE;
    e.stamped = random_chance(random, 1, 4);
    return e;
}

/* A repeat of an earlier event, or an earlier id on another event: soon after, or so long after that it is free. */
static void repeat(struct author *a, size_t at)
{
    struct random *random = &a->random;
    struct event *events = a->log->events;
    int64_t dice = random_below(random, 1000), back = 1 + random_below(random, 1000);

    if (dice >= 40 || (size_t)back > at)
        return;
    if (dice >= 35) {
        const struct event *old = &events[random_below(random, (int64_t)at)];
        if (events[at].ts_ms - old->ts_ms > 3 * a->behind_ms)
            events[at].id = old->id;
    } else if (dice < 30) {
        int64_t now_ms = events[at].now_ms;
        events[at] = events[at - (size_t)back];
        events[at].now_ms = now_ms;
    } else if (events[at].ts_ms - events[at - (size_t)back].ts_ms < 20 * MINUTE) {
        events[at].id = events[at - (size_t)back].id;
    }
}

/* Of two events that say the same of a key at the same instant, whose groups count is a matter of chance: here they
 * are the same. */
static void agree_on_groups(struct event *e)
{
    struct random random = { (uint64_t)e->ts_ms * 1000003 };

    if (e->type < OPENED && e->type != CREATED && e->type != PAID)
        return;
    e->channel = (uint8_t)random_below(&random, CHANNELS);
    e->region = (uint8_t)random_below(&random, REGIONS);
    if (e->user < USERS)
        e->user = (uint32_t)random_below(&random, USERS);
}

/* ---- teams: who is in which changes from version to version; some users are in none, and some not in the table ---- */

static uint64_t team_of(uint32_t user, unsigned version)
{
    struct random random = { (uint64_t)user * 7919 + (user % 3 ? version : 0) };

    return random_next(&random) % (TEAMS + 1);
}

uint8_t world_team(const struct event *event, unsigned version)
{
    uint64_t team = event->user_how == SOUND ? team_of(event->user, version) : TEAMS;

    return (uint8_t)(team < TEAMS - 1 ? team : TEAMS - 1);
}

void world_teams_write(unsigned version, struct kpid_buf *out)
{
    kpid_buf_add_str(out, "name,who\n");
    for (uint32_t user = 0; user < CUSTOMERS; user++) {
        uint64_t team = team_of(user, version);
        if (team < TEAMS)
            kpid_buf_printf(out, "%s,u%u\n", team < TEAMS - 1 ? world_teams[team] : "", user);
    }
}

static void fill_log(struct author *a, struct log *log, size_t n)
{
    log->events = kpid_zalloc(n + 1, sizeof(*log->events));
    log->n = n;
    a->log = log;
    a->highest_ms = BEGIN;
    for (size_t i = 0; i < n; i++) {
        log->events[i] = make_event(a, course_at(a->course, (double)i / (double)n));
        repeat(a, i);
        if (log->events[i].ts_ms < BEGIN)
            log->events[i].ts_ms = BEGIN + log->events[i].ts_ms % MINUTE;
        agree_on_groups(&log->events[i]);
        if (log->events[i].broken == WHOLE && log->events[i].ts_ms > a->highest_ms)
            a->highest_ms = log->events[i].ts_ms;
    }
}

void world_init(struct world *world, uint64_t seed, size_t n, int64_t future_ms)
{
    static const int share[TOPICS] = { 60, 12, 12, 16 }; /* of 100 */
    static const int64_t behind[SOURCES] = { 30 * SECOND + 2 * HOUR, MINUTE + HOUR, 10 * SECOND + 90 * MINUTE };
    struct random random = { seed };
    struct course course;
    int64_t span = (int64_t)((double)SPAN * (double)n / 1e6);

    course_init(&course, &random, span > 6 * HOUR ? span : 6 * HOUR);
    world->n_events = 0;
    world->begin_ms = BEGIN;
    world->end_ms = course.at_ms[PIECES] + future_ms + 8 * DAY; /* deadlines, and days of return, lie behind the events */
    for (int topic = 0; topic < TOPICS; topic++)
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct log *log = &world->logs[topic * PARTITIONS + p];
            struct author author = { .random = { random_next(&random) }, .course = &course, .future_ms = future_ms,
                                     .behind_ms = behind[world_source((enum topic)topic)] };
            log->topic = (enum topic)topic;
            log->partition = p;
            fill_log(&author, log, n * (size_t)share[topic] / 100 / PARTITIONS + 1);
            world->n_events += log->n;
        }
}

void world_release(struct world *world)
{
    for (int i = 0; i < LOGS; i++)
        free(world->logs[i].events);
}
