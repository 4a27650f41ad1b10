/* Whole files: the default configuration, the one with fifteen faults, the table of keys, how faults look. */
#include "test_config_kit.h"

Test(config_file, default_configuration)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 1;
    struct kpid_model *model = kpid_config_load(KPID_SOURCE_DIR "/conf/kpid.yaml", NULL, &faults, &n);
    cr_assert(model, "%s", faults.data);
    cr_assert_eq(faults.len, 0, "%s", faults.data);
    cr_assert_eq(n, 0);
    cr_assert_eq(model->n_sources, 3);
    cr_assert_str_eq(model->settings.publish.dead_letters, "kpid.dead-letters");
    for (size_t i = 0; i < model->n_kpis; i++) {
        const struct kpid_kpi *kpi = &model->kpis[i];
        cr_assert(kpi->owner && kpi->dimension && kpi->n_targets > 0 && kpi->n_rules > 0, "%s", kpi->name);
        cr_assert_str_neq(kpi->title_en, kpi->title_zh, "%s", kpi->name);
        cr_assert_str_neq(kpi->title_en, kpi->name);
        cr_assert_eq(kpi->n_windows, 3);
        for (size_t j = 0; j < kpi->n_rules; j++)
            cr_assert_gt(kpi->rules[j].for_ms, 0, "%s", kpi->name);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(kpi->hash, model->kpis[j].hash, "%s and %s", kpi->name, model->kpis[j].name);
    }
    kpid_model_free(model);
    kpid_buf_release(&faults);
}

Test(config_file, same_file_same_hashes)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    struct kpid_model *a = kpid_config_load(KPID_SOURCE_DIR "/conf/kpid.yaml", NULL, &faults, &n);
    struct kpid_model *b = kpid_config_load(KPID_SOURCE_DIR "/conf/kpid.yaml", NULL, &faults, &n);
    cr_assert(a && b && a->hash == b->hash);
    kpid_model_free(a);
    kpid_model_free(b);
}

Test(config_file, fifteen_faults)
{
    static const struct {
        unsigned line, column;
        const char *message, *advice;
    } wanted[] = {
        {2, 7, "tick: `1 s` is not a duration", "500ms"},
        {3, 10, "unknown key `broker`", "did you mean `brokers`?"},
        {4, 19, "timeout: 1ms is out of range", "from 100ms"},
        {7, 39, "format can't be `xml`", "auto, json, msgpack"},
        {8, 44, "dedup_horizon is below", "at least 1h30s"},
        {11, 19, "there is no source `order`", "did you mean `orders`?"},
        {12, 40, "where: `=` compares nothing", "=="},
        {13, 36, "sum: `+` can't join a time and a plain number", "x * 1ms"},
        {14, 3, "duplicate key `revenue`", "line 13"},
        {15, 10, "measure `pages` has no aggregation", "count:"},
        {18, 26, "there is no measure or KPI `order`", "did you mean `orders`?"},
        {20, 17, "KPIs go round in a circle: a -> b -> a", "measures alone"},
        {21, 40, "slide 1s666ms does not divide 1m40s", "slide: 2s"},
        {22, 59, "a count or sum needs a target for each window", "{ 5m: 100, 1h: 1000 }"},
        {27, 20, "warn: a level must be negative", "-10 %"},
    };
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    const char *path = KPID_SOURCE_DIR "/tests/config/fifteen-faults.yaml", *at;
    cr_assert_null(kpid_config_load(path, NULL, &faults, &n));
    cr_assert_eq(n, 15, "%zu\n%s", n, faults.data);
    cr_assert_null(strstr(faults.data, ": warning: "));
    at = faults.data;
    for (size_t i = 0; i < KPID_COUNT_OF(wanted); i++) { /* in the order of the file */
        struct kpid_buf head = KPID_BUF_INIT;
        kpid_buf_printf(&head, "%s:%u:%u: error: ", path, wanted[i].line, wanted[i].column);
        cr_assert_eq(strncmp(at, head.data, head.len), 0, "%zu: %s not at\n%s", i, head.data, at);
        const char *end = strstr(at, "\n\n"), *message = strstr(at, wanted[i].message);
        const char *caret = strstr(at, "^\n    advice: "),
                   *advice = caret ? strstr(caret, wanted[i].advice) : NULL;
        cr_assert(message && caret && advice && message < caret, "%s", at);
        cr_assert(!end || advice < end, "%s", at);
        at = end ? end + 2 : at + strlen(at);
        kpid_buf_release(&head);
    }
    cr_assert_eq(*at, '\0');
    kpid_buf_release(&faults);
}

/* The text of one fault, to the letter: tabs and wide characters keep the caret in place. */
Test(config_file, how_a_fault_looks)
{
    struct kit kit = kit_parse("", "kafka: { cluster: 集群, grup: a }\ntick: 1x\n");
    cr_assert_str_eq(kit.faults.data,
                     "t.yaml:1:23: error: unknown key `grup`\n"
                     "    kafka: { cluster: 集群, grup: a }\n"
                     "                            ^\n"
                     "    advice: did you mean `group`? known keys here: brokers, group, instance_id, "
                     "cluster, properties\n"
                     "\n"
                     "t.yaml:2:7: error: tick: `1x` is not a duration\n"
                     "    tick: 1x\n"
                     "          ^\n"
                     "    advice: write 500ms, 30s, 5m, 48h, 30d, 1w or 1h30m\n");
    cr_assert_eq(kit.n, 2);
    kpid_buf_release(&kit.faults);
}

/* Every default is of its type and in its range: written out as a file, the table is a good configuration. */
Test(config_file, table_of_keys)
{
    struct kpid_buf table = KPID_BUF_INIT, text = KPID_BUF_INIT;
    kpid_config_describe(&table);
    size_t rows = 0;
    char *rest = table.data;
    for (char *row; (row = strsep(&rest, "\n")) && *row; rows++) {
        char *cells[5];
        for (size_t i = 0; i < 5; i++) {
            cells[i] = strsep(&row, "\t");
            cr_assert(cells[i], "row %zu has %zu cells", rows, i);
        }
        cr_assert(*cells[0] && *cells[1] && strlen(cells[4]) > 4, "%s", cells[0]);
        cr_assert_null(row);
        if (strncmp(cells[0], "sources.*.", 10) == 0 && !strchr(cells[0] + 10, '.') && *cells[2] &&
            !strchr(cells[2], '+'))
            kpid_buf_printf(&text, "    %s: %s\n", cells[0] + 10, cells[2]);
    }
    cr_assert_gt(rows, 100);
    struct kpid_model *model = kit_model("sources:\n  s:\n    topic: t\n", text.data);
    struct kpid_model *plain = kit_model("", "sources: { s: { topic: t } }\n");
    cr_assert_eq(model->hash, plain->hash);
    kpid_model_free(model);
    kpid_model_free(plain);
    kpid_buf_release(&text);
    kpid_buf_release(&table);
}
