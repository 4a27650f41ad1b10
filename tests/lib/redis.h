/*
 * A real redis-server of a plain program's own, on a unix socket in a folder of its own, without persistence.
 * It dies with the program. Whatever goes wrong ends the program with a message.
 */
#ifndef KPID_TEST_LIB_REDIS_H
#define KPID_TEST_LIB_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

struct test_redis {
    int pid;
    char dir[64], socket[96];
    redisContext *link;
};

#define TEST_SKIPPED 77

/* False: redis-server is not installed; a program then exits with TEST_SKIPPED. */
bool test_redis_start(struct test_redis *redis);
void test_redis_stop(struct test_redis *redis);
/* n words, of these lengths. Returns, free with freeReplyObject. */
redisReply *test_redis_ask(struct test_redis *redis, size_t n, const char *const *words, const size_t *lens);
/* The same of words that are text, NULL at the end; only an error is looked at. */
void test_redis_do(struct test_redis *redis, const char *word, ...);
/* What there is goes to another database, or comes back from it; there may be nothing. */
void test_redis_save(struct test_redis *redis);
void test_redis_fall(struct test_redis *redis);

#endif
