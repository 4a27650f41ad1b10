/* What Redis does with a command of the protocol: the scripts of daemon/store, told once more. */
#include "shard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint8_t shard_fold(unsigned offset)
{
    uint8_t counts = 0;
    for (unsigned event = 0; event < offset; event++)
        counts |= (uint8_t)(1u << 2 * event);
    return counts;
}

uint8_t shard_cell_bits(unsigned cell)
{
    uint8_t bits = 0;
    for (unsigned event = cell; event < N_EVENTS; event += N_CELLS)
        bits |= (uint8_t)(3u << 2 * event);
    return bits;
}

/* ---- names ---- */

static bool is_named(const struct name *name, struct ref ref, unsigned cell)
{
    return name->nonce == ref.nonce && name->seq == ref.seq && name->cell == cell;
}

struct name *shard_name(struct shard_redis *redis, struct ref ref, unsigned cell, bool make)
{
    assert(ref.nonce > 0);
    for (size_t i = 0; i < N_NAMES; i++)
        if (is_named(&redis->names[i], ref, cell))
            return &redis->names[i];
    for (size_t i = 0; make && i < N_NAMES; i++)
        if (redis->names[i].nonce == 0) {
            redis->names[i] = (struct name){.nonce = ref.nonce, .seq = ref.seq, .cell = cell & 1};
            return &redis->names[i];
        }
    assert(!make);
    return NULL;
}

static int rank(const struct name *name)
{
    return name->nonce == 0 ? 1 << 20 : name->nonce << 9 | name->seq << 1 | name->cell;
}

void shard_names_tidy(struct shard_redis *redis)
{
    struct name *names = redis->names;
    for (size_t i = 0; i < N_NAMES; i++)
        if (!names[i].exists && !names[i].orphan)
            names[i] = (struct name){0};
    for (size_t i = 1; i < N_NAMES; i++) {
        struct name name = names[i];
        size_t at = i;
        for (; at > 0 && rank(&names[at - 1]) > rank(&name); at--)
            names[at] = names[at - 1];
        names[at] = name;
    }
}

static void set_page(struct shard_redis *redis, struct ref ref, unsigned cell, uint8_t counts)
{
    struct name *name = shard_name(redis, ref, cell, true);
    name->exists = 1;
    name->value = counts & shard_cell_bits(cell);
}

static void unlink_page(struct name *name)
{
    name->exists = 0;
    name->value = 0;
}

/* Nothing needs the page any more: it waits for a sweep, or goes at once where sweeps are not looked at. */
static void let_page_go(const struct shard_model *model, struct shard_redis *redis, struct ref ref,
                        unsigned cell)
{
    if (ref.nonce == 0)
        return;
    struct name *name = shard_name(redis, ref, cell, model->scope.sweeps);
    if (model->scope.sweeps)
        name->orphan = 1;
    else if (name)
        unlink_page(name);
}

static void clear_manifest(const struct shard_model *model, struct shard_redis *redis)
{
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        let_page_go(model, redis, redis->manifest[cell], cell);
        redis->manifest[cell] = (struct ref){0, 0};
        redis->cuts[cell] = 0;
    }
}

/* ---- commands ---- */

static bool same_ref(struct ref a, struct ref b)
{
    return a.nonce == b.nonce && a.seq == b.seq;
}

static bool may_take(const struct shard_model *model, const struct shard_redis *redis,
                     const struct message *message)
{
    return model->without[GUARD_TAKE_COMPARES] ||
           (redis->nonce == message->base_nonce && redis->seq == message->base_seq);
}

static struct answer take(const struct shard_model *model, struct shard_redis *redis,
                          const struct message *message)
{
    if (!may_take(model, redis, message))
        return (struct answer){.kind = ANSWER_REFUSED};
    if (redis->nonce == 0) {
        clear_manifest(model, redis);
        redis->offset = redis->pages = redis->cut = 0;
    }
    redis->nonce = message->nonce;
    redis->seq = message->seq;
    return (struct answer){
        .kind = ANSWER_OK, .offset = redis->offset, .pages = redis->pages, .cut = redis->cut};
}

static bool may_commit(const struct shard_model *model, const struct shard_redis *redis,
                       const struct message *message)
{
    if (message->base_nonce == 0)
        return redis->nonce == 0 || model->without[GUARD_ONLY_IF_ABSENT];
    if (redis->nonce == 0)
        return false;
    return (redis->nonce == message->base_nonce || model->without[GUARD_COMMIT_NONCE]) &&
           (redis->seq == message->base_seq || model->without[GUARD_COMMIT_SEQ]);
}

static uint8_t n_pages(const struct shard_redis *redis)
{
    uint8_t n = 0;
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        n = (uint8_t)(n + (redis->manifest[cell].nonce > 0));
    return n;
}

static bool all_staged(struct shard_redis *redis, const struct message *message)
{
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        const struct name *name = shard_name(redis, (struct ref){message->nonce, message->seq}, cell, false);
        if ((message->cells >> cell & 1) && (!name || !name->exists))
            return false;
    }
    return true;
}

static struct answer commit(const struct shard_model *model, struct shard_redis *redis,
                            const struct message *message)
{
    struct ref own = {message->nonce, message->seq};
    struct answer answer = {.kind = ANSWER_OK};
    if (!may_commit(model, redis, message))
        return (struct answer){.kind = ANSWER_REFUSED};
    if (message->staged && !model->without[GUARD_STAGED_LENGTH] && !all_staged(redis, message))
        return (struct answer){.kind = ANSWER_UNSTAGED};
    if (redis->nonce && !message->whole && !model->without[GUARD_COMMIT_COUNTS] &&
        n_pages(redis) != redis->pages)
        return (struct answer){.kind = ANSWER_LOST};
    if (redis->nonce && message->offset < redis->offset && !message->rebuilt)
        answer.broken = "a commit took the stored offset back, and Redis had lost nothing";
    if (message->whole && !model->without[GUARD_WHOLE_CLEARS])
        clear_manifest(model, redis);
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        struct name *name;
        if (!(message->cells >> cell & 1))
            continue;
        if (!message->staged)
            set_page(redis, own, cell, message->counts);
        else if ((name = shard_name(redis, own, cell, false)))
            name->orphan = 0;
        redis->manifest[cell] = own;
        redis->cuts[cell] = message->cut;
        if (!same_ref(message->drops[cell], own))
            let_page_go(model, redis, message->drops[cell], cell);
    }
    redis->nonce = message->nonce;
    redis->seq = message->seq;
    redis->offset = message->offset;
    redis->cut = message->cut;
    redis->pages = n_pages(redis);
    return answer;
}

static struct answer sweep(const struct shard_model *model, struct shard_redis *redis,
                           const struct message *message)
{
    unsigned cell = message->cells >> 1;
    struct ref ref = message->drops[0];
    if (redis->nonce != message->nonce && !model->without[GUARD_SWEEP_OWNER])
        return (struct answer){.kind = ANSWER_REFUSED};
    struct name *name = shard_name(redis, ref, cell, false);
    if (name && (!same_ref(redis->manifest[cell], ref) || model->without[GUARD_SWEEP_ASKS]))
        unlink_page(name);
    if (name)
        name->orphan = 0;
    return (struct answer){.kind = ANSWER_OK};
}

static void announce(struct shard_redis *redis, const struct message *message)
{
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (message->cells >> cell & 1)
            shard_name(redis, (struct ref){message->nonce, message->seq}, cell, true)->orphan = 1;
}

/* A person asks for a reset: kpid_store_reset_script. */
static struct answer ask(struct shard_redis *redis, const struct message *message)
{
    if (redis->nonce == 0)
        return (struct answer){.kind = ANSWER_REFUSED};
    redis->nonce = message->nonce;
    redis->seq++;
    return (struct answer){.kind = ANSWER_OK};
}

struct answer shard_execute(const struct shard_model *model, struct shard_redis *redis,
                            const struct message *message)
{
    struct answer answer = {.kind = ANSWER_OK};
    switch (message->kind) {
    case MESSAGE_TAKE: answer = take(model, redis, message); break;
    case MESSAGE_COMMIT: answer = commit(model, redis, message); break;
    case MESSAGE_ANNOUNCE: announce(redis, message); break;
    case MESSAGE_SET:
        set_page(redis, (struct ref){message->nonce, message->seq}, message->cells >> 1, message->counts);
        break;
    case MESSAGE_SWEEP: answer = sweep(model, redis, message); break;
    case MESSAGE_ASK: answer = ask(redis, message); break;
    }
    shard_names_tidy(redis);
    return answer;
}

/* ---- the invariant ---- */

const char *shard_redis_broken(const struct shard_redis *redis, bool evicted)
{
    uint8_t counts = 0;
    bool missing = false;
    if (redis->nonce == 0)
        return NULL;
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        struct ref ref = redis->manifest[cell];
        if (ref.nonce == 0)
            continue;
        const struct name *name = shard_name((struct shard_redis *)(uintptr_t)redis, ref, cell, false);
        if (name && name->exists)
            counts |= name->value;
        else
            missing = true;
    }
    if (missing && !evicted)
        return "the manifest names a page that is not there";
    if (evicted && (missing || n_pages(redis) != redis->pages))
        return NULL; /* who loads it notices */
    if (counts != shard_fold(redis->offset))
        return "Redis holds something else than the fold of the events before the stored offset";
    return NULL;
}
