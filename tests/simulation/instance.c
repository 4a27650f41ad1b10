/* What the daemon does with its shards (daemon/app/owner.c), without the rest of it. */
#include "run_internal.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)

static void acquire(struct part *part);

static void drop(struct part *part)
{
    kpid_shard_free(part->shard);
    part->shard = NULL;
    part->held = part->whole = false;
    part->state = part->leaving ? PART_NONE : PART_WAITING;
}

static void free_store(struct part *part)
{
    kpid_store_free(part->store);
    part->store = NULL;
    part->committing = part->leaving = false;
}

static bool is_meant(const struct part *part)
{
    const struct run *run = part->instance->run;
    return &run->instances[run->assigned[part->partition]] == part->instance;
}

/* ---- dead letters ---- */

static void send_letters(struct part *part)
{
    struct run *run = part->instance->run;
    const struct kpid_letter *letters;
    size_t n = kpid_shard_letters(part->shard, &letters);
    while (n > 0 && letters[0].cut > 0 && letters[0].cut <= part->cut_done) {
        int64_t offset = letters[0].offset;
        if (!world_is_dead(run->world, run->set, part->partition, offset))
            run_fault(run, "partition %d: offset %lld became a dead letter", part->partition,
                      (long long)offset);
        run->delivered[part->partition][offset] = true;
        run->counts->letters++;
        kpid_shard_letter_sent(part->shard, 0, offset);
        n = kpid_shard_letters(part->shard, &letters);
    }
}

/* ---- acquire ---- */

static void on_loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                      const struct kpid_page *pages, size_t n_pages)
{
    struct part *part = ctx;
    struct run *run = part->instance->run;
    const char *why = "";
    run_trace(run, "%d/%d acquired: %s %s", (int)(part->instance - run->instances), part->partition,
              kpid_store_status_text(status), kpid_store_error(part->store));
    drop(part);
    if (status != KPID_STORE_OK && status != KPID_STORE_DAMAGED) {
        if (status == KPID_STORE_FORMAT)
            run_fault(run, "partition %d: another format", part->partition);
        return;
    }
    part->shard = kpid_shard_new(world_model(run->world), 0, part->partition);
    if (status == KPID_STORE_OK && meta_len > 0 &&
        !kpid_shard_load(part->shard, meta, meta_len, pages, n_pages, &why)) {
        run_fault(run, "partition %d: what was stored can't be loaded: %s", part->partition, why);
        return;
    }
    if (status == KPID_STORE_DAMAGED) {
        run->counts->damaged++;
        if (run->losses == 0)
            run_fault(run, "partition %d is reported as lost: %s", part->partition,
                      kpid_store_error(part->store));
    }
    part->whole = status == KPID_STORE_DAMAGED;
    if (kpid_store_reset(part->store) == KPID_STORE_RESET_REBUILD) {
        kpid_shard_free(part->shard);
        part->shard = kpid_shard_new(world_model(run->world), 0, part->partition);
        part->whole = true;
    }
    kpid_watermark_restored(&part->instance->watermark, part->shard);
    part->cut_done = kpid_shard_cuts(part->shard);
    part->state = PART_ACTIVE;
    check_shard(run, part->partition, part->shard, "loaded");
}

static void acquire(struct part *part)
{
    struct run *run = part->instance->run;
    uint8_t nonce[16];
    for (size_t i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)random_next(&run->random);
    if (!part->store) {
        struct kpid_store_name name = {"kpi", "c", "g", "shop", part->partition};
        part->store = kpid_store_new(part->instance->link, &name);
    }
    part->state = PART_ACQUIRING;
    run->counts->takeovers++;
    run_trace(run, "%d/%d acquires", (int)(part->instance - run->instances), part->partition);
    kpid_store_acquire(part->store, nonce, on_loaded, part);
}

void part_assign(struct part *part)
{
    part->leaving = false;
    if (part->state == PART_NONE)
        part->state = PART_WAITING;
}

void part_revoke(struct part *part)
{
    part->leaving = true;
    if (part->state == PART_ACQUIRING)
        kpid_store_cancel(part->store);
    if (part->state == PART_ACTIVE)
        return; /* a last commit, then it lets go */
    drop(part);
    free_store(part);
}

/* ---- commit ---- */

/* How far the shards of this instance have got together. */
static int64_t released(struct instance *instance)
{
    const struct kpid_model *model = world_model(instance->run->world);
    struct kpid_shard *shards[WORLD_PARTITIONS];
    struct kpid_watermark_view view = {.shards = shards};
    for (size_t p = 0; p < WORLD_PARTITIONS; p++)
        if (instance->parts[p].state == PART_ACTIVE)
            shards[view.n_shards++] = instance->parts[p].shard;
    view.n_partitions = view.n_shards;
    kpid_watermark_move(&instance->watermark, &model->sources[0], &view, true);
    return instance->watermark.released_ms;
}

static void advance(struct part *part)
{
    const struct kpid_model *model = world_model(part->instance->run->world);
    int64_t progress[32], until = part->released_ms;
    if (until == KPID_NEVER)
        return;
    until -= model->sources[0].allowed_lateness_ms;
    for (size_t m = 0; m < model->plans[0].n_measures; m++)
        progress[m] = until - until % MINUTE;
    kpid_shard_touched_clear(part->shard);
    kpid_shard_advance(part->shard, progress, part->released_ms);
}

static void on_committed(void *ctx, enum kpid_store_status status)
{
    struct part *part = ctx;
    struct run *run = part->instance->run;
    part->committing = false;
    run_trace(run, "%d/%d committed: %s %s", (int)(part->instance - run->instances), part->partition,
              kpid_store_status_text(status), kpid_store_error(part->store));
    switch (status) {
    case KPID_STORE_OK:
        part->held = false;
        part->cut_done = part->cut_sent;
        send_letters(part);
        advance(part);
        run->counts->commits++;
        break;
    case KPID_STORE_BEHIND:
        part->whole = true;
        part->held = false;
        run->counts->behind++;
        if (run->losses == 0)
            run_fault(run, "partition %d: Redis lost nothing, and is behind: %s", part->partition,
                      kpid_store_error(part->store));
        break;
    case KPID_STORE_OTHER:
        run->counts->refused++;
        if (!is_meant(part))
            part->leaving = true;
        drop(part);
        if (part->leaving)
            free_store(part);
        return;
    default:
        part->held = true;
        run->counts->down++;
        break;
    }
    if (part->leaving && !part->held && !part->whole) {
        drop(part);
        free_store(part);
    }
}

static bool commit(struct part *part)
{
    struct run *run = part->instance->run;
    struct kpid_commit commit;
    if (part->committing)
        return false;
    /* Instances of an older version join and leave: the others write what those can read. */
    if (random_chance(&run->random, 1, 100))
        run->format = kpid_state_format() - (unsigned)random_below(&run->random, 2);
    kpid_shard_set_format(part->shard, run->format);
    if (part->held || (!part->whole && !kpid_shard_dirty(part->shard))) {
        if (!part->held && !part->leaving && !random_chance(&run->random, 1, 8))
            return false;
        part->cut_sent = part->held ? part->cut_sent : part->cut_done;
        part->committing = true;
        part->released_ms = part->held ? part->released_ms : released(part->instance);
        kpid_store_commit(part->store, NULL, on_committed, part);
        return true;
    }
    part->released_ms = released(part->instance);
    /* As evaluating does, before each cut. */
    bool idle;
    kpid_shard_elapse(part->shard, kpid_shard_watermark(part->shard, NULL, &idle));
    kpid_shard_cut(part->shard, part->whole || random_chance(&run->random, 1, 40), &commit);
    part->whole = false;
    part->cut_sent = kpid_shard_cuts(part->shard);
    part->committing = true;
    run_trace(run, "%d/%d commits up to %lld%s, %zu pages", (int)(part->instance - run->instances),
              part->partition, (long long)kpid_shard_next_offset(part->shard, 0),
              commit.reset ? ", whole" : "", commit.n_pages);
    kpid_store_commit(part->store, &commit, on_committed, part);
    return true;
}

/* ---- events ---- */

static bool take_events(struct part *part)
{
    struct run *run = part->instance->run;
    int64_t next = kpid_shard_next_offset(part->shard, 0), n = 1 + random_below(&run->random, 12);
    next = next < 0 ? 0 : next;
    if (next >= run->produced[part->partition])
        return false;
    if (random_chance(&run->random, 1, 10)) /* fetched again from further back */
        next -= random_below(&run->random, next + 1);
    for (; n > 0 && next < run->produced[part->partition]; next++, n--)
        world_feed(run->world, run->set, part->partition, next, part->shard);
    return true;
}

bool part_act(struct part *part)
{
    struct run *run = part->instance->run;
    switch (part->state) {
    case PART_NONE:
        follow_act(part);
        return true;
    case PART_WAITING:
        if (part->leaving || !link_up(part->instance->link))
            return false;
        acquire(part);
        return true;
    case PART_ACQUIRING: return false;
    case PART_ACTIVE: break;
    }
    if (!part->leaving && random_chance(&run->random, 1, 2) && take_events(part))
        return true;
    return commit(part);
}

bool part_done(const struct part *part)
{
    return part->state == PART_ACTIVE && !part->committing && !part->held && !part->whole &&
           !kpid_shard_dirty(part->shard) && kpid_shard_next_offset(part->shard, 0) == WORLD_EVENTS;
}

/* ---- life ---- */

void instance_start(struct run *run, size_t i)
{
    struct instance *instance = &run->instances[i];
    *instance = (struct instance){.run = run, .link = link_new(run->network)};
    link_open(instance->link);
    kpid_watermark_init(&instance->watermark);
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        instance->parts[p] = (struct part){.instance = instance, .partition = p};
        if (run->assigned[p] == i)
            part_assign(&instance->parts[p]);
    }
}

void instance_kill(struct run *run, size_t i)
{
    struct instance *instance = &run->instances[i];
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        follow_free(&instance->parts[p]);
        kpid_store_free(instance->parts[p].store);
        kpid_shard_free(instance->parts[p].shard);
    }
    link_free(instance->link);
}
