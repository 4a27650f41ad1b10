#include "timestamp.h"

#include "kpid/model.h"

#include <string.h>

/* ---- RFC 3339 ----------------------------------------------------------------------------------------- */

/* Two digits, or -1. */
static int pair_read(const char *text)
{
    unsigned tens = (unsigned)(text[0] - '0'), ones = (unsigned)(text[1] - '0');
    return tens > 9 || ones > 9 ? -1 : (int)(10 * tens + ones);
}

/* Days since 1970-01-01, proleptic Gregorian (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
    int y = year - (month <= 2);
    int era = y / 400, year_of_era = y % 400; /* y >= 0 */
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static int month_length(int year, int month)
{
    static const int8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return lengths[month - 1] + (month == 2 && leap);
}

/* ".5" and what follows of it, in ms; returns where it ends, NULL: no digit after the point. */
static const char *fraction_read(const char *p, const char *end, int *ret_ms)
{
    int ms = 0, unit = 100;
    if (p == end || *p != '.')
        return p;
    const char *digits = ++p;
    for (; p < end && (unsigned)(*p - '0') <= 9; p++) {
        ms += (*p - '0') * unit;
        unit /= 10;
    }
    *ret_ms = ms;
    return p > digits ? p : NULL;
}

/* "Z" or "+08:00" to the end of the text. */
static bool offset_read(const char *p, const char *end, int *ret_minutes)
{
    if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
        *ret_minutes = 0;
        return true;
    }
    if (end - p != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
        return false;
    int hours = pair_read(p + 1), minutes = pair_read(p + 4);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *ret_minutes = (p[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool kpid_rfc3339_read(const char *text, size_t len, int64_t *ret_ms)
{
    if (len < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
        return false;
    if (text[10] != 'T' && text[10] != 't' && text[10] != ' ')
        return false;
    int century = pair_read(text), year_in = pair_read(text + 2), month = pair_read(text + 5);
    int day = pair_read(text + 8), hour = pair_read(text + 11), minute = pair_read(text + 14);
    int second = pair_read(text + 17), ms = 0, offset;
    if ((century | year_in | month | day | hour | minute | second) < 0)
        return false;
    int year = 100 * century + year_in;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_length(year, month))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    const char *p = fraction_read(text + 19, text + len, &ms);
    if (!p || !offset_read(p, text + len, &offset))
        return false;
    int64_t minutes = (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset;
    *ret_ms = (minutes * 60 + second) * 1000 + ms;
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The usual case, an integer token. False: take the long way. */
static bool integer_read(int64_t n, uint8_t format, int64_t *ret_ms)
{
    switch (format) {
    case KPID_TIME_FORMAT_US: *ret_ms = floor_divide(n, 1000); return true;
    case KPID_TIME_FORMAT_NS: *ret_ms = floor_divide(n, 1000000); return true;
    case KPID_TIME_FORMAT_S: return !__builtin_mul_overflow(n, (int64_t)1000, ret_ms);
    default: *ret_ms = n; return true;
    }
}

/* Any number: only seconds may have a fraction; it is cut, not rounded. */
static enum kpid_reason number_read(const struct kpid_token *token, uint8_t format, int64_t *ret_ms)
{
    bool seconds = format == KPID_TIME_FORMAT_S;
    kpid_i128 n, unit = seconds ? 1000000000000000 : format == KPID_TIME_FORMAT_US ? 1000 : 1;
    if (format == KPID_TIME_FORMAT_NS)
        unit = 1000000;
    if (token->tag == KPID_TAG_DECIMAL && token->frac == 0 && integer_read(token->integer, format, ret_ms))
        return KPID_REASON_NONE;
    switch (kpid_token_number(token, seconds ? 18 : 0, seconds, &n)) {
    case KPID_DECIMAL_OK:
    case KPID_DECIMAL_ROUNDED: break;
    case KPID_DECIMAL_OVERFLOW: return KPID_REASON_TIME_RANGE;
    default: return KPID_REASON_BAD_TIME;
    }
    n = n / unit - (n % unit < 0);
    if (n < KPID_FIELD_TIME_MIN || n >= KPID_FIELD_TIME_END)
        return KPID_REASON_TIME_RANGE;
    *ret_ms = (int64_t)n;
    return KPID_REASON_NONE;
}

/* ---- others ------------------------------------------------------------------------------------------- */

static uint64_t big_endian_read(const char *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return value;
}

/* Extension type -1 in its three lengths: s; ns and s in 30 and 34 bits; ns and s in 32 and 64 bits. */
static enum kpid_reason ext_read(const struct kpid_token *token, int64_t *ret_ms)
{
    const char *bytes = token->str + 1;
    uint64_t ns = 0;
    int64_t s;
    if (token->len < 1 || token->str[0] != -1)
        return KPID_REASON_BAD_TIME;
    switch (token->len - 1) {
    case 4: s = (int64_t)big_endian_read(bytes, 4); break;
    case 8:
        ns = big_endian_read(bytes, 8) >> 34;
        s = (int64_t)(big_endian_read(bytes, 8) & 0x3ffffffff);
        break;
    case 12:
        ns = big_endian_read(bytes, 4);
        s = (int64_t)big_endian_read(bytes + 4, 8);
        break;
    default: return KPID_REASON_BAD_TIME;
    }
    if (ns > 999999999)
        return KPID_REASON_BAD_TIME;
    if (s < KPID_FIELD_TIME_MIN / 1000 || s >= KPID_FIELD_TIME_END / 1000)
        return KPID_REASON_TIME_RANGE;
    *ret_ms = s * 1000 + (int64_t)(ns / 1000000);
    return KPID_REASON_NONE;
}

static enum kpid_reason string_read(const struct kpid_token *token, uint8_t format, int64_t *ret_ms)
{
    struct kpid_token number = *token;
    number.tag = KPID_TAG_TEXT;
    if ((format == KPID_TIME_AUTO || format == KPID_TIME_FORMAT_RFC3339) &&
        kpid_rfc3339_read(token->str, token->len, ret_ms))
        return KPID_REASON_NONE;
    return format == KPID_TIME_FORMAT_RFC3339 ? KPID_REASON_BAD_TIME : number_read(&number, format, ret_ms);
}

enum kpid_reason kpid_time_read(const struct kpid_token *token, uint8_t format, int64_t *ret_ms)
{
    int64_t ms;
    enum kpid_reason reason = KPID_REASON_BAD_TIME;
    switch (token->tag) {
    case KPID_TAG_DECIMAL:
    case KPID_TAG_TEXT:
    case KPID_TAG_NATURAL:
    case KPID_TAG_DOUBLE:
    case KPID_TAG_FLOAT:
        if (format != KPID_TIME_FORMAT_RFC3339)
            reason = number_read(token, format, &ms);
        break;
    case KPID_TAG_STRING: reason = string_read(token, format, &ms); break;
    case KPID_TAG_EXT: reason = ext_read(token, &ms); break;
    default: break;
    }
    if (reason != KPID_REASON_NONE)
        return reason;
    if (ms < KPID_FIELD_TIME_MIN || ms >= KPID_FIELD_TIME_END)
        return KPID_REASON_TIME_RANGE;
    *ret_ms = ms;
    return KPID_REASON_NONE;
}
