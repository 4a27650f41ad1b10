/* Names of states and the text of groups. */
#include "test_evaluate_fixture.h"

Test(names, all_of_them)
{
    static const char *const quality[] = {"ok", "provisional", "partial", "stale", "no_data", "insufficient"};
    static const char *const status[] = {"none", "ok", "warn", "crit"};
    static const char *const state[] = {"ok", "pending", "firing", "resolved", "no_data", "suppressed"};
    for (unsigned i = 0; i < KPID_QUALITY_N; i++)
        cr_expect_str_eq(kpid_quality_name((enum kpid_quality)i), quality[i]);
    for (unsigned i = 0; i < KPID_COUNT_OF(status); i++)
        cr_expect_str_eq(kpid_status_name((enum kpid_status)i), status[i]);
    for (unsigned i = 0; i < KPID_ALERT_STATES; i++)
        cr_expect_str_eq(kpid_alert_state_name((enum kpid_alert_state)i), state[i]);
    cr_expect_str_eq(kpid_quality_reason_name(KPID_QR_BIT_SHARDS_MISSING), "shards_missing");
    cr_expect_str_eq(kpid_quality_reason_name(KPID_QR_BIT_DIVISION), "division_by_zero");
    cr_expect_str_eq(kpid_quality_reason_name(KPID_QR_BIT_NOT_KEPT), "not_kept");
    cr_expect_eq(KPID_QR_N, 12);
}

Test(names, group_field)
{
    static const struct {
        const char *group[2];
        size_t n;
        const char *field;
    } rows[] = {
        {{"web", NULL}, 1, "web"},
        {{"web", "south"}, 2, "web|south"},
        {{"", "south"}, 2, "|south"},
        {{"", ""}, 2, "|"},
        {{"", NULL}, 1, ""},
        {{"a|b", "50%"}, 2, "a%7Cb|50%25"},
        {{"*", "_x"}, 2, "%2A|%5Fx"},
        {{"a*b", "a_b"}, 2, "a*b|a_b"},
        {{"@meta", "a@b"}, 2, "%40meta|a%40b"},
        {{"__other__", NULL}, 1, "%5F_other__"},
        {{"tab\tline\n", "\x7f"}, 2, "tab%09line%0A|%7F"},
        {{"渠道", "é"}, 2, "渠道|é"},
    };
    struct kpid_buf buf = KPID_BUF_INIT, bytes = KPID_BUF_INIT;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        kpid_buf_clear(&buf);
        kpid_buf_add_str(&buf, ">");
        kpid_group_field(&buf, rows[i].group, rows[i].n, false);
        cr_expect_str_eq(buf.data + 1, rows[i].field, "row %zu: %s", i, buf.data);
        const char *back[2];
        cr_assert(kpid_group_parse(rows[i].field, strlen(rows[i].field), rows[i].n, &bytes, back), "row %zu", i);
        for (size_t v = 0; v < rows[i].n; v++)
            cr_expect_str_eq(back[v], rows[i].group[v], "row %zu: %s", i, back[v]);
    }
    const char *back[2];
    static const char *const bad[] = {"a", "a|b|c", "a%2|b", "a%|b", "a|%4", "a|%4g", "%zz|b"};
    for (size_t i = 0; i < KPID_COUNT_OF(bad); i++)
        cr_expect_not(kpid_group_parse(bad[i], strlen(bad[i]), 2, &bytes, back), "%s", bad[i]);
    kpid_buf_release(&bytes);
    kpid_buf_clear(&buf);
    kpid_group_field(&buf, NULL, 2, false);
    kpid_group_field(&buf, NULL, 2, true);
    kpid_group_field(&buf, rows[0].group, 0, false);
    cr_expect_str_eq(buf.data, "*__other__*");
    kpid_buf_release(&buf);
}
