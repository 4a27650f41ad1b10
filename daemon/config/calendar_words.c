#include "calendar_words.h"

#include "text.h"

#define WEEKDAYS "sun|mon|tue|wed|thu|fri|sat"
#define MONTHS   "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

bool kpid_weekday_find(const char *word, uint8_t *ret)
{
    return kpid_text_choice(word, WEEKDAYS, ret);
}

bool kpid_weekday_want(struct kpid_loader *loader, const struct kpid_yaml *node, uint8_t *ret)
{
    return kpid_want_choice(loader, node, "weekday", WEEKDAYS, ret);
}

void kpid_week_start_read(struct kpid_loader *loader, const struct kpid_yaml *map, uint8_t *day)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "week_start");
    uint8_t read;
    if (node && kpid_want_choice(loader, node, "week_start", WEEKDAYS, &read))
        *day = read;
}

void kpid_fiscal_month_read(struct kpid_loader *loader, const struct kpid_yaml *map, uint8_t *month)
{
    const struct kpid_yaml *node = kpid_yaml_get(map, "fiscal_year_start");
    uint64_t number;
    uint8_t index;
    if (!node || !kpid_want_text(loader, node, "fiscal_year_start"))
        return;
    if (kpid_text_choice(node->text, MONTHS, &index)) {
        *month = (uint8_t)(index + 1);
    } else if (kpid_text_count(node->text, &number) && number >= 1 && number <= 12) {
        *month = (uint8_t)number;
    } else {
        kpid_fault_add(&loader->faults, node->place, "fiscal_year_start: `%s` is not a month", node->text);
        kpid_fault_advise(&loader->faults, "write a number from 1 to 12, or jan .. dec");
    }
}
