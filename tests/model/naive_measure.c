/* What model.yaml says of each measure, said again. */
#include "naive.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

#define NAMED(text, of)            .name = (text), .source = (of)
#define TRACK(of)                  .name = NULL, .source = (of)
#define CLOCK(deadline, forgotten) .shape = SHAPE_CLOCK, .duration = true, .deadline_ms = (deadline), .forget_ms = (forgotten)
#define FUNNEL                     .shape = SHAPE_FUNNEL, .duration = true

const struct naive_measure naive_measures[MEASURES] = {
    [ORDERS] = { NAMED("orders", SHOP), .shape = SHAPE_COUNT },
    [REVENUE] = { NAMED("revenue", SHOP), .shape = SHAPE_SUM },
    [LOWEST] = { NAMED("lowest", SHOP), .shape = SHAPE_MIN },
    [HIGHEST] = { NAMED("highest", SHOP), .shape = SHAPE_MAX },
    [AVERAGE] = { NAMED("average", SHOP), .shape = SHAPE_MEAN },
    [LATEST] = { NAMED("latest", SHOP), .shape = SHAPE_LAST },
    [VISITORS] = { NAMED("visitors", SHOP), .shape = SHAPE_DISTINCT },
    [AMOUNTS] = { NAMED("amounts", SHOP), .shape = SHAPE_DISTINCT },
    [SPREAD] = { NAMED("spread", SHOP), .shape = SHAPE_QUANTILES },
    [PROMISE] = { NAMED("promise", SHOP), .shape = SHAPE_QUANTILES, .duration = true },
    [HANDLING] = { NAMED("handling", SHOP), CLOCK(90 * MINUTE, 24 * HOUR), .due_ms = 20 * MINUTE },
    [PAYMENT] = { NAMED("payment", SHOP), CLOCK(-1, -1), .keep_negative = true },
    [VISITS] = { NAMED("visits", SHOP), .shape = SHAPE_SESSION, .duration = true, .forget_ms = 20 * MINUTE },
    [CALLS] = { NAMED("calls", DESK), .shape = SHAPE_COUNT },
    [MOOD] = { NAMED("mood", DESK), .shape = SHAPE_MEAN },
    [WORD] = { NAMED("word", DESK), .shape = SHAPE_LAST },
    [ANSWER] = { NAMED("answer", DESK), CLOCK(30 * MINUTE, 3 * HOUR), .keep_negative = true },
    [HITS] = { NAMED("hits", MANY), .shape = SHAPE_COUNT },
    [SPENT] = { NAMED("spent", MANY), .shape = SHAPE_SUM },
    [VISIT] = { NAMED("visit", MANY), CLOCK(HOUR, 6 * HOUR) },
    [REPAIR] = { NAMED("repair", SHOP), CLOCK(4 * HOUR, 72 * HOUR), .due_ms = HOUR, .office = true, .tracks = 2 },
    [REPAIR_REPLY] = { TRACK(SHOP), CLOCK(30 * MINUTE, 72 * HOUR), .due_ms = HOUR, .office = true, .mark = "reply" },
    [CHECKOUT] = { NAMED("checkout", SHOP), FUNNEL, .forget_ms = 3 * HOUR, .tracks = 3 },
    [CHECKOUT_2] = { TRACK(SHOP), FUNNEL },
    [CHECKOUT_3] = { TRACK(SHOP), FUNNEL },
    [JOURNEY] = { NAMED("journey", SHOP), FUNNEL, .forget_ms = 40 * MINUTE, .tracks = 3, .free = true, .again = true },
    [JOURNEY_2] = { TRACK(SHOP), FUNNEL },
    [JOURNEY_3] = { TRACK(SHOP), FUNNEL },
    [RETURNS] = { NAMED("returns", SHOP), .shape = SHAPE_RETENTION, .tracks = 3, .days = 1 },
    [RETURNS_2] = { TRACK(SHOP), .shape = SHAPE_RETENTION, .days = 2 },
    [RETURNS_3] = { TRACK(SHOP), .shape = SHAPE_RETENTION, .days = 5 },
    [VIEWERS] = { NAMED("viewers", SHOP), .shape = SHAPE_TOP, .top_keys = 60, .top_k = 5 },
    [REFUNDS] = { NAMED("refunds", SHOP), .shape = SHAPE_TOP, .top_keys = 40, .top_k = 3 },
    [TEAM_VIEWS] = { NAMED("team_views", SHOP), .shape = SHAPE_COUNT, .joined = true },
    [RED_SALES] = { NAMED("red_sales", SHOP), .shape = SHAPE_SUM, .joined = true },
};

static bool is_absent(uint8_t how)
{
    return how == ABSENT || how == NULLED;
}

static enum verdict number(uint8_t how)
{
    return how == SOUND ? COUNTS : is_absent(how) ? LACKS_A_FIELD : IS_MALFORMED;
}

static enum verdict amount_of(const struct event *e, int64_t *value)
{
    *value = e->amount;
    return number(e->amount_how);
}

/* amount * qty: a field that is there and wrong weighs more than one that is not there. */
static enum verdict product_of(const struct event *e, int64_t *value)
{
    enum verdict a = number(e->amount_how), b = number(e->qty_how);

    *value = e->amount * e->qty;
    return a == IS_MALFORMED || b == IS_MALFORMED ? IS_MALFORMED : a != COUNTS ? a : b;
}

/* Strings, numbers and truth values can be told apart; what has too many digits or is a map can not. */
static enum verdict user_of(const struct event *e, int64_t *value)
{
    *value = e->user_how == TEXT ? -1 : (int64_t)e->user;
    return e->user_how == TEXT ? COUNTS : number(e->user_how);
}

/* By user, weighed by amount: the key is looked at first. */
static enum verdict refund_of(const struct event *e, int64_t *value)
{
    enum verdict user = user_of(e, value);

    return user == COUNTS ? number(e->amount_how) : user;
}

static enum verdict promise_of(const struct event *e, int64_t *value)
{
    *value = e->ts_ms - e->due_ms;
    return number(e->due_how);
}

static enum verdict distinct_amount_of(const struct event *e, int64_t *value)
{
    *value = e->amount_how == TEXT ? INT64_MIN : e->amount;
    return e->amount_how == TEXT ? COUNTS : number(e->amount_how);
}

static enum verdict only_if(bool condition, enum verdict verdict)
{
    return condition ? verdict : PASSES_BY;
}

enum verdict naive_reads(enum measure measure, const struct event *e, int64_t *value)
{
    bool paid = e->type == PAID, refunded = e->type == REFUNDED, viewed = e->type == VIEWED;

    *value = 0;
    switch (measure) {
    case ORDERS: return only_if(e->type == CREATED, COUNTS);
    case REVENUE: return only_if(paid || refunded, amount_of(e, value));
    case TEAM_VIEWS: return only_if(viewed, COUNTS);
    case RED_SALES: return only_if(paid && e->team == 0, amount_of(e, value));
    case VIEWERS: return only_if(viewed, user_of(e, value));
    case REFUNDS: return refunded ? refund_of(e, value) : PASSES_BY;
    case LOWEST:
    case LATEST:
    case SPENT: return only_if(paid, amount_of(e, value));
    case HIGHEST:
        if (paid && is_absent(e->qty_how))
            return LACKS_A_FIELD;
        *value = e->amount - 500000;
        return only_if(paid && e->qty_how == SOUND && e->qty >= 2, number(e->amount_how));
    case AVERAGE: return only_if(paid || refunded, product_of(e, value));
    case VISITORS: return only_if(viewed, user_of(e, value));
    case AMOUNTS:
        if (refunded && is_absent(e->qty_how))
            return LACKS_A_FIELD;
        return only_if(refunded && !(e->qty_how == SOUND && e->qty == 3), distinct_amount_of(e, value));
    case SPREAD: return only_if(!viewed && !is_absent(e->qty_how), amount_of(e, value));
    case PROMISE: return only_if(viewed, promise_of(e, value));
    case CALLS: return only_if(e->type == OPENED, COUNTS);
    case MOOD:
        if (e->type == RESOLVED && is_absent(e->amount_how))
            return LACKS_A_FIELD;
        *value = e->amount;
        return only_if(e->type == RESOLVED && e->amount_how == SOUND && e->amount < 0, COUNTS);
    case WORD: return only_if(e->type == OPENED || e->type == RESOLVED, amount_of(e, value));
    case HITS: return only_if(viewed, COUNTS);
    default: /* the field that it needs is its key */
        if (!naive_words(measure, e))
            return PASSES_BY;
        if (measure == RETURNS)
            return user_of(e, value);
        return e->ticket_how == TEXT ? COUNTS : number(e->ticket_how);
    }
}

unsigned naive_words(enum measure measure, const struct event *e)
{
    static const int8_t handling[TYPES] = { -1, -1, -1, -1, KPID_CLOCK_START, KPID_CLOCK_PAUSE, KPID_CLOCK_RESUME,
                                            KPID_CLOCK_REOPEN, KPID_CLOCK_STOP, KPID_CLOCK_CANCEL, -1 };
    bool started = e->type == (measure == PAYMENT ? CREATED : OPENED);
    bool stopped = e->type == (measure == PAYMENT ? PAID : RESOLVED);

    switch (measure) {
    case HANDLING: return handling[e->type] < 0 ? 0 : 1u << handling[e->type];
    case VISITS: return started || stopped || e->type == WAITING;
    case REPAIR: /* a first reply is a stop with a name too */
        return (handling[e->type] < 0 ? 0 : 1u << handling[e->type]) | (e->type == WAITING ? 1u << KPID_CLOCK_MARK : 0);
    case CHECKOUT:
        return (unsigned)(e->type == CREATED) | (unsigned)(e->type == PAID || e->type == REFUNDED) << 1 |
               (unsigned)(e->type == PAID) << 2;
    case JOURNEY:
        return (unsigned)(e->type == OPENED) | (unsigned)(e->type == RESUMED || e->type == OPENED) << 1 |
               (unsigned)(e->type == RESOLVED || e->type == RESUMED) << 2;
    case RETURNS: return (unsigned)(e->type == CREATED) | (unsigned)(e->type == VIEWED) << 1;
    case PAYMENT:
    case VISIT: return started ? 1u << KPID_CLOCK_START : stopped ? 1u << KPID_CLOCK_STOP : 0;
    case ANSWER:
        if (e->type == REOPENED || e->type == CANCELLED)
            return 1u << (e->type == REOPENED ? KPID_CLOCK_REOPEN : KPID_CLOCK_CANCEL);
        return started ? 1u << KPID_CLOCK_START : stopped ? 1u << KPID_CLOCK_STOP : 0;
    default: return 0;
    }
}

bool naive_has_groups(enum measure measure, unsigned words)
{
    enum shape shape = naive_measures[measure].shape;

    return (shape != SHAPE_FUNNEL && shape != SHAPE_RETENTION) || words & 1;
}

uint32_t naive_key_number(enum measure measure, const struct event *e)
{
    uint32_t partition = e->ticket % PARTITIONS;

    /* The text "abc" as a key is one for each partition; tickets and users begin above. */
    if (measure == RETURNS)
        return e->user_how == TEXT ? partition : (e->user + 1) * PARTITIONS + partition;
    return e->ticket_how == TEXT ? partition : e->ticket;
}

/* ---- groups ---- */

unsigned naive_by(enum measure measure, char *const *names, size_t n)
{
    unsigned by = 0;

    if (n == 1 && !strcmp(names[0], "teams.name"))
        return BY_TEAM;
    if (n == 1 && measure == REPAIR)
        return BY_START;
    for (size_t i = 0; i < n; i++)
        by |= !strcmp(names[i], "channel") ? BY_CHANNEL : !strcmp(names[i], "region") ? BY_REGION : BY_USER;
    return by;
}

unsigned naive_row(unsigned by, const struct event *e)
{
    switch (by) {
    case BY_START:
    case BY_CHANNEL: return 1u + e->channel;
    case BY_TEAM: return 1u + e->team;
    case BY_REGION: return 1u + e->region;
    case BY_CHANNEL | BY_REGION: return 1u + e->channel * REGIONS + e->region;
    case BY_USER: return e->row_user;
    default: return 0;
    }
}

/* Users are rows 1 .. USERS, then "abc", then the absent one. */
static int user_find(const char *name)
{
    if (*name == 'u')
        return 1 + atoi(name + 1);
    return !strcmp(name, "abc") ? USERS + 1 : !*name ? USERS + 2 : -1;
}

unsigned naive_rows(unsigned by)
{
    switch (by) {
    case BY_START:
    case BY_CHANNEL: return 1 + CHANNELS;
    case BY_TEAM: return 1 + TEAMS;
    case BY_REGION: return 1 + REGIONS;
    case BY_CHANNEL | BY_REGION: return 1 + CHANNELS * REGIONS;
    case BY_USER: return USERS + 3;
    default: return 1;
    }
}

static int name_find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

int naive_row_find(unsigned by, const char *const *group)
{
    if (by == BY_USER)
        return user_find(group[0]);
    if (by == BY_TEAM)
        return 1 + name_find(world_teams, TEAMS, group[0]);
    if (by == BY_START)
        by = BY_CHANNEL;
    int channel = by & BY_CHANNEL ? name_find(world_channels, CHANNELS, *group++) : 0;
    int region = by & BY_REGION ? name_find(world_regions, REGIONS, *group) : 0;
    if (channel < 0 || region < 0)
        return -1;
    return 1 + (by == (BY_CHANNEL | BY_REGION) ? channel * REGIONS + region : channel + region);
}

void naive_row_print(unsigned by, unsigned row, struct kpid_buf *out)
{
    if (by == 0 || row == ROW_OTHER)
        kpid_buf_add_str(out, by ? "__other__" : "the total");
    else if (by == BY_USER && row <= USERS)
        kpid_buf_printf(out, "u%u", row - 1);
    else if (by == BY_USER)
        kpid_buf_add_str(out, row == USERS + 1 ? "abc" : "");
    else if (by == BY_TEAM)
        kpid_buf_add_str(out, world_teams[row - 1]);
    else if (by == BY_CHANNEL || by == BY_START)
        kpid_buf_add_str(out, world_channels[row - 1]);
    else if (by == BY_REGION)
        kpid_buf_add_str(out, world_regions[row - 1]);
    else
        kpid_buf_printf(out, "%s / %s", world_channels[(row - 1) / REGIONS], world_regions[(row - 1) % REGIONS]);
}
