/* Prometheus text: escapes and numbers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/http.h"

Test(metric, families_and_samples)
{
    struct kpid_buf body = KPID_BUF_INIT;
    kpid_metric_family(&body, "kpid_events_total", "counter", "Events read.\nA back\\slash and \"quotes\".");
    kpid_metric_sample(&body, "kpid_events_total", 12, NULL);
    kpid_metric_sample(&body, "kpid_events_total", 3, "source", "orders", "class", "a \"b\"\\\n渠", NULL);
    cr_expect_str_eq(body.data, "# HELP kpid_events_total Events read.\\nA back\\\\slash and \"quotes\".\n"
                                "# TYPE kpid_events_total counter\n"
                                "kpid_events_total 12\n"
                                "kpid_events_total{source=\"orders\",class=\"a \\\"b\\\"\\\\\\n渠\"} 3\n");
    kpid_buf_release(&body);
}

Test(metric, numbers)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-7, "-7"},
        {9007199254740992.0, "9007199254740992"},
        {0.1, "0.1"},
        {NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {9007199254740991.0, "9007199254740991"},
        {1e6, "1000000"},
        {1700000000123.0, "1700000000123"},
    };
    static const double others[] = {1e300, -2.5e-9, 1.0 / 3, 1.8446744073709552e19};
    struct kpid_buf body = KPID_BUF_INIT;
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        kpid_buf_clear(&body);
        kpid_metric_sample(&body, "x", rows[i].value, NULL);
        body.data[body.len - 1] = '\0';
        cr_expect_str_eq(body.data + 2, rows[i].text, "%s", body.data);
    }
    for (size_t i = 0; i < KPID_COUNT_OF(others); i++) {
        kpid_buf_clear(&body);
        kpid_metric_sample(&body, "x", others[i], NULL);
        cr_expect_eq(strtod(body.data + 2, NULL), others[i], "%s", body.data);
    }
    kpid_buf_release(&body);
}
