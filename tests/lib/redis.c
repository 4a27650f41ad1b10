#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_S 30

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "redis-server: %s: %s\n", what, why);
    exit(1);
}

static void run(const struct test_redis *redis)
{
    const char *argv[] = {"redis-server", "--port", "0", "--unixsocket", redis->socket, "--dir",
                          redis->dir,     "--save", "",  "--appendonly", "no",          "--loglevel",
                          "warning",      NULL};
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool connects(struct test_redis *redis)
{
    redisContext *link = redisConnectUnix(redis->socket);
    redisReply *reply = link && !link->err ? redisCommand(link, "PING") : NULL;
    if (!reply) {
        if (link)
            redisFree(link);
        return false;
    }
    freeReplyObject(reply);
    redis->link = link;
    return true;
}

bool test_redis_start(struct test_redis *redis)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    struct timespec pause = {0, 2000000};
    if (system("command -v redis-server >/dev/null 2>&1") != 0)
        return false;
    signal(SIGPIPE, SIG_IGN);
    memset(redis, 0, sizeof(*redis));
    strcpy(redis->dir, "/tmp/kpid-redis-XXXXXX");
    if (!mkdtemp(redis->dir))
        fail("no folder", strerror(errno));
    snprintf(redis->socket, sizeof(redis->socket), "%s/redis", redis->dir);
    redis->pid = fork();
    if (redis->pid < 0)
        fail("no process", strerror(errno));
    if (redis->pid == 0)
        run(redis);
    while (!connects(redis)) {
        if (time(NULL) > deadline)
            fail("does not start", redis->dir);
        nanosleep(&pause, NULL);
    }
    return true;
}

void test_redis_stop(struct test_redis *redis)
{
    redisFree(redis->link);
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    unlink(redis->socket);
    rmdir(redis->dir);
}

redisReply *test_redis_ask(struct test_redis *redis, size_t n, const char *const *words, const size_t *lens)
{
    redisReply *reply = redisCommandArgv(redis->link, (int)n, (const char **)(uintptr_t)words, lens);
    if (!reply)
        fail("does not answer", redis->link->errstr);
    return reply;
}

void test_redis_do(struct test_redis *redis, const char *word, ...)
{
    const char *words[16];
    size_t lens[16], n = 0;
    va_list args;
    va_start(args, word);
    for (; word && n < 16; word = va_arg(args, const char *)) {
        words[n] = word;
        lens[n++] = strlen(word);
    }
    va_end(args);
    redisReply *reply = test_redis_ask(redis, n, words, lens);
    if (reply->type == REDIS_REPLY_ERROR)
        fail(words[0], reply->str);
    freeReplyObject(reply);
}

/* Copies all keys of one database to another one, which is emptied before. */
static void copy(struct test_redis *redis, const char *from, const char *to)
{
    static const char *const keys[] = {"KEYS", "*"};
    static const size_t lens[] = {4, 1};
    test_redis_do(redis, "SELECT", to, NULL);
    test_redis_do(redis, "FLUSHDB", NULL);
    test_redis_do(redis, "SELECT", from, NULL);
    redisReply *reply = test_redis_ask(redis, 2, keys, lens);
    for (size_t i = 0; i < reply->elements; i++)
        test_redis_do(redis, "COPY", reply->element[i]->str, reply->element[i]->str, "DB", to, NULL);
    freeReplyObject(reply);
    test_redis_do(redis, "SELECT", "0", NULL);
}

void test_redis_save(struct test_redis *redis)
{
    copy(redis, "0", "1");
}

void test_redis_fall(struct test_redis *redis)
{
    copy(redis, "1", "0");
}
