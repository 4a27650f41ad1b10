#include "run.h"

#include "kept.h"
#include "table.h"
#include "copies.h"

#include "kpid/consume.h"
#include "kpid/decode.h"
#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

struct run {
    const struct kpid_model *model;
    struct world *world;
    struct naive naive;
    struct judge judge;
    struct random random;
    bool wall;
    size_t at[LOGS];                    /* next event of each log */
    double skew;                        /* how far logs may run ahead of the slowest, in shares of their length */
    struct kpid_decoder *decoders[SOURCES];
    struct kpid_shard *shards[SOURCES][PARTITIONS];
    struct kept_shard kept[SOURCES][PARTITIONS];
    bool with_copies;                   /* odd partitions are another instance's: what is evaluated is a copy */
    struct copy copies[SOURCES][PARTITIONS];
    struct kpid_shard *seen[SOURCES][PARTITIONS]; /* by the evaluator */
    struct kpid_evaluator *evaluator;
    struct kept_states states, finals, round_states, round_finals;
    struct kpid_evaluator_source views[SOURCES];
    int64_t publish_ms[SOURCES], released_ms[SOURCES];
    int64_t **closed_ms;                /* by KPI and window: ends up to here were looked at for good */
    struct kpid_buf bytes;
    struct table *table;                /* of the look-up */
};

/* ---- what the evaluator finds ---- */

static void put_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct run *run = ctx;
    judge_snapshot(&run->judge, snapshot, places);
}

static void put_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct run *run = ctx;
    kept_states_put(&run->round_states, key, key_len, bytes, len);
}

static void delete_state(void *ctx, const char *key, size_t key_len)
{
    struct run *run = ctx;
    kept_states_put(&run->round_states, key, key_len, NULL, 0);
}

static void put_final(void *ctx, uint32_t kpi, uint32_t window, int64_t progress_ms)
{
    struct run *run = ctx;
    struct kpid_buf key = KPID_BUF_INIT;

    kpid_buf_printf(&key, "%s:%s", run->model->kpis[kpi].name, run->model->kpis[kpi].windows[window].name);
    kept_states_put(&run->round_finals, key.data, key.len, &progress_ms, sizeof(progress_ms));
    kpid_buf_release(&key);
}

static const struct kpid_sink sink = { .snapshot = put_snapshot, .state = put_state, .state_delete = delete_state,
                                       .final = put_final };

static void load_evaluator(struct run *run)
{
    kpid_evaluator_free(run->evaluator);
    run->evaluator = kpid_evaluator_new(run->model, &sink, run);
    kept_states_clear(&run->round_states);
    kept_states_clear(&run->round_finals);
    for (size_t i = 0; i < run->states.n; i++)
        if (run->states.at[i].bytes)
            kpid_evaluator_load_state(run->evaluator, run->states.at[i].key, run->states.at[i].key_len,
                                      run->states.at[i].bytes, run->states.at[i].len);
    for (size_t i = 0; i < run->finals.n; i++) {
        int64_t progress_ms;
        memcpy(&progress_ms, run->finals.at[i].bytes, sizeof(progress_ms));
        kpid_evaluator_load_final(run->evaluator, run->finals.at[i].key, run->finals.at[i].key_len, progress_ms,
                                  progress_ms);
    }
}

/* ---- events ---- */

/* Gives one event to the engine; its class. */
static enum kpid_class feed(struct run *run, const struct log *log, size_t index)
{
    const struct event *e = &log->events[index];
    enum source source = world_source(log->topic);
    struct kpid_shard *shard = run->shards[source][log->partition];
    enum kpid_reason reason;
    struct kpid_event event;

    kpid_buf_clear(&run->bytes);
    world_encode(e, index % 3 == 0, &run->bytes);
    struct kpid_record record = { .source = (uint32_t)source, .topic = world_place(log->topic),
                                  .partition = log->partition, .offset = (int64_t)index,
                                  .timestamp_ms = e->stamped ? e->now_ms : KPID_NEVER, .log_append_time = e->stamped,
                                  .value = run->bytes.data, .value_len = run->bytes.len };
    /* What the reader's clock says is of no weight where the broker's stamp is there. */
    int64_t now_ms = !run->wall ? KPID_NEVER : e->stamped ? e->now_ms + INT64_C(86400000) : e->now_ms;
    reason = kpid_decode(run->decoders[source], record.value, record.value_len, &event);
    if (reason == KPID_REASON_NONE) {
        table_join(run->table, (uint32_t)source, &event);
        if (index % 4 < 2) /* shown before its turn or not, it counts the same */
            kpid_shard_ahead(shard, &record, &event);
        return kpid_shard_take(shard, &record, &event, now_ms, &reason);
    }
    kpid_shard_refuse(shard, &record, reason);
    return KPID_CLASS_MALFORMED;
}

static void check_class(struct run *run, const struct log *log, size_t index, enum kpid_class got)
{
    const struct event *e = &log->events[index];

    if (got == (enum kpid_class)e->counted)
        return;
    kpid_buf_clear(&run->bytes);
    world_encode(e, false, &run->bytes);
    judge_fault(&run->judge, "%s %d, offset %zu: expected %s, got %s: %s", world_topics[log->topic], log->partition, index,
                kpid_class_name((enum kpid_class)e->counted), kpid_class_name(got), run->bytes.data ? run->bytes.data : "");
}

static void take(struct run *run, size_t l)
{
    struct log *log = &run->world->logs[l];
    size_t index = run->at[l]++;

    log->events[index].team = world_team(&log->events[index], table_version(run->table));
    naive_take(&run->naive, log, &log->events[index]);
    check_class(run, log, index, feed(run, log, index));
}

static double share_of(const struct run *run, size_t l)
{
    return (double)run->at[l] / (double)run->world->logs[l].n;
}

/* A log to read from, not too far ahead of the slowest; LOGS: all are at their ends. */
static size_t pick_log(struct run *run)
{
    double slowest = 1;

    for (size_t l = 0; l < LOGS; l++)
        if (share_of(run, l) < slowest)
            slowest = share_of(run, l);
    if (slowest >= 1)
        return LOGS;
    for (;;) {
        size_t l = (size_t)random_below(&run->random, LOGS);
        if (run->at[l] < run->world->logs[l].n && share_of(run, l) <= slowest + run->skew)
            return l;
    }
}

/* ---- what is committed, restarts and crashes ---- */

static bool is_elsewhere(const struct run *run, int p)
{
    return run->with_copies && p % 2;
}

static void commit_one(struct run *run, uint32_t s, int p, bool whole)
{
    struct kpid_commit commit;
    const struct kpid_letter *letters;

    if (!whole && !kpid_shard_dirty(run->shards[s][p]))
        return;
    /* As while instances of an older version come and go. */
    if (random_chance(&run->random, 1, 20))
        kpid_shard_set_format(run->shards[s][p], kpid_state_format() - (unsigned)random_below(&run->random, 2));
    kpid_shard_cut(run->shards[s][p], whole, &commit);
    kept_shard_commit(&run->kept[s][p], &commit);
    while (kpid_shard_letters(run->shards[s][p], &letters))
        kpid_shard_letter_sent(run->shards[s][p], letters[0].topic, letters[0].offset);
}

static void see(struct run *run, uint32_t s, int p)
{
    const char *why = "";

    run->seen[s][p] = run->shards[s][p];
    if (!is_elsewhere(run, p))
        return;
    if (!copy_follow(&run->copies[s][p], &run->kept[s][p], run->model, s, p, &why))
        judge_fault(&run->judge, "%s %d can't be followed: %s", run->model->sources[s].name, p, why);
    if (run->copies[s][p].shard)
        run->seen[s][p] = run->copies[s][p].shard;
}

/* The other instance: time is brought forward as far as the publisher wants, all is committed, the publisher follows. */
static void follow_all(struct run *run, const int64_t *wants_ms)
{
    bool whole = random_chance(&run->random, 1, 20);

    for (uint32_t s = 0; s < SOURCES; s++)
        for (int p = 0; p < PARTITIONS; p++) {
            if (!is_elsewhere(run, p)) {
                see(run, s, p);
                continue;
            }
            kpid_shard_elapse(run->shards[s][p], wants_ms[s]);
            kpid_shard_touched(run->shards[s][p], false, NULL, NULL);
            commit_one(run, s, p, whole);
            see(run, s, p);
        }
}

/* What it makes of what is final. */
static void elsewhere_advance(struct run *run)
{
    struct kpid_evaluator_source views[SOURCES];

    if (!run->with_copies)
        return;
    for (uint32_t s = 0; s < SOURCES; s++) {
        views[s] = run->views[s];
        views[s].shards = run->shards[s];
        for (int p = 0; p < PARTITIONS; p++)
            if (is_elsewhere(run, p))
                kpid_shard_touched_clear(run->shards[s][p]);
    }
    kpid_evaluator_follow(run->evaluator, views);
    kpid_evaluator_watch(run->evaluator, views);
}

static void commit_all(struct run *run)
{
    bool whole = random_chance(&run->random, 1, 20);

    for (uint32_t s = 0; s < SOURCES; s++)
        for (int p = 0; p < PARTITIONS; p++)
            if (!is_elsewhere(run, p))
                commit_one(run, s, p, whole);
    kept_states_commit(&run->states, &run->round_states);
    kept_states_commit(&run->finals, &run->round_finals);
}

/* Loads what was committed and reads again what came after it. */
static void restore(struct run *run, uint32_t s, int p)
{
    const char *why = "";
    struct kpid_shard *shard = kept_shard_load(&run->kept[s][p], run->model, s, p, &why);

    if (!shard) {
        judge_fault(&run->judge, "%s %d: what was committed can't be loaded: %s", run->model->sources[s].name, p, why);
        return;
    }
    kpid_shard_free(run->shards[s][p]);
    run->shards[s][p] = shard;
    copy_drop(&run->copies[s][p]);
    see(run, s, p);
    for (size_t l = 0; l < LOGS; l++) {
        const struct log *log = &run->world->logs[l];
        if (world_source(log->topic) != (enum source)s || log->partition != p)
            continue;
        int64_t next = kpid_shard_next_offset(shard, world_place(log->topic));
        for (size_t i = next < 0 ? 0 : (size_t)next; i < run->at[l]; i++)
            check_class(run, log, i, feed(run, log, i));
    }
}

static void crash(struct run *run)
{
    run->judge.crashes++;
    for (uint32_t s = 0; s < SOURCES; s++)
        for (int p = 0; p < PARTITIONS; p++)
            restore(run, s, p);
    load_evaluator(run);
}

/* ---- the round ---- */

static void update_views(struct run *run)
{
    for (int s = 0; s < SOURCES; s++) {
        int64_t lowest = KPID_FOREVER;
        for (int p = 0; p < PARTITIONS; p++) {
            bool idle;
            int64_t clock = kpid_shard_watermark(run->shards[s][p], NULL, &idle);
            lowest = clock < lowest ? clock : lowest;
        }
        if (lowest > run->released_ms[s])
            run->released_ms[s] = lowest;
        /* Now and then all are idle for a while, and what is published goes on with the wall clock. */
        if (lowest != KPID_NEVER && random_chance(&run->random, 1, 10))
            lowest += random_below(&run->random, 300000);
        if (lowest > run->publish_ms[s])
            run->publish_ms[s] = lowest;
        run->views[s] = (struct kpid_evaluator_source){ .shards = run->seen[s], .n_shards = PARTITIONS,
                                                        .n_partitions = PARTITIONS, .publish_ms = run->publish_ms[s],
                                                        .released_ms = run->released_ms[s] };
    }
}

/* Up to where windows of a KPI can't be corrected any more, and the first event of its sources. */
static int64_t settled_until(const struct run *run, uint32_t k, int64_t *first_ms)
{
    const struct kpid_kpi *kpi = &run->model->kpis[k];
    int64_t until = KPID_FOREVER;

    *first_ms = KPID_FOREVER;
    for (size_t i = 0; i < kpi->n_sources; i++) {
        uint32_t s = kpi->sources[i];
        int64_t settled = run->released_ms[s] == KPID_NEVER ? KPID_NEVER
                                                            : run->released_ms[s] - run->model->sources[s].allowed_lateness_ms;
        until = settled < until ? settled : until;
        *first_ms = run->naive.first_ms[s] < *first_ms ? run->naive.first_ms[s] : *first_ms;
    }
    return until;
}

static void window_at(const struct kpid_window *window, int64_t ts_ms, int64_t *start_ms, int64_t *end_ms)
{
    if (window->kind == KPID_WINDOW_ROLLING) {
        *start_ms = ts_ms - ts_ms % window->length_ms;
        *end_ms = *start_ms + window->length_ms;
    } else {
        *start_ms = kpid_zone_period_start(window->zone, window->period, ts_ms);
        *end_ms = kpid_zone_period_next(window->zone, window->period, ts_ms);
    }
}

/* Of windows with no event in them every eighth will do: the same in every run. */
static bool is_worth_closing(const struct run *run, uint32_t k, int64_t start_ms, int64_t end_ms)
{
    const struct kpid_kpi *kpi = &run->model->kpis[k];
    size_t n = 0;

    for (size_t i = 0; i < kpi->n_sources; i++)
        n += naive_events_between(&run->naive, (enum source)kpi->sources[i], start_ms, end_ms);
    return n > 0 || kpid_hash_mix(k, (uint64_t)start_ms) % 8 == 0;
}

/* Windows that nothing corrects any more are looked at for the last time. */
static void close_windows(struct run *run, bool end)
{
    for (uint32_t k = 0; k < run->model->n_kpis; k++)
        for (uint32_t w = 0; w < run->model->kpis[k].n_windows; w++) {
            const struct kpid_window *window = &run->model->kpis[k].windows[w];
            int64_t first, until = settled_until(run, k, &first), start, stop;
            int64_t final = kpid_evaluator_progress(run->evaluator, k, w), *closed = &run->closed_ms[k][w];
            if (final == KPID_NEVER || window->kind == KPID_WINDOW_ALL)
                continue;
            if (end || until > final)
                until = final;
            if (*closed == KPID_NEVER)
                window_at(window, first, closed, &stop);
            for (window_at(window, *closed, &start, &stop); stop <= until; window_at(window, stop, &start, &stop)) {
                if (is_worth_closing(run, k, start, stop))
                    judge_window(&run->judge, run->evaluator, run->views, k, w, start, stop, stop);
                *closed = stop;
            }
        }
}

static void round_of(struct run *run, bool end)
{
    int64_t wants_ms[SOURCES];
    bool more = true;

    for (uint32_t s = 0; s < SOURCES; s++)
        wants_ms[s] = KPID_NEVER;
    follow_all(run, wants_ms);
    update_views(run);
    while (more) {
        while (kpid_evaluator_run(run->evaluator, run->views, end, random_chance(&run->random, 1, 2),
                                  end ? 1000000 : (size_t)(1 + random_below(&run->random, 20000)), KPID_NEVER))
            judge_flush(&run->judge);
        judge_flush(&run->judge);
        more = false;
        for (uint32_t s = 0; run->with_copies && s < SOURCES; s++) {
            more = more || kpid_evaluator_wants(run->evaluator, s) > wants_ms[s];
            wants_ms[s] = kpid_evaluator_wants(run->evaluator, s);
        }
        if (more)
            follow_all(run, wants_ms);
    }
    close_windows(run, end);
    if (!end && random_chance(&run->random, 1, 20)) {
        crash(run); /* before the round was committed */
        return;
    }
    commit_all(run);
    /* What an event gets is decided when it is taken: one that is taken again would get another value. */
    if (random_chance(&run->random, 1, 4))
        table_change(run->table);
    if (random_chance(&run->random, 1, 20)) {
        crash(run); /* after it: a plain restart, whose first round tells again what had not been let go */
        return;
    }
    kpid_evaluator_advance(run->evaluator, run->views);
    elsewhere_advance(run);
    if (random_chance(&run->random, 1, 8))
        restore(run, (uint32_t)random_below(&run->random, SOURCES), (int)random_below(&run->random, PARTITIONS));
}

/* ---- the end ---- */

static void check_ledger(struct run *run)
{
    for (size_t l = 0; l < LOGS; l++) {
        const struct log *log = &run->world->logs[l];
        struct kpid_ledger ledger;
        kpid_shard_ledger(run->shards[world_source(log->topic)][log->partition], world_place(log->topic), &ledger);
        for (int c = 0; c < KPID_CLASS_N; c++)
            if (ledger.classes[c] != run->naive.logs[l].classes[c])
                judge_fault(&run->judge, "ledger of %s %d: %s is %llu, not %llu", world_topics[log->topic], log->partition,
                            kpid_class_name((enum kpid_class)c), (unsigned long long)ledger.classes[c],
                            (unsigned long long)run->naive.logs[l].classes[c]);
        if (ledger.in != log->n)
            judge_fault(&run->judge, "ledger of %s %d: in is %llu, not %zu", world_topics[log->topic], log->partition,
                        (unsigned long long)ledger.in, log->n);
    }
}

static void check_all_windows(struct run *run)
{
    int64_t boundary = run->world->end_ms - run->world->end_ms % INT64_C(3600000);

    for (uint32_t k = 0; k < run->model->n_kpis; k++)
        for (uint32_t w = 0; w < run->model->kpis[k].n_windows; w++)
            if (run->model->kpis[k].windows[w].kind == KPID_WINDOW_ALL)
                judge_window(&run->judge, run->evaluator, run->views, k, w, run->model->kpis[k].windows[w].from_ms,
                             KPID_FOREVER, boundary);
}

void run_all(struct run *run)
{
    int64_t until_round = 1;
    size_t l;

    while ((l = pick_log(run)) < LOGS) {
        static const double skews[] = { 0.00005, 0.0005, 0.001, 0.001, 0.01 };
        int64_t burst = 1 + random_below(&run->random, 64);
        while (burst-- > 0 && run->at[l] < run->world->logs[l].n) {
            take(run, l);
            if (--until_round == 0) {
                round_of(run, false);
                until_round = 1 + random_below(&run->random, random_chance(&run->random, 1, 4) ? 500 : 16000);
                run->skew = skews[random_below(&run->random, 5)];
            }
        }
    }
    round_of(run, true);
    check_all_windows(run);
    check_ledger(run);
}

/* ---- life ---- */

struct run *run_new(const struct kpid_model *model, struct world *world, uint64_t seed, bool wall, bool with_copies,
                    int share, const char *label)
{
    struct run *run = kpid_zalloc(1, sizeof(*run));

    run->model = model;
    run->world = world;
    run->random.state = seed;
    run->wall = wall;
    run->with_copies = with_copies;
    run->skew = 0.001;
    naive_init(&run->naive, model, world, wall);
    judge_init(&run->judge, &run->naive, seed, label);
    run->judge.share = share;
    for (uint32_t s = 0; s < SOURCES; s++) {
        run->decoders[s] = kpid_decoder_new(&model->sources[s]);
        run->publish_ms[s] = run->released_ms[s] = KPID_NEVER;
        for (int p = 0; p < PARTITIONS; p++)
            run->shards[s][p] = kpid_shard_new(model, s, p);
    }
    run->closed_ms = kpid_zalloc(model->n_kpis, sizeof(int64_t *));
    for (size_t k = 0; k < model->n_kpis; k++) {
        run->closed_ms[k] = kpid_zalloc(model->kpis[k].n_windows, sizeof(int64_t));
        for (size_t w = 0; w < model->kpis[k].n_windows; w++)
            run->closed_ms[k][w] = KPID_NEVER;
    }
    run->table = table_new(model);
    load_evaluator(run);
    return run;
}

void run_free(struct run *run)
{
    for (uint32_t s = 0; s < SOURCES; s++) {
        kpid_decoder_free(run->decoders[s]);
        for (int p = 0; p < PARTITIONS; p++) {
            kpid_shard_free(run->shards[s][p]);
            kept_shard_release(&run->kept[s][p]);
            copy_drop(&run->copies[s][p]);
        }
    }
    for (size_t k = 0; k < run->model->n_kpis; k++)
        free(run->closed_ms[k]);
    free(run->closed_ms);
    kpid_evaluator_free(run->evaluator);
    kept_states_clear(&run->states);
    kept_states_clear(&run->finals);
    kept_states_clear(&run->round_states);
    kept_states_clear(&run->round_finals);
    judge_release(&run->judge);
    naive_release(&run->naive);
    kpid_buf_release(&run->bytes);
    table_free(run->table);
    free(run);
}

struct judge *run_judge(struct run *run)
{
    return &run->judge;
}

unsigned run_changes(const struct run *run)
{
    return table_version(run->table);
}

void run_shed(struct run *run)
{
    naive_shed(&run->naive);
}
