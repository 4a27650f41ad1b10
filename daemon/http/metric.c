/* Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include <math.h>
#include <stdarg.h>

#include "kpid/decimal.h"
#include "kpid/http.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53: below it a double holds every whole number */

static void escaped_add(struct kpid_buf *body, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            kpid_buf_add_str(body, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            kpid_buf_printf(body, "\\%c", *text);
        else
            kpid_buf_add_char(body, *text);
    }
}

static void number_add(struct kpid_buf *body, double value)
{
    char text[32];
    if (isnan(value))
        kpid_buf_add_str(body, "NaN");
    else if (isinf(value))
        kpid_buf_add_str(body, value > 0 ? "+Inf" : "-Inf");
    else if (fabs(value) <= WHOLE_MAX && value == trunc(value))
        kpid_buf_printf(body, "%lld", (long long)value);
    else
        kpid_buf_add(body, text, kpid_double_print(value, text));
}

void kpid_metric_family(struct kpid_buf *body, const char *name, const char *type, const char *help)
{
    kpid_buf_printf(body, "# HELP %s ", name);
    escaped_add(body, help, false);
    kpid_buf_printf(body, "\n# TYPE %s %s\n", name, type);
}

void kpid_metric_sample(struct kpid_buf *body, const char *name, double value, ...)
{
    va_list labels;
    const char *label;
    char before = '{';
    kpid_buf_add_str(body, name);
    va_start(labels, value);
    while ((label = va_arg(labels, const char *)) != NULL) {
        kpid_buf_printf(body, "%c%s=\"", before, label);
        escaped_add(body, va_arg(labels, const char *), true);
        kpid_buf_add_char(body, '"');
        before = ',';
    }
    va_end(labels);
    if (before == ',')
        kpid_buf_add_char(body, '}');
    kpid_buf_add_char(body, ' ');
    number_add(body, value);
    kpid_buf_add_char(body, '\n');
}
