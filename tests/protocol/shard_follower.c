/* Who reads a shard that another instance owns: daemon/store/follow.c, each look anew. */
#include "shard.h"

#include <string.h>

#define ALL_CELLS ((1u << N_CELLS) - 1)

static void give_up(struct follower *follower)
{
    *follower = (struct follower){0};
}

static void read_header(const struct shard_state *from, struct search *search)
{
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_FOLLOW_HEADER};
    struct follower *follower = &state.follower;
    if (from->redis.nonce == 0 || from->redis.offset == 0)
        return;
    follower->phase = FOLLOWER_HEADER;
    follower->nonce = from->redis.nonce;
    follower->seq = from->redis.seq;
    follower->offset = from->redis.offset;
    memcpy(follower->cuts, from->redis.cuts, sizeof(follower->cuts));
    shard_emit(&state, &step, NULL, search);
}

static void read_entries(const struct shard_state *from, struct search *search)
{
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_FOLLOW_ENTRIES};
    struct follower *follower = &state.follower;
    bool good = true;
    follower->phase = FOLLOWER_ENTRIES;
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        if (follower->cuts[cell] == 0) {
            follower->loaded |= (uint8_t)(1u << cell);
            continue;
        }
        follower->refs[cell] = from->redis.manifest[cell];
        good &= from->redis.cuts[cell] == follower->cuts[cell];
        good &= follower->refs[cell].seq <= follower->seq;
    }
    if (!good)
        give_up(follower);
    shard_emit(&state, &step, NULL, search);
}

static void read_page(const struct shard_state *from, unsigned cell, struct search *search)
{
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_FOLLOW_PAGE, .cell = (uint8_t)cell};
    struct follower *follower = &state.follower;
    const struct name *name = shard_name(&state.redis, follower->refs[cell], cell, false);
    follower->loaded |= (uint8_t)(1u << cell);
    if (follower->loaded == ALL_CELLS)
        follower->phase = FOLLOWER_PAGES;
    if (name && name->exists)
        follower->counts |= name->value;
    else
        give_up(follower);
    shard_emit(&state, &step, NULL, search);
}

static void read_again(const struct shard_model *model, const struct shard_state *from, struct search *search)
{
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_FOLLOW_AGAIN};
    const struct follower *follower = &from->follower;
    const struct shard_redis *redis = &from->redis;
    const char *broken = NULL;
    bool same = redis->nonce == follower->nonce || model->without[GUARD_FOLLOW_OWNER];
    bool on = redis->seq >= follower->seq;
    if (redis->nonce && same && on && follower->counts != shard_fold(follower->offset))
        broken = "who follows a shard holds something else than the fold of the events before the offset";
    give_up(&state.follower);
    shard_emit(&state, &step, broken, search);
}

void shard_follower_next(const struct shard_model *model, const struct shard_state *state,
                         struct search *search)
{
    switch ((enum follower_phase)state->follower.phase) {
    case FOLLOWER_IDLE: read_header(state, search); break;
    case FOLLOWER_HEADER: read_entries(state, search); break;
    case FOLLOWER_ENTRIES:
        for (unsigned cell = 0; cell < N_CELLS; cell++)
            if (!(state->follower.loaded >> cell & 1))
                read_page(state, cell, search);
        break;
    case FOLLOWER_PAGES: read_again(model, state, search); break;
    }
}
