/* All of it, many times: the store against a model that knows only what was acknowledged. */
#include "store_rig.h"

#define IDS 8192

struct model {
    unsigned salt[IDS];
    size_t len[IDS]; /* 0: not there */
    uint64_t next_id;
    uint64_t random;
};

static uint64_t draw(struct model *model, uint64_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (model->random >> 33) % below;
}

static void cut(struct model *model, bool whole, struct kpid_commit *commit, int step)
{
    memset(commit, 0, sizeof(*commit));
    commit->reset = whole;
    if (whole)
        memset(model->len, 0, sizeof(model->len));
    bool large = draw(model, 20) == 0;
    for (uint64_t n = draw(model, 5) + (large ? 30 : 0); n > 0; n--) {
        uint64_t id = model->next_id++;
        model->salt[id] = (unsigned)step;
        model->len[id] = large ? KPID_PAGE_BYTES : 1 + draw(model, 500);
        add_page(commit, id, model->len[id], model->salt[id]);
    }
    for (uint64_t n = draw(model, 4); n > 0 && model->next_id > 1 && !whole; n--) {
        uint64_t id = 1 + draw(model, model->next_id - 1);
        model->len[id] = 0;
        add_drop(commit, id);
    }
    kpid_buf_printf(&commit->meta, "step %d", step);
}

static void expect_model(const struct owner *owner, const struct model *model, int step)
{
    size_t at = 0;
    char meta[32];
    snprintf(meta, sizeof(meta), "step %d", step);
    cr_assert_str_eq(owner->loaded.meta.data, meta);
    for (uint64_t id = 1; id < model->next_id; id++) {
        if (model->len[id] == 0)
            continue;
        struct kpid_commit want = {0};
        add_page(&want, id, model->len[id], model->salt[id]);
        cr_assert(at < owner->loaded.n_pages && owner->loaded.pages[at].id == id, "step %d: page %d", step,
                  (int)id);
        cr_assert(owner->loaded.pages[at].len == want.pages[0].len &&
                  memcmp(owner->loaded.pages[at].bytes, want.pages[0].bytes, want.pages[0].len) == 0);
        kpid_commit_release(&want);
        at++;
    }
    cr_assert_eq(at, owner->loaded.n_pages, "step %d: %zu pages too many", step, owner->loaded.n_pages - at);
}

/* Breaks the connection somewhere between the sending and the answer. */
static void disturb(struct rig *rig, struct model *model, const struct owner *owner)
{
    int before = owner->answers;
    uint64_t turns = draw(model, 4);
    while (turns-- > 0 && owner->answers == before)
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    freeReplyObject(redis_server_ask(&rig->server, "CLIENT KILL TYPE normal SKIPME yes"));
}

Test(store_fire, a_thousand_commits_under_fire)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    static struct model model;
    struct owner *owner, *other;
    size_t downs = 0, behinds = 0;
    uint8_t nonce = 10;
    model = (struct model){.next_id = 1, .random = 42};
    rig_start(&rig, 5000);
    owner = &rig.a;
    other = &rig.b;
    cr_assert_eq(acquire_now(&rig, owner, nonce++), KPID_STORE_OK);
    for (int step = 1; step <= 1000; step++) {
        struct kpid_commit commit;
        int before = owner->answers;
        if (draw(&model, 50) == 0)
            freeReplyObject(redis_server_ask(&rig.server, "FLUSHALL"));
        cut(&model, draw(&model, 30) == 0, &commit, step);
        begin_commit(owner, &commit);
        if (draw(&model, 4) == 0)
            disturb(&rig, &model, owner);
        LOOP_UNTIL(rig.base, owner->answers > before);
        while (owner->status == KPID_STORE_DOWN && draw(&model, 3) > 0) {
            downs++;
            LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
            commit_now(&rig, owner, NULL);
        }
        while (owner->status == KPID_STORE_BEHIND) {
            behinds++;
            LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
            cut(&model, true, &commit, step);
            commit_now(&rig, owner, &commit);
        }
        cr_assert(owner->status == KPID_STORE_OK || owner->status == KPID_STORE_DOWN);
        if (owner->status == KPID_STORE_OK && draw(&model, 20) == 0) {
            struct owner *swap = owner;
            owner = other;
            other = swap;
            do {
                LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis));
                acquire_now(&rig, owner, nonce++);
            } while (owner->status == KPID_STORE_DOWN);
            cr_assert_eq(owner->status, KPID_STORE_OK, "%s", kpid_store_error(owner->store));
            expect_model(owner, &model, step);
        }
    }
    cr_expect(downs > 50 && behinds > 5, "%zu downs, %zu behinds", downs, behinds);
    LOOP_UNTIL(rig.base, kpid_redis_up(owner->redis) && kpid_redis_up(other->redis));
    if (commit_now(&rig, owner, NULL) == KPID_STORE_OK) {
        cr_assert_eq(acquire_now(&rig, other, nonce++), KPID_STORE_OK);
        expect_model(other, &model, 1000);
        LOOP_UNTIL(rig.base, swept(&rig, (long long)other->loaded.n_pages));
    }
    rig_stop(&rig);
}
