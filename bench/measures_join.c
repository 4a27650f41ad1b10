/* What a join with a table costs an event: one probe, and as many columns as are named. */
#include "measures.h"
#include "meter.h"

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/lookup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 20000, RECORDS = 1024, PARTS = 16 };

/* A file of ROWS customers. Returns its path in `path`. */
static void table_write(char path[32])
{
    strcpy(path, "/tmp/kpid-bench-XXXXXX");
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (!file) {
        perror(path);
        exit(1);
    }
    fprintf(file, "id,tag,tier\n");
    for (int i = 0; i < ROWS; i++)
        fprintf(file, "customer-%06d,tag %d,%d\n", i, i % 7, i % 3);
    fclose(file);
}

static struct kpid_model *model_of(const char *path)
{
    struct kpid_buf text = KPID_BUF_INIT, faults = KPID_BUF_INIT;
    size_t n;

    kpid_buf_printf(&text,
                    "lookups: { customers: { file: %s, key: id } }\nsources: { s: { topics: [s], join: { "
                    "customers: who } } }\n"
                    "measures: { m: { from: s, where: customers.tag != \"\", count: } }\n"
                    "kpis: { k: { formula: m, by: [customers.tier], windows: [1m] } }\n",
                    path);
    struct kpid_model *model = kpid_config_parse("bench", text.data, text.len, NULL, &faults, &n);
    if (!model) {
        fprintf(stderr, "%s\n", faults.data);
        exit(1);
    }
    kpid_buf_release(&text);
    kpid_buf_release(&faults);
    return model;
}

/* Decodes n events and joins them too, where there are look-ups; ns an event. */
static double pass(struct kpid_meter *meter, struct kpid_decoder *decoder, struct kpid_lookups *lookups,
                   size_t n)
{
    static char texts[RECORDS][96];
    struct kpid_cost cost = {0};
    struct kpid_event event;
    size_t joined = 0;

    for (int i = 0; i < RECORDS; i++)
        snprintf(texts[i], sizeof(texts[i]),
                 "{\"type\":\"t\",\"ts\":1772323200000,\"who\":\"customer-%06d\"}", i * 7919 % ROWS);
    kpid_meter_start(meter);
    for (size_t i = 0; i < n; i++) {
        const char *text = texts[i % RECORDS];
        if (kpid_decode(decoder, text, strlen(text), &event) != KPID_REASON_NONE)
            exit(1);
        joined += lookups ? kpid_lookups_join(lookups, 0, &event, 0) : 1;
    }
    kpid_meter_stop(meter, &cost);
    return joined == n ? cost.ns / (double)n : 0;
}

void kpid_bench_join(size_t rounds, size_t n)
{
    char path[32];
    double ns[KPID_SPREAD_MAX];
    struct kpid_buf faults = KPID_BUF_INIT;
    struct kpid_meter meter;
    size_t n_faults;

    table_write(path);
    struct kpid_model *model = model_of(path);
    struct kpid_lookups *lookups = kpid_lookups_load(model, &faults, &n_faults);
    struct kpid_decoder *decoder = kpid_decoder_new(&model->sources[0]);
    unlink(path);
    if (!lookups) {
        fprintf(stderr, "%s\n", faults.data);
        exit(1);
    }
    kpid_meter_open(&meter);
    double least[2] = {INFINITY, INFINITY};
    for (size_t round = 0; round < rounds; round++) {
        ns[round] = 0;
        for (size_t part = 0; part < PARTS; part++)
            for (size_t joined = 0; joined < 2; joined++) {
                double took = pass(&meter, decoder, joined ? lookups : NULL, n / PARTS);
                ns[round] += (joined ? took : -took) / PARTS;
                if (took < least[joined])
                    least[joined] = took;
            }
    }
    struct kpid_spread spread = kpid_spread_of(ns, rounds);
    printf("%-32s %6.0f %6.0f %8.0f\n", "a look-up in a file, 2 columns", least[1] - least[0], spread.median, spread.max);
    printf("%d rows\n\n", ROWS);
    kpid_meter_close(&meter);
    kpid_decoder_free(decoder);
    kpid_lookups_free(lookups);
    kpid_model_free(model);
    kpid_buf_release(&faults);
}
