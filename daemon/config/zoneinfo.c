/* TZif files (RFC 8536), version 2 and later: the 64-bit block, then the footer's rule unrolled to the end of
 * 2100. Changes that leave the offset as it is (a new abbreviation) are dropped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "zone_rule.h"

#define FILE_MAX   (1 << 20)
#define HEADER     44
#define LAST_YEAR  2100
#define FIRST_YEAR 1900

struct counts {
    uint32_t isutc, isstd, leap, time, type, chars;
};

static uint64_t big_endian(const unsigned char *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static struct counts counts_read(const unsigned char *at)
{
    return (struct counts){(uint32_t)big_endian(at + 20, 4), (uint32_t)big_endian(at + 24, 4),
                           (uint32_t)big_endian(at + 28, 4), (uint32_t)big_endian(at + 32, 4),
                           (uint32_t)big_endian(at + 36, 4), (uint32_t)big_endian(at + 40, 4)};
}

static size_t block_bytes(const struct counts *c, size_t time_bytes)
{
    return (size_t)c->time * (time_bytes + 1) + (size_t)c->type * 6 + c->chars +
           (size_t)c->leap * (time_bytes + 4) + c->isstd + c->isutc;
}

static void change_add(struct kpid_zone *zone, size_t *cap, int64_t since_ms, int32_t offset_s)
{
    if (zone->n > 0 && zone->since_ms[zone->n - 1] == since_ms)
        zone->n--; /* it held for no time */
    if (zone->n > 0 && zone->offset_s[zone->n - 1] == offset_s)
        return;
    if (zone->n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        zone->since_ms = kpid_realloc(zone->since_ms, *cap * sizeof *zone->since_ms);
        zone->offset_s = kpid_realloc(zone->offset_s, *cap * sizeof *zone->offset_s);
    }
    zone->since_ms[zone->n] = since_ms;
    zone->offset_s[zone->n++] = offset_s;
}

struct change {
    int64_t at_s;
    int32_t offset_s;
    int order;
};

static int change_compare(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    if (a->at_s != b->at_s)
        return a->at_s < b->at_s ? -1 : 1;
    return a->order - b->order;
}

static void rule_unroll(struct kpid_zone *zone, size_t *cap, const struct kpid_zone_rule *rule,
                        int64_t last_s)
{
    if (!rule->has_summer) {
        if (last_s == INT64_MIN)
            change_add(zone, cap, KPID_NEVER, rule->standard_s);
        return;
    }
    struct change changes[(LAST_YEAR - FIRST_YEAR + 1) * 2];
    int n = 0;
    for (int64_t year = FIRST_YEAR; year <= LAST_YEAR; year++) {
        changes[n] = (struct change){kpid_zone_rule_begin(rule, year), rule->summer_s, n};
        n++;
        changes[n] = (struct change){kpid_zone_rule_end(rule, year), rule->standard_s, n};
        n++;
    }
    qsort(changes, (size_t)n, sizeof changes[0], change_compare);
    for (int i = 0; i < n; i++)
        if (changes[i].at_s > last_s)
            change_add(zone, cap, changes[i].at_s * 1000, changes[i].offset_s);
}

/* `at` stands at the block's data. */
static bool block_read(struct kpid_zone *zone, const unsigned char *at, const struct counts *c,
                       size_t time_bytes, size_t *cap, int64_t *ret_last_s)
{
    const unsigned char *indices = at + (size_t)c->time * time_bytes, *types = indices + c->time;
    int64_t last = INT64_MIN;
    change_add(zone, cap, KPID_NEVER, (int32_t)(uint32_t)big_endian(types, 4));
    for (uint32_t i = 0; i < c->time; i++) {
        uint64_t raw = big_endian(at + i * time_bytes, time_bytes);
        int64_t t = time_bytes == 8 ? (int64_t)raw : (int32_t)(uint32_t)raw;
        if (indices[i] >= c->type || (i > 0 && t <= last))
            return false;
        last = t;
        int64_t bound = INT64_MAX / 2000;
        if (t > -bound && t < bound)
            change_add(zone, cap, t * 1000, (int32_t)(uint32_t)big_endian(types + indices[i] * 6, 4));
    }
    *ret_last_s = last;
    return true;
}

static bool footer_read(struct kpid_zone *zone, size_t *cap, const unsigned char *at, size_t len,
                        int64_t last_s)
{
    char text[128];
    struct kpid_zone_rule rule;
    if (len < 2 || at[0] != '\n')
        return false;
    const unsigned char *end = memchr(at + 1, '\n', len - 1);
    size_t n = end ? (size_t)(end - at - 1) : 0;
    if (!end || n >= sizeof text)
        return false;
    if (n == 0)
        return true;
    memcpy(text, at + 1, n);
    text[n] = '\0';
    if (!kpid_zone_rule_parse(text, &rule))
        return false;
    rule_unroll(zone, cap, &rule, last_s);
    return true;
}

static bool bytes_read(struct kpid_zone *zone, const unsigned char *bytes, size_t len)
{
    size_t cap = 0;
    int64_t last_s;
    if (len < HEADER || memcmp(bytes, "TZif", 4) != 0)
        return false;
    struct counts c = counts_read(bytes);
    size_t block = HEADER + block_bytes(&c, 4), time_bytes = 4, at = 0;
    if (bytes[4] >= '2') {
        if (len < block + HEADER || memcmp(bytes + block, "TZif", 4) != 0)
            return false;
        at = block;
        c = counts_read(bytes + block);
        time_bytes = 8;
    }
    if (c.type == 0 || at + HEADER + block_bytes(&c, time_bytes) > len)
        return false;
    if (!block_read(zone, bytes + at + HEADER, &c, time_bytes, &cap, &last_s))
        return false;
    size_t footer = at + HEADER + block_bytes(&c, time_bytes);
    return time_bytes == 4 || footer_read(zone, &cap, bytes + footer, len - footer, last_s);
}

static bool name_is_good(const char *name)
{
    if (*name == '/' || *name == '.' || strstr(name, "..") || strlen(name) > 128)
        return false;
    return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/.")] == '\0';
}

bool kpid_zone_read(const char *zoneinfo, const char *name, struct kpid_zone *zone, const char **error)
{
    char path[1024];
    *error = "there is no such zone";
    if (!name_is_good(name) || (size_t)snprintf(path, sizeof path, "%s/%s", zoneinfo, name) >= sizeof path)
        return false;
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    unsigned char *bytes = kpid_alloc(FILE_MAX);
    size_t len = fread(bytes, 1, FILE_MAX, file);
    bool good = len > 0 && !ferror(file);
    fclose(file);
    if (good && !bytes_read(zone, bytes, len)) {
        *error = "its file is not a sound TZif file";
        good = false;
    }
    free(bytes);
    if (good)
        zone->name = kpid_strdup(name);
    else
        kpid_zone_release(zone);
    return good;
}
