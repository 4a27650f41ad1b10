/* All that can happen next, and the invariants. */
#include "shard.h"

#include <stdio.h>
#include <string.h>

const struct shard_guard_text shard_guards[N_GUARDS] = {
#define X(name, scope, text) {text, SCOPE_##scope},
    SHARD_GUARDS(X)
#undef X
};

const struct shard_scope shard_scopes[N_SCOPES] = {
    [SCOPE_COMMITS] = {.name = "commits and takeovers", .events = 3, .nonces = 2, .lates = 2, .losses = 1},
    [SCOPE_LOSSES] = {.name = "two losses", .events = 2, .nonces = 2, .lates = 1, .losses = 2, .small = true},
    [SCOPE_WHOLES] = {.name = "whole states", .events = 2, .nonces = 2, .lates = 1, .losses = 1, .wholes = 1},
    [SCOPE_EMPTIED] = {.name = "emptied", .events = 2, .nonces = 2, .lates = 1, .losses = 1, .empties = 1},
    [SCOPE_OWNERS] = {.name = "three owners", .events = 2, .nonces = 3, .lates = 1, .losses = 1, .asks = 1},
    [SCOPE_TORN] = {.name = "read while it moves", .events = 3, .nonces = 3, .losses = 1, .small = true},
    [SCOPE_KEYS] =
        {.name = "single keys lost", .events = 2, .nonces = 2, .lates = 1, .losses = 1, .evictions = 1},
    [SCOPE_STAGED] = {.name = "staged", .events = 2, .nonces = 2, .lates = 1, .losses = 1, .staged = true},
    [SCOPE_SWEPT] =
        {.name = "staged and swept", .events = 2, .nonces = 2, .lates = 1, .staged = true, .sweeps = true},
    [SCOPE_ALL] = {.name = "staged, swept and lost",
                   .events = 1,
                   .nonces = 2,
                   .lates = 1,
                   .losses = 1,
                   .staged = true,
                   .sweeps = true,
                   .small = true},
    [SCOPE_FOLLOWED] = {.name = "followed", .events = 3, .nonces = 2, .losses = 1, .followed = true},
};

static const char *broken(const struct shard_state *state)
{
    const char *text = shard_redis_broken(&state->redis, state->evictions > 0);
    for (size_t i = 0; !text && i < N_OWNERS; i++) {
        const struct owner *owner = &state->owners[i];
        if (owner->phase == PHASE_OWNER && owner->counts != shard_fold(owner->offset))
            text = "an instance holds something else than the fold of the events that it read";
    }
    return text;
}

void shard_emit(const struct shard_state *state, const struct shard_step *step, const char *text,
                struct search *search)
{
    search_emit(search, state, step, text ? text : broken(state));
}

static void disturb(struct shard_state *state)
{
    for (size_t i = 0; i < N_OWNERS; i++)
        if (state->owners[i].phase != PHASE_IDLE &&
            (state->owners[i].phase != PHASE_OWNER || state->owners[i].doubt_seq))
            state->owners[i].disturbed = 1;
}

static void die(const struct shard_state *from, struct search *search)
{
    for (uint8_t i = 0; i < N_OWNERS; i++) {
        struct shard_state state = *from;
        struct shard_step step = {.kind = STEP_DIE, .who = i};
        if (from->owners[i].phase == PHASE_IDLE && from->owners[i].loaded == 0)
            continue;
        state.owners[i] = (struct owner){0};
        shard_emit(&state, &step, NULL, search);
    }
}

static void be_late(const struct shard_model *model, const struct shard_state *from, struct search *search)
{
    for (unsigned i = 0; i < N_LATE; i++) {
        struct shard_state state = *from;
        struct shard_step step = {.kind = STEP_LATE, .message = from->late[i]};
        if (from->late[i].kind == MESSAGE_NONE)
            continue;
        struct answer answer = shard_execute(model, &state.redis, &from->late[i]);
        step.answer = (uint8_t)answer.kind;
        state.late[i] = (struct message){0};
        shard_emit(&state, &step, answer.broken, search);
    }
}

static void lose(const struct shard_model *model, const struct shard_state *from, struct search *search)
{
    const struct shard_scope *scope = &model->scope;
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_SAVE};
    if (from->losses < scope->losses && from->redis.nonce && !from->has_saved) {
        state.saved = from->redis;
        state.has_saved = 1;
        shard_emit(&state, &step, NULL, search);
    }
    if (from->has_saved && from->losses < scope->losses) {
        state = *from;
        step.kind = STEP_LOSE;
        state.redis = from->saved;
        state.saved = (struct shard_redis){0};
        state.has_saved = 0;
        state.losses++;
        disturb(&state);
        shard_emit(&state, &step, NULL, search);
    }
    if (from->empties < scope->empties && from->redis.nonce) {
        state = *from;
        step.kind = STEP_EMPTY;
        state.redis = state.saved = (struct shard_redis){0};
        state.has_saved = 0;
        state.empties++;
        disturb(&state);
        shard_emit(&state, &step, NULL, search);
    }
}

/* A single key goes. */
static void evict(const struct shard_model *model, const struct shard_state *from, struct search *search)
{
    struct shard_step step = {.kind = STEP_EVICT, .evicted = EVICT_HEADER};
    struct shard_state base = *from, state;
    if (from->evictions == model->scope.evictions || from->redis.nonce == 0)
        return;
    base.evictions++;
    disturb(&base);
    state = base;
    state.redis.nonce = state.redis.seq = state.redis.offset = state.redis.pages = 0;
    shard_emit(&state, &step, NULL, search);
    state = base;
    step.evicted = EVICT_MANIFEST;
    memset(state.redis.manifest, 0, sizeof(state.redis.manifest));
    memset(state.redis.cuts, 0, sizeof(state.redis.cuts));
    shard_emit(&state, &step, NULL, search);
    for (size_t i = 0; i < N_NAMES; i++) {
        struct name *name = &state.redis.names[i];
        state = base;
        if (!name->exists)
            continue;
        step.evicted = EVICT_PAGE;
        step.cell = name->cell;
        step.message.drops[0] = (struct ref){name->nonce, name->seq};
        name->exists = 0;
        name->value = 0;
        shard_names_tidy(&state.redis);
        shard_emit(&state, &step, NULL, search);
    }
}

static void ask(const struct shard_model *model, const struct shard_state *from, struct search *search)
{
    struct shard_state state = *from;
    struct shard_step step = {.kind = STEP_SEND, .who = N_OWNERS, .fate = FATE_ANSWERED};
    if (from->asks == model->scope.asks || from->nonces == model->scope.nonces || from->redis.nonce == 0)
        return;
    state.asks++;
    step.message = (struct message){.kind = MESSAGE_ASK, .nonce = ++state.nonces};
    step.answer = (uint8_t)shard_execute(model, &state.redis, &step.message).kind;
    shard_emit(&state, &step, NULL, search);
}

static void first(const void *model, void *state)
{
    (void)model;
    memset(state, 0, sizeof(struct shard_state));
}

static void next(const void *ctx, const void *state, struct search *search)
{
    const struct shard_model *model = ctx;
    for (unsigned who = 0; who < N_OWNERS; who++)
        shard_owner_next(model, state, who, search);
    if (model->scope.followed)
        shard_follower_next(model, state, search);
    die(state, search);
    be_late(model, state, search);
    lose(model, state, search);
    evict(model, state, search);
    ask(model, state, search);
}

struct search_model shard_search(const struct shard_model *model)
{
    return (struct search_model){
        sizeof(struct shard_state), sizeof(struct shard_step), first, next, shard_tell, model};
}
