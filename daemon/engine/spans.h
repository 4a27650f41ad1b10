/*
 * Spans of time in which something of a group was open, so that the oldest that was open at any instant is found: a
 * treap a group and track, ordered by (begin, end), whose nodes know the latest end below them (Cormen et al.,
 * "Introduction to Algorithms", interval trees; Seidel and Aragon, "Randomized Search Trees", 1996, with priorities
 * that are hashes of the content). Equal spans share a node. Adding, taking back and asking cost O(log spans); a node is
 * 40 bytes. It is a function of the items of the keys alone, so nothing of it is stored: it is made again when they are
 * loaded.
 */
#ifndef KPID_ENGINE_SPANS_H
#define KPID_ENGINE_SPANS_H

#include "kpid/macros.h"

struct kpid_spans;

/* For groupings with group numbers and tracks below n_tracks. Returns, free with _free. */
struct kpid_spans *kpid_spans_new(size_t n_groupings, size_t n_tracks);
void kpid_spans_free(struct kpid_spans *spans);
size_t kpid_spans_bytes(const struct kpid_spans *spans);

/* Adds [begin, end], or takes one of these back that was added before (weight -1). end: KPID_FOREVER = still open. */
void kpid_spans_add(struct kpid_spans *spans, size_t grouping, uint32_t gid, size_t track, int64_t begin_ms,
                    int64_t end_ms, int weight);

/* Group numbers of a grouping that ever had a span are below this. */
uint32_t kpid_spans_gids(const struct kpid_spans *spans, size_t grouping);

/* The earliest begin of those that began before an instant and had not ended before it; false: there is none. */
bool kpid_spans_oldest(const struct kpid_spans *spans, size_t grouping, uint32_t gid, size_t track, int64_t at_ms,
                       int64_t *ret_begin_ms) KPID_MUST_CHECK;

#endif
