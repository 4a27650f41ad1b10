/*
 * The bytes of stored state (format 5), shared by writer and reader. What the header says of pages stands first in it,
 * so that whoever only follows another instance's state knows what to fetch; format 4, which is read and written too,
 * has that last, and does not number touches: who follows it tells them again with each commit until they are dropped.
 * A page is never of a newer format than the header that names it.
 *
 * A page is: format, then records; a record is: kind, length, body. Bodies, all in the encoding of pack.h:
 *   GROUPS  grouping hash; then (gid, values, first and last event time) until the end
 *   CELLS   measure hash, grouping hash, rung hash, base?, pane start; then (gid, cell) until the end
 *   KEYS    measure hash, its grouping hashes but the total's; then keys (keyed_store.c) until the end
 *   MARKS   slice start, marks (dedup.c)
 * Pages are read in the order of their ids and a later record replaces an earlier one of the same cell, group or key,
 * so a record may be written again at any time. What is older than its rung's floor is left out.
 *
 * The log of pages is cleaned by a walk: once it is twice as long as the state was, everything is written again, a
 * little with each cut; at the walk's end all pages older than its beginning are dropped. So each byte of state is
 * written about twice, however long the daemon runs.
 */
#ifndef KPID_ENGINE_STATE_FORMAT_H
#define KPID_ENGINE_STATE_FORMAT_H

#include "core.h"

#define STATE_FORMAT        5
#define STATE_FORMAT_OLDEST 4 /* that is read and written */

enum { STATE_GROUPS = 1, STATE_CELLS, STATE_KEYS, STATE_MARKS };

#define STATE_WALK_MIN  (UINT64_C(1) << 20)  /* a log below this is left alone */
#define STATE_WALK_STEP (UINT64_C(512) << 10) /* bytes of a walk that one cut writes */

/* state_meta.c. known[measure]: its pages can be read. NULL, or why it is damaged (a static text). */
const char *kpid_state_read_meta(struct kpid_shard *shard, const void *meta, size_t len, bool *known);
void kpid_state_write_meta(const struct kpid_shard *shard, struct kpid_buf *out);
/* Formats that are read, as the first number of meta or page. */
bool kpid_state_readable(uint64_t format);
/* A measure that the state does not know (or no longer fits) is complete from the highest event time on. */
void kpid_state_begin_now(struct kpid_shard *shard, struct kpid_measure_state *m);
/* Positions of what a stored hash names, SIZE_MAX: nothing any more. */
size_t kpid_state_grouping_find(const struct kpid_shard *shard, uint64_t hash);
size_t kpid_state_measure_find(const struct kpid_shard *shard, uint64_t hash);
size_t kpid_state_rung_find(const struct kpid_measure *def, uint64_t hash);
size_t kpid_state_place_find(const struct kpid_shard *shard, const struct kpid_measure *def, uint64_t grouping_hash);

/* state_read.c */
bool kpid_state_read_page(struct kpid_shard *shard, const struct kpid_page *page, const bool *known) KPID_MUST_CHECK;

#endif
