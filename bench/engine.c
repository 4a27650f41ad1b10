/*
 * kpid-bench-engine CONFIG [ROUNDS [EVENTS]]: what an event costs in decoder and engine, with a configuration's
 * measures, as a multiple of a bare pass of the decoding library over the same bytes.
 *
 * The events are the generator's, of topics in partitions. In each round every shard is new, takes the first half of
 * the events unmeasured, so that groups, panes and clocks are there, and then the second half. "upkeep" is what the
 * engine does once a tick, here ten times in a round: deadlines, merging and releasing panes, packing what changed.
 * Ways take turns in every round, so that a busy machine disturbs them alike; a ratio is the median of the rounds'.
 */
#include "decode_bare.h"
#include "meter.h"
#include "stream.h"

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTITIONS = 4, TICKS = 10, ROUNDS = 15, EVENTS = 1000000, FORMATS = 2 };
#define RATE 2000 /* events a second of event time at the busiest hour */

enum way { BARE, DECODE, ENGINE, UPKEEP, WAYS };

struct bench {
    struct kpid_model *model;
    struct kpid_stream streams[FORMATS];
    struct kpid_decoder **decoders; /* by source */
    struct kpid_shard **shards;     /* [source * PARTITIONS + partition] */
    int64_t *progress_ms;           /* by measure */
    struct kpid_meter meter;
    struct kpid_cost costs[FORMATS][WAYS][KPID_SPREAD_MAX]; /* an event */
    uint64_t checksum;
};

/* ---- passes ------------------------------------------------------------------------------------------- */

static void shards_new(struct bench *bench)
{
    for (uint32_t s = 0; s < bench->model->n_sources; s++)
        for (int32_t p = 0; p < PARTITIONS; p++)
            bench->shards[s * PARTITIONS + (uint32_t)p] = kpid_shard_new(bench->model, s, p);
}

static void shards_free(struct bench *bench)
{
    for (size_t i = 0; i < bench->model->n_sources * PARTITIONS; i++)
        kpid_shard_free(bench->shards[i]);
}

static void pass_bare(struct bench *bench, const struct kpid_record *record, bool msgpack)
{
    bench->checksum += (msgpack ? bare_msgpack : bare_json)(record->value, record->value_len);
}

static void pass_decode(struct bench *bench, const struct kpid_record *record)
{
    struct kpid_event event;
    if (kpid_decode(bench->decoders[record->source], record->value, record->value_len, &event) == KPID_REASON_NONE)
        bench->checksum += event.type_id;
}

static struct kpid_shard *shard_of(struct bench *bench, const struct kpid_record *record)
{
    return bench->shards[record->source * PARTITIONS + (uint32_t)record->partition];
}

/* As the daemon does: each event is decoded and shown a little before its turn. */
static void pass_engine(struct bench *bench, const struct kpid_record *records, size_t from, size_t to)
{
    struct {
        struct kpid_event event;
        enum kpid_reason reason;
    } ahead[KPID_DECODE_KEPT];
    size_t shown = from;
    for (size_t i = from; i < to; i++) {
        for (; shown < to && shown < i + KPID_DECODE_KEPT; shown++) {
            const struct kpid_record *record = &records[shown];
            struct kpid_event *event = &ahead[shown % KPID_DECODE_KEPT].event;
            enum kpid_reason reason =
                kpid_decode(bench->decoders[record->source], record->value, record->value_len, event);
            if (reason == KPID_REASON_NONE)
                kpid_shard_ahead(shard_of(bench, record), record, event);
            ahead[shown % KPID_DECODE_KEPT].reason = reason;
        }
        struct kpid_shard *shard = shard_of(bench, &records[i]);
        const struct kpid_event *event = &ahead[i % KPID_DECODE_KEPT].event;
        enum kpid_reason reason = ahead[i % KPID_DECODE_KEPT].reason;
        if (reason == KPID_REASON_NONE)
            bench->checksum += kpid_shard_take(shard, &records[i], event, KPID_NEVER, &reason);
        else
            kpid_shard_refuse(shard, &records[i], reason);
    }
}

static void pass(struct bench *bench, enum way way, int format, size_t from, size_t to)
{
    const struct kpid_record *records = bench->streams[format].records;
    switch (way) {
    case BARE:
        for (size_t i = from; i < to; i++)
            pass_bare(bench, &records[i], format == 1);
        break;
    case DECODE:
        for (size_t i = from; i < to; i++)
            pass_decode(bench, &records[i]);
        break;
    default: pass_engine(bench, records, from, to); break;
    }
}

/* One source's shards, all boundaries before its watermark being final. */
static void upkeep(struct bench *bench, uint32_t source)
{
    struct kpid_shard **shards = bench->shards + source * PARTITIONS;
    size_t n_measures = bench->model->plans[source].n_measures;
    int64_t lowest = KPID_FOREVER;
    for (int p = 0; p < PARTITIONS; p++) {
        bool idle;
        int64_t watermark = kpid_shard_watermark(shards[p], NULL, &idle);
        lowest = watermark < lowest ? watermark : lowest;
    }
    for (size_t m = 0; m < n_measures; m++)
        bench->progress_ms[m] = lowest;
    for (int p = 0; p < PARTITIONS && lowest != KPID_NEVER; p++) {
        struct kpid_commit commit;
        const struct kpid_letter *letters;
        kpid_shard_elapse(shards[p], lowest);
        kpid_shard_cut(shards[p], false, &commit);
        kpid_commit_release(&commit);
        kpid_shard_advance(shards[p], bench->progress_ms, lowest);
        for (size_t m = 0; m < n_measures; m++)
            kpid_shard_watch(shards[p], m, lowest);
        kpid_shard_touched_clear(shards[p]);
        while (kpid_shard_letters(shards[p], &letters))
            kpid_shard_letter_sent(shards[p], letters[0].topic, letters[0].offset);
    }
}

static void measure(struct bench *bench, enum way way, int format, size_t from, size_t to, struct kpid_cost *cost)
{
    kpid_meter_start(&bench->meter);
    pass(bench, way, format, from, to);
    kpid_meter_stop(&bench->meter, cost);
}

static void round_of(struct bench *bench, int format, int round)
{
    size_t n = bench->streams[format].n, tick = n / TICKS, half = tick * TICKS / 2;
    struct kpid_cost costs[WAYS] = { 0 };
    shards_new(bench);
    for (size_t at = 0; at + tick <= n; at += tick) {
        size_t to = at + tick;
        struct kpid_cost unmeasured[WAYS] = { 0 }, *into = at >= half ? costs : unmeasured;
        for (enum way way = BARE; way <= ENGINE; way++)
            measure(bench, way, format, at, to, &into[way]);
        kpid_meter_start(&bench->meter);
        for (uint32_t s = 0; s < bench->model->n_sources; s++)
            upkeep(bench, s);
        kpid_meter_stop(&bench->meter, &into[UPKEEP]);
    }
    shards_free(bench);
    size_t measured = tick * TICKS - half;
    costs[UPKEEP].ns += costs[ENGINE].ns;
    costs[UPKEEP].instructions += costs[ENGINE].instructions;
    for (int way = 0; way < WAYS; way++)
        bench->costs[format][way][round] = (struct kpid_cost){ costs[way].ns / (double)measured,
                                                               costs[way].instructions / (double)measured };
}

/* ---- table -------------------------------------------------------------------------------------------- */

static void print_row(struct bench *bench, int format, enum way way, size_t rounds)
{
    static const char *const formats[] = { "json", "msgpack" };
    static const char *const names[] = { "bare", "decode", "decode + engine", "decode + engine + upkeep" };
    double ns[KPID_SPREAD_MAX], count[KPID_SPREAD_MAX], ratio[KPID_SPREAD_MAX], counts[KPID_SPREAD_MAX];
    for (size_t i = 0; i < rounds; i++) {
        const struct kpid_cost *cost = &bench->costs[format][way][i], *bare = &bench->costs[format][BARE][i];
        ns[i] = cost->ns;
        count[i] = cost->instructions;
        ratio[i] = cost->ns / bare->ns;
        counts[i] = bare->instructions > 0 ? cost->instructions / bare->instructions : 0;
    }
    struct kpid_spread time = kpid_spread_of(ns, rounds), times = kpid_spread_of(ratio, rounds);
    printf("%-8s %-25s %6.0f %6.0f %6.0f %8.0f %8.2f %6.2f %6.2f %6.2f\n", formats[format], names[way], time.min,
           time.median, time.max, kpid_spread_of(count, rounds).median, times.min, times.median, times.max,
           kpid_spread_of(counts, rounds).median);
}

static void print_table(struct bench *bench, size_t rounds)
{
    printf("%-34s %20s %8s %22s %6s\n", "an event", "ns of CPU", "instr.", "ns / bare", "instr.");
    printf("%-34s %6s %6s %6s %8s %8s %6s %6s %6s\n", "", "min", "median", "max", "", "min", "median", "max", "/ bare");
    for (int format = 0; format < FORMATS; format++)
        for (enum way way = BARE; way < WAYS; way++)
            print_row(bench, format, way, rounds);
    printf("%zu rounds of %zu events, %.0f bytes each as JSON, %.0f as MessagePack; checksum %llu\n", rounds,
           bench->streams[0].n, (double)bench->streams[0].value_bytes / (double)bench->streams[0].n,
           (double)bench->streams[1].value_bytes / (double)bench->streams[1].n, (unsigned long long)bench->checksum);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n_faults, rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : ROUNDS;
    size_t events = argc > 3 ? strtoul(argv[3], NULL, 10) : EVENTS;
    if (argc < 2 || rounds < 1 || rounds > KPID_SPREAD_MAX || events < TICKS) {
        fprintf(stderr, "usage: kpid-bench-engine CONFIG [ROUNDS [EVENTS]]\n");
        return 2;
    }
    bench.model = kpid_config_load(argv[1], NULL, &faults, &n_faults);
    if (!bench.model) {
        fprintf(stderr, "%s\n", faults.data);
        return 2;
    }
    kpid_buf_release(&faults);
    bench.decoders = kpid_zalloc(bench.model->n_sources, sizeof(struct kpid_decoder *));
    bench.shards = kpid_zalloc(bench.model->n_sources * PARTITIONS, sizeof(struct kpid_shard *));
    bench.progress_ms = kpid_zalloc(bench.model->n_measures + 1, sizeof(*bench.progress_ms));
    for (size_t s = 0; s < bench.model->n_sources; s++)
        bench.decoders[s] = kpid_decoder_new(&bench.model->sources[s]);
    for (int format = 0; format < FORMATS; format++)
        kpid_stream_make(&bench.streams[format], bench.model,
                         &(struct kpid_stream_options){ events, RATE, PARTITIONS, format == 1 });
    kpid_meter_open(&bench.meter);
    for (size_t round = 0; round < rounds; round++)
        for (int format = 0; format < FORMATS; format++)
            round_of(&bench, format, (int)round);
    print_table(&bench, rounds);
    kpid_meter_close(&bench.meter);
    for (size_t s = 0; s < bench.model->n_sources; s++)
        kpid_decoder_free(bench.decoders[s]);
    for (int format = 0; format < FORMATS; format++)
        kpid_stream_release(&bench.streams[format]);
    free(bench.decoders);
    free(bench.shards);
    free(bench.progress_ms);
    kpid_model_free(bench.model);
    return 0;
}
