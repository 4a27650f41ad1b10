#include "ctl.h"

#include <string.h>

/* Behind the value that begins at `at`; `end` if it is cut short. */
static const char *skip_value(const char *at, const char *end)
{
    int depth = 0;
    bool quoted = false;

    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = false;
            continue;
        }
        if (*at == '"')
            quoted = true;
        else if (*at == '{' || *at == '[')
            depth++;
        else if ((*at == '}' || *at == ']') && --depth < 0)
            return at;
        else if (*at == ',' && depth == 0)
            return at;
    }
    return end;
}

const char *ctl_json_field(const char *json, size_t len, const char *name, char *text, size_t size)
{
    const char *at = json, *end = json + len;
    size_t name_len = strlen(name);

    if (len < 2 || *at++ != '{')
        return NULL;
    while (at < end && *at == '"') {
        const char *key = ++at;
        while (at < end && *at != '"')
            at++;
        bool found = (size_t)(at - key) == name_len && !memcmp(key, name, name_len);
        at += 2;
        const char *stop = at < end ? skip_value(at, end) : end;
        if (found) {
            bool string = at < stop && *at == '"';
            size_t n = (size_t)(stop - at) - (string ? 2 : 0);
            if (n >= size)
                n = size - 1;
            memcpy(text, at + string, n);
            text[n] = '\0';
            return text;
        }
        at = stop < end && *stop == ',' ? stop + 1 : end;
    }
    return NULL;
}
