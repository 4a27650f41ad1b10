/*
 * A daemon without a network and without a clock: text files say at what time which event comes and which figures and
 * alerts are expected (README.md has the language). Between them stands the core as it is in the daemon: configuration,
 * decoder, shards, watermarks, evaluator; what Kafka and Redis would keep is kept here, so that a restart is real.
 *
 *   script.c  a line at a time -> world.c  events, rounds, restarts -> notes.c  what readers would find -> expect.c
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/evaluator.h"
#include "kpid/watermark.h"

/* ---- notes: what Redis would hold, as texts by name ---- */

struct note {
    char *name;
    char *text;
    size_t len;
};
struct notes {
    struct note *at;
    size_t n, cap;
};
void notes_set(struct notes *notes, const char *name, const void *text, size_t len); /* copies */
void notes_delete(struct notes *notes, const char *name);
const struct note *notes_find(const struct notes *notes, const char *name); /* NULL: there is none */
void notes_release(struct notes *notes);

/* One notification, in the order of telling. */
struct notice {
    char *name;  /* KPI/RULE WINDOW GROUP */
    char *json;
    enum kpid_alert_state state;
    bool read;   /* some line expected it */
};

/* ---- world ---- */

/* A topic-partition's log: message i has offset i. */
struct scn_log {
    struct scn_message { char *bytes; size_t len; int64_t append_ms; } *at;
    size_t n, cap;
};

/* One partition of a source: the shard, what is stored of it, and what comes in. */
struct scn_shard {
    struct kpid_shard *shard;
    struct kpid_buf meta;
    struct kpid_page *pages;
    size_t n_pages;
    bool whole, away;
    bool *idle;           /* by topic */
    struct scn_log *logs; /* by topic */
};

struct scn_source {
    struct scn_shard *at;
    size_t n, n_topics;
    struct kpid_shard **shards; /* those that are not away, and their idle flags */
    const bool **idle;
    struct kpid_watermark watermark;
};

struct world {
    struct kpid_model *model;
    struct kpid_decoder **decoders;
    struct scn_source *sources;
    size_t n_sources;
    struct kpid_evaluator *evaluator;
    struct kpid_evaluator_source *views;
    int64_t now_ms;          /* the wall clock, KPID_NEVER before the first `at` */
    bool changed;            /* since the last tick */
    bool muted;              /* findings are lost: the tick is not published */
    struct notes found;      /* "newest KPI WINDOW GROUP", "final …", "window START …", "finals …" */
    struct notes states;     /* as {alert} keeps them */
    struct notes finals;     /* KPI:WINDOW -> progress, as decimal text */
    struct notice *notices;
    size_t n_notices, cap_notices;
    struct kpid_buf a, b;    /* scratch */
};

/* Takes the model; partitions[s] for each source. */
void world_init(struct world *world, struct kpid_model *model, const size_t *partitions);
void world_release(struct world *world);
/* One message; says its class and reason. append_ms: LogAppendTime, KPID_NEVER without. Copies. */
enum kpid_class world_take(struct world *world, size_t source, size_t partition, uint32_t topic, const char *bytes,
                           size_t len, int64_t append_ms, enum kpid_reason *ret_reason);
/* Rounds until nothing is left. NULL, or what is wrong with the ledger (owned by the world). */
const char *world_tick(struct world *world, bool end_of_input);
/* A new process on what is stored; `orderly`: what is in memory is committed first. A new model (taken) or NULL: the
 * same. False: it can't be read, or the sources are others. */
bool world_restart(struct world *world, bool orderly, struct kpid_model *model) KPID_MUST_CHECK;
/* The sink that fills notes (notes.c). */
extern const struct kpid_sink world_sink;

/* ---- lines ---- */

struct script {
    const char *path;
    char **lines;
    size_t n_lines, at;      /* `at`: line under way, from 0 */
    struct world world;
    bool begun;              /* the world is there */
    struct kpid_buf config;
    size_t config_line;      /* of its first line */
    struct { char *source; size_t n; } partitions[16];
    size_t n_partitions;
    size_t counter, loop;    /* $n and $i */
    struct notes names;      /* @name -> what it stands for */
    unsigned failures;
    bool broken;             /* a line that can't be understood ends the script */
};

/* Runs one file; true: all that it expects was so. */
bool script_run(const char *path);
/* Tells what went wrong at the line under way. */
void script_fail(struct script *script, const char *format, ...) KPID_PRINTF(2, 3);
/* The same of a line that can't be understood. */
void script_break(struct script *script, const char *format, ...) KPID_PRINTF(2, 3);
/* Source[/partition[/topic]]; -1 where it is not given. False: no such source (told). */
bool script_place(struct script *script, const char *text, int *ret_source, int *ret_partition, int *ret_topic);
/* The line behind `expect`, in words. */
void expect_line(struct script *script, char **words, size_t n);

/* A time as scripts write it (README.md). now_ms: what relative times and dates start from. */
bool time_read(const char *text, int64_t now_ms, int64_t *ret_ms);
bool duration_read(const char *text, int64_t *ret_ms);
/* One member of a JSON text by dotted path, strings without quotes, lists joined by commas; false: none. Appends. */
bool json_member(const char *json, const char *path, struct kpid_buf *out);

#endif
