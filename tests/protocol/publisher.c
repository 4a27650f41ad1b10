#include "publisher.h"

#include <string.h>

const char *const publisher_guards[N_PUBLISHER_GUARDS] = {
#define X(name, text) text,
    PUBLISHER_GUARDS(X)
#undef X
};

static const uint8_t n_events[N_SHARDS] = {3, 2};

struct turn {
    const struct publisher_model *model;
    struct search *search;
    struct publisher_state state;
    struct publisher_step step;
    const char *broken;
};

/* ---- what Redis does ---- */

static bool take(const struct publisher_model *model, struct publisher_state *state, struct command *command,
                 const char **broken)
{
    struct alerts *alerts = &state->alerts;
    if (alerts->nonce != command->base_nonce || alerts->seq != command->seq)
        return false;
    state->time++;
    alerts->term++;
    if (alerts->term < state->time && !model->without[PUBLISHER_GUARD_TIME])
        alerts->term = state->time;
    if (state->terms >> alerts->term & 1)
        *broken = "a term was given out twice";
    state->terms = (uint16_t)(state->terms | 1u << alerts->term);
    alerts->nonce = command->nonce;
    alerts->seq++;
    command->seq = alerts->seq;
    command->term = alerts->term;
    return true;
}

static bool round_write(const struct publisher_model *model, struct publisher_state *state,
                        const struct command *command, const char **broken)
{
    struct alerts *alerts = &state->alerts;
    if (alerts->nonce != command->nonce && !model->without[PUBLISHER_GUARD_HEADER])
        return false;
    if (alerts->seq != command->seq && !model->without[PUBLISHER_GUARD_ROUND_SEQ])
        return false;
    alerts->seq = (uint8_t)(command->seq + 1);
    if (command->figure != TRUE_FIGURE)
        *broken = "a figure becomes final that is not the recount's";
    alerts->final = command->boundary;
    alerts->since = command->since;
    if (command->fires &&
        !model->without[PUBLISHER_GUARD_ONE_SCRIPT]) { /* else they would follow in another */
        alerts->log[alerts->log[0] > 0] = command->since;
        alerts->outbox = command->since;
    }
    return true;
}

static bool snapshot_write(const struct publisher_model *model, struct publisher_state *state,
                           const struct command *command, const char **broken)
{
    struct snapshot *snapshot = &state->snapshot;
    bool newer =
        command->term > snapshot->term || (command->term == snapshot->term && command->tick > snapshot->tick);
    if (!newer && !model->without[PUBLISHER_GUARD_TERM])
        return false;
    bool lost = snapshot->term < command->base_term ||
                (snapshot->term == command->base_term && snapshot->tick < command->base_tick);
    if (lost && !model->without[PUBLISHER_GUARD_BASE])
        return false;
    if (command->boundary < snapshot->boundary && state->losses == 0)
        *broken = "an older final took the place of a newer one";
    uint8_t have = (uint8_t)(snapshot->have | 1u << command->boundary);
    *snapshot = (struct snapshot){command->term, command->tick, command->boundary, command->figure, have};
    return true;
}

static bool told(struct publisher_state *state, const struct command *command)
{
    struct alerts *alerts = &state->alerts;
    if (alerts->nonce != command->nonce)
        return false;
    alerts->told = command->boundary;
    alerts->noted_term = command->base_term;
    alerts->noted_tick = command->base_tick;
    alerts->again = 0;
    return true;
}

static bool mark_again(struct publisher_state *state, const struct command *command)
{
    if (state->alerts.nonce != command->nonce)
        return false;
    state->alerts.again = 1;
    return true;
}

static bool confirm(struct publisher_state *state, const struct command *command)
{
    if (state->alerts.nonce != command->nonce)
        return false;
    if (state->alerts.outbox == command->since)
        state->alerts.outbox = 0;
    return true;
}

static bool execute(struct turn *turn, struct command *command)
{
    switch ((enum command_kind)command->kind) {
    case COMMAND_TAKE: return take(turn->model, &turn->state, command, &turn->broken);
    case COMMAND_ROUND: return round_write(turn->model, &turn->state, command, &turn->broken);
    case COMMAND_SNAPSHOT: return snapshot_write(turn->model, &turn->state, command, &turn->broken);
    case COMMAND_CONFIRM: return confirm(&turn->state, command);
    case COMMAND_TOLD: return told(&turn->state, command);
    case COMMAND_AGAIN: return mark_again(&turn->state, command);
    case COMMAND_NONE: break;
    }
    return false;
}

/* ---- the invariants ---- */

static const char *broken(const struct publisher_state *state)
{
    const struct alerts *alerts = &state->alerts;
    for (size_t i = 0; i < 2; i++)
        if (state->delivered[i] && state->delivered[i] != TRUE_SINCE)
            return "an alert was told under another id";
    if (state->snapshot.boundary && state->snapshot.figure != TRUE_FIGURE)
        return "a final figure is not the recount's";
    if (alerts->log[0] && alerts->log[1])
        return alerts->log[0] == alerts->log[1] ? "a transition was logged twice" : "an alert has two ids";
    if (alerts->since && alerts->since != TRUE_SINCE)
        return "an alert began at another boundary";
    if (alerts->final >= TRUE_SINCE && (alerts->since == 0 || alerts->log[0] == 0))
        return "a boundary is marked final without its transition";
    if (alerts->log[0] && !alerts->outbox && !state->delivered[0])
        return "a transition is logged that nobody was told, nor will be";
    return NULL;
}

static void turn_end(struct turn *turn)
{
    search_emit(turn->search, &turn->state, &turn->step, turn->broken ? turn->broken : broken(&turn->state));
}

static struct turn turn_of(const struct turn *from, enum publisher_step_kind kind, unsigned who)
{
    struct turn turn = *from;
    turn.step = (struct publisher_step){.kind = (uint8_t)kind, .who = (uint8_t)who};
    return turn;
}

/* ---- shards ---- */

static void shard_next(const struct turn *from, unsigned shard)
{
    const struct publisher_state *state = &from->state;
    struct turn turn = turn_of(from, PUBLISHER_STEP_EVENT, shard);
    if (state->memory[shard] < n_events[shard]) {
        turn.state.memory[shard]++;
        turn_end(&turn);
    }
    if (state->committed[shard] < state->memory[shard]) {
        turn = turn_of(from, PUBLISHER_STEP_COMMIT, shard);
        turn.state.committed[shard] = state->memory[shard];
        turn_end(&turn);
    }
    if (state->memory[shard] == n_events[shard] && state->idle_at[shard] == 0) {
        turn = turn_of(from, PUBLISHER_STEP_IDLE, shard);
        turn.state.idle_at[shard] = state->memory[shard];
        turn_end(&turn);
    }
    if (state->committed[shard] > 0 && state->losses < from->model->losses) {
        turn = turn_of(from, PUBLISHER_STEP_FALL, shard);
        turn.state.losses++;
        turn.state.committed[shard]--;
        turn.state.memory[shard] = turn.state.committed[shard];
        turn_end(&turn);
    }
}

/* Whether the shard's state tells all there is before the boundary. */
static bool covers(const struct publisher_model *model, const struct publisher_state *state, unsigned shard,
                   unsigned boundary)
{
    unsigned known =
        model->without[PUBLISHER_GUARD_COMMITTED] ? state->memory[shard] : state->committed[shard];
    if (known > boundary)
        return true;
    if (model->without[PUBLISHER_GUARD_ALL_SHARDS] && state->committed[shard] == 0)
        return true;
    return state->idle_at[shard] > 0 &&
           (state->idle_at[shard] == state->committed[shard] || model->without[PUBLISHER_GUARD_IDLE_OFFSET]);
}

/* ---- a publisher ---- */

static struct publisher *publisher_of(struct turn *turn)
{
    return &turn->state.publishers[turn->step.who];
}

static void let_go(struct publisher *publisher)
{
    *publisher = (struct publisher){0};
}

typedef void on_answer(struct turn *turn, bool accepted);

static void send(const struct turn *from, struct command command, on_answer *answered)
{
    for (unsigned fate = 0; fate < 3; fate++) {
        struct turn turn = turn_of(from, PUBLISHER_STEP_SEND, from->step.who);
        bool accepted = false;
        turn.step.fate = (uint8_t)fate;
        turn.step.command = command;
        if (fate == 2 && turn.state.lates == turn.model->lates)
            continue;
        if (fate == 2) {
            turn.state.late = command;
            turn.state.lates++;
        } else {
            accepted = execute(&turn, &turn.step.command);
        }
        turn.step.accepted = accepted;
        if (fate == 0)
            answered(&turn, accepted);
        else if (publisher_of(&turn)->phase == PUBLISHER_TAKING)
            let_go(publisher_of(&turn));
        else
            publisher_of(&turn)->unsure = 1;
        turn_end(&turn);
    }
}

static void on_taken(struct turn *turn, bool accepted)
{
    struct publisher *publisher = publisher_of(turn);
    if (!accepted) {
        let_go(publisher);
        return;
    }
    *publisher = (struct publisher){.phase = PUBLISHER_TAKEN, .nonce = turn->step.command.nonce};
    publisher->seq = turn->step.command.seq;
    publisher->term = turn->step.command.term;
}

static void acquire(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_READ, who);
    struct publisher *publisher = publisher_of(&turn);
    if (from->state.nonces == from->model->nonces || (who > 0 && from->state.nonces == 0))
        return;
    if (publisher->phase == PUBLISHER_IDLE) {
        publisher->phase = PUBLISHER_TAKING;
        publisher->read_nonce = from->state.alerts.nonce;
        publisher->read_seq = from->state.alerts.seq;
        turn_end(&turn);
        return;
    }
    struct command command = {
        .kind = COMMAND_TAKE, .base_nonce = publisher->read_nonce, .seq = publisher->read_seq};
    command.nonce = ++turn.state.nonces;
    send(&turn, command, on_taken);
}

static void load(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_STATES, who);
    struct publisher *publisher = publisher_of(&turn);
    const struct alerts *alerts = &from->state.alerts;
    const struct snapshot *snapshot = &from->state.snapshot;
    bool own = alerts->nonce == publisher->nonce && alerts->seq == publisher->seq;
    bool states = publisher->phase == PUBLISHER_TAKEN;
    if (!states)
        turn.step.kind = PUBLISHER_STEP_FINALS;
    if (publisher->phase == PUBLISHER_FINALS) { /* the last thing that is read, elsewhere */
        turn.step.kind = PUBLISHER_STEP_STAMP;
        publisher->acknowledged_term = snapshot->term;
        publisher->acknowledged_tick = snapshot->tick;
        bool behind = snapshot->term < publisher->noted_term ||
                      (snapshot->term == publisher->noted_term && snapshot->tick < publisher->noted_tick);
        behind = behind && !from->model->without[PUBLISHER_GUARD_NOTED];
        publisher->phase = PUBLISHER_ROUND;
        if ((behind || publisher->again) && publisher->final > 0) {
            publisher->retell = 1;
            publisher->phase = from->model->without[PUBLISHER_GUARD_MARK] ? PUBLISHER_ROUND : PUBLISHER_MARK;
        }
        bool missing = false;
        for (unsigned boundary = 1; boundary <= publisher->final; boundary++)
            missing = missing || !(snapshot->have >> boundary & 1);
        if (own && missing && !publisher->retell) /* an owner who will never tell them */
            turn.broken = "finals are lost that readers had, and nobody knows";
        publisher->noted_term = publisher->noted_tick = publisher->again = 0;
        turn_end(&turn);
        return;
    }
    if (!own && !(from->model->without[PUBLISHER_GUARD_PIECES] && states)) {
        let_go(publisher);
    } else if (states) {
        publisher->since = alerts->since;
        publisher->phase = PUBLISHER_STATES;
    } else {
        publisher->final = alerts->final;
        publisher->noted_term = alerts->noted_term;
        publisher->noted_tick = alerts->noted_tick;
        publisher->again = alerts->again;
        if (alerts->told < alerts->final && !from->model->without[PUBLISHER_GUARD_TOLD])
            publisher->retell = (uint8_t)(alerts->told + 1);
        publisher->phase = PUBLISHER_FINALS;
    }
    turn_end(&turn);
}

/* Reads one more shard; after the last one the boundary is judged. */
static void read_shard(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_SHARD, who);
    struct publisher *publisher = publisher_of(&turn);
    uint8_t boundary = publisher->retell ? publisher->retell : (uint8_t)(publisher->final + 1);
    uint8_t shard = publisher->seen;
    if (boundary > N_BOUNDARIES || !covers(from->model, &from->state, shard, boundary))
        return;
    turn.step.shard = shard;
    turn.step.command.boundary = boundary;
    publisher->figure = (uint8_t)(publisher->figure + (from->state.committed[shard] >= boundary));
    publisher->seen++;
    if (publisher->seen == N_SHARDS && publisher->retell) {
        publisher->tick++;
        publisher->phase = PUBLISHER_SNAPSHOT;
    } else if (publisher->seen == N_SHARDS) {
        publisher->fires = publisher->figure > 0 && publisher->since == 0;
        publisher->since = publisher->figure == 0 ? 0 : publisher->since ? publisher->since : boundary;
        publisher->phase = PUBLISHER_ALERTS;
    }
    turn_end(&turn);
}

static void on_round(struct turn *turn, bool accepted)
{
    struct publisher *publisher = publisher_of(turn);
    const struct alerts *alerts = &turn->state.alerts;
    if (!accepted && publisher->unsure && alerts->nonce == publisher->nonce &&
        alerts->seq == publisher->seq + 1)
        accepted = true; /* it had arrived */
    if (!accepted) {
        let_go(publisher);
        return;
    }
    publisher->seq++;
    publisher->tick++;
    publisher->unsure = 0;
    publisher->phase = PUBLISHER_SNAPSHOT;
}

static void on_snapshot(struct turn *turn, bool accepted)
{
    struct publisher *publisher = publisher_of(turn);
    if (!accepted && turn->state.snapshot.term != publisher->term) {
        let_go(publisher);
        return;
    }
    publisher->acknowledged_term = publisher->term;
    publisher->acknowledged_tick = publisher->tick;
    publisher->unsure = publisher->seen = publisher->figure = publisher->fires = 0;
    publisher->phase = PUBLISHER_TELL;
    if (!publisher->retell)
        publisher->final++;
    else if (publisher->retell < publisher->final)
        publisher->phase = PUBLISHER_ROUND;
    publisher->retell = publisher->phase == PUBLISHER_TELL ? 0 : (uint8_t)(publisher->retell + 1);
}

/* Both may be repeated. */
static void on_noted(struct turn *turn, bool accepted)
{
    struct publisher *publisher = publisher_of(turn);
    if (!accepted) {
        let_go(publisher);
        return;
    }
    publisher->unsure = 0;
    publisher->phase = PUBLISHER_ROUND;
}

static void note(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_SEND, who);
    const struct publisher *publisher = publisher_of(&turn);
    struct command command = {.kind = COMMAND_AGAIN, .nonce = publisher->nonce};
    if (publisher->phase == PUBLISHER_TELL) {
        command.kind = COMMAND_TOLD;
        command.boundary = publisher->final;
        command.base_term = publisher->acknowledged_term;
        command.base_tick = publisher->acknowledged_tick;
    }
    send(&turn, command, on_noted);
}

static void on_confirmed(struct turn *turn, bool accepted)
{
    (void)accepted;
    publisher_of(turn)->sent = 0;
}

static void round_send(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_SEND, who);
    const struct publisher *publisher = publisher_of(&turn);
    struct command command = {.kind = COMMAND_ROUND, .nonce = publisher->nonce, .seq = publisher->seq};
    command.boundary = (uint8_t)(publisher->final + 1);
    command.since = publisher->since;
    command.fires = publisher->fires;
    command.figure = publisher->figure;
    if (publisher->phase == PUBLISHER_ALERTS) {
        send(&turn, command, on_round);
        return;
    }
    command.kind = COMMAND_SNAPSHOT;
    if (publisher->retell)
        command.boundary = publisher->retell;
    command.base_term = publisher->acknowledged_term;
    command.base_tick = publisher->acknowledged_tick;
    command.term = publisher->term;
    command.tick = publisher->tick;
    send(&turn, command, on_snapshot);
}

/* The outbox: sent, then removed. */
static void notify(const struct turn *from, unsigned who)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_DELIVER, who);
    struct publisher *publisher = publisher_of(&turn);
    uint8_t id = from->state.alerts.outbox;
    bool early = from->model->without[PUBLISHER_GUARD_OUTBOX];
    if (publisher->sent || early) {
        struct command command = {
            .kind = COMMAND_CONFIRM, .nonce = publisher->nonce, .since = early ? id : publisher->sent};
        if (command.since)
            send(&turn, command, on_confirmed);
    } else if (id && from->state.alerts.nonce == publisher->nonce) {
        publisher->sent = id;
        if (turn.state.delivered[0] != id)
            turn.state.delivered[turn.state.delivered[0] > 0] = id;
        turn_end(&turn);
    }
}

static void publisher_next(const struct turn *from, unsigned who)
{
    switch ((enum publisher_phase)from->state.publishers[who].phase) {
    case PUBLISHER_IDLE:
    case PUBLISHER_TAKING: acquire(from, who); break;
    case PUBLISHER_TAKEN:
    case PUBLISHER_STATES:
    case PUBLISHER_FINALS: load(from, who); break;
    case PUBLISHER_ROUND:
        read_shard(from, who);
        notify(from, who);
        break;
    case PUBLISHER_ALERTS:
    case PUBLISHER_SNAPSHOT: round_send(from, who); break;
    case PUBLISHER_MARK:
    case PUBLISHER_TELL: note(from, who); break;
    }
    if (from->state.publishers[who].phase != PUBLISHER_IDLE) {
        struct turn turn = turn_of(from, PUBLISHER_STEP_DIE, who);
        let_go(publisher_of(&turn));
        turn_end(&turn);
    }
}

/* ---- what Redis loses ---- */

static void fall(const struct turn *from)
{
    struct turn turn = turn_of(from, PUBLISHER_STEP_SAVE, 0);
    const struct publisher_state *state = &from->state;
    if (state->losses == from->model->losses)
        return;
    if (!state->has_saved && state->alerts.nonce) {
        turn.state.saved = state->alerts;
        turn.state.has_saved = 1;
        turn_end(&turn);
    }
    if (state->has_saved) {
        turn = turn_of(from, PUBLISHER_STEP_LOSE, 0);
        turn.state.alerts = state->saved;
        turn.state.saved = (struct alerts){0};
        turn.state.has_saved = 0;
        turn.state.losses++;
        turn_end(&turn);
    }
    if (state->snapshot.boundary) {
        turn = turn_of(from, PUBLISHER_STEP_LOSE_SNAPSHOT, 0);
        turn.state.snapshot = (struct snapshot){0};
        turn.state.losses++;
        turn_end(&turn);
    }
}

static void first(const void *ctx, void *state)
{
    const struct publisher_model *model = ctx;
    struct publisher_state *start = state;
    memset(start, 0, sizeof(*start));
    for (unsigned shard = 0; shard < N_SHARDS; shard++) /* nothing is told before that */
        start->memory[shard] = (uint8_t)(n_events[shard] - !model->ready);
}

static void next(const void *model, const void *state, struct search *search)
{
    struct turn turn = {.model = model, .search = search};
    memcpy(&turn.state, state, sizeof(turn.state));
    for (unsigned shard = 0; shard < N_SHARDS; shard++)
        shard_next(&turn, shard);
    for (unsigned who = 0; who < N_PUBLISHERS; who++)
        publisher_next(&turn, who);
    fall(&turn);
    if (turn.state.late.kind) {
        struct turn late = turn_of(&turn, PUBLISHER_STEP_LATE, 0);
        late.step.command = turn.state.late;
        late.state.late = (struct command){0};
        late.step.accepted = execute(&late, &late.step.command);
        turn_end(&late);
    }
}

struct search_model publisher_search(const struct publisher_model *model)
{
    return (struct search_model){
        sizeof(struct publisher_state), sizeof(struct publisher_step), first, next, publisher_tell, model};
}
