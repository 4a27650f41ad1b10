/* What must hold: at every moment Redis has, of each partition, the recount up to the offset that lies beside
 * it. */
#include "run_internal.h"

#include "store/scripts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct value *find(struct run *run, int32_t partition, const char *suffix)
{
    char key[160];
    int len = snprintf(key, sizeof(key), RUN_KEY_FORMAT, partition, suffix);
    return server_find(&run->server, key, (size_t)len);
}

static const struct blob *get(const struct value *header, const char *name)
{
    return value_get(header, name, strlen(name));
}

void check_shard(struct run *run, int32_t partition, struct kpid_shard *shard, const char *where)
{
    int64_t offset = kpid_shard_next_offset(shard, 0);
    const struct digest *recount = world_recount(run->world, run->set, partition, offset < 0 ? 0 : offset);
    struct digest digest;
    world_digest(run->world, shard, &digest);
    const char *what = world_differs(run->world, recount, &digest);
    if (what)
        run_fault(run, "partition %d at offset %lld, %s: %s is not the recount's", partition,
                  (long long)offset, where, what);
}

static int by_id(const void *a, const void *b)
{
    const struct kpid_page *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The pages of the manifest; their number, or SIZE_MAX: one is missing. */
static size_t read_pages(struct run *run, int32_t partition, const struct value *manifest,
                         struct kpid_page *pages)
{
    for (size_t i = 0; manifest && i < manifest->n; i++) {
        const struct blob *entry = manifest->fields[i].value;
        char suffix[160];
        snprintf(suffix, sizeof(suffix), "p:%.*s", (int)strcspn(entry->bytes, " "), entry->bytes);
        const struct value *page = find(run, partition, suffix);
        if (!page)
            return SIZE_MAX;
        pages[i] = (struct kpid_page){strtoull(manifest->fields[i].name->bytes, NULL, 10),
                                      page->string->bytes, page->string->len};
    }
    if (manifest)
        qsort(pages, manifest->n, sizeof(*pages), by_id);
    return manifest ? manifest->n : 0;
}

static void check_stored(struct run *run, int32_t partition, const struct blob *meta,
                         const struct kpid_page *pages, size_t n)
{
    const char *why = "";
    struct kpid_shard *shard = kpid_shard_new(world_model(run->world), 0, partition);
    run->counts->checks++;
    if (meta->len > 0 && !kpid_shard_load(shard, meta->bytes, meta->len, pages, n, &why)) {
        run_fault(run, "partition %d: what Redis holds can't be loaded: %s", partition, why);
    } else {
        int64_t offset = kpid_shard_next_offset(shard, 0);
        check_shard(run, partition, shard, "in Redis");
        if (offset < run->stored[partition] && run->losses == 0)
            run_fault(run, "partition %d: the stored offset went back to %lld", partition, (long long)offset);
        run->stored[partition] = offset;
    }
    kpid_shard_free(shard);
}

void check_partition(struct run *run, int32_t partition, bool always)
{
    const struct value *header = find(run, partition, "h"), *manifest = find(run, partition, "m");
    const struct blob *count = header ? get(header, "pages") : NULL;
    if (!header || (!always && !random_chance(&run->random, 1, 6)))
        return;
    struct kpid_page *pages = kpid_zalloc((manifest ? manifest->n : 0) + 1, sizeof(*pages));
    size_t n = read_pages(run, partition, manifest, pages);
    bool whole = n != SIZE_MAX && (size_t)atoll(count->bytes) == (manifest ? manifest->n : 0);
    if (whole)
        check_stored(run, partition, get(header, "meta"), pages, n);
    else if (run->losses == 0)
        run_fault(run, "partition %d: a page of the manifest is not in Redis", partition);
    free(pages);
}

void check_executed(void *ctx, const struct command *command, const struct kpid_reply *reply)
{
    struct run *run = ctx;
    if (run->options->mirror)
        run->options->mirror->executed(run->options->mirror->ctx, &run->server, command, reply);
    if (!command->script)
        return;
    const char *brace = strchr(command->words[0]->bytes, '}');
    int32_t partition = brace ? atoi(brace - 1) : 0;
    if (command->script == KPID_SCRIPT_COMMIT)
        run->counts->staged += command->words[command->n_keys + 7]->bytes[0] == '1';
    check_partition(run, partition, false);
}

/* ---- the end ---- */

static bool has(const struct value *set, const char *name)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (blob_is(set->fields[i].name, name, strlen(name)))
            return true;
    return false;
}

/* Pages that no manifest names and no sweep will find. */
static void count_left_behind(struct run *run)
{
    for (size_t i = 0; i < run->server.now.n; i++) {
        const char *page = strstr(run->server.now.at[i].key->bytes, "}:p:");
        if (!page)
            continue;
        const struct value *manifest = find(run, atoi(page - 1), "m");
        const struct blob *entry = value_get(manifest, page + 4, strcspn(page + 4, "."));
        bool named = entry && strncmp(entry->bytes, page + 4, strcspn(entry->bytes, " ")) == 0;
        if (named || has(find(run, atoi(page - 1), "o"), page + 4))
            continue;
        run->counts->left_behind++;
        run_trace(run, "%s is left behind", run->server.now.at[i].key->bytes);
        if (run->losses == 0 && !run->broke_off)
            run_fault(run, "%s is left behind", run->server.now.at[i].key->bytes);
    }
}

void check_end(struct run *run)
{
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        check_partition(run, p, true);
        check_shard(run, p, run->instances[run->assigned[p]].parts[p].shard, "at the end");
        if (run->stored[p] != WORLD_EVENTS)
            run_fault(run, "partition %d: Redis holds %lld of %d events at the end", p,
                      (long long)run->stored[p], WORLD_EVENTS);
        for (int64_t offset = 0; offset < WORLD_EVENTS; offset++)
            if (!run->delivered[p][offset] && world_is_dead(run->world, run->set, p, offset))
                run_fault(run, "partition %d: the dead letter of offset %lld never came", p,
                          (long long)offset);
    }
    count_left_behind(run);
}
