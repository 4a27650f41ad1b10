#include "core.h"

#include "kpid/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64

_Static_assert(sizeof(struct kpid_group) == LINE_BYTES, "a group is a cache line");

static uint32_t groups_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 59) << 27;
}

static bool groups_is(const struct kpid_group *group, const char *name, size_t len)
{
    return group->name_len == len && !memcmp(len <= sizeof(group->head) ? group->head : group->name, name, len);
}

static void groups_index_put(struct kpid_groups *groups, uint32_t gid)
{
    uint32_t mask = groups->index_cap - 1;
    uint32_t at = (uint32_t)groups->at[gid].hash & mask;

    while (groups->index[at])
        at = (at + 1) & mask;
    groups->index[at] = gid | groups_tag(groups->at[gid].hash);
}

static void groups_index_rebuild(struct kpid_groups *groups)
{
    uint32_t cap = 16;

    while (cap < groups->live * 2 + 2)
        cap *= 2;
    free(groups->index);
    groups->index = kpid_zalloc(cap, sizeof(*groups->index));
    groups->index_cap = cap;
    for (uint32_t gid = 1; gid < groups->n; gid++)
        if (groups->at[gid].name)
            groups_index_put(groups, gid);
}

static void groups_reserve(struct kpid_groups *groups, uint32_t n)
{
    assert(n - 1 <= KPID_GID_MAX);
    if (n > groups->cap) {
        uint32_t cap = groups->cap ? groups->cap * 2 : 16;
        if (cap < n)
            cap = n;
        void *memory = kpid_alloc(cap * sizeof(*groups->at) + LINE_BYTES);
        struct kpid_group *at = (struct kpid_group *)(((uintptr_t)memory + LINE_BYTES) & ~(uintptr_t)(LINE_BYTES - 1));
        if (groups->n)
            memcpy(at, groups->at, groups->n * sizeof(*at));
        memset(at + groups->n, 0, (cap - groups->n) * sizeof(*at));
        free(groups->memory);
        groups->memory = memory;
        groups->at = at;
        groups->cap = cap;
    }
    if (n > groups->n)
        groups->n = n;
}

static void groups_free_gid(struct kpid_groups *groups, uint32_t gid)
{
    if (groups->n_free == groups->cap_free) {
        groups->cap_free = groups->cap_free ? groups->cap_free * 2 : 16;
        groups->free_gids = kpid_realloc(groups->free_gids, groups->cap_free * sizeof(*groups->free_gids));
    }
    groups->free_gids[groups->n_free++] = gid;
}

void kpid_groups_init(struct kpid_groups *groups, uint64_t hash)
{
    memset(groups, 0, sizeof(*groups));
    groups->hash = hash;
    groups->other_last_ms = KPID_NEVER;
    groups_reserve(groups, 1);
}

void kpid_groups_loaded(struct kpid_groups *groups)
{
    for (uint32_t gid = 1; gid < groups->n; gid++)
        if (!groups->at[gid].name)
            groups_free_gid(groups, gid);
}

void kpid_groups_release(struct kpid_groups *groups)
{
    for (uint32_t gid = 0; gid < groups->n; gid++)
        free(groups->at[gid].name);
    free(groups->memory);
    free(groups->index);
    free(groups->free_gids);
    free(groups->dirty);
    memset(groups, 0, sizeof(*groups));
}

void kpid_groups_touch(struct kpid_groups *groups, uint32_t gid)
{
    struct kpid_group *group = &groups->at[gid];

    if (group->dirty)
        return;
    group->dirty = true;
    if (groups->n_dirty == groups->cap_dirty) {
        groups->cap_dirty = groups->cap_dirty ? groups->cap_dirty * 2 : 16;
        groups->dirty = kpid_realloc(groups->dirty, groups->cap_dirty * sizeof(*groups->dirty));
    }
    groups->dirty[groups->n_dirty++] = gid;
}

static void groups_insert(struct kpid_groups *groups, uint32_t gid, const char *name, size_t len,
                          int64_t first_ms, int64_t last_ms)
{
    struct kpid_group *group = &groups->at[gid];

    group->name = kpid_strndup(name, len);
    group->name_len = (uint32_t)len & INT32_MAX;
    memcpy(group->head, name, len < sizeof(group->head) ? len : sizeof(group->head));
    group->hash = kpid_hash(name, len, 0);
    group->first_ms = first_ms;
    group->last_ms = last_ms;
    groups->live++;
    if (groups->live * 2 > groups->index_cap)
        groups_index_rebuild(groups);
    else
        groups_index_put(groups, gid);
}

/* The event times of a group that an event belongs to. */
static inline void groups_see(struct kpid_groups *groups, uint32_t gid, int64_t ts_ms)
{
    struct kpid_group *group = &groups->at[gid];

    if (ts_ms <= group->last_ms && ts_ms >= group->first_ms)
        return;
    if (ts_ms > group->last_ms)
        group->last_ms = ts_ms;
    else
        group->first_ms = ts_ms;
    kpid_groups_touch(groups, gid);
}

static uint32_t groups_find(struct kpid_groups *groups, const char *name, size_t len, uint32_t max, int64_t ts_ms)
{
    uint64_t hash = kpid_hash(name, len, 0);
    uint32_t gid;

    if (groups->index_cap) {
        uint32_t mask = groups->index_cap - 1;
        uint32_t tag = groups_tag(hash), found;
        for (uint32_t at = (uint32_t)hash & mask; (found = groups->index[at]); at = (at + 1) & mask) {
            gid = found & KPID_GID_MAX;
            if ((found & ~KPID_GID_MAX) != tag)
                continue;
            struct kpid_group *group = &groups->at[gid];
            if (groups_is(group, name, len)) {
                groups_see(groups, gid, ts_ms);
                return gid;
            }
        }
    }
    if (groups->live >= max) {
        groups->refused++;
        if (ts_ms > groups->other_last_ms)
            groups->other_last_ms = ts_ms;
        return KPID_GID_OTHER;
    }
    gid = groups->n_free ? groups->free_gids[--groups->n_free] : groups->n;
    groups_reserve(groups, gid + 1);
    groups_insert(groups, gid, name, len, ts_ms, ts_ms);
    kpid_groups_touch(groups, gid);
    return gid;
}

uint32_t kpid_groups_intern(struct kpid_groups *groups, const char *name, size_t len, uint32_t max, int64_t ts_ms)
{
    uint64_t words[2] = { 0, 0 };

    if (len > KPID_GROUP_SHORT)
        return groups_find(groups, name, len, max, ts_ms);
    memcpy(words, name, len);
    uint64_t place = kpid_hash_mix(words[0], words[1]) % KPID_GROUP_MEMOS;
    struct kpid_group_memo *memo = &groups->memos[place];
    if (memo->len == len && memo->head == words[0] && memo->tail == words[1]) {
        groups_see(groups, memo->gid, ts_ms);
        return memo->gid;
    }
    uint32_t gid = groups_find(groups, name, len, max, ts_ms);
    if (gid != KPID_GID_OTHER)
        *memo = (struct kpid_group_memo){ words[0], words[1], (uint32_t)len, gid };
    return gid;
}

void kpid_groups_put(struct kpid_groups *groups, uint32_t gid, const char *name, size_t len, int64_t first_ms,
                     int64_t last_ms)
{
    groups_reserve(groups, gid + 1);
    struct kpid_group *group = &groups->at[gid];
    if (group->name && groups_is(group, name, len)) {
        group->first_ms = first_ms;
        group->last_ms = last_ms;
        return;
    }
    if (group->name) {
        /* A later page of the log: another group took the number over. */
        memset(groups->memos, 0, sizeof(groups->memos));
        free(group->name);
        group->name = NULL;
        groups->live--;
        groups_index_rebuild(groups);
    }
    groups_insert(groups, gid, name, len, first_ms, last_ms);
}

void kpid_groups_expire(struct kpid_groups *groups, int64_t before_ms)
{
    bool gone = false;

    for (uint32_t gid = 1; gid < groups->n; gid++) {
        struct kpid_group *group = &groups->at[gid];
        if (!group->name || group->cells || group->dirty || group->last_ms >= before_ms)
            continue;
        free(group->name);
        memset(group, 0, sizeof(*group));
        groups->live--;
        groups_free_gid(groups, gid);
        gone = true;
    }
    if (!gone)
        return;
    groups_index_rebuild(groups);
    memset(groups->memos, 0, sizeof(groups->memos));
}
