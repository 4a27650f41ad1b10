/* replay: a file of events through decoder, shards and evaluator, under `clock: events`, without Redis or Kafka. */
#include "ctl.h"

#include "kpid/consume.h"
#include "kpid/decode.h"
#include "kpid/evaluator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORDS_A_ROUND 20000
#define EVALUATIONS     1000000

struct replay {
    struct ctl *ctl;
    const struct kpid_model *model;
    struct ctl_tables *tables;
    struct kpid_decoder **decoders;
    struct kpid_shard ***shards; /* by source, partition */
    struct kpid_evaluator_source *views;
    struct kpid_evaluator *evaluator;
    struct kpid_buf json;
    char **newest;               /* a text for each KPI and window, for the table at the end */
    size_t *first_window;
    uint64_t records, finals;
};

/* ---- findings ---- */

static void put_snapshot(void *ctx, const struct kpid_snapshot *snapshot, unsigned places)
{
    struct replay *r = ctx;
    const struct kpid_kpi *kpi = &r->model->kpis[snapshot->kpi];

    if (!snapshot->final)
        return;
    r->finals++;
    if (r->ctl->json) {
        kpid_buf_clear(&r->json);
        kpid_snapshot_json(r->model, snapshot, snapshot->boundary_ms, 0, &r->json);
        if (places & (KPID_PLACE_WINDOW | KPID_PLACE_FINAL))
            printf("%s\n", r->json.data);
        return;
    }
    if (snapshot->group || snapshot->other || !(places & KPID_PLACE_FINAL))
        return;
    char value[KPID_DECIMAL_TEXT] = "no data", end[40];
    if (snapshot->value.kind == KPID_NUMBER_EXACT)
        kpid_decimal_print(snapshot->value.exact, value);
    else if (snapshot->value.kind == KPID_NUMBER_DOUBLE)
        snprintf(value, sizeof(value), "%.6g", snapshot->value.approx);
    kpid_zone_print(kpi->zone, snapshot->end_ms, end);
    char **place = &r->newest[r->first_window[snapshot->kpi] + snapshot->window];
    free(*place);
    kpid_buf_clear(&r->json);
    kpid_buf_printf(&r->json, "%-28s %-8s %20s   until %s", kpi->name, kpi->windows[snapshot->window].name, value, end);
    *place = kpid_strdup(r->json.data);
}

static void put_transition(void *ctx, const struct kpid_transition *t)
{
    struct replay *r = ctx;
    const struct kpid_kpi *kpi = &r->model->kpis[t->kpi];
    char at[40], since[40];

    if (!t->notify)
        return;
    kpid_zone_print(kpi->zone, t->at_ms, at);
    kpid_zone_print(kpi->zone, t->since_ms, since);
    kpid_buf_clear(&r->json);
    kpid_group_field(&r->json, t->group, kpi->n_by, false);
    if (r->ctl->json)
        printf("{\"alert\":\"%016" PRIx64 "\",\"state\":\"%s\",\"kpi\":\"%s\",\"rule\":\"%s\",\"group\":\"%s\",\"at_ms\":%" PRId64
               ",\"since_ms\":%" PRId64 "}\n", t->id, kpid_alert_state_name(t->to), kpi->name, kpi->rules[t->rule].name,
               r->json.data, t->at_ms, t->since_ms);
    else
        printf("%s  %-9s %s/%s %s since %s\n", at, kpid_alert_state_name(t->to), kpi->name, kpi->rules[t->rule].name,
               r->json.data, since);
}

static const struct kpid_sink sink = { .snapshot = put_snapshot, .transition = put_transition };

/* ---- events ---- */

static void take(void *ctx, const struct kpid_record *record)
{
    struct replay *r = ctx;
    struct kpid_shard *shard = r->shards[record->source][record->partition];
    struct kpid_event event;
    enum kpid_reason reason = kpid_decode(r->decoders[record->source], record->value, record->value_len, &event);

    r->records++;
    if (reason == KPID_REASON_NONE && r->model->sources[record->source].n_joins)
        ctl_tables_join(r->tables, record->source, &event);
    if (reason == KPID_REASON_NONE)
        kpid_shard_take(shard, record, &event, KPID_NEVER, &reason);
    else
        kpid_shard_refuse(shard, record, reason);
}

static void update_views(struct replay *r)
{
    for (size_t s = 0; s < r->model->n_sources; s++) {
        int64_t lowest = KPID_FOREVER;
        for (int p = 0; p < r->ctl->partitions; p++) {
            bool idle;
            int64_t clock = kpid_shard_watermark(r->shards[s][p], NULL, &idle);
            if (clock < lowest)
                lowest = clock;
        }
        r->views[s] = (struct kpid_evaluator_source){ .shards = r->shards[s], .n_shards = (size_t)r->ctl->partitions,
                                                      .n_partitions = (size_t)r->ctl->partitions,
                                                      .publish_ms = lowest, .released_ms = lowest };
    }
}

/* Letters have nowhere to go here and pages are not kept: both are let go so that memory stays flat. */
static void let_go(struct replay *r)
{
    for (size_t s = 0; s < r->model->n_sources; s++)
        for (int p = 0; p < r->ctl->partitions; p++) {
            struct kpid_commit commit;
            const struct kpid_letter *letters;
            kpid_shard_cut(r->shards[s][p], false, &commit);
            kpid_commit_release(&commit);
            while (kpid_shard_letters(r->shards[s][p], &letters))
                kpid_shard_letter_sent(r->shards[s][p], letters[0].topic, letters[0].offset);
        }
}

static void round_of(struct replay *r, bool end)
{
    bool more;

    update_views(r);
    do {
        more = kpid_evaluator_run(r->evaluator, r->views, end, false, EVALUATIONS, KPID_NEVER);
        kpid_evaluator_advance(r->evaluator, r->views);
    } while (more);
    let_go(r);
}

static void progress(const struct replay *r, const struct kpid_file *file)
{
    uint64_t read, total, skipped;

    if (r->ctl->quiet || !isatty(STDERR_FILENO))
        return;
    kpid_file_progress(file, &read, &total, &skipped);
    if (total)
        fprintf(stderr, "\r%3.0f %%  %" PRIu64 " events", 100.0 * (double)read / (double)total, r->records);
    else
        fprintf(stderr, "\r%" PRIu64 " events", r->records);
}

/* ---- the end ---- */

static bool print_ledger(const struct replay *r, uint64_t skipped)
{
    bool balanced = true;

    for (size_t s = 0; s < r->model->n_sources; s++)
        for (uint32_t t = 0; t < r->model->sources[s].n_topics; t++) {
            uint64_t in = 0, sum = 0, classes[KPID_CLASS_N] = { 0 };
            for (int p = 0; p < r->ctl->partitions; p++) {
                struct kpid_ledger ledger;
                kpid_shard_ledger(r->shards[s][p], t, &ledger);
                in += ledger.in;
                for (int c = 0; c < KPID_CLASS_N; c++)
                    classes[c] += ledger.classes[c];
            }
            FILE *to = r->ctl->json ? stderr : stdout;
            fprintf(to, "%s/%s: in %" PRIu64, r->model->sources[s].name, r->model->sources[s].topics[t], in);
            for (int c = 0; c < KPID_CLASS_N; c++) {
                fprintf(to, "%s%s %" PRIu64, c ? " + " : " = ", kpid_class_name((enum kpid_class)c), classes[c]);
                sum += classes[c];
            }
            fprintf(to, "%s\n", sum == in ? "  (balanced)" : "  (DOES NOT BALANCE)");
            balanced = balanced && sum == in;
        }
    if (skipped)
        fprintf(stderr, "%" PRIu64 " records of topics that no source reads were skipped\n", skipped);
    return balanced;
}

static void open_parts(struct replay *r)
{
    const struct kpid_model *model = r->model;
    size_t windows = 0;

    r->decoders = kpid_zalloc(model->n_sources + 1, sizeof(struct kpid_decoder *));
    r->shards = kpid_zalloc(model->n_sources + 1, sizeof(struct kpid_shard **));
    r->views = kpid_zalloc(model->n_sources + 1, sizeof(*r->views));
    for (uint32_t s = 0; s < model->n_sources; s++) {
        r->decoders[s] = kpid_decoder_new(&model->sources[s]);
        r->shards[s] = kpid_zalloc((size_t)r->ctl->partitions, sizeof(struct kpid_shard *));
        for (int p = 0; p < r->ctl->partitions; p++)
            r->shards[s][p] = kpid_shard_new(model, s, p);
    }
    r->evaluator = kpid_evaluator_new(model, &sink, r);
    r->first_window = kpid_zalloc(model->n_kpis + 1, sizeof(*r->first_window));
    for (size_t k = 0; k < model->n_kpis; k++) {
        r->first_window[k] = windows;
        windows += model->kpis[k].n_windows;
    }
    r->first_window[model->n_kpis] = windows;
    r->newest = kpid_zalloc(windows + 1, sizeof(char *));
}

static void close_parts(struct replay *r)
{
    kpid_evaluator_free(r->evaluator);
    for (size_t i = 0; i < r->first_window[r->model->n_kpis]; i++)
        free(r->newest[i]);
    for (size_t s = 0; s < r->model->n_sources; s++) {
        kpid_decoder_free(r->decoders[s]);
        for (int p = 0; p < r->ctl->partitions; p++)
            kpid_shard_free(r->shards[s][p]);
        free(r->shards[s]);
    }
    free(r->newest);
    free(r->first_window);
    free(r->decoders);
    free(r->shards);
    free(r->views);
    kpid_buf_release(&r->json);
}

static bool run_file(struct replay *r, struct kpid_file *file, struct kpid_buf *error)
{
    long n;

    while ((n = kpid_file_serve(file, RECORDS_A_ROUND, take, r, error)) > 0) {
        round_of(r, false);
        progress(r, file);
    }
    if (n < 0)
        return false;
    round_of(r, true);
    return true;
}

int ctl_replay(struct ctl *ctl)
{
    struct replay r = { .ctl = ctl, .model = ctl->model };
    struct kpid_file_options options = { ctl->topic, ctl->partitions };
    struct kpid_buf error = KPID_BUF_INIT;
    int code = ctl_tables_open(ctl, &r.tables);

    if (code != CTL_OK)
        return code;
    struct kpid_file *file = kpid_file_open(ctl->args[0], ctl->model, &options, &error);
    uint64_t read, total, skipped = 0;
    bool ok = file != NULL;

    if (ok) {
        open_parts(&r);
        ok = run_file(&r, file, &error);
        if (!ctl->quiet && isatty(STDERR_FILENO))
            fprintf(stderr, "\n");
        for (size_t i = 0; ok && !ctl->json && i < r.first_window[r.model->n_kpis]; i++)
            if (r.newest[i])
                puts(r.newest[i]);
        kpid_file_progress(file, &read, &total, &skipped);
        ok = ok && print_ledger(&r, skipped);
        kpid_file_close(file);
        close_parts(&r);
    }
    if (error.len)
        fprintf(stderr, "kpictl: %s\n", error.data);
    kpid_buf_release(&error);
    ctl_tables_close(r.tables);
    return ok ? CTL_OK : CTL_FAILED;
}
