#include "kept.h"

#include "kpid/hash.h"

#include <stdlib.h>
#include <string.h>

/* ---- a shard ---- */

static bool is_dropped(const struct kpid_commit *commit, uint64_t id)
{
    for (size_t d = 0; d < commit->n_dropped; d++)
        if (commit->dropped[d] == id)
            return true;
    return false;
}

/* In the store's order: a reset, then the new pages, then what is dropped, which may be new as well. */
void kept_shard_commit(struct kept_shard *kept, struct kpid_commit *commit)
{
    size_t n = commit->reset ? 0 : kept->n, kept_n = 0;

    for (size_t i = n; i < kept->n; i++)
        free(kept->pages[i].bytes);
    if (n + commit->n_pages > kept->cap) {
        kept->cap = (n + commit->n_pages) * 2;
        kept->pages = kpid_realloc(kept->pages, kept->cap * sizeof(*kept->pages));
    }
    for (size_t i = 0; i < commit->n_pages; i++) {
        kept->pages[n++] = commit->pages[i];
        commit->pages[i].bytes = NULL;
    }
    for (size_t i = 0; i < n; i++)
        if (is_dropped(commit, kept->pages[i].id))
            free(kept->pages[i].bytes);
        else
            kept->pages[kept_n++] = kept->pages[i];
    kept->n = kept_n;
    kpid_buf_clear(&kept->meta);
    kpid_buf_add(&kept->meta, commit->meta.data, commit->meta.len);
    kpid_commit_release(commit);
}

struct kpid_shard *kept_shard_load(const struct kept_shard *kept, const struct kpid_model *model, uint32_t source,
                                   int32_t partition, const char **why)
{
    struct kpid_shard *shard = kpid_shard_new(model, source, partition);

    if (kept->meta.len && !kpid_shard_load(shard, kept->meta.data, kept->meta.len, kept->pages, kept->n, why)) {
        kpid_shard_free(shard);
        return NULL;
    }
    return shard;
}

void kept_shard_release(struct kept_shard *kept)
{
    for (size_t i = 0; i < kept->n; i++)
        free(kept->pages[i].bytes);
    free(kept->pages);
    kpid_buf_release(&kept->meta);
}

/* ---- states ---- */

static void index_grow(struct kept_states *states)
{
    free(states->index);
    states->index_cap = states->index_cap ? states->index_cap * 2 : 256;
    states->index = kpid_zalloc(states->index_cap, sizeof(*states->index));
    for (size_t i = 0; i < states->n; i++) {
        size_t at = states->at[i].hash & (states->index_cap - 1);
        while (states->index[at])
            at = (at + 1) & (states->index_cap - 1);
        states->index[at] = (uint32_t)i + 1;
    }
}

static struct kept_state *state_find(struct kept_states *states, const char *key, size_t key_len)
{
    uint64_t hash = kpid_hash(key, key_len, 0);

    if ((states->n + 1) * 2 > states->index_cap)
        index_grow(states);
    size_t at = hash & (states->index_cap - 1);
    for (; states->index[at]; at = (at + 1) & (states->index_cap - 1)) {
        struct kept_state *state = &states->at[states->index[at] - 1];
        if (state->hash == hash && state->key_len == key_len && !memcmp(state->key, key, key_len))
            return state;
    }
    if (states->n == states->cap) {
        states->cap = states->cap ? states->cap * 2 : 64;
        states->at = kpid_realloc(states->at, states->cap * sizeof(*states->at));
    }
    states->at[states->n++] = (struct kept_state){ .key = kpid_strndup(key, key_len), .key_len = key_len, .hash = hash };
    states->index[at] = (uint32_t)states->n;
    return &states->at[states->n - 1];
}

void kept_states_put(struct kept_states *states, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct kept_state *state = state_find(states, key, key_len);

    free(state->bytes);
    state->bytes = bytes ? kpid_strndup("", 0) : NULL;
    if (bytes) {
        state->bytes = kpid_realloc(state->bytes, len + 1);
        memcpy(state->bytes, bytes, len);
    }
    state->len = len;
}

void kept_states_clear(struct kept_states *states)
{
    for (size_t i = 0; i < states->n; i++) {
        free(states->at[i].key);
        free(states->at[i].bytes);
    }
    free(states->at);
    free(states->index);
    memset(states, 0, sizeof(*states));
}

void kept_states_commit(struct kept_states *kept, struct kept_states *round)
{
    size_t living = 0;

    for (size_t i = 0; i < round->n; i++)
        kept_states_put(kept, round->at[i].key, round->at[i].key_len, round->at[i].bytes, round->at[i].len);
    kept_states_clear(round);
    for (size_t i = 0; i < kept->n; i++)
        living += kept->at[i].bytes != NULL;
    if (kept->n < 1024 || living * 2 > kept->n)
        return;
    struct kept_states fresh = { 0 };
    for (size_t i = 0; i < kept->n; i++)
        if (kept->at[i].bytes)
            kept_states_put(&fresh, kept->at[i].key, kept->at[i].key_len, kept->at[i].bytes, kept->at[i].len);
    kept_states_clear(kept);
    *kept = fresh;
}
