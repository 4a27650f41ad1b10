/*
 * Any bytes through the decoder, as they are (format by the first byte) and behind a good beginning of either
 * format. What is checked beside the sanitizers: reasons are in range, an event is as its header says, and a
 * good message decodes to the same values afterwards.
 *
 * With clang: -fsanitize=fuzzer,address,undefined -DKPID_LIBFUZZER. Otherwise a plain program that mutates
 * its own samples a fixed number of times: fuzz_decode [INPUTS [SEED]], or reads files: fuzz_decode FILE...
 */
#include "kpid/decode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char *paths[][3] = {
    { "type" }, { "ts" },     { "id" },          { "n" }, { "s" },
    { "t" },    { "a", "b" }, { "a", "c", "d" }, { "a" }, { "x" },
};
static const uint8_t kinds[] = {
    KPID_FIELD_STRING, KPID_FIELD_TIME, KPID_FIELD_ANY, KPID_FIELD_NUMBER, KPID_FIELD_STRING,
    KPID_FIELD_TIME,   KPID_FIELD_ANY,  KPID_FIELD_ANY, KPID_FIELD_ANY,    KPID_FIELD_BOOL,
};
static char *types[] = { "", "order.paid" };
static struct kpid_pair type_map[] = { { "paid", "order.paid" } };

static const char json[] = "{\"type\":\"paid\",\"ts\":\"2023-11-14T22:13:20.5Z\",\"id\":17,\"n\":\"-12."
                           "50e1\",\"s\":1.25,\"skip\":[1,{},[]],"
                           "\"t\":1700000000,\"a\":{\"b\":\"\\u00e9\\ud83d\\ude00\\n\",\"c\":{\"d\":0.1,"
                           "\"e\":null}},\"x\":true,\"a.b\":1}";
static const char msgpack[] =
    "\x89\xa4type\xa4paid\xa2ts\xd7\xff\x1d\xcd\x65\x00\x65\x53\xf1\x00\xa2id\xd9\x02xy\xa1n\xcb\x3f\xb9\x99"
    "\x99\x99"
    "\x99\x99\x9a\xa1s\xca\x3d\xcc\xcc\xcd\xa1t\xce\x65\x53\xf1\x00\xa1x\xc4\x02\xff\xfe\xa4skip\xdc\x00\x03"
    "\xd0\x80"
    "\x90\x80\xa1\x61\xde\x00\x02\xa1\x62\xda\x00\x03\xe4\xbb\xb7\xa1\x63\x81\xa1\x64\xd1\xff\x00";

struct fuzz {
    struct kpid_field fields[KPID_COUNT_OF(paths)];
    struct kpid_source source;
    struct kpid_decoder *decoder;
};

static void fuzz_init(struct fuzz *fuzz)
{
    *fuzz = (struct fuzz){ 0 };
    for (size_t i = 0; i < KPID_COUNT_OF(paths); i++) {
        struct kpid_field *field = &fuzz->fields[i];
        *field = (struct kpid_field){ .path = paths[i], .kind = kinds[i], .scale = 3, .round = i % 2 };
        while (field->n_path < 3 && paths[i][field->n_path])
            field->n_path++;
    }
    fuzz->fields[5].time_format = KPID_TIME_FORMAT_S;
    fuzz->source = (struct kpid_source){
        .fields = fuzz->fields,
        .n_fields = KPID_COUNT_OF(paths),
        .types = types,
        .n_types = 2,
        .type_map = type_map,
        .n_type_map = 1,
        .max_string_bytes = 40,
    };
    fuzz->decoder = kpid_decoder_new(&fuzz->source);
}

/* Uses every byte of the event, so that a sanitizer sees one that is not there. */
static unsigned event_check(const struct fuzz *fuzz, const struct kpid_event *event)
{
    unsigned sum = 0;
    assert(event->n_values == KPID_COUNT_OF(paths) && event->type_id < 2);
    assert(event->ts_ms >= 0 && event->values[KPID_SLOT_TS].number == event->ts_ms);
    assert(event->values[KPID_SLOT_TYPE].kind == KPID_STRING);
    for (size_t i = 0; i < event->n_values; i++) {
        const struct kpid_value *value = &event->values[i];
        assert(value->kind <= KPID_FAULTY);
        assert(value->kind != KPID_FAULTY ||
               (value->reason != KPID_REASON_NONE && value->reason < KPID_REASON_N));
        if (value->kind == KPID_STRING) {
            assert(value->len <= fuzz->source.max_string_bytes);
            for (uint32_t j = 0; j < value->len; j++)
                sum += (uint8_t)value->str[j];
        }
    }
    return sum;
}

/* From the end of a block of its own. */
static enum kpid_reason decode_check(struct fuzz *fuzz, const void *head, size_t head_len, const void *bytes,
                                     size_t len)
{
    struct kpid_event event;
    char *block = malloc(head_len + len + 1), *at = block + 1;
    assert(block);
    memcpy(at, head, head_len);
    if (len > 0)
        memcpy(at + head_len, bytes, len);
    enum kpid_reason reason = kpid_decode(fuzz->decoder, at, head_len + len, &event);
    assert(reason < KPID_REASON_N);
    volatile unsigned sum = reason == KPID_REASON_NONE ? event_check(fuzz, &event) : 0;
    (void)sum;
    free(block);
    return reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char json_head[] = "{\"type\":\"paid\",\"ts\":1,\"a\":",
                      map_head[] = "\x83\xa4type\xa1x\xa2ts\x01\xa1\x61";
    struct fuzz fuzz;
    fuzz_init(&fuzz);
    decode_check(&fuzz, "", 0, bytes, len);
    decode_check(&fuzz, json_head, sizeof(json_head) - 1, bytes, len);
    decode_check(&fuzz, map_head, sizeof(map_head) - 1, bytes, len);
    assert(decode_check(&fuzz, json, sizeof(json) - 1, "", 0) == KPID_REASON_NONE);
    assert(decode_check(&fuzz, msgpack, sizeof(msgpack) - 1, "", 0) == KPID_REASON_NONE);
    kpid_decoder_free(fuzz.decoder);
    return 0;
}

#ifndef KPID_LIBFUZZER

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

/* One to four changes: a byte, a special byte, a piece moved, a piece doubled, a cut. */
static size_t mutate(uint8_t *bytes, size_t len, size_t size)
{
    static const uint8_t special[] =
        "{}[]:,\"\\ \n-+.eEu09tfn\x00\x80\x8f\x90\xa0\xc0\xc1\xc4\xc7\xca\xcf\xd9\xdb\xdd\xdf\xff";
    for (uint32_t i = 1 + random_below(4); i > 0 && len > 0; i--) {
        size_t at = random_below((uint32_t)len), n = 1 + random_below(16);
        switch (random_below(5)) {
        case 0: bytes[at] = (uint8_t)random_below(256); break;
        case 1: bytes[at] = special[random_below(sizeof(special) - 1)]; break;
        case 2:
            n = n < len - at ? n : len - at;
            memmove(bytes + random_below((uint32_t)(len - n + 1)), bytes + at, n);
            break;
        case 3:
            n = n < len - at ? n : len - at;
            if (len + n > size)
                break;
            memmove(bytes + at + n, bytes + at, len - at);
            len += n;
            break;
        default: len = random_below(8) == 0 ? at : len; break;
        }
    }
    return len;
}

static int files_run(int n, char **paths_of_files)
{
    static uint8_t bytes[1 << 20];
    for (int i = 0; i < n; i++) {
        FILE *file = fopen(paths_of_files[i], "rb");
        if (!file) {
            perror(paths_of_files[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
        fclose(file);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strspn(argv[1], "0123456789") != strlen(argv[1]))
        return files_run(argc - 1, argv + 1);
    unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    uint8_t bytes[1024];
    for (unsigned long i = 0; i < inputs; i++) {
        bool packed = i % 2;
        size_t len = (packed ? sizeof(msgpack) : sizeof(json)) - 1;
        memcpy(bytes, packed ? msgpack : json, len);
        LLVMFuzzerTestOneInput(bytes, mutate(bytes, len, sizeof(bytes)));
    }
    printf("%lu inputs\n", inputs);
    return 0;
}

#endif
