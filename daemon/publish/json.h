/*
 * The texts that readers find: one function a document, each appends one JSON object to a buffer. Pure; cost
 * is linear in what is written. Fields are never left out: null means no data. Snapshots: kpid_snapshot_json
 * in kpid/publish.h; conf/snapshot.schema.json and conf/alert.schema.json say what stands in them.
 */
#ifndef KPID_PUBLISH_JSON_H
#define KPID_PUBLISH_JSON_H

#include "kpid/evaluate.h"

#define KPID_SCHEMA_VERSION 1

/* One step of an alert. */
void kpid_transition_json(const struct kpid_model *model, const struct kpid_transition *transition,
                          struct kpid_buf *out);
/* The definition of a KPI, as kpi:index has it. */
void kpid_index_json(const struct kpid_kpi *kpi, struct kpid_buf *out);
/* @meta of a snapshot hash. `zone` may be NULL: UTC. */
void kpid_meta_json(const struct kpid_zone *zone, int64_t as_of_ms, int64_t watermark_ms, int64_t lag,
                    struct kpid_buf *out);

/* Parts of the above, also for messages: `"name":`, with a comma before it unless an object has just begun.
 */
void kpid_json_key(struct kpid_buf *out, const char *name);
void kpid_json_str(struct kpid_buf *out, const char *name, const char *text); /* NULL: null */
void kpid_json_int(struct kpid_buf *out, const char *name, int64_t value);
void kpid_json_uint(struct kpid_buf *out, const char *name, uint64_t value);
/* `name` in RFC 3339 and `name`_ms; KPID_NEVER and KPID_FOREVER: null. */
void kpid_json_time(struct kpid_buf *out, const char *name, const struct kpid_zone *zone, int64_t t_ms);

/* Brings JSON text made by the functions above to MessagePack: the same fields in the same order. Numbers
 * become integers where they are whole, else the float64 whose shortest text is theirs; what neither holds
 * exactly stays a string of its digits. False: the text is not such JSON, `out` is as it was. */
bool kpid_json_to_msgpack(const char *text, size_t len, struct kpid_buf *out) KPID_MUST_CHECK;

#endif
