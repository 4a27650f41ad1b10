/*
 * Event expressions: text -> kpid_expr. In two steps, because what a field holds may follow from another
 * expression: all expressions are parsed when they are met, and typed together when all are known. Field
 * names make slots of the source. One fault an expression.
 */
#ifndef KPID_CONFIG_EXPRESSION_H
#define KPID_CONFIG_EXPRESSION_H

#include "loader.h"

enum kpid_want { KPID_WANT_CONDITION, KPID_WANT_NUMBER, KPID_WANT_FIELD };

struct kpid_parse {
    struct kpid_expr *expr;       /* in the model */
    const struct kpid_yaml *node; /* its text */
    uint32_t *offsets;            /* per node: byte of the text */
    size_t cap;
    uint32_t source;
    uint8_t want;  /* enum kpid_want */
    char what[24]; /* "where", "start": for messages */
};

/* Parses node's text into *expr (which must stay where it is) and lets it wait for its types. On a fault
 * *expr stays empty. */
void kpid_expr_parse(struct kpid_loader *loader, uint32_t source, const struct kpid_yaml *node,
                     enum kpid_want want, const char *what, struct kpid_expr *expr);
/* Finds the types, scales and dimensions of all that wait, and writes their normalised texts. */
void kpid_exprs_type(struct kpid_loader *loader);
void kpid_parses_free(struct kpid_loader *loader);

/* A fault at a byte of the text of a parse; advice must follow. */
void kpid_parse_fault(struct kpid_loader *loader, const struct kpid_parse *parse, size_t offset,
                      const char *format, ...) KPID_PRINTF(4, 5);
/* One node and what lies below it, normalised: 48h and 2d give the same text. */
void kpid_expr_print(const struct kpid_expr *expr, const struct kpid_source *source, int index,
                     struct kpid_buf *out);
/* Infers that fields are times where they are subtracted from or by a time and nothing else is declared. */
void kpid_exprs_infer(struct kpid_loader *loader);

#endif
