/* Normalised texts of expressions, and what a field must be because of how it is used. */
#include <inttypes.h>

#include "expression.h"

static void print_all(const struct kpid_expr *expr, const struct kpid_source *source, int first, int n,
                      struct kpid_buf *out)
{
    for (int i = first; i < first + n; i++) {
        if (i > first)
            kpid_buf_add_str(out, ", ");
        kpid_expr_print(expr, source, i, out);
    }
}

static void leaf_print(const struct kpid_node *node, const struct kpid_source *source, struct kpid_buf *out)
{
    char text[KPID_DECIMAL_TEXT];
    switch (node->op) {
    case KPID_OP_FIELD: kpid_buf_add_str(out, source->fields[node->slot].name); break;
    case KPID_OP_STRING: kpid_buf_add_json(out, node->str, node->len); break;
    case KPID_OP_BOOL: kpid_buf_add_str(out, node->boolean ? "true" : "false"); break;
    default:
        kpid_buf_add(out, text, kpid_decimal_print((struct kpid_decimal){node->number, node->scale}, text));
        kpid_buf_add_str(out, node->dimension == KPID_DURATION_MS ? "ms" : "");
    }
}

static void call_print(const struct kpid_expr *expr, const struct kpid_source *source,
                       const struct kpid_node *node, struct kpid_buf *out)
{
    static const char *const names[] = {
        [KPID_OP_EXISTS] = "exists(", [KPID_OP_DAY] = "day(",  [KPID_OP_STARTS_WITH] = "starts_with(",
        [KPID_OP_LOWER] = "lower(",   [KPID_OP_NOT] = "not (", [KPID_OP_NEG] = "-("};
    kpid_buf_add_str(out, names[node->op]);
    kpid_expr_print(expr, source, node->a, out);
    if (node->op == KPID_OP_STARTS_WITH) {
        kpid_buf_add_str(out, ", ");
        kpid_expr_print(expr, source, node->b, out);
    }
    if (node->op == KPID_OP_DAY)
        kpid_buf_printf(out, ", \"%s\"", node->zone->name);
    kpid_buf_add_char(out, ')');
}

void kpid_expr_print(const struct kpid_expr *expr, const struct kpid_source *source, int index,
                     struct kpid_buf *out)
{
    static const char *const signs[] = {
        [KPID_OP_AND] = "and", [KPID_OP_OR] = "or", [KPID_OP_EQ] = "==", [KPID_OP_NE] = "!=",
        [KPID_OP_LT] = "<",    [KPID_OP_LE] = "<=", [KPID_OP_GT] = ">",  [KPID_OP_GE] = ">=",
        [KPID_OP_ADD] = "+",   [KPID_OP_SUB] = "-", [KPID_OP_MUL] = "*", [KPID_OP_DIV] = "/",
        [KPID_OP_IN] = "in",
    };
    const struct kpid_node *node = &expr->nodes[index];
    if (node->op <= KPID_OP_BOOL) {
        leaf_print(node, source, out);
        return;
    }
    if (node->op >= KPID_COUNT_OF(signs) || !signs[node->op]) {
        call_print(expr, source, node, out);
        return;
    }
    kpid_buf_add_char(out, '(');
    kpid_expr_print(expr, source, node->a, out);
    kpid_buf_printf(out, " %s ", signs[node->op]);
    if (node->op == KPID_OP_IN) {
        kpid_buf_add_char(out, '[');
        print_all(expr, source, node->list_first, node->list_n, out);
        kpid_buf_add_char(out, ']');
    } else {
        kpid_expr_print(expr, source, node->b, out);
    }
    kpid_buf_add_char(out, ')');
}

/* ---- inference
 * ----------------------------------------------------------------------------------------------- */

static bool is_time(const struct kpid_expr *expr, const struct kpid_source *source, int index)
{
    const struct kpid_node *node = &expr->nodes[index];
    if (node->op == KPID_OP_FIELD)
        return source->fields[node->slot].kind == KPID_FIELD_TIME;
    if (node->op == KPID_OP_ADD || node->op == KPID_OP_SUB)
        return is_time(expr, source, node->a) != is_time(expr, source, node->b);
    return false;
}

/* Makes a time of a field of which nothing is said. */
static bool infer(struct kpid_loader *loader, const struct kpid_parse *parse, int index)
{
    const struct kpid_node *node = &parse->expr->nodes[index];
    if (node->op != KPID_OP_FIELD || loader->declared[parse->source][node->slot])
        return false;
    struct kpid_field *field = &loader->model->sources[parse->source].fields[node->slot];
    if (field->kind != KPID_FIELD_ANY)
        return false;
    field->kind = KPID_FIELD_TIME;
    field->scale = 0;
    return true;
}

void kpid_exprs_infer(struct kpid_loader *loader)
{
    bool changed;
    do {
        changed = false;
        for (size_t i = 0; i < loader->n_parses; i++) {
            const struct kpid_parse *parse = loader->parses[i];
            const struct kpid_source *source = &loader->model->sources[parse->source];
            for (size_t j = 0; j < parse->expr->n; j++) {
                const struct kpid_node *node = &parse->expr->nodes[j];
                if (node->op != KPID_OP_SUB)
                    continue;
                if (is_time(parse->expr, source, node->a))
                    changed |= infer(loader, parse, node->b);
                else if (is_time(parse->expr, source, node->b))
                    changed |= infer(loader, parse, node->a);
            }
        }
    } while (changed);
}
