/* Kinds, scales and dimensions of parsed expressions; interning of types. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expression.h"

#define DIVISION_SCALE 9

enum kind { ANY, BOOLEAN, NUMBER, STRING };

static const char *const kind_names[] = {
    [ANY] = "anything", [BOOLEAN] = "a condition", [NUMBER] = "a number", [STRING] = "a text"};

struct typing {
    struct kpid_loader *loader;
    const struct kpid_parse *parse;
    struct kpid_source *source;
    uint8_t *kinds, *depths;
};

void kpid_parse_fault(struct kpid_loader *loader, const struct kpid_parse *parse, size_t offset,
                      const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    kpid_fault_add(&loader->faults, kpid_yaml_place_in(&loader->tree, parse->node, offset), "%s: %s",
                   parse->what, text);
}

static bool fault(struct typing *t, int index, const char *error, const char *advice)
{
    kpid_parse_fault(t->loader, t->parse, t->parse->offsets[index], "%s", error);
    kpid_fault_advise(&t->loader->faults, "%s", advice);
    return false;
}

/* True if the node can be of the kind. */
static bool want(struct typing *t, int index, enum kind kind, const char *who)
{
    enum kind is = t->kinds[index];
    if (is == kind || is == ANY)
        return true;
    kpid_parse_fault(t->loader, t->parse, t->parse->offsets[index], "%s takes %s, not %s", who,
                     kind_names[kind], kind_names[is]);
    const struct kpid_node *node = &t->parse->expr->nodes[index];
    if (kind == NUMBER && node->op == KPID_OP_FIELD && t->source->fields[node->slot].origin)
        kpid_fault_advise(&t->loader->faults, "columns of look-ups are texts; declare it under `fields:` of the "
                                              "look-up: %s: number",
                          strchr(t->source->fields[node->slot].name, '.') + 1);
    else if (kind == BOOLEAN)
        kpid_fault_advise(&t->loader->faults, "write a comparison, such as type == \"order.created\"");
    else if (kind == NUMBER)
        kpid_fault_advise(&t->loader->faults,
                          "use a field that holds a number, and no quotes around numbers");
    else
        kpid_fault_advise(&t->loader->faults, "put the text in quotes, or use a field that holds a text");
    return false;
}

static const char *const op_names[] = {
    [KPID_OP_NOT] = "`not`", [KPID_OP_AND] = "`and`", [KPID_OP_OR] = "`or`", [KPID_OP_ADD] = "`+`",
    [KPID_OP_SUB] = "`-`",   [KPID_OP_MUL] = "`*`",   [KPID_OP_DIV] = "`/`", [KPID_OP_NEG] = "`-`",
};

/* ---- dimensions
 * ---------------------------------------------------------------------------------------------- */

enum { P = KPID_PLAIN, T = KPID_TIME_MS, D = KPID_DURATION_MS };

/* False: the two can't be joined. */
static bool dimension_join(enum kpid_op op, uint8_t a, uint8_t b, uint8_t *ret)
{
    static const uint8_t none = 3;
    static const uint8_t sums[3][3] = {[P] = {P, 3, 3}, [T] = {3, 3, T}, [D] = {3, T, D}};
    static const uint8_t differences[3][3] = {[P] = {P, 3, 3}, [T] = {3, D, T}, [D] = {3, 3, D}};
    static const uint8_t products[3][3] = {[P] = {P, 3, D}, [T] = {3, 3, 3}, [D] = {D, 3, 3}};
    static const uint8_t quotients[3][3] = {[P] = {P, 3, 3}, [T] = {3, 3, 3}, [D] = {D, 3, P}};
    uint8_t joined = op == KPID_OP_ADD   ? sums[a][b]
                     : op == KPID_OP_SUB ? differences[a][b]
                     : op == KPID_OP_MUL ? products[a][b]
                                         : quotients[a][b];
    if (joined == none)
        return false;
    *ret = joined;
    return true;
}

static bool dimension_fault(struct typing *t, int index)
{
    static const char *const names[] = {[P] = "a plain number", [T] = "a time", [D] = "a duration"};
    const struct kpid_node *nodes = t->parse->expr->nodes, *node = &nodes[index];
    kpid_parse_fault(t->loader, t->parse, t->parse->offsets[index], "%s can't join %s and %s",
                     op_names[node->op], names[nodes[node->a].dimension], names[nodes[node->b].dimension]);
    kpid_fault_advise(&t->loader->faults,
                      "write durations with a unit (30s, 48h), plain milliseconds as x * 1ms, and "
                      "declare fields that hold times: fields: { promised_ts: { type: time } }");
    return false;
}

/* ---- nodes
 * --------------------------------------------------------------------------------------------------- */

static uint8_t larger(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

static bool arithmetic_type(struct typing *t, struct kpid_node *node, int index)
{
    struct kpid_node *nodes = t->parse->expr->nodes;
    const struct kpid_node *a = &nodes[node->a], *b = node->op == KPID_OP_NEG ? a : &nodes[node->b];
    if (!want(t, node->a, NUMBER, op_names[node->op]))
        return false;
    if (node->op == KPID_OP_NEG) {
        if (a->dimension == KPID_TIME_MS)
            return fault(t, index, "a time can't be negative", "subtract it from another time");
        node->scale = a->scale;
        node->dimension = a->dimension;
    } else {
        if (!want(t, node->b, NUMBER, op_names[node->op]))
            return false;
        if (!dimension_join(node->op, a->dimension, b->dimension, &node->dimension))
            return dimension_fault(t, index);
        unsigned product = (unsigned)a->scale + b->scale;
        node->scale = node->op == KPID_OP_DIV ? DIVISION_SCALE
                      : node->op == KPID_OP_MUL
                          ? (uint8_t)(product < KPID_SCALE_MAX ? product : KPID_SCALE_MAX)
                          : larger(a->scale, b->scale);
    }
    t->kinds[index] = NUMBER;
    return true;
}

/* `type == "x"`: the text becomes a number. The field goes to the left. */
static void type_intern(struct typing *t, struct kpid_node *node)
{
    struct kpid_node *nodes = t->parse->expr->nodes;
    if (nodes[node->a].op == KPID_OP_STRING && nodes[node->b].op == KPID_OP_FIELD) {
        int16_t a = node->a;
        node->a = node->b;
        node->b = a;
    }
    if (nodes[node->a].op != KPID_OP_FIELD || nodes[node->a].slot != KPID_SLOT_TYPE ||
        nodes[node->b].op != KPID_OP_STRING)
        return;
    node->by_type = true;
    node->type_id = kpid_source_type(t->source, nodes[node->b].str);
}

static bool comparison_type(struct typing *t, struct kpid_node *node, int index)
{
    const struct kpid_node *nodes = t->parse->expr->nodes;
    enum kind a = t->kinds[node->a], b = t->kinds[node->b];
    bool order = node->op != KPID_OP_EQ && node->op != KPID_OP_NE;
    t->kinds[index] = BOOLEAN;
    if (a != ANY && b != ANY && a != b)
        return fault(t, index,
                     order ? "values of different types have no order"
                           : "values of different types are never equal",
                     "compare numbers with numbers and texts with texts in quotes; a field's type stands "
                     "under `fields:`");
    if (order && (a == BOOLEAN || b == BOOLEAN))
        return fault(t, index, "true and false have no order", "write == or !=");
    uint8_t da = nodes[node->a].dimension, db = nodes[node->b].dimension;
    if ((da == KPID_TIME_MS && db == KPID_DURATION_MS) || (da == KPID_DURATION_MS && db == KPID_TIME_MS))
        return fault(t, index, "a time is compared with a duration", "subtract first: ts - created_ts > 48h");
    if (!order)
        type_intern(t, node);
    return true;
}

static bool in_type(struct typing *t, struct kpid_node *node, int index)
{
    struct kpid_node *nodes = t->parse->expr->nodes;
    bool types = nodes[node->a].op == KPID_OP_FIELD && nodes[node->a].slot == KPID_SLOT_TYPE;
    t->kinds[index] = BOOLEAN;
    for (int i = node->list_first; i < node->list_first + node->list_n; i++) {
        if (t->kinds[node->a] != ANY && t->kinds[node->a] != t->kinds[i])
            return fault(t, i, "this item is never equal: it is of another type",
                         "texts stand in quotes, numbers without");
        if (types)
            nodes[i].type_id = kpid_source_type(t->source, nodes[i].str);
    }
    node->by_type = types;
    return true;
}

static bool field_type(struct typing *t, struct kpid_node *node, int index)
{
    static const uint8_t kinds[] = {[KPID_FIELD_ANY] = ANY,
                                    [KPID_FIELD_NUMBER] = NUMBER,
                                    [KPID_FIELD_TIME] = NUMBER,
                                    [KPID_FIELD_STRING] = STRING,
                                    [KPID_FIELD_BOOL] = BOOLEAN};
    const struct kpid_field *field = &t->source->fields[node->slot];
    node->scale = field->scale;
    node->dimension = field->kind == KPID_FIELD_TIME ? KPID_TIME_MS : KPID_PLAIN;
    t->kinds[index] = kinds[field->kind];
    return true;
}

static bool node_type(struct typing *t, int index)
{
    struct kpid_node *node = &t->parse->expr->nodes[index];
    static const uint8_t leaves[] = {
        [KPID_OP_NUMBER] = NUMBER, [KPID_OP_STRING] = STRING, [KPID_OP_BOOL] = BOOLEAN};
    switch ((enum kpid_op)node->op) {
    case KPID_OP_FIELD: return field_type(t, node, index);
    case KPID_OP_NUMBER:
    case KPID_OP_STRING:
    case KPID_OP_BOOL: t->kinds[index] = leaves[node->op]; return true;
    case KPID_OP_EXISTS: t->kinds[index] = BOOLEAN; return true;
    case KPID_OP_NOT: t->kinds[index] = BOOLEAN; return want(t, node->a, BOOLEAN, op_names[node->op]);
    case KPID_OP_AND:
    case KPID_OP_OR:
        t->kinds[index] = BOOLEAN;
        return want(t, node->a, BOOLEAN, op_names[node->op]) && want(t, node->b, BOOLEAN, op_names[node->op]);
    case KPID_OP_IN: return in_type(t, node, index);
    case KPID_OP_DAY: t->kinds[index] = NUMBER; return want(t, node->a, NUMBER, "day()");
    case KPID_OP_STARTS_WITH:
        t->kinds[index] = BOOLEAN;
        return want(t, node->a, STRING, "starts_with()") && want(t, node->b, STRING, "starts_with()");
    case KPID_OP_LOWER: t->kinds[index] = STRING; return want(t, node->a, STRING, "lower()");
    case KPID_OP_ADD:
    case KPID_OP_SUB:
    case KPID_OP_MUL:
    case KPID_OP_DIV:
    case KPID_OP_NEG: return arithmetic_type(t, node, index);
    default: return comparison_type(t, node, index);
    }
}

static bool depth_check(struct typing *t, int index)
{
    const struct kpid_node *node = &t->parse->expr->nodes[index];
    uint8_t a = node->a >= 0 ? t->depths[node->a] : 0, b = node->b >= 0 ? t->depths[node->b] : 0;
    t->depths[index] = (uint8_t)(larger(a, b) + 1);
    return t->depths[index] <= KPID_EXPR_DEPTH_MAX ||
           fault(t, index, "nested deeper than 32 levels",
                 "use `in [...]` instead of a chain of `or`, or split the measure");
}

static bool root_check(struct typing *t)
{
    const struct kpid_expr *expr = t->parse->expr;
    int root = (int)expr->n - 1;
    switch (t->parse->want) {
    case KPID_WANT_CONDITION: return want(t, root, BOOLEAN, t->parse->what);
    case KPID_WANT_NUMBER: return want(t, root, NUMBER, t->parse->what);
    default:
        return expr->nodes[root].op == KPID_OP_FIELD ||
               fault(t, root, "not a field", "write the name of one field, such as user_id or customer.id");
    }
}

static void parse_type(struct kpid_loader *loader, struct kpid_parse *parse)
{
    struct kpid_expr *expr = parse->expr;
    struct typing t = {.loader = loader,
                       .parse = parse,
                       .source = &loader->model->sources[parse->source],
                       .kinds = kpid_zalloc(expr->n, 1),
                       .depths = kpid_zalloc(expr->n, 1)};
    bool good = true;
    for (int i = 0; good && i < (int)expr->n; i++)
        good = depth_check(&t, i) && node_type(&t, i);
    if (good && root_check(&t)) {
        struct kpid_buf text = KPID_BUF_INIT;
        kpid_expr_print(expr, t.source, (int)expr->n - 1, &text);
        expr->text = kpid_buf_take(&text);
    }
    free(t.kinds);
    free(t.depths);
}

void kpid_exprs_type(struct kpid_loader *loader)
{
    kpid_exprs_infer(loader);
    for (size_t i = 0; i < loader->n_parses; i++)
        parse_type(loader, loader->parses[i]);
}

void kpid_parses_free(struct kpid_loader *loader)
{
    for (size_t i = 0; i < loader->n_parses; i++) {
        free(loader->parses[i]->offsets);
        free(loader->parses[i]);
    }
    free(loader->parses);
    loader->parses = NULL;
    loader->n_parses = 0;
}
