/* Each instance follows the shards of the others, as the one that publishes does (daemon/app/foreign.c). */
#include "run_internal.h"

#include "kpid/follow.h"

#include <string.h>

static bool pages_of(void *ctx, const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n)
{
    (void)ctx;
    return kpid_meta_pages(meta, meta_len, ret, ret_n);
}

static bool take(struct part *part, const struct kpid_follow_news *news)
{
    struct run *run = part->instance->run;
    const char *why = "";
    struct kpid_shard *old = NULL;
    if (news->whole || !part->copy) {
        old = part->copy;
        part->copy = kpid_shard_copy_new(world_model(run->world), 0, part->partition);
        if (old && strcmp(part->copy_nonce, news->nonce) == 0)
            kpid_shard_copy_replaces(part->copy, old);
    }
    bool good = kpid_shard_follow(part->copy, news->meta, news->meta_len, news->pages, news->n_pages, &why);
    kpid_shard_free(old);
    memcpy(part->copy_nonce, news->nonce, sizeof(part->copy_nonce));
    if (!good)
        run_fault(run, "partition %d: what was followed can't be read: %s", part->partition, why);
    else
        check_shard(run, part->partition, part->copy, news->whole ? "followed anew" : "followed");
    run->counts->follows++;
    return good;
}

static bool on_news(void *ctx, const struct kpid_follow_news *news)
{
    struct part *part = ctx;
    run_trace(part->instance->run, "%d/%d follows: %d, %s %llu, %zu pages%s",
              (int)(part->instance - part->instance->run->instances), part->partition, (int)news->status,
              news->nonce, (unsigned long long)news->seq, news->n_pages, news->whole ? ", whole" : "");
    if (news->status == KPID_FOLLOW_NEW)
        return take(part, news);
    if (news->status != KPID_FOLLOW_ABSENT)
        return true;
    kpid_shard_free(part->copy);
    part->copy = NULL;
    return false;
}

void follow_act(struct part *part)
{
    static const struct kpid_follow_events events = {pages_of, on_news};
    struct kpid_store_name name = {"kpi", "c", "g", "shop", part->partition};
    if (!part->follower)
        part->follower = kpid_follower_new(part->instance->link, &name, &events, part);
    if (!kpid_follower_busy(part->follower))
        kpid_follower_look(part->follower);
}

void follow_free(struct part *part)
{
    kpid_follower_free(part->follower);
    kpid_shard_free(part->copy);
    part->follower = NULL;
    part->copy = NULL;
}
