/* What was committed: a stand-in for Redis. Pages of a shard as the store keeps them, states and finals of alerts. */
#ifndef KPID_MODEL_KEPT_H
#define KPID_MODEL_KEPT_H

#include "kpid/evaluator.h"

/* ---- a shard ---- */

struct kept_shard {
    struct kpid_buf meta;
    struct kpid_page *pages; /* ascending ids */
    size_t n, cap;
};

/* Takes a cut: what it drops goes, what it brings stays. */
void kept_shard_commit(struct kept_shard *kept, struct kpid_commit *commit);
/* A new shard of what is kept (an empty one if nothing is). NULL: *why says why it can't be read. */
struct kpid_shard *kept_shard_load(const struct kept_shard *kept, const struct kpid_model *model, uint32_t source,
                                   int32_t partition, const char **why);
void kept_shard_release(struct kept_shard *kept);

/* ---- the publisher's states: written by a round, kept when it is committed ---- */

struct kept_state {
    char *key, *bytes;
    size_t key_len, len;     /* bytes NULL: to be deleted */
    uint64_t hash;
};

struct kept_states {
    struct kept_state *at;
    size_t n, cap;
    uint32_t *index;
    size_t index_cap;
};

void kept_states_put(struct kept_states *states, const char *key, size_t key_len, const void *bytes, size_t len);
/* Moves everything of a round to what is kept. */
void kept_states_commit(struct kept_states *kept, struct kept_states *round);
void kept_states_clear(struct kept_states *states);

#endif
