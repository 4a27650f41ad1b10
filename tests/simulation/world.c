#include "world.h"

#include "../model/random.h"
#include "kpid/config.h"
#include "kpid/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)
#define BEGIN  INT64_C(1771545600000)
#define BLOCK  (10 * MINUTE)

static const char config[] =
    "clock: events\n"
    "http: { listen: off }\n"
    "sources:\n"
    "  shop: { topics: [shop], out_of_order: 1m, allowed_lateness: 10m, max_skew: off }\n"
    "measures:\n"
    "  orders:  { from: shop, where: type == \"order\", count: }\n"
    "  revenue: { from: shop, where: type == \"order\", sum: amount }\n"
    "  lowest:  { from: shop, where: type == \"order\", min: amount }\n"
    "  average: { from: shop, where: type == \"order\", mean: amount }\n"
    "  people:  { from: shop, distinct: user }\n"
    "  spread:  { from: shop, where: type == \"order\", quantiles: amount }\n"
    "  busy:    { from: shop, where: type == \"order\", top: user }\n"
    "  handling:\n"
    "    from: shop\n"
    "    clock: { key: ticket, start: type == \"opened\", stop: type == \"closed\", pause: type == "
    "\"paused\",\n"
    "             resume: type == \"resumed\", deadline: 5m, forget_after: 1h }\n"
    "  visits:  { from: shop, session: { key: user, gap: 3m } }\n"
    "  buying:\n"
    "    from: shop\n"
    "    funnel: { key: user, within: 20m, steps: [type == \"opened\", type == \"order\"] }\n"
    "kpis:\n"
    "  orders:   { formula: orders, by: [channel], windows: [{ rolling: 10m, slide: 1m }, day, all] }\n"
    "  revenue:  { formula: revenue, by: [channel], windows: [{ rolling: 10m, slide: 1m }] }\n"
    "  lowest:   { formula: lowest, windows: [{ rolling: 10m, slide: 2m }] }\n"
    "  average:  { formula: average, windows: [{ rolling: 20m, slide: 10m }] }\n"
    "  people:   { formula: people, windows: [{ rolling: 10m, slide: 5m }, day] }\n"
    "  spread:   { formula: spread, windows: [{ rolling: 10m, slide: 5m }] }\n"
    "  busy:     { formula: busy, windows: [{ rolling: 10m, slide: 10m }] }\n"
    "  handling: { formula: handling, by: [channel], windows: [{ rolling: 10m, slide: 1m }, all] }\n"
    "  visits:   { formula: visits, windows: [{ rolling: 10m, slide: 5m }] }\n"
    "  buying:   { formula: buying, windows: [{ rolling: 10m, slide: 5m }] }\n";

struct log {
    char *lines[WORLD_EVENTS];
    bool dead[WORLD_EVENTS];
    struct digest *recount; /* WORLD_EVENTS + 1 of them */
    struct kpid_shard *shard;
    int64_t counted; /* offset up to which recount is there */
};

struct world {
    struct kpid_model *model;
    struct kpid_decoder *decoder;
    struct kpid_gather *gather;
    struct kpid_buf bytes;
    struct log logs[WORLD_SETS][WORLD_PARTITIONS];
};

/* ---- logs ---- */

static char *line_of(struct random *random, int64_t ts_ms, unsigned number)
{
    static const char *const types[] = {"order",  "order",  "order",   "opened", "opened",
                                        "closed", "paused", "resumed", "view"};
    static const char *const channels[] = {"web", "app", "shop"};
    struct kpid_buf line = KPID_BUF_INIT;
    if (random_chance(random, 1, 30)) {
        kpid_buf_add_str(&line, "{\"type\":\"order\",\"ts\":");
        return line.data;
    }
    if (random_chance(random, 1, 15) && number > 5)
        number -= 1 + (unsigned)random_below(random, 5); /* sent again */
    if (random_chance(random, 1, 20))
        ts_ms -= random_below(random, 15 * MINUTE);
    kpid_buf_printf(&line, "{\"type\":\"%s\",\"ts\":%lld,\"id\":\"e%u\",\"channel\":\"%s\",\"user\":\"u%d\"",
                    types[random_below(random, 9)], (long long)ts_ms, number,
                    channels[random_below(random, 3)], (int)random_below(random, 12));
    kpid_buf_printf(&line, ",\"ticket\":\"t%d\",\"amount\":%d.%02d}", (int)random_below(random, 6),
                    (int)random_below(random, 200), (int)random_below(random, 100));
    return line.data;
}

static void log_init(struct log *log, uint64_t seed)
{
    struct random random = {seed};
    int64_t ts_ms = BEGIN;
    for (unsigned i = 0; i < WORLD_EVENTS; i++) {
        ts_ms += random_below(&random, 40000);
        log->lines[i] = line_of(&random, ts_ms - random_below(&random, 30000), i);
    }
    log->recount = kpid_zalloc(WORLD_EVENTS + 1, sizeof(*log->recount));
    log->counted = -1;
}

struct world *world_new(void)
{
    struct world *world = kpid_zalloc(1, sizeof(*world));
    struct kpid_config_options options = {0};
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    world->model = kpid_config_parse("simulation", config, strlen(config), &options, &faults, &n);
    if (!world->model) {
        fprintf(stderr, "%s\n", faults.data);
        exit(1);
    }
    kpid_buf_release(&faults);
    world->decoder = kpid_decoder_new(&world->model->sources[0]);
    world->gather = kpid_gather_new();
    for (unsigned set = 0; set < WORLD_SETS; set++)
        for (unsigned p = 0; p < WORLD_PARTITIONS; p++)
            log_init(&world->logs[set][p], set * 100 + p + 1);
    return world;
}

void world_free(struct world *world)
{
    for (unsigned set = 0; set < WORLD_SETS; set++)
        for (unsigned p = 0; p < WORLD_PARTITIONS; p++) {
            struct log *log = &world->logs[set][p];
            for (unsigned i = 0; i < WORLD_EVENTS; i++)
                free(log->lines[i]);
            free(log->recount);
            kpid_shard_free(log->shard);
        }
    kpid_gather_free(world->gather);
    kpid_decoder_free(world->decoder);
    kpid_buf_release(&world->bytes);
    kpid_model_free(world->model);
    free(world);
}

const struct kpid_model *world_model(const struct world *world)
{
    return world->model;
}

static enum kpid_class feed(struct world *world, const struct log *log, int32_t partition, int64_t offset,
                            struct kpid_shard *shard)
{
    const char *line = log->lines[offset];
    struct kpid_record record = {.partition = partition, .offset = offset, .timestamp_ms = KPID_NEVER};
    enum kpid_reason reason;
    struct kpid_event event;
    record.value = line;
    record.value_len = strlen(line);
    reason = kpid_decode(world->decoder, line, record.value_len, &event);
    if (reason == KPID_REASON_NONE)
        return kpid_shard_take(shard, &record, &event, KPID_NEVER, &reason);
    kpid_shard_refuse(shard, &record, reason);
    return KPID_CLASS_MALFORMED;
}

void world_feed(struct world *world, unsigned set, int32_t partition, int64_t offset,
                struct kpid_shard *shard)
{
    if (kpid_shard_wants(shard, 0, offset))
        feed(world, &world->logs[set][partition], partition, offset, shard);
}

/* ---- figures ---- */

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

/* What readers see of a cell. The bytes of keyed ones also tell what can still be taken back. */
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

static uint64_t mix_window(struct world *world, struct kpid_shard *shard, size_t m, uint16_t grouping,
                           int64_t start_ms, int64_t end_ms)
{
    const struct kpid_measure *measure = &world->model->measures[world->model->plans[0].measures[m]];
    const struct kpid_gather_row *rows;
    uint32_t reasons;
    if (!kpid_shards_keep(&shard, 1, m, start_ms, end_ms))
        return 0;
    size_t n = kpid_gather_window(world->gather, &shard, 1, m, grouping, start_ms, end_ms, &rows, &reasons);
    kpid_buf_clear(&world->bytes);
    for (size_t i = 0; i < n; i++) {
        for (size_t v = 0; rows[i].group && v < world->model->plans[0].groupings[grouping].n; v++)
            kpid_buf_printf(&world->bytes, "%s ", rows[i].group[v] ? rows[i].group[v] : "");
        add_cell(&world->bytes, measure, rows[i].cell);
    }
    return kpid_hash(world->bytes.data, world->bytes.len, n) | 1;
}

void world_digest(struct world *world, struct kpid_shard *shard, struct digest *ret)
{
    const struct kpid_source_plan *plan = &world->model->plans[0];
    struct kpid_ledger ledger;
    size_t n = 0;
    bool idle;
    int64_t until = kpid_shard_watermark(shard, NULL, &idle);
    memset(ret, 0, sizeof(*ret));
    kpid_shard_ledger(shard, 0, &ledger);
    ret->words[n++] = kpid_hash(&ledger, sizeof(ledger), 1);
    ret->words[n++] = (uint64_t)kpid_shard_next_offset(shard, 0);
    ret->words[n++] = (uint64_t)kpid_shard_highest(shard, 0);
    if (until == KPID_NEVER || until < BEGIN)
        return;
    until -= until % BLOCK;
    for (size_t m = 0; m < plan->n_measures; m++) {
        const struct kpid_measure *measure = &world->model->measures[plan->measures[m]];
        for (size_t g = 0; g < measure->n_groupings; g++)
            for (int64_t blocks = 1; blocks <= 2; blocks++)
                ret->words[n++] =
                    mix_window(world, shard, m, measure->groupings[g], until - blocks * BLOCK, until);
    }
}

const struct digest *world_recount(struct world *world, unsigned set, int32_t partition, int64_t offset)
{
    struct log *log = &world->logs[set][partition];
    if (!log->shard)
        log->shard = kpid_shard_new(world->model, 0, partition);
    while (log->counted < offset) {
        if (log->counted >= 0) {
            enum kpid_class class = feed(world, log, partition, log->counted, log->shard);
            log->dead[log->counted] = class == KPID_CLASS_MALFORMED || class == KPID_CLASS_LATE;
            const struct kpid_letter *letters;
            while (kpid_shard_letters(log->shard, &letters))
                kpid_shard_letter_sent(log->shard, letters[0].topic, letters[0].offset);
        }
        log->counted++;
        world_digest(world, log->shard, &log->recount[log->counted]);
    }
    return &log->recount[offset];
}

bool world_is_dead(struct world *world, unsigned set, int32_t partition, int64_t offset)
{
    world_recount(world, set, partition, offset + 1);
    return world->logs[set][partition].dead[offset];
}

const char *world_differs(struct world *world, const struct digest *a, const struct digest *b)
{
    const struct kpid_source_plan *plan = &world->model->plans[0];
    static const char *const first[] = {"ledger", "offset", "highest event time"};
    size_t n = 0;
    for (; n < 3; n++)
        if (a->words[n] != b->words[n])
            return first[n];
    for (; n < DIGEST_WORDS; n++)
        if (a->words[n] != b->words[n] && a->words[n] && b->words[n])
            break;
    if (n == DIGEST_WORDS)
        return NULL;
    size_t at = 3;
    for (size_t m = 0; m < plan->n_measures; m++) {
        const struct kpid_measure *measure = &world->model->measures[plan->measures[m]];
        at += 2 * measure->n_groupings;
        if (n < at)
            return measure->name;
    }
    return "figures";
}
