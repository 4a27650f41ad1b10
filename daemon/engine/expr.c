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

static void node_eval(struct walk *walk, int index, struct result *ret);
static enum kpid_truth node_test(struct walk *walk, int index);

/* Results are written member by member where the caller wants them: copies of whole ones cost more than the
 * rest. */
static void result_fault(struct result *ret, enum kpid_reason reason)
{
    ret->kind = KPID_FAULTY;
    ret->reason = (uint16_t)reason;
}

static void result_number(struct result *ret, kpid_i128 number, uint8_t scale)
{
    ret->number = number;
    ret->kind = KPID_NUMBER;
    ret->scale = scale;
}

static void field_eval(const struct walk *walk, const struct kpid_node *node, struct result *ret)
{
    assert(node->slot < walk->event->n_values);
    const struct kpid_value *value = &walk->event->values[node->slot];
    ret->kind = value->kind;
    switch (value->kind) {
    case KPID_NUMBER:
        ret->number = value->number;
        ret->scale = node->scale;
        break;
    case KPID_STRING:
        ret->str = value->str;
        ret->len = value->len;
        ret->lower = false;
        break;
    case KPID_BOOL: ret->boolean = value->boolean; break;
    case KPID_FAULTY: ret->reason = value->reason; break;
    default: break;
    }
}

/* What a fault or a missing value in one of two operands makes of the whole: a fault weighs more. */
static bool operands_bad(const struct result *a, const struct result *b, struct result *ret)
{
    const struct result *sides[] = {a, b};
    bool absent = false;
    for (size_t i = 0; i < KPID_COUNT_OF(sides); i++) {
        if (sides[i]->kind == KPID_FAULTY) {
            result_fault(ret, (enum kpid_reason)sides[i]->reason);
            return true;
        }
        if (sides[i]->kind == KPID_ABSENT) {
            absent = true;
        } else if (sides[i]->kind != KPID_NUMBER) {
            result_fault(ret, KPID_REASON_WRONG_TYPE);
            return true;
        }
    }
    if (absent)
        ret->kind = KPID_ABSENT;
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

/* The operation on two numbers; anything but NONE is the fault. */
static enum kpid_reason numbers_combine(const struct kpid_node *node, const struct result *a,
                                        const struct result *b, kpid_i128 *ret)
{
    kpid_i128 x, y;
    bool fits;
    switch (node->op) {
    case KPID_OP_MUL:
        fits = !__builtin_mul_overflow(a->number, b->number, &x) &&
               kpid_decimal_rescale(x, (uint8_t)(a->scale + b->scale), node->scale, ret);
        break;
    case KPID_OP_DIV:
        if (b->number == 0)
            return KPID_REASON_DIVISION;
        fits = kpid_decimal_divide((struct kpid_decimal){a->number, a->scale},
                                   (struct kpid_decimal){b->number, b->scale}, node->scale, ret);
        break;
    case KPID_OP_ADD:
        fits = align(a, node->scale, &x) && align(b, node->scale, &y) && !__builtin_add_overflow(x, y, ret);
        break;
    case KPID_OP_SUB:
        fits = align(a, node->scale, &x) && align(b, node->scale, &y) && !__builtin_sub_overflow(x, y, ret);
        break;
    default: /* KPID_OP_NEG */
        fits = align(a, node->scale, &x) && !__builtin_sub_overflow((kpid_i128)0, x, ret);
        break;
    }
    return fits ? KPID_REASON_NONE : KPID_REASON_TOO_LARGE;
}

static void arithmetic_eval(struct walk *walk, const struct kpid_node *node, struct result *ret)
{
    struct result a, b;
    node_eval(walk, node->a, &a);
    if (node->op != KPID_OP_NEG)
        node_eval(walk, node->b, &b);
    if (operands_bad(&a, node->op == KPID_OP_NEG ? &a : &b, ret))
        return;
    enum kpid_reason reason = numbers_combine(node, &a, &b, &ret->number);
    if (reason != KPID_REASON_NONE) {
        result_fault(ret, reason);
        return;
    }
    ret->kind = KPID_NUMBER;
    ret->scale = node->scale;
}

static void day_eval(struct walk *walk, const struct kpid_node *node, struct result *ret)
{
    struct result t;
    kpid_i128 ms;
    node_eval(walk, node->a, &t);
    if (operands_bad(&t, &t, ret))
        return;
    if (!align(&t, 0, &ms) || ms > INT64_MAX - DAY_MS || ms < INT64_MIN + DAY_MS) {
        result_fault(ret, KPID_REASON_TIME_RANGE);
        return;
    }
    int64_t local =
        (int64_t)ms + (node->zone != NULL ? kpid_zone_offset(node->zone, (int64_t)ms) * 1000LL : 0);
    result_number(ret, local / DAY_MS - (local % DAY_MS < 0), 0);
}

static void node_eval(struct walk *walk, int index, struct result *ret)
{
    const struct kpid_node *node = &walk->nodes[index];
    switch ((enum kpid_op)node->op) {
    case KPID_OP_FIELD: field_eval(walk, node, ret); return;
    case KPID_OP_NUMBER: result_number(ret, node->number, node->scale); return;
    case KPID_OP_STRING:
        ret->kind = KPID_STRING;
        ret->str = node->str;
        ret->len = node->len;
        ret->lower = false;
        return;
    case KPID_OP_BOOL:
        ret->kind = KPID_BOOL;
        ret->boolean = node->boolean;
        return;
    case KPID_OP_ADD:
    case KPID_OP_SUB:
    case KPID_OP_MUL:
    case KPID_OP_DIV:
    case KPID_OP_NEG: arithmetic_eval(walk, node, ret); return;
    case KPID_OP_DAY: day_eval(walk, node, ret); return;
    case KPID_OP_LOWER:
        node_eval(walk, node->a, ret);
        ret->lower = ret->kind == KPID_STRING;
        return;
    default: break;
    }
    enum kpid_truth truth = node_test(walk, index); /* a condition as a value */
    ret->kind = truth == KPID_UNKNOWN ? KPID_ABSENT : KPID_BOOL;
    ret->boolean = truth == KPID_TRUE;
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
    struct result a, b;
    node_eval(walk, node->a, &a);
    node_eval(walk, node->b, &b);
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
    struct result a, item;
    node_eval(walk, node->a, &a);
    if (a.kind == KPID_ABSENT)
        return KPID_UNKNOWN;
    for (int i = node->list_first; i < node->list_first + node->list_n; i++) {
        node_eval(walk, i, &item);
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
    struct result a, b;
    node_eval(walk, node->a, &a);
    node_eval(walk, node->b, &b);
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
    struct result value;
    node_eval(walk, index, &value);
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
    struct result value;
    enum kpid_truth truth;
    switch ((enum kpid_op)node->op) {
    case KPID_OP_EXISTS: node_eval(walk, node->a, &value); return truth_of(value.kind != KPID_ABSENT);
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
    struct result value;
    node_eval(&walk, (int)expr->n - 1, &value);
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
