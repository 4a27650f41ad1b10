/*
 * Expressions over an event (`where`, `value`, keys): a tree in an array, made by the configuration loader, which
 * checked names, types, depth and scales; walked here without allocation.
 *
 * Numbers are exact: each node has a static scale; + and - align, * adds scales (at most 18), / rounds half to even
 * at 9 digits. Three-valued logic: an absent field makes a comparison ABSENT; `and` is false if one side is false,
 * `or` true if one side is true. In comparisons values of different kinds are unequal, and an ordering between them
 * is false; both count as a mismatch. Arithmetic with a value that is no number, a division by zero or an overflow is
 * a fault (the event is malformed); inside a condition a fault is a value of another kind than any it meets. Of an
 * absent and a faulty operand the fault weighs more. No expression at all is a condition that holds.
 */
#ifndef KPID_EXPR_H
#define KPID_EXPR_H

#include "kpid/decimal.h"
#include "kpid/flow/event.h"
#include "kpid/zone.h"

enum kpid_op {
    KPID_OP_FIELD, KPID_OP_NUMBER, KPID_OP_STRING, KPID_OP_BOOL, /* leaves */
    KPID_OP_EXISTS,                                              /* exists(field): a = field node */
    KPID_OP_NOT, KPID_OP_AND, KPID_OP_OR,
    KPID_OP_EQ, KPID_OP_NE, KPID_OP_LT, KPID_OP_LE, KPID_OP_GT, KPID_OP_GE,
    KPID_OP_IN,                                                  /* a in [items]; items: list_first .. + list_n leaves */
    KPID_OP_ADD, KPID_OP_SUB, KPID_OP_MUL, KPID_OP_DIV, KPID_OP_NEG,
    KPID_OP_DAY,                                                 /* day(t[, zone]): civil days since 1970-01-01 */
    KPID_OP_STARTS_WITH,                                         /* a: value, b: prefix */
    KPID_OP_LOWER                                                /* lower(a): ASCII; only compared, never stored */
};

/* What a number means; formulas publish durations in seconds. */
enum kpid_dimension { KPID_PLAIN, KPID_TIME_MS, KPID_DURATION_MS };

struct kpid_node {
    uint8_t op;
    uint8_t scale;     /* of this node's numeric result */
    uint8_t dimension; /* enum kpid_dimension */
    bool boolean;      /* KPID_OP_BOOL */
    int16_t a, b;      /* children, -1 = none; always at a lower index than this node */
    int16_t list_first, list_n;
    uint16_t slot;     /* KPID_OP_FIELD */
    uint32_t type_id;  /* KPID_OP_EQ or _NE of the type field and a string: the interned type, so no bytes compare */
    bool by_type;      /* type_id counts, not a and b; on KPID_OP_IN: the type_id of each item counts */
    kpid_i128 number;  /* KPID_OP_NUMBER, at `scale` */
    char *str;         /* KPID_OP_STRING; owned by the expression */
    uint32_t len;
    const struct kpid_zone *zone; /* KPID_OP_DAY; borrowed from the model */
};

#define KPID_EXPR_DEPTH_MAX 32

struct kpid_expr {
    struct kpid_node *nodes; /* root = nodes[n - 1]; n = 0: there is no expression */
    size_t n;
    char *text;              /* normalised: what the definition hash is made of */
};

enum kpid_truth { KPID_FALSE, KPID_TRUE, KPID_UNKNOWN };

/* Evaluates a condition. UNKNOWN: it hangs on an absent field. *mismatch is set to true where kinds differed. */
enum kpid_truth kpid_expr_test(const struct kpid_expr *expr, const struct kpid_event *event, bool *mismatch);

/* Evaluates a numeric value at the root's scale. NONE = set, and *ret holds; *absent true: a field is absent and
 * *ret is untouched; any other reason: the event is malformed for it. */
enum kpid_reason kpid_expr_number(const struct kpid_expr *expr, const struct kpid_event *event, kpid_i128 *ret,
                                  bool *absent);

/* The bytes that stand for a value in keys, groups and distinct counts: a string's own, a number's shortest decimal
 * text, true or false. `scale` is the field's. Returns the length and sets *ret to the bytes (borrowed from the value
 * or written to `text`); SIZE_MAX for a map, a list or a faulty token, 0 for absent. */
size_t kpid_value_bytes(const struct kpid_value *value, uint8_t scale, char text[KPID_DECIMAL_TEXT], const char **ret);

void kpid_expr_release(struct kpid_expr *expr);

#endif
