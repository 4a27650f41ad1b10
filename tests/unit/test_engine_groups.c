/* Groups by name: many names that begin alike, of lengths around what a row holds of them; rows that go and
 * come back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/core.h"

#define NAMES 40000
#define MANY  1000000u

/* 1 to 60 bytes, all different; most begin alike. Returns the length. */
static size_t name_of(unsigned number, char text[64])
{
    static const char *const beginnings[] = {"", "abc", "a-name-of-19-bytes-",
                                             "a-name-that-all-share-and-is-longer-than-a-row-"};
    return (size_t)snprintf(text, 64, "%s%u", beginnings[number % 4], number / 4);
}

static uint32_t intern(struct kpid_groups *groups, unsigned number, int64_t ts_ms)
{
    char text[64];
    size_t len = name_of(number, text);
    return kpid_groups_intern(groups, text, len, MANY, ts_ms);
}

static void expect_row(const struct kpid_groups *groups, uint32_t gid, unsigned number)
{
    char text[64];
    size_t len = name_of(number, text);
    cr_assert_eq((uintptr_t)&groups->at[gid] % 64, 0);
    cr_assert_eq(groups->at[gid].name_len, len);
    cr_assert_eq(memcmp(groups->at[gid].name, text, len), 0);
}

Test(groups, each_name_has_a_number_of_its_own)
{
    struct kpid_groups groups;

    kpid_groups_init(&groups, 7);
    for (unsigned i = 0; i < NAMES; i++)
        cr_assert_eq(intern(&groups, i, 1000), i + 1);
    for (unsigned i = 0; i < NAMES; i++) {
        cr_assert_eq(intern(&groups, i, 1000 + i), i + 1, "name %u", i);
        expect_row(&groups, i + 1, i);
    }
    cr_assert_eq(groups.live, NAMES);
    kpid_groups_release(&groups);
}

Test(groups, what_expired_is_forgotten_and_its_number_used_again)
{
    struct kpid_groups groups;

    kpid_groups_init(&groups, 7);
    for (unsigned i = 0; i < NAMES; i++) {
        uint32_t gid = intern(&groups, i, i % 3 ? 1000 : 3000);
        groups.at[gid].dirty = false; /* as if committed */
    }
    groups.n_dirty = 0;
    kpid_groups_expire(&groups, 2000);
    cr_assert_eq(groups.live, (NAMES + 2) / 3);
    for (unsigned i = 0; i < NAMES; i += 3)
        cr_assert_eq(intern(&groups, i, 3000), i + 1);
    for (unsigned i = NAMES; groups.n_free; i++) {
        uint32_t gid = intern(&groups, i, 3000);
        cr_assert(gid <= NAMES && (gid - 1) % 3, "%u", gid);
        expect_row(&groups, gid, i);
    }
    kpid_groups_release(&groups);
}

Test(groups, a_stored_group_takes_its_number_over)
{
    static const struct {
        const char *name;
        uint32_t gid, live;
    } rows[] = {{"one", 5, 1},
                {"one", 5, 1},
                {"another", 5, 1},
                {"a-name-that-is-longer-than-a-row-1", 2, 2},
                {"a-name-that-is-longer-than-a-row-2", 2, 2},
                {"one", 9, 3}};
    struct kpid_groups groups;

    kpid_groups_init(&groups, 7);
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        kpid_groups_put(&groups, rows[i].gid, rows[i].name, strlen(rows[i].name), 10, 20);
        cr_assert_eq(groups.live, rows[i].live, "row %zu", i);
        cr_assert_eq(kpid_groups_intern(&groups, rows[i].name, strlen(rows[i].name), MANY, 15), rows[i].gid,
                     "row %zu", i);
    }
    kpid_groups_loaded(&groups);
    cr_assert_eq(kpid_groups_intern(&groups, "a-name-that-is-longer-than-a-row-1", 34, 3, 15),
                 KPID_GID_OTHER);
    cr_assert_eq(groups.refused, 1);
    kpid_groups_release(&groups);
}
