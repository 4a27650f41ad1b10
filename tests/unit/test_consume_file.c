#include "consume/murmur2.h"
#include "consume/scan.h"
#include "kpid/consume.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct got {
    struct kpid_record record;
    char key[64], value[256];
};

static struct got all[128];
static size_t n_all;

static char *order_topics[] = {(char *)"orders", (char *)"payments"};
static char *visit_topics[] = {(char *)"visits"};
static char *key_path[] = {(char *)"data", (char *)"user"};
static struct kpid_field visit_fields[] = {{.name = (char *)"user", .path = key_path, .n_path = 2}};
static struct kpid_source sources[] = {
    {.name = (char *)"shop", .topics = order_topics, .n_topics = 2},
    {.name = (char *)"web",
     .topics = visit_topics,
     .n_topics = 1,
     .key = (char *)"user",
     .fields = visit_fields,
     .n_fields = 1},
};
static const struct kpid_model model = {.sources = sources, .n_sources = 2};

static void keep(void *ctx, const struct kpid_record *record)
{
    struct got *got = &all[n_all++];
    cr_assert_null(ctx);
    cr_assert_leq(n_all, KPID_COUNT_OF(all));
    got->record = *record;
    memset(got->key, 0, sizeof got->key);
    memset(got->value, 0, sizeof got->value);
    if (record->key != NULL)
        memcpy(got->key, record->key, record->key_len < 63 ? record->key_len : 63);
    if (record->value != NULL)
        memcpy(got->value, record->value, record->value_len < 255 ? record->value_len : 255);
}

/* Reads a file of these bytes to its end or first damage, `budget` at a time. Returns what the last call
 * returned. */
static long read_all(const void *bytes, size_t len, const struct kpid_file_options *options, size_t budget,
                     struct kpid_buf *error, uint64_t *ret_skipped)
{
    char path[] = "/tmp/kpid-file-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);
        cr_assert_gt(n, 0);
        at += (size_t)n;
    }
    close(fd);
    n_all = 0;
    struct kpid_file *file = kpid_file_open(path, &model, options, error);
    cr_assert_not_null(file, "%s", error->data);
    long n;
    do {
        n = kpid_file_serve(file, budget, keep, NULL, error);
        cr_assert_leq(n, (long)budget);
    } while (n > 0);
    uint64_t read, total, skipped;
    kpid_file_progress(file, &read, &total, &skipped);
    cr_assert_eq(total, len);
    if (n == 0)
        cr_assert_eq(read, len);
    if (ret_skipped != NULL)
        *ret_skipped = skipped;
    kpid_file_close(file);
    unlink(path);
    return n;
}

Test(murmur2, equals_the_java_client)
{
    static const struct {
        const char *text;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < KPID_COUNT_OF(known); i++) {
        size_t len = strlen(known[i].text);
        cr_assert_eq((int32_t)kpid_murmur2(known[i].text, len), known[i].hash, "%s", known[i].text);
        cr_assert_eq(kpid_murmur2_partition(known[i].text, len, 7), (known[i].hash & 0x7fffffff) % 7);
    }
}

Test(file, lines_are_handed_over_as_written)
{
    static const char text[] =
        "{\"topic\":\"orders\",\"key\":\"foobar\",\"value\": {\"a\" : [1, 2.50, \"}\"]} }\n"
        "\r\n"
        "{\"value\":{\"b\":null},\"topic\":\"payments\",\"timestamp\":1700000000123,\"extra\":[{}]}\r\n"
        "{\"topic\":\"nobody\",\"value\":1}\n"
        "{\"topic\":\"orders\",\"key\":\"\\u00e9\\n\\ud83d\\ude00\",\"raw\":\"not \\\"json\\\"\\u0001\"}\n"
        "{\"topic\":\"orders\",\"key\":12.5,\"value\":null,\"partition\":3}\n"
        "{\"topic\":\"visits\",\"key\":null,\"raw\":\"\"}";
    struct kpid_file_options options = {.partitions = 4};
    for (size_t budget = 1; budget < 9; budget += 7) {
        struct kpid_buf error = KPID_BUF_INIT;
        uint64_t skipped;
        long n = read_all(text, sizeof text - 1, &options, budget, &error, &skipped);
        cr_assert_eq(n, 0, "%s", error.data);
        cr_assert_eq(n_all, 5);
        cr_assert_eq(skipped, 1);
        cr_assert_str_eq(all[0].value, "{\"a\" : [1, 2.50, \"}\"]}");
        cr_assert_str_eq(all[0].key, "foobar");
        cr_assert_eq(all[0].record.partition, (-790332482 & 0x7fffffff) % 4);
        cr_assert_eq(all[0].record.timestamp_ms, KPID_NEVER);
        cr_assert_eq(all[1].record.topic, 1);
        cr_assert_eq(all[1].record.timestamp_ms, INT64_C(1700000000123));
        cr_assert_null(all[1].record.key);
        cr_assert_str_eq(all[2].value, "not \"json\"\x01");
        cr_assert_str_eq(all[2].key, "\xc3\xa9\n\xf0\x9f\x98\x80");
        cr_assert_str_eq(all[3].key, "12.5");
        cr_assert_null(all[3].record.value);
        cr_assert_eq(all[3].record.partition, 3);
        cr_assert_eq(all[4].record.source, 1);
        cr_assert_eq(all[4].record.value_len, 0);
        cr_assert_not_null(all[4].record.value);
        kpid_buf_release(&error);
    }
}

Test(file, offsets_count_up_and_lines_without_key_go_round)
{
    struct kpid_buf text = KPID_BUF_INIT, error = KPID_BUF_INIT;
    for (int i = 0; i < 6; i++)
        kpid_buf_printf(&text, "{\"topic\":\"orders\",\"value\":%d}\n{\"topic\":\"payments\",\"value\":%d}\n",
                        i, i);
    struct kpid_file_options options = {.partitions = 3};
    cr_assert_eq(read_all(text.data, text.len, &options, 100, &error, NULL), 0);
    cr_assert_eq(n_all, 12);
    for (size_t i = 0; i < 12; i++) {
        cr_assert_eq(all[i].record.partition, (int32_t)(i / 2 % 3));
        cr_assert_eq(all[i].record.offset, (int64_t)(i / 6));
    }
    kpid_buf_release(&text);
    kpid_buf_release(&error);
}

Test(file, plain_events_take_their_key_from_the_field)
{
    static const char text[] = "{\"id\":1,\"data\":{\"x\":{\"user\":9},\"user\":\"foobar\"}}\n"
                               "no json at all\n"
                               "{\"data\":{\"user\":21}}\n";
    struct kpid_file_options options = {.topic = "visits", .partitions = 5};
    struct kpid_buf error = KPID_BUF_INIT;
    cr_assert_eq(read_all(text, sizeof text - 1, &options, 2, &error, NULL), 0, "%s", error.data);
    cr_assert_eq(n_all, 3);
    cr_assert_eq(all[0].record.partition, (-790332482 & 0x7fffffff) % 5);
    cr_assert_str_eq(all[1].value, "no json at all");
    cr_assert_null(all[1].record.key);
    cr_assert_eq(all[2].record.partition, (-973932308 & 0x7fffffff) % 5);
    kpid_buf_release(&error);
}

Test(file, damage_is_named_by_its_line)
{
    static const struct {
        const char *line, *says;
    } damaged[] = {
        {"{\"topic\":\"orders\",\"value\":{\"a\":01}}", "comma"},
        {"{\"topic\":\"orders\",\"value\":{}", "comma"},
        {"{\"topic\":\"orders\",\"value\":{}}x", "follows"},
        {"{\"topic\":\"orders\",\"value\":{},\"raw\":\"\"}", "either"},
        {"{\"topic\":\"orders\"}", "either"},
        {"{\"value\":{}}", "topic"},
        {"{\"topic\":\"orders\",\"topic\":\"orders\",\"value\":1}", "twice"},
        {"{\"topic\":\"orders\",\"raw\":\"\\ud800\"}", "surrogate"},
        {"{\"topic\":\"orders\",\"raw\":\"\\x\"}", "escape"},
        {"{\"topic\":\"orders\",\"raw\":1}", "raw"},
        {"{\"topic\":\"orders\",\"value\":1,\"partition\":2}", "partition"},
        {"{\"topic\":\"orders\",\"value\":1,\"timestamp\":9223372036854775808}", "timestamp"},
        {"{\"topic\":\"orders\",\"value\":1,\"key\":{}}", "key"},
        {"[1]", "object"},
        {"{\"topic\":\"orders\",\"value\":\"a\tb\"}", "control"},
        {"{\"topic\":\"orders\",\"value\":tru}", "value"},
        {"{\"topic\":\"orders\",\"value\":\"open", "ends"},
    };
    struct kpid_file_options options = {.partitions = 2};
    for (size_t i = 0; i < KPID_COUNT_OF(damaged); i++) {
        struct kpid_buf text = KPID_BUF_INIT, error = KPID_BUF_INIT;
        kpid_buf_printf(&text, "{\"topic\":\"orders\",\"value\":1}\n\n%s\n", damaged[i].line);
        cr_assert_eq(read_all(text.data, text.len, &options, 10, &error, NULL), -1, "%s", damaged[i].line);
        cr_assert_eq(n_all, 1);
        cr_assert_not_null(strstr(error.data, ":3: "), "%s", error.data);
        cr_assert_not_null(strstr(error.data, damaged[i].says), "%s: %s", damaged[i].line, error.data);
        kpid_buf_release(&text);
        kpid_buf_release(&error);
    }
}

Test(file, deep_nesting_is_refused_not_followed)
{
    struct kpid_buf text = KPID_BUF_INIT, error = KPID_BUF_INIT;
    kpid_buf_add_str(&text, "{\"topic\":\"orders\",\"value\":");
    for (int i = 0; i < 1000000; i++)
        kpid_buf_add_char(&text, '[');
    cr_assert_eq(read_all(text.data, text.len, NULL, 10, &error, NULL), -1);
    cr_assert_not_null(strstr(error.data, "deep"), "%s", error.data);
    kpid_buf_release(&text);
    kpid_buf_release(&error);
}

Test(file, long_lines_are_read_up_to_the_bound)
{
    struct kpid_buf text = KPID_BUF_INIT, error = KPID_BUF_INIT;
    char *filler = malloc((size_t)17 << 20);
    memset(filler, 'x', (size_t)17 << 20);
    kpid_buf_add_str(&text, "{\"topic\":\"orders\",\"value\":\"");
    kpid_buf_add(&text, filler, (size_t)15 << 20);
    kpid_buf_add_str(&text, "\"}\n");
    cr_assert_eq(read_all(text.data, text.len, NULL, 10, &error, NULL), 0, "%s", error.data);
    cr_assert_eq(all[0].record.value_len, ((size_t)15 << 20) + 2);
    kpid_buf_add(&text, filler, (size_t)17 << 20);
    cr_assert_eq(read_all(text.data, text.len, NULL, 10, &error, NULL), -1);
    cr_assert_not_null(strstr(error.data, ":2: "), "%s", error.data);
    free(filler);
    kpid_buf_release(&text);
    kpid_buf_release(&error);
}

static void frame_add(struct kpid_buf *buf, const char *topic, unsigned char partition, const char *key)
{
    kpid_buf_add_char(buf, (char)0x96);
    kpid_buf_add_char(buf, (char)(0xa0 + strlen(topic)));
    kpid_buf_add_str(buf, topic);
    kpid_buf_add_char(buf, (char)partition);
    kpid_buf_add(buf, "\xcf\x00\x00\x00\x01\x00\x00\x00\x02", 9); /* offset 2^32 + 2 */
    if (key != NULL) {
        kpid_buf_add(buf, "\xd3\x00\x00\x01\x8b\xcf\xe5\x68\x7b", 9); /* 1700000000123 */
        kpid_buf_add_char(buf, (char)0xc4);
        kpid_buf_add_char(buf, (char)strlen(key));
        kpid_buf_add_str(buf, key);
        kpid_buf_add(buf, "\xc5\x00\x03v\0w", 6);
    } else {
        kpid_buf_add(buf, "\xc0\xc0\xc0", 3);
    }
}

Test(file, frames_keep_their_places)
{
    struct kpid_buf bytes = KPID_BUF_INIT, error = KPID_BUF_INIT;
    uint64_t skipped;
    frame_add(&bytes, "payments", 5, "k1");
    frame_add(&bytes, "nobody", 0, "k");
    frame_add(&bytes, "visits", 0, NULL);
    size_t whole = bytes.len;
    cr_assert_eq(read_all(bytes.data, whole, NULL, 1, &error, &skipped), 0, "%s", error.data);
    cr_assert_eq(n_all, 2);
    cr_assert_eq(skipped, 1);
    cr_assert_eq(all[0].record.topic, 1);
    cr_assert_eq(all[0].record.partition, 5);
    cr_assert_eq(all[0].record.offset, INT64_C(4294967298));
    cr_assert_eq(all[0].record.timestamp_ms, INT64_C(1700000000123));
    cr_assert_str_eq(all[0].key, "k1");
    cr_assert_eq(all[0].record.value_len, 3);
    cr_assert_eq(memcmp(all[0].value, "v\0w", 3), 0);
    cr_assert_null(all[1].record.value);
    cr_assert_null(all[1].record.key);
    cr_assert_eq(all[1].record.timestamp_ms, KPID_NEVER);
    for (size_t cut = whole - 1; cut > whole - 12; cut--) {
        kpid_buf_clear(&error);
        cr_assert_eq(read_all(bytes.data, cut, NULL, 10, &error, NULL), -1);
        cr_assert_not_null(strstr(error.data, "frame 3: the file ends"), "%s", error.data);
    }
    kpid_buf_clear(&error);
    kpid_buf_add(&bytes, "\x93\x01\x02\x03", 4);
    cr_assert_eq(read_all(bytes.data, bytes.len, NULL, 10, &error, NULL), -1);
    cr_assert_not_null(strstr(error.data, "frame 4: not an array of six"), "%s", error.data);
    kpid_buf_release(&bytes);
    kpid_buf_release(&error);
}

Test(file, an_empty_file_ends_at_once)
{
    struct kpid_buf error = KPID_BUF_INIT;
    cr_assert_eq(read_all("", 0, NULL, 10, &error, NULL), 0);
    cr_assert_eq(read_all("\n \n", 3, NULL, 10, &error, NULL), 0);
    kpid_buf_release(&error);
}

Test(file, what_cannot_be_opened_says_why)
{
    struct kpid_buf error = KPID_BUF_INIT;
    struct kpid_file_options options = {.topic = "nobody"};
    cr_assert_null(kpid_file_open("/nonexistent/file", &model, NULL, &error));
    cr_assert_not_null(strstr(error.data, "/nonexistent/file: No such file"), "%s", error.data);
    kpid_buf_clear(&error);
    cr_assert_null(kpid_file_open("/dev/null", &model, &options, &error));
    cr_assert_not_null(strstr(error.data, "\"nobody\""), "%s", error.data);
    kpid_buf_clear(&error);
    cr_assert_null(kpid_file_open("/tmp", &model, NULL, &error));
    cr_assert_not_null(strstr(error.data, "directory"), "%s", error.data);
    kpid_buf_release(&error);
}
