#include "lexer.h"

#include <ctype.h>
#include <string.h>

#include "text.h"

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void bad(struct kpid_lexer *lexer, const char *error, const char *advice)
{
    lexer->now.kind = KPID_TOKEN_BAD;
    lexer->error = error;
    lexer->advice = advice;
}

static void string_read(struct kpid_lexer *lexer, const char *begin)
{
    const char *at = begin + 1;
    for (; *at && *at != *begin; at++)
        if (*at == '\\' && at[1])
            at++;
    lexer->now.kind = KPID_TOKEN_STRING;
    lexer->now.len = (size_t)(at - begin) + (*at != '\0');
    if (!*at)
        bad(lexer, "a quote is not closed", "write the text between two quotes of one kind: \"page.viewed\"");
}

static size_t digits(const char *at)
{
    return strspn(at, "0123456789");
}

/* JSON's grammar without the sign, or a duration. */
static void number_read(struct kpid_lexer *lexer, const char *begin)
{
    const char *at = begin + digits(begin);
    if (*at == '.' && digits(at + 1) > 0)
        at += 1 + digits(at + 1);
    if ((*at == 'e' || *at == 'E') && digits(at + 1 + (at[1] == '-' || at[1] == '+')) > 0) {
        at += 1 + (at[1] == '-' || at[1] == '+');
        at += digits(at);
    }
    lexer->now.kind = KPID_TOKEN_NUMBER;
    if (word_char(*at)) {
        char text[32];
        int64_t ms;
        at = begin;
        while (word_char(*at))
            at++;
        size_t len = (size_t)(at - begin) < sizeof text - 1 ? (size_t)(at - begin) : sizeof text - 1;
        memcpy(text, begin, len);
        text[len] = '\0';
        lexer->now.kind = KPID_TOKEN_DURATION;
        if (!kpid_text_duration(text, &ms))
            bad(lexer, "neither a number nor a duration",
                "write numbers as 12.5, durations in whole numbers with units ms s m h d w: 48h, 1h30m");
    }
    lexer->now.len = (size_t)(at - begin);
}

static void sign_read(struct kpid_lexer *lexer, const char *at)
{
    lexer->now.kind = KPID_TOKEN_SIGN;
    lexer->now.len = (at[0] == '=' || at[0] == '!' || at[0] == '<' || at[0] == '>') && at[1] == '=' ? 2 : 1;
    if (lexer->now.len == 2 || strchr("()[],+-*/<>@", *at))
        return;
    if (*at == '=')
        bad(lexer, "`=` compares nothing", "write == for equality");
    else if (*at == '!')
        bad(lexer, "`!` is not known", "write `not`, or != for inequality");
    else if (*at == '&' || *at == '|')
        bad(lexer, "`&` and `|` are not known", "write `and`, `or`");
    else
        bad(lexer, "this character means nothing here",
            "names hold letters, digits, _ and dots; texts stand in quotes; operators are + - * / == != < <= "
            "> >= "
            "and or not in");
}

void kpid_lexer_next(struct kpid_lexer *lexer)
{
    const char *at = lexer->text + lexer->now.at + lexer->now.len;
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    lexer->now = (struct kpid_token){.kind = KPID_TOKEN_END, .at = (size_t)(at - lexer->text)};
    if (*at == '\0')
        return;
    if (*at == '"' || *at == '\'') {
        string_read(lexer, at);
    } else if (isdigit((unsigned char)*at)) {
        number_read(lexer, at);
    } else if (isalpha((unsigned char)*at) || *at == '_') {
        lexer->now.kind = KPID_TOKEN_NAME;
        while (word_char(at[lexer->now.len]))
            lexer->now.len++;
        if (at[lexer->now.len - 1] == '.')
            bad(lexer, "a name can't end with a dot", "write the key behind the dot: customer.id");
    } else {
        sign_read(lexer, at);
    }
}

void kpid_lexer_init(struct kpid_lexer *lexer, const char *text)
{
    *lexer = (struct kpid_lexer){.text = text};
    kpid_lexer_next(lexer);
}

bool kpid_lexer_is(const struct kpid_lexer *lexer, const char *word)
{
    const struct kpid_token *now = &lexer->now;
    return (now->kind == KPID_TOKEN_NAME || now->kind == KPID_TOKEN_SIGN) && strlen(word) == now->len &&
           memcmp(lexer->text + now->at, word, now->len) == 0;
}
