/*
 * Removing pages that no manifest names: those that a commit dropped, and those of commits that broke off.
 * Their names are in the orphans' set, which is worked off a batch at a time, behind the commits. The script
 * asks the manifest, so that a page in use is never removed whatever this process believes. Names of a commit
 * of ours that is still in doubt are left alone. A sweep that fails is taken up again after a later commit,
 * or at the next acquisition.
 */
#include "store_internal.h"

#include <stdlib.h>
#include <string.h>

#define BATCH      256
#define BATCH_TEXT "256"

static void ask(struct kpid_store *store);

static void on_swept(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    store->sweeping = false;
    if (reply->kind == KPID_REPLY_INT && reply->integer == 1)
        ask(store);
    else
        store->unswept = true;
}

/* <id>.<nonce>.<seq>: ours and newer than what is acknowledged means that it may be needed yet. */
static bool may_be_needed(const struct kpid_store *store, const struct kpid_reply *name)
{
    const char *dot = memchr(name->str, '.', name->len);
    size_t left = dot ? name->len - (size_t)(dot + 1 - name->str) : 0;
    uint64_t seq;
    if (left < 34 || memcmp(dot + 1, store->nonce, 32) != 0)
        return false;
    return kpid_store_parse_u64(dot + 34, left - 33, &seq) && seq > store->seq;
}

static void sweep(struct kpid_store *store, const struct kpid_reply *names)
{
    struct kpid_bulk keys[3 + BATCH], args[1 + 2 * BATCH] = {{store->nonce, 32}};
    struct kpid_buf texts[BATCH];
    size_t n = 0;
    for (size_t i = 0; i < names->n_items && n < BATCH; i++) {
        const struct kpid_reply *name = &names->items[i];
        if (name->kind != KPID_REPLY_STR || may_be_needed(store, name))
            continue;
        const char *dot = memchr(name->str, '.', name->len);
        texts[n] = (struct kpid_buf)KPID_BUF_INIT;
        kpid_buf_printf(&texts[n], "%s:p:", store->key);
        kpid_buf_add(&texts[n], name->str, name->len);
        keys[3 + n] = (struct kpid_bulk){texts[n].data, texts[n].len};
        args[1 + 2 * n] = (struct kpid_bulk){name->str, dot ? (size_t)(dot - name->str) : 0};
        args[2 + 2 * n] = (struct kpid_bulk){name->str, name->len};
        n++;
    }
    if (n > 0) {
        store->sweeping = true;
        kpid_store_eval(store, KPID_TASK_SWEEP, &store->sweep_script, keys, 3 + n, args, 1 + 2 * n, on_swept);
    }
    for (size_t i = 0; i < n; i++)
        kpid_buf_release(&texts[i]);
}

static void on_names(struct kpid_store *store, const struct kpid_reply *reply, size_t number)
{
    (void)number;
    store->sweeping = false;
    if (reply->kind == KPID_REPLY_ARRAY)
        sweep(store, reply);
    else
        store->unswept = true;
}

static void ask(struct kpid_store *store)
{
    struct kpid_bulk bulks[] = {KPID_BULK_STR("SRANDMEMBER"), KPID_BULK_STR(store->orphans),
                                KPID_BULK_STR(BATCH_TEXT)};
    store->sweeping = true;
    kpid_store_send(store, KPID_TASK_SWEEP, bulks, 3, on_names, 0);
}

void kpid_store_sweep(struct kpid_store *store)
{
    if (store->sweeping)
        return;
    store->unswept = false;
    ask(store);
}
