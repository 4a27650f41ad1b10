/* The evaluator: trees are built by hand, as the configuration loader would. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/buf.h"
#include "kpid/expr.h"

enum { AMOUNT = KPID_SLOT_FREE, COUNT, NAME, FLAG, MISSING, MAP, BROKEN, TIME, SLOTS };

static const char *const amount_text = "-12.5";
static struct kpid_value values[SLOTS];
static struct kpid_event event = {.ts_ms = 1000, .type_id = 3, .values = values, .n_values = SLOTS};

static void event_make(void)
{
    cr_assert_eq(kpid_decimal_parse(amount_text, 5, 6, false, &values[AMOUNT].number), KPID_DECIMAL_OK);
    values[AMOUNT].kind = KPID_NUMBER;
    values[COUNT] = (struct kpid_value){.number = 4, .kind = KPID_NUMBER}; /* scale 0 */
    values[NAME] = (struct kpid_value){.str = "BerLin", .len = 6, .kind = KPID_STRING};
    values[FLAG] = (struct kpid_value){.boolean = true, .kind = KPID_BOOL};
    values[MISSING].kind = KPID_ABSENT;
    values[MAP].kind = KPID_OTHER;
    values[BROKEN] = (struct kpid_value){.kind = KPID_FAULTY, .reason = KPID_REASON_TOO_FINE};
    values[TIME] = (struct kpid_value){.number = 1772953200000 - 7200001, .kind = KPID_NUMBER};
}

TestSuite(expr, .init = event_make);

struct tree {
    struct kpid_node nodes[64];
    size_t n;
};

static int16_t put(struct tree *tree, struct kpid_node node)
{
    tree->nodes[tree->n] = node;
    return (int16_t)tree->n++;
}

static int16_t field(struct tree *tree, int slot)
{
    return put(tree, (struct kpid_node){.op = KPID_OP_FIELD, .slot = (uint16_t)slot, .scale = slot == AMOUNT ? 6 : 0});
}

static int16_t number(struct tree *tree, int64_t m, uint8_t scale)
{
    return put(tree, (struct kpid_node){.op = KPID_OP_NUMBER, .number = m, .scale = scale});
}

static int16_t string(struct tree *tree, char *text)
{
    return put(tree, (struct kpid_node){.op = KPID_OP_STRING, .str = text, .len = (uint32_t)strlen(text)});
}

static int16_t boolean(struct tree *tree, bool value)
{
    return put(tree, (struct kpid_node){.op = KPID_OP_BOOL, .boolean = value});
}

static int16_t op(struct tree *tree, enum kpid_op code, int a, int b, uint8_t scale)
{
    return put(tree, (struct kpid_node){.op = (uint8_t)code, .a = (int16_t)a, .b = (int16_t)b, .scale = scale});
}

static int test_of(struct tree *tree, bool *mismatch)
{
    struct kpid_expr expr = {.nodes = tree->nodes, .n = tree->n};
    *mismatch = false;
    return (int)kpid_expr_test(&expr, &event, mismatch);
}

static enum kpid_reason number_of(struct tree *tree, kpid_i128 *ret, bool *absent)
{
    struct kpid_expr expr = {.nodes = tree->nodes, .n = tree->n};
    return kpid_expr_number(&expr, &event, ret, absent);
}

/* A leaf by name, so that tables stay short. */
static int16_t leaf(struct tree *tree, char code)
{
    switch (code) {
    case 'a': return field(tree, AMOUNT); /* -12.5 */
    case 'c': return field(tree, COUNT);  /* 4 */
    case 'n': return field(tree, NAME);   /* BerLin */
    case 'f': return field(tree, FLAG);   /* true */
    case '?': return field(tree, MISSING);
    case 'm': return field(tree, MAP);
    case '!': return field(tree, BROKEN);
    case '4': return number(tree, 4000, 3);
    case '5': return number(tree, 5, 0);
    case '-': return number(tree, -125, 1);
    case 'B': return string(tree, "BerLin");
    case 'C': return string(tree, "BerLinX");
    case 'e': return string(tree, "");
    case 'T': return boolean(tree, true);
    case 'F': return boolean(tree, false);
    case 'l': return op(tree, KPID_OP_LOWER, field(tree, NAME), -1, 0);
    case 'b': return string(tree, "berlin");
    default: cr_assert_fail("no leaf %c", code); return -1;
    }
}

Test(expr, compares)
{
    static const struct {
        char a;
        enum kpid_op op;
        char b;
        int truth;
        bool mismatch;
    } cases[] = {
        {'c', KPID_OP_EQ, '4', KPID_TRUE, false},     {'c', KPID_OP_NE, '4', KPID_FALSE, false},
        {'c', KPID_OP_LT, '5', KPID_TRUE, false},     {'c', KPID_OP_GE, '5', KPID_FALSE, false},
        {'c', KPID_OP_LE, '4', KPID_TRUE, false},     {'c', KPID_OP_GE, '4', KPID_TRUE, false},
        {'c', KPID_OP_GT, '4', KPID_FALSE, false},    {'a', KPID_OP_EQ, '-', KPID_TRUE, false},
        {'a', KPID_OP_LT, 'c', KPID_TRUE, false},     {'c', KPID_OP_GT, 'a', KPID_TRUE, false},
        {'n', KPID_OP_EQ, 'B', KPID_TRUE, false},     {'n', KPID_OP_EQ, 'C', KPID_FALSE, false},
        {'n', KPID_OP_LT, 'C', KPID_TRUE, false},     {'C', KPID_OP_GT, 'n', KPID_TRUE, false},
        {'n', KPID_OP_EQ, 'b', KPID_FALSE, false},    {'l', KPID_OP_EQ, 'b', KPID_TRUE, false},
        {'b', KPID_OP_EQ, 'l', KPID_TRUE, false},     {'l', KPID_OP_EQ, 'B', KPID_FALSE, false},
        {'n', KPID_OP_GT, 'e', KPID_TRUE, false},     {'e', KPID_OP_EQ, 'e', KPID_TRUE, false},
        {'f', KPID_OP_EQ, 'T', KPID_TRUE, false},     {'f', KPID_OP_NE, 'T', KPID_FALSE, false},
        {'f', KPID_OP_EQ, 'F', KPID_FALSE, false},    {'?', KPID_OP_EQ, '4', KPID_UNKNOWN, false},
        {'4', KPID_OP_NE, '?', KPID_UNKNOWN, false},  {'?', KPID_OP_LT, '?', KPID_UNKNOWN, false},
        {'n', KPID_OP_EQ, '4', KPID_FALSE, true},     {'n', KPID_OP_NE, '4', KPID_TRUE, true},
        {'n', KPID_OP_LT, '4', KPID_FALSE, true},     {'n', KPID_OP_GE, '4', KPID_FALSE, true},
        {'m', KPID_OP_EQ, 'm', KPID_FALSE, true},     {'m', KPID_OP_NE, 'm', KPID_TRUE, true},
        {'!', KPID_OP_EQ, '5', KPID_FALSE, true},     {'!', KPID_OP_GT, '5', KPID_FALSE, true},
        {'f', KPID_OP_EQ, '4', KPID_FALSE, true},     {'n', KPID_OP_STARTS_WITH, 'e', KPID_TRUE, false},
        {'C', KPID_OP_STARTS_WITH, 'n', KPID_TRUE, false}, {'n', KPID_OP_STARTS_WITH, 'C', KPID_FALSE, false},
        {'l', KPID_OP_STARTS_WITH, 'b', KPID_TRUE, false}, {'c', KPID_OP_STARTS_WITH, 'B', KPID_FALSE, true},
        {'?', KPID_OP_STARTS_WITH, 'B', KPID_UNKNOWN, false},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct tree tree = {0};
        int16_t a = leaf(&tree, cases[i].a), b = leaf(&tree, cases[i].b);
        op(&tree, cases[i].op, a, b, 0);
        bool mismatch;
        cr_assert_eq(test_of(&tree, &mismatch), cases[i].truth, "%c %d %c", cases[i].a, cases[i].op, cases[i].b);
        cr_assert_eq(mismatch, cases[i].mismatch, "%c %d %c", cases[i].a, cases[i].op, cases[i].b);
    }
}

Test(expr, knows_three_truths)
{
    static const int and_table[3][3] = {{KPID_FALSE, KPID_FALSE, KPID_FALSE},
                                        {KPID_FALSE, KPID_TRUE, KPID_UNKNOWN},
                                        {KPID_FALSE, KPID_UNKNOWN, KPID_UNKNOWN}};
    static const int or_table[3][3] = {{KPID_FALSE, KPID_TRUE, KPID_UNKNOWN},
                                       {KPID_TRUE, KPID_TRUE, KPID_TRUE},
                                       {KPID_UNKNOWN, KPID_TRUE, KPID_UNKNOWN}};
    static const int not_table[3] = {KPID_TRUE, KPID_FALSE, KPID_UNKNOWN};
    static const char leaves[] = {'F', 'T', '?'};
    bool mismatch;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            struct tree both = {0}, either = {0};
            op(&both, KPID_OP_AND, leaf(&both, leaves[i]), leaf(&both, leaves[j]), 0);
            /* Evaluation order of the arguments is free, so a and b may be swapped: both tables are symmetric. */
            op(&either, KPID_OP_OR, leaf(&either, leaves[i]), leaf(&either, leaves[j]), 0);
            cr_assert_eq(test_of(&both, &mismatch), and_table[i][j]);
            cr_assert_eq(test_of(&either, &mismatch), or_table[i][j]);
        }
        struct tree not = {0};
        op(&not, KPID_OP_NOT, leaf(&not, leaves[i]), -1, 0);
        cr_assert_eq(test_of(&not, &mismatch), not_table[i]);
        struct tree equal = {0}; /* (leaf or leaf) == true: a condition as a value */
        int16_t inner = op(&equal, KPID_OP_OR, leaf(&equal, leaves[i]), leaf(&equal, leaves[i]), 0);
        op(&equal, KPID_OP_EQ, inner, boolean(&equal, true), 0);
        cr_assert_eq(test_of(&equal, &mismatch), i);
    }
    struct tree bare = {0};
    leaf(&bare, 'n');
    cr_assert_eq(test_of(&bare, &mismatch), KPID_FALSE);
    cr_assert(mismatch);
    struct tree none = {0};
    cr_assert_eq(test_of(&none, &mismatch), KPID_TRUE);
}

Test(expr, tells_what_exists)
{
    static const char leaves[] = "acnf?m!";
    for (size_t i = 0; leaves[i] != '\0'; i++) {
        struct tree tree = {0};
        bool mismatch;
        op(&tree, KPID_OP_EXISTS, leaf(&tree, leaves[i]), -1, 0);
        cr_assert_eq(test_of(&tree, &mismatch), leaves[i] != '?' ? KPID_TRUE : KPID_FALSE);
        cr_assert_not(mismatch);
    }
}

Test(expr, compares_types_by_their_number)
{
    for (uint32_t type = 2; type <= 4; type++) {
        struct tree equal = {0}, other = {0}, in = {0};
        bool mismatch;
        put(&equal, (struct kpid_node){.op = KPID_OP_EQ, .by_type = true, .type_id = type, .a = -1, .b = -1});
        put(&other, (struct kpid_node){.op = KPID_OP_NE, .by_type = true, .type_id = type, .a = -1, .b = -1});
        put(&in, (struct kpid_node){.op = KPID_OP_STRING, .type_id = 9});
        put(&in, (struct kpid_node){.op = KPID_OP_STRING, .type_id = type});
        put(&in, (struct kpid_node){.op = KPID_OP_IN, .by_type = true, .list_first = 0, .list_n = 2});
        cr_assert_eq(test_of(&equal, &mismatch), type == 3 ? KPID_TRUE : KPID_FALSE);
        cr_assert_eq(test_of(&other, &mismatch), type == 3 ? KPID_FALSE : KPID_TRUE);
        cr_assert_eq(test_of(&in, &mismatch), type == 3 ? KPID_TRUE : KPID_FALSE);
    }
}

Test(expr, looks_into_lists)
{
    static const struct {
        char a;
        const char *items;
        int truth;
        bool mismatch;
    } cases[] = {{'c', "54", KPID_TRUE, false}, {'c', "5-", KPID_FALSE, false},  {'n', "CB", KPID_TRUE, false},
                 {'l', "Bb", KPID_TRUE, false}, {'n', "54", KPID_FALSE, true},   {'c', "BC4", KPID_TRUE, false},
                 {'c', "B5", KPID_FALSE, false}, {'?', "54", KPID_UNKNOWN, false}, {'!', "5", KPID_FALSE, true},
                 {'c', "", KPID_FALSE, false}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct tree tree = {0};
        int16_t a = leaf(&tree, cases[i].a), first = (int16_t)tree.n;
        for (const char *item = cases[i].items; *item != '\0'; item++)
            leaf(&tree, *item);
        put(&tree, (struct kpid_node){.op = KPID_OP_IN, .a = a, .list_first = first,
                                      .list_n = (int16_t)strlen(cases[i].items)});
        bool mismatch;
        cr_assert_eq(test_of(&tree, &mismatch), cases[i].truth, "row %zu", i);
        cr_assert_eq(mismatch, cases[i].mismatch, "row %zu", i);
    }
}

Test(expr, computes)
{
    static const struct {
        char a;
        enum kpid_op op;
        char b;
        uint8_t scale;
        int64_t want;
    } cases[] = {{'a', KPID_OP_ADD, 'c', 6, -8500000},   {'c', KPID_OP_SUB, 'a', 6, 16500000},
                 {'a', KPID_OP_MUL, '-', 7, 1562500000}, {'a', KPID_OP_MUL, '4', 9, -50000000000},
                 {'a', KPID_OP_MUL, '-', 1, 1562},       {'c', KPID_OP_DIV, 'a', 9, -320000000},
                 {'5', KPID_OP_DIV, '4', 9, 1250000000}, {'4', KPID_OP_SUB, '5', 3, -1000}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct tree tree = {0};
        int16_t a = leaf(&tree, cases[i].a), b = leaf(&tree, cases[i].b);
        op(&tree, cases[i].op, a, b, cases[i].scale);
        kpid_i128 m = 0;
        bool absent = true;
        cr_assert_eq(number_of(&tree, &m, &absent), KPID_REASON_NONE);
        cr_assert(!absent && m == cases[i].want, "row %zu: %lld", i, (long long)m);
    }
    struct tree tree = {0};
    kpid_i128 m = 0;
    bool absent;
    op(&tree, KPID_OP_NEG, leaf(&tree, 'a'), -1, 6);
    cr_assert_eq(number_of(&tree, &m, &absent), KPID_REASON_NONE);
    cr_assert(m == 12500000);
}

Test(expr, tells_faults_from_absence)
{
    static const struct {
        char a;
        enum kpid_op op;
        char b;
        enum kpid_reason reason;
        bool absent;
    } cases[] = {{'a', KPID_OP_ADD, 'n', KPID_REASON_WRONG_TYPE, false}, {'m', KPID_OP_SUB, 'a', KPID_REASON_WRONG_TYPE, false},
                 {'f', KPID_OP_MUL, 'a', KPID_REASON_WRONG_TYPE, false}, {'?', KPID_OP_ADD, 'a', KPID_REASON_NONE, true},
                 {'a', KPID_OP_DIV, '?', KPID_REASON_NONE, true},        {'?', KPID_OP_ADD, 'n', KPID_REASON_WRONG_TYPE, false},
                 {'!', KPID_OP_ADD, '?', KPID_REASON_TOO_FINE, false},   {'a', KPID_OP_ADD, '!', KPID_REASON_TOO_FINE, false}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct tree tree = {0};
        int16_t a = leaf(&tree, cases[i].a), b = leaf(&tree, cases[i].b);
        op(&tree, cases[i].op, a, b, 6);
        kpid_i128 m = 99;
        bool absent = !cases[i].absent;
        cr_assert_eq(number_of(&tree, &m, &absent), cases[i].reason, "row %zu", i);
        cr_assert(absent == cases[i].absent && m == 99, "row %zu", i);
    }
    static const struct {
        char leaf;
        enum kpid_reason reason;
    } bare[] = {{'n', KPID_REASON_WRONG_TYPE}, {'m', KPID_REASON_WRONG_TYPE}, {'f', KPID_REASON_WRONG_TYPE},
                {'!', KPID_REASON_TOO_FINE},   {'?', KPID_REASON_NONE},       {'a', KPID_REASON_NONE}};
    for (size_t i = 0; i < KPID_COUNT_OF(bare); i++) {
        struct tree tree = {0};
        leaf(&tree, bare[i].leaf);
        kpid_i128 m;
        bool absent;
        cr_assert_eq(number_of(&tree, &m, &absent), bare[i].reason);
        cr_assert_eq(absent, bare[i].leaf == '?');
    }
}

Test(expr, notices_overflow_and_division_by_zero)
{
    kpid_i128 m, most = (kpid_i128)(~(kpid_u128)0 >> 1);
    bool absent, mismatch;
    static const struct {
        enum kpid_op op;
        int64_t b;
        enum kpid_reason reason;
    } cases[] = {{KPID_OP_ADD, 1, KPID_REASON_TOO_LARGE}, {KPID_OP_SUB, -1, KPID_REASON_TOO_LARGE},
                 {KPID_OP_MUL, 2, KPID_REASON_TOO_LARGE}, {KPID_OP_DIV, 0, KPID_REASON_DIVISION},
                 {KPID_OP_MUL, -1, KPID_REASON_NONE},     {KPID_OP_DIV, 3, KPID_REASON_NONE}};
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct tree tree = {0};
        int16_t a = put(&tree, (struct kpid_node){.op = KPID_OP_NUMBER, .number = most});
        int16_t whole = op(&tree, cases[i].op, a, number(&tree, cases[i].b, 0), 0);
        cr_assert_eq(number_of(&tree, &m, &absent), cases[i].reason, "row %zu", i);
        op(&tree, KPID_OP_GT, whole, number(&tree, 0, 0), 0); /* in a condition it compares as nothing does */
        int truth = test_of(&tree, &mismatch);
        cr_assert_eq(mismatch, cases[i].reason != KPID_REASON_NONE);
        cr_assert_eq(truth, cases[i].op == KPID_OP_DIV && cases[i].b == 3 ? KPID_TRUE : KPID_FALSE);
    }
}

Test(expr, counts_civil_days)
{
    static int64_t since[] = {KPID_NEVER, 1772953200000};
    static int32_t offsets[] = {-18000, -14400};
    static const struct kpid_zone zone = {NULL, since, offsets, 2};
    const struct kpid_zone *zones[] = {NULL, &zone};
    for (size_t i = 0; i < 2; i++) { /* 2026-03-08T04:59:59.999Z is still the 7th in New York */
        struct tree tree = {0};
        int16_t t = field(&tree, TIME);
        put(&tree, (struct kpid_node){.op = KPID_OP_DAY, .a = t, .zone = zones[i]});
        kpid_i128 m;
        bool absent;
        cr_assert_eq(number_of(&tree, &m, &absent), KPID_REASON_NONE);
        cr_assert(m == kpid_civil_days(2026, 3, i == 0 ? 8 : 7));
    }
    struct tree tree = {0};
    int16_t far = put(&tree, (struct kpid_node){.op = KPID_OP_NUMBER, .number = (kpid_i128)1 << 70});
    put(&tree, (struct kpid_node){.op = KPID_OP_DAY, .a = far});
    kpid_i128 m;
    bool absent;
    cr_assert_eq(number_of(&tree, &m, &absent), KPID_REASON_TIME_RANGE);
}

Test(expr, gives_the_bytes_of_values)
{
    char text[KPID_DECIMAL_TEXT];
    const char *bytes = NULL;
    cr_assert(kpid_value_bytes(&values[AMOUNT], 6, text, &bytes) == 5 && memcmp(bytes, amount_text, 5) == 0);
    cr_assert(kpid_value_bytes(&values[COUNT], 0, text, &bytes) == 1 && bytes[0] == '4');
    cr_assert(kpid_value_bytes(&values[NAME], 0, text, &bytes) == 6 && bytes == values[NAME].str);
    cr_assert(kpid_value_bytes(&values[FLAG], 0, text, &bytes) == 4 && memcmp(bytes, "true", 4) == 0);
    values[FLAG].boolean = false;
    cr_assert(kpid_value_bytes(&values[FLAG], 0, text, &bytes) == 5 && memcmp(bytes, "false", 5) == 0);
    cr_assert_eq(kpid_value_bytes(&values[MISSING], 0, text, &bytes), 0);
    cr_assert_eq(kpid_value_bytes(&values[MAP], 0, text, &bytes), SIZE_MAX);
    cr_assert_eq(kpid_value_bytes(&values[BROKEN], 0, text, &bytes), SIZE_MAX);
}

Test(expr, releases_what_it_owns)
{
    struct kpid_expr expr = {.nodes = kpid_zalloc(2, sizeof(struct kpid_node)), .n = 2, .text = kpid_strdup("a == b")};
    expr.nodes[0].str = kpid_strdup("b");
    kpid_expr_release(&expr);
    cr_assert(expr.nodes == NULL && expr.n == 0 && expr.text == NULL);
    kpid_expr_release(&expr);
}
