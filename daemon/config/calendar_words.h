/* Weekdays and months as they are written. */
#ifndef KPID_CONFIG_CALENDAR_WORDS_H
#define KPID_CONFIG_CALENDAR_WORDS_H

#include "loader.h"

/* 0 Sunday .. 6 Saturday; false: it is none. */
bool kpid_weekday_find(const char *word, uint8_t *ret) KPID_MUST_CHECK;
/* The same; a fault if it is none. */
bool kpid_weekday_want(struct kpid_loader *loader, const struct kpid_yaml *node,
                       uint8_t *ret) KPID_MUST_CHECK;
/* `week_start` and `fiscal_year_start` of a map, if they are there. */
void kpid_week_start_read(struct kpid_loader *loader, const struct kpid_yaml *map, uint8_t *day);
void kpid_fiscal_month_read(struct kpid_loader *loader, const struct kpid_yaml *map, uint8_t *month);

#endif
