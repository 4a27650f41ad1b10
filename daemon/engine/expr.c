/*
 * The evaluator of expressions, see kpid/expr.h. Runs for every event and measure: it walks the tree by
 * recursion (depth is capped by the loader), allocates nothing, and compares and computes in place where
 * scales are equal.
 *
 * A result is a value with its scale. A fault inside (a string in a sum, a division by zero) is a value of
 * its own kind that nothing equals; it reaches the caller as a reason from kpid_expr_number, and in a
 * condition it makes the comparison false, as values of different kinds do.
 */
#include "kpid/expr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000LL

struct result {
    union {
        kpid_i128 number;
        const char *str;
        bool boolean;
    };
    uint32_t len;
    uint16_t reason; /* KPID_FAULTY */
    uint8_t kind, scale;
    bool lower; /* the string's ASCII letters count as small ones */
};

struct walk {
    const struct kpid_node *nodes;
    const struct kpid_event *event;
    bool mismatch;
};

static struct result node_eval(struct walk *walk, int index);
static enum kpid_truth node_test(struct walk *walk, int index);

static struct result result_fault(enum kpid_reason reason)
{
    return (struct result){.kind = KPID_FAULTY, .reason = (uint16_t)reason};
}

static struct result result_absent(void)
{
    return (struct result){.kind = KPID_ABSENT};
}

static struct result result_number(kpid_i128 number, uint8_t scale)
{
    return (struct result){.number = number, .kind = KPID_NUMBER, .scale = scale};
}

static struct result field_eval(const struct walk *walk, const struct kpid_node *node)
{
    assert(node->slot < walk->event->n_values);
    const struct kpid_value *value = &walk->event->values[node->slot];
    struct result result = {
        .kind = value->kind, .scale = node->scale, .reason = value->reason, .len = value->len};
    switch (value->kind) {
    case KPID_NUMBER: result.number = value->number; break;
    case KPID_STRING: result.str = value->str; break;
    case KPID_BOOL: result.boolean = value->boolean; break;
    default: break;
    }
    return result;
}

/* What a fault or a missing value in one of two operands makes of the whole: a fault weighs more. */
static bool operands_bad(const struct result *a, const struct result *b, struct result *ret)
{
    const struct result *sides[] = {a, b};
    bool absent = false;
    for (size_t i = 0; i < KPID_COUNT_OF(sides); i++) {
        if (sides[i]->kind == KPID_FAULTY) {
            *ret = *sides[i];
            return true;
        }
        if (sides[i]->kind == KPID_ABSENT) {
            absent = true;
        } else if (sides[i]->kind != KPID_NUMBER) {
            *ret = result_fault(KPID_REASON_WRONG_TYPE);
            return true;
        }
    }
    if (absent)
        *ret = result_absent();
    return absent;
}

static bool align(const struct result *a, uint8_t scale, kpid_i128 *ret)
{
    if (a->scale == scale) {
        *ret = a->number;
        return true;
    }
    return kpid_decimal_rescale(a->number, a->scale, scale, ret);
}

static struct result sum_eval(const struct kpid_node *node, const struct result *a, const struct result *b)
{
    kpid_i128 x, y, sum;
    if (!align(a, node->scale, &x) || !align(b, node->scale, &y) ||
        (node->op == KPID_OP_ADD ? __builtin_add_overflow(x, y, &sum) : __builtin_sub_overflow(x, y, &sum)))
        return result_fault(KPID_REASON_TOO_LARGE);
    return result_number(sum, node->scale);
}

static struct result product_eval(const struct kpid_node *node, const struct result *a,
                                  const struct result *b)
{
    kpid_i128 product;
    if (__builtin_mul_overflow(a->number, b->number, &product) ||
        !kpid_decimal_rescale(product, (uint8_t)(a->scale + b->scale), node->scale, &product))
        return result_fault(KPID_REASON_TOO_LARGE);
    return result_number(product, node->scale);
}

static struct result quotient_eval(const struct kpid_node *node, const struct result *a,
                                   const struct result *b)
{
    kpid_i128 quotient;
    if (b->number == 0)
        return result_fault(KPID_REASON_DIVISION);
    if (!kpid_decimal_divide((struct kpid_decimal){a->number, a->scale},
                             (struct kpid_decimal){b->number, b->scale}, node->scale, &quotient))
        return result_fault(KPID_REASON_TOO_LARGE);
    return result_number(quotient, node->scale);
}

static struct result arithmetic_eval(struct walk *walk, const struct kpid_node *node)
{
    struct result a = node_eval(walk, node->a), bad;
    struct result b = node->op == KPID_OP_NEG ? result_number(0, a.scale) : node_eval(walk, node->b);
    if (operands_bad(&a, &b, &bad))
        return bad;
    switch (node->op) {
    case KPID_OP_MUL: return product_eval(node, &a, &b);
    case KPID_OP_DIV: return quotient_eval(node, &a, &b);
    case KPID_OP_NEG: return sum_eval(node, &b, &a);
    default: return sum_eval(node, &a, &b);
    }
}

static struct result day_eval(struct walk *walk, const struct kpid_node *node)
{
    struct result t = node_eval(walk, node->a), bad;
    kpid_i128 ms;
    if (operands_bad(&t, &t, &bad))
        return bad;
    if (!align(&t, 0, &ms) || ms > INT64_MAX - DAY_MS || ms < INT64_MIN + DAY_MS)
        return result_fault(KPID_REASON_TIME_RANGE);
    int64_t local =
        (int64_t)ms + (node->zone != NULL ? kpid_zone_offset(node->zone, (int64_t)ms) * 1000LL : 0);
    return result_number(local / DAY_MS - (local % DAY_MS < 0), 0);
}

static struct result node_eval(struct walk *walk, int index)
{
    const struct kpid_node *node = &walk->nodes[index];
    struct result result;
    switch ((enum kpid_op)node->op) {
    case KPID_OP_FIELD: return field_eval(walk, node);
    case KPID_OP_NUMBER: return result_number(node->number, node->scale);
    case KPID_OP_STRING: return (struct result){.str = node->str, .len = node->len, .kind = KPID_STRING};
    case KPID_OP_BOOL: return (struct result){.boolean = node->boolean, .kind = KPID_BOOL};
    case KPID_OP_ADD:
    case KPID_OP_SUB:
    case KPID_OP_MUL:
    case KPID_OP_DIV:
    case KPID_OP_NEG: return arithmetic_eval(walk, node);
    case KPID_OP_DAY: return day_eval(walk, node);
    case KPID_OP_LOWER:
        result = node_eval(walk, node->a);
        result.lower = result.kind == KPID_STRING;
        return result;
    default: break;
    }
    enum kpid_truth truth = node_test(walk, index);
    return truth == KPID_UNKNOWN ? result_absent()
                                 : (struct result){.boolean = truth == KPID_TRUE, .kind = KPID_BOOL};
}

static unsigned char byte_at(const struct result *s, size_t i)
{
    unsigned char c = (unsigned char)s->str[i];
    return s->lower && c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

/* Like memcmp over the first n bytes of both. */
static int bytes_compare(const struct result *a, const struct result *b, size_t n)
{
    if (!a->lower && !b->lower)
        return n > 0 ? memcmp(a->str, b->str, n) : 0;
    for (size_t i = 0; i < n; i++) {
        int difference = byte_at(a, i) - byte_at(b, i);
        if (difference != 0)
            return difference;
    }
    return 0;
}

static bool values_comparable(const struct result *a, const struct result *b)
{
    return a->kind == b->kind && (a->kind == KPID_NUMBER || a->kind == KPID_STRING || a->kind == KPID_BOOL);
}

static bool values_equal(const struct result *a, const struct result *b)
{
    switch (a->kind) {
    case KPID_NUMBER:
        if (a->scale == b->scale)
            return a->number == b->number;
        return kpid_decimal_compare((struct kpid_decimal){a->number, a->scale},
                                    (struct kpid_decimal){b->number, b->scale}) == 0;
    case KPID_STRING: return a->len == b->len && bytes_compare(a, b, a->len) == 0;
    default: return a->boolean == b->boolean;
    }
}

static int values_order(const struct result *a, const struct result *b)
{
    if (a->kind == KPID_NUMBER) {
        if (a->scale == b->scale)
            return (a->number > b->number) - (a->number < b->number);
        return kpid_decimal_compare((struct kpid_decimal){a->number, a->scale},
                                    (struct kpid_decimal){b->number, b->scale});
    }
    if (a->kind == KPID_BOOL)
        return a->boolean - b->boolean;
    int order = bytes_compare(a, b, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static enum kpid_truth truth_of(bool value)
{
    return value ? KPID_TRUE : KPID_FALSE;
}

static enum kpid_truth compare_test(struct walk *walk, const struct kpid_node *node)
{
    if (node->by_type)
        return truth_of((walk->event->type_id == node->type_id) == (node->op == KPID_OP_EQ));
    struct result a = node_eval(walk, node->a), b = node_eval(walk, node->b);
    if (a.kind == KPID_ABSENT || b.kind == KPID_ABSENT)
        return KPID_UNKNOWN;
    if (!values_comparable(&a, &b)) {
        walk->mismatch = true;
        return truth_of(node->op == KPID_OP_NE);
    }
    switch (node->op) {
    case KPID_OP_EQ: return truth_of(values_equal(&a, &b));
    case KPID_OP_NE: return truth_of(!values_equal(&a, &b));
    case KPID_OP_LT: return truth_of(values_order(&a, &b) < 0);
    case KPID_OP_LE: return truth_of(values_order(&a, &b) <= 0);
    case KPID_OP_GT: return truth_of(values_order(&a, &b) > 0);
    default: return truth_of(values_order(&a, &b) >= 0);
    }
}

static enum kpid_truth in_test(struct walk *walk, const struct kpid_node *node)
{
    bool same_kind = node->list_n == 0;
    if (node->by_type) {
        for (int i = node->list_first; i < node->list_first + node->list_n; i++) {
            if (walk->nodes[i].type_id == walk->event->type_id)
                return KPID_TRUE;
        }
        return KPID_FALSE;
    }
    struct result a = node_eval(walk, node->a);
    if (a.kind == KPID_ABSENT)
        return KPID_UNKNOWN;
    for (int i = node->list_first; i < node->list_first + node->list_n; i++) {
        struct result item = node_eval(walk, i);
        if (!values_comparable(&a, &item))
            continue;
        same_kind = true;
        if (values_equal(&a, &item))
            return KPID_TRUE;
    }
    walk->mismatch |= !same_kind;
    return KPID_FALSE;
}

static enum kpid_truth starts_with_test(struct walk *walk, const struct kpid_node *node)
{
    struct result a = node_eval(walk, node->a), b = node_eval(walk, node->b);
    if (a.kind == KPID_ABSENT || b.kind == KPID_ABSENT)
        return KPID_UNKNOWN;
    if (a.kind != KPID_STRING || b.kind != KPID_STRING) {
        walk->mismatch = true;
        return KPID_FALSE;
    }
    return truth_of(a.len >= b.len && bytes_compare(&a, &b, b.len) == 0);
}

/* A bare value as a condition: a boolean says it itself, anything else is of the wrong kind. */
static enum kpid_truth value_test(struct walk *walk, int index)
{
    struct result value = node_eval(walk, index);
    if (value.kind == KPID_ABSENT)
        return KPID_UNKNOWN;
    walk->mismatch |= value.kind != KPID_BOOL;
    return truth_of(value.kind == KPID_BOOL && value.boolean);
}

/* and: FALSE decides; or: TRUE decides. What decides on the left spares the right side. */
static enum kpid_truth both_test(struct walk *walk, const struct kpid_node *node, enum kpid_truth decides)
{
    enum kpid_truth a = node_test(walk, node->a);
    if (a == decides)
        return a;
    enum kpid_truth b = node_test(walk, node->b);
    return b == decides ? b : a == KPID_UNKNOWN ? a : b;
}

static enum kpid_truth node_test(struct walk *walk, int index)
{
    const struct kpid_node *node = &walk->nodes[index];
    enum kpid_truth truth;
    switch ((enum kpid_op)node->op) {
    case KPID_OP_EXISTS: return truth_of(node_eval(walk, node->a).kind != KPID_ABSENT);
    case KPID_OP_NOT:
        truth = node_test(walk, node->a);
        return truth == KPID_UNKNOWN ? truth : truth_of(truth == KPID_FALSE);
    case KPID_OP_AND: return both_test(walk, node, KPID_FALSE);
    case KPID_OP_OR: return both_test(walk, node, KPID_TRUE);
    case KPID_OP_EQ:
    case KPID_OP_NE:
    case KPID_OP_LT:
    case KPID_OP_LE:
    case KPID_OP_GT:
    case KPID_OP_GE: return compare_test(walk, node);
    case KPID_OP_IN: return in_test(walk, node);
    case KPID_OP_STARTS_WITH: return starts_with_test(walk, node);
    default: return value_test(walk, index);
    }
}

enum kpid_truth kpid_expr_test(const struct kpid_expr *expr, const struct kpid_event *event, bool *mismatch)
{
    if (expr->n == 0)
        return KPID_TRUE;
    struct walk walk = {.nodes = expr->nodes, .event = event};
    enum kpid_truth truth = node_test(&walk, (int)expr->n - 1);
    if (walk.mismatch)
        *mismatch = true;
    return truth;
}

enum kpid_reason kpid_expr_number(const struct kpid_expr *expr, const struct kpid_event *event,
                                  kpid_i128 *ret, bool *absent)
{
    assert(expr->n > 0);
    struct walk walk = {.nodes = expr->nodes, .event = event};
    struct result value = node_eval(&walk, (int)expr->n - 1);
    *absent = value.kind == KPID_ABSENT;
    switch (value.kind) {
    case KPID_NUMBER: *ret = value.number; return KPID_REASON_NONE;
    case KPID_ABSENT: return KPID_REASON_NONE;
    case KPID_FAULTY: return (enum kpid_reason)value.reason;
    default: return KPID_REASON_WRONG_TYPE;
    }
}

size_t kpid_value_bytes(const struct kpid_value *value, uint8_t scale, char text[KPID_DECIMAL_TEXT],
                        const char **ret)
{
    switch (value->kind) {
    case KPID_STRING: *ret = value->str; return value->len;
    case KPID_NUMBER:
        *ret = text;
        return kpid_decimal_print((struct kpid_decimal){value->number, scale}, text);
    case KPID_BOOL: *ret = value->boolean ? "true" : "false"; return value->boolean ? 4 : 5;
    case KPID_ABSENT: *ret = ""; return 0;
    default: return SIZE_MAX;
    }
}

void kpid_expr_release(struct kpid_expr *expr)
{
    for (size_t i = 0; i < expr->n; i++)
        free(expr->nodes[i].str);
    free(expr->nodes);
    free(expr->text);
    *expr = (struct kpid_expr){0};
}
