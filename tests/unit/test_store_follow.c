/* Reading another owner's shard from commit to commit: only what is new, and never a state that no header had. */
#include "store_rig.h"

#include "kpid/follow.h"

struct reader {
    struct kpid_follower *follower;
    int answers;
    bool refuses;
    enum kpid_follow_status status;
    bool whole;
    char nonce[33], meta[64], live[64], ids[64]; /* ids: of the pages handed over, "1 2 " */
    uint64_t seq;
    unsigned salt; /* that pages must have been written with */
};

/* The meta of these tests is the list of its pages. */
static bool pages_of(void *ctx, const void *meta, size_t meta_len, uint64_t **ret, size_t *ret_n)
{
    (void)ctx;
    char text[64], *at = text, *end;
    cr_assert(meta_len < sizeof text);
    memcpy(text, meta, meta_len);
    text[meta_len] = '\0';
    uint64_t *ids = kpid_alloc(64 * sizeof *ids);
    size_t n = 0;
    for (uint64_t id; (id = strtoull(at, &end, 10)), end != at; at = end)
        ids[n++] = id;
    *ret = ids;
    *ret_n = n;
    return true;
}

static bool on_news(void *ctx, const struct kpid_follow_news *news)
{
    struct reader *reader = ctx;
    reader->answers++;
    reader->status = news->status;
    reader->seq = news->seq;
    snprintf(reader->nonce, sizeof reader->nonce, "%s", news->nonce);
    snprintf(reader->live, sizeof reader->live, "%.*s", (int)news->live_len, news->live ? news->live : "");
    if (news->status != KPID_FOLLOW_NEW)
        return true;
    reader->whole = news->whole;
    snprintf(reader->meta, sizeof reader->meta, "%.*s", (int)news->meta_len, (const char *)news->meta);
    reader->ids[0] = '\0';
    for (size_t i = 0; i < news->n_pages; i++) {
        struct kpid_commit want = {0};
        add_page(&want, news->pages[i].id, 100, reader->salt);
        cr_expect(news->pages[i].len == 100 && !memcmp(news->pages[i].bytes, want.pages[0].bytes, 100), "page %llu",
                  (unsigned long long)news->pages[i].id);
        kpid_commit_release(&want);
        size_t len = strlen(reader->ids);
        snprintf(reader->ids + len, sizeof reader->ids - len, "%llu ", (unsigned long long)news->pages[i].id);
    }
    return !reader->refuses;
}

static void reader_open(struct rig *rig, struct reader *reader)
{
    static const struct kpid_follow_events events = {pages_of, on_news};
    struct kpid_store_name name = {"kpi", "c:1", "g", "{s}", 3};
    memset(reader, 0, sizeof *reader);
    reader->follower = kpid_follower_new(rig->b.redis, &name, &events, reader);
    cr_assert_str_eq(kpid_follower_key(reader->follower), kpid_store_key(rig->a.store));
}

static enum kpid_follow_status look(struct rig *rig, struct reader *reader)
{
    int before = reader->answers;
    kpid_follower_look(reader->follower);
    LOOP_UNTIL(rig->base, reader->answers > before);
    cr_assert_eq(reader->answers, before + 1);
    cr_assert(!kpid_follower_busy(reader->follower));
    return reader->status;
}

static void expect(struct rig *rig, struct reader *reader, bool whole, const char *meta, const char *ids)
{
    cr_assert_eq(look(rig, reader), KPID_FOLLOW_NEW);
    cr_expect_eq(reader->whole, whole, "%s", meta);
    cr_expect_str_eq(reader->meta, meta);
    cr_expect_str_eq(reader->ids, ids);
}

static void begin(struct rig *rig, struct reader *reader)
{
    rig_start(rig, 5000);
    reader_open(rig, reader);
    cr_assert_eq(look(rig, reader), KPID_FOLLOW_ABSENT);
    cr_assert_eq(acquire_now(rig, &rig->a, 1), KPID_STORE_OK);
    cr_assert_eq(look(rig, reader), KPID_FOLLOW_ABSENT, "a header without state");
    cr_assert_eq(commit_small(rig, &rig->a, 1, 2, "1 2"), KPID_STORE_OK);
    expect(rig, reader, true, "1 2", "1 2 ");
}

static void end(struct rig *rig, struct reader *reader)
{
    kpid_follower_free(reader->follower);
    rig_stop(rig);
}

Test(store_follow, only_what_is_new_is_read)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 1, "1 2 3"));
    EXPECT_OK(commit_small(&rig, &rig.a, 4, 2, "1 2 3 4 5"));
    expect(&rig, &reader, false, "1 2 3 4 5", "3 4 5 ");
    cr_expect_eq(reader.seq, kpid_store_seq(rig.a.store));
    cr_expect_str_eq(reader.nonce, kpid_store_nonce(rig.a.store));
    cr_assert_eq(look(&rig, &reader), KPID_FOLLOW_SAME);
    cr_expect_str_eq(reader.live, "");
    redis_server_number(&rig.server, "SETNX %s alive", key(&rig, "l"));
    cr_assert_eq(look(&rig, &reader), KPID_FOLLOW_SAME);
    cr_expect_str_eq(reader.live, "alive");
    EXPECT_OK(commit_small(&rig, &rig.a, 6, 0, "1 2 3 4 5"));
    expect(&rig, &reader, false, "1 2 3 4 5", "");
    end(&rig, &reader);
}

Test(store_follow, pages_that_went_make_it_begin_anew)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    struct kpid_commit commit = {0};
    add_page(&commit, 3, 100, 0);
    add_drop(&commit, 1);
    set_meta(&commit, "2 3");
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    expect(&rig, &reader, true, "2 3", "2 3 ");
    /* Another owner: the same pages, but who knows. */
    cr_assert_eq(acquire_now(&rig, &rig.b, 2), KPID_STORE_OK);
    expect(&rig, &reader, true, "2 3", "2 3 ");
    end(&rig, &reader);
}

Test(store_follow, the_same_ids_after_a_reset_are_other_pages)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    struct kpid_commit commit = {.reset = true};
    for (uint64_t id = 1; id <= 3; id++)
        add_page(&commit, id, 100, 9);
    set_meta(&commit, "1 2 3");
    EXPECT_OK(commit_now(&rig, &rig.a, &commit));
    reader.salt = 9;
    expect(&rig, &reader, true, "1 2 3", "1 2 3 ");
    end(&rig, &reader);
}

Test(store_follow, what_is_torn_is_not_handed_over)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 1, "1 2 3"));
    /* A page that is not there, as if it had just been swept. */
    redisReply *found = redis_server_ask(&rig.server, "HGET %s 3", key(&rig, "m"));
    char *entry = kpid_strdup(found->str);
    freeReplyObject(found);
    *strchr(entry, ' ') = '\0';
    cr_assert_eq(redis_server_number(&rig.server, "RENAMENX %s:%s away", key(&rig, "p"), entry), 1);
    cr_assert_eq(look(&rig, &reader), KPID_FOLLOW_AGAIN);
    cr_assert_eq(redis_server_number(&rig.server, "RENAMENX away %s:%s", key(&rig, "p"), entry), 1);
    /* An entry of the manifest that is newer than the header. */
    cr_assert_eq(redis_server_number(&rig.server, "HINCRBY %s seq -1", key(&rig, "h")), 2);
    cr_assert_neq(look(&rig, &reader), KPID_FOLLOW_NEW);
    cr_assert_eq(redis_server_number(&rig.server, "HINCRBY %s seq 1", key(&rig, "h")), 3);
    expect(&rig, &reader, false, "1 2 3", "3 ");
    free(entry);
    end(&rig, &reader);
}

Test(store_follow, a_lost_suffix_and_a_refusal_make_it_begin_anew)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 1, "1 2 3"));
    expect(&rig, &reader, false, "1 2 3", "3 ");
    /* Redis as it was before the last commit. */
    cr_assert_eq(redis_server_number(&rig.server, "HDEL %s 3", key(&rig, "m")), 1);
    cr_assert_eq(redis_server_number(&rig.server, "HSET %s seq 2 meta %s", key(&rig, "h"), "1 2"), 0);
    reader.refuses = true;
    cr_assert_eq(look(&rig, &reader), KPID_FOLLOW_NEW);
    cr_expect(reader.whole);
    reader.refuses = false;
    cr_assert_eq(look(&rig, &reader), KPID_FOLLOW_NEW, "what could not be used is handed over again");
    cr_expect(reader.whole);
    end(&rig, &reader);
}

Test(store_follow, freed_while_it_waits)
{
    SKIP_WITHOUT_REDIS();
    struct rig rig;
    struct reader reader;
    begin(&rig, &reader);
    kpid_follower_look(reader.follower);
    kpid_follower_free(reader.follower);
    EXPECT_OK(commit_small(&rig, &rig.a, 3, 1, "1 2 3"));
    cr_expect_eq(reader.answers, 3);
    rig_stop(&rig);
}
