/* Where a byte of a scalar's value stood in the file. The value and the raw text are walked side by side;
 * where they differ the raw text has a quote, an escape, a line break that YAML folded, or an indentation. */
#include <string.h>

#include "yaml_tree.h"

struct walk {
    const char *text;
    size_t len, at;
    struct kpid_place place;
};

static void step(struct walk *w)
{
    if (w->at >= w->len)
        return;
    if (w->text[w->at] == '\n') {
        w->place.line++;
        w->place.column = 1;
    } else if (((unsigned char)w->text[w->at] & 0xC0) != 0x80) {
        w->place.column++;
    }
    w->at++;
}

static char raw(const struct walk *w)
{
    return w->at < w->len ? w->text[w->at] : '\0';
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Raw bytes of one escape after its backslash: \xNN \uNNNN \UNNNNNNNN, else one. */
static unsigned escape_len(char c)
{
    return c == 'x' ? 3 : c == 'u' ? 5 : c == 'U' ? 9 : 1;
}

static void skip_opening(struct walk *w, char style)
{
    if (style == '\'' || style == '"')
        step(w);
    if (style != '|')
        return;
    while (raw(w) && raw(w) != '\n')
        step(w);
    while (blank(raw(w)))
        step(w);
}

/* Moves the raw text behind what stands for one byte of the value. False: the two can't be matched. */
static bool follow(struct walk *w, char style, char value)
{
    if (style == '"' && raw(w) == '\\') {
        step(w);
        if (raw(w) != '\n') {
            for (unsigned n = escape_len(raw(w)); n > 0; n--)
                step(w);
            return true;
        }
    }
    if (style == '\'' && raw(w) == '\'')
        step(w);
    if (raw(w) == value && value != ' ') {
        step(w);
        return true;
    }
    if (value == ' ' || value == '\n') { /* one blank of the value may be a folded line */
        if (raw(w) == ' ' && value == ' ') {
            step(w);
            return true;
        }
        if (!blank(raw(w)))
            return false;
        while (blank(raw(w)))
            step(w);
        return true;
    }
    while (blank(raw(w))) /* spaces before a folded line, indentation of a block */
        step(w);
    if (raw(w) != value)
        return false;
    step(w);
    return true;
}

struct kpid_place kpid_yaml_place_in(const struct kpid_yaml_tree *tree, const struct kpid_yaml *node,
                                     size_t offset)
{
    struct walk w = {tree->text, tree->len, node->at, node->place};
    if (node->kind != KPID_YAML_SCALAR)
        return node->place;
    skip_opening(&w, node->style);
    for (size_t i = 0; i < offset && i < node->len; i++) {
        if (i > 0 && ((unsigned char)node->text[i] & 0xC0) == 0x80 && w.at > 0 && raw(&w) != node->text[i])
            continue; /* further bytes of a character that an escape wrote */
        if (!follow(&w, node->style, node->text[i]))
            return node->place;
    }
    if (offset < node->len && !blank(node->text[offset]))
        while (blank(raw(&w)))
            step(&w);
    return w.place;
}
