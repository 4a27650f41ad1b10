/*
 * The protocol of a shard's state as a model small enough to be searched in full: Redis, two instances, and
 * everything that can come between them. It follows daemon/store step by step: a step is one command that
 * Redis executes as a whole, or one decision of an instance.
 *
 * A log has N_EVENTS events. Event e changes cell e % N_CELLS, as a group's figures lie on one page or
 * another. State is how often each event was counted (2 bits each), so that an event counted twice shows. A
 * page holds one cell; its name is (cell, nonce, seq), as in the daemon, and the pages of a commit are those
 * of the cells that changed: the other page of a state stays where an earlier commit, perhaps of an earlier
 * owner, put it.
 *
 * What an instance sends is executed and answered; executed, and the answer is lost; or not executed now but
 * at any later time, or never. Redis may fall back to what it held when it was last saved, be emptied, or
 * lose a single key. An instance may stop for any time (its steps need not come) or die. Any instance may try
 * to take the shard at any time: nothing is hoped of Kafka.
 */
#ifndef KPID_PROTOCOL_SHARD_H
#define KPID_PROTOCOL_SHARD_H

#include "search.h"

#define N_EVENTS 3
#define N_CELLS  2
#define N_OWNERS 2
#ifndef N_NAMES /* the replay has room for more */
#define N_NAMES 10
#define N_LATE  2
#endif

/* ---- Redis ---- */

struct name { /* a page's key, or its place in the set of orphans */
    uint8_t nonce, seq;
    uint8_t cell : 1, exists : 1, orphan : 1;
    uint8_t value;
};

struct ref { /* a page as the manifest names it; nonce 0: none */
    uint8_t nonce, seq;
};

struct shard_redis {
    uint8_t nonce, seq, offset, pages; /* the header; nonce 0: there is none */
    struct ref manifest[N_CELLS];
    uint8_t cut,
        cuts[N_CELLS]; /* of the meta: number of the last cut, and the cut that each page is of: its id */
    struct name names[N_NAMES]; /* ordered, the unused ones at the end */
};

enum message_kind {
    MESSAGE_NONE,
    MESSAGE_TAKE,
    MESSAGE_COMMIT,
    MESSAGE_ANNOUNCE,
    MESSAGE_SET,
    MESSAGE_SWEEP,
    MESSAGE_ASK
};

/* What is sent to Redis and changes something there. SET and SWEEP are of one page: its cell is cells >> 1.
 */
struct message {
    uint8_t kind;
    uint8_t base_nonce, base_seq; /* TAKE: what was read; COMMIT: what it builds on (0: no header) */
    uint8_t nonce, seq;           /* what the header becomes; SET, ANNOUNCE: of the name; SWEEP: who asks */
    uint8_t offset, counts, cut;
    uint8_t cells; /* bits: the pages */
    uint8_t whole : 1, staged : 1, rebuilt : 1;
    struct ref drops[N_CELLS]; /* COMMIT: names of the pages that become superfluous; SWEEP: drops[0] */
};

enum answer_kind { ANSWER_OK, ANSWER_REFUSED, ANSWER_UNSTAGED, ANSWER_LOST };
struct answer {
    enum answer_kind kind;
    uint8_t offset, pages, cut; /* of TAKE */
    const char *broken;         /* an invariant that the command itself broke */
};

/* ---- an instance ---- */

enum phase {
    PHASE_IDLE,
    PHASE_TAKING, /* has read the header that it wants to take */
    PHASE_TAKEN,  /* the header is its own */
    PHASE_LISTED, /* has read the manifest, and `loaded` of the pages */
    PHASE_CHECK,  /* has all pages, or has found damage; reads the header again */
    PHASE_OWNER,
    PHASE_EARLY /* only without GUARD_TAKE_FIRST: has read the pages, and not taken the header */
};

struct owner {
    uint8_t phase;
    uint8_t read_nonce, read_seq; /* the header that is to be taken */
    uint8_t nonce, seq, last_seq;
    uint8_t offset, counts; /* its memory: what it counted */
    uint8_t cut;
    uint8_t pages;  /* loading: how many there must be */
    uint8_t loaded; /* bits of cells */
    struct ref refs[N_CELLS];
    uint8_t doubt_seq, cells; /* a commit that is not acknowledged; 0: none */
    uint8_t staged_cells;     /* pages of it that were written */
    struct ref sweep;         /* the orphan that it is about to remove */
    uint8_t sweep_cell : 1, damaged : 1, whole : 1, staged : 1, announced : 1, unsure : 1, absent : 1,
        need_whole : 1;
    uint8_t disturbed : 1; /* Redis has lost something since the commit, or the load, began */
    uint8_t rebuilt : 1;   /* its state was lost, and it counts from the first event */
};

/* ---- who reads a shard of another (daemon/store/follow.c) ---- */

enum follower_phase {
    FOLLOWER_IDLE,
    FOLLOWER_HEADER,  /* has read the header */
    FOLLOWER_ENTRIES, /* the manifest's entries of the pages that it names, and `loaded` of the pages */
    FOLLOWER_PAGES    /* all of them; reads the header again */
};

struct follower {
    uint8_t phase, nonce, seq, offset;
    uint8_t cuts[N_CELLS];
    struct ref refs[N_CELLS];
    uint8_t counts, loaded;
};

/* ---- everything ---- */

struct shard_state {
    struct shard_redis redis, saved;
    struct owner owners[N_OWNERS];
    struct follower follower;
    struct message late[N_LATE];
    uint8_t has_saved, nonces, lates, losses, empties, evictions, asks, wholes; /* how many there were */
};

/* What a search may use of each, so that it ends. */
struct shard_scope {
    const char *name;
    uint8_t events, nonces, lates, losses, empties, evictions, asks, wholes;
    bool staged, sweeps; /* without sweeps a superfluous page goes with the commit */
    bool followed;       /* by a third instance; ids of pages are told apart only then */
    bool small;          /* searched under sanitizers too */
};

/* What is searched in full. */
enum shard_scope_name {
    SCOPE_COMMITS,
    SCOPE_LOSSES,
    SCOPE_WHOLES,
    SCOPE_EMPTIED,
    SCOPE_OWNERS,
    SCOPE_TORN,
    SCOPE_KEYS,
    SCOPE_STAGED,
    SCOPE_SWEPT,
    SCOPE_ALL,
    SCOPE_FOLLOWED,
    N_SCOPES
};
extern const struct shard_scope shard_scopes[N_SCOPES];

/* The guards, and the scope in which something breaks without each. */
#define SHARD_GUARDS(X)                                                                                      \
    X(COMMIT_NONCE, COMMITS, "a commit compares the nonce")                                                  \
    X(COMMIT_SEQ, COMMITS, "a commit compares the seq")                                                      \
    X(COMMIT_NEXT, COMMITS, "a commit moves the seq on")                                                     \
    X(COMMIT_COUNTS, KEYS, "a commit looks whether the manifest has all its pages")                          \
    X(ONLY_IF_ABSENT, EMPTIED, "a whole state for a lost one is written only if the header is still absent") \
    X(SAME_CONTENT, COMMITS, "what is in doubt is sent again with the same content")                         \
    X(SEQ_UNUSED, COMMITS, "a seq is higher than every one ever used")                                       \
    X(WHOLE_AFTER_LOSS, COMMITS, "after a lost suffix everything changed since is written")                  \
    X(WHOLE_CLEARS, KEYS, "a whole state takes all older pages out of the manifest")                         \
    X(DROP_MEMORY, OWNERS, "another nonce: the memory is dropped")                                           \
    X(TAKE_COMPARES, COMMITS, "a takeover compares the header with what was read")                           \
    X(TAKE_FIRST, COMMITS, "the header is taken before the pages are read")                                  \
    X(READ_AGAIN, COMMITS, "the header is read again after the pages")                                       \
    X(PAGE_SEQ, TORN, "a page newer than the header that was taken is damage")                               \
    X(PAGE_COUNT, KEYS, "the header counts the pages of the manifest")                                       \
    X(PAGE_MISSING, KEYS, "a missing page is lost state")                                                    \
    X(STAGED_LENGTH, STAGED, "staged pages are looked for before the header moves")                          \
    X(SWEEP_ASKS, SWEPT, "a page that the manifest names is not removed")                                    \
    X(SWEEP_OWNER, SWEPT, "only the owner removes orphans")                                                  \
    X(SWEEP_DOUBT, SWEPT, "pages of a commit in doubt are not removed")                                      \
    X(FOLLOW_OWNER, FOLLOWED, "who follows wants the same owner in the header when all is read")

enum shard_guard {
#define X(name, scope, text) GUARD_##name,
    SHARD_GUARDS(X)
#undef X
        N_GUARDS
};
struct shard_guard_text {
    const char *text;
    enum shard_scope_name scope;
};
extern const struct shard_guard_text shard_guards[N_GUARDS];

struct shard_model {
    struct shard_scope scope;
    bool without[N_GUARDS];
};

/* One step, to be told and to be replayed. */
enum step_kind {
    STEP_READ,  /* the header that is to be taken */
    STEP_LIST,  /* the manifest */
    STEP_LOAD,  /* one page: cell */
    STEP_CHECK, /* the header again */
    STEP_SEND,  /* message, fate */
    STEP_JUDGE, /* reads the header: what became of the commit in doubt */
    STEP_PICK,  /* an orphan to be removed */
    STEP_DIE,
    STEP_LATE, /* message is executed late */
    STEP_SAVE,
    STEP_LOSE,
    STEP_EMPTY,
    STEP_FOLLOW_HEADER, /* by who follows; the next ones too */
    STEP_FOLLOW_ENTRIES,
    STEP_FOLLOW_PAGE,
    STEP_FOLLOW_AGAIN,
    STEP_EVICT /* header, manifest, or the page message.drops[0] of cell */
};
enum fate { FATE_ANSWERED, FATE_UNANSWERED, FATE_DELAYED };
enum evicted { EVICT_HEADER, EVICT_MANIFEST, EVICT_PAGE };

struct shard_step {
    uint8_t kind, who, fate, cell, evicted, answer;
    struct message message;
};

/* ---- shard_redis.c ---- */

uint8_t shard_fold(unsigned offset);    /* the events before offset, each counted once */
uint8_t shard_cell_bits(unsigned cell); /* of the counts: what lies on the page of the cell */
struct answer shard_execute(const struct shard_model *model, struct shard_redis *redis,
                            const struct message *message);
struct name *shard_name(struct shard_redis *redis, struct ref ref, unsigned cell, bool make);
void shard_names_tidy(struct shard_redis *redis); /* call after changes through shard_name */
/* The invariant. NULL: holds. `evicted`: single keys were lost, then a page may be missing. */
const char *shard_redis_broken(const struct shard_redis *redis, bool evicted);

/* ---- shard_owner.c ---- */

/* Emits what an instance can do. */
void shard_owner_next(const struct shard_model *model, const struct shard_state *state, unsigned who,
                      struct search *search);
/* Emits a state unless it is the same as before, with the invariants looked at. */
void shard_emit(const struct shard_state *state, const struct shard_step *step, const char *broken,
                struct search *search);

/* ---- shard_follower.c ---- */

void shard_follower_next(const struct shard_model *model, const struct shard_state *state,
                         struct search *search);

/* ---- shard.c ---- */

struct search_model shard_search(const struct shard_model *model); /* borrows */
void shard_tell(const void *model, const void *step, const void *before, const void *after);

#endif
