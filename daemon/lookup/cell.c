#include "cell.h"

#include "kpid/decimal.h"
#include "kpid/zone.h"

#include <string.h>

static bool number_read(const struct kpid_column *column, const char *text, size_t len, kpid_i128 *ret,
                        const char **ret_error)
{
    switch (kpid_decimal_parse(text, len, column->scale, false, ret)) {
    case KPID_DECIMAL_OK: return true;
    case KPID_DECIMAL_TOO_FINE: *ret_error = "has more digits behind the point than the column's scale"; return false;
    case KPID_DECIMAL_OVERFLOW: *ret_error = "is too large a number"; return false;
    default: *ret_error = "is not a number"; return false;
    }
}

/* Milliseconds since 1970, or RFC 3339. */
static bool time_read(const char *text, size_t len, kpid_i128 *ret)
{
    int64_t ms;
    if (kpid_decimal_parse(text, len, 0, false, ret) == KPID_DECIMAL_OK)
        return *ret > INT64_MIN && *ret < INT64_MAX;
    if (!kpid_time_parse(text, len, &ms))
        return false;
    *ret = ms;
    return true;
}

bool kpid_cell_read(const struct kpid_column *column, const char *text, size_t len, struct kpid_value *ret,
                    const char **ret_error)
{
    kpid_i128 number;
    bool is_true = len == 4 && memcmp(text, "true", 4) == 0;
    if (len == 0) {
        *ret = (struct kpid_value){.kind = KPID_ABSENT};
        return true;
    }
    switch (column->kind) {
    case KPID_FIELD_NUMBER:
        if (!number_read(column, text, len, &number, ret_error))
            return false;
        *ret = (struct kpid_value){.kind = KPID_NUMBER, .number = number};
        return true;
    case KPID_FIELD_TIME:
        if (!time_read(text, len, &number)) {
            *ret_error = "is no time (RFC 3339, or ms since 1970)";
            return false;
        }
        *ret = (struct kpid_value){.kind = KPID_NUMBER, .number = number};
        return true;
    case KPID_FIELD_BOOL:
        if (!is_true && (len != 5 || memcmp(text, "false", 5) != 0)) {
            *ret_error = "is neither true nor false";
            return false;
        }
        *ret = (struct kpid_value){.kind = KPID_BOOL, .boolean = is_true};
        return true;
    default: *ret = (struct kpid_value){.kind = KPID_STRING, .str = text, .len = (uint32_t)len}; return true;
    }
}
