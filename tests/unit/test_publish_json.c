#include <criterion/criterion.h>

#include "json_schema.h"
#include "publish/json.h"
#include "publish_fixture.h"

static const char *const web[] = {"web", "a|b @\"x\""};

/* Holds a text against tests/golden/<name>.json, whose last newline does not count. */
static void golden(const char *name, const struct kpid_buf *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s.json", KPID_SOURCE_DIR, name);
    if (getenv("KPID_GOLDEN_WRITE")) {
        FILE *file = fopen(path, "wb");
        fprintf(file, "%s\n", text->data);
        fclose(file);
        return;
    }
    char *want = file_text(path);
    cr_assert(want, "%s", path);
    want[strcspn(want, "\n")] = '\0';
    cr_assert_str_eq(text->data, want, "%s", name);
    free(want);
}

static struct kpid_buf rendered(const struct kpid_model *model, const struct kpid_snapshot *snapshot)
{
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_snapshot_json(model, snapshot, NOON + 123, 7, &text);
    return text;
}

Test(publish_json, snapshot)
{
    struct fixture f;
    fixture_init(&f);
    const struct kpid_number parts[] = {exact(12340, 3), {.kind = KPID_NUMBER_NONE}};
    struct kpid_snapshot snapshot = snapshot_of(web, 0);
    snapshot.parts = parts;
    snapshot.revision = 2;
    snapshot.reasons = KPID_QR(OTHER_GROUP) | KPID_QR(REBUILT);
    struct kpid_buf text = rendered(&f.model, &snapshot);
    golden("publish_snapshot", &text);
    cr_assert(schema_allows("snapshot", text.data));
    kpid_buf_release(&text);
    fixture_release(&f);
}

/* A list of keys stands among the parts, in JSON and in MessagePack; without a line it is an empty list. */
Test(publish_json, heaviest_keys)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_number three = {.kind = KPID_NUMBER_EXACT, .exact = {300, 2}, .approx = 3};
    struct kpid_number none = {.kind = KPID_NUMBER_EXACT};
    struct kpid_rank ranks[] = {{"a\"b", three, none}, {"", three, three}};
    struct kpid_snapshot snapshot = {.kpi = REVENUE, .boundary_ms = NOON, .end_ms = NOON, .ranks = ranks, .n_ranks = 2};
    struct kpid_buf text = KPID_BUF_INIT, packed = KPID_BUF_INIT;
    kpid_snapshot_json(&f.model, &snapshot, KPID_NEVER, -1, &text);
    cr_assert(schema_allows("snapshot", text.data));
    cr_assert(strstr(text.data, "\"top\":[{\"key\":\"a\\\"b\",\"value\":3,\"error\":0},{\"key\":\"\",\"value\":3,\"error\":3}]"),
              "%s", text.data);
    cr_assert(kpid_json_to_msgpack(text.data, text.len, &packed));
    kpid_buf_clear(&text);
    snapshot.n_ranks = 0;
    kpid_snapshot_json(&f.model, &snapshot, KPID_NEVER, -1, &text);
    cr_assert(schema_allows("snapshot", text.data));
    cr_assert(strstr(text.data, "\"top\":[]"), "%s", text.data);
    kpid_buf_release(&text);
    kpid_buf_release(&packed);
    fixture_release(&f);
}

Test(publish_json, nothing_known)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_snapshot snapshot = {.kpi = REVENUE,
                                     .start_ms = KPID_NEVER,
                                     .end_ms = NOON,
                                     .boundary_ms = NOON,
                                     .value = {.kind = KPID_NUMBER_OVERFLOW},
                                     .quality = KPID_QUALITY_NO_DATA,
                                     .reasons = KPID_QR(OVERFLOW),
                                     .watermark_ms = KPID_NEVER};
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_snapshot_json(&f.model, &snapshot, KPID_NEVER, -1, &text);
    golden("publish_no_data", &text);
    cr_assert(schema_allows("snapshot", text.data));
    kpid_buf_release(&text);
    fixture_release(&f);
}

Test(publish_json, digits)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_snapshot snapshot = {
        .kpi = REVENUE, .end_ms = NOON, .value = exact(INT64_C(9007199254740993), 2)};
    struct {
        struct kpid_number number;
        const char *want;
    } cases[] = {{exact(INT64_C(9007199254740993), 2), "90071992547409.93"},
                 {exact(-1250, 3), "-1.25"},
                 {exact(0, 6), "0"},
                 {approx(0.1), "0.1"},
                 {approx(1.0 / 3), "0.3333333333333333"},
                 {approx((double)NAN), "null"},
                 {approx((double)INFINITY), "null"}};
    cases[0].number.exact.m *= 1000000;
    cases[0].number.exact.scale = 8;
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        snapshot.value = cases[i].number;
        struct kpid_buf text = rendered(&f.model, &snapshot);
        const char *at = strstr(text.data, "\"value\":") + strlen("\"value\":");
        cr_assert(strncmp(at, cases[i].want, strlen(cases[i].want)) == 0 && at[strlen(cases[i].want)] == ',',
                  "%s", at);
        cr_assert(schema_allows("snapshot", text.data));
        kpid_buf_release(&text);
    }
    fixture_release(&f);
}

Test(publish_json, transition)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_transition transition = transition_of(web, KPID_ALERT_PENDING, KPID_ALERT_FIRING, 0xabcULL);
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_transition_json(&f.model, &transition, &text);
    golden("publish_alert", &text);
    cr_assert(schema_allows("alert", text.data));
    kpid_buf_clear(&text);
    transition =
        (struct kpid_transition){.kpi = CONVERSION, .rule = 1, .since_ms = KPID_NEVER, .historic = true};
    kpid_transition_json(&f.model, &transition, &text);
    cr_assert(schema_allows("alert", text.data));
    kpid_buf_release(&text);
    fixture_release(&f);
}

Test(publish_json, index)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_index_json(&f.kpis[CONVERSION], &text);
    golden("publish_index", &text);
    cr_assert(schema_allows("index", text.data));
    kpid_buf_release(&text);
    fixture_release(&f);
}

/* The schemas name the words that the tables know, all of them and no others. */
Test(publish_json, schema_words)
{
    static const char *const files[] = {"snapshot", "alert"};
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/conf/%s.schema.json", KPID_SOURCE_DIR, files[i]);
        struct json *schema = json_parse(file_text(path));
        struct json *reasons = json_get(json_get(json_get(schema, "$defs"), "reasons"), "items");
        struct json *item = json_get(reasons, "enum")->first;
        for (unsigned bit = 0; bit < KPID_QR_N; bit++, item = item->next)
            cr_assert(item && strcmp(item->text, kpid_quality_reason_name(bit)) == 0, "%s", files[i]);
        cr_assert_null(item);
    }
}

Test(publish_json, schema_refuses)
{
    struct fixture f;
    fixture_init(&f);
    struct kpid_snapshot snapshot = snapshot_of(web, 0);
    struct kpid_buf text = rendered(&f.model, &snapshot);
    cr_assert(schema_allows("snapshot", text.data));
    *strstr(text.data, "\"lag\"") = ' ';
    cr_assert_not(schema_allows("snapshot", text.data));
    kpid_buf_release(&text);
    text = rendered(&f.model, &snapshot);
    memcpy(strstr(text.data, "\"samples\""), "\"sambles\"", 9);
    cr_assert_not(schema_allows("snapshot", text.data));
    kpid_buf_release(&text);
    fixture_release(&f);
}

Test(publish_json, msgpack)
{
    static const struct {
        const char *json, *want;
        size_t len;
    } cases[] = {{"null", "\xc0", 1},
                 {"true", "\xc3", 1},
                 {"7", "\x07", 1},
                 {"-1", "\xff", 1},
                 {"300", "\xce\0\0\x01\x2c", 5},
                 {"1700000000000", "\xcf\0\0\x01\x8b\xcf\xe5\x68\0", 9},
                 {"-300", "\xd3\xff\xff\xff\xff\xff\xff\xfe\xd4", 9},
                 {"0.5", "\xcb\x3f\xe0\0\0\0\0\0\0", 9},
                 {"90071992547409.931234",
                  "\xb5"
                  "90071992547409.931234",
                  22},
                 {"123456789012345678901234567890",
                  "\xbe"
                  "123456789012345678901234567890",
                  31},
                 {"\"a\\\"\\n\\u0001\"",
                  "\xa4"
                  "a\"\n\x01",
                  5},
                 {"[1,[]]", "\xdc\0\x02\x01\xdc\0\0", 7},
                 {"{\"a\":{},\"b\":false}",
                  "\xde\0\x02\xa1"
                  "a\xde\0\0\xa1"
                  "b\xc2",
                  11}};
    struct kpid_buf out = KPID_BUF_INIT;
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kpid_buf_clear(&out);
        cr_assert(kpid_json_to_msgpack(cases[i].json, strlen(cases[i].json), &out), "%s", cases[i].json);
        cr_assert_eq(out.len, cases[i].len, "%s: %zu", cases[i].json, out.len);
        cr_assert_arr_eq(out.data, cases[i].want, cases[i].len, "%s", cases[i].json);
    }
    static const char *const wrong[] = {
        "", "{", "{\"a\"}", "[1,]", "nul", "1 2", "\"a", "--1", "[[[[[[[[[[1]]]]]]]]]]"};
    kpid_buf_clear(&out);
    for (size_t i = 0; i < KPID_COUNT_OF(wrong); i++) {
        cr_assert_not(kpid_json_to_msgpack(wrong[i], strlen(wrong[i]), &out), "%s", wrong[i]);
        cr_assert_eq(out.len, 0);
    }
    kpid_buf_release(&out);
}
