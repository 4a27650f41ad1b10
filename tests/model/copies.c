#include "copies.h"

#include <stdlib.h>

void copy_drop(struct copy *copy)
{
    kpid_shard_free(copy->shard);
    free(copy->ids);
    *copy = (struct copy){ 0 };
}

static const struct kpid_page *page_of(const struct kept_shard *kept, uint64_t id)
{
    for (size_t i = 0; i < kept->n; i++)
        if (kept->pages[i].id == id)
            return &kept->pages[i];
    return NULL;
}

bool copy_follow(struct copy *copy, const struct kept_shard *kept, const struct kpid_model *model, uint32_t source,
                 int32_t partition, const char **why)
{
    uint64_t *ids;
    size_t n, from = copy->n;

    if (!kept->meta.len)
        return true;
    *why = "the meta can't be read";
    if (!kpid_meta_pages(kept->meta.data, kept->meta.len, &ids, &n))
        return false;
    for (size_t i = 0; i < copy->n; i++)
        if (i >= n || ids[i] != copy->ids[i])
            from = 0;
    struct kpid_shard *old = NULL;
    if (from == 0) {
        old = copy->shard;
        copy->shard = kpid_shard_copy_new(model, source, partition);
        if (old)
            kpid_shard_copy_replaces(copy->shard, old);
    }
    struct kpid_page *pages = kpid_alloc((n + 1) * sizeof(*pages));
    bool there = true;
    for (size_t i = from; i < n; i++) {
        const struct kpid_page *page = page_of(kept, ids[i]);
        there = there && page;
        if (page)
            pages[i - from] = *page;
    }
    *why = "a page is missing";
    bool good = there && kpid_shard_follow(copy->shard, kept->meta.data, kept->meta.len, pages, n - from, why);
    kpid_shard_free(old);
    free(pages);
    free(copy->ids);
    copy->ids = ids;
    copy->n = n;
    return good;
}
