/* Rows by key, and the bounded cache, against what a plain search says. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/buf.h"
#include "kpid/hash.h"
#include "lookup/cache.h"
#include "lookup/table.h"

static struct kpid_value text_value(const char *text)
{
    return (struct kpid_value){.kind = KPID_STRING, .str = text, .len = (uint32_t)strlen(text)};
}

Test(lookup_table, rows_by_key)
{
    struct kpid_table *table = kpid_table_new(2);
    char key[32], city[32];
    uint32_t line;
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%u", i * 7);
        snprintf(city, sizeof(city), "city %u", i % 13);
        struct kpid_value values[] = {text_value(city), {.kind = KPID_NUMBER, .number = i % 29}};
        if (i % 17 == 0)
            values[0] = (struct kpid_value){.kind = KPID_ABSENT};
        cr_assert(kpid_table_add(table, key, strlen(key), values, i + 2, &line));
    }
    cr_assert_eq(kpid_table_rows(table), 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%u", i * 7);
        snprintf(city, sizeof(city), "city %u", i % 13);
        uint32_t row = kpid_table_find(table, key, strlen(key));
        cr_assert_eq(row, i);
        const struct kpid_value *value = kpid_table_value(table, row, 0);
        if (i % 17 == 0)
            cr_assert_eq(value->kind, KPID_ABSENT);
        else
            cr_assert(value->kind == KPID_STRING && value->len == strlen(city) &&
                      memcmp(value->str, city, value->len) == 0);
        cr_assert(kpid_table_value(table, row, 1)->number == i % 29);
    }
    cr_assert_eq(kpid_table_find(table, "k1", 2), KPID_TABLE_NONE);
    cr_assert_eq(kpid_table_find(table, "k8", 2), KPID_TABLE_NONE);
    kpid_table_free(table);
}

Test(lookup_table, a_key_twice)
{
    struct kpid_table *table = kpid_table_new(1);
    struct kpid_value value = text_value("x");
    uint32_t line = 0;
    cr_assert_eq(kpid_table_find(table, "a", 1), KPID_TABLE_NONE);
    cr_assert(kpid_table_add(table, "a", 1, &value, 2, &line));
    cr_assert(kpid_table_add(table, "b", 1, &value, 3, &line));
    cr_assert_not(kpid_table_add(table, "a", 1, &value, 4, &line));
    cr_assert_eq(line, 2);
    cr_assert_eq(kpid_table_rows(table), 2);
    kpid_table_free(table);
}

/* Equal cells are kept once: a hundred thousand rows with one of five tags cost little beside their keys. */
Test(lookup_table, equal_cells_once)
{
    struct kpid_table *table = kpid_table_new(1);
    static const char *const tags[] = {"gold", "silver", "bronze", "new", "lost"};
    char key[32];
    uint32_t line;
    for (uint32_t i = 0; i < 100000; i++) {
        struct kpid_value value = text_value(tags[i % 5]);
        snprintf(key, sizeof(key), "%08u", i);
        cr_assert(kpid_table_add(table, key, 8, &value, i, &line));
    }
    cr_assert_lt(kpid_table_bytes(table), (size_t)100000 * 64);
    kpid_table_free(table);
}

/* ---- the cache ---- */

static struct kpid_cache_entry *find(struct kpid_cache *cache, unsigned n)
{
    return kpid_cache_find(cache, kpid_hash(&n, sizeof(n), 0), (const char *)&n, sizeof(n));
}

static struct kpid_cache_entry *add(struct kpid_cache *cache, unsigned n)
{
    return kpid_cache_add(cache, kpid_hash(&n, sizeof(n), 0), (const char *)&n, sizeof(n));
}

Test(lookup_cache, bounded_and_whole)
{
    struct kpid_cache cache;
    kpid_cache_init(&cache, 100, SIZE_MAX);
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert_null(find(&cache, i));
        cr_assert(add(&cache, i));
        cr_assert_leq(cache.n, 100);
    }
    cr_assert_eq(cache.evicted, 9900);
    unsigned there = 0;
    for (unsigned i = 0; i < 10000; i++)
        there += find(&cache, i) != NULL; /* none is lost or there twice: the table is whole after many removals */
    cr_assert_eq(there, 100);
    cr_assert_eq(cache.n, 100);
    kpid_cache_release(&cache);
}

/* What is used stays, what is not goes. */
Test(lookup_cache, the_unused_go)
{
    struct kpid_cache cache;
    kpid_cache_init(&cache, 1000, SIZE_MAX);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(add(&cache, i));
    for (unsigned i = 100; i < 50000; i++) {
        cr_assert(add(&cache, i));
        if (i % 100 == 0)
            for (unsigned hot = 0; hot < 100; hot++)
                cr_assert(find(&cache, hot), "%u was let go at %u", hot, i);
    }
    kpid_cache_release(&cache);
}

Test(lookup_cache, what_is_asked_for_stays)
{
    struct kpid_cache cache;
    kpid_cache_init(&cache, 10, SIZE_MAX);
    for (unsigned i = 0; i < 10; i++)
        add(&cache, i)->asking = true;
    cr_assert_null(add(&cache, 10));
    find(&cache, 3)->asking = false;
    cr_assert(add(&cache, 10));
    cr_assert_null(find(&cache, 3));
    cr_assert(find(&cache, 2));
    kpid_cache_release(&cache);
}

Test(lookup_cache, bytes)
{
    struct kpid_cache cache;
    kpid_cache_init(&cache, 1000, 100000);
    for (unsigned i = 0; i < 1000; i++) {
        kpid_cache_fill(&cache, add(&cache, i), kpid_alloc(1000), 1000);
        cr_assert_leq(cache.bytes, 100000);
    }
    cr_assert(cache.n > 50 && cache.n < 100);
    cr_assert(find(&cache, 999));
    for (unsigned i = 0; i < 1000; i++)
        if (find(&cache, i))
            kpid_cache_fill(&cache, find(&cache, i), NULL, 0);
    cr_assert_lt(cache.bytes, 100 * 200);
    kpid_cache_release(&cache);
}
