/*
 * Stored state travels as pages: packed bytes of at most KPID_PAGE_BYTES, written once and never changed. A shard's
 * state is a log of pages: each commit appends pages with what changed, as absolute values, and now and then names
 * pages that are no longer needed because everything in them was written again later. Reading all live pages in the
 * order of their ids gives the state. What the bytes mean is the engine's alone (engine/state.c).
 */
#ifndef KPID_FLOW_PAGE_H
#define KPID_FLOW_PAGE_H

#include "kpid/buf.h"

#define KPID_PAGE_BYTES 65536

struct kpid_page {
    uint64_t id; /* ascending in the order of writing, unique in a shard for ever */
    char *bytes;
    size_t len;
};

/* What one commit writes, beside the header's meta: all owned, release with kpid_commit_release. */
struct kpid_commit {
    struct kpid_buf meta;      /* the engine's part of the header: offsets, clocks, ledger, floors, outbox … */
    struct kpid_page *pages;   /* new ones, ascending ids */
    size_t n_pages;
    uint64_t *dropped;         /* ids of pages that this commit makes superfluous */
    size_t n_dropped;
    uint64_t changed_bytes;    /* of the pages: what differs from the last cut; the rest is written again only to be
                                  gathered */
    bool reset;                /* pages hold the whole state: every older page is superfluous */
};

void kpid_commit_release(struct kpid_commit *commit);

#endif
