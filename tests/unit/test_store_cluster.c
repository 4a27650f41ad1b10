#include <criterion/criterion.h>

#include "store/cluster_internal.h"

#include <stdio.h>
#include <string.h>

/* The vector of the specification, and what of a key is hashed. */
Test(store_cluster, slots_are_those_of_redis)
{
    static const struct {
        const char *key, *hashed;
    } SAME[] = {
        {"{user1000}.following", "user1000"},
        {"kpi:s:{c:g:shop:3}:h", "c:g:shop:3"},
        {"kpi:s:{c:g:shop:3}:p:7.ab.1", "c:g:shop:3"},
        {"kpi:win:{orders:1m}:1700000000000", "orders:1m"},
        {"foo{{bar}}zap", "{bar"},
        {"foo{bar}{zap}", "bar"},
    };
    static const char *const WHOLE[] = {"foo{}{bar}", "foo}bar{", "{", "}", "{}", "a{b"};
    cr_expect_eq(kpid_cluster_slot_of("123456789", 9), 0x31c3);
    cr_expect_eq(kpid_cluster_slot_of("", 0), 0);
    for (size_t i = 0; i < KPID_COUNT_OF(SAME); i++)
        cr_expect_eq(kpid_cluster_slot_of(SAME[i].key, strlen(SAME[i].key)),
                     kpid_cluster_slot_of(SAME[i].hashed, strlen(SAME[i].hashed)), "%s", SAME[i].key);
    for (size_t i = 0; i < KPID_COUNT_OF(WHOLE); i++) {
        char apart[16];
        snprintf(apart, sizeof(apart), "x%s", WHOLE[i]);
        cr_expect_neq(kpid_cluster_slot_of(WHOLE[i], strlen(WHOLE[i])),
                      kpid_cluster_slot_of(apart, strlen(apart)), "%s", WHOLE[i]);
    }
    cr_expect_eq(kpid_cluster_slot_of("foo{}{bar}", 10), 8363);
}
