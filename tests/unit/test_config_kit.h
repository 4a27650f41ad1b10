/* Snippets of configuration, with what they need around them, and faults taken apart. */
#ifndef TEST_CONFIG_KIT_H
#define TEST_CONFIG_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/config.h"

#define KIT_SOURCES                                                                                          \
    "sources: { orders: { topics: [orders], fields: { placed: { type: time }, note: { type: string },"       \
    " gift: { type: bool }, price: { type: number, scale: 2 } } }, users: { topics: [users] } }\n"
#define KIT_MEASURES                                                                                         \
    "measures: { orders: { from: orders, where: type == \"order.created\", count: , by: [channel, region] "  \
    "},"                                                                                                     \
    " revenue: { from: orders, sum: price }, visitors: { from: users, distinct: user_id }, mean_price: { "   \
    "from: "                                                                                                 \
    "orders, mean: price }, low: { from: orders, min: price }, spread: { from: orders, quantiles: price }, " \
    "processing: { from: orders, clock: { key: order_id, start: type == \"a\", stop: type == \"b\" } } }\n"

struct kit {
    struct kpid_model *model;
    struct kpid_buf faults;
    size_t n;
};

static inline struct kit kit_parse(const char *before, const char *snippet)
{
    struct kit kit = {NULL, KPID_BUF_INIT, 0};
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_str(&text, before);
    kpid_buf_add_str(&text, snippet);
    kit.model = kpid_config_parse("t.yaml", text.data, text.len, NULL, &kit.faults, &kit.n);
    kpid_buf_release(&text);
    kpid_buf_add_str(&kit.faults, "");
    return kit;
}

/* A model without fault, or the test fails and shows the faults. */
static inline struct kpid_model *kit_model(const char *before, const char *snippet)
{
    struct kit kit = kit_parse(before, snippet);
    cr_assert(kit.model, "%s\n%s", snippet, kit.faults.data);
    kpid_buf_release(&kit.faults);
    return kit.model;
}

struct fault_case {
    const char *snippet;
    unsigned line, column; /* of the snippet */
    const char *message, *advice;
};

static inline unsigned kit_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Exactly one error, at its place, with message, source line, caret and advice. `kind` is error or warning.
 */
static inline void kit_fault(const char *before, const struct fault_case *fault, const char *kind)
{
    struct kit kit = kit_parse(before, fault->snippet);
    char head[64];
    snprintf(head, sizeof head, "t.yaml:%u:%u: %s: ", fault->line + kit_lines(before), fault->column, kind);
    bool error = strcmp(kind, "error") == 0;
    cr_assert_eq(kit.n, error ? 1u : 0u, "%s\n%zu errors:\n%s", fault->snippet, kit.n, kit.faults.data);
    cr_assert_eq(kit.model == NULL, error);
    char *at = strstr(kit.faults.data ? kit.faults.data : "", head);
    cr_assert(at, "%s\nnot at %s\n%s", fault->snippet, head, kit.faults.data);
    char *advice = strstr(at, "\n    advice: "), *end = strstr(at, "\n\n");
    cr_assert(advice && (!end || advice < end), "%s", kit.faults.data);
    char *message = strstr(at, fault->message), *wanted = strstr(advice, fault->advice);
    cr_assert(message && message < advice, "%s\nwithout `%s`:\n%s", fault->snippet, fault->message,
              kit.faults.data);
    cr_assert(wanted && (!end || wanted < end), "%s\nwithout advice `%s`:\n%s", fault->snippet, fault->advice,
              kit.faults.data);
    char *caret = strstr(at, "^\n");
    cr_assert(caret && caret < advice);
    kpid_model_free(kit.model);
    kpid_buf_release(&kit.faults);
}

#define kit_faults(before, cases)                                                                            \
    for (size_t kit_i = 0; kit_i < KPID_COUNT_OF(cases); kit_i++)                                            \
    kit_fault(before, &(cases)[kit_i], "error")

#endif
