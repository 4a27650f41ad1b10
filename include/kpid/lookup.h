/*
 * The stage between decoder and engine: events are joined with tables by one of their fields, and the fields that come
 * of it are filled as if the event had brought them. A table is a CSV file, read as a whole and again when it changes,
 * or hashes in a Redis, cached and asked for in the background. An event whose answer is not there yet is not taken:
 * its shard waits, and nobody else. What an event gets is decided when it is taken; that is the one thing in its
 * figures that depends on when it was read (principle 1 of SEMANTICS.md names this exception).
 *
 * Per event: one probe of a hash table for each join; nothing is allocated but for keys that the cache does not know.
 */
#ifndef KPID_LOOKUP_H
#define KPID_LOOKUP_H

#include "kpid/buf.h"
#include "kpid/flow/event.h"
#include "kpid/model.h"

struct event_base;
struct kpid_lookups;

enum kpid_told {
    KPID_TOLD_NEWS,
    KPID_TOLD_FAULT,   /* somebody should look at it */
    KPID_TOLD_REPEATED /* the same, and it may come with every key */
};

struct kpid_lookups_events {
    /* Something that was waited for is there or was given up: try again what _join refused. Once a turn at most. */
    void (*answered)(void *ctx);
    /* For the log; `text` is borrowed. */
    void (*told)(void *ctx, enum kpid_told kind, const char *text);
};

/* Makes the model's look-ups and reads their files, as a whole. NULL: *ret_faults (> 0) texts were appended to `faults`,
 * each as path:line:column. Borrows the model. Returns, free with _free. */
struct kpid_lookups *kpid_lookups_load(const struct kpid_model *model, struct kpid_buf *faults,
                                       size_t *ret_faults) KPID_MUST_CHECK;
void kpid_lookups_free(struct kpid_lookups *lookups);

/* Connects those in Redis, in the background; `url` (NULL: none) stands for the instance's. From now on changed files
 * are noticed by _tick and read by the loop. Borrows base, events and ctx. False: `error` says why. */
bool kpid_lookups_open(struct kpid_lookups *lookups, struct event_base *base, const char *url,
                       const struct kpid_lookups_events *events, void *ctx, struct kpid_buf *error) KPID_MUST_CHECK;
/* Looks whether files changed; to be called once a tick. */
void kpid_lookups_tick(struct kpid_lookups *lookups);

/* Fills the joined fields of an event of this source; strings are borrowed until the next turn of the loop. False: an
 * answer is not there yet, and has been asked for; the event is as it was. now_ms is monotonic. */
bool kpid_lookups_join(struct kpid_lookups *lookups, uint32_t source, const struct kpid_event *event,
                       int64_t now_ms) KPID_MUST_CHECK;
/* Asks ahead for an event that stands behind one that waits. False: no more can be asked at present. */
bool kpid_lookups_ask(struct kpid_lookups *lookups, uint32_t source, const struct kpid_event *event,
                      int64_t now_ms) KPID_MUST_CHECK;

/* Whether some source joins look-ups in Redis. */
bool kpid_lookups_remote(const struct kpid_model *model);

struct kpid_lookup_stats {
    uint64_t entries, bytes;        /* rows of the file, or keys that are cached */
    uint64_t hits, misses, no_key;  /* joins that found the key, did not, or whose event has none */
    uint64_t late, down, failed;    /* joins that went on without an answer: timeout, no connection, Redis refused */
    uint64_t faulty;                /* values that their column's type can't hold, taken as absent */
    uint64_t asked, refreshed, evicted, asking; /* questions; those to renew an answer; keys let go; not answered yet */
    uint64_t loads, load_faults;    /* files taken and refused */
    bool up, broken;                /* connected; what lies there now was refused or is gone */
    int64_t written_ms;             /* when the file was written that is in use; KPID_NEVER: in Redis */
};
void kpid_lookups_stats(const struct kpid_lookups *lookups, size_t index, struct kpid_lookup_stats *ret);

#endif
