/* The buffer, JSON strings, life cycle of a commit, names of reasons. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/buf.h"
#include "kpid/flow/page.h"
#include "kpid/flow/reason.h"

Test(buf, grows_and_keeps_a_nul)
{
    struct kpid_buf buf = KPID_BUF_INIT;
    for (int i = 0; i < 1000; i++) {
        kpid_buf_printf(&buf, "%d,", i);
        cr_assert_eq(buf.data[buf.len], '\0');
    }
    cr_assert_eq(buf.len, 10 * 2 + 90 * 3 + 900 * 4);
    cr_assert_str_eq(buf.data + buf.len - 8, "998,999,");
    kpid_buf_clear(&buf);
    cr_assert(buf.len == 0 && buf.cap > 0);
    kpid_buf_add_str(&buf, "a");
    kpid_buf_add_char(&buf, '\0');
    kpid_buf_add(&buf, NULL, 0);
    cr_assert_eq(buf.len, 2);
    char longer[500];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    kpid_buf_printf(&buf, "%s!", longer);
    cr_assert_eq(buf.len, 2 + 499 + 1);
    size_t len;
    char *bytes = kpid_buf_detach(&buf, &len);
    cr_assert(len == 502 && bytes[501] == '!' && bytes[502] == '\0' && buf.data == NULL);
    free(bytes);
    bytes = kpid_buf_detach(&buf, &len);
    cr_assert(len == 0 && bytes[0] == '\0');
    free(bytes);
    kpid_buf_release(&buf);
}

Test(buf, escapes_json)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        { "", 0, "\"\"" },
        { "plain", 5, "\"plain\"" },
        { "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
        { "\b\f\n\r\t\x01\x1f\x7f", 8, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"" },
        { "a\0b", 3, "\"a\\u0000b\"" },
        { "\xe8\xbd\xac\xf0\x9f\x98\x80", 7, "\"\xe8\xbd\xac\xf0\x9f\x98\x80\"" },
        { "\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                         /* overlong */
        { "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },         /* surrogate */
        { "x\xe8\xbd", 3, "\"x\xef\xbf\xbd\xef\xbf\xbd\"" },                       /* cut short */
        { "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* > U+10FFFF */
        { "\xe0\x80\x80y", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\"" },
    };
    struct kpid_buf buf = KPID_BUF_INIT;
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kpid_buf_clear(&buf);
        kpid_buf_add_json(&buf, cases[i].text, cases[i].len);
        cr_assert_str_eq(buf.data, cases[i].json, "row %zu: %s", i, buf.data);
    }
    kpid_buf_release(&buf);
}

Test(commit, releases_all_it_owns)
{
    struct kpid_commit commit = { .n_pages = 2, .n_dropped = 1, .reset = true };
    kpid_buf_add_str(&commit.meta, "meta");
    commit.pages = kpid_zalloc(2, sizeof(*commit.pages));
    commit.pages[0].bytes = kpid_strdup("page");
    commit.pages[1].bytes = kpid_strndup("page and more", 4);
    cr_assert_str_eq(commit.pages[1].bytes, "page");
    commit.dropped = kpid_alloc(sizeof(uint64_t));
    kpid_commit_release(&commit);
    cr_assert(commit.pages == NULL && commit.n_pages == 0 && commit.dropped == NULL && commit.meta.data == NULL);
    kpid_commit_release(&commit);
}

Test(reason, has_a_name_for_each)
{
    cr_assert_str_eq(kpid_class_name(KPID_CLASS_MALFORMED), "malformed");
    cr_assert_str_eq(kpid_class_name(KPID_CLASS_COUNTED), "counted");
    cr_assert_str_eq(kpid_reason_name(KPID_REASON_NONE), "none");
    cr_assert_str_eq(kpid_reason_name(KPID_REASON_FUTURE), "future");
    cr_assert_str_eq(kpid_reason_text(KPID_REASON_DIVISION), "a value divides by zero");
    for (int i = 0; i < KPID_REASON_N; i++)
        cr_assert(kpid_reason_name((enum kpid_reason)i)[0] != '\0');
    cr_assert_str_eq(kpid_reason_name(KPID_REASON_N), "unknown");
}
