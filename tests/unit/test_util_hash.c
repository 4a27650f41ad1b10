/* Hashes against known values: xxHash's own library, and murmur64A as Redis seeds it. */
#include <criterion/criterion.h>
#include <string.h>

#include "kpid/hash.h"

Test(hash, gives_the_known_values)
{
    static const struct {
        const char *text;
        uint64_t xxh64, xxh64_seed_7, murmur;
    } cases[] = {
        { "", 0xef46db3751d8e999ULL, 0x95f0626f6f0a4409ULL, 0xd8dfea6585bc9732ULL },
        { "a", 0xd24ec4f1a98c6e5bULL, 0xdc6349d489e0f965ULL, 0x53d2470a9b43b1a7ULL },
        { "foobar", 0xa2aa05ed9085aaf9ULL, 0x71658bce809606e2ULL, 0x34483c0f34a20776ULL },
        { "hello world", 0x45ab6734b21e6968ULL, 0xe3188f1f1023e4d0ULL, 0xa919bc3051f624b7ULL },
    };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        size_t len = strlen(cases[i].text);
        cr_assert_eq(kpid_hash(cases[i].text, len, 0), cases[i].xxh64);
        cr_assert_eq(kpid_hash(cases[i].text, len, 7), cases[i].xxh64_seed_7);
        cr_assert_eq(kpid_hash_murmur64a(cases[i].text, len, 0xadc83b19), cases[i].murmur);
    }
    cr_assert_eq(kpid_hash("abcdefghijklmnopqrstuvwxyz0123456789", 36, 0), 0x64f23ecf1609b766ULL);
    cr_assert_eq(kpid_hash_murmur64a("12345678", 8, 0xadc83b19), 0x95ebb86389132953ULL);
    cr_assert_eq(kpid_hash_murmur64a("abcdefghijklmnopqrstuvwxyz", 26, 0xadc83b19), 0xec781dcdeb89f2cfULL);
}

Test(hash, mix_depends_on_order_and_on_every_bit)
{
    cr_assert_neq(kpid_hash_mix(1, 2), kpid_hash_mix(2, 1));
    for (unsigned bit = 0; bit < 64; bit++) {
        int a = __builtin_popcountll(kpid_hash_mix(5, 9) ^ kpid_hash_mix(5 ^ (1ULL << bit), 9));
        int b = __builtin_popcountll(kpid_hash_mix(5, 9) ^ kpid_hash_mix(5, 9 ^ (1ULL << bit)));
        cr_assert(a > 12 && a < 52 && b > 12 && b < 52, "bit %u: %d %d", bit, a, b);
    }
}
