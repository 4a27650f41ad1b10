/*
 * The publisher as a model: two shards whose owners commit as they like, two instances that may publish, and
 * two boundaries with one alert rule.
 *
 * Shard s has events 1, 2 and 3: the first lies before boundary 1, the second between it and boundary 2, the
 * third beyond; the second shard ends with its second event and is silent from then on. What counts is how
 * many events are committed and how many are in memory; that each is counted once is the other model's
 * subject. The figure at a boundary is how many events lie just before it, 2 in truth, and the rule fires
 * when it is not 0: truth is one transition, whose since is boundary 1. An alert's id is worked out from its
 * since, so that they are one number here.
 *
 * Readers are to have the finals of all boundaries up to the one that {alert} says was told. Snapshots lie in
 * another slot, and may be lost while {alert} is not, in the moment in which the publisher dies.
 *
 * {alert}, the snapshots and each shard may lie on different servers of a Cluster: each may fall back without
 * the others. A load may outlive a fall: its next piece is asked of the replica that took over. Since
 * (nonce, seq) names one content, the pieces fit together.
 */
#ifndef KPID_PROTOCOL_PUBLISHER_H
#define KPID_PROTOCOL_PUBLISHER_H

#include "search.h"

#define N_SHARDS     2
#define N_PUBLISHERS 2
#define N_BOUNDARIES 2
#define TRUE_FIGURE  2
#define TRUE_SINCE   1

struct alerts { /* {alert}: the header and what it guards */
    uint8_t nonce, seq, term;
    uint8_t final;  /* last final boundary */
    uint8_t since;  /* the alert's state; 0: inactive */
    uint8_t log[2]; /* transitions in the stream: their ids */
    uint8_t outbox; /* the id that is to be sent; 0: none */
    uint8_t told;   /* readers have the finals up to this boundary */
    uint8_t noted_term, noted_tick; /* the stamp that stood beside the snapshots then */
    uint8_t again;  /* finals are being told again */
};

struct snapshot {
    uint8_t term, tick, boundary, figure;
    uint8_t have; /* bits: boundaries whose finals readers find */
};

enum command_kind {
    COMMAND_NONE,
    COMMAND_TAKE,
    COMMAND_ROUND,
    COMMAND_SNAPSHOT,
    COMMAND_CONFIRM,
    COMMAND_TOLD,
    COMMAND_AGAIN
};
struct command {
    uint8_t kind, nonce, seq, base_nonce;
    uint8_t boundary, figure, since, fires, term, tick;
    uint8_t base_term, base_tick; /* the last stamp that was acknowledged */
};

enum publisher_phase {
    PUBLISHER_IDLE,
    PUBLISHER_TAKING, /* has read the header */
    PUBLISHER_TAKEN,
    PUBLISHER_STATES, /* has read the alert states */
    PUBLISHER_FINALS, /* and the finals, and what is noted */
    PUBLISHER_MARK,   /* has found that snapshots were lost, and is to say so */
    PUBLISHER_ROUND,  /* owns {alert}; has read `seen` shards for the next boundary */
    PUBLISHER_ALERTS, /* is to send the round's alerts */
    PUBLISHER_SNAPSHOT,
    PUBLISHER_TELL /* is to say that readers have it */
};

struct publisher {
    uint8_t phase;
    uint8_t read_nonce, read_seq;
    uint8_t noted_term, noted_tick, again; /* as {alert} says, while it is taken over */
    uint8_t nonce, seq, term, tick;
    uint8_t final, since, fires; /* of the last round that was decided */
    uint8_t seen, figure;
    uint8_t retell; /* this boundary and those up to `final` are told again; 0: none */
    uint8_t acknowledged_term, acknowledged_tick;
    uint8_t unsure; /* an answer is due that will not come */
    uint8_t sent;   /* the id that the receiver has, and the outbox too */
};

struct publisher_state {
    uint8_t committed[N_SHARDS], memory[N_SHARDS];
    uint8_t idle_at[N_SHARDS]; /* the live record: idle, and read up to here; 0: not idle */
    struct alerts alerts, saved;
    struct snapshot snapshot;
    struct publisher publishers[N_PUBLISHERS];
    struct command late;
    uint8_t delivered[2]; /* ids that the receiver got */
    uint8_t has_saved, nonces, lates, losses, time;
    uint16_t terms; /* bits: those that were given out */
};

#define PUBLISHER_GUARDS(X)                                                                                  \
    X(HEADER, "a round compares the publisher's nonce")                                                      \
    X(ROUND_SEQ, "a round compares the publisher's seq")                                                     \
    X(PIECES, "alert states and finals are each read together with the header")                              \
    X(TERM, "a snapshot compares term and tick")                                                             \
    X(TIME, "a term is not below Redis' time")                                                               \
    X(COMMITTED, "only committed state makes a figure final")                                                \
    X(ALL_SHARDS, "a partition without a key in Redis is waited for")                                        \
    X(IDLE_OFFSET, "an idle shard counts only if all that it read is committed")                             \
    X(ONE_SCRIPT, "state, final mark and transition are written together")                                   \
    X(OUTBOX, "a transition leaves the outbox only when it was received")                                    \
    X(TOLD, "finals that were not told to the end are told again")                                           \
    X(NOTED, "the stamp of the snapshots is compared with the one that {alert} has noted")                   \
    X(BASE, "a snapshot is refused where the last acknowledged stamp is missing")                            \
    X(MARK, "what is told again is marked until all of it is told")

enum publisher_guard {
#define X(name, text) PUBLISHER_GUARD_##name,
    PUBLISHER_GUARDS(X)
#undef X
        N_PUBLISHER_GUARDS
};
extern const char *const publisher_guards[N_PUBLISHER_GUARDS];

struct publisher_model {
    uint8_t nonces, lates, losses;
    bool ready; /* everything was read, and nothing committed, when it begins */
    bool without[N_PUBLISHER_GUARDS];
};

enum publisher_step_kind {
    PUBLISHER_STEP_EVENT,  /* the owner of shard `who` reads one */
    PUBLISHER_STEP_COMMIT, /* the owner of shard `who` commits */
    PUBLISHER_STEP_IDLE,   /* the owner of shard `who` says that it is idle */
    PUBLISHER_STEP_FALL,   /* shard `who` falls back by one commit, and its owner dies */
    PUBLISHER_STEP_READ,
    PUBLISHER_STEP_STATES,
    PUBLISHER_STEP_FINALS,
    PUBLISHER_STEP_STAMP,
    PUBLISHER_STEP_SHARD, /* `boundary`, `shard` */
    PUBLISHER_STEP_DELIVER,
    PUBLISHER_STEP_SEND,
    PUBLISHER_STEP_DIE,
    PUBLISHER_STEP_LATE,
    PUBLISHER_STEP_SAVE,
    PUBLISHER_STEP_LOSE,
    PUBLISHER_STEP_LOSE_SNAPSHOT
};
struct publisher_step {
    uint8_t kind, who, fate, accepted, shard;
    struct command command;
};

struct search_model publisher_search(const struct publisher_model *model); /* borrows */
void publisher_tell(const void *model, const void *step, const void *before, const void *after);

#endif
