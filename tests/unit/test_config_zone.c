/* Time zone files: transitions, the rule of the footer up to 2100, damaged files. Compared with the C
 * library. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/loader.h"
#include "config/zone_rule.h"
#include "kpid/zone.h"
#include "test_config_kit.h"

#define ZONEINFO "/usr/share/zoneinfo"

/* Every hour would be slow; 6 h and 1 min steps around each change catch a change that is off. */
static void zone_compare(const char *name)
{
    struct kpid_zone zone = {0};
    const char *error = NULL;
    cr_assert(kpid_zone_read(ZONEINFO, name, &zone, &error), "%s: %s", name, error);
    cr_assert_str_eq(zone.name, name);
    cr_assert_eq(zone.since_ms[0], KPID_NEVER);
    setenv("TZ", name, 1);
    tzset();
    for (int64_t t = -INT64_C(2208988800); t < INT64_C(4102444800); t += 6 * 3600 + 60) {
        struct tm tm;
        time_t at = (time_t)t;
        cr_assert(localtime_r(&at, &tm));
        cr_assert_eq(kpid_zone_offset(&zone, t * 1000), tm.tm_gmtoff, "%s at %lld: %d, not %ld", name,
                     (long long)t, kpid_zone_offset(&zone, t * 1000), tm.tm_gmtoff);
    }
    for (size_t i = 1; i < zone.n; i++) {
        cr_assert_gt(zone.since_ms[i], zone.since_ms[i - 1]);
        cr_assert_neq(zone.offset_s[i], zone.offset_s[i - 1]);
        struct tm before, after;
        time_t at = (time_t)(zone.since_ms[i] / 1000), just = at - 1;
        localtime_r(&just, &before);
        localtime_r(&at, &after);
        cr_assert_eq(before.tm_gmtoff, zone.offset_s[i - 1], "%s change %zu", name, i);
        cr_assert_eq(after.tm_gmtoff, zone.offset_s[i], "%s change %zu", name, i);
    }
    kpid_zone_release(&zone);
}

Test(config_zone, equal_to_the_c_library)
{
    static const char *const names[] = {
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "America/St_Johns",
        "Asia/Tehran",
        "America/Nuuk",
        "Pacific/Chatham",
        "Europe/Dublin",
        "Asia/Gaza",
        "Antarctica/Troll",
        "Pacific/Apia",
        "America/Santiago",
        "Etc/GMT+5",
    };
    for (size_t i = 0; i < KPID_COUNT_OF(names); i++)
        zone_compare(names[i]);
}

Test(config_zone, the_last_summer_of_2100)
{
    struct kpid_zone zone = {0};
    const char *error;
    cr_assert(kpid_zone_read(ZONEINFO, "Europe/Berlin", &zone, &error));
    int64_t july, december;
    cr_assert(kpid_time_parse("2100-07-01T00:00:00Z", 20, &july) &&
              kpid_time_parse("2100-12-01T00:00:00Z", 20, &december));
    cr_assert_eq(kpid_zone_offset(&zone, july), 7200);
    cr_assert_eq(kpid_zone_offset(&zone, december), 3600);
    kpid_zone_release(&zone);
}

Test(config_zone, rules)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"EST5", true},
        {"<+0530>-5:30", true},
        {"EST5EDT,M3.2.0,M11.1.0", true},
        {"CET-1CEST,M3.5.0,M10.5.0/3", true},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true},
        {"XXX3EDT4,0/0,J365/23", true},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", true},
        {"EST5EDT,M3.2.0/167,M11.1.0", true},
        {"", false},
        {"ES5", false},
        {"EST", false},
        {"EST5:60", false},
        {"EST5EDT", false},
        {"EST5EDT,M13.2.0,M11.1.0", false},
        {"EST5EDT,M3.6.0,M11.1.0", false},
        {"EST5EDT,M3.2.7,M11.1.0", false},
        {"EST5EDT,M3.2.0", false},
        {"EST5EDT,M3.2.0,M11.1.0x", false},
        {"EST5EDT,J0,J10", false},
        {"EST5EDT,M3.2.0/168,M11.1.0", false},
        {"<+05-5", false},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_zone_rule rule;
        cr_assert_eq(kpid_zone_rule_parse(cases[i].text, &rule), cases[i].good, "%s", cases[i].text);
    }
    struct kpid_zone_rule rule;
    cr_assert(kpid_zone_rule_parse("EST5EDT,M3.2.0,M11.1.0", &rule));
    cr_assert_eq(kpid_zone_rule_begin(&rule, 2026), INT64_C(1772953200)); /* 2026-03-08 02:00 EST */
    cr_assert_eq(kpid_zone_rule_end(&rule, 2026), INT64_C(1793512800));   /* 2026-11-01 02:00 EDT */
    cr_assert(kpid_zone_rule_parse("A1BBB,J60/0,59/0", &rule) == false);
    cr_assert(kpid_zone_rule_parse("AAA0BBB,J60/0,59/0", &rule));
    cr_assert_eq(kpid_zone_rule_begin(&rule, 2024),
                 kpid_civil_days(2024, 3, 1) * 86400); /* J skips 29 February */
    cr_assert_eq(kpid_zone_rule_end(&rule, 2024), kpid_civil_days(2024, 2, 29) * 86400 - 3600);
}

/* Every prefix of a file, and every byte of it changed, is refused or read; nothing is read behind its end.
 */
Test(config_zone, damaged_files)
{
    char dir[] = "/tmp/kpid-zone-XXXXXX", path[64];
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/Zone", dir);
    FILE *in = fopen(ZONEINFO "/Europe/Berlin", "rb");
    cr_assert(in);
    static unsigned char bytes[8192];
    size_t len = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    for (size_t i = 0; i < len * 2; i++) {
        FILE *out = fopen(path, "wb");
        cr_assert(out);
        if (i >= len)
            bytes[i - len] ^= 0x80;
        cr_assert_eq(fwrite(bytes, 1, i < len ? i : len, out), i < len ? i : len);
        fclose(out);
        if (i >= len)
            bytes[i - len] ^= 0x80;
        struct kpid_zone zone = {0};
        const char *error = NULL;
        bool good = kpid_zone_read(dir, "Zone", &zone, &error);
        if (i < len)
            cr_assert_not(good, "a file cut to %zu bytes", i);
        else if (good)
            for (size_t j = 1; j < zone.n; j++)
                cr_assert_gt(zone.since_ms[j], zone.since_ms[j - 1]);
        kpid_zone_release(&zone);
    }
    unlink(path);
    rmdir(dir);
}
