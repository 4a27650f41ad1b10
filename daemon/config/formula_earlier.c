/* Formulas that look back (`revenue @ 1w`): how long ago, and which windows can be read as of then. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formula.h"
#include "text.h"

#define MINUTE_MS  INT64_C(60000)
#define HOUR_MS    INT64_C(3600000)
#define DAY_MS     INT64_C(86400000)
#define WEEK_MS    (7 * DAY_MS)
#define MS_MAX     (3653 * DAY_MS)
#define MONTHS_MAX 120

/* Steps at which an open calendar window is judged, and so the width of the earlier panes that are kept for it. */
#define STEP_DAY_MS    (5 * MINUTE_MS)
#define STEP_LONGER_MS (15 * MINUTE_MS)

/* ---- reading ---- */

static bool unit_find(const char *word, size_t len, int64_t *ret_ms, int32_t *ret_months)
{
    static const struct {
        const char *name;
        int64_t ms;
        int32_t months;
    } units[] = {{"second", 1000, 0}, {"minute", MINUTE_MS, 0}, {"hour", HOUR_MS, 0}, {"day", DAY_MS, 0},
                 {"week", WEEK_MS, 0}, {"month", 0, 1},         {"quarter", 0, 3},    {"year", 0, 12}};
    if (len > 1 && word[len - 1] == 's')
        len--;
    for (size_t i = 0; i < KPID_COUNT_OF(units); i++)
        if (strlen(units[i].name) == len && memcmp(units[i].name, word, len) == 0) {
            *ret_ms = units[i].ms;
            *ret_months = units[i].months;
            return true;
        }
    return false;
}

bool kpid_shift_read(struct kpid_lexer *lexer, struct kpid_shift *ret)
{
    struct kpid_token now = lexer->now;
    struct kpid_shift shift = {0};
    char text[32];
    if (now.len >= sizeof text || (now.kind != KPID_TOKEN_DURATION && now.kind != KPID_TOKEN_NUMBER))
        return false;
    memcpy(text, lexer->text + now.at, now.len);
    text[now.len] = '\0';
    kpid_lexer_next(lexer);
    if (now.kind == KPID_TOKEN_DURATION) {
        if (!kpid_text_duration(text, &shift.ms))
            return false;
    } else {
        uint64_t count;
        now = lexer->now;
        if (now.kind != KPID_TOKEN_NAME || !kpid_text_count(text, &count) || count > MS_MAX / 1000 ||
            !unit_find(lexer->text + now.at, now.len, &shift.ms, &shift.months))
            return false;
        if ((uint64_t)shift.months * count > MONTHS_MAX)
            return false;
        shift.ms *= (int64_t)count;
        shift.months *= (int32_t)count;
        kpid_lexer_next(lexer);
    }
    if (!kpid_shift_is(shift) || shift.ms > MS_MAX)
        return false;
    *ret = shift;
    return true;
}

/* ---- windows ---- */

static void shift_print(struct kpid_shift shift, struct kpid_buf *out)
{
    char text[64];
    kpid_buf_add_str(out, "@ ");
    if (shift.months)
        kpid_buf_printf(out, "%" PRId32 " months%s", shift.months, shift.ms ? " @ " : "");
    if (shift.ms) {
        kpid_text_print_duration(shift.ms, text);
        kpid_buf_add_str(out, text);
    }
}

/* NULL: the window can be read so long ago; else why not. */
static const char *window_refuses(const struct kpid_kpi *kpi, const struct kpid_window *window,
                                  struct kpid_shift shift, const char **ret_advice)
{
    if (shift.ms > MS_MAX || shift.months > MONTHS_MAX) {
        *ret_advice = "KPIs of KPIs add up: 10 years are the most";
        return "looks back further than 10 years";
    }
    if (window->kind != KPID_WINDOW_CALENDAR) {
        int64_t step_ms = window->kind == KPID_WINDOW_ROLLING ? window->slide_ms : kpi->judge_every_ms;
        *ret_advice = "months are not equally long: write @ 4w or @ 365d, or take calendar windows";
        if (shift.months)
            return "does not move by months";
        *ret_advice = "write a multiple of its slide";
        return shift.ms % step_ms ? "does not move by that: its panes lie otherwise" : NULL;
    }
    switch (window->period.unit) {
    case KPID_CALENDAR_DAY:
        *ret_advice = "a day moves by whole days: @ 1d, @ 1w, @ 1 month, @ 1 year";
        return shift.ms % DAY_MS ? "moves by whole days" : NULL;
    case KPID_CALENDAR_WEEK:
        *ret_advice = "a week moves by whole weeks: @ 1w, @ 52w";
        return shift.months || shift.ms % WEEK_MS ? "moves by whole weeks" : NULL;
    case KPID_CALENDAR_MONTH:
        *ret_advice = "a month moves by whole months: @ 1 month, @ 1 quarter, @ 1 year";
        return shift.ms ? "moves by whole months" : NULL;
    case KPID_CALENDAR_QUARTER:
        *ret_advice = "a quarter moves by whole quarters: @ 1 quarter, @ 1 year";
        return shift.ms || shift.months % 3 ? "moves by whole quarters" : NULL;
    case KPID_CALENDAR_YEAR: break;
    }
    *ret_advice = "a year moves by whole years: @ 1 year";
    return shift.ms || shift.months % 12 ? "moves by whole years" : NULL;
}

static void window_check(struct kpid_loader *loader, const struct kpid_kpi *kpi, const struct kpid_window *window,
                         const struct kpid_yaml *node)
{
    for (size_t i = 0; i < kpi->n_refs; i++) {
        const char *advice, *why;
        if (!kpid_shift_is(kpi->refs[i].shift))
            continue;
        why = window_refuses(kpi, window, kpi->refs[i].shift, &advice);
        if (!why)
            continue;
        struct kpid_buf text = KPID_BUF_INIT;
        shift_print(kpi->refs[i].shift, &text);
        kpid_fault_add(&loader->faults, node->place, "formula: `%s`: window `%s` %s", text.data, window->name, why);
        kpid_fault_advise(&loader->faults, "%s", advice);
        kpid_buf_release(&text);
        return; /* one fault a window */
    }
}

/* Half a month is compared with half of the month before: its panes stay, so they are not as narrow as a slide. */
static void steps_widen(struct kpid_kpi *kpi)
{
    for (size_t i = 0; i < kpi->n_windows; i++) {
        const struct kpid_window *window = &kpi->windows[i];
        if (window->kind != KPID_WINDOW_CALENDAR)
            continue;
        int64_t step_ms = window->period.unit == KPID_CALENDAR_DAY ? STEP_DAY_MS : STEP_LONGER_MS;
        kpi->judge_every_ms = kpi->judge_every_ms < step_ms ? step_ms : kpi->judge_every_ms;
    }
}

void kpid_earlier_load(struct kpid_loader *loader, struct kpid_kpi *kpi, const struct kpid_yaml *node)
{
    bool any = false;
    for (size_t i = 0; i < kpi->n_refs; i++)
        any |= kpid_shift_is(kpi->refs[i].shift);
    if (!any)
        return;
    steps_widen(kpi);
    for (size_t i = 0; i < kpi->n_windows; i++)
        window_check(loader, kpi, &kpi->windows[i], node);
}

int64_t kpid_earlier_span(const struct kpid_kpi *kpi, size_t measure)
{
    int64_t furthest = 0;
    for (size_t i = 0; i < kpi->n_refs + kpi->n_parts; i++) {
        struct kpid_shift shift = kpi->refs[i].shift;
        int64_t span = shift.ms + shift.months * 31 * DAY_MS;
        if (kpi->refs[i].measure == measure && span > furthest)
            furthest = span;
    }
    return furthest;
}
