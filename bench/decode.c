/*
 * kpid-bench-decode [ROUNDS]: what decoding an event costs, as a multiple of a bare pass of the same library
 * over the same bytes. All passes take turns in every round, so that a busy machine disturbs them alike; the
 * ratio is the median of the rounds' ratios.
 */
#include "decode_bare.h"
#include "kpid/buf.h"
#include "kpid/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS = 1024, PASSES = 40, ROUNDS_MAX = 1000, WAYS = 4 };

struct message {
    struct kpid_buf json, msgpack;
};

static char *paths[][3] = {
    { "type" },   { "ts" },     { "id" },       { "channel" },
    { "region" }, { "amount" }, { "order_id" }, { "ship", "fee" },
};
static char *types[] = { "", "order.created", "order.paid", "order.shipped", "order.delivered" };

/* ---- messages: an order of 12 keys, one of them nested, of which a configuration reads eight ---------- */

static void pack_str(struct kpid_buf *buf, const char *str)
{
    size_t len = strlen(str);
    kpid_buf_add_char(buf, (char)(0xa0 | len)); /* all are shorter than 32 */
    kpid_buf_add(buf, str, len);
}

static void pack_big_endian(struct kpid_buf *buf, int first, uint64_t value, int n)
{
    kpid_buf_add_char(buf, (char)first);
    for (int i = n - 1; i >= 0; i--)
        kpid_buf_add_char(buf, (char)(value >> (8 * i)));
}

static void pack_double(struct kpid_buf *buf, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    pack_big_endian(buf, 0xcb, bits, 8);
}

static void message_make(struct message *message, unsigned i)
{
    static const char *const channels[] = { "web", "app", "store", "partner" };
    static const char *const regions[] = { "cn-east", "cn-north", "cn-south", "eu-west", "us-east" };
    const char *type = types[1 + i % 4], *channel = channels[i % 7 % 4], *region = regions[i % 5];
    uint64_t ts = 1700000000000u + i * 37u;
    char id[32], order[32], user[32], amount[32];
    snprintf(id, sizeof(id), "01HF%08XQ%05u", i * 2654435761u, i);
    snprintf(order, sizeof(order), "o-%u", 100000 + i * 7919);
    snprintf(user, sizeof(user), "u-%u", 5000 + i * 31 % 777);
    snprintf(amount, sizeof(amount), "%u.%02u", 10 + i * 13 % 900, i % 100);

    kpid_buf_printf(&message->json,
                    "{\"type\":\"%s\",\"ts\":%llu,\"id\":\"%s\",\"order_id\":\"%s\",\"user_id\":\"%s\","
                    "\"channel\":\"%s\",\"region\":\"%s\",\"amount\":%s,\"currency\":\"CNY\",\"items\":%u,"
                    "\"coupon\":null,\"ship\":{\"fee\":5.5,\"express\":false}}",
                    type, (unsigned long long)ts, id, order, user, channel, region, amount, i % 9);
    struct kpid_buf *buf = &message->msgpack;
    kpid_buf_add_char(buf, (char)(0x80 | 12));
    pack_str(buf, "type"), pack_str(buf, type);
    pack_str(buf, "ts"), pack_big_endian(buf, 0xcf, ts, 8);
    pack_str(buf, "id"), pack_str(buf, id);
    pack_str(buf, "order_id"), pack_str(buf, order);
    pack_str(buf, "user_id"), pack_str(buf, user);
    pack_str(buf, "channel"), pack_str(buf, channel);
    pack_str(buf, "region"), pack_str(buf, region);
    pack_str(buf, "amount"), pack_double(buf, strtod(amount, NULL));
    pack_str(buf, "currency"), pack_str(buf, "CNY");
    pack_str(buf, "items"), kpid_buf_add_char(buf, (char)(i % 9));
    pack_str(buf, "coupon"), kpid_buf_add_char(buf, (char)0xc0);
    pack_str(buf, "ship"), kpid_buf_add_char(buf, (char)0x82);
    pack_str(buf, "fee"), pack_double(buf, 5.5);
    pack_str(buf, "express"), kpid_buf_add_char(buf, (char)0xc2);
}

/* ---- passes ------------------------------------------------------------------------------------------- */

static uint64_t checksum;

static uint64_t decode(struct kpid_decoder *decoder, const struct kpid_buf *bytes)
{
    struct kpid_event event;
    enum kpid_reason reason = kpid_decode(decoder, bytes->data, bytes->len, &event);
    if (reason != KPID_REASON_NONE) {
        fprintf(stderr, "decode: %s\n", kpid_reason_name(reason));
        exit(1);
    }
    return (uint64_t)event.ts_ms + event.type_id;
}

static uint64_t pass(int way, struct kpid_decoder *decoder, const struct message *message)
{
    switch (way) {
    case 0: return bare_json(message->json.data, message->json.len);
    case 1: return decode(decoder, &message->json);
    case 2: return bare_msgpack(message->msgpack.data, message->msgpack.len);
    default: return decode(decoder, &message->msgpack);
    }
}

static double ns_per_event(int way, struct kpid_decoder *decoder, const struct message *messages)
{
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < PASSES; i++)
        for (int j = 0; j < EVENTS; j++)
            checksum += pass(way, decoder, &messages[j]);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    return ns / PASSES / EVENTS;
}

/* ---- table -------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int n)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)n * sizeof(*values));
    qsort(sorted, (size_t)n, sizeof(*sorted), compare);
    return sorted[n / 2];
}

static void print_row(const char *name, size_t bytes, double *ns, const double *bare, int rounds)
{
    double ratios[ROUNDS_MAX], middle = median(ns, rounds);
    for (int i = 0; i < rounds; i++)
        ratios[i] = ns[i] / bare[i];
    double ratio = median(ratios, rounds);
    qsort(ns, (size_t)rounds, sizeof(*ns), compare);
    printf("%-28s %6zu %9.1f %9.1f %9.1f %7.2f\n", name, bytes, middle, ns[0], ns[rounds - 1], ratio);
}

int main(int argc, char **argv)
{
    static struct message messages[EVENTS];
    static double ns[WAYS][ROUNDS_MAX], bare[2][ROUNDS_MAX];
    static const char *const names[WAYS] = { "json, bare on-demand", "json, kpid_decode",
                                             "msgpack, bare template", "msgpack, kpid_decode" };
    struct kpid_field fields[KPID_COUNT_OF(paths)] = { 0 };
    struct kpid_source source = { .fields = fields,
                                  .n_fields = KPID_COUNT_OF(fields),
                                  .types = types,
                                  .n_types = KPID_COUNT_OF(types),
                                  .max_string_bytes = 1024 };
    int rounds = argc > 1 ? atoi(argv[1]) : 25;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (size_t i = 0; i < KPID_COUNT_OF(fields); i++)
        fields[i] = (struct kpid_field){ .path = paths[i], .n_path = paths[i][1] ? 2 : 1, .scale = 6 };
    size_t bytes[2] = { 0, 0 };
    for (unsigned i = 0; i < EVENTS; i++) {
        message_make(&messages[i], i);
        bytes[0] += messages[i].json.len;
        bytes[1] += messages[i].msgpack.len;
    }
    struct kpid_decoder *decoder = kpid_decoder_new(&source);
    for (int i = -1; i < rounds; i++) /* the first round only warms up */
        for (int way = 0; way < WAYS; way++)
            ns[way][i < 0 ? 0 : i] = ns_per_event(way, decoder, messages);
    memcpy(bare[0], ns[0], sizeof(bare[0]));
    memcpy(bare[1], ns[2], sizeof(bare[1]));
    printf("%-28s %6s %9s %9s %9s %7s\n", "ns of CPU an event", "bytes", "median", "min", "max", "ratio");
    for (int way = 0; way < WAYS; way++)
        print_row(names[way], bytes[way / 2] / EVENTS, ns[way], bare[way / 2], rounds);
    printf("%d rounds of %d events; checksum %llu\n", rounds, PASSES * EVENTS, (unsigned long long)checksum);
    kpid_decoder_free(decoder);
    for (unsigned i = 0; i < EVENTS; i++) {
        kpid_buf_release(&messages[i].json);
        kpid_buf_release(&messages[i].msgpack);
    }
    return 0;
}
