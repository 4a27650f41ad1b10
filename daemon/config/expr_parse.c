/* Pratt parser of event expressions. Binding powers: or 1, and 2, not 3, comparisons and in 4, + - 5, * / 6,
 * sign 7. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expression.h"
#include "lexer.h"
#include "text.h"

#define NODES_MAX 4096

enum { POWER_OR = 1, POWER_AND, POWER_NOT, POWER_COMPARE, POWER_SUM, POWER_PRODUCT, POWER_SIGN };

struct parser {
    struct kpid_loader *loader;
    struct kpid_parse *parse;
    struct kpid_lexer lexer;
    int depth;
    bool failed;
};

static int expression_read(struct parser *p, int power);

static int fail(struct parser *p, size_t at, const char *error, const char *advice)
{
    if (!p->failed) {
        kpid_parse_fault(p->loader, p->parse, at, "%s", error);
        kpid_fault_advise(&p->loader->faults, "%s", advice);
    }
    p->failed = true;
    return -1;
}

static int push(struct parser *p, struct kpid_node node, size_t at)
{
    struct kpid_expr *expr = p->parse->expr;
    if (expr->n == NODES_MAX)
        return fail(p, at, "the expression is too long", "split the measure, or use `in [...]`");
    if (expr->n == p->parse->cap) {
        p->parse->cap = p->parse->cap ? p->parse->cap * 2 : 8;
        expr->nodes = kpid_realloc(expr->nodes, p->parse->cap * sizeof *expr->nodes);
        p->parse->offsets = kpid_realloc(p->parse->offsets, p->parse->cap * sizeof *p->parse->offsets);
    }
    expr->nodes[expr->n] = node;
    p->parse->offsets[expr->n] = (uint32_t)at;
    return (int)expr->n++;
}

static struct kpid_node node_of(enum kpid_op op, int a, int b)
{
    return (struct kpid_node){.op = (uint8_t)op, .a = (int16_t)a, .b = (int16_t)b};
}

/* What stands where a value should: helps with the usual slips. */
static int unexpected(struct parser *p)
{
    const struct kpid_token now = p->lexer.now;
    char text[128];
    if (now.kind == KPID_TOKEN_BAD)
        return fail(p, now.at, p->lexer.error, p->lexer.advice);
    if (now.kind == KPID_TOKEN_END)
        return fail(p, now.at, "the expression ends too early",
                    "complete it: a value or a closing bracket is missing");
    snprintf(text, sizeof text, "`%.*s` is not expected here", (int)(now.len < 60 ? now.len : 60),
             p->lexer.text + now.at);
    return fail(p, now.at, text, "write conditions such as type == \"order.created\" and amount > 10");
}

static bool expect(struct parser *p, const char *sign)
{
    if (p->failed)
        return false;
    if (!kpid_lexer_is(&p->lexer, sign)) {
        unexpected(p);
        return false;
    }
    kpid_lexer_next(&p->lexer);
    return true;
}

static int string_push(struct parser *p)
{
    const struct kpid_token now = p->lexer.now;
    const char *at = p->lexer.text + now.at + 1;
    struct kpid_node node = node_of(KPID_OP_STRING, -1, -1);
    node.str = kpid_zalloc(1, now.len);
    for (const char *end = at + now.len - 2; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        node.str[node.len++] = *at;
    }
    kpid_lexer_next(&p->lexer);
    int index = push(p, node, now.at);
    if (index < 0)
        free(node.str);
    return index;
}

static int number_push(struct parser *p, bool negative)
{
    const struct kpid_token now = p->lexer.now;
    struct kpid_node node = node_of(KPID_OP_NUMBER, -1, -1);
    if (now.kind == KPID_TOKEN_DURATION) {
        char text[32];
        int64_t ms = 0;
        snprintf(text, sizeof text, "%.*s", (int)now.len, p->lexer.text + now.at);
        if (!kpid_text_duration(text, &ms))
            return fail(p, now.at, "not a duration", "write 48h or 1h30m");
        node.number = ms;
        node.dimension = KPID_DURATION_MS;
    } else {
        enum kpid_decimal_status status =
            kpid_decimal_parse(p->lexer.text + now.at, now.len, KPID_SCALE_MAX, false, &node.number);
        if (status != KPID_DECIMAL_OK)
            return fail(p, now.at, "the number has too many digits",
                        "at most 18 digits behind the point, 20 before");
        for (node.scale = KPID_SCALE_MAX; node.scale > 0 && node.number % 10 == 0; node.scale--)
            node.number /= 10;
    }
    if (negative)
        node.number = -node.number;
    kpid_lexer_next(&p->lexer);
    return push(p, node, now.at);
}

static bool at_number(const struct parser *p)
{
    return p->lexer.now.kind == KPID_TOKEN_NUMBER || p->lexer.now.kind == KPID_TOKEN_DURATION;
}

static int bool_push(struct parser *p)
{
    struct kpid_node node = node_of(KPID_OP_BOOL, -1, -1);
    node.boolean = kpid_lexer_is(&p->lexer, "true");
    size_t at = p->lexer.now.at;
    kpid_lexer_next(&p->lexer);
    return push(p, node, at);
}

static int field_push(struct parser *p)
{
    const struct kpid_token now = p->lexer.now;
    char *name = kpid_strndup(p->lexer.text + now.at, now.len);
    struct kpid_place place = kpid_yaml_place_in(&p->loader->tree, p->parse->node, now.at);
    int slot = kpid_source_field(p->loader, p->parse->source, name, place);
    free(name);
    if (slot < 0) {
        p->failed = true;
        return -1;
    }
    struct kpid_node node = node_of(KPID_OP_FIELD, -1, -1);
    node.slot = (uint16_t)slot;
    kpid_lexer_next(&p->lexer);
    return push(p, node, now.at);
}

/* ---- functions
 * ----------------------------------------------------------------------------------------------- */

/* The optional zone of day(t, "zone"). */
static const struct kpid_zone *zone_argument(struct parser *p)
{
    if (!kpid_lexer_is(&p->lexer, ","))
        return p->loader->zone;
    kpid_lexer_next(&p->lexer);
    const struct kpid_token now = p->lexer.now;
    if (now.kind != KPID_TOKEN_STRING) {
        fail(p, now.at, "day() takes its zone in quotes", "write day(ts, \"Asia/Shanghai\")");
        return NULL;
    }
    char *name = kpid_strndup(p->lexer.text + now.at + 1, now.len - 2);
    struct kpid_place place = kpid_yaml_place_in(&p->loader->tree, p->parse->node, now.at);
    const struct kpid_zone *zone = kpid_zone_named(p->loader, name, place);
    free(name);
    p->failed |= !zone;
    kpid_lexer_next(&p->lexer);
    return zone;
}

static int call_read(struct parser *p)
{
    static const struct {
        const char *name;
        enum kpid_op op;
    } functions[] = {{"exists", KPID_OP_EXISTS},
                     {"day", KPID_OP_DAY},
                     {"starts_with", KPID_OP_STARTS_WITH},
                     {"lower", KPID_OP_LOWER}};
    size_t i = 0, at = p->lexer.now.at;
    while (i < KPID_COUNT_OF(functions) && !kpid_lexer_is(&p->lexer, functions[i].name))
        i++;
    if (i == KPID_COUNT_OF(functions)) {
        char *name = kpid_strndup(p->lexer.text + at, p->lexer.now.len);
        struct kpid_names names = {0};
        for (size_t j = 0; j < KPID_COUNT_OF(functions); j++)
            kpid_names_add(&names, functions[j].name);
        kpid_parse_fault(p->loader, p->parse, at, "there is no function `%.60s`", name);
        kpid_fault_advise_names(&p->loader->faults, name, "functions", &names);
        kpid_names_release(&names);
        free(name);
        p->failed = true;
        return -1;
    }
    kpid_lexer_next(&p->lexer);
    kpid_lexer_next(&p->lexer); /* the bracket was seen */
    struct kpid_node node = node_of(functions[i].op, -1, -1);
    if (node.op == KPID_OP_EXISTS && p->lexer.now.kind != KPID_TOKEN_NAME)
        return fail(p, p->lexer.now.at, "exists() takes a field", "write exists(customer.id)");
    node.a = (int16_t)(node.op == KPID_OP_EXISTS ? field_push(p) : expression_read(p, 0));
    if (node.op == KPID_OP_STARTS_WITH && expect(p, ","))
        node.b = (int16_t)expression_read(p, 0);
    if (node.op == KPID_OP_DAY && !p->failed)
        node.zone = zone_argument(p);
    return expect(p, ")") ? push(p, node, at) : -1;
}

/* The next token but one is an opening bracket: a name is a function then. */
static bool at_call(const struct parser *p)
{
    struct kpid_lexer ahead = p->lexer;
    kpid_lexer_next(&ahead);
    return kpid_lexer_is(&ahead, "(");
}

/* ---- precedence
 * ---------------------------------------------------------------------------------------------- */

static int prefix_read(struct parser *p)
{
    struct kpid_lexer *lexer = &p->lexer;
    size_t at = lexer->now.at;
    if (kpid_lexer_is(lexer, "(")) {
        kpid_lexer_next(lexer);
        int inner = expression_read(p, 0);
        return expect(p, ")") ? inner : -1;
    }
    if (kpid_lexer_is(lexer, "-")) {
        kpid_lexer_next(lexer);
        if (at_number(p))
            return number_push(p, true);
        int inner = expression_read(p, POWER_SIGN);
        return p->failed ? -1 : push(p, node_of(KPID_OP_NEG, inner, -1), at);
    }
    if (kpid_lexer_is(lexer, "not")) {
        kpid_lexer_next(lexer);
        int inner = expression_read(p, POWER_NOT);
        return p->failed ? -1 : push(p, node_of(KPID_OP_NOT, inner, -1), at);
    }
    if (at_number(p))
        return number_push(p, false);
    if (lexer->now.kind == KPID_TOKEN_STRING)
        return string_push(p);
    if (kpid_lexer_is(lexer, "true") || kpid_lexer_is(lexer, "false"))
        return bool_push(p);
    bool word = kpid_lexer_is(lexer, "and") || kpid_lexer_is(lexer, "or") || kpid_lexer_is(lexer, "in");
    if (lexer->now.kind == KPID_TOKEN_NAME && !word)
        return at_call(p) ? call_read(p) : field_push(p);
    return unexpected(p);
}

static int item_read(struct parser *p)
{
    bool negative = kpid_lexer_is(&p->lexer, "-");
    if (negative)
        kpid_lexer_next(&p->lexer);
    if (at_number(p))
        return number_push(p, negative);
    if (!negative && p->lexer.now.kind == KPID_TOKEN_STRING)
        return string_push(p);
    if (!negative && (kpid_lexer_is(&p->lexer, "true") || kpid_lexer_is(&p->lexer, "false")))
        return bool_push(p);
    return fail(p, p->lexer.now.at, "a list holds numbers, texts in quotes, true and false",
                "write type in [\"order.created\", \"order.paid\"]");
}

static int list_read(struct parser *p, int left, bool negated, size_t at)
{
    if (!kpid_lexer_is(&p->lexer, "["))
        return fail(p, p->lexer.now.at, "`in` takes a list", "write channel in [\"web\", \"app\"]");
    struct kpid_node node = node_of(KPID_OP_IN, left, -1);
    node.list_first = (int16_t)p->parse->expr->n;
    do {
        kpid_lexer_next(&p->lexer);
        item_read(p);
        node.list_n++;
    } while (!p->failed && kpid_lexer_is(&p->lexer, ","));
    if (!expect(p, "]"))
        return -1;
    int index = push(p, node, at);
    return negated && index >= 0 ? push(p, node_of(KPID_OP_NOT, index, -1), at) : index;
}

static const struct operator
{
    const char *sign;
    enum kpid_op op;
    int power;
}
operators[] = {
    {"or", KPID_OP_OR, POWER_OR},        {"and", KPID_OP_AND, POWER_AND},   {"==", KPID_OP_EQ, POWER_COMPARE},
    {"!=", KPID_OP_NE, POWER_COMPARE},   {"<", KPID_OP_LT, POWER_COMPARE},  {"<=", KPID_OP_LE, POWER_COMPARE},
    {">", KPID_OP_GT, POWER_COMPARE},    {">=", KPID_OP_GE, POWER_COMPARE}, {"in", KPID_OP_IN, POWER_COMPARE},
    {"not", KPID_OP_NOT, POWER_COMPARE}, {"+", KPID_OP_ADD, POWER_SUM},     {"-", KPID_OP_SUB, POWER_SUM},
    {"*", KPID_OP_MUL, POWER_PRODUCT},   {"/", KPID_OP_DIV, POWER_PRODUCT},
};

static const struct operator* operator_at(const struct parser *p)
{
    for (size_t i = 0; i < KPID_COUNT_OF(operators); i++)
        if (kpid_lexer_is(&p->lexer, operators[i].sign))
            return &operators[i];
    return NULL;
}

static bool is_comparison(enum kpid_op op)
{
    return (op >= KPID_OP_EQ && op <= KPID_OP_IN) || op == KPID_OP_NOT;
}

static int infix_read(struct parser *p, int left, const struct operator* found)
{
    size_t at = p->lexer.now.at;
    kpid_lexer_next(&p->lexer);
    bool negated = found->op == KPID_OP_NOT;
    if (negated && !expect(p, "in"))
        return -1;
    if (negated || found->op == KPID_OP_IN)
        return list_read(p, left, negated, at);
    int right = expression_read(p, found->power);
    return p->failed ? -1 : push(p, node_of(found->op, left, right), at);
}

static int expression_read(struct parser *p, int power)
{
    if (p->failed)
        return -1;
    if (++p->depth > KPID_EXPR_DEPTH_MAX)
        return fail(p, p->lexer.now.at, "nested deeper than 32 levels",
                    "use `in [...]`, or split the measure");
    int left = prefix_read(p);
    for (bool compared = false; !p->failed;) {
        const struct operator* found = operator_at(p);
        if (!found || found->power <= power)
            break;
        if (compared && is_comparison(found->op))
            return fail(p, p->lexer.now.at, "comparisons can't be chained", "write a < b and b < c");
        compared = is_comparison(found->op);
        left = infix_read(p, left, found);
    }
    p->depth--;
    return left;
}

void kpid_expr_parse(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *node,
                     enum kpid_want want, const char *what, struct kpid_expr *expr)
{
    if (!kpid_want_text(loader, node, what))
        return;
    struct kpid_parse *parse = kpid_zalloc(1, sizeof *parse);
    *parse = (struct kpid_parse){.expr = expr, .node = node, .source = source, .want = (uint8_t)want};
    snprintf(parse->what, sizeof parse->what, "%s", what);
    struct parser p = {.loader = loader, .parse = parse};
    kpid_lexer_init(&p.lexer, node->text);
    expression_read(&p, 0);
    if (!p.failed && p.lexer.now.kind != KPID_TOKEN_END)
        unexpected(&p);
    if (p.failed) {
        kpid_expr_release(expr);
        *expr = (struct kpid_expr){0};
        free(parse->offsets);
        free(parse);
        return;
    }
    loader->parses = kpid_realloc(loader->parses, (loader->n_parses + 1) * sizeof(struct kpid_parse *));
    loader->parses[loader->n_parses++] = parse;
}
