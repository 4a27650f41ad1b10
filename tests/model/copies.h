/* Shards that another instance owns: the evaluator sees copies, which follow what is kept. */
#ifndef KPID_MODEL_COPIES_H
#define KPID_MODEL_COPIES_H

#include "kept.h"

struct copy {
    struct kpid_shard *shard; /* NULL: there is none yet */
    uint64_t *ids;            /* pages that it was given */
    size_t n;
};

/* Brings the copy to what is kept: by new pages alone while none of the others went. False: *why says why it can't be. */
bool copy_follow(struct copy *copy, const struct kept_shard *kept, const struct kpid_model *model, uint32_t source,
                 int32_t partition, const char **why);
/* The owner is another one: the next one is loaded whole. */
void copy_drop(struct copy *copy);

#endif
