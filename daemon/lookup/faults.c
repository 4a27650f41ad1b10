#include "faults.h"

#include <stdarg.h>
#include <stdio.h>

bool kpid_lookup_fault(struct kpid_lookup_faults *faults, const char *path, uint32_t line, uint32_t column,
                       const char *advice, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (faults->out->len)
        kpid_buf_add_char(faults->out, '\n');
    kpid_buf_printf(faults->out, "%s:%u:%u: error: %s\n    advice: %s\n", path, line, column, text, advice);
    faults->n++;
    return faults->n < KPID_LOOKUP_FAULTS_MAX;
}
