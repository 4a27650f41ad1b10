/* What an instance does: acquire, restore, commit and sweep of daemon/store, a step for each command that it
 * sends. */
#include "shard.h"

#include <assert.h>
#include <string.h>

#define ALL_CELLS ((1u << N_CELLS) - 1)

/* One way on from a state. */
struct turn {
    const struct shard_model *model;
    struct search *search;
    struct shard_state state;
    struct shard_step step;
    const char *broken;
};

static struct turn turn_of(const struct shard_model *model, const struct shard_state *state, unsigned who,
                           struct search *search, enum step_kind kind)
{
    struct turn turn = {.model = model, .search = search, .state = *state};
    turn.step.kind = (uint8_t)kind;
    turn.step.who = (uint8_t)who;
    return turn;
}

static void turn_end(struct turn *turn)
{
    shard_emit(&turn->state, &turn->step, turn->broken, turn->search);
}

static struct owner *owner_of(struct turn *turn)
{
    return &turn->state.owners[turn->step.who];
}

static void forget(struct owner *owner)
{
    *owner = (struct owner){0};
}

/* ---- sending ---- */

typedef void on_answer(struct turn *turn, struct answer answer);
typedef void on_silence(struct turn *turn);

static void keep_late(struct turn *turn)
{
    turn->state.late[turn->state.lates++] = turn->step.message;
}

/* The three fates of a command. */
static void send(const struct turn *from, struct message message, on_answer *answered, on_silence *silent)
{
    for (enum fate fate = FATE_ANSWERED; fate <= FATE_DELAYED; fate++) {
        struct turn turn = *from;
        turn.step.fate = (uint8_t)fate;
        turn.step.message = message;
        if (fate == FATE_DELAYED && turn.state.lates == turn.model->scope.lates)
            continue;
        struct answer answer = {.kind = ANSWER_OK};
        if (fate == FATE_DELAYED)
            keep_late(&turn);
        else
            answer = shard_execute(turn.model, &turn.state.redis, &message);
        turn.step.answer = (uint8_t)answer.kind;
        turn.broken = answer.broken;
        if (fate == FATE_ANSWERED)
            answered(&turn, answer);
        else
            silent(&turn);
        turn_end(&turn);
    }
}

/* ---- acquire and restore ---- */

/* What can be said of the pages by their names: the manifest is whole, and not newer than the header. */
static void look_back(const struct shard_model *model, struct owner *owner)
{
    unsigned n = 0;
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        n += owner->refs[cell].nonce > 0;
        if (owner->refs[cell].seq >= owner->seq && !model->without[GUARD_PAGE_SEQ])
            owner->damaged = 1;
    }
    if (n != owner->pages && !model->without[GUARD_PAGE_COUNT])
        owner->damaged = 1;
}

static void on_taken(struct turn *turn, struct answer answer)
{
    struct owner *owner = owner_of(turn);
    if (answer.kind != ANSWER_OK) {
        forget(owner);
        return;
    }
    owner->seq = owner->last_seq = turn->step.message.seq;
    owner->nonce = turn->step.message.nonce;
    owner->read_nonce = owner->read_seq = 0;
    if (owner->loaded == 0xff) { /* only without GUARD_DROP_MEMORY: it goes on with what it remembers */
        owner->phase = PHASE_OWNER;
        owner->loaded = 0;
        return;
    }
    owner->offset = answer.offset;
    owner->pages = answer.pages;
    owner->cut = answer.cut;
    owner->phase = PHASE_TAKEN;
    if (turn->model->without[GUARD_TAKE_FIRST]) {
        look_back(turn->model, owner);
        owner->phase = PHASE_CHECK;
    }
}

static void on_take_lost(struct turn *turn)
{
    forget(owner_of(turn));
}

static void take(const struct shard_model *model, const struct shard_state *state, unsigned who,
                 struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_SEND);
    const struct owner *owner = &state->owners[who];
    if (state->nonces == model->scope.nonces)
        return;
    struct message message = {
        .kind = MESSAGE_TAKE, .base_nonce = owner->read_nonce, .base_seq = owner->read_seq};
    message.nonce = ++turn.state.nonces;
    message.seq = (uint8_t)(owner->read_seq + 1);
    send(&turn, message, on_taken, on_take_lost);
}

static void read_header(const struct shard_model *model, const struct shard_state *state, unsigned who,
                        struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_READ);
    struct owner *owner = owner_of(&turn);
    /* The instances are alike: the first to act is the first one. */
    if (state->nonces == model->scope.nonces || (who > 0 && state->nonces == 0))
        return;
    owner->phase = PHASE_TAKING;
    owner->read_nonce = state->redis.nonce;
    owner->read_seq = state->redis.seq;
    turn_end(&turn);
}

static enum phase after_pages(const struct shard_model *model)
{
    return model->without[GUARD_TAKE_FIRST] ? PHASE_EARLY : PHASE_CHECK;
}

static void list(const struct shard_model *model, const struct shard_state *state, unsigned who,
                 struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_LIST);
    struct owner *owner = owner_of(&turn);
    memcpy(owner->refs, state->redis.manifest, sizeof(owner->refs));
    owner->phase = PHASE_LISTED;
    owner->counts = owner->loaded = 0;
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (owner->refs[cell].nonce == 0)
            owner->loaded |= (uint8_t)(1u << cell);
    if (!model->without[GUARD_TAKE_FIRST])
        look_back(model, owner);
    if (owner->damaged || owner->loaded == ALL_CELLS)
        owner->phase = (uint8_t)after_pages(model);
    turn_end(&turn);
}

static void load(const struct shard_model *model, const struct shard_state *state, unsigned who,
                 unsigned cell, struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_LOAD);
    struct owner *owner = owner_of(&turn);
    const struct name *name = shard_name(&turn.state.redis, owner->refs[cell], cell, false);
    turn.step.cell = (uint8_t)cell;
    owner->loaded |= (uint8_t)(1u << cell);
    if (name && name->exists)
        owner->counts |= name->value;
    else if (!model->without[GUARD_PAGE_MISSING])
        owner->damaged = 1;
    if (owner->damaged || owner->loaded == ALL_CELLS)
        owner->phase = (uint8_t)after_pages(model);
    turn_end(&turn);
}

static void check(const struct shard_model *model, const struct shard_state *state, unsigned who,
                  struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_CHECK);
    struct owner *owner = owner_of(&turn);
    bool ours = state->redis.nonce == owner->nonce && state->redis.seq == owner->seq;
    if (!ours && !model->without[GUARD_READ_AGAIN]) {
        forget(owner);
    } else {
        if (owner->damaged && !owner->disturbed && !state->evictions)
            turn.broken = "state that was never lost is reported as lost";
        if (owner->damaged) {
            owner->need_whole = owner->rebuilt = 1;
            owner->offset = owner->counts = owner->cut = 0;
            memset(owner->refs, 0, sizeof(owner->refs));
        }
        owner->phase = PHASE_OWNER;
        owner->disturbed = 0;
        owner->damaged = 0;
        owner->loaded = owner->pages = 0;
    }
    turn_end(&turn);
}

/* ---- commit ---- */

static void drop_doubt(struct owner *owner)
{
    owner->doubt_seq = owner->cells = owner->staged_cells = 0;
    owner->whole = owner->staged = owner->announced = owner->unsure = owner->disturbed = 0;
}

static void settle(struct owner *owner)
{
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        if (owner->whole)
            owner->refs[cell] = (struct ref){0, 0};
        if (owner->cells >> cell & 1)
            owner->refs[cell] = (struct ref){owner->nonce, owner->doubt_seq};
    }
    owner->seq = owner->doubt_seq;
    if (owner->whole)
        owner->need_whole = 0;
    owner->absent = 0;
    drop_doubt(owner);
}

static void count(struct owner *owner)
{
    unsigned event = owner->offset++;
    if ((owner->counts >> 2 * event & 3) < 3)
        owner->counts = (uint8_t)(owner->counts + (1u << 2 * event));
    owner->cells |= (uint8_t)(1u << event % N_CELLS);
}

static void let_go(const struct shard_model *model, struct owner *owner)
{
    struct owner old = *owner;
    forget(owner);
    if (!model->without[GUARD_DROP_MEMORY])
        return;
    owner->offset = old.offset;
    owner->counts = old.counts;
    memcpy(owner->refs, old.refs, sizeof(old.refs));
    owner->loaded = 0xff;
}

/* daemon/store/commit.c: judge(). */
static void judge(const struct shard_model *model, struct owner *owner, const struct shard_redis *found)
{
    bool absent = found->nonce == 0;
    owner->unsure = 0;
    if (!absent && found->nonce != owner->nonce && !model->without[GUARD_COMMIT_NONCE]) {
        let_go(model, owner);
        return;
    }
    if (!absent && owner->doubt_seq && found->seq == owner->doubt_seq) {
        settle(owner);
    } else if (absent != owner->absent || (!absent && found->seq != owner->seq)) {
        owner->absent = absent;
        if (!absent) {
            owner->seq = found->seq;
            if (found->seq > owner->last_seq || model->without[GUARD_SEQ_UNUSED])
                owner->last_seq = found->seq;
        }
        owner->need_whole = !model->without[GUARD_WHOLE_AFTER_LOSS];
    }
    if (owner->need_whole && owner->doubt_seq && !(owner->whole && (absent || owner->doubt_seq > found->seq)))
        drop_doubt(owner);
    if (owner->doubt_seq && model->without[GUARD_SAME_CONTENT] && owner->offset < model->scope.events)
        count(owner); /* what came meanwhile goes along under the same seq */
}

static void on_committed(struct turn *turn, struct answer answer)
{
    struct owner *owner = owner_of(turn);
    if (answer.kind == ANSWER_OK) {
        settle(owner);
    } else if (answer.kind == ANSWER_REFUSED) {
        judge(turn->model, owner, &turn->state.redis);
    } else if (answer.kind == ANSWER_LOST) {
        owner->need_whole = 1;
        drop_doubt(owner);
    } else {
        if (!owner->disturbed && !turn->broken)
            turn->broken = "a page was written for a commit, nothing was lost, and it is not there";
        owner->unsure = 1;
        owner->announced = 0;
        owner->staged_cells = 0;
    }
}

static void on_commit_lost(struct turn *turn)
{
    struct owner *owner = owner_of(turn);
    owner->unsure = 1;
    owner->announced = 0;
    owner->staged_cells = 0;
}

static struct message message_of(const struct owner *owner, enum message_kind kind)
{
    struct message message = {.kind = (uint8_t)kind, .nonce = owner->nonce, .seq = owner->doubt_seq};
    message.cells = owner->cells;
    if (kind != MESSAGE_COMMIT)
        return message;
    message.base_nonce = owner->absent ? 0 : owner->nonce;
    message.base_seq = owner->absent ? 0 : owner->seq;
    message.offset = owner->offset;
    message.counts = owner->counts;
    message.cut = owner->cut;
    message.whole = owner->whole;
    message.staged = owner->staged;
    message.rebuilt = owner->rebuilt;
    for (unsigned cell = 0; cell < N_CELLS && !owner->whole; cell++)
        if (owner->cells >> cell & 1)
            message.drops[cell] = owner->refs[cell];
    return message;
}

static void on_announced(struct turn *turn, struct answer answer)
{
    (void)answer;
    owner_of(turn)->announced = 1;
}

static void on_page_set(struct turn *turn, struct answer answer)
{
    (void)answer;
    owner_of(turn)->staged_cells |= (uint8_t)(1u << turn->step.cell);
}

/* The next command of the commit in doubt. */
static void go_on(struct turn *turn)
{
    struct owner *owner = owner_of(turn);
    unsigned left = owner->cells & ~owner->staged_cells;
    if (owner->staged && !owner->announced) {
        send(turn, message_of(owner, MESSAGE_ANNOUNCE), on_announced, on_commit_lost);
    } else if (owner->staged && left) {
        unsigned cell = left & 1 ? 0 : 1;
        struct message message = message_of(owner, MESSAGE_SET);
        turn->step.cell = (uint8_t)cell;
        message.cells = (uint8_t)(cell << 1);
        message.counts = owner->counts & shard_cell_bits(cell);
        send(turn, message, on_page_set, on_commit_lost);
    } else {
        send(turn, message_of(owner, MESSAGE_COMMIT), on_committed, on_commit_lost);
    }
}

/* Counts `more` events and cuts; a whole state may have none. */
static void cut(const struct turn *from, unsigned more, bool whole, bool staged)
{
    const struct shard_model *model = from->model;
    struct turn turn = *from;
    struct owner *owner = owner_of(&turn);
    if (owner->offset + more > model->scope.events)
        return;
    for (unsigned i = 0; i < more; i++)
        count(owner);
    if (whole) {
        owner->whole = 1;
        owner->cells = 0;
        for (unsigned cell = 0; cell < N_CELLS; cell++)
            if (owner->counts & shard_cell_bits(cell))
                owner->cells |= (uint8_t)(1u << cell);
    }
    if (staged && !owner->cells)
        return;
    owner->staged = staged;
    owner->cut = (uint8_t)(owner->cut + model->scope.followed);
    if (!model->without[GUARD_COMMIT_NEXT])
        owner->last_seq++;
    owner->doubt_seq = owner->last_seq;
    /* After a loss the header is looked at first. */
    if (owner->need_whole) {
        owner->unsure = 1;
        turn.step.kind = STEP_JUDGE;
        judge(model, owner, &turn.state.redis);
        turn_end(&turn);
    } else {
        go_on(&turn);
    }
}

static void cut_all(const struct turn *from)
{
    const struct owner *owner = &from->state.owners[from->step.who];
    for (unsigned staged = 0; staged <= from->model->scope.staged; staged++) {
        for (unsigned more = owner->need_whole ? 0 : 1; more <= 2; more++)
            cut(from, more, owner->need_whole, staged);
        if (owner->need_whole || from->state.wholes == from->model->scope.wholes)
            continue;
        struct turn turn = *from;
        turn.state.wholes++;
        cut(&turn, 0, true, staged);
    }
}

static void look(const struct shard_model *model, const struct shard_state *state, unsigned who,
                 struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_JUDGE);
    judge(model, owner_of(&turn), &state->redis);
    turn_end(&turn);
}

/* ---- sweep ---- */

static void on_swept(struct turn *turn, struct answer answer)
{
    (void)answer;
    owner_of(turn)->sweep = (struct ref){0, 0};
    owner_of(turn)->sweep_cell = 0;
}

static void on_sweep_lost(struct turn *turn)
{
    on_swept(turn, (struct answer){0});
}

static void pick_orphans(const struct shard_model *model, const struct shard_state *state, unsigned who,
                         struct search *search)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        const struct name *name = &state->redis.names[i];
        struct turn turn = turn_of(model, state, who, search, STEP_PICK);
        struct owner *owner = owner_of(&turn);
        if (!name->orphan ||
            (name->nonce == owner->nonce && name->seq > owner->seq && !model->without[GUARD_SWEEP_DOUBT]))
            continue;
        owner->sweep = (struct ref){name->nonce, name->seq};
        owner->sweep_cell = name->cell;
        turn.step.cell = name->cell;
        turn.step.message.drops[0] = owner->sweep;
        turn_end(&turn);
    }
}

static void sweep(const struct shard_model *model, const struct shard_state *state, unsigned who,
                  struct search *search)
{
    struct turn turn = turn_of(model, state, who, search, STEP_SEND);
    const struct owner *owner = owner_of(&turn);
    struct message message = {.kind = MESSAGE_SWEEP, .nonce = owner->nonce, .drops = {owner->sweep, {0, 0}}};
    message.cells = (uint8_t)(owner->sweep_cell << 1);
    send(&turn, message, on_swept, on_sweep_lost);
}

/* ---- all of it ---- */

static void own(const struct shard_model *model, const struct shard_state *state, unsigned who,
                struct search *search)
{
    const struct owner *owner = &state->owners[who];
    struct turn turn = turn_of(model, state, who, search, STEP_SEND);
    if (!owner->doubt_seq || owner->unsure)
        look(model, state, who, search);
    if (!owner->doubt_seq)
        cut_all(&turn);
    else if (!owner->unsure)
        go_on(&turn);
    /* It did not arrive, and what has come since makes a whole state necessary: that takes its place. */
    if (owner->doubt_seq && !owner->unsure && !owner->whole && state->wholes < model->scope.wholes) {
        drop_doubt(owner_of(&turn));
        turn.state.wholes++;
        cut(&turn, 0, true, false);
    }
    if (model->scope.sweeps && owner->sweep.nonce)
        sweep(model, state, who, search);
    else if (model->scope.sweeps)
        pick_orphans(model, state, who, search);
}

void shard_owner_next(const struct shard_model *model, const struct shard_state *state, unsigned who,
                      struct search *search)
{
    const struct owner *owner = &state->owners[who];
    bool read_first = model->without[GUARD_TAKE_FIRST];
    switch (owner->phase) {
    case PHASE_IDLE:
        if (read_first && (who == 0 || state->nonces > 0) && owner->loaded != 0xff)
            list(model, state, who, search);
        else
            read_header(model, state, who, search);
        break;
    case PHASE_EARLY: read_header(model, state, who, search); break;
    case PHASE_TAKING: take(model, state, who, search); break;
    case PHASE_TAKEN: list(model, state, who, search); break;
    case PHASE_LISTED:
        for (unsigned cell = 0; cell < N_CELLS; cell++)
            if (!(owner->loaded >> cell & 1))
                load(model, state, who, cell, search);
        break;
    case PHASE_CHECK: check(model, state, who, search); break;
    case PHASE_OWNER: own(model, state, who, search); break;
    }
}
