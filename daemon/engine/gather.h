/* What gather.c and gather_series.c share. Private to the engine. */
#ifndef KPID_ENGINE_GATHER_H
#define KPID_ENGINE_GATHER_H

#include "core.h"

struct row {
    const char *name;  /* packed values, borrowed from a shard's groups; NULL: the total */
    uint32_t len;
    bool other;
    uint64_t hash;
};

struct kpid_series;

struct kpid_gather {
    struct row *rows;
    size_t n, cap;
    uint8_t *cells;
    size_t cells_cap, cell_bytes;
    const struct kpid_agg *agg;
    const struct kpid_agg_param *param;
    uint32_t *index;       /* group hash -> row + 1 */
    size_t index_cap;
    uint32_t *row_of_gid;  /* of the shard at work: row + 1 */
    size_t cap_gids;
    struct kpid_gather_row *out;
    size_t cap_out;
    struct kpid_buf names; /* unpacked values */
    const char **values;
    size_t cap_values;
    /* while visiting panes */
    const struct kpid_shard *shard;
    uint16_t grouping;
    bool levels_only;
    bool saw_other;
    /* of the next call, if it is one of a series: gather_series.c */
    struct {
        int64_t step_ms, length_ms, until_ms;
    } next;
    struct kpid_series *series;
};

/* No rows but the total, for this measure and grouping. */
void gather_restart(struct kpid_gather *g, const struct kpid_measure *def, uint16_t grouping);
/* The row of a group by its name (NULL: the total or __other__), made if it is not there. */
uint32_t gather_row(struct kpid_gather *g, const char *name, uint32_t len, uint64_t hash);
/* Adds the shard's panes in [start, end); *ret_rung: the rung they are read from. False: it keeps that time no more. */
bool gather_panes(struct kpid_gather *g, struct kpid_shard *shard, size_t measure_index, size_t place,
                  int64_t start_ms, int64_t end_ms, size_t *ret_rung);
/* Where a measure has the grouping, def->n_groupings: nowhere. */
size_t gather_place(const struct kpid_measure *def, uint16_t grouping);

/* Fills the rows with the window's panes from what the series keeps and what is new; false: it can't, do it alone. */
bool gather_series_fill(struct kpid_gather *g, struct kpid_shard *const *shards, size_t n_shards,
                        size_t measure_index, int64_t start_ms, int64_t boundary_ms);

#endif
