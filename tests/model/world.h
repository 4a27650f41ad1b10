/*
 * The input of the model test: a random log for each partition of four topics, a function of the seed alone, and the
 * bytes of each event. Event time runs through busy hours, quiet days and jumps; single events come behind, late, ahead,
 * twice, with fields missing, of the wrong type or malformed.
 */
#ifndef KPID_MODEL_WORLD_H
#define KPID_MODEL_WORLD_H

#include "kpid/buf.h"
#include "random.h"

enum source { SHOP, DESK, MANY, SOURCES };
enum topic { TOPIC_SHOP, TOPIC_CALLS, TOPIC_REPLIES, TOPIC_MANY, TOPICS };
enum { PARTITIONS = 6, LOGS = TOPICS * PARTITIONS };

enum type {
    CREATED, PAID, REFUNDED, VIEWED, OPENED, WAITING, RESUMED, REOPENED, RESOLVED, CANCELLED,
    STRANGE, /* a type that no measure names */
    TYPES
};

/* How a field is spoilt. */
enum spoilt {
    SOUND, ABSENT, NULLED, TEXT /* a string where a number belongs */, MAP, FINE /* more digits than the scale */
};

/* How the whole message is spoilt. */
enum broken { WHOLE, CUT_SHORT, NO_TYPE, NO_TIME, BAD_TIME, TRAILING, EMPTY };

struct event {
    int64_t ts_ms;
    int64_t now_ms;   /* the wall clock when it is read, or the broker's timestamp */
    int64_t amount;   /* millionths */
    int64_t due_ms;
    uint32_t id;      /* 0: none */
    uint32_t user;
    uint32_t ticket;  /* its partition is part of it: ticket % PARTITIONS */
    uint8_t type, channel, region, qty;
    uint8_t amount_how, qty_how, user_how, due_how, ticket_how, channel_how; /* enum spoilt */
    uint8_t broken;   /* enum broken */
    uint8_t stamped;  /* now_ms is the record's own LogAppendTime; what the reader's clock says is then of no weight */
    uint8_t counted;  /* the model's: enum kpid_class, once it was read */
    uint8_t row_user; /* the model's: its group by user, 0 = __other__ */
    uint8_t team;     /* what the look-up said when it was taken: index into world_teams */
};

struct log {
    enum topic topic;
    int32_t partition;
    struct event *events;
    size_t n;
};

struct world {
    struct log logs[LOGS]; /* [topic * PARTITIONS + partition] */
    size_t n_events;
    int64_t begin_ms, end_ms; /* no event lies outside, and nothing that follows from one counts outside */
};

extern const char *const world_topics[TOPICS];
extern const char *const world_types[TYPES];
enum { CHANNELS = 5, REGIONS = 3, USERS = 40, CUSTOMERS = 5000 /* users of all but one topic */, TEAMS = 4 };
extern const char *const world_channels[CHANNELS]; /* as groups are called; the last is "" for absent */
extern const char *const world_regions[REGIONS];
extern const char *const world_teams[TEAMS]; /* the last is what stands for a user without one */

static inline enum source world_source(enum topic topic)
{
    return topic == TOPIC_SHOP ? SHOP : topic == TOPIC_MANY ? MANY : DESK;
}

/* Index of the topic in its source. */
static inline uint32_t world_place(enum topic topic)
{
    return topic == TOPIC_REPLIES;
}

/* Fills `world` with n events in all. `future`: how far ahead of now the furthest events are, in ms. Release it. */
void world_init(struct world *world, uint64_t seed, size_t n, int64_t future_ms);
void world_release(struct world *world);

/* The team of an event's user in the n-th version of the table, and that version as CSV. */
uint8_t world_team(const struct event *event, unsigned version);
void world_teams_write(unsigned version, struct kpid_buf *out);

/* The event as the bytes of a message, appended: JSON or, `msgpack`, MessagePack. */
void world_encode(const struct event *event, bool msgpack, struct kpid_buf *out);

#endif
