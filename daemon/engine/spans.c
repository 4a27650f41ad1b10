#include "spans.h"

#include <assert.h>
#include <stdlib.h>

#include "kpid/buf.h"
#include "kpid/hash.h"

struct node {
    int64_t begin_ms, end_ms;
    int64_t latest_ms;         /* end, of the node and all below it */
    uint32_t left, right;      /* position + 1, 0: none */
    uint32_t count, priority;
};

struct grouping {
    uint32_t *roots;           /* by gid * n_tracks + track: position + 1, 0: none */
    uint32_t n_gids, cap_gids;
};

struct kpid_spans {
    struct grouping *groupings;
    size_t n_groupings, n_tracks;
    struct node *nodes;
    uint32_t n, cap, free_list; /* freed nodes are chained by `left` */
};

struct kpid_spans *kpid_spans_new(size_t n_groupings, size_t n_tracks)
{
    struct kpid_spans *spans = kpid_zalloc(1, sizeof(*spans));

    spans->groupings = kpid_zalloc(n_groupings, sizeof(*spans->groupings));
    spans->n_groupings = n_groupings;
    spans->n_tracks = n_tracks;
    return spans;
}

void kpid_spans_free(struct kpid_spans *spans)
{
    if (!spans)
        return;
    for (size_t g = 0; g < spans->n_groupings; g++)
        free(spans->groupings[g].roots);
    free(spans->groupings);
    free(spans->nodes);
    free(spans);
}

size_t kpid_spans_bytes(const struct kpid_spans *spans)
{
    size_t bytes = spans->cap * sizeof(*spans->nodes);

    for (size_t g = 0; g < spans->n_groupings; g++)
        bytes += spans->groupings[g].cap_gids * spans->n_tracks * sizeof(uint32_t);
    return bytes;
}

/* ---- the treap ---- */

static struct node *node_at(const struct kpid_spans *spans, uint32_t ref)
{
    return &spans->nodes[ref - 1];
}

static void update(struct kpid_spans *spans, uint32_t ref)
{
    struct node *node = node_at(spans, ref);

    node->latest_ms = node->end_ms;
    if (node->left && node_at(spans, node->left)->latest_ms > node->latest_ms)
        node->latest_ms = node_at(spans, node->left)->latest_ms;
    if (node->right && node_at(spans, node->right)->latest_ms > node->latest_ms)
        node->latest_ms = node_at(spans, node->right)->latest_ms;
}

static uint32_t node_make(struct kpid_spans *spans, int64_t begin_ms, int64_t end_ms)
{
    uint32_t ref = spans->free_list;

    if (ref) {
        spans->free_list = node_at(spans, ref)->left;
    } else {
        if (spans->n == spans->cap) {
            spans->cap = spans->cap ? spans->cap + spans->cap / 2 : 64;
            spans->nodes = kpid_realloc(spans->nodes, spans->cap * sizeof(*spans->nodes));
        }
        ref = ++spans->n;
    }
    uint64_t hash = kpid_hash_mix(kpid_hash_mix(1, (uint64_t)begin_ms), (uint64_t)end_ms);
    *node_at(spans, ref) = (struct node){ .begin_ms = begin_ms, .end_ms = end_ms, .latest_ms = end_ms, .count = 1,
                                          .priority = (uint32_t)(hash >> 32) };
    return ref;
}

static int compare(const struct node *node, int64_t begin_ms, int64_t end_ms)
{
    if (node->begin_ms != begin_ms)
        return node->begin_ms < begin_ms ? -1 : 1;
    return node->end_ms < end_ms ? -1 : node->end_ms > end_ms;
}

static uint32_t rotate_right(struct kpid_spans *spans, uint32_t ref)
{
    uint32_t up = node_at(spans, ref)->left;

    node_at(spans, ref)->left = node_at(spans, up)->right;
    node_at(spans, up)->right = ref;
    update(spans, ref);
    update(spans, up);
    return up;
}

static uint32_t rotate_left(struct kpid_spans *spans, uint32_t ref)
{
    uint32_t up = node_at(spans, ref)->right;

    node_at(spans, ref)->right = node_at(spans, up)->left;
    node_at(spans, up)->left = ref;
    update(spans, ref);
    update(spans, up);
    return up;
}

/* The new root of the tree below `ref`. */
static uint32_t insert(struct kpid_spans *spans, uint32_t ref, int64_t begin_ms, int64_t end_ms)
{
    if (!ref)
        return node_make(spans, begin_ms, end_ms);
    int order = compare(node_at(spans, ref), begin_ms, end_ms);
    if (order == 0) {
        node_at(spans, ref)->count++;
        return ref;
    }
    uint32_t below = insert(spans, order > 0 ? node_at(spans, ref)->left : node_at(spans, ref)->right, begin_ms, end_ms);
    bool rises = node_at(spans, below)->priority > node_at(spans, ref)->priority;
    if (order > 0)
        node_at(spans, ref)->left = below;
    else
        node_at(spans, ref)->right = below;
    if (rises)
        return order > 0 ? rotate_right(spans, ref) : rotate_left(spans, ref);
    update(spans, ref);
    return ref;
}

/* Joins two trees, all of `a` before all of `b`. */
static uint32_t join(struct kpid_spans *spans, uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a ? a : b;
    if (node_at(spans, a)->priority > node_at(spans, b)->priority) {
        node_at(spans, a)->right = join(spans, node_at(spans, a)->right, b);
        update(spans, a);
        return a;
    }
    node_at(spans, b)->left = join(spans, a, node_at(spans, b)->left);
    update(spans, b);
    return b;
}

static uint32_t take(struct kpid_spans *spans, uint32_t ref, int64_t begin_ms, int64_t end_ms)
{
    assert(ref); /* it was added before */
    struct node *node = node_at(spans, ref);
    int order = compare(node, begin_ms, end_ms);

    if (order == 0) {
        if (--node->count)
            return ref;
        uint32_t rest = join(spans, node->left, node->right);
        node->left = spans->free_list;
        spans->free_list = ref;
        return rest;
    }
    if (order > 0)
        node->left = take(spans, node->left, begin_ms, end_ms);
    else
        node->right = take(spans, node->right, begin_ms, end_ms);
    update(spans, ref);
    return ref;
}

/* ---- groups ---- */

static uint32_t *root_of(struct kpid_spans *spans, size_t grouping, uint32_t gid, size_t track)
{
    struct grouping *g = &spans->groupings[grouping];

    if (gid >= g->cap_gids) {
        uint32_t cap = g->cap_gids ? g->cap_gids * 2 : 4;
        cap = cap > gid ? cap : gid + 1;
        g->roots = kpid_realloc(g->roots, cap * spans->n_tracks * sizeof(*g->roots));
        for (size_t i = g->cap_gids * spans->n_tracks; i < cap * spans->n_tracks; i++)
            g->roots[i] = 0;
        g->cap_gids = cap;
    }
    if (gid >= g->n_gids)
        g->n_gids = gid + 1;
    return &g->roots[gid * spans->n_tracks + track];
}

void kpid_spans_add(struct kpid_spans *spans, size_t grouping, uint32_t gid, size_t track, int64_t begin_ms,
                    int64_t end_ms, int weight)
{
    uint32_t *root = root_of(spans, grouping, gid, track);

    *root = weight > 0 ? insert(spans, *root, begin_ms, end_ms) : take(spans, *root, begin_ms, end_ms);
}

uint32_t kpid_spans_gids(const struct kpid_spans *spans, size_t grouping)
{
    return spans->groupings[grouping].n_gids;
}

bool kpid_spans_oldest(const struct kpid_spans *spans, size_t grouping, uint32_t gid, size_t track, int64_t at_ms,
                       int64_t *ret_begin_ms)
{
    const struct grouping *g = &spans->groupings[grouping];
    uint32_t ref = gid < g->n_gids ? g->roots[gid * spans->n_tracks + track] : 0;

    /* The first in order that ends late enough; if even that one begins too late, so do all that follow. */
    while (ref && node_at(spans, ref)->latest_ms >= at_ms) {
        const struct node *node = node_at(spans, ref);
        if (node->left && node_at(spans, node->left)->latest_ms >= at_ms) {
            ref = node->left;
        } else if (node->end_ms >= at_ms) {
            *ret_begin_ms = node->begin_ms;
            return node->begin_ms < at_ms;
        } else {
            ref = node->right;
        }
    }
    return false;
}
