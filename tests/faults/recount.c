/*
 * kpid-faults-recount: holds the state that instances left in Redis against one that the same records give to
 * shards that nothing ever happened to.
 *
 *     kpid-faults-recount CONFIG REDIS_URL CLUSTER < records
 *
 * Reads lines "PARTITION OFFSET TIMESTAMP_MS LENGTH", each followed by so many bytes and a newline: the
 * topic. Each partition's records are counted by a new shard; the shard of Redis is taken over (the instances
 * have ended), and every cell of both is compared, of all windows that are kept: sums, sketches as they are
 * stored, what readers see of clocks, sessions and funnels. What those have in mind for events to come is
 * compared by such events: records after a line "then" go to both, and all is compared once more. Exit 0: no
 * difference.
 */
#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/shard.h"
#include "kpid/store.h"

#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS_SHOWN = 10, TIMEOUT_MS = 10000, TRIES = 50 };

struct recount {
    const struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_gather *gather;
    struct kpid_shard **counted, **stored; /* by partition */
    size_t n;
    struct event_base *base;
    struct kpid_redis *redis;
    struct kpid_buf mine, its;
    uint64_t cells, bytes, faults;
};

static void die(const char *what, const char *more)
{
    fprintf(stderr, "kpid-faults-recount: %s %s\n", what, more);
    exit(2);
}

/* ---- what Redis has ---- */

struct loading {
    struct recount *recount;
    int32_t partition;
    bool over, good;
};

static void loaded(void *ctx, enum kpid_store_status status, const void *meta, size_t meta_len,
                   const struct kpid_page *pages, size_t n_pages)
{
    struct loading *loading = ctx;
    const char *why = "";
    loading->over = true;
    if (status == KPID_STORE_DOWN)
        return;
    if (status != KPID_STORE_OK || !meta_len)
        die("a shard can't be read:", kpid_store_status_text(status));
    loading->good = true;
    struct kpid_shard *shard = kpid_shard_new(loading->recount->model, 0, loading->partition);
    if (!kpid_shard_load(shard, meta, meta_len, pages, n_pages, &why))
        die("a shard is damaged:", why);
    loading->recount->stored[loading->partition] = shard;
}

static void on_up(void *ctx)
{
    (void)ctx;
}

static void on_down(void *ctx, const char *why)
{
    (void)ctx;
    fprintf(stderr, "kpid-faults-recount: redis: %s\n", why);
}

static void load(struct recount *r, const char *cluster, int32_t partition)
{
    const struct kpid_settings *settings = &r->model->settings;
    struct kpid_store_name name = {settings->redis.prefix, cluster, settings->kafka.group,
                                   r->model->sources[0].name, partition};
    struct loading loading = {r, partition, false, false};
    uint8_t nonce[16] = {1, (uint8_t)partition};
    struct kpid_store *store = kpid_store_new(r->redis, &name);
    for (int i = 0; i < TRIES && !loading.good; i++) {
        while (!kpid_redis_up(r->redis))
            event_base_loop(r->base, EVLOOP_ONCE);
        nonce[2] = (uint8_t)i;
        loading.over = false;
        kpid_store_acquire(store, nonce, loaded, &loading);
        while (!loading.over)
            event_base_loop(r->base, EVLOOP_ONCE);
    }
    if (!loading.good)
        die("no answer:", kpid_store_error(store));
    kpid_store_free(store);
}

/* ---- records ---- */

static void feed(struct recount *r, struct kpid_shard *shard, const struct kpid_record *record)
{
    struct kpid_event event;
    enum kpid_reason reason = kpid_decode(r->decoder, record->value, record->value_len, &event);
    const struct kpid_letter *letters;
    if (reason == KPID_REASON_NONE)
        kpid_shard_take(shard, record, &event, record->timestamp_ms, &reason);
    else
        kpid_shard_refuse(shard, record, reason);
    while (kpid_shard_letters(shard, &letters))
        kpid_shard_letter_sent(shard, letters[0].topic, letters[0].offset);
}

/* Gives records to the shards of the recount, and of `also`, up to the end or to a line "then". Returns how
 * many. */
static uint64_t feed_all(struct recount *r, struct kpid_shard **also)
{
    uint64_t n = 0;
    char line[128];
    struct kpid_buf value = KPID_BUF_INIT;
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "then\n") != 0) {
        long long partition, offset, timestamp, len;
        if (sscanf(line, "%lld %lld %lld %lld", &partition, &offset, &timestamp, &len) != 4 ||
            partition < 0 || (size_t)partition >= r->n || len < 0)
            die("not a record:", line);
        kpid_buf_clear(&value);
        kpid_buf_reserve(&value, (size_t)len + 1);
        if (fread(value.data, 1, (size_t)len + 1, stdin) != (size_t)len + 1)
            die("cut short:", line);
        struct kpid_record record = {.partition = (int32_t)partition,
                                     .offset = offset,
                                     .timestamp_ms = timestamp,
                                     .value = value.data,
                                     .value_len = (size_t)len};
        feed(r, r->counted[partition], &record);
        if (also)
            feed(r, also[partition], &record);
        n++;
    }
    kpid_buf_release(&value);
    return n;
}

/* ---- comparing ---- */

static void differs(struct recount *r, const char *what, const char *more, int64_t at)
{
    if (r->faults++ < FAULTS_SHOWN)
        printf("%s %s %" PRId64 ": Redis and the recount differ\n", what, more, at);
}

static void add_number(struct kpid_buf *out, const struct kpid_number *number)
{
    kpid_buf_add_char(out, (char)('0' + number->kind));
    if (number->kind == KPID_NUMBER_DOUBLE)
        kpid_buf_add(out, &number->approx, sizeof(number->approx));
    if (number->kind != KPID_NUMBER_EXACT)
        return;
    kpid_buf_add(out, &number->exact.m, sizeof(number->exact.m));
    kpid_buf_add_char(out, (char)number->exact.scale);
}

/* A cell as it is stored; of keyed measures, whose cells depend on how far time was told, every part and
 * percentile. */
static void add_cell(struct kpid_buf *out, const struct kpid_measure *measure, const void *cell)
{
    const struct kpid_agg *agg = measure->agg;
    if (!agg->keyed) {
        agg->pack(cell, out);
        return;
    }
    for (size_t i = 0; agg->published[i]; i++) {
        int part = agg->part(agg->published[i], strlen(agg->published[i]));
        if (agg->has_part && !agg->has_part(part, &measure->param))
            continue;
        struct kpid_number number = agg->read(cell, part, &measure->param);
        add_number(out, &number);
    }
}

static void add_window(struct recount *r, struct kpid_shard **shards, size_t n, size_t m, uint16_t grouping,
                       int64_t start_ms, int64_t end_ms, struct kpid_buf *out)
{
    const struct kpid_source_plan *plan = &r->model->plans[0];
    const struct kpid_gather_row *rows;
    uint32_t reasons;
    size_t n_rows = kpid_gather_window(r->gather, shards, n, m, grouping, start_ms, end_ms, &rows, &reasons);
    kpid_buf_clear(out);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t v = 0; rows[i].group && v < plan->groupings[grouping].n; v++)
            kpid_buf_printf(out, "%s ", rows[i].group[v] ? rows[i].group[v] : "");
        add_cell(out, &r->model->measures[plan->measures[m]], rows[i].cell);
    }
    r->cells += n_rows;
}

/* One window of one measure, all groupings, shard by shard and merged. */
static void compare_window(struct recount *r, size_t m, int64_t start_ms, int64_t end_ms)
{
    const struct kpid_measure *measure = &r->model->measures[r->model->plans[0].measures[m]];
    for (size_t g = 0; g < measure->n_groupings; g++)
        for (size_t p = 0; p <= r->n; p++) {
            size_t first = p < r->n ? p : 0, n = p < r->n ? 1 : r->n;
            add_window(r, r->counted + first, n, m, measure->groupings[g], start_ms, end_ms, &r->its);
            add_window(r, r->stored + first, n, m, measure->groupings[g], start_ms, end_ms, &r->mine);
            r->bytes += r->mine.len;
            if (r->mine.len != r->its.len ||
                (r->mine.len && memcmp(r->mine.data, r->its.data, r->mine.len) != 0))
                differs(r, measure->name, p < r->n ? "of a shard, window from" : "of all shards, window from",
                        start_ms);
        }
}

static void compare(struct recount *r)
{
    const struct kpid_kpi *kpi = &r->model->kpis[0];
    int64_t until = KPID_FOREVER, first = KPID_FOREVER;
    for (size_t p = 0; p < r->n; p++) {
        struct kpid_ledger mine, its;
        bool idle;
        int64_t clock = kpid_shard_watermark(r->counted[p], NULL, &idle);
        until = clock < until ? clock : until;
        first = kpid_shard_first(r->counted[p]) < first ? kpid_shard_first(r->counted[p]) : first;
        kpid_shard_ledger(r->stored[p], 0, &mine);
        kpid_shard_ledger(r->counted[p], 0, &its);
        if (memcmp(&mine, &its, sizeof(mine)) != 0)
            differs(r, "ledger", "of partition", (int64_t)p);
        if (kpid_shard_next_offset(r->stored[p], 0) != kpid_shard_next_offset(r->counted[p], 0))
            differs(r, "next offset", "of partition", (int64_t)p);
    }
    for (size_t w = 0; w < kpi->n_windows; w++) {
        const struct kpid_window *window = &kpi->windows[w];
        for (size_t m = 0; m < r->model->plans[0].n_measures; m++) {
            int64_t step = window->kind == KPID_WINDOW_ROLLING ? window->length_ms : 0;
            if (!step)
                compare_window(r, m, window->from_ms, until - until % 10000);
            for (int64_t start = first - first % (step ? step : 1); step && start + step <= until;
                 start += step)
                if (kpid_shards_keep(r->stored, r->n, m, start, start + step))
                    compare_window(r, m, start, start + step);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct kpid_redis_events events = {on_up, on_down};
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    if (argc != 4)
        die("usage:", "kpid-faults-recount CONFIG REDIS_URL CLUSTER < records");
    signal(SIGPIPE, SIG_IGN);
    struct kpid_model *model = kpid_config_load(argv[1], NULL, &faults, &n);
    if (!model)
        die("the configuration:", faults.data);
    struct recount r = {.model = model, .base = event_base_new(), .gather = kpid_gather_new()};
    struct kpid_redis_options options = {argv[2], TIMEOUT_MS, true, false};
    r.decoder = kpid_decoder_new(&model->sources[0]);
    r.redis = kpid_redis_open(r.base, &options, &events, NULL, &faults);
    if (!r.redis)
        die("redis:", faults.data);
    char line[32];
    if (!fgets(line, sizeof(line), stdin) || (r.n = strtoul(line, NULL, 10)) == 0)
        die("first comes", "the number of partitions");
    r.counted = kpid_zalloc(r.n, sizeof(struct kpid_shard *));
    r.stored = kpid_zalloc(r.n, sizeof(struct kpid_shard *));
    for (size_t p = 0; p < r.n; p++) {
        r.counted[p] = kpid_shard_new(model, 0, (int32_t)p);
        load(&r, argv[3], (int32_t)p);
    }
    uint64_t records = feed_all(&r, NULL);
    compare(&r);
    uint64_t more = feed_all(&r, r.stored);
    if (!r.faults)
        compare(&r);
    printf("%" PRIu64 " records, then %" PRIu64 " to both: %" PRIu64 " cells, %" PRIu64
           " bytes compared, %" PRIu64 " differences\n",
           records, more, r.cells / 2, r.bytes, r.faults);
    for (size_t p = 0; p < r.n; p++) {
        kpid_shard_free(r.counted[p]);
        kpid_shard_free(r.stored[p]);
    }
    free(r.counted);
    free(r.stored);
    kpid_gather_free(r.gather);
    kpid_decoder_free(r.decoder);
    kpid_buf_release(&r.mine);
    kpid_buf_release(&r.its);
    kpid_buf_release(&faults);
    kpid_redis_close(r.redis);
    event_base_free(r.base);
    kpid_model_free(model);
    return r.faults ? 1 : 0;
}
