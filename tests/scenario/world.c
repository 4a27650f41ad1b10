/* Events, rounds and restarts: the daemon's round.c and owner.c with arrays in the place of Kafka and Redis. */
#include "scenario.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVALUATIONS_A_ROUND 40 /* few, so that rounds that end in the middle are common */

/* ---- what the evaluator sees ---- */

static void update_views(struct world *w)
{
    bool events = w->model->settings.clock == KPID_CLOCK_EVENTS;

    for (size_t s = 0; s < w->n_sources; s++) {
        struct scn_source *source = &w->sources[s];
        size_t n = 0;
        for (size_t p = 0; p < source->n; p++) {
            if (source->at[p].away)
                continue;
            source->shards[n] = source->at[p].shard;
            source->idle[n++] = source->at[p].idle;
        }
        struct kpid_watermark_view view = { .shards = source->shards, .idle = source->idle, .n_shards = n,
                                            .n_partitions = source->n, .mono_ms = w->now_ms, .wall_ms = w->now_ms };
        kpid_watermark_move(&source->watermark, &w->model->sources[s], &view, events);
        w->views[s] = (struct kpid_evaluator_source){ .shards = source->shards, .n_shards = n,
                                                      .n_partitions = source->n,
                                                      .publish_ms = source->watermark.publish_ms,
                                                      .released_ms = source->watermark.released_ms };
    }
}

/* ---- life ---- */

static void open_evaluator(struct world *w)
{
    w->evaluator = kpid_evaluator_new(w->model, &world_sink, w);
    for (size_t i = 0; i < w->states.n; i++)
        kpid_evaluator_load_state(w->evaluator, w->states.at[i].name, strlen(w->states.at[i].name),
                                  w->states.at[i].text, w->states.at[i].len);
    for (size_t i = 0; i < w->finals.n; i++)
        kpid_evaluator_load_final(w->evaluator, w->finals.at[i].name, strlen(w->finals.at[i].name),
                                  strtoll(w->finals.at[i].text, NULL, 10), strtoll(w->finals.at[i].text, NULL, 10));
}

static bool open_process(struct world *w)
{
    const char *why = "";

    w->decoders = kpid_zalloc(w->n_sources + 1, sizeof(struct kpid_decoder *));
    for (uint32_t s = 0; s < w->n_sources; s++) {
        w->decoders[s] = kpid_decoder_new(&w->model->sources[s]);
        kpid_watermark_init(&w->sources[s].watermark);
        for (size_t p = 0; p < w->sources[s].n; p++) {
            struct scn_shard *shard = &w->sources[s].at[p];
            shard->shard = kpid_shard_new(w->model, s, (int32_t)p);
            if (shard->meta.len &&
                !kpid_shard_load(shard->shard, shard->meta.data, shard->meta.len, shard->pages, shard->n_pages, &why))
                return false;
        }
    }
    open_evaluator(w);
    update_views(w); /* the time since now counts for who is idle */
    return true;
}

static void close_process(struct world *w)
{
    kpid_evaluator_free(w->evaluator);
    w->evaluator = NULL;
    for (size_t s = 0; s < w->n_sources; s++) {
        kpid_decoder_free(w->decoders[s]);
        for (size_t p = 0; p < w->sources[s].n; p++) {
            kpid_shard_free(w->sources[s].at[p].shard);
            w->sources[s].at[p].shard = NULL;
        }
    }
    free(w->decoders);
    w->decoders = NULL;
}

void world_init(struct world *w, struct kpid_model *model, const size_t *partitions)
{
    *w = (struct world){ .model = model, .n_sources = model->n_sources, .now_ms = KPID_NEVER };
    w->views = kpid_zalloc(w->n_sources + 1, sizeof(*w->views));
    w->sources = kpid_zalloc(w->n_sources + 1, sizeof(*w->sources));
    for (size_t s = 0; s < w->n_sources; s++) {
        struct scn_source *source = &w->sources[s];
        source->n = partitions[s];
        source->n_topics = model->sources[s].n_topics;
        source->at = kpid_zalloc(source->n, sizeof(*source->at));
        source->shards = kpid_zalloc(source->n, sizeof(struct kpid_shard *));
        source->idle = kpid_zalloc(source->n, sizeof(bool *));
        for (size_t p = 0; p < source->n; p++) {
            source->at[p].idle = kpid_zalloc(source->n_topics, sizeof(bool));
            source->at[p].logs = kpid_zalloc(source->n_topics, sizeof(struct scn_log));
        }
    }
    open_process(w);
}

static void release_shard(struct scn_shard *shard, size_t n_topics)
{
    for (size_t i = 0; i < shard->n_pages; i++)
        free(shard->pages[i].bytes);
    free(shard->pages);
    kpid_buf_release(&shard->meta);
    for (size_t t = 0; t < n_topics; t++) {
        for (size_t i = 0; i < shard->logs[t].n; i++)
            free(shard->logs[t].at[i].bytes);
        free(shard->logs[t].at);
    }
    free(shard->logs);
    free(shard->idle);
}

void world_release(struct world *w)
{
    close_process(w);
    for (size_t s = 0; s < w->n_sources; s++) {
        for (size_t p = 0; p < w->sources[s].n; p++)
            release_shard(&w->sources[s].at[p], w->sources[s].n_topics);
        free(w->sources[s].at);
        free(w->sources[s].shards);
        free(w->sources[s].idle);
    }
    for (size_t i = 0; i < w->n_notices; i++) {
        free(w->notices[i].name);
        free(w->notices[i].json);
    }
    free(w->notices);
    free(w->sources);
    free(w->views);
    notes_release(&w->found);
    notes_release(&w->states);
    notes_release(&w->finals);
    kpid_buf_release(&w->a);
    kpid_buf_release(&w->b);
    kpid_model_free(w->model);
}

/* ---- events ---- */

static enum kpid_class process(struct world *w, size_t s, size_t p, uint32_t topic, size_t offset,
                               enum kpid_reason *ret_reason)
{
    struct scn_shard *shard = &w->sources[s].at[p];
    const struct scn_message *message = &shard->logs[topic].at[offset];
    struct kpid_record record = { .source = (uint32_t)s, .topic = topic, .partition = (int32_t)p,
                                  .offset = (int64_t)offset, .timestamp_ms = message->append_ms,
                                  .log_append_time = message->append_ms != KPID_NEVER, .value = message->bytes,
                                  .value_len = message->len };
    bool events = w->model->settings.clock == KPID_CLOCK_EVENTS;
    struct kpid_event event;
    enum kpid_class class = KPID_CLASS_MALFORMED;

    *ret_reason = kpid_decode(w->decoders[s], record.value, record.value_len, &event);
    if (*ret_reason == KPID_REASON_NONE)
        class = kpid_shard_take(shard->shard, &record, &event, events ? KPID_NEVER : w->now_ms, ret_reason);
    else
        kpid_shard_refuse(shard->shard, &record, *ret_reason);
    kpid_watermark_read(&w->sources[s].watermark,
                        kpid_watermark_highest(&shard->shard, 1, w->sources[s].n_topics), w->now_ms);
    w->changed = true;
    return class;
}

enum kpid_class world_take(struct world *w, size_t s, size_t p, uint32_t topic, const char *bytes, size_t len,
                           int64_t append_ms, enum kpid_reason *ret_reason)
{
    struct scn_log *log = &w->sources[s].at[p].logs[topic];

    if (log->n == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 64;
        log->at = kpid_realloc(log->at, log->cap * sizeof(*log->at));
    }
    log->at[log->n] = (struct scn_message){ kpid_strndup(bytes, len), len, append_ms };
    return process(w, s, p, topic, log->n++, ret_reason);
}

/* ---- rounds ---- */

static void store(struct scn_shard *shard)
{
    struct kpid_commit commit;
    const struct kpid_letter *letters;
    size_t kept = 0;

    kpid_shard_cut(shard->shard, shard->whole, &commit);
    shard->whole = false;
    for (size_t i = 0; i < shard->n_pages; i++) {
        bool dropped = commit.reset;
        for (size_t d = 0; d < commit.n_dropped && !dropped; d++)
            dropped = commit.dropped[d] == shard->pages[i].id;
        if (dropped)
            free(shard->pages[i].bytes);
        else
            shard->pages[kept++] = shard->pages[i];
    }
    shard->pages = kpid_realloc(shard->pages, (kept + commit.n_pages + 1) * sizeof(*shard->pages));
    for (size_t i = 0; i < commit.n_pages; i++) {
        shard->pages[kept + i] = commit.pages[i];
        commit.pages[i].bytes = NULL; /* ours now */
    }
    shard->n_pages = kept + commit.n_pages;
    kpid_buf_clear(&shard->meta);
    kpid_buf_add(&shard->meta, commit.meta.data, commit.meta.len);
    kpid_commit_release(&commit);
    while (kpid_shard_letters(shard->shard, &letters))
        kpid_shard_letter_sent(shard->shard, letters[0].topic, letters[0].offset);
}

static void store_all(struct world *w)
{
    for (size_t s = 0; s < w->n_sources; s++)
        for (size_t p = 0; p < w->sources[s].n; p++)
            if (!w->sources[s].at[p].away)
                store(&w->sources[s].at[p]);
}

static const char *check_ledgers(struct world *w)
{
    for (size_t s = 0; s < w->n_sources; s++)
        for (size_t p = 0; p < w->sources[s].n; p++)
            for (uint32_t t = 0; t < w->sources[s].n_topics; t++) {
                struct kpid_ledger ledger;
                uint64_t sum = 0;
                kpid_shard_ledger(w->sources[s].at[p].shard, t, &ledger);
                for (size_t c = 0; c < KPID_CLASS_N; c++)
                    sum += ledger.classes[c];
                if (sum == ledger.in && ledger.in == w->sources[s].at[p].logs[t].n)
                    continue;
                kpid_buf_clear(&w->a);
                kpid_buf_printf(&w->a, "the ledger of %s/%zu does not balance: %zu came, in %" PRIu64 ", sum %" PRIu64,
                                w->model->sources[s].name, p, w->sources[s].at[p].logs[t].n, ledger.in, sum);
                return w->a.data;
            }
    return NULL;
}

const char *world_tick(struct world *w, bool end_of_input)
{
    bool more, events = w->model->settings.clock == KPID_CLOCK_EVENTS;

    do {
        update_views(w);
        more = kpid_evaluator_run(w->evaluator, w->views, end_of_input, true, EVALUATIONS_A_ROUND,
                                  events ? KPID_NEVER : w->now_ms);
        store_all(w);
        if (!w->muted)
            kpid_evaluator_advance(w->evaluator, w->views);
    } while (more && !w->muted);
    w->changed = false;
    return check_ledgers(w);
}

/* ---- restarts ---- */

static bool same_sources(const struct kpid_model *a, const struct kpid_model *b)
{
    bool same = a->n_sources == b->n_sources;

    for (size_t s = 0; same && s < a->n_sources; s++)
        same = !strcmp(a->sources[s].name, b->sources[s].name) && a->sources[s].n_topics == b->sources[s].n_topics;
    return same;
}

bool world_restart(struct world *w, bool orderly, struct kpid_model *model)
{
    enum kpid_reason reason;

    if (model && !same_sources(w->model, model)) {
        kpid_model_free(model);
        return false;
    }
    if (orderly)
        store_all(w);
    close_process(w);
    if (model) {
        kpid_model_free(w->model);
        w->model = model;
    }
    w->muted = false;
    w->changed = true;
    if (!open_process(w))
        return false;
    for (size_t s = 0; s < w->n_sources; s++)
        for (size_t p = 0; p < w->sources[s].n; p++)
            for (uint32_t t = 0; t < w->sources[s].n_topics; t++) {
                int64_t next = kpid_shard_next_offset(w->sources[s].at[p].shard, t);
                for (size_t i = next < 0 ? 0 : (size_t)next; i < w->sources[s].at[p].logs[t].n; i++)
                    process(w, s, p, t, i, &reason);
            }
    return true;
}
