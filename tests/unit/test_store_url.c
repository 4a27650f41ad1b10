#include <criterion/criterion.h>

#include "store/redis_url.h"
#include "store/resp.h"
#include "store/sha1.h"
#include "kpid/store.h"

#include <string.h>

Test(store_url, reads_what_is_right)
{
    static const struct {
        const char *text, *path, *host, *user, *password;
        int port, db;
    } RIGHT[] = {
        {"redis://localhost:6379", NULL, "localhost", NULL, NULL, 6379, 0},
        {"redis://localhost", NULL, "localhost", NULL, NULL, 6379, 0},
        {"redis://h:7000/3", NULL, "h", NULL, NULL, 7000, 3},
        {"redis://h:7000/", NULL, "h", NULL, NULL, 7000, 0},
        {"redis://[::1]:7000/3", NULL, "::1", NULL, NULL, 7000, 3},
        {"redis://u:p@h:1", NULL, "h", "u", "p", 1, 0},
        {"redis://:p@h:1", NULL, "h", NULL, "p", 1, 0},
        {"redis://u%3A:a%40%2Fb:c@d@h:1", NULL, "h", "u:", "a@/b:c@d", 1, 0},
        {"unix:/run/redis.sock", "/run/redis.sock", NULL, NULL, NULL, 0, 0},
        {"unix:///run/re%20dis", "/run/re dis", NULL, NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(RIGHT); i++) {
        struct kpid_redis_url url;
        struct kpid_buf error = KPID_BUF_INIT;
        cr_assert(kpid_redis_url_parse(RIGHT[i].text, &url, &error), "%s: %s", RIGHT[i].text, error.data);
        const char *const got[] = {url.path, url.host, url.user, url.password};
        const char *const want[] = {RIGHT[i].path, RIGHT[i].host, RIGHT[i].user, RIGHT[i].password};
        for (size_t j = 0; j < 4; j++)
            cr_expect(got[j] == want[j] || (got[j] && want[j] && strcmp(got[j], want[j]) == 0), "%s: %s",
                      RIGHT[i].text, got[j] ? got[j] : "NULL");
        cr_expect_eq(url.port, RIGHT[i].port);
        cr_expect_eq(url.db, RIGHT[i].db);
        kpid_redis_url_release(&url);
    }
}

Test(store_url, refuses_what_is_wrong_and_keeps_the_password_to_itself)
{
    static const char *const WRONG[] = {
        "",
        "localhost:6379",
        "http://h:1",
        "rediss://:SECRET@h:1",
        "redis://",
        "redis://:6379",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:6x",
        "redis://h:1/x",
        "redis://h:1/-1",
        "redis://[::1:6379",
        "redis://[::1]6379",
        "redis://u@h:1",
        "redis://u:@h:1",
        "redis://u:SECRET%4@h:1",
        "redis://u:SECRET%zz@h",
        "redis://u:SECRET%00@h",
        "redis://%G0:SECRET@h",
        "redis://h:1/0?db=1",
        "redis://:SECRET#x@h:1",
        "redis+sentinel://h:1",
        "redis+sentinel://h:1/",
        "redis+sentinel:///m",
        "redis+sentinel://h:1,/m",
        "redis+sentinel://h:1/m/x",
        "redis+sentinel://h:1/m?password=SECRET",
        "redis+sentinel://h:1/m?sentinel=SECRET",
        "redis+sentinel://h:1/m?sentinel=:",
        "redis+sentinel://:SECRET%4@h:1/m",
        "redis+cluster://",
        "redis+cluster://h:1,h:0",
        "redis+cluster://h:1/3",
        "redis+cluster://:SECRET@h:1/?x",
        "unix:run/redis",
        "unix:",
        "unix:/a%2",
        "unix:/"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567",
    };
    for (size_t i = 0; i < KPID_COUNT_OF(WRONG); i++) {
        struct kpid_redis_url url;
        struct kpid_buf error = KPID_BUF_INIT;
        cr_assert(!kpid_redis_url_parse(WRONG[i], &url, &error), "%s", WRONG[i]);
        cr_expect(error.len > 0 && !strstr(error.data, "SECRET"), "%s: %s", WRONG[i], error.data);
        kpid_buf_release(&error);
    }
}

/* The places are compared as text. */
static void expect_places(const struct kpid_redis_url *url, const char *want)
{
    struct kpid_buf got = KPID_BUF_INIT;
    for (size_t i = 0; i < url->n_places; i++)
        kpid_buf_printf(&got, "%s%s %d", i ? ", " : "", url->places[i].host, url->places[i].port);
    cr_expect_str_eq(got.data, want);
    kpid_buf_release(&got);
}

Test(store_url, reads_sentinels_and_clusters)
{
    struct kpid_redis_url url;
    struct kpid_buf error = KPID_BUF_INIT;
    cr_assert(kpid_redis_url_parse("redis+sentinel://u:p%2F@a,b:1,[::1]:2/m%2Fn/3?sentinel=s:q@", &url, &error));
    cr_expect_eq(url.topology, KPID_REDIS_SENTINEL);
    expect_places(&url, "a 26379, b 1, ::1 2");
    cr_expect_str_eq(url.name, "m/n");
    cr_expect_eq(url.db, 3);
    cr_expect_str_eq(url.user, "u");
    cr_expect_str_eq(url.password, "p/");
    cr_expect_str_eq(url.sentinel_user, "s");
    cr_expect_str_eq(url.sentinel_password, "q@");
    kpid_redis_url_release(&url);
    cr_assert(kpid_redis_url_parse("redis+sentinel://a/m?sentinel=:q", &url, &error));
    cr_expect(!url.password && !url.sentinel_user && url.db == 0);
    kpid_redis_url_release(&url);
    cr_assert(kpid_redis_url_parse("redis+cluster://:p@a,b:7001/", &url, &error));
    cr_expect_eq(url.topology, KPID_REDIS_CLUSTER);
    expect_places(&url, "a 6379, b 7001");
    cr_expect_str_eq(url.password, "p");
    kpid_redis_url_release(&url);
}

Test(store_url, shows_everything_but_who_logs_in)
{
    static const char *const SHOWN[][2] = {
        {"redis://h:1/2", "redis://h:1/2"},
        {"redis://u:SECRET@h:1/2", "redis://h:1/2"},
        {"redis://u:a@SECRET@h", "redis://h"},
        {"redis://u:SE/CR?ET@h", "redis://h"},
        {"unix:/run/a@b", "unix:/run/a@b"},
        {"redis+sentinel://:SECRET@a,b:1/m?sentinel=s:SEC@RET", "redis+sentinel://a,b:1/m"},
        {"redis+sentinel://a,b:1/m?sentinel=s:SEC@RET", "redis+sentinel://a,b:1/m"},
        {"redis+cluster://:SECRET@a,b:1", "redis+cluster://a,b:1"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(SHOWN); i++) {
        struct kpid_buf buf = KPID_BUF_INIT;
        kpid_redis_url_show(SHOWN[i][0], &buf);
        cr_expect_str_eq(buf.data, SHOWN[i][1]);
        kpid_buf_release(&buf);
    }
}

Test(store_resp, encodes_lengths_and_binary_bytes)
{
    struct kpid_buf buf = KPID_BUF_INIT;
    char long_text[1234];
    memset(long_text, 'x', sizeof(long_text));
    struct kpid_bulk bulks[] = {{"SET", 3}, {"", 0}, {"a\0\r\n", 4}, {long_text, sizeof(long_text)}};
    kpid_resp_add_count(&buf, 4);
    kpid_resp_add_bulks(&buf, bulks, 4);
    static const char HEAD[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\0\r\n\r\n$1234\r\nxxx";
    cr_assert_eq(buf.len, sizeof(HEAD) - 1 - 3 + 1234 + 2);
    cr_assert(memcmp(buf.data, HEAD, sizeof(HEAD) - 1) == 0);
    cr_assert(memcmp(buf.data + buf.len - 4, "xx\r\n", 4) == 0);
    kpid_buf_release(&buf);
}

Test(store_sha1, gives_the_published_vectors)
{
    char hex[41], million[1000];
    memset(million, 'a', sizeof(million));
    kpid_sha1_hex("", 0, hex);
    cr_expect_str_eq(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    kpid_sha1_hex("abc", 3, hex);
    cr_expect_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    kpid_sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    cr_expect_str_eq(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    kpid_sha1_hex(million, 1000, hex);
    cr_expect_str_eq(hex, "291e9a6c66994949b57ba5e650361e98fc36b1ba");
}

Test(store_key, encodes_names_so_that_the_hash_tag_is_whole)
{
    static const struct {
        const char *text, *want;
    } NAMES[] = {
        {"", ""},
        {"plain-name.1", "plain-name.1"},
        {"a%|:{}b", "a%25%7C%3A%7B%7Db"},
        {"x\n\x7fy", "x%0A%7Fy"},
        {"*all", "%2Aall"},
        {"_x_*", "%5Fx_*"},
        {"a@b", "a%40b"},
        {"z\xc3\xbcrich", "z\xc3\xbcrich"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(NAMES); i++) {
        struct kpid_buf buf = KPID_BUF_INIT;
        kpid_buf_add_str(&buf, "");
        kpid_key_encode(&buf, NAMES[i].text, strlen(NAMES[i].text));
        cr_expect_str_eq(buf.data, NAMES[i].want);
        kpid_buf_release(&buf);
    }
}
