/*
 * Configurations out of order: whatever the text, the loader gives a model without fault or faults without a
 * model, each fault inside the text and with advice. The seed is conf/kpid.yaml, so mutations reach every
 * part.
 *
 *     fuzz_config                  a fixed number of mutations, the same each time
 *     fuzz_config N SEED           N mutations from another seed
 *     fuzz_config FILE ...         these files
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0, advice = 0, heads = 0;
    struct kpid_model *model = kpid_config_parse("fuzz", (const char *)bytes, len, NULL, &faults, &n);
    assert((model != NULL) == (n == 0));
    for (const char *at = faults.data; at && (at = strstr(at, "\n    advice: ")); at++)
        advice++;
    for (const char *at = faults.data; at && (at = strstr(at, "fuzz:")); at++)
        heads++;
    assert(advice >= n && heads >= n);
    kpid_model_free(model);
    kpid_buf_release(&faults);
    return 0;
}

#ifndef KPID_LIBFUZZER

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
    state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* Puts `n` bytes over `old` bytes at `at`. Returns the new length; nothing happens where there is no room. */
static size_t splice(char *text, size_t len, size_t size, size_t at, size_t old, const char *bytes, size_t n)
{
    if (old > len - at)
        old = len - at;
    if (len - old + n > size)
        return len;
    memmove(text + at + n, text + at + old, len - at - old);
    memcpy(text + at, bytes, n);
    return len - old + n;
}

/* clang-format off */
static const char *const words[] = {
    "[", "]", "{", "}", ": ", ",", "\"", "'", "\n", "  ", "- ", "&a ", "*a", "#", "|\n", ">\n", "~",
    "null", "\\x00", "${", "}", "(", ")", "==", " in [1]", "not ", "and ", "exists(", "day(ts, \"",
    "48h", "1e30", "-", "*", "/", "%", "99999999999999999999", "Asia/Kolkata", "all", "day",
    "{ rolling: 7m }", "lookups: { orders: { redis: \"{}\" } }\n",
    "join: { orders: order_id }\n    ", "orders.value", "orders", "visitors", "conversion", "processing.p99", "by:", "where:", "clock:",
    "target:", "alert:", "\xff", "字", "\t", "0x10", "inf", "nan",
};
/* clang-format on */

/* A few changes: a byte, a word of the language, a piece doubled or moved, a line gone, a cut. */
static size_t mutate(char *text, size_t len, size_t size)
{
    char piece[256];
    for (uint32_t i = 1 + random_below(6); i > 0 && len > 0; i--) {
        size_t at = random_below((uint32_t)len), n = 1 + random_below(sizeof piece - 1), from;
        const char *word = words[random_below(KPID_COUNT_OF(words))];
        switch (random_below(7)) {
        case 0: text[at] = (char)random_below(256); break;
        case 1: len = splice(text, len, size, at, 0, word, strlen(word)); break;
        case 2: len = splice(text, len, size, at, 1 + random_below(8), word, strlen(word)); break;
        case 3:
        case 4:
            n = n < len - at ? n : len - at;
            memcpy(piece, text + at, n);
            from = random_below((uint32_t)len);
            len = splice(text, len, size, from, random_below(2) ? 0 : n, piece, n);
            break;
        case 5:
            for (n = 1; at + n < len && text[at + n] != '\n'; n++)
                ;
            len = splice(text, len, size, at, n, "", 0);
            break;
        default: len = random_below(16) == 0 ? at : len; break;
        }
    }
    return len;
}

static size_t file_read(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t len = fread(text, 1, size, file);
    fclose(file);
    return len;
}

int main(int argc, char **argv)
{
    static char seed[1 << 16], text[1 << 17];
    if (argc > 1 && strspn(argv[1], "0123456789") != strlen(argv[1])) {
        for (int i = 1; i < argc; i++)
            LLVMFuzzerTestOneInput((const uint8_t *)text, file_read(argv[i], text, sizeof text));
        return 0;
    }
    unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000;
    state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    size_t len = file_read(KPID_SOURCE_DIR "/conf/kpid.yaml", seed, sizeof seed);
    for (unsigned long i = 0; i < inputs; i++) {
        memcpy(text, seed, len);
        size_t changed = mutate(text, len, sizeof text);
        char *exact = malloc(changed ? changed : 1); /* a read behind its end is seen by the sanitizer */
        assert(exact);
        memcpy(exact, text, changed);
        LLVMFuzzerTestOneInput((const uint8_t *)exact, changed);
        free(exact);
    }
    printf("%lu inputs\n", inputs);
    return 0;
}

#endif
