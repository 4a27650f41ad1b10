/* A shard under test: a configuration, events as lines of JSON, windows as they read, restarts in between. */
#ifndef TEST_KEYED_RIG_H
#define TEST_KEYED_RIG_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/shard.h"

struct rig {
    struct kpid_model *model;
    struct kpid_shard *shard;
    struct kpid_decoder *decoder;
    struct kpid_gather *gather;
    int64_t offset;
    uint64_t random;
};

/* A rig of the configuration's first source, or the test fails and shows the faults. */
static inline struct rig rig_new(const char *text)
{
    struct rig rig = {.random = 42};
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    rig.model = kpid_config_parse("t.yaml", text, strlen(text), NULL, &faults, &n);
    cr_assert(rig.model, "%s", faults.data);
    kpid_buf_release(&faults);
    rig.shard = kpid_shard_new(rig.model, 0, 0);
    rig.decoder = kpid_decoder_new(&rig.model->sources[0]);
    rig.gather = kpid_gather_new();
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    kpid_gather_free(rig->gather);
    kpid_decoder_free(rig->decoder);
    kpid_shard_free(rig->shard);
    kpid_model_free(rig->model);
}

/* An empty shard, as at the beginning. */
static inline void rig_clear(struct rig *rig)
{
    kpid_shard_free(rig->shard);
    rig->shard = kpid_shard_new(rig->model, 0, 0);
    rig->offset = 0;
}

static inline unsigned rig_draw(struct rig *rig, unsigned below)
{
    rig->random = rig->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(rig->random >> 33) % below;
}

static inline enum kpid_class rig_take(struct rig *rig, const char *json)
{
    struct kpid_event event;
    enum kpid_reason reason = kpid_decode(rig->decoder, json, strlen(json), &event);
    cr_assert_eq(reason, KPID_REASON_NONE, "%s: %s", json, kpid_reason_name(reason));
    struct kpid_record record = {.offset = rig->offset++, .timestamp_ms = KPID_NEVER};
    return kpid_shard_take(rig->shard, &record, &event, KPID_NEVER, &reason);
}

/* Stores the whole state and goes on with a shard that was made of it. */
static inline void rig_restart(struct rig *rig)
{
    struct kpid_commit commit;
    const char *why = NULL;
    kpid_shard_cut(rig->shard, true, &commit);
    struct kpid_shard *next = kpid_shard_new(rig->model, 0, 0);
    cr_assert(kpid_shard_load(next, commit.meta.data, commit.meta.len, commit.pages, commit.n_pages, &why), "%s", why);
    kpid_shard_free(rig->shard);
    rig->shard = next;
    kpid_commit_release(&commit);
}

/* Everything before `to_ms` is final and may be released. */
static inline void rig_advance(struct rig *rig, int64_t to_ms)
{
    int64_t progress[16];
    cr_assert(rig->model->plans[0].n_measures <= KPID_COUNT_OF(progress));
    for (size_t i = 0; i < KPID_COUNT_OF(progress); i++)
        progress[i] = to_ms;
    kpid_shard_elapse(rig->shard, to_ms);
    kpid_shard_advance(rig->shard, progress, to_ms);
}

/* The window's cells of a measure (a place in the plan), group by group, as bytes; to be released. */
static inline struct kpid_buf rig_bytes(struct rig *rig, size_t measure, uint16_t grouping, int64_t start_ms,
                                        int64_t boundary_ms)
{
    struct kpid_buf out = KPID_BUF_INIT;
    const struct kpid_gather_row *rows;
    uint32_t reasons;
    struct kpid_measure *def = &rig->model->measures[rig->model->plans[0].measures[measure]];
    size_t n = kpid_gather_window(rig->gather, &rig->shard, 1, measure, grouping, start_ms, boundary_ms, &rows, &reasons);
    for (size_t i = 0; i < n; i++) {
        for (size_t v = 0; rows[i].group && rows[i].group[v]; v++)
            kpid_buf_printf(&out, "%s ", rows[i].group[v]);
        def->agg->pack(rows[i].cell, &out);
    }
    kpid_buf_add_char(&out, '\0');
    return out;
}

/* A part of the total, or of the group of one field with that value, as text; "none", "no group". */
static inline const char *rig_read(struct rig *rig, size_t measure, const char *group, const char *part,
                                   int64_t start_ms, int64_t boundary_ms)
{
    static char text[KPID_DECIMAL_TEXT];
    const struct kpid_gather_row *rows;
    uint32_t reasons;
    struct kpid_measure *def = &rig->model->measures[rig->model->plans[0].measures[measure]];
    size_t n = kpid_gather_window(rig->gather, &rig->shard, 1, measure, group ? 1 : 0, start_ms, boundary_ms, &rows,
                                  &reasons);
    for (size_t i = 0; i < n; i++) {
        if (group && (!rows[i].group || strcmp(rows[i].group[0], group) != 0))
            continue;
        int number = def->agg->part(part, strlen(part));
        cr_assert_geq(number, 0, "no part %s", part);
        struct kpid_number got = def->agg->read(rows[i].cell, number, &def->param);
        strcpy(text, "none");
        if (got.kind == KPID_NUMBER_EXACT)
            kpid_decimal_print(got.exact, text);
        else if (got.kind == KPID_NUMBER_DOUBLE)
            kpid_double_print(got.approx, text);
        return text;
    }
    return "no group";
}

#define rig_expect(rig, group, part, start_ms, boundary_ms, want)                                                   \
    do {                                                                                                           \
        const char *rig_got = rig_read(rig, 0, group, part, start_ms, boundary_ms);                                \
        cr_assert_str_eq(rig_got, want, "%s [%lld, %lld) is %s, not %s", part, (long long)(start_ms),              \
                         (long long)(boundary_ms), rig_got, want);                                                 \
    } while (0)

#endif
