/* Durations, sizes, percentages, names, and the choice of the nearest name. */
#include "config/fault.h"
#include "config/text.h"
#include "test_config_kit.h"

Test(config_text, durations)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
        const char *printed;
    } cases[] = {
        {"500ms", 500, "500ms"},
        {"30s", 30000, "30s"},
        {"5m", 300000, "5m"},
        {"48h", 172800000, "2d"},
        {"30d", INT64_C(2592000000), "4w2d"},
        {"1w", 604800000, "1w"},
        {"1h30m", 5400000, "1h30m"},
        {"1w1d1h1m1s1ms", 694861001, "1w1d1h1m1s1ms"},
        {"0s", 0, "0s"},
        {"90m", 5400000, "1h30m"},
        {"", -1, ""},
        {"5", -1, ""},
        {"m", -1, ""},
        {"5 m", -1, ""},
        {"5x", -1, ""},
        {"1.5h", -1, ""},
        {"-5m", -1, ""},
        {"5m1h", -1, ""},
        {"5m5m", -1, ""},
        {"5M", -1, ""},
        {"99999999999999999999s", -1, ""},
        {"99999999999w", -1, ""},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        int64_t ms = -7;
        bool good = kpid_text_duration(cases[i].text, &ms);
        cr_assert_eq(good, cases[i].ms >= 0, "%s", cases[i].text);
        cr_assert_eq(ms, good ? cases[i].ms : -7, "%s", cases[i].text);
        char text[64];
        if (good) {
            kpid_text_print_duration(ms, text);
            cr_assert_str_eq(text, cases[i].printed);
        }
    }
}

Test(config_text, sizes)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"65536", 65536},
        {"64KiB", 65536},
        {"128MiB", 134217728},
        {"2 GiB", 2147483648},
        {"1GB", 1000000000},
        {"1MB", 1000000},
        {"1kB", 1000},
        {"7B", 7},
        {"", -1},
        {"KiB", -1},
        {"1kib", -1},
        {"1.5MiB", -1},
        {"-1", -1},
        {"18446744073709551615GB", -1},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        uint64_t bytes = 3;
        cr_assert_eq(kpid_text_size(cases[i].text, &bytes), cases[i].bytes >= 0, "%s", cases[i].text);
        cr_assert_eq(bytes, cases[i].bytes >= 0 ? (uint64_t)cases[i].bytes : 3, "%s", cases[i].text);
    }
}

Test(config_text, percentages_and_numbers)
{
    static const struct {
        const char *text;
        double percent, number; /* -9: none */
    } cases[] = {
        {"3.2 %", 0.032, -9}, {"3.2%", 0.032, -9}, {"-10 %", -0.1, -9}, {"+5%", 0.05, -9}, {"1e1 %", 0.1, -9},
        {"0.5", -9, 0.5},     {"-2", -9, -2},      {"1e3", -9, 1000},   {"%", -9, -9},     {"", -9, -9},
        {"3 % x", -9, -9},    {"0x10", -9, -9},    {"inf", -9, -9},     {"nan %", -9, -9}, {"1e999", -9, -9},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        double percent = -9, number = -9;
        cr_assert_eq(kpid_text_percent(cases[i].text, &percent), cases[i].percent > -9, "%s", cases[i].text);
        cr_assert_eq(kpid_text_number(cases[i].text, &number), cases[i].number > -9, "%s", cases[i].text);
        cr_assert_float_eq(percent, cases[i].percent, 1e-12, "%s", cases[i].text);
        cr_assert_float_eq(number, cases[i].number, 1e-12, "%s", cases[i].text);
    }
}

Test(config_text, nearest_name)
{
    struct kpid_names names = {0};
    static const char *const all[] = {"visitors", "orders", "order_value", "day", "5m"};
    for (size_t i = 0; i < KPID_COUNT_OF(all); i++)
        kpid_names_add(&names, all[i]);
    cr_assert_str_eq(kpid_names_nearest(&names, "vistors"), "visitors");
    cr_assert_str_eq(kpid_names_nearest(&names, "ORDERS"), "orders");
    cr_assert_str_eq(kpid_names_nearest(&names, "odrers"), "orders");
    cr_assert_str_eq(kpid_names_nearest(&names, "dya"), "day");
    cr_assert_null(kpid_names_nearest(&names, "conversion"));
    cr_assert_null(kpid_names_nearest(&names, ""));
    char word[300];
    memset(word, 'x', sizeof word);
    word[sizeof word - 1] = '\0';
    cr_assert_null(kpid_names_nearest(&names, word));
    kpid_names_release(&names);
}
