/* Joins with a CSV file: values, what is missing, faults with their places, and files that change. */
#include "lookup_rig.h"

#define CONFIG                                                                                                    \
    "lookups:\n"                                                                                                  \
    "  customers: { file: table.csv, key: id, fields: { limit: { type: number, scale: 2 }, since: time, vip: bool } }\n" \
    "sources: { o: { topics: [o], join: { customers: who } } }\n"                                                 \
    "measures: { m: { from: o, where: customers.tag == \"gold\" and customers.vip == true and customers.since < ts, " \
    "sum: customers.limit } }\n"                                                                                  \
    "kpis: { k: { formula: m, windows: [1m], by: [customers.city] } }\n"
#define HEADER "id,tag,city,limit,since,vip\n"

Test(app_lookup_file, values)
{
    struct lookup_rig rig;
    rig_init(&rig, CONFIG,
             HEADER "7,gold,Köln,10.50,2026-01-01T00:00:00Z,true\n" "8,,,,,\n" "\"a,b\",new,\"x\"\"y\",-3,1700000000000,false\n"
                    "2.5,,,0,,\n");
    rig_open(&rig);
    cr_assert(rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "customers.tag"), "gold");
    cr_assert_str_eq(rig_field(&rig, "customers.city"), "Köln");
    cr_assert_str_eq(rig_field(&rig, "customers.limit"), "10.5");
    cr_assert_str_eq(rig_field(&rig, "customers.since"), "1767225600000");
    cr_assert_str_eq(rig_field(&rig, "customers.vip"), "true");
    cr_assert(rig_join(&rig, "\"who\":\"7\"")); /* a number and its text are one key */
    cr_assert_str_eq(rig_field(&rig, "customers.tag"), "gold");
    cr_assert(rig_join(&rig, "\"who\":8"));
    cr_assert_str_eq(rig_field(&rig, "customers.tag"), "-");
    cr_assert_str_eq(rig_field(&rig, "customers.limit"), "-");
    cr_assert(rig_join(&rig, "\"who\":\"a,b\""));
    cr_assert_str_eq(rig_field(&rig, "customers.city"), "x\"y");
    cr_assert_str_eq(rig_field(&rig, "customers.limit"), "-3");
    cr_assert(rig_join(&rig, "\"who\":2.50"));
    cr_assert_str_eq(rig_field(&rig, "customers.limit"), "0");
    struct kpid_lookup_stats stats = rig_stats(&rig);
    cr_assert(stats.hits == 5 && stats.entries == 4 && stats.loads == 1 && !stats.broken);
    cr_assert(stats.written_ms > 1700000000000);
    rig_release(&rig);
}

/* Nothing of the event before stays in the joined fields. */
Test(app_lookup_file, what_is_missing)
{
    struct lookup_rig rig;
    rig_init(&rig, CONFIG, HEADER "7,gold,Köln,10.50,2026-01-01T00:00:00Z,true\n");
    rig_open(&rig);
    static const char *const without[] = {"\"who\":9", "", "\"who\":null", "\"who\":{}", "\"who\":\"\""};
    for (size_t i = 0; i < KPID_COUNT_OF(without); i++) {
        cr_assert(rig_join(&rig, "\"who\":7"));
        cr_assert(rig_join(&rig, without[i]));
        cr_assert_str_eq(rig_field(&rig, "customers.tag"), "-");
        cr_assert_str_eq(rig_field(&rig, "customers.limit"), "-");
    }
    struct kpid_lookup_stats stats = rig_stats(&rig);
    cr_assert(stats.hits == 5 && stats.misses == 1 && stats.no_key == 4);
    rig_release(&rig);
}

Test(app_lookup_file, text_for_missing)
{
    struct lookup_rig rig;
    rig_init(&rig,
             "lookups: { c: { file: table.csv, key: id, missing: unknown, fields: { n: number } } }\n"
             "sources: { o: { topics: [o], join: { c: who, other: { lookup: c, by: whom } } } }\n"
             "measures: { m: { from: o, where: other.tag == \"a\", sum: c.n } }\n"
             "kpis: { k: { formula: m, windows: [1m], by: [c.tag] } }\n",
             "n,tag,id\n1,gold,7\n,,8\n");
    rig_open(&rig);
    cr_assert(rig_join(&rig, "\"who\":8,\"whom\":7"));
    cr_assert_str_eq(rig_field(&rig, "c.tag"), "unknown");
    cr_assert_str_eq(rig_field(&rig, "c.n"), "-");
    cr_assert_str_eq(rig_field(&rig, "other.tag"), "gold");
    cr_assert(rig_join(&rig, "\"who\":5"));
    cr_assert_str_eq(rig_field(&rig, "c.tag"), "unknown");
    cr_assert_str_eq(rig_field(&rig, "other.tag"), "unknown");
    rig_release(&rig);
}

Test(app_lookup_file, faults)
{
    static const struct {
        const char *table;  /* NULL: no file */
        const char *place, *message;
        size_t n;
    } cases[] = {
        {NULL, "kpid.yaml:2:3: error: ", "No such file", 1},
        {"", "table.csv:1:1: error: ", "the file is empty", 1},
        {"id,tag,city,since,vip\n", "kpid.yaml:2:52: error: ", "has no column `limit`", 1},
        {"key,tag,city,limit,since,vip\n", "kpid.yaml:2:3: error: ", "has no column `id`", 1},
        {"id,id,tag,city,limit,since,vip\n", "table.csv:1:4: error: ", "two columns are called `id`", 1},
        {HEADER "7,gold,x,1,,\n8,gold,x\n", "table.csv:3:1: error: ", "3 cells, and 6 in the header", 1},
        {HEADER "7,gold,x,1,,\n7,gold,x,1,,\n", "table.csv:3:1: error: ", "key `7` comes twice", 1},
        {HEADER ",gold,x,1,,\n", "table.csv:2:1: error: ", "the key is empty", 1},
        {HEADER "7,gold,x,much,,\n", "table.csv:2:10: error: ", "limit: `much` is not a number", 1},
        {HEADER "7,gold,x,1.234,,\n", "table.csv:2:10: error: ", "more digits behind the point", 1},
        {HEADER "7,gold,x,1,2026-13-01,\n", "table.csv:2:12: error: ", "since: `2026-13-01` is no time", 1},
        {HEADER "7,gold,x,1,,yes\n", "table.csv:2:13: error: ", "vip: `yes` is neither true nor false", 1},
        {HEADER "7,gold,\"x\ny\",much,,\n8,gold,x,1,,no\n", "table.csv:4:13: error: ", "`no` is neither", 2},
        {HEADER "7,go\"ld,x,1,,\n", "table.csv:2:5: error: ", "a quote within a cell", 1},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct lookup_rig rig;
        struct kpid_buf faults = KPID_BUF_INIT;
        char place[256];
        size_t n = 0;
        rig_init(&rig, CONFIG, cases[i].table);
        cr_assert_null(kpid_lookups_load(rig.model, &faults, &n));
        snprintf(place, sizeof(place), "%s/%s", rig.dir, cases[i].place);
        const char *at = strstr(faults.data, place);
        cr_assert(at && strstr(at, cases[i].message) && strstr(at, "\n    advice: "), "%zu:\n%s", i, faults.data);
        cr_assert_eq(n, cases[i].n, "%zu:\n%s", i, faults.data);
        kpid_buf_release(&faults);
        rig_release(&rig);
    }
}

Test(app_lookup_file, bounds)
{
    struct kpid_buf table = KPID_BUF_INIT;
    kpid_buf_add_str(&table, "id,tag\n");
    for (int i = 0; i < 1000; i++)
        kpid_buf_printf(&table, "%d,%d\n", i, i);
    static const struct {
        const char *bound, *fault;
    } cases[] = {
        {"max_rows: 2", "table.csv:4:1: error: more rows than max_rows"},
        {"max_bytes: 4KiB", "table.csv: it is larger than max_bytes"},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct lookup_rig rig;
        struct kpid_buf config = KPID_BUF_INIT, faults = KPID_BUF_INIT;
        size_t n = 0;
        kpid_buf_printf(&config,
                        "lookups: { c: { file: table.csv, key: id, %s } }\n"
                        "sources: { o: { topics: [o], join: { c: who } } }\n"
                        "measures: { m: { from: o, distinct: c.tag } }\nkpis: { k: { formula: m, windows: [1m] } }\n",
                        cases[i].bound);
        rig_init(&rig, config.data, table.data);
        cr_assert_null(kpid_lookups_load(rig.model, &faults, &n));
        cr_assert(n == 1 && strstr(faults.data, cases[i].fault), "%s", faults.data);
        kpid_buf_release(&faults);
        kpid_buf_release(&config);
        rig_release(&rig);
    }
    kpid_buf_release(&table);
}

/* At most twenty faults of a file are told. */
Test(app_lookup_file, many_faults)
{
    struct lookup_rig rig;
    struct kpid_buf faults = KPID_BUF_INIT, table = KPID_BUF_INIT;
    size_t n = 0;
    kpid_buf_add_str(&table, HEADER);
    for (int i = 0; i < 500; i++)
        kpid_buf_printf(&table, "%d,x,x,much,,\n", i);
    rig_init(&rig, CONFIG, table.data);
    cr_assert_null(kpid_lookups_load(rig.model, &faults, &n));
    cr_assert_eq(n, 20);
    kpid_buf_release(&faults);
    kpid_buf_release(&table);
    rig_release(&rig);
}

/* ---- files that change ---- */

static bool tag_is(struct lookup_rig *rig, const char *tag)
{
    kpid_lookups_tick(rig->lookups);
    return rig_join(rig, "\"who\":7") && strcmp(rig_field(rig, "customers.tag"), tag) == 0;
}

static bool refused(struct lookup_rig *rig, uint64_t times)
{
    kpid_lookups_tick(rig->lookups);
    return rig_stats(rig).load_faults == times;
}

Test(app_lookup_file, a_new_table)
{
    struct lookup_rig rig;
    rig_init(&rig, CONFIG, HEADER "7,gold,x,1,,\n");
    rig_open(&rig);
    cr_assert(tag_is(&rig, "gold"));
    rig_write(&rig, HEADER "7,silver,x,1,,\n8,new,x,1,,\n");
    LOOP_UNTIL(rig.base, tag_is(&rig, "silver"));
    cr_assert(rig_stats(&rig).entries == 2 && rig_stats(&rig).loads == 2);
    cr_assert(strstr(rig.said.data, "look-up customers: read again: "));
    for (int i = 0; i < 10; i++)
        cr_assert(tag_is(&rig, "silver"));
    cr_assert_eq(rig_stats(&rig).loads, 2); /* what does not change is not read again */
    rig_release(&rig);
}

Test(app_lookup_file, a_broken_table_changes_nothing)
{
    struct lookup_rig rig;
    rig_init(&rig, CONFIG, HEADER "7,gold,x,1,,\n");
    rig_open(&rig);
    rig_write(&rig, HEADER "7,silver,x,1,,\n8,silver,x,much,,\n");
    LOOP_UNTIL(rig.base, refused(&rig, 1));
    cr_assert(tag_is(&rig, "gold"));
    cr_assert(rig_stats(&rig).broken && rig_stats(&rig).loads == 1);
    cr_assert_eq(rig.told[KPID_TOLD_FAULT], 1);
    cr_assert(strstr(rig.said.data, "table.csv:3:12: error: limit: `much` is not a number"), "%s", rig.said.data);
    for (int i = 0; i < 10; i++)
        kpid_lookups_tick(rig.lookups);
    cr_assert_eq(rig.told[KPID_TOLD_FAULT], 1); /* once for each file */
    rig_write(&rig, "id\n7\n");
    LOOP_UNTIL(rig.base, refused(&rig, 2));
    cr_assert(tag_is(&rig, "gold"));
    rig_write(&rig, HEADER "7,bronze,x,1,,\n");
    LOOP_UNTIL(rig.base, tag_is(&rig, "bronze"));
    cr_assert_not(rig_stats(&rig).broken);
    rig_release(&rig);
}

Test(app_lookup_file, a_file_that_goes_and_comes)
{
    struct lookup_rig rig;
    rig_init(&rig, CONFIG, HEADER "7,gold,x,1,,\n");
    rig_open(&rig);
    cr_assert_eq(unlink(rig.file), 0);
    for (int i = 0; i < 5; i++)
        cr_assert(tag_is(&rig, "gold"));
    cr_assert(rig_stats(&rig).broken);
    cr_assert_eq(rig.told[KPID_TOLD_FAULT], 1);
    cr_assert(strstr(rig.said.data, "the file is gone, the old table stays"));
    rig_write(&rig, HEADER "7,back,x,1,,\n");
    LOOP_UNTIL(rig.base, tag_is(&rig, "back"));
    cr_assert_not(rig_stats(&rig).broken);
    rig_release(&rig);
}

/* A file of many pieces: events go on with the old table until the new one is whole. */
Test(app_lookup_file, read_in_pieces)
{
    struct lookup_rig rig;
    struct kpid_buf table = KPID_BUF_INIT;
    unsigned turns = 0;
    rig_init(&rig, CONFIG, HEADER "7,gold,x,1,,\n");
    rig_open(&rig);
    kpid_buf_add_str(&table, HEADER "7,silver,x,1,,\n");
    for (int i = 100; i < 100100; i++)
        kpid_buf_printf(&table, "%d,tag,some city,%d,,true\n", i, i);
    rig_write(&rig, table.data);
    kpid_lookups_tick(rig.lookups);
    kpid_lookups_tick(rig.lookups);
    for (; rig_stats(&rig).loads == 1; turns++) {
        cr_assert(rig_join(&rig, "\"who\":7"));
        cr_assert_str_eq(rig_field(&rig, "customers.tag"), "gold");
        event_base_loop(rig.base, EVLOOP_ONCE);
    }
    cr_assert_geq(turns, table.len / (256 * 1024));
    cr_assert(rig_join(&rig, "\"who\":7"));
    cr_assert_str_eq(rig_field(&rig, "customers.tag"), "silver");
    cr_assert_eq(rig_stats(&rig).entries, 100001);
    kpid_buf_release(&table);
    rig_release(&rig);
}
