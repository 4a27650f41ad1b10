/* Words of expressions and formulas. Pure; tokens borrow the text. */
#ifndef KPID_CONFIG_LEXER_H
#define KPID_CONFIG_LEXER_H

#include "kpid/macros.h"

enum kpid_token_kind {
    KPID_TOKEN_END,
    KPID_TOKEN_NAME,
    KPID_TOKEN_NUMBER,
    KPID_TOKEN_DURATION,
    KPID_TOKEN_STRING, /* text with its quotes */
    KPID_TOKEN_SIGN,   /* ( ) [ ] , + - * / == != < <= > >= */
    KPID_TOKEN_BAD     /* nothing of the language; `error` and `advice` say why */
};

struct kpid_token {
    uint8_t kind;
    size_t at, len;
};

struct kpid_lexer {
    const char *text;
    struct kpid_token now;
    const char *error, *advice;
};

/* Stands at the first token then. */
void kpid_lexer_init(struct kpid_lexer *lexer, const char *text);
void kpid_lexer_next(struct kpid_lexer *lexer);
/* The token is this name or sign. */
bool kpid_lexer_is(const struct kpid_lexer *lexer, const char *word);

#endif
