/* Text of a formula -> leaves, by precedence: + - 1, * / 2, sign 3, `@` 4. */
#include <stdlib.h>
#include <string.h>

#include "expression.h"
#include "formula.h"
#include "lexer.h"

#define LEAVES_MAX 1024
#define MADE_OF    "measures, their parts, other KPIs, numbers, + - * / @, min() max() abs() and parentheses"

struct parser {
    struct kpid_loader *loader;
    struct kpid_formula_text *formula;
    struct kpid_lexer lexer;
    int depth;
    bool failed;
};

static int formula_read(struct parser *p, int power);

static int fail(struct parser *p, size_t at, const char *error, const char *advice)
{
    if (!p->failed) {
        kpid_fault_add(&p->loader->faults, kpid_yaml_place_in(&p->loader->tree, p->formula->node, at),
                       "formula: %s", error);
        kpid_fault_advise(&p->loader->faults, "%s", advice);
    }
    p->failed = true;
    return -1;
}

static int push(struct parser *p, struct kpid_formula_leaf leaf)
{
    struct kpid_formula_text *formula = p->formula;
    if (formula->n == LEAVES_MAX)
        return fail(p, leaf.at, "it is too long", "split it: a formula may name other KPIs");
    if (formula->n == formula->cap) {
        formula->cap = formula->cap ? formula->cap * 2 : 8;
        formula->leaves = kpid_realloc(formula->leaves, formula->cap * sizeof *formula->leaves);
    }
    leaf.measure = leaf.part = leaf.kpi = -1;
    formula->leaves[formula->n] = leaf;
    return (int)formula->n++;
}

static int unexpected(struct parser *p)
{
    const struct kpid_token now = p->lexer.now;
    if (now.kind == KPID_TOKEN_BAD)
        return fail(p, now.at, p->lexer.error,
                    "a formula is made of " MADE_OF);
    if (now.kind == KPID_TOKEN_END)
        return fail(p, now.at, "it ends too early", "a name, a number or a closing parenthesis is missing");
    return fail(p, now.at, "this is not expected here",
                "a formula is made of " MADE_OF);
}

static int number_push(struct parser *p)
{
    const struct kpid_token now = p->lexer.now;
    struct kpid_formula_leaf leaf = {.op = KPID_F_NUMBER, .a = -1, .b = -1, .at = now.at, .len = now.len};
    leaf.number.scale = KPID_SCALE_MAX;
    if (kpid_decimal_parse(p->lexer.text + now.at, now.len, KPID_SCALE_MAX, false, &leaf.number.m) !=
        KPID_DECIMAL_OK)
        return fail(p, now.at, "the number has too many digits",
                    "at most 18 digits behind the point, 20 before");
    for (; leaf.number.scale > 0 && leaf.number.m % 10 == 0; leaf.number.scale--)
        leaf.number.m /= 10;
    kpid_lexer_next(&p->lexer);
    return push(p, leaf);
}

static bool sign_skip(struct parser *p, const char *sign)
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

/* Behind the name of a function and its parenthesis. min and max of more than two are taken two by two. */
static int call_read(struct parser *p, struct kpid_token name)
{
    static const struct {
        const char *name;
        uint8_t op;
    } functions[] = {{"min", KPID_F_MIN}, {"max", KPID_F_MAX}, {"abs", KPID_F_ABS}};
    size_t which = 0;
    while (which < KPID_COUNT_OF(functions) &&
           (strlen(functions[which].name) != name.len ||
            memcmp(p->lexer.text + name.at, functions[which].name, name.len) != 0))
        which++;
    if (which == KPID_COUNT_OF(functions))
        return fail(p, name.at, "there is no such function", "write min(a, b), max(a, b) or abs(a)");
    struct kpid_formula_leaf leaf = {.op = functions[which].op, .at = name.at, .len = name.len, .b = -1};
    int left = formula_read(p, 0);
    if (leaf.op == KPID_F_ABS) {
        leaf.a = (int16_t)left;
        return sign_skip(p, ")") ? push(p, leaf) : -1;
    }
    do {
        if (!sign_skip(p, ","))
            return -1;
        leaf.a = (int16_t)left;
        leaf.b = (int16_t)formula_read(p, 0);
        left = p->failed ? -1 : push(p, leaf);
    } while (!p->failed && kpid_lexer_is(&p->lexer, ","));
    return sign_skip(p, ")") ? left : -1;
}

/* Each `@` behind an operand makes it earlier. */
static int earlier_read(struct parser *p, int operand)
{
    while (!p->failed && kpid_lexer_is(&p->lexer, "@")) {
        struct kpid_formula_leaf leaf = {
            .op = KPID_LEAF_EARLIER, .a = (int16_t)operand, .b = -1, .at = p->lexer.now.at, .len = 1};
        if (p->formula->leaves[operand].op == KPID_F_NUMBER)
            return fail(p, leaf.at, "a number is the same at all times", "`@` stands behind a measure or KPI");
        kpid_lexer_next(&p->lexer);
        size_t at = p->lexer.now.at;
        if (!kpid_shift_read(&p->lexer, &leaf.shift))
            return fail(p, at, "`@` needs how long ago, of more than 0 and at most 10 years",
                        "write @ 1w, @ 36h, @ 1 month, @ 2 quarters or @ 1 year");
        operand = push(p, leaf);
    }
    return operand;
}

static int operand_read(struct parser *p)
{
    struct kpid_lexer *lexer = &p->lexer;
    const struct kpid_token now = lexer->now;
    if (kpid_lexer_is(lexer, "(")) {
        kpid_lexer_next(lexer);
        int inner = formula_read(p, 0);
        return sign_skip(p, ")") ? inner : -1;
    }
    if (now.kind == KPID_TOKEN_NUMBER)
        return number_push(p);
    if (now.kind == KPID_TOKEN_DURATION)
        return fail(p, now.at, "durations can't stand in a formula",
                    "durations are in seconds here: write 172800 for 48h");
    if (now.kind != KPID_TOKEN_NAME)
        return unexpected(p);
    kpid_lexer_next(lexer);
    if (kpid_lexer_is(lexer, "(")) {
        kpid_lexer_next(lexer);
        return call_read(p, now);
    }
    return push(
        p, (struct kpid_formula_leaf){.op = KPID_F_REF, .a = -1, .b = -1, .at = now.at, .len = now.len});
}

static int prefix_read(struct parser *p)
{
    struct kpid_lexer *lexer = &p->lexer;
    const struct kpid_token now = lexer->now;
    if (kpid_lexer_is(lexer, "-")) {
        kpid_lexer_next(lexer);
        int inner = formula_read(p, 3);
        struct kpid_formula_leaf leaf = {
            .op = KPID_F_NEG, .a = (int16_t)inner, .b = -1, .at = now.at, .len = 1};
        return p->failed ? -1 : push(p, leaf);
    }
    return earlier_read(p, operand_read(p));
}

static int formula_read(struct parser *p, int power)
{
    static const struct {
        const char *sign;
        uint8_t op, power;
    } operators[] = {{"+", KPID_F_ADD, 1}, {"-", KPID_F_SUB, 1}, {"*", KPID_F_MUL, 2}, {"/", KPID_F_DIV, 2}};
    if (++p->depth > KPID_EXPR_DEPTH_MAX)
        return fail(p, p->lexer.now.at, "nested deeper than 32 levels",
                    "split it: a formula may name other KPIs");
    int left = prefix_read(p);
    for (size_t i = 0; !p->failed && i < KPID_COUNT_OF(operators);) {
        if (!kpid_lexer_is(&p->lexer, operators[i].sign) || operators[i].power <= power) {
            i++;
            continue;
        }
        size_t at = p->lexer.now.at;
        kpid_lexer_next(&p->lexer);
        int right = formula_read(p, operators[i].power);
        if (!p->failed)
            left = push(
                p, (struct kpid_formula_leaf){
                       .op = operators[i].op, .a = (int16_t)left, .b = (int16_t)right, .at = at, .len = 1});
        i = 0;
    }
    p->depth--;
    return left;
}

void kpid_formula_parse(struct kpid_loader *loader, const struct kpid_yaml *node,
                        struct kpid_formula_text *ret)
{
    *ret = (struct kpid_formula_text){.node = node};
    if (!kpid_want_text(loader, node, "formula"))
        return;
    struct parser p = {.loader = loader, .formula = ret};
    kpid_lexer_init(&p.lexer, node->text);
    formula_read(&p, 0);
    if (!p.failed && p.lexer.now.kind != KPID_TOKEN_END)
        unexpected(&p);
    ret->good = !p.failed;
}
