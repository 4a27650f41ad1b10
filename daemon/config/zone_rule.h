/* The rule in the footer of a TZif file: POSIX TZ with the extensions of RFC 8536 section 3.3.1. Pure. */
#ifndef KPID_CONFIG_ZONE_RULE_H
#define KPID_CONFIG_ZONE_RULE_H

#include "kpid/macros.h"

struct kpid_zone_date {
    char kind; /* 'M' month.week.day, 'J' day 1..365 without 29 February, 'N' day 0..365 */
    int month, week, day;
    int32_t time_s; /* of the local day, -167 h .. 167 h */
};

struct kpid_zone_rule {
    int32_t standard_s, summer_s; /* offsets east of UTC */
    bool has_summer;
    struct kpid_zone_date begin, end; /* of summer time */
};

bool kpid_zone_rule_parse(const char *text, struct kpid_zone_rule *ret) KPID_MUST_CHECK;
/* The two changes of a year, UTC seconds. */
int64_t kpid_zone_rule_begin(const struct kpid_zone_rule *rule, int64_t year);
int64_t kpid_zone_rule_end(const struct kpid_zone_rule *rule, int64_t year);

#endif
